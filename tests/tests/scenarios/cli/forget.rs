//! `twinpool forget`: a person who is gone from the primary pool is erased, and nothing brings them back.

use std::time::Duration;

use local_regions::cognito::SeedUser;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{
    IMPORT_LOGS_ROLE, ORIGIN_SUB, OUTBOX, REPLICATE_WORKER, RESTORE, SNAPSHOTS, World,
};
use serde_json::{Value, json};

use crate::restore::{newcomer, person, with};
use crate::support::{
    Ran, called, email, invoke, object, person_in_primary, put_object, ran, record, replica,
    snapshot, sub, twinpool_command, world,
};

async fn command(world: &World, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    command
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .env("TWINPOOL_OUTBOX", OUTBOX)
        .env("TWINPOOL_IMPORT_ROLE", IMPORT_LOGS_ROLE)
        .arg("--output")
        .arg("json")
        .args(arguments);
    ran(&mut command).await
}

async fn forget(world: &World, sub: &str) -> Ran {
    command(world, &["forget", "--sub", sub, "--yes"]).await
}

/// Puts a replica of the person with this number into the secondary pool; gives its `sub`.
fn put_replica(world: &World, number: u32) -> String {
    let attributes = [
        ("email", email(number)),
        ("email_verified", "true".into()),
        (ORIGIN_SUB, sub(number)),
    ];
    let user = SeedUser {
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..SeedUser::default()
    };
    let secondary = &world.secondary.id;
    world.osaka.cognito().put_user(secondary, user)
}

async fn put_in_outbox_bucket(world: &World, key: &str) {
    let put = world.tokyo.s3_client().put_object().bucket(OUTBOX).key(key);
    let body = record(1, jiff::SignedDuration::ZERO).to_string();
    put.body(body.into_bytes().into()).send().await.unwrap();
}

/// Leaves everything that twinpool may keep of person 1, who is gone from the primary pool; gives the `sub` of the replica.
pub async fn traces_of_person_1(world: &World) -> String {
    let there = put_replica(world, 1);
    put_objects_of_person_1(world, &there).await;
    there
}

/// Writes every object that twinpool may keep of person 1, whose replica has this `sub`.
async fn put_objects_of_person_1(world: &World, there: &str) {
    let mut used = record(1, jiff::SignedDuration::ZERO);
    used["sub"] = there.into();
    used["attributes"]["sub"] = there.into();
    used["attributes"][ORIGIN_SUB] = sub(1).into();
    for prefix in ["journal/password-reset", "journal/restored"] {
        put_object(world, &format!("{prefix}/{there}.json"), used.to_string()).await;
    }
    let withheld = json!({
        "version": 1, "why": "deleted", "first_missed": "2026-11-20T09:59:59Z",
        "attributes": {"sub": there, "email": email(1)}, "groups": [],
    });
    let key = format!("withheld/{}.json", sub(1));
    put_object(world, &key, withheld.to_string()).await;
    let refused = format!("reconciles/refused/{}.json", sub(1));
    put_object(world, &refused, r#"{"version":1,"values":{}}"#.to_owned()).await;
    let note = format!("restores/created/{}/{there}.json", world.primary.id);
    put_object(world, &note, r#"{"version":1,"state":"ended"}"#.to_owned()).await;
    for prefix in ["outbox", "conflicts"] {
        put_in_outbox_bucket(world, &format!("{prefix}/{}.json", sub(1))).await;
    }
}

/// Runs `forget`, and lets something else happen when both pools have been listed and nothing has been deleted yet.
async fn forget_while(world: &World, sub: &str, meanwhile: impl Future<Output = ()>) -> Ran {
    // The first write is the mark.
    let slow = Kind::Delay(Duration::from_secs(2));
    let slow = Fault::on(Service::S3, "PutObject", slow);
    world.osaka.faults().add(slow.times(1));
    world.clear_calls();
    let meanwhile = async {
        called(world, "PutObject").await;
        meanwhile.await;
    };
    tokio::join!(forget(world, sub), meanwhile).0
}

/// Fails unless nothing is left of person 1 but the mark.
fn assert_erased(world: &World) {
    assert!(replica(world, &email(1)).is_none());
    for prefix in [
        "journal/",
        "withheld/",
        "reconciles/refused/",
        "restores/created/",
    ] {
        assert_eq!(
            world.osaka.s3().keys(SNAPSHOTS, prefix),
            Vec::<String>::new()
        );
    }
    assert_eq!(world.tokyo.s3().keys(OUTBOX, ""), Vec::<String>::new());
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, "forgotten/").len(), 1);
}

