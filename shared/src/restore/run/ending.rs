//! The ending of a restore: what no import file can carry, who is home and who is not, and the journal.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::import::Tried;
use super::{Restore, Step, problem};
use crate::import_csv::rules::RowRules;
use crate::lease;
use crate::person;
use crate::pool::PoolError;
use crate::record::{RESTORED, SIGN_UPS, Username, object_name};
use crate::restore::RestoreError;
use crate::restore::census::{Census, Key, Standing};
use crate::restore::fate::{Fate, Newcomer, Reason, can_be_made, is_in_scope};
use crate::restore::files::{About, NotHome, Report, SubMap, report_key};
use crate::restore::newcomers::Why;
use crate::restore::people::{Body, People, Somebody};
use crate::restore::request::{Answer, Counts, Status};
use crate::restore::writes::Writes;
use crate::snapshot::Id;

/// Records that are filed at once.
const AT_ONCE: usize = 16;

/// What was done beside the import.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) made: HashMap<Key, Result<String, Reason>>,
    pub(super) attributes_written: u64,
    pub(super) attributes_missing: Vec<Missing>,
}

/// An attribute that somebody who is home lacks still.
#[derive(Serialize)]
pub(super) struct Missing {
    username: String,
    sub: String,
    attribute: String,
    code: String,
}

