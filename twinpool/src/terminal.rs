//! Where a command writes: its result to standard output, as text or as one JSON document; all else to standard error.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people. Colours only on a terminal, and not when NO_COLOR is set.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What somebody should know of.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub const WRONG: Style = AnsiColor::Red.on_default().bold();
/// What stands over a table.
pub const HEAD: Style = Style::new().bold();

/// The two streams of a process.
#[derive(Debug)]
pub struct Terminal {
    output: Output,
}

impl Terminal {
    /// A terminal that writes results in this form.
    pub fn new(output: Output) -> Self {
        Self { output }
    }

    /// In what form results are written.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Writes the result of a command: `Display` for people, `Serialize` for scripts. Styles in the text are taken out where they
    /// are not wanted.
    pub fn show<T: Display + Serialize>(&self, result: &T) -> Result<(), Failure> {
        let text = match self.output {
            Output::Text => result.to_string(),
            Output::Json => serde_json::to_string_pretty(result).map_err(io::Error::from)?,
        };
        self.print(&text)
    }

    /// Writes text to standard output, and ends the line. Whoever reads may stop before the end.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        match writeln!(self.stdout(), "{}", text.trim_end()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Standard output, for a result that is too long to be held.
    pub fn stdout(&self) -> impl Write {
        anstream::stdout().lock()
    }

    /// Tells the operator something that is no part of the result.
    pub fn note(&self, text: impl Display) {
        // A message that nobody can read any more is no reason to stop.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Tells why the command could not do its work.
    pub fn error(&self, failure: &Failure) {
        self.note(format_args!("{WRONG}error:{WRONG:#} {failure}"));
    }

    /// A bar for work whose length is known, a spinner otherwise; shown on standard error if that is a terminal.
    pub fn progress(&self, length: Option<u64>, message: &'static str) -> ProgressBar {
        let (bar, template) = match length {
            Some(length) => (
                ProgressBar::new(length),
                "{msg} {wide_bar} {human_pos}/{human_len} {eta}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {msg} {human_pos} {elapsed}",
            ),
        };
        let style = ProgressStyle::with_template(template);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(message)
    }
}
