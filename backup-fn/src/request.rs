//! What the worker is asked to do.

use aws_lambda_events::event::s3::S3Event;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::lambda::invocation::UnknownPayload;
use shared::snapshot::scope::Scope;

const KNOWN_PAYLOADS: &str = ", an S3 event, {\"action\":\"tick\"} or {\"action\":\"snapshot\",\"scope\":\"pool\",\"accept_shrink\":false}";

/// A request to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Something was put into the bucket. This is only a wake-up: the worker reads S3 itself.
    Notification,
    /// The wake-up of each minute, which also measures how old the last snapshot is.
    Tick,
    /// Take a snapshot now.
    Snapshot {
        /// What it covers.
        scope: Scope,
        /// Make it the latest even if the pool has shrunk.
        accept_shrink: bool,
    },
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Action {
    Tick,
    Snapshot {
        scope: Option<Scope>,
        accept_shrink: Option<bool>,
    },
}

impl Request {
    /// Reads a payload that is not a trigger event.
    ///
    /// # Errors
    ///
    /// The payload is neither an action nor an S3 event.
    pub fn read(payload: &RawValue) -> Result<Self, UnknownPayload> {
        let text = payload.get();
        if let Ok(action) = serde_json::from_str(text) {
            return Ok(match action {
                Action::Tick => Self::Tick,
                Action::Snapshot {
                    scope,
                    accept_shrink,
                } => Self::Snapshot {
                    scope: scope.unwrap_or_default(),
                    accept_shrink: accept_shrink.unwrap_or(false),
                },
            });
        }
        match is_s3_event(text) {
            true => Ok(Self::Notification),
            false => Err(UnknownPayload::of(payload, KNOWN_PAYLOADS)),
        }
    }
}

/// Whether a payload is an S3 event. It only wakes the worker up, so an event of a version that the typed reading does not
/// understand must not stop a backup: there, the source of its records decides.
fn is_s3_event(text: &str) -> bool {
    const SOURCE: &str = "aws:s3";
    if let Ok(event) = serde_json::from_str::<S3Event>(text) {
        let mut records = event.records.iter();
        return records.any(|record| record.event_source.as_deref() == Some(SOURCE));
    }
    let event: Value = serde_json::from_str(text).unwrap_or_default();
    let records = event["Records"].as_array();
    records.is_some_and(|records| records.iter().any(|record| record["eventSource"] == SOURCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request, UnknownPayload> {
        Request::read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn each_known_payload_is_recognised() {
        let snapshot = |accept_shrink| {
            Ok(Request::Snapshot {
                scope: Scope::Pool,
                accept_shrink,
            })
        };

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
            read(r#"{"action":"snapshot","scope":"pool"}"#),
            snapshot(false)
        );
        assert_eq!(
            read(r#"{"action":"snapshot","scope":"newcomers"}"#),
            Ok(Request::Snapshot {
                scope: Scope::Newcomers,
                accept_shrink: false
            })
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
            r#"{"action":"snapshot","scope":"everyone"}"#,
            // A misspelt member would take another snapshot than the one that was asked for.
            r#"{"action":"snapshot","scpoe":"newcomers"}"#,
            r#"{"action":"snapshot","accept_shrnk":true}"#,
            r#"{"Records":[]}"#,
        ] {
            let error = read(payload).unwrap_err().to_string();
            assert!(error.contains("{\"action\":\"tick\"}"), "{error}");
        }
    }
}
