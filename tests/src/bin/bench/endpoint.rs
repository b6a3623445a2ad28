//! A very fast endpoint for the functions, so that the function is measured and not the emulation: a pool whose users are
//! generated when they are listed, and a bucket whose large files are counted and not stored.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::fs::File;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::person::Person;
use shared::s3::json::append_json;
use tokio::net::TcpListener;

use crate::imports::Imports;
use crate::people::{self, DIGITS, HEADER};

/// The id of the generated pool.
pub const POOL: &str = "ap-northeast-3_Bench0001";
/// The id of its twin, in which every user of the generated pool has a replica.
pub const TWIN: &str = "ap-northeast-3_Bench0002";
/// The id of the pool to which newcomers of the generated pool come home: it has everyone below [`Behaviour::users`], and whom jobs import.
pub const HOME: &str = "ap-northeast-1_Bench0003";
/// The prefix of the paths to which files of import jobs are uploaded.
const UPLOADS: &str = "/uploads/";
/// The group in which everybody is, if the pool has groups.
const GROUP: &str = "members";
/// The name of the bucket; every other name works as well.
pub const BUCKET: &str = "twinpool-bench";

/// Other objects than `.json` are stored up to this size.
const KEPT: usize = 64 * 1024;

/// A file without a name, for what must be read again: forty million rows do not fit into memory.
static DISK: LazyLock<File> = LazyLock::new(|| tempfile::tempfile().expect("a temporary file"));

/// The end of what is in this file.
static DISK_END: AtomicU64 = AtomicU64::new(0);

/// The behaviour of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// How many users the pool has.
    pub users: u64,
    /// The duration of a page of ListUsers.
    pub latency: Duration,
    /// The quota of ListUsers calls a second; `None` means no quota.
    pub quota: Option<u32>,
    /// Whether the pool has groups, and everybody is in one of them.
    pub groups: bool,
}

/// An endpoint that runs until the Tokio runtime ends.
#[derive(Clone)]
pub struct Endpoint {
    url: String,
    behaviour: Behaviour,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    seen: Seen,
    objects: BTreeMap<String, Object>,
    imports: Imports,
    etags: u64,
    tokens: f64,
    refilled: Option<Instant>,
}

/// The statistics of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The number of calls of each operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// The number of ListUsers calls above the quota.
    pub throttled: u64,
    /// The total size of all uploaded objects in bytes.
    pub bytes: u64,
    /// The time that the endpoint spent on responses.
    pub own: Duration,
    /// When the first and the last page were requested.
    pub listed: Option<(Instant, Instant)>,
}

impl Seen {
    /// The number of calls of an operation.
    pub fn count(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    /// The number of calls to Cognito.
    pub fn of_cognito(&self) -> u64 {
        let calls = self.calls.iter();
        let of_cognito = calls.filter(|(operation, _)| !is_of_s3(operation));
        of_cognito.map(|(_, calls)| calls).sum()
    }

    fn page(&mut self) {
        let now = Instant::now();
        self.listed = Some((self.listed.map_or(now, |(first, _)| first), now));
    }

    /// The number of listed pages.
    pub fn pages(&self) -> u64 {
        self.count("ListUsers") - self.throttled
    }

    /// Pages listed a second, from the first call to the last.
    pub fn listing_rate(&self) -> f64 {
        let Some((first, last)) = self.listed else {
            return 0.0;
        };
        self.pages().saturating_sub(1) as f64 / (last - first).as_secs_f64()
    }
}

/// Whether an operation is one of S3, and not of Cognito.
pub fn is_of_s3(operation: &str) -> bool {
    let parts = ["Object", "Part", "Upload"];
    parts.iter().any(|part| operation.contains(part))
}

struct Object {
    etag: String,
    modified: jiff::Timestamp,
    content: Content,
}

enum Content {
    Kept(Bytes),
    /// Users of a snapshot part, who are generated again when it is read.
    Part {
        first: u64,
        people: u64,
        bytes: usize,
    },
    /// From this offset of the file on.
    OnDisk {
        from: u64,
        bytes: usize,
    },
    Counted,
}

impl Content {
    fn of(key: &str, body: Bytes) -> Self {
        // Lines of users are generated again. Leases, pointers and the progress are small, or change often. Everything else waits in a
        // file until it is read.
        if key.starts_with("parts/") && key.ends_with(".jsonl") {
            return Self::part(&body).unwrap_or_else(|| Self::on_disk(&body));
        }
        match key.ends_with(".json") || body.len() <= KEPT {
            true => Self::Kept(body),
            false => Self::on_disk(&body),
        }
    }

