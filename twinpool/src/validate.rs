//! `twinpool validate`: what Cognito would refuse in import files, found before they are uploaded.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::aws::Patience;
use shared::import_csv::duplicates::Duplicates;
use shared::import_csv::reader::{Line, Lines};
use shared::import_csv::rules::{Problem, Reason, RowRules, Rules, check_size};
use shared::import_csv::saved;
use shared::pool::{Pool, PoolId};

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::table::Table;
use crate::terminal::{Output, Terminal, WARN};

/// Check import files as Cognito would, before they are uploaded. Changes nothing.
///
/// Names every row that Cognito would refuse or whose values it would change, with file, line, column and reason, and never
/// a value; then each name that two rows have, over all files. Any import file will do, whoever wrote it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// The import files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The pool that they are for: it is asked for its header and its settings.
    #[arg(long, value_name = "POOL_ID", required_unless_present = "rules")]
    pool: Option<PoolId>,

    /// Instead of --pool, together with --rules: the pool's header, as saved before, or the template from the console.
    #[arg(long, value_name = "FILE", requires = "rules", conflicts_with = "pool")]
    header: Option<PathBuf>,

    /// Instead of --pool, together with --header: the pool's settings, as saved before.
    #[arg(
        long,
        value_name = "FILE",
        requires = "header",
        conflicts_with = "pool"
    )]
    rules: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Example:
  twinpool validate newcomers-0001.csv --pool ap-northeast-1_AbCdEf123

Exit codes:
  0  nothing found that Cognito would refuse
  1  something found
  2  bad usage, or a file that cannot be read
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, GetCSVHeader

Lines are counted as an editor counts them: the header is line 1. Cognito's import log counts users instead: its \
\"Line Number 1\" is line 2 here.

Without a network, use what you saved on a normal day:
  aws cognito-idp get-csv-header --user-pool-id POOL_ID > header.json
  aws cognito-idp describe-user-pool --user-pool-id POOL_ID > pool.json
  twinpool validate users-0001.csv --header header.json --rules pool.json

With --output json, one document:
  {\"files\": [..], \"problems\": [{\"file\", \"line\", \"column\", \"reason\"}, ..], \"rows\": n, \"summary\": {reason: n}}
where a duplicate also says who is first: {\"first\": {\"file\", \"line\"}}.";

/// How much of a file is read at once.
const CHUNK: u64 = 1 << 20;

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let rules = rules(&args, context).await?;
    let opened: Result<Vec<_>, _> = args.files.iter().map(|path| open(path)).collect();
    let opened = opened?;
    let names: Vec<_> = args
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();

    let mut check = Check::new(Report::begin(&context.terminal, &names)?);
    for ((path, name), file) in args.files.iter().zip(&names).zip(opened) {
        check.file(&rules, path, name, file)?;
    }
    check.duplicates()?;
    let Check {
        mut report, rows, ..
    } = check;
    let from_spreadsheets = std::mem::take(&mut report.from_spreadsheets);
    let verdict = report.end(rows)?;
    if !from_spreadsheets.is_empty() {
        let note = SpreadsheetNote(&from_spreadsheets);
        context.terminal.note(note);
    }
    Ok(verdict)
}

async fn rules(args: &Args, context: &Context) -> Result<Rules, Failure> {
    let (pool, header) = match (&args.pool, &args.header, &args.rules) {
        (Some(id), _, _) => {
            let client = context.sdk().await?.cognito(id, Patience::ONCE);
            let until = Instant::now() + Duration::from_secs(60);
            let pool = Pool::new(client, id.clone(), 5, until);
            (pool.describe().await?, pool.csv_header().await?)
        }
        (None, Some(header), Some(rules)) => (
            saved::pool(&read(rules)?).map_err(|error| unusable(rules, error))?,
            saved::header(&read(header)?).map_err(|error| unusable(header, error))?,
        ),
        _ => {
            let either = "give --pool, or --header and --rules";
            return Err(Failure::Usage(either.to_owned()));
        }
    };
    Rules::of(&pool, &header).map_err(|error| match &args.header {
        Some(path) => unusable(path, error),
        None => Failure::Wrong(error.to_string()),
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| file_failure(path, error))
}

fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(file)
    };
    open().map_err(|error| file_failure(path, error))
}

fn file_failure(path: &Path, error: io::Error) -> Failure {
    let path = path.to_owned();
    Failure::File { path, error }
}

fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    file_failure(path, io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The check of all files.
struct Check<'a> {
    report: Report<'a>,
    duplicates: Duplicates,
    /// Of each file, how many rows were before it.
    starts: Vec<(u64, &'a str)>,
    rows: u64,
}

impl<'a> Check<'a> {
    fn new(report: Report<'a>) -> Self {
        Self {
            report,
            duplicates: Duplicates::default(),
            starts: Vec::new(),
            rows: 0,
        }
    }

    fn file(
        &mut self,
        rules: &Rules,
        path: &Path,
        name: &'a str,
        file: File,
    ) -> Result<(), Failure> {
        self.starts.push((self.rows, name));
        let before = self.rows;
        let mut source = Source::new(path, file);
        let header = loop {
            if let Some(line) = source.lines.next_line() {
                let (header, problems) = rules.read_header(line.text);
                self.report.problems(name, Some(line.number), &problems)?;
                let marks = [Reason::ByteOrderMark, Reason::Quote];
                if problems
                    .iter()
                    .any(|problem| marks.contains(&problem.reason))
                {
                    self.report.is_from_spreadsheet(name);
                }
                break header;
            }
            if !source.fill()? {
                let problem = Problem {
                    column: None,
                    reason: Reason::NoHeader,
                };
                self.report.problems(name, None, &[problem])?;
                break None;
            }
        };
        let rules = header.as_ref().map(|header| rules.under(header));
        loop {
            while let Some(line) = source.lines.next_line() {
                if let Some(rules) = &rules {
                    self.row(rules, name, &line)?;
                }
                self.rows += 1;
            }
            if !source.fill()? {
                break;
            }
        }
        let problems = check_size(self.rows - before, source.bytes);
        self.report.problems(name, None, &problems)?;
        Ok(())
    }

    fn row(&mut self, rules: &RowRules<'_>, file: &'a str, line: &Line<'_>) -> io::Result<()> {
        let cells = match rules.cells(line.text) {
            Ok(cells) => cells,
            Err(problem) => {
                if line.text.is_ok_and(has_quoted_cells) {
                    self.report.is_from_spreadsheet(file);
                }
                return self.report.problems(file, Some(line.number), &[problem]);
            }
        };
        let problems = rules.check(&cells);
        let is_changed = |problem: &Problem| {
            let value = problem.column.as_ref().and_then(|column| cells.get(column));
            value.is_some_and(|value| is_spreadsheets(problem.reason, &value))
        };
        if problems.iter().any(is_changed) || cells.iter().any(is_rounded) {
            self.report.is_from_spreadsheet(file);
        }
        self.report.problems(file, Some(line.number), &problems)?;
        for (column, name) in rules.names(&cells) {
            self.duplicates.add(self.rows, column, &name);
        }
        Ok(())
    }

    fn duplicates(&mut self) -> io::Result<()> {
        for duplicate in std::mem::take(&mut self.duplicates).find() {
            let (place, first) = (self.place(duplicate.row), self.place(duplicate.first));
            self.report.problem(&Found {
                file: place.file,
                line: Some(place.line),
                column: Some(duplicate.column.column()),
                reason: Reason::Duplicate,
                first: Some(first),
            })?;
        }
        Ok(())
    }

    /// Where a row is, by its number over all files.
    fn place(&self, row: u64) -> Place<'a> {
        let file = self.starts.partition_point(|(start, _)| *start <= row) - 1;
        let (start, file) = self.starts[file];
        // The header is line 1.
        Place {
            file,
            line: row - start + 2,
        }
    }
}

/// A file, read in chunks.
struct Source<'a> {
    path: &'a Path,
    file: File,
    lines: Lines,
    chunk: Vec<u8>,
    bytes: u64,
    is_at_end: bool,
}

impl<'a> Source<'a> {
    fn new(path: &'a Path, file: File) -> Self {
        Self {
            path,
            file,
            lines: Lines::default(),
            chunk: Vec::new(),
            bytes: 0,
            is_at_end: false,
        }
    }

    /// Gives the lines more of the file, or its end; false when they have had it.
    fn fill(&mut self) -> Result<bool, Failure> {
        if self.is_at_end {
            return Ok(false);
        }
        self.chunk.clear();
        let mut chunk = Read::by_ref(&mut self.file).take(CHUNK);
        let read = chunk.read_to_end(&mut self.chunk);
        let read = read.map_err(|error| file_failure(self.path, error))?;
        self.bytes += read as u64;
        self.is_at_end = read == 0;
        if self.is_at_end {
            self.lines.end();
        } else {
            self.lines.feed(&self.chunk);
        }
        Ok(true)
    }
}

/// A problem and where it is.
#[derive(Serialize)]
struct Found<'a> {
    file: &'a str,
    line: Option<u64>,
    column: Option<&'a str>,
    #[serde(serialize_with = "by_name")]
    reason: Reason,
    /// Who has the name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Place<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Place<'a> {
    file: &'a str,
    line: u64,
}

fn by_name<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

/// `file:line: column: what is wrong`, which editors and terminals can jump to.
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

/// What was found, written as it is found: there may be more than can be held.
struct Report<'a> {
    output: Output,
    out: BufWriter<Box<dyn Write + 'a>>,
    files: usize,
    /// By name: how often, and an example.
    summary: BTreeMap<&'static str, (u64, Reason)>,
    from_spreadsheets: Vec<&'a str>,
}