#[tokio::test]
async fn by_the_sub_of_either_pool_a_person_is_erased_everywhere_and_nobody_else_is_touched() {
    for by_primary in [true, false] {
        let world = world().await;
        let there = traces_of_person_1(&world).await;
        person_in_primary(&world, 2);
        put_replica(&world, 2);
        let sub = if by_primary { sub(1) } else { there };

        let ran = forget(&world, &sub).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert_erased(&world);
        assert!(replica(&world, &email(2)).is_some());
        assert!(!ran.stdout.contains('@') && !ran.stderr.contains('@'));
    }
}

#[tokio::test]
async fn a_person_who_is_in_the_primary_pool_is_left_as_they_are() {
    let world = world().await;
    traces_of_person_1(&world).await;
    person_in_primary(&world, 1);
    let before = world.osaka.s3().keys(SNAPSHOTS, "");

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains(&sub(1)) || ran.stderr.contains(&sub(1)));
    assert!(replica(&world, &email(1)).is_some());
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, ""), before);
}

#[tokio::test]
async fn a_newcomer_who_came_home_under_another_sub_is_in_the_primary_pool_too() {
    let world = world().await;
    let there = put_replica(&world, 1);
    let home = SeedUser {
        sub: Some(sub(7)),
        attributes: [
            ("email".to_owned(), "moved@example.jp".to_owned()),
            (ORIGIN_SUB.to_owned(), sub(1)),
        ]
        .into(),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&world.primary.id, home);

    let ran = forget(&world, &there).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(replica(&world, &email(1)).is_some());
}

#[tokio::test]
async fn a_second_user_of_the_same_person_is_erased_with_the_first() {
    let world = world().await;
    put_replica(&world, 1);
    let second = SeedUser {
        attributes: [
            ("email".to_owned(), "second@example.jp".to_owned()),
            (ORIGIN_SUB.to_owned(), sub(1)),
        ]
        .into(),
        ..SeedUser::default()
    };
    let secondary = &world.secondary.id;
    world.osaka.cognito().put_user(secondary, second);

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(world.osaka.cognito().users(secondary).is_empty());
}

/// Puts a user of the person with this number into the secondary pool, who carries no origin attribute; gives its `sub`.
fn put_replica_without_origin(world: &World, number: u32) -> String {
    let replica = SeedUser {
        sub: None,
        ..person(number)
    };
    let secondary = &world.secondary.id;
    world.osaka.cognito().put_user(secondary, replica)
}

#[tokio::test]
async fn where_a_user_carries_no_identity_nobody_is_said_to_be_erased_until_it_is_found_by_name() {
    let world = world().await;
    let there = put_replica_without_origin(&world, 1);
    // What these are is known.
    newcomer(&world, 2, person(2)).await;
    put_replica(&world, 3);
    put_in_outbox_bucket(&world, &format!("conflicts/{}.json", sub(1))).await;

    let by_primary = forget(&world, &sub(1)).await;
    let named = command(&world, &["forget", "--user", &email(1)]).await;
    let by_secondary = forget(&world, &there).await;

    assert_eq!(by_primary.code, 1, "{by_primary:?}");
    assert_eq!(by_primary.json()["users_without_identity"], 1);
    assert_eq!(by_primary.json()["users"], json!([]));
    assert_eq!(world.tokyo.s3().keys(OUTBOX, ""), Vec::<String>::new());
    assert_eq!(named.json()["sub"], there.as_str());
    assert_eq!(by_secondary.code, 0, "{by_secondary:?}");
    assert!(replica(&world, &email(1)).is_none());
    assert!(replica(&world, &email(2)).is_some());
}

#[tokio::test]
async fn where_it_is_known_which_user_was_theirs_no_other_user_is_asked_about() {
    for kept in ["withheld", "journal/password-reset"] {
        let world = world().await;
        let there = traces_of_person_1(&world).await;
        put_replica_without_origin(&world, 2);
        let cognito = world.osaka.cognito();
        cognito.remove_user(&world.secondary.id, &there);
        for key in world.osaka.s3().keys(SNAPSHOTS, "") {
            if !key.starts_with(kept) {
                let delete = world.osaka.s3_client().delete_object();
                let delete = delete.bucket(SNAPSHOTS).key(key);
                delete.send().await.unwrap();
            }
        }

        let ran = forget(&world, &sub(1)).await;

        assert_eq!(ran.code, 0, "{kept}: {ran:?}");
        assert!(replica(&world, &email(2)).is_some());
    }
}

