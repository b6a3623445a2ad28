//! The result of a command, and the exit code of each result.

use std::path::PathBuf;
use std::process::ExitCode;

use ::reconcile::error::ReconcileError;
use restore::RestoreError;
use restore::fill::FillError;
use serde::Serialize;
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
    /// Not done, because another run is in progress, and the command has shown who or what: exit code 4.
    Busy,
    /// Done, but AWS refused a part of it, and the command has shown which: exit code 3.
    Refused,
}

/// Exit code of a command that AWS refused, or did not answer.
const REFUSED: u8 = 3;

/// Exit code of a command that somebody else keeps from its work for now.
const BUSY: u8 = 4;

/// Exit code of a command that was interrupted from the keyboard: 128 and the number of the signal, as shells report it.
const INTERRUPTED: u8 = 130;

/// Why a command could not do its work, and so its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command found something that prevents it from continuing; the text says what to do: exit code 1.
    #[error("{0}")]
    Wrong(String),
    /// Another run is in progress, so that the same command may succeed later; the text says who or what: exit code 4.
    #[error("{0}")]
    Busy(String),
    /// Interrupted from the keyboard; the text says what has been done and how to go on: exit code 130.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// People have signed up since the snapshot that is to be restored: exit code 1.
    #[error("{0}")]
    Stale(String),
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
    /// AWS rejected a call that a command cannot go on without, or did not answer it; the text says what that means: exit code 3.
    #[error("{what} ({error})")]
    Stopped {
        /// What it means.
        what: String,
        /// The error.
        error: AwsError,
    },
    /// AWS rejected a call because of the set-up; the text has what the service said, without values of people: exit code 3.
    #[error("{0}")]
    Refused(String),
    /// A pool's settings were written but could not be read again; the command has listed what they should be: exit code 3.
    #[error(
        "the settings were written, but not read again: {error}; when the pool answers, run twinpool {command} again to make sure that \
         the trigger is as it should be, and compare the list with aws cognito-idp describe-user-pool and get-user-pool-mfa-config"
    )]
    NotReadAgain {
        /// The command.
        command: &'static str,
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
            error @ SnapshotError::Superseded => Self::Busy(error.to_string()),
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
            error @ (ReconcileError::TakenOver | ReconcileError::Held) => {
                Self::Busy(error.to_string())
            }
            error => Self::Wrong(error.to_string()),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Pool(error) => error.into(),
            RestoreError::Bucket(error) => error.into(),
            RestoreError::Json(error) => error.into(),
            RestoreError::SetUp { .. }
            | RestoreError::SourceSilent { .. }
            | RestoreError::JobFailed { .. }
            | RestoreError::JobNotStarted { .. } => Self::Refused(error.to_string()),
            RestoreError::Stale { .. } => Self::Stale(error.to_string()),
            RestoreError::Held { .. }
            | RestoreError::TakenOver
            | RestoreError::AnotherJobActive => Self::Busy(error.to_string()),
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
            FillError::Held => Self::Busy(error.to_string()),
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::SUCCESS,
            Verdict::Wrong => Self::from(1),
            Verdict::Busy => Self::from(BUSY),
            Verdict::Refused => Self::from(REFUSED),
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.exit_code())
    }
}

/// A failure in its parts, for scripts.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The kind of failure: one word for each kind, which does not change.
    kind: &'static str,
    /// What has happened.
    what: String,
    /// The operation and the pool, bucket or file that it concerns.
    r#where: Option<String>,
    /// What to do.
    to_do: Option<String>,
    /// The exit code of the command.
    exit_code: u8,
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Wrong(_) | Self::Stale(_) | Self::Output(_) => 1,
            Self::Usage(_) | Self::File { .. } => 2,
            Self::Credentials(_)
            | Self::Aws(_)
            | Self::Explained { .. }
            | Self::Refused(_)
            | Self::NotReadAgain { .. }
            | Self::Stopped { .. }
            | Self::OutOfTime(_) => REFUSED,
            Self::Busy(_) => BUSY,
            Self::Interrupted(_) => INTERRUPTED,
        }
    }

    fn kind(&self) -> &'static str {
        use shared::aws::Failure::{Refused, Throttled, Unavailable, Unexplained, Unreachable};
        match self {
            Self::Wrong(_) => "wrong",
            Self::Stale(_) => "stale",
            Self::Busy(_) => "busy",
            Self::Interrupted(_) => "interrupted",
            Self::Output(_) => "output",
            Self::Usage(_) => "usage",
            Self::File { .. } => "file",
            Self::Credentials(_) => "credentials",
            Self::Refused(_) => "refused",
            Self::NotReadAgain { .. } => "not-read-again",
            Self::OutOfTime(_) => "out-of-time",
            Self::Aws(error) | Self::Explained { error } | Self::Stopped { error, .. } => {
                match error.failure() {
                    Unreachable => "unreachable",
                    Throttled => "throttled",
                    Unavailable | Unexplained => "unavailable",
                    Refused => "refused",
                }
            }
        }
    }

    /// The failure in its parts.
    pub fn explain(&self) -> Explanation {
        let of_call =
            |error: &AwsError| Some(format!("{} on {}", error.operation(), error.target()));
        let text = self.to_string();
        // A text says first what has happened, and then what to do.
        let (what, to_do) = match text.split_once("; ") {
            Some((what, to_do)) => (what.to_owned(), Some(to_do.to_owned())),
            None => (text, None),
        };
        let (what, place, to_do) = match self {
            Self::Aws(error) => {
                let to_do = error.advice().map(str::to_owned);
                (error.code().to_owned(), of_call(error), to_do)
            }
            Self::Explained { error } => {
                let what = format!("{}: {}", error.code(), error.message());
                (what, of_call(error), error.advice().map(str::to_owned))
            }
            Self::NotReadAgain { error, .. } => (what, of_call(error), to_do),
            Self::Stopped { what, error } => {
                let what = format!("{what}: {}", error.code());
                (what, of_call(error), error.advice().map(str::to_owned))
            }
            Self::File { path, error } => {
                (error.to_string(), Some(path.display().to_string()), None)
            }
            _ => (what, None, to_do),
        };
        Explanation {
            kind: self.kind(),
            what,
            r#where: place,
            to_do,
            exit_code: self.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_says_where_and_what_to_check() {
        let refused = AwsError::from_status("ListObjectsV2", "a-bucket", 503);

        let explanation = Failure::Aws(refused).explain();

        assert_eq!(
            explanation,
            Explanation {
                kind: "unavailable",
                what: "HTTP status 503".into(),
                r#where: Some("ListObjectsV2 on a-bucket".into()),
                to_do: None,
                exit_code: 3,
            }
        );
    }

    #[test]
    fn busy_and_interrupted_have_exit_codes_of_their_own() {
        let busy = Failure::Busy("somebody else writes; run the command again".into());
        let interrupted = Failure::Interrupted("run the same command again".into());

        assert_eq!((busy.exit_code(), busy.explain().kind), (4, "busy"));
        let to_do = busy.explain().to_do;
        assert_eq!(to_do.as_deref(), Some("run the command again"));
        assert_eq!(interrupted.exit_code(), 130);
        assert_eq!(
            interrupted.to_string(),
            "interrupted: run the same command again"
        );
    }
}
