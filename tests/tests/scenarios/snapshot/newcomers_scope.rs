//! Snapshots of the newcomers: made from the journal and lookups, so that the size of the pool does not matter.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use local_regions::cognito::{GroupView, UserStatus};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};
use shared::journal::{SIGN_UPS_PREFIX, archive_sign_up};
use shared::s3::bucket::Bucket;
use shared::snapshot::layout::PARTS_PREFIX;
use shared::snapshot::lease::subtract_archived_sign_ups;

use super::{delete, hasten, journal, latest, manifest, populate, put, seed};
use crate::support::{
    counted, email, files, invoke, move_to_address, object, snapshot, sub, tick, twinpool, world,
};

/// At one call a second, more people than are listed in a minute.
const MANY: u32 = 3650;

/// A pool that counts as large, with a snapshot of it.
async fn large_world() -> World {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..MANY);
    snapshot(&world).await.expect("the pool is listed");
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "1");
    lambda.set_env(BACKUP_WORKER, "LOOKUPS_RPS", "200");
    world
}

/// Asks for a snapshot of the newcomers.
async fn newcomers_snapshot(world: &World) -> Result<Value, String> {
    let wanted = json!({"action": "snapshot", "scope": "newcomers"});
    invoke(&world.osaka, BACKUP_WORKER, &wanted).await
}

fn latest_newcomers(world: &World) -> Value {
    object(world, "latest-newcomers.json").expect("a snapshot")["snapshot"].clone()
}

fn calls(world: &World, operation: &str) -> usize {
    let calls = world.calls().into_iter();
    calls.filter(|call| call.operation == operation).count()
}

/// The addresses in the import files of the newcomers.
fn addresses(world: &World, manifest: &Value) -> BTreeSet<String> {
    let rows = files(world, manifest, "newcomers");
    let rows = rows.lines().filter(|row| !row.starts_with("name,"));
    let name = |row: &str| row.rsplit(',').next().unwrap_or_default().to_owned();
    rows.filter(|row| row.contains('@')).map(name).collect()
}

fn expected(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(email).collect()
}

#[tokio::test]
async fn in_a_large_pool_only_new_records_are_looked_up_and_nobody_is_listed() {
    let world = large_world().await;
    let whole = latest(&world);
    journal(&world, 1).await;
    journal(&world, 2).await;
    world.clear_calls();

    let first = tick(&world).await;

    assert_eq!(first["status"], "complete", "{first}");
    assert_eq!(calls(&world, "ListUsers"), 0);
    assert_eq!(calls(&world, "AdminGetUser"), 2);
    assert_eq!(calls(&world, "AdminListGroupsForUser"), 0, "no groups");
    let of_two = manifest(&world, &first);
    assert_eq!(of_two["scope"], "newcomers");
    assert_eq!(
        of_two["users"],
        json!({"listed": 2, "exported": 2, "newcomers": 2, "rejected": {}})
    );
    let mut roles = of_two["files"].as_array().unwrap().iter();
    assert!(roles.all(|file| file["role"] != "users"), "{of_two}");

    // when one more signs up
    journal(&world, 3).await;
    world.clear_calls();
    let second = tick(&world).await;

    assert_eq!(calls(&world, "AdminGetUser"), 1);
    assert_eq!(calls(&world, "ListUsers"), 0);
    let of_three = manifest(&world, &second);
    assert_eq!(addresses(&world, &of_three), expected(1..=3));
    assert_eq!(latest_newcomers(&world), second["snapshot"]);
    assert_eq!(latest(&world), whole, "the pointer to the pool's snapshot");
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn a_record_whose_user_is_gone_is_rejected_and_not_looked_up_again() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    journal(&world, 1).await;
    journal(&world, 2).await;
    delete(&world, 1..2).await;

    let answer = newcomers_snapshot(&world).await.unwrap();

    let manifest = manifest(&world, &answer);
    assert_eq!(
        manifest["users"],
        json!({"listed": 2, "exported": 1, "newcomers": 1, "rejected": {"gone": 1}})
    );
    let row = format!("{0},{0},,gone", sub(1));
    assert!(files(&world, &manifest, "rejected").contains(&row));
    let leftovers: Value =
        serde_json::from_str(&files(&world, &manifest, "leftovers")).expect("one line");
    assert_eq!(
        (&leftovers["sub"], &leftovers["reason"]),
        (&json!(sub(1)), &json!("gone"))
    );
}

