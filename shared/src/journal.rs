//! The journal: confirmations that the secondary pool's trigger saw, one S3 object each, in the snapshot bucket.
//!
//! Only people with a record can have changed anything in the secondary pool, because a replica's password is random. A record holds
//! what they were when it was written.

use std::collections::VecDeque;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::confirmation::{Confirmation, object_name, person_of_object};
use crate::environment::CustomAttribute;
use crate::person::{Attributes, Person};
use crate::s3::bucket::{Bucket, Condition, ListedObject, Listing};
use crate::s3::json::{JsonError, to_json};

/// Prefix of sign-ups whose people wait to be brought into the primary pool.
pub const SIGN_UPS_PREFIX: &str = "journal/sign-up/";

/// Prefix of password resets.
pub const PASSWORD_RESETS_PREFIX: &str = "journal/password-reset/";

/// Prefix of sign-ups whose people have been brought into the primary pool.
pub const RESTORED_PREFIX: &str = "journal/restored/";

/// How long after the second of its date a record may first appear in a listing: the longest life of a trigger.
pub const MAX_LISTING_DELAY: SignedDuration = SignedDuration::from_secs(10);

/// Number of records to read concurrently.
const CONCURRENT_READS: usize = 16;

/// Number of records between two looks at the clock.
const READ_AT_ONCE: usize = 100;

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody signed up in the secondary pool, and waits to be brought into the primary pool.
    SignUp,
    /// Somebody signed up in the secondary pool, and has been brought into the primary pool.
    Restored,
    /// Somebody set a password in the secondary pool.
    PasswordReset,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::SignUp, Self::Restored, Self::PasswordReset];

    /// The prefix of the records of this kind.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::SignUp => SIGN_UPS_PREFIX,
            Self::Restored => RESTORED_PREFIX,
            Self::PasswordReset => PASSWORD_RESETS_PREFIX,
        }
    }
}

/// A record as it is in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredRecord {
    #[serde(flatten)]
    confirmation: Confirmation,
    /// The person's `sub` in the primary pool, once they are there. Records that were archived by an earlier version lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    primary_sub: Option<String>,
}

/// Somebody who has used the secondary pool.
#[derive(Clone, Debug)]
pub struct UsedSecondary {
    /// Of their records, the one that was recorded first.
    pub record: Confirmation,
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// Its entity tag.
    pub etag: String,
    /// Their `sub` in the primary pool, if one of their records says it.
    pub primary_sub: Option<String>,
    /// The kinds of all their records.
    pub kinds: Vec<Kind>,
}

/// Whose a record is, for an index of everyone who has used the secondary pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPerson {
    /// Their identity, as the record has it; the record's name, where the record cannot be read.
    pub identity: String,
    /// The record's name: their `sub` in the secondary pool, or a username where the event had no `sub`.
    pub person: String,
    /// Their `sub` in the primary pool, if the record says it.
    pub primary_sub: Option<String>,
    /// The record's kind.
    pub kind: Kind,
    /// The confirmation; none where the record cannot be read.
    pub confirmation: Option<Confirmation>,
}

