//! What a run of reconcile is asked for, and what it answers.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize};
use shared::aws::{RetryPolicy, Sdk};
use shared::cognito::pool::Pool;
use shared::environment::CustomAttribute;
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

/// The default of `RECONCILE_LIST_RPS`: calls a second to ListUsers for each pool, of the 30 that are shared with the application.
pub const DEFAULT_LISTS_PER_SECOND: NonZeroU16 = NonZeroU16::new(10).expect("10 is not 0");

/// The default of `RECONCILE_WRITES_RPS`: writes a second, of UserUpdate's 25 (DG:quotas).
pub const DEFAULT_WRITES_PER_SECOND: NonZeroU16 = NonZeroU16::new(10).expect("10 is not 0");

/// The default of `RECONCILE_EVERY_S`.
pub const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// The default of `GROUPS_EVERY_S`.
pub const DEFAULT_GROUPS_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// The default of `WITHHOLD_DAYS`.
pub const DEFAULT_WITHHOLD_DAYS: u16 = 7;

/// The two pools, and how they are reconciled.
#[derive(Clone, Debug)]
pub struct ReconcileConfig {
    /// The settings of the AWS clients.
    pub sdk: Sdk,
    /// The pool in which people are changed.
    pub primary: PoolId,
    /// The pool that is made equal to it.
    pub secondary: PoolId,
    /// The snapshot bucket: journal, withheld replicas, reports.
    pub bucket: Bucket,
    /// The attribute that carries identities. Without it, people are only created and reported.
    pub origin: Option<CustomAttribute>,
    /// The function that the primary pool should run after a confirmation, if that is known.
    pub trigger_arn: Option<String>,
    /// Whether replicas get a permanent password.
    pub activate: bool,
    /// Calls a second that list a pool.
    pub lists_per_second: u32,
    /// Writes a second.
    pub writes_per_second: u32,
    /// The time between the starts of two runs.
    pub interval: SignedDuration,
    /// The time between two runs that compare groups too.
    pub groups_interval: SignedDuration,
    /// After how many days on which they were missed people are deleted whose replica is withheld.
    pub withhold_days: u16,
}

impl ReconcileConfig {
    /// One of the pools, called at most so many times a second until a deadline.
    pub fn rate_limited(&self, pool: &PoolId, calls_per_second: u32, deadline: Instant) -> Pool {
        let client = self.sdk.cognito(pool, RetryPolicy::NO_RETRY);
        Pool::rate_limited(client, pool.clone(), calls_per_second, deadline)
    }
}

/// What is asked for: the payload of the function beside `action`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// To start now, whatever the interval, and although the secondary pool is in use.
    #[serde(deserialize_with = "null_is_false")]
    pub now: bool,
    /// To write nothing, and to say what would be written.
    #[serde(deserialize_with = "null_is_false")]
    pub dry_run: bool,
    /// The run whose mass changes an operator has accepted.
    pub accept: Option<Id>,
}

fn null_is_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or_default())
}

/// One run.
pub struct RunContext<'a> {
    /// Who holds the lease: a name that no other process uses.
    pub lease_holder: String,
    /// When to stop, so that a later run goes on; none for a run that stays until the end.
    pub deadline: Option<Instant>,
    /// Whether people are left to a fill when more than [`FILL_THRESHOLD`] are missing: import jobs bring them faster, and make no monthly
    /// active user.
    pub leave_to_fill: bool,
    /// Is called with each step of progress.
    pub on_progress: &'a (dyn Fn(Step) + Sync),
}

impl RunContext<'_> {
    /// Whether the rest is to be left to a later run.
    pub fn is_time_up(&self) -> bool {
        !self.has_time_for(Duration::ZERO)
    }

    /// Whether work that cannot be cut off, and takes so long, ends before the deadline.
    pub fn has_time_for(&self, work: Duration) -> bool {
        self.deadline
            .is_none_or(|deadline| Instant::now() + work < deadline)
    }

    /// The latest time at which a call to a pool may begin.
    pub fn last_call_at(&self) -> Instant {
        self.deadline
            .unwrap_or_else(|| Instant::now() + NO_DEADLINE)
    }
}

