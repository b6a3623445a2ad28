//! Snapshots that take several invocations contain the same people as those of one invocation, whatever happens between and
//! during the invocations.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local_regions::cognito::{Pages, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::cognito::listing::{Chain, Page, Position};
use shared::id::Id;
use shared::person::Person;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::s3::lease::{Lease, LeaseError, LeaseState, Term};
use shared::snapshot::error::SnapshotError;
use shared::snapshot::layout::{LEASE_KEY, progress_key};
use shared::snapshot::lease;
use shared::snapshot::progress::Progress;
use shared::snapshot::scope::Scope;
use shared::snapshot::unfinished::Unfinished;

use crate::snapshot::{delete, hasten, journal, latest, manifest, populate, put};
use crate::support::{email, files, invoke, object, snapshot, sub, tick, world};

const PEOPLE: u32 = 1600;

/// A snapshot that a worker starts now.
fn started_now(pool: &PoolId) -> Progress {
    let now = Timestamp::now();
    Progress::start(Id::new(now), pool, now, None, "first", false)
}

/// Regions in which one snapshot has been taken in one invocation, and the next one needs several.
async fn slow_world() -> (World, Vec<String>) {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..PEOPLE);
    world
        .osaka
        .cognito()
        .knobs()
        .set_pages(Pages::Short { seed: 1 });
    let whole = rows(&world, &snapshot(&world).await.unwrap());
    assert_eq!(whole.len() as u32, PEOPLE + 3);
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "12");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_millis(2500));
    (world, whole)
}

