//! Who of the snapshot signed up in its pool, and which record of the journal is whose.
//!
//! An import file names people by what they sign in with, the journal by `sub`. They are joined by the attribute that carries each
//! newcomer's `sub`, or by a leftover, which names both; else by the name in the record; else by asking the snapshot's pool.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::RestoreError;
use crate::bucket::{Bucket, ReadError};
use crate::journal::IN_FLIGHT;
use crate::pool::{Pool, PoolError};
use crate::record::{RESTORED, Record, SIGN_UPS, Username, object_name, person_of};
use crate::restore::census::{Key, Names};
use crate::restore::fate::Newcomer;
use crate::restore::source::Source;
use crate::snapshot::Role;

/// Records that are read at once.
const AT_ONCE: usize = 16;

/// The newcomers of a snapshot.
#[derive(Debug, Default)]
pub struct Newcomers {
    records: HashMap<String, Listed>,
    by_key: HashMap<Key, Option<String>>,
    /// The attribute that carries the `sub` of newcomers, if one does.
    pub origin_sub: Option<String>,
    /// Records of people who are not in the snapshot.
    pub strays: Vec<Stray>,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    modified: Timestamp,
    is_filed: bool,
}

/// A sign-up record of somebody who is not in the snapshot.
#[derive(Clone, Debug)]
pub struct Stray {
    /// The record's name: a `sub`, else a username.
    pub record: String,
    /// What the person signs in with, where it is known.
    pub username: Option<Username>,
    /// Why they are not in the snapshot.
    pub why: Why,
}

/// Why somebody who signed up is not in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They have signed up since, or while it was taken.
    Newer,
    /// The snapshot's pool does not have them any more.
    Deleted,
    /// Nothing says so: the pool has them under another name, or could not be asked.
    Unclear,
}

/// What a record or a pool says of whom it is.
enum Whose {
    Name(Username),
    Gone,
    Unknown,
}

impl Newcomers {
    /// Reads the journal and the snapshot. `pool` is the snapshot's, asked only for people who cannot be told otherwise.
    pub async fn read(
        bucket: &Bucket,
        source: &Source,
        names: Names,
        pool: &Pool,
    ) -> Result<Self, RestoreError> {
        let mut newcomers = Self::default();
        let started_at = source.manifest.started_at - IN_FLIGHT;
        newcomers.list(bucket, RESTORED, Some(started_at)).await?;
        newcomers.list(bucket, SIGN_UPS, None).await?;
        newcomers.join_rows(source, names).await?;
        newcomers.join_leftovers(source, names).await?;
        newcomers.join_records(bucket, source, names, pool).await?;
        Ok(newcomers)
    }

    /// Who somebody of the snapshot is.
    pub fn of(&self, key: &Key) -> Newcomer {
        match self.by_key.get(key) {
            None => Newcomer::No,
            Some(Some(record)) if self.records[record].is_filed => Newcomer::Filed,
            Some(_) => Newcomer::Waiting,
        }
    }

    /// The name of somebody's record, which is their `sub` in the snapshot's pool (or, of an event without one, their username).
    pub fn record(&self, key: &Key) -> Option<&str> {
        self.by_key.get(key)?.as_deref()
    }

