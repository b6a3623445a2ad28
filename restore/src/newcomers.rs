//! Which users of the snapshot signed up in its pool, and which sign-up record of the journal belongs to whom.
//!
//! An import file names users by what they sign in with, the journal by `sub`. The two are joined in this order: by the origin
//! attribute, which carries the `sub` of newcomers, or by a leftover, which has both; by the name in the record; by a lookup in the
//! snapshot's pool. A record that cannot be joined belongs to somebody whom the snapshot does not have.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::decision::NewcomerState;
use crate::error::RestoreError;
use crate::names::{IdentityHash, PersonKey};
use crate::source::{Leftover, SourceSnapshot};
use crate::who::{Addresses, Comparison, Who};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::confirmation::{Confirmation, Username};
use shared::journal::{MAX_LISTING_DELAY, RESTORED_PREFIX, Records, SIGN_UPS_PREFIX, record_key};
use shared::person::Attributes;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::snapshot::manifest::Role;
use shared::snapshot::newcomers::GONE;

/// Number of sign-up records to read concurrently.
const CONCURRENT_RECORD_READS: usize = 16;

/// The newcomers of a snapshot, and the sign-up records.
#[derive(Debug, Default)]
pub struct Newcomers {
    /// The sign-up records, by their name: a `sub`, or a username if the event had no `sub`.
    records: HashMap<String, RecordInfo>,
    /// The newcomers of the snapshot, each with the name of their record once it is known.
    record_of: HashMap<PersonKey, Option<String>>,
    /// What the origin attribute of a newcomer carries.
    origin_of: HashMap<PersonKey, IdentityHash>,
    /// Newcomers whose identity another newcomer has too.
    identity_twice: HashSet<PersonKey>,
    /// Sign-up records of people whom the snapshot does not have, or does not have as a confirmed user.
    pub unmatched: Vec<UnmatchedRecord>,
}

/// What the listing says of a sign-up record.
#[derive(Clone, Copy, Debug)]
struct RecordInfo {
    last_modified: Timestamp,
    is_archived: bool,
}

/// A sign-up record of somebody whom the snapshot does not have as a confirmed user.
#[derive(Clone, Debug)]
pub struct UnmatchedRecord {
    /// The record's name: a `sub`, or a username if the event had no `sub`.
    pub record: String,
    /// What the person signs in with, if it is known.
    pub username: Option<Username>,
    /// The person's identity, as far as it is known: else the record's name.
    pub identity: String,
    /// Who the person is. The key is of the record: no user of the snapshot has it.
    pub who: Who,
    /// Why the person is not in the snapshot.
    pub cause: UnmatchedCause,
}

/// Why somebody who signed up is not in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmatchedCause {
    /// They signed up, or confirmed it, after the snapshot was started.
    Newer,
    /// They were restored since the snapshot was started: their record is archived.
    Restored,
    /// The snapshot's pool does not have them any more.
    Deleted,
    /// Unknown: the pool has them under another name, or the lookup failed.
    Unknown,
}

/// To whom a sign-up record belongs, according to the record or to the snapshot's pool.
enum RecordOwner {
    Named(Username, Addresses),
    Deleted,
    Unknown,
}

impl RecordOwner {
    fn key(&self) -> Option<PersonKey> {
        match self {
            Self::Named(username, _) => Some(PersonKey::of(username.as_str())),
            Self::Deleted | Self::Unknown => None,
        }
    }
}

impl Newcomers {
    /// Reads the journal and the snapshot, and joins them. `pool` is the snapshot's pool; only people who cannot be joined in another
    /// way are looked up there.
    ///
    /// # Errors
    ///
    /// The journal or the snapshot cannot be read, or the pool's deadline has come.
    pub async fn read(
        bucket: &Bucket,
        source: &SourceSnapshot,
        comparison: &Comparison,
        pool: &Pool,
    ) -> Result<Self, RestoreError> {
        let mut newcomers = Self::default();
        let started_at = source.manifest.started_at - MAX_LISTING_DELAY;
        newcomers
            .list_records(bucket, RESTORED_PREFIX, Some(started_at))
            .await?;
        newcomers
            .list_records(bucket, SIGN_UPS_PREFIX, None)
            .await?;
        newcomers.join_rows(source, comparison).await?;
        newcomers.join_leftovers(bucket, source, comparison).await?;
        let readers = RecordReader {
            bucket,
            comparison,
            pool,
            sign_in: source.manifest.pool.username_attributes.first(),
        };
        let started_at = source.manifest.started_at;
        newcomers.join_records(&readers, started_at).await?;
        newcomers.find_identities_twice();
        Ok(newcomers)
    }

