//! Numbered files, each closed before it exceeds a limit and followed by the next. They appear in the bucket all together, at the
//! end.

use crate::aws::error::AwsError;
use crate::s3::bucket::Bucket;
use crate::s3::upload::{Upload, Uploaded};

/// The largest file.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// Rows, the header not counted.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledFile {
    /// The object.
    pub object: Uploaded,
    /// Rows, the header not counted.
    pub rows: u64,
}

/// Numbered files that are being written.
pub struct RollingUpload {
    bucket: Bucket,
    key: Box<dyn Fn(usize) -> String + Send + Sync>,
    first_number: usize,
    header: String,
    limits: Option<FileLimits>,
    open: Option<Upload>,
    open_rows: u64,
    /// Full files with their rows, not in the bucket yet.
    closed: Vec<(Upload, u64)>,
}

impl RollingUpload {
    /// Files that begin with `header`; `key` gives a file's key by its number. Without limits there is only one file.
    pub fn new(
        bucket: &Bucket,
        key: impl Fn(usize) -> String + Send + Sync + 'static,
        first_number: usize,
        header: String,
        limits: Option<FileLimits>,
    ) -> Self {
        Self {
            bucket: bucket.clone(),
            key: Box::new(key),
            first_number,
            header,
            limits,
            open: None,
            open_rows: 0,
            closed: Vec::new(),
        }
    }

    /// Appends a row, its line ending included.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn write_row(&mut self, row: &[u8]) -> Result<(), AwsError> {
        let bytes = self.open.as_ref().map_or(0, Upload::bytes) + row.len() as u64;
        let is_full = self
            .limits
            .is_some_and(|limits| self.open_rows == limits.rows || bytes > limits.bytes);
        if is_full && self.open_rows > 0 {
            self.close_file().await?;
        }
        self.open_rows += 1;
        self.open_file().await?.write(row).await
    }

    /// Makes all files appear in the bucket.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer. Some files may have appeared then; [`RollingUpload::abort`] discards the rest.
    pub async fn finish(&mut self) -> Result<Vec<RolledFile>, AwsError> {
        self.close_file().await?;
        let mut files = Vec::new();
        while !self.closed.is_empty() {
            let (upload, rows) = self.closed.remove(0);
            let object = upload.finish().await?;
            files.push(RolledFile { object, rows });
        }
        Ok(files)
    }

    /// Makes all files appear in the bucket; without any row, an empty one with its header.
    ///
    /// # Errors
    ///
    /// As [`RollingUpload::finish`].
    pub async fn finish_with_at_least_one(&mut self) -> Result<Vec<RolledFile>, AwsError> {
        if self.closed.is_empty() {
            self.open_file().await?;
        }
        self.finish().await
    }

    /// Discards what has not appeared in the bucket.
    pub async fn abort(&mut self) {
        let closed = self.closed.drain(..).map(|(upload, _)| upload);
        for upload in closed.chain(self.open.take()) {
            upload.abort().await;
        }
    }

    /// The open file; begins one if there is none.
    async fn open_file(&mut self) -> Result<&mut Upload, AwsError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let key = (self.key)(self.first_number + self.closed.len());
                let mut upload = self.bucket.upload(key);
                upload.write(self.header.as_bytes()).await?;
                upload
            }
        };
        Ok(self.open.insert(open))
    }

    async fn close_file(&mut self) -> Result<(), AwsError> {
        if let Some(mut open) = self.open.take() {
            open.flush().await?;
            let rows = std::mem::take(&mut self.open_rows);
            self.closed.push((open, rows));
        }
        Ok(())
    }
}

impl std::fmt::Debug for RollingUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RollingUpload")
            .field("open", &self.open)
            .field("closed", &self.closed.len())
            .finish_non_exhaustive()
    }
}
