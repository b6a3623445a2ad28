//! Fills the secondary pool with the people of the primary pool: a snapshot of the primary pool, restored into the secondary one with
//! import jobs, which make no monthly active users.
//!
//! Everything lies below `fills/` in the snapshot bucket, so that no fill is ever mistaken for the latest snapshot, and the journal is
//! neither read nor changed. A fill may be stopped at any point and run again: it goes on with the same snapshot, unless that is a day
//! old by now.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use shared::aws::{RetryPolicy, Sdk};
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::snapshot::error::SnapshotError;
use shared::snapshot::layout::FILLS_PREFIX;
use shared::snapshot::manifest::Manifest;
use shared::snapshot::purpose::Purpose;
use shared::snapshot::scope::Scope as SnapshotScope;
use shared::snapshot::worker::{BucketState, LeaseRequest, Outcome, SnapshotWorker, Wanted};
use shared::time::{is_in_future, now};
use tokio::sync::watch;

use crate::error::RestoreError;
use crate::lease::{RestoreState, read_state};
use crate::names::IdentityHash;
use crate::request::{Request, Response, Scope, SnapshotChoice};
use crate::run::{Fill, RestoreConfig, RoleArn, RunContext, restore};

/// The snapshot of an older fill is not used again: who was disabled or deleted since would come with it.
const MAX_AGE_OF_SNAPSHOT: SignedDuration = SignedDuration::from_hours(24);

/// The two pools, and where the fill lies.
#[derive(Clone, Debug)]
pub struct FillConfig {
    /// The settings of the AWS clients.
    pub sdk: Sdk,
    /// The pool whose people are brought.
    pub primary: PoolId,
    /// The pool that they are brought into.
    pub secondary: PoolId,
    /// The snapshot bucket.
    pub bucket: Bucket,
    /// The role with which Cognito writes the import log of the secondary pool.
    pub role: RoleArn,
    /// The attribute that carries identities.
    pub origin: Option<CustomAttribute>,
    /// Calls a second that list the primary pool.
    pub lists_per_second: u32,
    /// People who are left out: their user in the secondary pool was deleted although they had used it.
    pub skip: HashSet<IdentityHash>,
}

/// What a fill has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillAnswer {
    /// The snapshot of the primary pool.
    pub snapshot: Id,
    /// What became of its restore. The key of the report is that in the whole bucket.
    pub restored: Response,
}

/// Why a fill failed. Called again, it goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The snapshot could not be taken.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot could not be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// An object below `fills/` cannot be read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another process takes the snapshot.
    #[error(
        "another process takes the snapshot of this fill: wait until it ends, or for three minutes if it was interrupted, and run again"
    )]
    Held,
}

/// Takes a snapshot of the primary pool, or goes on with that of an unfinished fill, and restores it into the secondary pool.
/// `listed_users` receives the number of users listed so far, `run.on_progress` the steps of the restore.
///
/// # Errors
///
/// The snapshot could not be taken, or not restored.
pub async fn fill(
    config: &FillConfig,
    run: &RunContext<'_>,
    listed_users: &watch::Sender<u64>,
) -> Result<FillAnswer, FillError> {
    let bucket = config.bucket.below(FILLS_PREFIX);
    // Boxed, because a snapshot and a restore need much of the stack.
    let snapshot = Box::pin(take_or_resume_snapshot(config, &bucket, listed_users)).await?;
    tracing::info!(%snapshot, "filling the secondary pool from this snapshot");
    let restore_config = RestoreConfig {
        sdk: config.sdk.clone(),
        pool: config.secondary.clone(),
        bucket: bucket.clone(),
        role: config.role.clone(),
        origin: config.origin.clone(),
        same_pool: false,
        fill: Some(Fill {
            skip: config.skip.clone(),
        }),
    };
    let request = Request {
        snapshot: SnapshotChoice::Named(snapshot.clone()),
        scope: Scope::Users,
        reclaim_unconfirmed: true,
        ..Request::default()
    };
    let restored = Box::pin(restore(&restore_config, &request, run)).await?;
    Ok(FillAnswer {
        snapshot,
        restored: Response {
            report: bucket.full_key(&restored.report),
            ..restored
        },
    })
}

