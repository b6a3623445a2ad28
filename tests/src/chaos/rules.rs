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
pub const RULES: [(&str, Rule); 14] = [
    ("no sign-up fails or waits", sign_ups_succeed_in_time),
    (
        "trigger and outbox lose nobody whom they do not count",
        trigger_and_outbox_lose_nobody,
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
    (
        "after reconcile, nobody of Tokyo is missing",
        nobody_is_missing,
    ),
    ("after reconcile, both pools agree", pools_agree),
    (
        "nobody's own change or password is touched",
        own_changes_stay,
    ),
    ("nobody is deleted who should not be", nobody_is_deleted),
    ("no message goes out", no_message_goes_out),
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

/// Before the last reconciles, everyone who confirmed in Tokyo is a replica in Osaka, in the outbox, a reported conflict, or a counted
/// loss that nothing could have prevented. Who has moved since cannot always be told from somebody else by then.
pub fn trigger_and_outbox_lose_nobody(evidence: &Evidence) -> Vec<String> {
    let before = &evidence.before_reconcile;
    let mut broken = Vec::new();
    let mut lost = 0;
    for person in evidence.people.iter().filter(|person| !person.has_moved) {
        let user = before.primary.iter().find(|user| user.sub == person.sub);
        let Some(user) = user.filter(|user| is_there(user) && user.enabled && person.confirmed)
        else {
            continue;
        };
        let is_replica = |replica: &UserView| {
            is_there(replica) && is_same_person(user, replica, &before.primary, &before.secondary)
        };
        let is_kept = before.outbox.contains(&person.sub) || before.conflicts.contains(&person.sub);
        if is_kept || before.secondary.iter().any(is_replica) {
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

/// Whether the last reconcile has reported that this user's identity has several users. It writes nothing to them but a ban.
fn is_twice(evidence: &Evidence, user: &UserView) -> bool {
    evidence.reported.iter().any(|reported| {
        reported.reason == "identity-twice"
            && (reported.sub == user.sub || reported.secondary_sub == user.sub)
    })
}

/// In each pool, an identity has one user. Whoever gets another address in Tokyo and resets the password there before a reconcile gets
/// a second replica: no trigger can find the first one by identity. Reconcile reports that.
pub fn nobody_is_there_twice(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for (pool, users) in [
        (Place::Tokyo, &evidence.primary),
        (Place::Osaka, &evidence.secondary),
    ] {
        let mut users_of = BTreeMap::<_, Vec<_>>::new();
        for user in users {
            if pool == Place::Tokyo || !is_twice(evidence, user) {
                users_of.entry(identity(user)).or_default().push(&user.sub);
            }
        }
        for (identity, users) in users_of.into_iter().filter(|(_, users)| users.len() > 1) {
            broken.push(format!("{pool:?}: {identity} has the users {users:?}"));
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
                let has_moved = people.any(|person| person.sub == user.sub && person.has_moved);
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

/// Whoever receives the mail of an address in Tokyo can reset the password of the user in Osaka who has this address. So that user is
/// theirs, cannot be entered, or is nobody's account of Tokyo.
pub fn addresses_belong_to_their_owners(evidence: &Evidence) -> Vec<String> {
    let Evidence {
        primary, secondary, ..
    } = evidence;
    let mut broken = Vec::new();
    for owner in primary.iter().filter(|user| is_there(user)) {
        let under_address = |user: &&UserView| user.enabled && email(user) == email(owner);
        for user in secondary.iter().filter(under_address) {
            let is_theirs = is_same_person(owner, user, primary, secondary);
            let is_somebody_elses = user.attributes.contains_key(ORIGIN_SUB)
                || primary
                    .iter()
                    .any(|other| identity(other) == identity(user));
            // Somebody who has used Osaka has proved there that the address is theirs, and reconcile says that it is held.
            let has_taken_it = evidence
                .own_changes
                .iter()
                .any(|change| change.secondary_sub == user.sub && change.attribute == "email");
            let is_reported = is_twice(evidence, user);
            if !is_theirs && is_somebody_elses && !has_taken_it && !is_reported {
                broken.push(format!(
                    "the address of {} opens the account of {} in Osaka",
                    owner.sub,
                    identity(user)
                ));
            }
        }
    }
    broken
}

/// Whether the last reconcile has reported somebody of Tokyo because another person has their address in Osaka, who must not be
/// touched: they have used Osaka.
fn is_name_held(evidence: &Evidence, user: &UserView) -> bool {
    let is_reported = evidence
        .reported
        .iter()
        .any(|reported| reported.sub == user.sub && reported.reason == "name-held");
    let holder = evidence
        .secondary
        .iter()
        .find(|holder| email(holder) == email(user) && identity(holder) != identity(user));
    is_reported && holder.is_some_and(|holder| evidence.used.contains(&holder.sub))
}

/// Whether this is a newcomer whom an administrator has deleted in Osaka, and whom the last reconcile has reported.
fn is_deleted_there(evidence: &Evidence, user: &UserView) -> bool {
    let mut reported = evidence.reported.iter();
    let mut people = evidence.people.iter();
    reported.any(|reported| reported.sub == user.sub && reported.reason == "deleted-in-secondary")
        && people.any(|person| {
            person.sub == identity(user) && person.home == Place::Osaka && person.deleted
        })
}

/// The user of somebody of Tokyo in Osaka.
fn twin<'a>(evidence: &'a Evidence, user: &UserView) -> Option<&'a UserView> {
    let (primary, secondary) = (&evidence.primary, &evidence.secondary);
    let is_twin = |other: &&UserView| is_same_person(user, other, primary, secondary);
    secondary.iter().find(is_twin)
}

/// After the last reconcile, everyone of Tokyo who can sign in there can sign in in Osaka.
pub fn nobody_is_missing(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for user in evidence
        .primary
        .iter()
        .filter(|user| is_there(user) && user.enabled)
    {
        let is_there = twin(evidence, user).is_some_and(is_there);
        if !is_there && !is_name_held(evidence, user) && !is_deleted_there(evidence, user) {
            broken.push(format!("{} has no replica", user.sub));
        }
    }
    broken
}

/// After the last reconcile, both users of a person are equal, but for what people have changed in Osaka themselves. Bans and groups
/// are those of Tokyo.
pub fn pools_agree(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for user in evidence.primary.iter().filter(|user| is_there(user)) {
        let twin = twin(evidence, user).filter(|_| !is_twice(evidence, user));
        let Some(twin) = twin else {
            continue;
        };
        let has_changed = |attribute: &str| {
            let mut changes = evidence.own_changes.iter();
            changes.any(|change| change.secondary_sub == twin.sub && change.attribute == attribute)
        };
        let is_excused = |attribute: &str| {
            let name = attribute.strip_suffix("_verified").unwrap_or(attribute);
            has_changed(name) || name == "email" && is_name_held(evidence, user)
        };
        for attribute in differing(user, twin) {
            if !is_excused(attribute) {
                broken.push(format!("{}: {attribute} differs in Osaka", user.sub));
            }
        }
        let is_withdrawn = evidence.disabled_in_osaka.contains(&twin.sub);
        if user.enabled != twin.enabled && !(user.enabled && is_withdrawn) {
            let (home, away) = (user.enabled, twin.enabled);
            let sub = &user.sub;
            broken.push(format!(
                "{sub}: enabled is {home} in Tokyo and {away} in Osaka"
            ));
        }
        if user.enabled && twin.enabled {
            broken.extend(wrong_groups(evidence, user, twin));
        }
    }
    for banned in evidence.primary.iter().filter(|user| !user.enabled) {
        let theirs = |user: &&UserView| identity(user) == identity(banned) && user.enabled;
        for user in evidence.secondary.iter().filter(theirs) {
            if is_twice(evidence, user) {
                broken.push(format!("{}: banned, and enabled in Osaka", user.sub));
            }
        }
    }
    let [primary, secondary] = &evidence.groups;
    for seen in primary {
        if !secondary.iter().any(|other| other.group == seen.group) {
            broken.push(format!("{} is another group in Osaka", seen.group.name));
        }
    }
    let gone = evidence.secondary.iter().filter(|user| {
        let mut primary = evidence.primary.iter();
        let is_home = primary.any(|other| identity(other) == identity(user));
        user.attributes.contains_key(ORIGIN_SUB) && !is_home
    });
    for user in gone {
        let sub = &user.sub;
        if user.enabled {
            broken.push(format!("{sub} is gone from Tokyo, and not withheld"));
        } else if evidence.days_passed && !evidence.used.contains(sub) && !is_twice(evidence, user)
        {
            broken.push(format!(
                "{sub} is gone from Tokyo for days, and not deleted"
            ));
        }
    }
    broken
}

/// The names of the attributes in which both users differ, of those that travel.
fn differing<'a>(user: &'a UserView, twin: &'a UserView) -> BTreeSet<&'a str> {
    let names = user.attributes.keys().chain(twin.attributes.keys());
    let travelling = names.filter(|name| {
        !["sub", "identities", ORIGIN_SUB].contains(&name.as_str()) && !name.starts_with("cognito:")
    });
    let value = |user: &'a UserView, name: &str| {
        let none = if name.ends_with("_verified") {
            "false"
        } else {
            ""
        };
        user.attributes.get(name).map_or(none, String::as_str)
    };
    // An address that is unverified in Tokyo is not written in Osaka.
    let is_unproved = |name: &str| {
        let flag = format!("{name}_verified");
        ["email", "phone_number"].contains(&name)
            && [user, twin]
                .iter()
                .all(|user| user.attributes.get(&flag).is_none_or(|flag| flag != "true"))
    };
    travelling
        .map(String::as_str)
        .filter(|name| {
            let (ours, theirs) = (value(user, name), value(twin, name));
            // The pools do not tell letter case apart in addresses.
            let is_equal = match *name {
                "email" => ours.eq_ignore_ascii_case(theirs),
                _ => ours == theirs,
            };
            !is_equal && !is_unproved(name)
        })
        .collect()
}

/// The memberships that are not those of Tokyo. Nobody who has used Osaka is taken out of a group there.
fn wrong_groups(evidence: &Evidence, user: &UserView, twin: &UserView) -> Vec<String> {
    let [primary, secondary] = &evidence.groups;
    let mut broken = Vec::new();
    for seen in primary {
        let other = secondary
            .iter()
            .find(|other| other.group.name == seen.group.name);
        let is_member = seen.members.contains(&user.sub);
        let is_member_there = other.is_some_and(|other| other.members.contains(&twin.sub));
        let may_stay = is_member_there && evidence.used.contains(&twin.sub);
        if is_member != is_member_there && !may_stay {
            let name = &seen.group.name;
            broken.push(format!(
                "{}: the membership of {name} differs in Osaka",
                user.sub
            ));
        }
    }
    broken
}

/// What people have changed in Osaka is as they left it, unless both pools agreed in it and it changed in Tokyo later. Their passwords
/// are accepted.
pub fn own_changes_stay(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for change in evidence
        .own_changes
        .iter()
        .filter(|change| !change.was_agreed)
    {
        let mut users = evidence.secondary.iter();
        let user = users.find(|user| user.sub == change.secondary_sub);
        let is_there =
            user.is_none_or(|user| user.attributes.get(&change.attribute) == change.value.as_ref());
        if !is_there {
            let (sub, attribute) = (&change.secondary_sub, &change.attribute);
            broken.push(format!("{sub}: {attribute} is not what the person made it"));
        }
    }
    let passwords = evidence.changed_passwords.iter();
    broken.extend(passwords.map(|refused| format!("a password is not accepted: {refused}")));
    broken
}

/// Twinpool deletes in Osaka only replicas whose person is gone from Tokyo and never used Osaka: after the days for which they are
/// withheld, or when somebody else needs their address.
pub fn nobody_is_deleted(evidence: &Evidence) -> Vec<String> {
    let mut broken = Vec::new();
    for vanished in &evidence.vanished {
        let sub = &vanished.user.sub;
        let is_replica = vanished.user.attributes.contains_key(ORIGIN_SUB);
        if !is_replica || vanished.had_used || vanished.was_in_primary {
            broken.push(format!("{sub} was deleted in Osaka: {vanished:?}"));
        } else if !vanished.was_due && !vanished.was_needed {
            broken.push(format!("{sub} was deleted in Osaka before the time"));
        }
    }
    broken
}

/// No message goes out but those that people ask for.
pub fn no_message_goes_out(evidence: &Evidence) -> Vec<String> {
    evidence.messages.clone()
}

/// After all faults have ended, snapshots and restores come to an end.
pub fn quiet_regions_come_to_an_end(evidence: &Evidence) -> Vec<String> {
    evidence.unquiet.clone()
}

#[cfg(test)]
mod tests {
    use local_regions::cognito::GroupView;
    use reconcile::report::Reported;

    use super::super::evidence::{
        BeforeReconcile, CompleteRestore, GroupSeen, OwnChange, PersonSeen, PointerSeen, Vanished,
        Wait,
    };
    use super::*;

    fn user(sub: &str, address: &str, origin: Option<&str>) -> UserView {
        let attributes = [("email", address), ("email_verified", "true")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut attributes = BTreeMap::from(attributes);
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
            has_moved: false,
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
            before_reconcile: BeforeReconcile {
                primary: primary.clone(),
                secondary: secondary.clone(),
                ..BeforeReconcile::default()
            },
            primary,
            secondary,
            used: BTreeSet::from(["n".to_owned()]),
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
    fn somebody_whom_the_trigger_forgot_is_seen_unless_they_wait_are_reported_or_counted() {
        let mut missing = all_is_well();
        missing.before_reconcile.secondary.remove(0);
        let mut half_made = all_is_well();
        half_made.before_reconcile.secondary[0].status = UserStatus::ForceChangePassword;
        let mut waiting = missing_before();
        waiting.before_reconcile.outbox.insert("a".to_owned());
        let mut reported = missing_before();
        reported.before_reconcile.conflicts.insert("a".to_owned());
        let mut lost = missing_before();
        lost.people[0].excuse = Some(Excuse::StoreDown);

        assert_eq!(broken(&missing), [RULES[1].0]);
        assert_eq!(broken(&half_made), [RULES[1].0]);
        assert_eq!(broken(&waiting), [""; 0]);
        assert_eq!(broken(&reported), [""; 0]);
        assert_eq!(broken(&lost), [RULES[1].0]);
        lost.lost[0] = 1;
        assert_eq!(broken(&lost), [""; 0]);
    }

    fn missing_before() -> Evidence {
        let mut evidence = all_is_well();
        evidence.before_reconcile.secondary.remove(0);
        evidence
    }

    #[test]
    fn whoever_is_missing_or_half_made_after_reconcile_is_seen_whatever_the_trigger_did() {
        let mut missing = all_is_well();
        missing.people[0].excuse = Some(Excuse::Killed);
        missing.secondary.remove(0);
        let mut half_made = all_is_well();
        half_made.secondary[0].status = UserStatus::ForceChangePassword;
        let mut banned = all_is_well();
        banned.primary[0].enabled = false;
        banned.secondary.remove(0);

        assert_eq!(broken(&missing), [RULES[9].0]);
        assert_eq!(broken(&half_made), [RULES[9].0]);
        assert_eq!(broken(&banned), [""; 0]);
    }

    #[test]
    fn a_name_is_held_only_by_somebody_who_has_used_osaka_and_only_if_it_is_reported() {
        let mut evidence = all_is_well();
        evidence.secondary[0] = user("x", "a@x", None);
        evidence.primary.push(user("x1", "x@x", Some("x")));
        evidence.own_changes.push(own_change("x", "email", "a@x"));

        assert_eq!(broken(&evidence), [RULES[9].0]);
        evidence.reported.push(reported("a", "", "name-held"));
        assert_eq!(broken(&evidence), [RULES[9].0]);
        evidence.used.insert("x".to_owned());
        assert_eq!(broken(&evidence), [""; 0]);
    }

    fn reported(sub: &str, secondary_sub: &str, reason: &str) -> Reported {
        Reported {
            sub: sub.to_owned(),
            secondary_sub: secondary_sub.to_owned(),
            reason: reason.to_owned(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn a_newcomer_may_be_missing_who_was_deleted_in_osaka_if_that_is_reported() {
        let mut evidence = all_is_well();
        evidence.secondary.pop();

        assert_eq!(broken(&evidence), [RULES[9].0]);
        let deleted = reported("n1", "", "deleted-in-secondary");
        evidence.reported.push(deleted);
        assert_eq!(broken(&evidence), [RULES[9].0]);
        evidence.people[2].deleted = true;
        assert_eq!(broken(&evidence), [""; 0]);
    }

    fn own_change(secondary_sub: &str, attribute: &str, value: &str) -> OwnChange {
        OwnChange {
            secondary_sub: secondary_sub.to_owned(),
            attribute: attribute.to_owned(),
            value: Some(value.to_owned()),
            was_agreed: false,
        }
    }

    #[test]
    fn an_attribute_a_ban_a_group_and_somebody_who_is_gone_are_compared() {
        let mut attribute = all_is_well();
        let attributes = &mut attribute.primary[0].attributes;
        attributes.insert("name".to_owned(), "other".to_owned());
        let mut ban = all_is_well();
        ban.primary[0].enabled = false;
        let mut banned_in_osaka = all_is_well();
        banned_in_osaka.secondary[0].enabled = false;
        let mut definition = all_is_well();
        definition.groups[0].push(group(&[]));
        let mut membership = all_is_well();
        membership.groups[0].push(group(&[]));
        membership.groups[1].push(group(&["a1"]));
        let mut gone = all_is_well();
        gone.primary.remove(0);

        for evidence in [
            &attribute,
            &ban,
            &banned_in_osaka,
            &definition,
            &membership,
            &gone,
        ] {
            assert_eq!(broken(evidence), [RULES[10].0]);
        }
        let own = own_change("a1", "name", "other");
        attribute.secondary[0]
            .attributes
            .insert("name".to_owned(), "other".to_owned());
        attribute.own_changes.push(own);
        attribute.primary[0].attributes.remove("name");
        assert_eq!(broken(&attribute), [""; 0]);
        banned_in_osaka.disabled_in_osaka.insert("a1".to_owned());
        assert_eq!(broken(&banned_in_osaka), [""; 0]);
        membership.used.insert("a1".to_owned());
        assert_eq!(broken(&membership), [""; 0]);
        gone.secondary[0].enabled = false;
        assert_eq!(broken(&gone), [""; 0]);
        gone.days_passed = true;
        assert_eq!(broken(&gone), [RULES[10].0]);
        gone.used.insert("a1".to_owned());
        assert_eq!(broken(&gone), [""; 0]);
    }

    fn group(members: &[&str]) -> GroupSeen {
        GroupSeen {
            group: GroupView {
                name: "group".to_owned(),
                ..GroupView::default()
            },
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        }
    }

    #[test]
    fn an_own_change_that_was_overwritten_and_a_password_that_was_replaced_are_seen() {
        let mut change = all_is_well();
        change.own_changes.push(own_change("a1", "name", "mine"));
        let mut password = all_is_well();
        password.changed_passwords.push("p0".to_owned());

        assert_eq!(broken(&change), [RULES[11].0]);
        assert_eq!(broken(&password), [RULES[11].0]);
        change.own_changes[0].was_agreed = true;
        assert_eq!(broken(&change), [""; 0]);
    }

    #[test]
    fn only_withheld_replicas_of_people_who_are_gone_are_deleted() {
        let vanished = |change: fn(&mut Vanished)| {
            let mut vanished = Vanished {
                user: user("d1", "d@x", Some("d")),
                had_used: false,
                was_due: true,
                was_needed: false,
                was_in_primary: false,
            };
            change(&mut vanished);
            let mut evidence = all_is_well();
            evidence.vanished.push(vanished);
            evidence
        };
        let needed: fn(&mut Vanished) = |v| (v.was_due, v.was_needed) = (false, true);
        for allowed in [|_: &mut Vanished| (), needed] {
            assert_eq!(broken(&vanished(allowed)), [""; 0]);
        }
        let changes: [fn(&mut Vanished); 4] = [
            |v| v.had_used = true,
            |v| v.was_in_primary = true,
            |v| v.was_due = false,
            |v| v.user = user("d1", "d@x", None),
        ];
        for change in changes {
            assert_eq!(broken(&vanished(change)), [RULES[12].0]);
        }
    }

    #[test]
    fn a_message_is_seen() {
        let mut evidence = all_is_well();
        evidence
            .messages
            .push("Reconcile: a message from Osaka".to_owned());

        assert_eq!(broken(&evidence), [RULES[13].0]);
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
        for (sub, secondary_sub) in [("a", ""), ("", "a1"), ("", "a2")] {
            in_osaka
                .reported
                .push(reported(sub, secondary_sub, "identity-twice"));
        }
        assert_eq!(broken(&in_osaka), [""; 0]);
        assert_eq!(broken(&in_tokyo), [RULES[3].0, RULES[10].0]);
    }

    #[test]
    fn a_ban_that_does_not_reach_two_users_of_one_person_is_seen() {
        let mut evidence = all_is_well();
        evidence.primary[0].enabled = false;
        evidence.secondary[0].enabled = false;
        evidence.secondary.push(user("a2", "a2@x", Some("a")));
        evidence.reported.push(reported("", "a2", "identity-twice"));

        assert_eq!(broken(&evidence), [RULES[10].0]);
        evidence.secondary.last_mut().unwrap().enabled = false;
        assert_eq!(broken(&evidence), [""; 0]);
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
    fn an_address_that_opens_the_account_of_somebody_else_is_seen_unless_they_took_it_or_are_disabled()
     {
        let mut evidence = all_is_well();
        evidence.primary[0] = user("a", "moved@x", None);
        evidence.primary[1] = user("b", "a@x", None);

        let rules = broken(&evidence);

        assert_eq!(rules, [RULES[7].0, RULES[10].0]);
        evidence.secondary[0].enabled = false;
        assert_eq!(broken(&evidence), [RULES[10].0]);
        evidence.secondary[0].enabled = true;
        evidence.own_changes.push(own_change("a1", "email", "a@x"));
        assert_eq!(broken(&evidence), [RULES[10].0]);
    }

    #[test]
    fn a_restore_that_does_not_end_is_seen() {
        let mut evidence = all_is_well();
        evidence.unquiet.push("the restore does not end".to_owned());

        assert_eq!(broken(&evidence), [RULES[8].0]);
    }
}
