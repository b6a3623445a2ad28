//! CloudWatch Logs of one region. It holds the logs of import jobs, and nothing else.
//!
//! The quota of requests a second is not modelled. Comments name their source in the same way as those of [`crate::cognito`];
//! here, `botocore` is the service model of CloudWatch Logs.

use std::cmp::Reverse;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cognito::{ApiError, Cognito, ImportLog};
use crate::region::ACCOUNT_ID;

// botocore GetLogEvents: "up to 1 MB of log events or up to 10,000 log events" [D].
const PAGE_BYTES: usize = 1_000_000;
const PAGE_EVENTS: usize = 10_000;

// The size of an event beside its message: documented for PutLogEvents [D], assumed for this operation [Inf].
const EVENT_OVERHEAD: usize = 26;

type Answer = Result<Value, ApiError>;

/// Serves one request.
pub(crate) fn call(cognito: &Cognito, region: &str, operation: &str, body: Value) -> Answer {
    match operation {
        "GetLogEvents" => get_log_events(cognito, read(body)?),
        "DescribeLogStreams" => describe_log_streams(cognito, region, read(body)?),
        other => Err(ApiError::new(
            "UnknownOperationException",
            format!("Operation {other} is not known here."),
        )),
    }
}

/// Reads the members of a request; an unknown member is an error.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, ApiError> {
    serde_json::from_value(body).map_err(|e| invalid(e.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetLogEvents {
    log_group_name: String,
    log_stream_name: String,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

fn get_log_events(cognito: &Cognito, request: GetLogEvents) -> Answer {
    check_group(&request.log_group_name)?;
    let limit = limit(request.limit, PAGE_EVENTS)?;
    let token = request.next_token.as_deref();
    let page = cognito.import_logs(&request.log_group_name, |streams| {
        let stream = streams
            .iter()
            .find(|stream| stream.name == request.log_stream_name)
            .ok_or_else(|| not_found("log stream"))?;
        let page = page(stream, token, limit, request.start_from_head)?;
        let events = page.clone().map(|index| {
            let (at, message) = stream.event(index);
            json!({"timestamp": at, "ingestionTime": at, "message": message})
        });
        Ok(json!({
            "events": events.collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{}/s", page.end),
            "nextBackwardToken": format!("b/{}/s", page.start),
        }))
    });
    page.unwrap_or_else(|| Err(not_found("log group")))
}

/// The range of events on a page. Events are in order of time in both directions. At either end of the stream, the token of
/// the next page is the same as the one that was given.
// botocore GetLogEvents: startFromHead, nextToken, nextForwardToken and nextBackwardToken [D].
fn page(
    stream: &ImportLog<'_>,
    token: Option<&str>,
    limit: usize,
    from_head: bool,
) -> Result<Range<usize>, ApiError> {
    let (forward, at) = match token {
        None if from_head => (true, 0),
        None => (false, stream.len()),
        Some(token) => read_token(token, stream.len())
            .ok_or_else(|| invalid("The specified nextToken is invalid."))?,
    };
    if forward && !from_head {
        return Err(invalid(
            "startFromHead must be true with a token of nextForwardToken.",
        ));
    }
    let mut bytes = 0;
    let mut fits = |index: &usize| {
        bytes += stream.event(*index).1.len() + EVENT_OVERHEAD;
        bytes <= PAGE_BYTES
    };
    Ok(if forward {
        let events = (at..stream.len()).take(limit);
        at..at + events.take_while(&mut fits).count()
    } else {
        let events = (0..at).rev().take(limit);
        at - events.take_while(&mut fits).count()..at
    })
}

/// The direction (whether it is forward) and the position that a token stands for.
fn read_token(token: &str, length: usize) -> Option<(bool, usize)> {
    let (direction, position) = token.strip_suffix("/s")?.split_once('/')?;
    let position = position.parse().ok().filter(|at| *at <= length)?;
    match direction {
        "f" => Some((true, position)),
        "b" => Some((false, position)),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeLogStreams {
    log_group_name: String,
    log_stream_name_prefix: Option<String>,
    order_by: Option<OrderBy>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, PartialEq)]
enum OrderBy {
    LogStreamName,
    LastEventTime,
}

fn describe_log_streams(cognito: &Cognito, region: &str, request: DescribeLogStreams) -> Answer {
    let group = &request.log_group_name;
    check_group(group)?;
    let limit = limit(request.limit, 50)?;
    let by_time = request.order_by == Some(OrderBy::LastEventTime);
    if by_time && request.log_stream_name_prefix.is_some() {
        // botocore DescribeLogStreams, orderBy [D].
        return Err(invalid(
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ));
    }
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let start: usize = match request.next_token {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| invalid("The specified nextToken is invalid."))?,
    };
    let page = cognito.import_logs(group, |streams| {
        let matching = streams.iter().filter(|s| s.name.starts_with(&prefix));
        let mut matching: Vec<_> = matching.collect();
        let last = |stream: &ImportLog<'_>| stream.len().checked_sub(1).map(|i| stream.event(i).0);
        let key = |stream: &ImportLog<'_>| {
            (
                last(stream).filter(|_| by_time),
                stream.name.clone(),
            )
        };
        match request.descending {
            false => matching.sort_by_key(|stream| key(stream)),
            true => matching.sort_by_key(|stream| Reverse(key(stream))),
        }
        let more = matching.len() > start + limit;
        let page = matching.into_iter().skip(start).take(limit).map(|stream| {
            let mut described = json!({
                "logStreamName": stream.name,
                "creationTime": stream.created,
                "arn": format!("arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{}", stream.name),
                "storedBytes": 0,
            });
            if let Some(last) = last(stream) {
                described["firstEventTimestamp"] = stream.event(0).0.into();
                described["lastEventTimestamp"] = last.into();
                described["lastIngestionTime"] = last.into();
            }
            described
        });
        let mut answer = json!({"logStreams": page.collect::<Vec<_>>()});
        if more {
            answer["nextToken"] = (start + limit).to_string().into();
        }
        answer
    });
    page.ok_or_else(|| not_found("log group"))
}

// botocore LogGroupName [D]; the text of the error is [Inf].
fn check_group(name: &str) -> Result<(), ApiError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
    if (1..=512).contains(&name.len()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(invalid(
        "1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [\\.\\-_/#A-Za-z0-9]+",
    ))
}

fn limit(given: Option<usize>, maximum: usize) -> Result<usize, ApiError> {
    let limit = given.unwrap_or(maximum);
    if (1..=maximum).contains(&limit) {
        return Ok(limit);
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value between 1 \
         and {maximum}"
    )))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

// The text is the one that the service writes [R].
fn not_found(what: &str) -> ApiError {
    let message = format!("The specified {what} does not exist.");
    ApiError::new("ResourceNotFoundException", message)
}
