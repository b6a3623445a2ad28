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
    /// Another user of the snapshot has the same name, as the target pool compares names.
    DuplicateName,
    /// Another person has the name in the target pool: their `sub`, if it is known.
    AnotherPerson(Option<String>),
    /// Another person has the user's email address or phone number in the target pool: their `sub`.
    AddressTaken(String),
    /// Two users have the person's identity.
    IdentityTwice,
    /// The import job skipped the row because there is such a user, and no such user was found.
    ImportSkipped,
    /// The sign-up record says that the user was restored, and the target pool does not have the user.
    RestoredBefore,
    /// The import job rejected the row; Cognito's message.
    ImportFailed(String),
    /// The import jobs have ended, and the user is not in the target pool.
    NotImported,
    /// Imported by this restore, and not in the target pool any more: deleted since, or renamed.
    GoneSinceImport,
    /// In the target pool, and cannot reset the password: neither the email address nor the phone number is verified there.
    UnverifiedAddress,
    /// The snapshot left the user out of its import files, for this reason.
    LeftOut(String),
    /// A fill leaves the user to reconcile, for this reason.
    LeftToReconcile(String),
    /// The user of this person in the target pool was deleted, although the person had used it.
    DeletedThere,
    /// AdminCreateUser failed, with Cognito's error.
    CreateFailed(String),
    /// Signed up after the snapshot was taken.
    NewerThanSnapshot,
    /// Has another sign-in name than in the snapshot, or a verified address of the snapshot is not theirs any more.
    ChangedSinceSnapshot,
    /// The person was erased with `twinpool forget`.
    Forgotten,
    /// Has a sign-up record, and was deleted in the snapshot's pool: before the snapshot, or since.
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
            Self::DuplicateName => "duplicate-name",
            Self::AnotherPerson(_) => "another-person",
            Self::AddressTaken(_) => "address-taken",
            Self::IdentityTwice => "identity-twice",
            Self::ImportSkipped => "import-skipped",
            Self::RestoredBefore => "restored-before",
            Self::ImportFailed(_) => "import-failed",
            Self::NotImported => "not-imported",
            Self::GoneSinceImport => "gone-since-import",
            Self::UnverifiedAddress => "unverified-address",
            Self::LeftOut(reason) | Self::LeftToReconcile(reason) => reason,
            Self::DeletedThere => "deleted-in-secondary",
            Self::CreateFailed(_) => "create-failed",
            Self::NewerThanSnapshot => "newer-than-snapshot",
            Self::ChangedSinceSnapshot => "changed-since-snapshot",
            Self::Forgotten => "forgotten",
            Self::DeletedInSecondary => "deleted-in-secondary",
            Self::NotInSnapshot => "not-in-snapshot",
        }
    }

    /// Whether this restore cannot bring the user, and need not: they have never confirmed their sign-up, or sign in with another
    /// identity provider; or a fill leaves them out, or they were erased.
    pub fn is_not_restorable(&self) -> bool {
        match self {
            Self::LeftOut(reason) => matches!(reason.as_str(), "unconfirmed" | "external-provider"),
            Self::LeftToReconcile(_) | Self::DeletedThere | Self::Forgotten => true,
            _ => false,
        }
    }

    /// The details of the reason, if it has any.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::ExistsInPrimary(status) => Some(status.to_string()),
            Self::AnotherPerson(holder) => holder.clone(),
            Self::AddressTaken(holder) => Some(holder.clone()),
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
            Self::DuplicateName => {
                "two users of the snapshot have a name, or an address to sign in with, that is one in the pool: change it for one of them in the snapshot's pool, take a snapshot, and restore again"
            }
            Self::AnotherPerson(_) => {
                "the user of the pool with this name (their sub is shown) is another person: nothing was written to them. Change the name of one of the two, take a snapshot, and restore again"
            }
            Self::AddressTaken(_) => {
                "the user of the pool whose sub is shown has this email address or phone number: find out to whom it belongs, and change it at the other one; then take a snapshot and restore again"
            }
            Self::IdentityTwice => {
                "two users have the same value in the origin attribute: correct the one that is wrong, and restore again"
            }
            Self::ImportSkipped => {
                "Cognito says that there is such a user: look in the pool for a user with this name, email address or phone number, and restore again"
            }
            Self::RestoredBefore => {
                "the user was restored since the snapshot, and is not in the pool: deleted there since, or restored into another pool; to restore the user, run again with the scope \"missing\""
            }
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
                "the user was deleted after the import, or signs in with another name now; the next restore imports the user again. If the user was deleted on purpose, delete them in the snapshot's pool too"
            }
            Self::UnverifiedAddress => {
                "the user is in the pool, must reset the password, and has no verified address to which Cognito would send the code: verify the address there if it is the user's, and restore again"
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
            Self::LeftToReconcile(_) => "nothing to do here: reconcile decides about this user",
            Self::DeletedThere => {
                "the person had used the secondary pool, and somebody deleted their user there: create the user by hand if they need it"
            }
            Self::CreateFailed(_) => {
                "look up the code in the documentation of AdminCreateUser, and create the user by hand"
            }
            Self::NewerThanSnapshot => "take a snapshot and restore again",
            Self::ChangedSinceSnapshot => {
                "the user has changed the sign-in name, the email address or the phone number since the snapshot: restore the newcomers again, from the latest snapshot, which takes a new one"
            }
            Self::Forgotten => "nothing to do: this person was erased with twinpool forget",
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
