//! Reconcile of a pool and a twin that agrees with it: its memory, its CPU seconds beside those of an export, and its calls.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use local_regions::faults::Service;
use local_regions::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use local_regions::world::{
    BACKUP_TRIGGER, IMPORT_LOGS_ROLE, REPLICATE_TRIGGER, SNAPSHOTS, World, WorldOptions,
};
use serde_json::json;
use tokio::process::Command;

use crate::endpoint::{Behaviour, POOL, TWIN, is_of_s3};
use crate::exports::{FAST, MIB, Pool, by_backup_fn, thousands};
use crate::people;
use crate::process::{self, Usage};
use crate::report::{Report, Target};
use crate::stage::{Stage, binary, text};
use crate::way_back::seed;

/// What a run may call beside the two listings: settings, clients and groups of both pools.
const CALLS_OF_SETTINGS: [&str; 3] = ["DescribeUserPool", "ListUserPoolClients", "ListGroups"];

/// botocore ListUsers: the maximum number of users on a page.
const PAGE: u64 = 60;

/// Runs `twinpool reconcile` twice in the local regions, with a primary pool of this size and an empty secondary pool: the first run makes
/// the secondary pool whole with a snapshot and import jobs, and the second one has nothing to write.
pub async fn fill(report: &mut Report, folder: &Path, users: u64) -> anyhow::Result<()> {
    let world = World::start(WorldOptions {
        folder: Some(folder.join("fill")),
        functions: false,
        ..WorldOptions::default()
    })
    .await?;
    for number in 0..users {
        world
            .tokyo
            .cognito()
            .put_user(&world.primary.id, seed(number));
    }
    // Without the triggers, reconcile writes nothing. Here, nobody signs up, so that they need not run.
    for (region, pool, function) in [
        (&world.tokyo, &world.primary.id, REPLICATE_TRIGGER),
        (&world.osaka, &world.secondary.id, BACKUP_TRIGGER),
    ] {
        region.cognito().set_post_confirmation(pool, function);
    }
    let confirmed = (0..users).filter(|&number| people::status(number) == "CONFIRMED");
    let confirmed = confirmed.count() as u64;
    for (run, created) in [("first", confirmed), ("second", 0)] {
        world.clear_calls();
        let mut command = Command::new(binary("twinpool")?);
        command
            .env_clear()
            .env("AWS_ENDPOINT_URL", world.osaka.endpoint())
            .env("AWS_REGION", world.osaka.name())
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .env("TWINPOOL_PRIMARY", &world.primary.id)
            .env("TWINPOOL_SECONDARY", &world.secondary.id)
            .env("TWINPOOL_BUCKET", SNAPSHOTS)
            .args(["reconcile", "--logs-role", IMPORT_LOGS_ROLE])
            .args(["--output", "json"])
            .stdout(Stdio::null());
        let begun = Instant::now();
        let usage = process::run(&mut command).await?;
        let took = begun.elapsed();
        let there = world.osaka.cognito().users(&world.secondary.id).len() as u64;
        ensure!(there == confirmed, "{there} people, {confirmed} expected");
        let mut calls = BTreeMap::<_, u64>::new();
        for call in world.calls() {
            if call.service == Service::Cognito {
                *calls.entry(call.operation).or_default() += 1;
            }
        }
        let writes = calls.iter().filter(|(call, _)| is_write(call));
        let writes: u64 = writes.map(|(_, calls)| calls).sum();
        ensure!(created > 0 || writes == 0, "{calls:?}");
        let what = format!("{run} reconcile of {} and an empty twin", thousands(users));
        report.line(format!("{what}: time"), took.as_secs_f64(), "s", None);
        report.line(format!("{what}: CPU"), usage.cpu_s, "s", None);
        let peak = usage.peak_bytes as f64 / MIB;
        report.line(format!("{what}: peak memory"), peak, "MiB", None);
        let all: u64 = calls.values().sum();
        report.line(format!("{what}: calls to Cognito"), all as f64, "", None);
        report.line(format!("{what}: of these, writes"), writes as f64, "", None);
        report.raw(what, json!(calls));
    }
    Ok(())
}

/// Whether an operation changes a pool.
fn is_write(operation: &str) -> bool {
    !["List", "Get", "Describe", "AdminGet", "AdminList"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

/// Reconciles pools of these sizes with twins that agree, at full speed.
pub async fn agreeing(report: &mut Report, folder: &Path, sizes: &[u64]) -> anyhow::Result<()> {
    for &users in sizes {
        let export = by_backup_fn(Pool::Fast, users, folder).await?;
        let behaviour = Behaviour {
            users,
            ..Behaviour::default()
        };
        let stage = Stage::set(behaviour, folder).await?;
        let name = format!("reconcile-{users}");
        let variables = [
            ("SOURCE_USER_POOL_ID", POOL),
            ("TARGET_USER_POOL_ID", TWIN),
            ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
            ("RECONCILE_LIST_RPS", FAST),
        ];
        // Longer than Lambda allows: here, one invocation does it all.
        let timeout = Duration::from_secs(3600);
        stage.deploy(&name, &binary("replicate-fn")?, &variables, timeout);
        let payload = json!({"action": "reconcile", "now": true});
        let (answer, time) = stage.invoke(&name, &payload).await;
        let answer = answer.map_err(anyhow::Error::msg)?;
        ensure!(text(&answer, "status")? == "complete", "{answer}");
        let counts = &answer["counts"];
        let settled = ["unchanged", "skipped"].map(|count| counts[count].as_u64());
        ensure!(settled.iter().flatten().sum::<u64>() == users, "{answer}");
        let (usage, seen) = (Usage::of_function(&name)?, stage.endpoint.seen());
        let pages = 2 * (users / PAGE + 16);
        ensure!(
            seen.count("ListUsers") <= pages,
            "{:?}: {pages} pages expected",
            seen.calls
        );
        let is_expected = |call: &&str| {
            is_of_s3(call) || *call == "ListUsers" || CALLS_OF_SETTINGS.contains(call)
        };
        ensure!(seen.calls.keys().all(is_expected), "{:?}", seen.calls);

        let what = format!("reconcile of {}, in agreement", thousands(users));
        let rate = users as f64 / time.as_secs_f64();
        report.line(format!("{what}: pairs a second"), rate, "/s", None);
        let peak = usage.peak_bytes as f64 / MIB;
        let most = Target::AtMost(64.0);
        report.line(format!("{what}: peak memory"), peak, "MiB", Some(most));
        let cpu = usage.cpu_s * 100_000.0 / users as f64;
        report.line(format!("{what}: CPU for 100,000"), cpu, "s", None);
        let exports = usage.cpu_s / export.usage.cpu_s;
        let most = Target::AtMost(2.0);
        report.line(
            format!("{what}: CPU, in exports"),
            exports,
            "exports",
            Some(most),
        );
        report.raw(
            what,
            json!({
                "users": users, "seconds": time.as_secs_f64(), "cpu_s": usage.cpu_s, "peak_bytes": usage.peak_bytes,
                "calls": seen.calls, "bytes_written": seen.bytes,
            }),
        );
    }
    Ok(())
}
