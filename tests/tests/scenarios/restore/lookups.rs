//! People who are looked up instead of listed: what it costs, and who is found although a lookup by name does not find them.

use std::collections::BTreeMap;

use harness::operator;
use local_regions::cognito::SeedUser;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, ORIGIN_SUB, RESTORE, World};
use serde_json::json;

use super::{
    LARGE_POOL, at_home, away, in_osaka, newcomer, person, records, replicated, report, restore,
    signs_up, with, world,
};
use crate::support::{email, files, invoke, object, put_object, snapshot, sub};

/// Whether the primary pool was listed since the calls were cleared.
fn is_listed(world: &World) -> bool {
    let calls = world.calls();
    let mut calls = calls.iter();
    calls.any(|call| call.operation == "ListUsers" && call.region == world.tokyo.name())
}

/// The name of the snapshot of the newcomers.
const OF_NEWCOMERS: &str = "20991120T095959Z-0a1b2c3d";

/// Takes a snapshot, and makes one of the newcomers of it, which is the latest of the newcomers.
async fn snapshot_of_newcomers(world: &World) {
    let taken = snapshot(world).await.unwrap();
    let mut manifest = object(world, taken["manifest"].as_str().unwrap()).unwrap();
    manifest["scope"] = json!("newcomers");
    manifest["snapshot"] = json!(OF_NEWCOMERS);
    let of_everyone = manifest["files"].as_array_mut().unwrap();
    of_everyone.retain(|file| file["role"] != "users");
    let key = format!("snapshots/{OF_NEWCOMERS}/manifest.json");
    put_object(world, &key, manifest.to_string()).await;
    let latest = json!({
        "version": 1, "snapshot": OF_NEWCOMERS, "manifest": key, "started_at": manifest["started_at"],
    });
    put_object(world, "latest-newcomers.json", latest.to_string()).await;
}

