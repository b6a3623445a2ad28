//! Writes the problems as they are found, because there may be more of them than fit into memory, and then a summary.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufWriter, Write};

use serde::Serialize;
use shared::import_csv::rules::{Counted, Problem, Reason};

use crate::failure::Verdict;
use crate::table::Table;
use crate::terminal::{Output, Terminal};

/// A problem and its place.
#[derive(Serialize)]
pub struct Found<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Number of the line; `None` if the problem concerns the whole file.
    pub line: Option<u64>,
    /// Name of the column; `None` if the problem concerns the whole line.
    pub column: Option<&'a str>,
    /// What is wrong.
    #[serde(serialize_with = "by_name")]
    pub reason: Reason,
    /// If this is a duplicate: the first row with the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Place<'a>>,
}

/// A line of a file.
#[derive(Clone, Copy, Serialize)]
pub struct Place<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Number of the line; the header is line 1.
    pub line: u64,
}

fn by_name<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

/// Shown as `file:line: column: what is wrong`, a format that editors and terminals turn into a link.
impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ": {column}")?;
        }
        write!(f, ": {}", self.reason)?;
        if let Some(first) = self.first {
            write!(f, ", first in {}:{}", first.file, first.line)?;
        }
        Ok(())
    }
}

/// Writes problems to standard output, and counts them.
pub struct Report<'a> {
    output: Output,
    out: BufWriter<Box<dyn Write + 'a>>,
    files: usize,
    /// Number of problems of each reason, by the reason's name.
    summary: BTreeMap<&'static str, (u64, Reason)>,
}

impl<'a> Report<'a> {
    /// Begins the report about some files.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn begin(terminal: &'a Terminal, files: &[String]) -> io::Result<Self> {
        let mut report = Self {
            output: terminal.output(),
            out: BufWriter::new(Box::new(terminal.stdout())),
            files: files.len(),
            summary: BTreeMap::new(),
        };
        if report.output == Output::Json {
            let files = serde_json::to_string(files)?;
            report.write(format_args!("{{\"files\":{files},\"problems\":["))?;
        }
        Ok(report)
    }

    /// Writes the problems of a line, or of a whole file if `line` is `None`.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn write_problems(
        &mut self,
        file: &'a str,
        line: Option<u64>,
        problems: &[Problem],
    ) -> io::Result<()> {
        for problem in problems {
            self.write_problem(&Found {
                file,
                line,
                column: problem.column.as_deref(),
                reason: problem.reason,
                first: None,
            })?;
        }
        Ok(())
    }

    /// Writes a problem.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn write_problem(&mut self, found: &Found<'_>) -> io::Result<()> {
        let separator = if self.summary.is_empty() { "" } else { "," };
        let reason = found.reason;
        self.summary.entry(reason.as_str()).or_insert((0, reason)).0 += 1;
        match self.output {
            Output::Text => self.write(format_args!("{found}\n")),
            Output::Json => {
                let found = serde_json::to_string(found)?;
                self.write(format_args!("{separator}\n{found}"))
            }
        }
    }

    /// Ends the report with a summary of all rows.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn end(mut self, rows: u64) -> io::Result<Verdict> {
        match self.output {
            Output::Text => {
                let summary = self.text_summary(rows);
                self.write(format_args!("{summary}"))?;
            }
            Output::Json => {
                let summary = self.summary.iter().map(|(name, (count, _))| (name, count));
                let summary = serde_json::to_string(&summary.collect::<BTreeMap<_, _>>())?;
                self.write(format_args!("],\"rows\":{rows},\"summary\":{summary}}}\n"))?;
            }
        }
        ignore_broken_pipe(self.out.flush())?;
        Ok(if self.summary.is_empty() {
            Verdict::Good
        } else {
            Verdict::Wrong
        })
    }

    fn text_summary(&self, rows: u64) -> String {
        let checked = format!(
            "{} in {}",
            Counted(rows, "row"),
            Counted(self.files, "file")
        );
        if self.summary.is_empty() {
            return format!("{checked}: Cognito would accept every row\n");
        }
        let mut table = Table::new(["reason", "number", "what to do"]);
        let mut reasons: Vec<_> = self.summary.iter().collect();
        reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (name, (count, reason)) in reasons {
            table.row([
                (*name).into(),
                count.to_string().into(),
                reason.remedy().into(),
            ]);
        }
        let count: u64 = self.summary.values().map(|(count, _)| count).sum();
        format!("\n{checked}: {}\n\n{table}", Counted(count, "problem"))
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        ignore_broken_pipe(self.out.write_fmt(text))
    }
}

/// A reader that stops early, such as `head`, is no error: the exit code still tells the result.
fn ignore_broken_pipe(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}
