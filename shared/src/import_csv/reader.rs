//! Reading an import CSV: its lines from chunks of bytes, the cells of a line, and the way back to attributes.

use std::borrow::Cow;

use jiff::civil::Date;

use super::{Column, Kind, LONGEST_ROW, USERNAME, end_line, header_line};
use crate::person::Attributes;

/// More bytes than a row of the greatest length can have: each UTF-16 unit is at most three bytes of UTF-8. One more for
/// a carriage return.
const LONGEST_LINE: usize = 3 * LONGEST_ROW + 1;

/// Lines out of chunks of bytes, whichever way they come: give a chunk to [`feed`](Self::feed), take
/// [`next_line`](Self::next_line) until there is none, [`end`](Self::end) after the last chunk and take the rest. Holds a
/// chunk and a line, never more.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    start: usize,
    /// No line ends before here.
    searched: usize,
    number: u64,
    /// The line that began earlier is too long, and its beginning is gone.
    is_too_long: bool,
    is_ended: bool,
}

/// A line, without its end (LF or CRLF: both were seen to be imported).
pub struct Line<'a> {
    /// Which one it is in the file; the header is line 1. Cognito's import log counts users, so its number is one less.
    pub number: u64,
    /// What it says.
    pub text: Result<&'a str, LineFault>,
}

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Too long for a row.
    #[error("the line is longer than the {LONGEST_ROW} characters of a row")]
    TooLong,
    /// Not UTF-8.
    #[error("the line is not UTF-8")]
    NotUtf8,
}

impl Lines {
    /// The next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that there are no more bytes: what is left is the last line.
    pub fn end(&mut self) {
        self.is_ended = true;
    }

    /// The next whole line; `None` until more is fed.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let (end, next) = match found {
            Some(at) => (self.searched + at, self.searched + at + 1),
            None if self.is_ended && (self.start < self.buffer.len() || self.is_too_long) => {
                (self.buffer.len(), self.buffer.len())
            }
            None => {
                if self.buffer.len() - self.start > LONGEST_LINE {
                    self.is_too_long = true;
                    self.start = self.buffer.len();
                }
                self.searched = self.buffer.len();
                return None;
            }
        };
        let bytes = &self.buffer[self.start..end];
        let was_too_long = std::mem::take(&mut self.is_too_long);
        self.start = next;
        self.searched = next;
        self.number += 1;
        let text = if was_too_long || bytes.len() > LONGEST_LINE {
            Err(LineFault::TooLong)
        } else {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            std::str::from_utf8(bytes).map_err(|_| LineFault::NotUtf8)
        };
        Some(Line {
            number: self.number,
            text,
        })
    }
}

/// The columns of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(Vec<Column>);

/// Why a header is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// DG:import-tool: "UTF-8 format without byte order mark".
    #[error("the file begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// A value would be ambiguous.
    #[error("the header has the column {0} twice: keep one of them")]
    RepeatedColumn(String),
    /// Nothing says which user a row is. So it is with a file that begins with a person: none of its cells is named.
    #[error(
        "the header has no {USERNAME} column: begin the file with the header that GetCSVHeader gives"
    )]
    NoUsernameColumn,
}

/// The mark that Cognito does not take at the beginning of a file.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

impl Header {
    /// The header that a pool's GetCSVHeader gives.
    ///
    /// # Errors
    ///
    /// No row could be read under it.
    pub fn of<S: AsRef<str>>(columns: &[S]) -> Result<Self, HeaderError> {
        let columns: Vec<_> = columns
            .iter()
            .map(|name| Column::of(name.as_ref()))
            .collect();
        if !columns.iter().any(|column| column.kind == Kind::Username) {
            return Err(HeaderError::NoUsernameColumn);
        }
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].iter().any(|other| other.name == column.name) {
                return Err(HeaderError::RepeatedColumn(column.name.clone()));
            }
        }
        Ok(Self(columns))
    }

    /// The first line of a file.
    ///
    /// # Errors
    ///
    /// No row could be read under it.
    pub fn parse(line: &str) -> Result<Self, HeaderError> {
        if line.starts_with(BYTE_ORDER_MARK) {
            return Err(HeaderError::ByteOrderMark);
        }
        let names: Vec<_> = split(line).map(|cell| value(cell)).collect();
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

    /// What the columns hold.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().map(|column| column.kind)
    }

    /// Where a column is, the first one at 0.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns().position(|name| name == column)
    }

    /// The cells of a line below this header.
    ///
    /// # Errors
    ///
    /// The line has more or fewer cells than the header has columns.
    pub fn cells<'a>(&'a self, line: &'a str) -> Result<Cells<'a>, WrongCellCount> {
        let mut cells = Vec::with_capacity(self.0.len());
        cells.extend(split(line));
        if cells.len() != self.0.len() {
            return Err(WrongCellCount {
                expected: self.0.len(),
                found: cells.len(),
            });
        }
        Ok(Cells {
            header: self,
            cells,
        })
    }
}

