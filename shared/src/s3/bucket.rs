//! Objects in an S3 bucket: read, written under a condition, deleted and listed.
//!
//! [`Bucket::below`] makes a bucket of a prefix, so that an engine that has keys of its own can be run there a second time.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;

use crate::aws::error::AwsError;
use crate::s3::download::MAX_RESUMPTIONS;

/// How often a write is retried that S3 found in conflict with another write.
const MAX_CONFLICT_RETRIES: u32 = 5;

/// The pause before the first of these retries; it grows by itself each time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// A bucket, or what is below a prefix in it. All keys that it is given, and all that it returns, are relative to that prefix.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    /// Empty, or ended by a slash.
    prefix: String,
}

/// What must hold for a write to take place.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// There is no such object yet.
    Absent,
    /// The object still has this entity tag.
    Unchanged(&'a str),
}

impl<'a> Condition<'a> {
    /// The condition that nobody has written the object since it was read with this entity tag, or found absent.
    pub fn since_read(etag: Option<&'a str>) -> Self {
        etag.map_or(Self::Absent, Self::Unchanged)
    }
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
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// When it was written, in whole seconds.
    pub last_modified: Timestamp,
}

impl Bucket {
    /// A bucket by its name, in the client's region.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
            prefix: String::new(),
        }
    }

    /// What is below a prefix, as a bucket. The prefix ends with a slash.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        Self {
            prefix: self.full_key(prefix),
            ..self.clone()
        }
    }

    /// The whole bucket, of which this may be a part.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            prefix: String::new(),
            ..self.clone()
        }
    }

    /// The key in the whole bucket.
    pub fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its client, for a call that only one place makes.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Writes an object unconditionally.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), AwsError> {
        self.send_put(key, body, None).await.map(|_| ())
    }

    /// Writes an object if the condition holds, and gives its new entity tag; none when the condition does not hold.
    ///
    /// # Errors
    ///
    /// S3 refused for another reason or did not answer.
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
                "PreconditionFailed" => return Ok(None),
                "NoSuchKey" if matches!(condition, Condition::Unchanged(_)) => return Ok(None),
                // 409: another operation on the key took place meanwhile, and the write may be retried.
                "ConditionalRequestConflict" if conflicts < MAX_CONFLICT_RETRIES => {
                    conflicts += 1;
                    tokio::time::sleep(CONFLICT_PAUSE * conflicts).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn send_put(
        &self,
        key: &str,
        body: Vec<u8>,
        condition: Option<Condition<'_>>,
    ) -> Result<String, AwsError> {
        let key = self.full_key(key);
        let request = self.client.put_object().bucket(&self.name).key(key);
        let request = match condition {
            None => request,
            Some(Condition::Absent) => request.if_none_match("*"),
            Some(Condition::Unchanged(etag)) => request.if_match(etag),
        };
        let response = request
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|e| AwsError::from_sdk("PutObject", &self.name, &e))?;
        response
            .e_tag
            .ok_or_else(|| AwsError::incomplete_response("PutObject", &self.name, "an entity tag"))
    }

    /// Reads an object; none when there is no such key.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer, or the body broke off.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, AwsError> {
        let Some(response) = self.send_get(key, None).await? else {
            return Ok(None);
        };
        let incomplete = |missing| AwsError::incomplete_response("GetObject", &self.name, missing);
        let etag = response.e_tag.ok_or_else(|| incomplete("an entity tag"))?;
        let body = response.body.collect().await;
        let body = body.map_err(|_| incomplete("its whole body"))?.to_vec();
        Ok(Some(Object { body, etag }))
    }

    /// Requests an object; none when there is no such key. `rest` requests the bytes from an offset on, of the object that has
    /// this entity tag.
    pub(super) async fn send_get(
        &self,
        key: &str,
        rest: Option<(u64, &str)>,
    ) -> Result<Option<GetObjectOutput>, AwsError> {
        let key = self.full_key(key);
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = match rest {
            None => request,
            Some((from, etag)) => request.range(format!("bytes={from}-")).if_match(etag),
        };
        match request.send().await {
            Ok(response) => Ok(Some(response)),
            Err(error) => match AwsError::from_sdk("GetObject", &self.name, &error) {
                error if error.code() == "NoSuchKey" => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Reads `length` bytes, at least one, from an offset on, of an object that is written only once. Resumes after a lost connection.
    ///
    /// # Errors
    ///
    /// There is no such object or it is too short, S3 refused or did not answer, or the body broke off again and again.
    pub async fn get_range(
        &self,
        key: &str,
        from: u64,
        length: usize,
    ) -> Result<Vec<u8>, AwsError> {
        let incomplete = |missing| AwsError::incomplete_response("GetObject", &self.name, missing);
        let end = from + length as u64 - 1;
        let mut bytes = Vec::with_capacity(length);
        for _ in 0..=MAX_RESUMPTIONS {
            let rest = from + bytes.len() as u64;
            let request = self.client.get_object().bucket(&self.name).key(key);
            let response = request.range(format!("bytes={rest}-{end}")).send().await;
            let mut response =
                response.map_err(|e| AwsError::from_sdk("GetObject", &self.name, &e))?;
            // RFC 9110, 14.4. Without it, the body is something else.
            let expected = format!("bytes {rest}-");
            let range = response.content_range;
            if !range.is_some_and(|range| range.starts_with(&expected)) {
                return Err(incomplete("the range that was requested"));
            }
            // Whatever ends the body early, the next request is for the rest.
            while let Some(Ok(chunk)) = response.body.next().await {
                bytes.extend_from_slice(&chunk);
            }
            if bytes.len() == length {
                return Ok(bytes);
            }
        }
        Err(incomplete("all bytes of the range"))
    }

    /// Deletes an object if it still has this entity tag; false when it has been overwritten. An object that is gone already
    /// counts as deleted.
    ///
    /// # Errors
    ///
    /// S3 refused for another reason or did not answer.
    pub async fn delete_if(&self, key: &str, etag: &str) -> Result<bool, AwsError> {
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.name)
            .key(self.full_key(key))
            .if_match(etag)
            .send()
            .await;
        match deleted.map_err(|e| AwsError::from_sdk("DeleteObject", &self.name, &e)) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == "NoSuchKey" => Ok(true),
            Err(error) if error.code() == "PreconditionFailed" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins to list the objects below a prefix, in the order of their keys.
    pub fn list(&self, prefix: impl Into<String>) -> Listing {
        Listing {
            bucket: self.clone(),
            prefix: prefix.into(),
            start_after: None,
            next: NextPage::First,
        }
    }

    /// Begins to list the objects below a prefix whose keys come after `start_after`.
    pub fn list_after(&self, prefix: impl Into<String>, start_after: impl Into<String>) -> Listing {
        Listing {
            start_after: Some(start_after.into()),
            ..self.list(prefix)
        }
    }
}

/// A listing of objects, page by page.
#[derive(Debug)]
pub struct Listing {
    bucket: Bucket,
    prefix: String,
    start_after: Option<String>,
    next: NextPage,
}

#[derive(Debug)]
enum NextPage {
    First,
    Token(String),
    None,
}

impl Listing {
    /// The next page; none after the last one. A page may be empty.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ListedObject>>, AwsError> {
        let token = match std::mem::replace(&mut self.next, NextPage::None) {
            NextPage::First => None,
            NextPage::Token(token) => Some(token),
            NextPage::None => return Ok(None),
        };
        let bucket = &self.bucket;
        let name = &bucket.name;
        let start_after = self.start_after.as_ref().filter(|_| token.is_none());
        let incomplete = |missing| AwsError::incomplete_response("ListObjectsV2", name, missing);
        let response = bucket
            .client
            .list_objects_v2()
            .bucket(name)
            .prefix(bucket.full_key(&self.prefix))
            .set_start_after(start_after.map(|key| bucket.full_key(key)))
            .set_continuation_token(token)
            .send()
            .await
            .map_err(|e| AwsError::from_sdk("ListObjectsV2", name, &e))?;
        if response.key_count.is_none() && response.is_truncated.is_none() {
            return Err(incomplete("a count of keys"));
        }
        if response.is_truncated == Some(true) {
            let token = response.next_continuation_token;
            self.next = NextPage::Token(token.ok_or_else(|| incomplete("the next page's token"))?);
        }
        let objects = response.contents.unwrap_or_default().into_iter();
        let objects = objects.filter_map(|object| {
            let millis = object.last_modified?.to_millis().ok()?;
            Some(ListedObject {
                key: object.key?.strip_prefix(&bucket.prefix)?.to_owned(),
                last_modified: Timestamp::from_millisecond(millis).ok()?,
            })
        });
        Ok(Some(objects.collect()))
    }
}
