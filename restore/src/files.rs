//! What a restore writes below `restores/<id>/`: the import files, the map of subs, and the report.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::reason::Reason;
use crate::request::{Counts, Scope, Status};
use shared::aws::AwsError;
use shared::id::Id;
use shared::import_csv::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;
use shared::s3::rolling_upload::{FileLimits, RollingUpload};
use shared::s3::upload::Upload;

/// The folder of a restore, with its final slash.
pub fn folder(restore: &Id) -> String {
    format!("restores/{restore}/")
}

/// The key of a restore's report.
pub fn report_key(restore: &Id) -> String {
    format!("{}report.json", folder(restore))
}

/// Begins to write import files. The first one has this number.
pub fn import_files(
    bucket: &Bucket,
    restore: &Id,
    first_number: usize,
    header: String,
) -> RollingUpload {
    let prefix = format!("{}import", folder(restore));
    let limits = FileLimits {
        rows: MAX_ROWS_PER_FILE,
        bytes: MAX_BYTES_PER_FILE,
    };
    let key = move |number| format!("{prefix}-{number:04}.csv");
    RollingUpload::new(bucket, key, first_number, header, Some(limits))
}

/// Whether a restore has come to its end: the report is the last file that it completes.
///
/// # Errors
///
/// The bucket cannot be read.
pub async fn has_ended(bucket: &Bucket, restore: &Id) -> Result<bool, AwsError> {
    Ok(bucket.download(&report_key(restore)).await?.is_some())
}

/// Reads the `sub-map.csv` of a restore, and calls `found` for each newcomer whose `sub` in the target pool it has: with the name of their
/// sign-up record, and with that `sub`.
///
/// # Errors
///
/// The bucket cannot be read.
pub async fn read_sub_map(
    bucket: &Bucket,
    restore: &Id,
    mut found: impl FnMut(String, String),
) -> Result<(), AwsError> {
    let Some(map) = bucket.get(&sub_map_key(restore)).await? else {
        return Ok(());
    };
    let mut rows = csv::Reader::from_reader(map.body.as_slice());
    for row in rows.records().flatten() {
        if let (Some(record), Some(sub)) = (row.get(1), row.get(2))
            && !record.is_empty()
            && !sub.is_empty()
        {
            found(record.to_owned(), sub.to_owned());
        }
    }
    Ok(())
}

fn sub_map_key(restore: &Id) -> String {
    format!("{}sub-map.csv", folder(restore))
}

/// Writes `sub-map.csv`: the `sub` of each newcomer in the snapshot's pool, and in the target pool.
#[derive(Debug)]
pub struct SubMapWriter(Upload);

impl SubMapWriter {
    /// Begins the file with its header.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn begin(bucket: &Bucket, restore: &Id) -> Result<Self, AwsError> {
        let mut map = Self(bucket.upload(sub_map_key(restore)));
        map.write("username", "secondary_sub", "primary_sub")
            .await?;
        Ok(map)
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn write(
        &mut self,
        username: &str,
        secondary_sub: &str,
        primary_sub: &str,
    ) -> Result<(), AwsError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let row = writer
            .write_record([username, secondary_sub, primary_sub])
            .and_then(|()| Ok(writer.into_inner().map_err(|e| e.into_error())?))
            .expect("three cells fit into memory");
        self.0.write(&row).await
    }

    /// Completes the upload.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn finish(self) -> Result<(), AwsError> {
        self.0.finish().await.map(|_| ())
    }
}

/// A user who was not restored, as the report names them.
#[derive(Serialize)]
pub struct ReportEntry<'a> {
    username: &'a str,
    sub: &'a str,
    reason: &'a str,
    detail: Option<String>,
    advice: &'a str,
}

impl<'a> ReportEntry<'a> {
    /// An entry. `sub` is the one in the snapshot's pool; if it is not known, the identity; empty if that is not known either.
    pub fn new(username: &'a str, sub: &'a str, reason: &'a Reason) -> Self {
        Self {
            username,
            sub,
            reason: reason.as_str(),
            detail: reason.detail(),
            advice: reason.advice(),
        }
    }
}

/// Writes `report.json` user by user, so that its size does not matter.
#[derive(Debug)]
pub struct ReportWriter {
    upload: Upload,
    is_empty: bool,
}

/// What a report says first.
#[derive(Debug)]
pub struct ReportHeader<'a> {
    /// The restore.
    pub restore: &'a Id,
    /// The snapshot.
    pub snapshot: &'a Id,
    /// The target pool.
    pub pool: &'a str,
    /// Which users were to be restored.
    pub scope: Scope,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// When the restore began.
    pub started_at: Timestamp,
}

impl ReportWriter {
    /// Begins the report.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn begin(bucket: &Bucket, header: &ReportHeader<'_>) -> Result<Self, AwsError> {
        let members = json!({
            "version": 1,
            "restore": header.restore,
            "snapshot": header.snapshot,
            "pool": header.pool,
            "scope": header.scope,
            "dry_run": header.dry_run,
            "started_at": header.started_at,
        });
        let mut upload = bucket.upload(report_key(header.restore));
        let members = members.to_string();
        let unclosed = members.strip_suffix('}').unwrap_or(&members);
        upload.write(unclosed.as_bytes()).await?;
        upload.write(b",\"not_home\":[\n").await?;
        Ok(Self {
            upload,
            is_empty: true,
        })
    }

    /// Adds a user who was not restored.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn write(&mut self, entry: &ReportEntry<'_>) -> Result<(), AwsError> {
        if !std::mem::take(&mut self.is_empty) {
            self.upload.write(b",").await?;
        }
        self.upload.write(&to_json(entry)).await
    }

    /// Adds the last members and completes the upload. `more` are members beside status and counts.
    ///
    /// # Errors
    ///
    /// The upload fails.
    pub async fn finish(
        mut self,
        status: Status,
        counts: &Counts,
        more: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), AwsError> {
        let mut tail = json!({
            "status": status,
            "counts": counts,
            "finished_at": shared::time::to_milliseconds(Timestamp::now()),
        });
        if let Some(tail) = tail.as_object_mut() {
            tail.extend(more);
        }
        let tail = tail.to_string();
        self.upload.write(b"],").await?;
        self.upload
            .write(tail.strip_prefix('{').unwrap_or(&tail).as_bytes())
            .await?;
        self.upload.write(b"\n").await?;
        self.upload.finish().await.map(|_| ())
    }
}
