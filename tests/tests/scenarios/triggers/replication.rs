//! The replica that the trigger creates in the secondary pool.

use std::time::Duration;

use harness::people;
use harness::visitor::Visitor;
use local_regions::cognito::{
    Alias, Contact, CustomAttribute, CustomKind, PoolSettings, UserStatus,
};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_TRIGGER, REPLICATE_TRIGGER, REPLICATE_WORKER, SNAPSHOTS};
use serde_json::json;

use super::{PASSWORD, set};
use crate::support::{
    answer, confirmation, counted, drain, email, outbox, person_in_primary,
    person_of_event_in_primary, replica, sub, world,
};

#[tokio::test]
async fn a_confirmed_person_is_replicated_with_every_attribute_that_can_be_copied_and_without_an_email()
 {
    let world = world().await;
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let everyone = people::everyone().unwrap();
    let plain = everyone.iter().find(|p| p.attributes.len() > 8).unwrap();

    let sub = tokyo.sign_up(plain, PASSWORD).await.unwrap();
    tokyo.confirm(plain.email()).await.unwrap();

    let replica = replica(&world, plain.email()).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["custom:origin_sub"], sub);
    assert_eq!(replica.attributes["email_verified"], "true");
    for (name, value) in plain.told() {
        assert_eq!(replica.attributes[name], value, "{name}");
    }
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
}

#[tokio::test]
async fn a_replica_can_reset_its_password_and_sign_in_with_a_new_authenticator() {
    let world = world().await;
    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let osaka = Visitor::of(&world.osaka, &world.secondary);

    osaka.reset_password(&email(1), PASSWORD).await.unwrap();
    let token = osaka.set_up_mfa_and_sign_in(&email(1), PASSWORD).await;

    assert!(token.is_ok(), "{token:?}");
}

#[tokio::test]
async fn without_activation_a_replica_keeps_its_temporary_password() {
    let world = world().await;
    set(&world, REPLICATE_TRIGGER, "ACTIVATE_REPLICAS", "false");

    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    let replica = replica(&world, &email(1)).unwrap();
    assert_eq!(replica.status, UserStatus::ForceChangePassword);
}

#[tokio::test]
async fn a_password_reset_creates_a_missing_replica_and_has_its_own_journal() {
    let world = world().await;
    let mut event = confirmation(1);
    event["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
    let event = event.to_string();

    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;

    assert!(replica(&world, &email(1)).is_some());
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/");
    assert_eq!(journal, [format!("journal/password-reset/{}.json", sub(1))]);
}

#[tokio::test]
async fn an_incomplete_replica_is_activated_and_a_password_set_by_the_person_is_never_changed() {
    let world = world().await;
    person_in_primary(&world, 1);
    let event = confirmation(1).to_string();
    let half = Fault::on(Service::Cognito, "AdminSetUserPassword", Kind::Refuse);
    world.osaka.faults().add(half);
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let status = || replica(&world, &email(1)).unwrap().status;
    assert_eq!(status(), UserStatus::ForceChangePassword);

    world.osaka.faults().clear();
    assert_eq!(drain(&world).await["drained"], 1);
    assert_eq!(status(), UserStatus::Confirmed);

    let osaka = Visitor::of(&world.osaka, &world.secondary);
    osaka.reset_password(&email(1), PASSWORD).await.unwrap();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let signed_in = osaka.set_up_mfa_and_sign_in(&email(1), PASSWORD).await;
    assert!(signed_in.is_ok(), "{signed_in:?}");
}

#[tokio::test]
async fn an_unconfirmed_user_with_the_same_email_does_not_prevent_the_replica() {
    let world = world().await;
    let everyone = people::everyone().unwrap();
    let person = everyone.iter().find(|p| p.kind == "plain").unwrap();
    let holder = Visitor::of(&world.osaka, &world.secondary);
    holder.sign_up(person, "Holders-pass-1").await.unwrap();

    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let sub = tokyo.sign_up(person, PASSWORD).await.unwrap();
    tokyo.confirm(person.email()).await.unwrap();
    assert_eq!(outbox(&world, ""), [format!("outbox/{sub}.json")]);
    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1);
    let replica = replica(&world, person.email()).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["custom:origin_sub"], sub);
    assert_eq!(
        counted(&world, &world.tokyo, REPLICATE_WORKER, "Reclaimed"),
        1
    );
}

