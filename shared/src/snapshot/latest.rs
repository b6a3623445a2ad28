//! The pointers to the latest complete snapshots: `latest.json` to that of the whole pool, `latest-newcomers.json`, of the same form, to
//! the latest of either scope. Both only move forward.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::JsonError;
use crate::snapshot::layout::manifest_key;
use crate::snapshot::manifest::Manifest;
use crate::snapshot::scope::Scope;

/// A pool with fewer users than this is not guarded against shrinking.
const SHRINK_GUARD_MIN_USERS: u64 = 100;

/// The pause after which the pointer is read again when somebody else has moved it.
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);

/// A pointer to the latest complete snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The version of this format: 1.
    pub version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// The key of its manifest.
    pub manifest: String,
    /// When it was started.
    pub started_at: Timestamp,
}

impl Latest {
    /// Reads the pointer to the latest snapshot of the whole pool, with its entity tag; none before the first snapshot.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read(bucket: &Bucket) -> Result<Option<(Self, String)>, JsonError> {
        Self::read_of(bucket, Scope::Pool).await
    }

    /// Reads the pointer to the latest snapshot of a scope, with its entity tag; none before the first one. That of the newcomers may name
    /// a snapshot of the whole pool. Where only an earlier version of twinpool has taken snapshots, it is missing.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read_of(
        bucket: &Bucket,
        scope: Scope,
    ) -> Result<Option<(Self, String)>, JsonError> {
        bucket.get_json(scope.latest_key()).await
    }

    /// Reads the manifest it points to; none when the bucket's lifecycle has removed it.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read_manifest(&self, bucket: &Bucket) -> Result<Option<Manifest>, JsonError> {
        let manifest = bucket.get_json(&self.manifest).await?;
        Ok(manifest.map(|(manifest, _)| manifest))
    }
}

/// The shrink guard: whether a snapshot with much fewer users than the latest one may become the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShrinkGuard {
    /// Not if it lists fewer users than this percentage of the latest one's.
    MinPercent(u64),
    /// An operator has accepted that the pool has shrunk.
    Accepted,
}

/// What became of a complete snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the latest.
    Latest,
    /// An operator must look first, because it lists so few users, or nobody can say whether it does.
    Shrunk {
        /// How many users the latest snapshot has; none when its manifest is missing.
        before: Option<u64>,
    },
    /// This one is the latest: its name sorts after the name of the snapshot that was to be published.
    Outdated {
        /// The latest one.
        latest: Id,
    },
}

/// Makes a snapshot the latest of its scope, unless the shrink guard holds it back. A snapshot of the whole pool becomes the latest of the
/// newcomers too, if no newer one is. Never moves a pointer backwards.
///
/// # Errors
///
/// S3 failed, or an object cannot be read.
pub async fn publish(
    bucket: &Bucket,
    manifest: &Manifest,
    guard: ShrinkGuard,
) -> Result<Published, JsonError> {
    if manifest.scope == Scope::Newcomers {
        return move_pointer(bucket, Scope::Newcomers, manifest, async |_| Ok(None)).await;
    }
    // The guard compares snapshots of the whole pool only: `latest.json` names no other.
    let look = async |latest: &Latest| {
        let ShrinkGuard::MinPercent(percent) = guard else {
            return Ok(None);
        };
        let before = latest.read_manifest(bucket).await?;
        let before = before.map(|manifest| manifest.users.listed);
        let has_shrunk = has_shrunk(before, manifest.users.listed, percent);
        Ok(has_shrunk.then_some(Published::Shrunk { before }))
    };
    let published = move_pointer(bucket, Scope::Pool, manifest, look).await?;
    if published == Published::Latest {
        // Where a newer snapshot of the newcomers is the latest, it stays.
        move_pointer(bucket, Scope::Newcomers, manifest, async |_| Ok(None)).await?;
    }
    Ok(published)
}

/// Moves the pointer of a scope to a snapshot that is newer than the one it names, unless `look` at that one finds an objection.
async fn move_pointer(
    bucket: &Bucket,
    scope: Scope,
    manifest: &Manifest,
    look: impl AsyncFn(&Latest) -> Result<Option<Published>, JsonError>,
) -> Result<Published, JsonError> {
    let pointer = Latest {
        version: 1,
        snapshot: manifest.snapshot.clone(),
        manifest: manifest_key(&manifest.snapshot),
        started_at: manifest.started_at,
    };
    loop {
        let current = Latest::read_of(bucket, scope).await?;
        if let Some((latest, _)) = &current {
            if latest.snapshot == pointer.snapshot {
                return Ok(Published::Latest);
            }
            if latest.snapshot > pointer.snapshot {
                let latest = latest.snapshot.clone();
                return Ok(Published::Outdated { latest });
            }
            if let Some(objection) = look(latest).await? {
                return Ok(objection);
            }
        }
        let etag = current.as_ref().map(|(_, etag)| etag.as_str());
        let condition = Condition::since_read(etag);
        let moved = bucket.put_json_if(scope.latest_key(), &pointer, condition, |_| false);
        if moved.await?.is_some() {
            return Ok(Published::Latest);
        }
        // Another worker has moved it: look again.
        tokio::time::sleep(CONFLICT_PAUSE).await;
    }
}

/// Whether an operator must look at a pool first. If nobody can say how many users it had, it counts as shrunk: the manifest of the
/// latest snapshot is gone when the bucket's lifecycle has removed it, which happens when every later snapshot has shrunk.
fn has_shrunk(before: Option<u64>, now: u64, min_percent: u64) -> bool {
    before.is_none_or(|before| before >= SHRINK_GUARD_MIN_USERS && now * 100 < before * min_percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_loses_half_its_users_has_shrunk_unless_it_is_small() {
        assert!(has_shrunk(Some(100), 49, 50));
        assert!(!has_shrunk(Some(100), 50, 50));
        assert!(!has_shrunk(Some(99), 0, 50));
        assert!(!has_shrunk(Some(1_000_000), 0, 0));
    }

    #[test]
    fn a_pool_of_which_nobody_knows_how_many_users_it_had_counts_as_shrunk() {
        assert!(has_shrunk(None, 1_000_000, 50));
    }
}
