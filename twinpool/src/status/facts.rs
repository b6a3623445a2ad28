//! What `twinpool status` knows about the pools, the buckets and the fence, and the calls that read it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::Client;
use jiff::Timestamp;
use serde::Serialize;
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::cognito::public_keys::{self, Reach};
use shared::journal::{self, SIGN_UPS_PREFIX};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::snapshot::latest::Latest;
use shared::snapshot::scope::Scope;

use crate::failure::Failure;
use crate::fence::{self, Gate};
use crate::snapshot_bucket::SnapshotBucket;

/// Pools and buckets to read.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The primary pool.
    pub primary: PoolId,
    /// The secondary pool.
    pub secondary: PoolId,
    /// The bucket of journal and snapshots.
    pub snapshots: SnapshotBucket,
    /// The bucket of the outbox, in the primary region; `None` if it is not to be read.
    pub outbox: Option<String>,
}

/// Retry policy of every call. An operator waits for the result, so a lost region must be noticed within seconds.
const QUICK_RETRY: RetryPolicy = RetryPolicy {
    attempt_timeout: Duration::from_secs(3),
    max_attempts: 2,
};

/// The answer to a question, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Asked<T> {
    /// The answer.
    Known(T),
    /// Why there is no answer.
    Unknown(Unknown),
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unknown {
    /// The error.
    pub error: String,
    /// True if AWS did not answer, or answered that it is unavailable, as when a region is lost. False if AWS rejected the request.
    pub no_answer: bool,
    /// The call that failed; none if AWS answered something that cannot be read.
    #[serde(skip)]
    pub failed: Option<AwsError>,
}

impl Unknown {
    /// Whether AWS refused the call.
    pub fn is_refused(&self) -> bool {
        let failed = self.failed.as_ref();
        failed.is_some_and(|error| error.failure() == shared::aws::Failure::Refused)
    }

    /// Why a command ends that cannot go on without what is not known.
    pub fn to_failure(&self, what: &str) -> Failure {
        match self.failed.clone() {
            Some(error) => Failure::Stopped {
                what: what.to_owned(),
                error,
            },
            None => Failure::Wrong(format!("{what} ({})", self.error)),
        }
    }
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
        use shared::aws::Failure::{Unavailable, Unexplained, Unreachable};
        Self {
            no_answer: matches!(error.failure(), Unreachable | Unavailable | Unexplained),
            error: error.to_string(),
            failed: Some(error),
        }
    }
}

impl From<JsonError> for Unknown {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Aws(error) => error.into(),
            JsonError::Malformed { .. } => Self {
                error: error.to_string(),
                no_answer: false,
                failed: None,
            },
        }
    }
}

/// A pool that answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pool {
    /// Number of users, as Cognito estimates it.
    pub users: i32,
    /// The pool's ARN.
    #[serde(skip)]
    pub arn: String,
    /// The function that it runs after a confirmation, if any.
    pub post_confirmation: Option<String>,
}

/// The objects below a prefix of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Records {
    /// How many there are.
    pub count: u64,
    /// When the oldest was written.
    pub oldest: Option<Timestamp>,
    /// When the newest was written.
    pub newest: Option<Timestamp>,
}

impl Records {
    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }
}

/// What the secondary pool's trigger has recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Journal {
    /// When the newest record of any kind was written: somebody has used the secondary pool, or was brought home.
    pub last_use: Option<Timestamp>,
    /// All sign-ups.
    pub sign_ups: Records,
    /// Those recorded since the last snapshot began.
    pub waiting: Records,
}

