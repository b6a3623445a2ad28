//! Snapshots: complete, whatever the listing does; one at a time; never half-made, never backwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use local::cognito::{Pages, PoolSettings, SeedUser, UserStatus};
use local::faults::{Fault, Kind, Service};
use local::schedule::ScheduleOptions;
use local::world::{BACKUP_TRIGGER, BACKUP_WORKER, SNAPSHOTS, World, WorldOptions};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::bucket::Bucket;
use shared::snapshot::files::Series;
use shared::snapshot::{Id, Manifest, PoolSummary, Published, Role, Users, publish, seal};

use crate::support::{
    answer, called, confirmation, counted, email, files, invoke, most_in_a_second, object,
    snapshot, sub, tick, world,
};

/// Puts people with these numbers into the secondary pool.
pub fn populate(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        put(world, number, UserStatus::Confirmed);
    }
}

pub fn put(world: &World, number: u32, status: UserStatus) {
    let user = SeedUser {
        sub: Some(sub(number)),
        status,
        attributes: BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
        ]),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, user);
}

/// An administrator deletes people with these numbers.
pub async fn delete(world: &World, numbers: std::ops::Range<u32>) {
    let client = world.osaka.cognito_client();
    for number in numbers {
        let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
        delete.username(sub(number)).send().await.unwrap();
    }
}

/// The secondary pool's trigger sees a sign-up.
pub async fn journal(world: &World, number: u32) {
    let event = confirmation(number).to_string();
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;
}

pub fn hasten(world: &World) {
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "0");
    world.osaka.cognito().knobs().set_quotas(false);
}

pub fn manifest(world: &World, answer: &Value) -> Value {
    let key = answer["manifest"].as_str().expect("a manifest");
    object(world, key).expect("the manifest is there")
}

pub fn latest(world: &World) -> Option<Value> {
    object(world, "latest.json")
}

/// The rows of the import files, and who was named as rejected.
fn rows(world: &World, answer: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let manifest = manifest(world, answer);
    let lines = |role| {
        files(world, &manifest, role)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    (lines("users"), lines("rejected"))
}

#[tokio::test]
async fn a_snapshot_is_laid_out_as_promised() {
    let world = world().await;
    populate(&world, 0..3);
    put(&world, 3, UserStatus::Unconfirmed);
    journal(&world, 1).await;

    let answer = tick(&world).await;

    let manifest = manifest(&world, &answer);
    let id = answer["snapshot"].as_str().unwrap();
    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["users"], 4);
    assert_eq!(answer["manifest"], format!("snapshots/{id}/manifest.json"));
    let latest = latest(&world).unwrap();
    assert_eq!(latest["snapshot"], id);
    assert_eq!(latest["manifest"], answer["manifest"]);
    for file in manifest["files"].as_array().unwrap() {
        let key = file["key"].as_str().unwrap();
        let object = world.osaka.s3().object(SNAPSHOTS, key).unwrap();
        assert_eq!(file["sha256"], format!("{:x}", Sha256::digest(&object)));
        assert_eq!(file["bytes"], object.len());
    }
    assert_eq!(
        manifest["users"],
        json!({"listed": 4, "exported": 3, "newcomers": 1, "rejected": {"unconfirmed": 1}})
    );
    assert_eq!(
        manifest["pool"],
        json!({"id": "ap-northeast-3_Secondary", "region": "ap-northeast-3", "mfa": "ON", "username_attributes": ["email"]})
    );
    let keys = world.osaka.s3().keys(SNAPSHOTS, "snapshots/");
    let names: Vec<_> = keys
        .iter()
        .map(|key| key.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "leftovers-0001.jsonl",
            "manifest.json",
            "newcomers-0001.csv",
            "rejected.csv",
            "users-0001.csv"
        ]
    );
    let newcomers = files(&world, &manifest, "newcomers");
    assert_eq!(newcomers.lines().count(), 2);
    assert!(newcomers.contains(&sub(1)), "the newcomer's sub is carried");
    assert!(files(&world, &manifest, "rejected").contains(&format!(
        "{},{},,unconfirmed\r\n",
        email(3),
        sub(3)
    )));
}

