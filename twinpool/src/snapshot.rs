//! `twinpool snapshot`: takes a snapshot as backup-fn does, in a single run without a time limit.

use std::fmt;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::aws::RetryPolicy;
use shared::cognito::pool::Pool;
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::import_csv::Format;
use shared::journal::{Records, SIGN_UPS_PREFIX};
use shared::s3::bucket::Bucket;
use shared::snapshot::error::SnapshotError;
use shared::snapshot::layout::folder;
use shared::snapshot::manifest::Manifest;
use shared::snapshot::purpose::Purpose;
use shared::snapshot::scope::Scope;
use shared::snapshot::worker::{
    BucketState, DEFAULT_LIST_USERS_PER_SECOND, DEFAULT_LOOKUPS_PER_SECOND,
    DEFAULT_SHRINK_GUARD_PERCENT, LeaseRequest, Outcome, SnapshotWorker, Wanted,
};
use tokio::sync::watch;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::{OnePool, Side};
use crate::snapshot_bucket::SnapshotBucket;
use crate::table::{Cell, Table};
use crate::terminal::{GOOD, Progress, WARN, WRONG};

/// The attribute in which a deployment keeps the first `sub` by default.
pub const DEFAULT_ORIGIN_SUB: &str = "custom:origin_sub";

/// Users that one ListUsers call returns at most (botocore: QueryLimitType).
const USERS_PER_PAGE: u64 = 60;

/// Take a snapshot of a pool now, or resume one that was interrupted.
///
/// The pool is the secondary pool, or any other one that has a bucket of its own.
///
/// Writes snapshots/ID/, latest.json, latest-newcomers.json and lease.json (of newcomers lease-newcomers.json) into the bucket. Changes
/// nothing in the pool. Only one snapshot of a scope is taken at a time: a lease makes sure of that. If this command is interrupted, its lease expires after three minutes. After that, backup-fn
/// or this command resumes the snapshot.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pool: OnePool,

    #[command(flatten)]
    snapshots: SnapshotBucket,

    /// ListUsers calls per second. The quota of 30 is shared with your application.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIST_USERS_PER_SECOND)]
    rate: NonZeroU16,

    /// What it covers: pool, or newcomers, who are looked up one by one without listing the pool.
    #[arg(long, value_name = "SCOPE", default_value = "pool", value_parser = scope)]
    scope: Scope,

    /// Calls per second that look newcomers up, with --scope newcomers.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LOOKUPS_PER_SECOND)]
    lookup_rate: NonZeroU16,

    /// Make this snapshot the latest even if it has less than half of the users of the latest one.
    #[arg(long)]
    accept_shrink: bool,

    /// The attribute that keeps everyone's identity in the import files. Without this option, custom:origin_sub if the pool has that attribute.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", value_parser = custom_attribute)]
    origin_sub: Option<CustomAttribute>,

    /// Only show what would be done. Write nothing.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  twinpool snapshot --pool ap-northeast-3_GhIjKl456 --bucket twinpool-snapshots --dry-run
  twinpool snapshot --scope newcomers                       only who signed up, whatever the size of the pool
  twinpool snapshot                                         if twinpool.toml is there, or TWINPOOL_SECONDARY and TWINPOOL_BUCKET are set

Exit codes:
  0  the snapshot is complete, and is now the latest
  1  it is not: the pool has shrunk, or a clock is wrong
  2  bad usage
  3  AWS refused or did not answer
  4  another worker is taking one
  130  interrupted; run the command again to go on

Permissions: cognito-idp:DescribeUserPool, GetCSVHeader, ListUsers, AdminGetUser, ListGroups, AdminListGroupsForUser; s3:ListBucket, s3:GetObject, s3:PutObject \
and s3:AbortMultipartUpload on the bucket, kms:Decrypt and kms:GenerateDataKey on its key";

