//! `twinpool snapshot`: takes a snapshot of either pool by hand, as backup-fn does.

use std::process::Stdio;

use jiff::Timestamp;
use local_regions::cognito::UserStatus;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{SNAPSHOTS, World};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::snapshot::clocks::taken_by_a_fast_clock;
use crate::snapshot::{delete, hasten, journal, latest, populate, put};
use crate::support::{Ran, called, email, object, ran, tick, twinpool, twinpool_command, world};

/// Runs the command for the secondary pool, quickly, with more arguments.
async fn snapshot(world: &World, more: &[&str]) -> Ran {
    let pool = world.secondary.id.as_str();
    let usual = ["snapshot", "--pool", pool, "--bucket", SNAPSHOTS];
    let fast = ["--rate", "200"];
    let form = if more.contains(&"--output") {
        &[][..]
    } else {
        &["--output", "json"]
    };
    twinpool(world, &[&usual, &fast[..], form, more].concat()).await
}

#[tokio::test]
async fn a_snapshot_by_hand_is_one_that_backup_fn_knows_of() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..200);
    put(&world, 200, UserStatus::Unconfirmed);
    journal(&world, 7).await;

    let ran = snapshot(&world, &["--origin-sub", "custom:origin_sub"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["status"], "complete");
    assert_eq!(latest(&world).unwrap()["snapshot"], report["snapshot"]);
    assert_eq!(
        report["manifest"]["users"],
        json!({"listed": 201, "exported": 200, "newcomers": 1, "rejected": {"unconfirmed": 1}})
    );
    let id = report["snapshot"].as_str().unwrap();
    assert_eq!(report["where"], format!("s3://{SNAPSHOTS}/snapshots/{id}/"));
    assert_eq!(tick(&world).await["status"], "not-needed");
}

