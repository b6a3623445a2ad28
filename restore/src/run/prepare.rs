//! Phase 1: everything that is known before the target pool is listed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use jiff::{SignedDuration, Timestamp};

use crate::decision::{NewcomerState, is_in_scope};
use crate::error::RestoreError;
use crate::names::{IdentityHash, PersonKey};
use crate::namesakes::Namesakes;
use crate::newcomers::{Newcomers, UnmatchedCause};
use crate::request::{Request, Scope, SnapshotChoice};
use crate::run::config::{RestoreConfig, RunContext};
use crate::run::lookups::Sought;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser, SnapshotUsers};
use crate::source::SourceSnapshot;
use crate::target_pool::WantedUsers;
use crate::who::{Comparison, immutable_attributes};
use shared::aws::RetryPolicy;
use shared::cognito::pool::{Pool, PoolError};
use shared::environment::CustomAttribute;
use shared::forgotten;
use shared::import_csv::Format;
use shared::import_csv::rules::Rules;
use shared::person::Attributes;
use shared::pool_id::PoolId;
use shared::snapshot::error::SnapshotError;
use shared::snapshot::purpose::Purpose;
use shared::snapshot::scope::Scope as SnapshotScope;
use shared::snapshot::worker::{
    DEFAULT_LOOKUPS_PER_SECOND, LeaseRequest, Outcome, SnapshotWorker, Wanted,
};
use tokio::sync::watch;

/// The rate limit of reading calls. The quota of ListUsers, 30 a second, is shared with the live application (DG:quotas).
pub(super) const READ_CALLS_PER_SECOND: u32 = 25;

/// Users that ListUsers returns per call (botocore ListUsers).
pub(super) const USERS_PER_PAGE: u64 = 60;

/// The rate limit of writing calls. The quota of UserUpdate is 25 a second (DG:quotas).
const WRITE_CALLS_PER_SECOND: u32 = 15;

/// The rate limit of lookups in the target pool (DG:quotas: 120 for UserRead, shared with the live application).
pub(super) const LOOKUPS_PER_SECOND: u32 = DEFAULT_LOOKUPS_PER_SECOND.get() as u32;

/// If it takes longer than this to look at everyone of a snapshot of the whole pool, a restore of the newcomers looks at them alone.
const LONG_LOOK_AT_EVERYONE: u64 = 60;

/// How many snapshots of the newcomers a run takes. All but the first only add who has signed up meanwhile.
const SNAPSHOTS_PER_RUN: u32 = 3;

/// How long before the restore the newcomers may have been looked up for a snapshot. Somebody may have been disabled or deleted since, or
/// have another address.
const LOOKUPS_MAX_AGE: SignedDuration = SignedDuration::from_hours(1);

/// Which snapshot of the newcomers is too old for a restore that may take a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooOld {
    /// Its people were looked up long before the restore began.
    LongBeforeStart,
    /// Its people were looked up before the restore began.
    BeforeStart,
}

/// The pause before the next look whether another worker still takes a snapshot.
const OTHER_SNAPSHOT_WAIT: Duration = Duration::from_secs(5);

/// Everything that is known before the target pool is listed.
pub(super) struct Prepared<'a> {
    pub(super) config: &'a RestoreConfig,
    pub(super) request: &'a Request,
    pub(super) run: &'a RunContext<'a>,
    /// Whether this run has taken a snapshot, or waited for one, which took some of its time.
    pub(super) has_renewed: bool,
    /// Whether the run may begin again with a new snapshot of the newcomers, which would tell of them as they are now.
    pub(super) can_be_renewed: bool,
    /// The target pool, with the rate limit of reading calls.
    pub(super) target_reads: Pool,
    /// The target pool, with the rate limit of lookups.
    pub(super) target_lookups: Pool,
    /// The target pool, with the rate limit of writing calls.
    pub(super) target_writes: Pool,
    /// The snapshot's pool, with the rate limit of lookups; none if it has nothing to say of newcomers: it is the target pool, or this is a
    /// fill.
    pub(super) source_lookups: Option<Pool>,
    /// The target pool's name.
    pub(super) pool_name: String,
    /// The format of the target pool's import files.
    pub(super) format: Format,
    /// What Cognito accepts in them.
    pub(super) rules: Rules,
    pub(super) comparison: Comparison,
    pub(super) source: SourceSnapshot,
    /// People who were erased, and whom no snapshot brings back.
    pub(super) forgotten: HashSet<IdentityHash>,
    pub(super) newcomers: Newcomers,
    pub(super) namesakes: Namesakes,
    /// The users to find in the target pool.
    pub(super) wanted: WantedUsers,
    /// Everyone to look up there; none if a listing of the pool takes no longer.
    pub(super) sought: Option<Vec<Sought>>,
    /// The attributes and groups of users in scope that no import file can carry.
    pub(super) late_attributes: HashMap<PersonKey, LateAttributes>,
    /// Of the users with such attributes, those who have one that can be given only when a user is created.
    pub(super) rows_to_create: HashSet<PersonKey>,
}

