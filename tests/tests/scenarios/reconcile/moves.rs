//! People who change their addresses: the replica follows, nobody takes what is somebody else's, and no message goes out.

use harness::visitor::Visitor;
use local_regions::world::World;
use serde_json::json;

use super::{delete, edit, hasten, pairs, people, person, reconcile, replica_of, report};
use crate::support::{email, replica, sub, world};

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

/// The messages that both pools have sent.
fn messages(world: &World) -> usize {
    let sent = |region: &local_regions::region::Region| region.cognito().messages_sent();
    sent(&world.tokyo) + sent(&world.osaka)
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
    assert!(crate::support::object(&world, &format!("withheld/{}.json", sub(0))).is_some());
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
