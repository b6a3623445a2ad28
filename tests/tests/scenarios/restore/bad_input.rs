//! Requests and files that are refused before anything is written.

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::{RESTORE, SNAPSHOTS};
use serde_json::json;

use super::{at_home, in_osaka, newcomer, person, restore, with, world};
use crate::support::{invoke, snapshot};

#[tokio::test]
async fn an_unknown_payload_is_rejected_before_any_call() {
    let world = world().await;

    let error = invoke(&world.tokyo, RESTORE, &json!({"dryrun": true}))
        .await
        .unwrap_err();

    assert!(error.contains("unknown field `dryrun`"), "{error}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_file_that_does_not_match_the_manifest_is_rejected() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    let key = format!(
        "snapshots/{}/users-0001.csv",
        taken["snapshot"].as_str().unwrap()
    );
    let mut csv = world.osaka.s3().object(SNAPSHOTS, &key).unwrap();
    let at = csv.len() - 2;
    csv[at] ^= 1;
    let client = world.osaka.s3_client();
    let put = client.put_object().bucket(SNAPSHOTS).key(&key);
    put.body(csv.into()).send().await.unwrap();

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(
        error.contains("damaged") && error.contains("users-0001.csv"),
        "{error}"
    );
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "CreateUserImportJob")
    );
}

#[tokio::test]
async fn whatever_somebody_writes_into_their_attributes_keeps_nobody_from_coming_home() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    // Anybody can sign up with this, and never confirm it. JSON writes a quote in two bytes.
    let attributes = [
        "address",
        "family_name",
        "gender",
        "given_name",
        "locale",
        "middle_name",
        "name",
        "nickname",
        "picture",
        "preferred_username",
        "profile",
        "website",
        "zoneinfo",
    ];
    let value = "\"".repeat(2048);
    let visitor = attributes
        .into_iter()
        .fold(person(2), |visitor, name| with(visitor, name, &value));
    let unconfirmed = SeedUser {
        status: UserStatus::Unconfirmed,
        ..visitor
    };
    in_osaka(&world, unconfirmed);
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;
    let missing = restore(&world, json!({"scope": "missing"})).await;

    for answer in [&answer, &missing] {
        assert_eq!(answer["status"], "complete", "{answer}");
    }
    assert!(at_home(&world, 1).is_some());
}
