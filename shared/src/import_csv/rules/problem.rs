//! What can be wrong with an import file, and what to do about it.

use std::fmt;

use crate::import_csv::column::USERNAME;
use crate::import_csv::limits::{
    MAX_BYTES_PER_FILE, MAX_PHONE_NUMBER_DIGITS, MAX_ROW_UTF16_UNITS, MAX_ROWS_PER_FILE,
    MAX_USERNAME_CHARACTERS, MAX_VALUE_BYTES,
};
use crate::import_csv::reader::{LineFault, WrongCellCount};
use crate::import_csv::rejection::{Rejection, Unwritable};

/// Something in a file that Cognito would refuse or change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The column with the problem; `None` for a problem of the whole file or row.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong. Never holds a value of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first line is not a header, or the file is empty.
    NoHeader,
    /// The file begins with a byte order mark.
    ByteOrderMark,
    /// The header lacks a column of the pool.
    MissingColumn,
    /// The header has a column that the pool does not have.
    UnknownColumn,
    /// The header has a column twice.
    RepeatedColumn,
    /// The file has more users than Cognito accepts.
    TooManyRows,
    /// The file has more bytes than Cognito accepts.
    FileTooLarge,
    /// The line is not UTF-8.
    NotUtf8,
    /// The lines end with carriage returns, so that the file is one long line.
    CarriageReturns,
    /// The line is blank.
    BlankLine,
    /// The row is longer than Cognito accepts.
    RowTooLong,
    /// The row has more or fewer cells than the header has columns.
    CellCount(WrongCellCount),
    /// A backslash that is not before a comma.
    Backslash,
    /// A double quote.
    Quote,
    /// A control character other than a tab, or a line break.
    ControlCharacter,
    /// White space at the beginning or the end, which Cognito trims.
    OuterSpace,
    /// The username is blank.
    MissingUsername,
    /// The username has white space or invisible characters, or is too long.
    UsernameUnusable,
    /// The username does not have the form that the pool requires, which is this one.
    UsernameForm(&'static str),
    /// The username differs from the address of the row that people sign in with, which is this one.
    UsernameDiffers(&'static str),
    /// None of the pool's auto-verified attributes is verified.
    NoVerifiedAttribute,
    /// The flag says that this address is verified, but the address is blank.
    FlagWithoutAddress(&'static str),
    /// An attribute that the pool requires is blank.
    MissingRequired,
    /// `cognito:mfa_enabled` contradicts the pool, which has this value.
    MfaMismatch(bool),
    /// Neither true nor false.
    BadBoolean,
    /// Not a valid date or time.
    BadDate,
    /// Not an email address.
    BadEmail,
    /// Not a phone number.
    BadPhoneNumber,
    /// Not a number.
    BadNumber,
    /// A number outside the attribute's bounds.
    OutOfBounds,
    /// A text shorter than the attribute's minimum length, which is this one.
    TooShort(usize),
    /// A text longer than the attribute's maximum length, which is this one.
    TooLong(usize),
    /// A value with more bytes than Cognito accepts.
    TooManyBytes,
    /// Another row of the files has the same sign-in name.
    Duplicate,
}

impl Reason {
    /// The reason's name in files and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoHeader => "no-header",
            Self::ByteOrderMark => "byte-order-mark",
            Self::MissingColumn => "missing-column",
            Self::UnknownColumn => "unknown-column",
            Self::RepeatedColumn => "repeated-column",
            Self::TooManyRows => "too-many-rows",
            Self::FileTooLarge => "file-too-large",
            Self::NotUtf8 => "not-utf-8",
            Self::CarriageReturns => "carriage-returns",
            Self::BlankLine => "blank-line",
            Self::RowTooLong => Rejection::RowTooLong.as_str(),
            Self::CellCount(_) => "cell-count",
            Self::Backslash => Unwritable::Backslash.as_str(),
            Self::Quote => Unwritable::Quote.as_str(),
            Self::ControlCharacter => Unwritable::ControlCharacter.as_str(),
            Self::OuterSpace => Unwritable::OuterSpace.as_str(),
            Self::MissingUsername => "missing-username",
            Self::UsernameUnusable => Rejection::UsernameUnusable.as_str(),
            Self::UsernameForm(_) => "username-form",
            Self::UsernameDiffers(_) => "username-differs",
            Self::NoVerifiedAttribute => Rejection::NoVerifiedAttribute.as_str(),
            Self::FlagWithoutAddress(_) => "flag-without-address",
            Self::MissingRequired => "missing-required",
            Self::MfaMismatch(_) => "mfa-mismatch",
            Self::BadBoolean => "bad-boolean",
            Self::BadDate => Unwritable::BadDate.as_str(),
            Self::BadEmail => "bad-email",
            Self::BadPhoneNumber => "bad-phone-number",
            Self::BadNumber => "bad-number",
            Self::OutOfBounds => "out-of-bounds",
            Self::TooShort(_) => "too-short",
            Self::TooLong(_) => "too-long",
            Self::TooManyBytes => "too-many-bytes",
            Self::Duplicate => "duplicate",
        }
    }

    /// What the operator can do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoHeader | Self::MissingColumn | Self::UnknownColumn | Self::RepeatedColumn => {
                "begin the file with the header that GetCSVHeader gives for this pool, and give each row one cell for each column"
            }
            Self::ByteOrderMark | Self::NotUtf8 => "save the file as UTF-8 without byte order mark",
            Self::CarriageReturns => {
                "save the file with line feeds as line ends: on a Mac, not as \"CSV (Macintosh)\""
            }
            Self::BlankLine => {
                "remove the line: it is not documented whether Cognito skips it or counts it as a user who failed"
            }
            Self::TooManyRows | Self::FileTooLarge => {
                "split the file, each part with the header, and import the parts one after the other"
            }
            Self::RowTooLong | Self::TooManyBytes | Self::TooLong(_) => {
                "leave the value out and write it after the import with AdminUpdateUserAttributes, or shorten it"
            }
            Self::CellCount(_) => "write a comma inside a value as \\, and put no value in quotes",
            Self::Backslash | Self::Quote | Self::ControlCharacter => {
                "remove the character, or leave the value out and write it after the import with AdminUpdateUserAttributes"
            }
            Self::OuterSpace => "remove the white space: Cognito would trim the value",
            Self::MissingUsername
            | Self::UsernameUnusable
            | Self::UsernameForm(_)
            | Self::UsernameDiffers(_) => "give the name that the person signs in with",
            Self::NoVerifiedAttribute => {
                "write true as email_verified or phone_number_verified, but only for an address that the person has proved"
            }
            Self::FlagWithoutAddress(_) => "give the address, or write false",
            Self::MissingRequired => "give the value: the pool requires the attribute",
            Self::MfaMismatch(_) => "leave the cell blank: Cognito then uses the pool's setting",
            Self::BadBoolean => "write true or false",
            Self::BadDate => {
                "write a date as mm/dd/yyyy, such as 02/01/1985, and updated_at as whole seconds, such as 1471453471"
            }
            Self::BadEmail => "correct the address",
            Self::BadPhoneNumber => {
                "write + and the digits with the country's code, such as +819012345678"
            }
            Self::BadNumber => "write digits, with a point before a fraction",
            Self::OutOfBounds | Self::TooShort(_) => {
                "give a value that the pool's schema allows, or leave it out"
            }
            Self::Duplicate => "keep one of the rows: Cognito skips or refuses the other",
        }
    }
}

