//! One run of a restore, phase by phase.
//!
//! [`restore`] is the entry point, and `run_phases` shows the phases in order. Each is a module of its own, whose result is an input of
//! the later ones:
//!
//! 1. `prepare`: everything that is known before the target pool is looked at
//! 2. `target`, `lookups`: the users of the target pool, from a listing or from lookups
//! 3. `decide`, `source_looks`, `plan`: what to do about each user of the snapshot, and the import files
//! 4. `jobs`, `results`: the import jobs, and what became of each row
//! 5. `late_writes`: what no import file can carry
//! 6. `classify`, `report`: what became of each user of the snapshot
//! 7. `archive`: the sign-up records of restored users
//!
//! [`config`] holds the types of the entry point.

pub mod config;

mod archive;
mod classify;
mod decide;
mod jobs;
mod late_writes;
mod lookups;
mod plan;
mod prepare;
mod report;
mod results;
mod rounds;
mod source_looks;
mod target;

pub use self::config::{Fill, NotARole, RestoreConfig, RoleArn, RunContext, Step};

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::json;

use self::archive::archive_records;
use self::decide::Situation;
use self::jobs::JobRunner;
use self::late_writes::{LateWrites, expected_late_writes, write_late};
use self::plan::{estimate_seconds, write_import_files};
use self::prepare::{Prepared, TooOld};
use self::report::write_report;
use self::results::{JobResults, read_job_results};
use self::rounds::Rounds;
use self::source_looks::{SourceLooks, look_at_newcomers};
use self::target::{look_up_imported_users, read_target_pool, too_large};
use crate::error::RestoreError;
use crate::files::report_key;
use crate::lease::{self, RestoreLease, RestoreState, take_lease};
use crate::request::{Counts, Request, Response, Status};
use crate::target_pool::TargetPool;
use shared::cognito::pool::PoolError;
use shared::cognito::users;
use shared::id::Id;
use shared::time::to_milliseconds;

/// How long the release of the lease may take.
const LEASE_RELEASE_TIME_LIMIT: Duration = Duration::from_secs(1);

/// Restores users, or in a dry run reports what would be done.
///
/// # Errors
///
/// The run failed. Nothing is lost: the same request, sent again, resumes the restore.
pub fn restore<'a>(
    config: &'a RestoreConfig,
    request: &'a Request,
    run: &'a RunContext<'a>,
) -> LocalBoxFuture<'a, Result<Response, RestoreError>> {
    let response = async move {
        if request.dry_run {
            let started_at = to_milliseconds(Timestamp::now());
            let dry_run = async |too_old| dry_run(config, request, run, started_at, too_old).await;
            renew_if_outdated(dry_run).await
        } else {
            restore_under_lease(config, request, run).await
        }
    };
    // Boxed, because the compiler limits how deeply futures may be nested.
    response.boxed_local()
}

/// Runs all phases. If they find that the snapshot is outdated, runs them once more, with a new one.
async fn renew_if_outdated(
    run_phases: impl AsyncFn(TooOld) -> Result<Response, RestoreError>,
) -> Result<Response, RestoreError> {
    match run_phases(TooOld::LongBeforeStart).await {
        Err(RestoreError::Outdated(_)) => run_phases(TooOld::BeforeStart).await,
        response => response,
    }
}

/// A real run: takes the lease, runs all phases until the deadline, and releases the lease.
async fn restore_under_lease(
    config: &RestoreConfig,
    request: &Request,
    run: &RunContext<'_>,
) -> Result<Response, RestoreError> {
    let (bucket, pool) = (&config.bucket, &config.pool);
    let lease = take_lease(bucket, pool, request, &run.lease_holder, run.deadline).await?;
    let phases = async {
        let phases = renew_if_outdated(async |too_old| {
            prepare_and_run_phases(config, request, run, &lease, too_old).await
        });
        tokio::select! {
            response = phases => response,
            () = lease.keep_renewed() => Err(RestoreError::TakenOver),
        }
    };
    match tokio::time::timeout_at(run.deadline.into(), phases).await {
        Ok(Ok(response)) => {
            lease::release_lease(&lease, response.status).await?;
            Ok(response)
        }
        Ok(Err(error)) if !error.is_out_of_time() => {
            release_lease_for_next_run(&lease).await;
            Err(error)
        }
        Ok(Err(_)) | Err(_) => {
            let response = in_progress(&lease.state().await);
            release_lease_for_next_run(&lease).await;
            Ok(response)
        }
    }
}

/// Boxed, so that the lease and the deadline around it need not have the stack for it.
fn prepare_and_run_phases<'a>(
    config: &'a RestoreConfig,
    request: &'a Request,
    run: &'a RunContext<'a>,
    lease: &'a RestoreLease,
    too_old: TooOld,
) -> LocalBoxFuture<'a, Result<Response, RestoreError>> {
    let response = async move {
        let started_at = lease.state().await.started_at;
        let prepared = Prepared::load(config, request, run, started_at, too_old).await?;
        run_phases(&prepared, lease).await
    };
    response.boxed_local()
}

