//! A restore never says that somebody is home who is not: other people with the same name, skipped rows, late confirmations, and
//! the wrong pool.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use harness::operator;
use local_regions::cognito::{
    Alias, Contact, CustomAttribute, Pool, PoolSettings, SeedUser, UserStatus,
};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_TRIGGER, BACKUP_WORKER, ORIGIN_SUB, RESTORE, World, pool};
use serde_json::{Value, json};

use super::resume::expire_lease;
use super::{
    at_home, away, file, in_osaka, newcomer, person, records, report, restore, signs_up, with,
    world,
};
use crate::support::{answer, called, confirmation, email, files, invoke, object, snapshot, sub};

/// Replaces the pools by others.
fn with_pools(world: &World, primary: PoolSettings, secondary: PoolSettings) -> (Pool, Pool) {
    let primary = world.tokyo.cognito().create_pool(primary);
    let secondary = world.osaka.cognito().create_pool(secondary);
    let (tokyo, osaka) = (world.tokyo.lambda(), world.osaka.lambda());
    tokyo.set_env(RESTORE, "USER_POOL_ID", &primary.id);
    osaka.set_env(BACKUP_WORKER, "USER_POOL_ID", &secondary.id);
    (primary, secondary)
}

/// A pool whose people sign in with a username, or with a verified email address.
fn username_pool() -> PoolSettings {
    PoolSettings {
        username_attributes: Vec::new(),
        alias_attributes: vec![Alias::Email],
        ..pool()
    }
}

/// A user of a username pool, who signed up in Osaka.
async fn named_newcomer(world: &World, pool: &Pool, username: &str, number: u32) -> SeedUser {
    let user = SeedUser {
        username: Some(username.to_owned()),
        ..person(number)
    };
    world.osaka.cognito().put_user(&pool.id, user.clone());
    let mut event = confirmation(number);
    event["userName"] = json!(username);
    event["userPoolId"] = json!(pool.id);
    answer(&world.osaka, BACKUP_TRIGGER, event.to_string().as_bytes()).await;
    user
}

fn record(number: u32) -> String {
    format!("{}.json", sub(number))
}

fn detail(report: &Value, position: usize) -> &str {
    let detail = report["not_home"][position]["detail"].as_str();
    detail.unwrap_or_default()
}

#[tokio::test]
async fn somebody_who_confirms_after_the_snapshot_is_newer_than_it() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let unconfirmed = SeedUser {
        status: UserStatus::Unconfirmed,
        ..person(2)
    };
    in_osaka(&world, unconfirmed);
    let taken = snapshot(&world).await.unwrap();
    let client = world.osaka.cognito_client();
    let confirm = client.admin_confirm_sign_up().username(email(2));
    confirm
        .user_pool_id(&world.secondary.id)
        .send()
        .await
        .unwrap();
    signs_up(&world, 2).await;

    let named = json!({"snapshot": taken["snapshot"]});
    let refused = invoke(&world.tokyo, RESTORE, &named).await;
    let accepted = restore(&world, json!({"allow_stale": true})).await;
    snapshot(&world).await.unwrap();
    let fresh = restore(&world, json!({})).await;

    let refused = refused.unwrap_err();
    assert!(
        refused.contains("1 people have signed up since"),
        "{refused}"
    );
    assert_eq!(accepted["status"], "incomplete");
    assert_eq!(
        away(&report(&world, &accepted)),
        BTreeMap::from([(email(2), "newer-than-snapshot".to_owned())])
    );
    assert_eq!(fresh["status"], "complete", "{}", report(&world, &fresh));
    assert!(at_home(&world, 2).is_some());
}

#[tokio::test]
async fn a_restore_into_the_pool_of_the_snapshot_is_refused_unless_requested() {
    let world = world().await;
    for number in 0..3 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let lambda = world.tokyo.lambda();
    lambda.set_env(RESTORE, "USER_POOL_ID", &world.secondary.id);

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await;
    let waiting = records(&world, "journal/sign-up/").len();
    let requested = restore(&world, json!({"same_pool": true})).await;
    lambda.set_env(RESTORE, "SAME_POOL", "true");
    let configured = restore(&world, json!({"dry_run": true})).await;

    let refused = refused.unwrap_err();
    assert!(refused.contains("same_pool (--same-pool)"), "{refused}");
    assert_eq!(waiting, 3);
    assert_eq!(requested["counts"]["already_home"], 3);
    assert_eq!(configured["counts"]["already_home"], 3);
}