#[tokio::test]
async fn somebody_who_was_unconfirmed_is_looked_up_again_and_somebody_who_came_home_is_left_out() {
    let world = large_world().await;
    put(&world, 5001, UserStatus::Unconfirmed);
    for number in [1, 2, 5001] {
        journal(&world, number).await;
    }
    let first = tick(&world).await;
    let of_first = manifest(&world, &first);
    assert_eq!(of_first["users"]["rejected"], json!({"unconfirmed": 1}));

    put(&world, 5001, UserStatus::Confirmed);
    let bucket = Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    assert!(archive_sign_up(&bucket, &sub(1), None).await.unwrap());
    subtract_archived_sign_ups(&bucket, 1).await.unwrap();
    journal(&world, 3).await;
    world.clear_calls();
    let second = tick(&world).await;

    assert_eq!(
        calls(&world, "AdminGetUser"),
        2,
        "the new one and the unconfirmed one"
    );
    let of_second = manifest(&world, &second);
    assert_eq!(addresses(&world, &of_second), expected([2, 3, 5001]));
}

#[tokio::test]
async fn groups_are_asked_for_once_and_carried_into_later_snapshots() {
    let world = large_world().await;
    let (cognito, pool) = (world.osaka.cognito(), &world.secondary.id);
    let group = GroupView {
        name: "staff".into(),
        ..GroupView::default()
    };
    cognito.put_group(pool, group);
    cognito.add_to_group(pool, &email(1), "staff");
    journal(&world, 1).await;
    tick(&world).await;
    journal(&world, 2).await;
    world.clear_calls();

    let answer = tick(&world).await;

    assert_eq!(calls(&world, "AdminListGroupsForUser"), 1);
    let manifest = manifest(&world, &answer);
    let leftovers: Value =
        serde_json::from_str(&files(&world, &manifest, "leftovers")).expect("one line");
    assert_eq!(
        (&leftovers["sub"], &leftovers["groups"]),
        (&json!(sub(1)), &json!(["staff"]))
    );
}

#[tokio::test]
async fn asked_for_by_hand_or_without_the_parts_of_the_last_one_everyone_is_looked_up() {
    let world = large_world().await;
    journal(&world, 1).await;
    journal(&world, 2).await;
    tick(&world).await;

    world.clear_calls();
    newcomers_snapshot(&world).await.unwrap();
    assert_eq!(calls(&world, "AdminGetUser"), 2, "by hand");

    let client = world.osaka.s3_client();
    for key in world.osaka.s3().keys(SNAPSHOTS, PARTS_PREFIX) {
        let delete = client.delete_object().bucket(SNAPSHOTS).key(key);
        delete.send().await.unwrap();
    }
    journal(&world, 3).await;
    world.clear_calls();
    let answer = tick(&world).await;

    assert_eq!(calls(&world, "AdminGetUser"), 3, "the parts are gone");
    assert_eq!(
        addresses(&world, &manifest(&world, &answer)),
        expected(1..=3)
    );
}

#[tokio::test]
async fn nobody_is_written_with_an_address_that_somebody_else_has_by_now() {
    let world = large_world().await;
    journal(&world, 1).await;
    journal(&world, 2).await;
    tick(&world).await;

    // when somebody gives up an address, and a newcomer signs up with it
    move_to_address(&world, &email(1), "moved@example.jp", true).await;
    let mut heir = seed(5001);
    heir.attributes.insert("email".into(), email(1));
    world.osaka.cognito().put_user(&world.secondary.id, heir);
    journal(&world, 5001).await;
    world.clear_calls();
    let answer = tick(&world).await;

    // then both have a row with their own address
    let manifest = manifest(&world, &answer);
    assert_eq!(manifest["users"]["newcomers"], 3);
    let moved = BTreeSet::from(["moved@example.jp".to_owned()]);
    let expected = &expected([1, 2]) | &moved;
    assert_eq!(addresses(&world, &manifest), expected);
    assert_eq!(calls(&world, "AdminGetUser"), 3, "the heir, and both again");
}

