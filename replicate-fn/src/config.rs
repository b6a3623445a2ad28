//! replicate-fn's variables. A mistake is kept as a value: the trigger must answer all the same.

use std::sync::Arc;
use std::time::Duration;

use shared::aws::{Patience, Sdk};
use shared::bucket::Bucket;
use shared::config::{ConfigError, CustomAttribute, Environment};
use shared::pool::PoolId;

use crate::ReplicateFn;
use crate::outbox::Worker;
use crate::secondary::Secondary;
use crate::trigger::{Replicator, Trigger};

const A_POOL: &str = "a user pool id such as ap-northeast-3_AbCdEf123";

/// How people are replicated, for both roles.
#[derive(Clone)]
struct Replication {
    target: PoolId,
    activate: bool,
    origin_sub: Option<CustomAttribute>,
    budget: Duration,
}

/// Reads the variables of both roles.
pub async fn read(environment: &Environment) -> ReplicateFn {
    let sdk = Sdk::of(environment);
    let replication = Replication::of(environment);
    let bucket = |patience| {
        let sdk = sdk.clone()?;
        let name = environment.optional("OUTBOX_BUCKET");
        Ok(name.map(|name| Bucket::new(sdk.s3(patience), name)))
    };
    let replicator = |patience| {
        let (sdk, replication) = (sdk.clone()?, replication.clone()?);
        let client = sdk.cognito(&replication.target, patience);
        Ok(Replicator {
            secondary: Secondary::new(client, replication.target, replication.activate),
            origin_sub: replication.origin_sub,
            budget: replication.budget,
        })
    };
    let worker = (|| {
        let source = environment.required_as("SOURCE_USER_POOL_ID", A_POOL)?;
        Ok(Worker {
            primary: sdk.clone()?.cognito(&source, Patience::ONCE),
            source,
            replicator: replicator(Patience::WORKER)?,
            outbox: bucket(Patience::WORKER)?.ok_or(ConfigError::Missing {
                name: "OUTBOX_BUCKET",
                expected: "the outbox bucket in the function's region",
            })?,
        })
    })();
    let trigger = Trigger {
        replicator: replicator(Patience::TRIGGER).map(Arc::new),
        outbox: bucket(Patience::LAST_SECOND),
    };
    ReplicateFn { trigger, worker }
}

impl Replication {
    fn of(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            target: environment.required_as("TARGET_USER_POOL_ID", A_POOL)?,
            activate: environment.or("ACTIVATE_REPLICAS", true, "true or false")?,
            origin_sub: environment
                .optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
            budget: Duration::from_millis(environment.or(
                "REPLICATION_BUDGET_MS",
                3000,
                "whole milliseconds, e.g. 3000",
            )?),
        })
    }
}
