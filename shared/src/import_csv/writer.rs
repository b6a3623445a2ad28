//! Writing an import file: the people of a pool as rows.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_cognitoidentityprovider::types::{
    UserPoolMfaType, UserPoolType, UsernameAttributeType, VerifiedAttributeType,
};

use super::column::{ADDRESSES_AND_FLAGS, Column, ColumnKind, USERNAME, header_line};
use super::limits::{MAX_ROW_UTF16_UNITS, MAX_USERNAME_CHARACTERS};
use super::rejection::{Rejection, Unwritable};
use super::syntax::{
    check_writable, end_line, import_date, push_cell, utf16_length, whole_seconds,
};
use crate::environment::CustomAttribute;
use crate::person::{Person, Status, is_cognitos_own};

/// Initial capacity of a line: enough for the row of most people.
const USUAL_ROW_BYTES: usize = 512;

/// A pool for which no import file can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No column says which user a row is about.
    #[error(
        "the import header of user pool {pool} has no {USERNAME} column: no file can name its users; \
         compare GetCSVHeader with the Cognito developer guide"
    )]
    NoUsernameColumn {
        /// The pool.
        pool: String,
    },
    /// A column occurs twice, so that its value would be ambiguous.
    #[error("the import header of user pool {pool} has the column {column} twice")]
    RepeatedColumn {
        /// The pool.
        pool: String,
        /// The column.
        column: String,
    },
    /// People sign in with an email address or a phone number, and the pool does not say which of them is whose username.
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

/// A row of an import file. It holds personal data, so `Debug` does not show the line.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The line, its line feed included.
    pub line: String,
    /// The attributes that the row does not hold, each with the reason.
    pub left_out: Vec<(String, Unwritable)>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

/// What people sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignIn {
    Username,
    Attribute(&'static str),
}

/// How the people of one pool are written into import files.
#[derive(Clone, Debug)]
pub struct Format {
    columns: Vec<Column>,
    sign_in: SignIn,
    /// The `cognito:mfa_enabled` of every row.
    mfa_enabled: &'static str,
    /// Each address that the pool verifies automatically, with its flag.
    auto_verified: Vec<(&'static str, &'static str)>,
    required: Vec<String>,
    origin: Option<CustomAttribute>,
}

