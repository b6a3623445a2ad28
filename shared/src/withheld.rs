//! `withheld/<identity>.json` in the snapshot bucket: what a replica was, written before twinpool disables or deletes it because
//! its person was disabled or deleted in the primary pool.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::confirmation::object_name;
use crate::journal::Records;
use crate::person::Attributes;
use crate::s3::bucket::Bucket;
use crate::s3::json::{JsonError, to_json};

/// Prefix of the records of withheld replicas.
pub const WITHHELD_PREFIX: &str = "withheld/";

/// Why a replica is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// The person is disabled in the primary pool.
    Disabled,
    /// The person is no longer in the primary pool.
    Deleted,
}

/// A replica that twinpool has withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The version of this format: 1.
    pub version: u32,
    /// Why it is withheld.
    pub why: Why,
    /// When twinpool first found that the person is not there any more.
    pub first_missed: Timestamp,
    /// All attributes of the replica, its `sub` in the secondary pool included.
    pub attributes: Attributes,
    /// The groups that it was in.
    pub groups: Vec<String>,
}

/// The key of the record of the person with this identity.
pub fn withheld_key(identity: &str) -> String {
    format!("{WITHHELD_PREFIX}{}", object_name(identity))
}

/// Keeps what a replica is. An earlier record of the same identity is replaced, because this one is of the user as it is now.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn keep(bucket: &Bucket, identity: &str, withheld: &Withheld) -> Result<(), AwsError> {
    let key = withheld_key(identity);
    bucket.put(&key, to_json(withheld)).await
}

/// Reads the record of an identity, with its entity tag; none when twinpool has not withheld this person.
///
/// # Errors
///
/// S3 refused or did not answer, or the object cannot be read.
pub async fn read(
    bucket: &Bucket,
    identity: &str,
) -> Result<Option<(Withheld, String)>, JsonError> {
    bucket.get_json(&withheld_key(identity)).await
}

/// Removes the record of an identity if it still has this entity tag; false when it has been replaced since.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn remove(bucket: &Bucket, identity: &str, etag: &str) -> Result<bool, AwsError> {
    bucket.delete_if(&withheld_key(identity), etag).await
}

/// Begins to list the records: whose they are says the identity, and when they were written `last_modified`.
pub fn list(bucket: &Bucket) -> Records {
    Records::list(bucket, WITHHELD_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_with_the_names_of_the_contract() {
        let withheld = Withheld {
            version: 1,
            why: Why::Deleted,
            first_missed: Timestamp::UNIX_EPOCH,
            attributes: Attributes::from_iter([("sub", "s-2")]),
            groups: vec!["staff".into()],
        };

        assert_eq!(
            serde_json::to_value(&withheld).unwrap(),
            serde_json::json!({
                "version": 1, "why": "deleted", "first_missed": "1970-01-01T00:00:00Z",
                "attributes": {"sub": "s-2"}, "groups": ["staff"],
            })
        );
        assert_eq!(withheld_key("s-1"), "withheld/s-1.json");
    }
}
