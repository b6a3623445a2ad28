//! `twinpool status`: is everyone safe, at a glance. Asks everything at once, and what does not answer is a line of the table.

mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::Client;
use jiff::Timestamp;
use serde::Serialize;
use shared::aws::{AwsError, Patience, Sdk};
use shared::bucket::{Bucket, ReadError};
use shared::pool::PoolId;
use shared::record::{CONFLICTS, OUTBOX, SIGN_UPS};
use shared::snapshot::Latest;

use self::verdict::{Level, Line, lines};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::fence::{self, Gate};
use crate::pools::Pools;
use crate::table::{Cell, Table};
use crate::terminal::{GOOD, WARN, WRONG};

/// Show whether everyone is safe: both pools, outbox, journal, last snapshot and fence
///
/// Changes nothing. A region that does not answer within seconds is a line of the table; what needs doing is said with the command
/// that does it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pools: Pools,

    /// The bucket of journal and snapshots.
    #[arg(long, env = "TWINPOOL_BUCKET", value_name = "NAME")]
    bucket: String,

    /// That bucket's region, if it is not the secondary pool's.
    #[arg(long, env = "TWINPOOL_BUCKET_REGION", value_name = "REGION")]
    bucket_region: Option<String>,

    /// The bucket of the outbox, in the primary region; without it, the outbox is not looked at.
    #[arg(long, env = "TWINPOOL_OUTBOX", value_name = "NAME")]
    outbox: Option<String>,
}

const HELP: &str = "\
Example:
  twinpool status --primary ap-northeast-1_AbCdEf123 --secondary ap-northeast-3_GhIjKl456 \\
    --bucket twinpool-snapshots --outbox twinpool-outbox

Exit codes:
  0  safe
  1  something needs doing, or did not answer
  2  bad usage
  3  there are no AWS credentials

Permissions: cognito-idp:DescribeUserPool, cognito-idp:GetWebACLForResource, wafv2:GetWebACLForResource, wafv2:GetWebACL;
s3:ListBucket and s3:GetObject on the buckets, kms:Decrypt on their keys";

/// On the night somebody waits for this.
const GLANCE: Patience = Patience {
    attempt: Duration::from_secs(3),
    attempts: 2,
};

/// What was asked for, or why it is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Asked<T> {
    Known(T),
    Unknown(Unknown),
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Unknown {
    error: String,
    /// Whether nobody answered, or who answered could not serve: as when a region is lost. Not so if the answer was a no.
    no_answer: bool,
}

impl<T> Asked<T> {
    fn of<E: Into<Unknown>>(result: Result<T, E>) -> Self {
        match result {
            Ok(known) => Self::Known(known),
            Err(error) => Self::Unknown(error.into()),
        }
    }
}

impl From<AwsError> for Unknown {
    fn from(error: AwsError) -> Self {
        use shared::aws::Failure::{Unavailable, Unreachable};
        Self {
            no_answer: matches!(error.failure(), Unreachable | Unavailable),
            error: error.to_string(),
        }
    }
}

impl From<ReadError> for Unknown {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Aws(error) => error.into(),
            ReadError::Malformed { .. } => Self {
                error: error.to_string(),
                no_answer: false,
            },
        }
    }
}

/// A pool that answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pool {
    /// Cognito's estimate.
    users: i32,
    #[serde(skip)]
    arn: String,
}

/// The records below a prefix.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Records {
    count: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl Records {
    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }
}

/// The sign-ups that the secondary pool's trigger saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Journal {
    sign_ups: Records,
    /// Those since the last snapshot.
    waiting: Records,
}

impl Journal {
    async fn list(bucket: &Bucket, last_snapshot: Timestamp) -> Result<Self, AwsError> {
        let mut journal = Self::default();
        let mut listing = bucket.list(SIGN_UPS);
        while let Some(page) = listing.page().await? {
            for object in page {
                journal.sign_ups.add(object.last_modified);
                if object.last_modified > last_snapshot {
                    journal.waiting.add(object.last_modified);
                }
            }
        }
        Ok(journal)
    }
}

/// The last complete snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Snapshot {
    id: String,
    started_at: Timestamp,
    /// What its manifest says; none when the bucket's lifecycle has removed it.
    users: Option<u64>,
    newcomers: Option<u64>,
    rejected: BTreeMap<String, u64>,
}

/// Everything that was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Facts {
    at: Timestamp,
    primary_pool: String,
    secondary_pool: String,
    primary: Asked<Pool>,
    secondary: Asked<Pool>,
    /// None when nobody named the bucket.
    outbox: Option<Asked<Records>>,
    conflicts: Option<Asked<Records>>,
    journal: Asked<Journal>,
    snapshot: Asked<Option<Snapshot>>,
    fence: Asked<Fence>,
    bucket: String,
    /// If it was said.
    bucket_region: Option<String>,
    outbox_bucket: Option<String>,
}

impl Facts {
    /// Whether the primary's region is lost, as far as can be seen from here. A pool that says no is not lost.
    fn is_primary_lost(&self) -> bool {
        matches!(&self.primary, Asked::Unknown(why) if why.no_answer)
    }

    /// Whether the public is let into the secondary.
    fn is_secondary_open(&self) -> bool {
        matches!(self.fence, Asked::Known(Fence::Open | Fence::None))
    }
}

/// How the secondary pool is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fence {
    Closed,
    Open,
    None,
}

