//! `twinpool restore`: restores users from a snapshot, with the same code as restore-fn.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use restore::request::{Counts, Request, Response, Scope, SnapshotChoice, Status};
use restore::run::{RestoreConfig, RoleArn, RunContext, Step, restore};
use restore::writes::NAME_HELD;
use serde::{Deserialize, Serialize};
use shared::aws::RetryPolicy;
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::{OnePool, Side};
use crate::settings::SECONDARY;
use crate::snapshot::custom_attribute;
use crate::snapshot_bucket::SnapshotBucket;
use crate::table::Table;
use crate::terminal::{GOOD, HEAD, Output, Progress, Shown, WARN, WRONG, confirm};

/// Restore users from a snapshot into the primary pool, or another one: after a failover, those who signed up in the secondary pool.
///
/// Finds out which users the pool already has, imports the others with one import job at a time, and checks the result. Then writes
/// what no import file can carry (disabled users, attributes with line breaks, groups and the like), and moves the sign-up records of the
/// restored users to journal/restored/. At the end it lists every user who is not restored, with the reason and what to do.
///
/// With --dry-run it changes nothing in the pool or the journal, and leaves the import file that it would upload.
///
/// If the command is interrupted, run it again with the same options: it resumes where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    pool: OnePool,

    #[command(flatten)]
    snapshots: SnapshotBucket,

    /// The role that Cognito uses to write the import log: output ImportLogsRoleArn of the stack.
    #[arg(long, env = "TWINPOOL_IMPORT_ROLE", value_name = "ARN")]
    role: RoleArn,

    /// The snapshot: latest, or the name of a folder in snapshots/.
    #[arg(long, default_value_t, value_name = "ID")]
    snapshot: SnapshotChoice,

    /// Which users to restore.
    #[arg(long, value_enum, default_value_t)]
    scope: Selection,

    /// Restore although the snapshot was taken from this pool itself: to bring back users who were deleted in it.
    #[arg(long)]
    same_pool: bool,

    /// The attribute that keeps the identity of a user, their first sub. Without this option, custom:origin_sub if the pool has that
    /// attribute.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", value_parser = custom_attribute)]
    origin_sub: Option<CustomAttribute>,

    /// Only show what would be done, and leave the import file that would be uploaded. Change nothing in the pool.
    #[arg(long)]
    dry_run: bool,

    /// If an unconfirmed user in the pool has the name of a newcomer, delete that user and import the newcomer. Asks first.
    #[arg(long)]
    reclaim_unconfirmed: bool,

    /// Do not ask before users are deleted.
    #[arg(long, requires = "reclaim_unconfirmed")]
    yes: bool,

    /// Continue although users have signed up since the snapshot: they are not restored, and are listed. Continue also although the
    /// secondary pool does not say which newcomers were disabled or deleted since: they are restored as the snapshot has them, and counted.
    #[arg(long)]
    allow_stale: bool,

    /// Also bring back users whom twinpool disabled in the secondary pool because they were deleted in the primary pool. They are
    /// enabled. For the scopes missing and users.
    #[arg(long)]
    withheld: bool,
}

const EXAMPLE: &str = "\
Examples:
  twinpool restore --pool ap-northeast-1_AbCdEf123 --bucket SNAPSHOTS --bucket-region ap-northeast-3 \\
      --role arn:aws:iam::123456789012:role/IMPORT-LOGS --dry-run
  twinpool restore --scope missing          if twinpool.toml is there, or TWINPOOL_PRIMARY and the other variables are set

Exit codes:
  0  every user in scope is restored
  1  some are not; they are listed
  2  bad usage
  3  AWS refused or did not answer
  4  another restore, or another import job of this account, is running
  130  interrupted; run the command again to go on";

/// Which users to restore.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Selection {
    /// Users who signed up in the secondary pool and have not been restored yet.
    #[default]
    Newcomers,
    /// Every user of the snapshot who is not in the pool, including users who were deleted there.
    Missing,
    /// Every user of the snapshot, to rebuild an empty pool.
    Users,
}

