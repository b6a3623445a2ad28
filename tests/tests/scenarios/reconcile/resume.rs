//! Runs that are cut off, killed, refused or not due: nothing is done twice, and the next run goes on.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local_regions::cognito::{Pages, PoolSettings};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Region;
use local_regions::world::{ORIGIN_SUB, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};

use super::{
    asked, attempted, changes, delete, edit, hasten, pairs, person, reconcile, replica_of, report,
    use_secondary, writes,
};
use crate::support::{called, email, object, put_object, record, sub, world};

const LEASE: &str = "reconciles/lease.json";

/// Frees the lease of a worker that has been killed, as if it had expired.
async fn expire_lease(world: &World) {
    let mut lease = object(world, LEASE).expect("there is a lease");
    lease["holder"] = Value::Null;
    put_object(world, LEASE, lease.to_string()).await;
}

/// How a run came to its end.
struct Ended {
    /// The last answer.
    answer: Value,
    invocations: usize,
    /// Whether Lambda has killed an invocation, as it does on a slow machine. Then some counts and lines are lost.
    was_killed: bool,
}

impl Ended {
    /// A run that one invocation has brought to its end.
    fn at_once(answer: Value) -> Self {
        Self {
            answer,
            invocations: 1,
            was_killed: false,
        }
    }
}

/// Invokes the worker as the schedule does until the run is at its end.
async fn until_the_end(world: &World) -> Ended {
    invoked_until_the_end(world, json!({})).await
}

/// Invokes the worker with a payload until the run is at its end.
async fn invoked_until_the_end(world: &World, payload: Value) -> Ended {
    let mut was_killed = false;
    for invocations in 1..30 {
        match attempted(world, payload.clone()).await {
            Ok(answer) if answer["status"] != "in-progress" => {
                return Ended {
                    answer,
                    invocations,
                    was_killed,
                };
            }
            Ok(_) => {}
            Err(error) if error.contains("timed out") => {
                was_killed = true;
                expire_lease(world).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the run is not at its end after 30 invocations");
}

/// Gives each invocation of the worker so little time.
fn cut_off_after(world: &World, timeout: Duration) {
    world.tokyo.lambda().set_timeout(REPLICATE_WORKER, timeout);
}

/// Regions with forty pairs and these many people more in the primary pool, in which an invocation does not get far.
async fn slow_world(missing: u32) -> World {
    let world = world().await;
    hasten(&world);
    pairs(&world, 40);
    for number in 40..40 + missing {
        let primary = &world.primary.id;
        world.tokyo.cognito().put_user(primary, person(number));
    }
    cut_off_after(&world, Duration::from_secs(5));
    world
}

/// Checks that the run has created the people from 40 on, each once.
fn assert_created_once(world: &World, ended: &Ended, missing: u32) {
    let users = world.osaka.cognito().users(&world.secondary.id);
    assert_eq!(users.len() as u32, 40 + missing);
    if ended.was_killed {
        return;
    }
    let answer = &ended.answer;
    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["unchanged"], 40, "{answer}");
    assert_eq!(answer["counts"]["created"], missing, "{answer}");
    let mut created: Vec<_> = changes(world, answer)
        .iter()
        .filter(|line| line["action"] == "create")
        .map(|line| line["sub"].as_str().unwrap().to_owned())
        .collect();
    created.sort();
    let mut expected: Vec<_> = (40..40 + missing).map(sub).collect();
    expected.sort();
    assert_eq!(created, expected);
}

#[tokio::test]
async fn a_run_that_is_cut_off_while_it_lists_is_gone_on_with() {
    let world = slow_world(3).await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "3");

    let ended = until_the_end(&world).await;

    assert!(ended.invocations > 1);
    assert_created_once(&world, &ended, 3);
}

#[tokio::test]
async fn a_run_that_is_cut_off_while_it_compares_is_gone_on_with() {
    let world = slow_world(3).await;
    let slow = Kind::Delay(Duration::from_millis(300));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::S3, "GetObject", slow));

    let ended = until_the_end(&world).await;

    assert!(ended.invocations > 1);
    assert_created_once(&world, &ended, 3);
}