#[tokio::test]
async fn archived_records_of_users_who_are_not_in_the_pool_are_named() {
    let world = world().await;
    for number in 0..2 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    newcomer(&world, 2, person(2)).await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(RESTORE, "USER_POOL_ID", &world.secondary.id);
    let wrong_pool = json!({"same_pool": true, "allow_stale": true});
    let wrong = restore(&world, wrong_pool).await;
    lambda.set_env(RESTORE, "USER_POOL_ID", &world.primary.id);

    let right = restore(&world, json!({})).await;
    let everyone = restore(&world, json!({"scope": "missing"})).await;

    assert_eq!(wrong["counts"]["filed"], 3);
    assert_eq!(right["status"], "incomplete");
    let reason = |number| (email(number), "restored-before".to_owned());
    assert_eq!(
        away(&report(&world, &right)),
        BTreeMap::from([0, 1, 2].map(reason))
    );
    assert_eq!(
        away(&report(&world, &everyone)),
        BTreeMap::from([reason(2)])
    );
    assert!(at_home(&world, 0).is_some() && at_home(&world, 1).is_some());
}

#[tokio::test]
async fn a_user_whose_row_is_skipped_is_not_home() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    named_newcomer(&world, &secondary, "ada", 1).await;
    named_newcomer(&world, &secondary, "ben", 2).await;
    // The address is an alias of somebody else. An imported row for it is skipped (local regions, facts 1.8).
    let holder = SeedUser {
        username: Some("ada.old".to_owned()),
        sub: Some(sub(9)),
        ..person(1)
    };
    world.tokyo.cognito().put_user(&primary.id, holder);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;
    let again = restore(&world, json!({})).await;

    for answer in [&answer, &again] {
        let report = report(&world, answer);
        assert_eq!(answer["status"], "incomplete", "{report}");
        assert_eq!(
            away(&report),
            BTreeMap::from([("ada".to_owned(), "address-taken".to_owned())])
        );
        assert_eq!(detail(&report, 0), sub(9));
        let sub_map = file(&world, answer, "sub-map.csv");
        assert!(sub_map.lines().all(|row| !row.starts_with("ada,")));
    }
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([record(1)])
    );
}

#[tokio::test]
async fn the_skipped_rows_of_a_killed_run_bring_nobody_home_for_another_request() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    for (name, number) in [("ada", 1), ("ben", 2), ("cho", 3)] {
        named_newcomer(&world, &secondary, name, number).await;
    }
    let holder = SeedUser {
        username: Some("ada.old".to_owned()),
        sub: Some(sub(9)),
        ..person(1)
    };
    world.tokyo.cognito().put_user(&primary.id, holder);
    snapshot(&world).await.unwrap();
    world.clear_calls();
    let request = json!({});
    let running = invoke(&world.tokyo, RESTORE, &request);
    let killing = async {
        called(&world, "StartUserImportJob").await;
        world.tokyo.lambda().kill(RESTORE);
        std::future::pending::<()>().await
    };
    tokio::select! {
        _ = running => {},
        () = killing => unreachable!("it never ends"),
    }
    expire_lease(&world).await;

    let answer = restore(&world, json!({"scope": "missing"})).await;

    let report = report(&world, &answer);
    assert_eq!(answer["status"], "incomplete", "{report}");
    assert_eq!(
        away(&report),
        BTreeMap::from([("ada".to_owned(), "address-taken".to_owned())])
    );
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([record(1)])
    );
}

