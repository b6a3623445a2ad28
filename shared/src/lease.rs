//! One snapshot at a time: `lease.json`, taken by a conditional write, good until the invocation that took it ends, or for
//! as long as it is renewed.
//!
//! The same object remembers the last start, the last snapshot and one that is unfinished, so that wake-ups which come in a
//! storm can be told apart from a reason to work.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, Condition, ReadError};
use crate::snapshot::Id;

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
    /// The snapshot that was last begun, or gone on with, and not finished.
    pub unfinished: Option<Id>,
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

/// How long the lease is needed.
#[derive(Clone, Copy, Debug)]
pub enum Term {
    /// Until an invocation ends.
    Until(Timestamp),
    /// For as long as it takes: good for this long, and renewed six times in it.
    Renewed(SignedDuration),
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
    holder: String,
    state: State,
    etag: String,
    term: Term,
}

/// The lease is somebody else's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease is somebody else's")]
pub struct Lost;

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
    /// Takes the lease for a holder, who works at a snapshot, and at what time it starts unless it was started before; none
    /// when somebody has the lease or was quicker.
    pub async fn take(
        &self,
        bucket: &Bucket,
        holder: &str,
        term: Term,
        snapshot: &Id,
        started_at: Option<Timestamp>,
    ) -> Result<Option<Lease>, ReadError> {
        let now = Timestamp::now();
        if self.state.is_held(now) {
            return Ok(None);
        }
        let state = State {
            version: 1,
            holder: Some(Holder {
                id: holder.to_owned(),
                until: term.end(now),
            }),
            last_start: started_at.or(self.state.last_start),
            last_done: self.state.last_done.clone(),
            unfinished: Some(snapshot.clone()),
        };
        let condition = self
            .etag
            .as_deref()
            .map_or(Condition::Absent, Condition::Unchanged);
        let etag = bucket.put_json_once(LEASE, &state, condition).await?;
        Ok(etag.map(|etag| Lease {
            bucket: bucket.clone(),
            holder: holder.to_owned(),
            state,
            etag,
            term,
        }))
    }
}

/// Says that sign-up records have been moved away, so that one which becomes visible late is not taken for one of them. A
/// snapshot that is being taken counts them itself.
pub async fn forget_sign_ups(bucket: &Bucket, filed: u64) -> Result<(), ReadError> {
    let Seen {
        mut state,
        etag: Some(etag),
    } = read(bucket).await?
    else {
        return Ok(());
    };
    if let (None, Some(done)) = (&state.holder, &mut state.last_done) {
        done.sign_ups = done.sign_ups.saturating_sub(filed);
        let condition = Condition::Unchanged(&etag);
        bucket.put_json_if(LEASE, &state, condition).await?;
    }
    Ok(())
}

impl Term {
    fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Until(end) => end,
            Self::Renewed(term) => now + term,
        }
    }
}

impl Lease {
    /// Keeps the lease while work is done that may take longer than its term. Ends only when it is lost.
    pub async fn keep(&mut self) -> Lost {
        let Term::Renewed(term) = self.term else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(term.unsigned_abs() / 6).await;
            let now = Timestamp::now();
            if !self.state.is_held(now) {
                // The machine was asleep, or S3 away for long: somebody else may be at it.
                return Lost;
            }
            let mut renewed = self.state.clone();
            if let Some(holder) = &mut renewed.holder {
                holder.until = self.term.end(now);
            }
            let condition = Condition::Unchanged(&self.etag);
            match self.bucket.put_json_once(LEASE, &renewed, condition).await {
                Ok(Some(etag)) => (self.state, self.etag) = (renewed, etag),
                Ok(None) => return Lost,
                Err(error) => tracing::warn!(%error, "the lease is not renewed, yet"),
            }
        }
    }

    /// Gives the lease back, with what was finished under it, or what is left to be gone on with. A lease that somebody took
    /// over meanwhile stays theirs.
    pub async fn release(
        mut self,
        done: Option<Done>,
        unfinished: Option<Id>,
    ) -> Result<(), ReadError> {
        self.state.holder = None;
        self.state.last_done = done.or(self.state.last_done);
        self.state.unfinished = unfinished;
        let write = async |etag: &str| {
            let condition = Condition::Unchanged(etag);
            let written = self.bucket.put_json_once(LEASE, &self.state, condition);
            Ok::<_, ReadError>(written.await?.is_some())
        };
        if write(&self.etag).await? {
            return Ok(());
        }
        // Perhaps a renewal was under way when the work was done.
        if let Some((now, etag)) = self.bucket.get_json::<State>(LEASE).await?
            && now.holder.is_some_and(|now| now.id == self.holder)
        {
            write(&etag).await?;
        }
        Ok(())
    }
}