    /// Whether a user of the snapshot is a newcomer.
    pub fn state_of(&self, key: &PersonKey) -> NewcomerState {
        match self.record_of.get(key) {
            None => NewcomerState::NotNewcomer,
            Some(Some(record)) if self.records.get(record).is_some_and(|r| r.is_archived) => {
                NewcomerState::Archived
            }
            Some(_) => NewcomerState::Pending,
        }
    }

    /// Whether some newcomers wait to be brought home.
    pub fn has_pending(&self) -> bool {
        let mut newcomers = self.record_of.keys();
        newcomers.any(|key| self.state_of(key) == NewcomerState::Pending)
    }

    /// The name of a newcomer's sign-up record: their `sub` in the snapshot's pool, or their username if the event had no `sub`.
    pub fn record_of(&self, key: &PersonKey) -> Option<&str> {
        self.record_of.get(key)?.as_deref()
    }

    /// Whether another newcomer has the same identity. Nobody knows then who of the two it belongs to.
    pub fn has_identity_twice(&self, key: &PersonKey) -> bool {
        self.identity_twice.contains(key)
    }

    /// Lists the records below a prefix. `archived_since` is given for archived records: those that were archived earlier belong to
    /// people who were restored before this snapshot was taken, and who are no newcomers of it.
    async fn list_records(
        &mut self,
        bucket: &Bucket,
        prefix: &'static str,
        archived_since: Option<Timestamp>,
    ) -> Result<(), RestoreError> {
        let is_archived = archived_since.is_some();
        let mut records = Records::list(bucket, prefix);
        while let Some(page) = records.next_page().await? {
            for record in page {
                let last_modified = record.last_modified;
                if archived_since.is_some_and(|since| last_modified < since) {
                    continue;
                }
                let info = RecordInfo {
                    last_modified,
                    is_archived,
                };
                self.records.insert(record.person, info);
            }
        }
        Ok(())
    }

    /// Adds the rows of the newcomers' import files, joined by the origin attribute if it can be trusted.
    ///
    /// It is trusted if it holds the name of a record for every newcomer, and a different one for each. A match for only some
    /// newcomers is not enough: an app client that may write the attribute lets people write even the `sub` of somebody else.
    async fn join_rows(
        &mut self,
        source: &SourceSnapshot,
        comparison: &Comparison,
    ) -> Result<(), RestoreError> {
        let origin = comparison.origin().map(|origin| origin.as_str());
        let mut rows = source.lines(Role::Newcomers);
        let (mut seen, mut is_trusted) = (HashSet::new(), true);
        while let Some(row) = rows.next().await? {
            let cells = source.cells(&row)?;
            let Some(username) = cells.username() else {
                continue;
            };
            let key = PersonKey::of(&username);
            let value = origin.and_then(|origin| cells.get(origin));
            let record = value.as_ref().and_then(|value| {
                let (record, _) = self.records.get_key_value(value.as_ref())?;
                Some(record.clone())
            });
            let is_new = |record: &String| seen.insert(record.clone());
            is_trusted &= record.as_ref().is_some_and(is_new);
            if let Some(value) = value {
                self.origin_of.insert(key, IdentityHash::of(&value));
            }
            self.record_of.insert(key, record);
        }
        if !is_trusted {
            self.record_of
                .values_mut()
                .for_each(|record| *record = None);
        }
        Ok(())
    }

