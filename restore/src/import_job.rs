//! Cognito's user import jobs: create one, upload its file, start it, read its status and its log.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::types::{UserImportJobStatusType, UserImportJobType};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use jiff::Timestamp;

use crate::error::RestoreError;
use crate::lease::{ImportJob, JobEnd};
use shared::aws::AwsError;
use shared::cognito::pool::{Pool, PoolError};
use shared::id::Id;
use shared::s3::bucket::Bucket;

/// How long the upload of at most 100 MB may take; the URL is valid for 15 minutes (facts 1.8).
const UPLOAD_TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How many times an upload is tried, each time with a new job and its URL.
const UPLOAD_ATTEMPTS: u32 = 4;

/// The pause between two uploads.
const UPLOAD_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Calls Cognito's import operations, and reads the log of import jobs.
pub struct ImportJobClient<'a> {
    /// The target pool, with the rate limit of import operations.
    pub pool: &'a Pool,
    /// The same pool, for starts: with the patience after which a throttled start counts as one that has to wait for another job.
    pub starts: &'a Pool,
    /// The client that reads the log.
    pub logs: &'a aws_sdk_cloudwatchlogs::Client,
    /// The pool's name, which is part of the log group's name.
    pub pool_name: &'a str,
    /// The ARN of the role with which Cognito writes the log.
    pub role: &'a str,
}

/// The result of starting a job.
#[derive(Clone, Debug)]
pub enum StartResult {
    /// The job runs.
    Started,
    /// Another job is active; an account may run one at a time (DG:quotas).
    AnotherJobActive,
    /// Refused, and no other job of the pool is active: Cognito does not find the uploaded file yet, or the role or the pool is not as it
    /// should be, or another pool of the account runs a job. Only the words say which, and AWS documents none of them.
    Refused(AwsError),
}

/// The status of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Created, and not started.
    NotStarted,
    /// It was not started in time, and never will be (facts 1.8: within 24 to 48 hours).
    Expired,
    /// Started, and Cognito has not begun with it.
    Pending,
    /// Running; the number of rows processed so far.
    Running(u64),
    /// Ended, successfully or not.
    Ended(JobEnd),
}

/// What the log of a job says about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowResult {
    /// Imported.
    Imported,
    /// Not imported, because there is such a user.
    Skipped,
    /// Rejected; Cognito's message, which names no person (facts 1.8).
    Failed(String),
}

/// A job that has imported users into a pool, or may have.
#[derive(Clone, Debug)]
pub struct EarlierJob {
    /// Cognito's id of the job.
    pub id: String,
    /// The restore that it was a job of, as its name says.
    pub restore: Option<Id>,
    /// When it ended; none while it runs.
    pub ended_at: Option<Timestamp>,
}

/// Jobs that ListUserImportJobs returns per call (botocore ListUserImportJobs).
const JOBS_PER_PAGE: i32 = 60;

/// Lists the jobs that have imported users into a pool, or may have. A pool keeps up to 1,000 jobs (facts 1.7).
///
/// # Errors
///
/// A call fails, or the pool's deadline has come.
pub async fn list_jobs(pool: &Pool) -> Result<Vec<EarlierJob>, PoolError> {
    let jobs = list_all_jobs(pool).await?.into_iter();
    Ok(jobs.filter_map(earlier_job).collect())
}

/// Whether a job has been started and has not ended.
pub fn is_active(job: &UserImportJobType) -> bool {
    use UserImportJobStatusType::{InProgress, Pending, Stopping};
    matches!(job.status, Some(InProgress | Pending | Stopping))
}

async fn list_all_jobs(pool: &Pool) -> Result<Vec<UserImportJobType>, PoolError> {
    let mut jobs = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = pool
            .call_with_retry("ListUserImportJobs", || {
                pool.client()
                    .list_user_import_jobs()
                    .user_pool_id(pool.id().as_str())
                    .max_results(JOBS_PER_PAGE)
                    .set_pagination_token(token.clone())
                    .send()
            })
            .await?;
        jobs.extend(page.user_import_jobs.unwrap_or_default());
        token = page.pagination_token;
        if token.is_none() {
            return Ok(jobs);
        }
    }
}

