//! Which users of the snapshot signed up in its pool, and which sign-up record of the journal belongs to whom.
//!
//! An import file names users by what they sign in with, the journal by `sub`. The two are joined in this order: by the custom
//! attribute that carries the `sub` of newcomers, or by a leftover, which has both; by the name in the record; by a lookup in the
//! snapshot's pool.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::decision::NewcomerState;
use crate::error::RestoreError;
use crate::names::{NameHash, NameHasher};
use crate::source::SourceSnapshot;
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::confirmation::{Confirmation, Username};
use shared::journal::{MAX_LISTING_DELAY, RESTORED_PREFIX, Records, SIGN_UPS_PREFIX, record_key};
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::snapshot::manifest::Role;

/// Number of sign-up records to read concurrently.
const CONCURRENT_RECORD_READS: usize = 16;

/// The newcomers of a snapshot, and the sign-up records.
#[derive(Debug, Default)]
pub struct Newcomers {
    /// The sign-up records, by their name: a `sub`, or a username if the event had no `sub`.
    records: HashMap<String, RecordInfo>,
    /// The newcomers of the snapshot, each with the name of their record once it is known.
    record_of: HashMap<NameHash, Option<String>>,
    /// The custom attribute that carries the `sub` of newcomers, if one does.
    pub origin_sub: Option<String>,
    /// Sign-up records of people who are not in the snapshot.
    pub unmatched: Vec<UnmatchedRecord>,
}

/// What the listing says of a sign-up record.
#[derive(Clone, Copy, Debug)]
struct RecordInfo {
    last_modified: Timestamp,
    is_archived: bool,
}

/// A sign-up record of somebody who is not in the snapshot.
#[derive(Clone, Debug)]
pub struct UnmatchedRecord {
    /// The record's name: a `sub`, or a username if the event had no `sub`.
    pub record: String,
    /// What the person signs in with, if it is known.
    pub username: Option<Username>,
    /// Why the person is not in the snapshot.
    pub cause: UnmatchedCause,
}

/// Why somebody who signed up is not in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmatchedCause {
    /// They signed up after the snapshot was started.
    Newer,
    /// The snapshot's pool does not have them any more.
    Deleted,
    /// Unknown: the pool has them under another name, or the lookup failed.
    Unknown,
}

/// To whom a sign-up record belongs, according to the record or to the snapshot's pool.
enum RecordOwner {
    Named(Username),
    Deleted,
    Unknown,
}