#[tokio::test]
async fn of_two_users_whose_names_are_one_name_in_the_pool_the_second_is_not_home() {
    let world = world().await;
    let settings = |case_sensitive| PoolSettings {
        case_sensitive,
        custom_attributes: ["tenant", "note"].map(CustomAttribute::text).to_vec(),
        ..pool()
    };
    let unset = |region: &local_regions::region::Region, function| {
        region.lambda().unset_env(function, "ORIGIN_SUB_ATTRIBUTE");
    };
    unset(&world.osaka, BACKUP_WORKER);
    unset(&world.tokyo, RESTORE);
    // People move from a pool that distinguishes letter case to one that does not (ef-cms#8581).
    let (primary, secondary) = with_pools(&world, settings(false), settings(true));
    for (number, email) in [
        (1, "Foo.Bar@example.com"),
        (2, "foo.bar@example.com"),
        (3, "solo@example.com"),
    ] {
        let user = with(person(number), "email", email);
        world.osaka.cognito().put_user(&secondary.id, user);
    }
    snapshot(&world).await.unwrap();

    let dry = restore(&world, json!({"scope": "users", "dry_run": true})).await;
    let real = restore(&world, json!({"scope": "users"})).await;
    let again = restore(&world, json!({"scope": "users"})).await;

    for answer in [&dry, &real] {
        assert_eq!(answer["status"], "incomplete", "{answer}");
        assert_eq!(answer["counts"]["imported"], 2);
    }
    assert_eq!(again["counts"]["already_home"], 2);
    for answer in [&dry, &real, &again] {
        assert_eq!(answer["counts"]["not_home"], 1);
        let reasons: Vec<_> = away(&report(&world, answer)).into_values().collect();
        assert_eq!(reasons, ["duplicate-name"]);
    }
    assert_eq!(world.tokyo.cognito().users(&primary.id).len(), 2);
}

/// A case-sensitive pool lets two people verify addresses that differ in letter case only.
#[tokio::test]
async fn of_two_people_whose_addresses_are_one_in_the_target_pool_the_second_is_a_duplicate() {
    let world = world().await;
    let sensitive = PoolSettings {
        case_sensitive: true,
        ..username_pool()
    };
    let (primary, secondary) = with_pools(&world, username_pool(), sensitive);
    for (name, number, address) in [
        ("ada", 1, "Foo.Bar@example.jp"),
        ("ben", 2, "foo.bar@example.jp"),
        ("cho", 3, "cho@example.jp"),
    ] {
        let user = SeedUser {
            username: Some(name.to_owned()),
            ..with(person(number), "email", address)
        };
        world.osaka.cognito().put_user(&secondary.id, user);
    }
    snapshot(&world).await.unwrap();

    let dry = restore(&world, json!({"scope": "users", "dry_run": true})).await;
    let real = restore(&world, json!({"scope": "users"})).await;

    let duplicates = [&dry, &real].map(|answer| away(&report(&world, answer)));
    assert_eq!(duplicates[0], duplicates[1]);
    let reasons: Vec<_> = duplicates[0].values().map(String::as_str).collect();
    assert_eq!(reasons, ["duplicate-name"]);
    assert_eq!(real["status"], "incomplete");
    assert_eq!(world.tokyo.cognito().users(&primary.id).len(), 2);
}

#[tokio::test]
async fn addresses_that_nobody_signs_in_with_make_no_duplicates() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    for (name, number, verified) in [("ada", 1, "true"), ("ben", 2, "false")] {
        let user = with(person(number), "email", "both@example.jp");
        let user = SeedUser {
            username: Some(name.to_owned()),
            ..with(user, "email_verified", verified)
        };
        world.osaka.cognito().put_user(&secondary.id, user);
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"scope": "users"})).await;

    let reasons = away(&report(&world, &answer));
    assert!(!reasons.contains_key("ada"), "{reasons:?}");
    assert_ne!(
        reasons.get("ben").map(String::as_str),
        Some("duplicate-name")
    );
    assert!(world.tokyo.cognito().user(&primary.id, "ada").is_some());
}

