//! The worker: decides whether a snapshot is needed, and answers what became of it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::cognito::trigger;
use shared::id::Id;
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::{Metric, Metrics};
use shared::s3::json::JsonError;
use shared::snapshot::error::SnapshotError;
use shared::snapshot::latest::Latest;
use shared::snapshot::layout::manifest_key;
use shared::snapshot::manifest::Manifest;
use shared::snapshot::worker::{BucketState, LeaseRequest, Outcome, SnapshotWorker};
use shared::time::is_in_future;
use tokio::sync::watch;

use crate::request::Request;

/// The longest time that a tick waits for the minimum interval to pass.
const MAX_TICK_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// The function as the worker that takes snapshots.
pub struct Worker {
    /// The engine that takes them.
    pub snapshots: SnapshotWorker,
    /// No snapshot starts sooner after the last start, unless asked for.
    pub min_interval: SignedDuration,
    /// The function that the pool should run after a confirmation, if that is known.
    pub trigger_arn: Option<String>,
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
    /// Does what is asked. A tick also measures how old the last snapshot is, and whether the pool still runs the trigger, even if
    /// something else fails.
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
        let answer = self
            .take_snapshot_if_needed(request, invocation, metrics)
            .await;
        if *request == Request::Tick {
            let measured = self.measure_latest(metrics).await;
            let (client, pool) = (&self.snapshots.client, &self.snapshots.pool);
            let detached = trigger::look(client, pool, self.trigger_arn.as_deref()).await;
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
        let Some(mut state) = self.snapshots.inspect_bucket().await? else {
            return Ok(Answer::of(Status::Held, None));
        };
        let accept_shrink = match *request {
            Request::Snapshot { accept_shrink } => accept_shrink,
            // An interrupted snapshot is always resumed: that is not a new start.
            Request::Notification | Request::Tick if state.interrupted().is_some() => false,
            Request::Notification | Request::Tick => {
                let wait = self.time_to_wait(&state);
                // A tick that comes only a little too early waits, because the next one would be a minute late.
                let a_little = MAX_TICK_WAIT.min(self.min_interval / 6);
                let may_wait = *request == Request::Tick && wait <= a_little;
                let is_due = !wait.is_positive() || may_wait;
                if !is_due || !self.snapshots.has_new_sign_ups(&state).await? {
                    return Ok(Answer::of(Status::NotNeeded, state.manifest.as_ref()));
                }
                if wait.is_positive() {
                    tokio::time::sleep(wait.unsigned_abs()).await;
                    let now = self.snapshots.inspect_bucket().await?;
                    let Some(now) = now.filter(|now| !self.time_to_wait(now).is_positive()) else {
                        return Ok(Answer::of(Status::Held, None));
                    };
                    state = now;
                }
                false
            }
        };
        let lease = LeaseRequest::for_invocation(invocation);
        let listed_users = watch::Sender::default();
        let outcome =
            self.snapshots
                .take_or_resume_snapshot(state, &lease, accept_shrink, &listed_users);
        Ok(answer_outcome(&outcome.await?, metrics))
    }

    /// How long a wake-up must still wait; not positive when it need not wait.
    fn time_to_wait(&self, state: &BucketState) -> SignedDuration {
        state.last_start().map_or(SignedDuration::ZERO, |start| {
            self.min_interval - Timestamp::now().duration_since(start)
        })
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
