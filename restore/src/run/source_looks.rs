//! Phase 3, before the import files: every newcomer who would be brought home is looked up in the snapshot's pool.
//!
//! A snapshot says who somebody was. A newcomer who was disabled since must not come home enabled, and one who was deleted since must not
//! come home at all. Nor must anybody come home with an address that they have given up: whoever has it now could reset the password. If
//! there is such a newcomer, the run begins again with a new snapshot; where none can be taken, they are left out. AdminGetUser is up to
//! date, so what it says decides. Between this look and the end of the import job, somebody can still be disabled or deleted in the
//! snapshot's pool: whoever bans people then must do it in both pools.
//!
//! If the pool does not answer, nobody is brought home, unless the request accepts what the snapshot says. The report counts them then.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::decision::{Decision, NewcomerState, UserState};
use crate::error::RestoreError;
use crate::names::PersonKey;
use crate::run::decide::Situation;
use crate::run::lookups::CONCURRENT_LOOKUPS;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser};
use shared::cognito::pool::PoolError;
use shared::cognito::users;
use shared::identity::verified;
use shared::person::{Attributes, Person, Status};

/// What the snapshot's pool says of newcomers.
#[derive(Default)]
pub(super) struct SourceLooks(HashMap<PersonKey, Look>);

/// What the snapshot's pool says of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The user is there, and enabled.
    Enabled,
    /// The user is there, and disabled.
    Disabled,
    /// The user is there, with another sign-in name, or without a verified address that they have in the snapshot.
    Changed,
    /// There is no such user any more.
    Deleted,
    /// The pool did not answer.
    NoAnswer,
}

impl SourceLooks {
    /// What is known of a user of the snapshot; none if they were not looked up.
    pub(super) fn of(&self, key: &PersonKey) -> Option<Look> {
        self.0.get(key).copied()
    }

    /// Whether nobody has been disabled.
    pub(super) fn has_nobody_disabled(&self) -> bool {
        !self.0.values().any(|look| *look == Look::Disabled)
    }