#[tokio::test]
async fn a_snapshot_says_since_when_its_newcomers_were_looked_up() {
    let world = large_world().await;
    journal(&world, 1).await;
    let first = tick(&world).await;
    journal(&world, 2).await;
    let second = tick(&world).await;
    journal(&world, 3).await;

    let third = tick(&world).await;
    let by_hand = newcomers_snapshot(&world).await.unwrap();

    let started_at = |answer| manifest(&world, answer)["started_at"].clone();
    let as_of = |answer| manifest(&world, answer)["as_of"].clone();
    assert_ne!(started_at(&third), started_at(&first));
    for answer in [&first, &second, &third] {
        assert_eq!(as_of(answer), started_at(&first));
    }
    assert_eq!(as_of(&by_hand), started_at(&by_hand));
}

#[tokio::test]
async fn in_a_pool_in_which_nearly_everybody_signed_up_nobody_is_looked_up_to_begin_with() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..MANY);
    for number in 0..70 {
        journal(&world, number).await;
    }
    let whole = snapshot(&world).await.unwrap();
    let lambda = world.osaka.lambda();
    // A listing takes 61 calls, at the same rate.
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "1");
    lambda.set_env(BACKUP_WORKER, "LOOKUPS_RPS", "1");
    journal(&world, 71).await;
    world.clear_calls();

    let waits = tick(&world).await;

    assert_eq!(waits["status"], "not-needed", "{waits}");
    assert_eq!(waits["snapshot"], whole["snapshot"]);
    assert_eq!(calls(&world, "AdminGetUser"), 0);

    // but who has looked them up once goes on
    lambda.set_env(BACKUP_WORKER, "LOOKUPS_RPS", "200");
    newcomers_snapshot(&world).await.unwrap();
    lambda.set_env(BACKUP_WORKER, "LOOKUPS_RPS", "1");
    journal(&world, 72).await;
    assert_eq!(tick(&world).await["status"], "complete");
}

#[tokio::test]
async fn killed_and_cut_off_workers_go_on_with_what_was_looked_up() {
    const NEWCOMERS: u32 = 60;
    let world = world().await;
    hasten(&world);
    populate(&world, 0..NEWCOMERS);
    for number in 0..NEWCOMERS {
        journal(&world, number).await;
    }
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LOOKUPS_RPS", "12");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_millis(2500));
    world.clear_calls();

    let (killed, ()) = tokio::join!(newcomers_snapshot(&world), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        lambda.kill(BACKUP_WORKER);
    });
    assert!(killed.is_err(), "{killed:?}");
    let begun = object(&world, "lease-newcomers.json").unwrap()["unfinished"].clone();
    while is_held(&world, "lease-newcomers.json").await {}
    let mut cut_off = 0;
    let done = loop {
        let answer = newcomers_snapshot(&world).await.unwrap();
        if answer["status"] != "in-progress" {
            break answer;
        }
        cut_off += 1;
        assert!(cut_off < 20, "{answer}");
    };

    assert!(cut_off > 0, "this needs several invocations");
    assert_eq!(
        (&done["status"], &done["snapshot"]),
        (&json!("complete"), &begun)
    );
    let everyone = expected(0..NEWCOMERS);
    assert_eq!(addresses(&world, &manifest(&world, &done)), everyone);
    let lookups = calls(&world, "AdminGetUser");
    assert!(lookups < 2 * NEWCOMERS as usize, "{lookups}");
}

/// Whether a worker holds a lease now.
async fn is_held(world: &World, lease: &str) -> bool {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let lease = object(world, lease).expect("a lease");
    let until: Option<Timestamp> =
        serde_json::from_value(lease["holder"]["until"].clone()).unwrap();
    until.is_some_and(|until| until > Timestamp::now())
}

