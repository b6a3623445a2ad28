//! The result of a command, and the exit code of each result.

use std::path::PathBuf;
use std::process::ExitCode;

use ::reconcile::error::ReconcileError;
use restore::fill::FillError;
use shared::aws::AwsError;
use shared::cognito::pool::PoolError;
use shared::s3::json::JsonError;
use shared::snapshot::error::SnapshotError;

/// The result of a command that was able to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done, and nothing is wrong: exit code 0.
    Good,
    /// Done, but something is wrong, and the command has shown what: exit code 1.
    Wrong,
}

/// Why a command could not do its work, and so its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command found something that prevents it from continuing; the text says what to do: exit code 1.
    #[error("{0}")]
    Wrong(String),
    /// The result could not be written: exit code 1.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
    /// The arguments contradict each other: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file that the operator named cannot be used: exit code 2.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There are no credentials, or they do not work: exit code 3.
    #[error("{0}")]
    Credentials(String),
    /// AWS rejected a call, or did not answer: exit code 3.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// AWS rejected a call that concerns no user, so that the message of the service can be shown: exit code 3.
    #[error("{error}: {}", .error.message())]
    Explained {
        /// The error.
        error: AwsError,
    },
    /// AWS rejected a call because of the set-up; the text has what the service said, without values of people: exit code 3.
    #[error("{0}")]
    Refused(String),
    /// A pool's settings were written but could not be read again; the command has listed what they should be: exit code 3.
    #[error(
        "the settings were written, but not read again: {error}; when the pool answers, run twinpool attach again to make sure that \
         the function is attached, and compare the list with aws cognito-idp describe-user-pool and get-user-pool-mfa-config"
    )]
    NotReadAgain {
        /// Why they could not be read.
        error: AwsError,
    },
    /// A pool did not answer before the deadline: exit code 3.
    #[error("{0}; run the command again")]
    OutOfTime(String),
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Aws(error) => Self::Aws(error),
            PoolError::OutOfTime(_) | PoolError::TooLate(_) => Self::OutOfTime(error.to_string()),
        }
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Aws(error) => Self::Aws(error),
            JsonError::Malformed { .. } => Self::Wrong(error.to_string()),
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Pool(error) => error.into(),
            SnapshotError::Bucket(error) => Self::Aws(error),
            SnapshotError::Json(error) => error.into(),
            error => Self::Wrong(error.to_string()),
        }
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Pool(error) => error.into(),
            ReconcileError::Aws(error) => Self::Aws(error),
            ReconcileError::Json(error) => error.into(),
            error => Self::Wrong(error.to_string()),
        }
    }
}

impl From<FillError> for Failure {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Snapshot(error) => error.into(),
            FillError::Restore(error) => error.into(),
            FillError::Json(error) => error.into(),
            FillError::Held => Self::Wrong(error.to_string()),
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
            | Failure::Refused(_)
            | Failure::NotReadAgain { .. }
            | Failure::OutOfTime(_) => 3,
        })
    }
}
