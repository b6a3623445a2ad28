//! Mass changes wait for an operator, each kind of them, and whoever runs reconcile with the wrong pool changes nothing.

use local_regions::cognito::{Editor, PoolSettings};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{REPLICATE_TRIGGER, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};

use super::{
    asked, attempted, changes, delete, edit, hasten, measured, pairs, person, reconcile,
    replica_of, report, use_secondary, writes,
};
use crate::support::{object, put_object, replica, sub, world};

/// Regions with these many pairs, which a run has seen.
async fn settled(count: u32) -> World {
    let world = world().await;
    hasten(&world);
    pairs(&world, count);
    let answer = reconcile(&world).await;
    assert_eq!(answer["counts"]["unchanged"], count, "{answer}");
    world
}

/// The run of an answer.
fn run(world: &World, answer: &Value) -> Value {
    report(world, answer)["reconcile"].clone()
}

async fn remove_object(world: &World, key: &str) {
    let delete = world.osaka.s3_client().delete_object();
    let deleted = delete.bucket(SNAPSHOTS).key(key).send().await;
    deleted.expect("it is removed");
}

/// How many of the replicas with the numbers below this one are disabled.
fn disabled(world: &World, count: u32) -> usize {
    let is_disabled = |number: &u32| !replica_of(world, *number).enabled;
    (0..count).filter(is_disabled).count()
}

#[tokio::test]
async fn an_emptied_pool_waits_until_an_operator_accepts_that_run() {
    let world = settled(40).await;
    (0..40).for_each(|number| delete(&world, number));

    let held = reconcile(&world).await;

    assert_eq!(held["status"], "guarded", "{held}");
    assert_eq!(disabled(&world, 40), 0);
    assert_eq!(report(&world, &held)["held"], json!({"withhold": 40}));
    assert_eq!(report(&world, &held)["status"], "guarded");
    assert_eq!(measured(&world, "MassChange"), [0, 40]);
    let lines = changes(&world, &held);
    let is_held = |line: &Value| line["action"] == "withhold" && line["outcome"] == "held";
    assert_eq!(lines.iter().filter(|line| is_held(line)).count(), 40);

    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;

    assert_eq!(accepted["status"], "complete", "{accepted}");
    assert_eq!(accepted["counts"]["withheld"], 40, "{accepted}");
    assert_eq!(disabled(&world, 40), 40);
}

#[tokio::test]
async fn what_was_accepted_lets_no_more_and_no_other_kind_through() {
    let world = settled(60).await;
    (0..15).for_each(|number| delete(&world, number));
    let held = reconcile(&world).await;
    let cognito = world.tokyo.cognito();
    for number in 20..32 {
        cognito.set_enabled(&world.primary.id, &sub(number), false);
    }

    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;

    assert_eq!(accepted["status"], "guarded", "{accepted}");
    assert_eq!(accepted["counts"]["withheld"], 15, "{accepted}");
    assert_eq!(report(&world, &accepted)["held"], json!({"disable": 12}));
    assert_eq!(report(&world, &accepted)["made"], json!({}));

    // Once more without the operator: what was accepted does not count, and accepts nothing.
    (40..46).for_each(|number| delete(&world, number));
    let next = reconcile(&world).await;
    assert_eq!(next["counts"]["withheld"], 6, "{next}");
    (46..57).for_each(|number| delete(&world, number));
    let after = reconcile(&world).await;
    assert_eq!(after["counts"]["withheld"], 0, "{after}");
    assert_eq!(report(&world, &after)["held"]["withhold"], 11);
}

#[tokio::test]
async fn more_people_than_were_accepted_are_held() {
    let world = settled(40).await;
    (0..11).for_each(|number| delete(&world, number));
    let held = reconcile(&world).await;
    (11..22).for_each(|number| delete(&world, number));

    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;

    assert_eq!(accepted["status"], "guarded", "{accepted}");
    assert_eq!(disabled(&world, 40), 0);
}

#[tokio::test]
async fn five_percent_pass_and_one_person_more_is_held() {
    for (gone, is_held) in [(12, false), (13, true)] {
        let world = settled(240).await;
        (0..gone).for_each(|number| delete(&world, number));

        let answer = reconcile(&world).await;

        let (status, withheld) = match is_held {
            true => ("guarded", 0),
            false => ("complete", gone),
        };
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer["counts"]["withheld"], withheld, "{answer}");
        assert_eq!(disabled(&world, 240), withheld as usize);
    }
}

