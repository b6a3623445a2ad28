//! Records that cannot be replicated are moved to `conflicts/` or deleted, and do not block the others.

use jiff::SignedDuration;
use local_regions::cognito::{Alias, Contact, PoolSettings, SeedUser};
use local_regions::world::{OUTBOX, REPLICATE_WORKER};
use serde_json::{Value, json};

use super::{put, put_record};
use crate::support::{counted, drain, email, outbox, record, replica, sub, world};

#[tokio::test]
async fn bad_records_are_moved_to_conflicts_with_a_reason_and_do_not_block_others() {
    let world = world().await;
    let new = SignedDuration::ZERO;
    let mut no_address = record(1, new);
    no_address["attributes"] = json!({"sub": sub(1), "name": "no address"});
    let mut bad_address = record(2, new);
    bad_address["attributes"]["email"] = json!("not an address");
    let mut too_long = record(3, new);
    too_long["attributes"]["name"] = json!("x".repeat(2049));
    for bad in [&no_address, &bad_address, &too_long] {
        put_record(&world, bad).await;
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
async fn an_alias_of_another_user_is_a_conflict_and_is_not_taken_away() {
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "aliases".into(),
        username_attributes: vec![],
        alias_attributes: vec![Alias::Email],
        auto_verified: vec![Contact::Email],
        ..local_regions::world::pool()
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
async fn an_old_record_is_replicated_only_if_its_person_still_exists() {
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
    assert!(
        replica(&world, &email(2)).is_none(),
        "the person has been deleted"
    );
    assert!(outbox(&world, "").is_empty());
}

#[tokio::test]
async fn an_old_record_is_not_replicated_if_another_user_has_the_username_now() {
    let world = world().await;
    let pool = world.tokyo.cognito().create_pool(PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        ..local_regions::world::pool()
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
async fn an_old_record_of_another_pool_does_not_count_as_deleted() {
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
