//! An invocation: how long it has, work that must not outlast it, and a payload that makes no sense.

use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::event::is_word;

/// A trigger answers within this time of being called, well inside Cognito's 5 s.
/// DG:cognito-user-pools-working-with-lambda-triggers: "must respond within 5 seconds".
pub const ANSWER_WITHIN: Duration = Duration::from_millis(4200);

/// The longest a Lambda function runs.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Kept free before the end that Lambda sets, for the answer itself.
const ANSWER_MARGIN: Duration = Duration::from_millis(250);

/// When a trigger must have answered: counted from the event, less what the start of the process took when this is its
/// first event, and before Lambda ends the invocation. `deadline` is the invocation's end in milliseconds since 1970.
fn answer_by(received: Instant, started_in: Option<Duration>, deadline: u64) -> Instant {
    let ours = received + ANSWER_WITHIN.saturating_sub(started_in.unwrap_or_default());
    match until(deadline) {
        Some(left) => ours.min(received + left.saturating_sub(ANSWER_MARGIN)),
        None => ours,
    }
}

/// What the start of the process took, which counts against the first event alone.
#[derive(Debug)]
pub struct Cold(Mutex<Option<Duration>>);

impl Cold {
    /// The process is ready, and began at this point in time.
    pub fn since(begun: Instant) -> Self {
        Self(Mutex::new(Some(begun.elapsed())))
    }

    /// When the trigger must have answered the next event of this process.
    pub fn answer_by(&self, received: Instant, deadline: u64) -> Instant {
        let started_in = self.0.lock().ok().and_then(|mut started| started.take());
        answer_by(received, started_in, deadline)
    }
}

/// An invocation that has work to do.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id.
    pub id: String,
    /// When the work must be done: a fifth of the time, 15 s at most, is kept for leaving everything in order.
    pub until: Instant,
    /// When Lambda ends it.
    pub ends: Timestamp,
}

impl Invocation {
    /// An invocation that came at this point in time, with its end in milliseconds since 1970.
    pub fn new(id: String, received: Instant, deadline: u64) -> Self {
        let left = until(deadline).unwrap_or(LONGEST);
        let in_order = (left / 5).min(Duration::from_secs(15));
        Self {
            id,
            until: received + left - in_order,
            ends: Timestamp::now() + left,
        }
    }
}

/// Time left until a deadline in milliseconds since 1970; none when it has passed, as with local runtimes that give nonsense.
fn until(deadline: u64) -> Option<Duration> {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .ok()
}

/// Why work did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The time was up.
    #[error("out of time")]
    OutOfTime,
    /// It panicked; the log names the place.
    #[error("a panic")]
    Panicked,
}

/// Does work that neither time nor a panic may carry past `until`.
///
/// # Errors
///
/// The work did not end by itself.
pub async fn guarded<T, W>(until: Instant, work: W) -> Result<T, Interrupted>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let mut task = tokio::spawn(work);
    match tokio::time::timeout_at(until.into(), &mut task).await {
        Ok(done) => done.map_err(|_| Interrupted::Panicked),
        Err(_) => {
            task.abort();
            Err(Interrupted::OutOfTime)
        }
    }
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

        let cold = answer_by(now, Some(Duration::from_millis(700)), in_ms(60_000));
        let warm = answer_by(now, None, in_ms(60_000));

        assert_eq!(warm - cold, Duration::from_millis(700));
        assert_eq!(warm - now, ANSWER_WITHIN);
    }

    #[test]
    fn a_short_lambda_timeout_shortens_the_time_to_answer() {
        let now = Instant::now();

        assert!(answer_by(now, None, in_ms(3000)) - now <= Duration::from_millis(2750));
    }

    #[test]
    fn a_deadline_in_the_past_is_no_deadline() {
        let now = Instant::now();

        assert_eq!(answer_by(now, None, 600_000) - now, ANSWER_WITHIN);
        let invocation = Invocation::new("id".into(), now, 600_000);
        assert!(invocation.until - now > Duration::from_secs(800));
    }

    #[tokio::test]
    async fn work_that_hangs_or_panics_is_interrupted() {
        let soon = Instant::now() + Duration::from_millis(50);

        let hung = guarded(soon, std::future::pending::<()>()).await;
        let panicked = guarded(soon + Duration::from_secs(5), async { panic!("no") }).await;

        assert_eq!(hung, Err(Interrupted::OutOfTime));
        assert_eq!(panicked, Err::<(), _>(Interrupted::Panicked));
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
