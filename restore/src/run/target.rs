//! Phase 2: the users of the target pool.

use std::time::{Duration, Instant};

use crate::decision::UserState;
use crate::error::RestoreError;
use crate::lease::ImportJob;
use crate::run::config::Step;
use crate::run::lookups::look_up_people;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::snapshot_users::SnapshotEntry;
use crate::target_pool::TargetPool;
use shared::cognito::pool::PoolError;
use shared::cognito::users;

/// If a look at the pool that a run began with reaches the deadline after more than this time, every other invocation is too short as well.
const LONG_LISTING: Duration = Duration::from_secs(60);

/// Looks at the target pool: looks up the people of the snapshot where that is quicker and enough, or else lists the pool. `jobs` are the
/// import jobs of this restore.
///
/// # Errors
///
/// That is not possible before the deadline. If no import job came before it and used up the time, no later invocation could do it either.
pub(super) async fn read_target_pool(
    prepared: &Prepared<'_>,
    results: &JobResults,
    jobs: &[ImportJob],
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
    match target.await {
        Err(RestoreError::Pool(PoolError::OutOfTime(pool)))
            if jobs.is_empty() && begun.elapsed() > LONG_LISTING =>
        {
            Err(RestoreError::TooLarge(pool))
        }
        target => target,
    }
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
        for alias in &prepared.aliases {
            if found.is_none()
                && let Some(address) = cells.get(alias)
            {
                found = users::look_up(pool, &address).await?;
            }
        }
        if let Some(holder) = found {
            target.add_address_holder(who.key, &holder);
        }
    }
    Ok(())
}
