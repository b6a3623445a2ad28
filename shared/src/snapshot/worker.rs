//! The worker: takes a snapshot under the lease, or resumes one that was interrupted, and makes it the latest.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::cognito::pool::Pool;
use crate::environment::CustomAttribute;
use crate::id::Id;
use crate::journal::MAX_LISTING_DELAY;
use crate::lambda::invocation::Invocation;
use crate::pool_id::PoolId;
use crate::s3::bucket::Bucket;
use crate::s3::json::JsonError;
use crate::s3::lease::{Lease, LeaseState, Term};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::export::{ExportTask, Exported, export_pool};
use crate::snapshot::latest::{Latest, Published, ShrinkGuard, publish};
use crate::snapshot::layout::{manifest_key, progress_key};
use crate::snapshot::lease::{self, Finished, SnapshotLease};
use crate::snapshot::manifest::Manifest;
use crate::snapshot::progress::Progress;
use crate::snapshot::purpose::Purpose;
use crate::snapshot::scope::Scope;
use crate::snapshot::sign_ups::{NewSignUps, sign_ups_since};
use crate::snapshot::unfinished::Unfinished;
use crate::time::{is_in_future, now};

/// The default of the shrink guard, in percent of the latest snapshot's users.
pub const DEFAULT_SHRINK_GUARD_PERCENT: u8 = 50;

/// The default rate of calls to ListUsers a second (DG:quotas: 30, shared with the live application).
pub const DEFAULT_LIST_USERS_PER_SECOND: NonZeroU16 = NonZeroU16::new(20).expect("20 is not 0");

/// The default rate of calls a second with which newcomers are looked up (DG:quotas: 120 for UserRead, shared with the live application).
pub const DEFAULT_LOOKUPS_PER_SECOND: NonZeroU16 = NonZeroU16::new(40).expect("40 is not 0");

/// An unfinished snapshot that is older than this is not resumed: half of it would tell of another day than the other half.
const MAX_AGE_TO_RESUME: SignedDuration = SignedDuration::from_hours(24);

/// How long to ask for the pool's size.
const ESTIMATE_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The time of a worker without a deadline.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The lease of a worker without a deadline.
const RENEWED_TERM: Term = Term::Renewed {
    validity: SignedDuration::from_mins(3),
    interval: Duration::from_secs(30),
};

/// What snapshots are taken of, where to, and how.
#[derive(Clone, Debug)]
pub struct SnapshotWorker {
    /// The bucket of snapshots and journal.
    pub bucket: Bucket,
    /// A client that does not retry by itself.
    pub client: Client,
    /// The pool.
    pub pool: PoolId,
    /// Calls to ListUsers a second.
    pub calls_per_second: u32,
    /// Calls a second of a snapshot of the newcomers.
    pub lookups_per_second: u32,
    /// In percent of the latest snapshot's users.
    pub shrink_guard_percent: u64,
    /// The attribute whose column carries everyone's identity.
    pub origin_sub: Option<CustomAttribute>,
    /// What the snapshots are for.
    pub purpose: Purpose,
}

/// What is wanted of a snapshot beside its scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Make a snapshot of the pool the latest even if the pool has shrunk.
    pub accept_shrink: bool,
    /// Look up every newcomer, also those whom an earlier snapshot of the newcomers has looked up.
    pub look_everyone_up: bool,
}

/// Who holds the lease, and for how long.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// A name that no other process uses.
    holder: String,
    /// When to leave the rest to the next worker; none for a worker that stays until the end.
    deadline: Option<Instant>,
    term: Term,
}

impl LeaseRequest {
    /// For the time of an invocation.
    pub fn for_invocation(invocation: &Invocation) -> Self {
        Self {
            holder: invocation.id.clone(),
            deadline: Some(invocation.work_deadline),
            term: Term::Until(invocation.ends_at),
        }
    }

    /// For a process that holds the lease under this name as long as it runs, and stops at the deadline.
    pub fn for_process(holder: &str, deadline: Instant) -> Self {
        Self {
            holder: holder.to_owned(),
            deadline: Some(deadline),
            term: RENEWED_TERM,
        }
    }

