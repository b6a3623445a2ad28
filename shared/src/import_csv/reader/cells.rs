//! The cells of a row, and the attributes they hold.

use std::borrow::Cow;

use super::header::Header;
use crate::import_csv::column::{ColumnKind, USERNAME};
use crate::import_csv::syntax::{
    cell_value, end_line, is_digits, parse_boolean, parse_import_date, split_cells,
};
use crate::person::Attributes;

/// A row has more or fewer cells than the header has columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the number of cells in the row is {found}, the number of columns in the header {expected}: a comma in a value is written \\,"
)]
pub struct WrongCellCount {
    /// The number of columns.
    pub expected: usize,
    /// The number of cells.
    pub found: usize,
}

/// The cells of a row, as the file has them. They hold personal data, so there is no `Debug`.
#[derive(Clone)]
pub struct Cells<'a> {
    header: &'a Header,
    cells: Vec<&'a str>,
}

/// A cell whose value does not have the form that its column requires.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {column} of the row does not have the form that an import file requires")]
pub struct UnreadableCell {
    /// The column.
    pub column: String,
}

/// A row that was rewritten for another header.
#[derive(Clone, PartialEq, Eq)]
pub struct Mapped<'a> {
    /// The line, its line feed included.
    pub line: String,
    /// The columns whose value is lost, because the other header does not have them.
    pub without_place: Vec<&'a str>,
}

impl Header {
    /// Splits a line below this header into its cells.
    ///
    /// # Errors
    ///
    /// The line has more or fewer cells than the header has columns.
    pub fn cells<'a>(&'a self, line: &'a str) -> Result<Cells<'a>, WrongCellCount> {
        let expected = self.columns().len();
        let mut cells = Vec::with_capacity(expected);
        cells.extend(split_cells(line));
        if cells.len() != expected {
            return Err(WrongCellCount {
                expected,
                found: cells.len(),
            });
        }
        Ok(Cells {
            header: self,
            cells,
        })
    }
}

