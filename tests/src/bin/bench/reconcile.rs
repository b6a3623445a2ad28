//! Reconcile of a pool and a twin that agrees with it: its memory, its CPU seconds beside those of an export, and its calls.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::endpoint::{Behaviour, POOL, TWIN};
use crate::exports::{FAST, MIB, Pool, by_backup_fn, thousands};
use crate::process::Usage;
use crate::report::{Report, Target};
use crate::stage::{Stage, binary, text};

/// What a run may call beside the two listings: settings, clients and groups of both pools.
const CALLS_OF_SETTINGS: [&str; 3] = ["DescribeUserPool", "ListUserPoolClients", "ListGroups"];

/// botocore ListUsers: the maximum number of users on a page.
const PAGE: u64 = 60;

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
        let of_s3 = |call: &str| {
            ["Object", "Part", "Upload"]
                .iter()
                .any(|part| call.contains(part))
        };
        let is_expected =
            |call: &&str| of_s3(call) || *call == "ListUsers" || CALLS_OF_SETTINGS.contains(call);
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
