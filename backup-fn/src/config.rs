//! backup-fn's variables. A mistake is kept as a value: the trigger must answer all the same.

use jiff::SignedDuration;
use shared::aws::{Patience, Sdk};
use shared::bucket::Bucket;
use shared::config::{CustomAttribute, Environment};
use shared::pool::PoolId;
use shared::snapshot::worker::{self, LIST_USERS_RPS, SHRINK_GUARD_PERCENT};

use crate::BackupFn;
use crate::trigger::Trigger;
use crate::worker::Worker;

/// Reads the variables of both roles.
pub async fn read(environment: &Environment) -> BackupFn {
    let sdk = Sdk::of(environment);
    let bucket = |patience| {
        let name = environment.required(
            "S3_BUCKET_NAME",
            "the snapshot bucket in the function's region",
        )?;
        Ok(Bucket::new(sdk.clone()?.s3(patience), name))
    };
    let trigger = Trigger {
        bucket: bucket(Patience::JOURNAL),
    };
    let worker = (|| {
        let pool: PoolId = environment.required_as(
            "USER_POOL_ID",
            "a user pool id such as ap-northeast-3_AbCdEf123",
        )?;
        let snapshots = worker::Worker {
            bucket: bucket(Patience::WORKER)?,
            client: sdk.clone()?.cognito(&pool, Patience::ONCE),
            pool,
            rate: environment
                .or(
                    "LIST_USERS_RPS",
                    LIST_USERS_RPS,
                    "whole calls a second, e.g. 20",
                )?
                .get()
                .into(),
            shrink_guard: environment
                .or::<Percent>(
                    "SHRINK_GUARD_PERCENT",
                    Percent(SHRINK_GUARD_PERCENT),
                    "a percentage, 0 to 100",
                )?
                .0
                .into(),
            origin_sub: environment
                .optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
        };
        Ok(Worker {
            snapshots,
            min_interval: SignedDuration::from_secs(
                environment
                    .or::<u32>("SNAPSHOT_MIN_INTERVAL_S", 60, "whole seconds, e.g. 60")?
                    .into(),
            ),
        })
    })();
    BackupFn { trigger, worker }
}

struct Percent(u8);

impl std::str::FromStr for Percent {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let percent = text.parse().map_err(|_| ())?;
        (percent <= 100).then_some(Self(percent)).ok_or(())
    }
}
