//! Who is restored: newcomers, everyone who is missing, or a whole pool; and what a dry run says about it.

use std::collections::{BTreeMap, BTreeSet};

use harness::operator;
use jiff::{SignedDuration, Timestamp};
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, RESTORE, World};
use serde_json::{Value, json};

use super::{
    at_home, away, file, in_osaka, newcomer, person, records, replicated, report, restore, with,
    world,
};
use crate::support::{email, files, invoke, object, put_object, snapshot, sub};

#[tokio::test]
async fn newcomers_are_restored_and_their_records_are_archived() {
    let world = world().await;
    for number in 0..3 {
        replicated(&world, number);
    }
    for number in 3..6 {
        newcomer(
            &world,
            number,
            with(person(number), "name", "Tarō, the first"),
        )
        .await;
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 3);
    assert_eq!(answer["counts"]["filed"], 3);
    let mut sub_map = BTreeSet::from(["username,secondary_sub,primary_sub".to_owned()]);
    for number in 3..6 {
        let home = at_home(&world, number).expect("home");
        assert_eq!(home.status, UserStatus::ResetRequired);
        assert_eq!(home.attributes["name"], "Tarō, the first");
        assert_eq!(home.attributes["custom:origin_sub"], sub(number));
        let record = format!("journal/restored/{}.json", sub(number));
        assert_eq!(object(&world, &record).unwrap()["primary_sub"], home.sub);
        sub_map.insert(format!("{},{},{}", email(number), sub(number), home.sub));
    }
    let lines = file(&world, &answer, "sub-map.csv");
    assert_eq!(
        lines.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
        sub_map
    );
    assert!(records(&world, "journal/sign-up/").is_empty());
    let filed: BTreeSet<_> = (3..6)
        .map(|number| format!("{}.json", sub(number)))
        .collect();
    assert_eq!(records(&world, "journal/restored/"), filed);
    assert!(away(&report(&world, &answer)).is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_stores_the_file_that_would_be_uploaded() {
    let world = world().await;
    replicated(&world, 0);
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    world.tokyo.cognito().put_user(
        &world.primary.id,
        SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(2)
        },
    );
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"dry_run": true})).await;

    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["counts"]["imported"], 1);
    let import = file(&world, &answer, "import-0001.csv");
    assert_eq!(import.lines().count(), 2);
    assert!(import.contains(&email(1)));
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(2), "unconfirmed-in-primary".to_owned())])
    );
    assert!(report["estimated_seconds"].is_u64());
    assert!(at_home(&world, 1).is_none());
    assert_eq!(records(&world, "journal/sign-up/").len(), 2);
    assert!(object(&world, "restores/open.json").is_none());
}

#[tokio::test]
async fn after_an_import_with_the_console_everyone_is_found_and_the_journal_is_archived() {
    let world = world().await;
    replicated(&world, 0);
    for number in 1..4 {
        newcomer(&world, number, person(number)).await;
    }
    let taken = snapshot(&world).await.unwrap();
    let manifest = object(&world, taken["manifest"].as_str().unwrap()).unwrap();
    let csv = files(&world, &manifest, "newcomers");
    operator::import(&world.tokyo, &world.primary, csv.into_bytes())
        .await
        .unwrap();
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["counts"]["already_home"], 3);
    assert_eq!(answer["counts"]["filed"], 3);
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "CreateUserImportJob")
    );
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 4);
}

#[tokio::test]
async fn a_second_restore_finds_everyone_restored() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;

    let again = restore(&world, json!({})).await;

    assert_eq!(again["status"], "complete");
    assert_eq!(again["counts"]["already_home"], 1);
    assert_eq!(again["counts"]["imported"], 0);
    assert_eq!(file(&world, &again, "sub-map.csv").lines().count(), 2);
}

#[tokio::test]
async fn deleted_users_are_not_restored_unless_requested() {
    let world = world().await;
    in_osaka(&world, person(0));
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;
    let client = world.tokyo.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.primary.id);
    delete.username(email(1)).send().await.unwrap();

    let again = restore(&world, json!({})).await;
    let absent = (at_home(&world, 0).is_none(), at_home(&world, 1).is_none());
    let missing = restore(&world, json!({"scope": "missing"})).await;

    // Nobody can tell that the user was deleted on purpose, and not restored into another pool.
    assert_eq!(again["status"], "incomplete");
    assert_eq!(again["counts"]["not_in_primary"], 1);
    assert_eq!(
        away(&report(&world, &again)),
        BTreeMap::from([
            (email(0), "not-in-primary".to_owned()),
            (email(1), "restored-before".to_owned()),
        ])
    );
    assert_eq!(absent, (true, true));
    assert_eq!(missing["counts"]["imported"], 2);
    assert!(at_home(&world, 0).is_some() && at_home(&world, 1).is_some());
}

