//! `lease.json` and `lease-newcomers.json`: the leases under which a snapshot of the pool, or of the newcomers, is taken.
//!
//! A lease also keeps the last start, the last finished snapshot and the unfinished one, so that many wake-ups do
//! not start more than one snapshot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::JsonError;
use crate::s3::lease::{Holder, LeaseState};
use crate::snapshot::scope::Scope;
use crate::time::is_in_future;

/// The content of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotLease {
    version: u32,
    holder: Option<Holder>,
    /// When a snapshot was last started, whatever became of it.
    pub last_start: Option<Timestamp>,
    /// The last snapshot that was finished.
    pub last_finished: Option<Finished>,
    /// The snapshot that was last started or resumed, and is not finished.
    pub unfinished: Option<Id>,
}

/// A snapshot that was finished, whether it became the latest or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// When it was started.
    pub started_at: Timestamp,
    /// How many sign-up records were in the journal.
    pub sign_ups: u64,
    /// Its name. Earlier versions did not write it.
    #[serde(default)]
    pub snapshot: Option<Id>,
}

impl SnapshotLease {
    /// Forgets the times that have not come yet, so that nobody waits for them. Says whether there were some.
    pub(super) fn forget_future(&mut self, now: Timestamp) -> bool {
        let start = self.last_start.take_if(|start| is_in_future(*start, now));
        let finished = &mut self.last_finished;
        let finished = finished.take_if(|finished| is_in_future(finished.started_at, now));
        start.is_some() || finished.is_some()
    }
}

impl LeaseState for SnapshotLease {
    fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn set_holder(&mut self, holder: Option<Holder>) {
        self.version = 1;
        self.holder = holder;
    }
}

/// Reads the lease of a scope, with its entity tag. A bucket without one has a free lease.
///
/// # Errors
///
/// S3 failed, or the object cannot be read.
pub async fn read(
    bucket: &Bucket,
    scope: Scope,
) -> Result<(SnapshotLease, Option<String>), JsonError> {
    Ok(match bucket.get_json(scope.lease_key()).await? {
        Some((lease, etag)) => (lease, Some(etag)),
        None => (SnapshotLease::default(), None),
    })
}

/// Subtracts archived sign-up records from the number of records that the last snapshot knew, so that a record listed late still
/// counts as new, for either scope. Does nothing while a snapshot is being taken, because that counts the records itself.
///
/// # Errors
///
/// S3 failed, or the object cannot be read.
pub async fn subtract_archived_sign_ups(bucket: &Bucket, archived: u64) -> Result<(), JsonError> {
    for scope in [Scope::Pool, Scope::Newcomers] {
        let (mut lease, Some(etag)) = read(bucket, scope).await? else {
            continue;
        };
        if let (None, Some(finished)) = (&lease.holder, &mut lease.last_finished) {
            finished.sign_ups = finished.sign_ups.saturating_sub(archived);
            let condition = Condition::Unchanged(&etag);
            bucket
                .put_json_if(scope.lease_key(), &lease, condition, |_| false)
                .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn only_times_that_have_not_come_yet_are_forgotten() {
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let lease = |start, finished| SnapshotLease {
            last_start: Some(at(start)),
            last_finished: Some(Finished {
                started_at: at(finished),
                sign_ups: 7,
                snapshot: None,
            }),
            ..SnapshotLease::default()
        };

        let mut good = lease(0, -60);
        let mut slightly_ahead = lease(5, 5);
        let mut fast = lease(240, 240);

        assert!(!good.forget_future(now) && good == lease(0, -60));
        assert!(!slightly_ahead.forget_future(now) && slightly_ahead == lease(5, 5));
        assert!(fast.forget_future(now) && fast == SnapshotLease::default());
    }
}
