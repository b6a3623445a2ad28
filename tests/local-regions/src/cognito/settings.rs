//! The settings of pools and app clients that matter here.

use super::password::PasswordPolicy;
use super::schema::{EMAIL, EMAIL_VERIFIED, PHONE, PHONE_VERIFIED};

/// An attribute by which Cognito reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `email`.
    Email,
    /// `phone_number`.
    PhoneNumber,
}

impl Contact {
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Email => EMAIL,
            Self::PhoneNumber => PHONE,
        }
    }

    pub(super) fn verified(self) -> &'static str {
        match self {
            Self::Email => EMAIL_VERIFIED,
            Self::PhoneNumber => PHONE_VERIFIED,
        }
    }
}

/// An attribute with which a person may sign in beside the username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// A verified `email`.
    Email,
    /// A verified `phone_number`.
    PhoneNumber,
    /// `preferred_username`.
    PreferredUsername,
}

/// Whether sign-in asks for a code of an authenticator app, the only factor modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mfa {
    /// Never.
    #[default]
    Off,
    /// Of people who registered one.
    Optional,
    /// Always.
    On,
}

/// A way to recover a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// By a code to the verified email address.
    VerifiedEmail,
    /// By a code to the verified phone number.
    VerifiedPhoneNumber,
    /// Not at all; an administrator must help.
    AdminOnly,
}

/// A custom attribute.
#[derive(Clone, Debug)]
pub struct CustomAttribute {
    /// Its name without `custom:`.
    pub name: String,
    /// Its values.
    pub kind: CustomKind,
    /// Whether it can be written after the user's creation.
    pub mutable: bool,
}

/// The values of a custom attribute.
#[derive(Clone, Copy, Debug)]
pub enum CustomKind {
    /// Text within these lengths.
    Text {
        /// Shortest.
        min: usize,
        /// Longest, at most 2048.
        max: usize,
    },
    /// A whole number within these bounds.
    Number {
        /// Least.
        min: Option<i64>,
        /// Greatest.
        max: Option<i64>,
    },
}

impl CustomAttribute {
    /// A mutable text of up to 2048 characters.
    pub fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: CustomKind::Text { min: 0, max: 2048 },
            mutable: true,
        }
    }
}

/// An app client without a secret. Defaults are those of the console, with USER_PASSWORD_AUTH.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Its name.
    pub name: String,
    /// `PreventUserExistenceErrors`: ENABLED rather than LEGACY.
    pub prevent_user_existence_errors: bool,
    /// What a person may write through it; every attribute but the `_verified` ones when absent.
    pub write_attributes: Option<Vec<String>>,
    /// Whether `ALLOW_USER_PASSWORD_AUTH` is on.
    pub user_password_auth: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            name: "app".to_owned(),
            prevent_user_existence_errors: true,
            write_attributes: None,
            user_password_auth: true,
        }
    }
}

/// The settings of a pool that matter here. Defaults are those of CreateUserPool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The pool's name.
    pub name: String,
    /// A fixed id such as `ap-northeast-1_AbCdEf123`; a random one when absent.
    pub id: Option<String>,
    /// A fixed id of its first app client; a random one when absent.
    pub client_id: Option<String>,
    /// Sign-in by these instead of a username.
    pub username_attributes: Vec<Contact>,
    /// Sign-in by these beside the username.
    pub alias_attributes: Vec<Alias>,
    /// Whether names that differ in case differ.
    pub case_sensitive: bool,
    /// Whether sign-in needs an authenticator.
    pub mfa: Mfa,
    /// What a sign-up code verifies.
    pub auto_verified: Vec<Contact>,
    /// Standard attributes that every sign-up must have.
    pub required_attributes: Vec<String>,
    /// Custom attributes.
    pub custom_attributes: Vec<CustomAttribute>,
    /// What passwords must be like.
    pub password_policy: PasswordPolicy,
    /// Ways to recover a password, first choice first; phone number, then email when empty.
    pub recovery: Vec<Recovery>,
    /// Whether SignUp is refused.
    pub admin_create_only: bool,
    /// The first app client.
    pub client: ClientSettings,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            name: "pool".to_owned(),
            id: None,
            client_id: None,
            username_attributes: Vec::new(),
            alias_attributes: Vec::new(),
            // facts 8: the API's default is case-sensitive [D].
            case_sensitive: true,
            mfa: Mfa::Off,
            auto_verified: Vec::new(),
            required_attributes: Vec::new(),
            custom_attributes: Vec::new(),
            password_policy: PasswordPolicy::default(),
            recovery: Vec::new(),
            admin_create_only: false,
            client: ClientSettings::default(),
        }
    }
}
