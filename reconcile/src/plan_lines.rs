//! The lines of a plan, read as a stream.

use serde::de::DeserializeOwned;
use shared::aws::AwsError;
use shared::s3::bucket::Bucket;
use shared::s3::download::Download;

use crate::error::ReconcileError;

/// The lines of a file of a plan.
pub struct PlanLines {
    bucket: String,
    download: Download,
    text: Vec<u8>,
    start: usize,
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
            text: Vec::new(),
            start: 0,
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
            let Some(line) = self.next_line().await? else {
                break;
            };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            read += 1;
            let line: T = serde_json::from_slice(&line).map_err(|_| self.damaged())?;
            batch.extend(is_wanted(&line).then_some(line));
        }
        Ok((batch, read))
    }

    fn damaged(&self) -> ReconcileError {
        AwsError::incomplete_response("GetObject", &self.bucket, "a plan").into()
    }

    async fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReconcileError> {
        loop {
            let rest = &self.text[self.start..];
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..length].to_vec();
                self.start += length + 1;
                return Ok(Some(line));
            }
            self.text.drain(..self.start);
            self.start = 0;
            match self.download.next_chunk().await? {
                Some(chunk) => self.text.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