/// What an import file cannot carry of a user who has a row.
#[derive(Default)]
pub(super) struct LateAttributes {
    /// The user's `sub` in the snapshot's pool.
    pub(super) sub: String,
    pub(super) attributes: Attributes,
    /// The groups of a newcomer.
    pub(super) groups: Vec<String>,
}

impl<'a> Prepared<'a> {
    /// Reads the target pool's settings, the snapshot and the journal. If people have signed up since the latest snapshot, or if it is
    /// `too_old` for a restore that began at `started_at`, a restore of the newcomers takes a new one first.
    ///
    /// # Errors
    ///
    /// One of them cannot be read; the pools use different sign-in names; or people have signed up since the snapshot, no new one can be
    /// taken, and the request does not allow that.
    pub(super) async fn load(
        config: &'a RestoreConfig,
        request: &'a Request,
        run: &'a RunContext<'a>,
        started_at: Timestamp,
        too_old: TooOld,
    ) -> Result<Self, RestoreError> {
        let pool = |id: &PoolId, calls_per_second| {
            let client = config.sdk.cognito(id, RetryPolicy::NO_RETRY);
            Pool::rate_limited(client, id.clone(), calls_per_second, run.last_call_at())
        };
        let target_reads = pool(&config.pool, READ_CALLS_PER_SECOND);
        let described = target_reads.describe().await?;
        let csv_header = target_reads.csv_header().await?;
        let format = Format::of(&described, &csv_header, config.origin.as_ref())?;
        let rules = Rules::of(&described, &csv_header);
        let rules = rules.map_err(|error| RestoreError::Header {
            pool: config.pool.clone(),
            error,
        })?;
        let comparison = Comparison::of(&described, config.origin.as_ref());
        let mut source =
            SourceSnapshot::open(&config.bucket, &request.snapshot, request.scope).await?;
        check_pool(&source, config, request)?;
        let sign_in = described.username_attributes().iter();
        let sign_in: Vec<_> = sign_in.map(|a| a.as_str().to_owned()).collect();
        check_sign_in_names(&source, &config.pool, &sign_in)?;
        let source_pool = source.manifest.pool.id.parse();
        let source_pool = source_pool.map_err(|_| RestoreError::Damaged {
            snapshot: source.manifest.snapshot.clone(),
            what: "the pool's id".to_owned(),
        })?;
        let reader = pool(&source_pool, READ_CALLS_PER_SECOND);
        let bucket = &config.bucket;
        let mut newcomers = Newcomers::read(bucket, &source, &comparison, &reader).await?;
        let is_same_pool = source.manifest.pool.id == config.pool.as_str();
        // In a restore into the same pool, whoever was deleted there would be missing in a new snapshot.
        let can_be_renewed = request.snapshot == SnapshotChoice::Latest
            && request.scope == Scope::Newcomers
            && !is_same_pool;
        let looked_up_since = match too_old {
            TooOld::LongBeforeStart => started_at - LOOKUPS_MAX_AGE,
            TooOld::BeforeStart => started_at,
        };
        let (mut taken, mut has_renewed) = (0, false);
        loop {
            let stale = check_not_stale(&source, &newcomers);
            let is_old =
                can_be_renewed && newcomers.has_pending() && is_older(&source, looked_up_since);
            if request.allow_stale || (stale.is_ok() && !is_old) {
                break;
            }
            let renewed = match can_be_renewed && taken < SNAPSHOTS_PER_RUN {
                true => {
                    let look_everyone_up = is_old || !source.has_only_newcomers();
                    let origin = comparison.origin();
                    take_snapshot(config, run, &source, &source_pool, origin, look_everyone_up)
                        .await?
                }
                false => Renewed::No,
            };
            match renewed {
                Renewed::Taken => taken += 1,
                Renewed::ByAnother => {}
                // People who have signed up since this run took a snapshot are reported.
                Renewed::No if taken > 0 => break,
                Renewed::No => {
                    stale?;
                    break;
                }
            }
            has_renewed = true;
            source = SourceSnapshot::open(bucket, &request.snapshot, request.scope).await?;
            newcomers = Newcomers::read(bucket, &source, &comparison, &reader).await?;
        }
        let can_be_renewed = can_be_renewed
            && !request.allow_stale
            && too_old == TooOld::LongBeforeStart
            && is_older(&source, started_at);
        let is_of_newcomers = request.scope == Scope::Newcomers && config.fill.is_none();
        if is_of_newcomers && seconds_for_everyone(&source, &described) > LONG_LOOK_AT_EVERYONE {
            source.leave_out_everyone_else();
        }
        let forgotten = forgotten::read_all(&config.bucket.whole()).await?;
        let forgotten = forgotten.iter().map(IdentityHash::of_digest).collect();
        let namesakes = Namesakes::read(&source, &comparison, &newcomers, request.scope).await?;
        let mut late_attributes = late_attributes(request, &source, &newcomers).await?;
        if config.fill.is_some() {
            let is_known = |name: &str| rules.header().position(name).is_some();
            for late in late_attributes.values_mut() {
                let known = late.attributes.iter().filter(|(name, _)| is_known(name));
                late.attributes = known.collect();
            }
        }
        let immutable = immutable_attributes(&described);
        let has_immutable = |attributes: &Attributes| {
            let mut names = attributes.iter().map(|(name, _)| name);
            names.any(|name| immutable.iter().any(|immutable| immutable == name))
        };
        let late = late_attributes.iter();
        let to_create = late.filter(|(_, late)| has_immutable(&late.attributes));
        let rows_to_create = to_create.map(|(key, _)| *key).collect();
        let mut wanted = WantedUsers::default();
        let late = late_attributes.values();
        let late = late.flat_map(|late| late.attributes.iter());
        late.for_each(|(name, _)| wanted.add_attribute(name));
        let unmatched = newcomers.unmatched.iter();
        unmatched.for_each(|unmatched| wanted.add(&unmatched.who));
        wanted.names.extend(namesakes.names());
        let mut sought = is_of_newcomers.then(|| SoughtPeople::in_pool(&described));
        for unmatched in &newcomers.unmatched {
            add_sought(&mut sought, || {
                Some(Sought::of_record(unmatched, is_same_pool))
            });
        }
        let mut users = SnapshotUsers::of(&source, &comparison, &newcomers);
        while let Some(user) = users.next().await? {
            add_sought(&mut sought, || {
                Sought::of_user(&user, &newcomers, is_same_pool)
            });
            let key = &user.who.key;
            let is_newcomer = newcomers.state_of(key) != NewcomerState::NotNewcomer;
            if is_newcomer || late_attributes.contains_key(key) {
                wanted.add(&user.who);
            }
        }
        Ok(Self {
            config,
            request,
            run,
            has_renewed,
            can_be_renewed,
            target_reads,
            target_lookups: pool(&config.pool, LOOKUPS_PER_SECOND),
            target_writes: pool(&config.pool, WRITE_CALLS_PER_SECOND),
            source_lookups: (!is_same_pool && config.fill.is_none())
                .then(|| pool(&source_pool, LOOKUPS_PER_SECOND)),
            pool_name: described.name.clone().unwrap_or_default(),
            format,
            rules,
            comparison,
            source,
            forgotten,
            newcomers,
            namesakes,
            wanted,
            sought: sought.map(|sought| sought.people),
            late_attributes,
            rows_to_create,
        })
    }