/// A number of things, whose word has an `s` in the plural.
pub struct Counted<N>(pub N, pub &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, word) = self;
        let plural = if *number == N::from(1) { "" } else { "s" };
        write!(f, "{number} {word}{plural}")
    }
}

/// Says what is wrong, without any value of the file.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => write!(f, "no header with a {USERNAME} column"),
            Self::ByteOrderMark => f.write_str("the file begins with a byte order mark"),
            Self::MissingColumn => f.write_str("the pool has this column, but the header does not"),
            Self::UnknownColumn => f.write_str("the header has this column, but the pool does not"),
            Self::RepeatedColumn => f.write_str("the header has this column twice"),
            Self::TooManyRows => write!(f, "more than {MAX_ROWS_PER_FILE} users in a file"),
            Self::FileTooLarge => write!(f, "more than {MAX_BYTES_PER_FILE} bytes in a file"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::RowTooLong => write!(f, "longer than {MAX_ROW_UTF16_UNITS} characters"),
            Self::CarriageReturns => {
                f.write_str("the lines end with carriage returns and not with line feeds")
            }
            Self::BlankLine => f.write_str("a blank line"),
            Self::CellCount(count) => {
                let found = Counted(count.found, "cell");
                write!(f, "{found} for {}", Counted(count.expected, "column"))
            }
            Self::Backslash => f.write_str("a backslash that is not before a comma"),
            Self::Quote => f.write_str("a double quote"),
            Self::ControlCharacter => f.write_str("a control character or a line break"),
            Self::OuterSpace => f.write_str("white space at the beginning or the end"),
            Self::MissingUsername => f.write_str("no username"),
            Self::UsernameUnusable => write!(
                f,
                "white space or an invisible character in the username, or more than {MAX_USERNAME_CHARACTERS} characters"
            ),
            Self::UsernameForm(form) => write!(f, "the pool requires {form} as username"),
            Self::UsernameDiffers(address) => write!(
                f,
                "people sign in with their {address}, and the username is not the {address} of the row"
            ),
            Self::NoVerifiedAttribute => f.write_str(
                "none of the attributes that the pool verifies automatically is verified",
            ),
            Self::FlagWithoutAddress(address) => write!(f, "true, but the row has no {address}"),
            Self::MissingRequired => f.write_str("blank, but the pool requires it"),
            Self::MfaMismatch(is_on) => {
                let mfa = if *is_on { "required" } else { "off" };
                write!(f, "MFA is {mfa} in the pool")
            }
            Self::BadBoolean => f.write_str("neither true nor false"),
            Self::BadDate => f.write_str("not a date as mm/dd/yyyy, or not whole seconds"),
            Self::BadEmail => f.write_str("not an email address"),
            Self::BadPhoneNumber => write!(
                f,
                "not a + followed by at most {MAX_PHONE_NUMBER_DIGITS} digits"
            ),
            Self::BadNumber => f.write_str("not a number"),
            Self::OutOfBounds => f.write_str("outside the bounds in the pool's schema"),
            Self::TooShort(min) => write!(f, "shorter than {}", Counted(*min, "character")),
            Self::TooLong(max) => write!(f, "longer than {}", Counted(*max, "character")),
            Self::TooManyBytes => write!(f, "longer than {MAX_VALUE_BYTES} bytes"),
            Self::Duplicate => f.write_str("somebody else in the files has the same"),
        }
    }
}

impl From<LineFault> for Reason {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::NotUtf8 => Self::NotUtf8,
            LineFault::CarriageReturns => Self::CarriageReturns,
            LineFault::TooLong => Self::RowTooLong,
        }
    }
}

impl Problem {
    pub(super) fn in_column(column: &str, reason: Reason) -> Self {
        Self {
            column: Some(column.to_owned()),
            reason,
        }
    }

    pub(super) fn without_column(reason: Reason) -> Self {
        Self {
            column: None,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_named_in_the_singular() {
        let cells =
            |found, expected| Reason::CellCount(WrongCellCount { expected, found }).to_string();

        assert_eq!(cells(1, 24), "1 cell for 24 columns");
        assert_eq!(cells(2, 1), "2 cells for 1 column");
        assert_eq!(Reason::TooLong(1).to_string(), "longer than 1 character");
        assert_eq!(Reason::TooShort(2).to_string(), "shorter than 2 characters");
    }
}
