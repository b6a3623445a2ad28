//! Newcomers: who is in the journal of sign-ups is in the snapshot, even if the listing does not show them yet.

use std::collections::BTreeMap;
use std::time::Duration;

use local_regions::cognito::{PoolSettings, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_TRIGGER, BACKUP_WORKER, RESTORE, SNAPSHOTS};
use serde_json::json;

use super::{hasten, journal, latest, manifest, populate, put, put_late};
use crate::support::{answer, confirmation, email, files, invoke, snapshot, sub, tick, world};

#[tokio::test]
async fn a_newcomer_whom_the_listing_does_not_show_yet_is_in_the_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..5);
    let knobs = world.osaka.cognito().knobs();
    knobs.set_list_lag(Duration::from_secs(600));
    // The listing does not show this person at all.
    put_late(&world, 10).await;
    // The listing still shows this person as unconfirmed.
    knobs.set_list_lag(Duration::ZERO);
    put(&world, 11, UserStatus::Unconfirmed);
    knobs.set_list_lag(Duration::from_secs(600));
    let confirmed = world.osaka.cognito_client().admin_confirm_sign_up();
    let confirmed = confirmed
        .user_pool_id(&world.secondary.id)
        .username(sub(11));
    confirmed.send().await.unwrap();

    world.clear_calls();
    let answer = tick(&world).await;

    let manifest = manifest(&world, &answer);
    assert_eq!(manifest["users"]["newcomers"], 2, "{manifest}");
    let newcomers = files(&world, &manifest, "newcomers");
    assert!(newcomers.contains(&email(10)) && newcomers.contains(&email(11)));
    let asked = world.calls().into_iter();
    let asked = asked
        .filter(|call| call.operation == "AdminGetUser")
        .count();
    assert_eq!(
        asked, 2,
        "AdminGetUser is called only for the two, because each call is billed as an active user"
    );
}

#[tokio::test]
async fn objects_in_the_journal_that_are_not_records_do_not_stop_a_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    journal(&world, 1).await;
    let stranger = format!("{}.json", sub(77));
    for name in ["note.json", "a name.json", &stranger, "readme.txt"] {
        let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
        let put = put.key(format!("journal/sign-up/{name}"));
        put.body(b"{}".to_vec().into()).send().await.unwrap();
    }

    let answer = tick(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(manifest(&world, &answer)["users"]["newcomers"], 1);
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn if_a_lookup_of_a_newcomer_fails_no_snapshot_is_published_without_them() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..5);
    let knobs = world.osaka.cognito().knobs();
    knobs.set_list_lag(Duration::from_secs(600));
    put_late(&world, 10).await;
    for code in ["NotAuthorizedException", "SomethingNewException"] {
        let refusal = Kind::error(400, code);
        let fault = Fault::on(Service::Cognito, "AdminGetUser", refusal);
        world.osaka.faults().add(fault);

        let error = snapshot(&world).await.unwrap_err();

        assert!(error.contains(code), "{error}");
        assert_eq!(latest(&world), None);
        world.osaka.faults().clear();
    }
    let answer = tick(&world).await;
    assert_eq!(manifest(&world, &answer)["users"]["newcomers"], 1);
}

#[tokio::test]
async fn somebody_who_signed_up_twice_with_a_username_is_in_the_files_once() {
    let world = world().await;
    hasten(&world);
    let pool = world.osaka.cognito().create_pool(PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        ..local_regions::world::pool()
    });
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "USER_POOL_ID", &pool.id);
    let taro = SeedUser {
        username: Some("taro".into()),
        sub: Some(sub(2)),
        attributes: BTreeMap::from([
            ("email".to_owned(), email(2)),
            ("email_verified".to_owned(), "true".to_owned()),
        ]),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&pool.id, taro);
    for number in [1, 2] {
        let mut event = confirmation(number);
        event["userName"] = json!("taro");
        answer(&world.osaka, BACKUP_TRIGGER, event.to_string().as_bytes()).await;
    }

    let answer = tick(&world).await;

    assert_eq!(
        manifest(&world, &answer)["users"],
        json!({"listed": 1, "exported": 1, "newcomers": 1, "rejected": {}})
    );
}

/// amplify-js#7300 and #11565: somebody who signed up here and was linked to a provider later stays CONFIRMED, has a password, and
/// carries `identities`.
#[tokio::test]
async fn a_newcomer_who_is_linked_to_a_provider_comes_home_like_anybody() {
    // given somebody who signed up in the secondary pool and was linked to a provider there
    let world = world().await;
    hasten(&world);
    let links =
        r#"[{"userId":"1001","providerName":"Google","providerType":"Google","primary":false}]"#;
    let linked = SeedUser {
        sub: Some(sub(1)),
        attributes: BTreeMap::from([
            ("email".to_owned(), email(1)),
            ("email_verified".to_owned(), "true".to_owned()),
            ("identities".to_owned(), links.to_owned()),
        ]),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, linked);
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["identities"] = json!(links);

    // when the trigger and the worker see them, and the newcomers are restored
    answer(&world.osaka, BACKUP_TRIGGER, event.to_string().as_bytes()).await;
    let taken = tick(&world).await;
    let restored = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap();

    // then they have a record and a row, and are home without the links
    assert_eq!(manifest(&world, &taken)["users"]["newcomers"], 1, "{taken}");
    assert_eq!(restored["status"], "complete", "{restored}");
    let home = world.tokyo.cognito().user(&world.primary.id, &email(1));
    let home = home.expect("home");
    assert_eq!(home.status, UserStatus::ResetRequired);
    assert!(!home.attributes.contains_key("identities"));
}

#[tokio::test]
async fn every_row_carries_the_identity_of_its_person() {
    let world = world().await;
    hasten(&world);
    let person = |number, origin: Option<&str>| {
        let mut attributes = BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
        ]);
        attributes.extend(origin.map(|origin| ("custom:origin_sub".to_owned(), origin.to_owned())));
        let sub = Some(sub(number));
        SeedUser {
            sub,
            attributes,
            ..SeedUser::default()
        }
    };
    let (tokyo, elsewhere) = (sub(71), sub(72));
    // A replica, a newcomer, a newcomer who has an identity already, and somebody whom nobody knows.
    for (number, origin) in [
        (1, Some(tokyo.as_str())),
        (2, None),
        (3, Some(elsewhere.as_str())),
        (4, None),
    ] {
        let person = person(number, origin);
        world.osaka.cognito().put_user(&world.secondary.id, person);
    }
    journal(&world, 2).await;
    journal(&world, 3).await;

    let answer = tick(&world).await;

    let manifest = manifest(&world, &answer);
    let header = manifest["header"].as_array().unwrap();
    let column = header.iter().position(|name| name == "custom:origin_sub");
    let origins = |role| -> BTreeMap<String, String> {
        let text = files(&world, &manifest, role);
        let rows = text.lines().skip(1).map(|row| {
            let cells: Vec<_> = row.split(',').collect();
            let name = cells.last().unwrap().to_string();
            (name, cells[column.unwrap()].to_owned())
        });
        rows.collect()
    };
    let expected = [(1, tokyo), (2, sub(2)), (3, elsewhere), (4, sub(4))];
    let expected = expected.map(|(number, origin)| (email(number), origin));
    assert_eq!(origins("users"), BTreeMap::from(expected.clone()));
    let [_, second, third, _] = expected;
    assert_eq!(origins("newcomers"), BTreeMap::from([second, third]));
}
