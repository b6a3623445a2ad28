//! Phase 4: what the import jobs did with each row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::decision;
use crate::error::RestoreError;
use crate::import_job::{ImportJobClient, RowResult, results_by_row};
use crate::lease::{ImportJob, JobEnd};
use crate::names::PersonKey;
use crate::run::prepare::Prepared;
use shared::import_csv::reader::Lines;

/// How long to wait until the log of an ended job is complete.
const LOG_TIME_LIMIT: Duration = Duration::from_secs(30);

/// The pause between two reads of the log.
const LOG_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What the import jobs of this restore did.
#[derive(Default)]
pub(super) struct JobResults {
    /// The users in the jobs' files.
    pub(super) in_files: HashSet<PersonKey>,
    /// Users of whom Cognito says that their rows were imported.
    pub(super) imported: HashSet<PersonKey>,
    /// Users whose rows were not imported because Cognito says that there is such a user.
    pub(super) skipped: HashSet<PersonKey>,
    /// Users whose rows were rejected: Cognito's last message, and how many times.
    pub(super) failures: HashMap<PersonKey, (String, u32)>,
    /// Users whose rows may have been processed, and of whom nothing is known. A job may have stopped at such a row.
    pub(super) suspects: HashSet<PersonKey>,
}

/// Adds what a job did with each row of its file. A job that has not ended adds nothing.
///
/// # Errors
///
/// The job's file cannot be read.
pub(super) async fn read_job_results(
    prepared: &Prepared<'_>,
    client: &ImportJobClient<'_>,
    job: &ImportJob,
    results: &mut JobResults,
) -> Result<(), RestoreError> {
    let Some(ended) = &job.ended else {
        return Ok(());
    };
    let processed_rows = ended.imported + ended.skipped + ended.failed;
    let all_imported = ended.imported == job.rows;
    let log = match all_imported {
        true => None,
        false => read_complete_log(client, job, ended).await,
    };
    let header = prepared.rules.header();
    let mut download = prepared.config.bucket.download(&job.file).await?;
    let mut lines = Lines::default();
    while let Some(file) = &mut download {
        match file.next_chunk().await? {
            Some(chunk) => lines.feed(&chunk),
            None => {
                lines.end();
                download = None;
            }
        }
        while let Some(line) = lines.next_line() {
            let cells = line.text.ok().map(|text| header.cells(text));
            let username = cells.and_then(|cells| cells.ok()?.username());
            // Line 1 is the header, so line 2 is row 0.
            let (Some(row), Some(username)) = (line.number.checked_sub(2), username) else {
                continue;
            };
            let result = match &log {
                _ if all_imported => Some(&RowResult::Imported),
                Some(log) => log.get(&row),
                None => None,
            };
            let may_be_processed = row < processed_rows;
            results.add(PersonKey::of(&username), result, may_be_processed);
        }
    }
    Ok(())
}

impl JobResults {
    /// Adds what is known of a row.
    fn add(&mut self, key: PersonKey, result: Option<&RowResult>, may_be_processed: bool) {
        self.in_files.insert(key);
        self.skipped.remove(&key);
        self.suspects.remove(&key);
        match result {
            Some(RowResult::Imported) => {
                self.imported.insert(key);
            }
            Some(RowResult::Skipped) => {
                self.skipped.insert(key);
            }
            Some(RowResult::Failed(message)) => {
                let failure = self.failures.entry(key).or_default();
                *failure = (message.clone(), failure.1 + 1);
            }
            None if may_be_processed => {
                self.suspects.insert(key);
            }
            None => {}
        }
    }

    /// What is known of a user's row. `holder` is the `sub` of the user who has an address of theirs.
    pub(super) fn of<'a>(
        &'a self,
        key: &PersonKey,
        holder: Option<&'a str>,
    ) -> decision::RowResult<'a> {
        if self.imported.contains(key) {
            decision::RowResult::Imported
        } else if self.skipped.contains(key) {
            decision::RowResult::Skipped(holder)
        } else if let Some((message, times)) = self.failures.get(key) {
            decision::RowResult::Failed(message, *times)
        } else {
            decision::RowResult::Unknown
        }
    }
}

/// Waits until the log is complete, and reads it. None if it stays incomplete or cannot be read: nothing is known of any row then, and
/// only the next look into the pool shows who was imported.
async fn read_complete_log(
    client: &ImportJobClient<'_>,
    job: &ImportJob,
    ended: &JobEnd,
) -> Option<BTreeMap<u64, RowResult>> {
    let begun = Instant::now();
    loop {
        let log = client.read_log(job).await;
        if let Ok(lines) = &log
            && let Some(results) = results_by_row(lines.clone(), ended)
        {
            return Some(results);
        }
        if begun.elapsed() > LOG_TIME_LIMIT {
            match log {
                Ok(lines) => tracing::error!(
                    job = job.id,
                    lines = lines.len(),
                    "the import log is not complete: the report will lack Cognito's reasons"
                ),
                Err(error) => tracing::error!(
                    job = job.id, %error,
                    "the import log cannot be read: the report will lack Cognito's reasons"
                ),
            }
            return None;
        }
        tokio::time::sleep(LOG_POLL_INTERVAL).await;
    }
}
