//! The trigger: a confirmed person ends as a replica, as a record in the outbox, or as a counted loss.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::bucket::Bucket;
use shared::config::{ConfigError, CustomAttribute};
use shared::event::{Source, TriggerEvent};
use shared::invocation::guarded;
use shared::metrics::{Metric, Metrics};
use shared::record::{OUTBOX, Record};

use crate::replica::Replica;
use crate::secondary::{NotReplicated, Replicated, Secondary};

/// Kept of the time to answer for putting a record into the outbox.
const FOR_THE_OUTBOX: Duration = Duration::from_millis(1200);

/// Brings people to the secondary pool.
pub struct Replicator {
    /// The secondary pool.
    pub secondary: Secondary,
    /// Where the primary `sub` is kept.
    pub origin_sub: Option<CustomAttribute>,
    /// Time for a trigger's calls.
    pub budget: Duration,
}

impl Replicator {
    /// Brings the person of a record to the secondary pool.
    pub async fn replicate(&self, record: &Record) -> Result<Replicated, NotReplicated> {
        let replica = Replica::of(record, self.origin_sub.as_ref())?;
        self.secondary.replicate(&replica).await
    }
}

/// The function as the primary pool's trigger.
pub struct Trigger {
    /// Without it, everything goes to the outbox.
    pub replicator: Result<Arc<Replicator>, ConfigError>,
    /// Without it, what cannot be replicated is lost.
    pub outbox: Result<Option<Bucket>, ConfigError>,
}

impl Trigger {
    /// Deals with a trigger event by a point in time, and says what it did in metrics. Never fails.
    pub async fn confirmed(&self, event: TriggerEvent, answer_by: Instant) -> Metrics {
        let mut metrics = Metrics::default();
        if let Source::Foreign(source) = &event.source {
            tracing::warn!(source, "not a post-confirmation event: nothing to do");
            return metrics;
        }
        let record = Arc::new(Record::of(&event, jiff::Timestamp::now()));
        let sub = record.log_name();
        if event.is_federated() {
            tracing::info!(sub, "a federated person: not replicated");
            metrics.count(Metric::Skipped);
            return metrics;
        }
        match self.replicate(&record, answer_by, &mut metrics).await {
            Ok(replicated) => report(sub, &replicated, &mut metrics),
            Err(reason) => self.defer(&record, &reason, answer_by, &mut metrics).await,
        }
        metrics
    }

    async fn replicate(
        &self,
        record: &Arc<Record>,
        answer_by: Instant,
        metrics: &mut Metrics,
    ) -> Result<Replicated, String> {
        let replicator = match &self.replicator {
            Ok(replicator) => Arc::clone(replicator),
            Err(error) => {
                tracing::error!(%error, "the trigger is not configured: nobody is replicated");
                // Nothing may be lost yet, but the alarm on losses is the one that is looked at.
                metrics.count(Metric::Lost);
                return Err(error.to_string());
            }
        };
        let begun = Instant::now();
        let until = (begun + replicator.budget).min(answer_by - FOR_THE_OUTBOX);
        let record = Arc::clone(record);
        let replicated = guarded(until, async move { replicator.replicate(&record).await }).await;
        let latency = begun.elapsed().as_millis() as u64;
        metrics.set(Metric::ReplicationLatency, latency);
        match replicated {
            Ok(Ok(replicated)) => Ok(replicated),
            Ok(Err(error)) => Err(error.to_string()),
            Err(interrupted) => Err(interrupted.to_string()),
        }
    }

    async fn defer(
        &self,
        record: &Record,
        reason: &str,
        answer_by: Instant,
        metrics: &mut Metrics,
    ) {
        let sub = record.log_name();
        let kept = match &self.outbox {
            Ok(Some(outbox)) => {
                let kept = record.keep(outbox, OUTBOX, answer_by).await;
                kept.map_err(|error| error.to_string())
            }
            Ok(None) => Err("OUTBOX_BUCKET is not set".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(()) => {
                tracing::warn!(sub, reason, "not replicated yet: in the outbox");
                metrics.count(Metric::Deferred);
            }
            Err(outbox) => {
                tracing::error!(
                    sub,
                    reason,
                    outbox,
                    "lost: not replicated, not in the outbox"
                );
                metrics.set(Metric::Lost, 1);
            }
        }
    }
}

/// Logs and counts a person who is in the secondary pool.
pub fn report(sub: &str, replicated: &Replicated, metrics: &mut Metrics) {
    if !replicated.dropped.is_empty() {
        let attributes = replicated.dropped.join(" ");
        tracing::warn!(
            sub,
            attributes,
            "the secondary pool's schema does not know these attributes"
        );
        metrics.add(Metric::DroppedAttributes, replicated.dropped.len() as u64);
    }
    if replicated.already {
        tracing::info!(sub, "already in the secondary pool");
        metrics.count(Metric::AlreadyReplicated);
    } else {
        tracing::info!(sub, "replicated");
        metrics.count(Metric::Replicated);
    }
}