impl RecordOwner {
    fn name(&self, hasher: NameHasher) -> Option<NameHash> {
        match self {
            Self::Named(username) => Some(hasher.hash(username.as_str())),
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
        hasher: NameHasher,
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
        newcomers.join_rows(source, hasher).await?;
        newcomers.join_leftovers(source, hasher).await?;
        newcomers.join_records(bucket, source, hasher, pool).await?;
        Ok(newcomers)
    }

    /// Whether a user of the snapshot is a newcomer.
    pub fn state_of(&self, name: &NameHash) -> NewcomerState {
        match self.record_of.get(name) {
            None => NewcomerState::NotNewcomer,
            Some(Some(record)) if self.records[record].is_archived => NewcomerState::Archived,
            Some(_) => NewcomerState::Pending,
        }
    }

    /// The name of a newcomer's sign-up record: their `sub` in the snapshot's pool, or their username if the event had no `sub`.
    pub fn record_of(&self, name: &NameHash) -> Option<&str> {
        self.record_of.get(name)?.as_deref()
    }

    /// The hashed names of all newcomers.
    pub fn names(&self) -> impl Iterator<Item = &NameHash> {
        self.record_of.keys()
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

    /// Adds the rows of the newcomers' import files, joined by the custom attribute that carries the `sub`, if one does.
    async fn join_rows(
        &mut self,
        source: &SourceSnapshot,
        hasher: NameHasher,
    ) -> Result<(), RestoreError> {
        self.origin_sub = self.find_origin_attribute(source).await?;
        let origin = self.origin_sub.as_deref();
        let mut rows = source.lines(Role::Newcomers);
        while let Some(row) = rows.next().await? {
            let cells = source.cells(&row)?;
            let Some(username) = cells.username() else {
                continue;
            };
            let record = origin.and_then(|origin| cells.get(origin));
            let record = record.map(|record| record.into_owned());
            self.record_of.insert(hasher.hash(&username), record);
        }
        Ok(())
    }

    /// The custom attribute that holds the name of a record for every newcomer, and a different record for each. A match for only some
    /// newcomers is not enough: users may write attributes themselves, even the `sub` of somebody else.
    async fn find_origin_attribute(
        &self,
        source: &SourceSnapshot,
    ) -> Result<Option<String>, RestoreError> {
        let columns = source.header.columns().enumerate();
        let mut candidates: Vec<_> = columns
            .filter(|(_, name)| name.starts_with("custom:"))
            .map(|(position, name)| (position, name, HashSet::new()))
            .collect();
        let mut rows = source.lines(Role::Newcomers);
        let mut is_empty = true;
        while let Some(row) = rows.next().await? {
            let cells = source.cells(&row)?;
            is_empty = false;
            candidates.retain_mut(|(position, _, seen)| {
                cells.value(*position).is_some_and(|value| {
                    self.records.contains_key(value.as_ref()) && seen.insert(value.into_owned())
                })
            });
        }
        let origin = candidates.first().filter(|_| !is_empty);
        Ok(origin.map(|(_, name, _)| (*name).to_owned()))
    }

    /// Adds the leftovers that have a record.
    async fn join_leftovers(
        &mut self,
        source: &SourceSnapshot,
        hasher: NameHasher,
    ) -> Result<(), RestoreError> {
        let mut leftovers = source.leftovers();
        while let Some(leftover) = leftovers.next().await? {
            let possible_names = [leftover.sub.as_str(), leftover.username.as_str()];
            let record = possible_names
                .iter()
                .find(|name| self.records.contains_key(**name));
            if let Some(record) = record {
                let name = hasher.hash(&leftover.username);
                self.record_of.insert(name, Some((*record).to_owned()));
            }
        }
        Ok(())
    }

    /// Joins the remaining records by the name that each contains, or else by a lookup.
    async fn join_records(
        &mut self,
        bucket: &Bucket,
        source: &SourceSnapshot,
        hasher: NameHasher,
        pool: &Pool,
    ) -> Result<(), RestoreError> {
        let joined: HashSet<_> = self.record_of.values().flatten().collect();
        // Archived records matter only if a row still has no record.
        let is_row_unjoined = self.record_of.values().any(Option::is_none);
        let remaining = self.records.iter().filter(|(record, info)| {
            !joined.contains(*record) && (!info.is_archived || is_row_unjoined)
        });
        let remaining: Vec<_> = remaining
            .map(|(record, info)| (record.clone(), *info))
            .collect();
        let sign_in = source.manifest.pool.username_attributes.first();
        let sign_in = sign_in.map(String::as_str);
        let owners: Vec<_> = stream::iter(remaining)
            .map(async |(record, info)| {
                let owner = read_owner(bucket, &record, info, sign_in).await?;
                Ok::<_, RestoreError>((record, info, owner))
            })
            .buffer_unordered(CONCURRENT_RECORD_READS)
            .try_collect()
            .await?;
        let mut records_per_name: HashMap<NameHash, u32> = HashMap::new();
        for name in owners.iter().filter_map(|(_, _, owner)| owner.name(hasher)) {
            *records_per_name.entry(name).or_default() += 1;
        }
        let started_at = source.manifest.started_at;
        for (record, info, mut owner) in owners {
            let is_certain = owner.name(hasher).is_some_and(|name| {
                records_per_name[&name] == 1 && self.record_of.get(&name) == Some(&None)
            });
            // Who signed up after the snapshot was started cannot be in it, so a lookup is of no use.
            if !is_certain && !info.is_archived && info.last_modified < started_at {
                owner = look_up_owner(pool, &record, sign_in, owner).await?;
            }
            match owner.name(hasher) {
                Some(name) if self.record_of.get(&name) == Some(&None) => {
                    self.record_of.insert(name, Some(record));
                }
                _ if info.is_archived => {}
                _ => self.unmatched.push(UnmatchedRecord {
                    record,
                    cause: match &owner {
                        RecordOwner::Deleted => UnmatchedCause::Deleted,
                        _ if info.last_modified >= started_at - MAX_LISTING_DELAY => {
                            UnmatchedCause::Newer
                        }
                        _ => UnmatchedCause::Unknown,
                    },
                    username: match owner {
                        RecordOwner::Named(username) => Some(username),
                        RecordOwner::Deleted | RecordOwner::Unknown => None,
                    },
                }),
            }
        }
        Ok(())
    }
}

/// Reads a record: what its person signed up with. `sign_in` is the attribute that users sign in with, if it is not the username.
async fn read_owner(
    bucket: &Bucket,
    record: &str,
    info: RecordInfo,
    sign_in: Option<&str>,
) -> Result<RecordOwner, RestoreError> {
    let prefix = match info.is_archived {
        true => RESTORED_PREFIX,
        false => SIGN_UPS_PREFIX,
    };
    let record = match bucket
        .get_json::<Confirmation>(&record_key(prefix, record))
        .await
    {
        Ok(record) => record.map(|(record, _)| record),
        Err(JsonError::Malformed { .. }) => None,
        Err(JsonError::Aws(error)) => return Err(error.into()),
    };
    let username = record.as_ref().and_then(|record| match sign_in {
        Some(attribute) => record.attributes.get(attribute),
        None => record.username.as_ref().map(Username::as_str),
    });
    Ok(named(username))
}

/// Looks up the person of a record in the snapshot's pool. If the lookup fails, what is `known` of the owner stays as it is.
async fn look_up_owner(
    pool: &Pool,
    record: &str,
    sign_in: Option<&str>,
    known: RecordOwner,
) -> Result<RecordOwner, RestoreError> {
    match users::look_up(pool, record).await {
        Ok(Some(person)) => Ok(named(match sign_in {
            Some(attribute) => person.attributes.get(attribute),
            None => Some(&person.username),
        })),
        Ok(None) => Ok(RecordOwner::Deleted),
        Err(error @ PoolError::OutOfTime(_)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the owner of a sign-up record cannot be looked up in the snapshot's pool");
            Ok(known)
        }
    }
}

fn named(username: Option<&str>) -> RecordOwner {
    username.map_or(RecordOwner::Unknown, |username| {
        RecordOwner::Named(Username(username.to_owned()))
    })
}