/// All rows of a snapshot, sorted. Checks the files against the manifest.
pub(super) fn rows(world: &World, answer: &Value) -> Vec<String> {
    assert_eq!(answer["status"], "complete", "{answer}");
    let manifest = manifest(world, answer);
    for file in manifest["files"].as_array().unwrap() {
        let key = file["key"].as_str().unwrap();
        let object = world.osaka.s3().object(SNAPSHOTS, key).unwrap();
        assert_eq!(file["sha256"], format!("{:x}", Sha256::digest(&object)));
    }
    let roles = ["users", "newcomers", "rejected", "leftovers"];
    let text = roles.map(|role| files(world, &manifest, role)).concat();
    let mut rows: Vec<_> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// Sends ticks until the snapshot is complete, and calls a function before each one.
pub(super) async fn complete(
    world: &World,
    begun: &Value,
    mut before: impl FnMut(),
) -> (Value, usize) {
    for ticks in 1..30 {
        before();
        let tick = json!({"action": "tick"});
        let answer = match invoke(&world.osaka, BACKUP_WORKER, &tick).await {
            Ok(answer) => answer,
            // On a slow machine, Lambda ends the invocation.
            Err(error) if error.contains("timed out") => {
                while is_held(world).await {}
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        if answer["status"] != "in-progress" {
            assert_eq!(answer["snapshot"], begun["snapshot"], "{answer}");
            return (answer, ticks);
        }
    }
    panic!("the snapshot is not complete after 30 ticks");
}

/// The number of users in the stored parts, from which the next worker resumes.
fn stored(world: &World, id: &Value) -> u64 {
    let id = id.as_str().unwrap();
    let Some(progress) = object(world, &format!("snapshots/{id}/progress.json")) else {
        return 0;
    };
    let chains = progress["chains"].as_array().unwrap().iter();
    chains.map(|chain| chain["users"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_snapshot_of_many_invocations_is_the_same_as_one_of_a_single_invocation() {
    let (world, whole) = slow_world().await;
    let before = latest(&world);

    let cut = snapshot(&world).await.unwrap();

    assert_eq!(cut["status"], "in-progress");
    assert_eq!(cut["manifest"], Value::Null);
    assert_eq!(
        cut["users"].as_u64().unwrap(),
        stored(&world, &cut["snapshot"])
    );
    assert_eq!(latest(&world), before);
    let (done, ticks) = complete(&world, &cut, || ()).await;
    assert!(ticks >= 2, "{ticks}");
    assert_eq!(rows(&world, &done), whole);
    assert_eq!(latest(&world).unwrap()["snapshot"], cut["snapshot"]);
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn chains_with_expired_tokens_start_again_and_nobody_is_in_the_files_twice() {
    let (world, whole) = slow_world().await;
    let cut = snapshot(&world).await.unwrap();

    // All tokens expire between two invocations, and the snapshot must still be completed.
    let an_hour = || world.osaka.cognito().advance(Duration::from_secs(3601));
    let (done, _) = complete(&world, &cut, an_hour).await;

    assert_eq!(rows(&world, &done), whole);
    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert!(log.contains("a token has expired"));
}

#[tokio::test]
async fn every_killed_worker_leaves_progress_from_which_the_next_one_resumes() {
    let (world, whole) = slow_world().await;
    let lambda = world.osaka.lambda();
    let mut id = Value::Null;
    let mut listed = 0;

    for _ in 0..3 {
        let (killed, ()) = tokio::join!(snapshot(&world), async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            lambda.kill(BACKUP_WORKER);
        });
        assert!(killed.is_err(), "{killed:?}");
        let begun = object(&world, "lease.json").unwrap()["unfinished"].clone();
        assert!(id.is_null() || id == begun);
        id = begun;
        let now = stored(&world, &id);
        assert!(now > listed, "{now} after {listed}");
        listed = now;
        // The lease expires with the time limit of the invocation that took it.
        while is_held(&world).await {}
    }

    let (done, _) = complete(&world, &json!({"snapshot": id}), || ()).await;
    assert_eq!(rows(&world, &done), whole);
}

/// Whether a worker holds the lease now.
pub(super) async fn is_held(world: &World) -> bool {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let lease = object(world, "lease.json").unwrap();
    let until: Option<Timestamp> =
        serde_json::from_value(lease["holder"]["until"].clone()).unwrap();
    until.is_some_and(|until| until > Timestamp::now())
}

#[tokio::test]
async fn concurrent_workers_do_not_resume_the_same_snapshot() {
    let (world, whole) = slow_world().await;
    let cut = snapshot(&world).await.unwrap();

    let done = loop {
        let (one, other) = tokio::join!(tick(&world), tick(&world));
        let (held, went_on) = match one["status"] == "held" {
            true => (one, other),
            false => (other, one),
        };
        assert_eq!(held["status"], "held");
        assert_eq!(went_on["snapshot"], cut["snapshot"]);
        if went_on["status"] != "in-progress" {
            break went_on;
        }
    };

    assert_eq!(rows(&world, &done), whole);
}

#[tokio::test]
async fn a_worker_that_hung_until_another_one_took_over_can_no_longer_change_anything() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let pool = world.secondary.id.parse().unwrap();
    let person = |number| Person {
        username: sub(number),
        status: "CONFIRMED".into(),
        enabled: true,
        attributes: [("sub", sub(number))].into_iter().collect(),
        created_at: None,
        mfa: false,
    };
    let chain = Chain::all().nth(1).unwrap();
    let page = |numbers: &[u32], next| Page {
        people: numbers.iter().map(|number| person(*number)).collect(),
        next,
    };
    let begun = started_now(&pool);
    let mut hung = Unfinished::start(bucket, begun);
    hung.add_page(chain, &page(&[1], Position::Token("one".into())))
        .await
        .unwrap();
    hung.save().await.unwrap();
    let key = progress_key(&hung.progress().snapshot);
    let stored = || bucket.get_json::<Progress>(&key);

    let left = stored().await.unwrap().unwrap();
    let next = Unfinished::resume(bucket, left.clone(), "next", false).await;
    let mut next = next.unwrap();
    // Both list the same people, and each lists people whom the other has not seen.
    hung.add_page(chain, &page(&[17, 33], Position::End))
        .await
        .unwrap();
    next.add_page(chain, &page(&[17], Position::Token("two".into())))
        .await
        .unwrap();
    next.save().await.unwrap();

    let is_superseded = |done| matches!(done, Err(SnapshotError::Superseded));
    assert!(is_superseded(hung.save().await));
    assert!(is_superseded(hung.begin_closing(0).await));
    let third = Unfinished::resume(bucket, left, "third", false).await;
    assert!(is_superseded(third.map(|_| ())));
    let (progress, _) = stored().await.unwrap().unwrap();
    assert_eq!(progress, *next.progress());
    assert_eq!(progress.users(), 2);
}

#[tokio::test]
async fn progress_is_stored_even_if_the_time_runs_out_during_the_write() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let pool = world.secondary.id.parse().unwrap();
    let begun = started_now(&pool);
    let mut unfinished = Unfinished::start(bucket, begun);
    let slow = Kind::Delay(Duration::from_millis(300));
    let fault = Fault::on(Service::S3, "PutObject", slow);
    for _ in 0..2 {
        world.osaka.faults().add(fault.clone().times(1));
        let cut =
            tokio::time::timeout(Duration::from_millis(200), unfinished.begin_closing(7)).await;
        // The first time, nothing is stored yet that another worker could resume.
        assert_eq!(cut.is_err(), unfinished.is_stored());
        tokio::time::sleep(Duration::from_millis(400)).await;

        unfinished.save().await.unwrap();

        let key = progress_key(&unfinished.progress().snapshot);
        let (stored, _) = bucket.get_json::<Progress>(&key).await.unwrap().unwrap();
        assert_eq!(stored, *unfinished.progress());
        assert_eq!(stored.closing, None);
        world.osaka.faults().clear();
    }
}

#[tokio::test]
async fn a_renewed_lease_cannot_be_taken_and_an_expired_one_is_lost() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let term = Term::Renewed {
        validity: SignedDuration::from_millis(1200),
        interval: Duration::from_millis(200),
    };
    let take = async |holder| {
        let (state, etag) = lease::read(bucket, Scope::Pool).await.unwrap();
        let taken = Lease::take(bucket, LEASE_KEY, etag.as_deref(), state, holder, term);
        taken.await.unwrap()
    };
    let one = take("one").await.unwrap();

    let kept = tokio::time::timeout(Duration::from_secs(3), one.keep_renewed()).await;
    assert!(kept.is_err(), "it is still held");
    assert!(take("other").await.is_none());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let other = take("other").await.unwrap();

    one.keep_renewed().await;
    assert!(matches!(
        one.release(|_| ()).await,
        Err(LeaseError::TakenOver)
    ));
    let (held, _) = lease::read(bucket, Scope::Pool).await.unwrap();
    assert!(
        held.held_until(Timestamp::now()).is_some(),
        "the other worker still holds it"
    );
    other.release(|_| ()).await.unwrap();
    assert!(take("third").await.is_some());
}

#[tokio::test]
async fn if_the_pool_changes_during_a_snapshot_everyone_is_in_the_files_once() {
    let (world, _) = slow_world().await;
    journal(&world, 5).await;
    let cut = snapshot(&world).await.unwrap();
    assert_eq!(cut["status"], "in-progress");
    // These users may have been listed already, or not.
    journal(&world, 6).await;
    delete(&world, 100..140).await;
    for number in 2000..2040 {
        put(&world, number, UserStatus::Confirmed);
    }
    // All rows must have the same format, although the setting changes.
    let lambda = world.osaka.lambda();
    lambda.unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");

    let (done, _) = complete(&world, &cut, || ()).await;

    let manifest = manifest(&world, &done);
    let users = files(&world, &manifest, "users");
    let rows: Vec<_> = users.lines().skip(1).collect();
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!(rows.len(), distinct.len(), "a row is there twice");
    let stayed = (0..100).chain(140..PEOPLE);
    for number in stayed {
        assert!(users.contains(&format!(",{}\n", email(number))), "{number}");
    }
    let newcomers = files(&world, &manifest, "newcomers");
    assert_eq!(newcomers.lines().count(), 3, "{newcomers}");
    assert!(newcomers.contains(&email(5)) && newcomers.contains(&email(6)));
    assert!(
        !newcomers.contains(&sub(5)),
        "the attribute is no longer configured"
    );
    // People who signed up after the start are left to the next snapshot.
    hasten(&world);
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(60));
    let next = tick(&world).await;
    assert_ne!(next["status"], "not-needed");
    assert_ne!(next["snapshot"], done["snapshot"]);
}

#[tokio::test]
async fn accepting_that_a_pool_has_shrunk_applies_to_all_invocations() {
    let (world, _) = slow_world().await;
    delete(&world, 300..PEOPLE).await;
    world.osaka.cognito().knobs().set_pages(Pages::Full);
    world
        .osaka
        .lambda()
        .set_env(BACKUP_WORKER, "LIST_USERS_RPS", "6");

    let accept = json!({"action": "snapshot", "accept_shrink": true});
    let cut = invoke(&world.osaka, BACKUP_WORKER, &accept).await.unwrap();

    assert_eq!(cut["status"], "in-progress");
    let (done, _) = complete(&world, &cut, || ()).await;
    assert_eq!(done["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], cut["snapshot"]);
}

#[tokio::test]
async fn if_a_part_is_missing_no_snapshot_is_published_without_its_people() {
    let (world, whole) = slow_world().await;
    let cut = snapshot(&world).await.unwrap();
    let id = cut["snapshot"].as_str().unwrap();
    let parts = world.osaka.s3().keys(SNAPSHOTS, &format!("parts/{id}/"));
    let lose = world.osaka.s3_client().delete_object().bucket(SNAPSHOTS);
    lose.key(&parts[0]).send().await.unwrap();
    hasten(&world);
    let lambda = world.osaka.lambda();
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(60));

    let error = snapshot(&world).await.unwrap_err();

    assert!(error.contains(&parts[0]), "{error}");
    let anew = snapshot(&world).await.unwrap();
    assert_ne!(anew["snapshot"], cut["snapshot"]);
    assert_eq!(rows(&world, &anew), whole);
}

#[tokio::test]
async fn a_bucket_contains_the_snapshots_of_one_pool_only() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    snapshot(&world).await.unwrap();
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "USER_POOL_ID", "ap-northeast-3_Another01");

    let error = snapshot(&world).await.unwrap_err();

    assert!(
        error.contains("holds the snapshots of user pool ap-northeast-3_Secondary"),
        "{error}"
    );
}

#[tokio::test]
async fn a_requested_snapshot_that_was_killed_at_its_start_is_taken_by_the_next_tick() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..1600);
    snapshot(&world).await.unwrap();
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "12");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(5));

    let (killed, ()) = tokio::join!(snapshot(&world), async {
        while !is_held(&world).await {}
        lambda.kill(BACKUP_WORKER);
    });

    assert!(killed.is_err(), "{killed:?}");
    while is_held(&world).await {}
    assert_ne!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn a_requested_snapshot_that_failed_is_taken_by_the_next_tick() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    snapshot(&world).await.unwrap();
    let refused = Kind::error(400, "InternalErrorException");
    let fault = Fault::on(Service::Cognito, "ListUsers", refused);
    world.osaka.faults().add(fault);
    snapshot(&world).await.unwrap_err();
    world.osaka.faults().clear();

    assert_eq!(tick(&world).await["status"], "complete");
}

