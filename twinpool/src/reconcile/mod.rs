//! `twinpool reconcile`: makes the secondary pool equal to the primary pool, with the code of replicate-fn's worker.
//!
//! [`fill`] brings people by import jobs when many are missing, [`prefer`] carries out what an operator decides on people whom a run has
//! reported, [`summary`] is what is shown of a run.

mod fill;
pub mod prefer;
mod summary;

use std::num::NonZeroU16;

use ::reconcile::prefer::Side;
use ::reconcile::report::Report;
use ::reconcile::request::{
    Answer, DEFAULT_GROUPS_INTERVAL, DEFAULT_INTERVAL, DEFAULT_LISTS_PER_SECOND,
    DEFAULT_WITHHOLD_DAYS, DEFAULT_WRITES_PER_SECOND, ReconcileConfig, Request, RunContext, Status,
    Step,
};
use jiff::SignedDuration;
use restore::run::RoleArn;
use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::pool::Pool;
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

use self::summary::{Estimate, Summary};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::Pools;
use crate::snapshot::{DEFAULT_ORIGIN_SUB, custom_attribute};
use crate::snapshot_bucket::SnapshotBucket;
use crate::terminal::{Progress, Shown};

/// Make the secondary pool equal to the primary pool: bring the people who are missing there, and whatever has changed without a trigger.
///
/// Lists both pools, and looks at every user who differs once more before it writes: creates missing users, writes attributes, disables
/// whoever is disabled or deleted in the primary, enables them again, and compares groups. Nobody who has used the secondary pool loses
/// what they changed there: that is reported, and --prefer decides on it. Nothing is ever deleted from the primary pool.
///
/// When more than 500 people are missing, as after the installation, they are brought by a snapshot of the primary and import jobs, which
/// make no monthly active users. They choose a new password in a failover, like every replica.
///
/// If the command is interrupted, run it again: it goes on. replicate-fn's worker does the same each hour.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    #[command(flatten)]
    snapshots: SnapshotBucket,

    /// The attribute that keeps everyone's identity, their first sub. Without this option, custom:origin_sub if both pools have that
    /// attribute.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", alias = "origin-sub-attribute", value_parser = custom_attribute)]
    origin_sub: Option<CustomAttribute>,

    /// Only show what would be done, how long it would take, and who becomes a monthly active user. Write nothing to a pool.
    #[arg(long)]
    dry_run: bool,

    /// The run whose mass changes you have looked at and accept, once.
    #[arg(long, value_name = "RUN", value_parser = run_id)]
    accept: Option<Id>,

    /// ListUsers calls per second to each pool. The quota of 30 is shared with your application.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LISTS_PER_SECOND)]
    lists_per_second: NonZeroU16,

    /// Writes per second. The quota of 25 is shared with your application.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WRITES_PER_SECOND)]
    writes_per_second: NonZeroU16,

    /// After how many days a user is deleted who was disabled because they are no longer in the primary.
    #[arg(long, env = "WITHHOLD_DAYS", value_name = "N", default_value_t = DEFAULT_WITHHOLD_DAYS)]
    withhold_days: u16,

    /// After how many seconds groups are compared again; 0 to compare them now.
    #[arg(long, env = "GROUPS_EVERY_S", value_name = "N", default_value_t = default_groups_every())]
    groups_every_s: u32,

    /// Whether a user who is created gets a permanent password, as in replicate-fn. Without one, "forgot password" refuses them.
    #[arg(long, env = "ACTIVATE_REPLICAS", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    activate_replicas: bool,

    /// The role that Cognito uses to write the import log of the secondary pool: output ImportLogsRoleArn of the secondary stack. Needed
    /// when more than 500 people are missing.
    #[arg(long, env = "TWINPOOL_LOGS_ROLE", value_name = "ARN")]
    logs_role: Option<RoleArn>,

    /// Create everyone one by one, however many are missing. Each of them becomes a monthly active user.
    #[arg(long)]
    no_fill: bool,

    /// Decide on what a run has reported as changed in the secondary, or in both pools: keep the values and memberships of this
    /// pool, and write them to the other.
    #[arg(long, value_enum, value_name = "POOL", requires = "of", conflicts_with_all = ["accept", "no_fill"], help_heading = DECIDE)]
    prefer: Option<Preference>,

    /// The run whose report is decided on.
    #[arg(long, value_name = "RUN", requires = "prefer", value_parser = run_id, help_heading = DECIDE)]
    of: Option<Id>,

    /// Only the users with this sub, in either pool. Can be given several times.
    #[arg(long, value_name = "SUB", requires = "prefer", num_args = 1.., help_heading = DECIDE)]
    sub: Vec<String>,

    /// Do not ask before writing.
    #[arg(long, requires = "prefer", help_heading = DECIDE)]
    yes: bool,
}

