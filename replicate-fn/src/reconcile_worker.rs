//! The worker: makes the secondary pool equal to the primary pool, in as many invocations as that takes.

use reconcile::error::ReconcileError;
use reconcile::report::{Latest, Report};
use reconcile::request::{Answer, ReconcileConfig, Request, RunContext, Status};
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::{Metric, Metrics};
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::time::now;

/// Begins a run or goes on with one, and measures.
///
/// # Errors
///
/// Nothing may be written with these pools, or a service did not answer.
pub async fn run(
    config: &ReconcileConfig,
    request: &Request,
    invocation: &Invocation,
    metrics: &mut Metrics,
) -> Result<Answer, ReconcileError> {
    let context = RunContext {
        lease_holder: invocation.id.clone(),
        deadline: Some(invocation.work_deadline),
        // As many as fit into this run are created, so that waiting for an operator costs as little as possible.
        leave_to_fill: false,
        on_progress: &|_| (),
    };
    let answer = reconcile::run(config, request, &context).await;
    // Measured whatever became of this run, so that silence is an alarm too.
    let (latest, report) = match latest(&config.bucket).await {
        Ok(latest) => latest,
        Err(error) => {
            // The run's own error says more.
            answer?;
            return Err(error.into());
        }
    };
    // Only complete runs count: a run that leaves people out must not end the alarm.
    let last_complete = latest.and_then(|latest| latest.last_complete(report.as_ref()));
    if let Some(last_complete) = last_complete {
        let age = now().duration_since(last_complete).as_secs().max(0);
        metrics.set(Metric::ReconcileAge, age as u64);
    }
    let answer = answer?;
    let has_ended = !answer.report.is_empty() && !request.dry_run;
    if let (true, Some(report)) = (has_ended, report) {
        metrics.set(Metric::ReconcileChanges, answer.counts.changes());
        metrics.set(Metric::ReconcileReported, report.newly_reported);
        metrics.set(Metric::MassChange, report.held.values().sum());
    }
    let status = serde_json::to_value(answer.status).unwrap_or_default();
    match answer.status {
        Status::Guarded | Status::FillNeeded | Status::Incomplete => {
            tracing::warn!(%status, report = answer.report, "reconcile: an operator must look");
        }
        _ => tracing::info!(%status, report = answer.report, "reconcile"),
    }
    Ok(answer)
}

/// The latest run and its report.
async fn latest(bucket: &Bucket) -> Result<(Option<Latest>, Option<Report>), JsonError> {
    let Some((latest, _)) = Latest::read(bucket).await? else {
        return Ok((None, None));
    };
    let report = latest.read_report(bucket).await?;
    Ok((Some(latest), report))
}
