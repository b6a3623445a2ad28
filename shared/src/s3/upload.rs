//! An object that is written as a stream, in flat memory: one request when it is small, a multipart upload when it is not.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use sha2::{Digest, Sha256};

use crate::aws::error::AwsError;
use crate::s3::bucket::Bucket;

/// Bytes of a part: the smallest that S3 accepts for all but the last part, so that memory stays small.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// An object that is being written.
#[derive(Debug)]
pub struct Upload {
    bucket: Bucket,
    key: String,
    buffer: Vec<u8>,
    multipart: Option<Multipart>,
    checksum: Sha256,
    bytes: u64,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    parts: Vec<CompletedPart>,
}

/// An object that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 checksum, in hex.
    pub sha256: String,
}

impl Bucket {
    /// Begins to write an object.
    pub fn upload(&self, key: impl Into<String>) -> Upload {
        Upload {
            bucket: self.clone(),
            key: key.into(),
            buffer: Vec::new(),
            multipart: None,
            checksum: Sha256::new(),
            bytes: 0,
        }
    }
}

impl Upload {
    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends data; sends a part when there is enough for one.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), AwsError> {
        self.checksum.update(data);
        self.bytes += data.len() as u64;
        let mut rest = data;
        while !rest.is_empty() {
            if self.buffer.capacity() == 0 {
                // Reserved memory that is never written to costs nothing; growing by doubling would.
                self.buffer.reserve_exact(PART_BYTES);
            }
            let room = PART_BYTES - self.buffer.len();
            let (fits, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(fits);
            rest = later;
            if self.buffer.len() == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), AwsError> {
        let (client, name) = (self.bucket.client(), self.bucket.name());
        let key = self.bucket.full_key(&self.key);
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none @ None => {
                let response = client
                    .create_multipart_upload()
                    .bucket(name)
                    .key(&key)
                    // The SDK sends this checksum with each part; S3 must know it beforehand.
                    .checksum_algorithm(ChecksumAlgorithm::Crc32)
                    .send()
                    .await
                    .map_err(|e| AwsError::from_sdk("CreateMultipartUpload", name, &e))?;
                let id = response.upload_id.ok_or_else(|| {
                    AwsError::incomplete_response("CreateMultipartUpload", name, "an upload id")
                })?;
                none.insert(Multipart {
                    id,
                    parts: Vec::new(),
                })
            }
        };
        let number = multipart.parts.len() as i32 + 1;
        let response = client
            .upload_part()
            .bucket(name)
            .key(&key)
            .upload_id(&multipart.id)
            .part_number(number)
            .body(ByteStream::from(std::mem::take(&mut self.buffer)))
            .send()
            .await
            .map_err(|e| AwsError::from_sdk("UploadPart", name, &e))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(response.e_tag)
            .set_checksum_crc32(response.checksum_crc32);
        multipart.parts.push(part.build());
        Ok(())
    }

    /// Sends what is left in memory, after the last write. A small object stays in memory, because it is one request.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn flush(&mut self) -> Result<(), AwsError> {
        if self.multipart.is_some() && !self.buffer.is_empty() {
            self.send_part().await?;
        }
        Ok(())
    }

    /// Makes the whole object appear in the bucket.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer; then there is no such object.
    pub async fn finish(mut self) -> Result<Uploaded, AwsError> {
        match self.complete().await {
            Ok(()) => Ok(Uploaded {
                key: self.key,
                bytes: self.bytes,
                sha256: hex(&self.checksum.finalize()),
            }),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn complete(&mut self) -> Result<(), AwsError> {
        if self.multipart.is_none() {
            let body = std::mem::take(&mut self.buffer);
            return self.bucket.put(&self.key, body).await;
        }
        self.flush().await?;
        let (client, name) = (self.bucket.client(), self.bucket.name());
        if let Some(multipart) = &self.multipart {
            let parts = CompletedMultipartUpload::builder()
                .set_parts(Some(multipart.parts.clone()))
                .build();
            client
                .complete_multipart_upload()
                .bucket(name)
                .key(self.bucket.full_key(&self.key))
                .upload_id(&multipart.id)
                .multipart_upload(parts)
                .send()
                .await
                .map_err(|e| AwsError::from_sdk("CompleteMultipartUpload", name, &e))?;
        }
        Ok(())
    }

    /// Discards what was sent so far. If that fails, the bucket's lifecycle removes it.
    pub async fn abort(self) {
        if let Some(multipart) = self.multipart {
            let (client, name) = (self.bucket.client(), self.bucket.name());
            let aborted = client
                .abort_multipart_upload()
                .bucket(name)
                .key(self.bucket.full_key(&self.key))
                .upload_id(multipart.id)
                .send()
                .await;
            if let Err(error) = aborted {
                let error = AwsError::from_sdk("AbortMultipartUpload", name, &error);
                tracing::warn!(%error, "an unfinished upload stays until the bucket's lifecycle removes it");
            }
        }
    }
}

/// Bytes in hex, lower case.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
