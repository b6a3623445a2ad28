//! The failback: `twinpool validate` of import files, and restore-fn with an empty pool of the local regions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::lambda::{Function, Lambda};
use local_regions::world::{
    BACKUP_WORKER, IMPORT_LOGS_ROLE, OSAKA, RESTORE, SNAPSHOTS, World, WorldOptions,
};
use serde_json::{Value, json};

use crate::endpoint::{self, Behaviour};
use crate::exports::thousands;
use crate::people::{self, HEADER};
use crate::process::{self, Usage};
use crate::report::Report;
use crate::stage::{Stage, binary, text};

/// DG:quotas: the maximum number of users in an import file.
const ROWS_A_FILE: u64 = 500_000;

/// Measures `twinpool validate` of a file with this number of rows, offline.
pub async fn validate(report: &mut Report, folder: &Path, rows: u64) -> anyhow::Result<()> {
    let stage = Stage::set(Behaviour::default(), folder).await?;
    let (header, rules) = (folder.join("header.json"), folder.join("pool.json"));
    std::fs::write(&header, json!({"CSVHeader": HEADER}).to_string())?;
    std::fs::write(&rules, endpoint::pool().to_string())?;
    let mut command = stage.command(&binary("twinpool")?);
    command.arg("validate");
    for first in (0..rows).step_by(ROWS_A_FILE as usize) {
        let path = folder.join(format!("users-{first}.csv"));
        let mut file = BufWriter::new(File::create(&path)?);
        writeln!(file, "{}", HEADER.join(","))?;
        let mut line = String::new();
        for number in first..(first + ROWS_A_FILE).min(rows) {
            line.clear();
            people::write_row(&mut line, number);
            file.write_all(line.as_bytes())?;
        }
        file.flush()?;
        command.arg(path);
    }
    command
        .arg("--header")
        .arg(header)
        .arg("--rules")
        .arg(rules);
    let begun = Instant::now();
    let usage = process::run(&mut command).await?;
    let what = format!("validate of {} rows", thousands(rows));
    tell(report, &what, begun.elapsed(), usage);
    Ok(())
}

/// Measures restore-fn, which restores users into an empty pool in the local regions, with their quotas.
pub async fn restore(report: &mut Report, folder: &Path, users: u64) -> anyhow::Result<()> {
    let world = World::start(WorldOptions {
        folder: Some(folder.join("regions")),
        functions: false,
        ..WorldOptions::default()
    })
    .await?;
    for number in 0..users {
        world
            .osaka
            .cognito()
            .put_user(&world.secondary.id, seed(number));
    }
    let function = |name: &str, program: &str, variables: &[(&str, &str)]| {
        anyhow::Ok(Function {
            name: name.to_owned(),
            binary: binary(program)?,
            env: variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            timeout: Duration::from_secs(900),
            concurrency: 1,
        })
    };
    // The snapshot itself is not measured here.
    world.osaka.cognito().knobs().set_quotas(false);
    let variables = [
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("USER_POOL_ID", &*world.secondary.id),
        ("LIST_USERS_RPS", "1000"),
    ];
    let lambda = world.osaka.lambda();
    lambda.create_function(function(BACKUP_WORKER, "backup-fn", &variables)?);
    let snapshot = json!({"action": "snapshot"});
    let answer = complete(lambda, BACKUP_WORKER, &snapshot).await?;
    ensure!(answer["users"] == users, "{answer}");

    let variables = [
        ("USER_POOL_ID", &*world.primary.id),
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("S3_BUCKET_REGION", OSAKA),
        ("IMPORT_LOGS_ROLE_ARN", IMPORT_LOGS_ROLE),
    ];
    let lambda = world.tokyo.lambda();
    lambda.create_function(function(RESTORE, "restore-fn", &variables)?);
    let begun = Instant::now();
    let request = json!({"scope": "users"});
    let answer = complete(lambda, RESTORE, &request).await?;
    let what = format!("restore of {}, local regions", thousands(users));
    tell(report, &what, begun.elapsed(), Usage::of_function(RESTORE)?);
    let home = world.tokyo.cognito().users(&world.primary.id).len();
    report.line(format!("{what}: people home"), home as f64, "", None);
    report.raw(format!("{what}: answer"), answer);
    Ok(())
}

/// The user with this number, for the local regions.
pub fn seed(number: u64) -> SeedUser {
    let attributes = people::attributes(number);
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    SeedUser {
        sub: Some(people::sub(number)),
        status: match people::status(number) {
            "UNCONFIRMED" => UserStatus::Unconfirmed,
            _ => UserStatus::Confirmed,
        },
        attributes: BTreeMap::from(attributes),
        ..SeedUser::default()
    }
}

/// Invokes a function until it is finished.
pub async fn complete(lambda: &Lambda, name: &str, payload: &Value) -> anyhow::Result<Value> {
    loop {
        let answer = lambda
            .invoke(name, Bytes::from(payload.to_string()))
            .await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if text(&answer, "status")? != "in-progress" {
            return Ok(answer);
        }
    }
}

fn tell(report: &mut Report, what: &str, time: Duration, usage: Usage) {
    let peak = usage.peak_bytes as f64 / (1024.0 * 1024.0);
    report.line(format!("{what}: time"), time.as_secs_f64(), "s", None);
    report.line(format!("{what}: CPU"), usage.cpu_s, "s", None);
    report.line(format!("{what}: peak memory"), peak, "MiB", None);
}