/// A job, unless it has not imported anybody and will not without being started.
fn earlier_job(job: UserImportJobType) -> Option<EarlierJob> {
    use UserImportJobStatusType::{Created, Expired, Failed, Stopped, Succeeded};

    let has_ended = matches!(job.status, Some(Expired | Failed | Stopped | Succeeded));
    let is_idle = has_ended || job.status == Some(Created);
    if is_idle && job.imported_users == 0 {
        return None;
    }
    let ended_at = job.completion_date.filter(|_| has_ended);
    let ended_at = ended_at.and_then(|at| Timestamp::from_millisecond(at.to_millis().ok()?).ok());
    let name = job.job_name.as_deref().unwrap_or_default();
    Some(EarlierJob {
        id: job.job_id.unwrap_or_default(),
        restore: restore_of_job(name),
        ended_at,
    })
}

/// The name of a job of a restore.
pub fn job_name(restore: &Id, number: usize) -> String {
    format!("twinpool-{restore}-{number:04}")
}

/// The restore that a job was of, as its name says.
fn restore_of_job(name: &str) -> Option<Id> {
    let (restore, _) = name.strip_prefix("twinpool-")?.rsplit_once('-')?;
    Id::parse(restore)
}

impl ImportJobClient<'_> {
    /// Creates a job, uploads its file from the bucket, and returns the job's id.
    ///
    /// # Errors
    ///
    /// The job cannot be created, or no upload succeeds.
    pub async fn create_with_file(
        &self,
        name: &str,
        bucket: &Bucket,
        file: &str,
    ) -> Result<String, RestoreError> {
        let mut attempts = 0;
        loop {
            let job = self.create(name).await.map_err(RestoreError::of_set_up)?;
            let error = match self.upload(&job, bucket, file).await {
                Ok(()) => return self.id_of(job),
                Err(RestoreError::Bucket(error)) => error,
                Err(error) => return Err(error),
            };
            attempts += 1;
            // The error of an expired URL looks like any other, so the next attempt uses a new job, which has a new URL.
            if attempts == UPLOAD_ATTEMPTS {
                return Err(error.into());
            }
            tokio::time::sleep(UPLOAD_RETRY_DELAY).await;
        }
    }

    fn id_of(&self, job: UserImportJobType) -> Result<String, RestoreError> {
        let incomplete =
            || AwsError::incomplete_response("CreateUserImportJob", self.pool.id(), "a job id");
        Ok(job.job_id.ok_or_else(incomplete)?)
    }

    async fn create(&self, name: &str) -> Result<UserImportJobType, PoolError> {
        let response = self
            .pool
            .call_with_retry("CreateUserImportJob", || {
                self.pool
                    .client()
                    .create_user_import_job()
                    .user_pool_id(self.pool.id().as_str())
                    .job_name(name)
                    .cloud_watch_logs_role_arn(self.role)
                    .send()
            })
            .await?;
        let incomplete =
            || AwsError::incomplete_response("CreateUserImportJob", self.pool.id(), "a job");
        Ok(response.user_import_job.ok_or_else(incomplete)?)
    }

    /// Streams the file from its bucket to the job. Facts 1.8: the URL is signed for `x-amz-server-side-encryption: aws:kms`.
    async fn upload(
        &self,
        job: &UserImportJobType,
        bucket: &Bucket,
        file: &str,
    ) -> Result<(), RestoreError> {
        const PUT: &str = "the upload of an import file";
        let incomplete = |missing| AwsError::incomplete_response(PUT, self.pool.id(), missing);
        let url = job.pre_signed_url().ok_or_else(|| incomplete("a URL"))?;
        let file = bucket.download(file).await?;
        let file = file.ok_or_else(|| incomplete("the file in the bucket"))?;
        let length = file.length().to_string();
        let mut request = HttpRequest::new(file.into_body());
        let is_valid_url = request.set_uri(url).is_ok() && request.set_method("PUT").is_ok();
        if !is_valid_url {
            return Err(incomplete("a valid URL").into());
        }
        let headers = request.headers_mut();
        headers.insert("x-amz-server-side-encryption", "aws:kms");
        headers.insert("content-length", length);
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let connector = Connector::builder().tls_provider(tls).build();
        let response = tokio::time::timeout(UPLOAD_TIME_LIMIT, connector.call(request)).await;
        let response = response.map_err(|_| incomplete("a response in time"))?;
        let response = response.map_err(|_| incomplete("a response"))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(AwsError::from_status(PUT, self.pool.id(), response.status().as_u16()).into())
    }

    /// Starts a job.
    ///
    /// # Errors
    ///
    /// The call fails for a reason that is not a [`StartResult`].
    pub async fn start(&self, id: &str) -> Result<StartResult, PoolError> {
        let started = self
            .starts
            .call_with_retry("StartUserImportJob", || {
                self.starts
                    .client()
                    .start_user_import_job()
                    .user_pool_id(self.starts.id().as_str())
                    .job_id(id)
                    .send()
            })
            .await;
        let refusal = match started {
            Ok(_) => return Ok(StartResult::Started),
            Err(PoolError::Aws(error)) if error.code() == "PreconditionNotMetException" => {
                Some(error)
            }
            // AWS does not document which error it returns while another job is active, of this pool or of another one of the account.
            Err(PoolError::Aws(error)) if error.code() == "LimitExceededException" => None,
            Err(PoolError::TooLate(_)) => None,
            Err(error) => return Err(error),
        };
        // An earlier attempt started the job, and its response was lost.
        if self.status(id).await? != JobStatus::NotStarted {
            return Ok(StartResult::Started);
        }
        Ok(match refusal {
            Some(refusal) if !self.is_another_job_active(id).await? => {
                StartResult::Refused(refusal)
            }
            _ => StartResult::AnotherJobActive,
        })
    }

    /// Whether another job of the pool than this one is active.
    async fn is_another_job_active(&self, id: &str) -> Result<bool, PoolError> {
        let jobs = list_all_jobs(self.pool).await?;
        let mut others = jobs.iter().filter(|job| job.job_id() != Some(id));
        Ok(others.any(is_active))
    }

    /// Reads the status of a job.
    ///
    /// # Errors
    ///
    /// The call fails, or the response is incomplete.
    pub async fn status(&self, id: &str) -> Result<JobStatus, PoolError> {
        use UserImportJobStatusType::{Created, Expired, Failed, Pending, Stopped, Succeeded};

        let response = self
            .pool
            .call_with_retry("DescribeUserImportJob", || {
                self.pool
                    .client()
                    .describe_user_import_job()
                    .user_pool_id(self.pool.id().as_str())
                    .job_id(id)
                    .send()
            })
            .await?;
        let incomplete =
            || AwsError::incomplete_response("DescribeUserImportJob", self.pool.id(), "a job");
        let job = response.user_import_job.ok_or_else(incomplete)?;
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let (imported, skipped) = (count(job.imported_users), count(job.skipped_users));
        let failed = count(job.failed_users);
        Ok(match job.status.ok_or_else(incomplete)? {
            Created => JobStatus::NotStarted,
            Expired if imported + skipped + failed == 0 => JobStatus::Expired,
            Pending => JobStatus::Pending,
            status @ (Expired | Failed | Stopped | Succeeded) => JobStatus::Ended(JobEnd {
                status: status.as_str().to_owned(),
                message: job.completion_message,
                imported,
                skipped,
                failed,
            }),
            _ => JobStatus::Running(imported + skipped + failed),
        })
    }

    /// Reads the log of a job as far as it is written: line numbers, and the result of each line. Facts 1.8: group
    /// `/aws/cognito/userpools/ID/NAME`, stream `JOB_ID/JOB_NAME`.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub async fn read_log(&self, job: &ImportJob) -> Result<BTreeMap<u64, RowResult>, AwsError> {
        let group = format!(
            "/aws/cognito/userpools/{}/{}",
            self.pool.id(),
            self.pool_name
        );
        let stream = format!("{}/{}", job.id, job.name);
        let mut lines = BTreeMap::new();
        let mut token: Option<String> = None;
        loop {
            let response = self
                .logs
                .get_log_events()
                .log_group_name(&group)
                .log_stream_name(&stream)
                .start_from_head(true)
                .set_next_token(token.clone())
                .send()
                .await
                .map_err(|e| AwsError::from_sdk("GetLogEvents", &group, &e))?;
            let messages = response.events().iter().filter_map(|event| event.message());
            lines.extend(messages.filter_map(parse_log_line));
            // GetLogEvents: at the end of the stream it returns the token that it was given.
            let next = response.next_forward_token;
            if next.is_none() || next == token {
                return Ok(lines);
            }
            token = next;
        }
    }
}

