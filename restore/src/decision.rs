//! Whether a user of the snapshot is restored: decided from the request, the journal, the target pool and the snapshot.

use crate::reason::Reason;
use crate::request::Scope;
use shared::person::Status;

/// What the target pool has of a user of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserState {
    /// This person, as a confirmed user.
    Present,
    /// Another person has the name: their `sub`, if it is known.
    AnotherPerson(Option<String>),
    /// Two users with the person's identity.
    IdentityTwice,
    /// The name, or an address to sign in with, belongs to another user of the snapshot: it is the same one in the target pool.
    NameOfAnother,
    /// An unconfirmed user with the name: their `sub`.
    Unconfirmed(String),
    /// A user with the name, in another state.
    Other(Status),
    /// Nobody.
    Absent,
}

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
    /// The snapshot has the user as a row of an import file; what the import jobs of this restore did with it.
    Row(RowResult<'a>),
    /// The snapshot has the user as a row that must not be imported: the user has an attribute that no import file can carry, and
    /// that can be given only when a user is created.
    RowToCreate,
    /// The snapshot left the user out of its import files, for this reason.
    LeftOut(&'a str),
    /// The snapshot's pool does not have the user any more.
    Deleted,
    /// In the snapshot's pool, the user has another sign-in name by now, or a verified address of the snapshot is not theirs any more.
    Changed,
    /// Twinpool disabled the user because the person was deleted in the primary pool, and the request does not bring such people.
    Withheld,
}

/// What the import jobs of a restore did with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowResult<'a> {
    /// Nothing, or it is not known.
    Unknown,
    /// The row was imported.
    Imported,
    /// Cognito skipped the row because there is such a user: it was not imported. The `sub` of the user who has an address of
    /// the row, if one was found.
    Skipped(Option<&'a str>),
    /// The row was rejected: the last message, and how many times.
    Failed(&'a str, u32),
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
    /// Nothing: the person was deleted on purpose.
    Withheld,
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
        return match (newcomer, state, candidate) {
            // Their record says that they were restored. If that was into another pool, nobody would miss them otherwise.
            (NewcomerState::Archived, _, _) => Decision::NotRestored(Reason::RestoredBefore),
            (_, _, Candidate::LeftOut("unconfirmed" | "external-provider"))
            | (_, UserState::Other(_), _) => Decision::Ignore,
            (_, UserState::Unconfirmed(_), _) => {
                Decision::NotRestored(Reason::UnconfirmedInPrimary)
            }
            (_, UserState::IdentityTwice, _) => Decision::NotRestored(Reason::IdentityTwice),
            _ => Decision::NotRestored(Reason::NotInPrimary),
        };
    }
    if candidate == Candidate::Deleted {
        return Decision::NotRestored(Reason::DeletedInSecondary);
    }
    if candidate == Candidate::Changed {
        return Decision::NotRestored(Reason::ChangedSinceSnapshot);
    }
    if candidate == Candidate::Withheld && newcomer != NewcomerState::Pending {
        return Decision::Withheld;
    }
    if let Candidate::LeftOut(reason) = candidate
        && !can_be_created(reason)
    {
        return Decision::NotRestored(Reason::LeftOut(reason.to_owned()));
    }
    let reclaim = match state {
        UserState::Absent | UserState::Present => None,
        UserState::Unconfirmed(sub) if reclaim_unconfirmed => Some(sub),
        state => return Decision::NotRestored(not_restored(state)),
    };
    let Candidate::Row(result) = candidate else {
        return Decision::Restore { reclaim };
    };
    Decision::NotRestored(match result {
        RowResult::Imported => Reason::GoneSinceImport,
        RowResult::Skipped(Some(holder)) => Reason::AddressTaken(holder.to_owned()),
        RowResult::Skipped(None) => Reason::ImportSkipped,
        RowResult::Failed(failure, attempts)
            if attempts >= IMPORT_ATTEMPTS_PER_ROW || !is_internal_error(failure) =>
        {
            Reason::ImportFailed(failure.to_owned())
        }
        RowResult::Unknown | RowResult::Failed(..) => return Decision::Restore { reclaim },
    })
}

/// Decides what a fill does about a user: it imports rows, and leaves everyone else to reconcile. `is_skipped` says that the person's
/// user in the target pool was deleted although the person had used it.
pub fn decide_fill(state: UserState, candidate: Candidate<'_>, is_skipped: bool) -> Decision {
    let left = |reason: &str| Decision::NotRestored(Reason::LeftToReconcile(reason.to_owned()));
    match (&state, candidate) {
        (UserState::Present, _) => Decision::AlreadyPresent,
        _ if is_skipped => Decision::NotRestored(Reason::DeletedThere),
        (_, Candidate::LeftOut(reason)) => left(reason),
        (_, Candidate::Withheld) => left("disabled"),
        (_, Candidate::Deleted) => left("deleted"),
        (_, Candidate::Changed) => left("changed"),
        (_, Candidate::RowToCreate) => left("immutable-attribute"),
        // A replica that is half made, for example.
        (UserState::Other(_), _) => left("exists-in-secondary"),
        (_, Candidate::Row(_)) => {
            let newcomer = NewcomerState::NotNewcomer;
            decide(Scope::Users, true, newcomer, state, candidate)
        }
    }
}

/// Why somebody is not restored of whom the target pool has this.
pub fn not_restored(state: UserState) -> Reason {
    match state {
        UserState::Unconfirmed(_) => Reason::UnconfirmedInPrimary,
        UserState::Other(status) => Reason::ExistsInPrimary(status),
        UserState::AnotherPerson(holder) => Reason::AnotherPerson(holder),
        UserState::IdentityTwice => Reason::IdentityTwice,
        UserState::NameOfAnother => Reason::DuplicateName,
        UserState::Present | UserState::Absent => Reason::NotImported,
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

    const ROW: Candidate<'_> = Candidate::Row(RowResult::Unknown);

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
        for (newcomer, reason) in [
            (NewcomerState::NotNewcomer, Reason::NotInPrimary),
            (NewcomerState::Archived, Reason::RestoredBefore),
        ] {
            assert_eq!(
                decide_newcomers(newcomer, UserState::Absent, ROW),
                Decision::NotRestored(reason)
            );
            assert_eq!(
                decide(Scope::Missing, false, newcomer, UserState::Absent, ROW),
                Decision::Restore { reclaim: None }
            );
        }
    }

    #[test]
    fn whom_twinpool_withheld_as_deleted_is_left_out_unless_they_wait_to_be_brought_home() {
        let withheld = |scope, newcomer, state| {
            let candidate = Candidate::Withheld;
            decide(scope, false, newcomer, state, candidate)
        };

        for scope in [Scope::Missing, Scope::Users] {
            for newcomer in [NewcomerState::NotNewcomer, NewcomerState::Archived] {
                let decision = withheld(scope, newcomer, UserState::Absent);
                assert_eq!(decision, Decision::Withheld);
            }
            let back = withheld(scope, NewcomerState::NotNewcomer, UserState::Present);
            assert_eq!(back, Decision::AlreadyPresent);
        }
        assert_eq!(
            withheld(Scope::Users, NewcomerState::Pending, UserState::Absent),
            Decision::Restore { reclaim: None }
        );
        assert_eq!(
            withheld(Scope::Newcomers, NewcomerState::Archived, UserState::Absent),
            Decision::NotRestored(Reason::RestoredBefore)
        );
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
    fn a_newcomer_whom_the_snapshots_pool_does_not_have_any_more_is_left_out_unless_present() {
        let decide_deleted =
            |state| decide_newcomers(NewcomerState::Pending, state, Candidate::Deleted);

        assert_eq!(
            decide_deleted(UserState::Absent),
            Decision::NotRestored(Reason::DeletedInSecondary)
        );
        assert_eq!(decide_deleted(UserState::Present), Decision::AlreadyPresent);
    }

    #[test]
    fn a_newcomer_with_another_address_than_in_the_snapshot_is_left_out_unless_present() {
        let decide_changed =
            |state| decide_newcomers(NewcomerState::Pending, state, Candidate::Changed);

        for state in [
            UserState::Absent,
            UserState::Unconfirmed("s".into()),
            UserState::Other(Status::ForceChangePassword),
        ] {
            let reason = Reason::ChangedSinceSnapshot;
            assert_eq!(decide_changed(state), Decision::NotRestored(reason));
        }
        assert_eq!(decide_changed(UserState::Present), Decision::AlreadyPresent);
    }

    #[test]
    fn a_row_is_imported_again_only_after_an_internal_error_of_cognito() {
        let decide_failed = |failure, attempts| {
            let candidate = Candidate::Row(RowResult::Failed(failure, attempts));
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
        let candidate = Candidate::Row(RowResult::Imported);

        assert_eq!(
            decide_newcomers(NewcomerState::Pending, UserState::Absent, candidate),
            Decision::NotRestored(Reason::GoneSinceImport)
        );
    }

    #[test]
    fn a_skipped_row_is_not_a_user_who_was_imported() {
        let decide_skipped = |holder, state| {
            let candidate = Candidate::Row(RowResult::Skipped(holder));
            decide_newcomers(NewcomerState::Pending, state, candidate)
        };

        assert_eq!(
            decide_skipped(None, UserState::Absent),
            Decision::NotRestored(Reason::ImportSkipped)
        );
        assert_eq!(
            decide_skipped(Some("s"), UserState::Absent),
            Decision::NotRestored(Reason::AddressTaken("s".into()))
        );
        assert_eq!(
            decide_skipped(None, UserState::Present),
            Decision::AlreadyPresent
        );
    }

    #[test]
    fn nothing_is_done_for_somebody_whose_name_or_identity_is_not_theirs_alone() {
        for (state, reason) in [
            (
                UserState::AnotherPerson(Some("s".into())),
                Reason::AnotherPerson(Some("s".into())),
            ),
            (UserState::IdentityTwice, Reason::IdentityTwice),
            (UserState::NameOfAnother, Reason::DuplicateName),
        ] {
            for candidate in [ROW, Candidate::RowToCreate, Candidate::LeftOut("disabled")] {
                assert_eq!(
                    decide(
                        Scope::Users,
                        true,
                        NewcomerState::NotNewcomer,
                        state.clone(),
                        candidate
                    ),
                    Decision::NotRestored(reason.clone())
                );
            }
        }
    }

    #[test]
    fn somebody_who_was_restored_before_and_is_not_in_the_pool_is_never_passed_over() {
        for state in [
            UserState::Absent,
            UserState::NameOfAnother,
            UserState::Other(Status::ForceChangePassword),
        ] {
            assert_eq!(
                decide_newcomers(NewcomerState::Archived, state, ROW),
                Decision::NotRestored(Reason::RestoredBefore)
            );
        }
    }

    #[test]
    fn a_fill_imports_rows_and_takes_the_name_from_an_unconfirmed_holder() {
        assert_eq!(
            decide_fill(UserState::Absent, ROW, false),
            Decision::Restore { reclaim: None }
        );
        assert_eq!(
            decide_fill(UserState::Unconfirmed("s".into()), ROW, false),
            Decision::Restore {
                reclaim: Some("s".into())
            }
        );
    }

    #[test]
    fn a_fill_creates_nobody_one_by_one_and_is_complete_without_them() {
        for (state, candidate) in [
            (UserState::Absent, Candidate::LeftOut("disabled")),
            (UserState::Absent, Candidate::LeftOut("not-activated")),
            (UserState::Absent, Candidate::RowToCreate),
            (UserState::Unconfirmed("s".into()), Candidate::RowToCreate),
            (UserState::Other(Status::ForceChangePassword), ROW),
        ] {
            let Decision::NotRestored(reason) = decide_fill(state, candidate, false) else {
                panic!("somebody is created");
            };
            assert!(reason.is_not_restorable(), "{reason:?}");
        }
    }

    #[test]
    fn a_fill_does_not_bring_back_somebody_who_was_deleted_in_the_secondary_pool() {
        assert_eq!(
            decide_fill(UserState::Absent, ROW, true),
            Decision::NotRestored(Reason::DeletedThere)
        );
        assert_eq!(
            decide_fill(UserState::Present, ROW, true),
            Decision::AlreadyPresent
        );
    }

    #[test]
    fn a_fill_never_overwrites_another_persons_replica() {
        let state = UserState::AnotherPerson(Some("s".into()));

        let decision = decide_fill(state, ROW, false);

        let another = Reason::AnotherPerson(Some("s".into()));
        assert!(!another.is_not_restorable());
        assert_eq!(decision, Decision::NotRestored(another));
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
