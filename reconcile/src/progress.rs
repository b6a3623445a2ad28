//! `reconciles/<id>/progress.json`: how far a run has come, so that the next invocation goes on with it; and the lease of runs.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::cognito::listing::{CHAIN_COUNT, Position};
use shared::id::Id;
use shared::s3::bucket::{Bucket, Condition};
use shared::s3::json::JsonError;
use shared::s3::lease::{Holder, LeaseState};
use shared::snapshot::layout::PARTS_PREFIX;
use shared::time::{is_in_future, now};

use crate::error::ReconcileError;
use crate::groups::GroupProgress;
use crate::guard::Guard;
use crate::plan::Candidate;
use crate::report::{RECONCILES_PREFIX, Reported};
use crate::request::Counts;
use crate::sorted::Run;

/// A run whose progress is older than this is not gone on with: the people it has listed are other people by now.
const MAX_AGE_TO_RESUME: SignedDuration = SignedDuration::from_hours(24);

/// After so many invocations in a row that ended with an error, a run is not gone on with either: what it meets may be of its plan.
const MAX_FAILURES: u32 = 5;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Listing both pools.
    Listing,
    /// Joining the listings by identity.
    ByIdentity,
    /// Joining by name whoever is left.
    ByName,
    /// Looking at people, and writing.
    Writing,
    /// The same for groups.
    Groups,
}

/// A pool of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolProgress {
    /// The pool.
    pub pool: String,
    /// How far each chain has been listed.
    pub positions: [Position; CHAIN_COUNT],
    /// Users listed of each chain.
    pub listed: [u64; CHAIN_COUNT],
    /// Who was listed, by identity.
    pub runs: Vec<Run>,
    /// Of those, who has no user with the same identity in the other pool: by name.
    pub unmatched: Vec<Run>,
}

impl PoolProgress {
    /// Users listed.
    pub fn total_listed(&self) -> u64 {
        self.listed.iter().sum()
    }

    fn of(pool: &str) -> Self {
        Self {
            pool: pool.to_owned(),
            positions: Default::default(),
            listed: [0; CHAIN_COUNT],
            runs: Vec::new(),
            unmatched: Vec::new(),
        }
    }
}

/// How far the journal has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalProgress {
    /// Whether it has been read to its end.
    pub is_read: bool,
    /// The key of the last record that was read.
    pub reached: Option<String>,
    /// What was read.
    pub runs: Vec<Run>,
}

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    version: u32,
    /// The run.
    pub run: Id,
    /// When it began.
    pub started_at: Timestamp,
    /// When this was stored.
    pub stored_at: Timestamp,
    /// Whether it writes nothing.
    pub is_dry_run: bool,
    /// The run whose mass changes an operator has accepted.
    #[serde(default)]
    pub accepted: Option<Id>,
    /// Whether it compares groups too.
    pub with_groups: bool,
    /// What it is doing.
    pub phase: Phase,
    /// The primary pool.
    pub primary: PoolProgress,
    /// The secondary pool.
    pub secondary: PoolProgress,
    /// Whose replica is withheld, by identity.
    pub withheld: Vec<Run>,
    /// Who has used the secondary pool, by identity.
    #[serde(default)]
    pub journal: JournalProgress,
    /// The shard to be joined next.
    pub shard: usize,
    /// The files of people to look at.
    pub plan: Vec<String>,
    /// People to look at.
    pub planned: u64,
    /// Of those, people who have no user in the secondary pool.
    pub missing: u64,
    /// Of those, people who have been dealt with.
    #[serde(default)]
    pub brought: u64,
    /// The stage of looking at people, by its place in the order of stages.
    pub stage: usize,
    /// The file of the plan that is read.
    pub file: usize,
    /// Its lines that have been dealt with in this stage.
    pub line: u64,
    /// Who of the lines after that has been dealt with too, because a service failed or the time was up in their middle.
    #[serde(default)]
    pub dealt_with: Vec<Candidate>,
    /// People looked at.
    pub looked_at: u64,
    /// Pairs that the joins have found.
    pub pairs: u64,
    /// The mass change guard.
    pub guard: Guard,
    /// The pairs of the last run, of which a part is many for the guard; none before the first run.
    pub last_pairs: Option<u64>,
    /// Numbers of people.
    pub counts: Counts,
    /// Writes that failed.
    pub failed: u64,
    /// Files of changes written.
    pub changes_files: usize,
    /// Who is reported, at most [`MAX_REPORTED`](crate::report::MAX_REPORTED).
    pub reported: Vec<Reported>,
    /// How far groups are.
    pub groups: GroupProgress,
    /// Workers that have written parts, so that each has names of its own.
    pub workers: u32,
    /// The worker that has stored this.
    pub worker: String,
    /// Invocations in a row that ended with an error.
    pub failures: u32,
    /// The entity tag of the object; none before it was stored.
    #[serde(skip)]
    etag: Option<String>,
}

