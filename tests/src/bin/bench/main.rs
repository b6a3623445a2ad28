//! The benchmark: the duration and resource usage of the release binaries, which the local Lambda starts.
//!
//! - [`triggers`]: sizes of the binaries, start times, and the latency of a trigger
//! - [`exports`]: snapshots of large pools, compared with a plain export in Python; [`plot`] draws them
//! - [`way_back`]: validate and restore
//! - [`reconcile`]: a pool and a twin that agrees with it
//! - [`newcomers`]: from sign-ups in the secondary pool to a snapshot of the newcomers, and to everyone being home
//! - [`simulation`]: pools that need many invocations
//! - [`endpoint`], [`people`], [`imports`]: a pool whose users are generated when they are listed, and one to which newcomers come home
//! - [`stage`], [`process`], [`report`]: measuring and reporting

mod endpoint;
mod exports;
mod imports;
mod newcomers;
mod people;
mod plot;
mod process;
mod reconcile;
mod report;
mod simulation;
mod stage;
mod triggers;
mod way_back;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::report::Report;

/// Measures the release binaries on this machine. Results are left in target/bench/.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Everything small: shows in a minute that the benchmark works, and no number that means much
    #[arg(long)]
    quick: bool,
    /// What to measure; all but the fill and the simulations when absent
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Binaries and zips
    Sizes,
    /// From spawn to first answer
    Starts,
    /// Time of a warm trigger
    Triggers,
    /// Exports at full speed, beside a plain one in Python
    Exports,
    /// Exports with 100 ms a page under a quota of 30 calls a second
    SlowExports,
    /// twinpool validate
    Validate,
    /// restore-fn in the local regions
    Restore,
    /// Reconcile of pools and twins that agree, at full speed
    Reconcile,
    /// Newcomers of a pool of 100,000 and of one of forty million, until their snapshot
    Newcomers,
    /// The same newcomers, from their records until they are home; an hour more, at the default rates of calls
    Home,
    /// `twinpool reconcile` of 100,000 people and an empty twin, in the local regions
    Fill,
    /// Snapshots of pools up to forty million users in many invocations; half an hour more
    Simulation,
    /// Reconciles of pools up to forty million users in many invocations; an hour more
    ReconcileSimulation,
}

impl Part {
    const USUAL: [Self; 10] = [
        Self::Sizes,
        Self::Starts,
        Self::Triggers,
        Self::Exports,
        Self::SlowExports,
        Self::Validate,
        Self::Restore,
        Self::Reconcile,
        Self::Newcomers,
        Self::Home,
    ];
}

/// The sizes of the measurements.
struct Scale {
    starts: usize,
    events: u64,
    sizes: &'static [u64],
    rows: u64,
    restored: u64,
    simulated: &'static [u64],
    /// Users of the pool, and how many of them are newcomers.
    newcomers: &'static [(u64, u64)],
}

const WHOLE: Scale = Scale {
    starts: 50,
    events: 2000,
    sizes: &[10_000, 100_000, 1_000_000],
    rows: 1_000_000,
    restored: 100_000,
    simulated: &[100_000, 1_000_000, 10_000_000, 40_000_000],
    newcomers: &[
        (40_000_000, 1000),
        (100_000, 1000),
        (100_000, 10_000),
        (40_000_000, 10_000),
    ],
};

const QUICK: Scale = Scale {
    starts: 5,
    events: 100,
    sizes: &[1000, 10_000],
    rows: 10_000,
    restored: 1000,
    simulated: &[100_000],
    newcomers: &[(100_000, 100), (40_000_000, 100)],
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let scale = if arguments.quick { QUICK } else { WHOLE };
    let folder = std::env::current_dir()?.join("target/bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let work = tempfile::tempdir()?;

    let mut report = Report::new();
    let parts = match &arguments.parts[..] {
        [] => &Part::USUAL,
        parts => parts,
    };
    for part in parts {
        let (report, work) = (&mut report, work.path());
        match part {
            Part::Sizes => triggers::sizes(report, work).await?,
            Part::Starts => triggers::starts(report, work, scale.starts).await?,
            Part::Triggers => triggers::warm(report, work, scale.events).await?,
            Part::Exports => {
                let svg = exports::fast(report, work, scale.sizes).await?;
                std::fs::write(folder.join("exports.svg"), svg)?;
            }
            Part::SlowExports => exports::slow(report, work, &scale.sizes[1..]).await?,
            Part::Validate => way_back::validate(report, work, scale.rows).await?,
            Part::Restore => way_back::restore(report, work, scale.restored).await?,
            Part::Reconcile => reconcile::agreeing(report, work, &scale.sizes[1..]).await?,
            Part::Newcomers => {
                for &(users, newcomers) in scale.newcomers {
                    newcomers::snapshot(report, work, users, newcomers).await?;
                }
            }
            Part::Home => newcomers::home(report, work, scale.newcomers).await?,
            Part::Fill => reconcile::fill(report, work, scale.restored).await?,
            Part::Simulation => {
                for &users in scale.simulated {
                    simulation::snapshot(report, work, users).await?;
                }
            }
            Part::ReconcileSimulation => {
                for &users in scale.simulated {
                    simulation::reconcile(report, work, users).await?;
                }
            }
        }
    }
    let results = folder.join("results.json");
    std::fs::write(&results, serde_json::to_vec_pretty(&report)?)?;
    report.print();
    println!("\nAll of it in {}", folder.display());
    Ok(())
}