impl Journal {
    async fn list(bucket: &Bucket, last_snapshot: Timestamp) -> Result<Self, AwsError> {
        let mut journal = Self {
            last_use: journal::newest_record(bucket).await?,
            ..Self::default()
        };
        let mut listing = bucket.list(SIGN_UPS_PREFIX);
        while let Some(page) = listing.next_page().await? {
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
pub struct Snapshot {
    /// Its name.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Number of users, from its manifest; `None` if the bucket's lifecycle has deleted the manifest.
    pub users: Option<u64>,
    /// Number of newcomers, from the manifest of the latest snapshot of either scope.
    pub newcomers: Option<u64>,
    /// When the latest snapshot of either scope began: newcomers who signed up before are in a file.
    pub newcomers_at: Timestamp,
    /// Number of rejected users by reason, from its manifest.
    pub rejected: BTreeMap<String, u64>,
}

/// The last run of reconcile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconcile {
    /// Its name.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When the last run began that was complete; `None` if none ever was.
    pub last_complete: Option<Timestamp>,
    /// What it found; `None` if the bucket's lifecycle has deleted its report.
    pub findings: Option<ReconcileFindings>,
}

/// What a run of reconcile found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReconcileFindings {
    /// How it ended.
    pub status: ::reconcile::request::Status,
    /// Number of people whom it left to a fill, and who have no user in the secondary pool.
    pub missing: u64,
    /// Number of writes that failed.
    pub failed: u64,
    /// Number of people whom an operator should look at.
    pub reported: u64,
    /// Number of writes that the mass change guard holds back.
    pub held: u64,
    /// Number of people who could not get in at a failover.
    pub no_way_in: u64,
}

/// Everything that was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// When it was read.
    pub at: Timestamp,
    /// Id of the primary pool.
    pub primary_pool: String,
    /// Id of the secondary pool.
    pub secondary_pool: String,
    /// The primary pool.
    pub primary: Asked<Pool>,
    /// Whether the primary region serves the people of the primary pool, as far as its public keys tell.
    pub primary_keys: Reach,
    /// The secondary pool.
    pub secondary: Asked<Pool>,
    /// Whether the secondary region serves the people of the secondary pool.
    pub secondary_keys: Reach,
    /// The outbox; `None` if its bucket was not given.
    pub outbox: Option<Asked<Records>>,
    /// The records in conflicts/; `None` if the bucket of the outbox was not given.
    pub conflicts: Option<Asked<Records>>,
    /// The journal.
    pub journal: Asked<Journal>,
    /// The last complete snapshot; `Known(None)` if there is none.
    pub snapshot: Asked<Option<Snapshot>>,
    /// The last run of reconcile; `Known(None)` before the first one.
    pub reconcile: Asked<Option<Reconcile>>,
    /// The fence of the secondary pool.
    pub fence: Asked<Fence>,
    /// Name of the bucket of journal and snapshots.
    pub bucket: String,
    /// The region of that bucket, if it was given.
    pub bucket_region: Option<String>,
    /// Name of the bucket of the outbox, if it was given.
    pub outbox_bucket: Option<String>,
}

impl Facts {
    /// Whether the primary region seems to be lost: it does not serve the people of the pool. A pool that rejects a request is not lost,
    /// and neither is one whose administration alone does not answer.
    pub fn is_primary_lost(&self) -> bool {
        matches!(self.primary_keys, Reach::Unreachable(_))
    }

    /// Whether a failover is under way: the primary region is lost, and the public can reach the secondary pool.
    pub fn is_failover(&self) -> bool {
        self.is_primary_lost() && self.is_secondary_open()
    }

    /// Whether the public can reach the secondary pool.
    pub fn is_secondary_open(&self) -> bool {
        matches!(
            self.fence,
            Asked::Known(Fence::Open | Fence::NoSignUps | Fence::None)
        )
    }
}

/// State of the fence of the secondary pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// The hosted pages and the public operations are blocked.
    Closed,
    /// Closed, but a rule lets the public through.
    PartlyOpen,
    /// Closed, but a rule group may let the public through.
    Unjudged,
    /// Everything gets through but signing up and confirming it.
    NoSignUps,
    /// Everything gets through.
    Open,
    /// The fence of an earlier version of twinpool.
    Outdated,
    /// The pool has a web ACL that is not twinpool's.
    Foreign,
    /// The pool has no web ACL.
    None,
}

/// Reads everything at the same time. A call that fails leaves an [`Asked::Unknown`].
pub async fn read(sdk: &Sdk, targets: Targets) -> Facts {
    let Targets {
        primary,
        secondary,
        snapshots: named,
        outbox,
    } = targets;
    let at = Timestamp::now();
    let snapshots = named.open(sdk, secondary.region(), QUICK_RETRY);
    let in_outbox = async |prefix: &'static str| {
        let bucket = Bucket::new(sdk.s3_in(primary.region(), QUICK_RETRY), outbox.as_deref()?);
        Some(Asked::of(records(&bucket, prefix).await))
    };
    let secondary_and_fence = async {
        let pool = pool(sdk.cognito(&secondary, QUICK_RETRY), &secondary).await;
        let fence = match &pool {
            Asked::Known(Pool { arn, .. }) => {
                let waf = fence::waf_client(sdk, &secondary, QUICK_RETRY);
                Asked::of(Gate::read(&waf, arn).await.map(|gate| Fence::of(&gate)))
            }
            Asked::Unknown(why) => Asked::Unknown(why.clone()),
        };
        (pool, fence)
    };
    let snapshot_and_journal = async {
        let snapshot = last_snapshot(&snapshots).await;
        let since = match &snapshot {
            Asked::Known(Some(last)) => last.newcomers_at,
            _ => Timestamp::MIN,
        };
        (snapshot, Asked::of(Journal::list(&snapshots, since).await))
    };
    let (
        primary_answer,
        primary_keys,
        secondary_keys,
        (secondary_answer, fence),
        outbox_answer,
        conflicts,
        (snapshot, journal),
        reconcile,
    ) = tokio::join!(
        pool(sdk.cognito(&primary, QUICK_RETRY), &primary),
        public_keys::ask(sdk, &primary, QUICK_RETRY),
        public_keys::ask(sdk, &secondary, QUICK_RETRY),
        secondary_and_fence,
        in_outbox(PENDING_PREFIX),
        in_outbox(CONFLICTS_PREFIX),
        snapshot_and_journal,
        last_reconcile(&snapshots),
    );
    Facts {
        at,
        primary: primary_answer,
        primary_keys,
        secondary: secondary_answer,
        secondary_keys,
        outbox: outbox_answer,
        conflicts,
        journal,
        snapshot,
        reconcile,
        fence,
        primary_pool: primary.to_string(),
        secondary_pool: secondary.to_string(),
        bucket: named.name,
        bucket_region: named.region,
        outbox_bucket: outbox,
    }
}

