//! CloudFormation of one region: what DescribeStacks says of a stack that is deployed. Nothing is created by it.
//!
//! Comments name their source in the same way as those of [`crate::cognito`]; here, `API` is
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use hyper::{Response, StatusCode};
use s3s::Body;
use uuid::Uuid;

use crate::region::ACCOUNT_ID;

/// The version of the API, which every request names.
// API: common parameters [D].
const VERSION: &str = "2010-05-15";
const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// The stacks of one region.
#[derive(Default)]
pub struct Stacks(Mutex<BTreeMap<String, Stack>>);

struct Stack {
    id: String,
    outputs: BTreeMap<String, String>,
}

/// A request in the query protocol: a form.
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads a form.
    pub(crate) fn of(body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).unwrap_or_default();
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(k, v)| (decode(k), decode(v))).collect())
    }

    /// The value of a parameter; empty if it is not given.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Decodes a value of a form, in which a space is a plus sign.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (first, _) => bytes.push(*first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Stacks {
    /// Deploys a stack with these outputs, or replaces the outputs of one that exists.
    pub fn put(&self, region: &str, name: &str, outputs: &[(&str, &str)]) {
        let outputs = outputs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let id = format!(
            "arn:aws:cloudformation:{region}:{ACCOUNT_ID}:stack/{name}/{}",
            Uuid::new_v4()
        );
        let outputs = outputs.collect();
        self.lock().insert(name.to_owned(), Stack { id, outputs });
    }

    /// Removes a stack.
    pub fn delete(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Serves one request.
    pub(crate) fn call(&self, query: &Query) -> Response<Body> {
        let action = query.get("Action");
        if action != "DescribeStacks" || query.get("Version") != VERSION {
            let message = format!("Could not find operation {action} for version {VERSION}");
            return error(400, "InvalidAction", &message);
        }
        let name = query.get("StackName");
        if name.is_empty() {
            return error(400, "ValidationError", "all stacks are not listed here");
        }
        let stacks = self.lock();
        // API: "either the stack's name or its unique stack ID" [D].
        let found = stacks.iter().find(|(n, s)| *n == name || s.id == name);
        match found {
            // API: "If the stack doesn't exist, a ValidationError is returned." [D]; the wording is that of field reports [I].
            None => {
                let message = format!("Stack with id {name} does not exist");
                error(400, "ValidationError", &message)
            }
            Some((name, stack)) => answer(StatusCode::OK, described(name, stack)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stack>> {
        self.0
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

// API: the sample response [D].
fn described(name: &str, Stack { id, outputs }: &Stack) -> String {
    let outputs: String = outputs
        .iter()
        .map(|(key, value)| {
            let value = escape(value);
            format!(
                "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            )
        })
        .collect();
    format!(
        "<DescribeStacksResponse xmlns=\"{NAMESPACE}\"><DescribeStacksResult><Stacks><member>\
         <StackName>{name}</StackName><StackId>{id}</StackId><CreationTime>2026-11-20T00:00:00Z</CreationTime>\
         <StackStatus>CREATE_COMPLETE</StackStatus><DisableRollback>false</DisableRollback><Outputs>{outputs}</Outputs>\
         </member></Stacks></DescribeStacksResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\
         </DescribeStacksResponse>",
        Uuid::new_v4()
    )
}

/// An error as the query protocol has it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response<Body> {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let (message, request) = (escape(message), Uuid::new_v4());
    answer(
        StatusCode::from_u16(status).expect("an HTTP status"),
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message>\
             </Error><RequestId>{request}</RequestId></ErrorResponse>"
        ),
    )
}

fn answer(status: StatusCode, xml: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "text/xml")
        .body(Body::from(xml))
        .expect("valid headers")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