#[tokio::test]
async fn an_unconfirmed_user_who_confirms_before_the_second_look_is_not_deleted() {
    let world = world().await;
    let everyone = people::everyone().unwrap();
    let person = everyone.iter().find(|p| p.kind == "plain").unwrap();
    let holder = Visitor::of(&world.osaka, &world.secondary);
    holder.sign_up(person, "Holders-pass-1").await.unwrap();
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    tokyo.sign_up(person, PASSWORD).await.unwrap();
    tokyo.confirm(person.email()).await.unwrap();
    let before = replica(&world, person.email()).unwrap();
    let second_look = Kind::Delay(Duration::from_secs(2));
    let second_look = Fault::on(Service::Cognito, "AdminGetUser", second_look);
    world.osaka.faults().add(second_look.after(1).times(1));
    world.clear_calls();

    tokio::join!(drain(&world), async {
        while world
            .calls()
            .iter()
            .filter(|call| call.operation == "AdminCreateUser")
            .count()
            < 1
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        holder.confirm(person.email()).await.unwrap();
    });

    let after = replica(&world, person.email()).unwrap();
    assert_eq!(after.sub, before.sub);
    assert_eq!(after.status, UserStatus::Confirmed);
    let reclaimed = counted(&world, &world.tokyo, REPLICATE_WORKER, "Reclaimed");
    assert_eq!(reclaimed, 0);
}

#[tokio::test]
async fn a_replica_that_was_interrupted_between_two_attributes_is_completed_by_the_next_tick() {
    let world = world().await;
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["name"] = json!("Taro");
    person_of_event_in_primary(&world, &event);
    let event = event.to_string();
    let refusal = Kind::Error {
        status: 400,
        code: "UserNotFoundException".into(),
        message: "User does not exist.".into(),
    };
    let with_all = Fault::on(Service::Cognito, "AdminCreateUser", refusal);
    world.osaka.faults().add(with_all.times(2));
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let broken = Fault::on(Service::Cognito, "AdminUpdateUserAttributes", Kind::Refuse);
    world.osaka.faults().add(broken);
    assert_eq!(drain(&world).await["failing"], 1);
    let half = replica(&world, &email(1)).unwrap();
    assert_eq!(half.status, UserStatus::ForceChangePassword);
    world.osaka.faults().clear();

    // A repeated event does not activate it, because the other attributes would be forgotten.
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let half = replica(&world, &email(1)).unwrap();
    assert_eq!(half.status, UserStatus::ForceChangePassword);
    assert_eq!(drain(&world).await["drained"], 1);

    let whole = replica(&world, &email(1)).unwrap();
    assert_eq!(whole.status, UserStatus::Confirmed);
    assert_eq!(whole.attributes["name"], "Taro");
}

#[tokio::test]
async fn in_a_pool_that_signs_in_by_phone_the_number_is_the_username() {
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "phones".into(),
        username_attributes: vec![Contact::PhoneNumber],
        auto_verified: vec![Contact::PhoneNumber],
        ..local_regions::world::pool()
    });
    set(&world, REPLICATE_TRIGGER, "TARGET_USER_POOL_ID", &twin.id);
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["phone_number"] = json!("+819012345678");

    for _ in 0..2 {
        let event = event.to_string();
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    }

    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].status, UserStatus::Confirmed);
    assert_eq!(users[0].attributes["phone_number"], "+819012345678");
    assert_eq!(users[0].attributes["email"], email(1));
    let count = |metric| counted(&world, &world.tokyo, REPLICATE_TRIGGER, metric);
    assert_eq!((count("Replicated"), count("AlreadyReplicated")), (1, 1));
}

#[tokio::test]
async fn an_attribute_that_the_other_schema_lacks_is_dropped_in_whatever_words_it_is_refused() {
    // facts N11.1: two wordings, the newer one names one attribute at a time.
    for reported in [false, true] {
        let world = world().await;
        let twin = world.osaka.cognito().create_pool(PoolSettings {
            name: "narrow".into(),
            custom_attributes: vec![CustomAttribute::text("tenant")],
            ..local_regions::world::pool()
        });
        let knobs = world.osaka.cognito().knobs();
        knobs.set_reported_refusals(reported);
        set(&world, REPLICATE_TRIGGER, "TARGET_USER_POOL_ID", &twin.id);
        for number in 1..=2 {
            let mut event = confirmation(number);
            event["request"]["userAttributes"]["custom:tenant"] = json!("t-1");
            event["request"]["userAttributes"]["custom:note"] = json!("secret note");

            let event = event.to_string();
            answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

            let replica = world
                .osaka
                .cognito()
                .user(&twin.id, &email(number))
                .unwrap();
            assert_eq!(replica.status, UserStatus::Confirmed);
            assert_eq!(replica.attributes["custom:tenant"], "t-1");
            assert!(!replica.attributes.contains_key("custom:note"));
        }
        assert!(outbox(&world, "").is_empty());
        let log = world.log(&world.tokyo, REPLICATE_TRIGGER);
        assert!(log.contains("custom:note custom:origin_sub"), "{log}");
        assert!(!log.contains("secret note"));
        let dropped = counted(&world, &world.tokyo, REPLICATE_TRIGGER, "DroppedAttributes");
        assert_eq!(dropped, 4);
        let calls = world.calls();
        let described = calls
            .iter()
            .filter(|call| call.operation == "DescribeUserPool");
        assert_eq!(described.count(), 1, "the description is kept");
    }
}