async fn pool(client: Client, pool: &PoolId) -> Asked<Pool> {
    let answer = client.describe_user_pool().user_pool_id(pool.as_str());
    let answer = answer.send().await;
    let answer = answer.map_err(|error| AwsError::from_sdk("DescribeUserPool", pool, &error));
    Asked::of(answer.and_then(|answer| {
        let described = answer.user_pool;
        let incomplete = |missing| AwsError::incomplete_response("DescribeUserPool", pool, missing);
        let described = described.ok_or_else(|| incomplete("a pool"))?;
        Ok(Pool {
            users: described.estimated_number_of_users,
            post_confirmation: described
                .lambda_config()
                .and_then(|triggers| triggers.post_confirmation())
                .map(str::to_owned),
            arn: described.arn.ok_or_else(|| incomplete("an ARN"))?,
        })
    }))
}

async fn records(bucket: &Bucket, prefix: &str) -> Result<Records, AwsError> {
    let mut records = Records::default();
    let mut listing = bucket.list(prefix);
    while let Some(page) = listing.next_page().await? {
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
            .read_manifest(bucket)
            .await?
            .map(|manifest| manifest.users);
        let of_newcomers = Latest::read_of(bucket, Scope::Newcomers).await?;
        let of_newcomers = of_newcomers.map(|(of_newcomers, _)| of_newcomers);
        let newer = of_newcomers.filter(|other| other.snapshot > latest.snapshot);
        let newcomers = match &newer {
            Some(newer) => newer
                .read_manifest(bucket)
                .await?
                .map(|it| it.users.newcomers),
            None => users.as_ref().map(|users| users.newcomers),
        };
        Ok(Some(Snapshot {
            id: latest.snapshot.to_string(),
            started_at: latest.started_at,
            users: users.as_ref().map(|users| users.listed),
            newcomers,
            newcomers_at: newer.map_or(latest.started_at, |newer| newer.started_at),
            rejected: users.map(|users| users.rejected).unwrap_or_default(),
        }))
    };
    Asked::of::<JsonError>(read.await)
}

async fn last_reconcile(bucket: &Bucket) -> Asked<Option<Reconcile>> {
    let read = async {
        let Some((latest, _)) = ::reconcile::report::Latest::read(bucket).await? else {
            return Ok(None);
        };
        let report = latest.read_report(bucket).await?;
        Ok(Some(Reconcile {
            id: latest.reconcile.to_string(),
            started_at: latest.started_at,
            last_complete: latest.last_complete(report.as_ref()),
            findings: report.map(|report| ReconcileFindings {
                status: report.status,
                missing: report.missing,
                failed: report.failed,
                reported: report.counts.reported,
                held: report.held.values().sum(),
                no_way_in: report.counts.no_way_in,
            }),
        }))
    };
    Asked::of::<JsonError>(read.await)
}

impl Fence {
    fn of(gate: &Gate) -> Self {
        match gate {
            Gate::Fence(fence) if fence.state() == fence::State::Open => Self::Open,
            Gate::Fence(fence) if fence.state() == fence::State::NoSignUps => Self::NoSignUps,
            Gate::Fence(fence) if !fence.openings().is_empty() => Self::PartlyOpen,
            Gate::Fence(fence) if !fence.unjudged().is_empty() => Self::Unjudged,
            Gate::Fence(_) => Self::Closed,
            Gate::Foreign(acl) if acl.is_outdated => Self::Outdated,
            Gate::Foreign(_) => Self::Foreign,
            Gate::None => Self::None,
        }
    }
}
