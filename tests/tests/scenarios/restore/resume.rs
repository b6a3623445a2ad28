//! A restore that takes several invocations: interrupted, killed, or started twice.

use std::collections::BTreeMap;
use std::time::Duration;

use local_regions::cognito::{ImportKnobs, SeedUser};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{RESTORE, SNAPSHOTS, World};
use serde_json::json;

use super::{
    at_home, away, file, newcomer, person, records, replicated, report, restore, with, world,
};
use crate::support::{email, invoke, object, snapshot};

#[tokio::test]
async fn a_run_that_is_out_of_time_is_resumed_by_the_same_request() {
    let world = world().await;
    for number in 0..30 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(5),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(4));

    let first = restore(&world, json!({})).await;
    let mut last = first.clone();
    for _ in 0..10 {
        if last["status"] != "in-progress" {
            break;
        }
        last = restore(&world, json!({})).await;
    }

    assert_eq!(first["status"], "in-progress");
    assert_eq!(first["report"], last["report"]);
    assert_eq!(last["status"], "complete");
    assert_eq!(report(&world, &last)["jobs"].as_array().unwrap().len(), 1);
}

/// Lets the lease of a killed run expire.
pub async fn expire_lease(world: &World) {
    let Some(mut open) = object(world, "restores/open.json") else {
        return;
    };
    if open["holder"].is_object() {
        open["holder"]["until"] = json!("2026-01-01T00:00:00Z");
    }
    let client = world.osaka.s3_client();
    let put = client
        .put_object()
        .bucket(SNAPSHOTS)
        .key("restores/open.json");
    put.body(open.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn killed_at_any_call_and_run_again_it_restores_everyone_once() {
    let world = world().await;
    for number in 0..40 {
        newcomer(&world, number, person(number)).await;
    }
    newcomer(
        &world,
        40,
        SeedUser {
            enabled: false,
            ..person(40)
        },
    )
    .await;
    newcomer(&world, 41, with(person(41), "custom:note", "a\nb")).await;
    newcomer(&world, 42, with(person(42), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(40),
        ..ImportKnobs::default()
    });

    let mut answer = None;
    for calls in (5..).step_by(7) {
        world.clear_calls();
        let request = json!({});
        let running = invoke(&world.tokyo, RESTORE, &request);
        let killing = async {
            while world.calls().len() < calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            world.tokyo.lambda().kill(RESTORE);
            std::future::pending::<()>().await
        };
        let ended = tokio::select! {
            ended = running => ended,
            () = killing => unreachable!("it never ends"),
        };
        if let Ok(ended) = ended {
            answer = Some(ended);
            break;
        }
        expire_lease(&world).await;
    }

    let answer = answer.expect("the last run is not killed");
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(42), "invalid-row".to_owned())])
    );
    let imported: u64 = world.tokyo.cognito().users(&world.primary.id).len() as u64;
    assert_eq!(imported, 42);
    assert!(!at_home(&world, 40).unwrap().enabled);
    assert_eq!(
        at_home(&world, 41).unwrap().attributes["custom:note"],
        "a\nb"
    );
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
    assert_eq!(records(&world, "journal/restored/").len(), 42);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 43);
}

#[tokio::test]
async fn a_second_run_does_not_start_while_another_one_holds_the_lease() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(1),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(20));

    let request = json!({});
    let (first, second) = tokio::join!(
        invoke(&world.tokyo, RESTORE, &request),
        invoke(&world.tokyo, RESTORE, &request)
    );

    let (done, left): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), left.len()), (1, 1), "{done:?} {left:?}");
    assert!(
        left[0].as_ref().unwrap_err().contains("another run"),
        "{left:?}"
    );
    assert_eq!(done[0].as_ref().unwrap()["counts"]["imported"], 1);
}

#[tokio::test]
async fn with_many_faults_nobody_is_missing_and_nobody_is_there_twice() {
    let world = world().await;
    for number in 0..500 {
        replicated(&world, number);
    }
    for number in 500..800 {
        let person = match number % 50 {
            0 => with(person(number), "custom:note", "\"quoted\""),
            1 => SeedUser {
                enabled: false,
                ..person(number)
            },
            2 => with(person(number), "phone_number", "no number"),
            _ => person(number),
        };
        newcomer(&world, number, person).await;
    }
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        failure_share: 0.02,
        abort: true,
        ..ImportKnobs::default()
    });
    knobs.break_rows(100..120);
    knobs.set_list_lag(Duration::from_secs(3));
    snapshot(&world).await.unwrap();
    let faults = world.tokyo.faults();
    let error = |status, code: &str| Kind::Error {
        status,
        code: code.into(),
        message: String::new(),
    };
    faults.add(Fault::on(Service::Cognito, "Upload", error(403, "AccessDenied")).times(1));
    faults.add(
        Fault::of(Service::Cognito, Kind::Throttle)
            .after(10)
            .times(10),
    );
    faults.add(
        Fault::of(Service::Cognito, error(500, "InternalErrorException"))
            .after(25)
            .times(3),
    );
    faults.add(Fault::of(Service::Logs, Kind::Reset).times(2));
    world.osaka.faults().add(
        Fault::of(Service::S3, error(503, "SlowDown"))
            .after(20)
            .times(2),
    );

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    let refused: BTreeMap<_, _> = (500..800)
        .filter(|number| number % 50 == 2)
        .map(|number| (email(number), "invalid-row".to_owned()))
        .collect();
    assert_eq!(away(&report), refused);
    assert_eq!(answer["counts"]["in_scope"], 300);
    assert_eq!(answer["counts"]["imported"], 288);
    assert_eq!(answer["counts"]["created"], 6);
    assert_eq!(answer["counts"]["attributes_written"], 6);
    let users = world.tokyo.cognito().users(&world.primary.id);
    assert_eq!(users.len(), 500 + 294);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 295);
}

#[tokio::test]
async fn a_user_who_is_deleted_after_the_import_is_not_restored_again() {
    let world = world().await;
    for number in 0..30 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(8),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(4));
    let first = restore(&world, json!({})).await;
    while world.tokyo.cognito().users(&world.primary.id).len() < 30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let client = world.tokyo.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.primary.id);
    delete.username(email(3)).send().await.unwrap();
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(60));

    let again = restore(&world, json!({})).await;

    assert_eq!(first["status"], "in-progress");
    assert!(at_home(&world, 3).is_none());
    let gone = BTreeMap::from([(email(3), "gone-since-import".to_owned())]);
    assert_eq!(away(&report(&world, &again)), gone);
    assert_eq!(again["counts"]["imported"], 29);
    assert_eq!(again["status"], "incomplete");
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}
