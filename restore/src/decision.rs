//! Whether a user of the snapshot is restored: decided from the request, the journal, the target pool and the snapshot.

use crate::reason::Reason;
use crate::request::Scope;
use crate::target_pool::UserState;

/// How many import jobs may try a row that failed because of an internal error of Cognito.
const IMPORT_ATTEMPTS_PER_ROW: u32 = 3;

/// Whether a user signed up in the snapshot's pool, according to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewcomerState {
    /// There is no sign-up record: the user came from the other pool.
    NotNewcomer,
    /// There is a sign-up record, and the user has not been restored yet.
    Pending,
    /// The user was restored before: the record is in `journal/restored/`.
    Archived,
}

/// What the snapshot and the import jobs of this restore say of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// The snapshot has the user as a row of an import file.
    Row {
        /// The last failure that import jobs reported for the row, and how many there were.
        failure: Option<(&'a str, u32)>,
        /// Whether an import job of this restore has imported the row.
        was_imported: bool,
    },
    /// The snapshot left the user out of its import files, for this reason.
    LeftOut(&'a str),
}

/// What a restore does about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: the target pool has the user.
    AlreadyPresent,
    /// Nothing. The user is not in scope, and the report does not name them.
    Ignore,
    /// Import the user, or create them with AdminCreateUser.
    Restore {
        /// The `sub` of the unconfirmed user who holds the name and must be deleted first.
        reclaim: Option<String>,
    },
    /// Nothing, and the report names the user.
    NotRestored(Reason),
}

/// Whether a restore of this scope restores users in this state.
pub fn is_in_scope(scope: Scope, newcomer: NewcomerState) -> bool {
    match scope {
        Scope::Newcomers => newcomer == NewcomerState::Pending,
        Scope::Missing | Scope::Users => true,
    }
}

/// Whether a user whom the snapshot left out for this reason can be created with AdminCreateUser. For every other reason the user
/// was never confirmed, comes from another identity provider, or could not sign in.
pub fn can_be_created(left_out: &str) -> bool {
    matches!(
        left_out,
        "disabled" | "missing-required" | "row-too-long" | "username-unusable"
    )
}

/// Decides what a restore does about a user.
pub fn decide(
    scope: Scope,
    reclaim_unconfirmed: bool,
    newcomer: NewcomerState,
    state: UserState,
    candidate: Candidate<'_>,
) -> Decision {
    if state == UserState::Present {
        return Decision::AlreadyPresent;
    }
    if !is_in_scope(scope, newcomer) {
        return match (state, candidate) {
            (_, Candidate::LeftOut("unconfirmed" | "external-provider"))
            | (UserState::Other(_), _) => Decision::Ignore,
            (UserState::Unconfirmed(_), _) => Decision::NotRestored(Reason::UnconfirmedInPrimary),
            _ => Decision::NotRestored(Reason::NotInPrimary),
        };
    }
    let reclaim = match state {
        UserState::Absent | UserState::Present => None,
        UserState::Unconfirmed(sub) if reclaim_unconfirmed => Some(sub),
        UserState::Unconfirmed(_) => return Decision::NotRestored(Reason::UnconfirmedInPrimary),
        UserState::Other(status) => return Decision::NotRestored(Reason::ExistsInPrimary(status)),
    };
    match candidate {
        Candidate::LeftOut(reason) if !can_be_created(reason) => {
            Decision::NotRestored(Reason::LeftOut(reason.to_owned()))
        }
        Candidate::Row {
            was_imported: true, ..
        } => Decision::NotRestored(Reason::GoneSinceImport),
        Candidate::Row {
            failure: Some((failure, attempts)),
            ..
        } if attempts >= IMPORT_ATTEMPTS_PER_ROW || !is_internal_error(failure) => {
            Decision::NotRestored(Reason::ImportFailed(failure.to_owned()))
        }
        _ => Decision::Restore { reclaim },
    }
}

