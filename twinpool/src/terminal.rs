//! Where a command writes: the result to standard output, as text or as one JSON document; everything else to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::thread;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Format of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Text to read. Colours are used only on a terminal, and not if NO_COLOR is set.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

/// Style of what is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Style of a warning.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Style of what is wrong.
pub const WRONG: Style = AnsiColor::Red.on_default().bold();
/// Style of headings.
pub const HEAD: Style = Style::new().bold();

/// The standard output and standard error of the process.
#[derive(Debug)]
pub struct Terminal {
    output: Output,
}

impl Terminal {
    /// A terminal that writes results in this format.
    pub fn new(output: Output) -> Self {
        Self { output }
    }

    /// The format in which results are written.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Writes the result of a command: by `Display` as text, by `Serialize` as JSON. Colours are removed where they are not wanted.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn show<T: Display + Serialize>(&self, result: &T) -> Result<(), Failure> {
        let text = match self.output {
            Output::Text => result.to_string(),
            Output::Json => serde_json::to_string_pretty(result).map_err(io::Error::from)?,
        };
        self.print(&text)
    }

    /// Writes text and a line end to standard output. A reader that stops early, such as `head`, is no error.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        match writeln!(self.stdout(), "{}", text.trim_end()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Standard output, for a result that is too large for memory.
    pub fn stdout(&self) -> impl Write {
        anstream::stdout().lock()
    }

    /// Writes a message that is not part of the result to standard error.
    pub fn note(&self, text: impl Display) {
        // A closed standard error must not stop the command.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Writes why the command could not do its work to standard error.
    pub fn error(&self, failure: &Failure) {
        self.note(format_args!("{WRONG}error:{WRONG:#} {failure}"));
    }

    /// A progress bar if the length of the work is known, otherwise a spinner. Shown on standard error if that is a terminal.
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

/// Makes sure, before a command does any work, that somebody can be asked later. With `yes` (the option `--yes`) nobody is.
///
/// # Errors
///
/// Standard input or standard error is not a terminal.
pub fn check_can_ask(yes: bool) -> Result<(), Failure> {
    if yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(Failure::Usage(
        "nobody can be asked, because this is not a terminal: look with --dry-run at what would be done, then add --yes".to_owned(),
    ))
}

/// Asks a question on the terminal, and returns whether the answer is yes. With `yes` (the option `--yes`) nothing is asked.
///
/// # Errors
///
/// There is nobody to ask, because this is not a terminal; or the question was interrupted.
pub async fn confirm(question: &str, yes: bool) -> Result<bool, Failure> {
    check_can_ask(yes)?;
    if yes {
        return Ok(true);
    }
    let _ = write!(anstream::stderr().lock(), "{question} Type yes to go on: ");
    // A thread of its own: nothing can end the reading, and the runtime would wait for a blocking task until Enter is pressed.
    let (sender, answer) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = sender.send(io::stdin().read_line(&mut line).map(|_| line));
    });
    let interrupted = || Failure::Wrong("interrupted at a question".to_owned());
    let line = tokio::select! {
        line = answer => line.map_err(|_| interrupted())??,
        _ = tokio::signal::ctrl_c() => return Err(interrupted()),
    };
    Ok(line.trim() == "yes")
}

/// What is shown of a step: what is done or waited for, how far it is, and how far it goes if that is known.
pub type Shown = (&'static str, u64, Option<u64>);

/// Shows the progress of work that has several steps, each with a bar of its own.
#[derive(Debug)]
pub struct Progress<'a> {
    terminal: &'a Terminal,
    shown: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl<'a> Progress<'a> {
    /// Nothing is shown yet.
    pub fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            shown: Mutex::new(None),
        }
    }

    /// Shows how far a step is. A step of another name ends the one before.
    pub fn show(&self, (message, position, length): Shown) {
        let Ok(mut shown) = self.shown.lock() else {
            return;
        };
        if let Some((_, bar)) = shown.take_if(|(earlier, _)| *earlier != message) {
            bar.finish_and_clear();
        }
        let new = || (message, self.terminal.progress(length, message));
        shown.get_or_insert_with(new).1.set_position(position);
    }

    /// Removes what is shown.
    pub fn end(&self) {
        if let Ok(mut shown) = self.shown.lock()
            && let Some((_, bar)) = shown.take()
        {
            bar.finish_and_clear();
        }
    }
}