#[tokio::test]
async fn a_replica_that_carries_no_identity_is_left_while_somebody_in_the_primary_pool_has_its_name()
 {
    let world = world().await;
    person_in_primary(&world, 1);
    let there = put_replica_without_origin(&world, 1);
    let record = format!("journal/password-reset/{there}.json");
    let mut used = self::record(1, jiff::SignedDuration::ZERO);
    used["sub"] = there.as_str().into();
    used["attributes"]["sub"] = there.as_str().into();
    put_object(&world, &record, used.to_string()).await;

    let ran = forget(&world, &there).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains(&sub(1)), "{ran:?}");
    assert!(replica(&world, &email(1)).is_some());
    assert!(object(&world, &record).is_some());
}

#[tokio::test]
async fn a_newcomer_is_erased_although_another_person_has_their_name_in_the_primary_pool() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let another = SeedUser {
        sub: Some(sub(9)),
        ..with(person(1), ORIGIN_SUB, &sub(8))
    };
    world.tokyo.cognito().put_user(&world.primary.id, another);

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(replica(&world, &email(1)).is_none());
}

#[tokio::test]
async fn a_newcomer_who_came_home_without_an_identity_is_known_by_their_record() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let waiting = format!("journal/sign-up/{}.json", sub(1));
    let mut record = object(&world, &waiting).unwrap();
    record["primary_sub"] = sub(7).into();
    let restored = format!("journal/restored/{}.json", sub(1));
    put_object(&world, &restored, record.to_string()).await;
    let home = SeedUser {
        sub: Some(sub(7)),
        attributes: [("email".to_owned(), "moved@example.jp".to_owned())].into(),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&world.primary.id, home);

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(replica(&world, &email(1)).is_some());
}

/// The person reset their password before reconcile gave their replica its identity.
#[tokio::test]
async fn a_record_that_was_written_before_the_replica_had_its_identity_is_erased_too() {
    for by_primary in [true, false] {
        let world = world().await;
        let there = put_replica(&world, 1);
        let mut used = record(1, jiff::SignedDuration::ZERO);
        used["sub"] = there.as_str().into();
        used["attributes"]["sub"] = there.as_str().into();
        let key = format!("journal/password-reset/{there}.json");
        put_object(&world, &key, used.to_string()).await;
        let sub = if by_primary { sub(1) } else { there };

        let ran = forget(&world, &sub).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(object(&world, &key), None);
        assert!(replica(&world, &email(1)).is_none());
    }
}

#[tokio::test]
async fn whoever_has_the_name_now_is_another_person() {
    let world = world().await;
    let key = format!("journal/password-reset/{}.json", sub(1));
    put_object(
        &world,
        &key,
        record(1, jiff::SignedDuration::ZERO).to_string(),
    )
    .await;
    let namesake = SeedUser {
        attributes: [
            ("email".to_owned(), email(1)),
            (ORIGIN_SUB.to_owned(), sub(9)),
        ]
        .into(),
        ..SeedUser::default()
    };
    let secondary = &world.secondary.id;
    world.osaka.cognito().put_user(secondary, namesake);

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(replica(&world, &email(1)).is_some());
    assert_eq!(object(&world, &key), None);
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_delete_and_deletes_nothing() {
    let world = world().await;
    let there = traces_of_person_1(&world).await;
    let before = world.osaka.s3().keys(SNAPSHOTS, "");

    let ran = command(&world, &["forget", "--sub", &sub(1), "--dry-run"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["users"], json!([there]));
    assert_eq!(report["objects"].as_array().unwrap().len(), 5, "{report}");
    assert_eq!(report["outbox_objects"].as_array().unwrap().len(), 2);
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, ""), before);
    assert!(replica(&world, &email(1)).is_some());
}

