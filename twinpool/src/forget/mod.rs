//! `twinpool forget`: erases a person who is gone from the primary pool.
//!
//! [`person`] finds everything that is kept of them, [`erase`] deletes it, [`holdings`] says what still holds them, and until when.

mod erase;
mod holdings;
mod person;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::pool::Pool;
use shared::cognito::users;
use shared::environment::CustomAttribute;
use shared::forgotten::forgotten_key;
use shared::person::Person;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

use self::holdings::Holding;
use self::person::Traces;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::Pools;
use crate::snapshot::custom_attribute;
use crate::snapshot_bucket::SnapshotBucket;
use crate::terminal::{GOOD, WARN, check_can_ask, confirm};

/// Erase a person who was deleted from the primary pool: their replica, and everything that twinpool keeps of them
///
/// Delete the person in the primary pool first. This command looks whether they are gone there, and then deletes their user in the
/// secondary pool and their objects in the outbox, the conflicts, the journal and the withheld replicas. A mark without any personal
/// data stays, so that no older snapshot and no interrupted run brings them back. Snapshots, import files and reports are not
/// rewritten: the command says which of them still hold the person, and until when.
///
/// Both pools are listed, because only that finds every user of a person: a million users take some minutes. If the command is
/// interrupted, run it again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    /// The person's sub, of either pool.
    #[arg(
        long,
        value_name = "SUB",
        required_unless_present = "user",
        conflicts_with = "user"
    )]
    sub: Option<String>,

    /// Look up the sub of the secondary pool's user with this username, email address or phone number, show it, and ask. A name is not an
    /// identity: somebody else may have it now.
    #[arg(long, value_name = "NAME", conflicts_with = "yes")]
    user: Option<String>,

    #[command(flatten)]
    snapshots: SnapshotBucket,

    /// The bucket of the outbox, in the primary pool's region.
    #[arg(long, env = "TWINPOOL_OUTBOX", value_name = "NAME")]
    outbox: String,

    /// The attribute that keeps everyone's identity, their first sub.
    #[arg(long, env = "ORIGIN_SUB_ATTRIBUTE", value_name = "ATTRIBUTE", default_value = crate::snapshot::DEFAULT_ORIGIN_SUB, value_parser = custom_attribute)]
    origin_sub: CustomAttribute,

    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before deleting.
    #[arg(long)]
    yes: bool,
}

const HELP: &str = "\
Examples:
  twinpool forget --user taro@example.jp      shows who has this name in the secondary pool
  twinpool forget --sub 57a4b1c2-… --dry-run
  twinpool forget --sub 57a4b1c2-…            shows what would be deleted, asks, and deletes it

Exit codes:
  0  the person is erased, or nothing is kept of them
  1  the person is still in the primary pool, or nobody can tell whether they have a user in one of the pools
  2  bad usage
  3  AWS refused or did not answer
  4  a run that may hold the person is under way: run the command again when it has ended

Permissions: cognito-idp:DescribeUserPool, ListUsers and AdminGetUser on both pools, AdminDeleteUser on the secondary; s3:ListBucket,
s3:GetObject, s3:PutObject and s3:DeleteObject on both buckets, and the use of their keys";

/// Where a person may have left traces.
struct Site {
    primary: Pool,
    secondary: Pool,
    /// The snapshot bucket.
    snapshots: Bucket,
    /// The bucket of the outbox.
    outbox: Bucket,
    origin: CustomAttribute,
}

#[derive(Debug, Serialize)]
struct Report {
    /// The person's identity.
    identity: String,
    /// The users in the secondary pool, by `sub`.
    users: Vec<String>,
    /// How many users of the secondary pool may be theirs, because they carry no origin attribute; 0 if a user of theirs is known.
    users_without_identity: u64,
    /// The objects, without those of the outbox's bucket.
    objects: Vec<String>,
    /// The objects in the outbox's bucket.
    outbox_objects: Vec<String>,
    /// The key of the mark that keeps everyone from bringing the person back; none as long as nothing is deleted.
    mark: Option<String>,
    /// What still holds the person.
    still_held: Vec<Holding>,
}

/// Runs the command.
///
/// # Errors
///
/// The person is still in the primary pool, or may be, a run is under way that may hold them, AWS rejected a call or did not answer, there are no
/// AWS credentials, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    if args.sub.is_some() && !args.dry_run {
        check_can_ask(args.yes)?;
    }
    let sdk = context.sdk().await?;
    let site = Site::of(&args, &sdk);
    let sub = match args.sub {
        Some(sub) => sub,
        None => {
            let name = args.user.unwrap_or_default();
            let user = find_user(&site, &name).await?;
            context.terminal.show(&user)?;
            if args.dry_run || check_can_ask(false).is_err() {
                return Ok(Verdict::Good);
            }
            user.sub
        }
    };
    site.check_origin().await?;
    let traces = person::find(&site, &sub, context).await?;
    traces.check_gone("nothing was changed")?;
    let mut report = Report::of(&traces, holdings::find(&site).await?);
    if !args.dry_run {
        if !args.yes {
            context.terminal.note(&report);
        }
        if !confirm("Erase this person?", args.yes).await? {
            return Ok(Verdict::Good);
        }
        let erased = erase::erase(&site, &traces).await?;
        report = Report {
            mark: Some(forgotten_key(&erased.identity)),
            ..Report::of(&erased, report.still_held)
        };
    }
    context.terminal.show(&report)?;
    Ok(match report.users_without_identity {
        0 => Verdict::Good,
        _ => Verdict::Wrong,
    })
}

