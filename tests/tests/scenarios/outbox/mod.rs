//! The outbox: it drains, and nobody in it stands in another's way.

use std::time::Duration;

use jiff::SignedDuration;
use local::cognito::{Alias, Contact, PoolSettings, SeedUser, UserStatus};
use local::faults::{Fault, Kind, Service};
use local::world::{OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER, World};
use serde_json::{Value, json};

use crate::support::{
    answer, called, confirmation, counted, drain, email, invoke, most_in_a_second, outbox, record,
    replica, sub, world,
};

async fn put(world: &World, key: &str, body: &[u8]) {
    let put = world.tokyo.s3_client().put_object();
    let put = put.bucket(OUTBOX).key(key).body(body.to_vec().into());
    put.send().await.unwrap();
}

async fn put_record(world: &World, record: &Value) {
    let key = format!("outbox/{}.json", record["sub"].as_str().unwrap());
    put(world, &key, record.to_string().as_bytes()).await;
}

#[tokio::test]
async fn after_an_outage_everyone_in_the_outbox_is_replicated() {
    let world = world().await;
    let away = Fault::of(Service::Cognito, Kind::Refuse);
    world.osaka.faults().add(away);
    for number in 0..20 {
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
    assert!(most_in_a_second(&world, "AdminSetUserPassword") <= 27);
}

#[tokio::test]
async fn poisoned_records_end_in_conflicts_with_a_reason_and_block_nobody() {
    let world = world().await;
    let new = SignedDuration::ZERO;
    let mut no_address = record(1, new);
    no_address["attributes"] = json!({"sub": sub(1), "name": "no address"});
    let mut bad_address = record(2, new);
    bad_address["attributes"]["email"] = json!("not an address");
    let mut too_long = record(3, new);
    too_long["attributes"]["name"] = json!("x".repeat(2049));
    for poisoned in [&no_address, &bad_address, &too_long] {
        put_record(&world, poisoned).await;
    }
    put(&world, "outbox/zzz.json", b"\xff not json").await;
    put_record(&world, &record(4, new)).await;

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 4, "{answer}");
    assert_eq!(
        counted(&world, &world.tokyo, REPLICATE_WORKER, "Conflicts"),
        4
    );
    assert_eq!(answer["drained"], 1, "{answer}");
    assert!(replica(&world, &email(4)).is_some());
    assert!(outbox(&world, "outbox/").is_empty());
    let conflicts = outbox(&world, "conflicts/");
    assert_eq!(conflicts.len(), 4);
    for key in conflicts {
        let conflict = world.tokyo.s3().object(OUTBOX, &key).unwrap();
        let conflict: Value = serde_json::from_slice(&conflict).unwrap();
        assert!(conflict["reason"].as_str().unwrap().len() > 10, "{key}");
    }
    let kept = world
        .tokyo
        .s3()
        .object(OUTBOX, &format!("conflicts/{}.json", sub(2)));
    let kept: Value = serde_json::from_slice(&kept.unwrap()).unwrap();
    assert_eq!(kept["attributes"], bad_address["attributes"]);
}

#[tokio::test]
async fn an_alias_that_somebody_else_has_is_a_conflict_and_is_not_stolen() {
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "aliases".into(),
        username_attributes: vec![],
        alias_attributes: vec![Alias::Email],
        auto_verified: vec![Contact::Email],
        ..local::world::pool()
    });
    world
        .tokyo
        .lambda()
        .set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
    let owner = SeedUser {
        username: Some("owner".into()),
        attributes: [("email", email(1)), ("email_verified", "true".into())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&twin.id, owner);
    let mut other = record(1, SignedDuration::ZERO);
    other["username"] = json!("other");
    put_record(&world, &other).await;

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].attributes["email_verified"], "true");
}

#[tokio::test]
async fn an_old_record_is_replayed_only_if_its_person_still_exists() {
    let world = world().await;
    let old = SignedDuration::from_hours(2);
    let living = SeedUser {
        sub: Some(sub(1)),
        attributes: [("email".to_owned(), email(1))].into(),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&world.primary.id, living);
    put_record(&world, &record(1, old)).await;
    put_record(&world, &record(2, old)).await;
    put_record(&world, &record(3, SignedDuration::ZERO)).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"]),
        (&json!(2), &json!(1)),
        "{answer}"
    );
    assert!(replica(&world, &email(1)).is_some());
    assert!(replica(&world, &email(2)).is_none(), "deleted since");
    assert!(outbox(&world, "").is_empty());
}

#[tokio::test]
async fn the_age_of_the_oldest_record_is_told() {
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
async fn a_refusal_that_may_pass_keeps_the_record_in_the_outbox() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    for code in [
        "UserLambdaValidationException",
        "UnexpectedLambdaException",
        "NotAuthorizedException",
        "SomethingNewException",
    ] {
        let refusal = Kind::Error {
            status: 400,
            code: code.into(),
            message: "no".into(),
        };
        let fault = Fault::on(Service::Cognito, "AdminCreateUser", refusal);
        world.osaka.faults().add(fault);

        let answer = drain(&world).await;

        assert_eq!(answer["failing"], 1, "{code}: {answer}");
        assert!(outbox(&world, "conflicts/").is_empty(), "{code}");
        world.osaka.faults().clear();
    }
    assert_eq!(drain(&world).await["drained"], 1);
}

#[tokio::test]
async fn two_workers_at_once_reclaim_a_name_once_and_leave_one_good_replica() {
    let world = world().await;
    let numbers = 0..30;
    for number in numbers.clone() {
        let squatter = SeedUser {
            status: UserStatus::Unconfirmed,
            attributes: [("email".to_owned(), email(number))].into(),
            ..SeedUser::default()
        };
        world
            .osaka
            .cognito()
            .put_user(&world.secondary.id, squatter);
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
async fn a_newer_record_of_the_same_person_is_not_deleted_unread() {
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
async fn an_old_record_is_not_replayed_for_somebody_else_who_has_the_username_now() {
    let world = world().await;
    let pool = world.tokyo.cognito().create_pool(PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        ..local::world::pool()
    });
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &pool.id);
    let somebody_else = SeedUser {
        username: Some("taro".into()),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&pool.id, somebody_else);
    let mut deleted = record(1, SignedDuration::from_hours(2));
    deleted["username"] = json!("taro");
    deleted["pool"] = json!(pool.id);
    put_record(&world, &deleted).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"]),
        (&json!(0), &json!(1))
    );
    assert!(world.osaka.cognito().users(&world.secondary.id).is_empty());
}

#[tokio::test]
async fn a_repeated_event_does_not_make_a_record_younger() {
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
async fn an_old_record_of_another_pool_is_not_taken_for_somebody_deleted() {
    let world = world().await;
    let mut foreign = record(1, SignedDuration::from_hours(2));
    foreign["pool"] = json!("ap-northeast-1_Another01");
    put_record(&world, &foreign).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["failing"], &answer["gone"]),
        (&json!(1), &json!(0))
    );
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(log.contains("ap-northeast-1_Another01"), "{log}");
}

#[tokio::test]
async fn a_pool_that_does_not_exist_is_an_error_and_moves_no_record() {
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
        "nobody reads the answer of a tick"
    );
    assert_eq!(outbox(&world, "outbox/").len(), 1);
    assert!(outbox(&world, "conflicts/").is_empty());
}
