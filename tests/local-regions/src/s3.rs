//! S3 of one region: s3s implements the protocol and checks signatures, s3s-fs keeps the objects in a folder.
//!
//! This module adds what these crates leave out and this project depends on: a missing bucket is an error, conditional writes
//! and deletes are atomic, `LastModified` has the resolution of one second as in S3, and created objects send notifications.
//! For this, buckets and conditions are checked before the signature. If several things are wrong with a request, AWS reports
//! the signature first `[Inf]`, and this module reports it last.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use s3s::auth::SimpleAuth;
use s3s::dto::HeadObjectInput;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3 as _, S3Request};
use s3s_fs::FileSystem;
use serde_json::json;
use tokio::sync::{RwLock, mpsc};
use uuid::Uuid;

use crate::region::{ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY};

/// The buckets of one region. Clones are handles to the same buckets.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    region: String,
    root: PathBuf,
    service: S3Service,
    /// Access to the same folder outside of a request.
    files: FileSystem,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    announce: mpsc::UnboundedSender<Notification>,
}

#[derive(Default)]
struct Bucket {
    /// Readers share this lock; a write holds it exclusively from the check of its condition to its end.
    lock: RwLock<()>,
    /// Pairs of a prefix and the function that is notified.
    notifications: Mutex<Vec<(String, String)>>,
    /// Prefixes, each with the days after which its objects expire.
    lifecycle: Mutex<Vec<(String, u32)>>,
    /// The account that owns the bucket, if it is not ours. It lets everybody in.
    other_owner: Mutex<Option<String>>,
}

impl Bucket {
    /// The id of the account that owns it.
    fn owner(&self) -> String {
        let other = self
            .other_owner
            .lock()
            .expect("no thread panicked while it held the lock");
        other.clone().unwrap_or_else(|| ACCOUNT_ID.to_owned())
    }
}

/// An object was created, and this function is to be invoked.
pub struct Notification {
    /// The function to invoke.
    pub function: String,
    /// The event of S3, as JSON.
    pub event: Bytes,
}

/// What a request is for.
#[derive(Debug, Default, PartialEq)]
pub struct Target {
    /// The name of the API operation, such as `PutObject`.
    pub operation: &'static str,
    /// The bucket; empty if the request names none.
    pub bucket: String,
    /// The key; empty if the request names none.
    pub key: String,
}

impl S3 {
    /// A region that keeps its objects in the folder `root`; returned with the queue of its notifications.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be created.
    pub fn new(
        region: &str,
        root: &Path,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Notification>)> {
        std::fs::create_dir_all(root)?;
        let open = || FileSystem::new(root).map_err(|e| anyhow::anyhow!("{e:?}"));
        let mut service = S3ServiceBuilder::new(open()?);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let (announce, notifications) = mpsc::unbounded_channel();
        let inner = Inner {
            region: region.to_owned(),
            root: root.to_owned(),
            service: service.build(),
            files: open()?,
            buckets: Mutex::default(),
            announce,
        };
        Ok((Self(Arc::new(inner)), notifications))
    }

    /// Creates a bucket. It contains the objects that an earlier run left in its folder.
    ///
    /// # Errors
    ///
    /// Fails if the bucket's folder cannot be created.
    pub fn create_bucket(&self, name: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(self.0.root.join(name))?;
        self.buckets().entry(name.to_owned()).or_default();
        Ok(())
    }

    /// Notifies a function of every object that is created under a prefix of a bucket.
    pub fn notify(&self, bucket: &str, prefix: &str, function: &str) {
        let buckets = self.buckets();
        let bucket = buckets.get(bucket).expect("the bucket exists");
        let mut notifications = bucket
            .notifications
            .lock()
            .expect("no thread panicked while it held the lock");
        notifications.push((prefix.to_owned(), function.to_owned()));
    }

    /// Gives a bucket to another account, which lets everybody in: somebody has created a bucket of that name, and waits for what is
    /// written into it.
    pub fn give_to(&self, bucket: &str, account: &str) {
        let buckets = self.buckets();
        let bucket = buckets.get(bucket).expect("the bucket exists");
        let mut owner = bucket
            .other_owner
            .lock()
            .expect("no thread panicked while it held the lock");
        *owner = Some(account.to_owned());
    }

