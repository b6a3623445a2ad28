//! The outbox drains: after an outage, within the quotas, and with several workers at the same time.

use std::time::Duration;

use jiff::SignedDuration;
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{ORIGIN_SUB, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER, World};
use serde_json::{Value, json};

use super::{put, put_record};
use crate::support::{
    answer, called, confirmation, counted, drain, email, invoke, most_in_a_second, outbox,
    person_in_primary, record, replica, sub, world,
};

#[tokio::test]
async fn after_an_outage_everyone_in_the_outbox_is_replicated() {
    let world = world().await;
    let away = Fault::of(Service::Cognito, Kind::Refuse);
    world.osaka.faults().add(away);
    for number in 0..20 {
        person_in_primary(&world, number);
        let event = confirmation(number).to_string();
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    }
    assert_eq!(outbox(&world, "outbox/").len(), 20);
    let during = drain(&world).await;
    assert_eq!(
        (&during["drained"], &during["failing"]),
        (&json!(0), &json!(20))
    );

    world.osaka.faults().clear();
    let after = drain(&world).await;

    assert_eq!(
        after,
        json!({"drained": 20, "failing": 0, "conflicts": 0, "gone": 0, "oldest_s": 0})
    );
    assert!(outbox(&world, "").is_empty());
    for number in 0..20 {
        let replica = replica(&world, &email(number)).unwrap();
        assert_eq!(replica.status, UserStatus::Confirmed);
    }
}

#[tokio::test]
async fn the_outbox_drains_within_the_quota() {
    let world = world().await;
    for number in 0..60 {
        put_record(&world, &record(number, SignedDuration::ZERO)).await;
    }

    assert_eq!(drain(&world).await["drained"], 60);

    // DG:quotas: AdminSetUserPassword, 30 a second.
    assert!(most_in_a_second(&world, "AdminSetUserPassword") <= 30);
}

#[tokio::test]
async fn attributes_are_written_one_by_one_within_the_quota() {
    let world = world().await;
    for number in 0..16 {
        let mut refused = record(number, SignedDuration::ZERO);
        refused["attributes"]["name"] = json!("x".repeat(2049));
        for other in ["given_name", "family_name", "nickname"] {
            refused["attributes"][other] = json!("Sora");
        }
        put_record(&world, &refused).await;
    }

    assert_eq!(drain(&world).await["drained"], 16);

    // DG:quotas: AdminUpdateUserAttributes, 25 a second.
    assert!(most_in_a_second(&world, "AdminUpdateUserAttributes") <= 25);
}

#[tokio::test]
async fn records_that_keep_failing_do_not_keep_those_behind_them_from_being_tried() {
    let world = world().await;
    let lambda = world.tokyo.lambda();
    // Time for about fifty records.
    lambda.set_timeout(REPLICATE_WORKER, Duration::from_millis(2500));
    let refusal = Kind::error(400, "SomethingNewException");
    let refused = Fault::on(Service::Cognito, "AdminCreateUser", refusal);
    world.osaka.faults().add(refused);
    for number in 0..200 {
        person_in_primary(&world, number);
        let failing = record(number, SignedDuration::ZERO).to_string();
        let name = format!("outbox/{number:02x}.json");
        put(&world, &name, failing.as_bytes()).await;
    }
    let gone = record(1000, SignedDuration::ZERO).to_string();
    put(&world, "outbox/ff.json", gone.as_bytes()).await;

    for _ in 0..16 {
        if drain(&world).await["gone"] == 1 {
            return;
        }
    }
    panic!("the last record has never been tried");
}

#[tokio::test]
async fn the_age_of_the_oldest_record_is_reported() {
    let world = world().await;
    world
        .osaka
        .faults()
        .add(Fault::of(Service::Cognito, Kind::Throttle));
    put_record(&world, &record(1, SignedDuration::from_mins(30))).await;
    put_record(&world, &record(2, SignedDuration::ZERO)).await;

    let answer = drain(&world).await;

    assert_eq!(answer["failing"], 2);
    assert!(answer["oldest_s"].as_u64().unwrap() >= 1800, "{answer}");
    let oldest = counted(&world, &world.tokyo, REPLICATE_WORKER, "OutboxOldest");
    assert_eq!(oldest, answer["oldest_s"].as_u64().unwrap());
}

#[tokio::test]
async fn an_error_that_can_be_temporary_keeps_the_record_in_the_outbox() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    for code in [
        "UserLambdaValidationException",
        "UnexpectedLambdaException",
        "NotAuthorizedException",
        "SomethingNewException",
    ] {
        let refusal = Kind::error(400, code);
        let fault = Fault::on(Service::Cognito, "AdminCreateUser", refusal);
        world.osaka.faults().add(fault);

        let answer = drain(&world).await;

        assert_eq!(answer["failing"], 1, "{code}: {answer}");
        assert!(outbox(&world, "conflicts/").is_empty(), "{code}");
        world.osaka.faults().clear();
    }
    assert_eq!(drain(&world).await["drained"], 1);
}