impl<'a> Report<'a> {
    fn begin(terminal: &'a Terminal, files: &[String]) -> io::Result<Self> {
        let mut report = Self {
            output: terminal.output(),
            out: BufWriter::new(Box::new(terminal.stdout())),
            files: files.len(),
            summary: BTreeMap::new(),
            from_spreadsheets: Vec::new(),
        };
        if report.output == Output::Json {
            let files = serde_json::to_string(files)?;
            report.write(format_args!("{{\"files\":{files},\"problems\":["))?;
        }
        Ok(report)
    }

    fn problems(
        &mut self,
        file: &'a str,
        line: Option<u64>,
        problems: &[Problem],
    ) -> io::Result<()> {
        for problem in problems {
            self.problem(&Found {
                file,
                line,
                column: problem.column.as_deref(),
                reason: problem.reason,
                first: None,
            })?;
        }
        Ok(())
    }

    fn problem(&mut self, found: &Found<'_>) -> io::Result<()> {
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

    fn is_from_spreadsheet(&mut self, file: &'a str) {
        if self.from_spreadsheets.last() != Some(&file) {
            self.from_spreadsheets.push(file);
        }
    }

    fn end(mut self, rows: u64) -> io::Result<Verdict> {
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
        unless_nobody_reads(self.out.flush())?;
        Ok(if self.summary.is_empty() {
            Verdict::Good
        } else {
            Verdict::Wrong
        })
    }

    fn text_summary(&self, rows: u64) -> String {
        let files = match self.files {
            1 => "1 file".to_owned(),
            files => format!("{files} files"),
        };
        let checked = format!("{rows} rows in {files}");
        if self.summary.is_empty() {
            return format!("{checked}: nothing found that Cognito would refuse\n");
        }
        let mut table = Table::new(["reason", "times", "what to do"]);
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
        format!("\n{checked}: {count} problems\n\n{table}")
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        unless_nobody_reads(self.out.write_fmt(text))
    }
}

/// Whoever reads may stop before the end; the verdict still counts.
fn unless_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

/// Whether a value looks as a spreadsheet leaves it, in a cell that Cognito would refuse.
fn is_spreadsheets(reason: Reason, value: &str) -> bool {
    let is_of = |alphabet: fn(u8) -> bool| value.bytes().all(alphabet);
    match reason {
        Reason::Quote => has_quoted_cells(value),
        // 2026/1/5 or 1/5/2026
        Reason::BadDate => {
            is_of(|byte| byte.is_ascii_digit() || byte == b'/') && value.split('/').count() == 3
        }
        // The + is gone, or the leading zero.
        Reason::BadPhoneNumber => is_of(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a number stands there as 8.19012E+11, its digits lost.
fn is_rounded(cell: &str) -> bool {
    cell.split_once("E+").is_some_and(|(mantissa, exponent)| {
        let is_digit_or_point = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        mantissa.starts_with(|first: char| first.is_ascii_digit())
            && mantissa.bytes().all(is_digit_or_point)
            && exponent.len() == 2
            && exponent.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether a line or a cell has values in quotation marks.
fn has_quoted_cells(line: &str) -> bool {
    line.starts_with('"') || line.contains(",\"")
}

/// What to do about files that a spreadsheet saved.
struct SpreadsheetNote<'a>(&'a [&'a str]);

impl fmt::Display for SpreadsheetNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{WARN}note:{WARN:#} {} looks as if a spreadsheet had saved it. Spreadsheets change dates, phone numbers and long \
             numbers without a word, and what they lost cannot be brought back from the file. Take the file as it was \
             before, and edit it with a text editor; or, in the spreadsheet, import every column as text.",
            self.0.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_leaves_is_recognised() {
        for (reason, value) in [
            (Reason::Quote, "\"taro\""),
            (Reason::BadDate, "2026/1/5"),
            (Reason::BadDate, "1/5/2026"),
            (Reason::BadPhoneNumber, "819012345678"),
        ] {
            assert!(is_spreadsheets(reason, value), "{value}");
        }
        assert!(is_rounded("8.19012E+11") && is_rounded("8E+11"));
    }

    #[test]
    fn what_a_person_wrote_is_not_taken_for_a_spreadsheets() {
        for (reason, value) in [
            (Reason::Quote, "the \"cat\""),
            (Reason::BadDate, "1985-02-01"),
            (Reason::BadDate, "unknown"),
            (Reason::BadPhoneNumber, "090-1234-5678"),
            (Reason::BadEmail, "2026/1/5"),
        ] {
            assert!(!is_spreadsheets(reason, value), "{value}");
        }
        for value in [
            "",
            "E+",
            "E+11",
            "GRADE+10",
            "8.19012E+1",
            "8.19012E+1x",
            "1E5",
        ] {
            assert!(!is_rounded(value), "{value}");
        }
    }
}