/// A row has more or fewer cells than the header has columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the row has {found} cells, the header {expected} columns: a comma in a value is written \\,"
)]
pub struct WrongCellCount {
    /// How many columns there are.
    pub expected: usize,
    /// How many cells there are.
    pub found: usize,
}

/// The cells of a row, as they stand in the file. It holds a person and is never printed.
#[derive(Clone)]
pub struct Cells<'a> {
    header: &'a Header,
    cells: Vec<&'a str>,
}

/// A cell that is no value of its column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {column} is not written as an import file writes it")]
pub struct UnreadableCell {
    /// Its column.
    pub column: String,
}

/// A row under another header.
#[derive(Clone, PartialEq, Eq)]
pub struct Mapped<'a> {
    /// The line, its line feed included.
    pub line: String,
    /// The columns that hold a value and have no place under the other header.
    pub without_place: Vec<&'a str>,
}

impl<'a> Cells<'a> {
    /// The cells as they stand in the file.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.cells.iter().copied()
    }

    /// The cell at a position as it stands in the file, escapes and outer white space included; empty past the last.
    pub fn raw(&self, position: usize) -> &'a str {
        self.cells.get(position).copied().unwrap_or_default()
    }

    /// The value at a position as Cognito takes it; `None` when it is blank.
    pub fn value(&self, position: usize) -> Option<Cow<'a, str>> {
        Some(value(self.raw(position))).filter(|value| !value.is_empty())
    }

    /// The value of a column as Cognito takes it; `None` when it is blank or there is no such column.
    pub fn get(&self, column: &str) -> Option<Cow<'a, str>> {
        self.value(self.header.position(column)?)
    }

    /// The `cognito:username`.
    pub fn username(&self) -> Option<Cow<'a, str>> {
        self.get(USERNAME)
    }

    /// The attributes as Cognito's API takes them. Blank cells are absent, and so are the columns that are no attributes:
    /// `cognito:username`, `cognito:mfa_enabled`, `password_hash`, and those that this version does not know.
    ///
    /// # Errors
    ///
    /// A date, a number of seconds or a flag is none.
    pub fn attributes(&self) -> Result<Attributes, UnreadableCell> {
        let mut attributes = Attributes::default();
        for (position, column) in self.header.0.iter().enumerate() {
            let Some(value) = self.value(position) else {
                continue;
            };
            let as_stored = match column.kind {
                Kind::Username | Kind::MfaEnabled | Kind::Empty => continue,
                Kind::Birthdate => stored_date(&value).map(|date| date.to_string()),
                Kind::Flag(_) => flag(&value).map(|is_set| is_set.to_string()),
                Kind::UpdatedAt => is_whole_seconds(&value).then(|| value.into_owned()),
                Kind::Text => Some(value.into_owned()),
            };
            let as_stored = as_stored.ok_or_else(|| UnreadableCell {
                column: column.name.clone(),
            })?;
            attributes.insert(&column.name, as_stored);
        }
        Ok(attributes)
    }

    /// The same row under another pool's header, in its order, with that pool's `cognito:mfa_enabled`. Columns that only the
    /// other header has stay blank.
    pub fn map(&self, header: &Header, mfa_enabled: &str) -> Mapped<'a> {
        let mut line = String::new();
        for (column, kind) in header.columns().zip(header.kinds()) {
            let position = self.header.position(column);
            line.push_str(match kind {
                Kind::MfaEnabled => mfa_enabled,
                _ => position.map_or("", |position| self.raw(position)),
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

/// The cells between the commas that no backslash escapes.
pub(super) fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut is_escaped = false;
    line.split(move |character: char| {
        let ends = character == ',' && !is_escaped;
        is_escaped = character == '\\';
        ends
    })
}

/// A cell as Cognito takes it. DG:import-tool: "you must put a backslash (\) before the comma", "Any leading or trailing
/// white space in an attribute value will be trimmed".
pub(super) fn value(cell: &str) -> Cow<'_, str> {
    let cell = cell.trim();
    if cell.contains("\\,") {
        Cow::Owned(cell.replace("\\,", ","))
    } else {
        Cow::Borrowed(cell)
    }
}

/// `mm/dd/yyyy` as a date. Other ways to write one are not documented to be read.
pub(super) fn stored_date(cell: &str) -> Option<Date> {
    let bytes = cell.as_bytes();
    let is_in_form = bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b'/',
            _ => byte.is_ascii_digit(),
        });
    if !is_in_form {
        return None;
    }
    let year = cell[6..].parse().ok().filter(|year| *year > 0)?;
    Date::new(year, cell[..2].parse().ok()?, cell[3..5].parse().ok()?).ok()
}

