//! Cognito's import CSV: who can be written into it, and how. Below: reading one back, and what Cognito would refuse in it.
//!
//! It is not ordinary CSV: no quotes, a comma inside a value is `\,`, a row ends with a line feed
//! (DG:cognito-user-pools-using-import-tool). What Cognito does with a backslash, a quote, a control character or outer
//! white space in a value is not documented or changes the value, so such a value is never written: it is left out and
//! named, and the person is kept where they can be without it.

pub mod duplicates;
pub mod reader;
pub mod rules;
pub mod saved;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_cognitoidentityprovider::types::{
    UserPoolMfaType, UserPoolType, UsernameAttributeType, VerifiedAttributeType,
};
use jiff::civil::Date;

use crate::environment::CustomAttribute;
use crate::person::{Person, Status, is_cognitos_own};

/// DG:quotas: the most users of an import file, the header excluded.
pub const MOST_ROWS: u64 = 500_000;

/// DG:quotas: 100 MB an import file; taken as 10^8, the smaller reading.
pub const MOST_BYTES: u64 = 100_000_000;

/// The longest row Cognito takes, counted here in UTF-16 units with escapes (DG:import-tool: 16,000 characters).
const LONGEST_ROW: usize = 16_000;

/// Room for the row of most people.
const USUAL_ROW: usize = 512;

/// The longest username (botocore UsernameType).
const LONGEST_USERNAME: usize = 128;

const USERNAME: &str = "cognito:username";

/// The standard attributes that an import file can carry; a pool's custom ones come beside them.
const STANDARD: [&str; 19] = [
    "address",
    "birthdate",
    "email",
    "email_verified",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "profile",
    "updated_at",
    "website",
    "zoneinfo",
];

/// A pool that no import file can be written for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Nothing says which user a row is.
    #[error(
        "the import header of user pool {pool} has no {USERNAME} column: no file can name its users; \
         compare GetCSVHeader with the Cognito developer guide"
    )]
    NoUsernameColumn {
        /// The pool.
        pool: String,
    },
    /// A column twice: a value would be ambiguous.
    #[error("the import header of user pool {pool} has the column {column} twice")]
    RepeatedColumn {
        /// The pool.
        pool: String,
        /// The column.
        column: String,
    },
    /// Such a pool does not say which of the two is a person's username.
    #[error(
        "user pool {pool} signs in by email and by phone number: it does not say which of them a person uses as \
         username, so an import file could bring people back under the wrong name; twinpool needs a pool that signs in \
         by one of them, or by username"
    )]
    TwoUsernameAttributes {
        /// The pool.
        pool: String,
    },
    /// The configured attribute has no column.
    #[error(
        "ORIGIN_SUB_ATTRIBUTE names {attribute}, for which the import header of user pool {pool} has no column: \
         add it to the pool or unset the variable"
    )]
    NoOriginColumn {
        /// The pool.
        pool: String,
        /// The attribute.
        attribute: String,
    },
}

/// Why a person is not in the import files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Has not proved an address yet.
    Unconfirmed,
    /// Comes from another identity provider.
    ExternalProvider,
    /// An import would enable them again.
    Disabled,
    /// Disabled by threat protection.
    Compromised,
    /// Archived by Cognito.
    Archived,
    /// A status this version does not know.
    UnknownStatus,
    /// None of the pool's auto-verified attributes is verified.
    NoVerifiedAttribute,
    /// An attribute that the pool requires is absent or cannot be written; named.
    MissingRequired(String),
    /// The username is absent or cannot be written.
    UsernameUnusable,
    /// The row would be longer than Cognito takes.
    RowTooLong,
}

impl Rejection {
    /// The reason's name in files.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::ExternalProvider => "external-provider",
            Self::Disabled => "disabled",
            Self::Compromised => "compromised",
            Self::Archived => "archived",
            Self::UnknownStatus => "unknown-status",
            Self::NoVerifiedAttribute => "no-verified-attribute",
            Self::MissingRequired(_) => "missing-required",
            Self::UsernameUnusable => "username-unusable",
            Self::RowTooLong => "row-too-long",
        }
    }

    /// The attribute it is about, if any.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::MissingRequired(attribute) => Some(attribute),
            _ => None,
        }
    }
}

