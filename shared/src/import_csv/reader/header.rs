//! The header of a file.

use crate::import_csv::column::{Column, ColumnKind, USERNAME, header_line};
use crate::import_csv::syntax::{BYTE_ORDER_MARK, cell_value, split_cells};

/// The columns of a file, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(Vec<Column>);

/// Why no row could be read with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// DG:import-tool: "UTF-8 format without byte order mark".
    #[error("the file begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// A column occurs twice, so that its value would be ambiguous.
    #[error("the header has the column {0} twice: keep one of them")]
    RepeatedColumn(String),
    /// No column says which user a row is about. This is also the error of a file whose first line is a row, and for that
    /// reason the message quotes nothing of the line.
    #[error(
        "the header has no {USERNAME} column: begin the file with the header that GetCSVHeader gives"
    )]
    NoUsernameColumn,
}

impl Header {
    /// The header with these columns, such as GetCSVHeader returns them for a pool.
    ///
    /// # Errors
    ///
    /// No row could be read with this header.
    pub fn of<S: AsRef<str>>(columns: &[S]) -> Result<Self, HeaderError> {
        let columns: Vec<_> = columns
            .iter()
            .map(|name| Column::of(name.as_ref()))
            .collect();
        let has_username = |column: &Column| column.kind == ColumnKind::Username;
        if !columns.iter().any(has_username) {
            return Err(HeaderError::NoUsernameColumn);
        }
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].iter().any(|other| other.name == column.name) {
                return Err(HeaderError::RepeatedColumn(column.name.clone()));
            }
        }
        Ok(Self(columns))
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    ///
    /// No row could be read with this header.
    pub fn parse(line: &str) -> Result<Self, HeaderError> {
        if line.starts_with(BYTE_ORDER_MARK) {
            return Err(HeaderError::ByteOrderMark);
        }
        let names: Vec<_> = split_cells(line).map(cell_value).collect();
        Self::of(&names)
    }

    /// The header as the first line of a file, its line feed included.
    pub fn line(&self) -> String {
        header_line(&self.0)
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|column| column.name.as_str())
    }

    /// The columns with what their cells hold.
    pub(in crate::import_csv) fn columns_with_kinds(
        &self,
    ) -> impl ExactSizeIterator<Item = &Column> {
        self.0.iter()
    }

    /// The position of a column; the first column is at 0.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns().position(|name| name == column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_which_no_row_can_be_read_is_an_error() {
        let error = |line: &str| Header::parse(line).unwrap_err();

        assert_eq!(
            error("\u{feff}name,cognito:username"),
            HeaderError::ByteOrderMark
        );
        assert_eq!(error("name"), HeaderError::NoUsernameColumn);
        assert_eq!(
            error("name,cognito:username, name"),
            HeaderError::RepeatedColumn("name".into())
        );
    }
}
