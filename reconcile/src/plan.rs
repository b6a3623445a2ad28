//! Decides from two listings at whom to look. A listing lags, and a run takes long, so nothing is written on this: every write is
//! decided on a fresh look at both users.

use serde::{Deserialize, Serialize};

use crate::guard::Kind;
use crate::listed::{Listed, State};

/// Somebody to look at, as a line of a plan. The users are given by `sub`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Their user in the primary pool.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Their user in the secondary pool, or the user there who may be theirs.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
    /// Whether somebody with the identity of the user in the primary pool has used the secondary pool.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub has_used: bool,
    /// Where several users carry the identity of this user of the secondary pool: everyone in the primary pool who carries it, disabled
    /// all of them. Then nothing is decided but whether this user is disabled too.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub banned_as: Option<Vec<String>>,
}

/// The order in which people are looked at: what takes access away comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Whoever may be disabled, withheld or deleted.
    Restrict,
    /// Whoever differs, but for addresses.
    Update,
    /// Whoever has another address. One after the other, because two of them may want each other's.
    Move,
    /// Whoever is missing.
    Create,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 4] = [Self::Restrict, Self::Update, Self::Move, Self::Create];
}

/// What the listings suggest about one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// Both users are equal.
    Unchanged,
    /// The person is not mirrored.
    Skipped,
    /// A fresh look is needed.
    Look {
        /// When.
        stage: Stage,
        /// The kinds of changes that would be made, as far as the guard counts them.
        kinds: Vec<Kind>,
        /// At whom.
        candidate: Candidate,
    },
}

/// What the listings suggest about a pair. `needs_identity` says whether the replica is to be given its person's identity, because only
/// the name has matched them.
pub fn of_pair(primary: &Listed, secondary: &Listed, needs_identity: bool) -> Suggestion {
    let look = |stage, kinds: &[Kind]| Suggestion::Look {
        stage,
        kinds: kinds.to_vec(),
        candidate: Candidate {
            primary: Some(primary.sub.as_str().to_owned()),
            secondary: Some(secondary.sub.as_str().to_owned()),
            has_used: primary.has_used,
            ..Candidate::default()
        },
    };
    if !primary.enabled && secondary.enabled {
        return look(Stage::Restrict, &[Kind::Disable]);
    }
    if primary.state != State::Active {
        return Suggestion::Skipped;
    }
    if primary.addresses != secondary.addresses {
        // What has changed in the secondary pool alone is reported, and nothing is written.
        return match primary.has_recorded_addresses {
            true => look(Stage::Move, &[]),
            false => look(Stage::Move, &[Kind::ChangeAddress]),
        };
    }
    let is_settled = primary.others == secondary.others
        && secondary.state == State::Active
        && primary.enabled == secondary.enabled
        && !(secondary.withheld_since > 0 && primary.enabled)
        // A record that says what nobody is any more would hide the next change of the primary pool.
        && !secondary.has_changed
        && !needs_identity;
    match is_settled {
        true => Suggestion::Unchanged,
        false => look(Stage::Update, &[]),
    }
}

/// What the listings suggest about somebody who has a user in the primary pool alone.
pub fn of_primary_alone(primary: &Listed) -> Suggestion {
    match (primary.state, primary.enabled) {
        (State::Active, true) => Suggestion::Look {
            stage: Stage::Create,
            kinds: Vec::new(),
            candidate: Candidate {
                primary: Some(primary.sub.as_str().to_owned()),
                has_used: primary.has_used,
                ..Candidate::default()
            },
        },
        _ => Suggestion::Skipped,
    }
}

/// What the listings suggest about a user of the secondary pool whose person has none in the primary pool. A user is deleted who was
/// withheld before the second `delete_before`.
pub fn of_secondary_alone(secondary: &Listed, delete_before: i64) -> Suggestion {
    if secondary.state == State::Unconfirmed || secondary.state == State::Other {
        return Suggestion::Skipped;
    }
    let is_withheld = secondary.withheld_since > 0 && !secondary.enabled;
    let kinds = match secondary.has_origin {
        // Newcomers, mostly.
        false => vec![],
        true if !is_withheld => vec![Kind::Withhold],
        // Whoever has used the secondary pool is never deleted.
        true if secondary.has_used => vec![],
        true if i64::from(secondary.withheld_since) <= delete_before => vec![Kind::Delete],
        true => vec![],
    };
    Suggestion::Look {
        stage: Stage::Restrict,
        kinds,
        candidate: Candidate {
            secondary: Some(secondary.sub.as_str().to_owned()),
            ..Candidate::default()
        },
    }
}

