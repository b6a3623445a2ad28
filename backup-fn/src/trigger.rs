//! The trigger: notes a confirmed person in the journal. Listing the pool here could not fit into five seconds.

use std::time::Instant;

use shared::bucket::{Bucket, Condition, json};
use shared::config::ConfigError;
use shared::event::{Source, TriggerEvent};
use shared::invocation::guarded;
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
        match self.note(prefix, &record, answer_by).await {
            Ok(()) => tracing::info!(sub, "in the journal"),
            Err(reason) => {
                tracing::error!(sub, reason, "lost: not in the journal");
                metrics.count(Metric::Lost);
            }
        }
        metrics
    }

    async fn note(&self, prefix: &str, record: &Record, answer_by: Instant) -> Result<(), String> {
        let bucket = self.bucket.clone().map_err(|error| error.to_string())?;
        let name = record.object_name().ok_or("the event names nobody")?;
        let (key, body) = (format!("{prefix}{name}"), json(record));
        // A record that is there already is as good: a repeated event changes nothing.
        let put = guarded(answer_by, async move {
            bucket.put_if(&key, body, Condition::Absent).await
        });
        match put.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(interrupted) => Err(interrupted.to_string()),
        }
    }
}
