//! Somebody else's user has the name of a person in the outbox. Who is whom is decided by identity: an address that changed hands
//! never makes two people one.

use std::time::Duration;

use jiff::SignedDuration;
use local_regions::cognito::{Contact, Pool, PoolSettings, SeedUser, UserStatus, UserView};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{
    BACKUP_TRIGGER, ORIGIN_SUB, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER, SNAPSHOTS, World,
};
use serde_json::{Value, json};

use super::put_record_of_nobody;
use crate::support::{
    answer, called, confirmation, counted, drain, email, object, outbox, record, replica, sub,
    world,
};

const PHONE: &str = "+819012345678";

fn user(number: u32, address: &str) -> SeedUser {
    SeedUser {
        sub: Some(sub(number)),
        attributes: [("email", address), ("email_verified", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..SeedUser::default()
    }
}

fn in_primary(world: &World, user: SeedUser) {
    world.tokyo.cognito().put_user(&world.primary.id, user);
}

/// Person 1 has a replica with their address. Person 2 confirms the same address in the primary pool, and is in the outbox.
async fn an_address_that_changed_hands(world: &World) -> UserView {
    let first = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, first.as_bytes()).await;
    in_primary(world, user(2, &email(1)));
    let mut second = confirmation(2);
    second["request"]["userAttributes"]["email"] = json!(email(1));
    let second = second.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, second.as_bytes()).await;
    assert_eq!(outbox(world, ""), [format!("outbox/{}.json", sub(2))]);
    let counted = |metric| counted(world, &world.tokyo, REPLICATE_TRIGGER, metric);
    assert_eq!(counted("AlreadyReplicated"), 0);
    replica(world, &email(1)).unwrap()
}

/// A secondary pool that signs in by email and phone number.
fn by_both(world: &World) -> Pool {
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "both".into(),
        username_attributes: vec![Contact::Email, Contact::PhoneNumber],
        ..local_regions::world::pool()
    });
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
    twin
}

fn user_with_phone(number: u32, phone: &str, is_verified: &str) -> SeedUser {
    let mut user = user(number, &email(number));
    let attributes = [
        ("phone_number", phone),
        ("phone_number_verified", is_verified),
    ];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    user.attributes.extend(attributes);
    user
}

fn conflict_reason(world: &World, number: u32) -> String {
    let key = format!("conflicts/{}.json", sub(number));
    let conflict = world.tokyo.s3().object(OUTBOX, &key);
    let conflict = conflict.expect("the record is in conflicts/");
    let conflict: Value = serde_json::from_slice(&conflict).unwrap();
    conflict["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_replica_whose_person_moved_is_moved_and_its_former_address_goes_to_its_new_owner() {
    let world = world().await;
    in_primary(&world, user(1, &email(9)));
    let before = an_address_that_changed_hands(&world).await;

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let moved = replica(&world, &email(9)).unwrap();
    assert_eq!(moved.sub, before.sub);
    assert_eq!(moved.attributes[ORIGIN_SUB], sub(1));
    assert_eq!(moved.attributes["email_verified"], "true");
    let new = replica(&world, &email(1)).unwrap();
    assert_eq!(new.attributes[ORIGIN_SUB], sub(2));
    assert_eq!(new.status, UserStatus::Confirmed);
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
    assert!(outbox(&world, "").is_empty());
}

#[tokio::test]
async fn a_person_who_moved_while_they_waited_is_created_with_their_present_address() {
    let world = world().await;
    put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
    in_primary(&world, user(1, &email(9)));
    // Somebody else has signed up in the secondary pool with the address that they have left.
    let newcomer = user(2, &email(1));
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, newcomer);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let moved = replica(&world, &email(9)).unwrap();
    assert_eq!(moved.attributes[ORIGIN_SUB], sub(1));
    let newcomer = replica(&world, &email(1)).unwrap();
    assert_eq!(newcomer.sub, sub(2));
    assert!(!newcomer.attributes.contains_key(ORIGIN_SUB));
}

