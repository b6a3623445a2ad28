//! What the worker is asked for.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::invocation::UnknownPayload;

const KNOWN: &str =
    ", an S3 event, {\"action\":\"tick\"} or {\"action\":\"snapshot\",\"accept_shrink\":false}";

/// A request to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Something was put into the bucket: only a wake-up, what it says is looked up in S3.
    Notification,
    /// The minute's wake-up, which also reports how old the last snapshot is.
    Tick,
    /// Take one now.
    Snapshot {
        /// Let it be the latest even when the pool has shrunk.
        accept_shrink: bool,
    },
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    Tick,
    Snapshot { accept_shrink: Option<bool> },
}

/// As little of an S3 event as tells it from anything else; a new field or version must not stop a backup.
#[derive(Deserialize)]
struct S3Event {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
}

#[derive(Deserialize)]
struct S3Record {
    #[serde(rename = "eventSource")]
    event_source: String,
}

impl Request {
    /// Reads a payload that is no trigger event.
    pub fn read(payload: &RawValue) -> Result<Self, UnknownPayload> {
        let text = payload.get();
        if let Ok(action) = serde_json::from_str(text) {
            return Ok(match action {
                Action::Tick => Self::Tick,
                Action::Snapshot { accept_shrink } => Self::Snapshot {
                    accept_shrink: accept_shrink.unwrap_or(false),
                },
            });
        }
        match serde_json::from_str::<S3Event>(text) {
            Ok(event) if event.records.iter().any(|r| r.event_source == "aws:s3") => {
                Ok(Self::Notification)
            }
            _ => Err(UnknownPayload::of(payload, KNOWN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request, UnknownPayload> {
        Request::read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn each_known_payload_is_recognised() {
        let snapshot = |accept_shrink| Ok(Request::Snapshot { accept_shrink });

        assert_eq!(read(r#"{"action":"tick"}"#), Ok(Request::Tick));
        assert_eq!(read(r#"{"action":"snapshot"}"#), snapshot(false));
        assert_eq!(
            read(r#"{"action":"snapshot","accept_shrink":null}"#),
            snapshot(false)
        );
        assert_eq!(
            read(r#"{"action":"snapshot","accept_shrink":true}"#),
            snapshot(true)
        );
        assert_eq!(
            read(
                r#"{"Records":[{"eventSource":"aws:s3","s3":{"object":{"key":"journal/sign-up/a.json"}}}]}"#
            ),
            Ok(Request::Notification)
        );
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_to_send() {
        for payload in [
            "null",
            "{}",
            r#"{"action":"reconcile"}"#,
            r#"{"action":"snapshot","accept_shrink":"yes"}"#,
            r#"{"Records":[]}"#,
        ] {
            let error = read(payload).unwrap_err().to_string();
            assert!(error.contains("{\"action\":\"tick\"}"), "{error}");
        }
    }
}