#[tokio::test]
async fn the_changes_of_a_day_are_counted_together() {
    let world = settled(40).await;
    (0..6).for_each(|number| delete(&world, number));
    let first = reconcile(&world).await;
    (6..12).for_each(|number| delete(&world, number));

    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["withheld"], 6, "{first}");
    assert_eq!(report(&world, &first)["made"], json!({"withhold": 6}));
    assert_eq!(second["counts"]["withheld"], 0, "{second}");
    assert_eq!(report(&world, &second)["held"], json!({"withhold": 6}));
}

#[tokio::test]
async fn a_name_that_is_not_given_away_because_deletions_are_held_counts_as_no_change() {
    let world = settled(40).await;
    let earlier = reconcile(&world).await;
    let mut of_earlier = report(&world, &earlier);
    of_earlier["made"] = json!({"delete": 20});
    let key = earlier["report"].as_str().unwrap();
    put_object(&world, key, of_earlier.to_string()).await;
    delete(&world, 0);
    let mut again = person(0);
    again.sub = Some(sub(900));
    world.tokyo.cognito().put_user(&world.primary.id, again);

    let answer = reconcile(&world).await;

    // The replica is withheld, once, and keeps the name.
    assert_eq!(answer["status"], "guarded", "{answer}");
    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    assert_eq!(report(&world, &answer)["made"], json!({"withhold": 1}));
    assert!(!replica_of(&world, 0).enabled);
}

#[tokio::test]
async fn people_who_were_deleted_and_signed_up_again_count_once() {
    let world = settled(40).await;
    for number in 0..10 {
        delete(&world, number);
        let mut again = person(number);
        again.sub = Some(sub(number + 900));
        world.tokyo.cognito().put_user(&world.primary.id, again);
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["created"], 10, "{answer}");
    let made = json!({"withhold": 10, "delete": 10});
    assert_eq!(report(&world, &answer)["made"], made);
}

#[tokio::test]
async fn the_changes_of_the_day_before_no_longer_count() {
    let world = settled(40).await;
    (0..6).for_each(|number| delete(&world, number));
    let first = reconcile(&world).await;
    let key = first["report"].as_str().unwrap();
    let of_yesterday = "reconciles/20260101T000000Z-00000000/report.json";
    put_object(&world, of_yesterday, report(&world, &first).to_string()).await;
    let mut without = report(&world, &first);
    without["made"] = json!({});
    put_object(&world, key, without.to_string()).await;
    (6..12).for_each(|number| delete(&world, number));

    let second = reconcile(&world).await;

    assert_eq!(second["counts"]["withheld"], 6, "{second}");
}

#[tokio::test]
async fn the_changes_of_a_run_that_was_given_up_count_too() {
    let world = settled(40).await;
    (0..6).for_each(|number| delete(&world, number));
    let given_up = reconcile(&world).await;
    assert_eq!(given_up["counts"]["withheld"], 6, "{given_up}");
    let report_key = given_up["report"].as_str().unwrap();
    remove_object(&world, report_key).await;
    (6..12).for_each(|number| delete(&world, number));

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 0, "{answer}");
    assert_eq!(report(&world, &answer)["held"], json!({"withhold": 6}));

    // A day later.
    let key = report_key.replace("report.json", "progress.json");
    let mut progress = object(&world, &key).expect("progress");
    progress["stored_at"] = "2026-01-01T00:00:00Z".into();
    put_object(&world, &key, progress.to_string()).await;
    let answer = reconcile(&world).await;
    assert_eq!(answer["counts"]["withheld"], 6, "{answer}");
}

#[tokio::test]
async fn a_run_is_accepted_once() {
    let world = settled(40).await;
    (0..15).for_each(|number| delete(&world, number));
    let held = reconcile(&world).await;
    let accept = json!({"accept": run(&world, &held)});
    let mut rehearsed = accept.clone();
    rehearsed["dry_run"] = true.into();
    asked(&world, rehearsed).await;
    let accepted = asked(&world, accept.clone()).await;
    (15..30).for_each(|number| delete(&world, number));

    let again = attempted(&world, accept).await;

    assert_eq!(accepted["counts"]["withheld"], 15, "{accepted}");
    let error = again.unwrap_err();
    assert!(error.contains("accepted before"), "{error}");
    assert_eq!(disabled(&world, 40), 15);
    let held = reconcile(&world).await;
    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;
    assert_eq!(accepted["counts"]["withheld"], 15, "{accepted}");
}

