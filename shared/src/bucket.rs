//! Objects in an S3 bucket: read, written under a condition, listed, and uploaded as a stream in flat memory.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::aws::AwsError;

/// The smallest part but the last (S3: 5 MiB), so that memory stays small.
const PART: usize = 5 * 1024 * 1024;

/// Room in a part's buffer for the write that fills it.
const ROOM: usize = 256 * 1024;

/// How often a write is repeated that S3 found in conflict with another.
const CONFLICTS: u32 = 5;

/// A bucket in the function's region.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// What must hold for a write to take place.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// There is no such object yet.
    Absent,
    /// The object is still the one with this entity tag.
    Unchanged(&'a str),
}

/// An object that was read.
#[derive(Clone)]
pub struct Object {
    /// Its content.
    pub body: Vec<u8>,
    /// Its entity tag.
    pub etag: String,
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its whole key.
    pub key: String,
    /// When it was written, in whole seconds.
    pub last_modified: Timestamp,
}

/// A JSON object in S3 that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// S3 did not give it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// It cannot be read as what its key says it is.
    #[error(
        "s3://{bucket}/{key} cannot be read at line {line}: it is not a twinpool object; move it away"
    )]
    Malformed {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The line of its text.
        line: usize,
    },
}

impl Bucket {
    /// A bucket by its name.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes an object, whatever was there.
    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), AwsError> {
        self.send_put(key, body, None).await.map(|_| ())
    }

    /// Writes an object if the condition holds, and gives its entity tag; none when somebody else was first.
    pub async fn put_if(
        &self,
        key: &str,
        body: Vec<u8>,
        condition: Condition<'_>,
    ) -> Result<Option<String>, AwsError> {
        let mut conflicts = 0;
        loop {
            let error = match self.send_put(key, body.clone(), Some(condition)).await {
                Ok(etag) => return Ok(Some(etag)),
                Err(error) => error,
            };
            match error.code() {
                // S3 User Guide, conditional writes: the first write to finish succeeds, later ones get 412;
                // If-Match on an object that is gone gets 404.
                "PreconditionFailed" | "NoSuchKey" => return Ok(None),
                // 409: something else happened to the key meanwhile; to be tried again.
                "ConditionalRequestConflict" if conflicts < CONFLICTS => {
                    conflicts += 1;
                    tokio::time::sleep(Duration::from_millis(50) * conflicts).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// As [`Bucket::put_if`], of a value as JSON.
    pub async fn put_json_if<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        condition: Condition<'_>,
    ) -> Result<Option<String>, AwsError> {
        self.put_if(key, json(value), condition).await
    }

    /// As [`Bucket::put_json_if`], of a value that nobody else writes: a write that took place and whose answer was lost
    /// counts, although its repetition came too late.
    pub async fn put_json_once<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &str,
        value: &T,
        condition: Condition<'_>,
    ) -> Result<Option<String>, ReadError> {
        if let Some(etag) = self.put_json_if(key, value, condition).await? {
            return Ok(Some(etag));
        }
        let written = self.get_json::<T>(key).await?;
        Ok(written.and_then(|(written, etag)| (written == *value).then_some(etag)))
    }

    async fn send_put(
        &self,
        key: &str,
        body: Vec<u8>,
        condition: Option<Condition<'_>>,
    ) -> Result<String, AwsError> {
        let request = self.client.put_object().bucket(&self.name).key(key);
        let request = match condition {
            None => request,
            Some(Condition::Absent) => request.if_none_match("*"),
            Some(Condition::Unchanged(etag)) => request.if_match(etag),
        };
        let answer = request
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|e| AwsError::of("PutObject", &self.name, &e))?;
        answer
            .e_tag
            .ok_or_else(|| AwsError::hollow("PutObject", &self.name, "an entity tag"))
    }

    /// Reads an object; none when there is no such key.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, AwsError> {
        let answer = match self.send_get(key, None).await {
            Ok(answer) => answer,
            Err(error) if error.code() == "NoSuchKey" => return Ok(None),
            Err(error) => return Err(error),
        };
        let hollow = |missing| AwsError::hollow("GetObject", &self.name, missing);
        let etag = answer.e_tag.ok_or_else(|| hollow("an entity tag"))?;
        let body = answer
            .body
            .collect()
            .await
            .map_err(|_| hollow("its whole body"))?
            .to_vec();
        Ok(Some(Object { body, etag }))
    }

    /// Begins to read an object piece by piece; none when there is no such key.
    pub async fn download(&self, key: &str) -> Result<Option<Download>, AwsError> {
        let answer = match self.send_get(key, None).await {
            Ok(answer) => answer,
            Err(error) if error.code() == "NoSuchKey" => return Ok(None),
            Err(error) => return Err(error),
        };
        let hollow = |missing| AwsError::hollow("GetObject", &self.name, missing);
        let bytes = answer.content_length.and_then(|n| u64::try_from(n).ok());
        Ok(Some(Download {
            bucket: self.clone(),
            key: key.to_owned(),
            etag: answer.e_tag.ok_or_else(|| hollow("an entity tag"))?,
            bytes: bytes.ok_or_else(|| hollow("a length"))?,
            read: 0,
            body: answer.body,
        }))
    }

    /// The object from the byte on that is given with the entity tag of what came before it.
    async fn send_get(
        &self,
        key: &str,
        rest: Option<(u64, &str)>,
    ) -> Result<GetObjectOutput, AwsError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = match rest {
            None => request,
            Some((from, etag)) => request.range(format!("bytes={from}-")).if_match(etag),
        };
        let answer = request.send().await;
        answer.map_err(|e| AwsError::of("GetObject", &self.name, &e))
    }

    /// Reads an object as JSON, with its entity tag; none when there is no such key.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<(T, String)>, ReadError> {
        let Some(object) = self.get(key).await? else {
            return Ok(None);
        };
        match serde_json::from_slice(&object.body) {
            Ok(value) => Ok(Some((value, object.etag))),
            Err(error) => Err(ReadError::Malformed {
                bucket: self.name.clone(),
                key: key.to_owned(),
                line: error.line(),
            }),
        }
    }

    /// Deletes an object if it is still the one with this entity tag; false when it is another by now.
    /// One that is not there any more counts as deleted.
    pub async fn delete_if(&self, key: &str, etag: &str) -> Result<bool, AwsError> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .if_match(etag)
            .send()
            .await;
        match deleted.map_err(|e| AwsError::of("DeleteObject", &self.name, &e)) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == "NoSuchKey" => Ok(true),
            Err(error) if error.code() == "PreconditionFailed" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins to list the keys below a prefix.
    pub fn list(&self, prefix: impl Into<String>) -> Listing {
        Listing {
            bucket: self.clone(),
            prefix: prefix.into(),
            next: Next::First,
        }
    }

    /// Begins an object whose content comes piece by piece.
    pub fn upload(&self, key: impl Into<String>) -> Upload {
        Upload {
            bucket: self.clone(),
            key: key.into(),
            buffer: Vec::new(),
            multipart: None,
            digest: Sha256::new(),
            bytes: 0,
        }
    }
}