    /// The keys of all.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.by_key.keys()
    }

    /// Lists records: of those that are filed, the ones that were filed since this snapshot. Who came home before is no
    /// newcomer of it.
    async fn list(
        &mut self,
        bucket: &Bucket,
        prefix: &str,
        filed_since: Option<Timestamp>,
    ) -> Result<(), RestoreError> {
        let is_filed = filed_since.is_some();
        let mut listing = bucket.list(prefix);
        while let Some(page) = listing.page().await? {
            for object in page {
                if let Some(name) = object.key.strip_prefix(prefix).and_then(person_of) {
                    let modified = object.last_modified;
                    if filed_since.is_some_and(|since| modified < since) {
                        continue;
                    }
                    self.records.insert(name, Listed { modified, is_filed });
                }
            }
        }
        Ok(())
    }

    /// The rows of the newcomers' files, joined by the attribute of origin if there is one.
    async fn join_rows(&mut self, source: &Source, names: Names) -> Result<(), RestoreError> {
        self.origin_sub = self.origin(source).await?;
        let origin = self.origin_sub.as_deref();
        let mut rows = source.lines(Role::Newcomers);
        while let Some(line) = rows.next().await? {
            let cells = source.cells(&line)?;
            let Some(username) = cells.username() else {
                continue;
            };
            let record = origin.and_then(|origin| cells.get(origin));
            let record = record.map(|record| record.into_owned());
            self.by_key.insert(names.key(&username), record);
        }
        Ok(())
    }

    /// The custom attribute in which every newcomer has a record's name, each another. One of several newcomers is not enough:
    /// people may write attributes themselves, the `sub` of somebody else too.
    async fn origin(&self, source: &Source) -> Result<Option<String>, RestoreError> {
        let columns = source.header.columns().enumerate();
        let mut candidates: Vec<_> = columns
            .filter(|(_, name)| name.starts_with("custom:"))
            .map(|(position, name)| (position, name, HashSet::new()))
            .collect();
        let mut rows = source.lines(Role::Newcomers);
        let mut is_empty = true;
        while let Some(line) = rows.next().await? {
            let cells = source.cells(&line)?;
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

    async fn join_leftovers(&mut self, source: &Source, names: Names) -> Result<(), RestoreError> {
        let mut leftovers = source.leftovers();
        while let Some(leftover) = leftovers.next().await? {
            let known = [leftover.sub.as_str(), leftover.username.as_str()];
            let record = known.iter().find(|name| self.records.contains_key(**name));
            if let Some(record) = record {
                let key = names.key(&leftover.username);
                self.by_key.insert(key, Some((*record).to_owned()));
            }
        }
        Ok(())
    }

    /// The rest, by what each record says of its person.
    async fn join_records(
        &mut self,
        bucket: &Bucket,
        source: &Source,
        names: Names,
        pool: &Pool,
    ) -> Result<(), RestoreError> {
        let joined: HashSet<_> = self.by_key.values().flatten().collect();
        // Of those that were filed before, only whom a row still waits for.
        let is_row_left = self.by_key.values().any(Option::is_none);
        let left = self
            .records
            .iter()
            .filter(|(name, listed)| !joined.contains(*name) && (!listed.is_filed || is_row_left));
        let left: Vec<_> = left.map(|(name, listed)| (name.clone(), *listed)).collect();
        let sign_in = source.manifest.pool.username_attributes.first();
        let sign_in = sign_in.map(String::as_str);
        let said: Vec<_> = stream::iter(left)
            .map(async |(name, listed)| {
                let whose = whose(bucket, &name, listed, sign_in).await?;
                Ok::<_, RestoreError>((name, listed, whose))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let key_of = |whose: &Whose| match whose {
            Whose::Name(name) => Some(names.key(name.as_str())),
            Whose::Gone | Whose::Unknown => None,
        };
        let mut claims: HashMap<Key, u32> = HashMap::new();
        for key in said.iter().filter_map(|(_, _, whose)| key_of(whose)) {
            *claims.entry(key).or_default() += 1;
        }
        let started_at = source.manifest.started_at;
        for (name, listed, mut whose) in said {
            let is_certain = key_of(&whose)
                .is_some_and(|key| claims[&key] == 1 && self.by_key.get(&key) == Some(&None));
            // Who signed up since cannot be in the snapshot: nobody needs to be asked.
            if !is_certain && !listed.is_filed && listed.modified < started_at {
                whose = match pool.person(&name).await {
                    Ok(Some(person)) => {
                        let name = sign_in.map_or(Some(&*person.username), |attribute| {
                            person.attributes.get(attribute)
                        });
                        name.map_or(Whose::Unknown, |name| {
                            Whose::Name(Username(name.to_owned()))
                        })
                    }
                    Ok(None) => Whose::Gone,
                    Err(error @ PoolError::OutOfTime(_)) => return Err(error.into()),
                    Err(error) => {
                        tracing::warn!(%error, "the snapshot's pool does not say whose a sign-up record is");
                        whose
                    }
                };
            }
            match key_of(&whose) {
                Some(key) if self.by_key.get(&key) == Some(&None) => {
                    self.by_key.insert(key, Some(name));
                }
                _ if listed.is_filed => {}
                _ => self.strays.push(Stray {
                    record: name,
                    why: match &whose {
                        Whose::Gone => Why::Deleted,
                        _ if listed.modified >= started_at - IN_FLIGHT => Why::Newer,
                        _ => Why::Unclear,
                    },
                    username: match whose {
                        Whose::Name(name) => Some(name),
                        Whose::Gone | Whose::Unknown => None,
                    },
                }),
            }
        }
        Ok(())
    }
}

/// Whose a record is, by what its person signed up with.
async fn whose(
    bucket: &Bucket,
    name: &str,
    listed: Listed,
    sign_in: Option<&str>,
) -> Result<Whose, RestoreError> {
    let prefix = if listed.is_filed { RESTORED } else { SIGN_UPS };
    let key = format!("{prefix}{}", object_name(name));
    let record = match bucket.get_json::<Record>(&key).await {
        Ok(record) => record.map(|(record, _)| record),
        Err(ReadError::Malformed { .. }) => None,
        Err(ReadError::Aws(error)) => return Err(error.into()),
    };
    let name = record.as_ref().and_then(|record| match sign_in {
        Some(attribute) => record.attributes.get(attribute),
        None => record.username.as_ref().map(Username::as_str),
    });
    Ok(name.map_or(Whose::Unknown, |name| {
        Whose::Name(Username(name.to_owned()))
    }))
}
