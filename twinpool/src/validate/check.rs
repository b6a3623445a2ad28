//! Checks the files against the rules of a pool, row by row, and finds names that occur twice in all files.

use std::fs::File;
use std::io;
use std::path::Path;

use shared::import_csv::duplicates::Duplicates;
use shared::import_csv::reader::Line;
use shared::import_csv::rules::{Problem, Reason, RowRules, Rules, check_size};

use crate::failure::{Failure, Verdict};
use crate::validate::report::{Found, Place, Report};
use crate::validate::source::Source;
use crate::validate::spreadsheet::{has_quoted_cells, is_rounded, looks_changed};

/// The check of all files.
pub struct Check<'a> {
    report: Report<'a>,
    duplicates: Duplicates,
    /// For each file, the number of rows in the files before it, and its name.
    starts: Vec<(u64, &'a str)>,
    /// Number of rows so far, in all files.
    rows: u64,
    /// Names of the files that a spreadsheet seems to have saved.
    from_spreadsheets: Vec<&'a str>,
}

impl<'a> Check<'a> {
    /// A check that writes its problems to `report`.
    pub fn new(report: Report<'a>) -> Self {
        Self {
            report,
            duplicates: Duplicates::default(),
            starts: Vec::new(),
            rows: 0,
            from_spreadsheets: Vec::new(),
        }
    }

    /// Checks a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or standard output cannot be written.
    pub fn check_file(
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
                self.report
                    .write_problems(name, Some(line.number), &problems)?;
                let marks = [Reason::ByteOrderMark, Reason::Quote];
                if problems
                    .iter()
                    .any(|problem| marks.contains(&problem.reason))
                {
                    self.note_spreadsheet(name);
                }
                break header;
            }
            if !source.read_chunk()? {
                let problem = Problem {
                    column: None,
                    reason: Reason::NoHeader,
                };
                self.report.write_problems(name, None, &[problem])?;
                break None;
            }
        };
        let rules = header.as_ref().map(|header| rules.under(header));
        loop {
            while let Some(line) = source.lines.next_line() {
                if let Some(rules) = &rules {
                    self.check_row(rules, name, &line)?;
                }
                self.rows += 1;
            }
            if !source.read_chunk()? {
                break;
            }
        }
        let problems = check_size(self.rows - before, source.bytes);
        self.report.write_problems(name, None, &problems)?;
        Ok(())
    }

    fn check_row(
        &mut self,
        rules: &RowRules<'_>,
        file: &'a str,
        line: &Line<'_>,
    ) -> io::Result<()> {
        let cells = match rules.cells(line.text) {
            Ok(cells) => cells,
            Err(problem) => {
                if line.text.is_ok_and(has_quoted_cells) {
                    self.note_spreadsheet(file);
                }
                return self
                    .report
                    .write_problems(file, Some(line.number), &[problem]);
            }
        };
        let problems = rules.check(&cells);
        let is_changed = |problem: &Problem| {
            let value = problem.column.as_ref().and_then(|column| cells.get(column));
            value.is_some_and(|value| looks_changed(problem.reason, &value))
        };
        if problems.iter().any(is_changed) || cells.iter().any(is_rounded) {
            self.note_spreadsheet(file);
        }
        self.report
            .write_problems(file, Some(line.number), &problems)?;
        for (column, name) in rules.names(&cells) {
            self.duplicates.add(self.rows, column, &name);
        }
        Ok(())
    }

    fn write_duplicates(&mut self) -> io::Result<()> {
        for duplicate in std::mem::take(&mut self.duplicates).find() {
            let (place, first) = (self.place(duplicate.row), self.place(duplicate.first));
            self.report.write_problem(&Found {
                file: place.file,
                line: Some(place.line),
                column: Some(duplicate.column.column()),
                reason: Reason::Duplicate,
                first: Some(first),
            })?;
        }
        Ok(())
    }

    fn note_spreadsheet(&mut self, file: &'a str) {
        if self.from_spreadsheets.last() != Some(&file) {
            self.from_spreadsheets.push(file);
        }
    }

    /// Writes the duplicates and the summary. Returns the verdict, and the names of the files that a spreadsheet seems to have saved.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub fn end(mut self) -> io::Result<(Verdict, Vec<&'a str>)> {
        self.write_duplicates()?;
        let verdict = self.report.end(self.rows)?;
        Ok((verdict, self.from_spreadsheets))
    }

    /// The place of a row, by its number in all files.
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