#[tokio::test]
async fn without_identities_nobody_is_taken_for_whoever_has_their_former_address_now() {
    for is_in_primary in [true, false] {
        let world = world().await;
        let lambda = world.tokyo.lambda();
        lambda.unset_env(REPLICATE_WORKER, "ORIGIN_SUB_ATTRIBUTE");
        put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
        in_primary(&world, user(1, &email(9)));
        if is_in_primary {
            in_primary(&world, user(2, &email(1)));
        }
        let osaka = world.osaka.cognito();
        osaka.put_user(&world.secondary.id, user(7, &email(1)));
        let before = replica(&world, &email(1));

        let answer = drain(&world).await;

        assert_eq!(answer["drained"], 1, "{answer}");
        assert!(replica(&world, &email(9)).is_some(), "{is_in_primary}");
        assert!(replica(&world, &email(1)) == before);
        let already = counted(&world, &world.tokyo, REPLICATE_WORKER, "AlreadyReplicated");
        assert_eq!(already, 0);
    }
}

#[tokio::test]
async fn without_identities_a_half_made_replica_is_completed_under_a_name_that_its_person_still_has()
 {
    // They signed up with the phone number, which they still have, and have an email address now.
    let world = world().await;
    let twin = by_both(&world);
    let lambda = world.tokyo.lambda();
    lambda.unset_env(REPLICATE_WORKER, "ORIGIN_SUB_ATTRIBUTE");
    let phone = [("phone_number", PHONE), ("phone_number_verified", "true")];
    let mut by_phone = record(1, SignedDuration::ZERO);
    by_phone["attributes"] = json!({"sub": sub(1), phone[0].0: phone[0].1, phone[1].0: phone[1].1});
    put_record_of_nobody(&world, &by_phone).await;
    let phone = phone.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut now = user(1, &email(1));
    now.attributes.extend(phone.clone());
    in_primary(&world, now);
    let half_made = SeedUser {
        sub: Some(sub(7)),
        status: UserStatus::ForceChangePassword,
        attributes: phone.into(),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&twin.id, half_made);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].status, UserStatus::Confirmed);
    assert_eq!(users[0].attributes["email"], email(1));
}

#[tokio::test]
async fn an_address_that_a_person_has_removed_while_they_waited_does_not_come_back() {
    let world = world().await;
    let mut with_phone = record(1, SignedDuration::ZERO);
    with_phone["attributes"]["phone_number"] = json!(PHONE);
    with_phone["attributes"]["phone_number_verified"] = json!("true");
    put_record_of_nobody(&world, &with_phone).await;
    in_primary(&world, user(1, &email(1)));
    // Who has moved too, and has a half-made replica under the former address, which cannot be moved.
    let mut moved = record(2, SignedDuration::ZERO);
    moved["attributes"] = with_phone["attributes"].clone();
    moved["attributes"]["sub"] = json!(sub(2));
    moved["attributes"]["email"] = json!(email(2));
    put_record_of_nobody(&world, &moved).await;
    let mut unverified = user(2, &email(9));
    unverified
        .attributes
        .insert("email_verified".into(), "false".into());
    in_primary(&world, unverified);
    let mut half_made = user(7, &email(2));
    half_made.status = UserStatus::ForceChangePassword;
    half_made.attributes.insert(ORIGIN_SUB.into(), sub(2));
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, half_made);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 2, "{answer}");
    for number in 1..=2 {
        let replica = replica(&world, &email(number)).unwrap();
        assert_eq!(replica.status, UserStatus::Confirmed);
        for removed in ["phone_number", "phone_number_verified"] {
            assert!(
                !replica.attributes.contains_key(removed),
                "{number}: {removed}"
            );
        }
    }
}

#[tokio::test]
async fn a_half_made_replica_whose_person_moved_is_completed_under_the_present_address() {
    let world = world().await;
    put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
    in_primary(&world, user(1, &email(9)));
    let mut half_made = user(7, &email(1));
    half_made.status = UserStatus::ForceChangePassword;
    half_made.attributes.insert(ORIGIN_SUB.into(), sub(1));
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, half_made);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let completed = replica(&world, &email(9)).unwrap();
    assert_eq!(completed.sub, sub(7));
    assert_eq!(completed.status, UserStatus::Confirmed);
    assert_eq!(replica(&world, &email(1)), None);
}

