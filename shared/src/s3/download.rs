//! An object that is read as a stream.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;

use crate::aws::error::AwsError;
use crate::s3::bucket::Bucket;

/// How often a read is resumed after the connection was lost.
pub(super) const MAX_RESUMPTIONS: u32 = 5;

/// An object that is read chunk by chunk.
#[derive(Debug)]
pub struct Download {
    bucket: Bucket,
    key: String,
    etag: String,
    length: u64,
    bytes_read: u64,
    body: ByteStream,
}

impl Bucket {
    /// Begins to read an object; none when there is no such key.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn download(&self, key: &str) -> Result<Option<Download>, AwsError> {
        let Some(response) = self.send_get(key, None).await? else {
            return Ok(None);
        };
        let incomplete = |missing| AwsError::incomplete_response("GetObject", self.name(), missing);
        let length = response.content_length.and_then(|n| u64::try_from(n).ok());
        Ok(Some(Download {
            bucket: self.clone(),
            key: key.to_owned(),
            etag: response.e_tag.ok_or_else(|| incomplete("an entity tag"))?,
            length: length.ok_or_else(|| incomplete("a length"))?,
            bytes_read: 0,
            body: response.body,
        }))
    }
}

impl Download {
    /// The length of the whole object, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next chunk; none after the last one. Resumes after a lost connection, if the object is still the same.
    ///
    /// # Errors
    ///
    /// The rest of the object cannot be read.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, AwsError> {
        let mut resumptions = 0;
        loop {
            match self.body.next().await {
                Some(Ok(chunk)) => {
                    self.bytes_read += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                None if self.bytes_read == self.length => return Ok(None),
                Some(Err(_)) | None if resumptions == MAX_RESUMPTIONS => {
                    return Err(self.incomplete());
                }
                Some(Err(_)) | None => {
                    resumptions += 1;
                    let rest = Some((self.bytes_read, self.etag.as_str()));
                    let response = self.bucket.send_get(&self.key, rest).await?;
                    self.body = response.ok_or_else(|| self.incomplete())?.body;
                }
            }
        }
    }

    /// What has not been read yet, as the body of another request.
    pub fn into_body(self) -> SdkBody {
        self.body.into_inner()
    }

    fn incomplete(&self) -> AwsError {
        AwsError::incomplete_response("GetObject", self.bucket.name(), "its whole body")
    }
}
