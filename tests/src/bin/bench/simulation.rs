//! Snapshots of pools with up to forty million users at the default rate: the number of invocations, the duration and the
//! cost.
//!
//! Time is accelerated: the rate is a multiple of the default, and an invocation is shorter by the same factor. Durations are
//! computed from the number of calls; memory, CPU seconds and objects are measured. Writing the files is not accelerated: there, an
//! invocation is as long as a whole processor needs for the work that the processor share of 512 MB does in 15 minutes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::json;

use crate::endpoint::Behaviour;
use crate::exports::thousands;
use crate::process::Usage;
use crate::report::Report;
use crate::stage::{Stage, binary, text};

/// The factor by which time is accelerated.
const SPEED: u64 = 50;

/// backup-fn's default rate, LIST_USERS_RPS.
const RATE: u64 = 20;

/// The seconds in which backup-fn lists users in one invocation of 15 minutes; it reserves 15 s to store its progress.
const PAGES_AN_INVOCATION: u64 = WORK_S as u64 * RATE;

/// The seconds for work in an invocation of 15 minutes.
const WORK_S: f64 = 885.0;

/// botocore ListUsers: the maximum number of users on a page.
const PAGE: u64 = 60;

/// The worker's memory (cdk/lib/constructs/function.ts), and the memory that comes with one full vCPU (DG
/// Lambda:configuration-memory).
const MEMORY_MB: f64 = 512.0;
const WHOLE_PROCESSOR_MB: f64 = 1769.0;

/// List prices of ap-northeast-3 in USD, 2026: a GB-second of Lambda on arm64, a request to S3 that writes or lists, one that
/// reads, and a GB-month of S3.
const LAMBDA: f64 = 0.000_013_333_4;
const S3_WRITE: f64 = 0.000_004_7;
const S3_READ: f64 = 0.000_000_37;
const S3_GB_MONTH: f64 = 0.025;

/// The invocations that write files.
#[derive(Default)]
struct Writing {
    invocations: u64,
    seconds: f64,
}

/// Takes a snapshot of a pool of this size in as many invocations as it needs.
pub async fn run(report: &mut Report, folder: &Path, users: u64) -> anyhow::Result<()> {
    let behaviour = Behaviour {
        users,
        ..Behaviour::default()
    };
    let stage = Stage::set(behaviour, folder).await?;
    let backup_fn = binary("backup-fn")?;
    let rate = (RATE * SPEED).to_string();
    // In such a short invocation, backup-fn reserves a fifth of the time to store its progress.
    let short = Duration::from_secs_f64(WORK_S * 1.25 / SPEED as f64);
    let name = format!("backup-fn-{users}");
    let pages = users / PAGE + 16;
    let (mut invocations, mut cpu_s, mut peak) = (0_u64, 0.0, 0);
    // It reserves 15 s of a longer one.
    let long = Duration::from_secs_f64(WORK_S * MEMORY_MB / WHOLE_PROCESSOR_MB + 15.0);
    let mut listing_s = 0.0;
    let mut writing = Writing::default();
    loop {
        let before = stage.endpoint.seen();
        let writes = pages.saturating_sub(before.pages()) < PAGES_AN_INVOCATION * 9 / 10;
        let timeout = if writes { long } else { short };
        let begun = Instant::now();
        stage.deploy(&name, &backup_fn, &[("LIST_USERS_RPS", &rate)], timeout);
        let (answer, _) = stage.invoke(&name, &json!({"action": "snapshot"})).await;
        let ended = Instant::now();
        let answer = answer.map_err(anyhow::Error::msg)?;
        let usage = Usage::of_function(&name)?;
        invocations += 1;
        cpu_s += usage.cpu_s;
        peak = peak.max(usage.peak_bytes);
        let seen = stage.endpoint.seen();
        listing_s += (seen.pages() - before.pages()) as f64 / RATE as f64;
        if writes {
            let last = seen.listed.map_or(begun, |(_, last)| last.max(begun));
            writing.seconds += (ended - last).as_secs_f64();
            writing.invocations += 1;
        }
        match text(&answer, "status")? {
            "complete" => {
                ensure!(answer["users"] == users, "{answer}: {users} expected");
                break;
            }
            "in-progress" if invocations < 200 => {}
            status => bail!(
                "{} users: {status} after {invocations} invocations",
                thousands(users)
            ),
        }
    }
    let writing_s = writing.seconds;
    let seen = stage.endpoint.seen();
    let reads = seen.count("GetObject");
    let writes = seen.calls.iter().filter(|(name, _)| {
        !matches!(
            **name,
            "GetObject" | "DeleteObject" | "ListUsers" | "DescribeUserPool" | "GetCSVHeader"
        )
    });
    let writes: u64 = writes.map(|(_, calls)| calls).sum();
    let at_512_mb = writing_s * WHOLE_PROCESSOR_MB / MEMORY_MB;
    let lambda = (listing_s + at_512_mb) * MEMORY_MB / 1024.0 * LAMBDA;
    let requests = writes as f64 * S3_WRITE + reads as f64 * S3_READ;
    let gigabytes = seen.bytes as f64 / 1e9;
    let what = format!("simulation, {}", thousands(users));
    for (name, value, unit) in [
        ("invocations", invocations as f64, ""),
        (
            "of these, invocations that wrote files",
            writing.invocations as f64,
            "",
        ),
        (
            "invocations that list at the default rate, computed",
            pages.div_ceil(PAGES_AN_INVOCATION) as f64,
            "",
        ),
        ("hours at the default rate", listing_s / 3600.0, "h"),
        ("writing after the last page", writing_s, "s"),
        (
            "the same with the processor of 512 MB, computed",
            at_512_mb,
            "s",
        ),
        ("CPU for 100,000", cpu_s * 100_000.0 / users as f64, "s"),
        ("peak memory", peak as f64 / (1024.0 * 1024.0), "MiB"),
        ("objects", stage.endpoint.objects() as f64, ""),
        ("written", gigabytes, "GB"),
        ("Lambda and requests, computed", lambda + requests, "USD"),
        ("a month in S3, computed", gigabytes * S3_GB_MONTH, "USD"),
    ] {
        report.line(format!("{what}: {name}"), value, unit, None);
    }
    report.raw(
        what,
        json!({"calls": seen.calls, "cpu_s": cpu_s, "bytes": seen.bytes}),
    );
    Ok(())
}