    fn on_disk(body: &Bytes) -> Self {
        let bytes = body.len();
        let from = DISK_END.fetch_add(bytes as u64, Ordering::Relaxed);
        match DISK.write_all_at(body, from) {
            Ok(()) => Self::OnDisk { from, bytes },
            // The function then finds that it is missing.
            Err(_) => Self::Counted,
        }
    }

    fn part(body: &[u8]) -> Option<Self> {
        let mut lines = body.split_inclusive(|&byte| byte == b'\n');
        let people = lines.clone().count() as u64;
        let first: Person = serde_json::from_slice(lines.next()?).ok()?;
        let first = people::number(first.sub()?)?;
        let bytes = body.len();
        Some(Self::Part {
            first,
            people,
            bytes,
        })
    }

    /// The content of the object; `None` if it was not stored.
    fn body(&self) -> Option<Bytes> {
        match *self {
            Self::Kept(ref body) => Some(body.clone()),
            Self::Part {
                first,
                people,
                bytes,
            } => {
                let mut body = Vec::with_capacity(bytes);
                for at in 0..people {
                    append_json(&mut body, &people::person(first + at * DIGITS));
                }
                (body.len() == bytes).then(|| body.into())
            }
            Self::OnDisk { from, bytes } => read_disk(from, bytes),
            Self::Counted => None,
        }
    }

    /// The bytes of the range that the object has, and the size of the object; `None` if it has none of them.
    fn range(&self, range: Range<usize>) -> Option<(Bytes, usize)> {
        // A sorted run is read in many small blocks.
        if let Self::OnDisk { from, bytes } = *self {
            let length = range.end.min(bytes).checked_sub(range.start)?;
            let part = read_disk(from + range.start as u64, length)?;
            return (length > 0).then_some((part, bytes));
        }
        let body = self.body()?;
        let end = range.end.min(body.len());
        (range.start < end).then(|| (body.slice(range.start..end), body.len()))
    }
}

fn read_disk(from: u64, bytes: usize) -> Option<Bytes> {
    let mut body = vec![0; bytes];
    DISK.read_exact_at(&mut body, from).ok()?;
    Some(body.into())
}

impl Endpoint {
    /// Starts an endpoint.
    pub async fn start(behaviour: Behaviour) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = Self {
            url: format!("http://{}", listener.local_addr()?),
            behaviour,
            state: Arc::default(),
        };
        tokio::spawn(endpoint.clone().listen(listener));
        Ok(endpoint)
    }

    /// The URL of the endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the statistics and resets them.
    pub fn take_seen(&self) -> Seen {
        std::mem::take(&mut self.state().seen)
    }

    /// Puts an object into the bucket.
    pub fn put_object(&self, key: &str, body: &Value) {
        self.put(key, Content::Kept(body.to_string().into()));
    }

    /// An object of the bucket as JSON.
    pub fn json(&self, key: &str) -> Option<Value> {
        let body = self.state().objects.get(key)?.content.body()?;
        serde_json::from_slice(&body).ok()
    }

    /// How many users import jobs have imported.
    pub fn imported(&self) -> u64 {
        self.state().imports.count()
    }

    /// The number of objects.
    pub fn objects(&self) -> usize {
        self.state().objects.len()
    }