/// How long to retry the calls that read the pool's settings.
const POOL_READ_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
///
/// The pool or the bucket cannot be used for a snapshot, AWS rejected a call or did not answer, there are no AWS credentials, the
/// command was interrupted, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let id = args.pool.choose(Some(Side::Secondary), context)?;
    let sdk = context.sdk().await?;
    let rate = args.rate.get().into();
    let client = sdk.cognito(&id, RetryPolicy::NO_RETRY);
    let until = Instant::now() + POOL_READ_TIME_LIMIT;
    let pool = Pool::rate_limited(client.clone(), id.clone(), rate, until);
    let PoolInfo { users, origin_sub } = check_pool(&pool, args.origin_sub).await?;
    let worker = SnapshotWorker {
        bucket: args.snapshots.open(&sdk, id.region(), RetryPolicy::WORKER),
        client,
        pool: id,
        calls_per_second: rate,
        lookups_per_second: args.lookup_rate.get().into(),
        shrink_guard_percent: DEFAULT_SHRINK_GUARD_PERCENT.into(),
        origin_sub,
        purpose: Purpose::Backup,
    };
    let people = match args.scope {
        Scope::Pool => users,
        Scope::Newcomers => count_sign_ups(&worker.bucket).await?,
    };
    let wanted = Wanted {
        accept_shrink: args.accept_shrink,
        look_everyone_up: true,
    };
    let state = worker.inspect_bucket(args.scope).await?;
    if let Some(state) = &state {
        state.check_clock()?;
    }
    if args.dry_run {
        let plan = Plan::of(&worker, args.scope, people, state.as_ref());
        context.terminal.show(&plan)?;
        return Ok(match state {
            Some(_) => Verdict::Good,
            None => Verdict::Busy,
        });
    }
    let bar = match args.scope {
        Scope::Pool => (people, "users listed"),
        Scope::Newcomers => (people, "newcomers looked up"),
    };
    let outcome = match state {
        None => Outcome::Held,
        Some(state) => {
            if let Some(snapshot) = state.interrupted() {
                let note = format_args!("{snapshot} was interrupted: resuming it");
                context.terminal.note(note);
            }
            tokio::select! {
                outcome = take_snapshot(&worker, state, wanted, bar, context) => outcome?,
                _ = tokio::signal::ctrl_c() => return Err(interrupted()),
            }
        }
    };
    let report = Report::of(&worker.bucket, &outcome);
    context.terminal.show(&report)?;
    Ok(match outcome {
        Outcome::Complete(_) => Verdict::Good,
        Outcome::Shrunk { .. } | Outcome::InProgress { .. } => Verdict::Wrong,
        Outcome::Held => Verdict::Busy,
    })
}

/// What a snapshot needs to know about a pool.
struct PoolInfo {
    /// Number of users, as Cognito estimates it.
    users: u64,
    /// The attribute that the operator named; otherwise the default one, if the pool has it.
    origin_sub: Option<CustomAttribute>,
}

/// Reads the settings of a pool, and rejects a pool for which no import file can be written.
async fn check_pool(pool: &Pool, origin_sub: Option<CustomAttribute>) -> Result<PoolInfo, Failure> {
    let description = pool.describe().await?;
    let header = pool.csv_header().await?;
    let has_default = header.iter().any(|column| column == DEFAULT_ORIGIN_SUB);
    let default = || DEFAULT_ORIGIN_SUB.parse().ok().filter(|_| has_default);
    let origin_sub = origin_sub.or_else(default);
    Format::of(&description, &header, origin_sub.as_ref()).map_err(SnapshotError::from)?;
    Ok(PoolInfo {
        users: u64::try_from(description.estimated_number_of_users()).unwrap_or_default(),
        origin_sub,
    })
}

/// The lease is not released, but it expires three minutes after it was last renewed.
fn interrupted() -> Failure {
    Failure::Interrupted(
        "the lease expires in three minutes; then the same command, or backup-fn by itself, resumes this snapshot; \
         until it is complete, latest.json and latest-newcomers.json name the last complete snapshots"
            .to_owned(),
    )
}