#[tokio::test]
async fn a_journal_that_takes_longer_than_an_invocation_is_read_by_several() {
    let world = slow_world(2).await;
    for number in 1000..1600 {
        let record = record(number, SignedDuration::from_hours(2));
        let key = format!("journal/password-reset/{}.json", sub(number));
        put_object(&world, &key, record.to_string()).await;
    }
    let mut deleted = record(2000, SignedDuration::from_hours(2));
    deleted["attributes"][ORIGIN_SUB] = sub(41).into();
    let key = format!("journal/restored/{}.json", sub(2000));
    put_object(&world, &key, deleted.to_string()).await;
    let slow = Kind::Delay(Duration::from_millis(200));
    world
        .osaka
        .faults()
        .add(Fault::on(Service::S3, "GetObject", slow));

    let ended = invoked_until_the_end(&world, json!({"now": true})).await;

    assert!(ended.invocations > 1);
    let users = world.osaka.cognito().users(&world.secondary.id);
    assert_eq!(users.len(), 41, "person 41 has deleted themselves there");
}

#[tokio::test]
async fn a_run_that_is_cut_off_while_it_writes_is_gone_on_with() {
    let world = slow_world(10).await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_WRITES_RPS", "3");

    let ended = until_the_end(&world).await;

    assert!(ended.invocations > 1);
    assert_created_once(&world, &ended, 10);
}

#[tokio::test]
async fn a_run_that_is_cut_off_while_it_withholds_counts_each_person_once() {
    // As many as the guard lets through, and one more.
    for (gone, is_held) in [(12, false), (13, true)] {
        let world = world().await;
        hasten(&world);
        pairs(&world, 240);
        reconcile(&world).await;
        (0..gone).for_each(|number| delete(&world, number));
        let lambda = world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_EVERY_S", "0");
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_WRITES_RPS", "4");
        if is_held {
            let slow = Kind::Delay(Duration::from_secs(1));
            let slow = Fault::on(Service::Cognito, "AdminGetUser", slow);
            world.tokyo.faults().add(slow);
        }
        cut_off_after(&world, Duration::from_secs(5));

        let ended = until_the_end(&world).await;

        assert!(ended.invocations > 1);
        if ended.was_killed {
            continue;
        }
        let answer = ended.answer;
        let (status, outcome, withheld) = match is_held {
            true => ("guarded", "held", 0),
            false => ("complete", "done", gone),
        };
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer["counts"]["withheld"], withheld, "{answer}");
        let lines = changes(&world, &answer);
        assert_eq!(lines.len() as u32, gone, "{lines:?}");
        assert!(lines.iter().all(|line| line["outcome"] == outcome));
        let kind = match is_held {
            true => "held",
            false => "made",
        };
        assert_eq!(report(&world, &answer)[kind], json!({"withhold": gone}));
    }
}

#[tokio::test]
async fn tokens_that_expire_between_two_invocations_lose_nobody() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 200);
    cut_off_after(&world, Duration::from_secs(5));
    for region in [&world.tokyo, &world.osaka] {
        region.cognito().knobs().set_pages(Pages::Short { seed: 1 });
    }
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "6");

    let cut_off = asked(&world, json!({})).await;
    for region in [&world.tokyo, &world.osaka] {
        region.cognito().advance(Duration::from_secs(3601));
    }
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "200");
    let answer = until_the_end(&world).await.answer;

    assert_eq!(cut_off["status"], "in-progress");
    let log = world.log(&world.tokyo, REPLICATE_WORKER);
    assert!(log.contains("a token has expired"));
    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["unchanged"], 200, "{answer}");
    assert_eq!(answer["counts"]["reported"], 0, "{answer}");
    let report = report(&world, &answer);
    for pool in ["primary", "secondary"] {
        assert_eq!(report[pool]["listed"], 200, "nobody is counted twice");
    }
}