    /// Adds the leftovers that have a record. Whom the snapshot has as unconfirmed and who has a record has confirmed since: the
    /// record is newer than the snapshot, whatever its date. A record whose user was gone says nobody: its owner is looked up once more.
    async fn join_leftovers(
        &mut self,
        bucket: &Bucket,
        source: &SourceSnapshot,
        comparison: &Comparison,
    ) -> Result<(), RestoreError> {
        let mut joined: HashSet<_> = self.record_of.values().flatten().cloned().collect();
        let mut leftovers = source.leftovers();
        while let Some(leftover) = leftovers.next().await? {
            if leftover.has_row() || leftover.reason == GONE {
                continue;
            }
            let Some(record) = self.record_of_leftover(bucket, &leftover).await? else {
                continue;
            };
            if !joined.insert(record.clone()) {
                continue;
            }
            let who = leftover.who(comparison);
            if leftover.reason == "unconfirmed" {
                let is_archived = self.records.remove(&record).is_some_and(|r| r.is_archived);
                let identity = leftover.identity(comparison).unwrap_or(&record);
                self.unmatched.push(UnmatchedRecord {
                    identity: identity.to_owned(),
                    who: Who {
                        key: PersonKey::of(&record),
                        ..who
                    },
                    record,
                    username: Some(Username(leftover.username)),
                    cause: match is_archived {
                        true => UnmatchedCause::Restored,
                        false => UnmatchedCause::Newer,
                    },
                });
            } else {
                self.origin_of
                    .extend(who.identity.map(|identity| (who.key, identity)));
                self.record_of.insert(who.key, Some(record));
            }
        }
        Ok(())
    }

    /// The name of a leftover's record: their `sub`, or their username where the event had no `sub`. Somebody may have chosen the `sub` of
    /// somebody else as username, so a record with that name must not be of another `sub`.
    async fn record_of_leftover(
        &self,
        bucket: &Bucket,
        leftover: &Leftover,
    ) -> Result<Option<String>, RestoreError> {
        let Leftover { sub, username, .. } = leftover;
        if self.records.contains_key(sub) {
            return Ok(Some(sub.clone()));
        }
        let Some(info) = self.records.get(username) else {
            return Ok(None);
        };
        let record = read_record(bucket, username, *info).await?;
        let is_theirs = record.is_some_and(|record| record.sub.is_none_or(|of| of == *sub));
        Ok(is_theirs.then(|| username.clone()))
    }

    /// Joins the remaining records by the name that each contains, or else by a lookup.
    async fn join_records(
        &mut self,
        reader: &RecordReader<'_>,
        started_at: Timestamp,
    ) -> Result<(), RestoreError> {
        let joined: HashSet<_> = self.record_of.values().flatten().collect();
        let remaining = self.records.iter();
        let remaining = remaining.filter(|(record, _)| !joined.contains(*record));
        let remaining: Vec<_> = remaining
            .map(|(record, info)| (record.clone(), *info))
            .collect();
        let owners: Vec<_> = stream::iter(remaining)
            .map(async |(record, info)| {
                let owner = reader.read_owner(&record, info).await?;
                Ok::<_, RestoreError>((record, info, owner))
            })
            .buffer_unordered(CONCURRENT_RECORD_READS)
            .try_collect()
            .await?;
        let mut records_per_user: HashMap<PersonKey, u32> = HashMap::new();
        for key in owners.iter().filter_map(|(_, _, owner)| owner.key()) {
            *records_per_user.entry(key).or_default() += 1;
        }
        for (record, info, mut owner) in owners {
            let is_certain = owner.key().is_some_and(|key| {
                records_per_user[&key] == 1 && self.record_of.get(&key) == Some(&None)
            });
            // Who signed up after the snapshot was started cannot be in it, so a lookup is of no use.
            if !is_certain && !info.is_archived && info.last_modified < started_at {
                owner = reader.look_up_owner(&record, owner).await?;
            }
            match owner.key() {
                Some(key) if self.record_of.get(&key) == Some(&None) => {
                    self.record_of.insert(key, Some(record));
                }
                _ => self.unmatched.push(UnmatchedRecord {
                    cause: match &owner {
                        _ if info.is_archived => UnmatchedCause::Restored,
                        RecordOwner::Deleted => UnmatchedCause::Deleted,
                        _ if info.last_modified >= started_at - MAX_LISTING_DELAY => {
                            UnmatchedCause::Newer
                        }
                        _ => UnmatchedCause::Unknown,
                    },
                    who: reader.who(&record, &owner),
                    username: match owner {
                        RecordOwner::Named(username, _) => Some(username),
                        RecordOwner::Deleted | RecordOwner::Unknown => None,
                    },
                    identity: record.clone(),
                    record,
                }),
            }
        }
        Ok(())
    }

