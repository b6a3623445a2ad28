//! Reconcile: the secondary pool becomes and stays what the primary pool is, and nobody who has used it loses anything.

mod people;

use local_regions::cognito::{SeedUser, UserView};
use local_regions::world::{REPLICATE_WORKER, World};
use serde_json::{Value, json};

use crate::support::{email, invoke, replica, sub};

/// Runs reconcile now.
async fn reconcile(world: &World) -> Value {
    asked(world, json!({"now": true})).await
}

/// Runs reconcile with these members of the payload.
async fn asked(world: &World, mut payload: Value) -> Value {
    payload["action"] = "reconcile".into();
    let answer = invoke(&world.tokyo, REPLICATE_WORKER, &payload).await;
    answer.expect("the worker succeeds")
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
