//! `twinpool status`: the state of both regions, on a normal day and during a failover.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use local_regions::cognito::SeedUser;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::{Loss, Region};
use local_regions::world::{OUTBOX, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::support::{RECONCILE, Ran, email, put_reconcile_report, snapshot, sub, twinpool, world};

async fn status(world: &World, more: &[&str]) -> Ran {
    let status = [
        "status",
        "--primary",
        &world.primary.id,
        "--secondary",
        &world.secondary.id,
        "--bucket",
        SNAPSHOTS,
        "--outbox",
        OUTBOX,
    ];
    twinpool(world, &[&status[..], more].concat()).await
}

async fn status_json(world: &World) -> (i32, Value) {
    let ran = status(world, &["--output", "json"]).await;
    (ran.code, ran.json())
}

fn line<'a>(status: &'a Value, what: &str) -> &'a Value {
    let lines = status["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["what"] == what);
    line.unwrap_or_else(|| panic!("no {what} in {status}"))
}

#[tokio::test]
async fn a_quiet_day_is_safe() {
    let world = world().await;
    world.osaka.close_fence();
    snapshot(&world).await.unwrap();
    put_reconcile_report(&world, SignedDuration::from_hours(2), json!({})).await;

    let (code, status) = status_json(&world).await;

    assert_eq!((code, &status["safe"]), (0, &Value::Bool(true)), "{status}");
    assert_eq!(status["snapshot"]["users"], 0);
    assert_eq!(status["reconcile"]["id"], RECONCILE);
    assert_eq!(status["reconcile"]["findings"]["reported"], 0);
    assert_eq!(status["fence"], "closed");
}

#[tokio::test]
async fn a_twin_without_a_snapshot_is_not_safe_and_the_command_that_takes_one_is_shown() {
    let world = world().await;

    let ran = status(&world, &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    let command = format!(
        "twinpool snapshot --pool {} --bucket {SNAPSHOTS}",
        world.secondary.id
    );
    assert!(ran.stdout.contains(&command), "{ran:?}");
}

#[tokio::test]
async fn a_lost_region_is_a_line_of_the_table_and_not_the_end() {
    for loss in [Loss::Hang, Loss::Refuse] {
        let world = world().await;
        world.osaka.close_fence();
        snapshot(&world).await.unwrap();
        world.tokyo.lose(loss);
        let begun = Instant::now();

        let (code, status) = status_json(&world).await;

        assert_eq!(code, 1, "{status}");
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it waits for the lost region"
        );
        assert_eq!(line(&status, "primary pool")["level"], "wrong");
        assert_eq!(line(&status, "outbox")["level"], "wrong");
        assert_eq!(line(&status, "secondary pool")["level"], "good");
        let to_do = line(&status, "fence")["to_do"].as_str().unwrap_or_default();
        assert!(to_do.contains("twinpool failover"), "{status}");
    }
}

