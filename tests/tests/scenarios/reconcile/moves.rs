//! People who change their addresses: the replica follows, nobody takes what is somebody else's, and no message goes out.

use harness::visitor::Visitor;
use jiff::SignedDuration;
use local_regions::cognito::{Alias, Contact, PoolSettings, Recovery, SeedUser, UserStatus};
use local_regions::world::{ORIGIN_SUB, World, pool};
use serde_json::json;

use super::settings::world_with;
use super::{
    delete, edit, hasten, messages, pairs, people, person, reconcile, replica_of, report, reported,
    use_secondary, writes,
};
use crate::support::{email, object, put_object, record, replica, sub, world};

/// Gives the person with this number a verified address in the primary pool.
fn move_to(world: &World, number: u32, address: &str) {
    edit(
        world,
        number,
        &[("email", address), ("email_verified", "true")],
    );
}

/// The origin of the replica that has an address.
fn owner(world: &World, address: &str) -> Option<String> {
    let replica = replica(world, address)?;
    replica.attributes.get("custom:origin_sub").cloned()
}

#[tokio::test]
async fn a_replica_follows_its_person_to_a_verified_address() {
    let world = world().await;
    pairs(&world, 2);
    move_to(&world, 0, "new@example.jp");
    let before = messages(&world);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert_eq!(owner(&world, "new@example.jp"), Some(sub(0)));
    assert!(replica(&world, &email(0)).is_none());
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn two_people_who_have_swapped_their_addresses_are_swapped() {
    let world = world().await;
    pairs(&world, 2);
    move_to(&world, 0, "meanwhile@example.jp");
    move_to(&world, 1, &email(0));
    move_to(&world, 0, &email(1));
    let before = messages(&world);

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["status"], &answer["counts"]["reported"]),
        (&json!("complete"), &json!(0)),
        "{answer}"
    );
    assert_eq!(owner(&world, &email(0)), Some(sub(1)));
    assert_eq!(owner(&world, &email(1)), Some(sub(0)));
    let again = reconcile(&world).await;
    assert_eq!(again["counts"]["unchanged"], 2, "{again}");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn a_chain_of_moves_is_followed_to_its_end() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 4);
    move_to(&world, 3, "free@example.jp");
    for number in (0..3).rev() {
        move_to(&world, number, &email(number + 1));
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    for number in 0..3 {
        assert_eq!(
            owner(&world, &email(number + 1)),
            Some(sub(number)),
            "{number}"
        );
    }
    assert_eq!(owner(&world, "free@example.jp"), Some(sub(3)));
    assert_eq!(reconcile(&world).await["counts"]["unchanged"], 4);
}

#[tokio::test]
async fn whoever_takes_the_address_of_somebody_deleted_does_not_take_their_account() {
    let world = world().await;
    pairs(&world, 1);
    let before = replica_of(&world, 0).sub;
    delete(&world, 0);
    let mut newcomer = person(7);
    newcomer.attributes.insert("email".into(), email(0));
    world.tokyo.cognito().put_user(&world.primary.id, newcomer);

    reconcile(&world).await;
    let answer = reconcile(&world).await;

    assert_eq!(owner(&world, &email(0)), Some(sub(7)), "{answer}");
    assert_ne!(replica_of(&world, 0).sub, before);
    assert!(object(&world, &format!("withheld/{}.json", sub(0))).is_some());
}

#[tokio::test]
async fn an_unverified_address_is_not_written_and_the_old_mailbox_opens_nothing() {
    let world = world().await;
    pairs(&world, 1);
    edit(
        &world,
        0,
        &[("email", "typo@example.jp"), ("email_verified", "false")],
    );
    let before = messages(&world);

    let answer = reconcile(&world).await;

    let replica = replica_of(&world, 0);
    assert_eq!(replica.attributes["email_verified"], "false");
    let reported = &report(&world, &answer)["reported"];
    assert_eq!(reported[0]["reason"], "unverified-in-primary", "{reported}");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn a_rebuilt_primary_pool_makes_nobody_a_stranger() {
    let world = world().await;
    pairs(&world, 3);
    for number in 0..3 {
        delete(&world, number);
        let mut rebuilt = person(number);
        rebuilt.sub = None;
        rebuilt
            .attributes
            .insert("custom:origin_sub".into(), sub(number));
        world.tokyo.cognito().put_user(&world.primary.id, rebuilt);
    }

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["unchanged"], 3, "{answer}");
}