    /// Adds later looks.
    pub(super) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

/// A newcomer as the snapshot has them.
struct Newcomer {
    /// A name of the user in the snapshot's pool.
    name: String,
    /// The name of their sign-up record, if it is known: their `sub`, or their username.
    record: Option<String>,
    /// What they sign in with.
    username: String,
    /// Their verified addresses: attribute and value.
    addresses: Vec<(&'static str, String)>,
}

impl Newcomer {
    /// The look that finds this user in the snapshot's pool, who signs in there with `sign_in_name`. A user whose record is another one
    /// has taken the name of somebody who is gone.
    fn look(&self, user: &Person, sign_in_name: &str) -> Look {
        let mut names = user.record_names();
        let record = self.record.as_deref();
        if record.is_some_and(|record| names.all(|name| name != record)) {
            return Look::Deleted;
        }
        let has_address = |(name, address): &(&str, String)| {
            verified(&user.attributes, name) == Some(address.as_str())
        };
        if sign_in_name != self.username || !self.addresses.iter().all(has_address) {
            return Look::Changed;
        }
        match user.enabled {
            true => Look::Enabled,
            false => Look::Disabled,
        }
    }
}

/// The verified addresses among the attributes that a restore gives a user.
fn verified_addresses(attributes: &Attributes) -> Vec<(&'static str, String)> {
    let addresses = ["email", "phone_number"].into_iter();
    addresses
        .filter_map(|name| Some((name, verified(attributes, name)?.to_owned())))
        .collect()
}

/// Looks up, in the snapshot's pool, every newcomer who is to be restored.
///
/// # Errors
///
/// The snapshot cannot be read, the deadline has come, or the pool does not answer and the request does not accept that.
/// [`RestoreError::Outdated`] if somebody has changed since the snapshot, and a new one can be taken.
pub(super) async fn look_at_newcomers(
    situation: Situation<'_>,
) -> Result<SourceLooks, RestoreError> {
    let prepared = situation.prepared;
    let mut looks = SourceLooks::default();
    let Some(pool) = &prepared.source_lookups else {
        return Ok(looks);
    };
    let mut newcomers = HashMap::new();
    let mut users = prepared.snapshot_users();
    while let Some(user) = users.next().await? {
        let key = user.who.key;
        let is_newcomer = prepared.newcomers.state_of(&key) != NewcomerState::NotNewcomer;
        if is_newcomer && may_be_restored(situation, &user) {
            let record = prepared.newcomers.record_of(&key).map(str::to_owned);
            let newcomer = Newcomer {
                addresses: verified_addresses(&prepared.attributes_of(&user)?),
                username: user.username.clone(),
                name: name_in_source(situation, &user, record.as_deref()).to_owned(),
                record,
            };
            newcomers.insert(key, newcomer);
        }
    }
    let mut looked_up = stream::iter(&newcomers)
        .map(async |(key, newcomer)| {
            let user = users::look_up(pool, &newcomer.name).await?;
            let look = user.map_or(Look::Deleted, |user| {
                newcomer.look(&user, prepared.format.sign_in_name(&user))
            });
            Ok::<_, PoolError>((*key, look))
        })
        .buffer_unordered(CONCURRENT_LOOKUPS);
    let error = loop {
        match looked_up.try_next().await {
            Ok(Some((_, Look::Changed))) if prepared.can_be_renewed => {
                return Err(RestoreError::Outdated(
                    prepared.source.manifest.snapshot.clone(),
                ));
            }
            Ok(Some((key, look))) => {
                looks.0.insert(key, look);
            }
            Ok(None) => return Ok(looks),
            Err(error) => break error,
        }
    };
    match error {
        PoolError::Aws(error) if !prepared.request.allow_stale => {
            let pool = pool.id().clone();
            Err(RestoreError::SourceSilent { pool, error })
        }
        PoolError::Aws(error) => {
            tracing::warn!(
                %error,
                "newcomers cannot be looked up in the snapshot's pool: they are restored as the snapshot has them"
            );
            for key in newcomers.keys() {
                looks.0.entry(*key).or_insert(Look::NoAnswer);
            }
            Ok(looks)
        }
        error => Err(error.into()),
    }
}

/// Whether this run may restore the user: bring them, or finish a user whom an earlier run may have begun to create.
fn may_be_restored(situation: Situation<'_>, user: &SnapshotUser) -> bool {
    matches!(situation.decide(user), Decision::Restore { .. })
        || situation.state_of(&user.who) == UserState::Other(Status::ForceChangePassword)
}

/// A name that a user has for ever in the snapshot's pool, as far as it is known. Where people choose usernames, it is the username:
/// somebody may have chosen the `sub` of somebody else.
fn name_in_source<'a>(
    situation: Situation<'_>,
    user: &'a SnapshotUser,
    record: Option<&'a str>,
) -> &'a str {
    let source = &situation.prepared.source.manifest.pool;
    match &user.entry {
        _ if source.username_attributes.is_empty() => &user.username,
        SnapshotEntry::Leftover(leftover) if !leftover.sub.is_empty() => &leftover.sub,
        _ => record.unwrap_or(&user.username),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(attributes: &[(&str, &str)]) -> Person {
        Person {
            username: "s".into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: attributes.iter().copied().collect(),
            created_at: None,
            mfa: false,
        }
    }

    #[test]
    fn a_newcomer_is_as_in_the_snapshot_while_the_name_and_the_verified_addresses_are_theirs() {
        let email = [("email", "taro@example.jp"), ("email_verified", "true")];
        let phone = [("phone_number", "+8190"), ("phone_number_verified", "true")];
        let both = [email, phone].concat();
        let newcomer = Newcomer {
            name: "s".into(),
            record: Some("s".into()),
            username: "taro".into(),
            addresses: verified_addresses(&user(&both).attributes),
        };

        for (attributes, look) in [
            (&both[..], Look::Enabled),
            (&[&both[..], &[("name", "Taro")]].concat(), Look::Enabled),
            (&email, Look::Changed),
            (
                &[phone[0], phone[1], email[0], ("email_verified", "false")],
                Look::Changed,
            ),
            (
                &[phone[0], phone[1], ("email", "jiro@example.jp"), email[1]],
                Look::Changed,
            ),
        ] {
            let now = user(attributes);
            assert_eq!(newcomer.look(&now, "taro"), look, "{attributes:?}");
            assert_eq!(newcomer.look(&now, "jiro"), Look::Changed);
        }
        let banned = Person {
            enabled: false,
            ..user(&both)
        };
        assert_eq!(newcomer.look(&banned, "taro"), Look::Disabled);
        let another = Person {
            username: "taro".into(),
            ..user(&both)
        };
        assert_eq!(newcomer.look(&another, "taro"), Look::Deleted);
    }

    #[test]
    fn an_address_that_is_not_verified_in_the_snapshot_may_change() {
        let unverified = [
            ("email", "taro@example.jp"),
            ("email_verified", "false"),
            ("phone_number_verified", "true"),
        ];

        assert!(verified_addresses(&user(&unverified).attributes).is_empty());
    }
}
