//! The mass change guard: many changes of one kind at once are probably a mistake, so they are held back until an
//! operator accepts them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Fewer people than this, and one more, are never many.
const MAX_PEOPLE: u64 = 10;

/// More than this part of the pairs, in percent, are many.
const MAX_PERCENT: u64 = 5;

/// A kind of change that is counted. Creations are not: they take nothing away from anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Disabling people who are no longer in the primary pool.
    Withhold,
    /// Disabling people who are disabled in the primary pool.
    Disable,
    /// Deleting people who were withheld for long enough.
    Delete,
    /// Changing an address.
    ChangeAddress,
    /// Removing people from groups.
    RemoveMembership,
}

impl Kind {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::ChangeAddress => "change-address",
            Self::RemoveMembership => "remove-membership",
        }
    }
}

/// Numbers of changes by kind.
pub type Kinds = BTreeMap<Kind, u64>;

/// Decides whether changes of a kind are let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The number of pairs, of which a part is many.
    pub pairs: u64,
    /// Changes of the last 24 hours, made by earlier runs.
    pub earlier: Kinds,
    /// Changes that an operator has accepted in addition.
    pub accepted: Kinds,
    /// Changes that this run is going to make, as its listings say.
    pub planned: Kinds,
    /// Changes that the accepted run had planned too, and had no reason to make when it looked. As many of this run's plan do not count.
    #[serde(default)]
    pub idle: Kinds,
    /// Changes that this run has made.
    pub made: Kinds,
    /// Changes that this run has held back.
    pub held: Kinds,
}

impl Guard {
    /// Counts a change that the listings suggest.
    pub fn plan(&mut self, kind: Kind) {
        *self.planned.entry(kind).or_default() += 1;
    }

    /// Whether one more change of this kind may be made. Counts it either way.
    pub fn admit(&mut self, kind: Kind) -> bool {
        let of = |kinds: &Kinds| kinds.get(&kind).copied().unwrap_or_default();
        let made = of(&self.made);
        let planned = of(&self.planned).saturating_sub(of(&self.idle));
        // What a fresh look finds may be more than what the listings have suggested.
        let is_held = self.is_many(kind, planned.max(made + 1));
        let counts = match is_held {
            true => &mut self.held,
            false => &mut self.made,
        };
        *counts.entry(kind).or_default() += 1;
        !is_held
    }

    /// Takes back an admission: the change was not made.
    pub fn not_made(&mut self, kind: Kind) {
        if let Some(made) = self.made.get_mut(&kind) {
            *made = made.saturating_sub(1);
        }
    }

    /// Changes that this run has made and no operator has accepted: the runs of the next 24 hours count them too.
    pub fn made_without_operator(&self) -> Kinds {
        let made = self.made.iter().map(|(kind, made)| {
            let accepted = self.accepted.get(kind).copied().unwrap_or_default();
            (*kind, made.saturating_sub(accepted))
        });
        made.filter(|(_, made)| *made > 0).collect()
    }

    /// Of the kinds that were held: changes that the listings suggested, and that there was no reason to make when people were looked at.
    /// Without them, what was held could not be accepted where they alone are many.
    pub fn idle_of_held(&self) -> Kinds {
        let idle = self.held.iter().map(|(kind, held)| {
            let of = |kinds: &Kinds| kinds.get(kind).copied().unwrap_or_default();
            let asked_for = held + of(&self.made);
            (*kind, of(&self.planned).saturating_sub(asked_for))
        });
        idle.filter(|(_, idle)| *idle > 0).collect()
    }

    /// Changes held back, of all kinds.
    pub fn total_held(&self) -> u64 {
        self.held.values().sum()
    }

    fn is_many(&self, kind: Kind, in_this_run: u64) -> bool {
        let of = |kinds: &Kinds| kinds.get(&kind).copied().unwrap_or_default();
        let changes = (in_this_run + of(&self.earlier)).saturating_sub(of(&self.accepted));
        changes > MAX_PEOPLE && changes * 100 > self.pairs * MAX_PERCENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(pairs: u64, planned: u64, earlier: u64) -> Guard {
        Guard {
            pairs,
            planned: Kinds::from([(Kind::Withhold, planned)]),
            earlier: Kinds::from([(Kind::Withhold, earlier)]),
            ..Guard::default()
        }
    }

    #[test]
    fn more_than_five_percent_and_more_than_ten_people_are_held() {
        for (pairs, planned, is_admitted) in [
            (10_000, 500, true),
            (10_000, 501, false),
            (40, 10, true),
            (40, 11, false),
            (40, 40, false),
            (0, 10, true),
            (0, 11, false),
        ] {
            let mut guard = guard(pairs, planned, 0);
            assert_eq!(
                guard.admit(Kind::Withhold),
                is_admitted,
                "{planned} of {pairs}"
            );
        }
    }

    #[test]
    fn the_changes_of_a_day_are_counted_together() {
        assert!(guard(10_000, 499, 0).admit(Kind::Withhold));
        assert!(!guard(10_000, 499, 499).admit(Kind::Withhold));
        assert!(guard(10_000, 499, 499).admit(Kind::Disable), "another kind");
    }

    #[test]
    fn what_an_operator_has_accepted_is_let_through_and_no_more() {
        let mut guard = guard(100, 40, 0);
        guard.accepted = Kinds::from([(Kind::Withhold, 40)]);
        assert!(guard.admit(Kind::Withhold));

        guard.planned = Kinds::from([(Kind::Withhold, 60)]);
        assert!(!guard.admit(Kind::Withhold));
    }

    #[test]
    fn planned_changes_that_there_was_no_reason_to_make_do_not_keep_an_accepted_one_back() {
        let mut first = guard(100, 12, 0);
        assert!(!first.admit(Kind::Withhold));
        assert_eq!(first.idle_of_held(), Kinds::from([(Kind::Withhold, 11)]));
        let accepted = |planned| Guard {
            accepted: first.held.clone(),
            idle: first.idle_of_held(),
            ..guard(100, planned, 0)
        };

        assert!(accepted(12).admit(Kind::Withhold));
        assert!(!accepted(12 + 11).admit(Kind::Withhold), "eleven more");
        let mut all = accepted(12);
        let admitted = (0..12).filter(|_| all.admit(Kind::Withhold)).count();
        assert_eq!(admitted, 11, "the accepted one, and ten");
    }

    #[test]
    fn what_fresh_looks_find_beyond_the_plan_is_counted_too() {
        let mut guard = guard(100, 0, 0);

        let admitted = (0..20).filter(|_| guard.admit(Kind::Withhold)).count();

        assert_eq!((admitted, guard.total_held()), (10, 10));
    }
}