const DECIDE: &str = "Decide on what was reported";

const HELP: &str = "\
Examples:
  twinpool reconcile --primary ap-northeast-1_AbCdEf123 --secondary ap-northeast-3_GhIjKl456 \\
      --bucket twinpool-snapshots --dry-run
  twinpool reconcile --logs-role arn:aws:iam::123456789012:role/IMPORT-LOGS
                                              if twinpool.toml is there, or the variables are set
  twinpool reconcile --accept 20261120T101500Z-0a1b2c3d
  twinpool reconcile --prefer secondary --of 20261120T101500Z-0a1b2c3d --sub 57a4b1c2-… --dry-run

Exit codes:
  0  the secondary is as the primary; people may be reported
  1  something was not done, or is held by the mass change guard
  2  bad usage
  3  AWS refused or did not answer
  4  another run, or a snapshot, is in progress: try again when it has ended
  130  interrupted; run the command again to go on

Permissions: the policies Look and Reconcile (docs/deploy.md, \"Who may run which command\"); for people brought by import jobs also
cognito-idp:GetCSVHeader, CreateUserImportJob, StartUserImportJob and DescribeUserImportJob on the pools, iam:PassRole on the role,
logs:GetLogEvents on the log; for --prefer secondary also cognito-idp:AdminUpdateUserAttributes, AdminDeleteUserAttributes and
AdminAddUserToGroup on the primary";

/// Whose values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Preference {
    /// What users changed in the secondary is written to the primary.
    Secondary,
    /// What users changed in the secondary is overwritten.
    Primary,
}

impl From<Preference> for Side {
    fn from(preference: Preference) -> Self {
        match preference {
            Preference::Secondary => Self::Secondary,
            Preference::Primary => Self::Primary,
        }
    }
}

fn default_groups_every() -> u32 {
    u32::try_from(DEFAULT_GROUPS_INTERVAL.as_secs()).unwrap_or(u32::MAX)
}

fn run_id(text: &str) -> Result<Id, String> {
    let expected = || "not a run: give a name such as 20261120T095959Z-0a1b2c3d".to_owned();
    Id::parse(text).ok_or_else(expected)
}

/// Runs the command.
///
/// # Errors
///
/// The pools cannot be reconciled, AWS rejected a call or did not answer, there are no AWS credentials, the command was interrupted, or the
/// result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    if args.pools.primary == args.pools.secondary {
        let same = "--primary and --secondary name the same pool";
        return Err(Failure::Usage(same.to_owned()));
    }
    let sdk = context.sdk().await?;
    let config = config(&args, sdk).await?;
    let work = async {
        match (args.prefer, &args.of) {
            (Some(side), Some(of)) => prefer::run(&args, side.into(), of, &config, context).await,
            _ => mirror(&args, &config, context).await,
        }
    };
    tokio::select! {
        verdict = work => verdict,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(
            "run the same command again to go on, after a minute; an import job that has started continues by itself"
                .to_owned(),
        )),
    }
}

/// The configuration that the options describe.
async fn config(args: &Args, sdk: Sdk) -> Result<ReconcileConfig, Failure> {
    let region = args.pools.secondary.region();
    let bucket = args.snapshots.open(&sdk, region, RetryPolicy::WORKER);
    let config = default_config(sdk, &args.pools, bucket, args.origin_sub.clone()).await?;
    Ok(ReconcileConfig {
        activate: args.activate_replicas,
        lists_per_second: args.lists_per_second.get().into(),
        writes_per_second: args.writes_per_second.get().into(),
        groups_interval: SignedDuration::from_secs(args.groups_every_s.into()),
        withhold_days: args.withhold_days,
        ..config
    })
}

