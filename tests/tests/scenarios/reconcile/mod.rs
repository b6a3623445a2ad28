//! Reconcile: the secondary pool becomes and stays what the primary pool is, and nobody who has used it loses anything.

mod access;
mod groups;
mod guard;
mod half_made;
mod moves;
mod people;
mod report;
mod resume;
pub mod settings;
mod used;

use std::collections::BTreeSet;

use local_regions::cognito::{Editor, SeedUser, UserView};
use local_regions::faults::Service;
use local_regions::region::{RecordedCall, Region};
use local_regions::world::{BACKUP_TRIGGER, ORIGIN_SUB, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::support::{confirmation, email, invoke, object, replica, sub};

/// Runs reconcile now.
async fn reconcile(world: &World) -> Value {
    asked(world, json!({"now": true})).await
}

/// Runs reconcile with these members of the payload.
async fn asked(world: &World, payload: Value) -> Value {
    attempted(world, payload)
        .await
        .expect("the worker succeeds")
}

/// The same, where the worker may fail. Whatever a scenario is about, no message goes out, and no value of a person gets into the log or
/// into what runs leave.
async fn attempted(world: &World, mut payload: Value) -> Result<Value, String> {
    payload["action"] = "reconcile".into();
    let (before, mut values) = (messages(world), values(world));

    let answer = invoke(&world.tokyo, REPLICATE_WORKER, &payload).await;

    assert_eq!(messages(world), before, "a message went out");
    values.extend(self::values(world));
    assert_says_nothing_of(
        &values,
        REPLICATE_WORKER,
        &world.log(&world.tokyo, REPLICATE_WORKER),
    );
    for key in world.osaka.s3().keys(SNAPSHOTS, "reconciles/") {
        let object = world.osaka.s3().object(SNAPSHOTS, &key);
        let text = object.map(|object| String::from_utf8_lossy(&object).into_owned());
        assert_says_nothing_of(&values, &key, &text.unwrap_or_default());
    }
    answer
}

/// The messages that both pools have sent.
fn messages(world: &World) -> usize {
    let sent = |region: &Region| region.cognito().messages_sent();
    sent(&world.tokyo) + sent(&world.osaka)
}

/// The values of people in both pools that are long enough to be searched for.
fn values(world: &World) -> BTreeSet<String> {
    let of_tokyo = world.tokyo.cognito().users(&world.primary.id);
    let of_osaka = world.osaka.cognito().users(&world.secondary.id);
    let attributes = of_tokyo.into_iter().chain(of_osaka);
    let attributes = attributes.flat_map(|user| user.attributes);
    attributes
        // Addresses are found by their form, because there may be many. The others are people's `sub`s and flags.
        .filter(|(name, _)| !name.starts_with("email") && !name.ends_with("_verified"))
        .filter(|(name, value)| name != ORIGIN_SUB && value.len() > 3)
        .map(|(_, value)| value)
        .collect()
}

fn assert_says_nothing_of(values: &BTreeSet<String>, what: &str, text: &str) {
    let addresses = ["@", "example.jp", "Example.JP", "twinpool.invalid"];
    let mut values = values.iter().map(String::as_str).chain(addresses);
    assert!(
        !values.any(|value| text.contains(value)),
        "{what} has a value of a person"
    );
}

/// Puts the person with this number into the primary pool.
fn person(number: u32) -> SeedUser {
    SeedUser {
        sub: Some(sub(number)),
        attributes: [("email", email(number)), ("email_verified", "true".into())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..SeedUser::default()
    }
}

/// Puts people with the numbers below this one into the primary pool.
fn people(world: &World, count: u32) {
    for number in 0..count {
        world
            .tokyo
            .cognito()
            .put_user(&world.primary.id, person(number));
    }
}

/// The replica of the person with this number, by the address that they had at first.
fn replica_of(world: &World, number: u32) -> UserView {
    replica(world, &email(number)).expect("there is a replica")
}

/// Puts people with the numbers below this one into both pools, as reconcile leaves them.
fn pairs(world: &World, count: u32) {
    people(world, count);
    for number in 0..count {
        let mut replica = person(number);
        replica.sub = None;
        let origin = (ORIGIN_SUB.to_owned(), sub(number));
        replica.attributes.extend([origin]);
        let secondary = &world.secondary.id;
        world.osaka.cognito().put_user(secondary, replica);
    }
}

/// Lifts the quotas and the rates of lists and writes, so that a run is fast.
fn hasten(world: &World) {
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "200");
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_WRITES_RPS", "200");
    for region in [&world.tokyo, &world.osaka] {
        region.cognito().knobs().set_quotas(false);
    }
}

/// Deletes the person with this number from the primary pool.
fn delete(world: &World, number: u32) {
    let cognito = world.tokyo.cognito();
    cognito.remove_user(&world.primary.id, &sub(number));
}

/// An administrator changes attributes of the person with this number in the primary pool; an empty value deletes.
fn edit(world: &World, number: u32, attributes: &[(&str, &str)]) {
    let cognito = world.tokyo.cognito();
    let edited = cognito.edit_user(
        &world.primary.id,
        &sub(number),
        Editor::Administrator,
        attributes,
    );
    edited.expect("the attributes are valid");
}

/// The person with this number sets a password in the secondary pool.
async fn use_secondary(world: &World, number: u32) {
    let replica = replica_of(world, number);
    let mut event = confirmation(number);
    event["triggerSource"] = "PostConfirmation_ConfirmForgotPassword".into();
    event["userPoolId"] = world.secondary.id.as_str().into();
    event["userName"] = replica.sub.as_str().into();
    let attributes = &mut event["request"]["userAttributes"];
    attributes["sub"] = replica.sub.as_str().into();
    attributes[ORIGIN_SUB] = sub(number).into();
    let answer = invoke(&world.osaka, BACKUP_TRIGGER, &event).await;
    answer.expect("a trigger never fails");
}

/// The report that an answer names.
fn report(world: &World, answer: &Value) -> Value {
    let key = answer["report"].as_str().expect("a key");
    object(world, key).expect("the report is there")
}

/// The lines of changes of the run of an answer.
fn changes(world: &World, answer: &Value) -> Vec<Value> {
    let report = report(world, answer);
    let folder = format!(
        "reconciles/{}/changes-",
        report["reconcile"].as_str().unwrap()
    );
    let keys = world.osaka.s3().keys(SNAPSHOTS, &folder);
    let text = |key: &String| {
        world
            .osaka
            .s3()
            .object(SNAPSHOTS, key)
            .expect("it is there")
    };
    let text: Vec<u8> = keys.iter().flat_map(text).collect();
    let text = String::from_utf8(text).expect("UTF-8");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}

/// The reasons for which a run has reported somebody, with the names of attributes or groups.
fn reported(world: &World, answer: &Value) -> Vec<(String, Vec<String>)> {
    let report = report(world, answer);
    let reported = report["reported"].as_array().expect("a list");
    let of = |reported: &Value| {
        let names = serde_json::from_value(reported["attributes"].clone());
        let reason = reported["reason"].as_str().expect("a reason");
        (reason.to_owned(), names.expect("names"))
    };
    reported.iter().map(of).collect()
}

/// The values of a metric in the log of the worker, in their order.
fn measured(world: &World, metric: &str) -> Vec<u64> {
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line[metric].as_u64())
        .collect()
}

/// The calls that write to a pool.
fn writes(world: &World) -> Vec<RecordedCall> {
    let is_read = |operation: &str| {
        let reads = ["AdminGet", "AdminList", "Describe", "List"];
        reads.iter().any(|read| operation.starts_with(read))
    };
    let mut calls = world.calls();
    calls.retain(|call| call.service == Service::Cognito && !is_read(&call.operation));
    calls
}
