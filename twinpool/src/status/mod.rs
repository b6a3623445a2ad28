//! `twinpool status`: shows in one table whether everyone is safe, and what to do.
//!
//! `facts` reads everything at the same time, `assessment` decides how urgent each line is and what to do about it.

mod assessment;
pub mod facts;

use std::fmt;

use serde::Serialize;
use shared::aws::Sdk;

use self::assessment::{Level, Line, assess};
use self::facts::{Facts, Targets};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::Pools;
use crate::snapshot_bucket::SnapshotBucket;
use crate::table::{Cell, Table};
use crate::terminal::{GOOD, WARN, WRONG};

/// Show the state of both pools, the outbox, the journal, the last snapshot, reconcile and the fence, and what to do
///
/// Changes nothing. A region that does not answer within seconds is shown as a line of the table. Whether it is lost is told by what serves
/// people, the public keys of its pool, and not by the administration of the pool. For everything that needs to be done, the command that
/// does it is shown.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    #[command(flatten)]
    snapshots: SnapshotBucket,

    /// The bucket of the outbox, in the primary region. Without it, the outbox is not shown.
    #[arg(long, env = "TWINPOOL_OUTBOX", value_name = "NAME")]
    outbox: Option<String>,
}

const HELP: &str = "\
Example:
  twinpool status --primary ap-northeast-1_AbCdEf123 --secondary ap-northeast-3_GhIjKl456 \\
    --bucket twinpool-snapshots --outbox twinpool-outbox

Exit codes:
  0  nothing must be done: safe, or a failover in which everything is as it should be
  1  something must be done, or something did not answer
  2  bad usage
  3  AWS refused to show something, and nothing else must be done; or there are no AWS credentials

A monitor can run it every few minutes and raise an alarm when the exit code is not 0. On the loss of the primary region it is 1 until the
fence is open. From then on, it is 0 as long as everything else is as it should be. With --output json, \"state\" is safe, failover or
not-safe.

Permissions: cognito-idp:DescribeUserPool, cognito-idp:GetWebACLForResource, wafv2:GetWebACLForResource, wafv2:GetWebACL,
wafv2:ListTagsForResource;
s3:ListBucket and s3:GetObject on the buckets, kms:Decrypt on their keys";

/// The state, line by line.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether nothing must be done.
    safe: bool,
    state: State,
    /// Everything that was read.
    #[serde(flatten)]
    pub facts: Facts,
    lines: Vec<Line>,
}

/// All lines in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// Nothing must be done.
    Safe,
    /// The secondary serves people while the primary is lost, and nothing must be done.
    Failover,
    /// Something must be done.
    NotSafe,
}

impl Report {
    /// Reads the state.
    pub async fn read(sdk: &Sdk, targets: Targets) -> Self {
        let facts = facts::read(sdk, targets).await;
        let lines = assess(&facts);
        let safe = lines.iter().all(|line| line.level != Level::Wrong);
        let state = match safe {
            true if facts.is_failover() => State::Failover,
            true => State::Safe,
            false => State::NotSafe,
        };
        Self {
            safe,
            state,
            facts,
            lines,
        }
    }

    /// What is wrong counts more than what AWS refused to show.
    fn verdict(&self) -> Verdict {
        let lines = self.lines.iter();
        let mut wrong = lines.filter(|line| line.level == Level::Wrong);
        match self.safe {
            true => Verdict::Good,
            false if wrong.all(|line| line.is_refusal) => Verdict::Refused,
            false => Verdict::Wrong,
        }
    }

    /// What is not safe: the line and its state.
    pub fn wrong_lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lines = self.lines.iter();
        let wrong = lines.filter(|line| line.level == Level::Wrong);
        wrong.map(|line| (line.what, line.state.as_str()))
    }
}

/// Runs the command.
///
/// # Errors
///
/// There are no AWS credentials, or the result cannot be written. What AWS does not answer is no error, but a line of the table.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let sdk = context.sdk().await?;
    let Args {
        pools: Pools { primary, secondary },
        snapshots,
        outbox,
    } = args;
    let targets = Targets {
        primary,
        secondary,
        snapshots,
        outbox,
    };
    let report = Report::read(&sdk, targets).await;
    context.terminal.show(&report)?;
    Ok(report.verdict())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["", "what", "state"]);
        for line in &self.lines {
            let (mark, style) = match line.level {
                Level::Good => ("ok", GOOD),
                Level::Warn => ("warn", WARN),
                Level::Wrong => ("ACT", WRONG),
            };
            table.row([
                Cell::styled(mark, style),
                line.what.into(),
                line.state.as_str().into(),
            ]);
        }
        writeln!(f, "{table}")?;
        let mut to_do = Table::new(["to do", ""]);
        for line in &self.lines {
            if let Some(text) = &line.to_do {
                to_do.row([line.what.into(), text.as_str().into()]);
            }
        }
        if self.lines.iter().any(|line| line.to_do.is_some()) {
            writeln!(f, "{to_do}")?;
        }
        let warnings = self.lines.iter();
        let warnings = warnings.filter(|line| line.level == Level::Warn).count();
        if self.state == State::Failover {
            write!(
                f,
                "{WARN}failover{WARN:#}: the secondary is open, and the primary does not answer; nothing else must be done until it is back"
            )
        } else if self.safe && warnings > 0 {
            let plural = if warnings == 1 { "" } else { "s" };
            write!(f, "{GOOD}safe{GOOD:#}, with {warnings} warning{plural}")
        } else if self.safe {
            write!(f, "{GOOD}safe{GOOD:#}")
        } else if self.facts.is_failover() {
            write!(
                f,
                "{WARN}failover{WARN:#}: the secondary is open, and the primary does not answer; see the lines marked ACT"
            )
        } else {
            write!(f, "{WRONG}not safe{WRONG:#}: see the lines marked ACT")
        }
    }
}
