//! The files of a snapshot, each closed and followed by the next before it outgrows what Cognito imports.

use crate::aws::AwsError;
use crate::bucket::{Bucket, Upload};
use crate::import_csv::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
use crate::snapshot::{File, Id, Role};

impl Role {
    fn key(self, folder: &str, number: usize) -> String {
        match self {
            Self::Users => format!("{folder}users-{number:04}.csv"),
            Self::Newcomers => format!("{folder}newcomers-{number:04}.csv"),
            Self::Rejected => format!("{folder}rejected.csv"),
            Self::Leftovers => format!("{folder}leftovers-{number:04}.jsonl"),
        }
    }

    /// Whether a file of this kind is followed by another when it is full; `rejected.csv` is for people, and one.
    fn is_numbered(self) -> bool {
        self != Self::Rejected
    }
}

/// The files of one role.
#[derive(Debug)]
pub struct Series {
    bucket: Bucket,
    folder: String,
    role: Role,
    head: String,
    open: Option<Upload>,
    rows: u64,
    /// Full, with their rows. They appear at the end only: by then this may be somebody else's snapshot.
    full: Vec<(Upload, u64)>,
}

impl Series {
    /// The files of a role, none begun yet. Each begins with `head`.
    pub fn new(bucket: &Bucket, snapshot: &Id, role: Role, head: String) -> Self {
        Self {
            bucket: bucket.clone(),
            folder: snapshot.folder(),
            role,
            head,
            open: None,
            rows: 0,
            full: Vec::new(),
        }
    }

    /// Adds a row, its line ending included.
    pub async fn write(&mut self, row: &[u8]) -> Result<(), AwsError> {
        let bytes = self.open.as_ref().map_or(0, Upload::bytes);
        let is_full =
            self.rows == MAX_ROWS_PER_FILE || bytes + row.len() as u64 > MAX_BYTES_PER_FILE;
        if is_full && self.rows > 0 && self.role.is_numbered() {
            self.close().await?;
        }
        self.rows += 1;
        self.opened().await?.write(row).await
    }

    /// Makes all files appear; there always is one, be it without rows.
    pub async fn finish(&mut self) -> Result<Vec<File>, AwsError> {
        self.opened().await?;
        self.close().await?;
        let mut files = Vec::new();
        for (upload, rows) in self.full.drain(..) {
            let uploaded = upload.finish().await?;
            files.push(File {
                key: uploaded.key,
                role: self.role,
                rows,
                bytes: uploaded.bytes,
                sha256: uploaded.sha256,
            });
        }
        Ok(files)
    }

    /// Gives up what has not appeared.
    pub async fn abort(&mut self) {
        let full = self.full.drain(..).map(|(upload, _)| upload);
        for upload in full.chain(self.open.take()) {
            upload.abort().await;
        }
    }

    /// The file that is open, begun if there is none.
    async fn opened(&mut self) -> Result<&mut Upload, AwsError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let key = self.role.key(&self.folder, self.full.len() + 1);
                let mut begun = self.bucket.upload(key);
                begun.write(self.head.as_bytes()).await?;
                begun
            }
        };
        Ok(self.open.insert(open))
    }

    async fn close(&mut self) -> Result<(), AwsError> {
        if let Some(mut open) = self.open.take() {
            open.put_away().await?;
            self.full.push((open, std::mem::take(&mut self.rows)));
        }
        Ok(())
    }
}
