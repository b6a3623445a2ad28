//! `twinpool restore`: brings people back from a snapshot, with the engine of restore-fn.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use shared::aws::Patience;
use shared::bucket::Bucket;
use shared::pool::PoolId;
use shared::restore::RestoreError;
use shared::restore::request::{Counts, Request, Scope, SnapshotChoice, Status};
use shared::restore::run::{RestoreConfig, RoleArn, RunContext, Step, restore};
use shared::snapshot::Id;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::table::Table;
use crate::terminal::{GOOD, HEAD, Output, Terminal, WARN, WRONG};

/// Bring people back from a snapshot into the primary pool: after a failover, those who signed up in the secondary.
///
/// Looks who of them the pool has, imports the others, one import job at a time, looks again, writes what no import file can
/// carry (disabled people, attributes with line breaks and the like), and moves the sign-up records of those who are home to
/// journal/restored/. Ends with who is home and who is not, each with the reason and what to do.
///
/// With --dry-run it changes nothing in the pool or the journal, and leaves the file that it would upload.
///
/// Interrupted, run it again with the same options: it goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub struct Args {
    /// The pool to bring people back into.
    #[arg(long, env = "TWINPOOL_PRIMARY", value_name = "POOL_ID")]
    pool: PoolId,

    /// The bucket of journal and snapshots.
    #[arg(long, env = "TWINPOOL_BUCKET", value_name = "NAME")]
    bucket: String,

    /// The bucket's region. Without it, the one of TWINPOOL_SECONDARY, else the pool's.
    #[arg(long, env = "TWINPOOL_BUCKET_REGION", value_name = "REGION")]
    bucket_region: Option<String>,

    #[arg(long, env = "TWINPOOL_SECONDARY", value_name = "POOL_ID", hide = true)]
    secondary: Option<PoolId>,

    /// The role that Cognito writes the import log with: the output ImportLogsRoleArn of the stack.
    #[arg(long, env = "TWINPOOL_IMPORT_ROLE", value_name = "ARN")]
    role: RoleArn,

    /// The snapshot: latest, or the name of its folder below snapshots/.
    #[arg(long, default_value_t, value_name = "ID")]
    snapshot: SnapshotChoice,

    /// Whom to bring back.
    #[arg(long, value_enum, default_value_t)]
    scope: Whom,

    /// Change nothing in the pool: say what would be done, and leave the file that would be uploaded.
    #[arg(long)]
    dry_run: bool,

    /// Delete whoever holds a newcomer's name in the pool without having confirmed it, and import the newcomer.
    #[arg(long)]
    reclaim_unconfirmed: bool,

    /// Go on although people have signed up since the snapshot. They stay behind, and are named.
    #[arg(long)]
    allow_stale: bool,
}

const EXAMPLE: &str = "\
Examples:
  twinpool restore --pool ap-northeast-1_AbCdEf123 --bucket SNAPSHOTS --bucket-region ap-northeast-3 \\
      --role arn:aws:iam::123456789012:role/IMPORT-LOGS --dry-run
  twinpool restore --scope missing          with the ids in TWINPOOL_PRIMARY and so on

Exit codes: 0 everyone in scope is home · 1 somebody is not, and is named · 2 bad usage · 3 AWS refused or did not answer";

/// Whom to bring back.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Whom {
    /// Those who signed up in the secondary pool, unless they were brought back before.
    #[default]
    Newcomers,
    /// Everyone of the snapshot whom the pool does not have: those included who were deleted there.
    Missing,
    /// Everyone of the snapshot, to rebuild an empty pool.
    Users,
}

impl From<Whom> for Scope {
    fn from(whom: Whom) -> Self {
        match whom {
            Whom::Newcomers => Self::Newcomers,
            Whom::Missing => Self::Missing,
            Whom::Users => Self::Users,
        }
    }
}