/// A record of the outbox as it is now.
fn waiting(world: &World, number: u32) -> Value {
    let key = format!("outbox/{}.json", sub(number));
    let waiting = world.tokyo.s3().object(OUTBOX, &key).unwrap();
    serde_json::from_slice(&waiting).unwrap()
}

#[tokio::test]
async fn throttling_in_any_words_neither_drops_an_attribute_nor_counts_as_a_refusal() {
    let world = world().await;
    for (number, code) in [(1, "Throttling"), (2, "RequestThrottledException")] {
        put_record(&world, &record(number, SignedDuration::ZERO)).await;
        let throttled = Kind::Error {
            status: 400,
            code: code.into(),
            message: "Rate exceeded".into(),
        };
        let fault = Fault::on(Service::Cognito, "AdminCreateUser", throttled);
        world.osaka.faults().add(fault);

        let answer = drain(&world).await;
        let then = waiting(&world, number);
        world.osaka.faults().clear();
        let later = drain(&world).await;

        assert_eq!(answer["failing"], 1, "{code}: {answer}");
        assert_eq!(then.get("refusals"), None, "{code}");
        assert_eq!(later["drained"], 1, "{code}: {later}");
        let replica = replica(&world, &email(number)).unwrap();
        assert_eq!(replica.attributes[ORIGIN_SUB], sub(number), "{code}");
    }
}

#[tokio::test]
async fn an_account_that_may_not_use_the_region_is_an_error_and_no_record_counts_it() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    let refused = Kind::error(403, "OptInRequired");
    let fault = Fault::on(Service::Cognito, "AdminCreateUser", refused);
    world.osaka.faults().add(fault);

    let tick = json!({"action": "tick"});
    let error = invoke(&world.tokyo, REPLICATE_WORKER, &tick)
        .await
        .unwrap_err();

    assert!(error.contains("OptInRequired"), "{error}");
    assert_eq!(waiting(&world, 1).get("refusals"), None);
}

#[tokio::test]
async fn concurrent_workers_reclaim_a_name_once_and_leave_one_complete_replica() {
    let world = world().await;
    let numbers = 0..30;
    for number in numbers.clone() {
        let holder = SeedUser {
            status: UserStatus::Unconfirmed,
            attributes: [("email".to_owned(), email(number))].into(),
            ..SeedUser::default()
        };
        world.osaka.cognito().put_user(&world.secondary.id, holder);
        put_record(&world, &record(number, SignedDuration::ZERO)).await;
    }

    tokio::join!(drain(&world), drain(&world), drain(&world));
    drain(&world).await;

    assert!(outbox(&world, "").is_empty());
    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 30);
    for number in numbers {
        let replica = replica(&world, &email(number)).unwrap();
        assert_eq!(replica.status, UserStatus::Confirmed);
        assert_eq!(replica.attributes["custom:origin_sub"], sub(number));
    }
}

#[tokio::test]
async fn a_newer_record_of_the_same_person_is_not_deleted_before_it_is_read() {
    let world = world().await;
    let slow = Kind::Delay(Duration::from_secs(2));
    let slow = Fault::on(Service::Cognito, "AdminCreateUser", slow);
    world.osaka.faults().add(slow);
    put_record(&world, &record(1, SignedDuration::from_mins(5))).await;

    let (answer, ()) = tokio::join!(drain(&world), async {
        called(&world, "AdminCreateUser").await;
        put_record(&world, &record(1, SignedDuration::ZERO)).await;
    });

    assert_eq!(answer["failing"], 1, "{answer}");
    assert_eq!(outbox(&world, "outbox/").len(), 1);
}

#[tokio::test]
async fn a_repeated_event_does_not_change_the_time_of_a_record() {
    let world = world().await;
    world
        .osaka
        .faults()
        .add(Fault::of(Service::Cognito, Kind::Refuse));
    let event = confirmation(1).to_string();
    let kept = || {
        world
            .tokyo
            .s3()
            .object(OUTBOX, &format!("outbox/{}.json", sub(1)))
    };
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let first = kept();

    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert!(first.is_some());
    assert_eq!(kept(), first);
}

#[tokio::test]
async fn a_missing_pool_is_an_error_and_no_record_is_moved() {
    let world = world().await;
    world.tokyo.lambda().set_env(
        REPLICATE_WORKER,
        "TARGET_USER_POOL_ID",
        "ap-northeast-3_Nowhere01",
    );
    put_record(&world, &record(1, SignedDuration::ZERO)).await;

    let tick = json!({"action": "tick"});
    let error = invoke(&world.tokyo, REPLICATE_WORKER, &tick)
        .await
        .unwrap_err();

    assert!(error.contains("ap-northeast-3_Nowhere01"), "{error}");
    assert!(error.contains("check the pool id"), "{error}");
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(
        log.contains("check the pool id"),
        "the error must be in the log, because nobody reads the response to a tick"
    );
    assert_eq!(outbox(&world, "outbox/").len(), 1);
    assert!(outbox(&world, "conflicts/").is_empty());
}
