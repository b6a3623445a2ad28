//! `twinpool failback`: brings people back to the primary pool, step by step.
//!
//! Its parts are the single commands `status`, `restore`, `fence`, and `reconcile --dry-run` and `--prefer`. [`steps`] carries them out,
//! [`position`] decides where a run goes on. Nobody who was in the primary before waits for anything: they can enter there all the time.

mod position;
mod steps;

use std::collections::BTreeSet;
use std::fmt;

use restore::run::RoleArn;
use serde::Serialize;
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::s3::bucket::Bucket;

use self::steps::Failback;
use crate::context::Context;
use crate::evidence::{Evidence, Kind, StepName, evidence_key};
use crate::failover::Options;
use crate::failure::{Failure, Verdict};
use crate::snapshot::custom_attribute;
use crate::status::facts::{Asked, Facts};
use crate::table::Table;

/// Bring people back to the primary pool, and close the fence
///
/// Brings the newcomers home while people go on in the secondary, as often as it takes. Then keeps sign-ups out, brings the last ones
/// home, and shows what people changed in the secondary. Says what to switch in the application, and waits for your word. Then closes the
/// fence, proves from outside that it is closed, and looks once more. Whoever was in the primary before can enter there all the time.
///
/// People in the secondary who are not home, or of whom nobody knows who they are or what they did there, are listed. It stops until you
/// have found that out, or accept them with --accept, and does not say complete before.
///
/// Leaves evidence in the snapshot bucket: failovers/ID.json says who did what, when, and how long each step took. If the command is
/// interrupted, run it again: it goes on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    options: Options,

    /// The role that Cognito uses to write the import log of the primary pool: output ImportLogsRoleArn of the primary stack.
    #[arg(long, env = "TWINPOOL_IMPORT_ROLE", value_name = "ARN")]
    role: RoleArn,

    /// The attribute that keeps everyone's identity, their first sub. Without this option, custom:origin_sub if the pools have that
    /// attribute.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", value_parser = custom_attribute)]
    origin_sub: Option<CustomAttribute>,

    /// If an unconfirmed user in the primary has the name of a newcomer, delete that user and import the newcomer.
    #[arg(long)]
    reclaim_unconfirmed: bool,

    /// Write what people changed in the secondary to the primary. Without this option, you are asked; with --yes, it is left, and can be
    /// decided later with twinpool reconcile --prefer.
    #[arg(long, value_enum, value_name = "POOL")]
    prefer: Option<Preference>,

    /// Go on without these people of the secondary: a sub, or the failback that listed them. Can be given several times.
    #[arg(long, value_name = "SUB|FAILBACK", num_args = 1..)]
    accept: Vec<String>,
}

const HELP: &str = "\
Examples:
  twinpool failback --dry-run                      if twinpool.toml is there, or TWINPOOL_PRIMARY and the other variables are set
  twinpool failback --report failback.html
  twinpool failback --accept 20261120T161500Z-0a1b2c3d

During a real outage, leave out --yes: with it, the command does not wait for your word, and closes the fence while the application still
uses the secondary. Whoever signed up in the secondary can sign in to the primary from the moment at which they are home.

Exit codes:
  0  complete: everybody is home, and the fence is closed, which is proved
  1  not complete: people are not home and not accepted, or the proof failed; the same command goes on
  2  bad usage, or nobody can be asked and --yes is missing
  3  AWS refused or did not answer
  4  another operator is running the command
  130  interrupted; run the command again to go on

Permissions: those of twinpool status, restore, fence, and reconcile with --prefer; cognito-idp:ListUserPoolClients on both pools;
s3:GetObject and s3:PutObject below failovers/ in the snapshot bucket";

/// Whose values are kept. Those of the primary need no writing: reconcile asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Preference {
    /// What users changed in the secondary is written to the primary.
    Secondary,
}

/// The steps of a failback.
const STEPS: [StepName; 11] = [
    StepName::Look,
    StepName::BringHome,
    StepName::NoSignUps,
    StepName::ProveNoSignUps,
    StepName::BringLastHome,
    StepName::Compare,
    StepName::Prefer,
    StepName::Switch,
    StepName::CloseFence,
    StepName::ProveClosed,
    StepName::LookAgain,
];

/// Result of a dry run.
#[derive(Serialize)]
struct Plan {
    dry_run: bool,
    kind: Kind,
    newcomers: u64,
    steps: Vec<StepName>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["dry run", "nothing is changed; it would"]);
        for (number, step) in (1..).zip(&self.steps) {
            let number: u32 = number;
            let what = match step {
                StepName::BringHome => format!("{}: {}", step.describe(), self.newcomers),
                StepName::Prefer => format!("{}, if you say so", step.describe()),
                StepName::Switch => {
                    format!("{}: says to what, and waits for your word", step.describe())
                }
                _ => step.describe().to_owned(),
            };
            table.row([number.to_string().into(), what.into()]);
        }
        table.fmt(f)?;
        write!(
            f,
            "\nWho would be brought home, and who cannot be: twinpool restore --dry-run"
        )
    }
}

/// Runs the command.
///
/// # Errors
///
/// A pool does not answer, a step failed, people are not home and nobody has accepted them, another operator is running
/// the command, AWS rejected a call or did not answer, there are no AWS credentials, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let options = &args.options;
    options.check()?;
    let sdk = context.sdk().await?;
    let report = options.look(&sdk).await;
    let terminal = &context.terminal;
    terminal.note(&report);
    check_both_answer(&report.facts)?;
    if options.dry_run {
        terminal.show(&Plan {
            dry_run: true,
            kind: Kind::Failback,
            newcomers: newcomers_in_journal(&report.facts)?,
            steps: STEPS.to_vec(),
        })?;
        return Ok(Verdict::Good);
    }
    let bucket = options.bucket(&sdk);
    let accepted = accepted(&bucket, &args.accept).await?;
    let recorder = options.open(&sdk, Kind::Failback, context).await?;
    let failback = Failback {
        args: &args,
        sdk: &sdk,
        bucket: &bucket,
        recorder: &recorder,
        context,
    };
    let done = recorder
        .carry_out(failback.carry_out(&report, accepted))
        .await;
    options.finish(done, &recorder, context).await
}

/// Makes sure that people can return.
fn check_both_answer(facts: &Facts) -> Result<(), Failure> {
    for (name, pool) in [("primary", &facts.primary), ("secondary", &facts.secondary)] {
        if let Asked::Unknown(why) = pool {
            let what = format!(
                "no failback now: the {name} pool does not answer, and nothing was changed"
            );
            return Err(why.to_failure(&what));
        }
    }
    Ok(())
}

/// How many sign-ups are in the journal.
fn newcomers_in_journal(facts: &Facts) -> Result<u64, Failure> {
    match &facts.journal {
        Asked::Known(journal) => Ok(journal.sign_ups.count),
        Asked::Unknown(why) => Err(why.to_failure("the journal cannot be read")),
    }
}

/// The `sub`s that an operator accepts: named, or listed by a run.
async fn accepted(bucket: &Bucket, named: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut subs = BTreeSet::new();
    for name in named {
        let Some(run) = Id::parse(name) else {
            subs.insert(name.clone());
            continue;
        };
        let evidence = bucket.get_json::<Evidence>(&evidence_key(&run)).await?;
        let (evidence, _) =
            evidence.ok_or_else(|| Failure::Usage(format!("there is no failback {run}")))?;
        let listed = evidence.open.into_values().flatten();
        subs.extend(listed.map(|person| person.sub));
    }
    Ok(subs)
}