impl Format {
    /// The format for a pool with this description and this import header. `origin` is the attribute whose column carries
    /// everyone's identity.
    ///
    /// # Errors
    ///
    /// No import file could bring the people of such a pool back.
    pub fn of(
        pool: &UserPoolType,
        header: &[String],
        origin: Option<&CustomAttribute>,
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
        let has_username = |column: &Column| column.kind == ColumnKind::Username;
        if !columns.iter().any(has_username) {
            return Err(FormatError::NoUsernameColumn { pool: id() });
        }
        let sign_in = match pool.username_attributes() {
            [] => SignIn::Username,
            [UsernameAttributeType::Email] => SignIn::Attribute("email"),
            [UsernameAttributeType::PhoneNumber] => SignIn::Attribute("phone_number"),
            _ => return Err(FormatError::TwoUsernameAttributes { pool: id() }),
        };
        if let Some(attribute) = origin
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
            // DescribeUserPool says that `sub` is required, but Cognito sets it and no file can hold it.
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
            auto_verified: ADDRESSES_AND_FLAGS
                .into_iter()
                .filter(|(address, flag)| {
                    auto_verified.contains(&VerifiedAttributeType::from(*address))
                        && columns.iter().any(|column| column.name == *flag)
                })
                .collect(),
            required: required.filter_map(|a| a.name.clone()).collect(),
            origin: origin.cloned(),
            columns,
        })
    }

    /// The `cognito:mfa_enabled` of every row.
    pub fn mfa_enabled(&self) -> &'static str {
        self.mfa_enabled
    }

    /// The first line of a file, its line feed included.
    pub fn header_line(&self) -> String {
        header_line(&self.columns)
    }

    /// The name that the person signs in with, or the username if the person has no such name.
    pub fn sign_in_name<'a>(&self, person: &'a Person) -> &'a str {
        match self.sign_in {
            // A person of another identity provider signs in with the provider's name, not with an address.
            _ if person.status == Status::ExternalProvider => &person.username,
            SignIn::Username => &person.username,
            SignIn::Attribute(name) => person.attributes.get(name).unwrap_or(&person.username),
        }
    }

    /// Writes the row of a person. The column of the origin attribute gets the person's identity.
    ///
    /// # Errors
    ///
    /// The person cannot be in an import file.
    pub fn row(&self, person: &Person) -> Result<Row, Rejection> {
        check_importable(person)?;
        let username = self.username(person).ok_or(Rejection::UsernameUnusable)?;
        let attributes = &person.attributes;
        let is_verified = |(address, flag): &(&str, &str)| {
            let address = attributes.get(address);
            attributes.is_true(flag) && address.is_some_and(|value| check_writable(value).is_ok())
        };
        // DG:import-tool: "At least one of the auto-verified attributes must be `true` for each user."
        if !self.auto_verified.iter().any(is_verified) {
            return Err(Rejection::NoVerifiedAttribute);
        }
        let mut line = String::with_capacity(USUAL_ROW_BYTES);
        let mut left_out = Vec::new();
        for column in &self.columns {
            let cell = match column.kind {
                ColumnKind::Username => Ok(Cow::Borrowed(username)),
                ColumnKind::MfaEnabled => Ok(Cow::Borrowed(self.mfa_enabled)),
                ColumnKind::VerifiedFlag(address) => {
                    // DG:import-tool: a flag that is true needs its address, so both are left out together.
                    let is_set = attributes.is_true(&column.name);
                    let flag = |is_set| Ok(Cow::Borrowed(if is_set { "true" } else { "false" }));
                    match attributes.get(address).map(check_writable) {
                        Some(Ok(_)) => flag(is_set),
                        Some(Err(reason)) if is_set => {
                            left_out.push((column.name.clone(), reason));
                            flag(false)
                        }
                        _ => flag(false),
                    }
                }
                ColumnKind::Ignored => Ok(Cow::default()),
                ColumnKind::Birthdate | ColumnKind::UpdatedAt | ColumnKind::Text => {
                    self.attribute_cell(column, person)
                }
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
        let without_column = attributes.iter().filter(|(name, value)| {
            !value.is_empty() && !is_cognitos_own(name) && !self.has_column(name)
        });
        left_out.extend(without_column.map(|(name, _)| (name.to_owned(), Unwritable::NoColumn)));
        end_line(&mut line);
        if utf16_length(&line) - 1 > MAX_ROW_UTF16_UNITS {
            return Err(Rejection::RowTooLong);
        }
        Ok(Row { line, left_out })
    }

    /// Whether the rows hold the attribute.
    fn has_column(&self, attribute: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|column| column.kind != ColumnKind::Ignored && column.name == attribute)
    }

    /// The cell of a column that holds an attribute other than a flag.
    fn attribute_cell<'a>(
        &self,
        column: &Column,
        person: &'a Person,
    ) -> Result<Cow<'a, str>, Unwritable> {
        let origin = self.origin.as_ref();
        let is_origin = origin.is_some_and(|origin| origin.as_str() == column.name);
        let value = match is_origin {
            true => person.attributes.identity(origin),
            false => person.attributes.get(&column.name),
        };
        match (value, column.kind) {
            (None, _) => Ok(Cow::default()),
            (Some(value), ColumnKind::Birthdate) => {
                let date = import_date(value).ok_or(Unwritable::BadDate);
                date.map(Cow::Owned)
            }
            (Some(value), ColumnKind::UpdatedAt) => {
                let seconds = whole_seconds(value).ok_or(Unwritable::BadDate);
                seconds.map(Cow::Borrowed)
            }
            (Some(value), _) => check_writable(value).map(Cow::Borrowed),
        }
    }

    /// The `cognito:username` of a person. DG:import-tool: it "cannot contain spaces or tabs".
    fn username<'a>(&self, person: &'a Person) -> Option<&'a str> {
        let name = match self.sign_in {
            SignIn::Username => Some(person.username.as_str()),
            SignIn::Attribute(name) => person.attributes.get(name),
        };
        name.filter(|name| {
            !name.is_empty()
                && name.chars().count() <= MAX_USERNAME_CHARACTERS
                && !name.chars().any(char::is_whitespace)
                && check_writable(name).is_ok()
        })
    }
}

