//! The files of a snapshot, each closed and followed by the next before it outgrows what Cognito imports.

use crate::aws::AwsError;
use crate::bucket::{Bucket, Upload, Uploaded};
use crate::snapshot::{File, Id, Role};

/// DG:quotas: 500,000 users an import file, the header excluded.
const MOST_ROWS: u64 = 500_000;
/// DG:quotas: 100 MB an import file; taken as 10^8, the smaller reading.
const MOST_BYTES: u64 = 100_000_000;

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
    open: Upload,
    rows: u64,
    closed: Vec<File>,
}

impl Series {
    /// Begins the first file, which there always is. Each file begins with `head`.
    pub async fn begin(
        bucket: &Bucket,
        snapshot: &Id,
        role: Role,
        head: String,
    ) -> Result<Self, AwsError> {
        let folder = snapshot.folder();
        let mut open = bucket.upload(role.key(&folder, 1));
        open.write(head.as_bytes()).await?;
        Ok(Self {
            bucket: bucket.clone(),
            folder,
            role,
            head,
            open,
            rows: 0,
            closed: Vec::new(),
        })
    }

    /// Adds a row, its line ending included.
    pub async fn write(&mut self, row: &[u8]) -> Result<(), AwsError> {
        let full = self.rows == MOST_ROWS || self.open.bytes() + row.len() as u64 > MOST_BYTES;
        if full && self.rows > 0 && self.role.is_numbered() {
            let next = self.role.key(&self.folder, self.closed.len() + 2);
            let mut open = self.bucket.upload(next);
            open.write(self.head.as_bytes()).await?;
            let filled = std::mem::replace(&mut self.open, open);
            let rows = std::mem::take(&mut self.rows);
            self.closed
                .push(file(self.role, rows, filled.finish().await?));
        }
        self.rows += 1;
        self.open.write(row).await
    }

    /// Closes the last file and gives all of them.
    pub async fn finish(mut self) -> Result<Vec<File>, AwsError> {
        let last = file(self.role, self.rows, self.open.finish().await?);
        self.closed.push(last);
        Ok(self.closed)
    }

    /// Gives up the file that is open.
    pub async fn abort(self) {
        self.open.abort().await;
    }
}

fn file(role: Role, rows: u64, uploaded: Uploaded) -> File {
    File {
        key: uploaded.key,
        role,
        rows,
        bytes: uploaded.bytes,
        sha256: uploaded.sha256,
    }
}