#[tokio::test]
async fn a_replica_is_not_moved_to_an_address_that_somebody_else_has() {
    let world = world().await;
    in_primary(&world, user(1, &email(9)));
    let before = an_address_that_changed_hands(&world).await;
    let third = user(7, &email(9));
    world.osaka.cognito().put_user(&world.secondary.id, third);

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    assert!(conflict_reason(&world, 2).starts_with("name-held: email held by another user"));
    assert_eq!(replica(&world, &email(1)), Some(before));
}

#[tokio::test]
async fn a_replica_whose_person_was_deleted_is_kept_in_withheld_and_makes_way() {
    let world = world().await;
    let before = an_address_that_changed_hands(&world).await;
    let osaka = world.osaka.cognito();
    osaka.add_to_group(&world.secondary.id, &before.sub, "staff");

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let new = replica(&world, &email(1)).unwrap();
    assert_eq!(new.attributes[ORIGIN_SUB], sub(2));
    assert_eq!(osaka.users(&world.secondary.id).len(), 1);
    let withheld = object(&world, &format!("withheld/{}.json", sub(1))).unwrap();
    assert_eq!(withheld["version"], 1);
    assert_eq!(withheld["why"], "deleted");
    assert_eq!(withheld["groups"], json!(["staff"]));
    assert_eq!(withheld["attributes"]["sub"], before.sub);
    assert_eq!(withheld["attributes"]["email"], email(1));
    assert!(withheld["first_missed"].is_string());
}

#[tokio::test]
async fn nobody_is_deleted_before_what_they_were_is_kept() {
    let world = world().await;
    let before = an_address_that_changed_hands(&world).await;
    let refused = Fault::on(Service::S3, "PutObject", Kind::Throttle);
    world.osaka.faults().add(refused);

    let answer = drain(&world).await;

    assert_eq!(answer["failing"], 1, "{answer}");
    assert_eq!(replica(&world, &email(1)), Some(before));
}

#[tokio::test]
async fn whoever_has_used_the_secondary_pool_keeps_the_name() {
    for trigger in [
        "PostConfirmation_ConfirmSignUp",
        "PostConfirmation_ConfirmForgotPassword",
    ] {
        let world = world().await;
        let before = an_address_that_changed_hands(&world).await;
        let mut used = confirmation(1);
        used["triggerSource"] = json!(trigger);
        used["request"]["userAttributes"]["sub"] = json!(before.sub);
        let used = used.to_string();
        answer(&world.osaka, BACKUP_TRIGGER, used.as_bytes()).await;

        let answer = drain(&world).await;

        assert_eq!(answer["conflicts"], 1, "{answer}");
        let reason = conflict_reason(&world, 2);
        assert!(reason.starts_with("name-held: "), "{reason}");
        assert!(reason.contains("have used the secondary pool"), "{reason}");
        assert_eq!(replica(&world, &email(1)), Some(before));
        assert!(world.osaka.s3().keys(SNAPSHOTS, "withheld/").is_empty());
    }
}