    /// The attributes that a restore gives a user of the snapshot: those of the row, and those that no import file can carry.
    ///
    /// # Errors
    ///
    /// The snapshot's row is damaged.
    pub(super) fn attributes_of(&self, user: &SnapshotUser) -> Result<Attributes, RestoreError> {
        let row = match &user.entry {
            SnapshotEntry::Leftover(leftover) => return Ok(leftover.attributes.clone()),
            SnapshotEntry::ImportRow(row) => row,
        };
        let mut attributes = self.source.attributes(row)?;
        let late = self.late_attributes.get(&user.who.key);
        for (name, value) in late.iter().flat_map(|late| late.attributes.iter()) {
            attributes.insert(name, value);
        }
        Ok(attributes)
    }

    /// A stream of the users of the snapshot.
    pub(super) fn snapshot_users(&self) -> SnapshotUsers<'_> {
        SnapshotUsers::of(&self.source, &self.comparison, &self.newcomers)
    }

    /// The groups that a newcomer was in.
    pub(super) fn groups_of<'u>(&'u self, user: &'u SnapshotUser) -> &'u [String] {
        match &user.entry {
            SnapshotEntry::ImportRow(_) => {
                let late = self.late_attributes.get(&user.who.key);
                late.map_or(&[], |late| &late.groups)
            }
            SnapshotEntry::Leftover(leftover) => &leftover.groups,
        }
    }

    /// Whether a user of the snapshot is in the scope of the request.
    pub(super) fn is_in_scope(&self, key: &PersonKey) -> bool {
        is_in_scope(self.request.scope, self.newcomers.state_of(key))
    }
}