#[tokio::test]
async fn a_manifest_always_belongs_to_its_files_even_if_the_response_to_its_write_was_lost() {
    let (world, _) = slow_world().await;
    let lambda = world.osaka.lambda();
    let cut = snapshot(&world).await.unwrap();
    let id = cut["snapshot"].as_str().unwrap();
    let progress = object(&world, &format!("snapshots/{id}/progress.json")).unwrap();
    let chains = progress["chains"].as_array().unwrap();
    let open = chains.iter().filter(|chain| chain["next"] != "end").count();
    lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "200");
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(20));

    // The manifest is stored, but the response is lost. The writes before it: the lease, the progress, the parts, the progress, a piece
    // with everyone, the progress, and the files, each with the progress after it.
    let lost = Fault::on(Service::S3, "PutObject", Kind::Reset);
    let lost = lost.after(2 + open + 1 + 2 + 2 * 4).times(3);
    world.osaka.faults().add(lost);
    let wake_up = json!({"action": "tick"});
    invoke(&world.osaka, BACKUP_WORKER, &wake_up)
        .await
        .unwrap_err();
    world.osaka.faults().clear();
    assert!(object(&world, &format!("snapshots/{id}/manifest.json")).is_some());
    // The next worker writes other files, and is ended before it stores its own manifest.
    journal(&world, 5).await;
    lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(4));
    let ended = Fault::on(Service::S3, "PutObject", Kind::Hang);
    world.osaka.faults().add(ended.after(2 + 1 + 2 + 2 * 4));
    let _ = invoke(&world.osaka, BACKUP_WORKER, &wake_up).await;
    world.osaka.faults().clear();
    while is_held(&world).await {}

    let done = tick(&world).await;

    assert_eq!(latest(&world).unwrap()["snapshot"], done["snapshot"]);
    rows(&world, &done);
}