#[tokio::test]
async fn whoever_uses_the_secondary_pool_at_the_last_moment_is_neither_deleted_nor_remembered_as_withheld()
 {
    let world = world().await;
    let before = an_address_that_changed_hands(&world).await;
    // The worker has seen that nobody has used the replica, and now asks for its groups.
    let slow = Kind::Delay(Duration::from_secs(2));
    let slow = Fault::on(Service::Cognito, "AdminListGroupsForUser", slow);
    world.osaka.faults().add(slow.times(1));
    let meanwhile = async {
        called(&world, "AdminListGroupsForUser").await;
        let mut used = confirmation(1);
        used["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
        used["request"]["userAttributes"]["sub"] = json!(before.sub);
        answer(&world.osaka, BACKUP_TRIGGER, used.to_string().as_bytes()).await;
    };

    tokio::join!(drain(&world), meanwhile);

    assert_eq!(replica(&world, &email(1)), Some(before));
    assert!(world.osaka.s3().keys(SNAPSHOTS, "withheld/").is_empty());
}

#[tokio::test]
async fn without_a_snapshot_bucket_nobody_is_moved_or_withheld() {
    for moved in [false, true] {
        let world = world().await;
        let lambda = world.tokyo.lambda();
        lambda.unset_env(REPLICATE_WORKER, "S3_BUCKET_NAME");
        if moved {
            in_primary(&world, user(1, &email(9)));
        }
        let before = an_address_that_changed_hands(&world).await;

        let answer = drain(&world).await;

        assert_eq!(answer["conflicts"], 1, "{answer}");
        let reason = conflict_reason(&world, 2);
        assert!(reason.contains("S3_BUCKET_NAME"), "{reason}");
        assert_eq!(replica(&world, &email(1)), Some(before));
    }
}

#[tokio::test]
async fn without_an_answer_about_the_holder_the_record_stays() {
    let world = world().await;
    let before = an_address_that_changed_hands(&world).await;
    let silent = Fault::on(Service::Cognito, "AdminGetUser", Kind::Refuse);
    // The first question is about the person of the record.
    world.tokyo.faults().add(silent.after(1));

    let answer = drain(&world).await;

    assert_eq!(answer["failing"], 1, "{answer}");
    assert_eq!(outbox(&world, "").len(), 1);
    assert_eq!(replica(&world, &email(1)), Some(before));
}

#[tokio::test]
async fn two_people_whose_names_differ_in_letter_case_only_are_two_people() {
    // amazon-cognito-identity-js#524: the primary pool compares letter case, the secondary one does not.
    let world = world().await;
    let case_sensitive = world.tokyo.cognito().create_pool(PoolSettings {
        name: "case-sensitive".into(),
        case_sensitive: true,
        ..local_regions::world::pool()
    });
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &case_sensitive.id);
    let mut events = [confirmation(1), confirmation(2)];
    for (number, (event, address)) in (1..).zip(
        events
            .iter_mut()
            .zip(["Test@example.com", "test@example.com"]),
    ) {
        event["userPoolId"] = json!(case_sensitive.id);
        event["request"]["userAttributes"]["email"] = json!(address);
        let person = user(number, address);
        world.tokyo.cognito().put_user(&case_sensitive.id, person);
        let event = event.to_string();
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    }
    assert_eq!(outbox(&world, ""), [format!("outbox/{}.json", sub(2))]);

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    let users = world.osaka.cognito().users(&world.secondary.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].attributes["email"], "Test@example.com");
    for function in [REPLICATE_TRIGGER, REPLICATE_WORKER] {
        let already = counted(&world, &world.tokyo, function, "AlreadyReplicated");
        assert_eq!(already, 0);
    }
}

#[tokio::test]
async fn a_user_without_an_identity_whose_name_has_other_letter_case_is_the_person_if_no_pool_distinguishes_it()
 {
    for case_sensitive in [false, true] {
        let world = world().await;
        let primary = world.tokyo.cognito().create_pool(PoolSettings {
            name: "primary".into(),
            case_sensitive,
            ..local_regions::world::pool()
        });
        let lambda = world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &primary.id);
        let there = user(8, "taro@example.jp");
        world.osaka.cognito().put_user(&world.secondary.id, there);
        let taro = user(1, "Taro@example.jp");
        world.tokyo.cognito().put_user(&primary.id, taro);
        let mut reset = record(1, SignedDuration::ZERO);
        reset["pool"] = json!(primary.id);
        reset["trigger"] = json!("PostConfirmation_ConfirmForgotPassword");
        reset["attributes"]["email"] = json!("Taro@example.jp");
        put_record_of_nobody(&world, &reset).await;

        let answer = drain(&world).await;

        assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 1);
        if case_sensitive {
            assert_eq!(answer["conflicts"], 1, "{answer}");
            let reason = conflict_reason(&world, 1);
            assert!(reason.starts_with("cannot-tell: "), "{reason}");
        } else {
            assert_eq!(answer["drained"], 1, "{answer}");
            let already = counted(&world, &world.tokyo, REPLICATE_WORKER, "AlreadyReplicated");
            assert_eq!(already, 1);
        }
    }
}

