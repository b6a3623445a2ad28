//! Snapshots: complete, whatever the listing does; one at a time; never published incomplete, and never replaced by an older
//! one.

pub mod clocks;
mod concurrency;
mod content;
mod import_csv;
mod load;
mod newcomers;
mod newcomers_scope;
mod publishing;
mod resume;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::{BACKUP_TRIGGER, BACKUP_WORKER, World};
use serde_json::Value;

use crate::support::{answer, confirmation, email, files, object, sub};

/// Puts people with these numbers into the secondary pool.
pub fn populate(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        put(world, number, UserStatus::Confirmed);
    }
}

pub fn put(world: &World, number: u32, status: UserStatus) {
    let user = SeedUser {
        status,
        ..seed(number)
    };
    world.osaka.cognito().put_user(&world.secondary.id, user);
}

/// A confirmed user with this number.
fn seed(number: u32) -> SeedUser {
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

/// An administrator deletes people with these numbers.
pub async fn delete(world: &World, numbers: std::ops::Range<u32>) {
    let client = world.osaka.cognito_client();
    for number in numbers {
        let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
        delete.username(sub(number)).send().await.unwrap();
    }
}

/// Sends the confirmation of a sign-up to the trigger of the secondary pool, which writes it to the journal.
pub async fn journal(world: &World, number: u32) {
    let event = confirmation(number).to_string();
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;
}

/// Turns off the pauses and quotas, so that a snapshot is fast.
pub fn hasten(world: &World) {
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "0");
    world.osaka.cognito().knobs().set_quotas(false);
}

pub fn manifest(world: &World, answer: &Value) -> Value {
    let key = answer["manifest"].as_str().expect("a manifest");
    object(world, key).expect("the manifest is there")
}

pub fn latest(world: &World) -> Option<Value> {
    object(world, "latest.json")
}

/// The rows of the import files, and the rows of `rejected.csv`.
fn rows(world: &World, answer: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let manifest = manifest(world, answer);
    let lines = |role| {
        files(world, &manifest, role)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    (lines("users"), lines("rejected"))
}

/// Signs somebody up and confirms them; the listing shows it late.
async fn put_late(world: &World, number: u32) {
    let client = world.osaka.cognito_client();
    let sign_up = client.sign_up().client_id(&world.secondary.client_id);
    let sign_up = sign_up.username(email(number)).password("Correct-horse-7");
    sign_up.send().await.unwrap();
    let confirm = client.admin_confirm_sign_up();
    let confirm = confirm
        .user_pool_id(&world.secondary.id)
        .username(email(number));
    confirm.send().await.unwrap();
    let verify = client.admin_update_user_attributes();
    let verified = aws_sdk_cognitoidentityprovider::types::AttributeType::builder()
        .name("email_verified")
        .value("true")
        .build()
        .unwrap();
    let verify = verify
        .user_pool_id(&world.secondary.id)
        .username(email(number));
    verify.user_attributes(verified).send().await.unwrap();
}