/// Whether there is a new snapshot of the newcomers.
enum Renewed {
    /// This run has taken it.
    Taken,
    /// Another worker takes one, or did a moment ago.
    ByAnother,
    /// None can be taken: the pool does not answer, for example.
    No,
}

/// Takes a snapshot of the newcomers in the pool of an earlier one, or waits a little for another worker that takes one.
///
/// # Errors
///
/// The time is up. The next run goes on with the snapshot.
async fn take_snapshot(
    config: &RestoreConfig,
    run: &RunContext<'_>,
    earlier: &SourceSnapshot,
    pool: &PoolId,
    origin: Option<&CustomAttribute>,
    look_everyone_up: bool,
) -> Result<Renewed, RestoreError> {
    // The pool may lack an attribute that the target pool has.
    let has_column = |origin: &&CustomAttribute| earlier.header.position(origin.as_str()).is_some();
    let worker = SnapshotWorker {
        bucket: config.bucket.clone(),
        client: config.sdk.cognito(pool, RetryPolicy::NO_RETRY),
        pool: pool.clone(),
        calls_per_second: READ_CALLS_PER_SECOND,
        lookups_per_second: LOOKUPS_PER_SECOND,
        // The guard compares snapshots of the whole pool only.
        shrink_guard_percent: 0,
        origin_sub: origin.filter(has_column).cloned(),
        purpose: Purpose::Backup,
    };
    let taken = async {
        let Some(state) = worker.inspect_bucket(SnapshotScope::Newcomers).await? else {
            return Ok(Outcome::Held);
        };
        let lease = LeaseRequest::for_process(&run.lease_holder, run.last_call_at());
        let wanted = Wanted {
            look_everyone_up,
            ..Wanted::default()
        };
        let users = watch::Sender::new(0);
        let taken = worker.take_or_resume_snapshot(state, &lease, wanted, &users);
        taken.await
    };
    match taken.await {
        Ok(Outcome::Complete(manifest)) => {
            tracing::info!(snapshot = %manifest.snapshot, "a new snapshot of the newcomers is taken");
            Ok(Renewed::Taken)
        }
        Ok(Outcome::InProgress { .. }) => Err(PoolError::OutOfTime(pool.clone()).into()),
        Ok(Outcome::Held) if Instant::now() + OTHER_SNAPSHOT_WAIT > run.last_call_at() => {
            Err(PoolError::OutOfTime(pool.clone()).into())
        }
        Ok(Outcome::Held) => {
            tokio::time::sleep(OTHER_SNAPSHOT_WAIT).await;
            Ok(Renewed::ByAnother)
        }
        Ok(Outcome::Shrunk { .. }) => Ok(Renewed::No),
        Err(error) => {
            let error: SnapshotError = error;
            tracing::warn!(%error, "no new snapshot of the newcomers can be taken");
            Ok(Renewed::No)
        }
    }
}

/// Whether a snapshot tells of somebody as they were before a time.
fn is_older(source: &SourceSnapshot, than: Timestamp) -> bool {
    let manifest = &source.manifest;
    manifest.as_of.unwrap_or(manifest.started_at) < than
}