/// Takes the snapshot, and shows its progress.
async fn take_snapshot(
    worker: &SnapshotWorker,
    state: BucketState,
    wanted: Wanted,
    (people, unit): (u64, &'static str),
    context: &Context,
) -> Result<Outcome, Failure> {
    let bar = Progress::new(&context.terminal);
    bar.show((unit, 0, Some(people)));
    let (sender, mut listed) = watch::channel(0);
    let lease = LeaseRequest::until_complete();
    // The sender is dropped when the snapshot ends, which ends the loop below.
    let snapshot = async move {
        let taken = worker.take_or_resume_snapshot(state, &lease, wanted, &sender);
        taken.await
    };
    let progress = async {
        while listed.changed().await.is_ok() {
            bar.show((unit, *listed.borrow_and_update(), Some(people)));
        }
    };
    let (outcome, ()) = tokio::join!(snapshot, progress);
    bar.end();
    Ok(outcome?)
}

/// How many sign-up records there are, each of which is looked up.
async fn count_sign_ups(bucket: &Bucket) -> Result<u64, Failure> {
    let mut records = Records::list(bucket, SIGN_UPS_PREFIX);
    let mut count = 0;
    while let Some(page) = records.next_page().await? {
        count += page.len() as u64;
    }
    Ok(count)
}

fn scope(text: &str) -> Result<Scope, String> {
    let mut scopes = [Scope::Pool, Scope::Newcomers].into_iter();
    let scope = scopes.find(|scope| scope.as_str() == text);
    scope.ok_or_else(|| "it should be pool or newcomers".to_owned())
}

/// Reads the name of a custom attribute.
///
/// # Errors
///
/// The text is another name.
pub fn custom_attribute(text: &str) -> Result<CustomAttribute, String> {
    let expected = || format!("it should be {}", CustomAttribute::EXPECTED);
    text.parse().map_err(|()| expected())
}

/// Result of a dry run.
#[derive(Debug, Serialize)]
struct Plan {
    pool: String,
    scope: Scope,
    /// In a snapshot of the newcomers, how many sign-up records there are.
    estimated_users: u64,
    seconds: u64,
    #[serde(rename = "where")]
    place: String,
    latest: Option<Id>,
    unfinished: Option<Id>,
    held: bool,
}

impl Plan {
    fn of(worker: &SnapshotWorker, scope: Scope, people: u64, state: Option<&BucketState>) -> Self {
        let (calls, calls_per_second) = match scope {
            Scope::Pool => (people.div_ceil(USERS_PER_PAGE), worker.calls_per_second),
            // The user and their groups.
            Scope::Newcomers => (people * 2, worker.lookups_per_second),
        };
        let latest = state.and_then(|state| state.latest.as_ref());
        Self {
            pool: worker.pool.to_string(),
            scope,
            estimated_users: people,
            seconds: calls.div_ceil(calls_per_second.into()),
            place: format!("s3://{}/snapshots/", worker.bucket.name()),
            latest: latest.map(|latest| latest.snapshot.clone()),
            unfinished: state.and_then(BucketState::interrupted).cloned(),
            held: state.is_none(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "none".to_owned();
        let id = |id: &Option<Id>| id.as_ref().map_or_else(none, Id::to_string);
        let (verb, what) = match &self.unfinished {
            _ if self.held => (
                Cell::styled("nothing", WARN),
                "another worker holds the lease".to_owned(),
            ),
            Some(unfinished) => ("would resume".into(), unfinished.to_string()),
            None => ("would take".into(), "a new snapshot".to_owned()),
        };
        let mut table = Table::new(["dry run", "nothing is written"]);
        table.row([verb, what.into()]);
        table.row(["pool".into(), self.pool.clone().into()]);
        table.row([
            match self.scope {
                Scope::Pool => "users",
                Scope::Newcomers => "newcomers",
            }
            .into(),
            format!("about {}", self.estimated_users).into(),
        ]);
        table.row([
            match self.scope {
                Scope::Pool => "time to list",
                Scope::Newcomers => "time to look up",
            }
            .into(),
            format!("about {} s at this rate", self.seconds).into(),
        ]);
        table.row(["where".into(), self.place.clone().into()]);
        table.row(["latest".into(), id(&self.latest).into()]);
        table.fmt(f)
    }
}

/// Result of a run.
#[derive(Debug, Serialize)]
struct Report<'a> {
    status: &'static str,
    snapshot: Option<&'a Id>,
    #[serde(rename = "where")]
    place: Option<String>,
    manifest: Option<&'a Manifest>,
    /// How many users the latest snapshot has, if this one has shrunk and that is known.
    #[serde(skip)]
    before: Option<u64>,
}

impl<'a> Report<'a> {
    fn of(bucket: &Bucket, outcome: &'a Outcome) -> Self {
        let (status, snapshot, manifest) = match outcome {
            Outcome::Complete(manifest) => ("complete", Some(&manifest.snapshot), Some(manifest)),
            Outcome::Shrunk { manifest, .. } => {
                ("shrunk", Some(&manifest.snapshot), Some(manifest))
            }
            Outcome::InProgress { snapshot, .. } => ("in-progress", Some(snapshot), None),
            Outcome::Held => ("held", None, None),
        };
        let place = |snapshot: &Id| format!("s3://{}/{}", bucket.name(), folder(snapshot));
        Self {
            status,
            snapshot,
            place: snapshot.map(place),
            manifest,
            before: match outcome {
                Outcome::Shrunk { before, .. } => *before,
                _ => None,
            },
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(manifest) = self.manifest else {
            return writeln!(
                f,
                "{WARN}{}{WARN:#}: another worker holds the lease; run the command again later",
                self.status
            );
        };
        let users = &manifest.users;
        let mut table = Table::new(["snapshot", &manifest.snapshot.to_string()]);
        let style = if self.status == "complete" {
            GOOD
        } else {
            WRONG
        };
        table.row(["status".into(), Cell::styled(self.status, style)]);
        for (name, value) in [
            ("listed", users.listed),
            ("exported", users.exported),
            ("newcomers", users.newcomers),
            ("rejected", users.total_rejected()),
        ] {
            table.row([name.into(), value.to_string().into()]);
        }
        for (reason, count) in &users.rejected {
            let name = format!("  {reason}");
            table.row([name.into(), Cell::styled(count.to_string(), WARN)]);
        }
        for (reason, count) in &manifest.dropped_attributes {
            let name = format!("left out: {reason}");
            table.row([name.into(), Cell::styled(count.to_string(), WARN)]);
        }
        let place = self.place.clone().unwrap_or_default();
        table.row(["where".into(), place.into()]);
        writeln!(f, "{table}")?;

        let mut files = Table::new(["file", "rows", "bytes"]);
        let snapshot_folder = folder(&manifest.snapshot);
        for file in &manifest.files {
            let name = file.key.strip_prefix(&snapshot_folder).unwrap_or(&file.key);
            let (rows, bytes) = (file.rows.to_string(), file.bytes.to_string());
            files.row([name.into(), rows.into(), bytes.into()]);
        }
        write!(f, "{files}")?;
        if self.status == "shrunk" {
            let why = match self.before {
                Some(before) => format!("The pool has shrunk: the latest snapshot has {before} users"),
                None => "The manifest of the latest snapshot is missing, so nobody can say whether the pool has shrunk"
                    .to_owned(),
            };
            writeln!(
                f,
                "\n{why}. This snapshot was not made the latest. Find out why; if the number of users is right, run the command again \
                 with --accept-shrink."
            )?;
        }
        Ok(())
    }
}