#[tokio::test]
async fn a_user_without_an_identity_who_is_older_than_the_sign_up_may_be_somebody_else() {
    let world = world().await;
    let holder = user(8, &email(1));
    world.osaka.cognito().put_user(&world.secondary.id, holder);
    in_primary(&world, user(1, &email(1)));
    // Confirmed two minutes after the holder was created.
    put_record_of_nobody(&world, &record(1, SignedDuration::from_mins(-2))).await;

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    let reason = conflict_reason(&world, 1);
    assert!(reason.starts_with("cannot-tell: "), "{reason}");
    let already = counted(&world, &world.tokyo, REPLICATE_WORKER, "AlreadyReplicated");
    assert_eq!(already, 0);
}

#[tokio::test]
async fn a_namesake_in_a_pool_that_signs_in_by_username_is_somebody_else() {
    let world = world().await;
    let usernames = PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        auto_verified: vec![Contact::Email],
        ..local_regions::world::pool()
    };
    let twin = world.osaka.cognito().create_pool(usernames);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
    let namesake = SeedUser {
        username: Some("taro".into()),
        ..user(8, "another-taro@example.jp")
    };
    world.osaka.cognito().put_user(&twin.id, namesake);
    in_primary(&world, user(1, &email(1)));
    let mut taro = record(1, SignedDuration::ZERO);
    taro["username"] = json!("taro");
    put_record_of_nobody(&world, &taro).await;

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    let reason = conflict_reason(&world, 1);
    assert!(
        reason.starts_with("name-held: username held by another user"),
        "{reason}"
    );
}

#[tokio::test]
async fn without_identities_a_half_made_replica_is_completed_though_its_person_has_no_verified_address()
 {
    // Confirmed by an administrator, so nothing is verified. The answer to the first attempt was lost.
    let world = world().await;
    let usernames = PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        custom_attributes: vec![],
        ..local_regions::world::pool()
    };
    let twin = world.osaka.cognito().create_pool(usernames);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &twin.id);
    let mut taro = record(1, SignedDuration::ZERO);
    taro["username"] = json!("taro");
    taro["attributes"] = json!({"sub": sub(1), "email": email(1), "email_verified": "false"});
    put_record_of_nobody(&world, &taro).await;
    let unverified = |number| {
        let mut user = user(number, &email(1));
        let flag = "email_verified".to_owned();
        user.attributes.insert(flag, "false".into());
        user
    };
    in_primary(&world, unverified(1));
    let half_made = SeedUser {
        username: Some("taro".into()),
        status: UserStatus::ForceChangePassword,
        ..unverified(7)
    };
    world.osaka.cognito().put_user(&twin.id, half_made);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].sub, sub(7));
    assert_eq!(users[0].status, UserStatus::Confirmed);
}

#[tokio::test]
async fn an_unconfirmed_user_does_not_keep_a_phone_number_that_they_have_not_proved() {
    let world = world().await;
    let twin = by_both(&world);
    in_primary(&world, user_with_phone(1, PHONE, "true"));
    put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
    let mut holder = user_with_phone(7, PHONE, "false");
    holder.status = UserStatus::Unconfirmed;
    world.osaka.cognito().put_user(&twin.id, holder);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].attributes["phone_number"], PHONE);
    assert_eq!(users[0].attributes[ORIGIN_SUB], sub(1));
    let reclaimed = counted(&world, &world.tokyo, REPLICATE_WORKER, "Reclaimed");
    assert_eq!(reclaimed, 1);
}

#[tokio::test]
async fn an_unconfirmed_user_keeps_a_phone_number_that_an_administrator_has_verified() {
    let world = world().await;
    let twin = by_both(&world);
    in_primary(&world, user_with_phone(1, PHONE, "true"));
    put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
    let mut holder = user_with_phone(7, PHONE, "true");
    holder.status = UserStatus::Unconfirmed;
    world.osaka.cognito().put_user(&twin.id, holder);

    let answer = drain(&world).await;

    assert_eq!(answer["conflicts"], 1, "{answer}");
    let reason = conflict_reason(&world, 1);
    assert!(reason.starts_with("name-held: phone number"), "{reason}");
    assert_eq!(world.osaka.cognito().users(&twin.id).len(), 1);
}

