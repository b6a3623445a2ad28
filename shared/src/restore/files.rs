//! What a restore leaves under `restores/<id>/`: the import files, the map of subs, and the report.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::aws::AwsError;
use crate::bucket::{Bucket, Upload, Uploaded, json};
use crate::import_csv::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
use crate::restore::fate::Reason;
use crate::restore::request::{Counts, Scope, Status};
use crate::snapshot::Id;

/// The folder of a restore, with its slash.
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
            *rows == MAX_ROWS_PER_FILE || upload.bytes() + row.len() as u64 > MAX_BYTES_PER_FILE
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

/// `sub-map.csv`: which `sub` of the snapshot's pool has become which of this pool.
#[derive(Debug)]
pub struct SubMap(Upload);

impl SubMap {
    /// Begins it.
    pub async fn begin(bucket: &Bucket, restore: &Id) -> Result<Self, AwsError> {
        let mut map = Self(bucket.upload(format!("{}sub-map.csv", folder(restore))));
        map.write("username", "secondary_sub", "primary_sub")
            .await?;
        Ok(map)
    }

    /// Adds a person.
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

    /// Makes it appear.
    pub async fn finish(self) -> Result<(), AwsError> {
        self.0.finish().await.map(|_| ())
    }
}

/// Somebody who is not home, in the report.
#[derive(Debug, Serialize)]
pub struct NotHome<'a> {
    username: &'a str,
    sub: &'a str,
    reason: &'a str,
    detail: Option<String>,
    advice: &'a str,
}

impl<'a> NotHome<'a> {
    /// Names somebody; `sub` is that of the snapshot's pool, empty where it is not known.
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

/// `report.json`, written person by person.
#[derive(Debug)]
pub struct Report {
    upload: Upload,
    is_empty: bool,
}

/// What a report is about.
#[derive(Debug)]
pub struct About<'a> {
    /// The restore.
    pub restore: &'a Id,
    /// The snapshot.
    pub snapshot: &'a Id,
    /// The pool that people are brought back into.
    pub pool: &'a str,
    /// Who was to be restored.
    pub scope: Scope,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// When it began.
    pub started_at: Timestamp,
}

impl Report {
    /// Begins it.
    pub async fn begin(bucket: &Bucket, about: &About<'_>) -> Result<Self, AwsError> {
        let head = json!({
            "version": 1,
            "restore": about.restore,
            "snapshot": about.snapshot,
            "pool": about.pool,
            "scope": about.scope,
            "dry_run": about.dry_run,
            "started_at": about.started_at,
        });
        let mut upload = bucket.upload(report_key(about.restore));
        let head = head.to_string();
        let head = head.strip_suffix('}').unwrap_or(&head);
        upload.write(head.as_bytes()).await?;
        upload.write(b",\"not_home\":[\n").await?;
        Ok(Self {
            upload,
            is_empty: true,
        })
    }

    /// Names somebody who is not home, or not with everything.
    pub async fn write(&mut self, not_home: &NotHome<'_>) -> Result<(), AwsError> {
        if !std::mem::take(&mut self.is_empty) {
            self.upload.write(b",").await?;
        }
        self.upload.write(&json(not_home)).await
    }

    /// Makes it appear. `more` are further members.
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
