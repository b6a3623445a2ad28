//! User import jobs: created, fed, started, followed, and their log read.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::types::{UserImportJobStatusType, UserImportJobType};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::RestoreError;
use crate::aws::AwsError;
use crate::bucket::Bucket;
use crate::pool::{Pool, PoolError};
use crate::restore::open::{Ended, Job};

/// How long an upload of at most 100 MB may take; the URL lives 15 minutes (facts 1.8).
const UPLOAD_WITHIN: Duration = Duration::from_secs(10 * 60);

/// How often an upload is tried, each time with a URL of its own.
const UPLOADS: u32 = 4;

/// The import jobs of a pool.
pub struct ImportJobs<'a> {
    /// The pool, asked at the pace of its import operations.
    pub pool: &'a Pool,
    /// Where the log is.
    pub logs: &'a aws_sdk_cloudwatchlogs::Client,
    /// The pool's name, which names the log.
    pub pool_name: &'a str,
    /// The role that Cognito writes the log with.
    pub role: &'a str,
}

/// Whether a job has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It has.
    Yes,
    /// Another job is active: one at a time per account (DG:quotas).
    Busy,
    /// The file is not seen yet.
    NoFile,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not started.
    Waiting,
    /// Rows that are dealt with so far.
    Running(u64),
    /// At its end.
    Ended(Ended),
}

/// What the log says of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFate {
    /// Imported, or there before.
    Done,
    /// Refused, in Cognito's words, which name no person (facts 1.8).
    Failed(String),
}

