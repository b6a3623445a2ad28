//! The worker: replays what the trigger could not replicate, until the outbox is empty or the time is up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::aws::{AwsError, Failure};
use shared::bucket::{Bucket, Listed, json};
use shared::metrics::{Metric, Metrics};
use shared::person::Person;
use shared::pool::{Pace, Pool, PoolError, PoolId};
use shared::record::{CONFLICTS, OUTBOX, Record};

use crate::secondary::NotReplicated;
use crate::trigger::{Replicator, report};

/// Most of what AdminSetUserPassword may do in a second (DG:quotas, UserAccountRecovery: 30, not adjustable): nobody else
/// needs it in a pool whose region has just come back.
const RECORDS_PER_SECOND: u32 = 25;
/// A tick ends before the next one begins, so that workers do not walk the same records and share the quota.
const TICK: Duration = Duration::from_secs(55);
/// Records at once.
const AT_ONCE: usize = 8;
/// After so many unanswered calls in a row the region is taken to be away until the next tick.
const UNANSWERED: u32 = 8;
/// Older records may be of people who have been deleted since.
const ASK_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The function as the outbox's worker.
pub struct Worker {
    /// A client for the primary pool that does not repeat calls itself.
    pub primary: Client,
    /// The primary pool.
    pub source: PoolId,
    /// The way to the secondary pool.
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
enum Fate {
    Drained,
    Conflict,
    Gone,
    /// Stays in the outbox; since when it is known.
    Failing(Timestamp),
    /// Another worker was quicker.
    NotThere,
}

/// A tick in progress.
struct Tick<'a> {
    worker: &'a Worker,
    primary: Pool,
    pace: Pace,
    until: Instant,
    begun: Timestamp,
    shared: Mutex<Shared>,
}

/// What the records of a tick share.
#[derive(Default)]
struct Shared {
    metrics: Metrics,
    unanswered: u32,
    stopped_by: Option<AwsError>,
}

impl Worker {
    /// Tries every record in the outbox, and measures what is left in it.
    ///
    /// # Errors
    ///
    /// The outbox cannot be listed, or something in the set-up fails every record.
    pub async fn drain(&self, until: Instant, metrics: &mut Metrics) -> Result<Answer, AwsError> {
        let until = until.min(Instant::now() + TICK);
        let tick = Tick {
            worker: self,
            primary: Pool::new(
                self.primary.clone(),
                self.source.clone(),
                RECORDS_PER_SECOND,
                until,
            ),
            pace: Pace::per_second(RECORDS_PER_SECOND),
            until,
            begun: Timestamp::now(),
            shared: Mutex::default(),
        };
        let mut answer = Answer::default();
        let drained = tick.drain(&mut answer).await;
        let shared = tick
            .shared
            .into_inner()
            .expect("no panic while it was held");
        *metrics = shared.metrics;
        metrics.set(Metric::Conflicts, answer.conflicts);
        drained?;
        metrics.set(Metric::OutboxDepth, answer.failing);
        metrics.set(Metric::OutboxOldest, answer.oldest_s);
        shared.stopped_by.map_or(Ok(answer), Err)
    }
}

impl Answer {
    fn count(&mut self, fate: Fate, now: Timestamp) {
        match fate {
            Fate::Drained => self.drained += 1,
            Fate::Conflict => self.conflicts += 1,
            Fate::Gone => self.gone += 1,
            Fate::Failing(since) => {
                self.failing += 1;
                let age = now.duration_since(since).as_secs().max(0) as u64;
                self.oldest_s = self.oldest_s.max(age);
            }
            Fate::NotThere => {}
        }
    }
}