/// Why a value is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unwritable {
    /// A control character, line breaks included, tab excepted.
    ControlCharacter,
    /// A backslash: Cognito's escape.
    Backslash,
    /// A double quote.
    Quote,
    /// White space at either end, which Cognito trims.
    OuterSpace,
    /// A date that is none.
    BadDate,
    /// The header has no column for the attribute.
    NoColumn,
}

impl Unwritable {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ControlCharacter,
        Self::Backslash,
        Self::Quote,
        Self::OuterSpace,
        Self::BadDate,
        Self::NoColumn,
    ];

    /// The reason's name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlCharacter => "control-character",
            Self::Backslash => "backslash",
            Self::Quote => "quote",
            Self::OuterSpace => "outer-space",
            Self::BadDate => "bad-date",
            Self::NoColumn => "no-column",
        }
    }
}

/// A row of an import file.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The line, its line feed included.
    pub line: String,
    /// The attributes that the row does not carry, with the reason.
    pub left_out: Vec<(String, Unwritable)>,
}

/// The line holds a person.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Username,
    MfaEnabled,
    /// Whether this address is verified.
    Flag(&'static str),
    Birthdate,
    UpdatedAt,
    Text,
    /// A column that this version does not know: stays empty, as `password_hash` does.
    Empty,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// What people sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignIn {
    Username,
    Attribute(&'static str),
}

/// How the users of one pool are written.
#[derive(Clone, Debug)]
pub struct Format {
    columns: Vec<Column>,
    sign_in: SignIn,
    mfa_enabled: &'static str,
    /// Pairs of an address and its flag, of those that the pool verifies by itself.
    auto_verified: Vec<(&'static str, &'static str)>,
    required: Vec<String>,
    origin_sub: Option<String>,
}

const FLAGS: [(&str, &str); 2] = [
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

impl Format {
    /// The format of a pool, from its description and its import header. A newcomer's `sub` goes into `origin_sub`.
    ///
    /// # Errors
    ///
    /// No file for such a pool could bring its people back.
    pub fn of(
        pool: &UserPoolType,
        header: &[String],
        origin_sub: Option<&CustomAttribute>,
    ) -> Result<Self, FormatError> {
        let id = || pool.id().unwrap_or_default().to_owned();
        let columns: Vec<_> = header.iter().map(|name| Column::of(name)).collect();
        let mut earlier = BTreeSet::new();
        if let Some(column) = columns.iter().find(|column| !earlier.insert(&column.name)) {
            return Err(FormatError::RepeatedColumn {
                pool: id(),
                column: column.name.clone(),
            });
        }
        if !columns.iter().any(|column| column.kind == Kind::Username) {
            return Err(FormatError::NoUsernameColumn { pool: id() });
        }
        let sign_in = match pool.username_attributes() {
            [] => SignIn::Username,
            [UsernameAttributeType::Email] => SignIn::Attribute("email"),
            [UsernameAttributeType::PhoneNumber] => SignIn::Attribute("phone_number"),
            _ => return Err(FormatError::TwoUsernameAttributes { pool: id() }),
        };
        if let Some(attribute) = origin_sub
            && !columns
                .iter()
                .any(|column| column.name == attribute.as_str())
        {
            return Err(FormatError::NoOriginColumn {
                pool: id(),
                attribute: attribute.as_str().to_owned(),
            });
        }
        let auto_verified = pool.auto_verified_attributes();
        let required = pool.schema_attributes().iter().filter(|attribute| {
            // DescribeUserPool calls `sub` required; Cognito gives it, no file can.
            attribute.required() == Some(true) && attribute.name() != Some("sub")
        });
        Ok(Self {
            sign_in,
            // DG:import-tool: must be true or blank where MFA is required, false or blank where it is off.
            mfa_enabled: match pool.mfa_configuration() {
                Some(UserPoolMfaType::On) => "true",
                Some(UserPoolMfaType::Optional) => "",
                _ => "false",
            },
            auto_verified: FLAGS
                .into_iter()
                .filter(|(address, flag)| {
                    auto_verified.contains(&VerifiedAttributeType::from(*address))
                        && columns.iter().any(|column| column.name == *flag)
                })
                .collect(),
            required: required.filter_map(|a| a.name.clone()).collect(),
            origin_sub: origin_sub.map(|attribute| attribute.as_str().to_owned()),
            columns,
        })
    }

    /// What all rows have as `cognito:mfa_enabled`.
    pub fn mfa_enabled(&self) -> &'static str {
        self.mfa_enabled
    }

    /// The first line of a file, its line feed included.
    pub fn header_line(&self) -> String {
        header_line(&self.columns)
    }

    /// What the person signs in with; the username where that is absent.
    pub fn sign_in_name<'a>(&self, person: &'a Person) -> &'a str {
        match self.sign_in {
            // Who comes from another provider has a name of their own, whatever their address.
            _ if person.status == Status::ExternalProvider => &person.username,
            SignIn::Username => &person.username,
            SignIn::Attribute(name) => person.attributes.get(name).unwrap_or(&person.username),
        }
    }

    /// The row of a person, or why there is none. A newcomer's `sub` goes into the column of the origin.
    pub fn row(&self, person: &Person, newcomer: bool) -> Result<Row, Rejection> {
        may_be_imported(person)?;
        let username = self.username(person).ok_or(Rejection::UsernameUnusable)?;
        let attributes = &person.attributes;
        let is_verified = |(address, flag): &(&str, &str)| {
            attributes.is_true(flag) && attributes.get(address).is_some_and(|v| text(v).is_ok())
        };
        // DG:import-tool: "At least one of the auto-verified attributes must be `true` for each user."
        if !self.auto_verified.iter().any(is_verified) {
            return Err(Rejection::NoVerifiedAttribute);
        }
        let mut line = String::with_capacity(USUAL_ROW);
        let mut left_out = Vec::new();
        for column in &self.columns {
            let cell = match column.kind {
                Kind::Username => Ok(Cow::Borrowed(username)),
                Kind::MfaEnabled => Ok(Cow::Borrowed(self.mfa_enabled)),
                Kind::Flag(address) => {
                    // DG:import-tool: a flag that is true needs its address; it is left out with it.
                    let is_set = attributes.is_true(&column.name);
                    let flag = |is_set| Ok(Cow::Borrowed(if is_set { "true" } else { "false" }));
                    match attributes.get(address).map(text) {
                        Some(Ok(_)) => flag(is_set),
                        Some(Err(reason)) if is_set => {
                            left_out.push((column.name.clone(), reason));
                            flag(false)
                        }
                        _ => flag(false),
                    }
                }
                Kind::Empty => Ok(Cow::default()),
                _ => self.value(column, person, newcomer),
            };
            let cell = cell.unwrap_or_else(|reason| {
                left_out.push((column.name.clone(), reason));
                Cow::default()
            });
            if cell.is_empty() && self.required.contains(&column.name) {
                return Err(Rejection::MissingRequired(column.name.clone()));
            }
            push_cell(&mut line, &cell);
        }
        let no_column = attributes.iter().filter(|(name, value)| {
            !value.is_empty() && !is_cognitos_own(name) && !self.carries(name)
        });
        left_out.extend(no_column.map(|(name, _)| (name.to_owned(), Unwritable::NoColumn)));
        end_line(&mut line);
        if line.encode_utf16().count() - 1 > LONGEST_ROW {
            return Err(Rejection::RowTooLong);
        }
        Ok(Row { line, left_out })
    }

    fn carries(&self, attribute: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| column.kind != Kind::Empty && column.name == attribute)
    }

    fn value<'a>(
        &self,
        column: &Column,
        person: &'a Person,
        newcomer: bool,
    ) -> Result<Cow<'a, str>, Unwritable> {
        let origin = newcomer && self.origin_sub.as_deref() == Some(&column.name);
        let value = if origin {
            person.sub()
        } else {
            person.attributes.get(&column.name)
        };
        match (value, column.kind) {
            (None, _) => Ok(Cow::default()),
            (Some(value), Kind::Birthdate) => {
                let date = birthdate(value).ok_or(Unwritable::BadDate);
                date.map(Cow::Owned)
            }
            (Some(value), Kind::UpdatedAt) => {
                let seconds = whole_seconds(value).ok_or(Unwritable::BadDate);
                seconds.map(Cow::Borrowed)
            }
            (Some(value), _) => text(value).map(Cow::Borrowed),
        }
    }

    /// DG:import-tool: a username "cannot contain spaces or tabs".
    fn username<'a>(&self, person: &'a Person) -> Option<&'a str> {
        let name = match self.sign_in {
            SignIn::Username => Some(person.username.as_str()),
            SignIn::Attribute(name) => person.attributes.get(name),
        };
        name.filter(|name| {
            !name.is_empty()
                && name.chars().count() <= LONGEST_USERNAME
                && !name.chars().any(char::is_whitespace)
                && text(name).is_ok()
        })
    }
}