#[tokio::test]
async fn the_table_says_what_is_there_and_nothing_of_anybody() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);

    let ran = snapshot(&world, &["--output", "text"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    for text in ["complete", "newcomers-0001.csv", "rejected.csv"] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    assert!(!format!("{ran:?}").contains(&email(1)), "{ran:?}");
}

#[tokio::test]
async fn the_primary_pool_has_a_bucket_of_its_own() {
    let world = world().await;
    hasten(&world);
    world.tokyo.cognito().knobs().set_quotas(false);
    populate(&world, 0..3);
    world.tokyo.s3().create_bucket("tokyo-snapshots").unwrap();
    assert_eq!(snapshot(&world, &[]).await.code, 0);
    let primary = ["--pool", world.primary.id.as_str()];
    let primary = async |bucket| {
        let arguments = [&["snapshot"], &primary[..], &["--bucket", bucket]].concat();
        let region = ["--bucket-region", "ap-northeast-3"];
        match bucket {
            SNAPSHOTS => twinpool(&world, &[&arguments, &region[..]].concat()).await,
            _ => twinpool(&world, &arguments).await,
        }
    };

    let own = primary("tokyo-snapshots").await;
    let others = primary(SNAPSHOTS).await;

    assert_eq!(own.code, 0, "{own:?}");
    assert_eq!(others.code, 1, "{others:?}");
    let why = "holds the snapshots of user pool ap-northeast-3_Secondary";
    assert!(others.stderr.contains(why), "{others:?}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..200);
    world.clear_calls();

    let ran = snapshot(&world, &["--dry-run"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["estimated_users"], 200);
    assert_eq!(ran.json()["where"], format!("s3://{SNAPSHOTS}/snapshots/"));
    let calls = world.calls();
    let mut operations = calls.iter().map(|call| &*call.operation);
    let reads = ["DescribeUserPool", "GetCSVHeader", "GetObject"];
    assert!(operations.all(|operation| reads.contains(&operation)));
}

#[tokio::test]
async fn while_another_worker_is_at_it_nothing_is_done() {
    let world = world().await;
    hasten(&world);
    let until = Timestamp::now() + jiff::SignedDuration::from_secs(60);
    let lease = json!({"version": 1, "holder": {"id": "another", "until": until}});
    let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
    let put = put
        .key("lease.json")
        .body(lease.to_string().into_bytes().into());
    put.send().await.unwrap();

    let ran = snapshot(&world, &[]).await;

    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(ran.json()["status"], "held");
    assert_eq!(object(&world, "lease.json"), Some(lease));
}

#[tokio::test]
async fn where_there_is_no_terminal_a_line_now_and_then_says_how_far_it_is() {
    let world = world().await;
    populate(&world, 0..200);
    let hangs = Fault::on(Service::Cognito, "ListUsers", Kind::Hang);
    world.osaka.faults().add(hangs);
    let mut command = twinpool_command(&world).await;
    let pool = world.secondary.id.as_str();
    command.args(["snapshot", "--pool", pool, "--bucket", SNAPSHOTS]);
    let mut snapshot = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");

    let mut stderr = BufReader::new(snapshot.stderr.take().expect("piped")).lines();
    let mut line = stderr.next_line().await.unwrap().unwrap_or_default();
    // Beside the lines of the progress, there are warnings about the pool that does not answer.
    while !line.contains("users listed") {
        line = stderr.next_line().await.unwrap().expect("it goes on");
    }

    assert_eq!(line, "users listed: 0 of 200");
}

#[tokio::test]
async fn an_interruption_is_told_with_how_it_goes_on() {
    let world = world().await;
    populate(&world, 0..200);
    let hangs = Fault::on(Service::Cognito, "ListUsers", Kind::Hang);
    world.osaka.faults().add(hangs);
    let mut command = twinpool_command(&world).await;
    let pool = world.secondary.id.as_str();
    command.args(["snapshot", "--pool", pool, "--bucket", SNAPSHOTS]);
    let snapshot = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let process = snapshot.id().expect("it runs").to_string();

    called(&world, "ListUsers").await;
    let interrupted = Command::new("kill").args(["-INT", &process]).status();
    assert!(interrupted.await.unwrap().success());
    let output = snapshot.wait_with_output().await.unwrap();

    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("three minutes; then the same command"),
        "{stderr}"
    );
}

#[tokio::test]
async fn what_the_shared_code_warns_of_is_a_line_on_standard_error() {
    let world = world().await;
    hasten(&world);
    let id = "20261120T090000Z-0a1b2c3d";
    let lease = json!({"version": 1, "unfinished": id}).to_string();
    let progress = format!("snapshots/{id}/progress.json");
    for (key, body) in [("lease.json", lease.as_str()), (&progress, "no progress")] {
        let put = world.osaka.s3_client().put_object().bucket(SNAPSHOTS);
        let body = body.as_bytes().to_vec().into();
        put.key(key).body(body).send().await.unwrap();
    }

    let ran = snapshot(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["status"], "complete");
    let mut lines = ran.stderr.lines();
    assert!(
        lines.any(|line| line
            .trim_start()
            .starts_with("ERROR the next snapshot starts from the beginning")),
        "{ran:?}"
    );
}

#[tokio::test]
async fn the_buckets_region_may_be_named_by_the_environment() {
    let world = world().await;
    hasten(&world);
    let mut command = twinpool_command(&world).await;
    command.env("TWINPOOL_BUCKET_REGION", "ap-northeast-3");
    let pool = world.primary.id.as_str();
    command.args(["snapshot", "--pool", pool, "--bucket", SNAPSHOTS]);

    let ran = ran(command.args(["--dry-run"])).await;

    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn a_pool_that_has_shrunk_is_something_wrong_unless_it_is_accepted() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..120);
    let full = snapshot(&world, &[]).await.json();
    delete(&world, 0..70).await;

    let shrunk = snapshot(&world, &[]).await;

    assert_eq!(shrunk.code, 1, "{shrunk:?}");
    assert_eq!(shrunk.json()["status"], "shrunk");
    assert_eq!(latest(&world).unwrap()["snapshot"], full["snapshot"]);
    assert_eq!(snapshot(&world, &["--accept-shrink"]).await.code, 0);
}

#[tokio::test]
async fn what_aws_refuses_is_told_apart_from_bad_usage() {
    let world = world().await;
    hasten(&world);
    let refused = Kind::error(400, "AccessDeniedException");
    let fault = Fault::on(Service::Cognito, "ListUsers", refused);
    world.osaka.faults().add(fault);

    let refused = snapshot(&world, &[]).await;
    let no_attribute = snapshot(&world, &["--origin-sub", "origin_sub"]).await;

    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(no_attribute.code, 2, "{no_attribute:?}");
}

#[tokio::test]
async fn a_command_whose_clock_is_behind_the_latest_snapshot_says_so_and_takes_none() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    let latest_id = taken_by_a_fast_clock(&world).await;
    world.clear_calls();

    for option in ["--accept-shrink", "--dry-run"] {
        let ran = snapshot(&world, &[option]).await;

        assert_eq!(ran.code, 1, "{ran:?}");
        let said =
            format!("the latest snapshot, {latest_id}, is from a time that has not come yet");
        assert!(ran.stderr.contains(&said), "{ran:?}");
        assert!(ran.stderr.contains("set this machine's clock"), "{ran:?}");
    }
    assert_eq!(latest(&world).unwrap()["snapshot"], latest_id);
    let calls = world.calls();
    let wrote = |operation: &str| ["ListUsers", "PutObject"].contains(&operation);
    assert!(!calls.iter().any(|call| wrote(&call.operation)));
}

#[tokio::test]
async fn if_the_latest_snapshot_has_expired_the_command_says_why_the_new_one_is_not_the_latest() {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..3);
    let gone = snapshot(&world, &[]).await.json();
    let manifest = format!(
        "snapshots/{}/manifest.json",
        gone["snapshot"].as_str().unwrap()
    );
    let delete = world.osaka.s3_client().delete_object().bucket(SNAPSHOTS);
    delete.key(manifest).send().await.unwrap();

    let ran = snapshot(&world, &["--output", "text"]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    for text in [
        "manifest of the latest snapshot is missing",
        "--accept-shrink",
    ] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    assert_eq!(latest(&world).unwrap()["snapshot"], gone["snapshot"]);
    assert_eq!(snapshot(&world, &["--accept-shrink"]).await.code, 0);
}
