//! Groups of newcomers: the snapshot has them, and the restore writes them where the primary pool has the group.

use std::collections::BTreeSet;
use std::time::Duration;

use local_regions::cognito::{GroupView, SeedUser};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{RESTORE, World};
use serde_json::{Value, json};

use super::{away, newcomer, person, records, replicated, report, restore, with, world};
use crate::support::{email, files, invoke, object, snapshot, sub};

fn group_in_tokyo(world: &World, name: &str) {
    let group = GroupView {
        name: name.to_owned(),
        ..GroupView::default()
    };
    world.tokyo.cognito().put_group(&world.primary.id, group);
}

fn join(world: &World, number: u32, group: &str) {
    let secondary = &world.secondary.id;
    world
        .osaka
        .cognito()
        .add_to_group(secondary, &email(number), group);
}

fn groups_at_home(world: &World, number: u32) -> BTreeSet<String> {
    let tokyo = world.tokyo.cognito();
    tokyo.groups_of(&world.primary.id, &email(number))
}

fn calls(world: &World, operation: &str) -> usize {
    let calls = world.calls().into_iter();
    calls.filter(|call| call.operation == operation).count()
}

fn leftovers(world: &World, taken: &Value) -> Vec<Value> {
    let manifest = object(world, taken["manifest"].as_str().unwrap()).unwrap();
    let leftovers = files(world, &manifest, "leftovers");
    let lines = leftovers.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn newcomers_get_the_groups_that_they_were_in_however_they_come_back() {
    let world = world().await;
    replicated(&world, 0);
    join(&world, 0, "staff");
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "custom:note", "a\nb")).await;
    let disabled = SeedUser {
        enabled: false,
        ..person(3)
    };
    newcomer(&world, 3, disabled).await;
    newcomer(&world, 4, person(4)).await;
    for number in 1..4 {
        join(&world, number, "staff");
    }
    join(&world, 1, "editors");
    // Cognito's own group of an identity provider.
    join(&world, 1, &format!("{}_Google", world.secondary.id));
    group_in_tokyo(&world, "staff");
    group_in_tokyo(&world, "editors");
    world.clear_calls();
    let taken = snapshot(&world).await.unwrap();
    assert_eq!(
        calls(&world, "AdminListGroupsForUser"),
        4,
        "only newcomers are asked for"
    );

    let planned = restore(&world, json!({"dry_run": true})).await;
    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(planned["counts"]["groups_written"], 4);
    assert_eq!(answer["counts"]["groups_written"], 4);
    assert_eq!(answer["counts"]["groups_missing"], 0);
    let both = BTreeSet::from(["editors".to_owned(), "staff".to_owned()]);
    assert_eq!(groups_at_home(&world, 1), both);
    for number in [2, 3] {
        assert_eq!(groups_at_home(&world, number).len(), 1);
    }
    assert!(groups_at_home(&world, 4).is_empty() && groups_at_home(&world, 0).is_empty());
    let lines = leftovers(&world, &taken);
    let line = lines.iter().find(|line| line["sub"] == sub(1)).unwrap();
    assert_eq!(line["reason"], "groups");
    assert_eq!(line["groups"], json!(["editors", "staff"]));
    assert_eq!(line["attributes"], json!({}));
}

#[tokio::test]
async fn a_group_that_the_primary_pool_lacks_keeps_nobody_from_being_home() {
    let world = world().await;
    for number in 1..3 {
        newcomer(&world, number, person(number)).await;
        join(&world, number, "staff");
    }
    join(&world, 1, "editors");
    group_in_tokyo(&world, "editors");
    snapshot(&world).await.unwrap();
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 2);
    assert_eq!(answer["counts"]["groups_written"], 1);
    assert_eq!(answer["counts"]["groups_missing"], 2);
    let report = report(&world, &answer);
    assert!(away(&report).is_empty());
    let missing = report["groups_missing"].as_array().unwrap();
    let missing: BTreeSet<_> = missing
        .iter()
        .map(|missing| (missing["username"].as_str(), missing["group"].as_str()))
        .map(|(name, group)| (name.unwrap().to_owned(), group.unwrap()))
        .collect();
    assert_eq!(
        missing,
        BTreeSet::from([(email(1), "staff"), (email(2), "staff")])
    );
    assert!(records(&world, "journal/sign-up/").is_empty());
    assert_eq!(
        calls(&world, "AdminAddUserToGroup"),
        2,
        "a group that does not exist is tried once"
    );
}

#[tokio::test]
async fn a_pool_without_groups_costs_one_call_and_a_refusal_costs_no_snapshot() {
    let world = world().await;
    for number in 1..4 {
        newcomer(&world, number, person(number)).await;
    }
    world.clear_calls();
    snapshot(&world).await.unwrap();
    assert_eq!(calls(&world, "ListGroups"), 1);
    assert_eq!(calls(&world, "AdminListGroupsForUser"), 0);
    let refused = Kind::Error {
        status: 400,
        code: "AccessDeniedException".into(),
        message: String::new(),
    };
    let fault = Fault::on(Service::Cognito, "ListGroups", refused);
    world.osaka.faults().add(fault);

    let taken = snapshot(&world).await.unwrap();

    assert_eq!(taken["status"], "complete", "{taken}");
    assert!(leftovers(&world, &taken).is_empty());
}

#[tokio::test]
async fn groups_that_no_invocation_has_the_time_for_are_an_error_that_refers_to_the_command_line() {
    let world = world().await;
    group_in_tokyo(&world, "staff");
    for number in 0..40 {
        newcomer(&world, number, person(number)).await;
        join(&world, number, "staff");
    }
    snapshot(&world).await.unwrap();
    let lambda = world.tokyo.lambda();
    lambda.set_timeout(RESTORE, Duration::from_secs(5));
    let slow = Kind::Delay(Duration::from_millis(200));
    let slow = Fault::on(Service::Cognito, "AdminAddUserToGroup", slow);
    world.tokyo.faults().add(slow);

    let mut answers = Vec::new();
    let refused = loop {
        match invoke(&world.tokyo, RESTORE, &json!({})).await {
            Ok(answer) => {
                assert_eq!(answer["status"], "in-progress", "{answer}");
                answers.push(answer);
                assert!(answers.len() < 10, "it goes on for ever");
            }
            Err(refused) => break refused,
        }
    };
    world.tokyo.faults().clear();
    lambda.set_timeout(RESTORE, Duration::from_secs(60));
    let finished = restore(&world, json!({})).await;

    assert!(refused.contains("twinpool restore"), "{refused}");
    assert_eq!(finished["status"], "complete", "{finished}");
    assert!(groups_at_home(&world, 39).contains("staff"));
}
