//! User import jobs: the upload to a pre-signed URL, the run in the background, and the log.

mod rows;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::{Answer, ApiError};
use super::import_csv::Csv;
use super::knobs::{ImportKnobs, Millis, system_time};
use super::params::{ARN, JOB_ID, NAME, PAGE_TOKEN, POOL_ID, Params};
use super::pool::PoolState;
use super::{Cognito, DAY, Inner, lock, seconds};
use crate::region::ACCOUNT_ID;

// facts 1.8: 15 minutes, written as 899 seconds in the samples [D].
const URL_LIFETIME: Millis = 899_000;

// facts 1.8: a job that is not started within 24 to 48 hours expires [D].
const UNSTARTED_JOB_LIFETIME: Millis = DAY;

// facts 1.7: 1,000 jobs for each pool [D].
const JOBS_PER_POOL: usize = 1000;

// How many rows are imported while the pool is locked; other requests are served between two batches.
const ROWS_PER_BATCH: usize = 200;

// facts 1.9 [D].
const TOO_MANY: &str = "Too many users have failed or been skipped during the import.";

// facts 1.8: the job fails when the log role is unusable [D]; the text is [Inf]. That any role of this account is
// usable, and no other, is [Inf] as well.
const ROLE_UNUSABLE: &str = "The CloudWatch Logs role cannot be used to write the job's log.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Created,
    Pending,
    InProgress,
    Stopping,
    Expired,
    Stopped,
    Failed,
    Succeeded,
}

/// An import job.
pub(super) struct Job {
    name: String,
    role: String,
    signature: String,
    created: Millis,
    started: Option<Millis>,
    completed: Option<Millis>,
    status: Status,
    message: Option<&'static str>,
    csv: Option<Bytes>,
    /// How often a start was requested.
    starts: u32,
    imported: u64,
    skipped: u64,
    failed: u64,
    log: Vec<(Millis, RowOutcome)>,
}

/// Rows that are imported while the pool is locked.
struct Batch<'a> {
    csv: &'a Csv,
    /// Numbers of the rows, from 0.
    rows: Range<usize>,
    /// Numbers of the rows, from 1, that fail with an internal error.
    broken: &'a BTreeSet<usize>,
    /// If more than this number of rows is not imported, the remaining rows are not tried.
    abort_above: Option<f64>,
}

/// The outcome of a row.
enum RowOutcome {
    Imported,
    Skipped,
    Failed(String),
}

/// A job's log stream in CloudWatch Logs.
pub(crate) struct ImportLog<'a> {
    /// The name of the stream.
    pub(crate) name: String,
    /// When the stream was created, in milliseconds since 1970.
    pub(crate) created: Millis,
    job: &'a Job,
}

impl ImportLog<'_> {
    /// The number of lines.
    pub(crate) fn len(&self) -> usize {
        self.job.log.len()
    }

    /// The time when a line was written, in milliseconds since 1970, and its text.
    pub(crate) fn event(&self, index: usize) -> (Millis, String) {
        (self.job.log[index].0, self.job.line(index))
    }
}

impl Job {
    /// The lines of its log.
    pub(super) fn log(&self) -> Vec<String> {
        (0..self.log.len()).map(|index| self.line(index)).collect()
    }

    /// A line of its log. Line numbers count the users from 1, without the header.
    // facts 1.8 for the text [D]; CUPE's line-number map counts from 1 without the header [I].
    fn line(&self, index: usize) -> String {
        let line = index + 1;
        match &self.log[index].1 {
            RowOutcome::Imported => {
                format!("[SUCCEEDED] Line Number {line} - The import succeeded.")
            }
            RowOutcome::Skipped => {
                format!("[SKIPPED] Line Number {line} - The user already exists.")
            }
            RowOutcome::Failed(reason) => format!("[FAILED] Line Number {line} - {reason}"),
        }
    }

    /// Whether its log can be read.
    fn is_logged(&self, knobs: ImportKnobs, now: Millis) -> bool {
        match knobs.log_lag {
            None => !self.log.is_empty(),
            Some(lag) => {
                let ended = self.completed.filter(|_| !self.log.is_empty());
                ended.is_some_and(|ended| ended + lag.as_millis() as Millis <= now)
            }
        }
    }

