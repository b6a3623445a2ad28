//! Phase 5: what no import file can carry, written with the user API after the import.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::decision::{Decision, NewcomerState, UserState, can_be_created, not_restored};
use crate::error::RestoreError;
use crate::names::PersonKey;
use crate::reason::Reason;
use crate::run::config::Step;
use crate::run::decide::Situation;
use crate::run::prepare::Prepared;
use crate::run::source_looks::Look;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser};
use crate::writes::{Creation, Creator, NAME_HELD, NewUser};
use shared::aws::Failure;
use shared::cognito::pool::PoolError;
use shared::cognito::users::{self, RefusedAttribute};
use shared::person::{Attributes, Person, Status, is_cognitos_own};

/// The code with which Cognito refuses to add somebody to a group that does not exist.
const NO_SUCH_GROUP: &str = "ResourceNotFoundException";

/// What was written after the import.
#[derive(Default)]
pub(super) struct LateWrites {
    /// The users to create with AdminCreateUser: their `sub`, or why they could not be created.
    pub(super) created: HashMap<PersonKey, Result<String, Reason>>,
    /// Number of users who got all the attributes that no import file can carry.
    pub(super) attributes_written: u64,
    /// Attributes that could not be written.
    pub(super) attributes_missing: Vec<MissingAttribute>,
    /// Number of memberships in groups that were written.
    pub(super) groups_written: u64,
    /// Memberships that could not be written.
    pub(super) groups_missing: Vec<MissingGroup>,
    /// The groups that the target pool does not have.
    absent_groups: HashSet<String>,
}

/// A group that a newcomer of the target pool is still not in, as the report names it.
#[derive(Serialize)]
pub(super) struct MissingGroup {
    username: String,
    sub: String,
    group: String,
    code: String,
}

/// An attribute that a user of the target pool still lacks, as the report names it.
#[derive(Serialize)]
pub(super) struct MissingAttribute {
    pub(super) username: String,
    sub: String,
    attribute: String,
    code: String,
}

/// Creates the users whom no import file can carry, and writes the attributes and the groups that no import file can carry.
///
/// # Errors
///
/// The snapshot cannot be read, or a call fails for a reason that does not concern a single user.
pub(super) async fn write_late(
    situation: Situation<'_>,
    late_writes: &mut LateWrites,
) -> Result<(), RestoreError> {
    let prepared = situation.prepared;
    let mut users_written = 0;
    let mut users = situation.users_with_late_writes();
    while let Some(user) = users.next().await? {
        let mut is_written = false;
        if situation.is_created_one_by_one(&user) {
            if prepared.config.fill.is_some() {
                continue;
            }
            if let Some(created) = create_user(situation, &user).await? {
                late_writes.created.insert(user.who.key, created);
                is_written = true;
            }
        } else if let Some((sub, attributes)) = attributes_to_write(situation, &user) {
            let pool = &prepared.target_writes;
            let (attributes, held) = leave_out_held_names(prepared, &sub, attributes).await?;
            let mut refused = users::write_attributes(pool, &sub, &attributes).await?;
            refused.extend(held);
            let late = prepared.late_attributes.get(&user.who.key);
            let source_sub = late.map_or("", |late| &late.sub);
            late_writes.add_attributes(&user.username, source_sub, refused);
            is_written = true;
        }
        is_written |= write_groups(situation, &user, late_writes).await?;
        if is_written {
            users_written += 1;
            (prepared.run.on_progress)(Step::WritingUsers(users_written));
        }
    }
    Ok(())
}

impl LateWrites {
    /// Whether the next run would do the same again: nothing but groups was written.
    pub(super) fn are_repeated_by_the_next_run(&self) -> bool {
        self.created.is_empty() && self.attributes_written == 0
    }

    fn add_attributes(&mut self, username: &str, sub: &str, refused: Vec<RefusedAttribute>) {
        self.attributes_written += u64::from(refused.is_empty());
        let refused = refused.into_iter().map(|refused| MissingAttribute {
            username: username.to_owned(),
            sub: sub.to_owned(),
            attribute: refused.name,
            code: refused.code,
        });
        self.attributes_missing.extend(refused);
    }
}

