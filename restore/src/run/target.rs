//! Phase 2: the users of the target pool.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::decision::{NewcomerState, UserState};
use crate::error::RestoreError;
use crate::lease::ImportJob;
use crate::names::IdentityHash;
use crate::newcomers::{Newcomers, UnmatchedCause};
use crate::run::config::Step;
use crate::run::lookups::look_up_people;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::snapshot_users::{SnapshotEntry, SnapshotUsers};
use crate::target_pool::TargetPool;
use shared::cognito::pool::PoolError;
use shared::cognito::users::{self, Holder};
use shared::journal::archived_primary_sub;

/// If a look at the pool reaches the deadline after more than this time, and had a run to itself, every other invocation is too short as
/// well.
const LONG_LOOK: Duration = Duration::from_secs(60);

/// Looks at the target pool: looks up the people of the snapshot where that is quicker and enough, or else lists the pool. `jobs` are the
/// import jobs of this restore. `has_run_to_itself` says that nothing has used up the time of this run that a later run need not repeat.
///
/// # Errors
///
/// That is not possible before the deadline. [`RestoreError::TooLarge`] if no later invocation could do it either.
pub(super) async fn read_target_pool(
    prepared: &Prepared<'_>,
    results: &JobResults,
    jobs: &[ImportJob],
    has_run_to_itself: bool,
) -> Result<TargetPool, RestoreError> {
    let begun = Instant::now();
    let target = async {
        if let Some(sought) = &prepared.sought
            && let Some(target) = look_up_people(prepared, sought, results, jobs).await?
        {
            return Ok(target);
        }
        let listing = TargetPool::list(
            &prepared.target_reads,
            &prepared.format,
            &prepared.comparison,
            &prepared.wanted,
            |listed| (prepared.run.on_progress)(Step::ListingPool(listed)),
        );
        listing.await.map_err(RestoreError::of_set_up)
    };
    let target = target.await;
    let mut target = target.map_err(|error| too_large(error, begun, has_run_to_itself))?;
    let others = others_in_source(prepared, &target, results).await?;
    target.add_others_in_source(others);
    Ok(target)
}

/// The error of a look that began at this time: whether every other invocation is too short for it as well.
pub(super) fn too_large(
    error: RestoreError,
    begun: Instant,
    has_run_to_itself: bool,
) -> RestoreError {
    match error {
        RestoreError::Pool(PoolError::OutOfTime(pool))
            if has_run_to_itself && begun.elapsed() > LONG_LOOK =>
        {
            RestoreError::TooLarge(pool)
        }
        error => error,
    }
}

/// Of the users who are taken for newcomers because of their names alone, the identities of those who have another user in the snapshot's
/// pool, and are other people. A snapshot of the newcomers does not have those others, so the latest one of the whole pool is read. Without
/// one nobody knows, and a name alone proves nothing. Of whom a job of this restore has imported, the job's log says that the user with
/// their name is new, and made from their row; and of whom an earlier restore brought home, the archived record says which user they are.
async fn others_in_source(
    prepared: &Prepared<'_>,
    target: &TargetPool,
    results: &JobResults,
) -> Result<HashSet<IdentityHash>, RestoreError> {
    let mut unproved = HashSet::new();
    if !prepared.source.has_only_newcomers() || prepared.comparison.origin().is_none() {
        return Ok(unproved);
    }
    let mut users = prepared.snapshot_users();
    while let Some(user) = users.next().await? {
        if results.imported.contains(&user.who.key) {
            continue;
        }
        let Some(identity) = target.identity_of_namesake(&user.who, &prepared.namesakes) else {
            continue;
        };
        let key = &user.who.key;
        let is_archived = prepared.newcomers.state_of(key) == NewcomerState::Archived;
        let record = prepared.newcomers.record_of(key).filter(|_| is_archived);
        if !is_archived_as(prepared, record, identity).await? {
            unproved.insert(identity);
        }
    }
    for unmatched in &prepared.newcomers.unmatched {
        let namesake = target.identity_of_namesake(&unmatched.who, &prepared.namesakes);
        let Some(identity) = namesake else {
            continue;
        };
        let is_archived = unmatched.cause == UnmatchedCause::Restored;
        let record = is_archived.then_some(unmatched.record.as_str());
        if !is_archived_as(prepared, record, identity).await? {
            unproved.insert(identity);
        }
    }
    if unproved.is_empty() {
        return Ok(unproved);
    }
    let Some(whole_pool) = prepared.source.latest_of_whole_pool().await? else {
        return Ok(unproved);
    };
    let nobody = Newcomers::default();
    let mut others = HashSet::new();
    let mut users = SnapshotUsers::of(&whole_pool, &prepared.comparison, &nobody);
    while let Some(user) = users.next().await? {
        let identity = user.who.identity;
        others.extend(identity.filter(|identity| unproved.contains(identity)));
    }
    Ok(others)
}

/// Whether an archived sign-up record says that its person is the user of the target pool with this identity.
async fn is_archived_as(
    prepared: &Prepared<'_>,
    record: Option<&str>,
    identity: IdentityHash,
) -> Result<bool, RestoreError> {
    let Some(record) = record else {
        return Ok(false);
    };
    let sub = archived_primary_sub(&prepared.config.bucket, record).await?;
    Ok(sub.is_some_and(|sub| IdentityHash::of(&sub) == identity))
}

/// Looks up the users whom a job has imported or skipped, or may have, and whom the listing does not show. Of a user whose row was
/// skipped although nobody has the name, finds out who has their address.
///
/// # Errors
///
/// The snapshot cannot be read, or a lookup fails.
pub(super) async fn look_up_imported_users(
    prepared: &Prepared<'_>,
    target: &mut TargetPool,
    results: &JobResults,
) -> Result<(), RestoreError> {
    if results.in_files.is_empty() {
        return Ok(());
    }
    let mut users = prepared.snapshot_users();
    while let Some(user) = users.next().await? {
        let who = &user.who;
        let was_skipped = results.skipped.contains(&who.key);
        let is_expected = was_skipped
            || results.imported.contains(&who.key)
            || results.suspects.contains(&who.key);
        if !is_expected || target.state_of(who, &prepared.namesakes) == UserState::Present {
            continue;
        }
        let (pool, format) = (&prepared.target_reads, &prepared.format);
        let wanted = &prepared.wanted;
        let mut found = target.look_up(pool, format, &user.username, wanted).await?;
        let is_absent = target.state_of(who, &prepared.namesakes) == UserState::Absent;
        if !was_skipped || !is_absent {
            continue;
        }
        let SnapshotEntry::ImportRow(row) = &user.entry else {
            continue;
        };
        let cells = prepared.source.cells(row)?;
        for alias in prepared.comparison.aliases() {
            if found.is_none()
                && let Some(address) = cells.get(alias)
            {
                found = match users::look_up_holder(pool, &address).await? {
                    Holder::Somebody(holder) => Some(*holder),
                    Holder::Nobody | Holder::Unknown => None,
                };
            }
        }
        if let Some(holder) = found {
            target.add_address_holder(who.key, &holder);
        }
    }
    Ok(())
}
