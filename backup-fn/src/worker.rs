//! The worker: whether a snapshot is needed, who takes it, and what became of it.

use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::bucket::{Bucket, ReadError};
use shared::config::CustomAttribute;
use shared::invocation::Invocation;
use shared::journal::{IN_FLIGHT, Newer, SignUps};
use shared::lease::{self, Done, Lease, State};
use shared::metrics::{Metric, Metrics};
use shared::pool::{Pool, PoolId};
use shared::record::to_milliseconds;
use shared::snapshot::take::{SnapshotError, Taken, Task, take};
use shared::snapshot::{Id, Latest, Manifest, Published, publish};

use crate::request::Request;

/// The longest that a tick waits for the minimal interval to pass.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The function as the worker that takes snapshots.
pub struct Worker {
    /// Where snapshots and the journal are.
    pub bucket: Bucket,
    /// A client that does not repeat calls itself.
    pub client: Client,
    /// The secondary pool.
    pub pool: PoolId,
    /// Calls a second.
    pub rate: u32,
    /// No snapshot starts sooner after the last start, unless asked for.
    pub min_interval: SignedDuration,
    /// In percent of the latest snapshot's users.
    pub shrink_guard: u64,
    /// The column for a newcomer's `sub`.
    pub origin_sub: Option<CustomAttribute>,
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
    NotNeeded,
    Held,
    Shrunk,
}

impl Answer {
    fn of(status: Status, manifest: Option<&Manifest>) -> Self {
        Self {
            status,
            snapshot: manifest.map(|manifest| manifest.snapshot.clone()),
            manifest: manifest.map(|manifest| manifest.snapshot.manifest_key()),
            users: manifest.map(|manifest| manifest.users.listed),
        }
    }
}

impl Worker {
    /// Does what is asked. A tick also measures how old the last snapshot is, whatever else fails.
    pub async fn answer(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        let answer = self.snapshot(request, invocation, metrics).await;
        if *request == Request::Tick {
            let measured = self.measure(metrics).await;
            return answer.and_then(|answer| Ok(measured.map(|()| answer)?));
        }
        answer
    }