impl Progress {
    /// A run that starts now.
    pub fn start(run: Id, primary: &str, secondary: &str, is_dry_run: bool, guard: Guard) -> Self {
        Self {
            version: 1,
            run,
            started_at: now(),
            stored_at: now(),
            is_dry_run,
            accepted: None,
            with_groups: false,
            phase: Phase::Listing,
            primary: PoolProgress::of(primary),
            secondary: PoolProgress::of(secondary),
            withheld: Vec::new(),
            journal: JournalProgress::default(),
            shard: 0,
            plan: Vec::new(),
            planned: 0,
            missing: 0,
            brought: 0,
            stage: 0,
            file: 0,
            line: 0,
            dealt_with: Vec::new(),
            looked_at: 0,
            pairs: 0,
            guard,
            last_pairs: None,
            counts: Counts::default(),
            failed: 0,
            changes_files: 0,
            reported: Vec::new(),
            groups: GroupProgress::default(),
            workers: 0,
            worker: String::new(),
            failures: 0,
            etag: None,
        }
    }

    /// Reads the progress of a run; none when there is none that can be gone on with.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn read(bucket: &Bucket, run: &Id) -> Result<Option<Self>, ReconcileError> {
        match bucket.get_json::<Self>(&progress_key(run)).await {
            Ok(Some((mut progress, etag))) => {
                progress.etag = Some(etag);
                let age = now().duration_since(progress.stored_at);
                let is_usable = progress.failures < MAX_FAILURES
                    && age <= MAX_AGE_TO_RESUME
                    && !is_in_future(progress.stored_at, now());
                Ok(is_usable.then_some(progress))
            }
            Ok(None) => Ok(None),
            Err(error @ JsonError::Malformed { .. }) => {
                tracing::error!(%error, "the next run starts from the beginning");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores it, unless a worker that has taken over the lease has.
    ///
    /// # Errors
    ///
    /// Another worker has stored its progress, or S3 refused or did not answer.
    pub async fn store(&mut self, bucket: &Bucket) -> Result<(), ReconcileError> {
        self.stored_at = now();
        let key = progress_key(&self.run);
        let condition = Condition::since_read(self.etag.as_deref());
        let is_ours = |there: &Self| there.worker == self.worker;
        let stored = bucket.put_json_if(&key, self, condition, is_ours).await?;
        self.etag = Some(stored.ok_or(ReconcileError::TakenOver)?);
        Ok(())
    }

    /// The beginning of the keys of parts that this worker writes.
    pub fn part(&self, name: &str) -> String {
        format!("{PARTS_PREFIX}{}/{}-{name}", self.run, self.workers)
    }
}

fn progress_key(run: &Id) -> String {
    format!("{RECONCILES_PREFIX}{run}/progress.json")
}

/// `reconciles/lease.json`: the lease under which pools are reconciled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileLease {
    version: u32,
    holder: Option<Holder>,
    /// When a run was last started.
    pub last_start: Option<Timestamp>,
    /// When a run that compared groups was last started.
    pub last_groups: Option<Timestamp>,
    /// The run that is not finished.
    pub unfinished: Option<Id>,
}

impl LeaseState for ReconcileLease {
    fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn set_holder(&mut self, holder: Option<Holder>) {
        self.version = 1;
        self.holder = holder;
    }
}