#[tokio::test]
async fn what_the_guard_has_counted_is_stored_at_once_so_that_a_killed_worker_does_not_lose_it() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 40);
    (0..10).for_each(|number| delete(&world, number));
    let slow = Kind::Delay(Duration::from_secs(1));
    let slow = Fault::on(Service::Cognito, "AdminDisableUser", slow);
    world.osaka.faults().add(slow.after(8));
    let disabled = || {
        let calls = world.calls().into_iter();
        calls
            .filter(|call| call.operation == "AdminDisableUser")
            .count()
    };
    let meanwhile = async {
        while disabled() < 9 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let keys = world.osaka.s3().keys(SNAPSHOTS, "reconciles/");
        let key = keys.iter().find(|key| key.ends_with("progress.json"));
        object(&world, key.expect("progress")).expect("JSON")
    };

    let (answer, progress) = tokio::join!(reconcile(&world), meanwhile);

    assert_eq!(answer["counts"]["withheld"], 10, "{answer}");
    // All but those of the batch that is looked at.
    let stored = progress["guard"]["made"]["withhold"].as_u64();
    assert!(
        stored.is_some_and(|stored| (1..=8).contains(&stored)),
        "{stored:?}"
    );
    assert_eq!(progress["counts"]["withheld"].as_u64(), stored);
}

#[tokio::test]
async fn a_worker_killed_between_remembering_and_disabling_is_harmless() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 2);
    delete(&world, 1);
    let hang = Fault::on(Service::Cognito, "AdminDisableUser", Kind::Hang);
    world.osaka.faults().add(hang);
    let lambda = world.tokyo.lambda();

    let (killed, ()) = tokio::join!(attempted(&world, json!({})), async {
        called(&world, "AdminDisableUser").await;
        lambda.kill(REPLICATE_WORKER);
    });
    world.osaka.faults().clear();

    assert!(killed.is_err());
    assert!(replica_of(&world, 1).enabled);
    let key = shared::withheld::withheld_key(&sub(1));
    let remembered = object(&world, &key).expect("it is remembered");
    assert_eq!(remembered["why"], "deleted");

    expire_lease(&world).await;
    let answer = until_the_end(&world).await.answer;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    assert!(!replica_of(&world, 1).enabled);
    let still = object(&world, &key).expect("it is still remembered");
    assert_eq!(still["first_missed"], remembered["first_missed"]);
}

#[tokio::test]
async fn of_two_workers_at_once_one_is_held() {
    let world = world().await;
    pairs(&world, 3);

    let (one, other) = tokio::join!(reconcile(&world), reconcile(&world));

    let mut statuses = [&one, &other].map(|answer| answer["status"].as_str().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, ["complete", "held"]);
}

#[tokio::test]
async fn a_throttled_run_is_slower_and_completes() {
    let world = slow_world(2).await;
    cut_off_after(&world, Duration::from_secs(60));
    for region in [&world.tokyo, &world.osaka] {
        let throttled = Fault::on(Service::Cognito, "ListUsers", Kind::Throttle);
        region.faults().add(throttled.times(5));
    }
    let throttled = Fault::on(Service::Cognito, "AdminGetUser", Kind::Throttle);
    world.tokyo.faults().add(throttled.times(2));

    let answer = reconcile(&world).await;

    assert_created_once(&world, &Ended::at_once(answer), 2);
}

/// Checks that a run fails and writes nothing while these calls to a region go wrong, and that a run works afterwards.
async fn assert_nothing_is_written(world: &World, region: &Region, fault: Fault) {
    region.faults().add(fault);
    world.clear_calls();

    let failed = attempted(world, json!({"now": true})).await;
    let written = writes(world);
    region.faults().clear();
    let next = reconcile(world).await;

    assert!(failed.is_err(), "{failed:?}");
    assert!(written.is_empty(), "{written:?}");
    assert_eq!(next["status"], "complete", "{next}");
}

