//! Phase 4: the import jobs, one after the other.

use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::Client as LogsClient;

use crate::error::RestoreError;
use crate::import_job::{ImportJobClient, JobStatus, StartResult, job_name};
use crate::lease::{ImportJob, JobEnd, RestoreLease};
use crate::run::config::Step;
use crate::run::prepare::Prepared;
use shared::aws::RetryPolicy;
use shared::cognito::pool::Pool;
use shared::id::Id;
use shared::s3::rolling_upload::RolledFile;

/// The rate limit of calls about import jobs. The quota is 5 a second for each operation and pool (DG:quotas, UserPoolResourceRead and
/// -Update).
const JOB_CALLS_PER_SECOND: u32 = 4;

/// The first pause between two reads of a job's status.
const JOB_POLL_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// The longest pause between two reads of a job's status, and the pause between two starts while another job is active.
const JOB_POLL_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// After this time, a job that Cognito has not begun with is mentioned in the log.
const LONG_WAIT: Duration = Duration::from_secs(60);

/// How long to wait until another job of the account ends.
const OTHER_JOB_TIME_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long a start is throttled until it counts as one that has to wait for another job.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How many times a refused job is started again: Cognito may not find its file yet.
const REFUSED_RETRIES: u32 = 10;

/// The pause between two starts of a refused job.
const REFUSED_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Runs import jobs, and notes them under the lease.
pub(super) struct JobRunner<'a> {
    prepared: &'a Prepared<'a>,
    lease: &'a RestoreLease,
    pool: Pool,
    starts: Pool,
    logs: LogsClient,
}

impl<'a> JobRunner<'a> {
    pub(super) fn new(prepared: &'a Prepared<'a>, lease: &'a RestoreLease) -> Self {
        let config = prepared.config;
        let pool = || {
            let client = config.sdk.cognito(&config.pool, RetryPolicy::NO_RETRY);
            let deadline = prepared.run.deadline;
            Pool::rate_limited(client, config.pool.clone(), JOB_CALLS_PER_SECOND, deadline)
        };
        let logs_config = config.sdk.config(config.pool.region(), RetryPolicy::WORKER);
        Self {
            prepared,
            lease,
            pool: pool(),
            starts: pool().with_patience(START_PATIENCE),
            logs: LogsClient::new(&logs_config),
        }
    }