/// In the primary pool, the person with this number moves to another address.
async fn moves(world: &World, number: u32) {
    let client = world.tokyo.cognito_client();
    let attribute = |name: &str, value: &str| {
        let attribute = aws_sdk_cognitoidentityprovider::types::AttributeType::builder();
        attribute.name(name).value(value).build().unwrap()
    };
    client
        .admin_update_user_attributes()
        .user_pool_id(&world.primary.id)
        .username(email(number))
        .user_attributes(attribute("email", "moved@example.jp"))
        .user_attributes(attribute("email_verified", "true"))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_calls_of_a_restore_into_a_large_pool_grow_with_the_newcomers_alone() {
    for newcomers in [20, 60] {
        let world = world().await;
        world
            .tokyo
            .cognito()
            .knobs()
            .set_estimated_users(LARGE_POOL);
        replicated(&world, 100);
        for number in 0..newcomers {
            newcomer(&world, number, person(number)).await;
        }
        snapshot(&world).await.unwrap();
        world.clear_calls();

        let answer = restore(&world, json!({})).await;

        assert_eq!(answer["status"], "complete", "{answer}");
        assert_eq!(answer["counts"]["imported"], newcomers);
        let calls = world.calls();
        let calls = calls.iter().filter(|call| call.service == Service::Cognito);
        let most = newcomers as usize * 6 + 100;
        assert!(calls.clone().count() <= most, "{}", calls.count());
        assert!(!is_listed(&world));
    }
}

#[tokio::test]
async fn of_a_snapshot_of_a_large_pool_only_the_newcomers_are_looked_up() {
    const REPLICAS: u32 = 2_500;
    let world = world().await;
    world.osaka.cognito().knobs().set_quotas(false);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_estimated_users(LARGE_POOL);
    for number in 0..REPLICAS {
        in_osaka(&world, person(number));
    }
    // A replica that the files leave out, and newcomers with and without a row.
    let disabled = |number| SeedUser {
        enabled: false,
        ..person(number)
    };
    in_osaka(&world, disabled(REPLICAS));
    newcomer(&world, REPLICAS + 1, person(REPLICAS + 1)).await;
    newcomer(&world, REPLICAS + 2, disabled(REPLICAS + 2)).await;
    snapshot(&world).await.unwrap();
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(answer["counts"]["created"], 1);
    assert!(!is_listed(&world));
    let calls = world.calls();
    let lookups = calls.iter().filter(|call| call.operation == "AdminGetUser");
    assert!(lookups.clone().count() < 20, "{}", lookups.count());
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn who_came_home_by_the_console_and_has_moved_is_not_brought_twice() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    let manifest = object(&world, taken["manifest"].as_str().unwrap()).unwrap();
    let csv = files(&world, &manifest, "newcomers");
    operator::import(&world.tokyo, &world.primary, csv.into_bytes())
        .await
        .unwrap();
    moves(&world, 1).await;

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(answer["counts"]["already_home"], 1);
    assert_eq!(world.tokyo.cognito().users(&world.primary.id).len(), 1);
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn who_was_created_one_by_one_and_has_moved_is_not_created_twice() {
    let world = world().await;
    let disabled = SeedUser {
        enabled: false,
        ..person(1)
    };
    newcomer(&world, 1, disabled).await;
    snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;
    moves(&world, 1).await;
    // As if the restore had been killed before it archived the record.
    signs_up(&world, 1).await;

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(answer["counts"]["already_home"], 1);
    assert_eq!(world.tokyo.cognito().users(&world.primary.id).len(), 1);
}

#[tokio::test]
async fn who_came_home_without_an_attribute_and_has_moved_is_found_by_the_map_of_subs() {
    let world = world().await;
    world
        .tokyo
        .cognito()
        .knobs()
        .set_estimated_users(LARGE_POOL);
    newcomer(&world, 1, with(person(1), "custom:note", "a\nb")).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: String::new(),
    };
    let write = Fault::on(Service::Cognito, "AdminUpdateUserAttributes", refuse);
    world.tokyo.faults().add(write.times(2));
    let first = restore(&world, json!({})).await;
    let home = at_home(&world, 1).unwrap();
    world.tokyo.faults().clear();
    moves(&world, 1).await;
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(first["counts"]["attributes_missing"], 1, "{first}");
    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(answer["counts"]["already_home"], 1);
    assert_eq!(answer["counts"]["attributes_written"], 1);
    let archived = format!("journal/restored/{}.json", sub(1));
    assert_eq!(object(&world, &archived).unwrap()["primary_sub"], home.sub);
    assert_eq!(world.tokyo.cognito().users(&world.primary.id).len(), 1);
    assert!(!is_listed(&world));
}

#[tokio::test]
async fn newcomers_are_restored_from_the_latest_snapshot_of_the_newcomers() {
    let world = world().await;
    replicated(&world, 0);
    newcomer(&world, 1, person(1)).await;
    let disabled = SeedUser {
        enabled: false,
        ..person(2)
    };
    newcomer(&world, 2, disabled).await;
    snapshot_of_newcomers(&world).await;

    let named = json!({"snapshot": OF_NEWCOMERS, "scope": "missing"});
    let refused = invoke(&world.tokyo, RESTORE, &named).await;
    let answer = restore(&world, json!({})).await;

    let refused = refused.unwrap_err();
    assert!(
        refused.contains("has only the people who signed up"),
        "{refused}"
    );
    let report = report(&world, &answer);
    assert_eq!(answer["status"], "complete", "{report}");
    assert_eq!(report["snapshot"], OF_NEWCOMERS);
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(answer["counts"]["created"], 1);
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn a_namesake_whose_replica_the_snapshot_of_the_newcomers_lacks_is_another_person() {
    let world = world().await;
    // Two users of the primary pool have the address of a newcomer now. One of them has a replica, under an earlier address.
    for number in [1, 2] {
        let holder = SeedUser {
            sub: Some(sub(number + 6)),
            ..person(number)
        };
        world.tokyo.cognito().put_user(&world.primary.id, holder);
        newcomer(&world, number, person(number)).await;
    }
    in_osaka(&world, with(person(9), ORIGIN_SUB, &sub(7)));
    snapshot_of_newcomers(&world).await;

    let answer = restore(&world, json!({})).await;

    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(email(1), "another-person".to_owned())])
    );
    assert_eq!(answer["counts"]["already_home"], 1);
    let waiting = [format!("{}.json", sub(1))];
    assert_eq!(records(&world, "journal/sign-up/"), waiting.into());
}
