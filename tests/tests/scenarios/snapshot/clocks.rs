//! Clocks that are wrong: no time that has not come yet keeps a snapshot from being taken, and no snapshot becomes `complete`
//! without being the latest.

use jiff::{SignedDuration, Timestamp};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};
use shared::id::Id;

use super::{hasten, journal, latest, manifest, populate};
use crate::support::{object, snapshot, tick, world};

/// Puts an object into the snapshot bucket.
async fn put_object(world: &World, key: &str, value: &Value) {
    let body = value.to_string().into_bytes();
    let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
    put.key(key).body(body.into()).send().await.unwrap();
}

/// Takes a snapshot, and makes it one that a machine took whose clock was five minutes ahead. Returns its id.
pub async fn taken_by_a_fast_clock(world: &World) -> String {
    let taken = snapshot(world).await.unwrap();
    let start = Timestamp::now() + SignedDuration::from_mins(5);
    let id = Id::new(start).to_string();
    let key = format!("snapshots/{id}/manifest.json");
    let mut moved = manifest(world, &taken);
    moved["snapshot"] = json!(id);
    moved["started_at"] = json!(start);
    put_object(world, &key, &moved).await;
    let pointer = json!({"version": 1, "snapshot": id, "manifest": key, "started_at": start});
    put_object(world, "latest.json", &pointer).await;
    let mut lease = object(world, "lease.json").unwrap();
    lease["last_start"] = json!(start);
    lease["last_finished"]["started_at"] = json!(start);
    put_object(world, "lease.json", &lease).await;
    id
}

#[tokio::test]
async fn a_snapshot_from_the_future_does_not_delay_the_next_one() {
    let world = world().await;
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "60");
    populate(&world, 0..3);
    let from_the_future = taken_by_a_fast_clock(&world).await;
    journal(&world, 1).await;
    let before = Timestamp::now();

    let answer = tick(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(manifest(&world, &answer)["users"]["newcomers"], 1);
    let latest = latest(&world).unwrap();
    assert_eq!(latest["snapshot"], answer["snapshot"]);
    let id = answer["snapshot"].as_str().unwrap();
    assert!(id > from_the_future.as_str(), "the pointer moves forward");
    let started: Timestamp = serde_json::from_value(latest["started_at"].clone()).unwrap();
    assert!(before < started && started < Timestamp::now(), "{started}");
    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert_eq!(log.matches("a time that has not come yet").count(), 1);
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn the_age_of_a_snapshot_from_the_future_is_unknown_and_not_zero() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    taken_by_a_fast_clock(&world).await;

    assert_eq!(tick(&world).await["status"], "not-needed");

    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert!(!log.contains("SnapshotAge"), "{log}");
}

#[tokio::test]
async fn a_snapshot_that_was_started_before_the_latest_one_is_not_resumed() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    let newer = snapshot(&world).await.unwrap();
    let id = "20261120T090000Z-0a1b2c3d";
    let mut unpublished = manifest(&world, &newer);
    unpublished["snapshot"] = json!(id);
    put_object(
        &world,
        &format!("snapshots/{id}/manifest.json"),
        &unpublished,
    )
    .await;
    let chain = json!({"next": "end", "users": 0, "parts": {}});
    let progress = json!({
        "version": 1, "snapshot": id, "pool": world.secondary.id, "started_at": "2026-11-20T09:00:00Z",
        "stored_at": Timestamp::now(), "previous": null, "accept_shrink": false, "closing": 0,
        "worker_number": 1, "holder": "slow", "chains": vec![chain; 16],
    });
    put_object(&world, &format!("snapshots/{id}/progress.json"), &progress).await;
    let mut lease = object(&world, "lease.json").unwrap();
    lease["unfinished"] = json!(id);
    put_object(&world, "lease.json", &lease).await;

    let answer = tick(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_ne!(answer["snapshot"], id);
    assert_eq!(latest(&world).unwrap()["snapshot"], answer["snapshot"]);
}
