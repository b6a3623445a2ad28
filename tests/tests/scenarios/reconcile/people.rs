//! People, row by row of the table in the contract.

use local_regions::cognito::{CustomAttribute, SeedUser, UserStatus};
use local_regions::world::{ORIGIN_SUB, SNAPSHOTS, World, pool};
use serde_json::json;

use super::settings::world_with;
use super::{delete, edit, pairs, people, person, reconcile, replica_of, report, reported, writes};
use crate::support::{email, replica, sub, world};

#[tokio::test]
async fn whoever_was_there_before_is_created_once() {
    let world = world().await;
    people(&world, 3);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(
        (&first["status"], &first["counts"]["created"]),
        (&json!("complete"), &json!(3)),
        "{first}"
    );
    assert_eq!(
        (&second["status"], &second["counts"]["unchanged"]),
        (&json!("complete"), &json!(3)),
        "{second}"
    );
    assert!((0..3).all(|number| replica_of(&world, number).status == UserStatus::Confirmed));
}

#[tokio::test]
async fn whoever_has_not_used_the_secondary_pool_and_is_missing_there_is_made_again() {
    let world = world().await;
    pairs(&world, 1);
    let osaka = world.osaka.cognito();
    osaka.remove_user(&world.secondary.id, &email(0));

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(replica_of(&world, 0).attributes[ORIGIN_SUB], sub(0));
}

#[tokio::test]
async fn people_of_other_statuses_are_counted_and_left() {
    let world = world().await;
    pairs(&world, 1);
    let statuses = [
        UserStatus::Unconfirmed,
        UserStatus::ForceChangePassword,
        UserStatus::ExternalProvider,
    ];
    for (number, status) in (1..).zip(statuses) {
        let mut other = person(number);
        other.username = Some(format!("Google_{number}"));
        other.status = status;
        world.tokyo.cognito().put_user(&world.primary.id, other);
    }
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["counts"]["skipped"], &answer["counts"]["unchanged"]),
        (&json!(3), &json!(1)),
        "{answer}"
    );
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

#[tokio::test]
async fn whoever_must_reset_their_password_is_mirrored() {
    let world = world().await;
    let mut reset = person(0);
    reset.status = UserStatus::ResetRequired;
    world.tokyo.cognito().put_user(&world.primary.id, reset);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(replica_of(&world, 0).status, UserStatus::Confirmed);
}

#[tokio::test]
async fn a_native_user_who_is_linked_to_a_provider_is_mirrored_without_the_links() {
    // amplify-js#7300, #11565: a native user who was linked has `identities` too.
    let world = world().await;
    let mut linked = person(0);
    let links = r#"[{"userId":"1001","providerName":"Google","primary":false}]"#;
    linked.attributes.insert("identities".into(), links.into());
    world.tokyo.cognito().put_user(&world.primary.id, linked);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["created"], 1, "{first}");
    assert_eq!(second["counts"]["unchanged"], 1, "{second}");
    assert!(!replica_of(&world, 0).attributes.contains_key("identities"));
}

/// Puts the person with this number into both pools, without anything that tells who they are but the name.
fn namesakes(world: &World, number: u32) {
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, person(number));
    let copy = SeedUser {
        sub: None,
        ..person(number)
    };
    world.osaka.cognito().put_user(&world.secondary.id, copy);
}

#[tokio::test]
async fn whom_only_the_name_has_matched_gets_the_identity_and_is_followed_to_another_address() {
    let world = world().await;
    namesakes(&world, 0);
    let before = replica_of(&world, 0).sub;

    reconcile(&world).await;
    let matched = replica_of(&world, 0);
    edit(
        &world,
        0,
        &[("email", "new@example.jp"), ("email_verified", "true")],
    );
    reconcile(&world).await;

    assert_eq!(matched.attributes[ORIGIN_SUB], sub(0));
    let moved = replica(&world, "new@example.jp").expect("moved");
    assert_eq!((matched.sub, moved.sub), (before.clone(), before));
}

#[tokio::test]
async fn an_identity_that_cannot_be_changed_is_not_tried() {
    let settings = || {
        let mut settings = pool();
        for custom in &mut settings.custom_attributes {
            custom.mutable = custom.name != "origin_sub";
        }
        settings
    };
    let world = world_with(settings(), settings()).await;
    namesakes(&world, 0);
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["status"], &answer["counts"]["unchanged"]),
        (&json!("complete"), &json!(1)),
        "{answer}"
    );
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

