//! Groups: definitions, members, and what is left alone.

use std::collections::BTreeSet;

use local_regions::cognito::{Contact, Editor, GroupView, PoolSettings};
use local_regions::world::{REPLICATE_WORKER, World, pool};

use super::access::put_replica_with_long_address;
use super::settings::world_with;
use super::{edit, hasten, pairs, people, person, reconcile, reported, use_secondary};
use crate::support::{put_object, replica, sub, world};

/// Regions with these many pairs, of which a run is fast and compares groups.
async fn with_groups(count: u32) -> World {
    let world = world().await;
    hasten(&world);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");
    pairs(&world, count);
    world
}

fn group(name: &str, description: Option<&str>, precedence: Option<u32>) -> GroupView {
    GroupView {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        precedence,
        ..GroupView::default()
    }
}

/// Puts a group into the primary pool.
fn in_primary(world: &World, group: GroupView) {
    let primary = &world.primary.id;
    world.tokyo.cognito().put_group(primary, group);
}

/// Puts a group into the secondary pool.
fn in_secondary(world: &World, group: GroupView) {
    let secondary = &world.secondary.id;
    world.osaka.cognito().put_group(secondary, group);
}

/// Puts the person with this number into a group of the primary pool.
fn join_primary(world: &World, number: u32, group: &str) {
    let primary = &world.primary.id;
    let cognito = world.tokyo.cognito();
    cognito.add_to_group(primary, &sub(number), group);
}

/// Puts the replica of the person with this number into a group of the secondary pool.
fn join_secondary(world: &World, number: u32, group: &str) {
    let replica = super::replica_of(world, number);
    let secondary = &world.secondary.id;
    let cognito = world.osaka.cognito();
    cognito.add_to_group(secondary, &replica.sub, group);
}

/// The groups of the secondary pool.
fn groups(world: &World) -> Vec<(String, Option<String>, Option<u32>)> {
    let groups = world.osaka.cognito().groups(&world.secondary.id);
    let of = |group: GroupView| (group.name, group.description, group.precedence);
    groups.into_iter().map(of).collect()
}

/// The groups of the replica of the person with this number.
fn groups_of(world: &World, number: u32) -> BTreeSet<String> {
    let replica = super::replica_of(world, number);
    let secondary = &world.secondary.id;
    world.osaka.cognito().groups_of(secondary, &replica.sub)
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The second run finds nothing to do.
async fn is_settled(world: &World) {
    let again = reconcile(world).await;
    assert_eq!(again["counts"]["group_changes"], 0, "{again}");
}

#[tokio::test]
async fn groups_are_created_without_their_role_which_is_reported() {
    let world = with_groups(0).await;
    let role_arn = Some("arn:aws:iam::123456789012:role/staff".to_owned());
    in_primary(
        &world,
        GroupView {
            role_arn,
            ..group("staff", Some("people"), Some(0))
        },
    );
    in_primary(&world, group("guests", None, None));

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["group_changes"], 2, "{answer}");
    let created = world.osaka.cognito().groups(&world.secondary.id);
    assert_eq!(
        created,
        [
            group("guests", None, None),
            group("staff", Some("people"), Some(0))
        ]
    );
    let role = ("group-role".to_owned(), vec!["staff".to_owned()]);
    assert_eq!(reported(&world, &answer), [role]);
    is_settled(&world).await;
}

#[tokio::test]
async fn definitions_are_updated_whether_an_update_keeps_or_clears_what_is_left_out() {
    for keeps in [false, true] {
        let world = with_groups(0).await;
        world.osaka.cognito().knobs().set_update_group_keeps(keeps);
        in_primary(&world, group("described", Some("new"), Some(1)));
        in_secondary(&world, group("described", Some("old"), Some(1)));
        in_primary(&world, group("silent", None, Some(2)));
        in_secondary(&world, group("silent", Some("old"), Some(3)));

        let answer = reconcile(&world).await;

        assert_eq!(answer["counts"]["group_changes"], 2, "{keeps} {answer}");
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let now = groups(&world).into_iter();
        let now: Vec<_> = now
            .map(|(name, description, precedence)| {
                (name, description.filter(|d| !d.is_empty()), precedence)
            })
            .collect();
        assert_eq!(
            now,
            [
                ("described".to_owned(), text("new"), Some(1)),
                ("silent".to_owned(), None, Some(2)),
            ],
            "{keeps}"
        );
        is_settled(&world).await;
    }
}