/// A record in a listing of the journal.
#[derive(Clone, Debug)]
pub struct ListedRecord {
    /// Whose it is, as the object's name says: a `sub`, or a username where the event had no `sub`.
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
        Self::list_after(bucket, prefix, None)
    }

    /// The same, after the record with this key.
    fn list_after(bucket: &Bucket, prefix: &'static str, key: Option<&str>) -> Self {
        Self {
            prefix,
            listing: match key {
                Some(key) => bucket.list_after(prefix, key),
                None => bucket.list(prefix),
            },
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
/// Nobody else can have changed anything in that pool, because a replica's password is random. `names` are what their records may be
/// named by ([`Person::record_names`]). In contrast to [`read_record`], a record that cannot be read counts too.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn has_used_secondary(
    bucket: &Bucket,
    names: impl IntoIterator<Item = &str>,
) -> Result<bool, AwsError> {
    for name in names {
        for kind in Kind::ALL {
            let key = record_key(kind.prefix(), name);
            if bucket.get(&key).await?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Reads the records of a user of the secondary pool; none when they have not used it.
///
/// # Errors
///
/// S3 refused or did not answer, or a record cannot be read.
pub async fn read_record(
    bucket: &Bucket,
    user: &Person,
) -> Result<Option<UsedSecondary>, JsonError> {
    let mut records = Vec::new();
    for name in user.record_names() {
        for kind in Kind::ALL {
            let key = record_key(kind.prefix(), name);
            if let Some((record, etag)) = bucket.get_json::<StoredRecord>(&key).await?
                && (user.sub() == Some(name) || may_be_of(user, &record.confirmation))
            {
                records.push((kind, key, etag, record));
            }
        }
    }
    Ok(first_of(records))
}

/// Whether a record that has a user's username as its name may be theirs: somebody may have chosen the `sub` of somebody else as username.
fn may_be_of(user: &Person, record: &Confirmation) -> bool {
    let sub = record.sub.as_deref();
    sub.is_none_or(|sub| user.sub() == Some(sub))
}

/// Chooses the record that was recorded first, which holds what both pools had in common, and tells what all of them say. A later one
/// may hold what the person has changed in the secondary pool since.
fn first_of(mut records: Vec<(Kind, String, String, StoredRecord)>) -> Option<UsedSecondary> {
    let kinds = records.iter().map(|(kind, ..)| *kind).collect();
    let mut primary_subs = records
        .iter()
        .filter_map(|(.., record)| record.primary_sub.as_ref());
    let primary_sub = primary_subs.next().cloned();
    let first = records.iter().enumerate();
    let first = first
        .min_by_key(|(_, (.., record))| record.confirmation.recorded_at)?
        .0;
    let (kind, key, etag, record) = records.swap_remove(first);
    Some(UsedSecondary {
        record: record.confirmation,
        kind,
        key,
        etag,
        primary_sub,
        kinds,
    })
}

/// The `sub` in the primary pool of somebody whose sign-up record is archived; none if the record does not say it.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn archived_primary_sub(
    bucket: &Bucket,
    person: &str,
) -> Result<Option<String>, AwsError> {
    let key = record_key(RESTORED_PREFIX, person);
    match bucket.get_json::<StoredRecord>(&key).await {
        Ok(record) => Ok(record.and_then(|(record, _)| record.primary_sub)),
        Err(JsonError::Malformed { .. }) => Ok(None),
        Err(JsonError::Aws(error)) => Err(error),
    }
}

/// When the sign-up of somebody was recorded whose record waits; none if the record cannot be read.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn signed_up_at(bucket: &Bucket, person: &str) -> Result<Option<Timestamp>, AwsError> {
    let key = record_key(SIGN_UPS_PREFIX, person);
    match bucket.get_json::<StoredRecord>(&key).await {
        Ok(record) => Ok(record.map(|(record, _)| record.confirmation.recorded_at)),
        Err(JsonError::Malformed { .. }) => Ok(None),
        Err(JsonError::Aws(error)) => Err(error),
    }
}

/// Brings the attributes of a record up to date, unless it has changed since it was read: then this is false.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn update_attributes(
    bucket: &Bucket,
    used: &UsedSecondary,
    attributes: Attributes,
) -> Result<bool, AwsError> {
    let is_restored = used.kind == Kind::Restored;
    let record = StoredRecord {
        confirmation: Confirmation {
            attributes,
            ..used.record.clone()
        },
        primary_sub: used.primary_sub.clone().filter(|_| is_restored),
    };
    let unchanged = Condition::Unchanged(&used.etag);
    let written = bucket
        .put_if(&used.key, to_json(&record), unchanged)
        .await?;
    Ok(written.is_some())
}

/// When the newest record was written, of whatever kind; none in an empty journal.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn newest_record(bucket: &Bucket) -> Result<Option<Timestamp>, AwsError> {
    let mut newest = None;
    for kind in Kind::ALL {
        let mut records = Records::list(bucket, kind.prefix());
        while let Some(page) = records.next_page().await? {
            let of_page = page.iter().map(|record| record.last_modified).max();
            newest = newest.max(of_page);
        }
    }
    Ok(newest)
}