/// The configuration without options. Without a named attribute, identities are in the default one, if both pools have it.
///
/// # Errors
///
/// AWS rejected a call or did not answer.
pub async fn default_config(
    sdk: Sdk,
    pools: &Pools,
    bucket: Bucket,
    origin: Option<CustomAttribute>,
) -> Result<ReconcileConfig, Failure> {
    let origin = match origin {
        Some(named) => Some(named),
        None => default_origin(&sdk, pools).await?,
    };
    Ok(ReconcileConfig {
        primary: pools.primary.clone(),
        secondary: pools.secondary.clone(),
        bucket,
        origin,
        trigger_arn: None,
        activate: true,
        lists_per_second: DEFAULT_LISTS_PER_SECOND.get().into(),
        writes_per_second: DEFAULT_WRITES_PER_SECOND.get().into(),
        interval: DEFAULT_INTERVAL,
        groups_interval: DEFAULT_GROUPS_INTERVAL,
        withhold_days: DEFAULT_WITHHOLD_DAYS,
        sdk,
    })
}

/// A dry run: compares the pools, shows what it has found, and writes nothing.
///
/// # Errors
///
/// The pools cannot be compared, another dry run is in progress, or AWS rejected a call or did not answer.
pub async fn compare(config: &ReconcileConfig, context: &Context) -> Result<Report, Failure> {
    let request = Request {
        now: true,
        dry_run: true,
        accept: None,
    };
    let answer = reconcile(config, &request, true, context).await?;
    let Some(report) = read_report(&config.bucket, &answer).await? else {
        return Err(Failure::Wrong(
            "another dry run of reconcile is in progress: try again when it has ended".to_owned(),
        ));
    };
    Ok(report)
}

/// The attribute in which a deployment keeps identities by default, if both pools have it.
async fn default_origin(sdk: &Sdk, pools: &Pools) -> Result<Option<CustomAttribute>, Failure> {
    let has = async |pool: &PoolId| {
        let client = sdk.cognito(pool, RetryPolicy::WORKER);
        let described = Pool::unlimited(client, pool.clone()).describe().await?;
        let mut attributes = described.schema_attributes().iter();
        Ok::<_, Failure>(attributes.any(|attribute| attribute.name() == Some(DEFAULT_ORIGIN_SUB)))
    };
    let in_both = has(&pools.primary).await? && has(&pools.secondary).await?;
    Ok(DEFAULT_ORIGIN_SUB.parse().ok().filter(|_| in_both))
}

/// Runs reconcile. When many people are missing, a fill brings them first.
async fn mirror(
    args: &Args,
    config: &ReconcileConfig,
    context: &Context,
) -> Result<Verdict, Failure> {
    let request = Request {
        now: true,
        dry_run: args.dry_run,
        accept: args.accept.clone(),
    };
    let mut answer = reconcile(config, &request, !args.no_fill, context).await?;
    if answer.status == Status::FillNeeded && !args.dry_run && !args.no_fill {
        let Some(role) = &args.logs_role else {
            return Err(Failure::Wrong(
                "many people are missing in the secondary: import jobs bring them, and Cognito needs a role to write the log of such a job. \
                 Give output ImportLogsRoleArn of the secondary stack with --logs-role, or create everyone one by one with --no-fill; \
                 --dry-run says how many they are and what it costs"
                    .to_owned(),
            ));
        };
        fill::run(config, role, context).await?;
        // Whoever no import file can carry is created one by one, and what was accepted is done.
        answer = reconcile(config, &request, false, context).await?;
    }
    let report = read_report(&config.bucket, &answer).await?;
    let estimate = args
        .dry_run
        .then(|| Estimate::of(&answer, report.as_ref(), config, !args.no_fill));
    let summary = Summary {
        verdict: verdict(&answer, report.as_ref(), args.dry_run),
        again: again(args),
        bucket: config.bucket.name(),
        answer: &answer,
        estimate,
        details: report.as_ref(),
    };
    context.terminal.show(&summary)?;
    Ok(summary.verdict)
}