impl Restore<'_> {
    /// Makes those whom no import file can carry, and writes attributes that none can.
    pub(super) async fn write(
        &self,
        since: Timestamp,
        census: &Census,
        tried: &Tried,
    ) -> Result<Outcome, RestoreError> {
        let mut outcome = Outcome::default();
        let writes = self.writes(since);
        let mut done = 0;
        let mut attributes_of = HashSet::new();
        let mut leftovers = self.source.leftovers();
        while let Some(leftover) = leftovers.next().await? {
            let key = self.names.key(&leftover.username);
            let is_attribute = leftover.is_attribute();
            let (username, sub) = (leftover.username.clone(), leftover.sub.clone());
            if is_attribute {
                let is_brought =
                    tried.rows.contains(&key) || self.newcomers.of(&key) == Newcomer::Waiting;
                let found = census.found(&key).filter(|_| is_brought);
                let Some(found) = found.filter(|found| !found.lacks.is_empty()) else {
                    continue;
                };
                if !attributes_of.insert(key) {
                    continue;
                }
                let refused = writes.write(&found.sub, &found.lacks).await?;
                outcome.attributes_written += u64::from(refused.is_empty());
                let refused = refused.into_iter().map(|(attribute, code)| Missing {
                    username: username.clone(),
                    sub: sub.clone(),
                    attribute,
                    code,
                });
                outcome.attributes_missing.extend(refused);
            } else {
                let mut leftover = leftover;
                if let Some(attribute) = &self.newcomers.origin_sub
                    && self.newcomers.of(&key) != Newcomer::No
                {
                    // As the rows of the others have it.
                    leftover.attributes.insert(attribute, &sub);
                }
                let person = Somebody {
                    username,
                    key,
                    body: Body::Leftover(leftover),
                };
                let Some(made) = self.make(&writes, &person, census, tried).await? else {
                    continue;
                };
                outcome.made.insert(key, made);
            }
            done += 1;
            (self.run.watch)(Step::Writing(done));
        }
        Ok(outcome)
    }

    /// Makes a person whom the snapshot left out, if that is to be done.
    async fn make(
        &self,
        writes: &Writes<'_>,
        person: &Somebody,
        census: &Census,
        tried: &Tried,
    ) -> Result<Option<Result<String, Reason>>, RestoreError> {
        let Body::Leftover(leftover) = &person.body else {
            return Ok(None);
        };
        let is_half_made = census.standing(&person.key)
            == Standing::Other(person::Status::ForceChangePassword)
            && can_be_made(&leftover.reason)
            && self.is_in_scope(&person.key);
        let is_brought = matches!(self.fate(person, census, tried), Fate::Bring { .. });
        if !is_brought && !is_half_made {
            return Ok(None);
        }
        match writes.make(leftover).await {
            Ok(made) => Ok(Some(made)),
            Err(PoolError::Aws(error)) if !error.is_transient() && !error.is_configuration() => {
                Ok(Some(Err(Reason::CreateFailed(error.to_string()))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Goes through everyone once more: who is home, whose record is to be filed, and who is to be named.
    pub(super) async fn tell(
        &self,
        id: &Id,
        started_at: Timestamp,
        census: &Census,
        tried: &Tried,
        outcome: &Outcome,
        more: Value,
    ) -> Result<Answer, RestoreError> {
        let bucket = &self.site.bucket;
        let about = About {
            restore: id,
            snapshot: &self.source.manifest.snapshot,
            pool: self.site.pool.as_str(),
            scope: self.request.scope,
            dry_run: self.request.dry_run,
            started_at,
        };
        let mut report = Report::begin(bucket, &about).await?;
        let mut sub_map = SubMap::begin(bucket, id).await?;
        let rules = self.rules.under(self.rules.header());
        let mut counts = Counts {
            attributes_written: outcome.attributes_written,
            attributes_missing: outcome.attributes_missing.len() as u64,
            ..Counts::default()
        };
        // Who lacks an attribute waits for the next run.
        let lacking = outcome.attributes_missing.iter();
        let lacking: HashSet<_> = lacking.map(|missing| missing.username.as_str()).collect();
        let mut to_file = Vec::new();
        let mut people = People::of(&self.source, self.names);
        while let Some(person) = people.next().await? {
            let newcomer = self.newcomers.of(&person.key);
            let record = self.newcomers.record(&person.key);
            let in_scope = is_in_scope(self.request.scope, newcomer);
            let made = outcome.made.get(&person.key);
            let fate = match made {
                Some(Ok(_)) => Fate::Home,
                Some(Err(reason)) => Fate::Away(reason.clone()),
                None => self.fate(&person, census, tried),
            };
            let away = match fate {
                Fate::Nobody => continue,
                Fate::Home => {
                    if in_scope || newcomer == Newcomer::Filed {
                        counts.in_scope += 1;
                        *if made.is_some() {
                            &mut counts.created
                        } else if tried.rows.contains(&person.key) {
                            &mut counts.imported
                        } else {
                            &mut counts.already_home
                        } += 1;
                    }
                    if newcomer != Newcomer::No {
                        let found = census.found(&person.key).map(|found| found.sub.as_str());
                        let made = made.and_then(|made| made.as_deref().ok());
                        let primary_sub = found.or(made).unwrap_or_default();
                        sub_map
                            .write(&person.username, record.unwrap_or_default(), primary_sub)
                            .await?;
                    }
                    if newcomer == Newcomer::Waiting && !lacking.contains(person.username.as_str())
                    {
                        to_file.extend(record.map(str::to_owned));
                    }
                    continue;
                }
                Fate::Bring { .. } => match self.obstacle(&rules, &person)? {
                    Some(obstacle) => obstacle,
                    None if self.request.dry_run => {
                        counts.in_scope += 1;
                        if newcomer == Newcomer::Waiting {
                            to_file.extend(record.map(str::to_owned));
                        }
                        match person.body {
                            Body::Row(_) => counts.imported += 1,
                            Body::Leftover(_) => counts.created += 1,
                        }
                        continue;
                    }
                    None => match tried.failures.get(&person.key) {
                        Some((failure, _)) => Reason::ImportFailed(failure.clone()),
                        None => Reason::NotImported,
                    },
                },
                Fate::Away(reason) => reason,
            };
            if away == Reason::GoneSinceImport {
                counts.not_in_primary += 1;
                to_file.extend(record.map(str::to_owned));
            } else if !in_scope {
                counts.not_in_primary += 1;
            } else if away.is_nobodys_loss() {
                counts.not_restorable += 1;
            } else {
                counts.in_scope += 1;
                counts.not_home += 1;
            }
            let sub = match &person.body {
                Body::Leftover(leftover) => Some(leftover.sub.as_str()),
                Body::Row(_) => record,
            };
            report
                .write(&NotHome::new(
                    &person.username,
                    sub.unwrap_or_default(),
                    &away,
                ))
                .await?;
        }
        let mut is_unclear = false;
        for stray in &self.newcomers.strays {
            let username = stray.username.as_ref().map_or("", Username::as_str);
            if let Some(found) = census.found(&self.names.key(username)) {
                sub_map.write(username, &stray.record, &found.sub).await?;
                to_file.push(stray.record.clone());
                continue;
            }
            let reason = match stray.why {
                Why::Newer => Reason::NewerThanSnapshot,
                Why::Deleted => Reason::DeletedInSecondary,
                Why::Unclear => Reason::NotInSnapshot,
            };
            is_unclear |= stray.why != Why::Deleted;
            counts.not_in_snapshot += 1;
            report
                .write(&NotHome::new(username, &stray.record, &reason))
                .await?;
        }
        sub_map.finish().await?;
        counts.filed = if self.request.dry_run {
            to_file.len() as u64
        } else {
            self.file(&to_file).await?
        };
        let status = if counts.not_home == 0 && counts.attributes_missing == 0 && !is_unclear {
            Status::Complete
        } else {
            Status::Incomplete
        };
        let mut more = match more {
            Value::Object(more) => more,
            _ => serde_json::Map::new(),
        };
        more.insert(
            "attributes_missing".to_owned(),
            json!(outcome.attributes_missing),
        );
        report.finish(status, &counts, more).await?;
        tracing::info!(restore = %id, ?status, ?counts, "a restore");
        Ok(Answer {
            status,
            report: report_key(id),
            counts,
        })
    }

    /// Why a row is not imported that nothing else stands against.
    fn obstacle(
        &self,
        rules: &RowRules<'_>,
        person: &Somebody,
    ) -> Result<Option<Reason>, RestoreError> {
        let Body::Row(row) = &person.body else {
            return Ok(None);
        };
        let cells = self.source.cells(row)?;
        let mapped = cells.map(self.rules.header(), self.format.mfa_enabled());
        Ok(problem(rules, &mapped.line).map(Reason::InvalidRow))
    }

    /// Moves the sign-up records of people who are home to `journal/restored/`.
    async fn file(&self, records: &[String]) -> Result<u64, RestoreError> {
        let bucket = &self.site.bucket;
        let mut filed = 0;
        let mut filing = stream::iter(records)
            .map(async |record| {
                if Instant::now() >= self.run.until {
                    return Err(PoolError::OutOfTime(self.site.pool.clone()).into());
                }
                let name = object_name(record);
                let key = format!("{SIGN_UPS}{name}");
                let Some(object) = bucket.get(&key).await? else {
                    return Ok(0);
                };
                bucket
                    .put(&format!("{RESTORED}{name}"), object.body)
                    .await?;
                bucket.delete_if(&key, &object.etag).await?;
                Ok::<u64, RestoreError>(1)
            })
            .buffer_unordered(AT_ONCE);
        while let Some(one) = filing.try_next().await? {
            filed += one;
            (self.run.watch)(Step::Filing(filed));
        }
        if filed > 0 {
            lease::forget_sign_ups(bucket, filed).await?;
        }
        Ok(filed)
    }
}