/// Whether somebody has begun to use the secondary pool since then: a record says so. Records are written again when reconcile brings their
/// attributes up to date and when a restore archives them, so it counts what they say; one that cannot be read counts by its date.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn is_used_since(bucket: &Bucket, since: Timestamp) -> Result<bool, AwsError> {
    for kind in Kind::ALL {
        let mut records = Records::list(bucket, kind.prefix());
        while let Some(page) = records.next_page().await? {
            let written = page
                .into_iter()
                .filter(|record| record.last_modified >= since);
            let recorded_since = stream::iter(written)
                .map(|record| is_recorded_since(bucket, kind, record.person, since))
                .buffer_unordered(CONCURRENT_READS)
                .try_any(std::future::ready);
            if recorded_since.await? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

async fn is_recorded_since(
    bucket: &Bucket,
    kind: Kind,
    person: String,
    since: Timestamp,
) -> Result<bool, AwsError> {
    let key = record_key(kind.prefix(), &person);
    match bucket.get_json::<StoredRecord>(&key).await {
        // Gone meanwhile: it was archived, or its person was erased.
        Ok(record) => {
            Ok(record.is_some_and(|(record, _)| record.confirmation.recorded_at >= since))
        }
        Err(JsonError::Malformed { .. }) => Ok(true),
        Err(JsonError::Aws(error)) => Err(error),
    }
}

/// Reads all records, and calls `found` for each of them: everyone who has used the secondary pool, some more than once. `origin` is
/// the attribute that carries identities.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn read_everyone(
    bucket: &Bucket,
    origin: Option<&CustomAttribute>,
    mut found: impl FnMut(RecordedPerson),
) -> Result<(), AwsError> {
    let mut everyone = Everyone::after(bucket, origin, None);
    while let Some(people) = everyone.next_people().await? {
        people.into_iter().for_each(&mut found);
    }
    Ok(())
}

/// All records, read some at a time, so that another worker can go on: everyone who has used the secondary pool, some more than once.
pub struct Everyone<'a> {
    bucket: &'a Bucket,
    origin: Option<&'a CustomAttribute>,
    kind: Kind,
    records: Records,
    /// Listed, and not read yet.
    listed: VecDeque<String>,
    reached: Option<String>,
}

impl<'a> Everyone<'a> {
    /// Begins after the record to which another one had come ([`reached`](Self::reached)), or with the first one. `origin` is the
    /// attribute that carries identities.
    pub fn after(
        bucket: &'a Bucket,
        origin: Option<&'a CustomAttribute>,
        reached: Option<String>,
    ) -> Self {
        let is_of = |kind: &Kind| {
            let reached = reached.as_deref();
            reached.is_some_and(|key| key.starts_with(kind.prefix()))
        };
        let kind = Kind::ALL.into_iter().find(is_of).unwrap_or(Kind::SignUp);
        Self {
            bucket,
            origin,
            kind,
            records: Records::list_after(bucket, kind.prefix(), reached.as_deref()),
            listed: VecDeque::new(),
            reached,
        }
    }

    /// The next people, at most a hundred; none after the last one.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn next_people(&mut self) -> Result<Option<Vec<RecordedPerson>>, AwsError> {
        while self.listed.is_empty() {
            if let Some(page) = self.records.next_page().await? {
                self.listed
                    .extend(page.into_iter().map(|record| record.person));
                continue;
            }
            let mut later = Kind::ALL.into_iter().skip_while(|kind| *kind != self.kind);
            let Some(next) = later.nth(1) else {
                return Ok(None);
            };
            self.kind = next;
            self.records = Records::list(self.bucket, next.prefix());
        }
        let some = self.listed.len().min(READ_AT_ONCE);
        let some: Vec<String> = self.listed.drain(..some).collect();
        let last = some
            .last()
            .map(|person| record_key(self.kind.prefix(), person));
        let (bucket, kind, origin) = (self.bucket, self.kind, self.origin);
        let people = stream::iter(some)
            .map(|person| read_person(bucket, kind, person, origin))
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        self.reached = last;
        Ok(Some(people))
    }

    /// The key of the last record that was read; none before the first one.
    pub fn reached(&self) -> Option<&str> {
        self.reached.as_deref()
    }
}

/// Whose a listed record is. One that is gone meanwhile, or cannot be read, counts by its name.
async fn read_person(
    bucket: &Bucket,
    kind: Kind,
    person: String,
    origin: Option<&CustomAttribute>,
) -> Result<RecordedPerson, AwsError> {
    let key = record_key(kind.prefix(), &person);
    let record = match bucket.get_json::<StoredRecord>(&key).await {
        Ok(record) => record.map(|(record, _)| record),
        Err(JsonError::Malformed { .. }) => {
            tracing::error!(
                prefix = kind.prefix(),
                "an object of the journal is not a record"
            );
            None
        }
        Err(JsonError::Aws(error)) => return Err(error),
    };
    let identity = record.as_ref().and_then(|record| {
        let identity = record.confirmation.attributes.identity(origin)?;
        Some(identity.to_owned())
    });
    let (confirmation, primary_sub) = match record {
        Some(record) => (Some(record.confirmation), record.primary_sub),
        None => (None, None),
    };
    Ok(RecordedPerson {
        identity: identity.unwrap_or_else(|| person.clone()),
        person,
        primary_sub,
        kind,
        confirmation,
    })
}