impl Column {
    fn of(name: &str) -> Self {
        let kind = match name {
            USERNAME => Kind::Username,
            "cognito:mfa_enabled" => Kind::MfaEnabled,
            "email_verified" => Kind::Flag("email"),
            "phone_number_verified" => Kind::Flag("phone_number"),
            "birthdate" => Kind::Birthdate,
            "updated_at" => Kind::UpdatedAt,
            name if STANDARD.contains(&name) => Kind::Text,
            name if name.starts_with("custom:") || name.starts_with("dev:") => Kind::Text,
            _ => Kind::Empty,
        };
        Self {
            name: name.to_owned(),
            kind,
        }
    }
}

fn may_be_imported(person: &Person) -> Result<(), Rejection> {
    match person.status {
        Status::Confirmed | Status::ResetRequired | Status::ForceChangePassword => {}
        Status::Unconfirmed => return Err(Rejection::Unconfirmed),
        Status::ExternalProvider => return Err(Rejection::ExternalProvider),
        Status::Archived => return Err(Rejection::Archived),
        Status::Compromised => return Err(Rejection::Compromised),
        Status::Other(_) => return Err(Rejection::UnknownStatus),
    }
    if person.enabled {
        Ok(())
    } else {
        Err(Rejection::Disabled)
    }
}