    async fn snapshot(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, SnapshotError> {
        let mut lease = lease::read(&self.bucket).await?;
        if lease.state.is_held(now()) {
            return Ok(Answer::of(Status::Held, None));
        }
        let latest = Latest::read(&self.bucket).await?.map(|(latest, _)| latest);
        let accept_shrink = match *request {
            Request::Snapshot { accept_shrink } => accept_shrink,
            Request::Notification | Request::Tick => {
                let wait = self.wait(&lease.state);
                // A tick that is only a little too soon waits: the next one would be a minute late.
                let a_little = LONGEST_WAIT.min(self.min_interval / 6);
                let may_wait = *request == Request::Tick && wait <= a_little;
                let is_due = !wait.is_positive() || may_wait;
                if !is_due || !self.is_behind(&lease.state, latest.as_ref()).await? {
                    let manifest = self.manifest(latest.as_ref()).await?;
                    return Ok(Answer::of(Status::NotNeeded, manifest.as_ref()));
                }
                if wait.is_positive() {
                    tokio::time::sleep(wait.unsigned_abs()).await;
                    lease = lease::read(&self.bucket).await?;
                    if lease.state.is_held(now()) || self.wait(&lease.state).is_positive() {
                        return Ok(Answer::of(Status::Held, None));
                    }
                }
                false
            }
        };
        let previous = last_start(&lease.state, latest.as_ref());
        let now = a_second_after(lease.state.last_start).await;
        let Some(lease) = lease
            .take(&self.bucket, &invocation.id, now, invocation.ends)
            .await?
        else {
            return Ok(Answer::of(Status::Held, None));
        };
        let taken = self
            .take(previous, now, invocation.until, accept_shrink)
            .await;
        let (taken, published) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                release(lease, None).await;
                return Err(error);
            }
        };
        let manifest = &taken.manifest;
        let done = Done {
            started_at: manifest.started_at,
            sign_ups: taken.sign_ups,
        };
        release(lease, Some(done)).await;
        Ok(conclude(manifest, published, metrics))
    }

    /// How long a wake-up must wait yet; not positive when it need not.
    fn wait(&self, lease: &State) -> SignedDuration {
        lease.last_start.map_or(SignedDuration::ZERO, |start| {
            self.min_interval - now().duration_since(start)
        })
    }

    /// Whether there is a sign-up that the last snapshot did not know of.
    async fn is_behind(
        &self,
        lease: &State,
        latest: Option<&Latest>,
    ) -> Result<bool, SnapshotError> {
        let Some(last) = last_start(lease, latest) else {
            let newer = SignUps::any_since(&self.bucket, Timestamp::MIN).await?;
            return Ok(newer == Newer::Yes);
        };
        // A record that was under way while the last snapshot read the journal is dated before its start. The number of
        // records tells; without it, some are looked at twice.
        let done = lease.last_done.as_ref();
        let done = done.filter(|done| done.started_at == last);
        let since = match done {
            Some(_) => last,
            None => last - IN_FLIGHT,
        };
        Ok(match SignUps::any_since(&self.bucket, since).await? {
            Newer::Yes => true,
            Newer::No { records } => done.is_some_and(|done| records > done.sign_ups),
        })
    }

    async fn take(
        &self,
        previous: Option<Timestamp>,
        now: Timestamp,
        until: Instant,
        accept_shrink: bool,
    ) -> Result<(Taken, Published), SnapshotError> {
        let task = Task {
            pool: &Pool::new(self.client.clone(), self.pool.clone(), self.rate, until),
            bucket: &self.bucket,
            origin_sub: self.origin_sub.as_ref(),
            previous,
            until,
        };
        let taken = take(&task, now).await?;
        let manifest = &taken.manifest;
        let published = publish(&self.bucket, manifest, self.shrink_guard, accept_shrink);
        match tokio::time::timeout_at(until.into(), published).await {
            Ok(published) => {
                let published = published?;
                Ok((taken, published))
            }
            Err(_) => Err(SnapshotError::OutOfTime {
                pool: self.pool.clone(),
                listed: manifest.users.listed,
            }),
        }
    }

    async fn measure(&self, metrics: &mut Metrics) -> Result<(), ReadError> {
        let Some((latest, _)) = Latest::read(&self.bucket).await? else {
            return Ok(());
        };
        let age = Timestamp::now().duration_since(latest.started_at).as_secs();
        metrics.set(Metric::SnapshotAge, age.max(0) as u64);
        if let Some(manifest) = latest.manifest(&self.bucket).await? {
            metrics.set(Metric::SnapshotUsers, manifest.users.listed);
        }
        Ok(())
    }

    async fn manifest(&self, latest: Option<&Latest>) -> Result<Option<Manifest>, ReadError> {
        match latest {
            Some(latest) => latest.manifest(&self.bucket).await,
            None => Ok(None),
        }
    }
}

/// Measures and tells what has become of a snapshot.
fn conclude(manifest: &Manifest, published: Published, metrics: &mut Metrics) -> Answer {
    let users = &manifest.users;
    let (listed, exported, newcomers) = (users.listed, users.exported, users.newcomers);
    let shrunk = published == Published::Shrunk;
    metrics.set(Metric::SnapshotRejected, users.rejected_in_all());
    metrics.set(Metric::SnapshotShrunk, shrunk.into());
    if shrunk {
        tracing::error!(
            snapshot = %manifest.snapshot, listed,
            "the pool has shrunk: this snapshot is not made the latest; \
             look at the pool, then send {{\"action\":\"snapshot\",\"accept_shrink\":true}} if all is well"
        );
        return Answer::of(Status::Shrunk, Some(manifest));
    }
    tracing::info!(snapshot = %manifest.snapshot, listed, exported, newcomers, "a snapshot");
    Answer::of(Status::Complete, Some(manifest))
}

fn now() -> Timestamp {
    to_milliseconds(Timestamp::now())
}

/// Snapshots are named by the second: one that would start in the same second as the last waits for the next.
async fn a_second_after(last_start: Option<Timestamp>) -> Timestamp {
    let now = now();
    if last_start.is_none_or(|last| last.as_second() < now.as_second()) {
        return now;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    self::now()
}

/// The start of the last snapshot that was finished, the latest or one that has shrunk.
fn last_start(lease: &State, latest: Option<&Latest>) -> Option<Timestamp> {
    let done = lease.last_done.as_ref().map(|done| done.started_at);
    done.max(latest.map(|latest| latest.started_at))
}

/// A lease that cannot be given back ends by itself, with the invocation.
async fn release(lease: Lease, done: Option<Done>) {
    if let Err(error) = lease.release(done).await {
        tracing::warn!(%error, "the lease stays until it expires");
    }
}
