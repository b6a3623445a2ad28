//! Newcomers: the time from the last sign-up in the secondary pool to the snapshot of the newcomers that has everyone, and the calls until
//! everyone is home, which must not depend on the size of the pool.
//!
//! In [`snapshot`], time runs four times faster: the sign-ups of ten minutes take two and a half, the tick and the minimum interval are 15
//! seconds long, and the rate of lookups is four times the default. What the function itself needs is not accelerated, so that the times are rather
//! too long. [`home`] is not accelerated.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use local_regions::world::IMPORT_LOGS_ROLE;
use serde_json::{Value, json};

use crate::endpoint::{BUCKET, Behaviour, HOME, POOL, Seen};
use crate::exports::{MIB, thousands};
use crate::people;
use crate::process::{self, Usage};
use crate::report::{Report, Target};
use crate::stage::{Stage, binary, confirmation};
use crate::way_back::complete;

/// The factor by which time is accelerated.
const SPEED: u32 = 4;

/// The time in which all newcomers sign up.
const SIGN_UPS: Duration = Duration::from_secs(600);

/// The schedule of the worker.
const TICK: Duration = Duration::from_secs(60);

/// backup-fn's default rate, LOOKUPS_RPS.
const LOOKUPS: u32 = 40;

/// Users that ListUsers returns per call, and pages a second that a restore lists.
const PAGE: u64 = 60;
const LISTS: u64 = 25;

/// What must hold: the seconds from the last sign-up of a thousand newcomers to their snapshot, calls to Cognito until everyone is home,
/// and the memory in MiB.
const MOST_SECONDS: f64 = 75.0;
const MOST_CALLS_A_NEWCOMER: u64 = 6;
const MOST_OTHER_CALLS: u64 = 100;
const MOST_MIB: f64 = 64.0;

/// Newcomers who sign up so fast that one tick's lookups take longer than a minute need not be there in [`MOST_SECONDS`].
const MOST_NEWCOMERS_IN_TIME: u64 = 1000;

/// The numbers of people who have confirmed.
fn confirmed(from: u64) -> impl Iterator<Item = u64> {
    (from..).filter(|&number| people::status(number) == "CONFIRMED")
}