    /// Sets after how many days objects under a prefix expire. They are not removed: only their date is told.
    pub fn expire(&self, bucket: &str, prefix: &str, days: u32) {
        let buckets = self.buckets();
        let bucket = buckets.get(bucket).expect("the bucket exists");
        let mut lifecycle = bucket
            .lifecycle
            .lock()
            .expect("no thread panicked while it held the lock");
        lifecycle.push((prefix.to_owned(), days));
    }

    /// The sorted keys under a prefix. This does not go through the API: it is not recorded as a call, and it works during an
    /// outage of the region.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let root = self.0.root.join(bucket);
        let mut keys = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(key) = path.strip_prefix(&root).ok().and_then(Path::to_str)
                    && key.starts_with(prefix)
                {
                    keys.push(key.to_owned());
                }
            }
        }
        keys.sort();
        keys
    }

    /// The content of an object, read without the API.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.0.root.join(bucket).join(key)).ok()
    }

    /// Serves one request.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Body> {
        let target = Target::of(request.method(), request.uri(), request.headers());
        if target.operation == "CreateBucket" {
            // Buckets are created by the code that starts the region, as an engineer's stacks do it.
            return error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
        }
        let request = request.map(Body::from);
        if target.bucket.is_empty() {
            return self.serve(request).await;
        }
        let Some(bucket) = self.buckets().get(&target.bucket).cloned() else {
            return error(
                StatusCode::NOT_FOUND,
                "NoSuchBucket",
                "The specified bucket does not exist",
            );
        };
        // API, ExpectedBucketOwner: "If the account ID that you provide does not match the actual owner of the bucket, the request fails
        // with the HTTP status code 403 Forbidden (access denied)."
        let expected = request.headers().get("x-amz-expected-bucket-owner");
        if expected.is_some_and(|account| account.as_bytes() != bucket.owner().as_bytes()) {
            return error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
        }
        if !target.writes() {
            let encode = request
                .uri()
                .query()
                .is_some_and(|q| q.contains("encoding-type=url"));
            let _shared = bucket.lock.read().await;
            let mut response = self.serve(request).await;
            if target.operation == "HeadObject" && response.status().is_success() {
                self.add_expiration(&target, &bucket, &mut response);
            }
            return if encode {
                encode_names(response).await
            } else {
                response
            };
        }
        let _alone = bucket.lock.write().await;
        if let Some(refusal) = self.refusal(&target, request.headers()).await {
            return refusal;
        }
        let response = self.serve(request).await;
        if target.creates() && response.status().is_success() {
            self.created(&target, &bucket).await;
        }
        response
    }

    /// Tells when an object expires, as S3 does: at midnight UTC after the days of its rule.
    // https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, x-amz-expiration: "expiry-date and rule-id key-value pairs";
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html: "rounding the resulting time up to the next day
    // at midnight UTC".
    fn add_expiration(&self, target: &Target, bucket: &Bucket, response: &mut Response<Body>) {
        let rules = bucket
            .lifecycle
            .lock()
            .expect("no thread panicked while it held the lock");
        let Some((prefix, days)) = rules
            .iter()
            .find(|(prefix, _)| target.key.starts_with(prefix))
        else {
            return;
        };
        let path = self.0.root.join(&target.bucket).join(&target.key);
        let Ok(written) = std::fs::metadata(path).and_then(|file| file.modified()) else {
            return;
        };
        const DAY: u64 = 24 * 60 * 60;
        let seconds = written
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let expires = (seconds + u64::from(*days) * DAY).next_multiple_of(DAY);
        let expires =
            Timestamp::from_second(expires.cast_signed()).expect("a date of this century");
        let date = expires.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let value = format!("expiry-date=\"{date}\", rule-id=\"{prefix}\"");
        let value = value.parse().expect("a prefix is a valid header");
        response.headers_mut().insert("x-amz-expiration", value);
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        self.0.service.call(request).await.unwrap_or_else(|_| {
            error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            )
        })
    }

    /// The size and ETag of an object.
    async fn head(&self, target: &Target) -> Option<(i64, String)> {
        let input = HeadObjectInput::builder()
            .bucket(target.bucket.clone())
            .key(target.key.clone())
            .build()
            .ok()?;
        let request = S3Request {
            input,
            method: Method::HEAD,
            uri: Uri::default(),
            headers: HeaderMap::default(),
            extensions: Default::default(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let head = self.0.files.head_object(request).await.ok()?.output;
        Some((head.content_length?, head.e_tag?.into_value()))
    }

    /// Checks the conditions of a write, and returns the error if one does not hold. s3s-fs checks only some of them.
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, and conditional-deletes.html: "If
    // the object doesn't exist when evaluating either of the preconditions, S3 rejects the request and returns a `Not
    // Found` error response" [D]; that its code is NoSuchKey is [Inf]. Versions are not modelled: in a versioned bucket
    // `If-Match: *` meets 412 where the latest version is a delete marker [D].
    async fn refusal(&self, target: &Target, headers: &HeaderMap) -> Option<Response<Body>> {
        let condition = |name| Some(headers.get(name)?.to_str().ok()?.trim_matches('"'));
        let (if_match, if_none_match) = (condition(IF_MATCH), condition(IF_NONE_MATCH));
        if if_match.is_none() && if_none_match.is_none() {
            return None;
        }
        let etag = self.head(target).await.map(|(_, etag)| etag);
        if if_match.is_some() && etag.is_none() {
            return Some(error(
                StatusCode::NOT_FOUND,
                "NoSuchKey",
                "The specified key does not exist.",
            ));
        }
        let holds = |condition: &str| match &etag {
            Some(etag) => condition == "*" || condition == etag,
            None => false,
        };
        (!if_match.is_none_or(holds) || if_none_match.is_some_and(holds)).then(|| {
            error(
                StatusCode::PRECONDITION_FAILED,
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            )
        })
    }

    async fn created(&self, target: &Target, bucket: &Bucket) {
        let path = self.0.root.join(&target.bucket).join(&target.key);
        let now = SystemTime::now();
        // LastModified of S3 has whole seconds: it cannot distinguish two writes within one second.
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let set = File::options().write(true).open(path);
        // A key that ends in `/` is a folder here, and there is no file to open.
        let _ = set.and_then(|f| f.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)));

        let Some((size, etag)) = self.head(target).await else {
            return;
        };
        let notifications = bucket
            .notifications
            .lock()
            .expect("no thread panicked while it held the lock");
        for (_, function) in notifications
            .iter()
            .filter(|(prefix, _)| target.key.starts_with(prefix))
        {
            let event = event(&self.0.region, target, size, &etag);
            // Without a schedule nobody receives notifications, and they are dropped.
            let _ = self.0.announce.send(Notification {
                function: function.clone(),
                event,
            });
        }
    }

    fn buckets(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Bucket>>> {
        self.0
            .buckets
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

impl Target {
    /// Reads a path-style request.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let has = |name: &str| {
            let names = uri.query().unwrap_or_default().split('&');
            names
                .map(|pair| pair.split('=').next())
                .any(|n| n == Some(name))
        };
        let operation = match (method.as_str(), bucket.is_empty(), key.is_empty()) {
            ("GET", true, _) => "ListBuckets",
            ("HEAD", _, true) => "HeadBucket",
            ("PUT", _, true) => "CreateBucket",
            ("DELETE", _, true) => "DeleteBucket",
            ("POST", _, true) if has("delete") => "DeleteObjects",
            ("GET", _, true) if has("uploads") => "ListMultipartUploads",
            ("GET", _, true) if has("location") => "GetBucketLocation",
            ("GET", _, true) if has("list-type") => "ListObjectsV2",
            ("GET", _, true) => "ListObjects",
            ("POST", _, false) if has("uploads") => "CreateMultipartUpload",
            ("POST", _, false) if has("uploadId") => "CompleteMultipartUpload",
            ("PUT", _, false) if has("partNumber") => "UploadPart",
            ("DELETE", _, false) if has("uploadId") => "AbortMultipartUpload",
            ("GET", _, false) if has("uploadId") => "ListParts",
            ("PUT", _, false) if headers.contains_key("x-amz-copy-source") => "CopyObject",
            ("PUT", _, false) => "PutObject",
            ("GET", _, false) => "GetObject",
            ("HEAD", _, false) => "HeadObject",
            ("DELETE", _, false) => "DeleteObject",
            _ => "Unknown",
        };
        Self {
            operation,
            bucket: bucket.to_owned(),
            key: decode(key),
        }
    }

    fn creates(&self) -> bool {
        matches!(
            self.operation,
            "PutObject" | "CopyObject" | "CompleteMultipartUpload"
        )
    }

    fn writes(&self) -> bool {
        self.creates() || matches!(self.operation, "DeleteObject" | "DeleteObjects")
    }
}