/// The time of a run without a deadline.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When more people than this are missing, a fill should bring them.
pub const FILL_THRESHOLD: u64 = 500;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Listing both pools: users listed so far in the primary and in the secondary.
    Listing(u64, u64),
    /// Comparing the listings: people compared so far.
    Comparing(u64),
    /// Writing: people dealt with, and people who differ.
    Writing(u64, u64),
    /// Comparing groups: groups compared so far, and groups.
    Groups(u64, u64),
}

/// What a run answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The state.
    pub status: Status,
    /// The key of its report; empty when there is none.
    pub report: String,
    /// How many people were changed and how.
    pub counts: Counts,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Whoever can be made equal is.
    Complete,
    /// The time was up; the next run goes on.
    InProgress,
    /// Some writes failed. The next run tries again.
    Incomplete,
    /// The mass change guard held some writes back; the rest was done.
    Guarded,
    /// So many people are missing that `twinpool reconcile` should bring them by import jobs.
    FillNeeded,
    /// The secondary pool is in use, or its snapshot is being taken.
    Waiting,
    /// The last run is not long enough ago.
    NotNeeded,
    /// Another run is in progress.
    Held,
    /// In a report: nothing was written, and the lines of changes say what would be.
    DryRun,
}

impl Status {
    /// Whether everyone was brought and every write was made, but for what the mass change guard holds.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Complete | Self::Guarded)
    }
}

/// Numbers of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Pairs that are equal.
    pub unchanged: u64,
    /// People created in the secondary pool, and half-made replicas that were completed.
    pub created: u64,
    /// People to whose user in the secondary pool attributes were written.
    pub updated: u64,
    /// People disabled because they are disabled in the primary pool.
    pub disabled: u64,
    /// People enabled again.
    pub enabled: u64,
    /// People disabled because they are no longer in the primary pool.
    pub withheld: u64,
    /// People deleted in the secondary pool, because they were withheld for long enough.
    pub removed: u64,
    /// Groups created or changed, and memberships added or removed.
    pub group_changes: u64,
    /// People who are not mirrored: not confirmed, of another identity provider, never signed in.
    pub skipped: u64,
    /// People who signed up in the secondary pool and are not in the primary pool.
    pub newcomers: u64,
    /// People reported.
    pub reported: u64,
    /// People of the primary pool who could not get into the secondary pool: nothing verified to reset the password with.
    pub no_way_in: u64,
}

impl Counts {
    /// Adds the numbers of somebody else.
    pub fn add(&mut self, other: &Self) {
        for (ours, theirs) in [
            (&mut self.unchanged, other.unchanged),
            (&mut self.created, other.created),
            (&mut self.updated, other.updated),
            (&mut self.disabled, other.disabled),
            (&mut self.enabled, other.enabled),
            (&mut self.withheld, other.withheld),
            (&mut self.removed, other.removed),
            (&mut self.group_changes, other.group_changes),
            (&mut self.skipped, other.skipped),
            (&mut self.newcomers, other.newcomers),
            (&mut self.reported, other.reported),
            (&mut self.no_way_in, other.no_way_in),
        ] {
            *ours += theirs;
        }
    }

    /// People and groups that were changed.
    pub fn changes(&self) -> u64 {
        let people = self.created + self.updated + self.disabled + self.enabled;
        people + self.withheld + self.removed + self.group_changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_members_and_null_are_no_and_unknown_ones_are_an_error() {
        let read = |json: &str| serde_json::from_str::<Request>(json);

        for json in ["{}", r#"{"now":null,"dry_run":null,"accept":null}"#] {
            assert_eq!(read(json).unwrap(), Request::default(), "{json}");
        }
        assert!(read(r#"{"now":true}"#).unwrap().now);
        for json in [r#"{"now":"yes"}"#, r#"{"dryrun":true}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn work_is_begun_only_if_it_ends_before_the_deadline() {
        let context = |deadline| RunContext {
            lease_holder: String::new(),
            deadline,
            leave_to_fill: false,
            on_progress: &|_| (),
        };
        let minute = Duration::from_mins(1);

        let an_hour_left = context(Some(Instant::now() + 60 * minute));
        assert!(an_hour_left.has_time_for(minute));
        assert!(!an_hour_left.has_time_for(61 * minute));
        assert!(!an_hour_left.is_time_up());
        assert!(context(Some(Instant::now())).is_time_up());
        assert!(context(None).has_time_for(100_000 * minute));
    }
}