#[tokio::test]
async fn a_precedence_that_an_update_keeps_is_reported_and_not_tried_again_until_it_changes() {
    for keeps in [false, true] {
        let world = with_groups(0).await;
        world.osaka.cognito().knobs().set_update_group_keeps(keeps);
        in_primary(&world, group("staff", None, None));
        in_secondary(&world, group("staff", None, Some(3)));

        let first = reconcile(&world).await;
        let second = reconcile(&world).await;

        assert_eq!(first["counts"]["group_changes"], 1, "{keeps} {first}");
        assert_eq!(second["counts"]["group_changes"], 0, "{keeps} {second}");
        let kept = ("group-precedence-kept".to_owned(), vec!["staff".to_owned()]);
        for answer in [&first, &second] {
            assert_eq!(reported(&world, answer).contains(&kept), keeps);
        }
        if keeps {
            in_secondary(&world, group("staff", None, Some(4)));
            let changed = reconcile(&world).await;
            assert_eq!(changed["counts"]["group_changes"], 1, "{changed}");
        }
    }
}

#[tokio::test]
async fn members_are_added_and_removed() {
    let world = with_groups(3).await;
    join_primary(&world, 0, "staff");
    join_primary(&world, 1, "staff");
    join_secondary(&world, 1, "staff");
    join_secondary(&world, 2, "staff");

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["group_changes"], 2, "{answer}");
    assert_eq!(groups_of(&world, 0), names(&["staff"]));
    assert_eq!(groups_of(&world, 1), names(&["staff"]));
    assert_eq!(groups_of(&world, 2), names(&[]));
    is_settled(&world).await;
}

#[tokio::test]
async fn whoever_is_created_in_a_run_is_put_into_their_groups_in_the_same_run() {
    let world = with_groups(0).await;
    people(&world, 1);
    join_primary(&world, 0, "staff");

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(groups_of(&world, 0), names(&["staff"]));
}

#[tokio::test]
async fn whoever_has_used_the_secondary_pool_keeps_their_groups_there_and_gets_new_ones() {
    let world = with_groups(1).await;
    in_primary(&world, group("old", None, None));
    join_primary(&world, 0, "new");
    join_secondary(&world, 0, "old");
    use_secondary(&world, 0).await;

    let answer = reconcile(&world).await;

    assert_eq!(groups_of(&world, 0), names(&["new", "old"]), "{answer}");
    let kept = (
        "group-changed-in-secondary".to_owned(),
        vec!["old".to_owned()],
    );
    assert_eq!(reported(&world, &answer), [kept]);
}

#[tokio::test]
async fn groups_that_cognito_makes_for_an_identity_provider_are_left_out() {
    let world = with_groups(1).await;
    let of_primary = format!("{}_Google", world.primary.id);
    let of_secondary = format!("{}_Google", world.secondary.id);
    join_primary(&world, 0, &of_primary);
    join_secondary(&world, 0, &of_secondary);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["group_changes"], 0, "{answer}");
    assert_eq!(answer["counts"]["reported"], 0, "{answer}");
    assert_eq!(groups_of(&world, 0), names(&[&of_secondary]));
}

#[tokio::test]
async fn a_group_of_the_secondary_pool_alone_is_left_and_reported() {
    let world = with_groups(1).await;
    join_secondary(&world, 0, "theirs");

    let answer = reconcile(&world).await;

    assert_eq!(groups_of(&world, 0), names(&["theirs"]), "{answer}");
    let left = ("group-not-in-primary".to_owned(), vec!["theirs".to_owned()]);
    assert_eq!(reported(&world, &answer), [left]);
}

#[tokio::test]
async fn groups_have_an_interval_of_their_own() {
    let world = with_groups(1).await;
    let lambda = world.tokyo.lambda();
    lambda.unset_env(REPLICATE_WORKER, "GROUPS_EVERY_S");
    let first = reconcile(&world).await;
    join_primary(&world, 0, "staff");
    world.clear_calls();

    let within = reconcile(&world).await;

    let asks_for_groups = |operation: &str| operation.contains("Group");
    let calls = world.calls();
    assert!(!calls.iter().any(|call| asks_for_groups(&call.operation)));
    let statuses = [&first, &within].map(|answer| &answer["status"]);
    assert!(
        statuses
            .iter()
            .all(|status| status.as_str() == Some("complete"))
    );
    assert_eq!(groups_of(&world, 0), names(&[]));

    lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");
    reconcile(&world).await;
    assert_eq!(groups_of(&world, 0), names(&["staff"]));
}