/// Rejects a person whose status or whose being disabled an import would not preserve.
fn check_importable(person: &Person) -> Result<(), Rejection> {
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
            created_at: None,
            mfa: false,
            username: "s-1".into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: usual.iter().chain(attributes).copied().collect(),
        }
    }

    fn cell(person: &Person, column: &str) -> String {
        let row = format().row(person).unwrap();
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
        let row = format().row(&taro(&[("name", "山田太郎")])).unwrap();

        assert_eq!(format().header_line(), HEADER.join(",") + "\n");
        assert_eq!(
            row.line,
            "山田太郎,,taro@example.jp,true,,,false,,s-1,,,true,taro@example.jp\n"
        );
    }

    #[test]
    fn a_comma_is_escaped_and_nothing_is_quoted() {
        let row = format().row(&taro(&[("name", "Yamada, Taro")]));

        assert!(row.unwrap().line.starts_with("Yamada\\, Taro,"));
    }

    #[test]
    fn dates_are_written_in_the_form_of_an_import_file() {
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
    fn a_value_that_cannot_be_written_is_left_out_with_its_reason_and_the_person_kept() {
        for (name, value, reason) in [
            ("name", "a\nb", "control-character"),
            ("name", "a\u{85}b", "control-character"),
            ("name", "a\u{2028}b", "control-character"),
            ("name", "a\u{2029}", "control-character"),
            ("name", "C:\\taro", "backslash"),
            ("name", "the \"cat\"", "quote"),
            ("name", " taro", "outer-space"),
            ("name", "taro\u{3000}", "outer-space"),
            ("birthdate", "2001-02-30", "bad-date"),
            ("birthdate", "1985/02/01", "bad-date"),
            ("birthdate", "0000-02-01", "bad-date"),
            ("updated_at", "yesterday", "bad-date"),
        ] {
            let row = format().row(&taro(&[(name, value)])).unwrap();

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

        let row = format().row(&person).unwrap();

        let expected = ("dev:custom:rank".to_owned(), Unwritable::NoColumn);
        assert_eq!(row.left_out, [expected]);
    }

    #[test]
    fn the_flag_of_an_address_that_is_left_out_is_left_out_with_it() {
        let person = taro(&[
            ("phone_number", "+81 \"90\""),
            ("phone_number_verified", "true"),
        ]);

        let row = format().row(&person).unwrap();

        let names: Vec<_> = row.left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["phone_number", "phone_number_verified"]);
    }

    #[test]
    fn a_person_who_cannot_be_imported_is_rejected_with_the_reason() {
        let with = |change: fn(&mut Person)| {
            let mut person = taro(&[]);
            change(&mut person);
            format().row(&person).unwrap_err()
        };
        let status = |status: &str| {
            let person = Person {
                created_at: None,
                status: Status::from(status),
                ..taro(&[])
            };
            format().row(&person).unwrap_err().as_str()
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
            let rejection = format.row(&person).unwrap_err();
            assert_eq!(rejection.attribute(), Some("birthdate"));
        }
    }

    #[test]
    fn the_length_of_a_row_is_counted_in_utf_16_units_with_its_escapes() {
        let fixed = format().row(&taro(&[])).unwrap().line.chars().count() - 1;
        let fits = |name: String| format().row(&taro(&[("name", &name)])).is_ok();

        assert!(fits("x".repeat(MAX_ROW_UTF16_UNITS - fixed)));
        assert!(!fits("x".repeat(MAX_ROW_UTF16_UNITS - fixed + 1)));
        assert!(!fits(format!(
            "xx{}",
            "🐈".repeat((MAX_ROW_UTF16_UNITS - fixed) / 2)
        )));
        assert!(!fits(",".repeat((MAX_ROW_UTF16_UNITS - fixed) / 2 + 1)));
    }

    #[test]
    fn every_row_carries_the_identity_which_is_copied_where_there_is_one_and_else_the_sub() {
        let replica = taro(&[("custom:origin_sub", "tokyo-sub")]);
        let without = taro(&[]);
        let blank = taro(&[("custom:origin_sub", "")]);

        assert_eq!(cell(&replica, "custom:origin_sub"), "tokyo-sub");
        assert_eq!(cell(&without, "custom:origin_sub"), "s-1");
        assert_eq!(cell(&blank, "custom:origin_sub"), "s-1");
    }

    #[test]
    fn an_identity_that_cannot_be_written_is_left_out_and_never_replaced_by_the_sub() {
        let row = format()
            .row(&taro(&[("custom:origin_sub", "a\\b")]))
            .unwrap();

        let expected = ("custom:origin_sub".to_owned(), Unwritable::Backslash);
        assert_eq!(row.left_out, [expected]);
        assert!(!row.line.contains("s-1"));
    }

    #[test]
    fn a_native_user_who_is_linked_to_a_provider_is_written_without_the_links() {
        let links = r#"[{"providerName":"Google","userId":"1001"}]"#;
        let row = format().row(&taro(&[("identities", links)])).unwrap();

        assert_eq!(row, format().row(&taro(&[])).unwrap());
    }

    #[test]
    fn a_pool_without_email_sign_in_keeps_its_usernames() {
        let format = Format::of(&pool(&[], &[]), &header(&HEADER), None).unwrap();
        let person = Person {
            created_at: None,
            username: "taro".into(),
            ..taro(&[])
        };

        assert!(format.row(&person).unwrap().line.ends_with(",taro\n"));
    }

    #[test]
    fn a_pool_without_a_possible_file_is_rejected_with_what_to_do() {
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
