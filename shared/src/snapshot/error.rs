//! Why a snapshot could not be taken.

use crate::aws::error::AwsError;
use crate::cognito::pool::PoolError;
use crate::id::Id;
use crate::import_csv::FormatError;
use crate::pool_id::PoolId;
use crate::s3::json::JsonError;

/// Why a snapshot could not be taken. Nothing that was written counts as a snapshot then.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A call to the pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The pool's users cannot be written as import files.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// S3 refused.
    #[error(transparent)]
    Bucket(#[from] AwsError),
    /// An object in the bucket cannot be read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The bucket belongs to another pool.
    #[error(
        "bucket {bucket} holds the snapshots of user pool {theirs}: give user pool {ours} a bucket of its own"
    )]
    OtherPool {
        /// The bucket.
        bucket: String,
        /// The pool it belongs to.
        theirs: String,
        /// The pool of which a snapshot was to be taken.
        ours: PoolId,
    },
    /// The lease has expired, and another worker has resumed the snapshot.
    #[error("another worker has taken over: nothing more is done here")]
    Superseded,
    /// The latest snapshot is from a time that has not come yet on this machine, so that a new one would not become the latest.
    #[error(
        "the latest snapshot, {latest}, is from a time that has not come yet on this machine: the clock of this machine is slow, or \
         the clock of the one that took it was fast; nothing was done; set this machine's clock and run the command again, or send \
         {{\"action\":\"snapshot\"}} to backup-fn's worker, whose clock AWS sets"
    )]
    ClockBehind {
        /// The latest snapshot.
        latest: Id,
    },
    /// The snapshot is complete, and a newer one is the latest.
    #[error(
        "snapshot {snapshot} is complete, but was not made the latest: {latest} is newer; if it is not, the clock of the machine \
         that started one of them was wrong; take a new snapshot"
    )]
    Outdated {
        /// The snapshot.
        snapshot: Id,
        /// The latest one.
        latest: Id,
    },
    /// A part that was written earlier cannot be read any more.
    #[error("{key} is gone or not what was written: the next snapshot starts from the beginning")]
    LostPart {
        /// The part's key.
        key: String,
    },
}
