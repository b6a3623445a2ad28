//! The worker: makes the secondary pool equal to the primary pool, in as many invocations as that takes.

use reconcile::error::ReconcileError;
use reconcile::report::Latest;
use reconcile::request::{Answer, ReconcileConfig, Request, RunContext, Status};
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::{Metric, Metrics};
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
    let latest = match Latest::read(&config.bucket).await {
        Ok(latest) => latest,
        Err(error) => {
            // The run's own error says more.
            answer?;
            return Err(error.into());
        }
    };
    if let Some((latest, _)) = &latest {
        let age = now().duration_since(latest.started_at).as_secs().max(0);
        metrics.set(Metric::ReconcileAge, age as u64);
    }
    let answer = answer?;
    let ended = !answer.report.is_empty() && !request.dry_run;
    if let (true, Some((latest, _))) = (ended, latest) {
        metrics.set(Metric::ReconcileChanges, answer.counts.changes());
        if let Some(report) = latest.read_report(&config.bucket).await? {
            metrics.set(Metric::ReconcileReported, report.newly_reported);
            metrics.set(Metric::MassChange, report.held.values().sum());
        }
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