/// Takes snapshots while newcomers sign up in a pool of this size, until one has everyone.
pub async fn snapshot(
    report: &mut Report,
    folder: &Path,
    users: u64,
    newcomers: u64,
) -> anyhow::Result<()> {
    let behaviour = Behaviour {
        users,
        groups: true,
        ..Behaviour::default()
    };
    let stage = Stage::set(behaviour, folder).await?;
    // A snapshot of the pool was started just before, so that none is due.
    let lease = json!({
        "version": 1, "holder": null, "last_start": Timestamp::now(), "last_finished": null, "unfinished": null,
    });
    stage.endpoint.put_object("lease.json", &lease);
    let program = binary("backup-fn")?;
    let (trigger, worker) = ("newcomers-trigger", "newcomers-worker");
    stage.deploy(trigger, &program, &[], Duration::from_secs(5));
    let interval = (TICK / SPEED).as_secs().to_string();
    let lookups = (LOOKUPS * SPEED).to_string();
    let variables = [
        ("SNAPSHOT_MIN_INTERVAL_S", &*interval),
        ("LOOKUPS_RPS", &lookups),
        ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
    ];
    stage.deploy(
        worker,
        &program,
        &variables,
        Duration::from_secs(900) / SPEED,
    );

    let begun = Instant::now();
    let sign_ups = async {
        let pause = SIGN_UPS / SPEED / newcomers as u32;
        for (at, number) in (0..).zip(confirmed(users).take(newcomers as usize)) {
            tokio::time::sleep_until((begun + pause * at).into()).await;
            let event = confirmation(number, "PostConfirmation_ConfirmSignUp");
            let (answer, _) = stage.invoke(trigger, &event).await;
            answer.map_err(anyhow::Error::msg)?;
        }
        anyhow::Ok(Instant::now())
    };
    let ticks = async {
        for at in 1..100 {
            tokio::time::sleep_until((begun + TICK / SPEED * at).into()).await;
            let (answer, _) = stage.invoke(worker, &json!({"action": "tick"})).await;
            let answer = answer.map_err(anyhow::Error::msg)?;
            if answer["status"] == "complete" && answer["users"] == newcomers {
                return Ok((Instant::now(), answer));
            }
        }
        bail!("no snapshot has all {newcomers} newcomers after 100 ticks")
    };
    let (last, (there, answer)) = tokio::try_join!(sign_ups, ticks)?;

    let pointer = stage.endpoint.json("latest-newcomers.json");
    let pointer = pointer.context("latest-newcomers.json is missing")?;
    ensure!(pointer["snapshot"] == answer["snapshot"], "{pointer}");
    let seen = stage.endpoint.seen();
    let seconds = (there - last).as_secs_f64() * f64::from(SPEED);
    let usage = Usage::of_function(worker)?;
    let what = name_of(users, newcomers);
    let in_time = newcomers <= MOST_NEWCOMERS_IN_TIME;
    let target = in_time.then_some(Target::AtMost(MOST_SECONDS));
    report.line(
        format!("{what}: snapshot after the last one, simulated"),
        seconds,
        "s",
        target,
    );
    tell_calls(
        report,
        &what,
        "until the snapshot",
        calls_of(&seen),
        newcomers,
    );
    tell_peak(report, format!("{what}: peak memory"), usage.peak_bytes);
    report.raw(what, json!({"calls": seen.calls, "seconds": seconds, "cpu_s": usage.cpu_s, "peak_bytes": usage.peak_bytes}));
    ensure!(!in_time || seconds <= MOST_SECONDS, "{seconds} s");
    check(&seen, newcomers, [usage.peak_bytes])
}

/// Brings newcomers home into pools of these sizes, with a snapshot by backup-fn and a `twinpool restore`, all at the same time: at the
/// default rates of calls, most of it is waiting.
pub async fn home(report: &mut Report, folder: &Path, scales: &[(u64, u64)]) -> anyhow::Result<()> {
    let scales = scales.iter();
    let runs = scales.map(|&(users, newcomers)| bring_home(folder, users, newcomers));
    let homes = futures_util::future::try_join_all(runs).await?;
    homes.iter().for_each(|home| home.tell(report));
    homes.iter().try_for_each(Home::check)
}

