//! What must hold for the evidence of every history. Each rule returns a sentence for everything that breaks it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local_regions::cognito::{UserStatus, UserView};
use local_regions::world::ORIGIN_SUB;

use super::evidence::{Evidence, Excuse, identity};
use super::history::Place;

/// Whoever waits longer than this for a confirmation waits because of twinpool.
const TIME_LIMIT: Duration = Duration::from_millis(4500);

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the rule.
    pub rule: &'static str,
    /// What breaks it.
    pub what: String,
}

type Rule = fn(&Evidence) -> Vec<String>;

/// All rules by their names.
pub const RULES: [(&str, Rule); 9] = [
    ("no sign-up fails or waits", sign_ups_succeed_in_time),
    (
        "everyone of Tokyo is a replica, waits, or is reported",
        nobody_is_missing,
    ),
    ("every newcomer is in the journal", newcomers_are_recorded),
    ("nobody is there twice", nobody_is_there_twice),
    ("complete means that everyone is home", complete_is_true),
    (
        "latest names a complete snapshot and moves forward",
        latest_is_complete_and_moves_forward,
    ),
    ("nothing personal is in a log", logs_are_impersonal),
    (
        "nobody gains the account of somebody else",
        addresses_belong_to_their_owners,
    ),
    (
        "without faults, snapshots and restores end",
        quiet_regions_come_to_an_end,
    ),
];

/// Checks all rules.
pub fn violations(evidence: &Evidence) -> Vec<Violation> {
    let broken = |&(rule, check): &(&'static str, Rule)| {
        let what = check(evidence).into_iter();
        what.map(move |what| Violation { rule, what })
    };
    RULES.iter().flat_map(broken).collect()
}

/// Users who can use the pool: who have confirmed, or were imported.
fn is_there(user: &UserView) -> bool {
    matches!(
        user.status,
        UserStatus::Confirmed | UserStatus::ResetRequired
    )
}

fn email(user: &UserView) -> Option<String> {
    let email = user.attributes.get("email")?;
    Some(email.to_lowercase())
}

/// Two users of the two pools who are the same person: by their identity, or where nothing else can tell, because the user in
/// Osaka carries no origin attribute and neither has a pair, by the address.
fn is_same_person(
    in_tokyo: &UserView,
    in_osaka: &UserView,
    primary: &[UserView],
    secondary: &[UserView],
) -> bool {
    if identity(in_tokyo) == identity(in_osaka) {
        return true;
    }
    let has_pair = |user: &UserView, others: &[UserView]| {
        others.iter().any(|other| identity(other) == identity(user))
    };
    !in_osaka.attributes.contains_key(ORIGIN_SUB)
        && email(in_tokyo) == email(in_osaka)
        && !has_pair(in_tokyo, secondary)
        && !has_pair(in_osaka, primary)
}

/// No confirmation and no password reset failed or took too long because of the trigger.
pub fn sign_ups_succeed_in_time(evidence: &Evidence) -> Vec<String> {
    let broken = |wait: &super::evidence::Wait| {
        let sub = &wait.sub;
        match &wait.failed {
            Some(error) => Some(format!("{sub}: {error}")),
            None if wait.waited > TIME_LIMIT => Some(format!("{sub} waited {:?}", wait.waited)),
            None => None,
        }
    };
    evidence.waits.iter().filter_map(broken).collect()
}

/// Everyone who confirmed in Tokyo is a replica in Osaka, in the outbox, a reported conflict, or a counted loss that nothing
/// could have prevented.
pub fn nobody_is_missing(evidence: &Evidence) -> Vec<String> {
    let Evidence {
        primary, secondary, ..
    } = evidence;
    let mut broken = Vec::new();
    let mut lost = 0;
    for person in &evidence.people {
        let user = primary.iter().find(|user| user.sub == person.sub);
        let Some(user) = user.filter(|user| is_there(user) && person.confirmed) else {
            continue;
        };
        // Somebody who signed up in Osaka with the same address was the same person by name when they confirmed, and nothing tells
        // that they have moved since.
        let was_same_by_name = |user: &UserView| {
            let address = Some(person.confirmed_address.to_lowercase());
            person.moved_unseen && identity(user) == user.sub && email(user) == address
        };
        let is_replica = |replica: &UserView| {
            let is_same = is_same_person(user, replica, primary, secondary);
            is_there(replica) && (is_same || was_same_by_name(replica))
        };
        let is_kept =
            evidence.outbox.contains(&person.sub) || evidence.conflicts.contains(&person.sub);
        if is_kept || secondary.iter().any(is_replica) {
            continue;
        }
        match person.excuse {
            Some(Excuse::Killed) => {}
            Some(Excuse::StoreDown) => lost += 1,
            None => broken.push(format!(
                "{} is confirmed in Tokyo, and no replica, not in the outbox and no conflict",
                person.sub
            )),
        }
    }
    let counted = evidence.lost[0];
    if lost > counted {
        broken.push(format!("{lost} people are lost, and {counted} are counted"));
    }
    broken
}

