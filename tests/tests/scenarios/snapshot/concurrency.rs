//! One snapshot at a time: workers that are killed, out of time, or run at the same time.

use std::time::{Duration, Instant};

use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS};
use serde_json::json;

use super::{hasten, latest, populate};
use crate::support::{called, snapshot, tick, world};

#[tokio::test]
async fn a_killed_run_is_never_published_and_the_next_run_is() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..300);
    let lambda = world.osaka.lambda();
    let lease = Duration::from_secs(12);
    lambda.set_timeout(BACKUP_WORKER, lease);
    let first = snapshot(&world).await.unwrap();
    let slow = Kind::Delay(Duration::from_secs(6));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::Cognito, "ListUsers", slow));

    world.clear_calls();
    let begun = Instant::now();
    let (killed, ()) = tokio::join!(snapshot(&world), async {
        called(&world, "ListUsers").await;
        lambda.kill(BACKUP_WORKER);
    });

    assert!(killed.is_err(), "{killed:?}");
    assert_eq!(latest(&world).unwrap()["snapshot"], first["snapshot"]);
    world.osaka.faults().clear();
    assert_eq!(snapshot(&world).await.unwrap()["status"], "held");
    // The lease ends with the invocation that took it.
    tokio::time::sleep((lease + Duration::from_secs(2)).saturating_sub(begun.elapsed())).await;
    let next = snapshot(&world).await.unwrap();
    assert_eq!(next["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], next["snapshot"]);
}

#[tokio::test]
async fn a_run_that_is_out_of_time_publishes_nothing_and_the_next_run_resumes_it() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..300);
    let slow = Kind::Delay(Duration::from_secs(10));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::Cognito, "ListUsers", slow));
    world
        .osaka
        .lambda()
        .set_timeout(BACKUP_WORKER, Duration::from_secs(8));

    let cut = snapshot(&world).await.unwrap();

    let id = cut["snapshot"].as_str().unwrap();
    assert_eq!(
        cut,
        json!({"status": "in-progress", "snapshot": id, "manifest": null, "users": 0})
    );
    let keys = world.osaka.s3().keys(SNAPSHOTS, "snapshots/");
    assert_eq!(keys, [format!("snapshots/{id}/progress.json")]);
    assert_eq!(latest(&world), None);
    world.osaka.faults().clear();
    let next = tick(&world).await;
    assert_eq!(next["status"], "complete", "the lease was released");
    assert_eq!(next["snapshot"], id);
}

#[tokio::test]
async fn concurrent_workers_take_one_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..100);

    let answers = tokio::join!(snapshot(&world), snapshot(&world), snapshot(&world));

    let mut answers = [answers.0, answers.1, answers.2]
        .map(|answer| answer.unwrap()["status"].as_str().unwrap().to_owned());
    answers.sort();
    assert_eq!(answers, ["complete", "held", "held"]);
    let manifests = world.osaka.s3().keys(SNAPSHOTS, "snapshots/").into_iter();
    assert_eq!(
        manifests
            .filter(|key| key.ends_with("manifest.json"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_write_whose_response_is_lost_is_recognised_as_our_own() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..10);
    for lost in 0..7 {
        let fault = Fault::on(Service::S3, "PutObject", Kind::Reset);
        world.osaka.faults().add(fault.after(lost).times(1));

        let answer = snapshot(&world).await.unwrap();

        assert_eq!(answer["status"], "complete", "write {lost}");
        assert_eq!(latest(&world).unwrap()["snapshot"], answer["snapshot"]);
        world.osaka.faults().clear();
    }
}
