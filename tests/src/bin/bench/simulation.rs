//! Snapshots and reconciles of pools with up to forty million users at the default rate: the number of invocations, the duration and
//! the cost.
//!
//! Time is accelerated: the rate is a multiple of the default, and an invocation is shorter by the same factor. Durations are
//! computed from the number of calls; memory, CPU seconds and objects are measured. Writing the files, and comparing two listings, is not
//! accelerated: there, an invocation is as long as a whole processor needs for the work that the processor share of 512 MB does in 15 minutes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::endpoint::{Behaviour, Endpoint, POOL, Seen, TWIN};
use crate::exports::{MIB, thousands};
use crate::process::Usage;
use crate::report::{Report, Target};
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

/// The rate of reconcile for each of the two pools, RECONCILE_LIST_RPS.
const RECONCILE_RATE: u64 = 10;

/// The work of a run after its last page: writing files, or comparing.
#[derive(Default)]
struct WorkAfterListing {
    invocations: u64,
    seconds: f64,
}

impl WorkAfterListing {
    /// Adds the work of an invocation that has just ended.
    fn add(&mut self, begun: Instant, seen: &Seen) {
        let last_page = seen.listed.map_or(begun, |(_, last)| last.max(begun));
        self.seconds += last_page.elapsed().as_secs_f64();
        self.invocations += 1;
    }

    /// Its seconds with the processor share of 512 MB.
    fn seconds_at_512_mb(&self) -> f64 {
        self.seconds * WHOLE_PROCESSOR_MB / MEMORY_MB
    }
}

/// The invocations of a function, one after the other, each in a new process.
struct Invocations<'a> {
    stage: &'a Stage,
    name: String,
    binary: PathBuf,
    variables: &'a [(&'a str, &'a str)],
    count: u64,
    cpu_s: f64,
    peak_bytes: u64,
}

impl<'a> Invocations<'a> {
    fn new(
        stage: &'a Stage,
        binary_name: &str,
        users: u64,
        variables: &'a [(&'a str, &'a str)],
    ) -> anyhow::Result<Self> {
        Ok(Self {
            stage,
            name: format!("{binary_name}-{users}"),
            binary: binary(binary_name)?,
            variables,
            count: 0,
            cpu_s: 0.0,
            peak_bytes: 0,
        })
    }

    /// Invokes the function once; returns whether it has finished, and its answer.
    async fn invoke(
        &mut self,
        payload: &Value,
        timeout: Duration,
    ) -> anyhow::Result<(bool, Value)> {
        self.stage
            .deploy(&self.name, &self.binary, self.variables, timeout);
        let (answer, _) = self.stage.invoke(&self.name, payload).await;
        let answer = answer.map_err(anyhow::Error::msg)?;
        let usage = Usage::of_function(&self.name)?;
        self.count += 1;
        self.cpu_s += usage.cpu_s;
        self.peak_bytes = self.peak_bytes.max(usage.peak_bytes);
        match text(&answer, "status")? {
            "complete" => Ok((true, answer)),
            "in-progress" if self.count < 200 => Ok((false, answer)),
            status => bail!("{}: {status} after {} invocations", self.name, self.count),
        }
    }
}

/// The timeout of an accelerated invocation, of which a function reserves a fifth to store its progress.
fn short() -> Duration {
    Duration::from_secs_f64(WORK_S * 1.25 / SPEED as f64)
}

/// The timeout of an invocation in which a whole processor does the work of 512 MB; a function reserves 15 s of it.
fn long() -> Duration {
    Duration::from_secs_f64(WORK_S * MEMORY_MB / WHOLE_PROCESSOR_MB + 15.0)
}

/// The costs of so many seconds of Lambda, and of the calls to S3.
fn costs(seconds: f64, seen: &Seen) -> f64 {
    let writes = seen.calls.iter().filter(|(name, _)| {
        matches!(
            **name,
            "PutObject"
                | "CreateMultipartUpload"
                | "UploadPart"
                | "CompleteMultipartUpload"
                | "ListObjectsV2"
        )
    });
    let writes: u64 = writes.map(|(_, calls)| calls).sum();
    let requests = writes as f64 * S3_WRITE + seen.count("GetObject") as f64 * S3_READ;
    seconds * MEMORY_MB / 1024.0 * LAMBDA + requests
}

