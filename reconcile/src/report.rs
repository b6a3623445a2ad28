//! `reconciles/<id>/report.json`: what a run found and did, written last; and `reconciles/latest.json`, which names the latest
//! run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::Id;
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;

use crate::guard::Kinds;
use crate::request::{Counts, Status};

/// The prefix of everything that belongs to runs.
pub const RECONCILES_PREFIX: &str = "reconciles/";

/// The key of the pointer to the latest run that has ended and was not a dry run.
pub const LATEST_KEY: &str = "reconciles/latest.json";

/// So many people are named in a report. All of them are in the lines of changes.
pub const MAX_REPORTED: usize = 10_000;

/// The key of a run's report.
pub fn report_key(run: &Id) -> String {
    format!("{RECONCILES_PREFIX}{run}/report.json")
}

/// The key of a file of a run's changes, from 1.
pub fn changes_key(run: &Id, number: usize) -> String {
    format!("{RECONCILES_PREFIX}{run}/changes-{number:04}.jsonl")
}

/// The key of the note that an operator has accepted what a run held back.
pub fn accepted_key(run: &Id) -> String {
    format!("{RECONCILES_PREFIX}{run}/accepted.json")
}

/// `reconciles/<id>/accepted.json`: what a run held back is accepted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The version of this format: 1.
    pub version: u32,
    /// The run that does what was accepted.
    pub by: Id,
}

/// The report of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this format: 1.
    pub version: u32,
    /// The run.
    pub reconcile: Id,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The primary pool.
    pub primary: PoolListed,
    /// The secondary pool.
    pub secondary: PoolListed,
    /// Numbers of people.
    pub counts: Counts,
    /// People of the primary pool who have no user in the secondary pool, and whom this run left to a fill. In a dry run all who have none.
    #[serde(default)]
    pub missing: u64,
    /// Writes that failed.
    #[serde(default)]
    pub failed: u64,
    /// People reported for the first time.
    pub newly_reported: u64,
    /// Pairs, of which a part is many for the mass change guard.
    pub pairs: u64,
    /// Writes that the mass change guard held back, by kind.
    pub held: Kinds,
    /// Of these kinds, writes that the listings suggested, and that there was no reason to make when people were looked at.
    #[serde(default, skip_serializing_if = "Kinds::is_empty")]
    pub idle: Kinds,
    /// Writes of the kinds that the guard counts, by kind: the next runs of 24 hours count them too.
    pub made: Kinds,
    /// What an operator should know of the pools' settings, each a sentence without a full stop.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whom an operator should look at, at most [`MAX_REPORTED`].
    pub reported: Vec<Reported>,
}

/// A pool of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolListed {
    /// The pool.
    pub pool: String,
    /// Users listed.
    pub listed: u64,
}

/// Somebody whom an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reported {
    /// Their `sub` in the primary pool; empty when they have no user there.
    pub sub: String,
    /// Their `sub` in the secondary pool; empty when they have no user there.
    pub secondary_sub: String,
    /// Why, as in the contract: `changed-in-secondary`, `unpaired`, ...
    pub reason: String,
    /// The names of the attributes, or of the groups, that it is about.
    pub attributes: Vec<String>,
}

/// A line of `changes-0001.jsonl`. It has no values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The `sub` in the primary pool; empty when they have no user there.
    pub sub: String,
    /// The `sub` in the secondary pool; empty when they have no user there.
    pub secondary_sub: String,
    /// What was done: `create`, `update`, `disable`, `enable`, `withhold`, `delete`, `add-to-group`, ...; `report` for people reported.
    pub action: String,
    /// The names of the attributes or groups that it is about.
    pub attributes: Vec<String>,
    /// `done`, `planned` in a dry run, `held` by the mass change guard, or the reason why it was not done.
    pub outcome: String,
}

/// `reconciles/latest.json`: the latest run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The version of this format: 1.
    pub version: u32,
    /// The run.
    pub reconcile: Id,
    /// The key of its report.
    pub report: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Only where people are missing or writes failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<Incomplete>,
    /// Only where this run did not compare groups: the key of the report of the last run that did, and so could report everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_groups: Option<String>,
}

/// What `reconciles/latest.json` says beside the latest run when that run was not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incomplete {
    /// When the last run was started that was complete; none if no run ever was.
    pub last_complete: Option<Timestamp>,
}

impl Latest {
    /// When the last run was started that was complete; none if no run ever was. `report` is the one that this points to.
    pub fn last_complete(&self, report: Option<&Report>) -> Option<Timestamp> {
        match (&self.incomplete, report) {
            (Some(incomplete), _) => incomplete.last_complete,
            // Earlier versions have pointed to such a run as to any other.
            (None, Some(report)) if !report.status.is_complete() => None,
            (None, _) => Some(self.started_at),
        }
    }

    /// Reads the pointer, with its entity tag; none before the first run.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read(bucket: &Bucket) -> Result<Option<(Self, String)>, JsonError> {
        bucket.get_json(LATEST_KEY).await
    }

    /// Reads the report that it points to; none when it is gone.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read_report(&self, bucket: &Bucket) -> Result<Option<Report>, JsonError> {
        let report = bucket.get_json(&self.report).await?;
        Ok(report.map(|(report, _)| report))
    }

    /// Reads the report of the last run that compared groups, if that is another one and not gone.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object cannot be read.
    pub async fn read_report_with_groups(
        &self,
        bucket: &Bucket,
    ) -> Result<Option<Report>, JsonError> {
        let Some(key) = &self.with_groups else {
            return Ok(None);
        };
        let report = bucket.get_json(key).await?;
        Ok(report.map(|(report, _)| report))
    }
}
