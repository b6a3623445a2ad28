//! Phase 7: the sign-up records of restored users.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::RestoreError;
use crate::run::config::Step;
use crate::run::prepare::Prepared;
use shared::cognito::pool::PoolError;
use shared::journal::archive_sign_up;
use shared::snapshot::lease::subtract_archived_sign_ups;

/// Number of records to move concurrently.
const CONCURRENT_MOVES: usize = 16;

/// A sign-up record whose person is home.
pub(super) struct RecordToArchive {
    /// The record's name: a `sub`, or a username if the event had no `sub`.
    pub(super) record: String,
    /// The person's `sub` in the target pool; none in a dry run that would import them.
    pub(super) target_sub: Option<String>,
}

/// Moves sign-up records to `journal/restored/`, with the `sub` that each person has in the target pool, and returns how many.
///
/// # Errors
///
/// The deadline has come, or a record cannot be moved.
pub(super) async fn archive_records(
    prepared: &Prepared<'_>,
    records: &[RecordToArchive],
) -> Result<u64, RestoreError> {
    let bucket = &prepared.config.bucket;
    let mut archived = 0;
    let mut moves = stream::iter(records)
        .map(async |RecordToArchive { record, target_sub }| {
            if Instant::now() >= prepared.run.deadline {
                let error = PoolError::OutOfTime(prepared.config.pool.clone());
                return Err(RestoreError::from(error));
            }
            Ok(archive_sign_up(bucket, record, target_sub.as_deref()).await?)
        })
        .buffer_unordered(CONCURRENT_MOVES);
    while let Some(was_archived) = moves.try_next().await? {
        archived += u64::from(was_archived);
        (prepared.run.on_progress)(Step::ArchivingRecords(archived));
    }
    if archived > 0 {
        subtract_archived_sign_ups(bucket, archived).await?;
    }
    Ok(archived)
}