#[tokio::test]
async fn a_listing_that_misses_a_live_person_harms_nobody() {
    let world = world().await;
    people(&world, 2);
    reconcile(&world).await;
    let lag = std::time::Duration::from_secs(3600);
    world.tokyo.cognito().knobs().set_list_lag(lag);
    people(&world, 3);
    super::use_secondary(&world, 0).await;

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 0, "{answer}");
    assert!((0..2).all(|number| replica_of(&world, number).enabled));
}

/// What is reported when an address stays somebody else's.
fn name_held(attribute: &str) -> (String, Vec<String>) {
    ("name-held".to_owned(), vec![attribute.to_owned()])
}

#[tokio::test]
async fn two_people_are_swapped_also_when_one_of_them_has_used_the_secondary_pool() {
    let world = world().await;
    pairs(&world, 2);
    use_secondary(&world, 1).await;
    move_to(&world, 0, "meanwhile@example.jp");
    move_to(&world, 1, &email(0));
    move_to(&world, 0, &email(1));
    let before = messages(&world);

    reconcile(&world).await;
    let answer = reconcile(&world).await;

    assert_eq!(owner(&world, &email(0)), Some(sub(1)), "{answer}");
    assert_eq!(owner(&world, &email(1)), Some(sub(0)), "{answer}");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn whoever_moves_to_the_address_of_somebody_deleted_gets_it() {
    let world = world().await;
    pairs(&world, 2);
    let before = replica_of(&world, 1).sub;
    delete(&world, 0);
    move_to(&world, 1, &email(0));
    let sent = messages(&world);

    let answer = reconcile(&world).await;

    let moved = replica_of(&world, 0);
    assert_eq!(
        (&moved.sub, moved.enabled),
        (&before, true),
        "{answer}: their own user"
    );
    let kept = object(&world, &format!("withheld/{}.json", sub(0))).unwrap();
    assert_eq!(
        (&kept["why"], &kept["attributes"]["email"]),
        (&json!("deleted"), &json!(email(0)))
    );
    assert_eq!(messages(&world), sent);
}

#[tokio::test]
async fn the_address_of_somebody_deleted_who_has_used_the_secondary_pool_is_not_given_away() {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    let before = replica_of(&world, 0).sub;
    delete(&world, 0);
    let mut another = person(7);
    another.attributes.insert("email".into(), email(0));
    world.tokyo.cognito().put_user(&world.primary.id, another);

    let answer = reconcile(&world).await;

    let holder = replica_of(&world, 0);
    assert_eq!((holder.sub, holder.enabled), (before, false), "{answer}");
    let found = report(&world, &answer)["reported"].clone();
    assert_eq!(found[0]["reason"], "name-held", "{found}");
    assert_eq!(found[0]["sub"], sub(7), "{found}");
    assert_eq!(answer["counts"]["created"], 0, "{answer}");
}

#[tokio::test]
async fn whoever_has_not_proved_an_address_loses_it_to_the_replica_whose_person_has() {
    let world = world().await;
    pairs(&world, 1);
    let mut squatter = person(9);
    squatter.status = UserStatus::Unconfirmed;
    squatter.attributes = [("email".to_owned(), "new@example.jp".to_owned())].into();
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, squatter);
    move_to(&world, 0, "new@example.jp");

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["reported"], 0, "{answer}");
    assert_eq!(owner(&world, "new@example.jp"), Some(sub(0)));
    assert!(osaka.user(&world.secondary.id, &sub(9)).is_none());
}