/// An error in the XML form of S3.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{}</RequestId></Error>",
        Uuid::new_v4().simple(),
    );
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(Body::from(xml))
        .expect("valid headers")
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn event(region: &str, target: &Target, size: i64, etag: &str) -> Bytes {
    let name = match target.operation {
        "PutObject" => "ObjectCreated:Put",
        "CopyObject" => "ObjectCreated:Copy",
        _ => "ObjectCreated:CompleteMultipartUpload",
    };
    let now = jiff::Timestamp::now();
    let event = json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": format!("{now:.3}"),
        "eventName": name,
        "userIdentity": { "principalId": format!("AWS:{ACCESS_KEY_ID}") },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {
            "x-amz-request-id": Uuid::new_v4().simple().to_string(),
            "x-amz-id-2": Uuid::new_v4().simple().to_string(),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "object-created",
            "bucket": {
                "name": target.bucket,
                "ownerIdentity": { "principalId": ACCOUNT_ID },
                "arn": format!("arn:aws:s3:::{}", target.bucket),
            },
            "object": {
                "key": encode(&target.key),
                "size": size,
                "eTag": etag,
                "sequencer": format!("{:018X}", now.as_nanosecond()),
            },
        },
    }]});
    Bytes::from(event.to_string())
}

/// Encodes the keys in a listing if the caller asked for it, which s3s-fs does not do.
async fn encode_names(list: Response<Body>) -> Response<Body> {
    let (mut parts, body) = list.into_parts();
    let xml = body.collect().await.map(|body| body.to_bytes());
    let xml = xml.unwrap_or_default();
    let encoded = String::from_utf8_lossy(&xml)
        .split('<')
        .map(|piece| match piece.split_once('>') {
            Some((tag @ ("Key" | "Prefix" | "Delimiter" | "StartAfter"), name)) => {
                format!("{tag}>{}", encode(&unescape(name)))
            }
            _ => piece.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("<");
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(encoded))
}

fn unescape(xml: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(xml.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// "The object key name value is URL encoded. For example, `red flower.jpg` becomes `red+flower.jpg`."
fn encode(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Percent-decoding of a path, where `+` is not a space.
fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(byte)) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: Method, uri: &str) -> Target {
        Target::of(
            &method,
            &uri.parse().expect("a valid URI"),
            &HeaderMap::new(),
        )
    }

    #[test]
    fn a_request_names_its_operation() {
        assert_eq!(
            operation(Method::GET, "/b?list-type=2&prefix=x").operation,
            "ListObjectsV2"
        );
        assert_eq!(
            operation(Method::POST, "/b/k?uploads").operation,
            "CreateMultipartUpload"
        );
        assert_eq!(
            operation(Method::PUT, "/b/k?partNumber=1&uploadId=u").operation,
            "UploadPart"
        );
        assert_eq!(operation(Method::GET, "/").operation, "ListBuckets");
    }

    #[test]
    fn a_key_is_decoded_as_a_path() {
        let target = operation(Method::PUT, "/b/outbox/a%20b+%E6%9D%B1.json?x-id=PutObject");

        assert_eq!(
            target,
            Target {
                operation: "PutObject",
                bucket: "b".into(),
                key: "outbox/a b+東.json".into()
            }
        );
    }

    #[test]
    fn a_key_in_an_event_is_encoded_as_a_form() {
        assert_eq!(encode("a/red flower+1.jpg"), "a/red+flower%2B1.jpg");
    }
}
