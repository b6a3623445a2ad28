//! Phase 7: the sign-up records of restored users.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::bucket::Bucket;
use crate::lease;
use crate::pool::PoolError;
use crate::record::{RESTORED, SIGN_UPS, object_name};
use crate::restore::error::RestoreError;
use crate::restore::run::config::Step;
use crate::restore::run::prepare::Prepared;

/// Number of records to move concurrently.
const CONCURRENT_MOVES: usize = 16;

/// Moves sign-up records to `journal/restored/`, and returns how many.
///
/// # Errors
///
/// The deadline has come, or a record cannot be moved.
pub(super) async fn archive_records(
    prepared: &Prepared<'_>,
    records: &[String],
) -> Result<u64, RestoreError> {
    let bucket = &prepared.config.bucket;
    let mut archived = 0;
    let mut moves = stream::iter(records)
        .map(async |record| {
            if Instant::now() >= prepared.run.deadline {
                return Err(PoolError::OutOfTime(prepared.config.pool.clone()).into());
            }
            archive_record(bucket, record).await
        })
        .buffer_unordered(CONCURRENT_MOVES);
    while let Some(was_archived) = moves.try_next().await? {
        archived += u64::from(was_archived);
        (prepared.run.on_progress)(Step::ArchivingRecords(archived));
    }
    if archived > 0 {
        lease::forget_sign_ups(bucket, archived).await?;
    }
    Ok(archived)
}

/// Moves one record, unless it is gone. The original is deleted only after the copy is stored, and only if it has not changed.
async fn archive_record(bucket: &Bucket, record: &str) -> Result<bool, RestoreError> {
    let name = object_name(record);
    let key = format!("{SIGN_UPS}{name}");
    let Some(object) = bucket.get(&key).await? else {
        return Ok(false);
    };
    bucket
        .put(&format!("{RESTORED}{name}"), object.body)
        .await?;
    bucket.delete_if(&key, &object.etag).await?;
    Ok(true)
}
