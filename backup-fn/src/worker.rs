//! The worker: decides whether a snapshot is needed, and answers what became of it.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::public_keys::{self, Reach};
use shared::cognito::trigger;
use shared::id::Id;
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::{Metric, Metrics};
use shared::pool_id::PoolId;
use shared::s3::json::JsonError;
use shared::snapshot::error::SnapshotError;
use shared::snapshot::latest::Latest;
use shared::snapshot::layout::manifest_key;
use shared::snapshot::lease;
use shared::snapshot::manifest::Manifest;
use shared::snapshot::scope::Scope;
use shared::snapshot::worker::{BucketState, LeaseRequest, Outcome, SnapshotWorker, Wanted};
use shared::time::is_in_future;
use tokio::sync::watch;

use crate::request::Request;

/// The longest time that a tick waits for the minimum interval to pass.
const MAX_TICK_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The same for a snapshot of the newcomers.
const MAX_TICK_WAIT_FOR_NEWCOMERS: SignedDuration = SignedDuration::from_secs(60);

/// The function as the worker that takes snapshots.
pub struct Worker {
    /// The engine that takes them.
    pub snapshots: SnapshotWorker,
    /// No snapshot starts sooner after the last start, unless asked for.
    pub min_interval: SignedDuration,
    /// The same for snapshots of a pool that takes longer than a minute to list.
    pub pool_interval: SignedDuration,
    /// The function that the pool should run after a confirmation, if that is known.
    pub trigger_arn: Option<String>,
    /// The primary pool, whose region each tick looks at, if it is known.
    pub primary: Option<PoolId>,
    /// The clients of other regions.
    pub sdk: Sdk,
}

/// What a request is answered with.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    status: Status,
    snapshot: Option<Id>,
    manifest: Option<String>,
    users: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Complete,
    InProgress,
    NotNeeded,
    Held,
    Shrunk,
}

impl Answer {
    fn of(status: Status, manifest: Option<&Manifest>) -> Self {
        Self {
            status,
            snapshot: manifest.map(|manifest| manifest.snapshot.clone()),
            manifest: manifest.map(|manifest| manifest_key(&manifest.snapshot)),
            users: manifest.map(|manifest| manifest.users.listed),
        }
    }
}

impl Worker {
    /// Does what is asked. A tick also measures how old the last snapshot is, whether the pool still runs the trigger, and whether the
    /// primary region serves the primary pool, even if something else fails.
    ///
    /// # Errors
    ///
    /// The snapshot could not be taken, or the latest one could not be read.
    pub async fn handle_request(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        let is_tick = *request == Request::Tick;
        let look_at_primary = async {
            match &self.primary {
                Some(primary) if is_tick => Some(is_unreachable(&self.sdk, primary).await),
                _ => None,
            }
        };
        // At the same time, because an answer that is waited for in vain must not delay a snapshot.
        let (answer, unreachable) = tokio::join!(
            self.take_snapshot_if_needed(request, invocation, metrics),
            look_at_primary,
        );
        if let Some(unreachable) = unreachable {
            metrics.set(Metric::PrimaryUnreachable, unreachable.into());
        }
        if is_tick {
            let measured = self.measure_latest(metrics).await;
            let (client, pool) = (&self.snapshots.client, &self.snapshots.pool);
            let detached =
                trigger::is_trigger_detached(client, pool, self.trigger_arn.as_deref()).await;
            if let Some(detached) = detached {
                metrics.set(Metric::TriggerDetached, detached.into());
            }
            return answer.and_then(|answer| Ok(measured.map(|()| answer)?));
        }
        answer
    }

