//! Records that cannot be replicated are moved to `conflicts/` or deleted, and do not block the others.

use jiff::SignedDuration;
use local_regions::cognito::{Alias, Contact, PoolSettings, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{ORIGIN_SUB, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER};
use serde_json::{Value, json};

use super::{person_of, put, put_record, put_record_of_nobody};
use crate::support::{
    answer, confirmation, counted, drain, email, outbox, record, replica, sub, world,
};

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

    assert_eq!(answer["conflicts"], 3, "{answer}");
    assert_eq!(
        counted(&world, &world.tokyo, REPLICATE_WORKER, "Conflicts"),
        3
    );
    assert_eq!(answer["drained"], 2, "{answer}");
    assert!(replica(&world, &email(4)).is_some());
    // A person comes before an attribute.
    let without_name = replica(&world, &email(3)).unwrap();
    assert_eq!(without_name.status, UserStatus::Confirmed);
    assert!(!without_name.attributes.contains_key("name"));
    assert!(outbox(&world, "outbox/").is_empty());
    let conflicts = outbox(&world, "conflicts/");
    assert_eq!(conflicts.len(), 3);
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
async fn an_alias_of_another_user_is_a_conflict_under_either_code_and_is_not_taken_away() {
    // boto3#3213: seen as UsernameExistsException while nobody has the username.
    for reported in [false, true] {
        let world = world().await;
        let twin = world.osaka.cognito().create_pool(PoolSettings {
            name: "aliases".into(),
            username_attributes: vec![],
            alias_attributes: vec![Alias::Email],
            auto_verified: vec![Contact::Email],
            ..local_regions::world::pool()
        });
        world
            .osaka
            .cognito()
            .knobs()
            .set_reported_refusals(reported);
        world
            .tokyo
            .lambda()
            .set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
        let owner = SeedUser {
            username: Some("ada.old".into()),
            attributes: [("email", email(1)), ("email_verified", "true".into())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..SeedUser::default()
        };
        world.osaka.cognito().put_user(&twin.id, owner);
        let before = world.osaka.cognito().users(&twin.id);
        let mut other = record(1, SignedDuration::ZERO);
        other["username"] = json!("ada.new");
        put_record(&world, &other).await;

        let answer = drain(&world).await;

        assert_eq!(answer["conflicts"], 1, "{answer}");
        assert!(outbox(&world, "outbox/").is_empty());
        let key = format!("conflicts/{}.json", sub(1));
        let conflict = world.tokyo.s3().object(OUTBOX, &key).unwrap();
        let conflict: Value = serde_json::from_slice(&conflict).unwrap();
        let reason = conflict["reason"].as_str().unwrap();
        assert!(reason.contains("email held by another user"), "{reason}");
        assert_eq!(world.osaka.cognito().users(&twin.id), before);
    }
}

#[tokio::test]
async fn what_an_event_lacked_is_asked_of_the_primary_pool() {
    let world = world().await;
    for number in 1..4 {
        let mut without_attributes = record(number, SignedDuration::ZERO);
        put_record_of_nobody(&world, &without_attributes).await;
        if number < 3 {
            let person = person_of(&without_attributes);
            world.tokyo.cognito().put_user(&world.primary.id, person);
        }
        without_attributes["attributes"] = json!({});
        if number == 2 {
            // The trigger had nothing but the username.
            without_attributes["sub"] = Value::Null;
        }
        let key = format!("outbox/{}.json", sub(number));
        put(&world, &key, without_attributes.to_string().as_bytes()).await;
    }

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"], &answer["conflicts"]),
        (&json!(2), &json!(1), &json!(0)),
        "{answer}"
    );
    for number in 1..3 {
        let replica = replica(&world, &email(number)).unwrap();
        assert_eq!(replica.attributes[ORIGIN_SUB], sub(number));
    }
}

#[tokio::test]
async fn a_preferred_username_that_nobody_can_be_looked_up_by_makes_no_conflict_of_a_taken_name() {
    for aliases in [vec![], vec![Alias::PreferredUsername]] {
        let world = world().await;
        let settings = || PoolSettings {
            name: "usernames".into(),
            username_attributes: vec![],
            alias_attributes: aliases.clone(),
            ..local_regions::world::pool()
        };
        let primary = world.tokyo.cognito().create_pool(settings());
        let twin = world.osaka.cognito().create_pool(settings());
        let lambda = world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &primary.id);
        lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
        let mut taro = record(1, SignedDuration::ZERO);
        taro["pool"] = json!(primary.id);
        taro["username"] = json!("taro");
        taro["attributes"]["preferred_username"] = json!("Taro of Osaka");
        put_record_of_nobody(&world, &taro).await;
        world
            .tokyo
            .cognito()
            .put_user(&primary.id, person_of(&taro));
        let taken = Kind::Error {
            status: 400,
            code: "UsernameExistsException".into(),
            message: "User account already exists".into(),
        };
        let fault = Fault::on(Service::Cognito, "AdminCreateUser", taken);
        world.osaka.faults().add(fault);

        let answer = drain(&world).await;

        assert_eq!(answer["failing"], 1, "{aliases:?}: {answer}");
        assert!(outbox(&world, "conflicts/").is_empty(), "{aliases:?}");
    }
}

