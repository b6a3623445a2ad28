//! People who have used the secondary pool: what they have changed there is theirs.

use std::time::Duration;

use harness::visitor::Visitor;
use jiff::SignedDuration;
use local_regions::cognito::Editor;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{ORIGIN_SUB, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};

use super::{
    delete, edit, hasten, pairs, person, reconcile, replica_of, report, reported, use_secondary,
    writes,
};
use crate::support::{called, email, object, put_object, record, replica, sub, world};

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
    let newcomer = person(5);
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, newcomer);
    let mut record = record(5, SignedDuration::from_hours(2));
    record["primary_sub"] = sub(15).into();
    let key = format!("journal/restored/{}.json", sub(5));
    put_object(&world, &key, record.to_string()).await;

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    assert!(!replica_of(&world, 5).enabled);
    assert_eq!(answer["counts"]["newcomers"], json!(0));
}

#[tokio::test]
async fn a_restored_newcomer_who_was_deleted_since_is_never_deleted() {
    let world = world().await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");
    let newcomer = person(5);
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, newcomer);
    let mut record = record(5, SignedDuration::from_hours(2));
    record["primary_sub"] = sub(15).into();
    put_object(
        &world,
        &format!("journal/restored/{}.json", sub(5)),
        record.to_string(),
    )
    .await;

    reconcile(&world).await;
    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["removed"], 0, "{answer}");
    assert!(!replica_of(&world, 5).enabled);
    assert_eq!(
        reported(&world, &answer),
        [("deleted-in-primary".to_owned(), vec![])]
    );
}

#[tokio::test]
async fn each_attribute_is_merged_by_itself() {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    edit_there(&world, 0, &[("name", "Hanako"), ("locale", "ja")]);
    edit(&world, 0, &[("nickname", "taro"), ("locale", "en")]);

    let answer = reconcile(&world).await;

    let names = |name: &str| vec![name.to_owned()];
    let mut expected = [
        ("changed-in-both".to_owned(), names("locale")),
        ("changed-in-secondary".to_owned(), names("name")),
    ];
    let mut found = reported(&world, &answer);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let attributes = replica_of(&world, 0).attributes;
    assert_eq!(attributes["nickname"], "taro");
    assert_eq!(
        (&*attributes["name"], &*attributes["locale"]),
        ("Hanako", "ja")
    );
    let base = base(&world, 0);
    assert_eq!(base["nickname"], "taro");
    assert!(
        base.get("name").is_none() && base.get("locale").is_none(),
        "what is open keeps its base"
    );
}

#[tokio::test]
async fn a_change_that_both_sides_have_made_becomes_the_base_of_the_next_one() {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    edit_there(&world, 0, &[("name", "Hanako")]);
    edit(&world, 0, &[("name", "Hanako")]);
    let agreed = reconcile(&world).await;
    assert_eq!(base(&world, 0)["name"], "Hanako", "{agreed}");
    assert_eq!(agreed["counts"]["unchanged"], 1, "{agreed}");
    world.clear_calls();
    reconcile(&world).await;
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "AdminGetUser"),
        "nobody is looked at who is as their record says"
    );
    edit(&world, 0, &[("name", "Taro")]);

    let answer = reconcile(&world).await;

    assert!(reported(&world, &agreed).is_empty());
    assert!(reported(&world, &answer).is_empty());
    assert_eq!(replica_of(&world, 0).attributes["name"], "Taro");
}

#[tokio::test]
async fn a_value_that_is_gone_from_the_primary_pool_alone_is_deleted_also_of_somebody_who_has_used_it()
 {
    let world = world().await;
    pairs(&world, 1);
    use_secondary(&world, 0).await;
    edit(&world, 0, &[("name", "Taro")]);
    reconcile(&world).await;
    edit(&world, 0, &[("name", "")]);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    assert!(!replica_of(&world, 0).attributes.contains_key("name"));
    assert!(base(&world, 0).get("name").is_none());
}

#[tokio::test]
async fn a_newcomer_who_is_home_is_merged_with_their_restored_record() {
    let world = world().await;
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    osaka.put_user(&world.secondary.id, person(5));
    let mut home = person(5);
    home.sub = Some(sub(15));
    home.attributes.insert(ORIGIN_SUB.into(), sub(5));
    tokyo.put_user(&world.primary.id, home);
    let mut record = record(5, SignedDuration::from_hours(2));
    record["primary_sub"] = sub(15).into();
    put_object(
        &world,
        &format!("journal/restored/{}.json", sub(5)),
        record.to_string(),
    )
    .await;
    edit_there(&world, 5, &[("name", "Hanako")]);
    edit(&world, 15, &[("nickname", "hana")]);

    let answer = reconcile(&world).await;

    assert_eq!(
        reported(&world, &answer),
        [("changed-in-secondary".to_owned(), vec!["name".to_owned()])]
    );
    let attributes = replica_of(&world, 5).attributes;
    assert_eq!(
        (&*attributes["name"], &*attributes["nickname"]),
        ("Hanako", "hana")
    );
    assert!(
        !attributes.contains_key(ORIGIN_SUB),
        "they are the original"
    );
}

