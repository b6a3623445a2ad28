//! Brings the person of a confirmation into the secondary pool: for the trigger and for the outbox worker.

use std::time::Duration;

use shared::confirmation::Confirmation;
use shared::lambda::metrics::{Metric, Metrics};

use replication::replica::Replica;
use replication::secondary::{NotReplicated, Replicated, Secondary};

/// Brings people into the secondary pool.
pub struct Replicator {
    /// The secondary pool.
    pub secondary: Secondary,
    /// Time for a trigger's calls.
    pub budget: Duration,
}

impl Replicator {
    /// Brings the person of a confirmation into the secondary pool.
    ///
    /// # Errors
    ///
    /// The person is not in the secondary pool.
    pub async fn replicate(
        &self,
        confirmation: &Confirmation,
    ) -> Result<Replicated, NotReplicated> {
        let replica = Replica::of(confirmation, self.secondary.origin())?;
        self.secondary.replicate(&replica).await
    }
}

/// Logs and counts a person who is in the secondary pool.
pub fn report_replicated(sub: &str, replicated: &Replicated, metrics: &mut Metrics) {
    if !replicated.dropped.is_empty() {
        let attributes = replicated.dropped.join(" ");
        tracing::warn!(
            sub,
            attributes,
            "the secondary pool does not know these attributes, or refused them"
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
