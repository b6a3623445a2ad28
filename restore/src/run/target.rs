//! Phase 2: the users of the target pool.

use std::time::{Duration, Instant};

use crate::error::RestoreError;
use crate::run::config::Step;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::snapshot_users::SnapshotUsers;
use crate::target_pool::{TargetPool, UserState};
use shared::cognito::pool::PoolError;

/// If a listing that a run began with reaches the deadline after more than this time, every other invocation is too short as well.
const LONG_LISTING: Duration = Duration::from_secs(60);

/// Lists the target pool. `is_first_step` says that no import job came before the listing and used up the
/// time.
///
/// # Errors
///
/// The pool cannot be listed before the deadline. If this is the first step, no later invocation could list it either.
pub(super) async fn list_target_pool(
    prepared: &Prepared<'_>,
    is_first_step: bool,
) -> Result<TargetPool, RestoreError> {
    let begun = Instant::now();
    let listing = TargetPool::list(
        &prepared.target_reads,
        &prepared.format,
        prepared.hasher,
        &prepared.wanted,
        |listed| (prepared.run.on_progress)(Step::ListingPool(listed)),
    );
    match listing.await {
        Err(PoolError::OutOfTime(pool)) if is_first_step && begun.elapsed() > LONG_LISTING => {
            Err(RestoreError::TooLarge(pool))
        }
        listed => Ok(listed?),
    }
}

/// Looks up the users whom a job has imported and whom the listing does not show yet.
///
/// # Errors
///
/// The snapshot cannot be read, or a lookup fails.
pub(super) async fn look_up_imported_users(
    prepared: &Prepared<'_>,
    target: &mut TargetPool,
    results: &JobResults,
) -> Result<(), RestoreError> {
    if results
        .done
        .iter()
        .all(|name| target.state_of(name) == UserState::Present)
    {
        return Ok(());
    }
    let mut users = SnapshotUsers::of(&prepared.source, prepared.hasher);
    while let Some(user) = users.next().await? {
        let name = user.name;
        if results.done.contains(&name) && target.state_of(&name) != UserState::Present {
            target
                .look_up(
                    &prepared.target_reads,
                    &user.username,
                    name,
                    &prepared.wanted,
                )
                .await?;
        }
    }
    Ok(())
}
