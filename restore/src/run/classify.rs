//! Phase 6: in which category of the report a user of the snapshot falls, and what is counted.

use crate::decision::{Decision, NewcomerState};
use crate::reason::Reason;
use crate::request::Counts;

/// What is known of a user of the snapshot at the end of a run.
pub(super) struct Facts<'a> {
    /// What the restore does about the user, decided once more after the import.
    pub(super) decision: Decision,
    /// The user's `sub` or the failure, if the restore tried to create them with AdminCreateUser.
    pub(super) created: Option<&'a Result<String, Reason>>,
    /// Whether the user is imported, and not created one by one.
    pub(super) has_row: bool,
    /// Why Cognito would reject the row.
    pub(super) row_problem: Option<String>,
    /// Whether the user is in the target pool and cannot sign in, because no address of theirs is verified there.
    pub(super) is_locked_out: bool,
    /// Whether the user was in the file of an import job, and Cognito did not skip the row.
    pub(super) may_be_imported: bool,
    /// The last failure that an import job reported for the row.
    pub(super) import_failure: Option<&'a str>,
    /// Whether this is a dry run.
    pub(super) dry_run: bool,
}

/// The category of a user in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// Not counted and not named.
    Ignored,
    /// In the target pool.
    Present(Origin),
    /// In a dry run: a real run would restore the user.
    WouldBeRestored(Origin),
    /// Counted: the person was deleted in the primary pool, and twinpool withholds them.
    Withheld,
    /// Named in the report.
    NotRestored(Reason),
}

/// How a user came into the target pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Before this restore.
    Earlier,
    /// By an import job of this restore.
    Imported,
    /// By AdminCreateUser in this run.
    Created,
}

/// Finds the category of a user.
pub(super) fn classify(facts: Facts<'_>) -> Category {
    match facts.created {
        Some(Ok(_)) => return Category::Present(Origin::Created),
        Some(Err(reason)) => return Category::NotRestored(reason.clone()),
        None => {}
    }
    match facts.decision {
        Decision::Ignore => Category::Ignored,
        Decision::Withheld => Category::Withheld,
        Decision::AlreadyPresent if facts.is_locked_out => {
            Category::NotRestored(Reason::UnverifiedAddress)
        }
        Decision::AlreadyPresent if facts.may_be_imported => Category::Present(Origin::Imported),
        Decision::AlreadyPresent => Category::Present(Origin::Earlier),
        Decision::NotRestored(reason) => Category::NotRestored(reason),
        Decision::Restore { .. } => {
            if let Some(problem) = facts.row_problem {
                Category::NotRestored(Reason::InvalidRow(problem))
            } else if facts.dry_run && facts.has_row {
                Category::WouldBeRestored(Origin::Imported)
            } else if facts.dry_run {
                Category::WouldBeRestored(Origin::Created)
            } else if let Some(failure) = facts.import_failure {
                Category::NotRestored(Reason::ImportFailed(failure.to_owned()))
            } else {
                Category::NotRestored(Reason::NotImported)
            }
        }
    }
}

/// Counts a user of this category.
pub(super) fn count(
    counts: &mut Counts,
    category: &Category,
    newcomer: NewcomerState,
    is_in_scope: bool,
) {
    match category {
        Category::Ignored => {}
        Category::Withheld => counts.withheld += 1,
        Category::Present(origin) => {
            if is_in_scope || newcomer == NewcomerState::Archived {
                counts.in_scope += 1;
                *origin.counter(counts) += 1;
            }
        }
        Category::WouldBeRestored(origin) => {
            counts.in_scope += 1;
            *origin.counter(counts) += 1;
        }
        Category::NotRestored(reason) => {
            // Whoever was restored before is expected in the pool, too.
            let is_expected = is_in_scope || *reason == Reason::RestoredBefore;
            if *reason == Reason::DeletedInSecondary {
                counts.deleted_in_secondary += 1;
            } else if !is_expected {
                counts.not_in_primary += 1;
            } else if reason.is_not_restorable() {
                counts.not_restorable += 1;
            } else {
                counts.in_scope += 1;
                counts.not_home += 1;
            }
        }
    }
}

impl Origin {
    fn counter(self, counts: &mut Counts) -> &mut u64 {
        match self {
            Self::Earlier => &mut counts.already_home,
            Self::Imported => &mut counts.imported,
            Self::Created => &mut counts.created,
        }
    }
}

