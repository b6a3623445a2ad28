//! The import jobs of a restore, one after the other, and what is learnt from them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::{Restore, Step};
use crate::aws::Patience;
use crate::import_csv::reader::Lines;
use crate::pool::Pool;
use crate::restore::RestoreError;
use crate::restore::census::Key;
use crate::restore::files::ImportFile;
use crate::restore::job::{ImportJobs, Progress, RowFate, Started, by_row};
use crate::restore::open::{Ended, Job, Open};
use crate::snapshot::Id;

/// Calls a second about import jobs: 5 for each operation and pool (DG:quotas, UserPoolResourceRead and -Update).
const JOBS: u32 = 4;

/// The longest pause between two looks at a job.
const LOOK: Duration = Duration::from_secs(5);

/// How long another job of the account is waited for.
const BUSY: Duration = Duration::from_secs(15 * 60);

/// How often a job is started whose file is not seen.
const STARTS: u32 = 10;

/// How long the end of a log is waited for.
const LOG: Duration = Duration::from_secs(30);

/// What the import jobs of this restore have done.
#[derive(Default)]
pub(super) struct Tried {
    /// Everyone in their files.
    pub(super) rows: HashSet<Key>,
    /// Those who were imported, or were there before.
    pub(super) done: HashSet<Key>,
    /// Those who were refused: in which words, and how often.
    pub(super) failures: HashMap<Key, (String, u32)>,
    /// Those of whom the log does not say what has become of them, though their job has come as far as their rows.
    pub(super) suspects: HashSet<Key>,
}