    /// Until the snapshot is complete.
    pub fn until_complete() -> Self {
        Self {
            // As unique as a snapshot's name.
            holder: format!("twinpool-{}", Id::new(Timestamp::now())),
            deadline: None,
            term: RENEWED_TERM,
        }
    }
}

/// What a worker finds of a scope in a bucket whose lease is free.
#[derive(Debug)]
pub struct BucketState {
    scope: Scope,
    lease: SnapshotLease,
    lease_etag: Option<String>,
    /// The latest snapshot that has at least this scope.
    pub latest: Option<Latest>,
    /// Its manifest, unless the bucket's lifecycle has removed it.
    pub manifest: Option<Manifest>,
    interrupted: Option<SnapshotJob>,
    /// When this was read.
    now: Timestamp,
}

/// A snapshot to be taken, resumed or published.
#[derive(Debug)]
struct SnapshotJob {
    progress: Progress,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New,
    /// Interrupted while listing; with the entity tag of the stored progress.
    Unfinished(String),
    /// Complete, but not published.
    Unpublished(Box<Manifest>),
}

/// What became of a snapshot.
#[derive(Debug)]
pub enum Outcome {
    /// It is the latest.
    Complete(Manifest),
    /// It was not made the latest, because it lists so few users, or nobody can say whether it does.
    Shrunk {
        /// The snapshot.
        manifest: Manifest,
        /// How many users the latest snapshot has; none when its manifest is missing.
        before: Option<u64>,
    },
    /// The time was up; the next worker can resume it.
    InProgress {
        /// The snapshot.
        snapshot: Id,
        /// How many users are listed.
        users: u64,
    },
    /// Another worker holds the lease.
    Held,
}

impl BucketState {
    /// The snapshot that was interrupted, if there is one.
    pub fn interrupted(&self) -> Option<&Id> {
        self.interrupted.as_ref().map(|job| &job.progress.snapshot)
    }

    /// When a snapshot was last started, whatever became of it.
    pub fn last_start(&self) -> Option<Timestamp> {
        self.lease.last_start
    }

    /// Checks that a new snapshot starts after the latest one. AWS sets the clocks of functions, so that they may rely on their own;
    /// the clock of another machine may be slow, and nobody there can tell which one is wrong.
    ///
    /// # Errors
    ///
    /// The latest snapshot is from a time that has not come yet on this machine.
    pub fn check_clock(&self) -> Result<(), SnapshotError> {
        match &self.latest {
            Some(latest) if self.interrupted.is_none() && is_ahead(latest, self.now) => {
                let latest = latest.snapshot.clone();
                Err(SnapshotError::ClockBehind { latest })
            }
            _ => Ok(()),
        }
    }

    /// The start of the last finished snapshot, whether it is the latest or has shrunk.
    fn last_finished(&self) -> Option<Timestamp> {
        let finished = self.lease.last_finished.as_ref();
        let finished = finished.map(|finished| finished.started_at);
        let latest = self.latest.as_ref().map(|latest| latest.started_at);
        finished.max(latest.filter(|latest| !is_in_future(*latest, self.now)))
    }
}

