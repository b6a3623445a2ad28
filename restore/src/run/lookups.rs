//! Phase 2, where it takes less time than a listing: the people of the snapshot are looked up in the target pool, one by one.
//!
//! A person is looked up by their sign-in name, and by their identity where a user of the target pool can have it as `sub`. In contrast
//! to ListUsers, AdminGetUser is not eventually consistent.
//!
//! # What a lookup cannot see
//!
//! A copy of a person carries their identity in the origin attribute, and Cognito searches no custom attribute. So a lookup misses a copy
//! that has another sign-in name than the person has in the snapshot: they were brought home before, and moved to another address there.
//! Whoever is taken for absent then would be brought a second time. Therefore everyone who is not found by identity is checked for how a
//! copy can have come into the pool. There are these ways, and each leaves a trace:
//!
//! - *The user was created one by one.* There is a note below `restores/created/` ([`crate::writes`]), unless the user was refused.
//! - *An import job of a restore that has ended.* Such a restore looked at the pool after its last write, and its `sub-map.csv` says which
//!   user of the target pool each newcomer at home is: that user is looked up. Who is not in the map was not at home.
//! - *Any other import job*: of this restore, if it imported the person's row, or may have; of a restore that did not come to its end; or
//!   one that somebody ran in the console, after the person signed up.
//! - *Their record is archived.* It says which user of the target pool they are; records of earlier versions do not.
//!
//! When a trace does not lead to a user, nobody can know, and the pool is listed. A user whom another tool has created with somebody's
//! identity leaves no trace: a lookup misses them, unless they have the person's name. The person is home then, so the restore does not
//! say anything false; but they may be brought a second time. A second user with the identity of somebody who is found is missed too.
//!
//! Users in another state than confirmed are found by their names alone, in a listing as well. Without an origin attribute, no copy says
//! whose it is, so a listing finds nobody whom a lookup misses.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::decision::NewcomerState;
use crate::error::RestoreError;
use crate::files::{has_ended, read_sub_map};
use crate::import_job::{EarlierJob, list_jobs};
use crate::lease::ImportJob;
use crate::newcomers::{Newcomers, UnmatchedCause, UnmatchedRecord};
use crate::run::config::Step;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser};
use crate::target_pool::TargetPool;
use crate::who::Who;
use crate::writes::{may_be_created, noted_users};
use shared::aws::Failure;
use shared::cognito::pool::PoolError;
use shared::cognito::users;
use shared::journal::{archived_primary_sub, signed_up_at};
use shared::person::Person;

/// Number of concurrent lookups.
pub(super) const CONCURRENT_LOOKUPS: usize = 16;

/// How far the clocks of Cognito and of the trigger that wrote a record may differ.
const CLOCK_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Somebody to look up: a user of the snapshot, or the owner of a sign-up record.
pub(super) struct Sought {
    who: Who,
    /// The sign-in name, if it is known.
    username: Option<String>,
    /// The identity, if it is known.
    identity: Option<String>,
    /// Whether a user of the target pool can have the identity as `sub`.
    may_be_original: bool,
    /// The name of their sign-up record.
    record: Option<String>,
    /// Whether the record is archived.
    is_archived: bool,
    /// The `sub` in the snapshot's pool, if the snapshot has it.
    sub: Option<String>,
}

impl Sought {
    /// A user of the snapshot; none if it makes no difference whether the target pool has them: they never confirmed their sign-up, or
    /// sign in with another identity provider, and are no newcomers.
    pub(super) fn of_user(
        user: &SnapshotUser,
        newcomers: &Newcomers,
        is_same_pool: bool,
    ) -> Option<Self> {
        let state = newcomers.state_of(&user.who.key);
        let record = newcomers.record_of(&user.who.key).map(str::to_owned);
        let sub = match &user.entry {
            SnapshotEntry::Leftover(leftover) => {
                let is_left = matches!(
                    leftover.reason.as_str(),
                    "unconfirmed" | "external-provider"
                );
                if is_left && state == NewcomerState::NotNewcomer {
                    return None;
                }
                Some(leftover.sub.clone())
            }
            SnapshotEntry::ImportRow(_) => None,
        };
        Some(Self {
            who: user.who,
            username: Some(user.username.clone()),
            may_be_original: may_be_original(&user.identity, &record, is_same_pool),
            identity: user.identity.clone(),
            record,
            is_archived: state == NewcomerState::Archived,
            sub,
        })
    }

