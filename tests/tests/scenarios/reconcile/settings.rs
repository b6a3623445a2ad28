//! Pools with other settings: aliases, addresses that are held back until they are verified, no origin attribute, other schemas.

use local_regions::cognito::{
    Alias, Contact, CustomAttribute, CustomKind, Editor, PoolSettings, SeedUser, UserStatus,
};
use local_regions::world::{
    BACKUP_TRIGGER, ORIGIN_SUB, REPLICATE_TRIGGER, REPLICATE_WORKER, World, pool,
};
use serde_json::json;

use super::{asked, edit, pairs, people, reconcile, replica_of, report, reported, writes};
use crate::support::{email, put_object, replica, sub, world};

/// The regions with other pools, to which the worker and the triggers are attached.
pub async fn world_with(primary: PoolSettings, secondary: PoolSettings) -> World {
    let mut world = world().await;
    for (is_primary, settings, function) in [
        (true, primary, REPLICATE_TRIGGER),
        (false, secondary, BACKUP_TRIGGER),
    ] {
        let region = if is_primary {
            &world.tokyo
        } else {
            &world.osaka
        };
        let created = region.cognito().create_pool(settings);
        region
            .cognito()
            .set_post_confirmation(&created.id, function);
        if is_primary {
            world.primary = created;
        } else {
            world.secondary = created;
        }
    }
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "SOURCE_USER_POOL_ID", &world.primary.id);
    lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &world.secondary.id);
    world
}

fn with_aliases() -> PoolSettings {
    PoolSettings {
        name: "aliases".into(),
        username_attributes: vec![],
        alias_attributes: vec![Alias::Email],
        auto_verified: vec![Contact::Email],
        ..pool()
    }
}

/// Somebody with a username.
fn named(username: &str, sub_number: u32, address: &str) -> SeedUser {
    SeedUser {
        username: Some(username.into()),
        sub: Some(sub(sub_number)),
        attributes: [("email", address), ("email_verified", "true")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..SeedUser::default()
    }
}

#[tokio::test]
async fn in_an_alias_pool_an_address_is_not_taken_away_from_its_holder() {
    // boto3#3213, facts N11.11: the write would take it away without an error.
    let world = world_with(with_aliases(), with_aliases()).await;
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    tokyo.put_user(&world.primary.id, named("taro", 1, "new@example.jp"));
    let mut replica = named("taro", 101, "old@example.jp");
    replica.attributes.insert(ORIGIN_SUB.into(), sub(1));
    osaka.put_user(&world.secondary.id, replica);
    osaka.put_user(
        &world.secondary.id,
        named("somebody", 102, "new@example.jp"),
    );

    let answer = reconcile(&world).await;

    let reasons: Vec<_> = report(&world, &answer)["reported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].clone())
        .collect();
    assert!(reasons.contains(&json!("name-held")), "{reasons:?}");
    let holder = osaka.user(&world.secondary.id, "somebody").unwrap();
    assert_eq!(holder.attributes["email"], "new@example.jp");
    assert_eq!(holder.attributes["email_verified"], "true");
}

#[tokio::test]
async fn in_pools_that_hold_addresses_back_a_verified_one_is_written_at_once_and_nothing_is_sent() {
    let settings = || PoolSettings {
        verified_before_update: vec![Contact::Email],
        auto_verified: vec![Contact::Email],
        ..pool()
    };
    let world = world_with(settings(), settings()).await;
    pairs(&world, 2);
    edit(
        &world,
        0,
        &[("email", "new@example.jp"), ("email_verified", "true")],
    );
    edit(&world, 1, &[("name", "Taro")]);
    let before = world.osaka.cognito().messages_sent();

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 2, "{answer}");
    let moved = replica(&world, "new@example.jp").unwrap();
    assert_eq!(moved.attributes["email_verified"], "true");
    assert_eq!(world.osaka.cognito().messages_sent(), before);
}

#[tokio::test]
async fn without_the_origin_attribute_people_are_only_created_and_reported() {
    let without = || PoolSettings {
        custom_attributes: vec![],
        ..pool()
    };
    let world = world_with(without(), without()).await;
    people(&world, 3);
    reconcile(&world).await;
    edit(&world, 0, &[("name", "Taro")]);
    world
        .tokyo
        .cognito()
        .remove_user(&world.primary.id, &sub(1));
    world
        .tokyo
        .cognito()
        .set_enabled(&world.primary.id, &sub(2), false);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["reported"], 3, "{answer}");
    let changed = ["updated", "disabled", "withheld", "removed"];
    assert!(
        changed.iter().all(|kind| answer["counts"][kind] == 0),
        "{answer}"
    );
    assert!((0..3).all(|number| replica_of(&world, number).enabled));
}

