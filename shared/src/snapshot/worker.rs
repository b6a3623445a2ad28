//! A worker: takes a snapshot under the lease, goes on with one that was cut off, and makes it the latest.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::bucket::{Bucket, ReadError};
use crate::config::CustomAttribute;
use crate::invocation::Invocation;
use crate::journal::{IN_FLIGHT, Newer, SignUps};
use crate::lease::{self, Done, Lease, Lost, Seen, Term};
use crate::pool::{Pool, PoolId};
use crate::record::to_milliseconds;
use crate::snapshot::progress::Progress;
use crate::snapshot::take::{Taken, Task, go_on};
use crate::snapshot::unfinished::Unfinished;
use crate::snapshot::{Id, Latest, Manifest, Published, SnapshotError, publish};

/// The usual share of the latest snapshot's users, in percent, below which a pool has shrunk.
pub const SHRINK_GUARD_PERCENT: u8 = 50;

/// The usual rate of calls to ListUsers, a second (DG:quotas: 30, which the live application shares).
pub const LIST_USERS_RPS: NonZeroU16 = NonZeroU16::new(20).expect("20 is not 0");

/// How long an unfinished snapshot waits for a next worker before it is begun anew.
const STALE: SignedDuration = SignedDuration::from_hours(24);

/// The time of a worker who stays to the end.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What snapshots are taken of, where to, and how.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Where snapshots and the journal are.
    pub bucket: Bucket,
    /// A client that does not repeat calls itself.
    pub client: Client,
    /// The pool.
    pub pool: PoolId,
    /// Calls a second.
    pub rate: u32,
    /// In percent of the latest snapshot's users.
    pub shrink_guard: u64,
    /// The column for a newcomer's `sub`.
    pub origin_sub: Option<CustomAttribute>,
}

/// Who works, and for how long.
#[derive(Clone, Debug)]
pub struct Shift {
    /// A name that nobody else has.
    holder: String,
    /// When to leave the rest to a next worker; none for one who stays to the end.
    until: Option<Instant>,
    term: Term,
}

impl Shift {
    /// An invocation's.
    pub fn of(invocation: &Invocation) -> Self {
        Self {
            holder: invocation.id.clone(),
            until: Some(invocation.until),
            term: Term::Until(invocation.ends),
        }
    }

    /// One that lasts until the snapshot is complete.
    pub fn to_the_end() -> Self {
        Self {
            // As unique as a snapshot's name.
            holder: format!("twinpool-{}", Id::new(Timestamp::now())),
            until: None,
            term: Term::Renewed(SignedDuration::from_mins(3)),
        }
    }
}

/// What a worker finds in a bucket where nobody is at it.
#[derive(Debug)]
pub struct Found {
    lease: Seen,
    /// The latest snapshot.
    pub latest: Option<Latest>,
    /// Its manifest, if the bucket's lifecycle has left it.
    pub manifest: Option<Manifest>,
    left: Option<Job>,
}

/// A snapshot to be worked at.
#[derive(Debug)]
struct Job {
    progress: Progress,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New,
    /// Somebody has listed a part of the pool; with the entity tag of the progress.
    Unfinished(String),
    /// Only to be made the latest.
    Unpublished(Box<Manifest>),
}

/// What became of the work.
#[derive(Debug)]
pub enum Outcome {
    /// The snapshot is the latest, or an even newer one is.
    Complete(Manifest),
    /// There is a snapshot that lists so few people that it is not made the latest.
    Shrunk(Manifest),
    /// Time was up; a next worker can go on.
    InProgress {
        /// The snapshot.
        snapshot: Id,
        /// How many users are listed.
        users: u64,
    },
    /// Another worker is at it.
    Held,
}

impl Found {
    /// The snapshot that was cut off, if there is one.
    pub fn unfinished(&self) -> Option<&Id> {
        self.left.as_ref().map(|job| &job.progress.snapshot)
    }