/// The phases of a real run, in order.
async fn run_phases(
    prepared: &Prepared<'_>,
    lease: &RestoreLease,
) -> Result<Response, RestoreError> {
    let RestoreState {
        restore,
        started_at,
        ..
    } = lease.state().await;
    let jobs = JobRunner::new(prepared, lease);
    let has_waited = jobs.wait_for_earlier_jobs().await?;
    let has_run_to_itself = !has_waited && !prepared.has_renewed;
    let mut results = JobResults::default();
    for job in lease.state().await.jobs {
        read_job_results(prepared, &jobs.client(), &job, &mut results).await?;
    }
    let earlier_jobs = lease.state().await.jobs.len();
    let (target, looks) =
        import_until_done(prepared, lease, &jobs, &mut results, has_run_to_itself).await?;
    let has_imported = lease.state().await.jobs.len() > earlier_jobs;
    let situation = Situation {
        prepared,
        target: &target,
        results: &results,
        looks: &looks,
    };
    let mut late_writes = LateWrites::default();
    if let Err(error) = write_late(situation, &mut late_writes).await {
        // Groups are written anew by each run, so another run would come no further than this one.
        let comes_no_further =
            has_run_to_itself && !has_imported && late_writes.are_repeated_by_the_next_run();
        return Err(match error {
            RestoreError::Pool(PoolError::OutOfTime(pool)) if comes_no_further => {
                RestoreError::TooManyGroups(pool)
            }
            error => error,
        });
    }
    let more = json!({ "jobs": lease.state().await.jobs });
    let report = write_report(situation, &late_writes, &restore, started_at).await?;
    let archived = archive_records(prepared, &report.records_to_archive).await?;
    report.finish(archived, more).await
}

/// Looks at the target pool, plans and imports, round by round, until there is nothing left to import or no progress. Returns what the
/// last look has found, and what the snapshot's pool has said of the newcomers.
async fn import_until_done(
    prepared: &Prepared<'_>,
    lease: &RestoreLease,
    jobs: &JobRunner<'_>,
    results: &mut JobResults,
    mut has_run_to_itself: bool,
) -> Result<(TargetPool, SourceLooks), RestoreError> {
    let mut rounds = Rounds::new();
    let mut looks = SourceLooks::default();
    loop {
        let RestoreState {
            restore,
            jobs: earlier,
            ..
        } = lease.state().await;
        let begun = Instant::now();
        let mut target = read_target_pool(prepared, results, &earlier, has_run_to_itself).await?;
        look_up_imported_users(prepared, &mut target, results).await?;
        let later = look_at_newcomers(Situation {
            prepared,
            target: &target,
            results,
            looks: &looks,
        });
        let later = later.await;
        looks.extend(later.map_err(|error| too_large(error, begun, has_run_to_itself))?);
        has_run_to_itself = false;
        let situation = Situation {
            prepared,
            target: &target,
            results,
            looks: &looks,
        };
        let plan = write_import_files(situation, &restore, earlier.len() + 1).await?;
        for sub in &plan.reclaim {
            users::delete_unconfirmed(&prepared.target_writes, sub).await?;
        }
        if rounds.is_over(plan.rows) {
            return Ok((target, looks));
        }
        for file in &plan.files {
            let job = jobs.import(&restore, file).await?;
            read_job_results(prepared, &jobs.client(), &job, results).await?;
        }
    }
}

/// The phases of a dry run: changes nothing in the pool or the journal, and writes the import file that would be uploaded.
async fn dry_run(
    config: &RestoreConfig,
    request: &Request,
    run: &RunContext<'_>,
    started_at: Timestamp,
    too_old: TooOld,
) -> Result<Response, RestoreError> {
    let prepared = Prepared::load(config, request, run, started_at, too_old).await?;
    let restore = Id::new(started_at);
    let (nothing, is_alone) = (JobResults::default(), !prepared.has_renewed);
    let target = read_target_pool(&prepared, &nothing, &[], is_alone).await?;
    let nobody = SourceLooks::default();
    let looks = look_at_newcomers(Situation {
        prepared: &prepared,
        target: &target,
        results: &nothing,
        looks: &nobody,
    });
    let looks = looks.await?;
    let situation = Situation {
        prepared: &prepared,
        target: &target,
        results: &nothing,
        looks: &looks,
    };
    let plan = write_import_files(situation, &restore, 1).await?;
    let late_writes = expected_late_writes(situation).await?;
    let more = json!({ "estimated_seconds": estimate_seconds(&prepared, &target, plan.rows) });
    let report = write_report(situation, &late_writes, &restore, started_at).await?;
    let would_be_archived = report.records_to_archive.len() as u64;
    report.finish(would_be_archived, more).await
}

/// Releases the lease, so that the next run resumes the restore at once. If that fails, the lease expires in half a minute.
async fn release_lease_for_next_run(lease: &RestoreLease) {
    let released = lease::release_lease(lease, Status::InProgress);
    let released = tokio::time::timeout(LEASE_RELEASE_TIME_LIMIT, released).await;
    if !matches!(released, Ok(Ok(()))) {
        tracing::warn!("the lease could not be released: the next run waits until it expires");
    }
}

/// The response of a run that has reached its deadline.
fn in_progress(state: &RestoreState) -> Response {
    let ended = state.jobs.iter().filter_map(|job| job.ended.as_ref());
    Response {
        status: Status::InProgress,
        report: report_key(&state.restore),
        counts: Counts {
            imported: ended.map(|ended| ended.imported).sum(),
            ..Counts::default()
        },
    }
}
