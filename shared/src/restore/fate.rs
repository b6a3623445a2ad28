//! What becomes of a person of the snapshot: decided from where they stand in the pool, and from what the snapshot knows.

use std::fmt;

use crate::person::Status;
use crate::restore::census::Standing;
use crate::restore::request::Scope;

/// How often a row is tried that Cognito failed for a reason of its own.
const TRIES: u32 = 3;

/// Whether somebody signed up in the snapshot's pool, going by the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// No sign-up record: came from the other pool.
    No,
    /// Waits to be brought home.
    Waiting,
    /// Was brought home before: the record is in `journal/restored/`.
    Filed,
}

/// In which form the snapshot has a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// As a row of an import file.
    Row {
        /// What import jobs said of it, and how often.
        failure: Option<(&'a str, u32)>,
        /// Whether an import job of this restore has imported it.
        was_imported: bool,
    },
    /// Left out of the import files, with the reason.
    LeftOut(&'a str),
}

/// What becomes of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are home.
    Home,
    /// They are not in the pool, and nothing was ever confirmed: nobody misses them.
    Nobody,
    /// To be imported, or made one by one; first, an unconfirmed holder of the name is to be deleted, by `sub`.
    Bring {
        /// The unconfirmed holder.
        reclaim: Option<String>,
    },
    /// They stay away.
    Away(Reason),
}

/// Why somebody is not home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not in the pool, and not a newcomer: deleted there, most likely.
    NotInPrimary,
    /// Somebody has signed up under this name in the pool and has not confirmed it.
    UnconfirmedInPrimary,
    /// Somebody has this name in the pool, in a state that no import changes.
    ExistsInPrimary(Status),
    /// The pool would refuse the row, for this reason.
    InvalidRow(String),
    /// The import job refused the row, in its words.
    ImportFailed(String),
    /// The import jobs ended, and the person is not in the pool.
    NotImported,
    /// Imported by this restore, and not in the pool any more: deleted since, or under another name.
    GoneSinceImport,
    /// The snapshot left the person out, for this reason.
    LeftOut(String),
    /// The person could not be made, with Cognito's code.
    CreateFailed(String),
    /// Signed up since the snapshot was taken.
    NewerThanSnapshot,
    /// Has a sign-up record, is not in the snapshot, and was deleted in its pool.
    DeletedInSecondary,
    /// Has a sign-up record and is not in the snapshot, and nothing says why.
    NotInSnapshot,
}

impl Reason {
    /// Its name in the report.
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

    /// Whether nobody expects this person in the pool: never confirmed, or at home with another identity provider.
    pub fn is_nobodys_loss(&self) -> bool {
        matches!(self, Self::LeftOut(reason) if matches!(reason.as_str(), "unconfirmed" | "external-provider"))
    }