#[tokio::test]
async fn a_primary_pool_that_does_not_answer_leaves_everything_as_it_is() {
    for operation in ["DescribeUserPool", "ListUsers", "AdminGetUser"] {
        let world = world().await;
        hasten(&world);
        pairs(&world, 3);
        delete(&world, 1);
        let denied = Kind::error(400, "NotAuthorizedException");
        let fault = Fault::on(Service::Cognito, operation, denied);

        assert_nothing_is_written(&world, &world.tokyo, fault).await;

        assert!(!replica_of(&world, 1).enabled);
    }
}

#[tokio::test]
async fn a_lost_primary_region_leaves_everything_as_it_is() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 3);
    delete(&world, 1);
    cut_off_after(&world, Duration::from_secs(5));
    let refuse = Fault::of(Service::Cognito, Kind::Refuse);

    assert_nothing_is_written(&world, &world.tokyo, refuse).await;

    assert!(!replica_of(&world, 1).enabled);
}

#[tokio::test]
async fn a_journal_that_does_not_answer_leaves_everything_as_it_is() {
    for operation in ["ListObjectsV2", "GetObject"] {
        let world = world().await;
        hasten(&world);
        pairs(&world, 3);
        delete(&world, 1);
        let denied = Kind::error(403, "AccessDenied");
        let fault = Fault::on(Service::S3, operation, denied);

        assert_nothing_is_written(&world, &world.osaka, fault).await;

        assert!(!replica_of(&world, 1).enabled);
    }
}

#[tokio::test]
async fn a_run_that_was_cut_off_more_than_a_day_ago_starts_anew() {
    for (age, is_resumed) in [(23, true), (25, false)] {
        let world = slow_world(1).await;
        let lambda = world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "3");
        let cut_off = asked(&world, json!({})).await;
        assert_eq!(cut_off["status"], "in-progress");
        let run = object(&world, LEASE).unwrap()["unfinished"].clone();
        let key = format!("reconciles/{}/progress.json", run.as_str().unwrap());
        let mut progress = object(&world, &key).unwrap();
        let stored_at = Timestamp::now() - SignedDuration::from_hours(age);
        progress["stored_at"] = stored_at.to_string().into();
        put_object(&world, &key, progress.to_string()).await;
        cut_off_after(&world, Duration::from_secs(60));

        let answer = reconcile(&world).await;

        assert_eq!(
            report(&world, &answer)["reconcile"] == run,
            is_resumed,
            "{age}"
        );
        assert_created_once(&world, &Ended::at_once(answer), 1);
    }
}

#[tokio::test]
async fn a_run_is_not_needed_within_the_interval_unless_it_is_asked_for_now() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);

    let first = asked(&world, json!({})).await;
    let soon = asked(&world, json!({})).await;
    let now = reconcile(&world).await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_EVERY_S", "0");
    let due = asked(&world, json!({})).await;

    let statuses = [&first, &soon, &now, &due].map(|answer| answer["status"].as_str().unwrap());
    assert_eq!(statuses, ["complete", "not-needed", "complete", "complete"]);
}

#[tokio::test]
async fn a_run_waits_while_the_secondary_pool_is_in_use_unless_it_is_asked_for_now() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    use_secondary(&world, 0).await;

    let waiting = asked(&world, json!({})).await;
    let now = reconcile(&world).await;

    assert_eq!(waiting["status"], "waiting", "{waiting}");
    assert_eq!(now["status"], "complete", "{now}");
}

#[tokio::test]
async fn records_that_reconcile_has_brought_up_to_date_are_no_use_of_the_secondary_pool() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    let replica = replica_of(&world, 0).sub;
    let key = format!("journal/password-reset/{replica}.json");
    let recorded = record(0, SignedDuration::from_hours(2));
    put_object(&world, &key, recorded.to_string()).await;
    edit(&world, 0, &[("name", "Taro")]);

    let merged = reconcile(&world).await;
    let base = object(&world, &key).expect("the record")["attributes"].clone();
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_EVERY_S", "0");
    let next = asked(&world, json!({})).await;
    put_object(&world, &key, "[]".to_owned()).await;
    let unreadable = asked(&world, json!({})).await;

    assert_eq!(base["name"], "Taro", "{merged}");
    assert_eq!(next["status"], "complete", "{next}");
    assert_eq!(unreadable["status"], "waiting", "{unreadable}");
}