#[tokio::test]
async fn whoever_is_not_in_the_primary_pool_is_named_by_identity_if_no_record_says_their_sub() {
    let world = world().await;
    for number in [1, 2] {
        let identity = sub(number + 100);
        in_osaka(&world, with(person(number), "custom:origin_sub", &identity));
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    let people = report["not_home"].as_array().unwrap();
    let subs: BTreeSet<_> = people.iter().map(|person| person["sub"].as_str()).collect();
    let identities = [sub(101), sub(102)];
    let identities = identities.iter().map(|identity| Some(identity.as_str()));
    assert_eq!(subs, identities.collect(), "{report}");
}

#[tokio::test]
async fn an_empty_pool_is_restored_with_all_users() {
    let world = world().await;
    for number in 0..20 {
        in_osaka(&world, person(number));
    }
    in_osaka(
        &world,
        SeedUser {
            status: UserStatus::Unconfirmed,
            ..person(20)
        },
    );
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"scope": "users"})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["counts"]["imported"], 20);
    assert_eq!(answer["counts"]["not_restorable"], 1);
    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(email(20), "unconfirmed".to_owned())])
    );
}

#[tokio::test]
async fn a_sign_up_newer_than_the_snapshot_is_an_error_unless_it_is_accepted() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    newcomer(&world, 2, person(2)).await;
    let named = json!({"snapshot": taken["snapshot"]});

    let refused = invoke(&world.tokyo, RESTORE, &named).await.unwrap_err();
    let accepted = restore(&world, json!({"allow_stale": true})).await;

    assert!(refused.contains("take a snapshot first"), "{refused}");
    assert_eq!(accepted["status"], "incomplete");
    assert_eq!(
        away(&report(&world, &accepted)),
        BTreeMap::from([(email(2), "newer-than-snapshot".to_owned())])
    );
    assert!(at_home(&world, 1).is_some());
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([format!("{}.json", sub(2))])
    );
}

#[tokio::test]
async fn a_restore_takes_a_snapshot_of_the_newcomers_first_if_people_have_signed_up_since() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    newcomer(&world, 2, person(2)).await;

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 2);
    let latest = object(&world, "latest-newcomers.json").unwrap();
    assert_ne!(latest["snapshot"], taken["snapshot"]);
    assert_eq!(report(&world, &answer)["snapshot"], latest["snapshot"]);
}

/// Takes a snapshot of the newcomers.
async fn newcomers_snapshot(world: &World) -> Value {
    let wanted = json!({"action": "snapshot", "scope": "newcomers"});
    let taken = invoke(&world.osaka, BACKUP_WORKER, &wanted).await;
    taken.unwrap()
}

/// Makes it look as if the people of a snapshot had been looked up, or listed, two hours ago.
async fn grow_old(world: &World, taken: &Value) {
    let key = taken["manifest"].as_str().unwrap();
    let mut manifest = object(world, key).unwrap();
    let since = match manifest["scope"].as_str() {
        Some("newcomers") => "as_of",
        _ => "started_at",
    };
    manifest[since] = json!(Timestamp::now() - SignedDuration::from_hours(2));
    put_object(world, key, manifest.to_string()).await;
}

/// How often somebody was looked up in the secondary pool.
fn lookups_in_osaka(world: &World) -> usize {
    let calls = world.calls().into_iter();
    let in_osaka = calls.filter(|call| call.region == world.osaka.name());
    in_osaka
        .filter(|call| call.operation == "AdminGetUser")
        .count()
}

#[tokio::test]
async fn newcomers_who_were_looked_up_or_listed_long_before_the_restore_are_looked_up_again() {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        for number in 1..=2 {
            newcomer(&world, number, person(number)).await;
        }
        let wanted = json!({"action": "snapshot", "scope": scope});
        let taken = invoke(&world.osaka, BACKUP_WORKER, &wanted).await.unwrap();
        grow_old(&world, &taken).await;
        // Somebody has changed a value since, which no look before the import compares.
        let name = aws_sdk_cognitoidentityprovider::types::AttributeType::builder();
        let name = name.name("name").value("Hanako").build().unwrap();
        let client = world.osaka.cognito_client();
        let update = client.admin_update_user_attributes().user_attributes(name);
        let update = update.user_pool_id(&world.secondary.id);
        update.username(email(2)).send().await.unwrap();

        let answer = restore(&world, json!({})).await;

        assert_eq!(answer["status"], "complete", "{answer}");
        assert!(at_home(&world, 1).is_some());
        assert_eq!(at_home(&world, 2).unwrap().attributes["name"], "Hanako");
        assert_ne!(report(&world, &answer)["snapshot"], taken["snapshot"]);
    }
}

