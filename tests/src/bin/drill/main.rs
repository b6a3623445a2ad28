//! The drill: a complete failover and failback on this machine, with real requests to real processes. It prints what happens.
//!
//! - [`cast`]: who signs up when and where
//! - [`story`]: the six parts of the drill
//! - [`check`]: whether every user is in the right pool with the right attributes
//! - [`report`]: the printed lines, and the table at the end

mod cast;
mod check;
mod report;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use harness::people;
use local_regions::schedule::ScheduleOptions;
use local_regions::world::{BACKUP_WORKER, OSAKA, SNAPSHOTS, World, WorldOptions};

use crate::cast::Cast;
use crate::report::Report;

/// Plays a whole failover and failback between two regions on this machine: no AWS account, no Docker.
#[derive(Parser)]
#[command(name = "drill")]
struct Arguments {
    /// People to play with: a file of JSON lines, {"kind", "status", "enabled", "attributes"} each
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// How many of them
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..))]
    count: u32,
    /// Decides who plays which part, and which events come twice or late
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How the newcomers are brought home
    #[arg(long, value_enum, default_value_t)]
    failback: Failback,
}

/// How the newcomers are imported into the primary pool.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Failback {
    /// By `twinpool failback`
    #[default]
    Restore,
    /// By uploading newcomers-0001.csv as the Cognito console does; `twinpool failback` does the rest
    Console,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let everyone = match &arguments.people {
        Some(file) => people::read(file)?,
        None => people::everyone()?,
    };
    let cast = Cast::of(everyone, arguments.count as usize, arguments.seed)?;
    let started = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let folder = std::env::current_dir()?.join(format!("drill/{started}"));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;

    let mut report = Report::begin();
    report.say("Two regions start on this machine, with twinpool between them.");
    report.say("A minute of the schedule lasts two seconds here.");
    let world = World::start(WorldOptions {
        folder: Some(folder.clone()),
        schedule: Some(ScheduleOptions {
            tick: story::MINUTE,
            seed: arguments.seed,
            delay: story::MINUTE / 4,
            retry_pause: story::MINUTE,
            ..ScheduleOptions::default()
        }),
        ..WorldOptions::default()
    })
    .await?;
    let seconds = story::MINUTE.as_secs().to_string();
    world
        .osaka
        .lambda()
        .set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", &seconds);

    let played = story::play(&world, &cast, arguments.failback, &mut report).await;
    report.table();
    let snapshot = played.context("the drill could not go on")?;
    let files = format!(
        "{OSAKA}/s3/{SNAPSHOTS}/{}",
        shared::snapshot::layout::folder(&snapshot)
    );
    println!("\nThe files of this drill stay in {}", folder.display());
    println!("  {files}newcomers-0001.csv  is what the console would upload");
    println!("  {files}rejected.csv  names who and what it leaves out");
    Ok(if report.all_kept() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
