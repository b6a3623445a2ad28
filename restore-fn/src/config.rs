//! restore-fn's variables.

use shared::aws::{Patience, Sdk};
use shared::bucket::Bucket;
use shared::config::{ConfigError, Environment};
use shared::pool::PoolId;
use shared::restore::run::RestoreConfig;

/// Reads the variables.
///
/// # Errors
///
/// One is missing or makes no sense, named.
pub fn read(environment: &Environment) -> Result<RestoreConfig, ConfigError> {
    let sdk = Sdk::of(environment)?;
    let pool: PoolId = environment.required_as(
        "USER_POOL_ID",
        "the user pool to restore into, such as ap-northeast-1_AbCdEf123",
    )?;
    let bucket = environment.required("S3_BUCKET_NAME", "the snapshot bucket")?;
    let region = environment.required("S3_BUCKET_REGION", "the snapshot bucket's region")?;
    Ok(RestoreConfig {
        bucket: Bucket::new(sdk.s3_in(region, Patience::WORKER), bucket),
        sdk,
        pool,
        role: environment.required_as(
            "IMPORT_LOGS_ROLE_ARN",
            "the ARN of the role that Cognito writes the import log with",
        )?,
    })
}
