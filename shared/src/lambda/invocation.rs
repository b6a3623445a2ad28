//! An invocation of a Lambda function: how much time it has, and the error for a payload that it does not know.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::event::is_word;

/// A trigger answers within this time after it was called, well within Cognito's 5 s.
/// DG:cognito-user-pools-working-with-lambda-triggers: "must respond within 5 seconds".
pub const TRIGGER_TIME_LIMIT: Duration = Duration::from_millis(4200);

/// The longest time that Lambda lets a function run.
const MAX_INVOCATION_TIME: Duration = Duration::from_secs(15 * 60);

/// Time kept for sending the answer before Lambda ends the invocation.
const ANSWER_MARGIN: Duration = Duration::from_millis(250);

/// The deadline of a trigger's answer: counted from the event, less the start-up time if this is the process's first event, and
/// before Lambda ends the invocation. `lambda_deadline` is in milliseconds since 1970.
fn answer_deadline(
    received: Instant,
    start_up_time: Option<Duration>,
    lambda_deadline: u64,
) -> Instant {
    let ours = received + TRIGGER_TIME_LIMIT.saturating_sub(start_up_time.unwrap_or_default());
    match time_until(lambda_deadline) {
        Some(left) => ours.min(received + left.saturating_sub(ANSWER_MARGIN)),
        None => ours,
    }
}

/// The time that the start of the process took, which counts against its first event only.
#[derive(Debug)]
pub struct ColdStart(Mutex<Option<Duration>>);

impl ColdStart {
    /// The process began to start at this time, and is ready now.
    pub fn since(began: Instant) -> Self {
        Self(Mutex::new(Some(began.elapsed())))
    }

    /// The deadline of the answer to the next event of this process. `lambda_deadline` is in milliseconds since 1970.
    pub fn answer_deadline(&self, received: Instant, lambda_deadline: u64) -> Instant {
        let start_up_time = self.0.lock().ok().and_then(|mut time| time.take());
        answer_deadline(received, start_up_time, lambda_deadline)
    }
}

/// An invocation that has a worker's job to do.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id.
    pub id: String,
    /// When the work must end: a fifth of the time, at most 15 s, is kept for storing how far it has come.
    pub work_deadline: Instant,
    /// When Lambda ends it.
    pub ends_at: Timestamp,
}

impl Invocation {
    /// An invocation that was received at this time and ends at `lambda_deadline`, in milliseconds since 1970.
    pub fn new(id: String, received: Instant, lambda_deadline: u64) -> Self {
        let left = time_until(lambda_deadline).unwrap_or(MAX_INVOCATION_TIME);
        let margin = (left / 5).min(Duration::from_secs(15));
        Self {
            id,
            work_deadline: received + left - margin,
            ends_at: Timestamp::now() + left,
        }
    }
}

/// Time left until a deadline in milliseconds since 1970. None when it has passed: some local runtimes send meaningless deadlines.
fn time_until(deadline: u64) -> Option<Duration> {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .ok()
}

/// A payload that is neither a trigger event nor anything else the function knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is {found}: send a Cognito trigger event (with triggerSource){known}")]
pub struct UnknownPayload {
    found: String,
    known: &'static str,
}

impl UnknownPayload {
    /// Describes the payload without quoting it; `known` says what else could be sent, beginning with a comma.
    pub fn of(payload: &RawValue, known: &'static str) -> Self {
        #[derive(serde::Deserialize)]
        struct Action {
            action: String,
        }
        let text = payload.get();
        let action = serde_json::from_str(text).map(|Action { action }| action);
        let found = if let Some(action) = action.ok().filter(|action| is_word(action)) {
            format!("an action {action:?} that is unknown or malformed")
        } else if serde_json::from_str::<std::collections::BTreeMap<String, IgnoredAny>>(text)
            .is_ok()
        {
            "an object with neither triggerSource nor a known action".to_owned()
        } else {
            "not a JSON object".to_owned()
        };
        Self { found, known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_ms(ms: u64) -> u64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        now.as_millis() as u64 + ms
    }

    #[test]
    fn a_cold_start_is_taken_from_the_time_to_answer() {
        let now = Instant::now();

        let cold = answer_deadline(now, Some(Duration::from_millis(700)), in_ms(60_000));
        let warm = answer_deadline(now, None, in_ms(60_000));

        assert_eq!(warm - cold, Duration::from_millis(700));
        assert_eq!(warm - now, TRIGGER_TIME_LIMIT);
    }

    #[test]
    fn a_short_lambda_timeout_shortens_the_time_to_answer() {
        let now = Instant::now();

        assert!(answer_deadline(now, None, in_ms(3000)) - now <= Duration::from_millis(2750));
    }

    #[test]
    fn a_deadline_in_the_past_is_no_deadline() {
        let now = Instant::now();

        assert_eq!(
            answer_deadline(now, None, 600_000) - now,
            TRIGGER_TIME_LIMIT
        );
        let invocation = Invocation::new("id".into(), now, 600_000);
        assert!(invocation.work_deadline - now > Duration::from_secs(800));
    }

    #[test]
    fn an_unknown_payload_is_described_and_not_quoted() {
        let describe = |json: &str| {
            let payload: &RawValue = serde_json::from_str(json).unwrap();
            UnknownPayload::of(payload, ", or {\"action\":\"tick\"}").to_string()
        };

        assert!(describe(r#"{"action":"dance"}"#).contains(r#"an action "dance" that"#));
        assert!(describe(r#"{"email":"taro@example.jp"}"#).starts_with("the payload is an object"));
        assert!(!describe(r#"{"email":"taro@example.jp"}"#).contains("taro"));
        assert!(describe("[1]").contains("not a JSON object"));
    }
}