#[tokio::test]
async fn two_users_of_the_primary_pool_with_one_identity_are_reported_and_nobody_is_made() {
    let world = world().await;
    people(&world, 1);
    let mut twice = person(1);
    twice.attributes.insert(ORIGIN_SUB.into(), sub(0));
    world.tokyo.cognito().put_user(&world.primary.id, twice);

    let answer = reconcile(&world).await;

    let twice = ("identity-twice".to_owned(), vec![]);
    assert_eq!(reported(&world, &answer), [twice.clone(), twice]);
    assert!(world.osaka.cognito().users(&world.secondary.id).is_empty());
}

#[tokio::test]
async fn a_namesake_with_another_identity_is_another_person() {
    let world = world().await;
    let tokyo = world.tokyo.cognito();
    tokyo.put_user(&world.primary.id, person(0));
    let mut still_there = person(1);
    still_there
        .attributes
        .insert("name".into(), "Hanako".into());
    tokyo.put_user(&world.primary.id, still_there);
    // The replica of the second one has the name of the first one: the second one's is not verified.
    let mut holder = person(0);
    holder.sub = None;
    holder.attributes.insert(ORIGIN_SUB.into(), sub(1));
    world.osaka.cognito().put_user(&world.secondary.id, holder);
    edit(
        &world,
        1,
        &[("email", "typo@example.jp"), ("email_verified", "false")],
    );

    let answer = reconcile(&world).await;

    assert_eq!(replica_of(&world, 0).attributes[ORIGIN_SUB], sub(1));
    assert_eq!(answer["counts"]["created"], 0, "{answer}");
    let report = report(&world, &answer)["reported"].clone();
    let mut of_first = report.as_array().unwrap().iter();
    let of_first = of_first.find(|one| one["sub"] == sub(0)).expect("reported");
    assert_eq!(of_first["reason"], "name-held");
}

#[tokio::test]
async fn an_attribute_of_one_schema_alone_is_dropped_once_and_never_compared() {
    // amplify-js#2167: the pool refuses an unknown attribute.
    let secondary = {
        let mut settings = pool();
        settings
            .custom_attributes
            .retain(|custom| custom.name != "tenant");
        settings
    };
    let world = world_with(pool(), secondary).await;
    let mut tenant = person(0);
    tenant
        .attributes
        .extend([("custom:tenant".into(), "t-0001".into())]);
    world.tokyo.cognito().put_user(&world.primary.id, tenant);

    let first = reconcile(&world).await;
    edit(&world, 0, &[("custom:tenant", "t-0002")]);
    world.clear_calls();
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["created"], 1, "{first}");
    assert_eq!(second["counts"]["unchanged"], 1, "{second}");
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
    let refused = world.osaka.s3().keys(SNAPSHOTS, "reconciles/refused/");
    assert!(refused.is_empty(), "the schema may be taught it");
}

#[tokio::test]
async fn an_attribute_that_can_be_given_at_creation_only_is_given_then_and_reported_later() {
    // aws-cdk#7011: an immutable attribute.
    let settings = || {
        let mut settings = pool();
        let badge = CustomAttribute {
            mutable: false,
            ..CustomAttribute::text("badge")
        };
        settings.custom_attributes.push(badge);
        settings
    };
    let world = world_with(settings(), settings()).await;
    for (number, badge) in [(0, "B-0001"), (1, "B-0002")] {
        let mut original = person(number);
        original
            .attributes
            .insert("custom:badge".into(), badge.into());
        world.tokyo.cognito().put_user(&world.primary.id, original);
    }
    let mut copy = person(1);
    copy.sub = None;
    copy.attributes.insert(ORIGIN_SUB.into(), sub(1));
    world.osaka.cognito().put_user(&world.secondary.id, copy);

    let answer = reconcile(&world).await;

    assert_eq!(replica_of(&world, 0).attributes["custom:badge"], "B-0001");
    assert_eq!(
        reported(&world, &answer),
        [("immutable".to_owned(), vec!["custom:badge".to_owned()])]
    );
}

#[tokio::test]
async fn a_person_who_was_deleted_and_has_signed_up_again_is_a_new_person() {
    let world = world().await;
    pairs(&world, 1);
    let before = replica_of(&world, 0).sub;
    delete(&world, 0);
    let again = SeedUser {
        sub: Some(sub(8)),
        ..person(0)
    };
    world.tokyo.cognito().put_user(&world.primary.id, again);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    let made = replica_of(&world, 0);
    assert_ne!(made.sub, before);
    assert_eq!(made.attributes[ORIGIN_SUB], sub(8));
}
