//! People whom twinpool has withheld: who was deleted in the primary pool comes back only on request.

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::{SNAPSHOTS, World};
use serde_json::{Value, json};

use super::{at_home, in_osaka, person, restore, with, world};
use crate::support::{files, object, snapshot, sub};

/// A replica that is disabled; `why` says why twinpool has withheld it, if it has.
async fn disabled_replica(world: &World, number: u32, why: Option<&str>) {
    let original = sub(number + 100);
    let replica = SeedUser {
        enabled: false,
        ..with(person(number), "custom:origin_sub", &original)
    };
    in_osaka(world, replica);
    let Some(why) = why else { return };
    let withheld = json!({
        "version": 1, "why": why, "first_missed": "2026-11-20T09:59:59Z", "attributes": {"sub": sub(number)}, "groups": [],
    });
    let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
    let put = put.key(format!("withheld/{original}.json"));
    put.body(withheld.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
}

/// One who is deleted in Tokyo, one who is disabled there, and one whom an administrator has disabled in Osaka.
async fn three_disabled_people(world: &World) -> Value {
    disabled_replica(world, 1, Some("deleted")).await;
    disabled_replica(world, 2, Some("disabled")).await;
    disabled_replica(world, 3, None).await;
    let taken = snapshot(world).await.unwrap();
    object(world, taken["manifest"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_snapshot_says_whom_twinpool_has_withheld_and_why() {
    let world = world().await;

    let manifest = three_disabled_people(&world).await;

    let leftovers = files(&world, &manifest, "leftovers");
    let withheld = |number| {
        let mut lines = leftovers.lines();
        let line = lines.find(|line| line.contains(&sub(number))).unwrap();
        serde_json::from_str::<Value>(line).unwrap()["withheld"].clone()
    };
    assert_eq!(withheld(1), "deleted");
    assert_eq!(withheld(2), "disabled");
    assert_eq!(withheld(3), Value::Null);
}

#[tokio::test]
async fn who_was_withheld_as_deleted_is_counted_and_left_out() {
    for scope in ["missing", "users"] {
        let world = world().await;
        three_disabled_people(&world).await;

        let answer = restore(&world, json!({"scope": scope})).await;

        assert_eq!(answer["status"], "complete", "{answer}");
        assert_eq!(answer["counts"]["withheld"], 1);
        assert_eq!(answer["counts"]["in_scope"], 2);
        assert!(at_home(&world, 1).is_none());
        for number in [2, 3] {
            assert!(!at_home(&world, number).unwrap().enabled);
        }
    }
}

#[tokio::test]
async fn on_request_who_was_withheld_as_deleted_comes_back_and_can_sign_in() {
    let world = world().await;
    three_disabled_people(&world).await;

    let answer = restore(&world, json!({"scope": "missing", "withheld": true})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["withheld"], 0);
    assert_eq!(answer["counts"]["created"], 3);
    let back = at_home(&world, 1).unwrap();
    assert!(back.enabled);
    assert_eq!(back.status, UserStatus::Confirmed);
    assert_eq!(back.attributes["custom:origin_sub"], sub(101));
    assert!(!at_home(&world, 2).unwrap().enabled);
}
