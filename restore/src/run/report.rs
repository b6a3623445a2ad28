//! Phase 6: the report and the map of subs, written user by user.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::decision::{Decision, NewcomerState, is_in_scope};
use crate::error::RestoreError;
use crate::files::{ReportEntry, ReportHeader, ReportWriter, SubMapWriter, report_key};
use crate::newcomers::UnmatchedCause;
use crate::reason::Reason;
use crate::request::{Counts, Response, Status};
use crate::run::archive::RecordToArchive;
use crate::run::classify::{Category, Facts, Origin, classify, count, is_record_archived};
use crate::run::decide::Situation;
use crate::run::late_writes::LateWrites;
use crate::run::source_looks::Look;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser};
use shared::confirmation::Username;
use shared::id::Id;
use shared::import_csv::rules::RowRules;

/// A report that names everyone it has to name, and lacks its last members: it is finished after the records are archived.
pub(super) struct UnfinishedReport {
    writer: ReportWriter,
    restore: Id,
    counts: Counts,
    attributes_missing: Value,
    groups_missing: Value,
    /// Whether the report names sign-up records that are not explained by a deletion.
    has_unexplained_records: bool,
    /// The sign-up records to archive.
    pub(super) records_to_archive: Vec<RecordToArchive>,
}

/// Classifies and counts every user of the snapshot and every unmatched sign-up record. Writes the map of subs, and the report except
/// for its last members.
///
/// # Errors
///
/// The snapshot cannot be read, or the files not written.
pub(super) async fn write_report(
    situation: Situation<'_>,
    late_writes: &LateWrites,
    restore: &Id,
    started_at: Timestamp,
) -> Result<UnfinishedReport, RestoreError> {
    let prepared = situation.prepared;
    let bucket = &prepared.config.bucket;
    let header = ReportHeader {
        restore,
        snapshot: &prepared.source.manifest.snapshot,
        pool: prepared.config.pool.as_str(),
        scope: prepared.request.scope,
        dry_run: prepared.request.dry_run,
        started_at,
    };
    let mut report = UnfinishedReport {
        writer: ReportWriter::begin(bucket, &header).await?,
        restore: restore.clone(),
        counts: Counts {
            attributes_written: late_writes.attributes_written,
            attributes_missing: late_writes.attributes_missing.len() as u64,
            groups_written: late_writes.groups_written,
            groups_missing: late_writes.groups_missing.len() as u64,
            ..Counts::default()
        },
        attributes_missing: json!(late_writes.attributes_missing),
        groups_missing: json!(late_writes.groups_missing),
        has_unexplained_records: false,
        records_to_archive: Vec::new(),
    };
    let mut sub_map = SubMapWriter::begin(bucket, restore).await?;
    let rules = prepared.rules.under(prepared.rules.header());
    let lacking = late_writes.attributes_missing.iter();
    let lacking: HashSet<_> = lacking.map(|missing| missing.username.as_str()).collect();
    let mut users = prepared.snapshot_users();
    while let Some(user) = users.next().await? {
        let facts = gather_facts(situation, late_writes, &rules, &user)?;
        let category = classify(facts);
        let lacks_attribute = lacking.contains(user.username.as_str());
        let target_sub = sub_in_target(situation, late_writes, &user);
        // Whoever is there and cannot sign in must not be taken for absent by a later restore.
        let is_there = matches!(
            category,
            Category::Present(_) | Category::NotRestored(Reason::UnverifiedAddress)
        );
        if is_there {
            write_subs(situation, &user, target_sub, &mut sub_map).await?;
        }
        report
            .add_user(situation, &user, &category, lacks_attribute, target_sub)
            .await?;
    }
    report
        .add_unmatched_records(situation, &mut sub_map)
        .await?;
    sub_map.finish().await?;
    Ok(report)
}

fn gather_facts<'a>(
    situation: Situation<'a>,
    late_writes: &'a LateWrites,
    rules: &RowRules<'_>,
    user: &SnapshotUser,
) -> Result<Facts<'a>, RestoreError> {
    let decision = situation.decide(user);
    let row_problem = match decision {
        Decision::Restore { .. } => situation.row_problem(rules, user)?,
        _ => None,
    };
    let (results, key) = (situation.results, &user.who.key);
    let failure = results.failures.get(key);
    Ok(Facts {
        decision,
        created: late_writes.created.get(key),
        has_row: matches!(user.entry, SnapshotEntry::ImportRow(_))
            && !situation.is_created_one_by_one(user),
        row_problem,
        is_locked_out: situation.is_locked_out(&user.who),
        may_be_imported: results.in_files.contains(key) && !results.skipped.contains(key),
        import_failure: failure.map(|(message, _)| message.as_str()),
        dry_run: situation.prepared.request.dry_run,
    })
}

/// The `sub` in the target pool of a user who is home.
fn sub_in_target<'a>(
    situation: Situation<'a>,
    late_writes: &'a LateWrites,
    user: &SnapshotUser,
) -> Option<&'a str> {
    let listed = situation.home_user(&user.who);
    let listed = listed.map(|listed| listed.sub.as_str());
    let created = late_writes.created.get(&user.who.key);
    listed.or_else(|| created?.as_deref().ok())
}

