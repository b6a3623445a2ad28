//! What wakes a worker: the notifications of S3 and the ticks.

use std::time::{Duration, Instant};

use local_regions::lambda::Function;
use local_regions::region::Loss;
use local_regions::schedule::ScheduleOptions;
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World, WorldOptions};
use serde_json::{Value, json};

use super::put;

fn worker(world: &World) {
    world.osaka.lambda().create_function(Function {
        name: BACKUP_WORKER.to_owned(),
        binary: local_regions::example("function").expect("it builds"),
        env: [("LOG_EVENTS".to_owned(), "1".to_owned())].into(),
        timeout: Duration::from_secs(10),
        concurrency: 10,
    });
}

/// Waits until the worker has received this number of events, and returns them.
async fn events(world: &World, at_least: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let log = world.log(&world.osaka, BACKUP_WORKER);
        let events: Vec<Value> = log
            .lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect();
        if events.len() >= at_least || start.elapsed() > Duration::from_secs(20) {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn scheduled(change: impl FnOnce(&mut ScheduleOptions)) -> World {
    let mut schedule = ScheduleOptions {
        tick: Duration::from_secs(3600),
        duplicates: 0.0,
        delay: Duration::ZERO,
        retry_pause: Duration::from_millis(100),
        ..ScheduleOptions::default()
    };
    change(&mut schedule);
    let world = World::start(WorldOptions {
        functions: false,
        schedule: Some(schedule),
        ..WorldOptions::default()
    });
    let world = world.await.expect("both regions start");
    worker(&world);
    world
}

#[tokio::test]
async fn a_created_object_invokes_the_worker() {
    let world = scheduled(|_| {}).await;
    let client = world.osaka.s3_client();

    put(&client, SNAPSHOTS, "journal/password-reset/x.json", "{}").await;
    put(&client, SNAPSHOTS, "journal/sign-up/a b@c.json", "{}").await;

    let events = events(&world, 1).await;
    assert_eq!(events.len(), 1);
    let record = &events[0]["Records"][0];
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["awsRegion"], "ap-northeast-3");
    assert_eq!(record["s3"]["bucket"]["name"], SNAPSHOTS);
    assert_eq!(
        record["s3"]["object"]["key"],
        "journal/sign-up/a+b%40c.json"
    );
    assert_eq!(record["s3"]["object"]["size"], 2);
}

#[tokio::test]
async fn some_notifications_are_delivered_twice() {
    let world = scheduled(|schedule| schedule.duplicates = 1.0).await;

    put(
        &world.osaka.s3_client(),
        SNAPSHOTS,
        "journal/sign-up/a.json",
        "{}",
    )
    .await;

    assert_eq!(events(&world, 2).await.len(), 2);
}

#[tokio::test]
async fn the_tick_is_repeated_and_pauses_during_an_outage() {
    let world = scheduled(|schedule| schedule.tick = Duration::from_millis(200)).await;
    let before = events(&world, 2).await;
    assert_eq!(before[0], json!({ "action": "tick" }));

    world.osaka.lose(Loss::Hang);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let lost = events(&world, 0).await.len();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(events(&world, 0).await.len(), lost);

    world.osaka.restore();
    assert!(events(&world, lost + 1).await.len() > lost);
}

#[tokio::test]
async fn a_failed_event_is_retried_twice() {
    let world = scheduled(|_| {}).await;
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "FAIL", "always");

    put(
        &world.osaka.s3_client(),
        SNAPSHOTS,
        "journal/sign-up/a.json",
        "{}",
    )
    .await;

    assert_eq!(events(&world, 3).await.len(), 3);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(events(&world, 3).await.len(), 3);
}