    /// Whether the job is importing users, or about to.
    pub(super) fn is_active(&self) -> bool {
        [Status::Pending, Status::InProgress, Status::Stopping].contains(&self.status)
    }

    fn expire(&mut self, now: Millis) {
        if self.status == Status::Created && self.created + UNSTARTED_JOB_LIFETIME <= now {
            self.status = Status::Expired;
            self.csv = None;
        }
    }

    fn finish(&mut self, status: Status, message: Option<&'static str>, now: Millis) {
        self.status = status;
        self.message = message;
        self.completed = Some(now);
        // facts 1.8: Cognito deletes the CSV after completion [D].
        self.csv = None;
    }

    fn describe(&self, pool_id: &str, id: &str, url: Option<String>) -> Value {
        let mut job = json!({
            "JobName": self.name,
            "JobId": id,
            "UserPoolId": pool_id,
            "CreationDate": seconds(self.created),
            "Status": format!("{:?}", self.status),
            "CloudWatchLogsRoleArn": self.role,
            "ImportedUsers": self.imported,
            "SkippedUsers": self.skipped,
            "FailedUsers": self.failed,
        });
        let optional = [
            ("StartDate", self.started.map(|at| seconds(at).into())),
            (
                "CompletionDate",
                self.completed.map(|at| seconds(at).into()),
            ),
            ("CompletionMessage", self.message.map(Value::from)),
            ("PreSignedUrl", url.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                job[name] = value;
            }
        }
        job
    }
}

impl PoolState {
    fn job(&mut self, id: &str, now: Millis) -> Result<&mut Job, ApiError> {
        let unknown = || ApiError::not_found(format!("User import job {id} does not exist."));
        let job = self.jobs.get_mut(id).ok_or_else(unknown)?;
        job.expire(now);
        Ok(job)
    }
}

impl Inner {
    fn import_url(&self, pool_id: &str, id: &str, job: &Job) -> Option<String> {
        if job.status != Status::Created {
            return None;
        }
        let at = system_time(job.created);
        let date = jiff::Timestamp::try_from(at)
            .ok()?
            .strftime("%Y%m%dT%H%M%SZ");
        let (region, day) = (&self.region, date.to_string()[..8].to_owned());
        Some(format!(
            "{}/cognito-import/{pool_id}/{id}?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential={ACCOUNT_ID}%2F{day}%2F{region}%2Fs3%2Faws4_request&X-Amz-Date={date}\
             &X-Amz-Expires=899&X-Amz-SignedHeaders=host%3Bx-amz-server-side-encryption&X-Amz-Signature={}",
            self.endpoint, job.signature
        ))
    }

    pub(super) fn create_user_import_job(&self, mut p: Params<'_>) -> Answer {
        let name = p.required("JobName", &NAME).to_owned();
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let role = p.required("CloudWatchLogsRoleArn", &ARN).to_owned();
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        if pool.settings.auto_verified.is_empty() {
            // facts 1.2: without one "the import job will not start" [D]; the form of the error is [Inf].
            let text = "The user pool must have at least one auto-verified attribute.";
            return Err(ApiError::precondition(text));
        }
        if pool.jobs.len() >= JOBS_PER_POOL {
            // botocore CreateUserImportJob lists the exception [D]; the text is [Inf].
            let text = "The user pool has the maximum number of import jobs.";
            return Err(ApiError::new("LimitExceededException", text));
        }
        let id = format!("import-{}", uuid::Uuid::new_v4().simple());
        let signature = uuid::Uuid::new_v4().simple().to_string();
        let job = Job {
            name,
            role,
            signature: format!("{signature}{signature}"),
            created: self.clock.now(),
            started: None,
            completed: None,
            status: Status::Created,
            message: None,
            csv: None,
            starts: 0,
            imported: 0,
            skipped: 0,
            failed: 0,
            log: Vec::new(),
        };
        let described = job.describe(pool_id, &id, self.import_url(pool_id, &id, &job));
        pool.jobs.insert(id, job);
        Ok(json!({"UserImportJob": described}))
    }

