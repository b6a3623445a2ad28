//! A run: begins or goes on under the lease, takes its phases in order, and writes the report.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use jiff::{SignedDuration, Timestamp};
use replication::holder::Parked;
use replication::secondary::{Secondary, Settings};
use shared::aws::AwsError;
use shared::cognito::clients::read_clients;
use shared::cognito::pool::{Pool, PoolError};
use shared::id::Id;
use shared::journal;
use shared::s3::bucket::{Bucket, Condition};
use shared::s3::json::{JsonError, to_json};
use shared::s3::lease::{self, Lease, LeaseState, Term};
use shared::snapshot::layout::{FILLS_PREFIX, RESTORE_LEASE_KEY};
use shared::snapshot::lease as snapshot_lease;
use shared::snapshot::scope::Scope;
use shared::time::{is_in_future, now};

use crate::changes::Changes;
use crate::compare::Comparing;
use crate::comparison::Comparison;
use crate::error::ReconcileError;
use crate::groups::Groups;
use crate::guard::{Guard, Kind, Kinds};
use crate::list_pools::{list_both, list_withheld, read_journal};
use crate::mirror::Mirror;
use crate::progress::{Phase, Progress, ReconcileLease};
use crate::report::{
    Accepted, Incomplete, Latest, PoolListed, RECONCILES_PREFIX, Report, Reported, accepted_key,
    report_key,
};
use crate::request::{
    Answer, Counts, FILL_THRESHOLD, ReconcileConfig, Request, RunContext, Status,
};
use crate::settings::{PoolSettings, reasons_not_to_write, warnings};
use crate::write::{Writing, Written};

/// The lease of runs. Dry runs have another, because they move nothing and wait for nobody.
pub const LEASE_KEY: &str = "reconciles/lease.json";
const DRY_RUN_LEASE_KEY: &str = "reconciles/lease-dry-run.json";

/// A killed run keeps the lease no longer than until the next invocation.
const TERM: Term = Term::Renewed {
    validity: SignedDuration::from_mins(3),
    interval: Duration::from_secs(30),
};

/// While the newest journal record was recorded less than this time ago, the secondary pool is in use, and the application comes first.
const QUIET_TIME: SignedDuration = SignedDuration::from_hours(1);

/// The time over which mass changes are counted.
const GUARD_TIME: SignedDuration = SignedDuration::from_hours(24);

/// The longest time that a run is expected to take.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Lookups a second in each pool, of UserRead's 120 (DG:quotas).
const LOOKUPS_PER_SECOND: u32 = 20;

/// A write that has waited for longer is not sent: somebody is looked at again first, who may have changed in the meantime.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Calls a second that read or write the definitions of groups, of the 5 of each operation and pool (DG:quotas).
const DEFINITIONS_PER_SECOND: u32 = 4;