/// The attributes that this restore is to write to a user, with the user's `sub` in the target pool: the user was in an import file or
/// is a pending newcomer, is home, and lacks attributes.
fn attributes_to_write(
    situation: Situation<'_>,
    user: &SnapshotUser,
) -> Option<(String, Attributes)> {
    let (prepared, key) = (situation.prepared, &user.who.key);
    let is_restored = situation.results.in_files.contains(key)
        || prepared.newcomers.state_of(key) == NewcomerState::Pending;
    let late = prepared.late_attributes.get(key).filter(|_| is_restored)?;
    let home = situation.home_user(&user.who)?;
    let missing = home.missing(&late.attributes);
    (!missing.is_empty()).then(|| (home.sub.clone(), missing))
}

/// Leaves out what another user signs in with, or may sign in with: in an alias pool, the write would take them from their holder without an
/// error (facts N11.11). Gives the rest, and what was left out.
async fn leave_out_held_names(
    prepared: &Prepared<'_>,
    sub: &str,
    mut attributes: Attributes,
) -> Result<(Attributes, Vec<RefusedAttribute>), RestoreError> {
    let mut held = Vec::new();
    for attribute in prepared.comparison.sign_in_attributes() {
        let Some(value) = attributes.get(attribute).filter(|value| !value.is_empty()) else {
            continue;
        };
        let holder = users::look_up_holder(&prepared.target_lookups, value).await?;
        if holder.may_be_another_than(sub) {
            for name in [attribute.to_owned(), format!("{attribute}_verified")] {
                if attributes.remove(&name) {
                    let code = NAME_HELD.to_owned();
                    held.push(RefusedAttribute { name, code });
                }
            }
        }
    }
    Ok((attributes, held))
}

/// Adds a newcomer to the groups that they were in, if this restore brought them, or they wait to be brought home and are there now.
/// Returns whether there was something to write. Adding somebody to a group twice changes nothing (facts N2).
async fn write_groups(
    situation: Situation<'_>,
    user: &SnapshotUser,
    late_writes: &mut LateWrites,
) -> Result<bool, RestoreError> {
    let (prepared, key) = (situation.prepared, &user.who.key);
    let groups = prepared.groups_of(user);
    let created = late_writes.created.get(key);
    let created = created.and_then(|created| created.as_deref().ok());
    let home = situation.home_user(&user.who).filter(|_| {
        situation.results.in_files.contains(key)
            || prepared.newcomers.state_of(key) == NewcomerState::Pending
    });
    let sub = created.or_else(|| home.map(|home| home.sub.as_str()));
    let Some(sub) = sub.filter(|_| !groups.is_empty()).map(str::to_owned) else {
        return Ok(false);
    };
    for group in groups {
        let refusal = match late_writes.absent_groups.contains(group) {
            true => NO_SUCH_GROUP.to_owned(),
            false => match users::add_to_group(&prepared.target_writes, &sub, group).await {
                Ok(()) => {
                    late_writes.groups_written += 1;
                    continue;
                }
                // Also a missing permission: the person is home, and a group can be given by hand.
                Err(PoolError::Aws(error)) if error.failure() == Failure::Refused => {
                    error.code().to_owned()
                }
                Err(error) => return Err(error.into()),
            },
        };
        if refusal == NO_SUCH_GROUP {
            late_writes.absent_groups.insert(group.clone());
        }
        late_writes.groups_missing.push(MissingGroup {
            username: user.username.clone(),
            sub: sub.clone(),
            group: group.clone(),
            code: refusal,
        });
    }
    Ok(true)
}

/// What a real run would write that no import file can carry: numbers only.
pub(super) async fn expected_late_writes(
    situation: Situation<'_>,
) -> Result<LateWrites, RestoreError> {
    let prepared = situation.prepared;
    let mut expected = LateWrites::default();
    let mut users = situation.users_with_late_writes();
    while let Some(user) = users.next().await? {
        let key = &user.who.key;
        let home = situation.home_user(&user.who);
        let is_restored = match home {
            Some(_) => prepared.newcomers.state_of(key) == NewcomerState::Pending,
            None => matches!(situation.decide(&user), Decision::Restore { .. }),
        };
        if !is_restored {
            continue;
        }
        expected.groups_written += prepared.groups_of(&user).len() as u64;
        let late = prepared.late_attributes.get(key);
        let Some(late) = late.filter(|_| !situation.is_created_one_by_one(&user)) else {
            continue;
        };
        let is_missing = match home {
            Some(home) => !home.missing(&late.attributes).is_empty(),
            None => !late.attributes.is_empty(),
        };
        expected.attributes_written += u64::from(is_missing);
    }
    Ok(expected)
}

