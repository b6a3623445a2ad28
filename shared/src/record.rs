//! A confirmation kept in S3, one object a person: in the outbox and its conflicts, and in the journal.

use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::AwsError;
use crate::bucket::{Bucket, Condition, json};
use crate::event::TriggerEvent;
use crate::invocation::{Interrupted, guarded};
use crate::person::Attributes;

/// Confirmations that could not be replicated yet.
pub const OUTBOX: &str = "outbox/";
/// Confirmations that can never be replicated as they are, each with its reason.
pub const CONFLICTS: &str = "conflicts/";
/// Sign-ups that the secondary pool's trigger saw.
pub const SIGN_UPS: &str = "journal/sign-up/";
/// Password resets that the secondary pool's trigger saw.
pub const PASSWORD_RESETS: &str = "journal/password-reset/";
/// Sign-ups of people who have been brought home.
pub const RESTORED: &str = "journal/restored/";

/// What is kept of a confirmation. `clientMetadata` is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The form of this record: 1.
    pub version: u32,
    /// Cognito's name of the trigger.
    pub trigger: String,
    /// The pool that sent the event.
    pub pool: Option<String>,
    /// The event's `userName`.
    pub username: Option<Username>,
    /// The person's id in that pool.
    pub sub: Option<String>,
    /// When the record was written.
    pub recorded_at: Timestamp,
    /// Every attribute of the event.
    pub attributes: Attributes,
}

impl Record {
    /// The record of an event.
    pub fn of(event: &TriggerEvent, now: Timestamp) -> Self {
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
    /// None when the event named nobody.
    pub fn object_name(&self) -> Option<String> {
        let username = self.username.as_ref().map(Username::as_str);
        self.sub.as_deref().or(username).map(object_name)
    }

    /// Puts it below a prefix, by a point in time. One that is there already is as good: a repeated event changes nothing.
    pub async fn keep(&self, bucket: &Bucket, prefix: &str, until: Instant) -> Result<(), NotKept> {
        let name = self.object_name().ok_or(NotKept::Nobody)?;
        let (bucket, key, body) = (bucket.clone(), format!("{prefix}{name}"), json(self));
        let put = async move { bucket.put_if(&key, body, Condition::Absent).await };
        guarded(until, put).await??;
        Ok(())
    }

    /// How a log names this person: by `sub` alone.
    pub fn log_name(&self) -> &str {
        self.sub.as_deref().unwrap_or("(no sub)")
    }
}

/// Why a confirmation is not kept in S3.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// There is neither a `sub` nor a username.
    #[error("the event names nobody")]
    Nobody,
    /// S3 refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// S3 did not answer in time.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The object name for a `sub` or username. A username may hold any character; a slash would nest the object.
pub fn object_name(person: &str) -> String {
    let escaped = person.replace('%', "%25").replace('/', "%2F");
    format!("{escaped}.json")
}

/// The `sub` or username that an object name stands for: the reverse of [`object_name`].
pub fn person_of(object_name: &str) -> Option<String> {
    let name = object_name.strip_suffix(".json")?;
    Some(name.replace("%2F", "/").replace("%25", "%"))
}

/// The same instant without what a log or a file needs no more.
pub fn to_milliseconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(instant.as_millisecond()).unwrap_or(instant)
}

/// A username, which may be an email address: `Debug` does not show it.
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
    fn a_record_is_written_with_the_names_of_the_contract() {
        let event = event(Some("u-1"), &[("sub", "s-1"), ("email", "taro@example.jp")]);

        let json = serde_json::to_value(Record::of(&event, Timestamp::UNIX_EPOCH)).unwrap();

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
    fn a_record_is_named_by_sub_else_by_username_else_not_at_all() {
        let name = |username, attributes: &[(&str, &str)]| {
            Record::of(&event(username, attributes), Timestamp::UNIX_EPOCH).object_name()
        };

        assert_eq!(name(Some("u"), &[("sub", "s")]), Some("s.json".into()));
        assert_eq!(name(Some("a/b%"), &[]), Some("a%2Fb%25.json".into()));
        assert_eq!(name(None, &[("email", "a@b.jp")]), None);
        assert_eq!(person_of("a%2Fb%25.json"), Some("a/b%".into()));
    }

    #[test]
    fn debug_shows_no_person() {
        let record = Record::of(
            &event(Some("taro@example.jp"), &[("email", "taro@example.jp")]),
            Timestamp::UNIX_EPOCH,
        );

        assert!(!format!("{record:?}").contains("taro"));
    }
}
