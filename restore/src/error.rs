//! Why a restore failed.

use jiff::Timestamp;

use shared::aws::{AwsError, Failure};
use shared::cognito::pool::PoolError;
use shared::id::Id;
use shared::import_csv::FormatError;
use shared::import_csv::reader::HeaderError;
use shared::pool_id::PoolId;
use shared::s3::json::JsonError;
use shared::s3::lease::LeaseError;

/// Why a restore failed. The same request, sent again, resumes where this run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A call to a user pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A call to S3 or CloudWatch Logs failed, or the upload to an import job.
    #[error(transparent)]
    Bucket(#[from] AwsError),
    /// An object in the bucket cannot be read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// No import file can be written for the target pool.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The target pool's import header is not valid.
    #[error("user pool {pool}: {error}")]
    Header {
        /// The target pool.
        pool: PoolId,
        /// What is wrong with the header.
        error: HeaderError,
    },
    /// There is no `latest.json`.
    #[error("the bucket has no latest.json: take a snapshot first")]
    NoSnapshot,
    /// The snapshot has only the people who signed up in its pool, and others are to be restored.
    #[error(
        "snapshot {0} has only the people who signed up in its pool: give the scope newcomers, or a snapshot of the whole pool"
    )]
    OnlyNewcomers(Id),
    /// The bucket has no snapshot of this name.
    #[error(
        "the bucket has no snapshot {0}: give the name of one below snapshots/, or give latest"
    )]
    NoManifest(Id),
    /// A file differs from what the manifest says.
    #[error(
        "snapshot {snapshot} is damaged: {what} does not match its manifest; use another snapshot, or take a new one"
    )]
    Damaged {
        /// The snapshot.
        snapshot: Id,
        /// The file, or the part of the manifest.
        what: String,
    },
    /// People have signed up since the snapshot was taken.
    #[error(
        "{records} people have signed up since snapshot {snapshot}: take a snapshot first, or set allow_stale (--allow-stale) to restore without them"
    )]
    Stale {
        /// The snapshot.
        snapshot: Id,
        /// How many people.
        records: usize,
    },
    /// Newcomers have other addresses than the snapshot says.
    #[error(
        "people have changed a sign-in name, email address or phone number since snapshot {0}: take a snapshot, then restore again"
    )]
    Outdated(Id),
    /// The snapshot's pool does not say who of the newcomers was disabled or deleted since the snapshot.
    #[error(
        "user pool {pool} does not say who of its newcomers was disabled or deleted since the snapshot: {error}. They are not restored. Run \
         again when it answers, or set allow_stale (--allow-stale) to restore the newcomers as the snapshot has them"
    )]
    SourceSilent {
        /// The snapshot's pool.
        pool: PoolId,
        /// How it failed.
        error: AwsError,
    },
    /// A call that concerns no single user was refused: the set-up is wrong.
    #[error("{error}{}", said(.error))]
    SetUp {
        /// The refusal.
        error: AwsError,
    },
    /// The snapshot was taken from the target pool.
    #[error(
        "snapshot {snapshot} was taken from user pool {pool} itself, which is the pool to restore into: give the other pool; if users who \
         were deleted in this pool are to come back to it, set same_pool (--same-pool)"
    )]
    SamePool {
        /// The snapshot.
        snapshot: Id,
        /// The pool.
        pool: PoolId,
    },
    /// The two pools use different sign-in names.
    #[error(
        "users in the pool of snapshot {snapshot} sign in with {there}, and users of user pool {pool} with {here}: twinpool cannot match users between the two"
    )]
    SignInDiffers {
        /// The snapshot.
        snapshot: Id,
        /// The target pool.
        pool: PoolId,
        /// What users of the snapshot's pool sign in with.
        there: String,
        /// What users of the target pool sign in with.
        here: String,
    },
    /// The import would lose values.
    #[error(
        "user pool {pool} lacks attributes for which {people} people have values: {}. Add them to the pool (AddCustomAttributes), then run again",
        .columns.join(", ")
    )]
    MissingAttributes {
        /// The target pool.
        pool: PoolId,
        /// The attributes, named as columns of an import file.
        columns: Vec<String>,
        /// How many people have a value there.
        people: u64,
    },
    /// Another run holds the lease.
    #[error(
        "another run holds the lease on restores from this bucket, until {until} at least: wait until it ends"
    )]
    Held {
        /// When the lease expires unless it is renewed.
        until: Timestamp,
    },
    /// Another run has taken the lease after this run did not renew it in time.
    #[error("another run has taken over this restore")]
    TakenOver,
    /// Another import job of this account has not ended in time.
    #[error(
        "another import job is active in this account: wait until it ends or stop it, then run again"
    )]
    AnotherJobActive,
    /// An import job processed no row at all.
    #[error("import job {job} failed before its first row: {message}")]
    JobFailed {
        /// The job's id.
        job: String,
        /// Cognito's message, which names no person.
        message: String,
    },
    /// Cognito does not start an import job, although no other job of the pool is active.
    #[error(
        "import job {job} is not started: {error}{}; no other job of this pool is active. Look at the role of the import log and at the \
         pool's auto-verified attributes, and whether another pool of this account is importing users, then run again",
        said(.error)
    )]
    JobNotStarted {
        /// The job's id.
        job: String,
        /// The refusal.
        error: AwsError,
    },
    /// The target pool cannot be listed, or the people looked up in it, within one invocation.
    #[error(
        "one invocation is too short to look at everyone in user pool {0}: use `twinpool restore`, which has no time limit"
    )]
    TooLarge(PoolId),
    /// The groups of the newcomers cannot be written within one invocation.
    #[error(
        "everyone is in user pool {0}, and one invocation is too short to write the groups of all newcomers: use `twinpool restore`, which has no time limit"
    )]
    TooManyGroups(PoolId),
}

impl From<LeaseError> for RestoreError {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::TakenOver => Self::TakenOver,
            LeaseError::Json(error) => Self::Json(error),
        }
    }
}

/// What the service said, without values of people.
fn said(error: &AwsError) -> String {
    match error.safe_message() {
        message if message.is_empty() => message,
        message => format!(": {message}"),
    }
}

impl RestoreError {
    /// The error of a call that concerns no single user.
    pub(crate) fn of_set_up(error: PoolError) -> Self {
        match error {
            PoolError::Aws(error) if error.failure() == Failure::Refused => Self::SetUp { error },
            error => error.into(),
        }
    }

    /// Whether the run stopped because it reached its deadline.
    pub fn is_out_of_time(&self) -> bool {
        matches!(self, Self::Pool(PoolError::OutOfTime(_)))
    }
}
