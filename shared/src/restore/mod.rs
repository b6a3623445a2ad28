//! Bringing people back from a snapshot into a pool: one import job at a time, until everyone is home or named.
//!
//! It looks at the pool, decides who is to be brought, imports them, and looks again: so it may be ended at any point and run again.
//!
//! # Layout
//!
//! Pure: [`request`] (what is asked and answered), [`fate`] (what becomes of a person).
//!
//! - [`source`], [`people`]: the snapshot, read as a stream
//! - [`newcomers`]: who of it signed up in its pool, and which record of the journal is whose
//! - [`census`]: who is in the pool already
//! - [`job`]: import jobs and their log
//! - [`writes`]: what no import file can carry
//! - [`open`]: the restore under way, so that another run goes on with it
//! - [`files`]: what it leaves
//! - [`run`]: from the request to the answer

pub mod census;
pub mod fate;
pub mod files;
pub mod job;
pub mod newcomers;
pub mod open;
pub mod people;
pub mod request;
pub mod run;
pub mod source;
pub mod writes;

use jiff::Timestamp;

use crate::aws::AwsError;
use crate::bucket::ReadError;
use crate::import_csv::FormatError;
use crate::import_csv::reader::HeaderError;
use crate::pool::{PoolError, PoolId};
use crate::snapshot::Id;

/// Why a restore could not go on. The same request again goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A call to a pool failed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// S3, the upload or the log failed.
    #[error(transparent)]
    Bucket(#[from] AwsError),
    /// An object in the bucket cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No import file can be written for the pool.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The pool's import header makes no sense.
    #[error("user pool {pool}: {error}")]
    Header {
        /// The pool.
        pool: PoolId,
        /// What is wrong with it.
        error: HeaderError,
    },
    /// There is no `latest.json`.
    #[error("the bucket has no latest.json: take a snapshot first")]
    NoSnapshot,
    /// There is no such snapshot.
    #[error("the bucket has no snapshot {0}: look at the names below snapshots/, or say latest")]
    NoManifest(Id),
    /// A file is not what the manifest says.
    #[error(
        "snapshot {snapshot} is damaged: {what} is not what its manifest says; use another snapshot, or take one"
    )]
    Damaged {
        /// The snapshot.
        snapshot: Id,
        /// The file or part.
        what: String,
    },
    /// People have signed up since.
    #[error(
        "{records} people have signed up since snapshot {snapshot}: take a snapshot first, or say allow_stale (--allow-stale) to leave them behind"
    )]
    Stale {
        /// The snapshot.
        snapshot: Id,
        /// How many.
        records: usize,
    },
    /// The pools do not sign in alike.
    #[error(
        "people sign in to snapshot {snapshot}'s pool by {there} and to user pool {pool} by {here}: nobody could be told apart"
    )]
    SignInDiffers {
        /// The snapshot.
        snapshot: Id,
        /// The pool.
        pool: PoolId,
        /// How, in the snapshot's pool.
        there: String,
        /// How, in the pool.
        here: String,
    },
    /// Values would be lost.
    #[error(
        "user pool {pool} has no attribute for what {people} people have in {}: add it to the pool (AddCustomAttributes), then run again",
        .columns.join(", ")
    )]
    NoColumn {
        /// The pool.
        pool: PoolId,
        /// The columns.
        columns: Vec<String>,
        /// How many people have a value there.
        people: u64,
    },
    /// Another run is at it.
    #[error(
        "another run is at a restore from this bucket, until {until} at least: wait for its end"
    )]
    Held {
        /// Until when, unless it goes on.
        until: Timestamp,
    },
    /// Another run has taken over.
    #[error("another run has taken this restore over")]
    TakenOver,
    /// Another job is active in this account and does not end.
    #[error(
        "another import job is active in this account: wait for its end or stop it, then run again"
    )]
    Busy,
    /// A job did nothing at all.
    #[error("import job {job} failed before its first row: {message}")]
    JobFailed {
        /// The job.
        job: String,
        /// Cognito's words, which name no person.
        message: String,
    },
    /// The upload is not seen.
    #[error("Cognito does not see the file that was uploaded for job {0}: run again")]
    NoFile(String),
    /// The pool cannot be listed in one invocation.
    #[error(
        "user pool {0} is too large to be listed in one invocation: use `twinpool restore`, which has no such limit"
    )]
    TooLarge(PoolId),
}

impl RestoreError {
    /// Whether the time was up.
    pub fn is_out_of_time(&self) -> bool {
        matches!(self, Self::Pool(PoolError::OutOfTime(_)))
    }
}
