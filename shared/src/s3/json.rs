//! JSON objects in S3, and the one conditional write that survives a lost response.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::error::AwsError;
use crate::s3::bucket::{Bucket, Condition};

/// Why a JSON object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// S3 refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The object's content is not what its key says.
    #[error(
        "s3://{bucket}/{key} cannot be read at line {line}: it is not a twinpool object; move it away"
    )]
    Malformed {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The line of the text, from 1.
        line: usize,
    },
}

impl Bucket {
    /// Reads an object as JSON, with its entity tag; none when there is no such key.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object is not such a JSON value.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<(T, String)>, JsonError> {
        let Some(object) = self.get(key).await? else {
            return Ok(None);
        };
        match serde_json::from_slice(&object.body) {
            Ok(value) => Ok(Some((value, object.etag))),
            Err(error) => Err(JsonError::Malformed {
                bucket: self.name().to_owned(),
                key: self.full_key(key),
                line: error.line(),
            }),
        }
    }

    /// Writes a value as JSON if the condition holds, and gives the new entity tag; none when another process was first.
    ///
    /// If the condition fails only because an attempt of ours succeeded and its response was lost, this is a success too. An
    /// earlier value of ours, which `is_ours` recognises, is replaced: its write was not waited for.
    ///
    /// # Errors
    ///
    /// S3 failed, or the object in its place is not such a JSON value.
    pub async fn put_json_if<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &str,
        value: &T,
        condition: Condition<'_>,
        is_ours: impl Fn(&T) -> bool,
    ) -> Result<Option<String>, JsonError> {
        let body = to_json(value);
        if let Some(etag) = self.put_if(key, body.clone(), condition).await? {
            return Ok(Some(etag));
        }
        while let Some((written, etag)) = self.get_json::<T>(key).await? {
            if written == *value {
                return Ok(Some(etag));
            }
            if !is_ours(&written) {
                break;
            }
            let condition = Condition::Unchanged(&etag);
            if let Some(etag) = self.put_if(key, body.clone(), condition).await? {
                return Ok(Some(etag));
            }
        }
        Ok(None)
    }
}

/// A value as JSON, ended by a line feed.
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = Vec::new();
    append_json(&mut text, value);
    text
}

/// Appends a value as JSON, ended by a line feed.
pub fn append_json<T: Serialize>(text: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(&mut *text, value).expect("structs with string keys serialise");
    text.push(b'\n');
}