/// Runs reconcile: begins a run, or goes on with one that was cut off.
///
/// # Errors
///
/// Nothing may be written with these pools, or a service did not answer. A later run goes on.
pub async fn run(
    config: &ReconcileConfig,
    request: &Request,
    context: &RunContext<'_>,
) -> Result<Answer, ReconcileError> {
    let bucket = &config.bucket;
    let lease_key = match request.dry_run {
        true => DRY_RUN_LEASE_KEY,
        false => LEASE_KEY,
    };
    let seen = bucket.get_json::<ReconcileLease>(lease_key).await?;
    let (mut lease, etag) = match seen {
        Some((lease, etag)) => (lease, Some(etag)),
        None => (ReconcileLease::default(), None),
    };
    if lease.held_until(now()).is_some() {
        return Ok(answer(Status::Held));
    }
    let unfinished = match &lease.unfinished {
        Some(run) => Progress::read(bucket, run).await?,
        None => None,
    };
    // A run of other pools is not gone on with, and one that does not know what is accepted now is begun anew.
    let unfinished = unfinished.filter(|progress| {
        (&*progress.primary.pool, &*progress.secondary.pool)
            == (config.primary.as_str(), config.secondary.as_str())
            && (request.accept.is_none() || request.accept == progress.accepted)
    });
    if let Some(status) = reason_to_wait(config, request, &lease, unfinished.is_some()).await? {
        return Ok(answer(status));
    }
    let is_new = unfinished.is_none();
    let mut progress = match unfinished {
        Some(progress) => progress,
        None => begin(config, request, &lease).await?,
    };
    lease.unfinished = Some(progress.run.clone());
    if is_new {
        lease.last_start = Some(progress.started_at);
    }
    let taken = Lease::take(
        bucket,
        lease_key,
        etag.as_deref(),
        lease,
        &context.lease_holder,
        TERM,
    );
    let Some(lease) = taken.await? else {
        return Ok(answer(Status::Held));
    };
    let result = tokio::select! {
        result = work(config, &mut progress, context) => result,
        () = lease.keep_renewed() => Err(ReconcileError::TakenOver),
    };
    let is_finished = matches!(&result, Ok(answer) if answer.status != Status::InProgress);
    let compared_groups = is_finished && progress.groups.is_finished() && !progress.is_dry_run;
    let released = lease.release(|state| {
        if is_finished {
            state.unfinished = None;
        }
        if compared_groups {
            state.last_groups = Some(progress.started_at);
        }
    });
    if let Err(error) = released.await {
        tracing::warn!(%error, "the lease stays until it expires");
    }
    result
}

/// Does something else under the lease of runs. None when another process holds it.
///
/// # Errors
///
/// What is done failed, or S3 did.
pub(crate) async fn under_lease<T>(
    bucket: &Bucket,
    lease_holder: &str,
    work: impl Future<Output = Result<T, ReconcileError>>,
) -> Result<Option<T>, ReconcileError> {
    let seen = bucket.get_json::<ReconcileLease>(LEASE_KEY).await?;
    let (state, etag) = match seen {
        Some((state, etag)) => (state, Some(etag)),
        None => (ReconcileLease::default(), None),
    };
    let taken = Lease::take(
        bucket,
        LEASE_KEY,
        etag.as_deref(),
        state,
        lease_holder,
        TERM,
    );
    let Some(lease) = taken.await? else {
        return Ok(None);
    };
    let result = tokio::select! {
        result = work => result,
        () = lease.keep_renewed() => Err(ReconcileError::TakenOver),
    };
    if let Err(error) = lease.release(|_| ()).await {
        tracing::warn!(%error, "the lease stays until it expires");
    }
    result.map(Some)
}

fn answer(status: Status) -> Answer {
    Answer {
        status,
        report: String::new(),
        counts: Counts::default(),
    }
}

/// Why nothing is done now, if that is so.
async fn reason_to_wait(
    config: &ReconcileConfig,
    request: &Request,
    lease: &ReconcileLease,
    is_unfinished: bool,
) -> Result<Option<Status>, ReconcileError> {
    let now = now();
    let is_asked_for = request.now || request.dry_run || request.accept.is_some();
    let last_start = lease.last_start.filter(|start| !is_in_future(*start, now));
    let is_too_soon = last_start.is_some_and(|start| now.duration_since(start) < config.interval);
    // A run that ended before it could store anything is begun again at once.
    let has_ended = lease.unfinished.is_none();
    if !is_asked_for && !is_unfinished && has_ended && is_too_soon {
        return Ok(Some(Status::NotNeeded));
    }
    if !is_asked_for {
        // The journal is asked even then: a journal that does not answer means that nobody can say who has used the secondary pool.
        if journal::is_used_since(&config.bucket, now - QUIET_TIME).await? {
            return Ok(Some(Status::Waiting));
        }
    }
    let (snapshot, _) = snapshot_lease::read(&config.bucket, Scope::Pool).await?;
    // A fill brings people whom a run would create one by one.
    let fills = config.bucket.below(FILLS_PREFIX);
    let (fill, _) = snapshot_lease::read(&fills, Scope::Pool).await?;
    let importing = lease::held_until(&fills, RESTORE_LEASE_KEY, now).await?;
    let held = snapshot
        .held_until(now)
        .or(fill.held_until(now))
        .or(importing);
    Ok(held.map(|_| Status::Waiting))
}