#[tokio::test]
async fn the_same_people_come_out_of_short_and_empty_pages_throttling_and_broken_answers() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..700);
    for number in 700..720 {
        put(&world, number, UserStatus::Unconfirmed);
    }
    let knobs = world.osaka.cognito().knobs();
    let plain = rows(&world, &snapshot(&world).await.unwrap());
    assert_eq!(plain.0.len(), 701);

    for pages in [
        Pages::Short { seed: 1 },
        Pages::Empty { seed: 2 },
        Pages::Empty { seed: 3 },
    ] {
        knobs.set_pages(pages);
        for kind in [Kind::Throttle, Kind::Reset, Kind::Rubbish] {
            let fault = Fault::on(Service::Cognito, "ListUsers", kind);
            world.osaka.faults().add(fault.after(3).times(2));
        }

        let answer = snapshot(&world).await.unwrap();

        assert_eq!(rows(&world, &answer), plain, "{pages:?}");
    }
}

#[tokio::test]
async fn a_newcomer_whom_the_listing_does_not_show_yet_is_in_the_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..5);
    let knobs = world.osaka.cognito().knobs();
    knobs.set_list_lag(Duration::from_secs(600));
    // One whom the listing does not show at all.
    put_late(&world, 10).await;
    // One whom the listing still shows as unconfirmed.
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
    assert_eq!(asked, 2, "each AdminGetUser bills an active user");
}

/// Somebody signs up and confirms while the listing lags.
async fn put_late(world: &World, number: u32) {
    let client = world.osaka.cognito_client();
    let sign_up = client.sign_up().client_id(&world.secondary.client_id);
    let sign_up = sign_up.username(email(number)).password("Correct-horse-7");
    sign_up.send().await.unwrap();
    let confirm = client.admin_confirm_sign_up();
    let confirm = confirm
        .user_pool_id(&world.secondary.id)
        .username(email(number));
    confirm.send().await.unwrap();
    let verify = client.admin_update_user_attributes();
    let verified = aws_sdk_cognitoidentityprovider::types::AttributeType::builder()
        .name("email_verified")
        .value("true")
        .build()
        .unwrap();
    let verify = verify
        .user_pool_id(&world.secondary.id)
        .username(email(number));
    verify.user_attributes(verified).send().await.unwrap();
}

#[tokio::test]
async fn a_wake_up_without_a_new_sign_up_takes_no_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    assert_eq!(tick(&world).await["status"], "not-needed");
    journal(&world, 0).await;
    let first = tick(&world).await;
    assert_eq!(first["status"], "complete");

    let second = tick(&world).await;

    assert_eq!(second["status"], "not-needed");
    assert_eq!(second["snapshot"], first["snapshot"]);
    let notification = json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "s3": {
        "bucket": {"name": SNAPSHOTS}, "object": {"key": format!("journal/sign-up/{}.json", sub(1))},
    }}]});
    journal(&world, 1).await;
    let third = invoke(&world.osaka, BACKUP_WORKER, &notification).await;
    assert_eq!(third.unwrap()["status"], "complete");
}

#[tokio::test]
async fn a_tick_that_is_a_little_too_soon_waits_and_one_that_is_much_too_soon_does_not() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "6");
    snapshot(&world).await.unwrap();
    let started = latest(&world).unwrap()["started_at"].clone();
    let started: Timestamp = serde_json::from_value(started).unwrap();
    journal(&world, 1).await;

    assert_eq!(tick(&world).await["status"], "not-needed");
    let nearly = started + Duration::from_millis(5200);
    let pause = nearly.duration_since(Timestamp::now());
    tokio::time::sleep(pause.try_into().unwrap_or_default()).await;
    assert_eq!(tick(&world).await["status"], "complete");
    let next = latest(&world).unwrap()["started_at"].clone();
    let next: Timestamp = serde_json::from_value(next).unwrap();
    assert!(next >= started + Duration::from_secs(6));
}

