//! The journal: confirmations that the secondary pool's trigger saw, one S3 object each, in the snapshot bucket.

use jiff::{SignedDuration, Timestamp};

use crate::aws::error::AwsError;
use crate::confirmation::{object_name, person_of_object};
use crate::s3::bucket::{Bucket, ListedObject, Listing};

/// Prefix of sign-ups whose people wait to be brought into the primary pool.
pub const SIGN_UPS_PREFIX: &str = "journal/sign-up/";

/// Prefix of password resets.
pub const PASSWORD_RESETS_PREFIX: &str = "journal/password-reset/";

/// Prefix of sign-ups whose people have been brought into the primary pool.
pub const RESTORED_PREFIX: &str = "journal/restored/";

/// How long after the second of its date a record may first appear in a listing: the longest life of a trigger.
pub const MAX_LISTING_DELAY: SignedDuration = SignedDuration::from_secs(10);

/// A record in a listing of the journal.
#[derive(Clone, Debug)]
pub struct ListedRecord {
    /// Whose it is: a `sub`, or a username where the event had no `sub`.
    pub person: String,
    /// When it was written, in whole seconds.
    pub last_modified: Timestamp,
}

/// The records below one prefix of the journal, page by page.
#[derive(Debug)]
pub struct Records {
    prefix: &'static str,
    listing: Listing,
}

impl Records {
    /// Begins to list the records below a prefix.
    pub fn list(bucket: &Bucket, prefix: &'static str) -> Self {
        Self {
            prefix,
            listing: bucket.list(prefix),
        }
    }

    /// The next page; none after the last one. Objects that are not named like a record are left out.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ListedRecord>>, AwsError> {
        let page = self.listing.next_page().await?;
        let record = |object: ListedObject| {
            let name = object.key.strip_prefix(self.prefix)?;
            Some(ListedRecord {
                person: person_of_object(name)?,
                last_modified: object.last_modified,
            })
        };
        Ok(page.map(|page| page.into_iter().filter_map(record).collect()))
    }
}

/// The key of a person's record below a prefix.
pub fn record_key(prefix: &str, person: &str) -> String {
    format!("{prefix}{}", object_name(person))
}

/// Whether a person has used the secondary pool: the trigger has recorded that they signed up there or set a password there.
/// Nobody else can have changed anything in that pool, because a replica's password is random. `person` is their `sub` in the
/// secondary pool.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn has_used_secondary(bucket: &Bucket, person: &str) -> Result<bool, AwsError> {
    for prefix in [SIGN_UPS_PREFIX, RESTORED_PREFIX, PASSWORD_RESETS_PREFIX] {
        if bucket.get(&record_key(prefix, person)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves the sign-up record of a person who is in the primary pool now to `journal/restored/`. False when there is no record.
///
/// # Errors
///
/// S3 refused or did not answer. The record is in one of the two places then, or in both.
pub async fn archive_sign_up(bucket: &Bucket, person: &str) -> Result<bool, AwsError> {
    let key = record_key(SIGN_UPS_PREFIX, person);
    let Some(record) = bucket.get(&key).await? else {
        return Ok(false);
    };
    bucket
        .put(&record_key(RESTORED_PREFIX, person), record.body)
        .await?;
    bucket.delete_if(&key, &record.etag).await?;
    Ok(true)
}