/// Newcomers who were brought home.
struct Home {
    users: u64,
    newcomers: u64,
    snapshot: Duration,
    restore: Duration,
    peaks: [(&'static str, u64); 2],
    seen: Seen,
}

async fn bring_home(folder: &Path, users: u64, newcomers: u64) -> anyhow::Result<Home> {
    let behaviour = Behaviour {
        users,
        groups: true,
        ..Behaviour::default()
    };
    let stage = Stage::set(behaviour, folder).await?;
    for number in confirmed(users).take(newcomers as usize) {
        let key = format!("journal/sign-up/{}.json", people::sub(number));
        stage.endpoint.put_object(&key, &record(number));
    }
    let worker = format!("home-worker-{users}-{newcomers}");
    let origin = ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub");
    let timeout = Duration::from_secs(900);
    stage.deploy(&worker, &binary("backup-fn")?, &[origin], timeout);

    let begun = Instant::now();
    let request = json!({"action": "snapshot", "scope": "newcomers"});
    let answer = complete(&stage.lambda, &worker, &request).await?;
    ensure!(answer["users"] == newcomers, "{answer}");
    let snapshot = begun.elapsed();
    let peak_of_worker = Usage::of_function(&worker)?.peak_bytes;

    let begun = Instant::now();
    let mut command = stage.command(&binary("twinpool")?);
    command
        .envs([origin, ("TWINPOOL_PRIMARY", HOME)])
        .envs([("TWINPOOL_SECONDARY", POOL), ("TWINPOOL_BUCKET", BUCKET)])
        .args(["restore", "--role", IMPORT_LOGS_ROLE])
        .args(["--output", "json"])
        .stdout(Stdio::null());
    let usage = process::run(&mut command).await?;
    let restore = begun.elapsed();
    let imported = stage.endpoint.imported();
    ensure!(imported == newcomers, "{imported} imported");
    Ok(Home {
        users,
        newcomers,
        snapshot,
        restore,
        peaks: [
            ("backup-fn", peak_of_worker),
            ("twinpool restore", usage.peak_bytes),
        ],
        seen: stage.endpoint.seen(),
    })
}

/// The sign-up record of a newcomer.
fn record(number: u64) -> Value {
    let (sub, attributes) = (people::sub(number), people::attributes(number));
    let attributes = attributes.map(|(name, value)| (name.to_owned(), Value::from(value)));
    json!({
        "version": 1, "trigger": "PostConfirmation_ConfirmSignUp", "pool": POOL, "username": sub, "sub": sub,
        "recorded_at": Timestamp::now(), "attributes": serde_json::Map::from_iter(attributes),
    })
}

impl Home {
    /// Reports the numbers.
    fn tell(&self, report: &mut Report) {
        let what = name_of(self.users, self.newcomers);
        let steps = [("snapshot", self.snapshot), ("restore", self.restore)];
        for (step, took) in steps {
            report.line(format!("{what}: {step}"), took.as_secs_f64(), "s", None);
        }
        let calls = calls_of(&self.seen);
        tell_calls(
            report,
            &what,
            "until everyone is home",
            calls,
            self.newcomers,
        );
        for (process, peak) in self.peaks {
            let line = format!("{what}, until everyone is home: peak memory of {process}");
            tell_peak(report, line, peak);
        }
        report.raw(
            format!("{what}, until everyone is home"),
            json!({"calls": self.seen.calls}),
        );
    }

    /// Fails if a target is missed. A pool may be listed only where that takes less time than looking the newcomers up: then the pages are
    /// not counted.
    fn check(&self) -> anyhow::Result<()> {
        let is_listed = self.users / PAGE / LISTS < self.newcomers / u64::from(LOOKUPS);
        let mut seen = self.seen.clone();
        if is_listed {
            seen.calls.remove("ListUsers");
        }
        check(&seen, self.newcomers, self.peaks.map(|(_, peak)| peak))
    }
}

/// Newcomers of a pool, as the report names them.
fn name_of(users: u64, newcomers: u64) -> String {
    let (users, newcomers) = (thousands(users), thousands(newcomers));
    format!("{newcomers} newcomers of {users}")
}

/// Fails if a pool was listed, or if there were too many calls or too much memory was needed.
fn check(seen: &Seen, newcomers: u64, peaks: impl IntoIterator<Item = u64>) -> anyhow::Result<()> {
    ensure!(seen.count("ListUsers") == 0, "{:?}", seen.calls);
    ensure!(calls_of(seen) <= most_calls(newcomers), "{:?}", seen.calls);
    for peak in peaks {
        ensure!(peak as f64 / MIB <= MOST_MIB, "{peak} bytes");
    }
    Ok(())
}

/// The calls to Cognito, without those for values that no import file can carry: one person in a hundred has such a value.
fn calls_of(seen: &Seen) -> u64 {
    seen.of_cognito() - seen.count("AdminUpdateUserAttributes")
}

fn most_calls(newcomers: u64) -> u64 {
    MOST_CALLS_A_NEWCOMER * newcomers + MOST_OTHER_CALLS
}

fn tell_peak(report: &mut Report, line: String, bytes: u64) {
    let peak = bytes as f64 / MIB;
    report.line(line, peak, "MiB", Some(Target::AtMost(MOST_MIB)));
}

fn tell_calls(report: &mut Report, what: &str, until: &str, calls: u64, newcomers: u64) {
    let target = Target::AtMost(most_calls(newcomers) as f64);
    report.line(
        format!("{what}: calls {until}"),
        calls as f64,
        "",
        Some(target),
    );
}
