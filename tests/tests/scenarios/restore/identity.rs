//! Which account in the primary pool belongs to whom: names that are taken, namesakes, and the `sub` of each pool.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::BACKUP_WORKER;
use serde_json::json;

use super::{
    at_home, away, file, in_osaka, newcomer, person, records, report, restore, with, world,
};
use crate::support::{email, invoke, snapshot, sub};

#[tokio::test]
async fn an_unconfirmed_user_with_the_same_name_is_deleted_only_when_requested() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    world.tokyo.cognito().put_user(
        &world.primary.id,
        SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(1)
        },
    );
    snapshot(&world).await.unwrap();

    let named = restore(&world, json!({})).await;
    let unconfirmed = at_home(&world, 1).unwrap().status;
    let reclaimed = restore(&world, json!({"reclaim_unconfirmed": true})).await;

    assert_eq!(named["status"], "incomplete");
    assert_eq!(
        away(&report(&world, &named))[&email(1)],
        "unconfirmed-in-primary"
    );
    assert_eq!(unconfirmed, UserStatus::Unconfirmed);
    assert_eq!(reclaimed["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().status,
        UserStatus::ResetRequired
    );
}

#[tokio::test]
async fn the_sub_of_another_user_in_an_ordinary_attribute_is_ignored() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "phone_number", "090-1234")).await;
    newcomer(&world, 2, with(person(2), "custom:tenant", &sub(1))).await;
    let disabled = SeedUser {
        enabled: false,
        ..with(person(3), "custom:tenant", "acme")
    };
    newcomer(&world, 3, disabled).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let home = |number| at_home(&world, number).unwrap();
    let map: BTreeSet<_> = [2, 3]
        .map(|number| format!("{},{},{}", email(number), sub(number), home(number).sub))
        .into();
    let lines = file(&world, &answer, "sub-map.csv");
    assert_eq!(
        lines
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        map
    );
    let waiting = BTreeSet::from([format!("{}.json", sub(1))]);
    assert_eq!(records(&world, "journal/sign-up/"), waiting);
    assert_eq!(home(3).attributes["custom:tenant"], "acme");
    assert_eq!(home(3).attributes["custom:origin_sub"], sub(3));
}

#[tokio::test]
async fn without_the_origin_attribute_records_are_matched_by_name_or_by_a_lookup() {
    let world = world().await;
    world
        .osaka
        .lambda()
        .unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "email", "renamed@example.jp")).await;
    newcomer(&world, 3, person(3)).await;
    let client = world.osaka.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
    delete.username(sub(3)).send().await.unwrap();
    // The records must be older than the sign-ups that can be in progress when the snapshot is taken.
    tokio::time::sleep(Duration::from_secs(11)).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    let map = file(&world, &answer, "sub-map.csv");
    assert!(map.contains(&format!("{},{},", email(1), sub(1))), "{map}");
    assert!(
        map.contains(&format!("renamed@example.jp,{},", sub(2))),
        "{map}"
    );
    let gone = BTreeMap::from([(sub(3), "deleted-in-secondary".to_owned())]);
    assert_eq!(away(&report(&world, &answer)), gone);
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn without_origins_and_a_snapshot_of_the_whole_pool_only_who_was_imported_is_home() {
    let world = world().await;
    let lambda = world.osaka.lambda();
    lambda.unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    let namesake = SeedUser {
        sub: None,
        ..person(2)
    };
    world.tokyo.cognito().put_user(&world.primary.id, namesake);
    let of_newcomers = json!({"action": "snapshot", "scope": "newcomers"});
    invoke(&world.osaka, BACKUP_WORKER, &of_newcomers)
        .await
        .unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "incomplete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 1, "{answer}");
    let another = BTreeMap::from([(email(2), "another-person".to_owned())]);
    assert_eq!(away(&report(&world, &answer)), another);
    let map = file(&world, &answer, "sub-map.csv");
    let home = at_home(&world, 1).unwrap().sub;
    let line = format!("{},{},{home}", email(1), sub(1));
    assert_eq!(map.lines().skip(1).collect::<Vec<_>>(), [line]);
    let waiting = BTreeSet::from([format!("{}.json", sub(2))]);
    assert_eq!(records(&world, "journal/sign-up/"), waiting);
}

#[tokio::test]
async fn without_origins_who_was_imported_by_one_restore_is_home_for_the_next_and_a_namesake_is_not()
 {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        let lambda = world.osaka.lambda();
        lambda.unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");
        newcomer(&world, 1, person(1)).await;
        let taken = json!({"action": "snapshot", "scope": scope});
        invoke(&world.osaka, BACKUP_WORKER, &taken).await.unwrap();
        restore(&world, json!({})).await;

        let again = restore(&world, json!({})).await;
        // The next restore takes a snapshot of the newcomers, which does not have the first one any more.
        newcomer(&world, 2, person(2)).await;
        let next = restore(&world, json!({})).await;

        assert_eq!(again["counts"]["already_home"], 1, "{scope}: {again}");
        for answer in [&again, &next] {
            let report = report(&world, answer);
            assert_eq!(answer["status"], "complete", "{scope}: {report}");
            assert!(file(&world, answer, "sub-map.csv").contains(&sub(1)));
        }
        // Somebody else has the name by now.
        let client = world.tokyo.cognito_client();
        let delete = client.admin_delete_user().username(email(1));
        let delete = delete.user_pool_id(&world.primary.id);
        delete.send().await.unwrap();
        let namesake = SeedUser {
            sub: None,
            ..person(1)
        };
        world.tokyo.cognito().put_user(&world.primary.id, namesake);
        if scope == "newcomers" {
            let last = restore(&world, json!({})).await;
            assert_eq!(last["status"], "incomplete", "{last}");
        }
    }
}

#[tokio::test]
async fn a_user_with_the_same_name_is_deleted_only_for_somebody_who_is_restored() {
    let world = world().await;
    newcomer(
        &world,
        1,
        SeedUser {
            enabled: false,
            ..person(1)
        },
    )
    .await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    for number in [1, 2] {
        let holder = SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(number)
        };
        world.tokyo.cognito().put_user(&world.primary.id, holder);
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"reclaim_unconfirmed": true})).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(at_home(&world, 1).unwrap().status, UserStatus::Confirmed);
    assert_eq!(at_home(&world, 2).unwrap().status, UserStatus::Unconfirmed);
}

#[tokio::test]
async fn a_federated_user_with_the_same_email_is_another_user() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    let federated = |number, sub| SeedUser {
        status: UserStatus::ExternalProvider,
        username: Some(format!("google_{number}")),
        sub,
        ..person(number)
    };
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, federated(1, None));
    in_osaka(&world, federated(2, Some(sub(90))));
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 2);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 3);
}