#[tokio::test]
async fn an_accepted_run_that_is_cut_off_is_gone_on_with_when_it_is_accepted_again() {
    let world = settled(40).await;
    (0..30).for_each(|number| delete(&world, number));
    let held = reconcile(&world).await;
    let accept = json!({"accept": run(&world, &held)});
    let denied = Kind::error(403, "AccessDeniedException");
    let fault = Fault::on(Service::Cognito, "AdminGetUser", denied).after(12);
    world.osaka.faults().add(fault);
    attempted(&world, accept.clone()).await.unwrap_err();
    world.osaka.faults().clear();

    let accepted = asked(&world, accept).await;

    assert_eq!(accepted["status"], "complete", "{accepted}");
    assert_eq!(disabled(&world, 40), 30);
    assert_eq!(report(&world, &accepted)["made"], json!({}));
}

#[tokio::test]
async fn disabled_people_in_a_mass_are_held() {
    let world = settled(20).await;
    for number in 0..11 {
        let cognito = world.tokyo.cognito();
        cognito.set_enabled(&world.primary.id, &sub(number), false);
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "guarded", "{answer}");
    assert_eq!(report(&world, &answer)["held"], json!({"disable": 11}));
    assert_eq!(disabled(&world, 20), 0);
}

#[tokio::test]
async fn deleting_people_in_a_mass_is_held_even_after_they_were_withheld_one_by_one() {
    let world = settled(20).await;
    (0..10).for_each(|number| delete(&world, number));
    let withheld = reconcile(&world).await;
    assert_eq!(withheld["counts"]["withheld"], 10, "{withheld}");
    // Withheld on another day.
    let key = withheld["report"].as_str().unwrap();
    let mut of_earlier = report(&world, &withheld);
    of_earlier["made"] = json!({});
    put_object(&world, key, of_earlier.to_string()).await;
    (10..12).for_each(|number| delete(&world, number));
    reconcile(&world).await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "guarded", "{answer}");
    assert_eq!(report(&world, &answer)["held"], json!({"delete": 12}));
    assert_eq!(disabled(&world, 12), 12, "nobody is deleted");
}

#[tokio::test]
async fn cleared_addresses_in_a_mass_are_held_and_other_attributes_are_written() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 12);
    for number in 0..12 {
        let phone = format!("+8190000000{number:02}");
        edit(
            &world,
            number,
            &[("phone_number", &phone), ("phone_number_verified", "true")],
        );
    }
    let first = reconcile(&world).await;
    assert_eq!(first["status"], "guarded", "{first}");
    let filled = asked(&world, json!({"accept": run(&world, &first)})).await;
    assert_eq!(filled["counts"]["updated"], 12, "{filled}");
    for number in 0..12 {
        edit(&world, number, &[("phone_number", ""), ("name", "new")]);
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "guarded", "{answer}");
    assert_eq!(
        report(&world, &answer)["held"],
        json!({"change-address": 12})
    );
    for number in 0..12 {
        let replica = replica_of(&world, number);
        assert!(replica.attributes.contains_key("phone_number"));
        assert_eq!(replica.attributes["name"], "new");
    }
}

#[tokio::test]
async fn an_emptied_group_is_held() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 12);
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    for number in 0..12 {
        osaka.add_to_group(
            &world.secondary.id,
            &replica_of(&world, number).sub,
            "staff",
        );
        tokyo.add_to_group(&world.primary.id, &sub(number), "staff");
        tokyo.remove_from_group(&world.primary.id, &sub(number), "staff");
    }

    let held = reconcile(&world).await;

    assert_eq!(held["status"], "guarded", "{held}");
    assert_eq!(
        report(&world, &held)["held"],
        json!({"remove-membership": 12})
    );
    assert_eq!(osaka.members_of(&world.secondary.id, "staff").len(), 12);

    // Groups are not due for a day.
    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;
    assert_eq!(accepted["counts"]["group_changes"], 12, "{accepted}");
    assert!(osaka.members_of(&world.secondary.id, "staff").is_empty());
}

#[tokio::test]
async fn addresses_that_people_changed_in_the_secondary_pool_hold_no_other_address_back() {
    let world = settled(20).await;
    let osaka = world.osaka.cognito();
    for number in 0..11 {
        use_secondary(&world, number).await;
        let sub = replica_of(&world, number).sub;
        let there = format!("there{number}@example.jp");
        let there = [("email", there.as_str()), ("email_verified", "true")];
        let edited = osaka.edit_user(&world.secondary.id, &sub, Editor::Administrator, &there);
        edited.expect("the attributes are valid");
    }
    let moved = [("email", "moved@example.jp"), ("email_verified", "true")];
    edit(&world, 11, &moved);

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert_eq!(answer["counts"]["reported"], 11, "{answer}");
    assert!(replica(&world, "moved@example.jp").is_some());
}

