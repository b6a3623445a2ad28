//! Phase 3, before the import files: every newcomer who would be brought home is looked up in the snapshot's pool.
//!
//! A snapshot says who somebody was. A newcomer who was disabled since must not come home enabled, and one who was deleted since must not
//! come home at all. AdminGetUser is up to date, so what it says decides. Between this look and the end of the import job, somebody can
//! still be disabled or deleted in the snapshot's pool: whoever bans people then must do it in both pools.
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
use shared::person::Status;

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

/// Looks up, in the snapshot's pool, every newcomer who is to be restored.
///
/// # Errors
///
/// The snapshot cannot be read, the deadline has come, or the pool does not answer and the request does not accept that.
pub(super) async fn look_at_newcomers(
    situation: Situation<'_>,
) -> Result<SourceLooks, RestoreError> {
    let prepared = situation.prepared;
    let mut looks = SourceLooks::default();
    let Some(pool) = &prepared.source_lookups else {
        return Ok(looks);
    };
    let mut names = HashMap::new();
    let mut users = prepared.snapshot_users();
    while let Some(user) = users.next().await? {
        let key = user.who.key;
        let is_newcomer = prepared.newcomers.state_of(&key) != NewcomerState::NotNewcomer;
        if is_newcomer && may_be_restored(situation, &user) {
            let record = prepared.newcomers.record_of(&key).map(str::to_owned);
            names.insert(key, record.unwrap_or_else(|| name_in_source(user)));
        }
    }
    let mut looked_up = stream::iter(&names)
        .map(async |(key, name)| {
            let user = users::look_up(pool, name).await?;
            Ok::<_, PoolError>((*key, user.map(|user| user.enabled)))
        })
        .buffer_unordered(CONCURRENT_LOOKUPS);
    let error = loop {
        match looked_up.try_next().await {
            Ok(Some((key, is_enabled))) => {
                let look = match is_enabled {
                    Some(true) => Look::Enabled,
                    Some(false) => Look::Disabled,
                    None => Look::Deleted,
                };
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
            for key in names.keys() {
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

/// A name of a user whose record is not known, in the snapshot's pool.
fn name_in_source(user: SnapshotUser) -> String {
    match user.entry {
        SnapshotEntry::Leftover(leftover) if !leftover.sub.is_empty() => leftover.sub,
        _ => user.username,
    }
}