/// One run of the engine, with its progress.
async fn reconcile(
    config: &ReconcileConfig,
    request: &Request,
    leave_to_fill: bool,
    context: &Context,
) -> Result<Answer, Failure> {
    let progress = Progress::new(&context.terminal);
    let run = RunContext {
        lease_holder: lease_holder(),
        deadline: None,
        leave_to_fill,
        on_progress: &|step| progress.show(progress_of(step)),
    };
    let answer = ::reconcile::run(config, request, &run).await;
    progress.end();
    Ok(answer?)
}

/// A name that no other process uses.
fn lease_holder() -> String {
    format!("twinpool-{}", Id::new(jiff::Timestamp::now()))
}

async fn read_report(bucket: &Bucket, answer: &Answer) -> Result<Option<Report>, Failure> {
    if answer.report.is_empty() {
        return Ok(None);
    }
    let report = bucket.get_json(&answer.report).await?;
    Ok(report.map(|(report, _)| report))
}

/// Whether everything was done, or would be. People who are reported are no error: somebody should look at them, on another day.
fn verdict(answer: &Answer, report: Option<&Report>, is_dry_run: bool) -> Verdict {
    let is_held = report.is_some_and(|report| report.held.values().any(|held| *held > 0));
    match answer.status {
        Status::Complete | Status::DryRun if !is_held => Verdict::Good,
        // The run would begin with a fill.
        Status::FillNeeded if is_dry_run && !is_held => Verdict::Good,
        Status::Held | Status::Waiting => Verdict::Busy,
        _ => Verdict::Wrong,
    }
}

/// The command of these options, for a command that is shown.
fn again(args: &Args) -> String {
    let Pools { primary, secondary } = &args.pools;
    let SnapshotBucket { name, region } = &args.snapshots;
    let command =
        format!("twinpool reconcile --primary {primary} --secondary {secondary} --bucket {name}");
    match region {
        Some(region) => format!("{command} --bucket-region {region}"),
        None => command,
    }
}

/// What is shown of a step.
fn progress_of(step: Step) -> Shown {
    match step {
        Step::Listing(primary, secondary) => ("listing both pools", primary + secondary, None),
        Step::Comparing(people) => ("comparing", people, None),
        Step::Writing(done, of) => ("writing", done, Some(of)),
        Step::Groups(done, of) => ("comparing groups", done, Some(of)),
    }
}

#[cfg(test)]
mod tests {
    use ::reconcile::guard::{Kind, Kinds};
    use ::reconcile::report::PoolListed;
    use ::reconcile::request::Counts;

    use super::*;

    fn answered(status: Status, held: u64, is_dry_run: bool) -> Verdict {
        let listed = || PoolListed {
            pool: String::new(),
            listed: 0,
        };
        let answer = Answer {
            status,
            report: "reconciles/id/report.json".into(),
            counts: Counts {
                reported: 7,
                ..Counts::default()
            },
        };
        let report = Report {
            version: 1,
            reconcile: Id::new(jiff::Timestamp::UNIX_EPOCH),
            status,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            finished_at: jiff::Timestamp::UNIX_EPOCH,
            primary: listed(),
            secondary: listed(),
            counts: answer.counts,
            missing: 0,
            failed: 0,
            newly_reported: 7,
            pairs: 100,
            held: Kinds::from([(Kind::Withhold, held)]),
            idle: Kinds::new(),
            made: Kinds::new(),
            warnings: Vec::new(),
            reported: Vec::new(),
        };
        verdict(&answer, Some(&report), is_dry_run)
    }

    #[test]
    fn a_run_is_good_when_everything_was_done_although_people_are_reported() {
        assert_eq!(answered(Status::Complete, 0, false), Verdict::Good);
        for status in [
            Status::InProgress,
            Status::Incomplete,
            Status::Guarded,
            Status::FillNeeded,
        ] {
            assert_eq!(answered(status, 0, false), Verdict::Wrong, "{status:?}");
        }
        for status in [Status::Waiting, Status::Held] {
            assert_eq!(answered(status, 0, false), Verdict::Busy, "{status:?}");
        }
    }

    #[test]
    fn a_dry_run_is_good_unless_something_would_be_held_back() {
        assert_eq!(answered(Status::DryRun, 0, true), Verdict::Good);
        assert_eq!(answered(Status::FillNeeded, 0, true), Verdict::Good);
        assert_eq!(answered(Status::DryRun, 12, true), Verdict::Wrong);
    }
}