#[tokio::test]
async fn a_membership_that_is_held_because_of_others_that_stay_can_be_accepted() {
    let world = settled(20).await;
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    // Eleven people who are in the secondary pool alone keep their groups.
    for number in 100..111 {
        let secondary_sub = osaka.put_user(&world.secondary.id, person(number));
        osaka.add_to_group(&world.secondary.id, &secondary_sub, "staff");
    }
    let removed = replica_of(&world, 0).sub;
    osaka.add_to_group(&world.secondary.id, &removed, "staff");
    tokyo.add_to_group(&world.primary.id, &sub(0), "staff");
    tokyo.remove_from_group(&world.primary.id, &sub(0), "staff");
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");

    let held = reconcile(&world).await;
    let accepted = asked(&world, json!({"accept": run(&world, &held)})).await;

    let of_held = report(&world, &held);
    assert_eq!(of_held["held"], json!({"remove-membership": 1}));
    assert_eq!(of_held["idle"], json!({"remove-membership": 11}));
    assert_eq!(accepted["status"], "complete", "{accepted}");
    assert_eq!(accepted["counts"]["group_changes"], 1, "{accepted}");
    assert_eq!(osaka.members_of(&world.secondary.id, "staff").len(), 11);
}

/// Makes the worker read another primary pool, in which other people have the addresses of the people with the numbers below this one.
fn take_another_primary(world: &World, count: u32) {
    let tokyo = world.tokyo.cognito();
    let other = tokyo.create_pool(PoolSettings {
        id: Some("ap-northeast-1_Another01".to_owned()),
        ..local_regions::world::pool()
    });
    tokyo.set_post_confirmation(&other.id, REPLICATE_TRIGGER);
    for number in 0..count {
        let mut somebody_else = person(number);
        somebody_else.sub = Some(sub(number + 5000));
        tokyo.put_user(&other.id, somebody_else);
    }
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &other.id);
}

#[tokio::test]
async fn a_run_with_another_pool_than_the_latest_report_names_is_refused() {
    let world = settled(3).await;
    take_another_primary(&world, 3);
    world.clear_calls();

    for payload in [json!({"now": true}), json!({"dry_run": true})] {
        let error = attempted(&world, payload).await.unwrap_err();

        assert!(error.contains("ap-northeast-1_Another01"), "{error}");
        assert!(error.contains(&world.primary.id), "{error}");
    }
    assert!(writes(&world).is_empty());
}

#[tokio::test]
async fn a_first_run_with_another_pool_deletes_nobody_and_gives_no_address_away() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 12);
    take_another_primary(&world, 12);
    let before: Vec<_> = (0..12)
        .map(|number| replica_of(&world, number).sub)
        .collect();

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 0, "{answer}");
    assert_eq!(answer["counts"]["created"], 0, "{answer}");
    assert_ne!(answer["status"], "complete", "{answer}");
    let after: Vec<_> = (0..12)
        .map(|number| replica_of(&world, number).sub)
        .collect();
    assert_eq!(after, before, "everybody keeps the address");
    assert_eq!(disabled(&world, 12), 0);
    assert!(
        writes(&world)
            .iter()
            .all(|call| call.operation == "AdminCreateUser")
    );
}

#[tokio::test]
async fn accepting_a_run_that_does_not_exist_or_is_of_other_pools_is_an_error() {
    let world = settled(12).await;
    (0..12).for_each(|number| delete(&world, number));
    let held = reconcile(&world).await;
    let other = "20260101T000000Z-0000000a";
    let mut of_others = report(&world, &held);
    of_others["primary"]["pool"] = json!("ap-northeast-1_Another01");
    let key = format!("reconciles/{other}/report.json");
    put_object(&world, &key, of_others.to_string()).await;
    let latest = object(&world, "reconciles/latest.json");

    let unknown = attempted(&world, json!({"accept": "20260101T000000Z-0000000b"})).await;
    let of_others = attempted(&world, json!({"accept": other})).await;

    assert!(unknown.unwrap_err().contains("no report of a run"));
    assert!(of_others.unwrap_err().contains("ap-northeast-1_Another01"));
    assert_eq!(disabled(&world, 12), 0);
    assert_eq!(object(&world, "reconciles/latest.json"), latest);
}
