//! Metrics in CloudWatch embedded metric format: one line of JSON on standard output for each invocation.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

const NAMESPACE: &str = "twinpool";

/// What is measured. CloudWatch alarms refer to these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// People created in the secondary pool, including those whose incomplete replica was completed.
    Replicated,
    /// People who were in the secondary pool already.
    AlreadyReplicated,
    /// Confirmations put into the outbox.
    Deferred,
    /// Unconfirmed users who were deleted because they held the name of a person to be replicated.
    Reclaimed,
    /// People of another identity provider, who are not replicated.
    Skipped,
    /// Confirmations that could be stored nowhere, and configuration errors of a trigger.
    Lost,
    /// Records that were dropped, because their person is no longer in the primary pool, or is disabled there.
    Gone,
    /// Attributes that were not replicated, because the secondary pool does not know them or refused them.
    DroppedAttributes,
    /// Duration of the calls to the secondary region.
    ReplicationLatency,
    /// Records in the outbox.
    OutboxDepth,
    /// Age of the oldest record in the outbox.
    OutboxOldest,
    /// Records that a tick moved to `conflicts/`.
    Conflicts,
    /// Users listed by the last complete snapshot.
    SnapshotUsers,
    /// Age of the last complete snapshot.
    SnapshotAge,
    /// Users that a snapshot could not put into its import files.
    SnapshotRejected,
    /// 1 if the snapshot lists so few users that it was not made the latest, otherwise 0.
    SnapshotShrunk,
    /// 1 if the pool does not run the trigger after a confirmation, otherwise 0.
    TriggerDetached,
    /// 1 if the primary pool's region does not serve the public keys of the pool, otherwise 0: measured from the secondary region.
    PrimaryUnreachable,
    /// Age of the last complete run of reconcile.
    ReconcileAge,
    /// People and groups that a run of reconcile changed.
    ReconcileChanges,
    /// People whom a run of reconcile reported for the first time.
    ReconcileReported,
    /// Changes that the mass change guard held back.
    MassChange,
}

impl Metric {
    fn unit(self) -> &'static str {
        match self {
            Self::ReplicationLatency => "Milliseconds",
            Self::OutboxOldest | Self::SnapshotAge | Self::ReconcileAge => "Seconds",
            _ => "Count",
        }
    }
}

/// The metrics of one invocation.
#[derive(Debug, Default)]
pub struct Metrics(BTreeMap<Metric, u64>);

impl Metrics {
    /// Adds one to a metric.
    pub fn count(&mut self, metric: Metric) {
        self.add(metric, 1);
    }

    /// Adds `n` to a metric.
    pub fn add(&mut self, metric: Metric, n: u64) {
        *self.0.entry(metric).or_default() += n;
    }

    /// Sets a metric that is measured, not counted.
    pub fn set(&mut self, metric: Metric, value: u64) {
        self.0.insert(metric, value);
    }

    /// Writes the metrics, if there are any, to standard output. Their dimension is `function`, the name of the function.
    pub fn emit(self, function: &str) {
        if !self.0.is_empty() {
            let line = self.to_json(function, Timestamp::now());
            // If standard output is closed, there is nowhere to report that.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn to_json(&self, function: &str, now: Timestamp) -> Value {
        let definitions: Vec<_> = self
            .0
            .keys()
            .map(|metric| json!({"Name": format!("{metric:?}"), "Unit": metric.unit()}))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": definitions}
                ],
            },
            "FunctionName": function,
        });
        for (metric, value) in &self.0 {
            line[format!("{metric:?}")] = (*value).into();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_defines_and_contains_each_metric() {
        let mut metrics = Metrics::default();
        metrics.count(Metric::Lost);
        metrics.count(Metric::Lost);
        metrics.set(Metric::ReplicationLatency, 40);

        let line = metrics.to_json("replicate-fn", Timestamp::UNIX_EPOCH);

        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 0, "CloudWatchMetrics": [{
                    "Namespace": "twinpool", "Dimensions": [["FunctionName"]],
                    "Metrics": [{"Name": "Lost", "Unit": "Count"}, {"Name": "ReplicationLatency", "Unit": "Milliseconds"}],
                }]},
                "FunctionName": "replicate-fn", "Lost": 2, "ReplicationLatency": 40,
            })
        );
    }
}