    async fn take_snapshot_if_needed(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        if let Request::Snapshot {
            scope,
            accept_shrink,
        } = *request
        {
            let Some(state) = self.snapshots.inspect_bucket(scope).await? else {
                return Ok(Answer::of(Status::Held, None));
            };
            let wanted = Wanted {
                accept_shrink,
                look_everyone_up: true,
            };
            return self.take(state, wanted, invocation, metrics).await;
        }
        let is_tick = *request == Request::Tick;
        let people = self.count_people().await?;
        let is_large = is_large(people.users, self.snapshots.calls_per_second);
        let pace_of_pool = match is_large {
            true => Pace::of_snapshots(self.pool_interval, is_tick),
            false => Pace::of_snapshots(self.min_interval, is_tick),
        };
        if !is_large || !self.are_newcomers_looked_up(people).await? {
            let pool = self.wake_up(Scope::Pool, pace_of_pool, invocation, metrics);
            let pool = pool.await;
            if is_tick {
                // One that was asked for, and cut off.
                self.resume_newcomers(invocation, metrics).await?;
            }
            return pool;
        }
        // The pool one may take many invocations, so the short one comes first. Neither waits for the other: they have a lease each.
        let pace = Pace::of_newcomers(self.min_interval, is_tick);
        let newcomers = self.wake_up(Scope::Newcomers, pace, invocation, metrics);
        let newcomers = newcomers.await;
        let pool = self.wake_up(Scope::Pool, pace_of_pool, invocation, metrics);
        let pool = pool.await;
        let (newcomers, pool) = (newcomers?, pool?);
        Ok(match newcomers.status {
            Status::NotNeeded | Status::Held => pool,
            _ => newcomers,
        })
    }

    /// How many people the pool has: as the last snapshot of it says, else as Cognito estimates.
    async fn count_people(&self) -> Result<People, SnapshotError> {
        let latest = Latest::read(&self.snapshots.bucket).await?;
        let manifest = match latest {
            Some((latest, _)) => latest.read_manifest(&self.snapshots.bucket).await?,
            None => None,
        };
        Ok(match manifest {
            Some(manifest) => People {
                users: manifest.users.listed,
                newcomers: manifest.users.newcomers,
            },
            None => People {
                // A pool that does not answer fails the snapshot that is needed, and not a tick that has nothing to do.
                users: self.snapshots.estimate_users().await.unwrap_or_default(),
                newcomers: 0,
            },
        })
    }

    /// Whether wake-ups take snapshots of the newcomers of a large pool. The first one looks up everyone who has ever signed up there and
    /// is not restored. In a pool without a twin that is nearly everybody, and each lookup counts as an active user: then the pool is
    /// listed.
    async fn are_newcomers_looked_up(&self, people: People) -> Result<bool, SnapshotError> {
        let worker = &self.snapshots;
        if people
            .are_looked_up_sooner_than_listed(worker.lookups_per_second, worker.calls_per_second)
        {
            return Ok(true);
        }
        let (lease, _) = lease::read(&worker.bucket, Scope::Newcomers).await?;
        Ok(lease.last_finished.is_some())
    }