#[tokio::test]
async fn a_run_waits_while_a_snapshot_lists_the_pool_even_if_it_is_asked_for_now() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    let held = |until: Timestamp| {
        let holder = json!({"id": "a snapshot", "until": until.to_string()});
        json!({"version": 1, "holder": holder, "last_start": null, "last_finished": null, "unfinished": null})
    };
    let soon = Timestamp::now() + SignedDuration::from_mins(5);
    put_object(&world, "lease.json", held(soon).to_string()).await;

    let waiting = reconcile(&world).await;
    let past = Timestamp::now() - SignedDuration::from_mins(5);
    put_object(&world, "lease.json", held(past).to_string()).await;
    let afterwards = reconcile(&world).await;

    assert_eq!(waiting["status"], "waiting", "{waiting}");
    assert_eq!(afterwards["status"], "complete", "{afterwards}");
}

/// Checks that a run is refused with an error that says this, and that nothing was written.
async fn assert_refused(world: &World, why: &str) {
    for payload in [json!({"now": true}), json!({"dry_run": true})] {
        world.clear_calls();
        let error = attempted(world, payload).await.unwrap_err();
        assert!(error.contains("nothing is written"), "{error}");
        assert!(error.contains(why), "{error}");
        assert!(writes(world).is_empty());
    }
}

#[tokio::test]
async fn a_detached_trigger_of_either_pool_is_refused() {
    for is_primary in [true, false] {
        let world = world().await;
        pairs(&world, 1);
        delete(&world, 0);
        let (region, pool, name) = match is_primary {
            true => (&world.tokyo, &world.primary.id, "primary"),
            false => (&world.osaka, &world.secondary.id, "secondary"),
        };
        let update = region.cognito_client().update_user_pool();
        update.user_pool_id(pool).send().await.unwrap();

        assert_refused(
            &world,
            &format!("the {name} pool does not run twinpool's function"),
        )
        .await;
    }
}

#[tokio::test]
async fn an_app_client_of_either_pool_that_may_write_identities_is_refused() {
    for is_primary in [true, false] {
        let world = world().await;
        pairs(&world, 1);
        delete(&world, 0);
        let (region, pool) = match is_primary {
            true => (&world.tokyo, &world.primary.id),
            false => (&world.osaka, &world.secondary.id),
        };
        let create = region.cognito_client().create_user_pool_client();
        let create = create.user_pool_id(pool).client_name("too-much");
        let create = create.write_attributes("custom:origin_sub");
        create.send().await.unwrap();

        assert_refused(&world, "may write custom:origin_sub: too-much").await;
    }
}

#[tokio::test]
async fn pools_whose_people_sign_in_differently_are_refused() {
    let usual = local_regions::world::pool;
    let by_case = PoolSettings {
        case_sensitive: true,
        ..usual()
    };
    let by_username = PoolSettings {
        username_attributes: Vec::new(),
        ..usual()
    };
    for (settings, why) in [
        (by_case, "the letter case of usernames of the pools differ"),
        (by_username, "the sign-in attributes of the pools differ"),
    ] {
        let world = world().await;
        pairs(&world, 1);
        let other = world.osaka.cognito().create_pool(settings);
        let cognito = world.osaka.cognito();
        cognito.set_post_confirmation(&other.id, local_regions::world::BACKUP_TRIGGER);
        let lambda = world.tokyo.lambda();
        lambda.set_env(REPLICATE_WORKER, "TARGET_USER_POOL_ID", &other.id);

        assert_refused(&world, why).await;
        assert!(world.osaka.cognito().user(&other.id, &email(0)).is_none());
    }
}