/// Moves the sign-up record of a person who is in the primary pool now to `journal/restored/`, with their `sub` there, if it is known.
/// False when there is no record.
///
/// # Errors
///
/// S3 refused or did not answer. The record is in one of the two places then, or in both.
pub async fn archive_sign_up(
    bucket: &Bucket,
    person: &str,
    primary_sub: Option<&str>,
) -> Result<bool, AwsError> {
    let key = record_key(SIGN_UPS_PREFIX, person);
    let Some(record) = bucket.get(&key).await? else {
        return Ok(false);
    };
    let archived = with_primary_sub(record.body, primary_sub);
    bucket
        .put(&record_key(RESTORED_PREFIX, person), archived)
        .await?;
    bucket.delete_if(&key, &record.etag).await?;
    Ok(true)
}

/// A record with the person's `sub` in the primary pool. What cannot be read is kept as it is.
fn with_primary_sub(record: Vec<u8>, primary_sub: Option<&str>) -> Vec<u8> {
    let Some(primary_sub) = primary_sub else {
        return record;
    };
    match serde_json::from_slice::<StoredRecord>(&record) {
        Ok(stored) => to_json(&StoredRecord {
            primary_sub: Some(primary_sub.to_owned()),
            ..stored
        }),
        Err(_) => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(recorded_at: i64, email: &str) -> serde_json::Value {
        serde_json::json!({
            "version": 1, "trigger": "PostConfirmation_ConfirmSignUp", "pool": "ap-northeast-3_Example01",
            "username": "s-2", "sub": "s-2", "recorded_at": Timestamp::from_second(recorded_at).unwrap(),
            "attributes": {"sub": "s-2", "email": email},
        })
    }

    fn stored(kind: Kind, record: serde_json::Value) -> (Kind, String, String, StoredRecord) {
        let key = record_key(kind.prefix(), "s-2");
        (
            kind,
            key,
            "etag".into(),
            serde_json::from_value(record).unwrap(),
        )
    }

    #[test]
    fn an_archived_record_says_who_its_person_is_in_the_primary_pool() {
        let archived = with_primary_sub(to_json(&record(7, "taro@example.jp")), Some("s-1"));

        let mut expected = record(7, "taro@example.jp");
        expected["primary_sub"] = "s-1".into();
        let archived: serde_json::Value = serde_json::from_slice(&archived).unwrap();
        assert_eq!(archived, expected);
    }

    #[test]
    fn a_record_of_an_unknown_form_is_archived_as_it_is() {
        for body in ["[1,2]", "no JSON", r#"{"version":9}"#] {
            assert_eq!(with_primary_sub(body.into(), Some("s-1")), body.as_bytes());
        }
        let unchanged = to_json(&record(7, "taro@example.jp"));
        assert_eq!(with_primary_sub(unchanged.clone(), None), unchanged);
    }

    #[test]
    fn the_first_record_gives_the_attributes_and_any_record_the_sub_in_the_primary_pool() {
        let mut restored = record(100, "old@example.jp");
        restored["primary_sub"] = "s-1".into();
        let reset = record(200, "new@example.jp");

        let used = first_of(vec![
            stored(Kind::Restored, restored),
            stored(Kind::PasswordReset, reset),
        ]);

        let used = used.unwrap();
        assert_eq!(used.record.attributes.get("email"), Some("old@example.jp"));
        assert_eq!(used.kind, Kind::Restored);
        assert_eq!(used.key, "journal/restored/s-2.json");
        assert_eq!(used.primary_sub.as_deref(), Some("s-1"));
        assert_eq!(used.kinds, [Kind::Restored, Kind::PasswordReset]);
        assert!(first_of(Vec::new()).is_none());
    }

    #[test]
    fn a_record_without_a_sub_in_the_primary_pool_can_be_read_and_is_written_without_one() {
        let old = stored(Kind::Restored, record(7, "taro@example.jp"));

        let used = first_of(vec![old.clone()]).unwrap();

        assert_eq!(used.primary_sub, None);
        assert_eq!(
            serde_json::to_value(&old.3).unwrap(),
            record(7, "taro@example.jp")
        );
    }
}
