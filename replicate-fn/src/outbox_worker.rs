//! The worker: replays the outbox until it is empty or the time is up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::aws::{AwsError, Failure, RateLimiter};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::{trigger, users};
use shared::confirmation::Confirmation;
use shared::lambda::metrics::{Metric, Metrics};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::person::Person;
use shared::pool_id::PoolId;
use shared::s3::bucket::{Bucket, ListedObject};
use shared::s3::json::to_json;

use crate::replicator::{Replicator, report_replicated};
use crate::secondary::NotReplicated;

/// Records a second: most of the quota of AdminSetUserPassword (DG:quotas, UserAccountRecovery: 30, not adjustable), which nobody
/// else needs in a pool whose region has just come back.
const RECORDS_PER_SECOND: u32 = 25;

/// The time of a tick: it ends before the next one begins, so that two workers do not replay the same records.
const TICK_TIME_LIMIT: Duration = Duration::from_secs(55);

/// Records that are replayed concurrently.
const CONCURRENT_RECORDS: usize = 8;

/// After so many unanswered calls in a row, the region counts as unreachable until the next tick.
const MAX_UNANSWERED_CALLS: u32 = 8;

/// The primary pool is asked for people whose record is older: they may have been deleted since.
const LOOK_UP_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The function as the worker of the outbox.
pub struct OutboxWorker {
    /// A client for the primary pool that does not retry by itself.
    pub primary: Client,
    /// The primary pool.
    pub source: PoolId,
    /// The function that the primary pool should run after a confirmation, if that is known.
    pub trigger_arn: Option<String>,
    /// Brings people into the secondary pool.
    pub replicator: Replicator,
    /// The outbox.
    pub outbox: Bucket,
}

/// What a tick answers.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    drained: u64,
    failing: u64,
    conflicts: u64,
    gone: u64,
    oldest_s: u64,
}

/// What became of a record.
enum RecordOutcome {
    Drained,
    Conflict,
    Gone,
    /// It stays in the outbox. It was recorded at this time.
    Failing(Timestamp),
    /// Another worker has handled it.
    AlreadyHandled,
}

/// A tick in progress.
struct Tick<'a> {
    worker: &'a OutboxWorker,
    primary: Pool,
    limiter: RateLimiter,
    deadline: Instant,
    began: Timestamp,
    state: Mutex<TickState>,
}

/// What the concurrent records of a tick have in common.
#[derive(Default)]
struct TickState {
    metrics: Metrics,
    unanswered_calls: u32,
    stopped_by: Option<AwsError>,
}

impl OutboxWorker {
    /// Replays every record of the outbox, and measures what is left.
    ///
    /// # Errors
    ///
    /// The outbox cannot be listed, or a wrong set-up fails every record.
    pub async fn drain(
        &self,
        deadline: Instant,
        metrics: &mut Metrics,
    ) -> Result<Answer, AwsError> {
        let deadline = deadline.min(Instant::now() + TICK_TIME_LIMIT);
        let tick = Tick {
            worker: self,
            primary: Pool::rate_limited(
                self.primary.clone(),
                self.source.clone(),
                RECORDS_PER_SECOND,
                deadline,
            ),
            limiter: RateLimiter::per_second(RECORDS_PER_SECOND),
            deadline,
            began: Timestamp::now(),
            state: Mutex::default(),
        };
        let mut answer = Answer::default();
        let trigger_arn = self.trigger_arn.as_deref();
        let (drained, detached) = tokio::join!(
            tick.drain(&mut answer),
            trigger::look(&self.primary, &self.source, trigger_arn)
        );
        let state = tick
            .state
            .into_inner()
            .expect("no panic while it was locked");
        *metrics = state.metrics;
        metrics.set(Metric::Conflicts, answer.conflicts);
        if let Some(detached) = detached {
            metrics.set(Metric::TriggerDetached, detached.into());
        }
        drained?;
        metrics.set(Metric::OutboxDepth, answer.failing);
        metrics.set(Metric::OutboxOldest, answer.oldest_s);
        state.stopped_by.map_or(Ok(answer), Err)
    }
}

