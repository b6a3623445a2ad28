//! The trigger: records a confirmed person in the journal. It does not list the pool, which could not fit into five seconds.

use std::time::Instant;

use shared::confirmation::Confirmation;
use shared::confirmation_store::store_confirmation;
use shared::environment::ConfigError;
use shared::event::{Source, TriggerEvent};
use shared::journal::{PASSWORD_RESETS_PREFIX, SIGN_UPS_PREFIX};
use shared::lambda::metrics::{Metric, Metrics};
use shared::s3::bucket::Bucket;

/// The function as the secondary pool's trigger.
pub struct Trigger {
    /// The bucket of the journal.
    pub bucket: Result<Bucket, ConfigError>,
}

impl Trigger {
    /// Handles a trigger event before a deadline, and returns metrics of what it did. It cannot fail.
    pub async fn handle_event(&self, event: TriggerEvent, answer_deadline: Instant) -> Metrics {
        let mut metrics = Metrics::default();
        let prefix = match &event.source {
            Source::ConfirmSignUp => SIGN_UPS_PREFIX,
            Source::ConfirmForgotPassword => PASSWORD_RESETS_PREFIX,
            Source::Foreign(source) => {
                tracing::warn!(source, "not a post-confirmation event: nothing to do");
                return metrics;
            }
        };
        let confirmation = Confirmation::from_event(&event, jiff::Timestamp::now());
        let sub = confirmation.log_name();
        if event.is_federated() {
            tracing::info!(sub, "a federated person: not recorded in the journal");
            metrics.count(Metric::Skipped);
            return metrics;
        }
        let stored = match &self.bucket {
            Ok(bucket) => store_confirmation(bucket, prefix, &confirmation, answer_deadline)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match stored {
            Ok(()) => tracing::info!(sub, "recorded in the journal"),
            Err(reason) => {
                tracing::error!(sub, reason, "lost: not recorded in the journal");
                metrics.count(Metric::Lost);
            }
        }
        metrics
    }
}