/// Far enough: the command line has no deadline.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many people are named on the terminal; the report names all.
const NAMED: usize = 1000;

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let sdk = context.sdk().await?;
    let of_secondary = args.secondary.as_ref().map(PoolId::region);
    let region = args.bucket_region.as_deref().or(of_secondary);
    let region = region.unwrap_or(args.pool.region());
    let bucket = Bucket::new(sdk.s3_in(region, Patience::WORKER), &args.bucket);
    let site = RestoreConfig {
        sdk,
        pool: args.pool,
        bucket: bucket.clone(),
        role: args.role,
    };
    let request = Request {
        snapshot: args.snapshot,
        scope: args.scope.into(),
        dry_run: args.dry_run,
        reclaim_unconfirmed: args.reclaim_unconfirmed,
        allow_stale: args.allow_stale,
    };
    let progress = Progress::new(&context.terminal);
    let run = RunContext {
        lease_holder: format!("twinpool-{}", Id::new(jiff::Timestamp::now())),
        deadline: Instant::now() + FOREVER,
        on_progress: &|step| progress.show(step),
    };
    let answer = tokio::select! {
        answer = restore(&site, &request, &run) => answer?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::Wrong(
            "interrupted: the same command goes on where it stopped; an import job that has begun goes on by itself"
                .to_owned(),
        )),
    };
    progress.end();
    let key = answer.report;
    let report = bucket.get(&key).await?;
    let report = report.ok_or_else(|| Failure::Wrong(format!("{key} is gone from the bucket")))?;
    if context.terminal.output() == Output::Json {
        context
            .terminal
            .print(&String::from_utf8_lossy(&report.body))?;
    } else {
        let report: Report = serde_json::from_slice(&report.body)
            .map_err(|_| Failure::Wrong(format!("{key} is not the report that was written")))?;
        let folder = key.trim_end_matches("report.json");
        let told = Told {
            report: &report,
            folder: format!("s3://{}/{folder}", args.bucket),
        };
        context.terminal.print(&told.to_string())?;
    }
    Ok(match answer.status {
        Status::Complete => Verdict::Good,
        Status::InProgress | Status::Incomplete => Verdict::Wrong,
    })
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Pool(error) => error.into(),
            RestoreError::Bucket(error) => error.into(),
            RestoreError::Read(error) => error.into(),
            error => Self::Wrong(error.to_string()),
        }
    }
}

/// What is going on, on the terminal.
struct Progress<'a> {
    terminal: &'a Terminal,
    shown: Mutex<Option<(&'static str, ProgressBar)>>,
}

impl<'a> Progress<'a> {
    fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            shown: Mutex::new(None),
        }
    }

    fn show(&self, step: Step) {
        let (message, position, length) = match step {
            Step::ListingPool(people) => ("listing the pool", people, None),
            Step::WaitingForOtherJob => ("waiting for another import job of this account", 0, None),
            Step::Importing(rows, of) => ("importing", rows, Some(of)),
            Step::WritingUsers(people) => ("writing what no import file can carry", people, None),
            Step::ArchivingRecords(records) => ("filing the journal", records, None),
        };
        let Ok(mut shown) = self.shown.lock() else {
            return;
        };
        if let Some((_, bar)) = shown.take_if(|(earlier, _)| *earlier != message) {
            bar.finish_and_clear();
        }
        let new = || (message, self.terminal.progress(length, message));
        shown.get_or_insert_with(new).1.set_position(position);
    }

    fn end(&self) {
        if let Ok(mut shown) = self.shown.lock()
            && let Some((_, bar)) = shown.take()
        {
            bar.finish_and_clear();
        }
    }
}

