//! Keeps a confirmation in S3. If this write fails too, the confirmation is lost.

use std::time::{Duration, Instant};

use crate::aws::error::AwsError;
use crate::confirmation::Confirmation;
use crate::lambda::deadline::{Interrupted, run_until};
use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::to_json;

/// The first and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));

/// Why a confirmation is not in S3.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The event has neither a `sub` nor a username.
    #[error("the event names nobody")]
    NamesNobody,
    /// S3 refused until the deadline; this is the last refusal.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// S3 did not answer before the deadline.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Stores a confirmation below a prefix. A record of the same person that is there already stays: a repeated event changes nothing.
///
/// Every refusal is tried again until the deadline, also one that is final elsewhere: nothing is left that could keep the person,
/// and some refusals do not last. The first request of a function that was frozen can be refused as expired (facts N11.6).
///
/// # Errors
///
/// The confirmation names nobody, or S3 did not accept it before the deadline.
pub async fn store_confirmation(
    bucket: &Bucket,
    prefix: &str,
    confirmation: &Confirmation,
    deadline: Instant,
) -> Result<(), NotStored> {
    let name = confirmation.object_name().ok_or(NotStored::NamesNobody)?;
    let key = format!("{prefix}{name}");
    let body = to_json(confirmation);
    let (mut pause, max_pause) = PAUSE;
    let mut last_refusal = None;
    loop {
        let (bucket, key, body) = (bucket.clone(), key.clone(), body.clone());
        let put = async move { bucket.put_if(&key, body, Condition::Absent).await };
        match run_until(deadline, put).await {
            // None: the record is there already. An earlier attempt of ours may have written it, and its answer was lost.
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(refusal)) => {
                tracing::warn!(error = %refusal, "a record is not stored yet: trying again");
                last_refusal = Some(refusal);
            }
            Err(interrupted) => {
                return Err(last_refusal.map_or(interrupted.into(), NotStored::from));
            }
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + pause).into()).await;
        pause = (pause * 2).min(max_pause);
    }
}