/// Creates a user whom no import file can carry, or finishes a half-made one, if the user is to be restored. Returns the `sub`, or why
/// the user could not be created.
async fn create_user(
    situation: Situation<'_>,
    user: &SnapshotUser,
) -> Result<Option<Result<String, Reason>>, RestoreError> {
    let prepared = situation.prepared;
    let who = &user.who;
    // Perhaps an earlier run created the user and was stopped before it set the final password. The notes of the restore say.
    let may_be_half_made = situation.state_of(who) == UserState::Other(Status::ForceChangePassword)
        && prepared.is_in_scope(&who.key)
        && !matches!(
            situation.looks.of(&who.key),
            Some(Look::Deleted | Look::Changed)
        )
        && match &user.entry {
            SnapshotEntry::Leftover(leftover) => {
                let is_wanted = !leftover.is_withheld_as_deleted() || prepared.request.withheld;
                is_wanted && can_be_created(&leftover.reason)
            }
            SnapshotEntry::ImportRow(_) => true,
        };
    let is_to_be_created = matches!(situation.decide(user), Decision::Restore { .. });
    if !is_to_be_created && !may_be_half_made {
        return Ok(None);
    }
    let new_user = new_user(situation, user)?;
    let creator = Creator {
        pool: &prepared.target_writes,
        bucket: &prepared.config.bucket,
    };
    let (target, namesakes) = (situation.target, &prepared.namesakes);
    Ok(Some(match creator.create(&new_user).await? {
        Creation::Created(sub) => Ok(sub),
        Creation::Found(holder) => match target.state_of_holder(who, &holder, namesakes) {
            UserState::Present => Ok(sub_of(&holder)),
            state => Err(not_restored(state)),
        },
        Creation::AddressTaken(holder) => Err(Reason::AddressTaken(sub_of(&holder))),
        Creation::NotCreated(reason) => Err(reason),
    }))
}

/// The user as they are created, with their identity in the origin attribute.
fn new_user(situation: Situation<'_>, user: &SnapshotUser) -> Result<NewUser, RestoreError> {
    let (prepared, key) = (situation.prepared, user.who.key);
    let is_enabled_now = match situation.looks.of(&key) {
        Some(Look::Enabled) => Some(true),
        Some(Look::Disabled) => Some(false),
        Some(Look::Changed | Look::Deleted | Look::NoAnswer) | None => None,
    };
    let record = || prepared.newcomers.record_of(&key).map(str::to_owned);
    let mut attributes = prepared.attributes_of(user)?;
    let (enabled, sub) = match &user.entry {
        SnapshotEntry::Leftover(leftover) => (
            // Who is brought back although twinpool withheld them can sign in again.
            is_enabled_now.unwrap_or(leftover.enabled)
                || (leftover.is_withheld_as_deleted() && prepared.request.withheld),
            Some(leftover.sub.clone()).filter(|sub| !sub.is_empty()),
        ),
        SnapshotEntry::ImportRow(_) => (is_enabled_now.unwrap_or(true), record()),
    };
    let origin = prepared.comparison.origin();
    let identity = attributes.origin(origin).or(sub.as_deref());
    let identity = identity.map(str::to_owned);
    if let (Some(origin), Some(identity)) = (origin, &identity) {
        attributes.insert(origin.as_str(), identity);
    }
    let is_given = |(name, value): &(&str, &str)| {
        // A row has `false` for the flag of an address that the user does not have.
        let address = name.strip_suffix("_verified");
        let has_address = address.is_none_or(|address| attributes.get(address).is_some());
        !value.is_empty() && !is_cognitos_own(name) && has_address
    };
    Ok(NewUser {
        username: user.username.clone(),
        note: sub.or(identity).unwrap_or_else(|| NewUser::note_of(key)),
        enabled,
        attributes: attributes.iter().filter(is_given).collect(),
    })
}

fn sub_of(person: &Person) -> String {
    person.sub().unwrap_or(&person.username).to_owned()
}
