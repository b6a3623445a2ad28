//! Reads the import CSV as Cognito is documented to read it. This is written from the documentation, independently of the code
//! that writes such files.
//!
//! It is not documented what the real service does with a single backslash, a quotation mark or a control character. Here,
//! such a row fails.

use std::collections::HashSet;

// DG:cognito-user-pools-using-import-tool, limits [D].
const MAX_BYTES: usize = 100_000_000;
const MAX_ROWS: usize = 500_000;
const MAX_ROW_LENGTH: usize = 16_000;

/// A CSV whose header matches the pool.
pub struct Csv {
    columns: Vec<String>,
    rows: Vec<String>,
}

/// The values of a row, by column.
pub struct Row<'a> {
    columns: &'a [String],
    cells: Vec<String>,
}

impl Row<'_> {
    /// The columns that have a value, with their values.
    pub fn filled(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.columns.iter().zip(&self.cells);
        let all = all.map(|(column, value)| (column.as_str(), value.as_str()));
        all.filter(|(_, value)| !value.is_empty())
    }

    /// The value of a column; `None` if it is blank.
    pub fn get(&self, column: &str) -> Option<&str> {
        let found = self.filled().find(|(known, _)| *known == column);
        found.map(|(_, value)| value)
    }
}

impl Csv {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The error is the reason why the job fails as a whole. The texts are `[Inf]`.
    pub fn read(bytes: &[u8], header: &[String]) -> Result<Self, &'static str> {
        if bytes.len() > MAX_BYTES {
            return Err("The CSV file is larger than 100 MB.");
        }
        // "UTF-8 format without byte order mark" [D].
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err("The CSV file begins with a byte order mark.");
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "The CSV file is not in UTF-8.")?;
        // facts 1.3: LF and CRLF are both known to work [I].
        let mut lines: Vec<_> = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
        if lines.last() == Some(&"") {
            lines.pop();
        }
        let mut lines = lines.into_iter();
        let columns = split(lines.next().unwrap_or_default())
            .map_err(|_| "The header of the CSV file is invalid.")?;
        // "All columns in the header must be present"; their order does not matter [D].
        let wanted: HashSet<_> = header.iter().collect();
        let present: HashSet<_> = columns.iter().collect();
        if wanted != present || columns.len() != header.len() {
            return Err("The header of the CSV file does not match the user pool.");
        }
        let rows: Vec<_> = lines.map(str::to_owned).collect();
        if rows.len() > MAX_ROWS {
            return Err("The CSV file has more than 500000 users.");
        }
        Ok(Self { columns, rows })
    }

    /// The number of rows without the header.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Reads one row.
    ///
    /// # Errors
    ///
    /// The error is the reason why the row fails.
    pub fn row(&self, index: usize) -> Result<Row<'_>, &'static str> {
        let line = &self.rows[index];
        if line.encode_utf16().count() > MAX_ROW_LENGTH {
            return Err("The row is longer than 16,000 characters.");
        }
        let cells = split(line)?;
        if cells.len() != self.columns.len() {
            return Err("The row has another number of columns than the header.");
        }
        Ok(Row {
            columns: &self.columns,
            cells,
        })
    }
}

/// Splits a row at its commas.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // "If an attribute value contains a comma, you must put a backslash (\) before the comma" [D].
            '\\' => match chars.next() {
                Some(',') => cell.push(','),
                _ => {
                    return Err(
                        "[Inf] A backslash that is not before a comma is undocumented, so this emulator refuses it.",
                    );
                }
            },
            ',' => cells.push(trimmed(&std::mem::take(&mut cell))?),
            '"' => {
                return Err("[Inf] A quotation mark is undocumented, so this emulator refuses it.");
            }
            '\t' => cell.push(c),
            c if c.is_control() => {
                return Err(
                    "[Inf] A control character is undocumented, so this emulator refuses it.",
                );
            }
            c => cell.push(c),
        }
    }
    cells.push(trimmed(&cell)?);
    Ok(cells)
}

/// "Any leading or trailing white space in an attribute value will be trimmed" `[D]`.
fn trimmed(cell: &str) -> Result<String, &'static str> {
    let value = cell.trim_matches([' ', '\t']);
    if value != value.trim() {
        return Err(
            "[Inf] Outer white space other than space and tab is undocumented, so this emulator refuses it.",
        );
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<String> {
        ["name", "email", "cognito:username"]
            .map(str::to_owned)
            .to_vec()
    }

    fn read(text: &str) -> Result<Csv, &'static str> {
        Csv::read(text.as_bytes(), &header())
    }

    fn cells(line: &str) -> Result<Vec<String>, &'static str> {
        read(&format!("name,email,cognito:username\n{line}\n"))?
            .row(0)
            .map(|row| row.cells)
    }

    #[test]
    fn given_columns_in_any_order_when_read_then_values_are_found_by_name() {
        let csv =
            read("cognito:username, name ,email\r\ntaro@e.jp,Taro,taro@e.jp\r\n").expect("a CSV");
        assert_eq!(csv.len(), 1);
        let row = csv.row(0).expect("a row");
        assert_eq!(
            (row.get("name"), row.get("email")),
            (Some("Taro"), Some("taro@e.jp"))
        );
    }

    #[test]
    fn given_other_headers_or_encodings_when_read_then_the_whole_file_is_refused() {
        for wrong in [
            "",
            "name,email\n",
            "name,email,cognito:username,extra\n",
            "name,email,email\n",
            "name,email,cognito:username,email\n",
            "\u{feff}name,email,cognito:username\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(Csv::read(b"name,email,cognito:username\n\xff\xfe\n", &header()).is_err());
        let many = "a,b,c\n".repeat(MAX_ROWS + 1);
        assert!(read(&format!("name,email,cognito:username\n{many}")).is_err());
    }

    #[test]
    fn given_an_escaped_comma_and_outer_space_when_split_then_one_stays_and_the_other_goes() {
        let row = cells("  1-2\\, Chiyoda \t, , x").expect("a row");
        assert_eq!(row, ["1-2, Chiyoda", "", "x"]);
    }

    #[test]
    fn given_what_is_not_documented_when_split_then_the_row_fails() {
        for wrong in [
            "C:\\Users,b,c",
            "a,b,c\\",
            "\"a\",b,c",
            "a\rb,b,c",
            "a\0,b,c",
            "\u{3000}a,b,c",
        ] {
            assert!(cells(wrong).is_err(), "{wrong:?}");
        }
        assert!(cells("a,b").is_err() && cells("a,b,c,d").is_err() && cells("").is_err());
    }

    #[test]
    fn given_rows_around_the_limit_when_read_then_only_longer_ones_fail() {
        let row = |n: usize| format!("{},,", "あ".repeat(n - 2));
        assert!(cells(&row(16_000)).is_ok());
        assert!(cells(&row(16_001)).is_err());
    }
}