    /// The PUT to a pre-signed URL. Its errors are those of S3.
    pub(super) fn upload_csv(
        &self,
        path_and_query: &str,
        headers: &hyper::HeaderMap,
        body: Bytes,
    ) -> Result<(), ApiError> {
        let denied = |message| ApiError::forbidden("AccessDenied", message);
        let wrong = || {
            let text =
                "The request signature we calculated does not match the signature you provided.";
            ApiError::forbidden("SignatureDoesNotMatch", text)
        };
        let (path, query) = path_and_query.split_once('?').ok_or_else(wrong)?;
        let (pool_id, id) = path
            .strip_prefix("/cognito-import/")
            .and_then(|path| path.split_once('/'))
            .ok_or_else(wrong)?;
        let pool = self.pool(pool_id).map_err(|_| wrong())?;
        let mut pool = lock(&pool);
        let now = self.clock.now();
        let job = pool.job(id, now).map_err(|_| wrong())?;
        let signature = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("X-Amz-Signature="));
        // facts 1.8: the header is signed, so a PUT without it fails [D].
        let encryption = headers
            .get("x-amz-server-side-encryption")
            .map(hyper::header::HeaderValue::as_bytes);
        if signature != Some(job.signature.as_str()) || encryption != Some(b"aws:kms") {
            return Err(wrong());
        }
        if job.created + URL_LIFETIME <= now {
            return Err(denied("Request has expired"));
        }
        // S3 accepts uploads as long as the URL is valid; a job that has started no longer reads them [Inf].
        if job.status == Status::Created {
            job.csv = Some(body);
        }
        Ok(())
    }

    pub(super) fn describe_user_import_job(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let id = p.required("JobId", &JOB_ID);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let job = pool.job(id, self.clock.now())?;
        let url = self.import_url(pool_id, id, job);
        Ok(json!({"UserImportJob": job.describe(pool_id, id, url)}))
    }

    pub(super) fn list_user_import_jobs(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let max = p.required_number("MaxResults", 1, 60) as usize;
        let token = p.optional("PaginationToken", &PAGE_TOKEN);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let now = self.clock.now();
        let mut jobs: Vec<_> = pool.jobs.iter_mut().collect();
        // The newest first [Inf].
        jobs.sort_by_key(|(id, job)| (std::cmp::Reverse(job.created), (*id).clone()));
        let start = match token {
            None => 0,
            Some(token) => {
                1 + jobs
                    .iter()
                    .position(|(id, _)| *id == token)
                    .ok_or_else(|| ApiError::invalid_parameter("Invalid pagination token given."))?
            }
        };
        let more = jobs.len() > start + max;
        let page = jobs.into_iter().skip(start).take(max).map(|(id, job)| {
            job.expire(now);
            job.describe(pool_id, id, self.import_url(pool_id, id, job))
        });
        let page: Vec<_> = page.collect();
        let mut answer = json!({"UserImportJobs": page});
        if more && let Some(last) = page.last() {
            answer["PaginationToken"] = last["JobId"].clone();
        }
        Ok(answer)
    }

    pub(super) fn stop_user_import_job(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let id = p.required("JobId", &JOB_ID);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let job = pool.job(id, self.clock.now())?;
        if ![Status::Pending, Status::InProgress].contains(&job.status) {
            // [Inf]
            let message = format!("The job is not active. Its status is {:?}.", job.status);
            return Err(ApiError::precondition(message));
        }
        job.status = Status::Stopping;
        Ok(json!({"UserImportJob": job.describe(pool_id, id, None)}))
    }
}