/// The person with this number sets a password in the secondary pool and enrols an authenticator, and their record is lost.
async fn use_without_record(world: &World, number: u32) {
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    let (email, password) = (email(number), "Correct-Horse-7");
    visitor.reset_password(&email, password).await.unwrap();
    visitor
        .set_up_mfa_and_sign_in(&email, password)
        .await
        .unwrap();
    let lost = world.osaka.s3_client().delete_object();
    let sub = replica_of(world, number).sub;
    let lost = lost
        .bucket(SNAPSHOTS)
        .key(format!("journal/password-reset/{sub}.json"));
    lost.send().await.unwrap();
}

#[tokio::test]
async fn whoever_has_an_authenticator_and_no_record_is_reported_and_not_written() {
    let world = world().await;
    pairs(&world, 1);
    use_without_record(&world, 0).await;
    edit(&world, 0, &[("name", "Taro")]);
    world.clear_calls();

    let answer = reconcile(&world).await;

    assert_eq!(
        reported(&world, &answer),
        [("used-without-record".to_owned(), vec![])]
    );
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

#[tokio::test]
async fn a_ban_reaches_whoever_has_an_authenticator_and_no_record() {
    let world = world().await;
    pairs(&world, 1);
    use_without_record(&world, 0).await;
    let tokyo = world.tokyo.cognito();
    tokyo.set_enabled(&world.primary.id, &sub(0), false);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["disabled"], 1, "{answer}");
    assert!(!replica_of(&world, 0).enabled);
}

#[tokio::test]
async fn whoever_has_an_authenticator_and_no_record_is_withheld_and_never_deleted() {
    let world = world().await;
    pairs(&world, 1);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");
    use_without_record(&world, 0).await;
    delete(&world, 0);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["withheld"], 1, "{first}");
    assert_eq!(second["counts"]["removed"], 0, "{second}");
    assert!(!replica_of(&world, 0).enabled);
    assert_eq!(
        reported(&world, &second),
        [("deleted-in-primary".to_owned(), vec![])]
    );
}

#[tokio::test]
async fn whoever_uses_the_secondary_pool_after_the_listing_keeps_what_they_change() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    edit(&world, 0, &[("name", "Taro")]);
    // The run has seen that they differ, and now looks at them.
    let slow = Kind::Delay(Duration::from_secs(2));
    let slow = Fault::on(Service::Cognito, "AdminGetUser", slow).times(1);
    world.tokyo.faults().add(slow);
    let meanwhile = async {
        called(&world, "AdminGetUser").await;
        use_secondary(&world, 0).await;
        edit_there(&world, 0, &[("name", "Hanako")]);
    };

    let (answer, ()) = tokio::join!(reconcile(&world), meanwhile);

    assert_eq!(replica_of(&world, 0).attributes["name"], "Hanako");
    assert_eq!(
        reported(&world, &answer),
        [("changed-in-both".to_owned(), vec!["name".to_owned()])]
    );
}

#[tokio::test]
async fn whoever_uses_the_secondary_pool_while_a_write_is_throttled_keeps_what_they_change() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    edit(&world, 0, &[("name", "Taro")]);
    // The pauses between so many attempts are longer than a decision is good for.
    let throttled = Fault::on(
        Service::Cognito,
        "AdminUpdateUserAttributes",
        Kind::Throttle,
    );
    world.osaka.faults().add(throttled.times(6));
    let meanwhile = async {
        called(&world, "AdminUpdateUserAttributes").await;
        use_secondary(&world, 0).await;
        edit_there(&world, 0, &[("name", "Hanako")]);
    };

    let (answer, ()) = tokio::join!(reconcile(&world), meanwhile);

    assert_eq!(replica_of(&world, 0).attributes["name"], "Hanako");
    assert_eq!(
        reported(&world, &answer),
        [("changed-in-both".to_owned(), vec!["name".to_owned()])]
    );
}

#[tokio::test]
async fn the_password_that_a_person_has_set_survives_a_change_of_their_address() {
    let world = world().await;
    pairs(&world, 1);
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    let password = "Correct-Horse-7";
    visitor.reset_password(&email(0), password).await.unwrap();
    edit(
        &world,
        0,
        &[
            ("name", "Taro"),
            ("email", "moved@example.jp"),
            ("email_verified", "true"),
        ],
    );

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["updated"], 1, "{answer}");
    visitor
        .signs_in("moved@example.jp", password)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_first_record_of_a_person_is_the_common_base() {
    let world = world().await;
    pairs(&world, 1);
    edit(&world, 0, &[("name", "Taro")]);
    reconcile(&world).await;
    let secondary_sub = replica_of(&world, 0).sub;
    // They came home as a newcomer, changed their name in Osaka, and reset the password afterwards.
    let mut restored = record(0, SignedDuration::from_hours(3));
    restored["attributes"]["name"] = "Taro".into();
    restored["primary_sub"] = sub(0).into();
    put_object(
        &world,
        &format!("journal/restored/{secondary_sub}.json"),
        restored.to_string(),
    )
    .await;
    edit_there(&world, 0, &[("name", "Hanako")]);
    let mut reset = record(0, SignedDuration::from_hours(2));
    reset["attributes"]["name"] = "Hanako".into();
    put_object(
        &world,
        &format!("journal/password-reset/{secondary_sub}.json"),
        reset.to_string(),
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
    put_object(&world, &key, json!(["no record"]).to_string()).await;

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