    /// When a snapshot was last started, whatever became of it.
    pub fn last_start(&self) -> Option<Timestamp> {
        self.lease.state.last_start
    }

    /// The start of the last snapshot that was finished, the latest or one that has shrunk.
    fn last_finished(&self) -> Option<Timestamp> {
        let done = self.lease.state.last_done.as_ref();
        let done = done.map(|done| done.started_at);
        done.max(self.latest.as_ref().map(|latest| latest.started_at))
    }
}

impl Worker {
    /// Looks around; none when another worker is at it.
    ///
    /// # Errors
    ///
    /// Also when the bucket holds the snapshots of another pool.
    pub async fn look(&self) -> Result<Option<Found>, SnapshotError> {
        let lease = lease::read(&self.bucket).await?;
        if lease.state.is_held(now()) {
            return Ok(None);
        }
        let latest = Latest::read(&self.bucket).await?.map(|(latest, _)| latest);
        let manifest = match &latest {
            Some(latest) => latest.manifest(&self.bucket).await?,
            None => None,
        };
        if let Some(manifest) = &manifest
            && manifest.pool.id != self.pool.as_str()
        {
            return Err(SnapshotError::OtherPool {
                bucket: self.bucket.name().to_owned(),
                theirs: manifest.pool.id.clone(),
                ours: self.pool.clone(),
            });
        }
        let left = match &lease.state.unfinished {
            Some(snapshot) => self.left(snapshot).await?,
            None => None,
        };
        Ok(Some(Found {
            lease,
            latest,
            manifest,
            left,
        }))
    }