#[tokio::test]
async fn neither_scope_waits_for_the_other_and_the_pointers_only_move_forward() {
    let world = large_world().await;
    let whole = latest(&world).unwrap()["snapshot"].clone();
    assert_eq!(
        latest_newcomers(&world),
        whole,
        "a snapshot of the pool has the newcomers"
    );
    let lambda = world.osaka.lambda();
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(5));
    journal(&world, 1).await;

    // when a snapshot of the pool takes longer than its invocation, and somebody signs up meanwhile
    let (of_pool, of_newcomers) = tokio::join!(snapshot(&world), async {
        while !is_held(&world, "lease.json").await {}
        tokio::time::sleep(Duration::from_secs(1)).await;
        tick(&world).await
    });

    // then the newcomers do not wait for it
    assert_eq!(of_pool.unwrap()["status"], "in-progress");
    assert_eq!(of_newcomers["status"], "complete", "{of_newcomers}");
    assert_eq!(latest_newcomers(&world), of_newcomers["snapshot"]);
    assert_eq!(latest(&world).unwrap()["snapshot"], whole);

    // and the older one of the pool becomes the latest of the pool, and not of the newcomers
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(900));
    let done = tick(&world).await;
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(latest(&world).unwrap()["snapshot"], done["snapshot"]);
    assert!(done["snapshot"].as_str() < of_newcomers["snapshot"].as_str());
    assert_eq!(latest_newcomers(&world), of_newcomers["snapshot"]);
}

#[tokio::test]
async fn the_snapshot_of_a_large_pool_follows_when_the_last_one_is_old() {
    let world = large_world().await;
    let lambda = world.osaka.lambda();
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(5));
    journal(&world, 1).await;
    tick(&world).await;
    assert_eq!(
        object(&world, "lease.json").unwrap()["unfinished"],
        Value::Null
    );

    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_POOL_INTERVAL_S", "0");
    let answer = tick(&world).await;

    assert_eq!(answer["status"], "in-progress", "{answer}");
    assert_eq!(
        object(&world, "lease.json").unwrap()["unfinished"],
        answer["snapshot"]
    );
}

#[tokio::test]
async fn the_shrink_guard_compares_snapshots_of_the_pool_only() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..120);
    journal(&world, 1).await;
    let whole = snapshot(&world).await.unwrap();

    let newcomers = newcomers_snapshot(&world).await.unwrap();
    assert_eq!(newcomers["status"], "complete", "one person of 120");
    delete(&world, 0..70).await;
    let shrunk = snapshot(&world).await.unwrap();

    assert_eq!(shrunk["status"], "shrunk");
    assert_eq!(latest(&world).unwrap()["snapshot"], whole["snapshot"]);
    assert_eq!(latest_newcomers(&world), newcomers["snapshot"]);
    let counted = counted(&world, &world.osaka, BACKUP_WORKER, "SnapshotShrunk");
    assert_eq!(counted, 1);
}

#[tokio::test]
async fn the_command_takes_a_snapshot_of_the_newcomers_and_the_status_knows_it() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..4);
    let whole = snapshot(&world).await.unwrap();
    journal(&world, 1).await;
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, SIGN_UPS_PREFIX).len(), 1);
    let pool = ["--pool", &world.secondary.id, "--bucket", SNAPSHOTS];
    let command = [
        &["snapshot", "--scope", "newcomers", "--output", "json"],
        &pool[..],
    ]
    .concat();
    world.clear_calls();

    let taken = twinpool(&world, &command).await;

    assert_eq!(taken.code, 0, "{taken:?}");
    assert_eq!(taken.json()["manifest"]["users"]["newcomers"], 1);
    assert_eq!(calls(&world, "ListUsers"), 0);
    let pools = [
        "--primary",
        &world.primary.id,
        "--secondary",
        &world.secondary.id,
    ];
    let command = [
        &["status", "--output", "json", "--bucket", SNAPSHOTS],
        &pools[..],
    ]
    .concat();
    let status = twinpool(&world, &command).await.json();
    let status = status.to_string();
    assert!(
        status.contains(whole["snapshot"].as_str().unwrap()),
        "{status}"
    );
    assert!(status.contains(r#""newcomers":1"#), "{status}");
}