#[tokio::test]
async fn an_old_snapshot_of_the_whole_pool_is_not_renewed_while_no_newcomer_waits() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;
    grow_old(&world, &taken).await;

    let again = restore(&world, json!({})).await;

    assert_eq!(again["status"], "complete", "{again}");
    assert_eq!(report(&world, &again)["snapshot"], taken["snapshot"]);
}

#[tokio::test]
async fn somebody_who_has_left_after_signing_up_keeps_no_restore_from_being_complete() {
    let world = world().await;
    for number in 1..=2 {
        newcomer(&world, number, person(number)).await;
    }
    let client = world.osaka.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
    delete.username(email(1)).send().await.unwrap();
    newcomers_snapshot(&world).await;

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(sub(1), "deleted-in-secondary".to_owned())])
    );
    assert!(at_home(&world, 1).is_none());
}

#[tokio::test]
async fn newcomers_whose_pool_does_not_answer_are_restored_as_they_were_only_on_request() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = newcomers_snapshot(&world).await;
    grow_old(&world, &taken).await;
    let away = Fault::of(Service::Cognito, Kind::Refuse);
    world.osaka.faults().add(away);

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();
    let answer = restore(&world, json!({"allow_stale": true})).await;

    assert!(refused.contains("disabled or deleted since"), "{refused}");
    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["unchecked"], 1, "{answer}");
    assert_eq!(report(&world, &answer)["snapshot"], taken["snapshot"]);
    assert!(at_home(&world, 1).is_some());
}

#[tokio::test]
async fn a_restore_adds_who_has_signed_up_since_to_a_fresh_snapshot_of_the_newcomers() {
    let world = world().await;
    for number in 0..20 {
        newcomer(&world, number, person(number)).await;
    }
    newcomers_snapshot(&world).await;
    newcomer(&world, 20, person(20)).await;
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["counts"]["imported"], 21, "{answer}");
    let lookups = lookups_in_osaka(&world);
    assert!(
        lookups <= 23,
        "everybody once before they are imported, and the new one for the snapshot: {lookups}"
    );
}

#[tokio::test]
async fn somebody_who_stays_newer_than_every_snapshot_is_reported_and_keeps_nobody_from_coming_home()
 {
    let world = world().await;
    for number in 0..10 {
        newcomer(&world, number, person(number)).await;
    }
    // They have a record, and their pool says that they have not confirmed.
    let unconfirmed = SeedUser {
        status: UserStatus::Unconfirmed,
        ..person(10)
    };
    newcomer(&world, 10, unconfirmed).await;
    snapshot(&world).await.unwrap();
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["counts"]["imported"], 10);
    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(email(10), "newer-than-snapshot".to_owned())])
    );
    let lookups = lookups_in_osaka(&world);
    assert!(
        lookups <= 25,
        "everybody once for the snapshot and once before they are imported, and one again: {lookups}"
    );
}

#[tokio::test]
async fn a_restore_into_the_same_pool_takes_no_snapshot_that_would_lack_who_was_deleted() {
    let world = world().await;
    for number in 1..=2 {
        newcomer(&world, number, person(number)).await;
    }
    let taken = newcomers_snapshot(&world).await;
    grow_old(&world, &taken).await;
    let client = world.osaka.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
    delete.username(email(1)).send().await.unwrap();
    let lambda = world.tokyo.lambda();
    lambda.set_env(RESTORE, "USER_POOL_ID", &world.secondary.id);
    lambda.set_env(RESTORE, "SAME_POOL", "true");

    let old = restore(&world, json!({"dry_run": true})).await;
    newcomer(&world, 3, person(3)).await;
    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();
    let answer = restore(&world, json!({"allow_stale": true})).await;

    assert_eq!(report(&world, &old)["snapshot"], taken["snapshot"]);
    assert!(refused.contains("take a snapshot first"), "{refused}");
    assert_eq!(report(&world, &answer)["snapshot"], taken["snapshot"]);
    let back = world.osaka.cognito().user(&world.secondary.id, &email(1));
    assert!(back.is_some());
}

#[tokio::test]
async fn a_restore_is_refused_if_people_have_signed_up_since_and_their_pool_does_not_answer() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    newcomer(&world, 2, person(2)).await;
    let away = Fault::of(Service::Cognito, Kind::Refuse);
    world.osaka.faults().add(away);

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(refused.contains("take a snapshot first"), "{refused}");
    assert!(at_home(&world, 1).is_none());
}