    /// The statistics so far.
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no thread panicked while it held the lock")
    }

    async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            // Small responses must not wait in the send buffer.
            let _ = stream.set_nodelay(true);
            let endpoint = self.clone();
            tokio::spawn(async move {
                let service = service_fn(async |request| endpoint.serve(request).await);
                // It does not matter here if the function drops the connection.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
            return Ok(status(StatusCode::BAD_REQUEST));
        };
        if let Some(job) = parts.uri.path().strip_prefix(UPLOADS) {
            self.state().imports.upload(job, body);
            return Ok(Response::default());
        }
        let target = parts.headers.get("x-amz-target");
        let target = target.and_then(|target| target.to_str().ok());
        let answer = match target.and_then(|target| target.split_once('.')) {
            Some((_, operation)) => self.cognito(operation, &body).await,
            None => self.s3(&parts, body),
        };
        self.state().seen.own += begun.elapsed();
        Ok(answer)
    }

    fn count(&self, operation: &'static str) {
        *self.state().seen.calls.entry(operation).or_default() += 1;
    }

    async fn cognito(&self, operation: &str, body: &[u8]) -> Response<Full<Bytes>> {
        match operation {
            "ListUsers" => return self.list_users(body).await,
            "DescribeUserPool" => self.count("DescribeUserPool"),
            "GetCSVHeader" => self.count("GetCSVHeader"),
            "AdminCreateUser" => self.count("AdminCreateUser"),
            "AdminSetUserPassword" => self.count("AdminSetUserPassword"),
            "ListUserPoolClients" => self.count("ListUserPoolClients"),
            "ListGroups" => self.count("ListGroups"),
            "AdminGetUser" => self.count("AdminGetUser"),
            "AdminListGroupsForUser" => self.count("AdminListGroupsForUser"),
            "AdminAddUserToGroup" => self.count("AdminAddUserToGroup"),
            "AdminUpdateUserAttributes" => self.count("AdminUpdateUserAttributes"),
            "ListUserImportJobs" => self.count("ListUserImportJobs"),
            "CreateUserImportJob" => self.count("CreateUserImportJob"),
            "StartUserImportJob" => self.count("StartUserImportJob"),
            "DescribeUserImportJob" => self.count("DescribeUserImportJob"),
            _ => return refusal("InvalidAction"),
        }
        if operation.ends_with("ImportJob") {
            return match self.import_job(operation, body) {
                Some(job) => answer(job.to_string()),
                None => refusal("ResourceNotFoundException"),
            };
        }
        answer(match operation {
            "DescribeUserPool" => {
                let mut pool = pool();
                pool["UserPool"]["EstimatedNumberOfUsers"] = self.behaviour.users.into();
                pool.to_string()
            }
            "AdminGetUser" => match self.user(body) {
                Some(user) => user.to_string(),
                None => return refusal("UserNotFoundException"),
            },
            "AdminAddUserToGroup" | "AdminUpdateUserAttributes" if self.user(body).is_none() => {
                return refusal("UserNotFoundException");
            }
            "ListUserImportJobs" => json!({"UserImportJobs": []}).to_string(),
            "AdminListGroupsForUser" => json!({"Groups": [{"GroupName": GROUP}]}).to_string(),
            "ListGroups" if self.behaviour.groups => {
                json!({"Groups": [{"GroupName": GROUP}]}).to_string()
            }
            "GetCSVHeader" => json!({"UserPoolId": POOL, "CSVHeader": HEADER}).to_string(),
            "AdminCreateUser" => json!({"User": {"Username": people::sub(0)}}).to_string(),
            "ListUserPoolClients" => json!({"UserPoolClients": []}).to_string(),
            "ListGroups" => json!({"Groups": []}).to_string(),
            _ => "{}".to_owned(),
        })
    }

    /// Creates, starts or describes an import job; none if there is no such job, or it has no file.
    fn import_job(&self, operation: &str, body: &[u8]) -> Option<Value> {
        let asked: Value = serde_json::from_slice(body).ok()?;
        let imports = &mut self.state().imports;
        if operation == "CreateUserImportJob" {
            let url = format!("{}{UPLOADS}", self.url);
            return Some(imports.create(asked["JobName"].as_str()?, &url));
        }
        let id = asked["JobId"].as_str()?;
        match operation {
            "StartUserImportJob" => imports.start(id, self.behaviour.users),
            _ => imports.describe(id),
        }
    }

    /// The response of AdminGetUser. Everybody is there whose number can be read from the username; in [`HOME`], those below the number of
    /// users, and whom a job has imported.
    fn user(&self, body: &[u8]) -> Option<Value> {
        let asked: Value = serde_json::from_slice(body).ok()?;
        let number = people::number(asked["Username"].as_str()?)?;
        if asked["UserPoolId"] != HOME || number < self.behaviour.users {
            let attributes = people::attributes(number);
            let status = people::status(number);
            return Some(user(&people::sub(number), status, attributes));
        }
        let state = self.state();
        let imported = state.imports.imported(number)?.iter();
        let imported = imported.map(|(name, value)| (name, value.to_owned()));
        let sub = people::sub_of_copy(number);
        Some(user(&sub, "RESET_REQUIRED", imported))
    }

    async fn list_users(&self, body: &[u8]) -> Response<Full<Bytes>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Asked {
            user_pool_id: String,
            filter: Option<String>,
            limit: Option<u64>,
            pagination_token: Option<String>,
        }
        self.count("ListUsers");
        let Ok(asked) = serde_json::from_slice::<Asked>(body) else {
            return refusal("SerializationException");
        };
        if !self.admits() {
            return refusal("TooManyRequestsException");
        }
        self.state().seen.page();
        // Without a filter, all users; with `sub ^= "a"`, every sixteenth user from the tenth on.
        let (first, step) = match asked.filter.as_deref() {
            None => (0, 1),
            Some(filter) => {
                let digit = filter.strip_prefix("sub ^= \"").and_then(|f| f.get(..1));
                match digit.and_then(|digit| u64::from_str_radix(digit, 16).ok()) {
                    Some(digit) => (digit, DIGITS),
                    None => return refusal("InvalidParameterException"),
                }
            }
        };
        let from = match asked.pagination_token.as_deref().map(str::parse) {
            None => first,
            Some(Ok(from)) => from,
            Some(Err(_)) => return refusal("InvalidParameterException"),
        };
        tokio::time::sleep(self.behaviour.latency).await;
        let (users, state) = (self.behaviour.users, self.state());
        let limit = asked.limit.unwrap_or(60);
        let page = match asked.user_pool_id.as_str() {
            HOME => page(
                users.max(state.imports.end()),
                (from, step),
                limit,
                |number| {
                    let is_copy = number >= users;
                    (!is_copy || state.imports.imported(number).is_some()).then_some(is_copy)
                },
            ),
            pool => page(users, (from, step), limit, |_| Some(pool == TWIN)),
        };
        drop(state);
        answer(page)
    }

    /// Whether one more call is within the quota, which is a token bucket of one second.
    fn admits(&self) -> bool {
        let Some(quota) = self.behaviour.quota.map(f64::from) else {
            return true;
        };
        let mut state = self.state();
        let now = Instant::now();
        let since = state.refilled.replace(now).map(|last| now - last);
        let more = since.map_or(quota, |since| since.as_secs_f64() * quota);
        state.tokens = (state.tokens + more).min(quota);
        let admits = state.tokens >= 1.0;
        if admits {
            state.tokens -= 1.0;
        } else {
            state.seen.throttled += 1;
        }
        admits
    }

    fn s3(&self, parts: &Parts, body: Bytes) -> Response<Full<Bytes>> {
        let path = parts.uri.path().trim_start_matches('/');
        let key = path.split_once('/').map_or("", |(_, key)| key);
        let query = parts.uri.query().unwrap_or_default();
        let has = |name: &str| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(name))
        };
        let size = body.len() as u64;
        match parts.method {
            Method::GET if key.is_empty() => {
                self.count("ListObjectsV2");
                xml(self.listing(query))
            }
            Method::GET => {
                self.count("GetObject");
                let state = self.state();
                let Some(object) = state.objects.get(key) else {
                    return s3_refusal(StatusCode::NOT_FOUND, "NoSuchKey");
                };
                match parts.headers.get("range") {
                    Some(range) => part_of(object, range.to_str().ok()),
                    None => whole(object),
                }
            }
            Method::POST if has("uploads") => {
                self.count("CreateMultipartUpload");
                xml("<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>".to_owned())
            }
            Method::POST => {
                self.count("CompleteMultipartUpload");
                self.put(key, Content::Counted);
                xml("<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>".to_owned())
            }
            Method::PUT if has("partNumber") => {
                self.count("UploadPart");
                self.state().seen.bytes += size;
                put("\"part\"")
            }
            Method::PUT => {
                self.count("PutObject");
                if !self.holds(key, parts) {
                    return s3_refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
                }
                self.state().seen.bytes += size;
                put(&self.put(key, Content::of(key, body)))
            }
            Method::DELETE => {
                self.count("DeleteObject");
                self.state().objects.remove(key);
                status(StatusCode::NO_CONTENT)
            }
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Whether the conditions of a write hold.
    fn holds(&self, key: &str, parts: &Parts) -> bool {
        let state = self.state();
        let object = state.objects.get(key);
        let is_same = |etag: &hyper::header::HeaderValue| {
            object.is_some_and(|object| etag.as_bytes() == object.etag.as_bytes())
        };
        let unchanged = parts.headers.get("if-match").is_none_or(is_same);
        let absent = !parts.headers.contains_key("if-none-match") || object.is_none();
        unchanged && absent
    }

    fn put(&self, key: &str, content: Content) -> String {
        let mut state = self.state();
        state.etags += 1;
        let etag = format!("\"{:032x}\"", state.etags);
        let object = Object {
            etag: etag.clone(),
            modified: jiff::Timestamp::now(),
            content,
        };
        state.objects.insert(key.to_owned(), object);
        etag
    }

    /// The keys with a prefix, all on one page.
    fn listing(&self, query: &str) -> String {
        let prefix = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("prefix="));
        let prefix = prefix.unwrap_or_default().replace("%2F", "/");
        let mut text = String::new();
        let mut keys = 0;
        let state = self.state();
        let objects = state.objects.range(prefix.clone()..);
        for (key, object) in objects.take_while(|(key, _)| key.starts_with(&prefix)) {
            keys += 1;
            let modified = object.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z");
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified></Contents>"
            );
        }
        format!(
            "<ListBucketResult><KeyCount>{keys}</KeyCount><IsTruncated>false</IsTruncated>{text}</ListBucketResult>"
        )
    }
}

