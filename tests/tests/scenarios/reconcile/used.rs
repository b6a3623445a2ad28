//! People who have used the secondary pool: what they have changed there is theirs.

use local_regions::cognito::Editor;
use local_regions::world::{SNAPSHOTS, World};
use serde_json::{Value, json};

use super::{delete, edit, pairs, put, reconcile, replica_of, report, use_secondary};
use crate::support::{email, object, replica, sub, world};

/// The person with this number changes their own attributes in the secondary pool.
fn edit_there(world: &World, number: u32, attributes: &[(&str, &str)]) {
    let cognito = world.osaka.cognito();
    let name = email(number);
    let edited = cognito.edit_user(&world.secondary.id, &name, Editor::Person, attributes);
    edited.expect("the attributes are valid");
}

fn base(world: &World, number: u32) -> Value {
    let key = format!(
        "journal/password-reset/{}.json",
        replica_of(world, number).sub
    );
    object(world, &key).expect("a record")["attributes"].clone()
}

#[tokio::test]
async fn what_changed_in_the_primary_pool_alone_travels_and_becomes_the_common_base() {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    edit(&world, 0, &[("name", "Taro")]);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert_eq!(replica_of(&world, 0).attributes["name"], "Taro");
    assert_eq!(base(&world, 0)["name"], "Taro");
}

#[tokio::test]
async fn what_changed_in_the_secondary_pool_is_reported_by_name_and_left() {
    let world = world().await;
    pairs(&world, 2);
    for number in 0..2 {
        use_secondary(&world, number).await;
        edit_there(&world, number, &[("name", "Hanako")]);
    }
    edit(&world, 1, &[("name", "Taro")]);

    let answer = reconcile(&world).await;

    let reported = report(&world, &answer)["reported"].clone();
    let mut reasons: Vec<_> = reported
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        ["changed-in-both", "changed-in-secondary"],
        "{answer}"
    );
    assert!((0..2).all(|number| replica_of(&world, number).attributes["name"] == "Hanako"));
    let run = answer["report"]
        .as_str()
        .unwrap()
        .replace("report.json", "");
    for key in world.osaka.s3().keys(SNAPSHOTS, &run) {
        let object = world.osaka.s3().object(SNAPSHOTS, &key).unwrap();
        let text = String::from_utf8_lossy(&object);
        assert!(
            !text.contains("Hanako") && !text.contains("Taro") && !text.contains("@"),
            "{key}"
        );
    }
}

#[tokio::test]
async fn whoever_has_deleted_themselves_there_is_not_made_again() {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    world
        .osaka
        .cognito()
        .remove_user(&world.secondary.id, &email(0));

    let answer = reconcile(&world).await;

    assert_eq!(
        report(&world, &answer)["reported"][0]["reason"],
        "deleted-in-secondary"
    );
    assert!(replica(&world, &email(0)).is_none());
}

#[tokio::test]
async fn a_newcomer_who_was_restored_and_deleted_since_is_withheld() {
    let world = world().await;
    pairs(&world, 1);
    let newcomer = super::person(5);
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, newcomer);
    let mut record = crate::support::record(5, jiff::SignedDuration::from_hours(2));
    record["primary_sub"] = sub(15).into();
    let key = format!("journal/restored/{}.json", sub(5));
    put(&world, &key, &record).await;

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    assert!(!replica_of(&world, 5).enabled);
    assert_eq!(answer["counts"]["newcomers"], json!(0));
    // Nobody who has used it is ever deleted.
    delete(&world, 0);
    assert!(replica(&world, &email(5)).is_some());
}

#[tokio::test]
async fn the_first_record_of_a_person_is_the_common_base() {
    let world = world().await;
    pairs(&world, 1);
    edit(&world, 0, &[("name", "Taro")]);
    reconcile(&world).await;
    let secondary_sub = replica_of(&world, 0).sub;
    // They came home as a newcomer, changed their name in Osaka, and reset the password afterwards.
    let mut restored = crate::support::record(0, jiff::SignedDuration::from_hours(3));
    restored["attributes"]["name"] = "Taro".into();
    restored["primary_sub"] = sub(0).into();
    put(
        &world,
        &format!("journal/restored/{secondary_sub}.json"),
        &restored,
    )
    .await;
    edit_there(&world, 0, &[("name", "Hanako")]);
    let mut reset = crate::support::record(0, jiff::SignedDuration::from_hours(2));
    reset["attributes"]["name"] = "Hanako".into();
    put(
        &world,
        &format!("journal/password-reset/{secondary_sub}.json"),
        &reset,
    )
    .await;

    let answer = reconcile(&world).await;

    assert_eq!(
        report(&world, &answer)["reported"][0]["reason"],
        "changed-in-secondary",
        "{answer}"
    );
    assert_eq!(replica_of(&world, 0).attributes["name"], "Hanako");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_nobody_else() {
    let world = world().await;
    pairs(&world, 2);
    for number in 0..2 {
        edit(&world, number, &[("name", "Taro")]);
    }
    let key = format!("journal/password-reset/{}.json", replica_of(&world, 0).sub);
    put(&world, &key, &json!(["no record"])).await;

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["status"], &answer["counts"]["updated"]),
        (&json!("incomplete"), &json!(1)),
        "{answer}"
    );
    assert_eq!(
        report(&world, &answer)["reported"][0]["reason"],
        "record-unreadable"
    );
    assert!(!replica_of(&world, 0).attributes.contains_key("name"));
}