/// Takes a snapshot of a pool of this size in as many invocations as it needs.
pub async fn snapshot(report: &mut Report, folder: &Path, users: u64) -> anyhow::Result<()> {
    let behaviour = Behaviour {
        users,
        ..Behaviour::default()
    };
    let stage = Stage::set(behaviour, folder).await?;
    let rate = (RATE * SPEED).to_string();
    let variables = [("LIST_USERS_RPS", rate.as_str())];
    let mut invocations = Invocations::new(&stage, "backup-fn", users, &variables)?;
    let pages = users / PAGE + 16;
    let mut listing_s = 0.0;
    let mut writing = WorkAfterListing::default();
    loop {
        let before = stage.endpoint.seen();
        let writes = pages.saturating_sub(before.pages()) < PAGES_AN_INVOCATION * 9 / 10;
        let timeout = if writes { long() } else { short() };
        let begun = Instant::now();
        let payload = json!({"action": "snapshot"});
        let (is_finished, answer) = invocations.invoke(&payload, timeout).await?;
        let seen = stage.endpoint.seen();
        listing_s += (seen.pages() - before.pages()) as f64 / RATE as f64;
        if writes {
            writing.add(begun, &seen);
        }
        if is_finished {
            ensure!(answer["users"] == users, "{answer}: {users} expected");
            break;
        }
    }
    let seen = stage.endpoint.seen();
    let at_512_mb = writing.seconds_at_512_mb();
    let gigabytes = seen.bytes as f64 / 1e9;
    let what = format!("simulation, {}", thousands(users));
    for (name, value, unit) in [
        ("invocations", invocations.count as f64, ""),
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
        ("writing after the last page", writing.seconds, "s"),
        (
            "the same with the processor of 512 MB, computed",
            at_512_mb,
            "s",
        ),
        ("objects", stage.endpoint.objects() as f64, ""),
        ("written", gigabytes, "GB"),
        (
            "Lambda and requests, computed",
            costs(listing_s + at_512_mb, &seen),
            "USD",
        ),
        ("a month in S3, computed", gigabytes * S3_GB_MONTH, "USD"),
    ] {
        report.line(format!("{what}: {name}"), value, unit, None);
    }
    tell_usage(report, what, &invocations, &seen, users);
    Ok(())
}

/// Reconciles a pool of this size with a twin that agrees, in as many invocations as it needs.
pub async fn reconcile(report: &mut Report, folder: &Path, users: u64) -> anyhow::Result<()> {
    let behaviour = Behaviour {
        users,
        ..Behaviour::default()
    };
    let stage = Stage::set(behaviour, folder).await?;
    let rate = (RECONCILE_RATE * SPEED).to_string();
    let variables = [
        ("SOURCE_USER_POOL_ID", POOL),
        ("TARGET_USER_POOL_ID", TWIN),
        ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
        ("RECONCILE_LIST_RPS", rate.as_str()),
    ];
    let mut invocations = Invocations::new(&stage, "replicate-fn", users, &variables)?;
    let mut comparing = WorkAfterListing::default();
    loop {
        let before = stage.endpoint.seen();
        let has_listed = has_listed(&stage.endpoint);
        let timeout = if has_listed { long() } else { short() };
        let begun = Instant::now();
        let payload = json!({"action": "reconcile", "now": true});
        let (is_finished, answer) = invocations.invoke(&payload, timeout).await?;
        let seen = stage.endpoint.seen();
        if has_listed || is_finished {
            comparing.add(begun, &seen);
        }
        ensure!(
            !has_listed || seen.pages() == before.pages(),
            "somebody was listed twice"
        );
        if is_finished {
            let counts = &answer["counts"];
            let agreeing = ["unchanged", "skipped"].map(|count| counts[count].as_u64());
            ensure!(
                agreeing.iter().flatten().sum::<u64>() == users,
                "{answer}: {users} expected"
            );
            break;
        }
    }
    let seen = stage.endpoint.seen();
    // Both pools are listed at the same time.
    let listing_s = seen.pages() as f64 / 2.0 / RECONCILE_RATE as f64;
    let at_512_mb = comparing.seconds_at_512_mb();
    let what = format!("simulation of reconcile, {}", thousands(users));
    for (name, value, unit) in [
        ("invocations", invocations.count as f64, ""),
        (
            "of these, invocations that compared",
            comparing.invocations as f64,
            "",
        ),
        (
            "invocations at the default rate, computed",
            ((listing_s + at_512_mb) / WORK_S).ceil(),
            "",
        ),
        (
            "hours of listing at the default rate",
            listing_s / 3600.0,
            "h",
        ),
        ("comparing after the last page", comparing.seconds, "s"),
        (
            "the same with the processor of 512 MB, computed",
            at_512_mb,
            "s",
        ),
        ("objects", stage.endpoint.objects() as f64, ""),
        ("written", seen.bytes as f64 / 1e9, "GB"),
        (
            "Lambda and requests, computed",
            costs(listing_s + at_512_mb, &seen),
            "USD",
        ),
    ] {
        report.line(format!("{what}: {name}"), value, unit, None);
    }
    tell_usage(report, what, &invocations, &seen, users);
    Ok(())
}

/// Reports what the function has needed, and all its calls.
fn tell_usage(
    report: &mut Report,
    what: String,
    invocations: &Invocations<'_>,
    seen: &Seen,
    users: u64,
) {
    let cpu_s = invocations.cpu_s * 100_000.0 / users as f64;
    report.line(format!("{what}: CPU for 100,000"), cpu_s, "s", None);
    let peak = invocations.peak_bytes as f64 / MIB;
    let most = Target::AtMost(64.0);
    report.line(format!("{what}: peak memory"), peak, "MiB", Some(most));
    report.raw(
        what,
        json!({"calls": seen.calls, "cpu_s": invocations.cpu_s, "bytes": seen.bytes}),
    );
}

/// Whether the unfinished run of reconcile has listed both pools.
fn has_listed(endpoint: &Endpoint) -> bool {
    let phase = || {
        let lease = endpoint.json("reconciles/lease.json")?;
        let run = lease["unfinished"].as_str()?;
        endpoint
            .json(&format!("reconciles/{run}/progress.json"))?
            .get("phase")
            .cloned()
    };
    phase().is_some_and(|phase| phase != "listing")
}