#[tokio::test]
async fn a_value_that_the_secondary_pool_refuses_is_tried_again_only_after_it_has_changed() {
    let attribute = |max| CustomAttribute {
        kind: CustomKind::Text { min: 0, max },
        ..CustomAttribute::text("note")
    };
    let settings = |max| {
        let mut settings = pool();
        settings
            .custom_attributes
            .retain(|custom| custom.name != "note");
        settings.custom_attributes.push(attribute(max));
        settings
    };
    let world = world_with(settings(100), settings(5)).await;
    pairs(&world, 1);
    let note = |text: &str| edit(&world, 0, &[("custom:note", text)]);
    let tried = || {
        let calls = world.calls();
        let written = calls
            .iter()
            .filter(|call| call.operation == "AdminUpdateUserAttributes");
        written.count()
    };

    note("too long for Osaka");
    let first = reconcile(&world).await;
    let after_first = tried();
    reconcile(&world).await;
    let after_second = tried();
    note("fits");
    let third = reconcile(&world).await;

    assert_eq!(report(&world, &first)["reported"][0]["reason"], "refused");
    assert_eq!(after_first, after_second);
    assert_eq!(third["counts"]["updated"], 1, "{third}");
    assert_eq!(replica_of(&world, 0).attributes["custom:note"], "fits");
}

#[tokio::test]
async fn a_value_that_the_primary_pool_no_longer_has_is_deleted() {
    let world = world().await;
    pairs(&world, 1);
    edit(&world, 0, &[("name", "Taro")]);
    reconcile(&world).await;
    edit(&world, 0, &[("name", "")]);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert!(!replica_of(&world, 0).attributes.contains_key("name"));
    assert_eq!(reconcile(&world).await["counts"]["unchanged"], 1);
}

#[tokio::test]
async fn what_an_administrator_changes_in_the_secondary_pool_is_made_equal_again() {
    let world = world().await;
    pairs(&world, 1);
    let cognito = world.osaka.cognito();
    let edited = cognito.edit_user(
        &world.secondary.id,
        &email(0),
        Editor::Administrator,
        &[("name", "Somebody")],
    );
    edited.unwrap();

    let answer = asked(&world, json!({"now": true})).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert!(!replica_of(&world, 0).attributes.contains_key("name"));
}

#[tokio::test]
async fn no_log_has_a_value_of_a_person() {
    let world = world().await;
    pairs(&world, 2);
    edit(&world, 0, &[("name", "Taro Yamada")]);
    edit(
        &world,
        1,
        &[("email", "moved@example.jp"), ("email_verified", "true")],
    );

    reconcile(&world).await;

    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    for value in ["Yamada", "example.jp"] {
        assert!(!log.contains(value), "{value}");
    }
}

/// Pools in which people can also sign in with a preferred username.
/// Pools whose people sign in by username, or by a preferred one.
pub fn with_preferred_usernames() -> PoolSettings {
    PoolSettings {
        name: "preferred".into(),
        username_attributes: vec![],
        alias_attributes: vec![Alias::PreferredUsername],
        ..pool()
    }
}

#[tokio::test]
async fn a_preferred_username_that_is_refused_at_creation_is_written_afterwards() {
    // amplify-js#1669: refused for an account that is not confirmed.
    let settings = with_preferred_usernames;
    let world = world_with(settings(), settings()).await;
    let mut sora = named("sora", 1, "sora@example.jp");
    sora.attributes
        .insert("preferred_username".into(), "sora.k".into());
    world.tokyo.cognito().put_user(&world.primary.id, sora);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["created"], 1, "{first}");
    assert_eq!(second["counts"]["unchanged"], 1, "{second}");
    let made = replica(&world, "sora").expect("created");
    assert_eq!(made.attributes["preferred_username"], "sora.k");
}

