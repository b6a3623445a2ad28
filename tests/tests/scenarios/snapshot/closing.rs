//! The files of a snapshot that was resumed are written in as many invocations as it takes, and whoever is killed meanwhile, they contain
//! the same people as those of one invocation.

use std::pin::pin;
use std::time::Duration;

use local_regions::cognito::UserStatus;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, World};
use serde_json::{Value, json};

use crate::snapshot::resume::{complete, is_held, rows};
use crate::snapshot::{hasten, journal, latest, populate, put};
use crate::support::{invoke, object, snapshot, tick, world};

/// Regions in which one snapshot has been taken in one invocation, and the next one has been cut off while listing.
async fn cut_while_listing() -> (World, Vec<String>, Value) {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..1200);
    for number in 2000..2010 {
        put(&world, number, UserStatus::Unconfirmed);
    }
    for number in 7..12 {
        journal(&world, number).await;
    }
    let whole = rows(&world, &snapshot(&world).await.unwrap());
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "4");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(5));
    let cut = snapshot(&world).await.unwrap();
    assert_eq!(cut["status"], "in-progress");
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    (world, whole, cut)
}

/// The same, and all users are listed, and the next worker was cut off while it wrote them.
async fn cut_while_writing() -> (World, Vec<String>, Value) {
    let (world, whole, cut) = cut_while_listing().await;
    let lambda = world.osaka.lambda();
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(5));
    for _ in 0..10 {
        // What is in the bucket is read at once, and the parts so slowly that no worker reads all of them.
        let slow = Kind::Delay(Duration::from_secs(2));
        let slow = Fault::on(Service::S3, "GetObject", slow).after(5);
        world.osaka.faults().add(slow);
        assert_eq!(snapshot(&world).await.unwrap()["status"], "in-progress");
        world.osaka.faults().clear();
        let written = progress(&world, &cut)["written"].clone();
        if !written.is_null() {
            assert!(!written["to"]["part"].is_null(), "{written}");
            lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(60));
            return (world, whole, cut);
        }
    }
    panic!("ten workers have not come as far as writing");
}

fn progress(world: &World, cut: &Value) -> Value {
    let id = cut["snapshot"].as_str().unwrap();
    object(world, &format!("snapshots/{id}/progress.json")).unwrap()
}

fn listed_pages(world: &World) -> usize {
    let calls = world.calls().into_iter();
    calls.filter(|call| call.operation == "ListUsers").count()
}

#[tokio::test]
async fn a_snapshot_that_was_cut_off_while_writing_goes_on_there() {
    let (world, whole, cut) = cut_while_writing().await;
    let pages = listed_pages(&world);
    assert_ne!(latest(&world).unwrap()["snapshot"], cut["snapshot"]);

    let (done, _) = complete(&world, &cut, || ()).await;

    assert_eq!(rows(&world, &done), whole);
    assert_eq!(listed_pages(&world), pages, "nobody is listed again");
    assert_eq!(latest(&world).unwrap()["snapshot"], cut["snapshot"]);
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn rows_are_written_anew_if_their_format_changes_while_they_are_written() {
    let (world, whole, cut) = cut_while_writing().await;
    let lambda = world.osaka.lambda();
    lambda.unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");

    let (done, _) = complete(&world, &cut, || ()).await;

    let rows_without_origin = rows(&world, &done);
    assert_ne!(rows_without_origin, whole);
    let anew = snapshot(&world).await.unwrap();
    assert_ne!(anew["snapshot"], done["snapshot"]);
    assert_eq!(rows_without_origin, rows(&world, &anew));
}

#[tokio::test]
async fn workers_that_are_killed_at_any_write_leave_a_snapshot_that_the_next_one_completes() {
    let (world, whole, cut) = cut_while_listing().await;
    world
        .osaka
        .lambda()
        .set_timeout(BACKUP_WORKER, Duration::from_secs(5));
    // The lease, the progress, a part of each open chain, and the progress.
    let mut writes = 2 + open_chains(&world, &cut) + 1;
    let mut is_listed = false;
    let mut kills = 0;

    // From then on: the lease, the progress twice, pieces, the progress, and each file with the progress after it.
    let done = loop {
        match invoke_and_kill_at_write(&world, writes).await {
            Some(Ok(answer)) if answer["status"] == "complete" => break answer,
            Some(answer) => println!("ended before {writes} writes: {answer:?}"),
            None => kills += 1,
        }
        assert_ne!(latest(&world).unwrap()["snapshot"], cut["snapshot"]);
        writes += 1;
        if !is_listed && open_chains(&world, &cut) == 0 {
            (is_listed, writes) = (true, 3);
        }
        while is_held(&world).await {}
    };

    assert!(is_listed && kills >= 5, "{kills} workers were killed");
    assert_eq!(done["snapshot"], cut["snapshot"]);
    assert_eq!(rows(&world, &done), whole);
}

fn open_chains(world: &World, cut: &Value) -> usize {
    let progress = progress(world, cut);
    let chains = progress["chains"].as_array().unwrap().iter();
    chains.filter(|chain| chain["next"] != "end").count()
}

/// Sends a tick, and kills the worker when it has written so many objects and is about to write the next. None when it was killed.
async fn invoke_and_kill_at_write(world: &World, writes: usize) -> Option<Result<Value, String>> {
    let hangs = Fault::on(Service::S3, "PutObject", Kind::Hang).after(writes);
    world.osaka.faults().add(hangs);
    let before = puts(world);
    let wake_up = json!({"action": "tick"});
    let mut answer = pin!(invoke(&world.osaka, BACKUP_WORKER, &wake_up));
    let is_reached = async {
        while puts(world) <= before + writes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::select! {
        answer = &mut answer => Some(answer),
        () = is_reached => {
            world.osaka.lambda().kill(BACKUP_WORKER);
            answer.await.unwrap_err();
            None
        }
    };
    world.osaka.faults().clear();
    ended
}

fn puts(world: &World) -> usize {
    let calls = world.calls().into_iter();
    calls.filter(|call| call.operation == "PutObject").count()
}