#[tokio::test]
async fn without_what_the_lease_remembers_records_are_looked_at_twice_and_none_is_missed() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..2);
    journal(&world, 1).await;
    tick(&world).await;
    let forget = world.osaka.s3_client().delete_object().bucket(SNAPSHOTS);
    forget.key("lease.json").send().await.unwrap();

    assert_eq!(tick(&world).await["status"], "complete");
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn what_is_no_record_in_the_journal_stops_no_snapshot() {
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
async fn a_refusal_to_say_whether_a_newcomer_is_there_makes_no_snapshot_without_them() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..5);
    let knobs = world.osaka.cognito().knobs();
    knobs.set_list_lag(Duration::from_secs(600));
    put_late(&world, 10).await;
    for code in ["NotAuthorizedException", "SomethingNewException"] {
        let refusal = Kind::Error {
            status: 400,
            code: code.into(),
            message: "no".into(),
        };
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
async fn somebody_who_signed_up_twice_under_a_username_is_in_the_files_once() {
    let world = world().await;
    hasten(&world);
    let pool = world.osaka.cognito().create_pool(PoolSettings {
        name: "usernames".into(),
        username_attributes: vec![],
        ..local::world::pool()
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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_memory_of_a_snapshot_stays_small() {
    let world = world().await;
    hasten(&world);
    let lambda = world.osaka.lambda();
    let mut peaks = Vec::new();
    for people in [0..20_000, 20_000..60_000] {
        for number in people {
            put_with_a_long_name(&world, number);
        }
        // A setting that changes is a new process.
        let rate = (5000 + peaks.len()).to_string();
        lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", &rate);
        let answer = snapshot(&world).await.unwrap();
        assert_eq!(answer["status"], "complete");
        peaks.push(peak_memory_of("backup-fn"));
    }

    // Three times as many people are 40 MB more of rows.
    let [few, many] = peaks[..] else { panic!() };
    assert!(few > 0 && many < few + 8_000, "{few} kB and {many} kB");
}

#[cfg(target_os = "linux")]
fn put_with_a_long_name(world: &World, number: u32) {
    let user = SeedUser {
        sub: Some(sub(number)),
        attributes: BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
            ("name".to_owned(), "x".repeat(1000)),
        ]),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, user);
}

#[cfg(target_os = "linux")]
/// The most memory that any process of this test's with this name has held, in kB.
fn peak_memory_of(binary: &str) -> u64 {
    let parent = format!("PPid:\t{}", std::process::id());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let statuses = processes.filter_map(|process| {
        let exe = std::fs::read_link(process.path().join("exe")).ok()?;
        let ours = exe.file_name()? == binary;
        let status = std::fs::read_to_string(process.path().join("status")).ok()?;
        (ours && status.contains(&parent)).then_some(status)
    });
    let peaks = statuses.filter_map(|status| {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    });
    peaks.max().unwrap_or(0)
}

#[tokio::test]
async fn the_pool_is_listed_on_many_chains_within_one_rate() {
    let world = world().await;
    populate(&world, 0..2000);
    world
        .osaka
        .lambda()
        .set_env(BACKUP_WORKER, "LIST_USERS_RPS", "10");

    snapshot(&world).await.unwrap();

    let calls = world.calls();
    let calls = calls.iter().filter(|call| call.operation == "ListUsers");
    assert!(calls.count() >= 16 * 3);
    assert!(most_in_a_second(&world, "ListUsers") <= 12);
}

#[tokio::test]
async fn the_tick_tells_the_age_and_size_of_the_last_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    snapshot(&world).await.unwrap();

    tick(&world).await;

    let count = |metric| counted(&world, &world.osaka, BACKUP_WORKER, metric);
    assert_eq!(count("SnapshotUsers"), 3);
    assert!(
        world
            .log(&world.osaka, BACKUP_WORKER)
            .contains("SnapshotAge")
    );
}

#[tokio::test]
async fn a_killed_run_never_becomes_latest_and_the_next_one_does() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..300);
    let lambda = world.osaka.lambda();
    let lease = Duration::from_secs(12);
    lambda.set_timeout(BACKUP_WORKER, lease);
    let first = snapshot(&world).await.unwrap();
    let slow = Kind::Delay(Duration::from_secs(6));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::Cognito, "ListUsers", slow));

    world.clear_calls();
    let begun = Instant::now();
    let (killed, ()) = tokio::join!(snapshot(&world), async {
        called(&world, "ListUsers").await;
        lambda.kill(BACKUP_WORKER);
    });

    assert!(killed.is_err(), "{killed:?}");
    assert_eq!(latest(&world).unwrap()["snapshot"], first["snapshot"]);
    world.osaka.faults().clear();
    assert_eq!(snapshot(&world).await.unwrap()["status"], "held");
    // The lease ends with the invocation that took it.
    tokio::time::sleep((lease + Duration::from_secs(2)).saturating_sub(begun.elapsed())).await;
    let next = snapshot(&world).await.unwrap();
    assert_eq!(next["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], next["snapshot"]);
}

#[tokio::test]
async fn a_run_that_is_out_of_time_publishes_nothing_and_the_next_one_goes_on() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..300);
    let slow = Kind::Delay(Duration::from_secs(10));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::Cognito, "ListUsers", slow));
    world
        .osaka
        .lambda()
        .set_timeout(BACKUP_WORKER, Duration::from_secs(8));

    let cut = snapshot(&world).await.unwrap();

    let id = cut["snapshot"].as_str().unwrap();
    assert_eq!(
        cut,
        json!({"status": "in-progress", "snapshot": id, "manifest": null, "users": 0})
    );
    let keys = world.osaka.s3().keys(SNAPSHOTS, "snapshots/");
    assert_eq!(keys, [format!("snapshots/{id}/progress.json")]);
    assert_eq!(latest(&world), None);
    world.osaka.faults().clear();
    let next = tick(&world).await;
    assert_eq!(next["status"], "complete", "the lease was given back");
    assert_eq!(next["snapshot"], id);
}

