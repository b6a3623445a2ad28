//! `restores/open.json`: the lease under which a restore runs, and what a later run needs to resume it.
//!
//! One restore runs at a time. A run that was killed loses the lease after half a minute; the next run with the same request resumes
//! the restore.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::s3::lease::{Holder, Lease, LeaseState, Term};
use shared::snapshot::layout::RESTORE_LEASE_KEY;
use shared::time::now;

use crate::error::RestoreError;
use crate::request::{Request, SnapshotChoice, Status};

/// How long the lease is valid without a renewal.
const LEASE_VALIDITY: SignedDuration = SignedDuration::from_secs(30);

/// The time between two renewals.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(8);

/// The lease on restores from a bucket.
pub type RestoreLease = Lease<RestoreState>;

/// The content of `restores/open.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreState {
    version: u32,
    /// The restore's name, and that of its folder.
    pub restore: Id,
    /// The pool that users are restored into.
    pub pool: String,
    /// The request.
    pub request: Request,
    /// When its first run began.
    pub started_at: Timestamp,
    /// How far the restore has come.
    status: Status,
    holder: Option<Holder>,
    /// The import jobs, in order.
    pub jobs: Vec<ImportJob>,
}

/// An import job of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    /// Cognito's id of the job.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The key of its file.
    pub file: String,
    /// How many rows the file has.
    pub rows: u64,
    /// How it ended; none while it runs.
    pub ended: Option<JobEnd>,
}

/// How an import job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Cognito's status, such as `Succeeded`.
    pub status: String,
    /// Cognito's completion message.
    pub message: Option<String>,
    /// Rows that were imported.
    pub imported: u64,
    /// Rows that were skipped, because there was such a user.
    pub skipped: u64,
    /// Rows that were refused.
    pub failed: u64,
}

impl LeaseState for RestoreState {
    fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn set_holder(&mut self, holder: Option<Holder>) {
        self.holder = holder;
    }
}

/// Takes the lease, and resumes the interrupted restore of this request or starts a new one. Waits a little if another run holds
/// the lease.
///
/// # Errors
///
/// Another run holds the lease, or S3 failed.
pub async fn take_lease(
    bucket: &Bucket,
    pool: &PoolId,
    request: &Request,
    holder: &str,
    deadline: Instant,
) -> Result<RestoreLease, RestoreError> {
    let mut has_waited = false;
    loop {
        let seen = bucket.get_json::<RestoreState>(RESTORE_LEASE_KEY).await?;
        let now = now();
        let held_until = seen.as_ref().and_then(|(state, _)| state.held_until(now));
        if let Some(until) = held_until {
            let wait = until.duration_since(now);
            let is_too_long =
                wait > LEASE_VALIDITY || Instant::now() + wait.unsigned_abs() >= deadline;
            if has_waited || is_too_long {
                return Err(RestoreError::Held { until });
            }
            has_waited = true;
            tokio::time::sleep(wait.unsigned_abs()).await;
            continue;
        }
        let (previous, etag) = seen.unzip();
        let mut state = match &previous {
            Some(previous) if previous.can_be_resumed(pool, request) => previous.clone(),
            _ => RestoreState::new(pool, request, now),
        };
        if let Some(previous) = previous.filter(|previous| previous.pool == state.pool) {
            state.continue_from(&previous);
        }
        let term = Term::Renewed {
            validity: LEASE_VALIDITY,
            interval: RENEWAL_INTERVAL,
        };
        let lease = Lease::take(
            bucket,
            RESTORE_LEASE_KEY,
            etag.as_deref(),
            state,
            holder,
            term,
        );
        if let Some(lease) = lease.await? {
            return Ok(lease);
        }
    }
}

/// Reads what the last restore has left; none before the first one.
///
/// # Errors
///
/// S3 failed, or the object cannot be read.
pub async fn read_state(bucket: &Bucket) -> Result<Option<RestoreState>, JsonError> {
    let state = bucket.get_json(RESTORE_LEASE_KEY).await?;
    Ok(state.map(|(state, _)| state))
}

/// Whether an import job of an unfinished restore has not ended: Cognito may still create people whom its file names.
///
/// # Errors
///
/// S3 failed, or the object cannot be read.
pub async fn has_running_job(bucket: &Bucket) -> Result<bool, JsonError> {
    let state = read_state(bucket).await?;
    Ok(state.is_some_and(|state| {
        state.status == Status::InProgress && state.jobs.iter().any(|job| job.ended.is_none())
    }))
}

/// Releases the lease, with how far the restore has come.
///
/// # Errors
///
/// Another run has taken over the lease, or S3 failed: then the lease stays until it expires.
pub async fn release_lease(lease: &RestoreLease, status: Status) -> Result<(), RestoreError> {
    Ok(lease.release(|state| state.status = status).await?)
}

impl RestoreState {
    fn new(pool: &PoolId, request: &Request, now: Timestamp) -> Self {
        Self {
            version: 1,
            restore: Id::new(now),
            pool: pool.to_string(),
            request: request.clone(),
            started_at: now,
            status: Status::InProgress,
            holder: None,
            jobs: Vec::new(),
        }
    }

    /// Whether this is a restore of a snapshot into a pool that has come to its end.
    pub fn has_ended(&self, pool: &PoolId, snapshot: &Id) -> bool {
        self.status != Status::InProgress
            && self.pool == pool.as_str()
            && self.request.snapshot == SnapshotChoice::Named(snapshot.clone())
    }

    fn can_be_resumed(&self, pool: &PoolId, request: &Request) -> bool {
        self.status == Status::InProgress && self.pool == pool.as_str() && self.request == *request
    }

    /// Takes over what an earlier restore into the same pool has left, perhaps for another request.
    fn continue_from(&mut self, previous: &Self) {
        if previous.status == Status::InProgress {
            self.jobs.clone_from(&previous.jobs);
        }
    }
}