#[tokio::test]
async fn once_the_fence_is_open_a_failover_is_called_one_and_opening_it_is_not_advised() {
    let world = world().await;
    world.osaka.open_fence();
    snapshot(&world).await.unwrap();
    world.tokyo.lose(Loss::Refuse);

    let ran = status(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("open, as it should be in a failover"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("failover: the secondary is open"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("open the fence"), "{ran:?}");
}

#[tokio::test]
async fn the_exit_code_tells_a_monitor_when_something_must_be_done_in_a_failover_too() {
    let world = world().await;
    world.osaka.close_fence();
    snapshot(&world).await.unwrap();
    put_reconcile_report(&world, SignedDuration::from_hours(2), json!({})).await;

    let quiet = status_json(&world).await;
    world.tokyo.lose(Loss::Refuse);
    let lost = status_json(&world).await;
    world.osaka.open_fence();
    let failover = status_json(&world).await;
    let client = world.osaka.cognito_client();
    let detach = client.update_user_pool().user_pool_id(&world.secondary.id);
    detach.send().await.unwrap();
    let detached = status_json(&world).await;

    for ((code, status), expected, state) in [
        (&quiet, 0, "safe"),
        (&lost, 1, "not-safe"),
        (&failover, 0, "failover"),
        (&detached, 1, "not-safe"),
    ] {
        assert_eq!(
            (*code, &status["state"]),
            (expected, &json!(state)),
            "{status}"
        );
    }
}

#[tokio::test]
async fn only_the_loss_of_what_serves_people_is_a_lost_region() {
    let world = world().await;
    world.osaka.close_fence();
    let tokyo = world.tokyo.faults();
    tokyo.add(Fault::on(
        Service::Cognito,
        "DescribeUserPool",
        Kind::Refuse,
    ));
    let (_, administration) = status_json(&world).await;
    tokyo.clear();
    let keys = format!("/{}/.well-known/jwks.json", world.primary.id);
    tokyo.add(Fault::on(Service::Cognito, &keys, Kind::Refuse));
    let (_, people) = status_json(&world).await;

    let to_do = |status| line(status, "primary pool")["to_do"].to_string();
    assert!(
        to_do(&administration).contains("no reason for a failover"),
        "{administration}"
    );
    assert_eq!(line(&administration, "fence")["to_do"], Value::Null);
    assert!(to_do(&people).contains("twinpool failover"), "{people}");
}

#[tokio::test]
async fn a_primary_that_refuses_is_no_failover() {
    let world = world().await;
    world.osaka.close_fence();
    let denied = Kind::error(400, "AccessDeniedException");
    let denied = Fault::on(Service::Cognito, "DescribeUserPool", denied);
    world.tokyo.faults().add(denied);

    let (code, closed) = status_json(&world).await;
    world.osaka.open_fence();
    let (_, open) = status_json(&world).await;

    assert_eq!(code, 1, "{closed}");
    let pool = line(&closed, "primary pool");
    assert_eq!(pool["level"], "wrong");
    assert!(
        pool["to_do"]
            .as_str()
            .unwrap()
            .contains("no reason for a failover"),
        "{closed}"
    );
    assert_eq!(line(&closed, "fence")["level"], "good");
    assert_eq!(line(&closed, "fence")["to_do"], Value::Null);
    assert_eq!(line(&open, "fence")["level"], "warn");
}

#[tokio::test]
async fn what_aws_refuses_to_show_has_an_exit_code_of_its_own_unless_something_is_wrong() {
    let world = world().await;
    world.osaka.close_fence();
    snapshot(&world).await.unwrap();
    put_reconcile_report(&world, SignedDuration::from_hours(2), json!({})).await;
    let denied = Kind::error(400, "AccessDeniedException");
    let denied = Fault::on(Service::Cognito, "DescribeUserPool", denied);
    world.osaka.faults().add(denied);

    let (refused, status) = status_json(&world).await;
    let s3 = world.tokyo.s3_client();
    let conflict = s3.put_object().bucket(OUTBOX).key("conflicts/1.json");
    conflict.send().await.unwrap();
    let (wrong, _) = status_json(&world).await;

    assert_eq!(refused, 3, "{status}");
    assert_eq!(status["safe"], false);
    assert_eq!(line(&status, "secondary pool")["level"], "wrong");
    assert_eq!(wrong, 1);
}

#[tokio::test]
async fn the_bucket_may_be_in_another_region() {
    let world = world().await;
    world.tokyo.s3().create_bucket("elsewhere").unwrap();
    let region = ["--bucket", "elsewhere", "--bucket-region", "ap-northeast-1"];
    let (primary, secondary) = (&world.primary.id, &world.secondary.id);
    let pools = ["status", "--primary", primary, "--secondary", secondary];

    let ran = twinpool(&world, &[&pools[..], &region[..]].concat()).await;

    assert!(ran.stdout.contains("there is none"), "{ran:?}");
    let command = "--bucket elsewhere --bucket-region ap-northeast-1";
    assert!(ran.stdout.contains(command), "{ran:?}");
}

#[tokio::test]
async fn conflicts_and_newcomers_are_counted_and_nobody_is_named() {
    let world = world().await;
    let put = async |region: &Region, bucket: &str, key: String| {
        let put = region.s3_client().put_object().bucket(bucket).key(key);
        put.send().await.unwrap();
    };
    let put = &put;
    put(
        &world.osaka,
        SNAPSHOTS,
        format!("journal/sign-up/{}.json", sub(1)),
    )
    .await;
    put(&world.tokyo, OUTBOX, format!("conflicts/{}.json", sub(2))).await;
    put(&world.tokyo, OUTBOX, format!("outbox/{}.json", sub(3))).await;

    let ran = status(&world, &["--output", "json"]).await;

    let status = ran.json();
    assert_eq!(ran.code, 1, "{status}");
    assert_eq!(status["conflicts"]["count"], 1);
    assert_eq!(status["outbox"]["count"], 1);
    assert_eq!(status["journal"]["sign_ups"]["count"], 1);
    assert_eq!(status["journal"]["waiting"]["count"], 1);
    assert_eq!(line(&status, "outbox")["level"], "good");
    assert_eq!(line(&status, "conflicts")["level"], "wrong");
    for number in 1..=3 {
        assert!(!ran.stdout.contains(&email(number)));
    }
}

#[tokio::test]
async fn a_trigger_that_another_tool_detached_is_not_safe() {
    let world = world().await;
    world.osaka.close_fence();
    snapshot(&world).await.unwrap();
    let client = world.osaka.cognito_client();
    let update = client.update_user_pool().user_pool_id(&world.secondary.id);
    update.send().await.unwrap();

    let (code, status) = status_json(&world).await;

    assert_eq!(code, 1, "{status}");
    assert_eq!(line(&status, "primary trigger")["level"], "good");
    let detached = line(&status, "secondary trigger");
    assert_eq!(detached["level"], "wrong");
    let to_do = detached["to_do"].as_str().unwrap_or_default();
    assert!(to_do.contains("twinpool attach"), "{status}");
}

#[tokio::test]
async fn people_without_a_verified_address_are_counted_from_the_last_snapshot() {
    let world = world().await;
    world.osaka.close_fence();
    for number in 1..=2 {
        let user = SeedUser {
            attributes: [("email".to_owned(), email(number))].into(),
            ..SeedUser::default()
        };
        world.osaka.cognito().put_user(&world.secondary.id, user);
    }
    snapshot(&world).await.unwrap();
    put_reconcile_report(&world, SignedDuration::from_hours(2), json!({})).await;

    let (code, status) = status_json(&world).await;

    assert_eq!(code, 0, "{status}");
    let found = line(&status, "no way in");
    assert_eq!(found["level"], "warn");
    let state = found["state"].as_str().unwrap_or_default();
    assert!(
        state.starts_with("2 users have no verified address"),
        "{status}"
    );
}

#[tokio::test]
async fn a_twin_that_was_never_reconciled_is_not_safe_and_one_whose_run_found_something_says_what()
{
    let world = world().await;
    world.osaka.close_fence();
    snapshot(&world).await.unwrap();

    let (never_code, never) = status_json(&world).await;
    let found = json!({"counts": {"reported": 2, "no_way_in": 3}});
    put_reconcile_report(&world, SignedDuration::from_hours(2), found).await;
    let (code, reported) = status_json(&world).await;
    let left_out = json!({"status": "incomplete", "missing": 697});
    put_reconcile_report(&world, SignedDuration::from_mins(1), left_out).await;
    let (incomplete_code, incomplete) = status_json(&world).await;
    put_reconcile_report(&world, SignedDuration::from_hours(4), json!({})).await;
    let (late_code, late) = status_json(&world).await;

    assert_eq!((never_code, code, incomplete_code, late_code), (1, 0, 1, 1));
    assert_eq!(line(&incomplete, "reconcile")["level"], "wrong");
    let state = |status: &Value| line(status, "reconcile")["state"].to_string();
    assert!(state(&never).contains("never"), "{never}");
    assert_eq!(line(&never, "reconcile")["level"], "wrong");
    assert_eq!(line(&reported, "reconcile")["level"], "warn");
    assert!(state(&reported).contains("2 reported"), "{reported}");
    assert!(state(&reported).contains("3 with no way in"), "{reported}");
    let left_out = state(&incomplete);
    assert!(left_out.contains("never complete"), "{incomplete}");
    assert!(left_out.contains("697 still missing"), "{incomplete}");
    assert_eq!(line(&late, "reconcile")["level"], "wrong");
    let to_do = line(&late, "reconcile")["to_do"].to_string();
    assert!(to_do.contains("twinpool reconcile --primary"), "{late}");
}