impl SnapshotWorker {
    /// Reads what is in the bucket of a scope; none when another worker holds the lease.
    ///
    /// # Errors
    ///
    /// S3 failed, an object cannot be read, or the bucket belongs to another pool.
    pub async fn inspect_bucket(&self, scope: Scope) -> Result<Option<BucketState>, SnapshotError> {
        let (mut lease, lease_etag) = lease::read(&self.bucket, scope).await?;
        let now = now();
        if lease.held_until(now).is_some() {
            return Ok(None);
        }
        let latest = Latest::read_of(&self.bucket, scope).await?;
        let latest = latest.map(|(latest, _)| latest);
        let is_lease_ahead = lease.forget_future(now);
        let is_latest_ahead = latest.as_ref().is_some_and(|latest| is_ahead(latest, now));
        if is_lease_ahead || is_latest_ahead {
            tracing::error!(
                lease = scope.lease_key(),
                latest = scope.latest_key(),
                "the lease or the latest snapshot has a time that has not come yet: the clock of the machine that wrote it was fast, or \
                 the clock of this one is slow; the time is not used"
            );
        }
        let manifest = match &latest {
            Some(latest) => latest.read_manifest(&self.bucket).await?,
            None => None,
        };
        // Fills have no bucket of their own, and a primary pool that was made anew has another id.
        if self.purpose == Purpose::Backup
            && let Some(manifest) = &manifest
            && manifest.pool.id != self.pool.as_str()
        {
            return Err(SnapshotError::OtherPool {
                bucket: self.bucket.name().to_owned(),
                theirs: manifest.pool.id.clone(),
                ours: self.pool.clone(),
            });
        }
        let interrupted = match &lease.unfinished {
            Some(snapshot) => self.find_interrupted(snapshot, scope).await?,
            None => None,
        };
        // A snapshot that is older than the latest one could not become the latest any more.
        let interrupted = interrupted.filter(|job| {
            let mut latest = latest.iter();
            latest.all(|latest| latest.snapshot <= job.progress.snapshot)
        });
        Ok(Some(BucketState {
            scope,
            lease,
            lease_etag,
            latest,
            manifest,
            interrupted,
            now,
        }))
    }

