//! The trigger: a confirmed person becomes a replica, a record in the outbox, or a counted loss.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::confirmation::Confirmation;
use shared::confirmation_store::store_confirmation;
use shared::environment::ConfigError;
use shared::event::{Source, TriggerEvent};
use shared::lambda::deadline::run_until;
use shared::lambda::metrics::{Metric, Metrics};
use shared::outbox::PENDING_PREFIX;
use shared::s3::bucket::Bucket;

use crate::replicator::{Replicator, report_replicated};
use replication::secondary::Replicated;

/// Time kept of the time to answer, for writing a record to the outbox.
const OUTBOX_WRITE_TIME: Duration = Duration::from_millis(1200);

/// The function as the primary pool's trigger.
pub struct Trigger {
    /// With an error, everybody goes to the outbox.
    pub replicator: Result<Arc<Replicator>, ConfigError>,
    /// Without an outbox, people who cannot be replicated are lost.
    pub outbox: Result<Option<Bucket>, ConfigError>,
}

impl Trigger {
    /// Handles a trigger event before a deadline, and returns metrics of what it did. It cannot fail.
    pub async fn handle_event(&self, event: TriggerEvent, answer_deadline: Instant) -> Metrics {
        let mut metrics = Metrics::default();
        if let Source::Foreign(source) = &event.source {
            tracing::warn!(source, "not a post-confirmation event: nothing to do");
            return metrics;
        }
        let confirmation = Confirmation::from_event(&event, jiff::Timestamp::now());
        let confirmation = Arc::new(confirmation);
        let sub = confirmation.log_name();
        if event.is_federated() {
            tracing::info!(sub, "a federated person: not replicated");
            metrics.count(Metric::Skipped);
            return metrics;
        }
        let replicated = self.replicate(&confirmation, answer_deadline, &mut metrics);
        match replicated.await {
            Ok(replicated) => report_replicated(sub, &replicated, &mut metrics),
            Err(reason) => {
                self.defer(&confirmation, &reason, answer_deadline, &mut metrics)
                    .await;
            }
        }
        metrics
    }

    async fn replicate(
        &self,
        confirmation: &Arc<Confirmation>,
        answer_deadline: Instant,
        metrics: &mut Metrics,
    ) -> Result<Replicated, String> {
        let replicator = match &self.replicator {
            Ok(replicator) => Arc::clone(replicator),
            Err(error) => {
                tracing::error!(%error, "the trigger is not configured: nobody is replicated");
                // The outbox may still keep the person, but operators watch the alarm for losses.
                metrics.count(Metric::Lost);
                return Err(error.to_string());
            }
        };
        let began = Instant::now();
        let deadline = (began + replicator.budget).min(answer_deadline - OUTBOX_WRITE_TIME);
        let confirmation = Arc::clone(confirmation);
        let replicated = run_until(deadline, async move {
            replicator.replicate(&confirmation).await
        });
        let replicated = replicated.await;
        let latency = began.elapsed().as_millis() as u64;
        metrics.set(Metric::ReplicationLatency, latency);
        match replicated {
            Ok(Ok(replicated)) => Ok(replicated),
            Ok(Err(error)) => Err(error.to_string()),
            Err(interrupted) => Err(interrupted.to_string()),
        }
    }

    /// Records the person in the outbox.
    async fn defer(
        &self,
        confirmation: &Confirmation,
        reason: &str,
        answer_deadline: Instant,
        metrics: &mut Metrics,
    ) {
        let sub = confirmation.log_name();
        let stored = match &self.outbox {
            Ok(Some(outbox)) => {
                store_confirmation(outbox, PENDING_PREFIX, confirmation, answer_deadline)
                    .await
                    .map_err(|error| error.to_string())
            }
            Ok(None) => Err("OUTBOX_BUCKET is not set".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match stored {
            Ok(()) => {
                tracing::warn!(sub, reason, "not replicated yet: recorded in the outbox");
                metrics.count(Metric::Deferred);
            }
            Err(outbox) => {
                tracing::error!(
                    sub,
                    reason,
                    outbox,
                    "lost: not replicated, not recorded in the outbox"
                );
                metrics.set(Metric::Lost, 1);
            }
        }
    }
}