#[tokio::test]
async fn two_workers_at_once_make_one_snapshot() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..100);

    let answers = tokio::join!(snapshot(&world), snapshot(&world), snapshot(&world));

    let mut answers = [answers.0, answers.1, answers.2]
        .map(|answer| answer.unwrap()["status"].as_str().unwrap().to_owned());
    answers.sort();
    assert_eq!(answers, ["complete", "held", "held"]);
    let manifests = world.osaka.s3().keys(SNAPSHOTS, "snapshots/").into_iter();
    assert_eq!(
        manifests
            .filter(|key| key.ends_with("manifest.json"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_taken_for_somebody_elses() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..10);
    for lost in 0..7 {
        let fault = Fault::on(Service::S3, "PutObject", Kind::Reset);
        world.osaka.faults().add(fault.after(lost).times(1));

        let answer = snapshot(&world).await.unwrap();

        assert_eq!(answer["status"], "complete", "write {lost}");
        assert_eq!(latest(&world).unwrap()["snapshot"], answer["snapshot"]);
        world.osaka.faults().clear();
    }
}

#[tokio::test]
async fn a_storm_of_a_thousand_sign_ups_makes_a_handful_of_snapshots() {
    let world = World::start(WorldOptions {
        schedule: Some(ScheduleOptions {
            tick: Duration::from_secs(1),
            delay: Duration::from_millis(500),
            duplicates: 0.2,
            retry_pause: Duration::from_secs(1),
            ..ScheduleOptions::default()
        }),
        ..WorldOptions::default()
    })
    .await
    .unwrap();
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "5");
    let begun = Instant::now();

    let record = |number| {
        let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
        let put = put.key(format!("journal/sign-up/{}.json", sub(number)));
        put.body(b"{}".to_vec().into()).send()
    };
    for number in 0..1000 {
        put(&world, number, UserStatus::Confirmed);
    }
    let storm = stream::iter(0..1000).map(record).buffer_unordered(50);
    let storm: Vec<_> = storm.collect().await;
    assert!(storm.iter().all(Result::is_ok));

    let in_latest = || {
        let latest = latest(&world)?;
        let manifest = object(&world, latest["manifest"].as_str()?)?;
        manifest["users"]["newcomers"].as_u64()
    };
    while in_latest() != Some(1000) {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{:?}",
            in_latest()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let manifests = world.osaka.s3().keys(SNAPSHOTS, "snapshots/").into_iter();
    let snapshots = manifests
        .filter(|key| key.ends_with("manifest.json"))
        .count();
    assert!(snapshots <= 8, "{snapshots} snapshots");
}

#[tokio::test]
async fn a_pool_that_has_shrunk_does_not_become_latest_unless_somebody_accepts_it() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..120);
    let full = snapshot(&world).await.unwrap();
    delete(&world, 0..70).await;

    let shrunk = snapshot(&world).await.unwrap();
    assert_eq!(shrunk["status"], "shrunk");
    let alarm = counted(&world, &world.osaka, BACKUP_WORKER, "SnapshotShrunk");
    assert_eq!(alarm, 1);
    assert_eq!(manifest(&world, &shrunk)["users"]["listed"], 50);
    assert_eq!(latest(&world).unwrap()["snapshot"], full["snapshot"]);

    let accept = json!({"action": "snapshot", "accept_shrink": true});
    let accepted = invoke(&world.osaka, BACKUP_WORKER, &accept).await.unwrap();
    assert_eq!(accepted["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], accepted["snapshot"]);
}

#[tokio::test]
async fn how_far_a_pool_may_shrink_is_a_setting() {
    let world = world().await;
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "SHRINK_GUARD_PERCENT", "30");
    populate(&world, 0..120);
    snapshot(&world).await.unwrap();
    delete(&world, 0..70).await;

    assert_eq!(snapshot(&world).await.unwrap()["status"], "complete");
}

