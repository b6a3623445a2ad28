//! A snapshot: one full export of a pool in S3, and the pointer to the latest.
//!
//! `snapshots/<id>/` holds import files, what was left out and why, and a manifest that is written last: without it the
//! folder is not a snapshot. `latest.json` names a complete snapshot and only moves forward.
//!
//! - this module: the layout, the manifest, the pointer
//! - [`files`]: numbered files that close before Cognito's limits
//! - [`progress`], [`unfinished`]: how far it has come, so that the next invocation can go on
//! - [`take`]: from the pool's pages to the manifest
//! - [`worker`]: one at a time, under the lease, and made the latest

pub mod files;
pub mod progress;
pub mod take;
pub mod unfinished;
pub mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};

use crate::aws::AwsError;
use crate::bucket::{Bucket, Condition, ReadError};
use crate::import_csv::FormatError;
use crate::pool::{PoolError, PoolId};

/// The pointer's key.
pub const LATEST: &str = "latest.json";

/// A pool with fewer users than this may shrink as it likes.
const WORTH_GUARDING: u64 = 100;

/// A snapshot's name: its start in UTC and eight random hex digits, so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// A new name for a snapshot that starts now.
    pub fn new(started_at: Timestamp) -> Self {
        let random = OsRng.unwrap_err();
        let suffix: u32 = rand::Rng::random(&mut { random });
        Self(format!(
            "{}-{suffix:08x}",
            started_at.strftime("%Y%m%dT%H%M%SZ")
        ))
    }

    /// A name as it was written; none when the text is no such name.
    pub fn read(text: &str) -> Option<Self> {
        let (time, suffix) = text.split_once('-')?;
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let fits = time.len() == 16
            && time.char_indices().all(|(at, c)| match at {
                8 => c == 'T',
                15 => c == 'Z',
                _ => c.is_ascii_digit(),
            })
            && suffix.len() == 8
            && suffix.chars().all(is_hex);
        fits.then(|| Self(text.to_owned()))
    }

    /// The folder of the snapshot, with its slash.
    pub fn folder(&self) -> String {
        format!("snapshots/{self}/")
    }

    /// The key of its manifest.
    pub fn manifest_key(&self) -> String {
        format!("snapshots/{self}/manifest.json")
    }

    /// The key of its progress, while it is unfinished.
    pub fn progress_key(&self) -> String {
        format!("snapshots/{self}/progress.json")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no snapshot. Nothing that was written counts as one.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The pool could not be listed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No import file can be written for the pool.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// S3 refused.
    #[error(transparent)]
    Bucket(#[from] AwsError),
    /// An object in the bucket cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bucket is another pool's.
    #[error(
        "bucket {bucket} holds the snapshots of user pool {theirs}: give user pool {ours} a bucket of its own"
    )]
    OtherPool {
        /// The bucket.
        bucket: String,
        /// Whose it is.
        theirs: String,
        /// The pool that a snapshot was to be taken of.
        ours: PoolId,
    },
    /// The lease has run out, and another worker goes on with the snapshot.
    #[error("another worker has taken over: nothing more is done here")]
    Superseded,
    /// What was listed earlier cannot be read any more.
    #[error("{key} is gone or not what was written: the next snapshot starts anew")]
    LostPart {
        /// The part's key.
        key: String,
    },
}

/// `manifest.json`: what a snapshot is made of. Always `listed = exported + sum(rejected)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the manifest: 1.
    pub version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// The pool it is of.
    pub pool: PoolSummary,
    /// When listing began.
    pub started_at: Timestamp,
    /// When the last file was closed.
    pub finished_at: Timestamp,
    /// The columns of the import files.
    pub header: Vec<String>,
    /// How many people.
    pub users: Users,
    /// Attributes left out of a row, by reason.
    pub dropped_attributes: BTreeMap<String, u64>,
    /// The files, each with its checksum.
    pub files: Vec<File>,
}

/// The settings of the pool that decide how its people are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSummary {
    /// The pool's id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// `ON`, `OFF` or `OPTIONAL`.
    pub mfa: String,
    /// What people sign in with instead of a username.
    pub username_attributes: Vec<String>,
}