#[tokio::test]
async fn an_address_that_a_newcomer_has_stays_theirs() {
    let world = world().await;
    pairs(&world, 1);
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, person(5));
    let sign_up = record(5, SignedDuration::from_hours(2));
    put_object(
        &world,
        &format!("journal/sign-up/{}.json", sub(5)),
        sign_up.to_string(),
    )
    .await;
    let newcomer = replica_of(&world, 5);
    move_to(&world, 0, &email(5));

    let answer = reconcile(&world).await;

    assert_eq!(reported(&world, &answer), [name_held("email")]);
    assert_eq!(replica_of(&world, 5), newcomer);
    assert_eq!(owner(&world, &email(0)), Some(sub(0)));
}

#[tokio::test]
async fn an_address_in_other_letters_is_the_same_address() {
    // amazon-cognito-identity-js#524, facts 8: these pools do not distinguish letter case.
    let world = world().await;
    pairs(&world, 1);
    move_to(&world, 0, "Person0@Example.JP");
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["unchanged"], 1, "{answer}");
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

#[tokio::test]
async fn an_address_that_was_unverified_is_written_when_it_is_verified() {
    let world = world().await;
    pairs(&world, 1);
    let unverified = [("email", "new@example.jp"), ("email_verified", "false")];
    edit(&world, 0, &unverified);
    reconcile(&world).await;
    move_to(&world, 0, "new@example.jp");
    let before = messages(&world);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    let moved = replica(&world, "new@example.jp").expect("moved");
    assert_eq!(moved.attributes["email_verified"], "true");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn an_unverified_address_is_not_marked_again_in_the_next_run() {
    let world = world().await;
    pairs(&world, 1);
    let unverified = [("email", "typo@example.jp"), ("email_verified", "false")];
    edit(&world, 0, &unverified);
    reconcile(&world).await;
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

/// Pools whose people sign in with a phone number.
fn by_phone() -> PoolSettings {
    PoolSettings {
        name: "phones".into(),
        username_attributes: vec![Contact::PhoneNumber],
        auto_verified: vec![Contact::PhoneNumber],
        recovery: vec![Recovery::VerifiedPhoneNumber],
        ..pool()
    }
}

/// Somebody who signs in with a phone number, and their replica.
fn phone_pair(world: &World, number: u32, phones: [&str; 2]) {
    let person = |phone: &str| SeedUser {
        attributes: [("phone_number", phone), ("phone_number_verified", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..SeedUser::default()
    };
    let mut original = person(phones[0]);
    original.sub = Some(sub(number));
    world.tokyo.cognito().put_user(&world.primary.id, original);
    let mut copy = person(phones[1]);
    copy.attributes.insert(ORIGIN_SUB.into(), sub(number));
    world.osaka.cognito().put_user(&world.secondary.id, copy);
}

#[tokio::test]
async fn two_people_who_have_swapped_phone_numbers_are_reported() {
    let world = world_with(by_phone(), by_phone()).await;
    let (one, other) = ("+819000000001", "+819000000002");
    phone_pair(&world, 0, [one, other]);
    phone_pair(&world, 1, [other, one]);
    let before = messages(&world);
    world.clear_calls();

    let answer = reconcile(&world).await;

    let held = name_held("phone_number");
    assert_eq!(reported(&world, &answer), [held.clone(), held]);
    assert_eq!(owner(&world, one), Some(sub(1)));
    assert_eq!(owner(&world, other), Some(sub(0)));
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn a_replica_follows_its_person_to_another_phone_number() {
    let world = world_with(by_phone(), by_phone()).await;
    phone_pair(&world, 0, ["+819000000002", "+819000000001"]);
    let before = messages(&world);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    let moved = replica(&world, "+819000000002").expect("moved");
    assert_eq!(moved.attributes["phone_number_verified"], "true");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn a_phone_number_that_is_no_sign_in_name_may_be_the_one_of_several_people() {
    let world = world().await;
    pairs(&world, 2);
    let phone = [
        ("phone_number", "+819000000001"),
        ("phone_number_verified", "true"),
    ];
    for number in 0..2 {
        edit(&world, number, &phone);
    }

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["counts"]["updated"], &answer["counts"]["reported"]),
        (&json!(2), &json!(0)),
        "{answer}"
    );
    for number in 0..2 {
        let attributes = replica_of(&world, number).attributes;
        assert_eq!(attributes["phone_number"], "+819000000001");
        assert_eq!(attributes["phone_number_verified"], "true");
    }
}

#[tokio::test]
async fn two_people_are_swapped_without_a_message_where_addresses_are_held_back() {
    let settings = || PoolSettings {
        verified_before_update: vec![Contact::Email],
        ..pool()
    };
    let world = world_with(settings(), settings()).await;
    pairs(&world, 2);
    move_to(&world, 0, "meanwhile@example.jp");
    move_to(&world, 1, &email(0));
    move_to(&world, 0, &email(1));
    let before = messages(&world);

    let answer = reconcile(&world).await;

    assert_eq!(owner(&world, &email(0)), Some(sub(1)), "{answer}");
    assert_eq!(owner(&world, &email(1)), Some(sub(0)), "{answer}");
    assert_eq!(messages(&world), before);
}

#[tokio::test]
async fn an_alias_of_somebody_else_is_reported_and_not_tried() {
    let settings = || PoolSettings {
        name: "aliases".into(),
        username_attributes: vec![],
        alias_attributes: vec![Alias::PreferredUsername],
        ..pool()
    };
    let world = world_with(settings(), settings()).await;
    let named = |username: &str, preferred: Option<&str>| SeedUser {
        username: Some(username.into()),
        attributes: [("email", &*format!("{username}@example.jp"))]
            .into_iter()
            .chain([("email_verified", "true")])
            .chain(preferred.map(|name| ("preferred_username", name)))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..SeedUser::default()
    };
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    let mut original = named("taro", Some("Star-of-Osaka"));
    original.sub = Some(sub(1));
    tokyo.put_user(&world.primary.id, original);
    let mut copy = named("taro", None);
    copy.attributes.insert(ORIGIN_SUB.into(), sub(1));
    osaka.put_user(&world.secondary.id, copy);
    osaka.put_user(&world.secondary.id, named("holder", Some("Star-of-Osaka")));
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert!(reported(&world, &answer).contains(&name_held("preferred_username")));
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
    let holder = osaka.user(&world.secondary.id, "Star-of-Osaka").unwrap();
    assert_eq!(holder.username, "holder");
}

#[tokio::test]
async fn whoever_has_an_authenticator_there_has_used_it_and_keeps_their_name() {
    let world = world().await;
    pairs(&world, 1);
    let before = replica_of(&world, 0).sub;
    const PASSWORD: &str = "correct-Horse-7-battery";
    let set = world.osaka.cognito_client().admin_set_user_password();
    let set = set.user_pool_id(&world.secondary.id).username(email(0));
    set.password(PASSWORD).permanent(true).send().await.unwrap();
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    let signed_in = visitor.set_up_mfa_and_sign_in(&email(0), PASSWORD).await;
    signed_in.expect("they set up an authenticator");
    delete(&world, 0);
    let mut successor = person(7);
    successor.attributes.insert("email".into(), email(0));
    world.tokyo.cognito().put_user(&world.primary.id, successor);

    let answer = reconcile(&world).await;

    assert_eq!(replica_of(&world, 0).sub, before, "{answer}");
    let reported = report(&world, &answer)["reported"].clone();
    let reported = reported.as_array().unwrap();
    assert!(
        reported.iter().any(|one| one["reason"] == "name-held"),
        "{reported:?}"
    );
}