/// `true` or `false` in any casing: AWS's samples write both, and both were seen to be imported.
pub(super) fn flag(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

pub(super) fn is_whole_seconds(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::{
        UserPoolMfaType, UserPoolType, UsernameAttributeType, VerifiedAttributeType,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::import_csv::Format;
    use crate::person::{Person, Status};

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

    /// The lines of a text in chunks that end at these places.
    fn lines(bytes: &[u8], ends: &[usize]) -> Vec<(u64, Result<String, LineFault>)> {
        let mut ends: Vec<_> = ends.iter().map(|end| end % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut start = 0;
        for (left, end) in (0..ends.len()).rev().zip(&ends) {
            lines.feed(&bytes[start..*end]);
            start = *end;
            if left == 0 {
                lines.end();
            }
            while let Some(line) = lines.next_line() {
                found.push((line.number, line.text.map(str::to_owned)));
            }
        }
        found
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_the_last_one_with_the_file() {
        let text = |bytes: &[u8]| -> Vec<_> {
            let lines = lines(bytes, &[]);
            lines
                .into_iter()
                .map(|(number, text)| (number, text.unwrap()))
                .collect()
        };

        let three = [(1, "a".into()), (2, "".into()), (3, "b".into())];
        assert_eq!(text(b"a\r\n\nb"), three);
        assert_eq!(text(b"a\n\r\nb\n"), three);
        assert_eq!(text(b""), []);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_one_line() {
        let long = [
            b"a\n",
            vec![b'x'; LONGEST_LINE + 1].as_slice(),
            b"\nb\n\xff\nc",
        ]
        .concat();

        let found = lines(&long, &[]);

        let texts: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
        let good = |text: &str| Ok(text.to_owned());
        let expected = [
            good("a"),
            Err(LineFault::TooLong),
            good("b"),
            Err(LineFault::NotUtf8),
            good("c"),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_line() {
        let mut lines = Lines::default();

        for _ in 0..1000 {
            lines.feed(&[b'x'; 1000]);
            assert!(lines.next_line().is_none());
        }

        assert!(lines.buffer.capacity() < 3 * LONGEST_LINE);
        lines.end();
        assert_eq!(lines.next_line().unwrap().text, Err(LineFault::TooLong));
        assert!(lines.next_line().is_none());
    }

    #[test]
    fn columns_are_found_by_name_whatever_their_order() {
        let header = Header::parse("cognito:username, name ,custom:a\\,b").unwrap();

        let cells = header.cells("taro,\t山田 太郎 ,1-2\\, Chiyoda").unwrap();

        assert_eq!(cells.username().as_deref(), Some("taro"));
        assert_eq!(cells.get("name").as_deref(), Some("山田 太郎"));
        assert_eq!(cells.get("custom:a,b").as_deref(), Some("1-2, Chiyoda"));
        assert_eq!(cells.get("email"), None);
    }

    #[test]
    fn a_header_under_which_no_row_can_be_read_is_refused() {
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

    #[test]
    fn a_row_with_another_number_of_cells_is_refused() {
        let count = |line: &str| header().cells(line).err().map(|error| error.found);

        assert_eq!(count(""), Some(1));
        assert_eq!(count(",,,,,,,,,"), Some(10));
        assert_eq!(count(",,,,,,,,,,"), None);
        assert_eq!(count("\\,,,,,,,,,,"), Some(10));
        assert_eq!(count(",,,,,,,,,,,"), Some(12));
    }

    #[test]
    fn attributes_are_as_the_api_takes_them() {
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
    fn a_cell_that_is_no_value_of_its_column_is_named() {
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
    fn a_row_is_rewritten_under_another_header_and_what_has_no_place_is_named() {
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

        let mapped = cells.map(&to, "false");

        assert_eq!(mapped.line, "taro@e.jp,false,,Yamada\\, Taro\n");
        assert_eq!(mapped.without_place, ["email"]);
    }

    fn format() -> Format {
        let pool = UserPoolType::builder()
            .username_attributes(UsernameAttributeType::Email)
            .auto_verified_attributes(VerifiedAttributeType::Email)
            .mfa_configuration(UserPoolMfaType::On)
            .build();
        Format::of(&pool, &HEADER.map(str::to_owned), None).unwrap()
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-c,\\\\\" \t\r\n\u{0}\u{85}\u{3000}あ🐈]{0,12}"
        ]
    }

    fn person() -> impl Strategy<Value = Person> {
        let date = prop_oneof![text(), "[0-9]{4}-[01][0-9]-[0-3][0-9]"];
        let flag = prop_oneof![Just("true".to_owned()), Just("false".to_owned()), text()];
        let seconds = prop_oneof![text(), "[0-9]{1,10}"];
        (
            "[a-z+.,]{1,9}@[a-z例]{1,9}\\.jp",
            [text(), text(), text()],
            date,
            flag,
            seconds,
        )
            .prop_map(
                |(email, [name, phone, note], birthdate, phone_flag, updated_at)| Person {
                    username: "u".into(),
                    status: Status::Confirmed,
                    enabled: true,
                    attributes: Attributes::from_iter([
                        ("email", email.as_str()),
                        ("email_verified", "true"),
                        ("name", &name),
                        ("phone_number", &phone),
                        ("phone_number_verified", &phone_flag),
                        ("birthdate", &birthdate),
                        ("updated_at", &updated_at),
                        ("custom:note, with a comma", &note),
                    ]),
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn whoever_is_written_reads_back_as_they_were_but_for_what_was_left_out(person in person()) {
            let format = format();
            let row = format.row(&person, false).unwrap();
            let mut lines = Lines::default();
            lines.feed((format.header_line() + &row.line).as_bytes());
            let header = Header::parse(lines.next_line().unwrap().text.unwrap()).unwrap();
            prop_assert_eq!(&header, &self::header());

            let line = lines.next_line().unwrap();
            let cells = header.cells(line.text.unwrap()).unwrap();
            let read = cells.attributes().unwrap();

            let username = cells.username();
            prop_assert_eq!(username.as_deref(), person.attributes.get("email"));
            prop_assert!(cells.map(&header, "true").line == row.line);
            for name in ["name", "email", "phone_number", "birthdate", "updated_at", "custom:note, with a comma"] {
                let was_left_out = row.left_out.iter().any(|(left_out, _)| left_out == name);
                let written = person.attributes.get(name).filter(|_| !was_left_out);
                prop_assert_eq!(read.get(name), written, "{}", name);
            }
            prop_assert!(read.is_true("email_verified"));
            let phone_is_verified = person.attributes.is_true("phone_number_verified")
                && read.get("phone_number").is_some();
            prop_assert_eq!(read.is_true("phone_number_verified"), phone_is_verified);
        }

        #[test]
        fn chunks_never_change_the_lines(
            parts in prop::collection::vec(prop_oneof![
                8 => "[a-cあ\r\n]{0,9}".prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 0..9),
                1 => (LONGEST_LINE - 3..LONGEST_LINE + 3).prop_map(|length| vec![b'x'; length]),
            ], 0..9),
            ends in prop::collection::vec(any::<usize>(), 0..9),
        ) {
            let bytes = parts.concat();

            prop_assert_eq!(lines(&bytes, &ends), lines(&bytes, &[]));
        }
    }
}
