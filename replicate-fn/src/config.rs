//! replicate-fn's environment variables. An error in them is kept as a value, because the trigger must answer nevertheless.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reconcile::request::{
    DEFAULT_GROUPS_INTERVAL, DEFAULT_INTERVAL, DEFAULT_LISTS_PER_SECOND, DEFAULT_WITHHOLD_DAYS,
    DEFAULT_WRITES_PER_SECOND, ReconcileConfig,
};
use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::pool::Pool;
use shared::environment::{ConfigError, CustomAttribute, Environment};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

use crate::outbox_worker::OutboxWorker;
use crate::replicator::Replicator;
use crate::trigger::Trigger;
use replication::secondary::{Secondary, Settings};

/// Updates of the outbox's worker a second: what reconcile's 10 leave of the quota (DG:quotas, UserUpdate: 25, not adjustable).
const UPDATES_PER_SECOND: u32 = 15;

const EXPECTED_POOL_ID: &str = "a user pool id such as ap-northeast-3_AbCdEf123";

/// How people are replicated, for both roles.
#[derive(Clone)]
struct Replication {
    target: PoolId,
    activate: bool,
    origin: Option<CustomAttribute>,
    budget: Duration,
}

/// What both roles are set up with.
type Configured = (
    Trigger,
    Result<OutboxWorker, ConfigError>,
    Result<ReconcileConfig, ConfigError>,
);

/// Reads the environment variables of both roles.
pub fn read(environment: &Environment) -> Configured {
    let sdk = Sdk::from_environment(environment);
    let replication = Replication::of(environment);
    let bucket = |policy| {
        let sdk = sdk.clone()?;
        let name = environment.optional("OUTBOX_BUCKET");
        Ok(name.map(|name| Bucket::new(sdk.s3(policy), name)))
    };
    let replicator = |policy, one_by_one| {
        let (sdk, replication) = (sdk.clone()?, replication.clone()?);
        let client = sdk.cognito(&replication.target, policy);
        Ok(Replicator {
            secondary: Secondary::new(
                Pool::unlimited(client, replication.target)
                    .with_updates_per_second(UPDATES_PER_SECOND),
                Settings {
                    activate: replication.activate,
                    origin: replication.origin,
                    one_by_one,
                },
            ),
            budget: replication.budget,
        })
    };
    let worker = (|| {
        let source = environment.required_as("SOURCE_USER_POOL_ID", EXPECTED_POOL_ID)?;
        Ok(OutboxWorker {
            primary: sdk.clone()?.cognito(&source, RetryPolicy::NO_RETRY),
            source,
            trigger_arn: environment.optional("TRIGGER_ARN").map(str::to_owned),
            replicator: replicator(RetryPolicy::WORKER, true)?,
            snapshots: snapshot_bucket(environment, &sdk.clone()?)?,
            outbox: bucket(RetryPolicy::WORKER)?.ok_or(ConfigError::Missing {
                name: "OUTBOX_BUCKET",
                expected: "the outbox bucket in the function's region",
            })?,
        })
    })();
    let reconcile = (|| {
        let (sdk, replication) = (sdk.clone()?, replication.clone()?);
        let bucket = snapshot_bucket(environment, &sdk)?;
        let seconds = |name, default: SignedDuration| {
            let seconds: Option<u32> = environment.optional_as(name, "whole seconds, e.g. 3600")?;
            Ok(seconds.map_or(default, |seconds| SignedDuration::from_secs(seconds.into())))
        };
        let per_second = |name, default: NonZeroU16| {
            let rate = environment.or(name, default, "calls a second, e.g. 10");
            rate.map(|rate| u32::from(rate.get()))
        };
        Ok(ReconcileConfig {
            primary: environment.required_as("SOURCE_USER_POOL_ID", EXPECTED_POOL_ID)?,
            secondary: replication.target,
            bucket: bucket.ok_or(ConfigError::Missing {
                name: "S3_BUCKET_NAME",
                expected: "the snapshot bucket in the secondary region",
            })?,
            origin: replication.origin,
            trigger_arn: environment.optional("TRIGGER_ARN").map(str::to_owned),
            activate: replication.activate,
            lists_per_second: per_second("RECONCILE_LIST_RPS", DEFAULT_LISTS_PER_SECOND)?,
            writes_per_second: per_second("RECONCILE_WRITES_RPS", DEFAULT_WRITES_PER_SECOND)?,
            interval: seconds("RECONCILE_EVERY_S", DEFAULT_INTERVAL)?,
            groups_interval: seconds("GROUPS_EVERY_S", DEFAULT_GROUPS_INTERVAL)?,
            withhold_days: environment.or(
                "WITHHOLD_DAYS",
                DEFAULT_WITHHOLD_DAYS,
                "days, e.g. 7",
            )?,
            sdk,
        })
    })();
    let trigger = Trigger {
        replicator: replicator(RetryPolicy::TRIGGER, false).map(Arc::new),
        outbox: bucket(RetryPolicy::OUTBOX_WRITE),
    };
    (trigger, worker, reconcile)
}

/// The snapshot bucket, in which withheld replicas are kept. Without it nobody is moved or withheld.
fn snapshot_bucket(environment: &Environment, sdk: &Sdk) -> Result<Option<Bucket>, ConfigError> {
    let Some(name) = environment.optional("S3_BUCKET_NAME") else {
        return Ok(None);
    };
    let region = environment.required("S3_BUCKET_REGION", "the snapshot bucket's region")?;
    Ok(Some(Bucket::new(
        sdk.s3_in(region, RetryPolicy::WORKER),
        name,
    )))
}

impl Replication {
    fn of(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            target: environment.required_as("TARGET_USER_POOL_ID", EXPECTED_POOL_ID)?,
            activate: environment.flag_or("ACTIVATE_REPLICAS", true)?,
            origin: environment.optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
            budget: Duration::from_millis(environment.or(
                "REPLICATION_BUDGET_MS",
                3000,
                "whole milliseconds, e.g. 3000",
            )?),
        })
    }
}
