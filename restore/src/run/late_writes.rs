//! Phase 5: what no import file can carry, written with the user API after the import.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::decision::{Candidate, Decision, NewcomerState, can_be_created};
use crate::error::RestoreError;
use crate::names::NameHash;
use crate::reason::Reason;
use crate::run::config::Step;
use crate::run::decide::Situation;
use crate::source::Leftover;
use crate::target_pool::{TargetUser, UserState};
use crate::writes::create_left_out_user;
use shared::cognito::pool::PoolError;
use shared::cognito::users::{self, RefusedAttribute};
use shared::person::Status;

/// What was written after the import.
#[derive(Default)]
pub(super) struct LateWrites {
    /// The users to create with AdminCreateUser: their `sub`, or why they could not be created.
    pub(super) created: HashMap<NameHash, Result<String, Reason>>,
    /// Number of users who got all the attributes that no import file can carry.
    pub(super) attributes_written: u64,
    /// Attributes that could not be written.
    pub(super) attributes_missing: Vec<MissingAttribute>,
}

/// An attribute that a user of the target pool still lacks, as the report names it.
#[derive(Serialize)]
pub(super) struct MissingAttribute {
    pub(super) username: String,
    sub: String,
    attribute: String,
    code: String,
}

/// Creates the users whom no import file can carry, and writes the attributes that no import file can carry. `since` is when the
/// first unfinished restore began: a half-made user since then was made by a restore.
///
/// # Errors
///
/// The snapshot cannot be read, or a call fails for a reason that does not concern a single user.
pub(super) async fn write_late(
    situation: Situation<'_>,
    since: Timestamp,
) -> Result<LateWrites, RestoreError> {
    let prepared = situation.prepared;
    let mut late_writes = LateWrites::default();
    let mut users_written = 0;
    let mut has_attributes_written = HashSet::new();
    let mut leftovers = prepared.source.leftovers();
    while let Some(leftover) = leftovers.next().await? {
        let name = prepared.hasher.hash(&leftover.username);
        if leftover.is_attribute() {
            let Some(user) = attributes_to_write(situation, &name) else {
                continue;
            };
            // All attributes of a user are written at the first of them.
            if !has_attributes_written.insert(name) {
                continue;
            }
            let pool = &prepared.target_writes;
            let refused =
                users::write_attributes(pool, &user.sub, &user.missing_attributes).await?;
            late_writes.add_attributes(&leftover, refused);
        } else {
            let Some(created) = create_user(situation, since, name, leftover).await? else {
                continue;
            };
            late_writes.created.insert(name, created);
        }
        users_written += 1;
        (prepared.run.on_progress)(Step::WritingUsers(users_written));
    }
    Ok(late_writes)
}

impl LateWrites {
    fn add_attributes(&mut self, leftover: &Leftover, refused: Vec<RefusedAttribute>) {
        self.attributes_written += u64::from(refused.is_empty());
        let refused = refused.into_iter().map(|refused| MissingAttribute {
            username: leftover.username.clone(),
            sub: leftover.sub.clone(),
            attribute: refused.name,
            code: refused.code,
        });
        self.attributes_missing.extend(refused);
    }
}

/// The user of the target pool with this name, if this restore is to write attributes to them: they were in an import file or are a
/// pending newcomer, and they lack attributes.
fn attributes_to_write<'a>(situation: Situation<'a>, name: &NameHash) -> Option<&'a TargetUser> {
    let is_restored = situation.results.in_files.contains(name)
        || situation.prepared.newcomers.state_of(name) == NewcomerState::Pending;
    let user = situation.target.wanted_user(name);
    user.filter(|user| is_restored && !user.missing_attributes.is_empty())
}

/// Number of users to whom a real run would write attributes that no import file can carry.
pub(super) fn count_expected_attribute_writes(situation: Situation<'_>) -> u64 {
    let Situation {
        prepared, target, ..
    } = situation;
    let wanted = prepared.wanted.iter();
    let with_attributes = wanted.filter(|(_, attributes)| !attributes.is_empty());
    let expected = with_attributes.filter(|(name, _)| match target.wanted_user(name) {
        Some(user) => {
            prepared.newcomers.state_of(name) == NewcomerState::Pending
                && !user.missing_attributes.is_empty()
        }
        None => target.state_of(name) == UserState::Absent,
    });
    expected.count() as u64
}

/// Creates a user whom the import files leave out, or finishes a half-made one, if the user is to be restored. Returns the `sub`, or why
/// the user could not be created.
async fn create_user(
    situation: Situation<'_>,
    since: Timestamp,
    name: NameHash,
    mut leftover: Leftover,
) -> Result<Option<Result<String, Reason>>, RestoreError> {
    let prepared = situation.prepared;
    if let Some(attribute) = &prepared.newcomers.origin_sub
        && prepared.newcomers.state_of(&name) != NewcomerState::NotNewcomer
    {
        // The rows of the other newcomers have the attribute already.
        let sub = leftover.sub.clone();
        leftover.attributes.insert(attribute, &sub);
    }
    // An earlier run created the user and was stopped before it set the final password.
    let is_half_made = situation.target.state_of(&name)
        == UserState::Other(Status::ForceChangePassword)
        && can_be_created(&leftover.reason)
        && prepared.is_in_scope(&name);
    let decision = situation.decide_candidate(&name, Candidate::LeftOut(&leftover.reason));
    let is_to_be_created = matches!(decision, Decision::Restore { .. });
    if !is_to_be_created && !is_half_made {
        return Ok(None);
    }
    let created = create_left_out_user(&prepared.target_writes, since, &leftover);
    match created.await {
        Ok(created) => Ok(Some(created)),
        Err(PoolError::Aws(error)) if !error.is_transient() && !error.is_configuration() => {
            Ok(Some(Err(Reason::CreateFailed(error.to_string()))))
        }
        Err(error) => Err(error.into()),
    }
}