#[tokio::test]
async fn an_attribute_that_the_other_pool_refuses_does_not_cost_the_person() {
    // amplify-js#1669, facts N11.4: a preferred username that is an alias is refused for an account that is not confirmed.
    let world = world().await;
    let usernames = |alias_attributes| PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        alias_attributes,
        ..local_regions::world::pool()
    };
    let twin = usernames(vec![Alias::Email, Alias::PreferredUsername]);
    let twin = world.osaka.cognito().create_pool(twin);
    for function in [REPLICATE_TRIGGER, REPLICATE_WORKER] {
        set(&world, function, "TARGET_USER_POOL_ID", &twin.id);
    }
    let mut event = confirmation(1);
    event["userName"] = json!("sora");
    let attributes = &mut event["request"]["userAttributes"];
    attributes["preferred_username"] = json!("sora.k");
    attributes["name"] = json!("Sora");
    attributes["nickname"] = json!("x".repeat(2049));
    attributes["phone_number"] = json!("+819012345678");

    person_of_event_in_primary(&world, &event);
    let event = event.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    assert_eq!(outbox(&world, "outbox/").len(), 1);
    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    assert!(outbox(&world, "").is_empty());
    let replica = world.osaka.cognito().user(&twin.id, "sora").unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["custom:origin_sub"], sub(1));
    assert_eq!(replica.attributes["name"], "Sora");
    assert_eq!(
        replica.attributes["preferred_username"], "sora.k",
        "it is written after the user has been confirmed"
    );
    assert!(!replica.attributes.contains_key("nickname"));
    assert!(
        !replica.attributes.contains_key("phone_number"),
        "a code would be sent to an address that is not verified"
    );
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(log.contains("phone_number nickname"), "{log}");
    let dropped = counted(&world, &world.tokyo, REPLICATE_WORKER, "DroppedAttributes");
    assert_eq!(dropped, 2);
}

#[tokio::test]
async fn an_attribute_that_can_be_given_at_creation_only_is_lost_only_if_it_is_refused_itself() {
    // facts 3: "Immutable custom attributes can be written only at creation".
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "immutable".into(),
        custom_attributes: vec![
            CustomAttribute::text("origin_sub"),
            CustomAttribute {
                kind: CustomKind::Text { min: 0, max: 3 },
                mutable: false,
                ..CustomAttribute::text("tenant")
            },
        ],
        ..local_regions::world::pool()
    });
    for function in [REPLICATE_TRIGGER, REPLICATE_WORKER] {
        set(&world, function, "TARGET_USER_POOL_ID", &twin.id);
    }
    for (number, tenant) in [(1, "t-1"), (2, "t-22")] {
        let mut event = confirmation(number);
        let attributes = &mut event["request"]["userAttributes"];
        attributes["custom:tenant"] = json!(tenant);
        attributes["name"] = json!("Sora");
        attributes["nickname"] = json!("x".repeat(2049));
        person_of_event_in_primary(&world, &event);
        answer(
            &world.tokyo,
            REPLICATE_TRIGGER,
            event.to_string().as_bytes(),
        )
        .await;
    }

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 2, "{answer}");
    let attribute = |number, name: &str| {
        let replica = world.osaka.cognito().user(&twin.id, &email(number));
        replica.unwrap().attributes.get(name).cloned()
    };
    assert_eq!(attribute(1, "custom:tenant").as_deref(), Some("t-1"));
    assert_eq!(attribute(2, "custom:tenant"), None);
    for number in 1..=2 {
        assert_eq!(attribute(number, "name").as_deref(), Some("Sora"));
    }
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(log.contains("\"custom:tenant nickname\""), "{log}");
    let dropped = counted(&world, &world.tokyo, REPLICATE_WORKER, "DroppedAttributes");
    assert_eq!(dropped, 3, "the nicknames, and the tenant that is too long");
}

#[tokio::test]
async fn a_refusal_under_a_code_that_has_nothing_to_do_with_it_does_not_cost_the_person() {
    // aws-sdk-net#761: UserNotFoundException at AdminCreateUser.
    let world = world().await;
    let refusal = Kind::Error {
        status: 400,
        code: "UserNotFoundException".into(),
        message: "User does not exist.".into(),
    };
    let with_all = Fault::on(Service::Cognito, "AdminCreateUser", refusal);
    world.osaka.faults().add(with_all.times(2));
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["name"] = json!("Taro");
    person_of_event_in_primary(&world, &event);
    let event = event.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let replica = replica(&world, &email(1)).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["name"], "Taro");
}

/// amplify-js#7300 and #11565: somebody who signed up here and was linked to a provider later stays CONFIRMED, has a password, and
/// carries `identities`.
#[tokio::test]
async fn a_native_user_who_is_linked_to_a_provider_is_replicated_without_the_links() {
    let world = world().await;
    let event = include_bytes!("../../../fixtures/events/linked-native-user.json");

    answer(&world.tokyo, REPLICATE_TRIGGER, event).await;

    let twin = replica(&world, "linked@example.com").expect("a replica");
    assert_eq!(twin.status, UserStatus::Confirmed);
    assert!(!twin.attributes.contains_key("identities"));
    assert_eq!(
        counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Skipped"),
        0
    );
}