/// DG:import-tool: a row may fail because "an internal error occurred". Such a row may be imported again.
fn is_internal_error(failure: &str) -> bool {
    failure.to_lowercase().contains("internal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::person::Status;

    const ROW: Candidate<'_> = Candidate::Row {
        failure: None,
        was_imported: false,
    };

    fn decide_newcomers(
        newcomer: NewcomerState,
        state: UserState,
        candidate: Candidate<'_>,
    ) -> Decision {
        decide(Scope::Newcomers, false, newcomer, state, candidate)
    }

    #[test]
    fn a_newcomer_is_restored_if_absent_and_left_alone_if_present() {
        assert_eq!(
            decide_newcomers(NewcomerState::Pending, UserState::Absent, ROW),
            Decision::Restore { reclaim: None }
        );
        assert_eq!(
            decide_newcomers(NewcomerState::Pending, UserState::Present, ROW),
            Decision::AlreadyPresent
        );
    }

    #[test]
    fn a_deleted_user_is_restored_only_on_request() {
        for newcomer in [NewcomerState::NotNewcomer, NewcomerState::Archived] {
            assert_eq!(
                decide_newcomers(newcomer, UserState::Absent, ROW),
                Decision::NotRestored(Reason::NotInPrimary)
            );
            assert_eq!(
                decide(Scope::Missing, false, newcomer, UserState::Absent, ROW),
                Decision::Restore { reclaim: None }
            );
        }
    }

    #[test]
    fn an_unconfirmed_holder_of_the_name_is_deleted_only_on_request() {
        let state = UserState::Unconfirmed("s".into());
        let reclaim = Some("s".to_owned());

        assert_eq!(
            decide_newcomers(NewcomerState::Pending, state.clone(), ROW),
            Decision::NotRestored(Reason::UnconfirmedInPrimary)
        );
        assert_eq!(
            decide(Scope::Newcomers, true, NewcomerState::Pending, state, ROW),
            Decision::Restore { reclaim }
        );
    }

    #[test]
    fn a_disabled_user_is_created_and_an_unconfirmed_one_is_not() {
        let decide_left_out = |reason| {
            decide_newcomers(
                NewcomerState::Pending,
                UserState::Absent,
                Candidate::LeftOut(reason),
            )
        };

        assert_eq!(
            decide_left_out("disabled"),
            Decision::Restore { reclaim: None }
        );
        for reason in ["unconfirmed", "external-provider", "no-verified-attribute"] {
            assert_eq!(
                decide_left_out(reason),
                Decision::NotRestored(Reason::LeftOut(reason.into()))
            );
        }
    }

    #[test]
    fn a_row_is_imported_again_only_after_an_internal_error_of_cognito() {
        let decide_failed = |failure, attempts| {
            let candidate = Candidate::Row {
                failure: Some((failure, attempts)),
                was_imported: false,
            };
            decide_newcomers(NewcomerState::Pending, UserState::Absent, candidate)
        };

        assert_eq!(
            decide_failed("An internal error occurred.", 2),
            Decision::Restore { reclaim: None }
        );
        for (failure, attempts) in [("An internal error occurred.", 3), ("No address.", 1)] {
            assert_eq!(
                decide_failed(failure, attempts),
                Decision::NotRestored(Reason::ImportFailed(failure.into()))
            );
        }
    }

    #[test]
    fn an_imported_user_who_is_gone_was_deleted_and_is_not_imported_again() {
        let candidate = Candidate::Row {
            failure: None,
            was_imported: true,
        };

        assert_eq!(
            decide_newcomers(NewcomerState::Pending, UserState::Absent, candidate),
            Decision::NotRestored(Reason::GoneSinceImport)
        );
    }

    #[test]
    fn a_user_in_another_state_is_named_with_the_state() {
        let state = UserState::Other(Status::ForceChangePassword);

        assert_eq!(
            decide_newcomers(NewcomerState::Pending, state.clone(), ROW),
            Decision::NotRestored(Reason::ExistsInPrimary(Status::ForceChangePassword))
        );
        assert_eq!(
            decide_newcomers(NewcomerState::NotNewcomer, state, ROW),
            Decision::Ignore
        );
    }
}
