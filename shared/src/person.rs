//! People in a user pool and their attributes. Their values are never printed: `Debug` shows the names of the attributes and
//! the `sub`.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_cognitoidentityprovider::types::{AttributeType, UserStatusType, UserType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::environment::CustomAttribute;

/// The attributes of one person, by name.
///
/// Kept as a list, sorted by name: a person has about a dozen attributes, and a snapshot of a large pool spends most of its
/// time on creating and reading them.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// The value of an attribute that is present and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Most of so few names differ in length, so comparing each of them is faster than a binary search.
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The position of an attribute, or the position where it would be inserted.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// Whether a verification flag such as `email_verified` is true. Upper and lower case count alike, because both occur.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Sets an attribute, and replaces its value if it is present.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.find(&name) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// Removes an attribute. Returns whether it was present.
    pub fn remove(&mut self, name: &str) -> bool {
        self.find(name).map(|at| self.0.remove(at)).is_ok()
    }

    /// All names and values, empty values included, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The identity of the person who has these attributes: the same value in both pools. It is what `origin`, the configured
    /// origin attribute, carries; a person without it is known by the `sub` of their first pool.
    pub fn identity(&self, origin: Option<&CustomAttribute>) -> Option<&str> {
        self.origin(origin).or_else(|| self.get("sub"))
    }

    /// What the configured origin attribute carries; none where it is not configured or has no value.
    pub fn origin(&self, origin: Option<&CustomAttribute>) -> Option<&str> {
        self.get(origin?.as_str())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Attributes {
    /// If a name occurs twice, the later value is kept.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(attributes: I) -> Self {
        let attributes = attributes.into_iter();
        let mut all: Vec<(String, String)> = attributes
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            is_same
        });
        Self(all)
    }
}

impl From<BTreeMap<String, String>> for Attributes {
    fn from(attributes: BTreeMap<String, String>) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl From<Vec<AttributeType>> for Attributes {
    fn from(attributes: Vec<AttributeType>) -> Self {
        attributes
            .into_iter()
            .map(|attribute| (attribute.name, attribute.value.unwrap_or_default()))
            .collect()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Whether Cognito sets the attribute itself, so that nobody can write it.
/// AdminCreateUser refuses `sub`: "Cannot modify the non-mutable attribute sub".
pub fn is_cognitos_own(attribute: &str) -> bool {
    matches!(attribute, "sub" | "identities") || attribute.starts_with("cognito:")
}

/// The status of a user (botocore: UserStatusType).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    /// The person has signed up, but has not proved an address yet.
    Unconfirmed,
    /// The person has proved an address, or an administrator has set a permanent password.
    Confirmed,
    /// Created by an administrator, with a temporary password. The person cannot use "forgot password".
    ForceChangePassword,
    /// Imported or reset: the person must choose a new password.
    ResetRequired,
    /// The person comes from another identity provider.
    ExternalProvider,
    /// Cognito has archived the user.
    Archived,
    /// Threat protection has disabled the user.
    Compromised,
    /// `UNKNOWN`, or a status that this version does not know, as Cognito returned it.
    Other(String),
}

impl From<&str> for Status {
    fn from(status: &str) -> Self {
        match status {
            "UNCONFIRMED" => Self::Unconfirmed,
            "CONFIRMED" => Self::Confirmed,
            "FORCE_CHANGE_PASSWORD" => Self::ForceChangePassword,
            "RESET_REQUIRED" => Self::ResetRequired,
            "EXTERNAL_PROVIDER" => Self::ExternalProvider,
            "ARCHIVED" => Self::Archived,
            "COMPROMISED" => Self::Compromised,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl From<String> for Status {
    fn from(status: String) -> Self {
        Self::from(status.as_str())
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.to_string()
    }
}

impl From<Option<UserStatusType>> for Status {
    fn from(status: Option<UserStatusType>) -> Self {
        Self::from(status.as_ref().map_or("UNKNOWN", |status| status.as_str()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unconfirmed => "UNCONFIRMED",
            Self::Confirmed => "CONFIRMED",
            Self::ForceChangePassword => "FORCE_CHANGE_PASSWORD",
            Self::ResetRequired => "RESET_REQUIRED",
            Self::ExternalProvider => "EXTERNAL_PROVIDER",
            Self::Archived => "ARCHIVED",
            Self::Compromised => "COMPROMISED",
            Self::Other(status) => status,
        })
    }
}

/// A user of a pool, as ListUsers or AdminGetUser returns it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Cognito's `Username`. In pools whose people sign in with an email address or a phone number, a UUID equal to `sub`.
    pub username: String,
    /// The user's status.
    pub status: Status,
    /// Whether the user is enabled: a disabled user cannot sign in.
    pub enabled: bool,
    /// All attributes, `sub` included.
    pub attributes: Attributes,
    /// When the user was created, where it was asked for.
    #[serde(skip)]
    pub created_at: Option<Timestamp>,
    /// Whether the user has enrolled an authenticator app, where AdminGetUser was asked: ListUsers does not say it.
    #[serde(skip)]
    pub mfa: bool,
}

impl Person {
    /// The person's id in this pool. It is the only thing that a log shows of a person.
    pub fn sub(&self) -> Option<&str> {
        self.attributes.get("sub")
    }

    /// What their records may be named by: the `sub`, and the username where that is another name, because an event may lack the `sub`.
    pub fn record_names(&self) -> impl Iterator<Item = &str> {
        let username = Some(self.username.as_str());
        let username = username.filter(|username| self.sub() != Some(*username));
        self.sub().into_iter().chain(username)
    }
}

impl From<UserType> for Person {
    fn from(user: UserType) -> Self {
        Self {
            username: user.username.unwrap_or_default(),
            status: user.user_status.into(),
            enabled: user.enabled,
            attributes: user.attributes.unwrap_or_default().into(),
            created_at: None,
            mfa: false,
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("sub", &self.sub())
            .field("status", &self.status)
            .field("enabled", &self.enabled)
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_sub_and_no_other_value() {
        let person = Person {
            username: "taro".into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: Attributes::from_iter([("sub", "0a1b"), ("email", "taro@example.jp")]),
            created_at: None,
            mfa: false,
        };

        let debug = format!("{person:?}");

        assert!(debug.contains("0a1b"));
        assert!(!debug.contains("taro"));
    }

    #[test]
    fn of_two_values_of_one_attribute_the_later_is_kept() {
        let mut attributes = Attributes::from_iter([("name", "1"), ("email", "2"), ("name", "3")]);

        attributes.insert("email", "4");
        attributes.insert("address", "5");

        let all: Vec<_> = attributes.iter().collect();
        assert_eq!(all, [("address", "5"), ("email", "4"), ("name", "3")]);
        assert_eq!(attributes.get("name"), Some("3"));
        assert!(attributes.remove("name") && !attributes.remove("name"));
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(json, r#"{"address":"5","email":"4"}"#);
        assert!(serde_json::from_str::<Attributes>(&json).unwrap() == attributes);
    }

    #[test]
    fn an_unknown_status_keeps_its_text() {
        assert_eq!(Status::from("NEW_IN_2027").to_string(), "NEW_IN_2027");
    }
}
