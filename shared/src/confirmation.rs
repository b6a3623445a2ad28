//! A confirmation: what is kept of a trigger event, in the outbox and in the journal alike.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::TriggerEvent;
use crate::person::Attributes;
use crate::time::to_milliseconds;

/// What is kept of the event that a person was confirmed or has reset the password. `clientMetadata` is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The version of this format: 1.
    pub version: u32,
    /// Cognito's name of the trigger.
    pub trigger: String,
    /// The pool that sent the event.
    pub pool: Option<String>,
    /// The event's `userName`.
    pub username: Option<Username>,
    /// The person's id in that pool.
    pub sub: Option<String>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Every attribute of the event.
    pub attributes: Attributes,
}

impl Confirmation {
    /// The confirmation that an event tells of.
    pub fn from_event(event: &TriggerEvent, now: Timestamp) -> Self {
        Self {
            version: 1,
            trigger: event.source.as_str().to_owned(),
            pool: event.pool.clone(),
            username: event.username.clone().map(Username),
            sub: event.attributes.get("sub").map(str::to_owned),
            recorded_at: to_milliseconds(now),
            attributes: event.attributes.clone(),
        }
    }

    /// The object's name below its prefix: by `sub`, else by username, so that a repeated event changes nothing.
    /// None when the event names nobody.
    pub fn object_name(&self) -> Option<String> {
        let username = self.username.as_ref().map(Username::as_str);
        self.sub.as_deref().or(username).map(object_name)
    }

    /// How a log names this person: by `sub` only.
    pub fn log_name(&self) -> &str {
        self.sub.as_deref().unwrap_or("(no sub)")
    }
}

/// The object name for a `sub` or username. A username may hold any character; a slash would nest the object.
pub fn object_name(person: &str) -> String {
    let escaped = person.replace('%', "%25").replace('/', "%2F");
    format!("{escaped}.json")
}

/// The `sub` or username that an object name stands for: the inverse of [`object_name`]. None when it is no such name.
pub fn person_of_object(object_name: &str) -> Option<String> {
    let name = object_name.strip_suffix(".json")?;
    Some(name.replace("%2F", "/").replace("%25", "%"))
}

/// A username, which may be an email address. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(pub String);

impl Username {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Username {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Username(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Source;

    fn event(username: Option<&str>, attributes: &[(&str, &str)]) -> TriggerEvent {
        TriggerEvent {
            source: Source::ConfirmSignUp,
            pool: Some("ap-northeast-1_Example01".into()),
            username: username.map(str::to_owned),
            attributes: attributes.iter().copied().collect(),
        }
    }

    #[test]
    fn a_confirmation_is_written_with_the_names_of_the_contract() {
        let event = event(Some("u-1"), &[("sub", "s-1"), ("email", "taro@example.jp")]);

        let json =
            serde_json::to_value(Confirmation::from_event(&event, Timestamp::UNIX_EPOCH)).unwrap();

        assert_eq!(
            json,
            serde_json::json!({
                "version": 1, "trigger": "PostConfirmation_ConfirmSignUp", "pool": "ap-northeast-1_Example01",
                "username": "u-1", "sub": "s-1", "recorded_at": "1970-01-01T00:00:00Z",
                "attributes": {"sub": "s-1", "email": "taro@example.jp"},
            })
        );
    }

    #[test]
    fn an_object_is_named_by_sub_else_by_username_else_not_at_all() {
        let name = |username, attributes: &[(&str, &str)]| {
            Confirmation::from_event(&event(username, attributes), Timestamp::UNIX_EPOCH)
                .object_name()
        };

        assert_eq!(name(Some("u"), &[("sub", "s")]), Some("s.json".into()));
        assert_eq!(name(Some("a/b%"), &[]), Some("a%2Fb%25.json".into()));
        assert_eq!(name(None, &[("email", "a@b.jp")]), None);
        assert_eq!(person_of_object("a%2Fb%25.json"), Some("a/b%".into()));
    }

    #[test]
    fn debug_shows_no_person() {
        let confirmation = Confirmation::from_event(
            &event(Some("taro@example.jp"), &[("email", "taro@example.jp")]),
            Timestamp::UNIX_EPOCH,
        );

        assert!(!format!("{confirmation:?}").contains("taro"));
    }
}