#[tokio::test]
async fn a_record_is_replicated_only_if_its_person_still_exists_however_new_it_is() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::from_hours(2))).await;
    put_record_of_nobody(&world, &record(2, SignedDuration::from_hours(2))).await;
    put_record_of_nobody(&world, &record(3, SignedDuration::ZERO)).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"]),
        (&json!(1), &json!(2)),
        "{answer}"
    );
    assert_eq!(counted(&world, &world.tokyo, REPLICATE_WORKER, "Gone"), 2);
    let users = world.osaka.cognito().users(&world.secondary.id);
    assert_eq!(users.len(), 1, "the others have been deleted");
    assert!(replica(&world, &email(1)).is_some());
    assert!(outbox(&world, "").is_empty());
}

#[tokio::test]
async fn whoever_was_banned_while_their_record_waited_is_neither_made_nor_completed() {
    let world = world().await;
    for number in 1..4 {
        put_record(&world, &record(number, SignedDuration::from_mins(5))).await;
        let tokyo = world.tokyo.cognito();
        tokyo.set_enabled(&world.primary.id, &sub(number), false);
    }
    let mut half_made = person_of(&record(2, SignedDuration::ZERO));
    half_made.sub = None;
    half_made.status = UserStatus::ForceChangePassword;
    half_made.attributes.insert(ORIGIN_SUB.into(), sub(2));
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, half_made);
    let mut withheld = person_of(&record(3, SignedDuration::ZERO));
    withheld.sub = None;
    withheld.enabled = false;
    withheld.attributes.insert(ORIGIN_SUB.into(), sub(3));
    osaka.put_user(&world.secondary.id, withheld);
    let before = osaka.users(&world.secondary.id);

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"]),
        (&json!(0), &json!(3)),
        "{answer}"
    );
    assert_eq!(counted(&world, &world.tokyo, REPLICATE_WORKER, "Gone"), 3);
    assert_eq!(osaka.users(&world.secondary.id), before);
    assert!(outbox(&world, "").is_empty());
}

#[tokio::test]
async fn without_an_answer_from_the_primary_pool_a_record_stays() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    let no_answer = Fault::on(Service::Cognito, "AdminGetUser", Kind::Refuse);
    world.tokyo.faults().add(no_answer);

    let answer = drain(&world).await;

    assert_eq!(answer["failing"], 1, "{answer}");
    assert!(world.osaka.cognito().users(&world.secondary.id).is_empty());
    assert_eq!(outbox(&world, "outbox/").len(), 1);
}

#[tokio::test]
async fn what_is_refused_in_sixty_ticks_is_a_conflict_with_the_last_reason() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    let refused = |code: &str| {
        let refusal = Kind::error(400, code);
        Fault::on(Service::Cognito, "AdminCreateUser", refusal)
    };
    world.osaka.faults().add(refused("SomethingNewException"));
    for tick in 1..60 {
        assert_eq!(drain(&world).await["failing"], 1, "tick {tick}");
    }
    // A repeated event does not begin the count anew.
    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    world.osaka.faults().clear();
    world.osaka.faults().add(refused("SomethingElseException"));

    assert_eq!(drain(&world).await["conflicts"], 1);

    let key = format!("conflicts/{}.json", sub(1));
    let conflict = world.tokyo.s3().object(OUTBOX, &key).unwrap();
    let conflict: Value = serde_json::from_slice(&conflict).unwrap();
    let reason = conflict["reason"].as_str().unwrap();
    assert!(reason.contains("SomethingElseException"), "{reason}");
    assert!(reason.contains("60"), "{reason}");
    assert_eq!(conflict["attributes"]["email"], email(1));
    assert!(outbox(&world, "outbox/").is_empty());
}

#[tokio::test]
async fn a_record_that_something_in_between_refuses_without_a_code_is_counted_too() {
    let world = world().await;
    put_record(&world, &record(1, SignedDuration::ZERO)).await;
    let too_large = Kind::Error {
        status: 413,
        code: String::new(),
        message: String::new(),
    };
    let fault = Fault::on(Service::Cognito, "AdminCreateUser", too_large);
    world.osaka.faults().add(fault);

    let answer = drain(&world).await;

    assert_eq!(answer["failing"], 1, "{answer}");
    let key = format!("outbox/{}.json", sub(1));
    let waiting = world.tokyo.s3().object(OUTBOX, &key).unwrap();
    let waiting: Value = serde_json::from_slice(&waiting).unwrap();
    assert_eq!(waiting["refusals"], 1);
}

#[tokio::test]
async fn a_record_is_not_replicated_if_another_user_has_the_username_now() {
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
    put_record_of_nobody(&world, &deleted).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["drained"], &answer["gone"]),
        (&json!(0), &json!(1))
    );
    assert!(world.osaka.cognito().users(&world.secondary.id).is_empty());
}

#[tokio::test]
async fn a_record_of_another_pool_does_not_count_as_deleted() {
    let world = world().await;
    let mut foreign = record(1, SignedDuration::from_hours(2));
    foreign["pool"] = json!("ap-northeast-1_Another01");
    put_record_of_nobody(&world, &foreign).await;

    let answer = drain(&world).await;

    assert_eq!(
        (&answer["failing"], &answer["gone"]),
        (&json!(1), &json!(0))
    );
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(log.contains("ap-northeast-1_Another01"), "{log}");
}
