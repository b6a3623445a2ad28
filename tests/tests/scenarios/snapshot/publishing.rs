//! Which snapshot becomes the latest one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS};
use serde_json::json;
use shared::id::Id;
use shared::s3::bucket::Bucket;
use shared::snapshot::latest::{Published, ShrinkGuard, publish};
use shared::snapshot::manifest::{Manifest, PoolSummary, Users, write_manifest};
use shared::snapshot::scope::Scope;

use super::{delete, hasten, latest, manifest, populate};
use crate::support::{counted, invoke, snapshot, world};

#[tokio::test]
async fn a_snapshot_of_a_pool_that_has_shrunk_is_not_published_unless_it_is_accepted() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..120);
    let full = snapshot(&world).await.unwrap();
    delete(&world, 0..70).await;

    let shrunk = snapshot(&world).await.unwrap();
    assert_eq!(shrunk["status"], "shrunk");
    let alarm = counted(&world, &world.osaka, BACKUP_WORKER, "SnapshotShrunk");
    assert_eq!(alarm, 1);
    assert_eq!(manifest(&world, &shrunk)["users"]["listed"], 50);
    assert_eq!(latest(&world).unwrap()["snapshot"], full["snapshot"]);

    let accept = json!({"action": "snapshot", "accept_shrink": true});
    let accepted = invoke(&world.osaka, BACKUP_WORKER, &accept).await.unwrap();
    assert_eq!(accepted["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], accepted["snapshot"]);
}

#[tokio::test]
async fn if_the_latest_snapshot_has_expired_the_next_one_is_not_published_unless_it_is_accepted() {
    // given a pool that has shrunk, and a latest snapshot that the bucket's lifecycle has removed since
    let world = world().await;
    hasten(&world);
    populate(&world, 0..120);
    let full = snapshot(&world).await.unwrap();
    delete(&world, 0..70).await;
    let folder = format!("snapshots/{}/", full["snapshot"].as_str().unwrap());
    for key in world.osaka.s3().keys(SNAPSHOTS, &folder) {
        let delete = world.osaka.s3_client().delete_object();
        delete.bucket(SNAPSHOTS).key(key).send().await.unwrap();
    }

    // when the next one is taken
    let next = snapshot(&world).await.unwrap();

    // then it is not the latest, the log says why, and an operator can accept it
    assert_eq!(next["status"], "shrunk");
    assert_eq!(latest(&world).unwrap()["snapshot"], full["snapshot"]);
    let alarm = counted(&world, &world.osaka, BACKUP_WORKER, "SnapshotShrunk");
    assert_eq!(alarm, 1);
    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert!(
        log.contains("manifest of the latest snapshot is missing"),
        "{log}"
    );
    let accept = json!({"action": "snapshot", "accept_shrink": true});
    let accepted = invoke(&world.osaka, BACKUP_WORKER, &accept).await.unwrap();
    assert_eq!(accepted["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], accepted["snapshot"]);
}

#[tokio::test]
async fn how_far_a_pool_may_shrink_is_a_setting() {
    let world = world().await;
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SHRINK_GUARD_PERCENT", "30");
    populate(&world, 0..120);
    snapshot(&world).await.unwrap();
    delete(&world, 0..70).await;

    assert_eq!(snapshot(&world).await.unwrap()["status"], "complete");
}

#[tokio::test]
async fn the_latest_snapshot_is_never_replaced_by_an_older_one() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let older = empty_manifest("2026-11-20T10:00:00Z");
    let newer = empty_manifest("2026-11-20T10:00:01Z");
    write_manifest(bucket, &older).await.unwrap();
    write_manifest(bucket, &newer).await.unwrap();

    let publish = |manifest| publish(bucket, manifest, ShrinkGuard::MinPercent(50));
    let (one, other) = tokio::join!(publish(&newer), publish(&older));
    assert_eq!(one.unwrap(), Published::Latest);
    other.unwrap();
    let again = publish(&older).await.unwrap();

    let expected = newer.snapshot.to_string();
    assert_eq!(latest(&world).unwrap()["snapshot"], expected);
    let latest = newer.snapshot;
    assert_eq!(again, Published::Outdated { latest }, "this is no success");
}

fn empty_manifest(started_at: &str) -> Manifest {
    let started_at: Timestamp = started_at.parse().unwrap();
    Manifest {
        version: 1,
        snapshot: Id::new(started_at),
        scope: Scope::Pool,
        pool: PoolSummary {
            id: "ap-northeast-3_Secondary".into(),
            region: "ap-northeast-3".into(),
            mfa: "ON".into(),
            username_attributes: vec![],
        },
        started_at,
        as_of: None,
        finished_at: started_at,
        header: vec![],
        users: Users::default(),
        dropped_attributes: BTreeMap::new(),
        files: vec![],
    }
}
