//! `forgotten/` in the snapshot bucket: people who were erased for good. Whoever makes users looks here first, so that an older snapshot,
//! or a run that was interrupted, does not bring them back.
//!
//! An object's name is a SHA-256 of the person's identity, a random UUID, so that it cannot be guessed; it says nothing else of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::aws::error::AwsError;
use crate::s3::bucket::Bucket;
use crate::s3::json::to_json;
use crate::s3::upload::hex;

/// Prefix of the marks of people who were erased.
pub const FORGOTTEN_PREFIX: &str = "forgotten/";

/// The SHA-256 of an identity.
pub type IdentityDigest = [u8; 32];

/// The mark of a person who was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Forgotten {
    version: u32,
    forgotten_at: Timestamp,
}

/// The key of the mark of the person with this identity.
pub fn forgotten_key(identity: &str) -> String {
    let digest: IdentityDigest = Sha256::digest(identity).into();
    format!("{FORGOTTEN_PREFIX}{}", hex(&digest))
}

/// Marks the person with this identity as erased.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn mark(bucket: &Bucket, identity: &str, now: Timestamp) -> Result<(), AwsError> {
    let mark = Forgotten {
        version: 1,
        forgotten_at: now,
    };
    bucket.put(&forgotten_key(identity), to_json(&mark)).await
}

/// Whether the person with this identity was erased. Only the name of the object counts, not its content.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn is_forgotten(bucket: &Bucket, identity: &str) -> Result<bool, AwsError> {
    Ok(bucket.get(&forgotten_key(identity)).await?.is_some())
}

/// The identities of everyone who was erased.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn read_all(bucket: &Bucket) -> Result<Vec<IdentityDigest>, AwsError> {
    let mut all = Vec::new();
    let mut listing = bucket.list(FORGOTTEN_PREFIX);
    while let Some(page) = listing.next_page().await? {
        all.extend(page.iter().filter_map(|object| digest_of_key(&object.key)));
    }
    Ok(all)
}

fn digest_of_key(key: &str) -> Option<IdentityDigest> {
    let digits = key.strip_prefix(FORGOTTEN_PREFIX)?;
    let mut digest = IdentityDigest::default();
    if digits.len() != 2 * digest.len() || !digits.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_mark_is_the_sha_256_of_the_identity() {
        let key = forgotten_key("abc");

        assert_eq!(
            key,
            "forgotten/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let digest: IdentityDigest = Sha256::digest("abc").into();
        assert_eq!(digest_of_key(&key), Some(digest));
    }

    #[test]
    fn an_object_of_another_name_is_no_mark() {
        for key in [
            "forgotten/",
            "forgotten/abc",
            "withheld/s-1.json",
            "forgotten/ää",
        ] {
            assert_eq!(digest_of_key(key), None, "{key}");
        }
    }
}