/// Begins a run.
async fn begin(
    config: &ReconcileConfig,
    request: &Request,
    lease: &ReconcileLease,
) -> Result<Progress, ReconcileError> {
    let bucket = &config.bucket;
    let latest = Latest::read(bucket).await?.map(|(latest, _)| latest);
    let report = match &latest {
        Some(latest) => latest.read_report(bucket).await?,
        None => None,
    };
    if let Some(report) = &report {
        check_pools(config, report)?;
    }
    let mut guard = Guard {
        earlier: made_within(bucket, now() - GUARD_TIME).await?,
        ..Guard::default()
    };
    if let Some(run) = &request.accept {
        let accepted = bucket.get_json::<Report>(&report_key(run)).await?;
        let (accepted, _) = accepted.ok_or_else(|| ReconcileError::NoSuchRun(run.to_string()))?;
        check_pools(config, &accepted)?;
        if let Some((by, _)) = bucket.get_json::<Accepted>(&accepted_key(run)).await? {
            return Err(ReconcileError::AcceptedBefore {
                run: run.to_string(),
                by: by.by.to_string(),
            });
        }
        guard.accepted = accepted.held;
        guard.idle = accepted.idle;
        for (kind, made) in &guard.earlier {
            // What was made before was let through without the operator.
            if let Some(accepted) = guard.accepted.get_mut(kind) {
                *accepted += made;
            }
        }
    }
    let started_at = now();
    let run = match latest {
        Some(latest) => Id::new_after(started_at, &latest.reconcile),
        None => Id::new(started_at),
    };
    let (primary, secondary) = (config.primary.as_str(), config.secondary.as_str());
    let mut progress = Progress::start(run, primary, secondary, request.dry_run, guard);
    progress.accepted.clone_from(&request.accept);
    // A run that was not complete may have seen a pool that was still being filled.
    progress.last_pairs = report
        .filter(|report| report.status.is_complete())
        .map(|report| report.pairs);
    let last_groups = lease
        .last_groups
        .filter(|last| !is_in_future(*last, started_at));
    let are_groups_due =
        last_groups.is_none_or(|last| started_at.duration_since(last) >= config.groups_interval);
    // What is accepted of memberships is done at once, whenever they were last compared.
    let accepted_memberships = progress.guard.accepted.get(&Kind::RemoveMembership);
    progress.with_groups = are_groups_due || accepted_memberships.is_some_and(|held| *held > 0);
    Ok(progress)
}

/// A report of other pools than these is of no use, and a run that follows it may be a mistake.
pub(crate) fn check_pools(config: &ReconcileConfig, report: &Report) -> Result<(), ReconcileError> {
    let ours = [config.primary.as_str(), config.secondary.as_str()];
    let theirs = [&report.primary.pool, &report.secondary.pool].map(String::as_str);
    if theirs == ours {
        return Ok(());
    }
    Err(ReconcileError::OtherPools {
        run: report.reconcile.to_string(),
        theirs: theirs.join(" and "),
        ours: ours.join(" and "),
    })
}