/// `report.json`, as far as it is shown.
#[derive(Deserialize)]
struct Report {
    snapshot: String,
    pool: String,
    dry_run: bool,
    status: Status,
    counts: Counts,
    not_home: Vec<NotHome>,
    attributes_missing: Vec<Missing>,
    estimated_seconds: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct NotHome {
    username: String,
    sub: String,
    reason: String,
    detail: Option<String>,
    advice: String,
}

#[derive(Deserialize)]
struct Missing {
    username: String,
    sub: String,
    attribute: String,
    code: String,
}

/// A report, for people.
struct Told<'a> {
    report: &'a Report,
    folder: String,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            snapshot,
            pool,
            dry_run,
            status,
            counts,
            not_home,
            attributes_missing,
            estimated_seconds,
        } = self.report;
        let dry = if *dry_run {
            " (dry run: nothing was changed)"
        } else {
            ""
        };
        writeln!(f, "Snapshot {snapshot} into user pool {pool}{dry}\n")?;
        let would = |done: &str, planned: &str| {
            if *dry_run {
                planned.to_owned()
            } else {
                done.to_owned()
            }
        };
        let mut table = Table::new(["people", "number"]);
        for (name, number) in [
            (would("imported", "would be imported"), counts.imported),
            (
                would("made one by one", "would be made one by one"),
                counts.created,
            ),
            ("there already".to_owned(), counts.already_home),
            (would("not home", "cannot be brought home"), counts.not_home),
            (
                "in the snapshot, not in the pool, not asked for".to_owned(),
                counts.not_in_primary,
            ),
            (
                "never confirmed, or of another provider".to_owned(),
                counts.not_restorable,
            ),
            (
                "given attributes that no file carries".to_owned(),
                counts.attributes_written,
            ),
            (
                would(
                    "sign-up records filed",
                    "sign-up records that would be filed",
                ),
                counts.filed,
            ),
            (
                "sign-up records of nobody in the snapshot".to_owned(),
                counts.not_in_snapshot,
            ),
        ] {
            table.row([name.into(), number.to_string().into()]);
        }
        writeln!(f, "{table}")?;
        if !not_home.is_empty() {
            let mut table = Table::new(["not home", "sub in the snapshot's pool", "reason"]);
            let mut advice = BTreeMap::new();
            for person in not_home.iter().take(NAMED) {
                let reason = match &person.detail {
                    Some(detail) => format!("{}: {detail}", person.reason),
                    None => person.reason.clone(),
                };
                table.row([
                    person.username.as_str().into(),
                    person.sub.as_str().into(),
                    reason.into(),
                ]);
                advice.insert(person.reason.as_str(), person.advice.as_str());
            }
            writeln!(f, "{table}")?;
            if not_home.len() > NAMED {
                writeln!(f, "… and {} more, in the report\n", not_home.len() - NAMED)?;
            }
            writeln!(f, "{HEAD}what to do{HEAD:#}")?;
            for (reason, advice) in advice {
                writeln!(f, "  {reason}: {advice}")?;
            }
            writeln!(f)?;
        }
        for missing in attributes_missing {
            let Missing {
                username,
                sub,
                attribute,
                code,
            } = missing;
            writeln!(
                f,
                "{WARN}{username} ({sub}) is home without {attribute}:{WARN:#} AdminUpdateUserAttributes says {code}; write it by hand"
            )?;
        }
        if let Some(seconds) = estimated_seconds {
            let minutes = seconds.div_ceil(60);
            writeln!(
                f,
                "It would take about {minutes} min, if Cognito imports 25 users a second: AWS publishes no number."
            )?;
        }
        writeln!(f, "Files: {}", self.folder)?;
        match (status, dry_run) {
            (Status::Complete, false) => {
                write!(f, "{GOOD}Everyone who was to come home is home.{GOOD:#}")
            }
            (Status::Complete, true) => write!(
                f,
                "{GOOD}Everyone can be brought home.{GOOD:#} Without --dry-run, it is done."
            ),
            (_, false) => write!(
                f,
                "{WRONG}Not everyone is home with everything.{WRONG:#} They are named above and in report.json."
            ),
            (_, true) => write!(
                f,
                "{WRONG}Not everyone can be brought home.{WRONG:#} They are named above and in report.json."
            ),
        }
    }
}