/// How often reading goes on after the connection was lost.
const RESUMPTIONS: u32 = 5;

/// An object being read piece by piece.
#[derive(Debug)]
pub struct Download {
    bucket: Bucket,
    key: String,
    etag: String,
    bytes: u64,
    read: u64,
    body: ByteStream,
}

impl Download {
    /// The length of the whole object.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next piece; none after the last. Goes on after a lost connection, with the same object or not at all.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, AwsError> {
        let mut resumptions = 0;
        loop {
            match self.body.next().await {
                Some(Ok(chunk)) => {
                    self.read += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                None if self.read == self.bytes => return Ok(None),
                Some(Err(_)) | None if resumptions == RESUMPTIONS => {
                    return Err(AwsError::hollow(
                        "GetObject",
                        &self.bucket.name,
                        "its whole body",
                    ));
                }
                Some(Err(_)) | None => {
                    resumptions += 1;
                    let rest = Some((self.read, self.etag.as_str()));
                    self.body = self.bucket.send_get(&self.key, rest).await?.body;
                }
            }
        }
    }

    /// What has not been read yet, as the body of another request.
    pub fn into_body(self) -> SdkBody {
        self.body.into_inner()
    }
}

/// A listing, page by page.
#[derive(Debug)]
pub struct Listing {
    bucket: Bucket,
    prefix: String,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    Token(String),
    Done,
}

impl Listing {
    /// The next page; none after the last. A page may be empty.
    pub async fn page(&mut self) -> Result<Option<Vec<Listed>>, AwsError> {
        let token = match std::mem::replace(&mut self.next, Next::Done) {
            Next::First => None,
            Next::Token(token) => Some(token),
            Next::Done => return Ok(None),
        };
        let name = &self.bucket.name;
        let answer = self
            .bucket
            .client
            .list_objects_v2()
            .bucket(name)
            .prefix(&self.prefix)
            .set_continuation_token(token)
            .send()
            .await
            .map_err(|e| AwsError::of("ListObjectsV2", name, &e))?;
        if answer.key_count.is_none() && answer.is_truncated.is_none() {
            return Err(AwsError::hollow("ListObjectsV2", name, "a count of keys"));
        }
        if answer.is_truncated == Some(true) {
            let token = answer.next_continuation_token.ok_or_else(|| {
                AwsError::hollow("ListObjectsV2", name, "the token of the next page")
            })?;
            self.next = Next::Token(token);
        }
        let listed = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                let millis = object.last_modified?.to_millis().ok()?;
                Some(Listed {
                    key: object.key?,
                    last_modified: Timestamp::from_millisecond(millis).ok()?,
                })
            });
        Ok(Some(listed.collect()))
    }
}