#[tokio::test]
async fn a_person_whose_address_changes_in_a_run_gets_their_groups_in_it_too() {
    let world = with_groups(1).await;
    join_primary(&world, 0, "staff");
    edit(
        &world,
        0,
        &[("email", "moved@example.jp"), ("email_verified", "true")],
    );

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    let moved = replica(&world, "moved@example.jp").expect("the replica has moved");
    let secondary = &world.secondary.id;
    let groups = world.osaka.cognito().groups_of(secondary, &moved.sub);
    assert_eq!(groups, names(&["staff"]));
    is_settled(&world).await;
}

#[tokio::test]
async fn a_person_whose_address_is_another_one_in_the_secondary_pool_gets_their_groups() {
    let world = with_groups(1).await;
    use_secondary(&world, 0).await;
    let there = super::replica_of(&world, 0).sub;
    let osaka = world.osaka.cognito();
    let address = [("email", "there@example.jp"), ("email_verified", "true")];
    let edited = osaka.edit_user(&world.secondary.id, &there, Editor::Administrator, &address);
    edited.expect("the attributes are valid");
    join_primary(&world, 0, "staff");

    let answer = reconcile(&world).await;

    let groups = osaka.groups_of(&world.secondary.id, &there);
    assert_eq!(groups, names(&["staff"]), "{answer}");
    let changed = ("changed-in-secondary".to_owned(), vec!["email".to_owned()]);
    assert_eq!(reported(&world, &answer), [changed]);
}

#[tokio::test]
async fn a_person_who_signs_in_by_phone_number_and_has_an_email_address_gets_their_groups() {
    let by_phone = || PoolSettings {
        username_attributes: vec![Contact::PhoneNumber],
        auto_verified: vec![Contact::PhoneNumber],
        ..pool()
    };
    let world = world_with(by_phone(), by_phone()).await;
    hasten(&world);
    let phone = "+819012345678";
    let mut signed_up = person(0);
    let numbers = [("phone_number", phone), ("phone_number_verified", "true")];
    let numbers = numbers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    signed_up.attributes.extend(numbers);
    let tokyo = world.tokyo.cognito();
    tokyo.put_user(&world.primary.id, signed_up);
    join_primary(&world, 0, "staff");

    let answer = reconcile(&world).await;

    let made = replica(&world, phone).expect("a replica");
    let groups = world
        .osaka
        .cognito()
        .groups_of(&world.secondary.id, &made.sub);
    assert_eq!(groups, names(&["staff"]), "{answer}");
}

#[tokio::test]
async fn whoever_is_in_more_groups_than_most_keeps_all_of_them() {
    let world = with_groups(1).await;
    for number in 0..20 {
        let group = format!("group-{number}");
        join_primary(&world, 0, &group);
        join_secondary(&world, 0, &group);
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["group_changes"], 0, "{answer}");
    assert_eq!(groups_of(&world, 0).len(), 20);
}

#[tokio::test]
async fn somebody_whose_address_can_be_no_username_stops_no_other_membership() {
    let world = with_groups(2).await;
    in_primary(&world, group("staff", None, None));
    let replica = put_replica_with_long_address(&world, 5);
    let osaka = world.osaka.cognito();
    osaka.add_to_group(&world.secondary.id, &replica, "staff");
    join_primary(&world, 0, "staff");
    join_secondary(&world, 1, "staff");

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(groups_of(&world, 0), names(&["staff"]));
    assert_eq!(groups_of(&world, 1), names(&[]));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_no_other_membership() {
    let world = with_groups(2).await;
    join_primary(&world, 0, "staff");
    join_secondary(&world, 1, "staff");
    let unreadable = super::replica_of(&world, 1).sub;
    let key = format!("journal/password-reset/{unreadable}.json");
    put_object(&world, &key, "[]".to_owned()).await;

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "incomplete", "{answer}");
    assert_eq!(groups_of(&world, 0), names(&["staff"]));
    assert_eq!(groups_of(&world, 1), names(&["staff"]));
    let unread = ("record-unreadable".to_owned(), vec!["staff".to_owned()]);
    assert!(reported(&world, &answer).contains(&unread));
}