impl Cognito {
    /// Passes the log streams of a log group to a function; `None` if there is no such group.
    // facts 1.8: the names of group and stream [I].
    pub(crate) fn import_logs<T>(
        &self,
        group: &str,
        look: impl FnOnce(&[ImportLog<'_>]) -> T,
    ) -> Option<T> {
        let (pool_id, name) = group
            .strip_prefix("/aws/cognito/userpools/")?
            .split_once('/')?;
        let pool = self.0.pool(pool_id).ok()?;
        let pool = lock(&pool);
        if pool.settings.name != name {
            return None;
        }
        let (knobs, now) = (self.0.knobs.import(), self.0.clock.now());
        let logged = pool
            .jobs
            .iter()
            .filter(|(_, job)| job.is_logged(knobs, now));
        let streams = logged.map(|(id, job)| ImportLog {
            name: format!("{id}/{}", job.name),
            created: job.started.unwrap_or(job.created),
            job,
        });
        let streams: Vec<_> = streams.collect();
        (!streams.is_empty()).then(|| look(&streams))
    }

    pub(super) fn start_user_import_job(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let id = p.required("JobId", &JOB_ID);
        p.check()?;
        let inner = &self.0;
        let pool = inner.pool(pool_id)?;
        let mut pool = lock(&pool);
        let now = inner.clock.now();
        let job = pool.job(id, now)?;
        if job.status != Status::Created {
            // [Inf]
            let message = format!("The job cannot be started. Its status is {:?}.", job.status);
            return Err(ApiError::precondition(message));
        }
        job.starts += 1;
        if job.csv.is_none() || job.starts <= inner.knobs.import().unseen_starts {
            // facts 1.8 [I].
            return Err(ApiError::precondition(format!(
                "No csv file was uploaded for {id}"
            )));
        }
        let mut importing = lock(&inner.importing);
        if *importing {
            // DG:quotas: one active import job per account [D]; the text is [Inf].
            return Err(ApiError::precondition(
                "Only one import job can be active at a time.",
            ));
        }
        *importing = true;
        job.status = Status::Pending;
        job.started = Some(now);
        let described = job.describe(pool_id, id, None);
        let (cognito, pool_id, id) = (self.clone(), pool_id.to_owned(), id.to_owned());
        tokio::spawn(async move { cognito.import(&pool_id, &id).await });
        Ok(json!({"UserImportJob": described}))
    }

    /// Runs a job to its end.
    async fn import(&self, pool_id: &str, id: &str) {
        let now = || self.0.clock.now();
        let csv = self.state(pool_id, |pool| {
            let header = pool.schema.csv_header();
            let bytes = pool
                .jobs
                .get(id)
                .and_then(|job| job.csv.clone())
                .unwrap_or_default();
            Csv::read(&bytes, &header)
        });
        let end = |status, message| {
            self.state(pool_id, |pool| {
                // The next job must be able to start before a client can see that this one has ended.
                *lock(&self.0.importing) = false;
                if let Some(job) = pool.jobs.get_mut(id) {
                    job.finish(status, message, now());
                }
            });
        };
        let role = self.state(pool_id, |pool| {
            pool.jobs.get(id).map(|job| job.role.clone())
        });
        if !role.is_some_and(|role| role.starts_with(&format!("arn:aws:iam::{ACCOUNT_ID}:role/"))) {
            return end(Status::Failed, Some(ROLE_UNUSABLE));
        }
        let csv = match csv {
            Ok(csv) => csv,
            Err(message) => return end(Status::Failed, Some(message)),
        };
        let broken = self.0.knobs.take_broken_rows();
        let mut next = 0;
        loop {
            let knobs = self.0.knobs.import();
            let batch = knobs.rows_per_second.map_or(ROWS_PER_BATCH, |rows| {
                (rows as usize / 10).clamp(1, ROWS_PER_BATCH)
            });
            let at = self.0.moment();
            let most = csv.len() as f64 * knobs.failure_share;
            let batch = Batch {
                csv: &csv,
                rows: next..(next + batch).min(csv.len()),
                broken: &broken,
                abort_above: knobs.abort.then_some(most),
            };
            let size = batch.rows.len();
            let bad = self.state(pool_id, |pool| pool.import_rows(id, batch, at));
            let Some(bad) = bad else {
                return end(
                    Status::Stopped,
                    Some("The Import Job was stopped by the developer."),
                );
            };
            next += size;
            if bad as f64 > most && (knobs.abort || next == csv.len()) {
                return end(Status::Failed, Some(TOO_MANY));
            }
            if next == csv.len() {
                return end(
                    Status::Succeeded,
                    Some("Import Job Completed Successfully."),
                );
            }
            match knobs.rows_per_second {
                Some(rows) => {
                    tokio::time::sleep(Duration::from_secs_f64(
                        size as f64 / f64::from(rows.max(1)),
                    ))
                    .await
                }
                None => tokio::task::yield_now().await,
            }
        }
    }
}