/// How many people a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// In the pool.
    pub listed: u64,
    /// In the import files.
    pub exported: u64,
    /// Of those, who signed up in this pool.
    pub newcomers: u64,
    /// Not in the import files, by reason.
    pub rejected: BTreeMap<String, u64>,
}

impl Users {
    /// How many are not in the import files.
    pub fn rejected_in_all(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The object's key.
    pub key: String,
    /// What it is for.
    pub role: Role,
    /// Rows, the header not counted.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole object, in hex.
    pub sha256: String,
}

/// What a file of a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everyone who can be imported, to rebuild an empty pool.
    Users,
    /// Of those, who signed up in this pool: to upload after a failover.
    Newcomers,
    /// Who and what was left out, for people.
    Rejected,
    /// The same, whole, for machines.
    Leftovers,
}

/// `latest.json`: the newest complete snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The form of the pointer: 1.
    pub version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// The key of its manifest.
    pub manifest: String,
    /// When it was started.
    pub started_at: Timestamp,
}

impl Latest {
    /// The pointer, with its entity tag; none before the first snapshot.
    pub async fn read(bucket: &Bucket) -> Result<Option<(Self, String)>, ReadError> {
        bucket.get_json(LATEST).await
    }

    /// The manifest it names; none when the bucket's lifecycle has removed it.
    pub async fn manifest(&self, bucket: &Bucket) -> Result<Option<Manifest>, ReadError> {
        Ok(bucket
            .get_json(&self.manifest)
            .await?
            .map(|(manifest, _)| manifest))
    }
}

/// What became of a complete snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the latest, or an even newer one is.
    Latest,
    /// It lists so few people that somebody should look first.
    Shrunk,
}

/// Makes a snapshot the latest, unless it has shrunk below `guard_percent` of the latest one. Never moves backwards.
pub async fn publish(
    bucket: &Bucket,
    manifest: &Manifest,
    guard_percent: u64,
    accept_shrink: bool,
) -> Result<Published, ReadError> {
    let pointer = Latest {
        version: 1,
        snapshot: manifest.snapshot.clone(),
        manifest: manifest.snapshot.manifest_key(),
        started_at: manifest.started_at,
    };
    loop {
        let current = Latest::read(bucket).await?;
        let condition = match &current {
            None => Condition::Absent,
            Some((latest, _)) if latest.snapshot >= pointer.snapshot => {
                return Ok(Published::Latest);
            }
            Some((latest, etag)) => {
                if !accept_shrink
                    && let Some(before) = latest.manifest(bucket).await?
                    && has_shrunk(before.users.listed, manifest.users.listed, guard_percent)
                {
                    return Ok(Published::Shrunk);
                }
                Condition::Unchanged(etag)
            }
        };
        if bucket
            .put_json_if(LATEST, &pointer, condition)
            .await?
            .is_some()
        {
            return Ok(Published::Latest);
        }
        // Somebody else moved it: look again.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn has_shrunk(before: u64, now: u64, guard_percent: u64) -> bool {
    before >= WORTH_GUARDING && now * 100 < before * guard_percent
}

/// Writes the manifest, which makes the folder a snapshot.
pub async fn seal(bucket: &Bucket, manifest: &Manifest) -> Result<(), AwsError> {
    let key = manifest.snapshot.manifest_key();
    bucket.put(&key, crate::bucket::json(manifest)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let early = Id::new("2026-11-20T09:59:59Z".parse().unwrap());
        let late = Id::new("2026-11-20T10:00:00Z".parse().unwrap());

        assert!(early < late);
        assert!(early.to_string().starts_with("20261120T095959Z-"));
        assert_eq!(early.to_string().len(), "20261120T095959Z-".len() + 8);
    }

    #[test]
    fn a_pool_that_loses_half_its_people_has_shrunk_unless_it_is_small() {
        assert!(has_shrunk(100, 49, 50));
        assert!(!has_shrunk(100, 50, 50));
        assert!(!has_shrunk(99, 0, 50));
        assert!(!has_shrunk(1_000_000, 0, 0));
    }
}
