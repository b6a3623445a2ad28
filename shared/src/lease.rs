//! One snapshot at a time: `lease.json`, taken by a conditional write, good until the invocation that took it ends.
//!
//! The same object remembers the last start and the last snapshot, so that wake-ups which come in a storm can be told
//! apart from a reason to start.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::AwsError;
use crate::bucket::{Bucket, Condition, ReadError};

/// The lease's key.
pub const LEASE: &str = "lease.json";

/// What the lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// Who is at it.
    holder: Option<Holder>,
    /// When a snapshot was last started, whatever became of it.
    pub last_start: Option<Timestamp>,
    /// The last snapshot that was finished.
    pub last_done: Option<Done>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    until: Timestamp,
}

/// A snapshot that was finished, whether it became the latest or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When it was started.
    pub started_at: Timestamp,
    /// How many sign-up records it knew of.
    pub sign_ups: u64,
}

impl State {
    /// Whether somebody is at it.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.until > now)
    }
}

/// The lease as it was read, from which it can be taken.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it says.
    pub state: State,
    etag: Option<String>,
}

/// The lease, held.
#[derive(Debug)]
pub struct Lease {
    bucket: Bucket,
    state: State,
    etag: String,
}

/// Reads the lease; a bucket without one is free.
pub async fn read(bucket: &Bucket) -> Result<Seen, ReadError> {
    Ok(match bucket.get_json(LEASE).await? {
        Some((state, etag)) => Seen {
            state,
            etag: Some(etag),
        },
        None => Seen {
            state: State::default(),
            etag: None,
        },
    })
}

impl Seen {
    /// Takes the lease for a holder, until a point in time; none when somebody has it or was quicker.
    pub async fn take(
        &self,
        bucket: &Bucket,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, ReadError> {
        if self.state.is_held(now) {
            return Ok(None);
        }
        let state = State {
            version: 1,
            holder: Some(Holder {
                id: holder.to_owned(),
                until,
            }),
            last_start: Some(now),
            last_done: self.state.last_done.clone(),
        };
        let condition = self
            .etag
            .as_deref()
            .map_or(Condition::Absent, Condition::Unchanged);
        let etag = match bucket.put_json_if(LEASE, &state, condition).await? {
            Some(etag) => Some(etag),
            // Perhaps it was this very write whose answer was lost, and its repetition that came too late.
            None => {
                let written = read(bucket).await?;
                written.etag.filter(|_| written.state == state)
            }
        };
        Ok(etag.map(|etag| Lease {
            bucket: bucket.clone(),
            state,
            etag,
        }))
    }
}

impl Lease {
    /// Gives the lease back, with what was finished under it. A lease that somebody took over meanwhile stays theirs.
    pub async fn release(mut self, done: Option<Done>) -> Result<(), AwsError> {
        self.state.holder = None;
        self.state.last_done = done.or(self.state.last_done);
        let condition = Condition::Unchanged(&self.etag);
        self.bucket
            .put_json_if(LEASE, &self.state, condition)
            .await
            .map(|_| ())
    }
}
