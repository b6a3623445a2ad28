//! Keeps a confirmation in S3: the last place that can keep a person whom a trigger was called for.

use std::time::Instant;

use crate::aws::error::AwsError;
use crate::confirmation::Confirmation;
use crate::lambda::deadline::{Interrupted, run_until};
use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::to_json;

/// Why a confirmation is not in S3.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The event has neither a `sub` nor a username.
    #[error("the event names nobody")]
    NamesNobody,
    /// S3 refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// S3 did not answer before the deadline.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Stores a confirmation below a prefix. A record of the same person that is there already stays: a repeated event changes nothing.
///
/// # Errors
///
/// The confirmation names nobody, S3 refused, or the deadline passed.
pub async fn store_confirmation(
    bucket: &Bucket,
    prefix: &str,
    confirmation: &Confirmation,
    deadline: Instant,
) -> Result<(), NotStored> {
    let name = confirmation.object_name().ok_or(NotStored::NamesNobody)?;
    let (bucket, key) = (bucket.clone(), format!("{prefix}{name}"));
    let body = to_json(confirmation);
    let put = async move { bucket.put_if(&key, body, Condition::Absent).await };
    run_until(deadline, put).await??;
    Ok(())
}