fn text(value: &str) -> Result<&str, Unwritable> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        Err(Unwritable::ControlCharacter)
    } else if value.contains('\\') {
        Err(Unwritable::Backslash)
    } else if value.contains('"') {
        Err(Unwritable::Quote)
    } else if value.trim() != value {
        Err(Unwritable::OuterSpace)
    } else {
        Ok(value)
    }
}

/// `YYYY-MM-DD` as `mm/dd/yyyy`. Year 0000, OpenID Connect's "no year", is none that an import is documented to take.
fn birthdate(value: &str) -> Option<String> {
    let as_stored = value.len() == 10
        && value.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let date: Date = value.parse().ok().filter(|_| as_stored)?;
    (date.year() > 0).then(|| format!("{:02}/{:02}/{:04}", date.month(), date.day(), date.year()))
}

/// Seconds since 1970, less any fraction.
fn whole_seconds(value: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, "0"));
    (digits(seconds) && digits(fraction)).then_some(seconds)
}

fn header_line(columns: &[Column]) -> String {
    let mut line = String::new();
    for column in columns {
        push_cell(&mut line, &column.name);
    }
    end_line(&mut line);
    line
}

fn push_cell(line: &mut String, value: &str) {
    let mut parts = value.split(',');
    line.push_str(parts.next().unwrap_or_default());
    for part in parts {
        line.push_str("\\,");
        line.push_str(part);
    }
    line.push(',');
}

