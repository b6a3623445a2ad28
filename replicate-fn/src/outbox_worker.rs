//! The worker: replays the outbox until it is empty or the time is up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use shared::aws::{AwsError, Failure, RateLimiter};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::{trigger, users};
use shared::confirmation::{Confirmation, Username};
use shared::lambda::metrics::{Metric, Metrics};
use shared::outbox::{CONFLICTS_PREFIX, MAX_REFUSALS, PENDING_PREFIX, PendingRecord};
use shared::person::{Attributes, Person};
use shared::pool_id::PoolId;
use shared::s3::bucket::{Bucket, Condition, ListedObject, Listing};
use shared::s3::json::to_json;

use crate::replicator::{Replicator, report_replicated};
use replication::holder::{AnyNumber, Holders};
use replication::pool_rules::ADDRESSES;
use replication::replica::Replica;
use replication::secondary::{NotReplicated, RetryClass};

/// Records a second: most of the quota of AdminSetUserPassword (DG:quotas, UserAccountRecovery: 30, not adjustable), which nobody
/// else needs in a pool whose region has just come back.
const RECORDS_PER_SECOND: u32 = 25;

/// The time of a tick: it ends before the next one begins, so that two workers do not replay the same records.
const TICK_TIME_LIMIT: Duration = Duration::from_secs(55);

/// Records that are replayed concurrently.
const CONCURRENT_RECORDS: usize = 8;

/// After so many unanswered calls in a row, the region counts as unreachable until the next tick.
const MAX_UNANSWERED_CALLS: u32 = 8;

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
    /// The snapshot bucket. Without it, nobody's replica is moved or withheld.
    pub snapshots: Option<Bucket>,
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