/// facts N11.11: the write of an address would take it from its holder, without an error.
#[tokio::test]
async fn an_address_of_another_user_that_no_import_file_can_carry_is_reported_and_not_taken() {
    let world = world().await;
    let pool = || PoolSettings {
        auto_verified: vec![Contact::Email, Contact::PhoneNumber],
        ..username_pool()
    };
    let (primary, secondary) = with_pools(&world, pool(), pool());
    let address = "\"o,k\"@example.jp";
    let ada = with(person(1), "email", address);
    let ada = with(ada, "phone_number", "+819012345678");
    let ada = SeedUser {
        username: Some("ada".to_owned()),
        ..with(ada, "phone_number_verified", "true")
    };
    world.osaka.cognito().put_user(&secondary.id, ada);
    let holder = SeedUser {
        username: Some("old".to_owned()),
        ..with(person(9), "email", address)
    };
    world.tokyo.cognito().put_user(&primary.id, holder);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"scope": "users"})).await;

    let report = report(&world, &answer);
    assert_eq!(answer["status"], "incomplete", "{report}");
    let missing = &report["attributes_missing"][0];
    assert_eq!(missing["username"], "ada", "{report}");
    assert_eq!(missing["attribute"], "email");
    assert_eq!(missing["code"], "name-held");
    let holder = world.tokyo.cognito().user(&primary.id, "old").unwrap();
    assert_eq!(holder.attributes["email_verified"], "true");
    let ada = world.tokyo.cognito().user(&primary.id, "ada").unwrap();
    assert!(!ada.attributes.contains_key("email"));
}

#[tokio::test]
async fn a_newcomer_whose_name_becomes_one_with_a_replicas_is_joined_with_nobody() {
    let world = world().await;
    let settings = |case_sensitive| PoolSettings {
        case_sensitive,
        ..pool()
    };
    let (primary, secondary) = with_pools(&world, settings(false), settings(true));
    let original = SeedUser {
        sub: Some(sub(7)),
        ..with(person(7), "email", "Foo@example.com")
    };
    world
        .tokyo
        .cognito()
        .put_user(&primary.id, original.clone());
    let replica = SeedUser {
        sub: Some(sub(8)),
        ..with(original, ORIGIN_SUB, &sub(7))
    };
    world.osaka.cognito().put_user(&secondary.id, replica);
    let other = with(person(1), "email", "foo@example.com");
    world.osaka.cognito().put_user(&secondary.id, other);
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["email"] = json!("foo@example.com");
    answer(&world.osaka, BACKUP_TRIGGER, event.to_string().as_bytes()).await;
    snapshot(&world).await.unwrap();

    let first = restore(&world, json!({})).await;
    snapshot(&world).await.unwrap();
    let second = restore(&world, json!({})).await;

    for answer in [&first, &second] {
        assert_eq!(answer["status"], "incomplete", "{answer}");
        assert_eq!(answer["counts"]["not_home"], 1, "{answer}");
        assert_eq!(file(&world, answer, "sub-map.csv").lines().count(), 1);
    }
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([record(1)])
    );
}

#[tokio::test]
async fn a_namesake_in_a_pool_that_signs_in_by_username_is_another_person() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    let taro = named_newcomer(&world, &secondary, "taro", 1).await;
    let taro = with(taro, "custom:note", "a\nb");
    world.osaka.cognito().put_user(&secondary.id, taro.clone());
    let jiro = named_newcomer(&world, &secondary, "jiro", 2).await;
    let namesake = SeedUser {
        username: Some("taro".to_owned()),
        sub: Some(sub(9)),
        ..person(9)
    };
    world.tokyo.cognito().put_user(&primary.id, namesake);
    // This one has the same verified address: the same person has signed up in both pools.
    let same = SeedUser { sub: None, ..jiro };
    world.tokyo.cognito().put_user(&primary.id, same);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    assert_eq!(answer["status"], "incomplete", "{report}");
    assert_eq!(
        away(&report),
        BTreeMap::from([("taro".to_owned(), "another-person".to_owned())])
    );
    assert_eq!(detail(&report, 0), sub(9));
    assert_eq!(answer["counts"]["already_home"], 1);
    let namesake = world.tokyo.cognito().user(&primary.id, "taro").unwrap();
    assert!(!namesake.attributes.contains_key("custom:note"));
    assert!(!file(&world, &answer, "sub-map.csv").contains("taro"));
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([record(1)])
    );
}

#[tokio::test]
async fn an_address_that_changed_hands_does_not_bring_its_new_owner_home() {
    let world = world().await;
    // One newcomer was restored and has moved to another address; somebody else has signed up with the old one since.
    newcomer(&world, 1, with(person(1), "email", "moved@example.jp")).await;
    newcomer(&world, 2, with(person(2), "email", &email(1))).await;
    let earlier = SeedUser {
        sub: Some(sub(8)),
        ..with(person(1), ORIGIN_SUB, &sub(1))
    };
    world.tokyo.cognito().put_user(&world.primary.id, earlier);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(1), "another-person".to_owned())]),
        "{report}"
    );
    assert_eq!(answer["counts"]["already_home"], 1);
    assert_eq!(
        file(&world, &answer, "sub-map.csv").lines().nth(1),
        Some(format!("moved@example.jp,{},{}", sub(1), sub(8)).as_str())
    );
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([record(2)])
    );
}