fn whole(object: &Object) -> Response<Full<Bytes>> {
    match object.content.body() {
        Some(body) => Response::builder()
            .header("etag", &object.etag)
            .body(Full::new(body))
            .expect("valid headers"),
        None => s3_refusal(StatusCode::NOT_FOUND, "NoSuchKey"),
    }
}

/// A range of an object, `bytes=from-to`.
fn part_of(object: &Object, range: Option<&str>) -> Response<Full<Bytes>> {
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let bounds =
        bounds.and_then(|(from, to)| Some((from.parse().ok()?, to.parse::<usize>().ok()?)));
    let part = bounds.and_then(|(from, to)| Some((from, object.content.range(from..to + 1)?)));
    let Some((from, (part, size))) = part else {
        return s3_refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
    };
    Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header("etag", &object.etag)
        .header(
            "content-range",
            format!("bytes {from}-{}/{size}", from + part.len() - 1),
        )
        .body(Full::new(part))
        .expect("valid headers")
}

/// A page of ListUsers: every `step`-th user from the first one on, as long as their numbers are below `all`. `is_copy` says whether a
/// user is a copy of one of another pool; none if there is no such user.
fn page(
    all: u64,
    (from, step): (u64, u64),
    limit: u64,
    is_copy: impl Fn(u64) -> Option<bool>,
) -> String {
    let end = (from + step * limit).min(all);
    let mut text = String::with_capacity(limit as usize * 1024);
    text.push_str(r#"{"Users":["#);
    let mut number = from;
    let mut separator = "";
    while number < end {
        if let Some(is_copy) = is_copy(number) {
            text.push_str(std::mem::replace(&mut separator, ","));
            people::write_json(&mut text, number, is_copy);
        }
        number += step;
    }
    text.push(']');
    if number < all {
        let _ = write!(text, r#","PaginationToken":"{number}""#);
    }
    text.push('}');
    text
}

/// A user as AdminGetUser returns one.
fn user<'a>(
    sub: &str,
    status: &str,
    attributes: impl IntoIterator<Item = (&'a str, String)>,
) -> Value {
    let attributes = attributes.into_iter().chain([("sub", sub.to_owned())]);
    let attributes = attributes.map(|(name, value)| json!({"Name": name, "Value": value}));
    json!({
        "Username": sub, "Enabled": true, "UserStatus": status,
        "UserCreateDate": 1.763596800123E9, "UserLastModifiedDate": 1.763596800123E9,
        "UserAttributes": attributes.collect::<Vec<_>>(),
    })
}

/// The response of DescribeUserPool.
pub fn pool() -> Value {
    let attribute = |name: &str| json!({"Name": name, "AttributeDataType": "String", "Mutable": true, "Required": name == "email"});
    let attributes = HEADER.iter().filter(|name| !name.starts_with("cognito:"));
    let attributes: Vec<_> = attributes.map(|name| attribute(name)).collect();
    json!({"UserPool": {
        "Id": POOL, "Name": "bench", "MfaConfiguration": "ON", "UsernameAttributes": ["email"],
        "AutoVerifiedAttributes": ["email"], "SchemaAttributes": attributes,
        "LambdaConfig": {"PostConfirmation": "arn:aws:lambda:ap-northeast-3:123456789012:function:trigger"},
    }})
}

fn answer(body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/x-amz-json-1.1")
        .body(Full::new(body.into()))
        .expect("valid headers")
}

fn refusal(code: &str) -> Response<Full<Bytes>> {
    let mut response = answer(json!({"__type": code}).to_string());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn xml(body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/xml")
        .body(Full::new(body.into()))
        .expect("valid headers")
}

fn s3_refusal(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let mut response = xml(format!("<Error><Code>{code}</Code></Error>"));
    *response.status_mut() = status;
    response
}

fn put(etag: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .header("etag", etag)
        .body(Full::default())
        .expect("valid headers")
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