    /// Finds the newcomers whose identity another newcomer has too.
    fn find_identities_twice(&mut self) {
        let mut people: HashMap<IdentityHash, Vec<PersonKey>> = HashMap::new();
        for (key, record) in &self.record_of {
            let of_record = || record.as_deref().map(IdentityHash::of);
            let identity = self.origin_of.get(key).copied().or_else(of_record);
            if let Some(identity) = identity {
                people.entry(identity).or_default().push(*key);
            }
        }
        let twice = people.into_values().filter(|people| people.len() > 1);
        self.identity_twice = twice.flatten().collect();
    }
}

/// Reads a record; none if it is gone, or not a record.
async fn read_record(
    bucket: &Bucket,
    record: &str,
    info: RecordInfo,
) -> Result<Option<Confirmation>, RestoreError> {
    let prefix = match info.is_archived {
        true => RESTORED_PREFIX,
        false => SIGN_UPS_PREFIX,
    };
    match bucket.get_json(&record_key(prefix, record)).await {
        Ok(record) => Ok(record.map(|(record, _)| record)),
        Err(JsonError::Malformed { .. }) => Ok(None),
        Err(JsonError::Aws(error)) => Err(error.into()),
    }
}

/// Finds out to whom a record belongs.
struct RecordReader<'a> {
    bucket: &'a Bucket,
    comparison: &'a Comparison,
    /// The snapshot's pool.
    pool: &'a Pool,
    /// The attribute that users sign in with, if it is not the username.
    sign_in: Option<&'a String>,
}

impl RecordReader<'_> {
    /// Reads a record: what its person signed up with.
    async fn read_owner(
        &self,
        record: &str,
        info: RecordInfo,
    ) -> Result<RecordOwner, RestoreError> {
        let Some(record) = read_record(self.bucket, record, info).await? else {
            return Ok(RecordOwner::Unknown);
        };
        let username = record.username.as_ref().map(Username::as_str);
        Ok(self.owner(username, &record.attributes))
    }

    /// Looks up the person of a record in the snapshot's pool. If the lookup fails, what is `known` of the owner stays as it is.
    async fn look_up_owner(
        &self,
        record: &str,
        known: RecordOwner,
    ) -> Result<RecordOwner, RestoreError> {
        match users::look_up(self.pool, record).await {
            Ok(Some(person)) => Ok(self.owner(Some(&person.username), &person.attributes)),
            Ok(None) => Ok(RecordOwner::Deleted),
            Err(error @ PoolError::OutOfTime(_)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the owner of a sign-up record cannot be looked up in the snapshot's pool");
                Ok(known)
            }
        }
    }

    fn owner(&self, username: Option<&str>, attributes: &Attributes) -> RecordOwner {
        let name = match self.sign_in {
            Some(attribute) => attributes.get(attribute),
            None => username,
        };
        name.map_or(RecordOwner::Unknown, |name| {
            let addresses = self.comparison.addresses_of(attributes);
            RecordOwner::Named(Username(name.to_owned()), addresses)
        })
    }

    /// Who the owner of a record is: the record is named by their `sub`.
    fn who(&self, record: &str, owner: &RecordOwner) -> Who {
        let (name, addresses) = match owner {
            RecordOwner::Named(username, addresses) => (username.as_str(), *addresses),
            RecordOwner::Deleted | RecordOwner::Unknown => ("", Addresses::default()),
        };
        Who {
            key: PersonKey::of(record),
            ..self.comparison.who(name, Some(record), addresses)
        }
    }
}