#[derive(Debug, Serialize)]
struct Report {
    safe: bool,
    #[serde(flatten)]
    facts: Facts,
    lines: Vec<Line>,
}

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let sdk = context.sdk().await?;
    let facts = facts(&sdk, args).await;
    let lines = lines(&facts);
    let safe = lines.iter().all(|line| line.level != Level::Wrong);
    context.terminal.show(&Report { safe, facts, lines })?;
    Ok(if safe { Verdict::Good } else { Verdict::Wrong })
}

async fn facts(sdk: &Sdk, args: Args) -> Facts {
    let Args {
        pools: Pools { primary, secondary },
        bucket,
        bucket_region,
        outbox,
    } = args;
    let at = Timestamp::now();
    let region = bucket_region.as_deref().unwrap_or(secondary.region());
    let snapshots = Bucket::new(sdk.s3_in(region, GLANCE), bucket.as_str());
    let in_outbox = async |prefix: &'static str| {
        let bucket = Bucket::new(sdk.s3_in(primary.region(), GLANCE), outbox.as_deref()?);
        Some(Asked::of(records(&bucket, prefix).await))
    };
    let secondary_and_fence = async {
        let pool = pool(sdk.cognito(&secondary, GLANCE), &secondary).await;
        let fence = match &pool {
            Asked::Known(Pool { arn, .. }) => {
                let waf = fence::waf(sdk, &secondary, GLANCE);
                Asked::of(Gate::of(&waf, arn).await.map(|gate| Fence::of(&gate)))
            }
            Asked::Unknown(why) => Asked::Unknown(why.clone()),
        };
        (pool, fence)
    };
    let snapshot_and_journal = async {
        let snapshot = last_snapshot(&snapshots).await;
        let since = match &snapshot {
            Asked::Known(Some(last)) => last.started_at,
            _ => Timestamp::MIN,
        };
        (snapshot, Asked::of(Journal::list(&snapshots, since).await))
    };
    let (primary_answer, (secondary_answer, fence), outbox_answer, conflicts, (snapshot, journal)) = tokio::join!(
        pool(sdk.cognito(&primary, GLANCE), &primary),
        secondary_and_fence,
        in_outbox(OUTBOX),
        in_outbox(CONFLICTS),
        snapshot_and_journal,
    );
    Facts {
        at,
        primary: primary_answer,
        secondary: secondary_answer,
        outbox: outbox_answer,
        conflicts,
        journal,
        snapshot,
        fence,
        primary_pool: primary.to_string(),
        secondary_pool: secondary.to_string(),
        bucket,
        bucket_region,
        outbox_bucket: outbox,
    }
}

async fn pool(client: Client, pool: &PoolId) -> Asked<Pool> {
    let answer = client.describe_user_pool().user_pool_id(pool.as_str());
    let answer = answer.send().await;
    let answer = answer.map_err(|error| AwsError::of("DescribeUserPool", pool, &error));
    Asked::of(answer.and_then(|answer| {
        let described = answer.user_pool;
        let hollow = |missing| AwsError::hollow("DescribeUserPool", pool, missing);
        let described = described.ok_or_else(|| hollow("a pool"))?;
        Ok(Pool {
            users: described.estimated_number_of_users,
            arn: described.arn.ok_or_else(|| hollow("an ARN"))?,
        })
    }))
}

async fn records(bucket: &Bucket, prefix: &str) -> Result<Records, AwsError> {
    let mut records = Records::default();
    let mut listing = bucket.list(prefix);
    while let Some(page) = listing.page().await? {
        for object in page {
            records.add(object.last_modified);
        }
    }
    Ok(records)
}

async fn last_snapshot(bucket: &Bucket) -> Asked<Option<Snapshot>> {
    let read = async {
        let Some((latest, _)) = Latest::read(bucket).await? else {
            return Ok(None);
        };
        let users = latest
            .manifest(bucket)
            .await?
            .map(|manifest| manifest.users);
        Ok(Some(Snapshot {
            id: latest.snapshot.to_string(),
            started_at: latest.started_at,
            users: users.as_ref().map(|users| users.listed),
            newcomers: users.as_ref().map(|users| users.newcomers),
            rejected: users.map(|users| users.rejected).unwrap_or_default(),
        }))
    };
    Asked::of::<ReadError>(read.await)
}

impl Fence {
    fn of(gate: &Gate) -> Self {
        match gate {
            Gate::Fence(fence) if fence.state() == fence::State::Closed => Self::Closed,
            Gate::Fence(_) => Self::Open,
            Gate::Foreign(_) | Gate::None => Self::None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["", "what", "state"]);
        for line in &self.lines {
            let (mark, style) = match line.level {
                Level::Good => ("ok", GOOD),
                Level::Warn => ("look", WARN),
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
        let looks = self.lines.iter().filter(|line| line.level == Level::Warn);
        if self.safe && looks.clone().count() > 0 {
            let looks = looks.count();
            write!(f, "{GOOD}safe{GOOD:#}, with {looks} to look at")
        } else if self.safe {
            write!(f, "{GOOD}safe{GOOD:#}")
        } else if self.facts.is_primary_lost() && self.facts.is_secondary_open() {
            write!(
                f,
                "{WARN}failover{WARN:#}: the secondary is open, and the primary does not answer; see the lines marked ACT"
            )
        } else {
            write!(f, "{WRONG}not safe{WRONG:#}: see the lines marked ACT")
        }
    }
}