impl From<Selection> for Scope {
    fn from(selection: Selection) -> Self {
        match selection {
            Selection::Newcomers => Self::Newcomers,
            Selection::Missing => Self::Missing,
            Selection::Users => Self::Users,
        }
    }
}

/// The restore needs a deadline. A run of the command line is not limited, so this is longer than any restore.
const RUN_TIME_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Number of users that are listed on the terminal. The report in the bucket lists all.
const MAX_LISTED_USERS: usize = 20;

/// Runs the command.
///
/// # Errors
///
/// The restore cannot start or continue, AWS rejected a call or did not answer, there are no AWS credentials, the command was
/// interrupted, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let pool = args.pool.choose(Some(Side::Primary), context)?;
    if args.reclaim_unconfirmed && !args.dry_run {
        let question = format!(
            "Every unconfirmed user of {pool} who has the name of a newcomer is deleted. Go on?"
        );
        if !confirm(&question, args.yes).await? {
            return Err(Failure::Wrong("nothing was changed".to_owned()));
        }
    }
    let sdk = context.sdk().await?;
    let secondary = context.settings.get(SECONDARY);
    let secondary: Option<PoolId> = secondary.and_then(|id| id.parse().ok());
    let of_secondary = secondary.as_ref().map(PoolId::region);
    let region = of_secondary.unwrap_or(pool.region());
    let bucket = args.snapshots.open(&sdk, region, RetryPolicy::WORKER);
    let site = RestoreConfig {
        sdk,
        pool: pool.clone(),
        bucket: bucket.clone(),
        role: args.role,
        origin: args.origin_sub,
        same_pool: false,
        fill: None,
    };
    let request = Request {
        snapshot: args.snapshot,
        scope: args.scope.into(),
        dry_run: args.dry_run,
        reclaim_unconfirmed: args.reclaim_unconfirmed,
        allow_stale: args.allow_stale,
        same_pool: args.same_pool,
        withheld: args.withheld,
    };
    let work = restore_and_read_report(&site, &request, context);
    let (answer, report) = tokio::select! {
        done = work => done?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::Interrupted(
            "run the same command again to resume; an import job that has started continues by itself"
                .to_owned(),
        )),
    };
    if context.terminal.output() == Output::Json {
        context.terminal.print(&String::from_utf8_lossy(&report))?;
    } else {
        let report = Report::read(&report, &answer.report)?;
        let summary = report.summary(&args.snapshots.name, &answer.report);
        context.terminal.print(&summary.to_string())?;
    }
    Ok(match answer.status {
        Status::Complete => Verdict::Good,
        Status::InProgress | Status::Incomplete => Verdict::Wrong,
    })
}

/// Restores, shows the progress, and reads the report.
///
/// # Errors
///
/// The restore cannot start or continue, or AWS rejected a call or did not answer.
pub async fn restore_and_read_report(
    site: &RestoreConfig,
    request: &Request,
    context: &Context,
) -> Result<(Response, Vec<u8>), Failure> {
    let progress = Progress::new(&context.terminal);
    let run = RunContext {
        lease_holder: format!("twinpool-{}", Id::new(jiff::Timestamp::now())),
        deadline: Instant::now() + RUN_TIME_LIMIT,
        on_progress: &|step| progress.show(progress_of(step)),
    };
    let answer = restore(site, request, &run).await;
    progress.end();
    let answer = answer?;
    let report = site.bucket.get(&answer.report).await?;
    let report = report.ok_or_else(|| {
        Failure::Wrong(format!("{} has disappeared from the bucket", answer.report))
    })?;
    Ok((answer, report.body))
}

/// What is shown of a step: what the restore does or waits for, how far it is, and how far it goes if that is known.
pub fn progress_of(step: Step) -> Shown {
    match step {
        Step::ListingPool(users) => ("listing the pool", users, None),
        Step::LookingUpPeople(lookups) => ("looking up people in the pool", lookups, None),
        Step::WaitingForOtherJob => ("waiting for another import job in this account", 0, None),
        Step::WaitingForCognito => ("waiting for Cognito to begin with the import job", 0, None),
        Step::Importing(rows, of) => ("importing", rows, Some(of)),
        Step::WritingUsers(users) => ("writing what no import file can carry", users, None),
        Step::ArchivingRecords(records) => ("archiving sign-up records", records, None),
    }
}

