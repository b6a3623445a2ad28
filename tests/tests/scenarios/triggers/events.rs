//! Every event comes back unchanged and in time, and its person ends as a replica, as a record, or as a counted loss.

use local_regions::world::{BACKUP_TRIGGER, REPLICATE_TRIGGER, SNAPSHOTS};

use super::RESPONSE_TIME_LIMIT;
use crate::support::{answer, confirmation, counted, outbox, sub, world};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/events");
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), text.trim().as_bytes().to_vec())
        })
        .collect()
}

#[tokio::test]
async fn every_event_comes_back_in_time_as_the_same_bytes() {
    let world = world().await;

    for (name, event) in fixtures() {
        for (region, function) in [
            (&world.tokyo, REPLICATE_TRIGGER),
            (&world.osaka, BACKUP_TRIGGER),
        ] {
            let (answer, time) = answer(region, function, &event).await;

            assert_eq!(answer, event, "{name}");
            assert!(time < RESPONSE_TIME_LIMIT, "{name}: {time:?}");
        }
    }
}

#[tokio::test]
async fn every_event_ends_as_a_replica_a_record_or_a_counted_loss() {
    let world = world().await;
    let count = |metric| counted(&world, &world.tokyo, REPLICATE_TRIGGER, metric) as usize;
    let ends = || {
        let replicas = world.osaka.cognito().users(&world.secondary.id).len();
        replicas + outbox(&world, "outbox/").len() + count("Lost") + count("Skipped")
    };

    for (name, event) in fixtures() {
        let before = ends();
        answer(&world.tokyo, REPLICATE_TRIGGER, &event).await;

        assert_eq!(
            ends() - before,
            usize::from(is_confirmation(&name)),
            "{name}"
        );
    }
    let replicas = world.osaka.cognito().users(&world.secondary.id).len();
    assert_eq!(replicas, count("Replicated"));
    assert_eq!(outbox(&world, "outbox/").len(), count("Deferred"));
}

#[tokio::test]
async fn every_event_ends_in_the_journal_or_as_a_counted_loss() {
    let world = world().await;
    let count = |metric| counted(&world, &world.osaka, BACKUP_TRIGGER, metric) as usize;
    let ends = || {
        let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/").len();
        journal + count("Lost") + count("Skipped")
    };

    for (name, event) in fixtures() {
        let before = ends();
        answer(&world.osaka, BACKUP_TRIGGER, &event).await;

        assert_eq!(
            ends() - before,
            usize::from(is_confirmation(&name)),
            "{name}"
        );
    }
}

/// Whether the event is about a confirmed person.
fn is_confirmation(fixture: &str) -> bool {
    !fixture.contains("pre-sign-up") && !fixture.contains("null")
}

#[tokio::test]
async fn a_repeated_event_makes_one_user_and_one_record() {
    let world = world().await;
    let event = confirmation(1).to_string();

    let together = (
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()),
        answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()),
    );
    tokio::join!(together.0, together.1, together.2, together.3, together.4);
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 1);
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/");
    assert_eq!(journal, [format!("journal/sign-up/{}.json", sub(1))]);
    assert_eq!(
        counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost"),
        0,
        "an existing record is not a loss"
    );
}
