//! The restore that is under way, in `restores/open.json`: who is at it, and the import jobs it has started.
//!
//! One restore at a time. A run holds it for half a minute and renews that while it lives; whoever comes later with the same
//! request goes on where the last run stopped.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::RestoreError;
use crate::bucket::{Bucket, Condition};
use crate::pool::PoolId;
use crate::record::to_milliseconds;
use crate::restore::request::{Request, Status};
use crate::snapshot::Id;

const OPEN: &str = "restores/open.json";

/// How long a run is believed to live without a sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How often a run gives one.
const RENEWAL: Duration = Duration::from_secs(8);

/// What is kept of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// Its name, and that of its folder.
    pub restore: Id,
    /// The pool that people are brought back into.
    pub pool: String,
    /// What was asked for.
    pub request: Request,
    /// When its first run began.
    pub started_at: Timestamp,
    /// When the first restore began after the last one that brought everyone home. A half-made user since then is a restore's.
    pub since: Timestamp,
    /// How far it has come.
    status: Status,
    holder: Option<Holder>,
    /// The import jobs, in order.
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    until: Timestamp,
}

/// An import job of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Cognito's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The key of its file.
    pub file: String,
    /// How many rows the file has.
    pub rows: u64,
    /// What became of it; none while it runs.
    pub ended: Option<Ended>,
}

/// What became of an import job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Cognito's word for it.
    pub status: String,
    /// Cognito's words about it.
    pub message: Option<String>,
    /// Rows that were imported.
    pub imported: u64,
    /// Rows of users who were there.
    pub skipped: u64,
    /// Rows that were refused.
    pub failed: u64,
}

/// The restore, held by this run.
#[derive(Debug)]
pub struct Open {
    bucket: Bucket,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    state: State,
    etag: String,
}

impl Open {
    /// Takes up the restore of this request where it was left, or begins one. Waits a little for another run to end.
    pub async fn take(
        bucket: &Bucket,
        pool: &PoolId,
        request: &Request,
        holder: &str,
        until: Instant,
    ) -> Result<Self, RestoreError> {
        let mut waited = false;
        loop {
            let seen = bucket.get_json::<State>(OPEN).await?;
            let now = to_milliseconds(Timestamp::now());
            let busy = seen.as_ref().and_then(|(state, _)| state.busy(now));
            if let Some(ends) = busy {
                let wait = ends.duration_since(now);
                if waited || wait > LEASE || Instant::now() + wait.unsigned_abs() >= until {
                    return Err(RestoreError::Held { until: ends });
                }
                waited = true;
                tokio::time::sleep(wait.unsigned_abs()).await;
                continue;
            }
            let (condition, left) = match &seen {
                Some((state, etag)) => (Condition::Unchanged(etag), Some(state)),
                None => (Condition::Absent, None),
            };
            let mut state = match left {
                Some(state) if state.is_for(pool, request) => state.clone(),
                _ => State::new(pool, request, now),
            };
            if let Some(left) = left.filter(|left| left.pool == state.pool) {
                state.go_on_from(left);
            }
            state.holder = Some(Holder::new(holder, now));
            if let Some(etag) = bucket.put_json_once(OPEN, &state, condition).await? {
                return Ok(Self {
                    bucket: bucket.clone(),
                    held: Mutex::new(Held { state, etag }),
                });
            }
        }
    }

    /// What is kept of it.
    pub async fn state(&self) -> State {
        self.held.lock().await.state.clone()
    }

    /// Gives a sign of life now and then. Ends only when another run has taken over.
    pub async fn renew(&self) -> RestoreError {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match self.keep(|_| ()).await {
                Err(error @ RestoreError::TakenOver) => return error,
                Err(error) => tracing::warn!(%error, "no sign of life, yet"),
                Ok(()) => {}
            }
        }
    }

    /// Changes what is kept. Fails when another run has taken over.
    pub async fn keep(&self, change: impl FnOnce(&mut State)) -> Result<(), RestoreError> {
        let mut held = self.held.lock().await;
        let mut state = held.state.clone();
        change(&mut state);
        if let Some(holder) = &mut state.holder {
            *holder = Holder::new(&holder.id, to_milliseconds(Timestamp::now()));
        }
        loop {
            let condition = Condition::Unchanged(&held.etag);
            if let Some(etag) = self.bucket.put_json_if(OPEN, &state, condition).await? {
                *held = Held { state, etag };
                return Ok(());
            }
            // Perhaps it was a write of this very run whose answer was lost.
            match self.bucket.get_json::<State>(OPEN).await? {
                Some((there, etag)) if there == state => {
                    *held = Held { state, etag };
                    return Ok(());
                }
                Some((there, etag)) if there.is_held_as(&held.state) => held.etag = etag,
                _ => return Err(RestoreError::TakenOver),
            }
        }
    }

    /// Lets go of it, at its end or to be taken up again.
    pub async fn leave(&self, status: Status) -> Result<(), RestoreError> {
        self.keep(|state| {
            state.holder = None;
            state.status = status;
        })
        .await
    }
}

impl State {
    fn new(pool: &PoolId, request: &Request, now: Timestamp) -> Self {
        Self {
            version: 1,
            restore: Id::new(now),
            pool: pool.to_string(),
            request: request.clone(),
            started_at: now,
            since: now,
            status: Status::InProgress,
            holder: None,
            jobs: Vec::new(),
        }
    }

    fn is_for(&self, pool: &PoolId, request: &Request) -> bool {
        self.status == Status::InProgress && self.pool == pool.as_str() && self.request == *request
    }

    /// Takes over what an earlier restore of the same pool has left, which perhaps was asked for something else.
    fn go_on_from(&mut self, left: &Self) {
        if left.status != Status::Complete {
            self.since = left.since;
        }
        if left.status == Status::InProgress {
            self.jobs.clone_from(&left.jobs);
        }
    }

    /// Whether both are held by the same run.
    fn is_held_as(&self, other: &Self) -> bool {
        let holder = |state: &Self| state.holder.as_ref().map(|holder| holder.id.clone());
        holder(self).is_some() && holder(self) == holder(other)
    }

    fn busy(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.holder.as_ref()?.until;
        (until > now).then_some(until)
    }
}

impl Holder {
    fn new(id: &str, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            until: now + LEASE,
        }
    }
}