    /// The owner of a sign-up record whom the snapshot does not have.
    pub(super) fn of_record(unmatched: &UnmatchedRecord, is_same_pool: bool) -> Self {
        let identity = Some(unmatched.identity.clone());
        let record = Some(unmatched.record.clone());
        let username = unmatched.username.as_ref();
        Self {
            who: unmatched.who,
            username: username.map(|username| username.as_str().to_owned()),
            may_be_original: may_be_original(&identity, &record, is_same_pool),
            identity,
            record,
            is_archived: unmatched.cause == UnmatchedCause::Restored,
            sub: None,
        }
    }

    /// What the person is looked up by.
    pub(super) fn lookups(&self) -> impl Iterator<Item = &str> {
        let identity = self.identity.as_deref().filter(|_| self.may_be_original);
        self.username.as_deref().into_iter().chain(identity)
    }

    /// How the notes of the restore may name the person.
    fn note_names(&self) -> impl Iterator<Item = String> {
        let names = [&self.record, &self.identity, &self.sub];
        let names = names.into_iter().flatten().cloned();
        names.chain([self.who.key.to_hex()])
    }
}

/// Whether a user of the target pool can have the identity as `sub`. Nobody has it there who has it in the snapshot's pool: Cognito
/// chooses each `sub`, and a record is named by the one in the snapshot's pool.
fn may_be_original(identity: &Option<String>, record: &Option<String>, is_same_pool: bool) -> bool {
    is_same_pool || identity != record
}

/// Looks up everyone. None if somebody may be in the pool whom no lookup can find: then the pool must be listed. `jobs` are the import
/// jobs of this restore.
///
/// # Errors
///
/// A lookup fails, or the bucket cannot be read.
pub(super) async fn look_up_people(
    prepared: &Prepared<'_>,
    sought: &[Sought],
    results: &JobResults,
    jobs: &[ImportJob],
) -> Result<Option<TargetPool>, RestoreError> {
    let names: HashSet<&str> = sought.iter().flat_map(Sought::lookups).collect();
    let mut found = HashMap::new();
    look_up(prepared, names, &mut found).await?;
    let target = target_of(prepared, &found);
    if prepared.comparison.origin().is_none() {
        return Ok(Some(target));
    }
    let is_missed = |sought: &&Sought| {
        let identity = sought.who.identity;
        identity.is_some_and(|identity| !target.has_identity(&identity))
    };
    let missed: Vec<_> = sought.iter().filter(is_missed).collect();
    if missed.is_empty() {
        return Ok(Some(target));
    }
    let Some(subs) = trace(prepared, &missed, results, jobs).await? else {
        return Ok(None);
    };
    if subs.is_empty() {
        return Ok(Some(target));
    }
    let subs = subs.iter().map(String::as_str);
    look_up(prepared, subs, &mut found).await?;
    Ok(Some(target_of(prepared, &found)))
}

fn target_of(prepared: &Prepared<'_>, found: &HashMap<String, Person>) -> TargetPool {
    let Prepared {
        format,
        comparison,
        wanted,
        ..
    } = prepared;
    TargetPool::of_found(found.values(), format, comparison, wanted)
}

/// Looks users up, and adds those whom the pool has, each once.
async fn look_up(
    prepared: &Prepared<'_>,
    names: impl IntoIterator<Item = &str>,
    found: &mut HashMap<String, Person>,
) -> Result<(), RestoreError> {
    let looked_up = AtomicU64::new(0);
    let mut lookups = stream::iter(names)
        .map(async |name| {
            let user = users::look_up(&prepared.target_lookups, name).await;
            let done = looked_up.fetch_add(1, Ordering::Relaxed) + 1;
            (prepared.run.on_progress)(Step::LookingUpPeople(done));
            match user {
                // A name that no user of the pool can have.
                Err(error) if error.code() == "InvalidParameterException" => Ok(None),
                user => user.map_err(RestoreError::of_set_up),
            }
        })
        .buffer_unordered(CONCURRENT_LOOKUPS);
    while let Some(user) = lookups.try_next().await? {
        found.extend(user.map(|user| (user.username.clone(), user)));
    }
    Ok(())
}