/// The members of `report.json` that are shown.
#[derive(Deserialize)]
pub struct Report {
    snapshot: String,
    pool: String,
    dry_run: bool,
    status: Status,
    counts: Counts,
    not_home: Vec<NotRestored>,
    attributes_missing: Vec<MissingAttribute>,
    groups_missing: Vec<MissingGroup>,
    estimated_seconds: Option<u64>,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// It is not a report.
    pub fn read(text: &[u8], key: &str) -> Result<Self, Failure> {
        serde_json::from_slice(text).map_err(|_| {
            Failure::Wrong(format!(
                "{key} is not a valid report: somebody has changed it"
            ))
        })
    }

    /// The report as text.
    pub fn summary<'a>(&'a self, bucket: &str, key: &str) -> Summary<'a> {
        let folder = key.trim_end_matches("report.json");
        Summary {
            report: self,
            folder: format!("s3://{bucket}/{folder}"),
        }
    }

    /// Everyone who is not home, or lacks an attribute: their `sub` in the snapshot's pool, and the reason. Their records wait.
    pub fn people_not_home(&self) -> impl Iterator<Item = (&str, String)> {
        let not_home = self.not_home.iter();
        let not_home = not_home.map(|user| (user.sub.as_str(), user.reason.clone()));
        let attributes = self.attributes_missing.iter();
        let attributes = attributes.map(|missing| {
            let reason = format!("without {}: {}", missing.attribute, missing.code);
            (missing.sub.as_str(), reason)
        });
        not_home.chain(attributes)
    }

    /// Everyone who is home and not in a group of theirs: their `sub` in the target pool, and the reason.
    pub fn people_without_groups(&self) -> impl Iterator<Item = (&str, String)> {
        let groups = self.groups_missing.iter();
        groups.map(|missing| {
            let reason = format!("not in group {}: {}", missing.group, missing.code);
            (missing.sub.as_str(), reason)
        })
    }
}

#[derive(Serialize, Deserialize)]
struct NotRestored {
    username: String,
    sub: String,
    reason: String,
    detail: Option<String>,
    advice: String,
}

#[derive(Deserialize)]
struct MissingAttribute {
    username: String,
    sub: String,
    attribute: String,
    code: String,
}

#[derive(Deserialize)]
struct MissingGroup {
    username: String,
    sub: String,
    group: String,
    code: String,
}