impl Answer {
    fn count(&mut self, outcome: RecordOutcome, now: Timestamp) {
        match outcome {
            RecordOutcome::Drained => self.drained += 1,
            RecordOutcome::Conflict => self.conflicts += 1,
            RecordOutcome::Gone => self.gone += 1,
            RecordOutcome::Failing(since) => {
                self.failing += 1;
                let age = now.duration_since(since).as_secs().max(0) as u64;
                self.oldest_s = self.oldest_s.max(age);
            }
            RecordOutcome::AlreadyHandled => {}
        }
    }
}

impl Tick<'_> {
    /// Replays every object of the outbox, page by page.
    async fn drain(&self, answer: &mut Answer) -> Result<(), AwsError> {
        let mut listing = self.worker.outbox.list(PENDING_PREFIX);
        while let Some(page) = listing.next_page().await? {
            // The S3 console represents a folder by an object of the folder's name.
            let objects = page
                .into_iter()
                .filter(|object| object.key != PENDING_PREFIX);
            let mut outcomes = stream::iter(objects)
                .map(|object| self.replay_object(object))
                .buffer_unordered(CONCURRENT_RECORDS);
            while let Some(outcome) = outcomes.next().await {
                answer.count(outcome, self.began);
            }
        }
        Ok(())
    }

    /// Replays one object of the outbox, while there is time.
    async fn replay_object(&self, listed: ListedObject) -> RecordOutcome {
        let stays = RecordOutcome::Failing(listed.last_modified);
        if self.must_stop() {
            return stays;
        }
        self.limiter.acquire().await;
        let replayed =
            tokio::time::timeout_at(self.deadline.into(), self.replay_and_delete(listed));
        replayed.await.unwrap_or(stays)
    }

    /// Replays one object, and deletes it from the outbox if it was handled for good.
    async fn replay_and_delete(&self, listed: ListedObject) -> RecordOutcome {
        let key = &listed.key;
        let object = match self.worker.outbox.get(key).await {
            Ok(Some(object)) => object,
            Ok(None) => return RecordOutcome::AlreadyHandled,
            Err(error) => {
                self.log_outbox_error(&error);
                return RecordOutcome::Failing(listed.last_modified);
            }
        };
        let (outcome, stays) = match serde_json::from_slice::<Confirmation>(&object.body) {
            Ok(confirmation) => {
                let stays = RecordOutcome::Failing(confirmation.recorded_at);
                match self
                    .replicate_or_move_to_conflicts(key, &confirmation)
                    .await
                {
                    Some(outcome) => (outcome, stays),
                    None => return stays,
                }
            }
            Err(_) => {
                tracing::error!(
                    "an object in the outbox is not a confirmation: it is moved to conflicts/"
                );
                let stays = RecordOutcome::Failing(listed.last_modified);
                let unreadable = to_json(&Unreadable::of(&object.body));
                if !self.write_conflict(key, unreadable).await {
                    return stays;
                }
                (RecordOutcome::Conflict, stays)
            }
        };
        // Only the object that was read: a newer record of the same person may have been written meanwhile.
        match self.worker.outbox.delete_if(key, &object.etag).await {
            Ok(true) => {
                self.state().unanswered_calls = 0;
                outcome
            }
            Ok(false) => stays,
            Err(error) => {
                self.log_outbox_error(&error);
                stays
            }
        }
    }

    /// Brings the person into the secondary pool, or writes the record to `conflicts/`. None when the record stays in the outbox.
    async fn replicate_or_move_to_conflicts(
        &self,
        key: &str,
        confirmation: &Confirmation,
    ) -> Option<RecordOutcome> {
        let sub = confirmation.log_name();
        let error = match self.replicate(confirmation).await {
            Ok(outcome) => return Some(outcome),
            Err(error) => error,
        };
        if error.is_permanent() {
            tracing::error!(sub, %error, "cannot be replicated as it is: moved to conflicts/");
            let conflict = Conflict {
                confirmation,
                reason: conflict_reason(&error),
            };
            let is_written = self.write_conflict(key, to_json(&conflict)).await;
            return is_written.then_some(RecordOutcome::Conflict);
        }
        tracing::warn!(sub, %error, "stays in the outbox");
        if let NotReplicated::Secondary(PoolError::Aws(error))
        | NotReplicated::Primary(PoolError::Aws(error)) = &error
        {
            self.count_failure(error);
        }
        None
    }

    /// Brings the person into the secondary pool, unless they have been deleted from the primary pool.
    async fn replicate(&self, confirmation: &Confirmation) -> Result<RecordOutcome, NotReplicated> {
        let sub = confirmation.log_name();
        if self.is_deleted(confirmation).await? {
            tracing::info!(sub, "no longer in the primary pool: dropped");
            return Ok(RecordOutcome::Gone);
        }
        let replicator = &self.worker.replicator;
        let replicated = match replicator.replicate(confirmation).await {
            Err(NotReplicated::HeldByUnconfirmed(holder)) => {
                let pool = replicator.secondary.pool();
                let deleted = users::delete_unconfirmed(pool, &holder).await;
                if deleted.map_err(NotReplicated::Secondary)? {
                    tracing::warn!(
                        sub,
                        holder,
                        "an unconfirmed user held the username: deleted"
                    );
                    self.state().metrics.count(Metric::Reclaimed);
                }
                replicator.replicate(confirmation).await?
            }
            replicated => replicated?,
        };
        report_replicated(sub, &replicated, &mut self.state().metrics);
        Ok(RecordOutcome::Drained)
    }

    /// Whether the person of an old record has been deleted from the primary pool since.
    async fn is_deleted(&self, confirmation: &Confirmation) -> Result<bool, NotReplicated> {
        let age = self.began.duration_since(confirmation.recorded_at);
        let username = confirmation.username.as_ref();
        let Some(username) = username.filter(|_| age > LOOK_UP_AFTER) else {
            return Ok(false);
        };
        match &confirmation.pool {
            Some(pool) if pool != self.worker.source.as_str() => {
                Err(NotReplicated::OtherPool(pool.clone()))
            }
            _ => {
                let person = users::look_up(&self.primary, username.as_str()).await;
                let person = person.map_err(NotReplicated::Primary)?;
                // Another person may have taken the username since.
                let is_same = |person: Person| {
                    confirmation.sub.is_none() || person.sub() == confirmation.sub.as_deref()
                };
                Ok(!person.is_some_and(is_same))
            }
        }
    }

    /// Writes an object with the same name to `conflicts/`. False when S3 did not accept it.
    async fn write_conflict(&self, key: &str, conflict: Vec<u8>) -> bool {
        let name = key.strip_prefix(PENDING_PREFIX).unwrap_or(key);
        let key = format!("{CONFLICTS_PREFIX}{name}");
        let written = self.worker.outbox.put(&key, conflict).await;
        written
            .map_err(|error| self.log_outbox_error(&error))
            .is_ok()
    }

    /// Whether trying more records now is useless.
    fn must_stop(&self) -> bool {
        let state = self.state();
        Instant::now() >= self.deadline
            || state.unanswered_calls >= MAX_UNANSWERED_CALLS
            || state.stopped_by.is_some()
    }

    /// Logs and counts that a record stays because the outbox itself failed.
    fn log_outbox_error(&self, error: &AwsError) {
        tracing::warn!(%error, "a record stays in the outbox");
        self.count_failure(error);
    }

    /// Counts a failure that decides whether more records are worth trying.
    fn count_failure(&self, error: &AwsError) {
        let mut state = self.state();
        if error.failure() == Failure::Unreachable {
            state.unanswered_calls += 1;
        }
        if error.is_configuration() {
            state.stopped_by.get_or_insert_with(|| error.clone());
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, TickState> {
        self.state.lock().expect("no panic while it is locked")
    }
}

/// `conflicts/<sub>.json`: the confirmation, and why it cannot be replicated.
#[derive(Serialize)]
struct Conflict<'a> {
    #[serde(flatten)]
    confirmation: &'a Confirmation,
    reason: String,
}

/// The same for an object that is not a confirmation.
#[derive(Serialize)]
struct Unreadable {
    version: u32,
    reason: &'static str,
    /// The object's content. Bytes that are not UTF-8 are escaped.
    body: String,
}

impl Unreadable {
    fn of(body: &[u8]) -> Self {
        Self {
            version: 1,
            reason: "not a record that twinpool can read",
            body: match std::str::from_utf8(body) {
                Ok(text) => text.to_owned(),
                Err(_) => body.escape_ascii().to_string(),
            },
        }
    }
}

/// The reason for people to read, with the service's own message: the object contains the person's data anyway.
fn conflict_reason(error: &NotReplicated) -> String {
    match error {
        NotReplicated::Secondary(PoolError::Aws(error)) => {
            format!("{}: {}", error.code(), error.message().trim())
        }
        error => error.to_string(),
    }
}