/// Changes that runs have made since a time, by kind.
async fn made_within(bucket: &Bucket, since: Timestamp) -> Result<Kinds, ReconcileError> {
    let mut made = Kinds::new();
    // A run may take long, and counts by its end.
    let first = since - LONGEST_RUN;
    let start = format!("{RECONCILES_PREFIX}{}", first.strftime("%Y%m%dT%H%M%SZ"));
    let mut listing = bucket.list_after(format!("{RECONCILES_PREFIX}2"), start);
    // A run that was given up has no report, which would follow its progress.
    let mut without_report: Option<String> = None;
    while let Some(page) = listing.next_page().await? {
        for object in page {
            if let Some(folder) = object.key.strip_suffix("/report.json") {
                if without_report.as_deref() == Some(folder) {
                    without_report = None;
                }
                if let Some((report, _)) = bucket.get_json::<Report>(&object.key).await?
                    && report.status != Status::DryRun
                    && report.finished_at >= since
                {
                    add_kinds(&mut made, report.made);
                }
            }
            if let Some(folder) = object.key.strip_suffix("/progress.json") {
                if let Some(earlier) = without_report.take() {
                    add_kinds(
                        &mut made,
                        changes_of_abandoned_run(bucket, &earlier, since).await?,
                    );
                }
                let is_recent = object.last_modified >= since;
                without_report = is_recent.then(|| folder.to_owned());
            }
        }
    }
    if let Some(last) = without_report {
        add_kinds(
            &mut made,
            changes_of_abandoned_run(bucket, &last, since).await?,
        );
    }
    Ok(made)
}

