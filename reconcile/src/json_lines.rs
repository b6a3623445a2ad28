//! A file of JSON lines in the bucket, read as a stream: a plan, or the changes of a run.

use serde::de::DeserializeOwned;
use shared::import_csv::reader::Lines;
use shared::s3::bucket::Bucket;
use shared::s3::download::Download;
use shared::s3::json::JsonError;

use crate::error::ReconcileError;

/// The lines of a file.
pub struct JsonLines {
    bucket: String,
    key: String,
    download: Download,
    lines: Lines,
    is_downloaded: bool,
    skip: u64,
    read: usize,
}

impl JsonLines {
    /// Opens a file, from the line after `skip` lines; none when there is no such file.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn open(
        bucket: &Bucket,
        key: &str,
        skip: u64,
    ) -> Result<Option<Self>, ReconcileError> {
        let download = bucket.download(key).await?;
        Ok(download.map(|download| Self {
            bucket: bucket.name().to_owned(),
            key: key.to_owned(),
            download,
            lines: Lines::default(),
            is_downloaded: false,
            skip,
            read: 0,
        }))
    }

    /// The next lines that are wanted, at most `most`, and the number of lines that were read for them: 0 at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn next_batch<T: DeserializeOwned>(
        &mut self,
        most: usize,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<(Vec<T>, u64), ReconcileError> {
        let (mut batch, mut read) = (Vec::new(), 0);
        while batch.len() < most {
            let Some(line) = self.next_line::<T>().await? else {
                break;
            };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            read += 1;
            batch.extend(is_wanted(&line).then_some(line));
        }
        Ok((batch, read))
    }

    /// The next line; none after the last one.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn next_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ReconcileError> {
        loop {
            if let Some(line) = self.lines.next_line() {
                self.read += 1;
                let line = line
                    .text
                    .ok()
                    .and_then(|line| serde_json::from_str(line).ok());
                let malformed = || JsonError::Malformed {
                    bucket: self.bucket.clone(),
                    key: self.key.clone(),
                    line: self.read,
                };
                return Ok(Some(line.ok_or_else(malformed)?));
            }
            if self.is_downloaded {
                return Ok(None);
            }
            match self.download.next_chunk().await? {
                Some(chunk) => self.lines.feed(&chunk),
                None => {
                    self.lines.end();
                    self.is_downloaded = true;
                }
            }
        }
    }
}