/// The snapshot to restore from: of an unfinished fill, else a new one.
async fn take_or_resume_snapshot(
    config: &FillConfig,
    bucket: &Bucket,
    listed_users: &watch::Sender<u64>,
) -> Result<Id, FillError> {
    let worker = SnapshotWorker {
        bucket: bucket.clone(),
        client: config.sdk.cognito(&config.primary, RetryPolicy::NO_RETRY),
        pool: config.primary.clone(),
        calls_per_second: config.lists_per_second,
        lookups_per_second: config.lists_per_second,
        // Who is missing in this snapshot is not taken from anywhere.
        shrink_guard_percent: 0,
        origin_sub: config.origin.clone(),
        purpose: Purpose::Fill,
    };
    let state = worker
        .inspect_bucket(SnapshotScope::Pool)
        .await?
        .ok_or(FillError::Held)?;
    let restore = read_state(bucket).await?;
    if let Some(snapshot) = usable_snapshot(&state, config, restore.as_ref()) {
        return Ok(snapshot.clone());
    }
    let lease = LeaseRequest::until_complete();
    let wanted = Wanted {
        accept_shrink: true,
        ..Wanted::default()
    };
    let taken = worker.take_or_resume_snapshot(state, &lease, wanted, listed_users);
    match taken.await? {
        Outcome::Complete(manifest) | Outcome::Shrunk { manifest, .. } => Ok(manifest.snapshot),
        Outcome::InProgress { .. } | Outcome::Held => Err(FillError::Held),
    }
}

/// The snapshot of an earlier fill that is not finished, if there is one and no newer one was begun.
fn usable_snapshot<'a>(
    state: &'a BucketState,
    config: &FillConfig,
    restore: Option<&RestoreState>,
) -> Option<&'a Id> {
    let manifest = state.manifest.as_ref()?;
    let is_usable = state.interrupted().is_none()
        && manifest.pool.id == config.primary.as_str()
        && is_unfinished(manifest, &config.secondary, restore, now());
    is_usable.then_some(&manifest.snapshot)
}

/// Whether a snapshot is young enough to be restored, and has not been restored to the end.
fn is_unfinished(
    manifest: &Manifest,
    secondary: &PoolId,
    restore: Option<&RestoreState>,
    now: Timestamp,
) -> bool {
    let started_at = manifest.started_at;
    let is_young =
        !is_in_future(started_at, now) && now.duration_since(started_at) <= MAX_AGE_OF_SNAPSHOT;
    let is_restored =
        restore.is_some_and(|restore| restore.has_ended(secondary, &manifest.snapshot));
    is_young && !is_restored
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = "20261120T095959Z-0a1b2c3d";

    fn manifest() -> Manifest {
        serde_json::from_value(serde_json::json!({
            "version": 1, "snapshot": SNAPSHOT, "started_at": "2026-11-20T09:59:59Z", "finished_at": "2026-11-20T10:09:59Z",
            "pool": {"id": "ap-northeast-1_Primary01", "region": "ap-northeast-1", "mfa": "ON", "username_attributes": ["email"]},
            "header": [], "users": {"listed": 0, "exported": 0, "newcomers": 0, "rejected": {}}, "dropped_attributes": {}, "files": [],
        }))
        .unwrap()
    }

    fn restore(snapshot: &str, status: &str) -> RestoreState {
        serde_json::from_value(serde_json::json!({
            "version": 1, "restore": SNAPSHOT, "pool": "ap-northeast-3_Second001", "request": {"snapshot": snapshot, "scope": "users"},
            "started_at": "2026-11-20T10:10:00Z", "status": status, "holder": null, "jobs": [],
        }))
        .unwrap()
    }

    fn is_unfinished_at(time: &str, restore: Option<&RestoreState>) -> bool {
        let secondary = "ap-northeast-3_Second001".parse().unwrap();
        is_unfinished(&manifest(), &secondary, restore, time.parse().unwrap())
    }

    #[test]
    fn the_snapshot_of_a_fill_that_was_interrupted_is_used_again_for_a_day() {
        assert!(is_unfinished_at("2026-11-20T10:10:00Z", None));
        let interrupted = restore(SNAPSHOT, "in-progress");
        assert!(is_unfinished_at("2026-11-21T09:59:59Z", Some(&interrupted)));
        assert!(!is_unfinished_at(
            "2026-11-21T10:00:00Z",
            Some(&interrupted)
        ));
    }

    #[test]
    fn a_snapshot_that_was_restored_to_the_end_is_not_used_again() {
        for status in ["complete", "incomplete"] {
            let ended = restore(SNAPSHOT, status);
            assert!(!is_unfinished_at("2026-11-20T10:10:00Z", Some(&ended)));
        }
        let of_another = restore("20261119T095959Z-0a1b2c3d", "complete");
        assert!(is_unfinished_at("2026-11-20T10:10:00Z", Some(&of_another)));
    }

    #[test]
    fn a_snapshot_from_a_time_that_has_not_come_yet_is_not_used() {
        assert!(!is_unfinished_at("2026-11-20T09:00:00Z", None));
    }
}
