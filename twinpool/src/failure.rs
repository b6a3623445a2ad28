//! How a command ends: the exit codes of the contract.

use std::path::PathBuf;
use std::process::ExitCode;

use shared::aws::AwsError;
use shared::bucket::ReadError;
use shared::pool::PoolError;
use shared::snapshot::SnapshotError;

/// What a command that did its work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done, and nothing is wrong: 0.
    Good,
    /// Done, and something was found that is wrong; the command has said what: 1.
    Wrong,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What it found does not let it go on, and what to do: 1.
    #[error("{0}")]
    Wrong(String),
    /// Its result could not be written: 1.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
    /// It was asked for something that makes no sense: 2.
    #[error("{0}")]
    Usage(String),
    /// A file that the operator named cannot be used: 2.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// There are no credentials, or none that work: 3.
    #[error("{0}")]
    Credentials(String),
    /// AWS refused, or did not answer: 3.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The same, of a call that is about no person, so that the service's own words can be shown: 3.
    #[error("{error}: {}", .error.message())]
    Explained {
        /// The error.
        error: AwsError,
    },
    /// A pool's settings are written, and how they came out is not known; the command has listed what they should be: 3.
    #[error(
        "written, but not read again: {error}; when the pool answers, run twinpool attach again to see that the function is attached, \
         and compare what is listed with aws cognito-idp describe-user-pool and get-user-pool-mfa-config"
    )]
    NotReadAgain {
        /// Why not.
        error: AwsError,
    },
    /// A pool did not answer in the time there was: 3.
    #[error("{0}; run the command again")]
    OutOfTime(String),
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Aws(error) => Self::Aws(error),
            PoolError::OutOfTime(_) => Self::OutOfTime(error.to_string()),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Aws(error) => Self::Aws(error),
            ReadError::Malformed { .. } => Self::Wrong(error.to_string()),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Pool(error) => error.into(),
            SnapshotError::Bucket(error) => Self::Aws(error),
            SnapshotError::Read(error) => error.into(),
            error => Self::Wrong(error.to_string()),
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::SUCCESS,
            Verdict::Wrong => Self::from(1),
        }
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(match failure {
            Failure::Wrong(_) | Failure::Output(_) => 1,
            Failure::Usage(_) | Failure::File { .. } => 2,
            Failure::Credentials(_)
            | Failure::Aws(_)
            | Failure::Explained { .. }
            | Failure::NotReadAgain { .. }
            | Failure::OutOfTime(_) => 3,
        })
    }
}
