//! `manifest.json`: what a snapshot contains. It is written last: without it, a folder is not a snapshot.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::id::Id;
use crate::s3::bucket::Bucket;
use crate::s3::json::to_json;
use crate::snapshot::layout::manifest_key;
use crate::snapshot::scope::Scope;

/// `manifest.json`: what a snapshot contains. Always `listed = exported + sum(rejected)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format: 1.
    pub version: u32,
    /// The snapshot's name.
    pub snapshot: Id,
    /// What it covers. Snapshots of earlier versions do not say it: they are of the whole pool.
    #[serde(default)]
    pub scope: Scope,
    /// The pool.
    pub pool: PoolSummary,
    /// When listing began.
    pub started_at: Timestamp,
    /// Of a snapshot of the newcomers: since when everyone in it was looked up. It is older than the start if people were taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// When the last file was closed.
    pub finished_at: Timestamp,
    /// The columns of the import files.
    pub header: Vec<String>,
    /// How many users.
    pub users: Users,
    /// Attributes left out of a row, counted by reason.
    pub dropped_attributes: BTreeMap<String, u64>,
    /// The files, each with its checksum.
    pub files: Vec<File>,
}

/// The settings of the pool that decide how its users are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSummary {
    /// The pool's id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// `ON`, `OFF` or `OPTIONAL`.
    pub mfa: String,
    /// The attributes with which people sign in instead of a username.
    pub username_attributes: Vec<String>,
}

/// How many users a snapshot contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// In the pool; in a snapshot of the newcomers, how many have a sign-up record.
    pub listed: u64,
    /// In the import files.
    pub exported: u64,
    /// Of those, users who signed up in this pool.
    pub newcomers: u64,
    /// Not in the import files, counted by reason.
    pub rejected: BTreeMap<String, u64>,
}

impl Users {
    /// How many are not in the import files.
    pub fn total_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The object's key.
    pub key: String,
    /// Its purpose.
    pub role: Role,
    /// Rows, the header not counted.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole object, in hex.
    pub sha256: String,
}

/// The purpose of a snapshot's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// All users who can be imported, to rebuild an empty pool.
    Users,
    /// Of those, the users who signed up in this pool, to upload after a failover.
    Newcomers,
    /// Which users and attributes were left out, for people to read.
    Rejected,
    /// The same with all values, for restore.
    Leftovers,
}

/// Writes the manifest, which makes the folder a snapshot.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn write_manifest(bucket: &Bucket, manifest: &Manifest) -> Result<(), AwsError> {
    let key = manifest_key(&manifest.snapshot);
    bucket.put(&key, to_json(manifest)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_does_not_say_its_scope_is_of_the_whole_pool() {
        let manifest = serde_json::json!({
            "version": 1, "snapshot": "20261120T095959Z-0a1b2c3d",
            "pool": {"id": "ap-northeast-3_Example01", "region": "ap-northeast-3", "mfa": "ON", "username_attributes": []},
            "started_at": "2026-11-20T09:59:59Z", "finished_at": "2026-11-20T10:00:00Z", "header": [],
            "users": {"listed": 0, "exported": 0, "newcomers": 0, "rejected": {}}, "dropped_attributes": {}, "files": [],
        });
        let mut of_newcomers = manifest.clone();
        of_newcomers["scope"] = "newcomers".into();

        let scope = |manifest| serde_json::from_value::<Manifest>(manifest).unwrap().scope;

        assert_eq!(scope(manifest), Scope::Pool);
        assert_eq!(scope(of_newcomers), Scope::Newcomers);
    }
}
