//! The outbox: its worker replicates all records, and a bad record does not block the others.

mod conflicts;
mod draining;
mod holders;

use local_regions::cognito::SeedUser;
use local_regions::world::{OUTBOX, World};
use serde_json::Value;

async fn put(world: &World, key: &str, body: &[u8]) {
    let put = world.tokyo.s3_client().put_object();
    let put = put.bucket(OUTBOX).key(key).body(body.to_vec().into());
    put.send().await.unwrap();
}

/// Puts a record into the outbox, and its person into the primary pool.
async fn put_record(world: &World, record: &Value) {
    put_record_of_nobody(world, record).await;
    let person = person_of(record);
    world.tokyo.cognito().put_user(&world.primary.id, person);
}

/// The person of a record as they were when it was written.
fn person_of(record: &Value) -> SeedUser {
    let attributes = record["attributes"].as_object().unwrap().iter();
    let attributes = attributes.filter(|(name, _)| *name != "sub");
    SeedUser {
        sub: record["sub"].as_str().map(str::to_owned),
        username: record["username"].as_str().map(str::to_owned),
        attributes: attributes
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        ..SeedUser::default()
    }
}

/// Puts a record into the outbox whose person is not in the primary pool.
async fn put_record_of_nobody(world: &World, record: &Value) {
    let key = format!("outbox/{}.json", record["sub"].as_str().unwrap());
    put(world, &key, record.to_string().as_bytes()).await;
}