impl Report {
    /// What would be deleted, or was.
    fn of(traces: &Traces, still_held: Vec<Holding>) -> Self {
        let all = |of: &BTreeSet<String>| of.iter().cloned().collect();
        Self {
            identity: traces.identity.clone(),
            users: all(&traces.in_secondary),
            users_without_identity: traces.users_without_identity,
            objects: all(&traces.objects),
            outbox_objects: all(&traces.outbox_objects),
            mark: None,
            still_held,
        }
    }
}

/// A user of the secondary pool, found by name.
#[derive(Debug, Serialize)]
struct User {
    pool: String,
    sub: String,
    status: String,
    enabled: bool,
    created_at: Option<jiff::Timestamp>,
}

/// The user of the secondary pool with a name.
async fn find_user(site: &Site, name: &str) -> Result<User, Failure> {
    let pool = site.secondary.id();
    let Some(person) = users::look_up(&site.secondary, name).await? else {
        return Err(Failure::Wrong(format!(
            "nobody has this name in {pool}; if they were deleted there, give the sub that they had in either pool with --sub"
        )));
    };
    Ok(User {
        pool: pool.to_string(),
        sub: person.sub().unwrap_or_default().to_owned(),
        status: person.status.to_string(),
        enabled: person.enabled,
        created_at: person.created_at,
    })
}

/// Calls per second that read a pool. The quota of ListUsers, 30 a second, is shared with the live application (DG:quotas).
const READ_CALLS_PER_SECOND: u32 = 15;

impl Site {
    fn of(args: &Args, sdk: &Sdk) -> Self {
        let Pools { primary, secondary } = &args.pools;
        let pool = |id: &PoolId| {
            let client = sdk.cognito(id, RetryPolicy::NO_RETRY);
            let long = std::time::Instant::now() + TIME_LIMIT;
            Pool::rate_limited(client, id.clone(), READ_CALLS_PER_SECOND, long)
        };
        let region = secondary.region();
        let outbox = sdk.s3_in(primary.region(), RetryPolicy::WORKER);
        Self {
            primary: pool(primary),
            secondary: pool(secondary),
            snapshots: args.snapshots.open(sdk, region, RetryPolicy::WORKER),
            outbox: Bucket::new(outbox, &args.outbox),
            origin: args.origin_sub.clone(),
        }
    }

    /// The identity of a user.
    fn identity<'a>(&self, person: &'a Person) -> Option<&'a str> {
        person.attributes.identity(Some(&self.origin))
    }

    /// Fails unless the secondary pool keeps identities: without them, nobody can tell whose copy a user is.
    async fn check_origin(&self) -> Result<(), Failure> {
        let described = self.secondary.describe().await?;
        let mut schema = described.schema_attributes().iter();
        if schema.any(|attribute| attribute.name() == Some(self.origin.as_str())) {
            return Ok(());
        }
        Err(Failure::Wrong(format!(
            "{} has no attribute {}: nobody can tell whose copy a user is. Name the attribute with --origin-sub; if there is none, delete \
             the person's user in the Cognito console and their objects in the buckets",
            self.secondary.id(),
            self.origin.as_str()
        )))
    }
}

/// The command line is not limited in time, so this is longer than any listing.
const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool, sub, status, ..
        } = self;
        let disabled = if self.enabled { "" } else { ", disabled" };
        write!(f, "{sub} in {pool}, {status}{disabled}")?;
        if let Some(created_at) = self.created_at {
            write!(f, ", created {created_at}")?;
        }
        write!(
            f,
            "\nIf this is the person to erase: twinpool forget --sub {sub}"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.mark {
            Some(_) => "deleted",
            None => "would be deleted",
        };
        writeln!(f, "identity {}", self.identity)?;
        let is_nothing_known =
            self.users.is_empty() && self.objects.is_empty() && self.outbox_objects.is_empty();
        match self.users_without_identity {
            0 if is_nothing_known => writeln!(f, "nothing is kept of this person")?,
            0 => {}
            users_without_identity => writeln!(
                f,
                "{WARN}nobody can tell whether this person has a user in the secondary pool:{WARN:#} {users_without_identity} users there carry no \
                 identity. Look up who has the person's name with twinpool forget --user NAME, and erase that user by the sub that it shows"
            )?,
        }
        for user in &self.users {
            writeln!(f, "{done}: user {user} in the secondary pool")?;
        }
        for key in self.objects.iter().chain(&self.outbox_objects) {
            writeln!(f, "{done}: {key}")?;
        }
        if let Some(mark) = &self.mark {
            let erased = match self.users_without_identity {
                0 => format!("{GOOD}erased{GOOD:#}"),
                _ => format!("{WARN}erased as far as it is known{WARN:#}"),
            };
            writeln!(
                f,
                "{erased}; {mark} keeps older snapshots from bringing this person back"
            )?;
        }
        if self.still_held.is_empty() {
            return write!(f, "No snapshot, import file or report is left.");
        }
        writeln!(f, "\nWhat may still hold this person:")?;
        for holding in &self.still_held {
            writeln!(f, "  {holding}")?;
        }
        write!(
            f,
            "{WARN}In a versioned bucket, deleted objects can be read until their old versions expire: seven days, as cdk/ deploys it.{WARN:#}"
        )
    }
}
