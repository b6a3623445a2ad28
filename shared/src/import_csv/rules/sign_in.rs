//! The columns whose values people can sign in with.

use crate::import_csv::column::USERNAME;

/// A column whose values people can sign in with, so that no two people may have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignInName {
    /// `cognito:username`.
    Username,
    /// `email`, where people can sign in with their email address.
    Email,
    /// `phone_number`, where people can sign in with their phone number.
    PhoneNumber,
    /// `preferred_username`, where people can sign in with it.
    PreferredUsername,
}

impl SignInName {
    /// All columns.
    pub const ALL: [Self; 4] = [
        Self::Username,
        Self::Email,
        Self::PhoneNumber,
        Self::PreferredUsername,
    ];

    /// The name of the column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Username => USERNAME,
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::PreferredUsername => "preferred_username",
        }
    }
}