#[tokio::test]
async fn two_users_with_the_identity_of_a_newcomer_are_a_conflict() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    let manifest = object(&world, taken["manifest"].as_str().unwrap()).unwrap();
    let csv = files(&world, &manifest, "newcomers");
    for number in [8, 9] {
        let copy = csv.replace(&email(1), &email(number));
        operator::import(&world.tokyo, &world.primary, copy.into_bytes())
            .await
            .unwrap();
    }

    let answer = restore(&world, json!({})).await;

    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(email(1), "identity-twice".to_owned())])
    );
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn a_user_whom_an_operator_made_keeps_the_invitation() {
    let world = world().await;
    let disabled = SeedUser {
        enabled: false,
        ..person(1)
    };
    newcomer(&world, 1, disabled).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: String::new(),
    };
    let create = Fault::on(Service::Cognito, "AdminCreateUser", refuse);
    world.tokyo.faults().add(create.times(1));
    let first = restore(&world, json!({})).await;
    let by_hand = SeedUser {
        status: UserStatus::ForceChangePassword,
        sub: None,
        ..person(1)
    };
    world.tokyo.cognito().put_user(&world.primary.id, by_hand);
    world.clear_calls();

    let second = restore(&world, json!({})).await;

    assert_eq!(away(&report(&world, &first))[&email(1)], "create-failed");
    assert_eq!(
        away(&report(&world, &second))[&email(1)],
        "exists-in-primary"
    );
    let user = at_home(&world, 1).unwrap();
    assert_eq!(
        (user.status, user.enabled),
        (UserStatus::ForceChangePassword, true)
    );
    let calls = world.calls();
    let writes = ["AdminSetUserPassword", "AdminDisableUser"];
    assert!(
        !calls
            .iter()
            .any(|call| writes.contains(&call.operation.as_str()))
    );
}

#[tokio::test]
async fn a_user_who_is_created_is_looked_up_before_the_restore_is_complete() {
    let world = world().await;
    let disabled = SeedUser {
        enabled: false,
        ..person(1)
    };
    newcomer(&world, 1, disabled).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    let calls = world.calls();
    let last = |operation: &str| {
        let mut calls = calls.iter();
        calls.rposition(|call| call.operation == operation && call.region == world.tokyo.name())
    };
    assert!(last("AdminGetUser") > last("AdminSetUserPassword"));
}

#[tokio::test]
async fn a_job_that_expired_before_it_was_started_is_made_again() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "NotAuthorizedException".into(),
        message: String::new(),
    };
    let start = Fault::on(Service::Cognito, "StartUserImportJob", refuse);
    world.tokyo.faults().add(start.times(1));
    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await;
    world
        .tokyo
        .cognito()
        .advance(Duration::from_secs(49 * 60 * 60));

    let answer = restore(&world, json!({})).await;

    assert!(refused.unwrap_err().contains("StartUserImportJob"));
    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 1);
}