#[tokio::test]
async fn a_value_that_nobody_can_be_looked_up_by_stops_neither_the_person_nor_the_others() {
    // botocore UsernameType: no spaces; an attribute may have them.
    let settings = with_preferred_usernames;
    let world = world_with(settings(), settings()).await;
    let tokyo = world.tokyo.cognito();
    for (number, username) in [(1, "sora"), (2, "taro")] {
        let mut original = named(username, number, &format!("{username}@example.jp"));
        let name = format!("{username} of Osaka");
        original
            .attributes
            .insert("preferred_username".into(), name);
        tokyo.put_user(&world.primary.id, original);
    }
    let mut copy = named("taro", 102, "old@example.jp");
    copy.attributes.insert(ORIGIN_SUB.into(), sub(2));
    world.osaka.cognito().put_user(&world.secondary.id, copy);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["created"], 1, "{first}");
    assert_eq!(second["status"], "complete", "{second}");
    let (made, written) = (replica(&world, "sora"), replica(&world, "taro"));
    assert!(made.is_some_and(|made| made.status == UserStatus::Confirmed));
    let written = written.expect("still there").attributes;
    assert_eq!(written["email"], "taro@example.jp");
}

#[tokio::test]
async fn somebody_whose_record_has_only_the_username_has_used_the_secondary_pool() {
    let settings = || PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        ..pool()
    };
    let world = world_with(settings(), settings()).await;
    for (number, username) in [(1, "sora"), (2, "taro"), (3, "ken")] {
        let address = format!("{username}@example.jp");
        let original = named(username, number, &address);
        let mut copy = named(username, number + 100, &address);
        copy.attributes.insert(ORIGIN_SUB.into(), sub(number));
        let record = json!({
            "version": 1, "trigger": "PostConfirmation_ConfirmForgotPassword", "pool": world.secondary.id,
            "username": username, "sub": null, "recorded_at": "2026-11-20T10:00:00Z", "attributes": copy.attributes,
        });
        let key = format!("journal/password-reset/{username}.json");
        put_object(&world, &key, record.to_string()).await;
        copy.attributes.insert("name".into(), "New".into());
        // One is still there, one was deleted in the primary pool long ago, and one has deleted themselves in the secondary pool.
        if number != 2 {
            world.tokyo.cognito().put_user(&world.primary.id, original);
        } else {
            copy.enabled = false;
            let withheld = json!({
                "version": 1, "why": "deleted", "first_missed": "2026-01-01T00:00:00Z", "attributes": {}, "groups": [],
            });
            let key = format!("withheld/{}.json", sub(number));
            put_object(&world, &key, withheld.to_string()).await;
        }
        if number != 3 {
            world.osaka.cognito().put_user(&world.secondary.id, copy);
        }
    }

    let answer = reconcile(&world).await;

    let mut reasons: Vec<_> = reported(&world, &answer)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "changed-in-secondary",
            "deleted-in-primary",
            "deleted-in-secondary"
        ],
        "{answer}"
    );
    assert_eq!(replica(&world, "sora").unwrap().attributes["name"], "New");
    assert!(replica(&world, "taro").is_some());
    assert!(replica(&world, "ken").is_none());
}

#[tokio::test]
async fn a_value_that_is_refused_at_creation_is_not_tried_again_either() {
    let settings = |max| {
        let mut settings = pool();
        let note = CustomAttribute {
            kind: CustomKind::Text { min: 0, max },
            ..CustomAttribute::text("note")
        };
        settings
            .custom_attributes
            .retain(|custom| custom.name != "note");
        settings.custom_attributes.push(note);
        settings
    };
    let world = world_with(settings(100), settings(5)).await;
    people(&world, 1);
    edit(&world, 0, &[("custom:note", "too long for Osaka")]);

    let first = reconcile(&world).await;
    world.clear_calls();
    let second = reconcile(&world).await;

    let refused = [("refused".to_owned(), vec!["custom:note".to_owned()])];
    assert_eq!(first["counts"]["created"], 1, "{first}");
    assert_eq!(reported(&world, &first), refused);
    assert_eq!(reported(&world, &second), refused);
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}