#[tokio::test]
async fn the_holder_of_a_phone_number_is_found_and_moved_also_if_the_person_has_not_verified_it() {
    // facts 8: username attributes are unique, verified or not.
    let world = world().await;
    let twin = by_both(&world);
    in_primary(&world, user_with_phone(1, PHONE, "false"));
    put_record_of_nobody(&world, &record(1, SignedDuration::ZERO)).await;
    in_primary(&world, user_with_phone(2, "+819087654321", "true"));
    let mut replica = user_with_phone(2, PHONE, "true");
    replica.sub = Some(sub(7));
    replica.attributes.insert(ORIGIN_SUB.into(), sub(2));
    world.osaka.cognito().put_user(&twin.id, replica);

    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1, "{answer}");
    let phone = |number| {
        let user = world.osaka.cognito().user(&twin.id, &email(number));
        user.unwrap().attributes["phone_number"].clone()
    };
    assert_eq!(phone(1), PHONE);
    assert_eq!(phone(2), "+819087654321");
}

#[tokio::test]
async fn a_primary_pool_that_was_rebuilt_from_a_snapshot_still_knows_everybody() {
    let world = world().await;
    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let before = replica(&world, &email(1));

    // The same person, with the `sub` of the new pool.
    let mut rebuilt = confirmation(5);
    rebuilt["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
    rebuilt["request"]["userAttributes"]["email"] = json!(email(1));
    rebuilt["request"]["userAttributes"][ORIGIN_SUB] = json!(sub(1));
    let event = rebuilt.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    let counted = |metric| counted(&world, &world.tokyo, REPLICATE_TRIGGER, metric);
    assert_eq!(
        (counted("Replicated"), counted("AlreadyReplicated")),
        (1, 1)
    );
    assert_eq!(replica(&world, &email(1)), before);

    // Somebody whose replica is missing is created with the identity that they carry.
    rebuilt["request"]["userAttributes"]["email"] = json!(email(6));
    rebuilt["request"]["userAttributes"][ORIGIN_SUB] = json!(sub(6));
    let event = rebuilt.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let created = replica(&world, &email(6)).unwrap();
    assert_eq!(created.attributes[ORIGIN_SUB], sub(6));
}

#[tokio::test]
async fn a_newcomer_who_has_another_address_in_the_secondary_pool_by_now_gets_no_second_user_there()
{
    let world = world().await;
    let osaka = world.osaka.cognito();
    // They signed up in the secondary pool, were brought home, and have changed their address in the secondary pool since.
    osaka.put_user(&world.secondary.id, user(2, &email(9)));
    let mut home = user(5, &email(2));
    home.attributes.insert(ORIGIN_SUB.into(), sub(2));
    in_primary(&world, home);
    let before = osaka.users(&world.secondary.id);
    let mut event = confirmation(5);
    event["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
    event["request"]["userAttributes"]["email"] = json!(email(2));
    event["request"]["userAttributes"][ORIGIN_SUB] = json!(sub(2));

    answer(
        &world.tokyo,
        REPLICATE_TRIGGER,
        event.to_string().as_bytes(),
    )
    .await;
    let of_trigger = osaka.users(&world.secondary.id);
    let mut record = record(5, SignedDuration::ZERO);
    record["trigger"] = event["triggerSource"].clone();
    record["attributes"] = event["request"]["userAttributes"].clone();
    put_record_of_nobody(&world, &record).await;
    let drained = drain(&world).await;

    assert!(of_trigger == before, "the trigger");
    assert_eq!(drained["drained"], 1, "{drained}");
    assert!(osaka.users(&world.secondary.id) == before, "the worker");
    for function in [REPLICATE_TRIGGER, REPLICATE_WORKER] {
        let already = counted(&world, &world.tokyo, function, "AlreadyReplicated");
        assert_eq!(already, 1, "{function}");
    }
}