impl<'a> Cells<'a> {
    /// The cells as the file has them.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.cells.iter().copied()
    }

    /// The cell at a position as the file has it, with escapes and outer white space. Empty after the last position.
    pub fn raw(&self, position: usize) -> &'a str {
        self.cells.get(position).copied().unwrap_or_default()
    }

    /// The value at a position as Cognito reads it; `None` when the cell is blank.
    pub fn value(&self, position: usize) -> Option<Cow<'a, str>> {
        Some(cell_value(self.raw(position))).filter(|value| !value.is_empty())
    }

    /// The value of a column as Cognito reads it; `None` when the cell is blank or the column does not exist.
    pub fn get(&self, column: &str) -> Option<Cow<'a, str>> {
        self.value(self.header.position(column)?)
    }

    /// The `cognito:username`.
    pub fn username(&self) -> Option<Cow<'a, str>> {
        self.get(USERNAME)
    }

    /// The attributes, in the form that Cognito's API uses.
    ///
    /// Blank cells give no attribute, nor do the columns that hold none: `cognito:username`, `cognito:mfa_enabled`,
    /// `password_hash`, and columns that this version does not know.
    ///
    /// # Errors
    ///
    /// A date, a number of seconds or a flag is not valid.
    pub fn attributes(&self) -> Result<Attributes, UnreadableCell> {
        let mut attributes = Attributes::default();
        for (position, column) in self.header.columns_with_kinds().enumerate() {
            let Some(value) = self.value(position) else {
                continue;
            };
            let attribute = match column.kind {
                ColumnKind::Username | ColumnKind::MfaEnabled | ColumnKind::Ignored => continue,
                ColumnKind::Birthdate => parse_import_date(&value).map(|date| date.to_string()),
                ColumnKind::VerifiedFlag(_) => {
                    parse_boolean(&value).map(|is_set| is_set.to_string())
                }
                ColumnKind::UpdatedAt => is_digits(&value).then(|| value.into_owned()),
                ColumnKind::Text => Some(value.into_owned()),
            };
            let attribute = attribute.ok_or_else(|| UnreadableCell {
                column: column.name.clone(),
            })?;
            attributes.insert(&column.name, attribute);
        }
        Ok(attributes)
    }

    /// Rewrites the row for another pool's header, in that header's order and with that pool's `cognito:mfa_enabled`.
    /// Columns that only the other header has stay blank.
    pub fn rewrite_for_header(&self, header: &Header, mfa_enabled: &str) -> Mapped<'a> {
        let mut line = String::new();
        for column in header.columns_with_kinds() {
            line.push_str(match column.kind {
                ColumnKind::MfaEnabled => mfa_enabled,
                _ => {
                    let position = self.header.position(&column.name);
                    position.map_or("", |position| self.raw(position))
                }
            });
            line.push(',');
        }
        end_line(&mut line);
        let columns = self.header.columns().enumerate();
        let without_place = columns.filter(|(position, column)| {
            self.value(*position).is_some() && header.position(column).is_none()
        });
        Mapped {
            line,
            without_place: without_place.map(|(_, column)| column).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 11] = [
        "name",
        "email",
        "email_verified",
        "phone_number",
        "phone_number_verified",
        "birthdate",
        "updated_at",
        "custom:note, with a comma",
        "password_hash",
        "cognito:mfa_enabled",
        "cognito:username",
    ];

    fn header() -> Header {
        Header::of(&HEADER).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let header = Header::parse("cognito:username, name ,custom:a\\,b").unwrap();

        let cells = header.cells("taro,\t山田 太郎 ,1-2\\, Chiyoda").unwrap();

        assert_eq!(cells.username().as_deref(), Some("taro"));
        assert_eq!(cells.get("name").as_deref(), Some("山田 太郎"));
        assert_eq!(cells.get("custom:a,b").as_deref(), Some("1-2, Chiyoda"));
        assert_eq!(cells.get("email"), None);
    }

    #[test]
    fn a_row_with_another_number_of_cells_is_an_error() {
        let count = |line: &str| header().cells(line).err().map(|error| error.found);

        assert_eq!(count(""), Some(1));
        assert_eq!(count(",,,,,,,,,"), Some(10));
        assert_eq!(count(",,,,,,,,,,"), None);
        assert_eq!(count("\\,,,,,,,,,,"), Some(10));
        assert_eq!(count(",,,,,,,,,,,"), Some(12));
    }

    #[test]
    fn attributes_have_the_form_of_the_api() {
        let header = header();
        let line = "Taro,taro@e.jp,TRUE,,False,02/01/1985,1471453471,a\\,b,$2b$,true,taro@e.jp";

        let attributes = header.cells(line).unwrap().attributes().unwrap();

        let expected = [
            ("birthdate", "1985-02-01"),
            ("custom:note, with a comma", "a,b"),
            ("email", "taro@e.jp"),
            ("email_verified", "true"),
            ("name", "Taro"),
            ("phone_number_verified", "false"),
            ("updated_at", "1471453471"),
        ];
        assert_eq!(attributes.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_cell_without_the_form_of_its_column_is_named() {
        for (cells, column) in [
            (",,yes,,,,,,,,", "email_verified"),
            (",,,,,1985-02-01,,,,,", "birthdate"),
            (",,,,,2/1/1985,,,,,", "birthdate"),
            (",,,,,02/30/2001,,,,,", "birthdate"),
            (",,,,,02/01/0000,,,,,", "birthdate"),
            (",,,,,é2/01/198,,,,,", "birthdate"),
            (",,,,,,1.5,,,,", "updated_at"),
        ] {
            let header = header();
            let error = header.cells(cells).unwrap().attributes().unwrap_err();
            assert_eq!(error.column, column);
        }
    }

    #[test]
    fn a_row_is_rewritten_for_another_header_and_lost_columns_are_named() {
        let from = header();
        let to = Header::of(&[
            "cognito:username",
            "cognito:mfa_enabled",
            "custom:new",
            "name",
        ])
        .unwrap();
        let cells = from
            .cells("Yamada\\, Taro,taro@e.jp,,,,,,,,true,taro@e.jp")
            .unwrap();

        let mapped = cells.rewrite_for_header(&to, "false");

        assert_eq!(mapped.line, "taro@e.jp,false,,Yamada\\, Taro\n");
        assert_eq!(mapped.without_place, ["email"]);
    }
}
