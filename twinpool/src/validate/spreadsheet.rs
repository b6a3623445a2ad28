//! Recognises files that a spreadsheet program has saved, and so may have changed.

use std::fmt;

use shared::import_csv::rules::Reason;

use crate::terminal::WARN;

/// Whether a spreadsheet seems to have changed a value that Cognito would reject for this reason.
pub fn looks_changed(reason: Reason, value: &str) -> bool {
    let is_of = |alphabet: fn(u8) -> bool| value.bytes().all(alphabet);
    match reason {
        Reason::Quote => has_quoted_cells(value),
        // 2026/1/5 or 1/5/2026
        Reason::BadDate => {
            is_of(|byte| byte.is_ascii_digit() || byte == b'/') && value.split('/').count() == 3
        }
        // The + or the leading zero is missing.
        Reason::BadPhoneNumber => is_of(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a cell contains a number such as 8.19012E+11, whose last digits are lost.
pub fn is_rounded(cell: &str) -> bool {
    cell.split_once("E+").is_some_and(|(mantissa, exponent)| {
        let is_digit_or_point = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        mantissa.starts_with(|first: char| first.is_ascii_digit())
            && mantissa.bytes().all(is_digit_or_point)
            && exponent.len() == 2
            && exponent.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether a line or a cell has values in quotation marks.
pub fn has_quoted_cells(line: &str) -> bool {
    line.starts_with('"') || line.contains(",\"")
}

/// A note about files that a spreadsheet seems to have saved, by their names.
pub struct SpreadsheetNote<'a>(pub &'a [&'a str]);

impl fmt::Display for SpreadsheetNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{WARN}note:{WARN:#} {} looks as if a spreadsheet had saved it. Spreadsheets change dates, phone numbers and long \
             numbers without a warning, and the file does not contain the original values any more. Use the original file, and \
             edit it with a text editor; or, in the spreadsheet, import every column as text.",
            self.0.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_spreadsheet_has_changed_are_recognised() {
        for (reason, value) in [
            (Reason::Quote, "\"taro\""),
            (Reason::BadDate, "2026/1/5"),
            (Reason::BadDate, "1/5/2026"),
            (Reason::BadPhoneNumber, "819012345678"),
        ] {
            assert!(looks_changed(reason, value), "{value}");
        }
        assert!(is_rounded("8.19012E+11") && is_rounded("8E+11"));
    }

    #[test]
    fn values_that_a_user_entered_are_not_taken_for_changed_ones() {
        for (reason, value) in [
            (Reason::Quote, "the \"cat\""),
            (Reason::BadDate, "1985-02-01"),
            (Reason::BadDate, "unknown"),
            (Reason::BadPhoneNumber, "090-1234-5678"),
            (Reason::BadEmail, "2026/1/5"),
        ] {
            assert!(!looks_changed(reason, value), "{value}");
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