impl ImportJobs<'_> {
    /// Makes a job and uploads its file; gives the job's id.
    pub async fn prepare(
        &self,
        name: &str,
        bucket: &Bucket,
        file: &str,
    ) -> Result<String, RestoreError> {
        let mut tries = 0;
        loop {
            let job = self.create(name).await?;
            let error = match self.upload(&job, bucket, file).await {
                Ok(()) => return self.id(job),
                Err(RestoreError::Bucket(error)) => error,
                Err(error) => return Err(error),
            };
            tries += 1;
            // A URL that has expired meanwhile is refused as any other: a new job has a new one.
            if tries == UPLOADS {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn id(&self, job: UserImportJobType) -> Result<String, RestoreError> {
        let hollow = || AwsError::hollow("CreateUserImportJob", self.pool.id(), "a job id");
        Ok(job.job_id.ok_or_else(hollow)?)
    }

    async fn create(&self, name: &str) -> Result<UserImportJobType, PoolError> {
        let answer = self
            .pool
            .patiently("CreateUserImportJob", || {
                self.pool
                    .client()
                    .create_user_import_job()
                    .user_pool_id(self.pool.id().as_str())
                    .job_name(name)
                    .cloud_watch_logs_role_arn(self.role)
                    .send()
            })
            .await?;
        let hollow = || AwsError::hollow("CreateUserImportJob", self.pool.id(), "a job");
        Ok(answer.user_import_job.ok_or_else(hollow)?)
    }

    /// Streams the file from its bucket to the job. Facts 1.8: the URL is signed for `x-amz-server-side-encryption: aws:kms`.
    async fn upload(
        &self,
        job: &UserImportJobType,
        bucket: &Bucket,
        file: &str,
    ) -> Result<(), RestoreError> {
        const PUT: &str = "the upload of an import file";
        let hollow = |missing| AwsError::hollow(PUT, self.pool.id(), missing);
        let url = job.pre_signed_url().ok_or_else(|| hollow("a URL"))?;
        let file = bucket.download(file).await?;
        let file = file.ok_or_else(|| hollow("the file in the bucket"))?;
        let length = file.bytes().to_string();
        let mut request = HttpRequest::new(file.into_body());
        let is_url = request.set_uri(url).is_ok() && request.set_method("PUT").is_ok();
        if !is_url {
            return Err(hollow("a URL that is one").into());
        }
        let headers = request.headers_mut();
        headers.insert("x-amz-server-side-encryption", "aws:kms");
        headers.insert("content-length", length);
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let connector = Connector::builder().tls_provider(tls).build();
        let answer = tokio::time::timeout(UPLOAD_WITHIN, connector.call(request)).await;
        let answer = answer.map_err(|_| hollow("an answer in time"))?;
        let answer = answer.map_err(|_| hollow("an answer"))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(AwsError::of_status(PUT, self.pool.id(), answer.status().as_u16()).into())
    }

    /// Starts a job.
    pub async fn start(&self, id: &str) -> Result<Started, PoolError> {
        let started = self
            .pool
            .patiently("StartUserImportJob", || {
                self.pool
                    .client()
                    .start_user_import_job()
                    .user_pool_id(self.pool.id().as_str())
                    .job_id(id)
                    .send()
            })
            .await;
        match started {
            Ok(_) => Ok(Started::Yes),
            Err(PoolError::Aws(error)) if error.code() == "PreconditionNotMetException" => {
                // An answer that was lost: it has begun.
                if !matches!(self.progress(id).await?, Progress::Waiting) {
                    return Ok(Started::Yes);
                }
                // "No csv file was uploaded for import-…" (amplify-js#6416).
                let is_no_file = error.message().to_lowercase().contains("no csv file");
                Ok(if is_no_file {
                    Started::NoFile
                } else {
                    Started::Busy
                })
            }
            // Which of the two it is while another job is active, AWS does not say.
            Err(PoolError::Aws(error)) if error.code() == "LimitExceededException" => {
                Ok(Started::Busy)
            }
            Err(error) => Err(error),
        }
    }

    /// How far a job is.
    pub async fn progress(&self, id: &str) -> Result<Progress, PoolError> {
        use UserImportJobStatusType::{Created, Expired, Failed, Stopped, Succeeded};

        let answer = self
            .pool
            .patiently("DescribeUserImportJob", || {
                self.pool
                    .client()
                    .describe_user_import_job()
                    .user_pool_id(self.pool.id().as_str())
                    .job_id(id)
                    .send()
            })
            .await?;
        let hollow = || AwsError::hollow("DescribeUserImportJob", self.pool.id(), "a job");
        let job = answer.user_import_job.ok_or_else(hollow)?;
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let (imported, skipped) = (count(job.imported_users), count(job.skipped_users));
        let failed = count(job.failed_users);
        Ok(match job.status.ok_or_else(hollow)? {
            Created => Progress::Waiting,
            status @ (Expired | Failed | Stopped | Succeeded) => Progress::Ended(Ended {
                status: status.as_str().to_owned(),
                message: job.completion_message,
                imported,
                skipped,
                failed,
            }),
            _ => Progress::Running(imported + skipped + failed),
        })
    }

    /// What the log says so far of each line. Facts 1.8: group `/aws/cognito/userpools/ID/NAME`, stream
    /// `JOB_ID/JOB_NAME`.
    pub async fn log(&self, job: &Job) -> Result<BTreeMap<u64, RowFate>, AwsError> {
        let group = format!(
            "/aws/cognito/userpools/{}/{}",
            self.pool.id(),
            self.pool_name
        );
        let stream = format!("{}/{}", job.id, job.name);
        let mut lines = BTreeMap::new();
        let mut token: Option<String> = None;
        loop {
            let answer = self
                .logs
                .get_log_events()
                .log_group_name(&group)
                .log_stream_name(&stream)
                .start_from_head(true)
                .set_next_token(token.clone())
                .send()
                .await
                .map_err(|e| AwsError::of("GetLogEvents", &group, &e))?;
            let messages = answer.events().iter().filter_map(|event| event.message());
            lines.extend(messages.filter_map(log_line));
            // GetLogEvents: at the end of the stream, the token that was given comes back.
            let next = answer.next_forward_token;
            if next.is_none() || next == token {
                return Ok(lines);
            }
            token = next;
        }
    }
}

/// `[FAILED] Line Number 5956 - …` as the number and the row's fate.
fn log_line(message: &str) -> Option<(u64, RowFate)> {
    let (word, rest) = message.strip_prefix('[')?.split_once("] Line Number ")?;
    let (number, text) = rest.split_once(" - ")?;
    let fate = match word {
        "SUCCEEDED" | "SKIPPED" => RowFate::Done,
        "FAILED" => RowFate::Failed(text.trim().to_owned()),
        _ => return None,
    };
    Some((number.trim().parse().ok()?, fate))
}

/// What a log says of each row, rows counted from 0. Whether the log counts the header is not documented, so the first line must be
/// there to tell; without it nothing is said of anybody.
pub fn by_row(lines: BTreeMap<u64, RowFate>) -> BTreeMap<u64, RowFate> {
    let first = lines.keys().next().copied().unwrap_or_default();
    if first > 2 {
        return BTreeMap::new();
    }
    lines
        .into_iter()
        .map(|(number, fate)| (number - first, fate))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read_as_aws_shows_it() {
        let failed = "The User Record does not set any of the auto verified attributes to true. (Example: email_verified to true).";

        assert_eq!(
            log_line(&format!("[FAILED] Line Number 5956 - {failed}")),
            Some((5956, RowFate::Failed(failed.into())))
        );
        assert_eq!(
            log_line("[SUCCEEDED] Line Number 1 - The import succeeded."),
            Some((1, RowFate::Done))
        );
        assert_eq!(log_line("The import job has begun."), None);
    }

    #[test]
    fn rows_are_counted_from_the_first_one_whether_the_log_counts_the_header_or_not() {
        for first in [0, 1, 2] {
            let lines = BTreeMap::from([
                (first, RowFate::Done),
                (first + 1, RowFate::Failed("no".into())),
            ]);

            assert_eq!(by_row(lines)[&1], RowFate::Failed("no".into()));
        }
        let without_first = BTreeMap::from([(37, RowFate::Failed("no".into()))]);
        assert!(by_row(without_first).is_empty());
    }
}
