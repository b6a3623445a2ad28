//! Why a user is not restored, and what to do about it.

use std::fmt;

use shared::person::Status;

/// Why a user is not restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not in the target pool, and not a newcomer: probably deleted there.
    NotInPrimary,
    /// Somebody has signed up with this name in the target pool and has not confirmed it.
    UnconfirmedInPrimary,
    /// A user of the target pool has this name, in a state that no import changes.
    ExistsInPrimary(Status),
    /// Cognito would reject the row, for this reason.
    InvalidRow(String),
    /// The import job rejected the row; Cognito's message.
    ImportFailed(String),
    /// The import jobs have ended, and the user is not in the target pool.
    NotImported,
    /// Imported by this restore, and not in the target pool any more: deleted since, or renamed.
    GoneSinceImport,
    /// The snapshot left the user out of its import files, for this reason.
    LeftOut(String),
    /// AdminCreateUser failed, with Cognito's error.
    CreateFailed(String),
    /// Signed up after the snapshot was taken.
    NewerThanSnapshot,
    /// Has a sign-up record, is not in the snapshot, and was deleted in the snapshot's pool.
    DeletedInSecondary,
    /// Has a sign-up record and is not in the snapshot, for an unknown reason.
    NotInSnapshot,
}

impl Reason {
    /// The reason's name in the report.
    pub fn as_str(&self) -> &str {
        match self {
            Self::NotInPrimary => "not-in-primary",
            Self::UnconfirmedInPrimary => "unconfirmed-in-primary",
            Self::ExistsInPrimary(_) => "exists-in-primary",
            Self::InvalidRow(_) => "invalid-row",
            Self::ImportFailed(_) => "import-failed",
            Self::NotImported => "not-imported",
            Self::GoneSinceImport => "gone-since-import",
            Self::LeftOut(reason) => reason,
            Self::CreateFailed(_) => "create-failed",
            Self::NewerThanSnapshot => "newer-than-snapshot",
            Self::DeletedInSecondary => "deleted-in-secondary",
            Self::NotInSnapshot => "not-in-snapshot",
        }
    }

    /// Whether no restore can bring this user back, and none needs to: they have never confirmed their sign-up, or sign in with
    /// another identity provider.
    pub fn is_not_restorable(&self) -> bool {
        matches!(self, Self::LeftOut(reason) if matches!(reason.as_str(), "unconfirmed" | "external-provider"))
    }

    /// The details of the reason, if it has any.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::ExistsInPrimary(status) => Some(status.to_string()),
            Self::InvalidRow(detail) | Self::ImportFailed(detail) | Self::CreateFailed(detail) => {
                Some(detail.clone())
            }
            _ => None,
        }
    }

    /// What an operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotInPrimary => {
                "the user was probably deleted in the pool; if not, restore again with the scope \"missing\""
            }
            Self::UnconfirmedInPrimary => {
                "let the user confirm the sign-up, or restore again with reclaim_unconfirmed (--reclaim-unconfirmed), which deletes the unconfirmed user"
            }
            Self::ExistsInPrimary(Status::ForceChangePassword) => {
                "an administrator created this user: send the temporary password again, or delete the user and restore again"
            }
            Self::ExistsInPrimary(_) => "check the user in the pool",
            Self::InvalidRow(_) => {
                "fix the value in the snapshot's pool, take a snapshot, and restore again"
            }
            Self::ImportFailed(_) => {
                "fix in the snapshot's pool what the import log names, take a snapshot, and restore again"
            }
            Self::NotImported => {
                "check the pool's import jobs and their log in CloudWatch Logs, and restore again"
            }
            Self::GoneSinceImport => {
                "the user was deleted after the import, or signs in with another name now; if neither is true, restore with the scope \"missing\""
            }
            Self::LeftOut(reason) => match reason.as_str() {
                "unconfirmed" => "the user has never confirmed the sign-up and must sign up again",
                "external-provider" => {
                    "nothing to do: the user is created again at the next sign-in with the identity provider"
                }
                "no-verified-attribute" => {
                    "verify the user's e-mail address or phone number in the snapshot's pool, take a snapshot, and restore again"
                }
                "compromised" | "archived" => "decide by hand what to do with the user",
                _ => "fix it in the snapshot's pool, take a snapshot, and restore again",
            },
            Self::CreateFailed(_) => {
                "look up the code in the documentation of AdminCreateUser, and create the user by hand"
            }
            Self::NewerThanSnapshot => "take a snapshot and restore again",
            Self::DeletedInSecondary => {
                "nothing to do: the user was deleted in the snapshot's pool"
            }
            Self::NotInSnapshot => {
                "look up the sub in the snapshot's pool; if the user is there, take a snapshot and restore again"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            Some(detail) => write!(f, "{}: {detail}", self.as_str()),
            None => f.write_str(self.as_str()),
        }
    }
}