/// Parses `[FAILED] Line Number 5956 - …` into the line number and the result.
fn parse_log_line(message: &str) -> Option<(u64, RowResult)> {
    let (word, rest) = message.strip_prefix('[')?.split_once("] Line Number ")?;
    let (number, text) = rest.split_once(" - ")?;
    let result = match word {
        "SUCCEEDED" => RowResult::Imported,
        "SKIPPED" => RowResult::Skipped,
        "FAILED" => RowResult::Failed(text.trim().to_owned()),
        _ => return None,
    };
    Some((number.trim().parse().ok()?, result))
}

/// Converts the line numbers of a log to row numbers, counted from 0.
///
/// AWS does not document whether the log counts the header, so the number of the first row tells. The numbers are trusted only if the
/// log is complete: if it has a line for each row that was processed, without a gap, and as many of each kind as the job counted.
/// Otherwise one row could be taken for another, and nothing is known of any of them.
pub fn results_by_row(
    lines: BTreeMap<u64, RowResult>,
    ended: &JobEnd,
) -> Option<BTreeMap<u64, RowResult>> {
    let first = *lines.keys().next()?;
    let last = *lines.keys().next_back()?;
    let count = |is_wanted: fn(&RowResult) -> bool| {
        lines.values().filter(|result| is_wanted(result)).count() as u64
    };
    let is_complete = first <= 2
        && last - first + 1 == lines.len() as u64
        && count(|result| *result == RowResult::Imported) == ended.imported
        && count(|result| *result == RowResult::Skipped) == ended.skipped
        && count(|result| matches!(result, RowResult::Failed(_))) == ended.failed;
    is_complete.then(|| {
        let lines = lines.into_iter();
        lines
            .map(|(number, result)| (number - first, result))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read_as_aws_shows_it() {
        let failed = "The User Record does not set any of the auto verified attributes to true. (Example: email_verified to true).";

        assert_eq!(
            parse_log_line(&format!("[FAILED] Line Number 5956 - {failed}")),
            Some((5956, RowResult::Failed(failed.into())))
        );
        assert_eq!(
            parse_log_line("[SUCCEEDED] Line Number 1 - The import succeeded."),
            Some((1, RowResult::Imported))
        );
        assert_eq!(
            parse_log_line("[SKIPPED] Line Number 2 - The user already exists."),
            Some((2, RowResult::Skipped))
        );
        assert_eq!(parse_log_line("The import job has begun."), None);
    }

    #[test]
    fn the_name_of_a_job_tells_its_restore() {
        let restore = Id::parse("20261120T095959Z-0a1b2c3d").unwrap();

        assert_eq!(restore_of_job(&job_name(&restore, 7)), Some(restore));
        for name in ["import of May", "twinpool-import", "twinpool-0a1b2c3d-0001"] {
            assert_eq!(restore_of_job(name), None, "{name}");
        }
    }

    #[test]
    fn a_job_counts_that_has_imported_somebody_or_still_may() {
        let job = |status, imported| {
            let job = UserImportJobType::builder().status(status);
            let job = job.imported_users(imported).job_id("import-1");
            let at = aws_sdk_cognitoidentityprovider::primitives::DateTime::from_secs(9);
            earlier_job(job.completion_date(at).build())
        };
        let ended_at = |job: Option<EarlierJob>| job.map(|job| job.ended_at);
        let at = Timestamp::from_second(9).unwrap();

        use UserImportJobStatusType::{Created, Failed, InProgress, Succeeded};
        assert_eq!(ended_at(job(Succeeded, 1)), Some(Some(at)));
        assert_eq!(ended_at(job(Failed, 1)), Some(Some(at)));
        assert_eq!(ended_at(job(InProgress, 0)), Some(None));
        assert_eq!(ended_at(job(Created, 0)), None);
        assert_eq!(ended_at(job(Failed, 0)), None);
    }

    fn ended(imported: u64, skipped: u64, failed: u64) -> JobEnd {
        JobEnd {
            status: "Failed".into(),
            message: None,
            imported,
            skipped,
            failed,
        }
    }

    #[test]
    fn rows_are_counted_from_the_first_one_whether_the_log_counts_the_header_or_not() {
        for first in [0, 1, 2] {
            let lines = BTreeMap::from([
                (first, RowResult::Imported),
                (first + 1, RowResult::Failed("no".into())),
            ]);

            let results = results_by_row(lines, &ended(1, 0, 1)).unwrap();

            assert_eq!(results[&0], RowResult::Imported);
            assert_eq!(results[&1], RowResult::Failed("no".into()));
        }
    }

    #[test]
    fn the_numbers_of_an_incomplete_log_are_not_trusted() {
        let imported = |number| (number, RowResult::Imported);
        let skipped = |number| (number, RowResult::Skipped);

        for (lines, ended) in [
            (vec![], ended(0, 0, 0)),
            (vec![imported(37)], ended(1, 0, 0)),
            // The first line is missing: row 0 would get the result of row 1.
            (vec![imported(2), imported(3)], ended(2, 1, 0)),
            (vec![imported(1), imported(3)], ended(2, 1, 0)),
            (vec![imported(1), skipped(2)], ended(2, 0, 0)),
        ] {
            assert_eq!(results_by_row(lines.into_iter().collect(), &ended), None);
        }
    }
}
