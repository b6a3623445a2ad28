//! The trigger: notes a confirmed person in the journal. Listing the pool here could not fit into five seconds.

use std::time::Instant;

use shared::bucket::Bucket;
use shared::config::ConfigError;
use shared::event::{Source, TriggerEvent};
use shared::metrics::{Metric, Metrics};
use shared::record::{PASSWORD_RESETS, Record, SIGN_UPS};

/// The function as the secondary pool's trigger.
pub struct Trigger {
    /// Where the journal is.
    pub bucket: Result<Bucket, ConfigError>,
}

impl Trigger {
    /// Deals with a trigger event by a point in time, and says what it did in metrics. Never fails.
    pub async fn confirmed(&self, event: TriggerEvent, answer_by: Instant) -> Metrics {
        let mut metrics = Metrics::default();
        let prefix = match &event.source {
            Source::ConfirmSignUp => SIGN_UPS,
            Source::ConfirmForgotPassword => PASSWORD_RESETS,
            Source::Foreign(source) => {
                tracing::warn!(source, "not a post-confirmation event: nothing to do");
                return metrics;
            }
        };
        let record = Record::of(&event, jiff::Timestamp::now());
        let sub = record.log_name();
        if event.is_federated() {
            tracing::info!(sub, "a federated person: not in the journal");
            metrics.count(Metric::Skipped);
            return metrics;
        }
        let kept = match &self.bucket {
            Ok(bucket) => {
                let kept = record.keep(bucket, prefix, answer_by).await;
                kept.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(()) => tracing::info!(sub, "in the journal"),
            Err(reason) => {
                tracing::error!(sub, reason, "lost: not in the journal");
                metrics.count(Metric::Lost);
            }
        }
        metrics
    }
}
