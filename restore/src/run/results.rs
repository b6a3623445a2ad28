//! Phase 4: what the import jobs did with each row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::error::RestoreError;
use crate::import_job::{ImportJobClient, RowResult, results_by_row};
use crate::lease::ImportJob;
use crate::names::NameHash;
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
    pub(super) in_files: HashSet<NameHash>,
    /// Users who were imported, or skipped because the pool had them.
    pub(super) done: HashSet<NameHash>,
    /// Users whose rows were rejected: Cognito's last message, and how many times.
    pub(super) failures: HashMap<NameHash, (String, u32)>,
    /// Users whose rows were processed but are missing from the log. A job may have stopped at such a row.
    pub(super) suspects: HashSet<NameHash>,
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
    let log = match ended.imported + ended.skipped == job.rows {
        true => None,
        false => Some(read_complete_log(client, job, processed_rows).await),
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
            let name = prepared.hasher.hash(&username);
            let logged = log.as_ref().map(|log| log.get(&row));
            results.add(name, logged, row < processed_rows);
        }
    }
    Ok(())
}

impl JobResults {
    /// Adds a row. `logged` is what the log says about it, or none if the log was not needed because every row succeeded.
    fn add(&mut self, name: NameHash, logged: Option<Option<&RowResult>>, was_processed: bool) {
        self.in_files.insert(name);
        match logged {
            None | Some(Some(RowResult::Done)) => {
                self.done.insert(name);
            }
            Some(Some(RowResult::Failed(message))) => {
                let failure = self.failures.entry(name).or_default();
                *failure = (message.clone(), failure.1 + 1);
            }
            Some(None) if was_processed => {
                self.suspects.insert(name);
            }
            Some(None) => {}
        }
    }
}

/// Waits until the log has as many rows as the job processed, and reads it. If it stays incomplete or cannot be read, the next listing of
/// the pool still shows who was imported.
async fn read_complete_log(
    client: &ImportJobClient<'_>,
    job: &ImportJob,
    processed_rows: u64,
) -> BTreeMap<u64, RowResult> {
    let begun = Instant::now();
    loop {
        let log = client.read_log(job).await;
        let is_complete = log
            .as_ref()
            .is_ok_and(|log| log.len() as u64 >= processed_rows);
        if is_complete || begun.elapsed() > LOG_TIME_LIMIT {
            return results_by_row(log.unwrap_or_else(|error| {
                tracing::error!(%error, "the import log cannot be read: the report will lack Cognito's reasons");
                BTreeMap::new()
            }));
        }
        tokio::time::sleep(LOG_POLL_INTERVAL).await;
    }
}
