//! The settings of pools and app clients that have an effect here.

use std::fmt;

use super::password::PasswordPolicy;
use super::pool::random_text;
use super::schema::{EMAIL, EMAIL_VERIFIED, PHONE, PHONE_VERIFIED};
use super::token_lifetimes::TokenLifetimes;

/// An attribute to which Cognito sends codes.
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

/// An attribute that a person can sign in with instead of the username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// A verified `email`.
    Email,
    /// A verified `phone_number`.
    PhoneNumber,
    /// `preferred_username`.
    PreferredUsername,
}

/// Whether a sign-in needs the code of an authenticator app, which is the only factor that is modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mfa {
    /// Never.
    #[default]
    Off,
    /// Only from people who have registered an authenticator.
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
    /// People cannot recover the password themselves; an administrator must do it.
    AdminOnly,
}

/// A custom attribute.
#[derive(Clone, Debug)]
pub struct CustomAttribute {
    /// The name without `custom:`.
    pub name: String,
    /// The type and constraint of its values.
    pub kind: CustomKind,
    /// Whether it can be changed after the user was created.
    pub mutable: bool,
}

/// The values of a custom attribute.
#[derive(Clone, Copy, Debug)]
pub enum CustomKind {
    /// A text with a length within these bounds.
    Text {
        /// The minimum length.
        min: usize,
        /// The maximum length, at most 2048.
        max: usize,
    },
    /// A whole number within these bounds.
    Number {
        /// The minimum.
        min: Option<i64>,
        /// The maximum.
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

/// A way to sign in that an app client can allow: its `ExplicitAuthFlows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFlow {
    /// `ALLOW_USER_SRP_AUTH`.
    UserSrp,
    /// `ALLOW_USER_PASSWORD_AUTH`.
    UserPassword,
    /// `ALLOW_ADMIN_USER_PASSWORD_AUTH`.
    AdminUserPassword,
    /// `ALLOW_REFRESH_TOKEN_AUTH`.
    RefreshToken,
}

impl AuthFlow {
    pub(super) const ALL: [Self; 4] = [
        Self::UserSrp,
        Self::UserPassword,
        Self::AdminUserPassword,
        Self::RefreshToken,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::UserSrp => "ALLOW_USER_SRP_AUTH",
            Self::UserPassword => "ALLOW_USER_PASSWORD_AUTH",
            Self::AdminUserPassword => "ALLOW_ADMIN_USER_PASSWORD_AUTH",
            Self::RefreshToken => "ALLOW_REFRESH_TOKEN_AUTH",
        }
    }
}

/// The secret of an app client.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// A new random secret.
    pub fn random() -> Self {
        Self(random_text(52, b"abcdefghijklmnopqrstuvwxyz0123456789"))
    }

    /// The secret as a text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

/// An app client. The defaults are those of the console for a page, plus USER_PASSWORD_AUTH.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The client's name.
    pub name: String,
    /// `PreventUserExistenceErrors`: true means ENABLED, false means LEGACY.
    pub prevent_user_existence_errors: bool,
    /// The attributes that a person can write with it; `None` means all except the `_verified` ones.
    pub write_attributes: Option<Vec<String>>,
    /// The attributes that are in its ID tokens; `None` means all.
    pub read_attributes: Option<Vec<String>>,
    /// The ways to sign in that it allows.
    pub flows: Vec<AuthFlow>,
    /// The secret; pages and apps have none.
    pub secret: Option<ClientSecret>,
    /// The grace period of refresh token rotation in seconds; `None` means that refresh tokens are not rotated.
    pub rotation: Option<u64>,
    /// How long its tokens are valid.
    pub lifetimes: TokenLifetimes,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            name: "app".to_owned(),
            prevent_user_existence_errors: true,
            write_attributes: None,
            read_attributes: None,
            flows: vec![
                AuthFlow::UserSrp,
                AuthFlow::UserPassword,
                AuthFlow::RefreshToken,
            ],
            secret: None,
            rotation: None,
            lifetimes: TokenLifetimes::default(),
        }
    }
}

/// The settings of a pool that have an effect here. The defaults are those of CreateUserPool.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The pool's name.
    pub name: String,
    /// The id, such as `ap-northeast-1_AbCdEf123`; `None` means a random one.
    pub id: Option<String>,
    /// The id of the first app client; `None` means a random one.
    pub client_id: Option<String>,
    /// The attributes that replace the username at sign-in.
    pub username_attributes: Vec<Contact>,
    /// The attributes that people can sign in with besides the username.
    pub alias_attributes: Vec<Alias>,
    /// Whether usernames are case-sensitive.
    pub case_sensitive: bool,
    /// Whether a sign-in needs an authenticator.
    pub mfa: Mfa,
    /// The attributes that are verified by the code of a sign-up.
    pub auto_verified: Vec<Contact>,
    /// The attributes that stay as they are until their new value is verified; each must be auto-verified.
    pub verified_before_update: Vec<Contact>,
    /// Standard attributes that every sign-up must have.
    pub required_attributes: Vec<String>,
    /// Custom attributes.
    pub custom_attributes: Vec<CustomAttribute>,
    /// The password policy.
    pub password_policy: PasswordPolicy,
    /// The ways to recover a password in order of preference; if empty, the phone number, then the email.
    pub recovery: Vec<Recovery>,
    /// Whether SignUp is rejected, so that only administrators create users.
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
            verified_before_update: Vec::new(),
            required_attributes: Vec::new(),
            custom_attributes: Vec::new(),
            password_policy: PasswordPolicy::default(),
            recovery: Vec::new(),
            admin_create_only: false,
            client: ClientSettings::default(),
        }
    }
}
