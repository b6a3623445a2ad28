//! backup-fn's environment variables. An error in them is kept as a value, because the trigger must answer nevertheless.

use jiff::SignedDuration;
use shared::aws::{RetryPolicy, Sdk};
use shared::environment::{ConfigError, CustomAttribute, Environment};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;
use shared::snapshot::purpose::Purpose;
use shared::snapshot::worker::{
    DEFAULT_LIST_USERS_PER_SECOND, DEFAULT_LOOKUPS_PER_SECOND, DEFAULT_SHRINK_GUARD_PERCENT,
    SnapshotWorker,
};

use crate::trigger::Trigger;
use crate::worker::Worker;

/// Reads the variables of both roles.
pub fn read(environment: &Environment) -> (Trigger, Result<Worker, ConfigError>) {
    let sdk = Sdk::from_environment(environment);
    let bucket = |policy| {
        let name = environment.required(
            "S3_BUCKET_NAME",
            "the snapshot bucket in the function's region",
        )?;
        Ok(Bucket::new(sdk.clone()?.s3(policy), name))
    };
    let trigger = Trigger {
        bucket: bucket(RetryPolicy::JOURNAL_WRITE),
    };
    let worker = (|| {
        let pool: PoolId = environment.required_as(
            "USER_POOL_ID",
            "a user pool id such as ap-northeast-3_AbCdEf123",
        )?;
        let snapshots = SnapshotWorker {
            bucket: bucket(RetryPolicy::WORKER)?,
            client: sdk.clone()?.cognito(&pool, RetryPolicy::NO_RETRY),
            pool,
            calls_per_second: environment
                .or(
                    "LIST_USERS_RPS",
                    DEFAULT_LIST_USERS_PER_SECOND,
                    "whole calls a second, e.g. 20",
                )?
                .get()
                .into(),
            lookups_per_second: environment
                .or(
                    "LOOKUPS_RPS",
                    DEFAULT_LOOKUPS_PER_SECOND,
                    "whole calls a second, e.g. 40",
                )?
                .get()
                .into(),
            shrink_guard_percent: environment
                .or::<Percent>(
                    "SHRINK_GUARD_PERCENT",
                    Percent(DEFAULT_SHRINK_GUARD_PERCENT),
                    "a percentage, 0 to 100",
                )?
                .0
                .into(),
            origin_sub: environment
                .optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
            purpose: Purpose::Backup,
        };
        Ok(Worker {
            snapshots,
            min_interval: SignedDuration::from_secs(
                environment
                    .or::<u32>("SNAPSHOT_MIN_INTERVAL_S", 60, "whole seconds, e.g. 60")?
                    .into(),
            ),
            pool_interval: SignedDuration::from_secs(
                environment
                    .or::<u32>("SNAPSHOT_POOL_INTERVAL_S", 3600, "whole seconds, e.g. 3600")?
                    .into(),
            ),
            trigger_arn: environment.optional("TRIGGER_ARN").map(str::to_owned),
            primary: environment.optional_as(
                "PRIMARY_USER_POOL_ID",
                "the id of the primary pool, such as ap-northeast-1_AbCdEf123",
            )?,
            sdk: sdk.clone()?,
        })
    })();
    (trigger, worker)
}

struct Percent(u8);

impl std::str::FromStr for Percent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let percent = text.parse().map_err(|_| ())?;
        (percent <= 100).then_some(Self(percent)).ok_or(())
    }
}
