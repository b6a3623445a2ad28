//! What a run needs to know: the pool and the bucket, its deadline, and who is informed of its progress.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::names::IdentityHash;
use shared::aws::Sdk;
use shared::environment::CustomAttribute;
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

/// The pool to restore into, and the bucket to restore from.
#[derive(Clone, Debug)]
pub struct RestoreConfig {
    /// The settings of the AWS clients.
    pub sdk: Sdk,
    /// The target pool.
    pub pool: PoolId,
    /// The bucket of snapshots and journal.
    pub bucket: Bucket,
    /// The role with which Cognito writes the import log.
    pub role: RoleArn,
    /// The attribute that keeps identities. If it is not configured, `custom:origin_sub`, provided that the pool has that attribute.
    pub origin: Option<CustomAttribute>,
    /// Whether every restore may be into the pool that the snapshot was taken from: there is no other pool.
    pub same_pool: bool,
    /// Set if the restore fills the secondary pool with the people of the primary pool. It is not in the request, because nobody asks a
    /// function for it.
    pub fill: Option<Fill>,
}

/// A restore that fills the secondary pool: it imports rows and writes what they cannot carry, and creates nobody one by one. Whoever
/// is left is dealt with by reconcile.
#[derive(Clone, Debug, Default)]
pub struct Fill {
    /// People who are left out: their user in the secondary pool was deleted although they had used it.
    pub skip: HashSet<IdentityHash>,
}

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not the ARN of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of a role such as arn:aws:iam::123456789012:role/import-logs")]
pub struct NotARole;

impl FromStr for RoleArn {
    type Err = NotARole;

    fn from_str(arn: &str) -> Result<Self, NotARole> {
        let is_role = arn.starts_with("arn:") && arn.contains(":role/");
        is_role.then(|| Self(arn.to_owned())).ok_or(NotARole)
    }
}

/// One run of a restore.
pub struct RunContext<'a> {
    /// Who holds the lease: a name that no other process uses, such as the id of the invocation.
    pub lease_holder: String,
    /// When to stop, so that a later run resumes the restore.
    pub deadline: Instant,
    /// Is called with each step of progress.
    pub on_progress: &'a (dyn Fn(Step) + Sync),
}

impl RunContext<'_> {
    /// The latest time at which a call to a pool may begin. It leaves an eighth of the remaining time, and at most five seconds, to
    /// respond that the restore is in progress.
    pub fn last_call_at(&self) -> Instant {
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        self.deadline - (remaining / 8).min(Duration::from_secs(5))
    }
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Listing the target pool: users listed so far.
    ListingPool(u64),
    /// Looking up people in the target pool: lookups so far.
    LookingUpPeople(u64),
    /// Waiting until another import job of the account ends.
    WaitingForOtherJob,
    /// Waiting until Cognito begins with an import job that was started.
    WaitingForCognito,
    /// Running an import job: rows processed, and rows of the file.
    Importing(u64, u64),
    /// Creating users with AdminCreateUser and writing attributes: users so far.
    WritingUsers(u64),
    /// Moving sign-up records to `journal/restored/`: records so far.
    ArchivingRecords(u64),
}
