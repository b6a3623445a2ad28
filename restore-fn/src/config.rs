//! restore-fn's environment variables.

use restore::run::RestoreConfig;
use shared::aws::{RetryPolicy, Sdk};
use shared::environment::{ConfigError, CustomAttribute, Environment};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

/// Reads the variables.
///
/// # Errors
///
/// The variable that is missing or malformed.
pub fn read(environment: &Environment) -> Result<RestoreConfig, ConfigError> {
    let sdk = Sdk::from_environment(environment)?;
    let pool: PoolId = environment.required_as(
        "USER_POOL_ID",
        "the user pool to restore into, such as ap-northeast-1_AbCdEf123",
    )?;
    let bucket = environment.required("S3_BUCKET_NAME", "the snapshot bucket")?;
    let region = environment.required("S3_BUCKET_REGION", "the snapshot bucket's region")?;
    Ok(RestoreConfig {
        bucket: Bucket::new(sdk.s3_in(region, RetryPolicy::WORKER), bucket),
        sdk,
        pool,
        role: environment.required_as(
            "IMPORT_LOGS_ROLE_ARN",
            "the ARN of the role that Cognito writes the import log with",
        )?,
        origin: environment.optional_as("ORIGIN_SUB_ATTRIBUTE", CustomAttribute::EXPECTED)?,
        same_pool: environment.flag_or("SAME_POOL", false)?,
        fill: None,
    })
}
