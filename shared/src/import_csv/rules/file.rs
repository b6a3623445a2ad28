//! The rules for a file as a whole: its header and its size.

use super::pool::Rules;
use super::problem::{Problem, Reason};
use super::value::syntax_problem;
use crate::import_csv::column::USERNAME;
use crate::import_csv::limits::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
use crate::import_csv::reader::{Header, LineFault};
use crate::import_csv::syntax::{BYTE_ORDER_MARK, cell_value, split_cells};

impl Rules {
    /// Reads and checks the first line of a file. Returns its header, if rows can be read with it, and the problems found.
    ///
    /// DG:import-tool: "All columns in the header must be present"; their order does not matter.
    pub fn read_header(&self, text: Result<&str, LineFault>) -> (Option<Header>, Vec<Problem>) {
        let line = match text {
            Ok(line) => line,
            Err(fault) => return (None, vec![Problem::without_column(fault.into())]),
        };
        let mut problems = Vec::new();
        let unmarked = line.strip_prefix(BYTE_ORDER_MARK);
        problems.extend(unmarked.map(|_| Problem::without_column(Reason::ByteOrderMark)));
        let line = unmarked.unwrap_or(line);
        let syntax_problems = split_cells(line).filter_map(syntax_problem);
        problems.extend(syntax_problems.map(Problem::without_column));
        let names: Vec<_> = split_cells(line).map(cell_value).collect();
        if !names.iter().any(|name| name == USERNAME) {
            // The line may be a row: its cells are not reported as columns, so that no value is printed.
            problems.push(Problem::without_column(Reason::NoHeader));
            return (None, problems);
        }
        let missing = self
            .header
            .columns()
            .filter(|column| !names.iter().any(|name| name == column));
        problems.extend(missing.map(|column| Problem::in_column(column, Reason::MissingColumn)));
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                problems.push(Problem::in_column(name, Reason::RepeatedColumn));
            } else if self.header.position(name).is_none() {
                problems.push(Problem::in_column(name, Reason::UnknownColumn));
            }
        }
        (Header::of(&names).ok(), problems)
    }
}

/// Checks the size of a file (DG:quotas: 500,000 users, the header excluded, and 100 MB).
pub fn check_size(rows: u64, bytes: u64) -> Vec<Problem> {
    let limits = [
        (rows > MAX_ROWS_PER_FILE, Reason::TooManyRows),
        (bytes > MAX_BYTES_PER_FILE, Reason::FileTooLarge),
    ];
    let exceeded = limits.into_iter().filter(|(is_exceeded, _)| *is_exceeded);
    exceeded
        .map(|(_, reason)| Problem::without_column(reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import_csv::rules::fixtures::{HEADER, email_pool, rules};

    #[test]
    fn a_header_has_the_columns_of_the_pool_in_any_order() {
        let rules = rules(email_pool());
        let problems = |line: &str| {
            let (header, problems) = rules.read_header(Ok(line));
            let reasons = problems.iter().map(|problem| {
                let column = problem.column.as_deref().unwrap_or_default();
                format!("{column} {}", problem.reason.as_str())
            });
            (header.is_some(), reasons.collect::<Vec<_>>())
        };
        let mut columns = HEADER;
        columns.reverse();
        let good = columns.join(",");

        assert_eq!(problems(&good), (true, vec![]));
        let marked = format!("\u{feff}{good}");
        assert_eq!(problems(&marked), (true, vec![" byte-order-mark".into()]));
        let other = good.replace("birthdate", "birthday");
        let expected = vec![
            "birthdate missing-column".into(),
            "birthday unknown-column".into(),
        ];
        assert_eq!(problems(&other), (true, expected));
        let twice = format!("{good},name");
        assert_eq!(
            problems(&twice),
            (false, vec!["name repeated-column".into()])
        );
        let quoted = good.replace("birthdate", "\"birthdate\"");
        assert_eq!(problems(&quoted).1[0], " quote");
        assert_eq!(
            problems("taro@example.jp,true"),
            (false, vec![" no-header".into()])
        );
    }

    #[test]
    fn a_file_is_at_most_as_large_as_cognito_accepts() {
        assert_eq!(check_size(MAX_ROWS_PER_FILE, MAX_BYTES_PER_FILE), []);
        let reasons = check_size(MAX_ROWS_PER_FILE + 1, MAX_BYTES_PER_FILE + 1);
        let reasons: Vec<_> = reasons.iter().map(|problem| problem.reason).collect();
        assert_eq!(reasons, [Reason::TooManyRows, Reason::FileTooLarge]);
    }
}