impl Tick<'_> {
    /// Deals with every object of the outbox, page by page.
    async fn drain(&self, answer: &mut Answer) -> Result<(), AwsError> {
        let mut listing = self.worker.outbox.list(OUTBOX);
        while let Some(page) = listing.page().await? {
            // The console marks a folder that somebody made with an object of its name.
            let objects = page.into_iter().filter(|object| object.key != OUTBOX);
            let mut fates = stream::iter(objects)
                .map(|object| self.settle(object))
                .buffer_unordered(AT_ONCE);
            while let Some(fate) = fates.next().await {
                answer.count(fate, self.begun);
            }
        }
        Ok(())
    }

    /// Deals with one object of the outbox, while there is time.
    async fn settle(&self, listed: Listed) -> Fate {
        if self.is_over() {
            return Fate::Failing(listed.last_modified);
        }
        self.pace.turn().await;
        let stays = Fate::Failing(listed.last_modified);
        let settled = tokio::time::timeout_at(self.until.into(), self.settle_now(listed));
        settled.await.unwrap_or(stays)
    }

    async fn settle_now(&self, listed: Listed) -> Fate {
        let key = &listed.key;
        let object = match self.worker.outbox.get(key).await {
            Ok(Some(object)) => object,
            Ok(None) => return Fate::NotThere,
            Err(error) => {
                self.note(&error);
                return Fate::Failing(listed.last_modified);
            }
        };
        let (fate, stays) = match serde_json::from_slice::<Record>(&object.body) {
            Ok(record) => {
                let stays = Fate::Failing(record.recorded_at);
                match self.replay_or_set_aside(key, &record).await {
                    Some(fate) => (fate, stays),
                    None => return stays,
                }
            }
            Err(_) => {
                tracing::error!(
                    "an object in the outbox is no record: to be set aside in conflicts/"
                );
                let stays = Fate::Failing(listed.last_modified);
                let unreadable = json(&Unreadable::of(&object.body));
                if !self.set_aside(key, unreadable).await {
                    return stays;
                }
                (Fate::Conflict, stays)
            }
        };
        // Only what was dealt with: a newer record of the same person may have come meanwhile.
        match self.worker.outbox.delete_if(key, &object.etag).await {
            Ok(true) => {
                self.shared().unanswered = 0;
                fate
            }
            Ok(false) => stays,
            Err(error) => {
                self.note(&error);
                stays
            }
        }
    }

    /// Brings a record's person to the secondary pool, or the record to `conflicts/`; none when it stays.
    async fn replay_or_set_aside(&self, key: &str, record: &Record) -> Option<Fate> {
        let sub = record.log_name();
        let error = match self.replay(record).await {
            Ok(fate) => return Some(fate),
            Err(error) => error,
        };
        if error.is_permanent() {
            tracing::error!(sub, %error, "cannot be replicated as it is: to be set aside in conflicts/");
            let conflict = Conflict {
                record,
                reason: reason(&error),
            };
            let is_aside = self.set_aside(key, json(&conflict)).await;
            return is_aside.then_some(Fate::Conflict);
        }
        tracing::warn!(sub, %error, "stays in the outbox");
        if let NotReplicated::Aws(error) | NotReplicated::Primary(PoolError::Aws(error)) = &error {
            self.take_note(error);
        }
        None
    }

    /// Brings a record's person to the secondary pool, unless they are gone from the primary one.
    async fn replay(&self, record: &Record) -> Result<Fate, NotReplicated> {
        let sub = record.log_name();
        if self.is_gone(record).await? {
            tracing::info!(sub, "no longer in the primary pool: dropped");
            return Ok(Fate::Gone);
        }
        let replicator = &self.worker.replicator;
        let replicated = match replicator.replicate(record).await {
            Err(NotReplicated::HeldByUnconfirmed(holder)) => {
                replicator.secondary.delete_unconfirmed(&holder).await?;
                tracing::warn!(
                    sub,
                    holder,
                    "an unconfirmed user held the username: deleted"
                );
                self.shared().metrics.count(Metric::Reclaimed);
                replicator.replicate(record).await?
            }
            replicated => replicated?,
        };
        report(sub, &replicated, &mut self.shared().metrics);
        Ok(Fate::Drained)
    }

    /// Whether the person of an old record has been deleted from the primary pool since.
    async fn is_gone(&self, record: &Record) -> Result<bool, NotReplicated> {
        let age = self.begun.duration_since(record.recorded_at);
        let Some(username) = record.username.as_ref().filter(|_| age > ASK_AFTER) else {
            return Ok(false);
        };
        match &record.pool {
            Some(pool) if pool != self.worker.source.as_str() => {
                Err(NotReplicated::AnotherPool(pool.clone()))
            }
            _ => {
                let person = self.primary.person(username.as_str()).await?;
                // Somebody else may have taken the username since.
                let is_the_same =
                    |person: Person| record.sub.is_none() || person.sub() == record.sub.as_deref();
                Ok(!person.is_some_and(is_the_same))
            }
        }
    }

    /// Writes to `conflicts/` under the same name; false when S3 did not take it.
    async fn set_aside(&self, key: &str, conflict: Vec<u8>) -> bool {
        let name = key.strip_prefix(OUTBOX).unwrap_or(key);
        let put = self
            .worker
            .outbox
            .put(&format!("{CONFLICTS}{name}"), conflict)
            .await;
        put.map_err(|error| self.note(&error)).is_ok()
    }

    /// Whether there is no use in trying more records now.
    fn is_over(&self) -> bool {
        let shared = self.shared();
        Instant::now() >= self.until
            || shared.unanswered >= UNANSWERED
            || shared.stopped_by.is_some()
    }

    /// A record stays because of the outbox itself.
    fn note(&self, error: &AwsError) {
        tracing::warn!(%error, "a record stays in the outbox");
        self.take_note(error);
    }

    /// Whether more records are worth trying depends on what has failed.
    fn take_note(&self, error: &AwsError) {
        let mut shared = self.shared();
        if error.failure() == Failure::Unreachable {
            shared.unanswered += 1;
        }
        if error.is_configuration() {
            shared.stopped_by.get_or_insert_with(|| error.clone());
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic while it is held")
    }
}

/// `conflicts/<sub>.json`: the record, and why it is there.
#[derive(Serialize)]
struct Conflict<'a> {
    #[serde(flatten)]
    record: &'a Record,
    reason: String,
}

/// The same for an object that is no record and can never be replayed.
#[derive(Serialize)]
struct Unreadable {
    version: u32,
    reason: &'static str,
    /// The object as it was; bytes that are no text as escapes.
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

/// The reason for people, with the service's own words: it stands beside the person's data anyway.
fn reason(error: &NotReplicated) -> String {
    match error {
        NotReplicated::Aws(error) => format!("{}: {}", error.code(), error.message().trim()),
        error => error.to_string(),
    }
}