#[tokio::test]
async fn interrupted_at_any_call_and_run_again_it_ends_the_same() {
    let faults = [
        (Service::S3, "DeleteObject", 0),
        (Service::S3, "DeleteObject", 2),
        (Service::S3, "DeleteObject", 1),
        (Service::S3, "PutObject", 0),
        (Service::Cognito, "AdminDeleteUser", 0),
    ];
    for (service, operation, after) in faults {
        let world = world().await;
        traces_of_person_1(&world).await;
        for region in [&world.tokyo, &world.osaka] {
            let refused = Kind::Error {
                status: 403,
                code: "AccessDenied".into(),
                message: "Access Denied".into(),
            };
            let refused = Fault::on(service, operation, refused).after(after);
            region.faults().add(refused);
        }

        let first = forget(&world, &sub(1)).await;
        for region in [&world.tokyo, &world.osaka] {
            region.faults().clear();
        }
        let second = forget(&world, &sub(1)).await;

        assert_eq!(first.code, 3, "{operation} {after}: {first:?}");
        assert_eq!(second.code, 0, "{operation} {after}: {second:?}");
        assert_erased(&world);
    }
}

#[tokio::test]
async fn what_runs_keep_of_the_person_after_the_pools_were_listed_is_erased_too() {
    let world = world().await;
    let there = put_replica(&world, 1);

    let meanwhile = put_objects_of_person_1(&world, &there);
    let ran = forget_while(&world, &sub(1), meanwhile).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_erased(&world);
    let report = ran.json();
    assert_eq!(report["objects"].as_array().unwrap().len(), 5, "{report}");
    assert_eq!(report["outbox_objects"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_newcomer_whom_a_restore_brings_home_after_the_pools_were_listed_is_left_as_they_are() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let waiting = format!("journal/sign-up/{}.json", sub(1));
    let restored = format!("journal/restored/{}.json", sub(1));

    let brought_home = async {
        let home = SeedUser {
            sub: Some(sub(7)),
            ..with(person(1), ORIGIN_SUB, &sub(1))
        };
        world.tokyo.cognito().put_user(&world.primary.id, home);
        let mut record = object(&world, &waiting).unwrap();
        record["primary_sub"] = sub(7).into();
        put_object(&world, &restored, record.to_string()).await;
        let delete = world.osaka.s3_client().delete_object();
        let delete = delete.bucket(SNAPSHOTS).key(&waiting);
        delete.send().await.unwrap();
    };
    let ran = forget_while(&world, &sub(1), brought_home).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains(&sub(7)), "{ran:?}");
    assert!(replica(&world, &email(1)).is_some());
    assert!(object(&world, &restored).is_some());
}

#[tokio::test]
async fn while_a_run_is_under_way_that_may_hold_the_person_nothing_is_deleted() {
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    let holder = json!({"id": "another", "until": later});
    let lease = json!({"version": 1, "holder": holder, "last_start": null, "last_finished": null, "unfinished": null});
    for key in [
        "lease.json",
        "lease-newcomers.json",
        "reconciles/lease.json",
        "restores/open.json",
    ] {
        let world = world().await;
        traces_of_person_1(&world).await;
        put_object(&world, key, lease.to_string()).await;

        let ran = forget(&world, &sub(1)).await;

        assert_ne!(ran.code, 0, "{key}: {ran:?}");
        assert!(replica(&world, &email(1)).is_some());
        assert_eq!(object(&world, key).unwrap(), lease, "{key}");
        assert_eq!(world.osaka.s3().keys(SNAPSHOTS, "withheld/").len(), 1);
    }
}

#[tokio::test]
async fn leases_that_are_free_keep_what_they_remember() {
    let world = world().await;
    put_replica(&world, 1);
    person_in_primary(&world, 2);
    put_replica(&world, 2);
    snapshot(&world).await.unwrap();
    let before = object(&world, "lease.json").unwrap();

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(object(&world, "lease.json").unwrap(), before);
    snapshot(&world)
        .await
        .expect("the next snapshot can be taken");
}

#[tokio::test]
async fn an_older_snapshot_does_not_bring_an_erased_person_back() {
    for scope in ["missing", "users"] {
        let world = world().await;
        put_replica(&world, 1);
        put_replica(&world, 2);
        snapshot(&world).await.unwrap();
        assert_eq!(forget(&world, &sub(1)).await.code, 0);

        let answer = invoke(&world.tokyo, RESTORE, &json!({"scope": scope})).await;

        let answer: Value = answer.unwrap();
        assert_eq!(answer["status"], "complete", "{answer}");
        let report = object(&world, answer["report"].as_str().unwrap()).unwrap();
        assert!(report.to_string().contains("forgotten"), "{report}");
        let home = world.tokyo.cognito().users(&world.primary.id);
        let home: Vec<_> = home
            .iter()
            .map(|user| user.attributes["email"].clone())
            .collect();
        assert_eq!(home, [email(2)]);
    }
}

#[tokio::test]
async fn a_record_in_the_outbox_does_not_bring_an_erased_person_back() {
    let world = world().await;
    put_replica(&world, 1);
    assert_eq!(forget(&world, &sub(1)).await.code, 0);
    // A person of this identity is there again, by a mistake: somebody has copied the origin attribute.
    person_in_primary(&world, 1);
    put_in_outbox_bucket(&world, &format!("outbox/{}.json", sub(1))).await;

    let tick = invoke(&world.tokyo, REPLICATE_WORKER, &json!({"action": "tick"})).await;

    assert_eq!(tick.unwrap()["gone"], 1);
    assert!(replica(&world, &email(1)).is_none());
    assert_eq!(world.tokyo.s3().keys(OUTBOX, ""), Vec::<String>::new());
}

#[tokio::test]
async fn reconcile_reports_an_erased_person_who_is_in_the_primary_pool_and_does_not_create_them() {
    let world = world().await;
    put_replica(&world, 1);
    assert_eq!(forget(&world, &sub(1)).await.code, 0);
    person_in_primary(&world, 1);

    let payload = json!({"action": "reconcile", "now": true});
    let answer = invoke(&world.tokyo, REPLICATE_WORKER, &payload).await;

    let answer: Value = answer.unwrap();
    let report = object(&world, answer["report"].as_str().unwrap()).unwrap();
    assert_eq!(report["reported"][0]["reason"], "forgotten", "{report}");
    assert!(replica(&world, &email(1)).is_none());
}

#[tokio::test]
async fn it_says_what_still_holds_the_person_and_until_when() {
    let world = world().await;
    put_replica(&world, 1);
    snapshot(&world).await.unwrap();
    world.osaka.s3().expire(SNAPSHOTS, "snapshots/", 90);
    let evidence = "failovers/20261120T101500Z-0a1b2c3d.json";
    put_object(&world, evidence, "{}".to_owned()).await;

    let ran = forget(&world, &sub(1)).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    let held = &report["still_held"][0];
    assert_eq!(held["prefix"], "snapshots/");
    let of_failovers = &report["still_held"][1];
    assert_eq!(of_failovers["prefix"], "failovers/2");
    let until: jiff::Timestamp = serde_json::from_value(held["last_expires_at"].clone()).unwrap();
    let days = until.duration_since(jiff::Timestamp::now()).as_hours() / 24;
    assert!((89..=91).contains(&days), "{report}");
}

/// The lease of restores is written by each of them, and no rule removes it.
#[tokio::test]
async fn what_a_restore_has_left_expires_although_its_lease_does_not() {
    let world = world().await;
    put_replica(&world, 1);
    snapshot(&world).await.unwrap();
    let restore = json!({"scope": "users", "dry_run": false});
    let restored = invoke(&world.tokyo, RESTORE, &restore).await.unwrap();
    assert!(object(&world, "restores/open.json").is_some(), "{restored}");
    world.osaka.s3().expire(SNAPSHOTS, "restores/2", 90);

    let ran = command(&world, &["forget", "--sub", &sub(9), "--dry-run"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    let mut held = report["still_held"].as_array().unwrap().iter();
    let restores = held.find(|held| held["what"] == "import files and reports of restores");
    assert!(restores.unwrap()["last_expires_at"].is_string(), "{report}");
}

#[tokio::test]
async fn where_nobody_can_be_asked_a_name_is_only_looked_up_and_nothing_is_deleted() {
    let world = world().await;
    let there = put_replica(&world, 1);

    let ran = command(&world, &["forget", "--user", &email(1)]).await;
    let without_yes = command(&world, &["forget", "--sub", &there]).await;
    let nobody = command(&world, &["forget", "--user", &email(2)]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["sub"], there.as_str());
    assert_eq!(nobody.code, 1, "{nobody:?}");
    assert_eq!(without_yes.code, 2, "{without_yes:?}");
    assert!(replica(&world, &email(1)).is_some());
}