    /// What is known beyond the name.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::ExistsInPrimary(status) => Some(status.to_string()),
            Self::InvalidRow(detail) | Self::ImportFailed(detail) | Self::CreateFailed(detail) => {
                Some(detail.clone())
            }
            _ => None,
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotInPrimary => {
                "most likely deleted in the pool; if not, restore again with the scope \"missing\""
            }
            Self::UnconfirmedInPrimary => {
                "let them confirm their sign-up, or restore again with reclaim_unconfirmed (--reclaim-unconfirmed), which deletes it"
            }
            Self::ExistsInPrimary(Status::ForceChangePassword) => {
                "an administrator made this account: send its temporary password again, or delete it and restore again"
            }
            Self::ExistsInPrimary(_) => "look at the user in the pool",
            Self::InvalidRow(_) => {
                "mend the value in the snapshot's pool, take a snapshot, and restore again"
            }
            Self::ImportFailed(_) => {
                "do what the import log says in the snapshot's pool, take a snapshot, and restore again"
            }
            Self::NotImported => {
                "look at the import jobs of the pool and their log in CloudWatch Logs, and restore again"
            }
            Self::GoneSinceImport => {
                "deleted since, or signs in under another name by now; if not, restore with the scope \"missing\""
            }
            Self::LeftOut(reason) => match reason.as_str() {
                "unconfirmed" => "they have never confirmed their sign-up: they sign up again",
                "external-provider" => "they come back by themselves when they sign in",
                "no-verified-attribute" => {
                    "verify their address in the snapshot's pool, take a snapshot, and restore again"
                }
                "compromised" | "archived" => "decide about them by hand",
                _ => "mend it in the snapshot's pool, take a snapshot, and restore again",
            },
            Self::CreateFailed(_) => {
                "look the code up in the documentation of AdminCreateUser, and make the user by hand"
            }
            Self::NewerThanSnapshot => "take a snapshot and restore again",
            Self::DeletedInSecondary => "nothing to do: they were deleted in the snapshot's pool",
            Self::NotInSnapshot => {
                "look for the sub in the snapshot's pool; if the user is there, take a snapshot and restore again"
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

/// Whether a restore for this scope is to bring this person home.
pub fn is_in_scope(scope: Scope, newcomer: Newcomer) -> bool {
    match scope {
        Scope::Newcomers => newcomer == Newcomer::Waiting,
        Scope::Missing | Scope::Users => true,
    }
}

/// Whether somebody whom the snapshot left out can be made one by one. Who is left out for another reason was never confirmed,
/// comes by themselves, or could not get in.
pub fn can_be_made(left_out: &str) -> bool {
    matches!(
        left_out,
        "disabled" | "missing-required" | "row-too-long" | "username-unusable"
    )
}

/// What becomes of a person.
pub fn fate(
    scope: Scope,
    reclaim_unconfirmed: bool,
    newcomer: Newcomer,
    standing: Standing,
    form: Form<'_>,
) -> Fate {
    if standing == Standing::Home {
        return Fate::Home;
    }
    if !is_in_scope(scope, newcomer) {
        return match (standing, form) {
            (_, Form::LeftOut("unconfirmed" | "external-provider")) | (Standing::Other(_), _) => {
                Fate::Nobody
            }
            (Standing::Unconfirmed(_), _) => Fate::Away(Reason::UnconfirmedInPrimary),
            _ => Fate::Away(Reason::NotInPrimary),
        };
    }
    let reclaim = match standing {
        Standing::Absent | Standing::Home => None,
        Standing::Unconfirmed(sub) if reclaim_unconfirmed => Some(sub),
        Standing::Unconfirmed(_) => return Fate::Away(Reason::UnconfirmedInPrimary),
        Standing::Other(status) => return Fate::Away(Reason::ExistsInPrimary(status)),
    };
    match form {
        Form::LeftOut(reason) if !can_be_made(reason) => {
            Fate::Away(Reason::LeftOut(reason.to_owned()))
        }
        Form::Row {
            was_imported: true, ..
        } => Fate::Away(Reason::GoneSinceImport),
        Form::Row {
            failure: Some((failure, times)),
            ..
        } if times >= TRIES || !is_cognitos_fault(failure) => {
            Fate::Away(Reason::ImportFailed(failure.to_owned()))
        }
        _ => Fate::Bring { reclaim },
    }
}

/// DG:import-tool: a row may fail because "an internal error occurred"; such a row may be tried again.
fn is_cognitos_fault(failure: &str) -> bool {
    failure.to_lowercase().contains("internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Form<'_> = Form::Row {
        failure: None,
        was_imported: false,
    };

    fn of(newcomer: Newcomer, standing: Standing, form: Form<'_>) -> Fate {
        fate(Scope::Newcomers, false, newcomer, standing, form)
    }

    #[test]
    fn a_newcomer_who_is_not_there_is_brought_and_who_is_there_is_left_alone() {
        assert_eq!(
            of(Newcomer::Waiting, Standing::Absent, ROW),
            Fate::Bring { reclaim: None }
        );
        assert_eq!(of(Newcomer::Waiting, Standing::Home, ROW), Fate::Home);
    }

    #[test]
    fn who_was_deleted_comes_back_only_when_asked_for() {
        for newcomer in [Newcomer::No, Newcomer::Filed] {
            assert_eq!(
                of(newcomer, Standing::Absent, ROW),
                Fate::Away(Reason::NotInPrimary)
            );
            assert_eq!(
                fate(Scope::Missing, false, newcomer, Standing::Absent, ROW),
                Fate::Bring { reclaim: None }
            );
        }
    }

    #[test]
    fn an_unconfirmed_holder_of_the_name_is_deleted_only_when_asked_for() {
        let standing = Standing::Unconfirmed("s".into());
        let reclaim = Some("s".to_owned());

        assert_eq!(
            of(Newcomer::Waiting, standing.clone(), ROW),
            Fate::Away(Reason::UnconfirmedInPrimary)
        );
        assert_eq!(
            fate(Scope::Newcomers, true, Newcomer::Waiting, standing, ROW),
            Fate::Bring { reclaim }
        );
    }

    #[test]
    fn a_disabled_person_is_made_and_an_unconfirmed_one_is_not() {
        let of = |reason| of(Newcomer::Waiting, Standing::Absent, Form::LeftOut(reason));

        assert_eq!(of("disabled"), Fate::Bring { reclaim: None });
        for reason in ["unconfirmed", "external-provider", "no-verified-attribute"] {
            assert_eq!(of(reason), Fate::Away(Reason::LeftOut(reason.into())));
        }
    }

    #[test]
    fn a_row_is_tried_again_only_when_its_failure_was_not_its_own() {
        let of = |failure, times| {
            let form = Form::Row {
                failure: Some((failure, times)),
                was_imported: false,
            };
            of(Newcomer::Waiting, Standing::Absent, form)
        };

        assert_eq!(
            of("An internal error occurred.", 2),
            Fate::Bring { reclaim: None }
        );
        for (failure, times) in [("An internal error occurred.", 3), ("No address.", 1)] {
            assert_eq!(
                of(failure, times),
                Fate::Away(Reason::ImportFailed(failure.into()))
            );
        }
    }

    #[test]
    fn who_was_imported_and_is_gone_was_deleted_and_is_not_imported_again() {
        let form = Form::Row {
            failure: None,
            was_imported: true,
        };

        assert_eq!(
            of(Newcomer::Waiting, Standing::Absent, form),
            Fate::Away(Reason::GoneSinceImport)
        );
    }

    #[test]
    fn who_is_there_in_another_state_is_named_with_it() {
        let standing = Standing::Other(Status::ForceChangePassword);

        assert_eq!(
            of(Newcomer::Waiting, standing.clone(), ROW),
            Fate::Away(Reason::ExistsInPrimary(Status::ForceChangePassword))
        );
        assert_eq!(of(Newcomer::No, standing, ROW), Fate::Nobody);
    }
}
