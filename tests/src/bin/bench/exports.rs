//! The duration and resource usage of an export by backup-fn, compared with a plain export in Python.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::endpoint::{BUCKET, Behaviour, POOL, Seen};
use crate::plot;
use crate::process::{self, Usage};
use crate::report::{Report, Target};
use crate::stage::{REGION, Stage, binary, text};

/// The bytes of a MiB.
pub const MIB: f64 = 1024.0 * 1024.0;

/// The quota of ListUsers (DG:quotas), which is also the rate of backup-fn if there is a quota.
const QUOTA: u32 = 30;

/// The rate of a function if there is no quota. No real pool allows it.
pub const FAST: &str = "60000";

/// Whether a pool responds after 100 ms under a quota, or at once without a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// 100 ms a page, 30 calls a second.
    Slow,
    /// No delay and no quota.
    Fast,
}

impl Pool {
    fn behaviour(self, users: u64) -> Behaviour {
        let slow = self == Self::Slow;
        Behaviour {
            users,
            latency: Duration::from_millis(if slow { 100 } else { 0 }),
            quota: slow.then_some(QUOTA),
            ..Behaviour::default()
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Slow => "100 ms a page, 30/s",
            Self::Fast => "no delay, no quota",
        }
    }
}

/// The measurements of one export.
#[derive(Clone, Debug)]
pub struct Export {
    /// The number of users of the pool.
    pub users: u64,
    pool: Pool,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The resource usage of the process.
    pub usage: Usage,
    seen: Seen,
}

impl Export {
    /// CPU seconds for each 100,000 users.
    pub fn cpu_of_100_000(&self) -> f64 {
        self.usage.cpu_s * 100_000.0 / self.users as f64
    }

    /// The peak memory in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.usage.peak_bytes as f64 / MIB
    }

    fn json(&self) -> Value {
        json!({
            "users": self.users, "pool": self.pool.name(), "seconds": self.seconds, "cpu_s": self.usage.cpu_s,
            "peak_bytes": self.usage.peak_bytes, "calls": self.seen.calls, "throttled": self.seen.throttled,
            "bytes_written": self.seen.bytes, "pages_a_second": self.seen.listing_rate(),
        })
    }
}

/// Exports pools of these sizes at full speed, and draws the measurements as an image.
pub async fn fast(report: &mut Report, folder: &Path, sizes: &[u64]) -> anyhow::Result<String> {
    let (mut ours, mut pythons) = (Vec::new(), Vec::new());
    for &users in sizes {
        let export = by_backup_fn(Pool::Fast, users, folder).await?;
        tell(report, &export);
        match by_python(Pool::Fast, users, folder).await? {
            Some(python) => {
                compare(report, &export, &python);
                pythons.push(python);
            }
            None => eprintln!("skipped: there is no boto3 in target/python"),
        }
        ours.push(export);
    }
    Ok(plot::svg(&[
        ("backup-fn", "#0b6e4f", &ours),
        ("Python", "#c8553d", &pythons),
    ]))
}

/// Exports slow pools of these sizes. An export waits for pages nearly all the time, so all run concurrently, each with its
/// own pool, and together take as long as the longest one.
pub async fn slow(report: &mut Report, folder: &Path, sizes: &[u64]) -> anyhow::Result<()> {
    let exports = sizes
        .iter()
        .map(|&users| by_backup_fn(Pool::Slow, users, folder));
    let python = by_python(Pool::Slow, sizes[0], folder);
    let (exports, python) = tokio::try_join!(try_join_all(exports), python)?;
    for export in &exports {
        tell(report, export);
    }
    if let Some(python) = python {
        compare(report, &exports[0], &python);
    }
    Ok(())
}

/// Exports a pool with backup-fn in a new process.
pub async fn by_backup_fn(pool: Pool, users: u64, folder: &Path) -> anyhow::Result<Export> {
    let stage = Stage::set(pool.behaviour(users), folder).await?;
    let rate = match pool {
        Pool::Slow => QUOTA.to_string(),
        Pool::Fast => FAST.to_owned(),
    };
    let name = format!("backup-fn-{pool:?}-{users}");
    let variables = [("LIST_USERS_RPS", rate.as_str())];
    // Longer than Lambda allows: the simulation measures how many invocations are needed.
    let timeout = Duration::from_secs(3600);
    stage.deploy(&name, &binary("backup-fn")?, &variables, timeout);
    let (answer, time) = stage.invoke(&name, &json!({"action": "snapshot"})).await;
    let answer = answer.map_err(anyhow::Error::msg)?;
    ensure!(text(&answer, "status")? == "complete", "{answer}");
    ensure!(answer["users"] == users, "{answer}: {users} users expected");
    Ok(Export {
        users,
        pool,
        seconds: time.as_secs_f64(),
        usage: Usage::of_function(&name)?,
        seen: stage.endpoint.seen(),
    })
}

/// Exports a pool with the script in Python; `None` if boto3 is not installed.
async fn by_python(pool: Pool, users: u64, folder: &Path) -> anyhow::Result<Option<Export>> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let python = repository.join("target/python/bin/python");
    if !python.exists() {
        return Ok(None);
    }
    let stage = Stage::set(pool.behaviour(users), folder).await?;
    let mut command = stage.command(&python);
    command
        .arg(repository.join("tests/python/export.py"))
        .env("POOL", POOL)
        .env("BUCKET", BUCKET)
        .env("AWS_REGION", REGION);
    let begun = Instant::now();
    let usage = process::run(&mut command).await?;
    Ok(Some(Export {
        users,
        pool,
        seconds: begun.elapsed().as_secs_f64(),
        usage,
        seen: stage.endpoint.seen(),
    }))
}

/// Reports an export by backup-fn.
fn tell(report: &mut Report, export: &Export) {
    let what = format!(
        "export of {}, {}",
        thousands(export.users),
        export.pool.name()
    );
    let rate = export.users as f64 / export.seconds;
    report.line(format!("{what}: users a second"), rate, "/s", None);
    let most = Target::AtMost(0.7);
    let cpu = export.cpu_of_100_000();
    report.line(format!("{what}: CPU for 100,000"), cpu, "s", Some(most));
    let most = Target::AtMost(64.0);
    report.line(
        format!("{what}: peak memory"),
        export.peak_mib(),
        "MiB",
        Some(most),
    );
    if export.pool == Pool::Slow {
        let share = export.seen.listing_rate() * 100.0 / f64::from(QUOTA);
        let least = Target::AtLeast(95.0);
        report.line(
            format!("{what}: of the listing rate"),
            share,
            "%",
            Some(least),
        );
    }
    report.raw(what, export.json());
}

/// Reports an export by the script in Python, compared with that of backup-fn of the same pool.
fn compare(report: &mut Report, ours: &Export, python: &Export) {
    let what = format!(
        "Python, {}, {}",
        thousands(python.users),
        python.pool.name()
    );
    for (name, theirs, unit, ratio) in [
        ("time", python.seconds, "s", python.seconds / ours.seconds),
        (
            "CPU",
            python.usage.cpu_s,
            "s",
            python.usage.cpu_s / ours.usage.cpu_s,
        ),
        (
            "peak memory",
            python.peak_mib(),
            "MiB",
            python.peak_mib() / ours.peak_mib(),
        ),
    ] {
        report.line(format!("{what}: {name}"), theirs, unit, None);
        report.line(
            format!("{what}: {name}, beside backup-fn's"),
            ratio,
            "times",
            None,
        );
    }
    report.raw(what, python.json());
}

/// Formats a number for people.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(100_000), "100,000");
        assert_eq!(thousands(40_000_000), "40,000,000");
    }
}