/// What the run with this folder had made when it was given up.
async fn changes_of_abandoned_run(
    bucket: &Bucket,
    folder: &str,
    since: Timestamp,
) -> Result<Kinds, ReconcileError> {
    match bucket
        .get_json::<Progress>(&format!("{folder}/progress.json"))
        .await
    {
        Ok(Some((progress, _))) if !progress.is_dry_run && progress.stored_at >= since => {
            Ok(progress.guard.made_without_operator())
        }
        Ok(_) => Ok(Kinds::new()),
        Err(error @ JsonError::Malformed { .. }) => {
            tracing::error!(%error, "what this run has changed is not counted");
            Ok(Kinds::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn add_kinds(to: &mut Kinds, made: Kinds) {
    for (kind, changes) in made {
        *to.entry(kind).or_default() += changes;
    }
}

/// The clients of a run.
struct Pools {
    primary: Pool,
    secondary: Pool,
    listed_primary: Pool,
    listed_secondary: Pool,
    definitions: (Pool, Pool),
    written: Secondary,
}

impl Pools {
    fn of(config: &ReconcileConfig, deadline: Instant, comparison: &Comparison) -> Self {
        let pool = |id, rate| config.rate_limited(id, rate, deadline);
        let settings = Settings {
            activate: config.activate,
            origin: comparison.origin().cloned(),
            one_by_one: true,
        };
        Self {
            primary: pool(&config.primary, LOOKUPS_PER_SECOND),
            secondary: pool(&config.secondary, LOOKUPS_PER_SECOND),
            listed_primary: pool(&config.primary, config.lists_per_second),
            listed_secondary: pool(&config.secondary, config.lists_per_second),
            definitions: (
                pool(&config.primary, DEFINITIONS_PER_SECOND),
                pool(&config.secondary, DEFINITIONS_PER_SECOND),
            ),
            written: Secondary::new(
                pool(&config.secondary, config.writes_per_second).with_patience(PATIENCE),
                settings,
            ),
        }
    }
}

/// Under the lease: takes the phases in order.
async fn work(
    config: &ReconcileConfig,
    progress: &mut Progress,
    context: &RunContext<'_>,
) -> Result<Answer, ReconcileError> {
    let deadline = context.last_call_at();
    let PoolsAsSet {
        comparison,
        warnings,
        ..
    } = look_at_pools(config, deadline).await?;
    let pools = Pools::of(config, deadline, &comparison);
    let mut changes = Changes::new(&config.bucket);
    progress.workers += 1;
    progress.worker.clone_from(&context.lease_holder);
    progress.store(&config.bucket).await?;
    let result = take_phases(config, &comparison, &pools, progress, &mut changes, context).await;
    let status = match result {
        Ok(status) => status,
        // What was done so far is kept, and a later run goes on.
        Err(error) => {
            let is_out_of_time = matches!(error, ReconcileError::Pool(PoolError::OutOfTime(_)));
            progress.failures = match is_out_of_time {
                true => 0,
                false => progress.failures + 1,
            };
            changes.close(progress).await?;
            progress.store(&config.bucket).await?;
            match is_out_of_time {
                true => Status::InProgress,
                false => return Err(error),
            }
        }
    };
    progress.failures = 0;
    changes.close(progress).await?;
    if status == Status::InProgress {
        progress.store(&config.bucket).await?;
        return Ok(Answer {
            counts: progress.counts,
            ..answer(status)
        });
    }
    let report = write_report(&config.bucket, progress, status, warnings).await?;
    Ok(Answer {
        status,
        report: report_key(&report.reconcile),
        counts: report.counts,
    })
}

/// Before anything is written: this run does what was accepted, and no other does it again. A run that leaves people to a fill does not,
/// because it ends before it compares groups: the run after the fill does all of it.
async fn accept_now_or_after_fill(
    bucket: &Bucket,
    progress: &mut Progress,
    context: &RunContext<'_>,
) -> Result<(), ReconcileError> {
    if progress.is_dry_run {
        return Ok(());
    }
    if context.leave_to_fill && progress.missing > FILL_THRESHOLD {
        progress.accepted = None;
        progress.guard.accepted.clear();
        progress.guard.idle.clear();
    }
    match &progress.accepted {
        Some(run) => mark_as_accepted_by(bucket, run, &progress.run).await,
        None => Ok(()),
    }
}

/// Notes that this run is the one that does what was accepted, so that no other is.
async fn mark_as_accepted_by(bucket: &Bucket, run: &Id, by: &Id) -> Result<(), ReconcileError> {
    let accepted = Accepted {
        version: 1,
        by: by.clone(),
    };
    let key = accepted_key(run);
    let noted = bucket
        .put_json_if(&key, &accepted, Condition::Absent, |_| false)
        .await?;
    // Nobody else writes it, under the lease.
    noted.map(|_| ()).ok_or(ReconcileError::TakenOver)
}

/// Two pools with which something may be written.
pub(crate) struct PoolsAsSet {
    /// The description of the primary pool.
    pub primary: UserPoolType,
    /// The description of the secondary pool.
    pub secondary: UserPoolType,
    /// How their users are compared.
    pub comparison: Comparison,
    /// What an operator should know of their settings.
    warnings: Vec<String>,
}

/// Reads the settings of both pools, and refuses to write with some of them.
pub(crate) async fn look_at_pools(
    config: &ReconcileConfig,
    deadline: Instant,
) -> Result<PoolsAsSet, ReconcileError> {
    let pool = |id| config.rate_limited(id, LOOKUPS_PER_SECOND, deadline);
    let (primary, secondary) = (pool(&config.primary), pool(&config.secondary));
    let of_primary = primary.describe().await?;
    let of_secondary = secondary.describe().await?;
    let clients_of_primary = read_clients(&primary).await?;
    let clients_of_secondary = read_clients(&secondary).await?;
    let obstacles = reasons_not_to_write(
        PoolSettings {
            pool: &of_primary,
            clients: &clients_of_primary,
            trigger_arn: config.trigger_arn.as_deref(),
        },
        PoolSettings {
            pool: &of_secondary,
            clients: &clients_of_secondary,
            trigger_arn: None,
        },
        config.origin.as_ref(),
    );
    if !obstacles.is_empty() {
        return Err(ReconcileError::Refused(obstacles.join("; ")));
    }
    let origin = config.origin.as_ref();
    let warnings = warnings(&clients_of_primary, &clients_of_secondary, origin);
    Ok(PoolsAsSet {
        comparison: Comparison::of(&of_primary, &of_secondary, origin),
        primary: of_primary,
        secondary: of_secondary,
        warnings,
    })
}

async fn take_phases(
    config: &ReconcileConfig,
    comparison: &Comparison,
    pools: &Pools,
    progress: &mut Progress,
    changes: &mut Changes,
    context: &RunContext<'_>,
) -> Result<Status, ReconcileError> {
    let bucket = &config.bucket;
    let withhold_for = SignedDuration::from_hours(24 * i64::from(config.withhold_days));
    if progress.phase == Phase::Listing {
        list_both(
            (&pools.listed_primary, &pools.listed_secondary),
            comparison,
            bucket,
            progress,
            context.on_progress,
        )
        .await?;
        if !read_journal(comparison, bucket, progress, context).await? {
            return Ok(Status::InProgress);
        }
        list_withheld(bucket, progress).await?;
        progress.phase = Phase::ByIdentity;
        progress.store(bucket).await?;
    }
    let comparing = Comparing {
        comparison,
        bucket,
        delete_before: (progress.started_at - withhold_for).as_second(),
        context,
    };
    for (phase, next) in [
        (Phase::ByIdentity, Phase::ByName),
        (Phase::ByName, Phase::Writing),
    ] {
        if progress.phase == phase {
            if !comparing.join(progress, changes).await? {
                return Ok(Status::InProgress);
            }
            if next == Phase::Writing {
                accept_now_or_after_fill(bucket, progress, context).await?;
            }
            progress.shard = 0;
            progress.phase = next;
            changes.close(progress).await?;
            progress.store(bucket).await?;
        }
    }
    progress.guard.pairs = progress.last_pairs.unwrap_or(progress.pairs);
    let mirror = Mirror {
        comparison,
        primary: &pools.primary,
        lookups: &pools.secondary,
        secondary: &pools.written,
        bucket,
        activate: config.activate,
        withhold_for,
        is_dry_run: progress.is_dry_run,
        guard: Mutex::new(progress.guard.clone()),
        parked: Parked::default(),
        made_way: Mutex::default(),
    };
    let taken = write_phases(pools, &mirror, progress, changes, context).await;
    progress.guard = mirror.guard();
    let written = taken?;
    Ok(match written {
        Written::Partly => Status::InProgress,
        Written::FillNeeded => Status::FillNeeded,
        Written::All if progress.is_dry_run && progress.missing > FILL_THRESHOLD => {
            Status::FillNeeded
        }
        Written::All if progress.failed > 0 => Status::Incomplete,
        Written::All if progress.guard.total_held() > 0 => Status::Guarded,
        Written::All => Status::Complete,
    })
}

/// Looks at the people of the plan, then at groups.
async fn write_phases(
    pools: &Pools,
    mirror: &Mirror<'_>,
    progress: &mut Progress,
    changes: &mut Changes,
    context: &RunContext<'_>,
) -> Result<Written, ReconcileError> {
    let writing = Writing {
        mirror,
        bucket: mirror.bucket,
        context,
    };
    if progress.phase == Phase::Writing {
        match writing.write(progress, changes).await? {
            Written::All => {}
            written => return Ok(written),
        }
        progress.phase = Phase::Groups;
        mirror.save(progress, changes).await?;
    }
    // Without identities, nobody is changed.
    if progress.with_groups && mirror.comparison.origin().is_some() {
        let groups = Groups {
            mirror,
            listed_primary: &pools.listed_primary,
            listed_secondary: &pools.listed_secondary,
            definitions: (&pools.definitions.0, &pools.definitions.1),
            context,
        };
        if !groups.compare(progress, changes).await? {
            return Ok(Written::Partly);
        }
    }
    Ok(Written::All)
}

/// Writes the report, and makes it the latest unless this is a dry run.
async fn write_report(
    bucket: &Bucket,
    progress: &mut Progress,
    status: Status,
    warnings: Vec<String>,
) -> Result<Report, ReconcileError> {
    let latest = Latest::read(bucket).await?;
    let (before, with_groups) = match &latest {
        Some((latest, _)) => (
            latest.read_report(bucket).await?,
            latest.read_report_with_groups(bucket).await?,
        ),
        None => (None, None),
    };
    progress.reported.sort();
    progress.reported.dedup();
    let newly_reported = newly_reported([before.as_ref(), with_groups.as_ref()], progress);
    let listed = |pool: &crate::progress::PoolProgress| PoolListed {
        pool: pool.pool.clone(),
        listed: pool.total_listed(),
    };
    let report = Report {
        version: 1,
        reconcile: progress.run.clone(),
        status: match status {
            _ if progress.is_dry_run => Status::DryRun,
            Status::FillNeeded => Status::Incomplete,
            status => status,
        },
        started_at: progress.started_at,
        finished_at: now(),
        primary: listed(&progress.primary),
        secondary: listed(&progress.secondary),
        counts: progress.counts,
        missing: progress.missing.saturating_sub(progress.brought),
        failed: progress.failed,
        newly_reported,
        pairs: progress.pairs,
        held: progress.guard.held.clone(),
        idle: progress.guard.idle_of_held(),
        made: progress.guard.made_without_operator(),
        warnings,
        reported: progress.reported.clone(),
    };
    bucket
        .put(&report_key(&report.reconcile), to_json(&report))
        .await?;
    if !progress.is_dry_run {
        let with_groups = progress.with_groups && status != Status::FillNeeded;
        publish(bucket, &report, with_groups, latest, before.as_ref()).await?;
    }
    Ok(report)
}

/// People reported whom neither the report before nor that of the last run that compared groups has named, or, where these could not name
/// all, by how many they are more.
fn newly_reported(before: [Option<&Report>; 2], progress: &Progress) -> u64 {
    let before: Vec<_> = before.into_iter().flatten().collect();
    let is_named = |reported: &Reported| {
        let mut before = before.iter();
        before.any(|before| before.reported.binary_search(reported).is_ok())
    };
    let reported = progress.reported.iter();
    let new = reported.filter(|reported| !is_named(reported)).count() as u64;
    let names_all = |report: &&Report| report.counts.reported <= report.reported.len() as u64;
    if before.iter().all(names_all) {
        return new;
    }
    let totals = before.iter().map(|before| before.counts.reported);
    let total_before = totals.max().unwrap_or_default();
    let more = progress.counts.reported.saturating_sub(total_before);
    more.min(new)
}

/// Moves the pointer to this report, and only forward. `with_groups` says whether the run has come to compare groups; `before` is the report
/// that the pointer names until now.
async fn publish(
    bucket: &Bucket,
    report: &Report,
    with_groups: bool,
    seen: Option<(Latest, String)>,
    before: Option<&Report>,
) -> Result<(), ReconcileError> {
    let pointer = Latest {
        version: 1,
        reconcile: report.reconcile.clone(),
        report: report_key(&report.reconcile),
        started_at: report.started_at,
        incomplete: match report.status.is_complete() {
            true => None,
            false => Some(Incomplete {
                last_complete: seen
                    .as_ref()
                    .and_then(|(latest, _)| latest.last_complete(before)),
            }),
        },
        with_groups: seen.as_ref().filter(|_| !with_groups).map(|(latest, _)| {
            let with_groups = latest.with_groups.as_ref();
            with_groups.unwrap_or(&latest.report).clone()
        }),
    };
    if seen
        .as_ref()
        .is_some_and(|(latest, _)| latest.reconcile >= pointer.reconcile)
    {
        return Ok(());
    }
    let condition = Condition::since_read(seen.as_ref().map(|(_, etag)| etag.as_str()));
    let written = bucket
        .put_json_if(crate::report::LATEST_KEY, &pointer, condition, |_| false)
        .await?;
    match written {
        Some(_) => Ok(()),
        None => Err(AwsError::incomplete_response(
            "PutObject",
            bucket.name(),
            "an unchanged latest.json",
        )
        .into()),
    }
}
