//! A lease: a JSON object in S3 that one holder at a time may change.
//!
//! It is taken by a conditional write, and expires unless it is renewed, so that a holder that was killed blocks nobody for long.
//! The object also keeps what the next holder needs to know.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::JsonError;
use crate::time::now;

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// A name that no other process uses.
    id: String,
    /// When the lease expires, unless it is renewed.
    until: Timestamp,
}

/// A JSON object that can be leased.
pub trait LeaseState: Clone + PartialEq + Serialize + DeserializeOwned {
    /// Who holds the lease; none when it is free.
    fn holder(&self) -> Option<&Holder>;

    /// Sets who holds the lease.
    fn set_holder(&mut self, holder: Option<Holder>);

    /// When the lease expires that somebody holds now.
    fn held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.holder()?.until;
        (until > now).then_some(until)
    }
}

/// When a lease expires that somebody holds, whatever else its object keeps; none when it is free.
///
/// # Errors
///
/// S3 failed, or the object is no lease.
pub async fn held_until(
    bucket: &Bucket,
    key: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, JsonError> {
    #[derive(Deserialize)]
    struct AnyLease {
        #[serde(default)]
        holder: Option<Holder>,
    }
    let lease = bucket.get_json::<AnyLease>(key).await?;
    let until = lease.and_then(|(lease, _)| Some(lease.holder?.until));
    Ok(until.filter(|until| *until > now))
}

/// How long a lease is valid.
#[derive(Clone, Copy, Debug)]
pub enum Term {
    /// Until this time. It is not renewed.
    Until(Timestamp),
    /// For `validity` after each renewal, of which there is one every `interval`.
    Renewed {
        /// How long the lease is valid without a renewal.
        validity: SignedDuration,
        /// The time between two renewals.
        interval: Duration,
    },
}

impl Term {
    fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Until(end) => end,
            Self::Renewed { validity, .. } => now + validity,
        }
    }
}

/// A lease that this process holds.
#[derive(Debug)]
pub struct Lease<S> {
    bucket: Bucket,
    key: String,
    holder_id: String,
    term: Term,
    written: Mutex<Written<S>>,
}

#[derive(Debug)]
struct Written<S> {
    state: S,
    etag: String,
}

/// Why a lease could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has taken it over.
    #[error("another process has taken over the lease")]
    TakenOver,
    /// S3 failed.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl<S: LeaseState> Lease<S> {
    /// Takes a lease that is free or has expired: writes `state` with this holder, if the object is unchanged since it was read
    /// with the entity tag `seen`. None when another process holds the lease or was first.
    ///
    /// # Errors
    ///
    /// S3 failed.
    pub async fn take(
        bucket: &Bucket,
        key: &str,
        seen: Option<&str>,
        mut state: S,
        holder_id: &str,
        term: Term,
    ) -> Result<Option<Self>, JsonError> {
        if state.held_until(now()).is_some() {
            return Ok(None);
        }
        state.set_holder(Some(Holder {
            id: holder_id.to_owned(),
            until: term.end(now()),
        }));
        let condition = Condition::since_read(seen);
        let written = bucket
            .put_json_if(key, &state, condition, |_| false)
            .await?;
        Ok(written.map(|etag| Self {
            bucket: bucket.clone(),
            key: key.to_owned(),
            holder_id: holder_id.to_owned(),
            term,
            written: Mutex::new(Written { state, etag }),
        }))
    }

    /// The state as this process wrote it last.
    pub async fn state(&self) -> S {
        self.written.lock().await.state.clone()
    }

    /// Changes the state, and renews the lease.
    ///
    /// # Errors
    ///
    /// Another process has taken over the lease, or S3 failed.
    pub async fn update(&self, change: impl FnOnce(&mut S)) -> Result<(), LeaseError> {
        self.write(|state| {
            change(state);
            state.set_holder(Some(Holder {
                id: self.holder_id.clone(),
                until: self.term.end(now()),
            }));
        })
        .await
    }

    /// Changes the state for the last time, and frees the lease.
    ///
    /// # Errors
    ///
    /// Another process has taken over the lease, or S3 failed: then the lease stays until it expires.
    pub async fn release(&self, change: impl FnOnce(&mut S)) -> Result<(), LeaseError> {
        self.write(|state| {
            change(state);
            state.set_holder(None);
        })
        .await
    }

    /// Renews the lease for as long as this is awaited. Returns only when another process has taken it over.
    pub async fn keep_renewed(&self) {
        let Term::Renewed { interval, .. } = self.term else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(interval).await;
            match self.update(|_| ()).await {
                Ok(()) => {}
                Err(LeaseError::TakenOver) => return,
                Err(error) => tracing::warn!(%error, "the lease could not be renewed yet"),
            }
        }
    }

    async fn write(&self, change: impl FnOnce(&mut S)) -> Result<(), LeaseError> {
        let mut written = self.written.lock().await;
        let mut state = written.state.clone();
        change(&mut state);
        // A renewal of ours may have been written without being waited for.
        let is_ours = |there: &S| {
            there
                .holder()
                .is_some_and(|there| there.id == self.holder_id)
        };
        let condition = Condition::Unchanged(&written.etag);
        let etag = self
            .bucket
            .put_json_if(&self.key, &state, condition, is_ours)
            .await?;
        *written = Written {
            state,
            etag: etag.ok_or(LeaseError::TakenOver)?,
        };
        Ok(())
    }
}