/// Makes the last cell's comma the end of the line.
fn end_line(line: &mut String) {
    line.pop();
    line.push('\n');
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::SchemaAttributeType;

    use super::*;

    const HEADER: [&str; 13] = [
        "name",
        "nickname",
        "email",
        "email_verified",
        "birthdate",
        "phone_number",
        "phone_number_verified",
        "updated_at",
        "custom:origin_sub",
        "password_hash",
        "cognito:new_in_2027",
        "cognito:mfa_enabled",
        "cognito:username",
    ];

    fn pool(sign_in: &[UsernameAttributeType], required: &[&str]) -> UserPoolType {
        let schema = required.iter().chain(&["sub"]).map(|name| {
            SchemaAttributeType::builder()
                .name(*name)
                .required(true)
                .build()
        });
        UserPoolType::builder()
            .id("ap-northeast-3_Example01")
            .set_username_attributes(Some(sign_in.to_vec()))
            .auto_verified_attributes(VerifiedAttributeType::Email)
            .mfa_configuration(UserPoolMfaType::On)
            .set_schema_attributes(Some(schema.collect()))
            .build()
    }

    fn header(columns: &[&str]) -> Vec<String> {
        columns.iter().map(|column| column.to_string()).collect()
    }

    fn format() -> Format {
        let pool = pool(&[UsernameAttributeType::Email], &["email"]);
        Format::of(
            &pool,
            &header(&HEADER),
            "custom:origin_sub".parse().ok().as_ref(),
        )
        .unwrap()
    }

    fn taro(attributes: &[(&str, &str)]) -> Person {
        let usual = [
            ("sub", "s-1"),
            ("email", "taro@example.jp"),
            ("email_verified", "true"),
        ];
        Person {
            username: "s-1".into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: usual.iter().chain(attributes).copied().collect(),
        }
    }

    fn cell(person: &Person, column: &str) -> String {
        let row = format().row(person, false).unwrap();
        let at = HEADER.iter().position(|name| *name == column).unwrap();
        row.line
            .trim_end_matches('\n')
            .split(',')
            .nth(at)
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_row_follows_the_header_and_ends_with_a_line_feed() {
        let row = format().row(&taro(&[("name", "山田太郎")]), false).unwrap();

        assert_eq!(format().header_line(), HEADER.join(",") + "\n");
        assert_eq!(
            row.line,
            "山田太郎,,taro@example.jp,true,,,false,,,,,true,taro@example.jp\n"
        );
    }

    #[test]
    fn a_comma_is_escaped_and_nothing_is_quoted() {
        let row = format().row(&taro(&[("name", "Yamada, Taro")]), false);

        assert!(row.unwrap().line.starts_with("Yamada\\, Taro,"));
    }

    #[test]
    fn dates_are_written_as_an_import_wants_them() {
        let person = taro(&[
            ("birthdate", "1985-02-01"),
            ("updated_at", "1700000000.123"),
        ]);

        assert_eq!(cell(&person, "birthdate"), "02/01/1985");
        assert_eq!(cell(&person, "updated_at"), "1700000000");
    }

    #[test]
    fn flags_are_lower_case_and_false_when_absent_or_without_their_address() {
        let person = taro(&[
            ("email_verified", "True"),
            ("phone_number_verified", "true"),
        ]);

        assert_eq!(cell(&person, "email_verified"), "true");
        assert_eq!(cell(&person, "phone_number_verified"), "false");
    }

    #[test]
    fn what_a_csv_cannot_carry_is_left_out_with_its_reason_and_the_person_kept() {
        for (name, value, reason) in [
            ("name", "a\nb", "control-character"),
            ("name", "a\u{85}b", "control-character"),
            ("name", "C:\\taro", "backslash"),
            ("name", "the \"cat\"", "quote"),
            ("name", " taro", "outer-space"),
            ("name", "taro\u{3000}", "outer-space"),
            ("birthdate", "2001-02-30", "bad-date"),
            ("birthdate", "1985/02/01", "bad-date"),
            ("birthdate", "0000-02-01", "bad-date"),
            ("updated_at", "yesterday", "bad-date"),
        ] {
            let row = format().row(&taro(&[(name, value)]), false).unwrap();

            let [(left_out, why)] = row.left_out.as_slice() else {
                panic!("{value:?} was not left out");
            };
            assert_eq!((left_out.as_str(), why.as_str()), (name, reason));
        }
        assert_eq!(cell(&taro(&[("name", "a\tb")]), "name"), "a\tb");
    }

    #[test]
    fn an_attribute_without_a_column_is_left_out_by_name() {
        let person = taro(&[
            ("dev:custom:rank", "7"),
            ("identities", "[]"),
            ("cognito:new_in_2027", "x"),
            ("website", ""),
        ]);

        let row = format().row(&person, false).unwrap();

        let expected = ("dev:custom:rank".to_owned(), Unwritable::NoColumn);
        assert_eq!(row.left_out, [expected]);
    }

    #[test]
    fn the_flag_of_an_address_that_is_left_out_is_left_out_with_it() {
        let person = taro(&[
            ("phone_number", "+81 \"90\""),
            ("phone_number_verified", "true"),
        ]);

        let row = format().row(&person, false).unwrap();

        let names: Vec<_> = row.left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["phone_number", "phone_number_verified"]);
    }

    #[test]
    fn who_cannot_be_imported_is_rejected_with_the_reason() {
        let with = |change: fn(&mut Person)| {
            let mut person = taro(&[]);
            change(&mut person);
            format().row(&person, false).unwrap_err()
        };
        let status = |status: &str| {
            let person = Person {
                status: Status::from(status),
                ..taro(&[])
            };
            format().row(&person, false).unwrap_err().as_str()
        };

        assert_eq!(status("UNCONFIRMED"), "unconfirmed");
        assert_eq!(status("EXTERNAL_PROVIDER"), "external-provider");
        assert_eq!(status("ARCHIVED"), "archived");
        assert_eq!(status("COMPROMISED"), "compromised");
        assert_eq!(status("UNKNOWN"), "unknown-status");
        assert_eq!(with(|p| p.enabled = false), Rejection::Disabled);
        assert_eq!(
            with(|p| p.attributes.insert("email_verified", "false")),
            Rejection::NoVerifiedAttribute
        );
        assert_eq!(
            with(|p| p.attributes.insert("email", "ta ro@example.jp")),
            Rejection::UsernameUnusable
        );
        assert_eq!(
            with(|p| p.attributes.insert("name", "x".repeat(16_000))),
            Rejection::RowTooLong
        );
    }

    #[test]
    fn a_required_attribute_that_is_absent_or_cannot_be_written_is_named() {
        let pool = pool(&[UsernameAttributeType::Email], &["birthdate"]);
        let format = Format::of(&pool, &header(&HEADER), None).unwrap();

        for person in [taro(&[]), taro(&[("birthdate", "2001-02-30")])] {
            let rejection = format.row(&person, false).unwrap_err();
            assert_eq!(rejection.attribute(), Some("birthdate"));
        }
    }

    #[test]
    fn the_longest_row_is_counted_in_utf_16_units_with_its_escapes() {
        let fixed = format()
            .row(&taro(&[]), false)
            .unwrap()
            .line
            .chars()
            .count()
            - 1;
        let fits = |name: String| format().row(&taro(&[("name", &name)]), false).is_ok();

        assert!(fits("x".repeat(LONGEST_ROW - fixed)));
        assert!(!fits("x".repeat(LONGEST_ROW - fixed + 1)));
        assert!(!fits(format!(
            "xx{}",
            "🐈".repeat((LONGEST_ROW - fixed) / 2)
        )));
        assert!(!fits(",".repeat((LONGEST_ROW - fixed) / 2 + 1)));
    }

    #[test]
    fn a_newcomers_sub_goes_into_the_column_of_the_origin() {
        let person = taro(&[("custom:origin_sub", "tokyo-sub")]);
        let origin = |newcomer| {
            let row = format().row(&person, newcomer).unwrap();
            row.line.split(',').nth(8).unwrap().to_owned()
        };

        assert_eq!(origin(false), "tokyo-sub");
        assert_eq!(origin(true), "s-1");
    }

    #[test]
    fn a_pool_without_email_sign_in_keeps_its_usernames() {
        let format = Format::of(&pool(&[], &[]), &header(&HEADER), None).unwrap();
        let person = Person {
            username: "taro".into(),
            ..taro(&[])
        };

        assert!(
            format
                .row(&person, false)
                .unwrap()
                .line
                .ends_with(",taro\n")
        );
    }

    #[test]
    fn a_pool_that_no_file_can_be_written_for_is_refused_with_what_to_do() {
        use UsernameAttributeType::{Email, PhoneNumber};
        let refusal = |sign_in: &[_], columns: &[&str], origin: Option<&CustomAttribute>| {
            let error = Format::of(&pool(sign_in, &[]), &header(columns), origin).unwrap_err();
            error.to_string()
        };

        assert!(refusal(&[], &["email"], None).contains("no cognito:username column"));
        assert!(refusal(&[Email, PhoneNumber], &HEADER, None).contains("does not say which"));
        assert!(refusal(&[], &["email", "email", USERNAME], None).contains("email twice"));
        assert!(
            refusal(&[], &HEADER, "custom:origin".parse().ok().as_ref())
                .contains("ORIGIN_SUB_ATTRIBUTE")
        );
    }
}