/// Writes the two subs of a newcomer who is in the target pool.
async fn write_subs(
    situation: Situation<'_>,
    user: &SnapshotUser,
    target_sub: Option<&str>,
    sub_map: &mut SubMapWriter,
) -> Result<(), RestoreError> {
    let newcomers = &situation.prepared.newcomers;
    let key = &user.who.key;
    if newcomers.state_of(key) == NewcomerState::NotNewcomer {
        return Ok(());
    }
    let source_sub = newcomers.record_of(key).unwrap_or_default();
    let target_sub = target_sub.unwrap_or_default();
    sub_map
        .write(&user.username, source_sub, target_sub)
        .await?;
    Ok(())
}

impl UnfinishedReport {
    /// Counts a user of the snapshot, names them if they are not restored, and notes their record if it is to be archived.
    async fn add_user(
        &mut self,
        situation: Situation<'_>,
        user: &SnapshotUser,
        category: &Category,
        lacks_attribute: bool,
        target_sub: Option<&str>,
    ) -> Result<(), RestoreError> {
        let prepared = situation.prepared;
        let newcomer = prepared.newcomers.state_of(&user.who.key);
        let record = prepared.newcomers.record_of(&user.who.key);
        let is_in_scope = is_in_scope(prepared.request.scope, newcomer);
        count(&mut self.counts, category, newcomer, is_in_scope);
        let is_restored = matches!(
            category,
            Category::Present(Origin::Imported | Origin::Created) | Category::WouldBeRestored(_)
        );
        let look = situation.looks.of(&user.who.key);
        self.counts.unchecked += u64::from(is_restored && look == Some(Look::NoAnswer));
        if is_record_archived(category, newcomer, lacks_attribute) {
            self.records_to_archive
                .extend(record.map(|record| RecordToArchive {
                    record: record.to_owned(),
                    target_sub: target_sub.map(str::to_owned),
                }));
        }
        if let Category::NotRestored(reason) = category {
            let sub = match &user.entry {
                SnapshotEntry::Leftover(leftover) => leftover.sub.as_str(),
                SnapshotEntry::ImportRow(_) => {
                    record.or(user.identity.as_deref()).unwrap_or_default()
                }
            };
            let entry = ReportEntry::new(&user.username, sub, reason);
            self.writer.write(&entry).await?;
        }
        Ok(())
    }

    /// Names the people with a sign-up record who are not in the snapshot, except for those whom the target pool has.
    async fn add_unmatched_records(
        &mut self,
        situation: Situation<'_>,
        sub_map: &mut SubMapWriter,
    ) -> Result<(), RestoreError> {
        let prepared = situation.prepared;
        for unmatched in &prepared.newcomers.unmatched {
            let record = &unmatched.record;
            let username = unmatched.username.as_ref().map_or("", Username::as_str);
            let is_archived = unmatched.cause == UnmatchedCause::Restored;
            if let Some(user) = situation.home_user(&unmatched.who) {
                sub_map.write(username, record, &user.sub).await?;
                if !is_archived {
                    self.records_to_archive.push(RecordToArchive {
                        record: record.clone(),
                        target_sub: Some(user.sub.clone()),
                    });
                }
                continue;
            }
            let reason = match unmatched.cause {
                UnmatchedCause::Newer => Reason::NewerThanSnapshot,
                UnmatchedCause::Restored => Reason::RestoredBefore,
                UnmatchedCause::Deleted => Reason::DeletedInSecondary,
                UnmatchedCause::Unknown => Reason::NotInSnapshot,
            };
            self.has_unexplained_records |= unmatched.cause != UnmatchedCause::Deleted;
            self.counts.not_in_snapshot += 1;
            let entry = ReportEntry::new(username, record, &reason);
            self.writer.write(&entry).await?;
        }
        Ok(())
    }

    /// Adds the last members to the report, completes it, and returns the response. `more` is an object with members for this kind of
    /// run.
    ///
    /// # Errors
    ///
    /// The report cannot be written.
    pub(super) async fn finish(
        mut self,
        records_archived: u64,
        more: Value,
    ) -> Result<Response, RestoreError> {
        self.counts.filed = records_archived;
        let counts = self.counts;
        let everyone_restored = counts.not_home == 0 && counts.attributes_missing == 0;
        let status = if everyone_restored && !self.has_unexplained_records {
            Status::Complete
        } else {
            Status::Incomplete
        };
        let mut more = match more {
            Value::Object(more) => more,
            _ => serde_json::Map::new(),
        };
        more.insert("attributes_missing".to_owned(), self.attributes_missing);
        more.insert("groups_missing".to_owned(), self.groups_missing);
        self.writer.finish(status, &counts, more).await?;
        tracing::info!(restore = %self.restore, ?status, ?counts, "the restore has ended");
        Ok(Response {
            status,
            report: report_key(&self.restore),
            counts,
        })
    }
}