/// What the primary pool says of the person of a record.
enum Original {
    /// They have been deleted.
    Gone,
    /// They are there. What the primary pool says of them now wins over what was recorded.
    Present(Person),
    /// The record names nobody who could be looked up.
    Unnamed,
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
            trigger::is_trigger_detached(&self.primary, &self.source, trigger_arn)
        );
        let state = tick
            .state
            .into_inner()
            .expect("no panic while it was locked");
        *metrics = state.metrics;
        metrics.set(Metric::Conflicts, answer.conflicts);
        metrics.set(Metric::Gone, answer.gone);
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
    /// Replays every object of the outbox, page by page. Each tick begins at another place and goes once around, so that records that
    /// keep failing cannot keep those behind them from being tried.
    async fn drain(&self, answer: &mut Answer) -> Result<(), AwsError> {
        let start = start_key(self.began);
        let outbox = &self.worker.outbox;
        let after_start = outbox.list_after(PENDING_PREFIX, &start);
        self.drain_listing(after_start, |_| true, answer).await?;
        let up_to_start = |key: &str| key <= start.as_str();
        self.drain_listing(outbox.list(PENDING_PREFIX), up_to_start, answer)
            .await
    }

    /// Replays the objects of a listing, up to the first whose key is not in range.
    async fn drain_listing(
        &self,
        mut listing: Listing,
        is_in_range: impl Fn(&str) -> bool,
        answer: &mut Answer,
    ) -> Result<(), AwsError> {
        while let Some(page) = listing.next_page().await? {
            let is_last = page.last().is_some_and(|object| !is_in_range(&object.key));
            // The S3 console represents a folder by an object of the folder's name.
            let objects = page
                .into_iter()
                .filter(|object| object.key != PENDING_PREFIX && is_in_range(&object.key));
            let mut outcomes = stream::iter(objects)
                .map(|object| self.replay_object(object))
                .buffer_unordered(CONCURRENT_RECORDS);
            while let Some(outcome) = outcomes.next().await {
                answer.count(outcome, self.began);
            }
            if is_last {
                break;
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
        let (outcome, stays) = match serde_json::from_slice::<PendingRecord>(&object.body) {
            Ok(record) => {
                let stays = RecordOutcome::Failing(record.confirmation.recorded_at);
                match self.replay(key, &object.etag, record).await {
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
    async fn replay(
        &self,
        key: &str,
        etag: &str,
        mut record: PendingRecord,
    ) -> Option<RecordOutcome> {
        let error = match self.replicate(&record.confirmation).await {
            Ok(outcome) => return Some(outcome),
            // A conflict would keep the attributes of somebody who was erased.
            Err(NotReplicated::Forgotten) => return Some(RecordOutcome::Gone),
            Err(error) => error,
        };
        let sub = record.confirmation.log_name().to_owned();
        let class = error.retry_class();
        record.refusals += u32::from(class == RetryClass::Refused);
        if class == RetryClass::Permanent || record.refusals >= MAX_REFUSALS {
            tracing::error!(sub, %error, "cannot be replicated as it is: moved to conflicts/");
            let conflict = Conflict {
                confirmation: &record.confirmation,
                reason: conflict_reason(&error, record.refusals),
            };
            let is_written = self.write_conflict(key, to_json(&conflict)).await;
            return is_written.then_some(RecordOutcome::Conflict);
        }
        tracing::warn!(sub, %error, "stays in the outbox");
        match &error {
            NotReplicated::Secondary(PoolError::Aws(error))
            | NotReplicated::Primary(PoolError::Aws(error))
            | NotReplicated::Snapshots(error) => self.count_failure(error),
            _ => {}
        }
        if class == RetryClass::Refused {
            // If another worker was faster, it has counted this tick.
            let counted = Condition::Unchanged(etag);
            let counted = self.worker.outbox.put_if(key, to_json(&record), counted);
            if let Err(error) = counted.await {
                self.log_outbox_error(&error);
            }
        }
        None
    }

    /// Brings the person into the secondary pool, unless they have been deleted from the primary pool or disabled there.
    async fn replicate(&self, confirmation: &Confirmation) -> Result<RecordOutcome, NotReplicated> {
        let sub = confirmation.log_name();
        let replicator = &self.worker.replicator;
        let secondary = &replicator.secondary;
        let recorded = Replica::of(confirmation, secondary.origin());
        let holders = Holders {
            primary: &self.primary,
            secondary,
            snapshots: self.worker.snapshots.as_ref(),
            parked: None,
            deletions: &AnyNumber,
            on_made_way: None,
        };
        let replica = match self.look_up_original(confirmation).await? {
            Original::Gone => {
                tracing::info!(sub, "no longer in the primary pool: dropped");
                return Ok(RecordOutcome::Gone);
            }
            // Reconcile makes the pair what it must be, and brings them once they are enabled again.
            Original::Present(person) if !person.enabled => {
                tracing::info!(sub, "disabled in the primary pool: dropped");
                return Ok(RecordOutcome::Gone);
            }
            // Since the record was written, the person may have left an address that somebody else uses now.
            Original::Present(person) => {
                let mut present = confirmation.clone();
                present.sub = present.sub.or(person.sub().map(str::to_owned));
                present.attributes =
                    attributes_by_now(&confirmation.attributes, &person.attributes);
                match (Replica::of(&present, secondary.origin()), recorded) {
                    (Ok(present), Ok(recorded)) => {
                        holders
                            .move_replica_to_present_address(recorded, present)
                            .await?
                    }
                    // The event lacked what the primary pool knows.
                    (Ok(present), Err(_)) => present,
                    (Err(_), recorded) => recorded?,
                }
            }
            Original::Unnamed => recorded?,
        };
        // Right before the calls whose quota it is, so that a slow answer from elsewhere does not make them come at once.
        self.limiter.acquire().await;
        let on_reclaimed = |holder: &str| {
            tracing::warn!(
                sub,
                holder,
                "an unconfirmed user held the username: deleted"
            );
            self.state().metrics.count(Metric::Reclaimed);
        };
        let replicated = holders.replicate(&replica, on_reclaimed).await?;
        report_replicated(sub, &replicated, &mut self.state().metrics);
        Ok(RecordOutcome::Drained)
    }

    /// Asks the primary pool for the person, before every replay.
    async fn look_up_original(
        &self,
        confirmation: &Confirmation,
    ) -> Result<Original, NotReplicated> {
        if let Some(pool) = &confirmation.pool
            && pool != self.worker.source.as_str()
        {
            return Err(NotReplicated::OtherPool(pool.clone()));
        }
        // By `sub`, because somebody else may have the username now.
        let username = confirmation.username.as_ref();
        let person = confirmation.sub.as_deref();
        let Some(person) = person.or(username.map(Username::as_str)) else {
            return Ok(Original::Unnamed);
        };
        let person = users::look_up(&self.primary, person).await;
        let person = person.map_err(NotReplicated::Primary)?;
        Ok(person.map_or(Original::Gone, Original::Present))
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

/// The key after which a tick begins: a place in the outbox that the time chooses. Keys are spread evenly, because a `sub` is a
/// random UUID. Successive seconds are the golden ratio of the key space apart, and so, with any interval between two ticks, each
/// part of the key space is soon the beginning of one.
fn start_key(now: Timestamp) -> String {
    const GOLDEN_RATIO: u32 = 0x9e37_79b9;
    let second = now.as_second() as u32;
    format!(
        "{PENDING_PREFIX}{:04x}",
        second.wrapping_mul(GOLDEN_RATIO) >> 16
    )
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
fn conflict_reason(error: &NotReplicated, refusals: u32) -> String {
    let reason = match error {
        NotReplicated::Secondary(PoolError::Aws(error)) => {
            format!("{}: {}", error.code(), error.message().trim())
        }
        error => error.to_string(),
    };
    match refusals {
        MAX_REFUSALS.. => format!("refused {refusals} times, at last with {reason}"),
        _ => reason,
    }
}

/// The attributes of a record, with what the primary pool says of the person by now. An address that they have removed does not come back:
/// whoever has it next could reset the password there. Whatever else they have removed comes back, until the next reconcile.
fn attributes_by_now(recorded: &Attributes, present: &Attributes) -> Attributes {
    let mut attributes = recorded.clone();
    if ADDRESSES
        .iter()
        .any(|address| present.get(address).is_some())
    {
        let removed = ADDRESSES
            .iter()
            .filter(|address| present.get(address).is_none());
        for address in removed {
            attributes.remove(address);
            attributes.remove(&format!("{address}_verified"));
        }
    }
    for (name, value) in present.iter() {
        attributes.insert(name, value);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successive_ticks_soon_begin_everywhere() {
        let starts: Vec<_> = (0..64)
            .map(|minute| start_key(Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()))
            .collect();

        for digit in "0123456789abcdef".chars() {
            let prefix = format!("{PENDING_PREFIX}{digit}");
            assert!(
                starts.iter().any(|start| start.starts_with(&prefix)),
                "{digit}"
            );
        }
    }
}