/// Everyone who confirmed in Osaka has a record in the journal, or is a counted loss that nothing could have prevented.
pub fn newcomers_are_recorded(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    let mut lost = 0;
    for person in &evidence.people {
        let is_newcomer = person.home == Place::Osaka && person.confirmed && !person.deleted;
        if !is_newcomer || evidence.journal.contains(&person.sub) {
            continue;
        }
        match person.excuse {
            Some(Excuse::Killed) => {}
            Some(Excuse::StoreDown) => lost += 1,
            None => broken.push(format!(
                "{} is confirmed in Osaka and not in the journal",
                person.sub
            )),
        }
    }
    let counted = evidence.lost[1];
    if lost > counted {
        broken.push(format!(
            "{lost} newcomers are lost, and {counted} are counted"
        ));
    }
    broken
}

/// In each pool, an identity has one user, except for a replica that did not follow its person.
pub fn nobody_is_there_twice(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for (pool, users) in [
        (Place::Tokyo, &evidence.primary),
        (Place::Osaka, &evidence.secondary),
    ] {
        let mut users_of = BTreeMap::<_, Vec<_>>::new();
        for user in users {
            users_of.entry(identity(user)).or_default().push(&user.sub);
        }
        for (identity, users) in users_of.into_iter().filter(|(_, users)| users.len() > 1) {
            let is_excused = pool == Place::Osaka
                && evidence
                    .people
                    .iter()
                    .any(|person| person.sub == identity && person.reset_after_move);
            if !is_excused {
                broken.push(format!("{pool:?}: {identity} has the users {users:?}"));
            }
        }
    }
    broken
}

/// When a restore says `complete`, every newcomer is in Tokyo as that person.
pub fn complete_is_true(evidence: &Evidence) -> Vec<String> {
    let mut away = BTreeSet::new();
    for restore in &evidence.complete_restores {
        let (primary, secondary) = (&restore.primary, &restore.secondary);
        let newcomers = secondary
            .iter()
            .filter(|user| restore.newcomers.contains(&user.sub));
        for newcomer in newcomers {
            let is_home = |user: &UserView| {
                is_there(user) && is_same_person(user, newcomer, primary, secondary)
            };
            // Somebody of Tokyo has moved to the newcomer's address, and a late listing can hide the replica that tells them apart.
            let cannot_be_told = |user: &UserView| {
                let mut people = evidence.people.iter();
                let has_moved = people.any(|person| person.sub == user.sub && person.moved_unseen);
                restore.was_listing_late && has_moved && email(user) == email(newcomer)
            };
            let mut users = primary.iter();
            if !users.any(|user| is_home(user) || cannot_be_told(user)) {
                away.insert(newcomer.sub.as_str());
            }
        }
    }
    let sentence = |sub| format!("a restore said complete, and {sub} is not in Tokyo");
    away.into_iter().map(sentence).collect()
}

/// A pointer names a complete snapshot, and never an older one than before.
pub fn latest_is_complete_and_moves_forward(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    let mut newest = BTreeMap::<_, &str>::new();
    for seen in &evidence.pointers {
        let (key, snapshot) = (seen.key, seen.snapshot.as_str());
        if let Some(problem) = &seen.problem {
            broken.push(format!("{key} names {snapshot:?}: {problem}"));
        }
        let before = newest.insert(key, snapshot);
        if let Some(before) = before.filter(|before| *before > snapshot) {
            broken.push(format!("{key} went from {before} back to {snapshot:?}"));
        }
    }
    broken
}

/// No log contains an address, another attribute value or a password of the people, nor a word as long as a random password.
pub fn logs_are_impersonal(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for (function, log) in &evidence.logs {
        for (name, value) in &evidence.personal {
            if log.contains(value.as_str()) {
                broken.push(format!("the log of {function} contains {name}"));
            }
        }
        let mut words = log.split(|c: char| c.is_whitespace() || c == '"');
        if words.any(|word| word.len() >= 100) {
            broken.push(format!(
                "the log of {function} has a word as long as a password"
            ));
        }
    }
    broken
}