/// Whether the sign-up record of a user of this category is moved to `journal/restored/`. The record of a user who still lacks an
/// attribute stays, so that the next run writes the attribute.
pub(super) fn is_record_archived(
    category: &Category,
    newcomer: NewcomerState,
    lacks_attribute: bool,
) -> bool {
    let is_pending = newcomer == NewcomerState::Pending;
    match category {
        Category::Present(_) => is_pending && !lacks_attribute,
        Category::WouldBeRestored(_) => is_pending,
        Category::NotRestored(_) | Category::Withheld | Category::Ignored => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(decision: Decision) -> Facts<'a> {
        Facts {
            decision,
            created: None,
            has_row: true,
            row_problem: None,
            is_locked_out: false,
            may_be_imported: false,
            import_failure: None,
            dry_run: false,
        }
    }

    fn restore<'a>() -> Facts<'a> {
        facts(Decision::Restore { reclaim: None })
    }

    #[test]
    fn a_present_user_was_there_earlier_or_was_imported_or_created() {
        let created = Ok("sub".to_owned());

        for (facts, origin) in [
            (facts(Decision::AlreadyPresent), Origin::Earlier),
            (
                Facts {
                    may_be_imported: true,
                    ..facts(Decision::AlreadyPresent)
                },
                Origin::Imported,
            ),
            (
                Facts {
                    created: Some(&created),
                    ..restore()
                },
                Origin::Created,
            ),
        ] {
            assert_eq!(classify(facts), Category::Present(origin));
        }
    }

    #[test]
    fn a_user_who_should_be_present_and_is_not_is_named_with_the_best_known_reason() {
        let failed = Err(Reason::CreateFailed("code".into()));

        for (facts, reason) in [
            (restore(), Reason::NotImported),
            (
                Facts {
                    import_failure: Some("No address."),
                    ..restore()
                },
                Reason::ImportFailed("No address.".into()),
            ),
            (
                Facts {
                    import_failure: Some("No address."),
                    row_problem: Some("name: bad".into()),
                    dry_run: true,
                    ..restore()
                },
                Reason::InvalidRow("name: bad".into()),
            ),
            (
                Facts {
                    created: Some(&failed),
                    ..restore()
                },
                Reason::CreateFailed("code".into()),
            ),
            (
                Facts {
                    is_locked_out: true,
                    may_be_imported: true,
                    ..facts(Decision::AlreadyPresent)
                },
                Reason::UnverifiedAddress,
            ),
        ] {
            assert_eq!(classify(facts), Category::NotRestored(reason));
        }
    }

    #[test]
    fn a_dry_run_distinguishes_rows_to_import_from_users_to_create() {
        for (has_row, origin) in [(true, Origin::Imported), (false, Origin::Created)] {
            let facts = Facts {
                has_row,
                dry_run: true,
                ..restore()
            };

            assert_eq!(classify(facts), Category::WouldBeRestored(origin));
        }
    }

    #[test]
    fn everyone_in_scope_is_counted_once_as_present_or_not_home() {
        let mut counts = Counts::default();
        for category in [
            Category::Present(Origin::Earlier),
            Category::Present(Origin::Imported),
            Category::Present(Origin::Created),
            Category::NotRestored(Reason::NotImported),
            Category::NotRestored(Reason::GoneSinceImport),
            Category::NotRestored(Reason::LeftOut("unconfirmed".into())),
            Category::NotRestored(Reason::DeletedInSecondary),
            Category::Withheld,
            Category::Ignored,
        ] {
            count(&mut counts, &category, NewcomerState::Pending, true);
        }

        let expected = Counts {
            in_scope: 5,
            already_home: 1,
            imported: 1,
            created: 1,
            not_home: 2,
            not_in_primary: 0,
            not_restorable: 1,
            deleted_in_secondary: 1,
            withheld: 1,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn out_of_scope_only_earlier_restored_newcomers_count_as_present() {
        for (newcomer, present) in [
            (NewcomerState::NotNewcomer, 0),
            (NewcomerState::Archived, 1),
        ] {
            let mut counts = Counts::default();
            let category = Category::Present(Origin::Earlier);
            count(&mut counts, &category, newcomer, false);

            assert_eq!((counts.in_scope, counts.already_home), (present, present));
        }
        let mut counts = Counts::default();
        let category = Category::NotRestored(Reason::NotInPrimary);
        count(&mut counts, &category, NewcomerState::NotNewcomer, false);
        assert_eq!((counts.in_scope, counts.not_in_primary), (0, 1));
        let category = Category::NotRestored(Reason::RestoredBefore);
        count(&mut counts, &category, NewcomerState::Archived, false);
        assert_eq!((counts.in_scope, counts.not_home), (1, 1));
    }

    #[test]
    fn a_record_is_archived_only_if_its_user_is_present_with_every_attribute() {
        let present = Category::Present(Origin::Imported);

        assert!(is_record_archived(&present, NewcomerState::Pending, false));
        assert!(!is_record_archived(&present, NewcomerState::Pending, true));
        assert!(!is_record_archived(
            &present,
            NewcomerState::Archived,
            false
        ));
        for reason in [Reason::GoneSinceImport, Reason::NotImported] {
            let absent = Category::NotRestored(reason);
            assert!(!is_record_archived(&absent, NewcomerState::Pending, false));
        }
    }
}
