//! Restoring into the primary pool: nobody is missing, nobody is there twice, and the report names everyone who was not
//! restored.

mod attributes;
mod bad_input;
mod false_success;
mod fill;
mod groups;
mod identity;
mod import_jobs;
mod lookups;
mod resume;
mod scope;
mod since_the_snapshot;
mod withheld;

use std::collections::{BTreeMap, BTreeSet};

use local_regions::cognito::{SeedUser, UserStatus, UserView};
use local_regions::world::{BACKUP_TRIGGER, RESTORE, SNAPSHOTS, World};
use serde_json::Value;

use crate::support::{answer, confirmation, email, invoke, object, sub};

/// The regions. For the scenarios of `restore_by_lookups`, the primary pool says that it is large, so that people are looked up in it.
async fn world() -> World {
    let world = crate::support::world().await;
    if module_path!().ends_with("restore_by_lookups") {
        let knobs = world.tokyo.cognito().knobs();
        knobs.set_estimated_users(LARGE_POOL);
    }
    world
}

/// The users of a pool in which everybody is looked up: a listing would take 666,667 calls.
pub const LARGE_POOL: u64 = 40_000_000;

/// A user of the secondary pool.
pub fn person(number: u32) -> SeedUser {
    SeedUser {
        sub: Some(sub(number)),
        status: UserStatus::Confirmed,
        attributes: BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
        ]),
        ..SeedUser::default()
    }
}

pub fn with(mut person: SeedUser, attribute: &str, value: &str) -> SeedUser {
    person
        .attributes
        .insert(attribute.to_owned(), value.to_owned());
    person
}

fn in_osaka(world: &World, person: SeedUser) {
    world.osaka.cognito().put_user(&world.secondary.id, person);
}

/// Creates a user of the primary pool, who has another `sub` there, and the replica.
fn replicated(world: &World, number: u32) {
    let original = SeedUser {
        sub: None,
        ..person(number)
    };
    world.tokyo.cognito().put_user(&world.primary.id, original);
    in_osaka(world, person(number));
}

/// Creates a user who signed up in Osaka.
pub async fn newcomer(world: &World, number: u32, person: SeedUser) {
    in_osaka(world, person);
    signs_up(world, number).await;
}

async fn signs_up(world: &World, number: u32) {
    let event = confirmation(number).to_string();
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;
}

fn at_home(world: &World, number: u32) -> Option<UserView> {
    world
        .tokyo
        .cognito()
        .user(&world.primary.id, &email(number))
}

async fn restore(world: &World, request: Value) -> Value {
    let answer = invoke(&world.tokyo, RESTORE, &request).await;
    answer.expect("restore-fn succeeds")
}

fn report(world: &World, answer: &Value) -> Value {
    let key = answer["report"].as_str().expect("a report");
    object(world, key).expect("the report is there")
}

fn folder(answer: &Value) -> String {
    let key = answer["report"].as_str().expect("a report");
    key.replace("report.json", "")
}

/// The text of a file that a restore wrote.
fn file(world: &World, answer: &Value, name: &str) -> String {
    let key = format!("{}{name}", folder(answer));
    let object = world.osaka.s3().object(SNAPSHOTS, &key);
    String::from_utf8(object.expect("the file is there")).expect("UTF-8")
}

/// Who was not restored, with the reason.
fn away(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let people = report["not_home"].as_array().expect("people");
    people
        .iter()
        .map(|person| {
            let username = text(&person["username"]);
            let name = match username.as_str() {
                "" => text(&person["sub"]),
                name => name.to_owned(),
            };
            (name, text(&person["reason"]))
        })
        .collect()
}

fn records(world: &World, prefix: &str) -> BTreeSet<String> {
    let keys = world.osaka.s3().keys(SNAPSHOTS, prefix);
    let name = |key: &String| key.rsplit('/').next().unwrap_or_default().to_owned();
    keys.iter().map(name).collect()
}