    async fn resume_newcomers(
        &self,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<(), SnapshotError> {
        let (lease, _) = lease::read(&self.snapshots.bucket, Scope::Newcomers).await?;
        if lease.unfinished.is_none() {
            return Ok(());
        }
        let state = self.snapshots.inspect_bucket(Scope::Newcomers).await?;
        if let Some(state) = state.filter(|state| state.interrupted().is_some()) {
            self.take(state, Wanted::default(), invocation, metrics)
                .await?;
        }
        Ok(())
    }

    /// Takes a snapshot of a scope if there is a reason to, and resumes one that was interrupted.
    async fn wake_up(
        &self,
        scope: Scope,
        pace: Pace,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        let Some(mut state) = self.snapshots.inspect_bucket(scope).await? else {
            return Ok(Answer::of(Status::Held, None));
        };
        // An interrupted snapshot is always resumed: that is not a new start.
        if state.interrupted().is_none() {
            let wait = pace.time_to_wait(&state);
            let may_wait = wait <= pace.longest_wait && ends_before(wait, invocation);
            let is_due = !wait.is_positive() || may_wait;
            if !is_due || !self.snapshots.has_new_sign_ups(&state).await? {
                return Ok(Answer::of(Status::NotNeeded, state.manifest.as_ref()));
            }
            if wait.is_positive() {
                tokio::time::sleep(wait.unsigned_abs()).await;
                let now = self.snapshots.inspect_bucket(scope).await?;
                let Some(now) = now.filter(|now| !pace.time_to_wait(now).is_positive()) else {
                    return Ok(Answer::of(Status::Held, None));
                };
                state = now;
            }
        }
        self.take(state, Wanted::default(), invocation, metrics)
            .await
    }

    async fn take(
        &self,
        state: BucketState,
        wanted: Wanted,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        let request = LeaseRequest::for_invocation(invocation);
        let listed_users = watch::Sender::default();
        let outcome =
            self.snapshots
                .take_or_resume_snapshot(state, &request, wanted, &listed_users);
        Ok(answer_outcome(&outcome.await?, metrics))
    }

    async fn measure_latest(&self, metrics: &mut Metrics) -> Result<(), JsonError> {
        let bucket = &self.snapshots.bucket;
        let Some((latest, _)) = Latest::read(bucket).await? else {
            return Ok(());
        };
        let now = Timestamp::now();
        // Of a snapshot from the future nobody knows the age: without a value the alarm goes off, with 0 it would be silent.
        if !is_in_future(latest.started_at, now) {
            let age = now.duration_since(latest.started_at).as_secs();
            metrics.set(Metric::SnapshotAge, age.max(0) as u64);
        }
        if let Some(manifest) = latest.read_manifest(bucket).await? {
            metrics.set(Metric::SnapshotUsers, manifest.users.listed);
        }
        Ok(())
    }
}

/// How long a tick waits for the primary region. One attempt: the next tick asks again, and the alarm waits for several values.
const PRIMARY_POLICY: RetryPolicy = RetryPolicy {
    attempt_timeout: Duration::from_secs(5),
    max_attempts: 1,
};

/// Whether the region of the primary pool does not serve the pool's public keys. An answer below HTTP status 500 is that of a region
/// which is there: what it refuses is logged, because it may be a pool that was deleted.
async fn is_unreachable(sdk: &Sdk, primary: &PoolId) -> bool {
    match public_keys::ask(sdk, primary, PRIMARY_POLICY).await {
        Reach::Serves => false,
        Reach::Refuses(status) => {
            tracing::warn!(
                %primary, status,
                "the primary region answers, but not with the public keys of the primary pool: does the pool still exist?"
            );
            false
        }
        Reach::Unreachable(reason) => {
            tracing::error!(%primary, reason, "the primary region does not serve the primary pool");
            true
        }
    }
}

/// How often wake-ups take snapshots of a scope.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The time between two starts.
    interval: SignedDuration,
    /// How long a wake-up may wait for the interval to pass.
    longest_wait: SignedDuration,
}

impl Pace {
    /// A tick that comes only a little too early waits, because the next one would be a minute late.
    fn of_snapshots(interval: SignedDuration, is_tick: bool) -> Self {
        Self::new(interval, MAX_TICK_WAIT.min(interval / 6), is_tick)
    }

    /// A tick waits until the newcomers' next snapshot is due, so that nobody waits for longer than the interval.
    fn of_newcomers(interval: SignedDuration, is_tick: bool) -> Self {
        Self::new(interval, MAX_TICK_WAIT_FOR_NEWCOMERS, is_tick)
    }

    fn new(interval: SignedDuration, longest_wait: SignedDuration, is_tick: bool) -> Self {
        Self {
            interval,
            longest_wait: match is_tick {
                true => longest_wait,
                false => SignedDuration::ZERO,
            },
        }
    }

    /// How long a wake-up must still wait; not positive when it need not wait.
    fn time_to_wait(self, state: &BucketState) -> SignedDuration {
        state.last_start().map_or(SignedDuration::ZERO, |start| {
            self.interval - Timestamp::now().duration_since(start)
        })
    }
}

/// Whether an invocation still has time to work after it has waited.
fn ends_before(wait: SignedDuration, invocation: &Invocation) -> bool {
    let left = invocation.work_deadline.duration_since(Instant::now());
    !wait.is_positive() || wait.unsigned_abs() < left
}

/// Users that ListUsers returns per call (botocore ListUsers).
const USERS_PER_CALL: u64 = 60;