/// What the listings suggest about people of whom several carry one identity. Nobody can tell which of them is whose, so nothing is
/// written to any of them, with one exception: if nobody of the primary pool with this identity may sign in there, whoever carries it
/// may not enter the secondary pool either.
pub fn of_several(primary: &[Listed], secondary: &[Listed]) -> Vec<Suggestion> {
    if primary.iter().any(|primary| primary.enabled) {
        return Vec::new();
    }
    let subs = primary.iter().map(|user| user.sub.as_str().to_owned());
    let banned_as: Vec<_> = subs.collect();
    let kind = match primary {
        [] => Kind::Withhold,
        _ => Kind::Disable,
    };
    let can_enter =
        |user: &&Listed| user.enabled && !matches!(user.state, State::Unconfirmed | State::Other);
    let look = |user: &Listed| Suggestion::Look {
        stage: Stage::Restrict,
        kinds: vec![kind],
        candidate: Candidate {
            secondary: Some(user.sub.as_str().to_owned()),
            banned_as: Some(banned_as.clone()),
            ..Candidate::default()
        },
    };
    secondary.iter().filter(can_enter).map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::ORIGIN;
    use crate::listed::tests::listed;

    fn pair() -> (Listed, Listed) {
        let attributes = [("email", "taro@example.jp"), ("email_verified", "true")];
        let primary = listed("s-1", &attributes);
        let secondary = listed("s-2", &[attributes[0], attributes[1], (ORIGIN, "s-1")]);
        (primary, secondary)
    }

    fn stage(suggestion: &Suggestion) -> Option<Stage> {
        match suggestion {
            Suggestion::Look { stage, .. } => Some(*stage),
            _ => None,
        }
    }

    fn kinds(suggestion: Suggestion) -> Vec<Kind> {
        match suggestion {
            Suggestion::Look { kinds, .. } => kinds,
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_equal_pair_is_not_looked_at() {
        let (primary, secondary) = pair();

        assert_eq!(primary.identity, secondary.identity);
        assert_eq!(of_pair(&primary, &secondary, false), Suggestion::Unchanged);
    }

    #[test]
    fn a_pair_is_looked_at_for_each_way_in_which_it_can_differ() {
        type Change = fn(&mut Listed, &mut Listed);
        let changes: [(Change, Stage); 7] = [
            (|p, _| p.enabled = false, Stage::Restrict),
            (|p, _| p.addresses += 1, Stage::Move),
            (|p, _| p.others += 1, Stage::Update),
            (|_, s| s.enabled = false, Stage::Update),
            (|_, s| s.state = State::NeverSignedIn, Stage::Update),
            (|_, s| s.withheld_since = 1, Stage::Update),
            (|_, s| s.has_changed = true, Stage::Update),
        ];
        for (change, expected) in changes {
            let (mut primary, mut secondary) = pair();
            change(&mut primary, &mut secondary);
            let suggestion = of_pair(&primary, &secondary, false);
            assert_eq!(stage(&suggestion), Some(expected));
        }
        let (primary, secondary) = pair();
        let without_identity = of_pair(&primary, &secondary, true);
        assert_eq!(stage(&without_identity), Some(Stage::Update));
    }

    #[test]
    fn an_address_that_changed_in_the_secondary_pool_alone_is_no_change_that_is_counted() {
        let (mut primary, mut secondary) = pair();
        secondary.addresses += 1;
        let of = |primary: &Listed| of_pair(primary, &secondary, false);
        assert_eq!(kinds(of(&primary)), [Kind::ChangeAddress]);

        primary.has_recorded_addresses = true;

        assert_eq!(stage(&of(&primary)), Some(Stage::Move));
        assert_eq!(kinds(of(&primary)), []);
    }

    #[test]
    fn a_ban_travels_whatever_the_status_is_and_an_invitation_does_not() {
        let (mut primary, secondary) = pair();
        primary.state = State::NeverSignedIn;
        primary.others += 1;
        assert_eq!(of_pair(&primary, &secondary, false), Suggestion::Skipped);

        primary.enabled = false;
        assert_eq!(kinds(of_pair(&primary, &secondary, false)), [Kind::Disable]);
    }

    #[test]
    fn of_several_users_with_one_identity_whoever_can_enter_is_looked_at_only_if_nobody_may() {
        let (mut primary, secondary) = pair();
        let disabled = Listed {
            enabled: false,
            ..secondary
        };
        let several = [secondary, secondary, disabled];

        assert_eq!(of_several(&[primary], &several), []);
        assert_eq!(of_several(&[], &several).len(), 2, "gone");
        primary.enabled = false;
        let banned = of_several(&[primary], &several).into_iter().map(kinds);
        assert_eq!(
            banned.collect::<Vec<_>>(),
            [[Kind::Disable], [Kind::Disable]]
        );
        let another = Listed {
            enabled: true,
            ..primary
        };
        assert_eq!(of_several(&[primary, another], &several), []);
    }

    #[test]
    fn only_people_who_can_sign_in_are_created() {
        let (mut primary, _) = pair();
        assert_eq!(stage(&of_primary_alone(&primary)), Some(Stage::Create));

        primary.enabled = false;
        assert_eq!(of_primary_alone(&primary), Suggestion::Skipped);
        for state in [State::NeverSignedIn, State::Unconfirmed, State::Other] {
            let invited = Listed {
                enabled: true,
                state,
                ..primary
            };
            assert_eq!(of_primary_alone(&invited), Suggestion::Skipped);
        }
    }

    #[test]
    fn whose_person_is_gone_is_withheld_and_deleted_after_some_time() {
        let (_, mut secondary) = pair();
        let of = |secondary: &Listed| kinds(of_secondary_alone(secondary, 100));

        assert_eq!(of(&secondary), [Kind::Withhold]);
        secondary.withheld_since = 100;
        assert_eq!(of(&secondary), [Kind::Withhold], "enabled again");
        secondary.enabled = false;
        assert_eq!(of(&secondary), [Kind::Delete]);
        secondary.has_used = true;
        assert_eq!(of(&secondary), [], "never deleted");
        secondary.has_used = false;
        secondary.withheld_since = 101;
        assert_eq!(of(&secondary), []);
        secondary.has_origin = false;
        assert_eq!(of(&secondary), [], "perhaps a newcomer");
    }
}