#[tokio::test]
async fn an_immutable_attribute_that_no_file_can_carry_is_given_at_creation() {
    let world = world().await;
    let tenant = CustomAttribute {
        mutable: false,
        ..CustomAttribute::text("tenant")
    };
    let settings = PoolSettings {
        custom_attributes: vec![tenant, CustomAttribute::text("origin_sub")],
        ..pool()
    };
    let (primary, secondary) = with_pools(&world, settings.clone(), settings);
    for (number, tenant) in [(1, "CORP\\tokyo"), (2, "acme")] {
        let user = with(person(number), "custom:tenant", tenant);
        world.osaka.cognito().put_user(&secondary.id, user);
        signs_up(&world, number).await;
    }
    snapshot(&world).await.unwrap();

    let dry = restore(&world, json!({"dry_run": true})).await;
    let answer = restore(&world, json!({})).await;

    for answer in [&dry, &answer] {
        assert_eq!(answer["status"], "complete", "{}", report(&world, answer));
        let counts = &answer["counts"];
        assert_eq!(
            (&counts["imported"], &counts["created"]),
            (&json!(1), &json!(1))
        );
    }
    let home = world.tokyo.cognito().user(&primary.id, &email(1)).unwrap();
    assert_eq!(home.attributes["custom:tenant"], "CORP\\tokyo");
    assert_eq!(home.attributes[ORIGIN_SUB], sub(1));
    assert_eq!(home.status, UserStatus::Confirmed);
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn a_user_to_create_whose_address_somebody_has_is_named_with_the_holder() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    let ada = named_newcomer(&world, &secondary, "ada", 1).await;
    let disabled = SeedUser {
        enabled: false,
        ..ada
    };
    world.osaka.cognito().put_user(&secondary.id, disabled);
    let holder = SeedUser {
        username: Some("ada.old".to_owned()),
        sub: Some(sub(9)),
        ..person(1)
    };
    world.tokyo.cognito().put_user(&primary.id, holder);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([("ada".to_owned(), "address-taken".to_owned())])
    );
    assert_eq!(detail(&report, 0), sub(9));
}

#[tokio::test]
async fn a_refusal_of_the_set_up_is_shown_with_the_text_of_cognito() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: "The role does not have a trust relationship with 'taro@example.jp'".into(),
    };
    let create = Fault::on(Service::Cognito, "CreateUserImportJob", refuse);
    world.tokyo.faults().add(create.times(1));

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(
        error.contains("does not have a trust relationship"),
        "{error}"
    );
    assert!(!error.contains("taro"), "{error}");
}

#[tokio::test]
async fn a_newcomer_who_cannot_reset_the_password_because_no_address_is_verified_is_not_home() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let imported = |is_verified| SeedUser {
        sub: Some(sub(101)),
        status: UserStatus::ResetRequired,
        ..with(
            with(person(1), ORIGIN_SUB, &sub(1)),
            "email_verified",
            is_verified,
        )
    };
    let cognito = world.tokyo.cognito();
    cognito.put_user(&world.primary.id, imported("false"));

    let dry = restore(&world, json!({"dry_run": true})).await;
    let answer = restore(&world, json!({})).await;
    let waiting = records(&world, "journal/sign-up/");
    cognito.put_user(&world.primary.id, imported("true"));
    let verified = restore(&world, json!({})).await;

    for answer in [&dry, &answer] {
        let report = report(&world, answer);
        assert_eq!(answer["status"], "incomplete", "{report}");
        assert_eq!(answer["counts"]["not_home"], 1, "{report}");
        let reason = "unverified-address".to_owned();
        assert_eq!(away(&report), BTreeMap::from([(email(1), reason)]));
        let line = format!("{},{},{}", email(1), sub(1), sub(101));
        assert!(file(&world, answer, "sub-map.csv").contains(&line));
    }
    assert_eq!(waiting, BTreeSet::from([record(1)]));
    assert_eq!(verified["status"], "complete", "{verified}");
    assert_eq!(verified["counts"]["already_home"], 1, "{verified}");
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn somebody_who_chooses_the_sub_of_a_newcomer_as_username_does_not_take_their_record() {
    let world = world().await;
    let (primary, secondary) = with_pools(&world, username_pool(), username_pool());
    named_newcomer(&world, &secondary, "taro", 1).await;
    let client = world.osaka.cognito_client();
    let disable = client.admin_disable_user().user_pool_id(&secondary.id);
    disable.username("taro").send().await.unwrap();
    let visitor = SeedUser {
        username: Some(sub(1)),
        status: UserStatus::Unconfirmed,
        ..person(2)
    };
    world.osaka.cognito().put_user(&secondary.id, visitor);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"allow_stale": true})).await;

    let report = report(&world, &answer);
    assert_eq!(answer["status"], "complete", "{report}");
    assert_eq!(answer["counts"]["created"], 1, "{report}");
    let home = world.tokyo.cognito().user(&primary.id, "taro").unwrap();
    assert_eq!(home.attributes[ORIGIN_SUB], sub(1));
    assert!(!home.enabled);
    assert!(records(&world, "journal/sign-up/").is_empty());
}