    /// An interrupted snapshot, if it can be resumed or published.
    async fn find_interrupted(
        &self,
        snapshot: &Id,
        scope: Scope,
    ) -> Result<Option<SnapshotJob>, JsonError> {
        let key = progress_key(snapshot);
        let (progress, etag) = match self.bucket.get_json::<Progress>(&key).await {
            Ok(Some(stored)) => stored,
            // It was interrupted before anything was stored.
            Ok(None) => return Ok(None),
            Err(error @ JsonError::Malformed { .. }) => {
                tracing::error!(%error, "the next snapshot starts from the beginning");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if progress.pool != self.pool.as_str() || progress.scope != scope {
            return Ok(None);
        }
        let manifest = self.bucket.get_json(&manifest_key(snapshot)).await?;
        let stage = match (manifest, progress.closing) {
            // Even if its worker did not learn that the manifest was written: nobody may write its files again.
            (Some((manifest, _)), _) => Stage::Unpublished(Box::new(manifest)),
            (None, None) if now().duration_since(progress.stored_at) > MAX_AGE_TO_RESUME => {
                return Ok(None);
            }
            // Its age is not known, and its name may be from a time that has not come yet.
            (None, None) if is_in_future(progress.stored_at, now()) => return Ok(None),
            (None, None) => Stage::Unfinished(etag),
            // Its worker was killed while it closed the files.
            (None, Some(_)) => return Ok(None),
        };
        Ok(Some(SnapshotJob { progress, stage }))
    }

    /// How many users the pool has, as Cognito estimates it.
    ///
    /// # Errors
    ///
    /// Cognito refused or did not answer.
    pub async fn estimate_users(&self) -> Result<u64, SnapshotError> {
        let until = Instant::now() + ESTIMATE_TIME_LIMIT;
        let (client, pool) = (self.client.clone(), self.pool.clone());
        let pool = Pool::rate_limited(client, pool, self.calls_per_second, until);
        let users = pool.describe().await?.estimated_number_of_users();
        Ok(u64::try_from(users).unwrap_or_default())
    }

    /// Whether there is a sign-up that the last snapshot did not know of.
    ///
    /// # Errors
    ///
    /// S3 failed.
    pub async fn has_new_sign_ups(&self, state: &BucketState) -> Result<bool, SnapshotError> {
        // A snapshot was started, and nothing of it can be resumed.
        if state.lease.unfinished.is_some() && state.interrupted.is_none() {
            return Ok(true);
        }
        let Some(last) = state.last_finished() else {
            let new = sign_ups_since(&self.bucket, Timestamp::MIN).await?;
            return Ok(new == NewSignUps::Some);
        };
        // A record that was being written while the last snapshot read the journal is dated before its start. The number of
        // records tells; where it is not known, some records are looked at twice.
        let finished = state.lease.last_finished.as_ref();
        let finished = finished.filter(|finished| finished.started_at == last);
        let since = match finished {
            Some(_) => last,
            None => last - MAX_LISTING_DELAY,
        };
        Ok(match sign_ups_since(&self.bucket, since).await? {
            NewSignUps::Some => true,
            NewSignUps::None { records } => {
                finished.is_some_and(|finished| records > finished.sign_ups)
            }
        })
    }

    /// Takes a snapshot that starts now, or resumes the interrupted one. `listed_users` receives the number of users listed, or looked
    /// up, so far.
    ///
    /// # Errors
    ///
    /// The snapshot could not be completed. If its progress is stored, the next worker resumes it.
    pub async fn take_or_resume_snapshot(
        &self,
        state: BucketState,
        request: &LeaseRequest,
        wanted: Wanted,
        listed_users: &watch::Sender<u64>,
    ) -> Result<Outcome, SnapshotError> {
        let accept_shrink = wanted.accept_shrink;
        let (last_start, previous) = (state.last_start(), state.last_finished());
        // One that takes people over does not look everyone up.
        let is_usable = |job: &SnapshotJob| !wanted.look_everyone_up || job.progress.base.is_none();
        let job = match state.interrupted.filter(is_usable) {
            Some(job) => job,
            None => {
                let started_at = next_start(last_start).await;
                // The pointer to the latest only moves forward, by name.
                let name = match &state.latest {
                    Some(latest) => Id::new_after(started_at, &latest.snapshot),
                    None => Id::new(started_at),
                };
                let progress = Progress::start(
                    name,
                    &self.pool,
                    started_at,
                    previous,
                    &request.holder,
                    accept_shrink,
                );
                let finished = state.lease.last_finished.as_ref();
                let base = finished.and_then(|finished| finished.snapshot.clone());
                let progress = match state.scope {
                    Scope::Pool => progress,
                    Scope::Newcomers => {
                        progress.of_newcomers(base.filter(|_| !wanted.look_everyone_up))
                    }
                };
                let stage = Stage::New;
                SnapshotJob { progress, stage }
            }
        };
        let snapshot = job.progress.snapshot.clone();
        let mut leased = state.lease;
        leased.unfinished = Some(snapshot.clone());
        if matches!(job.stage, Stage::New) {
            leased.last_start = Some(job.progress.started_at);
        }
        let lease = Lease::take(
            &self.bucket,
            state.scope.lease_key(),
            state.lease_etag.as_deref(),
            leased,
            &request.holder,
            request.term,
        );
        let Some(lease) = lease.await? else {
            return Ok(Outcome::Held);
        };
        let result = tokio::select! {
            result = self.run_job(job, request, accept_shrink, listed_users) => result,
            () = lease.keep_renewed() => Err(SnapshotError::Superseded),
        };
        match result {
            Ok((outcome, finished)) => {
                let unfinished = finished.is_none().then_some(snapshot);
                release(&lease, finished, unfinished).await;
                Ok(outcome)
            }
            Err(SnapshotError::Superseded) => {
                release(&lease, None, Some(snapshot)).await;
                Ok(Outcome::Held)
            }
            Err(error) => {
                let is_useless = matches!(
                    error,
                    SnapshotError::LostPart { .. } | SnapshotError::Outdated { .. }
                );
                release(&lease, None, (!is_useless).then_some(snapshot)).await;
                Err(error)
            }
        }
    }

    /// Under the lease: exports and publishes. The second value is none while the snapshot is unfinished.
    async fn run_job(
        &self,
        SnapshotJob { progress, stage }: SnapshotJob,
        request: &LeaseRequest,
        accept_shrink: bool,
        listed_users: &watch::Sender<u64>,
    ) -> Result<(Outcome, Option<Finished>), SnapshotError> {
        let deadline = request
            .deadline
            .unwrap_or_else(|| Instant::now() + NO_DEADLINE);
        let accept_shrink = accept_shrink || progress.accept_shrink;
        let mut unfinished = match stage {
            Stage::New => Unfinished::start(&self.bucket, progress),
            Stage::Unfinished(etag) => {
                let stored = (progress, etag);
                Unfinished::resume(&self.bucket, stored, &request.holder, accept_shrink).await?
            }
            Stage::Unpublished(manifest) => {
                let exported = Exported {
                    manifest: *manifest,
                    sign_ups: progress.known_sign_ups(),
                };
                return self.publish(exported, accept_shrink).await;
            }
        };
        unfinished.save_at_least_five_times_in(deadline.duration_since(Instant::now()));
        let pool = Pool::rate_limited(
            self.client.clone(),
            self.pool.clone(),
            match unfinished.progress().scope {
                Scope::Pool => self.calls_per_second,
                Scope::Newcomers => self.lookups_per_second,
            },
            deadline,
        );
        let task = ExportTask {
            pool: &pool,
            bucket: &self.bucket,
            origin_sub: self.origin_sub.as_ref(),
            purpose: self.purpose,
            listed_users,
            deadline,
        };
        match export_pool(&task, &mut unfinished).await? {
            Some(exported) => self.publish(exported, accept_shrink).await,
            None => {
                let outcome = Outcome::InProgress {
                    snapshot: unfinished.progress().snapshot.clone(),
                    users: unfinished.users(),
                };
                Ok((outcome, None))
            }
        }
    }

    /// The time that is left suffices for this; if not, the next worker publishes, or the next snapshot becomes the latest.
    async fn publish(
        &self,
        Exported { manifest, sign_ups }: Exported,
        accept_shrink: bool,
    ) -> Result<(Outcome, Option<Finished>), SnapshotError> {
        let guard = match accept_shrink {
            true => ShrinkGuard::Accepted,
            false => ShrinkGuard::MinPercent(self.shrink_guard_percent),
        };
        let published = publish(&self.bucket, &manifest, guard).await?;
        let finished = Finished {
            started_at: manifest.started_at,
            sign_ups,
            snapshot: Some(manifest.snapshot.clone()),
        };
        let outcome = match published {
            Published::Latest => Outcome::Complete(manifest),
            Published::Shrunk { before } => Outcome::Shrunk { manifest, before },
            // A snapshot of the pool that was started later knows all of its newcomers.
            Published::Outdated { .. } if manifest.scope == Scope::Newcomers => {
                Outcome::Complete(manifest)
            }
            Published::Outdated { latest } => {
                let snapshot = manifest.snapshot;
                return Err(SnapshotError::Outdated { snapshot, latest });
            }
        };
        Ok((outcome, Some(finished)))
    }
}

/// Whether the latest snapshot was named after a time, or claims to have been started at a time, that has not come yet.
fn is_ahead(latest: &Latest, now: Timestamp) -> bool {
    let times = [latest.snapshot.second(), Some(latest.started_at)];
    let mut times = times.into_iter().flatten();
    times.any(|time| is_in_future(time, now))
}

/// When the next snapshot starts: names count seconds, so a snapshot must not start in the same second as the last one.
async fn next_start(last_start: Option<Timestamp>) -> Timestamp {
    let start = now();
    if last_start.is_none_or(|last| last.as_second() < start.as_second()) {
        return start;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    now()
}

/// A lease that cannot be released expires by itself.
async fn release(lease: &Lease<SnapshotLease>, finished: Option<Finished>, unfinished: Option<Id>) {
    let released = lease.release(|lease| {
        lease.last_finished = finished.or(lease.last_finished.take());
        lease.unfinished = unfinished;
    });
    if let Err(error) = released.await {
        tracing::warn!(%error, "the lease stays until it expires");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latest_snapshot_is_ahead_if_its_name_or_its_start_has_not_come_yet() {
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let is_ahead = |name: &str, started_at: &str| {
            let snapshot = Id::new(time(name));
            let latest = Latest {
                version: 1,
                manifest: manifest_key(&snapshot),
                snapshot,
                started_at: time(started_at),
            };
            is_ahead(&latest, time("2026-11-20T10:00:00Z"))
        };
        let (earlier, slightly_later, later) = (
            "2026-11-20T09:00:00Z",
            "2026-11-20T10:00:03Z",
            "2026-11-20T10:04:00Z",
        );

        assert!(!is_ahead(earlier, earlier));
        assert!(!is_ahead(slightly_later, slightly_later));
        assert!(is_ahead(later, later));
        assert!(is_ahead(later, earlier));
        assert!(is_ahead(earlier, later));
    }
}