/// The replica under an address with which somebody has confirmed is theirs, or they are reported, or still in the outbox.
pub fn addresses_belong_to_their_owners(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for owner in evidence.primary.iter().filter(|user| is_there(user)) {
        let is_reported =
            evidence.conflicts.contains(&owner.sub) || evidence.outbox.contains(&owner.sub);
        let is_unseen = evidence.people.iter().any(|person| {
            person.sub == owner.sub && (person.moved_unseen || person.excuse.is_some())
        });
        let replicas = evidence.secondary.iter().filter(|replica| {
            replica.attributes.contains_key(ORIGIN_SUB) && email(replica) == email(owner)
        });
        for replica in replicas {
            if identity(replica) != identity(owner) && !is_reported && !is_unseen {
                broken.push(format!(
                    "the address of {} belongs to the replica of {} in Osaka",
                    owner.sub,
                    identity(replica)
                ));
            }
        }
    }
    broken
}

/// After all faults have ended, snapshots and restores come to an end.
pub fn quiet_regions_come_to_an_end(evidence: &Evidence) -> Vec<String> {
    evidence.unquiet.clone()
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{CompleteRestore, PersonSeen, PointerSeen, Wait};
    use super::*;

    fn user(sub: &str, address: &str, origin: Option<&str>) -> UserView {
        let mut attributes = BTreeMap::from([("email".to_owned(), address.to_owned())]);
        if let Some(origin) = origin {
            attributes.insert(ORIGIN_SUB.to_owned(), origin.to_owned());
        }
        UserView {
            username: sub.to_owned(),
            sub: sub.to_owned(),
            status: UserStatus::Confirmed,
            enabled: true,
            attributes,
        }
    }

    fn person(sub: &str, home: Place, excuse: Option<Excuse>) -> PersonSeen {
        PersonSeen {
            sub: sub.to_owned(),
            home,
            confirmed: true,
            excuse,
            deleted: false,
            confirmed_address: String::new(),
            moved_unseen: false,
            reset_after_move: false,
        }
    }

    /// Two people of Tokyo with their replicas, a newcomer who is home, and everything as it should be.
    fn all_is_well() -> Evidence {
        let primary = vec![
            user("a", "a@x", None),
            user("b", "b@x", None),
            user("n1", "n@x", Some("n")),
        ];
        let secondary = vec![
            user("a1", "a@x", Some("a")),
            user("b1", "b@x", Some("b")),
            user("n", "n@x", None),
        ];
        let pointer = |snapshot: &str| PointerSeen {
            key: "latest.json",
            snapshot: snapshot.to_owned(),
            problem: None,
        };
        Evidence {
            people: vec![
                person("a", Place::Tokyo, None),
                person("b", Place::Tokyo, None),
                person("n", Place::Osaka, None),
            ],
            waits: vec![Wait {
                sub: "a".to_owned(),
                waited: TIME_LIMIT,
                failed: None,
            }],
            complete_restores: vec![CompleteRestore {
                newcomers: vec!["n".to_owned()],
                primary: primary.clone(),
                secondary: secondary.clone(),
                was_listing_late: false,
            }],
            primary,
            secondary,
            journal: BTreeSet::from(["n".to_owned()]),
            pointers: vec![pointer("2"), pointer("2"), pointer("3")],
            logs: vec![("replicate-fn", "a was replicated".to_owned())],
            personal: vec![("an address".to_owned(), "a@x".to_owned())],
            ..Evidence::default()
        }
    }

    /// The names of the rules that are broken.
    fn broken(evidence: &Evidence) -> Vec<&'static str> {
        let mut rules: Vec<_> = violations(evidence).iter().map(|v| v.rule).collect();
        rules.dedup();
        rules
    }

    #[test]
    fn no_rule_is_broken_when_all_is_well() {
        assert_eq!(violations(&all_is_well()), []);
    }

    #[test]
    fn a_failed_and_a_slow_sign_up_are_seen() {
        let mut failed = all_is_well();
        failed.waits[0].failed = Some("UserLambdaValidationException".to_owned());
        let mut slow = all_is_well();
        slow.waits[0].waited += Duration::from_millis(1);

        assert_eq!(broken(&failed), [RULES[0].0]);
        assert_eq!(broken(&slow), [RULES[0].0]);
    }

    #[test]
    fn a_missing_and_a_half_made_replica_are_seen() {
        let mut missing = all_is_well();
        missing.secondary.remove(0);
        let mut half_made = all_is_well();
        half_made.secondary[0].status = UserStatus::ForceChangePassword;

        assert_eq!(broken(&missing), [RULES[1].0]);
        assert_eq!(broken(&half_made), [RULES[1].0]);
    }

    #[test]
    fn somebody_without_a_replica_may_be_in_the_outbox_reported_or_a_counted_loss() {
        let mut waiting = all_is_well();
        waiting.secondary.remove(0);
        let mut reported = all_is_well();
        reported.secondary.remove(0);
        let mut lost = all_is_well();
        lost.secondary.remove(0);
        lost.people[0].excuse = Some(Excuse::StoreDown);
        waiting.outbox.insert("a".to_owned());
        reported.conflicts.insert("a".to_owned());

        assert_eq!(broken(&waiting), [""; 0]);
        assert_eq!(broken(&reported), [""; 0]);
        assert_eq!(broken(&lost), [RULES[1].0]);
        lost.lost[0] = 1;
        assert_eq!(broken(&lost), [""; 0]);
    }

    #[test]
    fn a_replica_of_somebody_else_under_the_same_address_is_no_replica() {
        let mut evidence = all_is_well();
        evidence.secondary[0] = user("a1", "a@x", Some("former"));

        let rules = broken(&evidence);

        assert_eq!(rules, [RULES[1].0, RULES[7].0]);
    }

    #[test]
    fn a_replica_without_an_origin_is_known_by_its_address() {
        let mut evidence = all_is_well();
        evidence.secondary[0] = user("a1", "A@x", None);

        assert_eq!(violations(&evidence), []);
    }

    #[test]
    fn a_newcomer_without_a_record_is_seen_unless_the_loss_is_counted() {
        let mut evidence = all_is_well();
        evidence.journal.clear();

        assert_eq!(broken(&evidence), [RULES[2].0]);
        evidence.people[2].excuse = Some(Excuse::StoreDown);
        assert_eq!(broken(&evidence), [RULES[2].0]);
        evidence.lost[1] = 1;
        assert_eq!(broken(&evidence), [""; 0]);
    }

    #[test]
    fn two_users_of_one_person_are_seen_in_each_pool() {
        let mut in_osaka = all_is_well();
        in_osaka.secondary.push(user("a2", "a2@x", Some("a")));
        let mut in_tokyo = all_is_well();
        in_tokyo.primary.push(user("n2", "n2@x", Some("n")));

        assert_eq!(broken(&in_osaka), [RULES[3].0]);
        assert_eq!(broken(&in_tokyo), [RULES[3].0]);
    }

    #[test]
    fn a_false_complete_is_seen() {
        let mut away = all_is_well();
        away.complete_restores[0].primary.pop();
        let mut unconfirmed = all_is_well();
        unconfirmed.complete_restores[0].primary[2].status = UserStatus::Unconfirmed;
        let mut stranger = all_is_well();
        stranger.complete_restores[0].primary[2] = user("s", "other@x", None);

        for evidence in [away, unconfirmed, stranger] {
            assert_eq!(broken(&evidence), [RULES[4].0]);
        }
    }

    #[test]
    fn an_incomplete_snapshot_and_a_pointer_that_goes_back_are_seen() {
        let mut incomplete = all_is_well();
        incomplete.pointers[1].problem = Some("users-0001.csv is missing".to_owned());
        let mut backwards = all_is_well();
        backwards.pointers[2].snapshot = "1".to_owned();

        assert_eq!(broken(&incomplete), [RULES[5].0]);
        assert_eq!(broken(&backwards), [RULES[5].0]);
    }

    #[test]
    fn personal_data_and_a_password_in_a_log_are_seen() {
        let mut address = all_is_well();
        address.logs[0].1.push_str(" as a@x");
        let mut password = all_is_well();
        password.logs[0].1.push_str(&" x".repeat(3));
        password.logs[0].1.push_str(&"y".repeat(100));

        assert_eq!(broken(&address), [RULES[6].0]);
        assert_eq!(broken(&password), [RULES[6].0]);
    }

    #[test]
    fn an_address_that_belongs_to_somebody_else_in_osaka_is_seen_unless_it_is_reported() {
        let mut evidence = all_is_well();
        evidence.primary[0] = user("a", "moved@x", None);
        evidence.primary.push(user("c", "a@x", None));

        assert_eq!(broken(&evidence), [RULES[7].0]);
        evidence.conflicts.insert("c".to_owned());
        assert_eq!(broken(&evidence), [""; 0]);
    }

    #[test]
    fn a_restore_that_does_not_end_is_seen() {
        let mut evidence = all_is_well();
        evidence.unquiet.push("the restore does not end".to_owned());

        assert_eq!(broken(&evidence), [RULES[8].0]);
    }
}
