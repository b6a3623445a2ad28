//! replicate-fn's environment variables. An error in them is kept as a value, because the trigger must answer nevertheless.

use std::sync::Arc;
use std::time::Duration;

use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::pool::Pool;
use shared::environment::{ConfigError, CustomAttribute, Environment};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

use crate::outbox_worker::OutboxWorker;
use crate::replicator::Replicator;
use crate::trigger::Trigger;
use replication::secondary::{Secondary, Settings};

const EXPECTED_POOL_ID: &str = "a user pool id such as ap-northeast-3_AbCdEf123";

/// How people are replicated, for both roles.
#[derive(Clone)]
struct Replication {
    target: PoolId,
    activate: bool,
    origin: Option<CustomAttribute>,
    budget: Duration,
}

/// Reads the environment variables of both roles.
pub fn read(environment: &Environment) -> (Trigger, Result<OutboxWorker, ConfigError>) {
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
                Pool::unlimited(client, replication.target),
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
    let trigger = Trigger {
        replicator: replicator(RetryPolicy::TRIGGER, false).map(Arc::new),
        outbox: bucket(RetryPolicy::OUTBOX_WRITE),
    };
    (trigger, worker)
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
            activate: environment.or("ACTIVATE_REPLICAS", true, "true or false")?,
            origin: environment.optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
            budget: Duration::from_millis(environment.or(
                "REPLICATION_BUDGET_MS",
                3000,
                "whole milliseconds, e.g. 3000",
            )?),
        })
    }
}
