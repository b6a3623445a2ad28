//! The lines of a plan, read as a stream.

use serde::de::DeserializeOwned;
use shared::aws::AwsError;
use shared::import_csv::reader::Lines;
use shared::s3::bucket::Bucket;
use shared::s3::download::Download;

use crate::error::ReconcileError;

/// The lines of a file of a plan.
pub struct PlanLines {
    bucket: String,
    download: Download,
    lines: Lines,
    is_downloaded: bool,
    skip: u64,
}

impl PlanLines {
    /// Opens a file, from the line after `skip` lines.
    ///
    /// # Errors
    ///
    /// The file is gone, or S3 did not answer.
    pub async fn open(bucket: &Bucket, key: &str, skip: u64) -> Result<Self, ReconcileError> {
        let download = bucket.download(key).await?;
        let download = download
            .ok_or_else(|| AwsError::incomplete_response("GetObject", bucket.name(), "a plan"))?;
        Ok(Self {
            bucket: bucket.name().to_owned(),
            download,
            lines: Lines::default(),
            is_downloaded: false,
            skip,
        })
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

    fn damaged(&self) -> ReconcileError {
        AwsError::incomplete_response("GetObject", &self.bucket, "a plan").into()
    }

    async fn next_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ReconcileError> {
        loop {
            if let Some(line) = self.lines.next_line() {
                let line = line
                    .text
                    .ok()
                    .and_then(|line| serde_json::from_str(line).ok());
                return line.map(Some).ok_or_else(|| self.damaged());
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