/// An object being written: one request when it is small, a multipart upload when it is not.
#[derive(Debug)]
pub struct Upload {
    bucket: Bucket,
    key: String,
    buffer: Vec<u8>,
    multipart: Option<Multipart>,
    digest: Sha256,
    bytes: u64,
}

#[derive(Debug)]
struct Multipart {
    id: String,
    parts: Vec<CompletedPart>,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The object's key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

impl Upload {
    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds to the end; sends a part when there is enough for one.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), AwsError> {
        self.digest.update(data);
        self.bytes += data.len() as u64;
        if self.buffer.capacity() == 0 {
            // Memory that is not written to costs nothing; growing by doubling would.
            self.buffer.reserve_exact(PART + ROOM);
        }
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= PART {
            self.send_part().await?;
        }
        Ok(())
    }

    async fn send_part(&mut self) -> Result<(), AwsError> {
        let (client, name) = (&self.bucket.client, &self.bucket.name);
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            begun @ None => {
                let answer = client
                    .create_multipart_upload()
                    .bucket(name)
                    .key(&self.key)
                    // The SDK sends this checksum with each part; S3 wants to have been told.
                    .checksum_algorithm(ChecksumAlgorithm::Crc32)
                    .send()
                    .await
                    .map_err(|e| AwsError::of("CreateMultipartUpload", name, &e))?;
                let id = answer.upload_id.ok_or_else(|| {
                    AwsError::hollow("CreateMultipartUpload", name, "an upload id")
                })?;
                begun.insert(Multipart {
                    id,
                    parts: Vec::new(),
                })
            }
        };
        let number = multipart.parts.len() as i32 + 1;
        let answer = client
            .upload_part()
            .bucket(name)
            .key(&self.key)
            .upload_id(&multipart.id)
            .part_number(number)
            .body(ByteStream::from(std::mem::take(&mut self.buffer)))
            .send()
            .await
            .map_err(|e| AwsError::of("UploadPart", name, &e))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32);
        multipart.parts.push(part.build());
        Ok(())
    }

    /// Sends what is left in memory, after the last write. A small object stays there: it is one request.
    pub async fn put_away(&mut self) -> Result<(), AwsError> {
        if self.multipart.is_some() && !self.buffer.is_empty() {
            self.send_part().await?;
        }
        Ok(())
    }

    /// Makes the object appear, whole.
    pub async fn finish(mut self) -> Result<Uploaded, AwsError> {
        match self.complete().await {
            Ok(()) => Ok(Uploaded {
                key: self.key,
                bytes: self.bytes,
                sha256: hex(&self.digest.finalize()),
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
        self.put_away().await?;
        let (client, name) = (&self.bucket.client, &self.bucket.name);
        if let Some(multipart) = &self.multipart {
            let parts = CompletedMultipartUpload::builder()
                .set_parts(Some(multipart.parts.clone()))
                .build();
            client
                .complete_multipart_upload()
                .bucket(name)
                .key(&self.key)
                .upload_id(&multipart.id)
                .multipart_upload(parts)
                .send()
                .await
                .map_err(|e| AwsError::of("CompleteMultipartUpload", name, &e))?;
        }
        Ok(())
    }

    /// Gives up what was sent so far. The bucket's lifecycle removes what cannot be given up now.
    pub async fn abort(self) {
        if let Some(multipart) = self.multipart {
            let aborted = self
                .bucket
                .client
                .abort_multipart_upload()
                .bucket(&self.bucket.name)
                .key(&self.key)
                .upload_id(multipart.id)
                .send()
                .await;
            if let Err(error) = aborted {
                let error = AwsError::of("AbortMultipartUpload", &self.bucket.name, &error);
                tracing::warn!(%error, "an unfinished upload stays until the bucket's lifecycle removes it");
            }
        }
    }
}

/// A value as JSON, ended by a line feed.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = Vec::new();
    push_json(&mut text, value);
    text
}

/// Adds a value as JSON, ended by a line feed.
pub fn push_json<T: Serialize>(text: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(&mut *text, value).expect("structs with string keys serialise");
    text.push(b'\n');
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
