//! What a restore writes below `restores/<id>/`: the import files, the map of subs, and the report.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::aws::AwsError;
use crate::bucket::{Bucket, Upload, Uploaded, json};
use crate::import_csv::{MOST_BYTES, MOST_ROWS};
use crate::restore::reason::Reason;
use crate::restore::request::{Counts, Scope, Status};
use crate::snapshot::Id;

/// The folder of a restore, with its final slash.
pub fn folder(restore: &Id) -> String {
    format!("restores/{restore}/")
}

/// The key of a restore's report.
pub fn report_key(restore: &Id) -> String {
    format!("{}report.json", folder(restore))
}

/// An import file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFile {
    /// Its key.
    pub key: String,
    /// Rows, the header not counted.
    pub rows: u64,
}

/// Import files in the making.
#[derive(Debug)]
pub struct ImportFiles<'a> {
    bucket: &'a Bucket,
    folder: String,
    head: String,
    number: usize,
    open: Option<(Upload, u64)>,
    closed: Vec<ImportFile>,
}

impl<'a> ImportFiles<'a> {
    /// Files that begin with `head`, the first one with this number.
    pub fn new(bucket: &'a Bucket, restore: &Id, number: usize, head: String) -> Self {
        Self {
            bucket,
            folder: folder(restore),
            head,
            number,
            open: None,
            closed: Vec::new(),
        }
    }

    /// Adds a row, its line feed included.
    pub async fn write(&mut self, row: &str) -> Result<(), AwsError> {
        let is_full = self.open.as_ref().is_some_and(|(upload, rows)| {
            *rows == MOST_ROWS || upload.bytes() + row.len() as u64 > MOST_BYTES
        });
        if is_full {
            self.close().await?;
        }
        let (upload, rows) = self.open().await?;
        *rows += 1;
        upload.write(row.as_bytes()).await
    }

    /// The file that is open, begun if there is none, and its rows.
    async fn open(&mut self) -> Result<&mut (Upload, u64), AwsError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let key = format!("{}import-{:04}.csv", self.folder, self.number);
                let mut upload = self.bucket.upload(key);
                upload.write(self.head.as_bytes()).await?;
                (upload, 0)
            }
        };
        Ok(self.open.insert(open))
    }

    async fn close(&mut self) -> Result<(), AwsError> {
        if let Some((upload, rows)) = self.open.take() {
            let Uploaded { key, .. } = upload.finish().await?;
            self.closed.push(ImportFile { key, rows });
            self.number += 1;
        }
        Ok(())
    }

    /// Gives up the one that is open.
    pub async fn abort(self) {
        if let Some((upload, _)) = self.open {
            upload.abort().await;
        }
    }

    /// Closes the last one and gives all: at least one, be it without rows, if that is asked for.
    pub async fn finish(mut self, at_least_one: bool) -> Result<Vec<ImportFile>, AwsError> {
        if at_least_one && self.closed.is_empty() {
            self.open().await?;
        }
        self.close().await?;
        Ok(self.closed)
    }
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
        let mut map = Self(bucket.upload(format!("{}sub-map.csv", folder(restore))));
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
    /// An entry. `sub` is the one in the snapshot's pool, or empty if it is not known.
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
        self.upload.write(&json(entry)).await
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
            "finished_at": crate::record::to_milliseconds(Timestamp::now()),
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