/// The report as text.
pub struct Summary<'a> {
    report: &'a Report,
    folder: String,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            snapshot,
            pool,
            dry_run,
            status,
            counts,
            not_home,
            attributes_missing,
            groups_missing,
            estimated_seconds,
        } = self.report;
        let folder = &self.folder;
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
        let mut table = Table::new(["users", "number"]);
        for (name, number) in [
            (would("imported", "would be imported"), counts.imported),
            (
                would("created one by one", "would be created one by one"),
                counts.created,
            ),
            ("already in the pool".to_owned(), counts.already_home),
            (would("not restored", "cannot be restored"), counts.not_home),
            (
                "in the snapshot, not in the pool, not in scope".to_owned(),
                counts.not_in_primary,
            ),
            (
                "never confirmed, or from another identity provider".to_owned(),
                counts.not_restorable,
            ),
            (
                "given attributes that no import file can carry".to_owned(),
                counts.attributes_written,
            ),
            (
                would(
                    "sign-up records archived",
                    "sign-up records that would be archived",
                ),
                counts.filed,
            ),
            (
                "sign-up records of users not in the snapshot".to_owned(),
                counts.not_in_snapshot,
            ),
        ] {
            table.row([name.into(), number.to_string().into()]);
        }
        // Most restores have none of these.
        for (name, number) in [
            (
                "withheld, because they were deleted in the primary pool".to_owned(),
                counts.withheld,
            ),
            (
                "deleted in the secondary pool since the snapshot, left out".to_owned(),
                counts.deleted_in_secondary,
            ),
            (
                "perhaps disabled or deleted since the snapshot: the secondary pool did not answer"
                    .to_owned(),
                counts.unchecked,
            ),
            (
                would("added to groups", "would be added to groups"),
                counts.groups_written,
            ),
        ] {
            if number > 0 {
                table.row([name.into(), number.to_string().into()]);
            }
        }
        writeln!(f, "{table}")?;
        if !not_home.is_empty() {
            let mut table = Table::new(["not restored", "sub in the snapshot's pool", "reason"]);
            let mut advice = BTreeMap::new();
            for (at, user) in not_home.iter().enumerate() {
                advice.insert(user.reason.as_str(), user.advice.as_str());
                if at >= MAX_LISTED_USERS {
                    continue;
                }
                let reason = match &user.detail {
                    Some(detail) => format!("{}: {detail}", user.reason),
                    None => user.reason.clone(),
                };
                table.row([
                    user.username.as_str().into(),
                    user.sub.as_str().into(),
                    reason.into(),
                ]);
            }
            writeln!(f, "{table}")?;
            if not_home.len() > MAX_LISTED_USERS {
                let more = not_home.len() - MAX_LISTED_USERS;
                writeln!(f, "… and {more} more: {folder}report.json\n")?;
            }
            writeln!(f, "{HEAD}what to do{HEAD:#}")?;
            for (reason, advice) in advice {
                writeln!(f, "  {reason}: {advice}")?;
            }
            writeln!(f)?;
        }
        for missing in attributes_missing.iter().take(MAX_LISTED_USERS) {
            let MissingAttribute {
                username,
                sub,
                attribute,
                code,
            } = missing;
            let why = match code.as_str() {
                NAME_HELD => {
                    "another user signs in with this value, or may do so; find out whose it is"
                        .to_owned()
                }
                code => {
                    format!("AdminUpdateUserAttributes answered {code}; write the value yourself")
                }
            };
            writeln!(
                f,
                "{WARN}{username} ({sub}) is restored without {attribute}:{WARN:#} {why}"
            )?;
        }
        let unlisted = attributes_missing.len().saturating_sub(MAX_LISTED_USERS);
        if unlisted > 0 {
            writeln!(f, "… and {unlisted} more attributes: {folder}report.json")?;
        }
        for missing in groups_missing.iter().take(MAX_LISTED_USERS) {
            let MissingGroup {
                username,
                sub,
                group,
                code,
            } = missing;
            writeln!(
                f,
                "{WARN}{username} ({sub}) is not in the group {group}:{WARN:#} AdminAddUserToGroup answered {code}; create the group if \
                 there is none, and add the user yourself"
            )?;
        }
        let unlisted = groups_missing.len().saturating_sub(MAX_LISTED_USERS);
        if unlisted > 0 {
            writeln!(f, "… and {unlisted} more memberships: {folder}report.json")?;
        }
        if let Some(seconds) = estimated_seconds {
            let minutes = seconds.div_ceil(60);
            writeln!(
                f,
                "It would take about {minutes} min if Cognito imports 25 users per second. This rate is an estimate: AWS publishes none."
            )?;
        }
        writeln!(f, "Files: {}", self.folder)?;
        match (status, dry_run) {
            (Status::Complete, false) => {
                write!(f, "{GOOD}Every user in scope is restored.{GOOD:#}")
            }
            (Status::Complete, true) => write!(
                f,
                "{GOOD}Every user in scope can be restored.{GOOD:#} Run the command without --dry-run to restore them."
            ),
            (_, false) => write!(
                f,
                "{WRONG}Some users are not restored, or not completely.{WRONG:#} They are listed above and in report.json."
            ),
            (_, true) => write!(
                f,
                "{WRONG}Some users cannot be restored.{WRONG:#} They are listed above and in report.json."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_cognito_has_not_begun_with_shows_what_the_restore_waits_for() {
        let (message, _, length) = progress_of(Step::WaitingForCognito);

        assert!(message.contains("waiting for Cognito"));
        assert_eq!(length, None);
    }
}