/// How many people a pool has.
#[derive(Clone, Copy, Debug)]
struct People {
    users: u64,
    /// Of those, who signed up in this pool and is not restored.
    newcomers: u64,
}

impl People {
    /// Whether the newcomers are looked up in less time than the pool is listed, at these calls a second.
    fn are_looked_up_sooner_than_listed(
        self,
        lookups_per_second: u32,
        pages_per_second: u32,
    ) -> bool {
        let pages = self.users.div_ceil(USERS_PER_CALL);
        self.newcomers * u64::from(pages_per_second) < pages * u64::from(lookups_per_second)
    }
}

/// Whether it takes longer than a minute to list so many users.
fn is_large(users: u64, calls_per_second: u32) -> bool {
    const SECONDS: u64 = 60;
    users > u64::from(calls_per_second) * USERS_PER_CALL * SECONDS
}

/// Measures, logs and answers what became of a snapshot.
fn answer_outcome(outcome: &Outcome, metrics: &mut Metrics) -> Answer {
    let (manifest, shrunk) = match outcome {
        Outcome::Complete(manifest) => (manifest, None),
        Outcome::Shrunk { manifest, before } => (manifest, Some(before)),
        Outcome::Held => return Answer::of(Status::Held, None),
        Outcome::InProgress { snapshot, users } => {
            tracing::info!(%snapshot, users, "out of time: the next tick resumes");
            return Answer {
                snapshot: Some(snapshot.clone()),
                users: Some(*users),
                ..Answer::of(Status::InProgress, None)
            };
        }
    };
    let users = &manifest.users;
    let (listed, exported, newcomers) = (users.listed, users.exported, users.newcomers);
    if manifest.scope == Scope::Newcomers {
        tracing::info!(snapshot = %manifest.snapshot, records = listed, newcomers, "a snapshot of the newcomers was taken");
        return Answer::of(Status::Complete, Some(manifest));
    }
    metrics.set(Metric::SnapshotRejected, users.total_rejected());
    metrics.set(Metric::SnapshotShrunk, shrunk.is_some().into());
    if let Some(before) = shrunk {
        let snapshot = &manifest.snapshot;
        match before {
            Some(before) => tracing::error!(
                %snapshot, listed, before,
                "the pool has shrunk: this snapshot is not made the latest; \
                 look at the pool, then send {{\"action\":\"snapshot\",\"accept_shrink\":true}} if all is well"
            ),
            None => tracing::error!(
                %snapshot, listed,
                "the manifest of the latest snapshot is missing, so nobody can say whether the pool has shrunk: this snapshot is \
                 not made the latest; look at the pool, then send {{\"action\":\"snapshot\",\"accept_shrink\":true}} if all is \
                 well"
            ),
        }
        return Answer::of(Status::Shrunk, Some(manifest));
    }
    tracing::info!(snapshot = %manifest.snapshot, listed, exported, newcomers, "a snapshot was taken");
    Answer::of(Status::Complete, Some(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_large_if_it_takes_longer_than_a_minute_to_list() {
        assert!(!is_large(72_000, 20));
        assert!(is_large(72_001, 20));
        assert!(!is_large(0, 1));
    }

    #[test]
    fn newcomers_are_looked_up_first_only_where_that_takes_less_time_than_a_listing() {
        let is_quicker = |newcomers| {
            let people = People {
                users: 1_000_000,
                newcomers,
            };
            people.are_looked_up_sooner_than_listed(40, 20)
        };

        assert!(is_quicker(33_333));
        assert!(!is_quicker(33_334));
    }

    #[test]
    fn only_a_tick_waits_and_for_newcomers_until_they_are_due() {
        let minute = SignedDuration::from_mins(1);

        assert_eq!(
            Pace::of_snapshots(minute, false).longest_wait,
            SignedDuration::ZERO
        );
        assert_eq!(
            Pace::of_snapshots(minute, true).longest_wait,
            SignedDuration::from_secs(10)
        );
        assert_eq!(
            Pace::of_newcomers(minute, false).longest_wait,
            SignedDuration::ZERO
        );
        assert_eq!(Pace::of_newcomers(minute, true).longest_wait, minute);
    }
}
