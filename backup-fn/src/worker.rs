//! The worker: whether a snapshot is needed, and what became of it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::bucket::ReadError;
use shared::invocation::Invocation;
use shared::metrics::{Metric, Metrics};
use shared::snapshot::worker::{self, Found, Outcome, Shift};
use shared::snapshot::{Id, Latest, Manifest, SnapshotError};
use tokio::sync::watch;

use crate::request::Request;

/// The longest that a tick waits for the minimal interval to pass.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The function as the worker that takes snapshots.
pub struct Worker {
    /// Who takes them.
    pub snapshots: worker::Worker,
    /// No snapshot starts sooner after the last start, unless asked for.
    pub min_interval: SignedDuration,
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
        let Some(mut found) = self.snapshots.look().await? else {
            return Ok(Answer::of(Status::Held, None));
        };
        let accept_shrink = match *request {
            Request::Snapshot { accept_shrink } => accept_shrink,
            // One that was cut off is a reason to work, and no start.
            Request::Notification | Request::Tick if found.unfinished().is_some() => false,
            Request::Notification | Request::Tick => {
                let wait = self.wait(&found);
                // A tick that is only a little too soon waits: the next one would be a minute late.
                let a_little = LONGEST_WAIT.min(self.min_interval / 6);
                let may_wait = *request == Request::Tick && wait <= a_little;
                let is_due = !wait.is_positive() || may_wait;
                if !is_due || !self.snapshots.is_behind(&found).await? {
                    return Ok(Answer::of(Status::NotNeeded, found.manifest.as_ref()));
                }
                if wait.is_positive() {
                    tokio::time::sleep(wait.unsigned_abs()).await;
                    let now = self.snapshots.look().await?;
                    let Some(now) = now.filter(|now| !self.wait(now).is_positive()) else {
                        return Ok(Answer::of(Status::Held, None));
                    };
                    found = now;
                }
                false
            }
        };
        let shift = Shift::of(invocation);
        let listed = watch::Sender::default();
        let work = self.snapshots.work(found, &shift, accept_shrink, &listed);
        Ok(conclude(&work.await?, metrics))
    }

    /// How long a wake-up must wait yet; not positive when it need not.
    fn wait(&self, found: &Found) -> SignedDuration {
        found.last_start().map_or(SignedDuration::ZERO, |start| {
            self.min_interval - Timestamp::now().duration_since(start)
        })
    }

    async fn measure(&self, metrics: &mut Metrics) -> Result<(), ReadError> {
        let bucket = &self.snapshots.bucket;
        let Some((latest, _)) = Latest::read(bucket).await? else {
            return Ok(());
        };
        let age = Timestamp::now().duration_since(latest.started_at).as_secs();
        metrics.set(Metric::SnapshotAge, age.max(0) as u64);
        if let Some(manifest) = latest.manifest(bucket).await? {
            metrics.set(Metric::SnapshotUsers, manifest.users.listed);
        }
        Ok(())
    }
}

/// Measures and tells what has become of the work.
fn conclude(outcome: &Outcome, metrics: &mut Metrics) -> Answer {
    let (manifest, shrunk) = match outcome {
        Outcome::Complete(manifest) => (manifest, false),
        Outcome::Shrunk(manifest) => (manifest, true),
        Outcome::Held => return Answer::of(Status::Held, None),
        Outcome::InProgress { snapshot, users } => {
            tracing::info!(%snapshot, users, "out of time: the next tick goes on");
            return Answer {
                snapshot: Some(snapshot.clone()),
                users: Some(*users),
                ..Answer::of(Status::InProgress, None)
            };
        }
    };
    let users = &manifest.users;
    let (listed, exported, newcomers) = (users.listed, users.exported, users.newcomers);
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