    /// The client that the jobs are run with.
    pub(super) fn client(&self) -> ImportJobClient<'_> {
        ImportJobClient {
            pool: &self.pool,
            starts: &self.starts,
            logs: &self.logs,
            pool_name: &self.prepared.pool_name,
            role: self.prepared.config.role.as_str(),
        }
    }

    /// Waits until every job that an earlier run started has ended, and forgets a job that was never started: its rows may not be
    /// needed any more. Says whether there was a job to wait for.
    ///
    /// # Errors
    ///
    /// The status of a job cannot be read, a job failed, or another run holds the lease.
    pub(super) async fn wait_for_earlier_jobs(&self) -> Result<bool, RestoreError> {
        let mut has_waited = false;
        for job in self.lease.state().await.jobs {
            if job.ended.is_some() {
                continue;
            }
            // A job that expired before it was started has not read its file, and never will.
            let status = self.client().status(&job.id).await?;
            if matches!(status, JobStatus::NotStarted | JobStatus::Expired) {
                self.lease
                    .update(|state| state.jobs.retain(|other| other.id != job.id))
                    .await?;
            } else {
                self.wait_for(&job).await?;
                has_waited = true;
            }
        }
        Ok(has_waited)
    }

    /// Imports a file: creates a job, starts it, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// The job cannot be created or started, or it failed.
    pub(super) async fn import(
        &self,
        restore: &Id,
        file: &RolledFile,
    ) -> Result<ImportJob, RestoreError> {
        let number = self.lease.state().await.jobs.len() + 1;
        let name = job_name(restore, number);
        let bucket = &self.prepared.config.bucket;
        let job = ImportJob {
            id: self
                .client()
                .create_with_file(&name, bucket, &file.object.key)
                .await?,
            name,
            file: file.object.key.clone(),
            rows: file.rows,
            ended: None,
        };
        // The job is noted before it is started, so that a later run knows of it.
        self.lease
            .update(|state| state.jobs.push(job.clone()))
            .await?;
        self.start(&job).await?;
        self.wait_for(&job).await
    }

    async fn start(&self, job: &ImportJob) -> Result<(), RestoreError> {
        let (mut retries, begun) = (0, Instant::now());
        loop {
            match self.client().start(&job.id).await? {
                StartResult::Started => return Ok(()),
                StartResult::Refused(error) if retries == REFUSED_RETRIES => {
                    return Err(RestoreError::JobNotStarted {
                        job: job.id.clone(),
                        error,
                    });
                }
                StartResult::Refused(_) => {
                    retries += 1;
                    tokio::time::sleep(REFUSED_RETRY_DELAY).await;
                }
                StartResult::AnotherJobActive if begun.elapsed() > OTHER_JOB_TIME_LIMIT => {
                    return Err(RestoreError::AnotherJobActive);
                }
                StartResult::AnotherJobActive => {
                    tracing::info!(
                        job = job.id,
                        "the import job cannot be started yet: most likely another job is active"
                    );
                    (self.prepared.run.on_progress)(Step::WaitingForOtherJob);
                    tokio::time::sleep(JOB_POLL_INTERVAL_MAX).await;
                }
            }
        }
    }

    /// Waits until a job has ended, and notes how.
    async fn wait_for(&self, job: &ImportJob) -> Result<ImportJob, RestoreError> {
        let mut pause = JOB_POLL_INTERVAL_MIN;
        let (begun, mut has_warned) = (Instant::now(), false);
        loop {
            match self.client().status(&job.id).await? {
                JobStatus::Ended(ended) => {
                    tracing::info!(
                        job = job.id,
                        status = ended.status,
                        imported = ended.imported,
                        skipped = ended.skipped,
                        failed = ended.failed,
                        "an import job has ended"
                    );
                    let ended = ImportJob {
                        ended: Some(ended),
                        ..job.clone()
                    };
                    self.lease
                        .update(|state| {
                            let mut jobs = state.jobs.iter_mut();
                            if let Some(noted) = jobs.find(|noted| noted.id == job.id) {
                                *noted = ended.clone();
                            }
                        })
                        .await?;
                    return check_rows_processed(ended);
                }
                JobStatus::Running(rows) => {
                    (self.prepared.run.on_progress)(Step::Importing(rows, job.rows));
                }
                JobStatus::NotStarted | JobStatus::Pending => {
                    (self.prepared.run.on_progress)(Step::WaitingForCognito);
                    if !has_warned && begun.elapsed() > LONG_WAIT {
                        has_warned = true;
                        tracing::warn!(
                            job = job.id,
                            "the import job is still pending: Cognito has accepted it and has not begun with it; the restore waits for it"
                        );
                    }
                }
                JobStatus::Expired => {
                    return Err(RestoreError::JobFailed {
                        job: job.id.clone(),
                        message: "Expired".to_owned(),
                    });
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(JOB_POLL_INTERVAL_MAX);
        }
    }
}

/// Fails if a job ended without having processed any row: then its file, the role or the pool is the cause, and not a row.
fn check_rows_processed(job: ImportJob) -> Result<ImportJob, RestoreError> {
    match &job.ended {
        Some(JobEnd {
            status,
            message,
            imported: 0,
            skipped: 0,
            failed: 0,
        }) if job.rows > 0 => Err(RestoreError::JobFailed {
            message: message.clone().unwrap_or_else(|| status.clone()),
            job: job.id,
        }),
        _ => Ok(job),
    }
}
