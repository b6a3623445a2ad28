//! The operator who uses the AWS console: uploads an import file as the Cognito console does, and reads the result of the job.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_cognitoidentityprovider::types::{UserImportJobStatusType, UserImportJobType};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use local_regions::cognito::Pool;
use local_regions::region::{ACCOUNT_ID, Region};

/// The result of an import job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The final status of the job.
    pub status: UserImportJobStatusType,
    /// The number of users who were imported.
    pub imported: i64,
    /// The number of rows that were skipped because the user exists.
    pub skipped: i64,
    /// The number of rows that failed.
    pub failed: i64,
    /// The job's log, with one line for each row.
    pub log: Vec<String>,
}

/// Creates an import job, uploads the file to its pre-signed URL, starts the job and waits for its end.
///
/// # Errors
///
/// Says which call failed.
pub async fn import(region: &Region, pool: &Pool, csv: Vec<u8>) -> anyhow::Result<Imported> {
    let client = region.cognito_client();
    let created = client
        .create_user_import_job()
        .user_pool_id(&pool.id)
        .job_name("failback")
        .cloud_watch_logs_role_arn(format!("arn:aws:iam::{ACCOUNT_ID}:role/import-logs"))
        .send()
        .await
        .map_err(|e| e.into_service_error())
        .context("CreateUserImportJob")?;
    let job = created.user_import_job.context("no job")?;
    let url = job.pre_signed_url().context("no pre-signed URL")?;
    upload(url, csv).await?;
    let id = job.job_id().context("no job id")?;
    client
        .start_user_import_job()
        .user_pool_id(&pool.id)
        .job_id(id)
        .send()
        .await
        .map_err(|e| e.into_service_error())
        .context("StartUserImportJob")?;
    loop {
        let described = client
            .describe_user_import_job()
            .user_pool_id(&pool.id)
            .job_id(id)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("DescribeUserImportJob")?;
        let job = described.user_import_job.context("no job")?;
        if let Some(status) = ended(&job) {
            return Ok(Imported {
                status,
                imported: job.imported_users,
                skipped: job.skipped_users,
                failed: job.failed_users,
                log: region.cognito().import_log(&pool.id, id),
            });
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn ended(job: &UserImportJobType) -> Option<UserImportJobStatusType> {
    use UserImportJobStatusType::{Expired, Failed, Stopped, Succeeded};
    let status = job.status.clone()?;
    matches!(status, Expired | Failed | Stopped | Succeeded).then_some(status)
}

/// DG:import-tool: the URL is signed for `x-amz-server-side-encryption: aws:kms`.
async fn upload(url: &str, csv: Vec<u8>) -> anyhow::Result<()> {
    let request = Request::put(url)
        .header("x-amz-server-side-encryption", "aws:kms")
        .body(Full::new(Bytes::from(csv)))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.context("upload")?;
    let status = response.status();
    if !status.is_success() {
        let body = response.into_body().collect().await?.to_bytes();
        bail!("upload: {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
