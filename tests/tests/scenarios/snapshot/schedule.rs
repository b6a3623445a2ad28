//! When a snapshot is taken, and when a tick takes none.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use local_regions::cognito::UserStatus;
use local_regions::schedule::ScheduleOptions;
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World, WorldOptions};
use serde_json::json;

use super::{hasten, journal, latest, populate, put};
use crate::support::{counted, invoke, object, snapshot, sub, tick, world};

#[tokio::test]
async fn a_tick_without_a_new_sign_up_takes_no_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    assert_eq!(tick(&world).await["status"], "not-needed");
    journal(&world, 0).await;
    let first = tick(&world).await;
    assert_eq!(first["status"], "complete");

    let second = tick(&world).await;

    assert_eq!(second["status"], "not-needed");
    assert_eq!(second["snapshot"], first["snapshot"]);
    let notification = json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "s3": {
        "bucket": {"name": SNAPSHOTS}, "object": {"key": format!("journal/sign-up/{}.json", sub(1))},
    }}]});
    journal(&world, 1).await;
    let third = invoke(&world.osaka, BACKUP_WORKER, &notification).await;
    assert_eq!(third.unwrap()["status"], "complete");
}

#[tokio::test]
async fn a_tick_slightly_before_the_minimum_interval_waits_and_a_much_earlier_one_takes_no_snapshot()
 {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "6");
    snapshot(&world).await.unwrap();
    let started = latest(&world).unwrap()["started_at"].clone();
    let started: Timestamp = serde_json::from_value(started).unwrap();
    journal(&world, 1).await;

    assert_eq!(tick(&world).await["status"], "not-needed");
    let nearly = started + Duration::from_millis(5200);
    let pause = nearly.duration_since(Timestamp::now());
    tokio::time::sleep(pause.try_into().unwrap_or_default()).await;
    assert_eq!(tick(&world).await["status"], "complete");
    let next = latest(&world).unwrap()["started_at"].clone();
    let next: Timestamp = serde_json::from_value(next).unwrap();
    assert!(next >= started + Duration::from_secs(6));
}

#[tokio::test]
async fn without_the_state_in_the_lease_records_are_processed_twice_and_none_is_missed() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    journal(&world, 1).await;
    tick(&world).await;
    let forget = world.osaka.s3_client().delete_object().bucket(SNAPSHOTS);
    forget.key("lease.json").send().await.unwrap();

    assert_eq!(tick(&world).await["status"], "complete");
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn the_tick_reports_the_age_and_size_of_the_last_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    snapshot(&world).await.unwrap();

    tick(&world).await;

    let count = |metric| counted(&world, &world.osaka, BACKUP_WORKER, metric);
    assert_eq!(count("SnapshotUsers"), 3);
    assert!(
        world
            .log(&world.osaka, BACKUP_WORKER)
            .contains("SnapshotAge")
    );
}

#[tokio::test]
async fn a_thousand_sign_ups_in_a_short_time_cause_only_a_few_snapshots() {
    let world = World::start(WorldOptions {
        schedule: Some(ScheduleOptions {
            tick: Duration::from_secs(1),
            delay: Duration::from_millis(500),
            duplicates: 0.2,
            retry_pause: Duration::from_secs(1),
            ..ScheduleOptions::default()
        }),
        ..WorldOptions::default()
    })
    .await
    .unwrap();
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "5");
    let begun = Instant::now();

    let record = |number| {
        let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
        let put = put.key(format!("journal/sign-up/{}.json", sub(number)));
        put.body(b"{}".to_vec().into()).send()
    };
    for number in 0..1000 {
        put(&world, number, UserStatus::Confirmed);
    }
    let sign_ups = stream::iter(0..1000).map(record).buffer_unordered(50);
    let sign_ups: Vec<_> = sign_ups.collect().await;
    assert!(sign_ups.iter().all(Result::is_ok));

    let in_latest = || {
        let latest = latest(&world)?;
        let manifest = object(&world, latest["manifest"].as_str()?)?;
        manifest["users"]["newcomers"].as_u64()
    };
    while in_latest() != Some(1000) {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{:?}",
            in_latest()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let manifests = world.osaka.s3().keys(SNAPSHOTS, "snapshots/").into_iter();
    let snapshots = manifests
        .filter(|key| key.ends_with("manifest.json"))
        .count();
    assert!(snapshots <= 8, "{snapshots} snapshots");
}
