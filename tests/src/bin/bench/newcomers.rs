//! Newcomers: the time from the last sign-up in the secondary pool to the snapshot of the newcomers that has everyone, and the calls until
//! everyone is home, which must not depend on the size of the pool.
//!
//! In [`snapshot`], time runs four times faster: the sign-ups of ten minutes take two and a half, the tick and the minimum interval are 15
//! seconds long, and the rate of lookups is four times the default. What the function itself needs is not accelerated, so that the times are rather
//! too long. [`home`] is not accelerated.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::faults::Service;
use local_regions::lambda::Function;
use local_regions::world::{
    BACKUP_WORKER, IMPORT_LOGS_ROLE, OSAKA, RESTORE, SNAPSHOTS, World, WorldOptions,
};
use serde_json::{Value, json};

use crate::endpoint::Behaviour;
use crate::exports::{MIB, thousands};
use crate::people;
use crate::process::Usage;
use crate::report::{Report, Target};
use crate::stage::{Stage, binary, confirmation, text};
use crate::way_back::{complete, seed};

/// The factor by which time is accelerated.
const SPEED: u32 = 4;

/// The time in which all newcomers sign up.
const SIGN_UPS: Duration = Duration::from_secs(600);

/// The schedule of the worker.
const TICK: Duration = Duration::from_secs(60);

/// backup-fn's default rate, LOOKUPS_RPS.
const LOOKUPS: u32 = 40;

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
    ensure!(seen.count("ListUsers") == 0, "{:?}", seen.calls);
    let is_of_s3 = |call: &str| {
        ["Object", "Part", "Upload"]
            .iter()
            .any(|part| call.contains(part))
    };
    let of_cognito = seen.calls.iter().filter(|(call, _)| !is_of_s3(call));
    let calls: u64 = of_cognito.map(|(_, calls)| calls).sum();
    let seconds = (there - last).as_secs_f64() * f64::from(SPEED);
    let usage = Usage::of_function(worker)?;
    let what = format!("{} newcomers of {}", thousands(newcomers), thousands(users));
    let in_time = newcomers <= MOST_NEWCOMERS_IN_TIME;
    let target = in_time.then_some(Target::AtMost(MOST_SECONDS));
    report.line(
        format!("{what}: snapshot after the last one, simulated"),
        seconds,
        "s",
        target,
    );
    tell_calls(report, &what, "until the snapshot", calls, newcomers);
    let peak = usage.peak_bytes as f64 / MIB;
    report.line(
        format!("{what}: peak memory"),
        peak,
        "MiB",
        Some(Target::AtMost(MOST_MIB)),
    );
    report.raw(what, json!({"calls": seen.calls, "seconds": seconds, "cpu_s": usage.cpu_s, "peak_bytes": usage.peak_bytes}));
    ensure!(!in_time || seconds <= MOST_SECONDS, "{seconds} s");
    ensure!(peak <= MOST_MIB, "{peak} MiB");
    ensure!(
        calls <= MOST_CALLS_A_NEWCOMER * newcomers + MOST_OTHER_CALLS,
        "{calls} calls"
    );
    Ok(())
}

/// Brings a thousand newcomers home into a pool of a hundred thousand users in the local regions, with their quotas: a snapshot and a
/// restore. In a much smaller pool, a restore would rather list.
pub async fn home(report: &mut Report, folder: &Path) -> anyhow::Result<()> {
    let (users, newcomers) = (100_000, 1000);
    let world = World::start(WorldOptions {
        folder: Some(folder.join("newcomers")),
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
    let client = world.osaka.s3_client();
    for number in confirmed(users).take(newcomers as usize) {
        let user = SeedUser {
            status: UserStatus::Confirmed,
            ..seed(number)
        };
        world.osaka.cognito().put_user(&world.secondary.id, user);
        let sub = people::sub(number);
        let attributes = people::attributes(number);
        let attributes = attributes.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let record = json!({
            "version": 1, "trigger": "PostConfirmation_ConfirmSignUp", "pool": world.secondary.id, "username": sub, "sub": sub,
            "recorded_at": Timestamp::now(), "attributes": serde_json::Map::from_iter(attributes),
        });
        let put = client.put_object().bucket(SNAPSHOTS);
        let put = put.key(format!("journal/sign-up/{sub}.json"));
        put.body(record.to_string().into_bytes().into())
            .send()
            .await?;
    }
    let function = |name: &str, program: &str, variables: &[(&str, &str)]| {
        let variables = variables.iter();
        let variables = variables.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        anyhow::Ok(Function {
            name: name.to_owned(),
            binary: binary(program)?,
            env: variables.collect(),
            timeout: Duration::from_secs(900),
            concurrency: 1,
        })
    };
    let variables = [
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("USER_POOL_ID", &*world.secondary.id),
        ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
    ];
    let worker = world.osaka.lambda();
    worker.create_function(function(BACKUP_WORKER, "backup-fn", &variables)?);
    let variables = [
        ("USER_POOL_ID", &*world.primary.id),
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("S3_BUCKET_REGION", OSAKA),
        ("IMPORT_LOGS_ROLE_ARN", IMPORT_LOGS_ROLE),
        ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
    ];
    let restore = world.tokyo.lambda();
    restore.create_function(function(RESTORE, "restore-fn", &variables)?);
    world.clear_calls();

    let begun = Instant::now();
    let request = json!({"action": "snapshot", "scope": "newcomers"});
    complete(worker, BACKUP_WORKER, &request).await?;
    let answer = complete(restore, RESTORE, &json!({})).await?;
    let took = begun.elapsed();
    if text(&answer, "status")? != "complete" {
        let report = world.osaka.s3().object(SNAPSHOTS, text(&answer, "report")?);
        let report = String::from_utf8(report.unwrap_or_default())?;
        bail!(
            "{answer}: {}",
            report.chars().take(2000).collect::<String>()
        );
    }

    let calls = world.calls();
    let listings = calls.iter().filter(|call| call.operation == "ListUsers");
    ensure!(listings.count() == 0, "a pool was listed");
    let calls = calls
        .iter()
        .filter(|call| call.service == Service::Cognito)
        .count() as u64;
    let what = format!(
        "{} newcomers of {}, local regions",
        thousands(newcomers),
        thousands(users)
    );
    report.line(
        format!("{what}: snapshot and restore"),
        took.as_secs_f64(),
        "s",
        None,
    );
    tell_calls(report, &what, "until everyone is home", calls, newcomers);
    let peak = Usage::of_function(RESTORE)?.peak_bytes as f64 / MIB;
    report.line(
        format!("{what}: peak memory of restore-fn"),
        peak,
        "MiB",
        Some(Target::AtMost(MOST_MIB)),
    );
    report.raw(what, answer);
    ensure!(peak <= MOST_MIB, "{peak} MiB");
    ensure!(
        calls <= MOST_CALLS_A_NEWCOMER * newcomers + MOST_OTHER_CALLS,
        "{calls} calls"
    );
    Ok(())
}

fn tell_calls(report: &mut Report, what: &str, until: &str, calls: u64, newcomers: u64) {
    let most = MOST_CALLS_A_NEWCOMER * newcomers + MOST_OTHER_CALLS;
    let target = Target::AtMost(most as f64);
    report.line(
        format!("{what}: calls {until}"),
        calls as f64,
        "",
        Some(target),
    );
}