/// Finds out who the people are in the target pool whom no lookup has found by identity: the `sub` of each of them who was at home once.
/// None if somebody may be there who cannot be found in this way.
async fn trace(
    prepared: &Prepared<'_>,
    missed: &[&Sought],
    results: &JobResults,
    jobs: &[ImportJob],
) -> Result<Option<Vec<String>>, RestoreError> {
    let (bucket, pool) = (&prepared.config.bucket, &prepared.config.pool);
    let is_imported = |sought: &&&Sought| {
        let key = &sought.who.key;
        results.imported.contains(key) || results.suspects.contains(key)
    };
    if missed.iter().any(|sought| is_imported(&sought)) {
        return Ok(None);
    }
    let earlier_jobs = match list_jobs(&prepared.target_reads).await {
        Ok(earlier_jobs) => earlier_jobs,
        Err(PoolError::Aws(error)) if error.failure() == Failure::Refused => {
            tracing::warn!(%error, "the import jobs of the pool cannot be listed, so its users are");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let is_of_this_restore = |id: &str| jobs.iter().any(|job| job.id == id);
    let mut ended_restores = BTreeSet::new();
    let mut other_jobs = Vec::new();
    for job in earlier_jobs {
        if is_of_this_restore(&job.id) {
            continue;
        }
        match &job.restore {
            Some(restore) if ended_restores.contains(restore) => {}
            Some(restore) if has_ended(bucket, restore).await? => {
                ended_restores.insert(restore.clone());
            }
            _ => other_jobs.push(job),
        }
    }
    let records: HashSet<_> = missed.iter().filter_map(|s| s.record.as_deref()).collect();
    let mut sub_of_record = HashMap::new();
    for restore in &ended_restores {
        read_sub_map(bucket, restore, |record, sub| {
            if records.contains(record.as_str()) {
                sub_of_record.insert(record, sub);
            }
        })
        .await?;
    }
    let noted = noted_users(bucket, pool).await?;
    let traces = Traces {
        prepared,
        sub_of_record,
        any_job: !ended_restores.is_empty() || !other_jobs.is_empty(),
        other_jobs,
        noted,
    };
    let mut subs = Vec::new();
    let mut traced = stream::iter(missed)
        .map(|sought| traces.of(sought))
        .buffer_unordered(CONCURRENT_LOOKUPS);
    while let Some(trace) = traced.try_next().await? {
        match trace {
            Trace::None => {}
            Trace::Sub(sub) => subs.push(sub),
            Trace::Unclear => return Ok(None),
        }
    }
    Ok(Some(subs))
}

/// What can have brought somebody into the target pool.
struct Traces<'a> {
    prepared: &'a Prepared<'a>,
    /// From the restores that have ended: by the name of a sign-up record, the `sub` in the target pool.
    sub_of_record: HashMap<String, String>,
    /// Whether there was any import job before those of this restore.
    any_job: bool,
    /// The import jobs that do not belong to a restore that has ended.
    other_jobs: Vec<EarlierJob>,
    /// Whom a restore may have created one by one.
    noted: HashSet<String>,
}

/// What is known of somebody whom no lookup has found by identity.
enum Trace {
    /// They cannot be in the pool.
    None,
    /// If they are in the pool, this is their `sub`.
    Sub(String),
    /// They may be in the pool, under a name that nobody knows.
    Unclear,
}

impl Traces<'_> {
    async fn of(&self, sought: &Sought) -> Result<Trace, RestoreError> {
        let (bucket, pool) = (&self.prepared.config.bucket, &self.prepared.config.pool);
        if let Some(record) = &sought.record {
            if let Some(sub) = self.sub_of_record.get(record) {
                return Ok(Trace::Sub(sub.clone()));
            }
            if sought.is_archived {
                let sub = archived_primary_sub(bucket, record).await?;
                return Ok(sub.map_or(Trace::Unclear, Trace::Sub));
            }
        }
        for name in sought.note_names() {
            if self.noted.contains(&name) && may_be_created(bucket, pool, &name).await? {
                return Ok(Trace::Unclear);
            }
        }
        let may_be_imported = match &sought.record {
            None => self.any_job,
            Some(_) if self.other_jobs.is_empty() => false,
            Some(record) => {
                let signed_up_at = signed_up_at(bucket, record).await?;
                signed_up_at.is_none_or(|at| self.other_jobs.iter().any(|job| is_later(job, at)))
            }
        };
        Ok(if may_be_imported {
            Trace::Unclear
        } else {
            Trace::None
        })
    }
}

/// Whether a job may have imported somebody who signed up at this time.
fn is_later(job: &EarlierJob, signed_up_at: Timestamp) -> bool {
    job.ended_at
        .is_none_or(|ended_at| ended_at + CLOCK_DIFFERENCE_MAX >= signed_up_at)
}
