//! Why a run of reconcile ended without an answer.

use shared::aws::AwsError;
use shared::cognito::pool::PoolError;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::s3::lease::LeaseError;

/// Why a run of reconcile ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A call to a pool failed, or the deadline passed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// S3 refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// An object in S3 cannot be read or written.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another process has taken over the lease.
    #[error("another run of reconcile has taken over: this one stops, and leaves the rest to it")]
    TakenOver,
    /// Another process holds the lease.
    #[error("another run of reconcile is in progress; run the command again when it has ended")]
    Held,
    /// Nothing is done with these two pools as they are.
    #[error("nothing is written: {0}")]
    Refused(String),
    /// A report names other pools.
    #[error("run {run} is of pools {theirs}, and this one is of {ours}: nothing is done")]
    OtherPools {
        /// The run.
        run: String,
        /// The pools of the report.
        theirs: String,
        /// The pools that are configured.
        ours: String,
    },
    /// What a run held back was accepted before.
    #[error(
        "run {run} was accepted before, by run {by}: nothing is done; look at the latest report, and accept that run"
    )]
    AcceptedBefore {
        /// The run.
        run: String,
        /// The run that has done, or does, what was accepted.
        by: String,
    },
    /// There is no such run.
    #[error("there is no report of a run {0} in the bucket")]
    NoSuchRun(String),
}

impl ReconcileError {
    /// Whether a write had to wait for so long that what it rests on must be looked at again.
    pub fn is_too_late(&self) -> bool {
        matches!(self, Self::Pool(PoolError::TooLate(_)))
    }
}

impl From<LeaseError> for ReconcileError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::TakenOver => Self::TakenOver,
            LeaseError::Json(error) => Self::Json(error),
        }
    }
}

/// The file of a plan is gone.
pub fn no_plan(bucket: &Bucket) -> AwsError {
    AwsError::incomplete_response("GetObject", bucket.name(), "a plan")
}