impl Restore<'_> {
    /// Waits for the end of what an earlier run has started.
    pub(super) async fn finish_jobs(&self, open: &Open) -> Result<(), RestoreError> {
        for job in open.state().await.jobs {
            if job.ended.is_some() {
                continue;
            }
            let (jobs, logs) = self.jobs();
            let progress = self.import_jobs(&jobs, &logs).progress(&job.id).await?;
            if progress == Progress::Waiting {
                // Never started, and by now perhaps not what is needed.
                open.keep(|state| state.jobs.retain(|other| other.id != job.id))
                    .await?;
            } else {
                self.follow(open, &job).await?;
            }
        }
        Ok(())
    }

    fn jobs(&self) -> (Pool, aws_sdk_cloudwatchlogs::Client) {
        let sdk = &self.site.sdk;
        let client = sdk.cognito(&self.site.pool, Patience::ONCE);
        let jobs = Pool::new(client, self.site.pool.clone(), JOBS, self.run.until);
        let config = sdk.config(self.site.pool.region(), Patience::WORKER);
        (jobs, aws_sdk_cloudwatchlogs::Client::new(&config))
    }

    fn import_jobs<'b>(
        &'b self,
        pool: &'b Pool,
        logs: &'b aws_sdk_cloudwatchlogs::Client,
    ) -> ImportJobs<'b> {
        ImportJobs {
            pool,
            logs,
            pool_name: &self.pool_name,
            role: self.site.role.as_str(),
        }
    }

    /// Runs one import job to its end.
    pub(super) async fn import(
        &self,
        open: &Open,
        id: &Id,
        file: &ImportFile,
    ) -> Result<Job, RestoreError> {
        let (jobs, logs) = self.jobs();
        let jobs = self.import_jobs(&jobs, &logs);
        let number = open.state().await.jobs.len() + 1;
        let name = format!("twinpool-{id}-{number:04}");
        let job = Job {
            id: jobs.prepare(&name, &self.site.bucket, &file.key).await?,
            name,
            file: file.key.clone(),
            rows: file.rows,
            ended: None,
        };
        // Before it is started, so that whoever comes next knows of it.
        open.keep(|state| state.jobs.push(job.clone())).await?;
        let (mut unseen, begun) = (0, Instant::now());
        loop {
            match jobs.start(&job.id).await? {
                Started::Yes => break,
                Started::NoFile if unseen == STARTS => return Err(RestoreError::NoFile(job.id)),
                Started::NoFile => {
                    unseen += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Started::Busy if begun.elapsed() > BUSY => return Err(RestoreError::Busy),
                Started::Busy => {
                    tracing::info!(
                        job = job.id,
                        "not started yet: most likely another job is active"
                    );
                    (self.run.watch)(Step::Waiting);
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        self.follow(open, &job).await
    }

    /// Waits for the end of a job.
    async fn follow(&self, open: &Open, job: &Job) -> Result<Job, RestoreError> {
        let (pool, logs) = self.jobs();
        let jobs = self.import_jobs(&pool, &logs);
        let mut pause = Duration::from_millis(250);
        loop {
            match jobs.progress(&job.id).await? {
                Progress::Ended(ended) => {
                    tracing::info!(
                        job = job.id,
                        status = ended.status,
                        imported = ended.imported,
                        skipped = ended.skipped,
                        failed = ended.failed,
                        "an import job has ended"
                    );
                    let ended = Job {
                        ended: Some(ended),
                        ..job.clone()
                    };
                    open.keep(|state| {
                        let mut jobs = state.jobs.iter_mut();
                        if let Some(kept) = jobs.find(|kept| kept.id == job.id) {
                            *kept = ended.clone();
                        }
                    })
                    .await?;
                    return ended.must_have_begun();
                }
                Progress::Running(rows) => (self.run.watch)(Step::Importing(rows, job.rows)),
                Progress::Waiting => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK);
        }
    }

    /// What a job has done with each row of its file.
    pub(super) async fn learn(&self, tried: &mut Tried, job: &Job) -> Result<(), RestoreError> {
        let Some(ended) = &job.ended else {
            return Ok(());
        };
        let dealt_with = ended.imported + ended.skipped + ended.failed;
        let log = match ended.imported + ended.skipped == job.rows {
            true => None,
            false => Some(self.log(job, dealt_with).await?),
        };
        let mut download = self.site.bucket.download(&job.file).await?;
        let mut lines = Lines::default();
        while let Some(file) = &mut download {
            match file.chunk().await? {
                Some(chunk) => lines.feed(&chunk),
                None => {
                    lines.end();
                    download = None;
                }
            }
            while let Some(line) = lines.next_line() {
                let cells = line.text.ok().map(|text| self.rules.header().cells(text));
                let username = cells.and_then(|cells| cells.ok()?.username());
                let (Some(row), Some(username)) = (line.number.checked_sub(2), username) else {
                    continue;
                };
                let key = self.names.key(&username);
                tried.rows.insert(key);
                match log.as_ref().map(|log| log.get(&row)) {
                    None | Some(Some(RowFate::Done)) => {
                        tried.done.insert(key);
                    }
                    Some(Some(RowFate::Failed(text))) => {
                        let failure = tried.failures.entry(key).or_default();
                        *failure = (text.clone(), failure.1 + 1);
                    }
                    Some(None) if row < dealt_with => {
                        tried.suspects.insert(key);
                    }
                    Some(None) => {}
                }
            }
        }
        Ok(())
    }

    /// What the log of a job says of its rows, waited for until it is whole. Without it, people are still told apart by the pool's
    /// own listing.
    async fn log(&self, job: &Job, rows: u64) -> Result<BTreeMap<u64, RowFate>, RestoreError> {
        let (pool, logs) = self.jobs();
        let jobs = self.import_jobs(&pool, &logs);
        let begun = Instant::now();
        loop {
            let log = jobs.log(job).await;
            let is_whole = log.as_ref().is_ok_and(|log| log.len() as u64 >= rows);
            if is_whole || begun.elapsed() > LOG {
                return Ok(by_row(log.unwrap_or_else(|error| {
                    tracing::error!(%error, "the import log cannot be read: the report will lack Cognito's reasons");
                    BTreeMap::new()
                })));
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

impl Job {
    /// Itself, unless it ended without having dealt with any row: its file, the role or the pool is at fault, and not a row.
    fn must_have_begun(self) -> Result<Self, RestoreError> {
        match &self.ended {
            Some(Ended {
                status,
                message,
                imported: 0,
                skipped: 0,
                failed: 0,
            }) if self.rows > 0 => Err(RestoreError::JobFailed {
                job: self.id,
                message: message.clone().unwrap_or_else(|| status.clone()),
            }),
            _ => Ok(self),
        }
    }
}
