//! The columns of an import file, and what each of them holds.

use super::syntax::{end_line, push_cell};

/// The column that says which user a row is about.
pub(super) const USERNAME: &str = "cognito:username";

/// Each address attribute with the attribute that says whether the address is verified.
pub(super) const ADDRESSES_AND_FLAGS: [(&str, &str); 2] = [
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

/// The standard attributes that an import file can hold. A pool's custom attributes come in addition.
const STANDARD_ATTRIBUTES: [&str; 19] = [
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

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Username,
    MfaEnabled,
    /// Whether this address is verified.
    VerifiedFlag(&'static str),
    Birthdate,
    UpdatedAt,
    Text,
    /// No attribute that twinpool writes: `password_hash`, or a column that this version does not know. Written empty.
    Ignored,
}

/// A column of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
}

impl Column {
    /// The column with this name.
    pub(super) fn of(name: &str) -> Self {
        let kind = match name {
            USERNAME => ColumnKind::Username,
            "cognito:mfa_enabled" => ColumnKind::MfaEnabled,
            "email_verified" => ColumnKind::VerifiedFlag("email"),
            "phone_number_verified" => ColumnKind::VerifiedFlag("phone_number"),
            "birthdate" => ColumnKind::Birthdate,
            "updated_at" => ColumnKind::UpdatedAt,
            name if STANDARD_ATTRIBUTES.contains(&name) => ColumnKind::Text,
            name if name.starts_with("custom:") || name.starts_with("dev:") => ColumnKind::Text,
            _ => ColumnKind::Ignored,
        };
        Self {
            name: name.to_owned(),
            kind,
        }
    }
}

/// The first line of a file with these columns, its line feed included.
pub(super) fn header_line(columns: &[Column]) -> String {
    let mut line = String::new();
    for column in columns {
        push_cell(&mut line, &column.name);
    }
    end_line(&mut line);
    line
}