/// How long it takes to look at everyone of a snapshot in the target pool, in whichever way is quicker, in seconds.
fn seconds_for_everyone(source: &SourceSnapshot, target: &UserPoolType) -> u64 {
    let lookups = source.manifest.users.listed / u64::from(LOOKUPS_PER_SECOND);
    lookups.min(pages_of(target) / u64::from(READ_CALLS_PER_SECOND))
}

/// How many calls a listing of the pool takes.
fn pages_of(pool: &UserPoolType) -> u64 {
    let users = u64::try_from(pool.estimated_number_of_users()).unwrap_or_default();
    users.div_ceil(USERS_PER_PAGE)
}

/// The people to look up, as long as that takes less time than a listing.
struct SoughtPeople {
    people: Vec<Sought>,
    lookups: u64,
    pages: u64,
}

impl SoughtPeople {
    fn in_pool(pool: &UserPoolType) -> Self {
        Self {
            people: Vec::new(),
            lookups: 0,
            pages: pages_of(pool),
        }
    }

    /// Whether a listing takes no longer.
    fn are_too_many(&self) -> bool {
        self.lookups * u64::from(READ_CALLS_PER_SECOND)
            >= self.pages * u64::from(LOOKUPS_PER_SECOND)
    }
}

/// Adds somebody to look up. When a listing takes no longer, nobody is looked up any more.
fn add_sought(sought: &mut Option<SoughtPeople>, person: impl FnOnce() -> Option<Sought>) {
    if let Some(all) = sought
        && let Some(person) = person()
    {
        all.lookups += person.lookups().count() as u64;
        all.people.push(person);
        if all.are_too_many() {
            *sought = None;
        }
    }
}

/// Fails if the snapshot was taken from the target pool, where everyone is home already, unless that is wanted.
fn check_pool(
    source: &SourceSnapshot,
    config: &RestoreConfig,
    request: &Request,
) -> Result<(), RestoreError> {
    let is_same = source.manifest.pool.id == config.pool.as_str();
    if is_same && !request.same_pool && !config.same_pool {
        return Err(RestoreError::SamePool {
            snapshot: source.manifest.snapshot.clone(),
            pool: config.pool.clone(),
        });
    }
    Ok(())
}

/// Fails unless users sign in to both pools with the same kind of name.
fn check_sign_in_names(
    source: &SourceSnapshot,
    target: &PoolId,
    target_sign_in: &[String],
) -> Result<(), RestoreError> {
    let source_sign_in = &source.manifest.pool.username_attributes;
    if target_sign_in == source_sign_in {
        return Ok(());
    }
    let describe = |attributes: &[String]| match attributes {
        [] => "username".to_owned(),
        attributes => attributes.join(" or "),
    };
    Err(RestoreError::SignInDiffers {
        snapshot: source.manifest.snapshot.clone(),
        pool: target.clone(),
        there: describe(source_sign_in),
        here: describe(target_sign_in),
    })
}

/// Fails if people have signed up since the snapshot was taken.
fn check_not_stale(source: &SourceSnapshot, newcomers: &Newcomers) -> Result<(), RestoreError> {
    let unmatched = newcomers.unmatched.iter();
    let newer = unmatched.filter(|unmatched| unmatched.cause == UnmatchedCause::Newer);
    match newer.count() {
        0 => Ok(()),
        records => Err(RestoreError::Stale {
            snapshot: source.manifest.snapshot.clone(),
            records,
        }),
    }
}

/// The attributes and groups that no import file can carry, of every user in scope who has a row.
async fn late_attributes(
    request: &Request,
    source: &SourceSnapshot,
    newcomers: &Newcomers,
) -> Result<HashMap<PersonKey, LateAttributes>, RestoreError> {
    let mut late: HashMap<PersonKey, LateAttributes> = HashMap::new();
    let mut leftovers = source.leftovers();
    while let Some(leftover) = leftovers.next().await? {
        let key = PersonKey::of(&leftover.username);
        if leftover.has_row() && is_in_scope(request.scope, newcomers.state_of(&key)) {
            let late = late.entry(key).or_default();
            for (attribute, value) in leftover.attributes.iter() {
                late.attributes.insert(attribute, value);
            }
            late.sub = leftover.sub;
            late.groups.extend(leftover.groups);
        }
    }
    Ok(late)
}