    async fn left(&self, snapshot: &Id) -> Result<Option<Job>, ReadError> {
        let key = snapshot.progress_key();
        let (progress, etag) = match self.bucket.get_json::<Progress>(&key).await {
            Ok(Some(stored)) => stored,
            // It was cut off before anything was stored.
            Ok(None) => return Ok(None),
            Err(error @ ReadError::Malformed { .. }) => {
                tracing::error!(%error, "an unfinished snapshot starts anew");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if progress.pool != self.pool.as_str() {
            return Ok(None);
        }
        let manifest = self.bucket.get_json(&snapshot.manifest_key()).await?;
        let stage = match (manifest, progress.closing) {
            // Even if its worker has not learnt that it was stored: nobody may write its files again.
            (Some((manifest, _)), _) => Stage::Unpublished(Box::new(manifest)),
            // Half of it would tell of another day than the other half.
            (None, None) if now().duration_since(progress.stored_at) > STALE => return Ok(None),
            (None, None) => Stage::Unfinished(etag),
            // Its worker was killed while closing the files.
            (None, Some(_)) => return Ok(None),
        };
        Ok(Some(Job { progress, stage }))
    }

    /// Whether there is a sign-up that the last snapshot did not know of.
    pub async fn is_behind(&self, found: &Found) -> Result<bool, SnapshotError> {
        // One was begun, and nothing is left of it to go on with.
        if found.lease.state.unfinished.is_some() && found.left.is_none() {
            return Ok(true);
        }
        let Some(last) = found.last_finished() else {
            let newer = SignUps::any_since(&self.bucket, Timestamp::MIN).await?;
            return Ok(newer == Newer::Yes);
        };
        // A record that was under way while the last snapshot read the journal is dated before its start. The number of
        // records tells; without it, some are looked at twice.
        let done = found.lease.state.last_done.as_ref();
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

    /// Goes on with what is left, or takes a snapshot that starts now. `listed` is told how many users are listed so far.
    pub async fn work(
        &self,
        found: Found,
        shift: &Shift,
        accept_shrink: bool,
        listed: &watch::Sender<u64>,
    ) -> Result<Outcome, SnapshotError> {
        let (last, previous) = (found.last_start(), found.last_finished());
        let job = match found.left {
            Some(left) => left,
            None => Job {
                progress: Progress::begin(
                    &self.pool,
                    a_second_after(last).await,
                    previous,
                    &shift.holder,
                    accept_shrink,
                ),
                stage: Stage::New,
            },
        };
        let snapshot = job.progress.snapshot.clone();
        let started_at = matches!(job.stage, Stage::New).then_some(job.progress.started_at);
        let taken = found
            .lease
            .take(
                &self.bucket,
                &shift.holder,
                shift.term,
                &snapshot,
                started_at,
            )
            .await?;
        let Some(mut lease) = taken else {
            return Ok(Outcome::Held);
        };
        let worked = tokio::select! {
            worked = self.do_job(job, shift, accept_shrink, listed) => worked,
            Lost = lease.keep() => Err(SnapshotError::Superseded),
        };
        match worked {
            Ok((outcome, done)) => {
                let left = done.is_none().then_some(snapshot);
                release(lease, done, left).await;
                Ok(outcome)
            }
            Err(SnapshotError::Superseded) => {
                release(lease, None, Some(snapshot)).await;
                Ok(Outcome::Held)
            }
            Err(error) => {
                let is_lost = matches!(error, SnapshotError::LostPart { .. });
                release(lease, None, (!is_lost).then_some(snapshot)).await;
                Err(error)
            }
        }
    }

    /// Under the lease: the outcome, and what is done with it.
    async fn do_job(
        &self,
        Job { progress, stage }: Job,
        shift: &Shift,
        accept_shrink: bool,
        listed: &watch::Sender<u64>,
    ) -> Result<(Outcome, Option<Done>), SnapshotError> {
        let until = shift.until.unwrap_or_else(|| Instant::now() + FOREVER);
        let accept_shrink = accept_shrink || progress.accept_shrink;
        let mut unfinished = match stage {
            Stage::New => Unfinished::begin(&self.bucket, progress),
            Stage::Unfinished(etag) => {
                let stored = (progress, etag);
                Unfinished::take_over(&self.bucket, stored, &shift.holder, accept_shrink).await?
            }
            Stage::Unpublished(manifest) => {
                let sign_ups = progress.closing.unwrap_or_default();
                let manifest = *manifest;
                let taken = Taken { manifest, sign_ups };
                return self.publish(taken, accept_shrink).await;
            }
        };
        unfinished.save_within(until.duration_since(Instant::now()));
        let task = Task {
            pool: &Pool::new(self.client.clone(), self.pool.clone(), self.rate, until),
            bucket: &self.bucket,
            origin_sub: self.origin_sub.as_ref(),
            listed,
            until,
        };
        match go_on(&task, &mut unfinished).await? {
            Some(taken) => self.publish(taken, accept_shrink).await,
            None => {
                let outcome = Outcome::InProgress {
                    snapshot: unfinished.progress().snapshot.clone(),
                    users: unfinished.users(),
                };
                Ok((outcome, None))
            }
        }
    }

    async fn publish(
        &self,
        Taken { manifest, sign_ups }: Taken,
        accept_shrink: bool,
    ) -> Result<(Outcome, Option<Done>), SnapshotError> {
        // What is left of the time suffices; if not, the next worker does it, or the next snapshot is the latest.
        let published = publish(&self.bucket, &manifest, self.shrink_guard, accept_shrink).await?;
        let done = Done {
            started_at: manifest.started_at,
            sign_ups,
        };
        let outcome = match published {
            Published::Latest => Outcome::Complete(manifest),
            Published::Shrunk => Outcome::Shrunk(manifest),
        };
        Ok((outcome, Some(done)))
    }
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

fn now() -> Timestamp {
    to_milliseconds(Timestamp::now())
}

/// A lease that cannot be given back ends by itself.
async fn release(lease: Lease, done: Option<Done>, unfinished: Option<Id>) {
    if let Err(error) = lease.release(done, unfinished).await {
        tracing::warn!(%error, "the lease stays until it expires");
    }
}