#[tokio::test]
async fn latest_never_goes_backwards() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let older = empty_manifest("2026-11-20T10:00:00Z");
    let newer = empty_manifest("2026-11-20T10:00:01Z");
    seal(bucket, &older).await.unwrap();
    seal(bucket, &newer).await.unwrap();

    let publish = |manifest| publish(bucket, manifest, 50, false);
    let (one, other) = tokio::join!(publish(&newer), publish(&older));
    assert_eq!(one.unwrap(), Published::Latest);
    assert_eq!(other.unwrap(), Published::Latest);
    publish(&older).await.unwrap();

    let expected = newer.snapshot.to_string();
    assert_eq!(latest(&world).unwrap()["snapshot"], expected);
}

fn empty_manifest(started_at: &str) -> Manifest {
    let started_at: Timestamp = started_at.parse().unwrap();
    Manifest {
        version: 1,
        snapshot: Id::new(started_at),
        pool: PoolSummary {
            id: "ap-northeast-3_Secondary".into(),
            region: "ap-northeast-3".into(),
            mfa: "ON".into(),
            username_attributes: vec![],
        },
        started_at,
        finished_at: started_at,
        header: vec![],
        users: Users::default(),
        dropped_attributes: BTreeMap::new(),
        files: vec![],
    }
}

#[tokio::test]
async fn a_file_closes_before_it_outgrows_an_import() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let id = &Id::new(Timestamp::UNIX_EPOCH);
    let begin = |role| Series::new(bucket, id, role, "head\n".into());

    let mut many = begin(Role::Users);
    for _ in 0..500_001 {
        many.write(b"row\n").await.unwrap();
    }
    let mut large = begin(Role::Newcomers);
    let row = vec![b'x'; 1_000_000];
    for _ in 0..100 {
        large.write(&row).await.unwrap();
    }

    let rows: Vec<_> = many
        .finish()
        .await
        .unwrap()
        .iter()
        .map(|f| f.rows)
        .collect();
    assert_eq!(rows, [500_000, 1]);
    let files = large.finish().await.unwrap();
    let bytes: Vec<_> = files.iter().map(|file| file.bytes).collect();
    assert_eq!(bytes, [99_000_005, 1_000_005]);
    for file in files {
        let object = world.osaka.s3().object(SNAPSHOTS, &file.key).unwrap();
        assert_eq!(object.len() as u64, file.bytes);
        assert!(object.starts_with(b"head\n"));
    }
}
