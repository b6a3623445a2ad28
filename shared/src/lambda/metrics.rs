//! Metrics in CloudWatch embedded metric format: one line of JSON on standard output an invocation.
//!
//! Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

const NAMESPACE: &str = "twinpool";

/// What is measured. The names are what alarms are set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// People created, or a half-made replica completed, in the secondary pool.
    Replicated,
    /// People who were there already.
    AlreadyReplicated,
    /// Confirmations put into the outbox.
    Deferred,
    /// Unconfirmed holders of somebody's name who were deleted.
    Reclaimed,
    /// Federated people, who are not replicated.
    Skipped,
    /// Confirmations that are kept nowhere, and configuration errors of a trigger.
    Lost,
    /// Attributes that the secondary pool's schema does not know.
    DroppedAttributes,
    /// Time of the calls to the secondary region.
    ReplicationLatency,
    /// Records in the outbox.
    OutboxDepth,
    /// Age of the oldest record in the outbox.
    OutboxOldest,
    /// Records that a tick has set aside in `conflicts/`.
    Conflicts,
    /// Users listed by the last complete snapshot.
    SnapshotUsers,
    /// Age of the last complete snapshot.
    SnapshotAge,
    /// Users that a snapshot could not put into its import files.
    SnapshotRejected,
    /// Snapshots that list so few users that they were not made the latest: 0 or 1.
    SnapshotShrunk,
}

impl Metric {
    fn unit(self) -> &'static str {
        match self {
            Self::ReplicationLatency => "Milliseconds",
            Self::OutboxOldest | Self::SnapshotAge => "Seconds",
            _ => "Count",
        }
    }
}

/// The metrics of one invocation.
#[derive(Debug, Default)]
pub struct Metrics(BTreeMap<Metric, u64>);

impl Metrics {
    /// Counts one more.
    pub fn count(&mut self, metric: Metric) {
        self.add(metric, 1);
    }

    /// Counts `n` more.
    pub fn add(&mut self, metric: Metric, n: u64) {
        *self.0.entry(metric).or_default() += n;
    }

    /// Sets a value that is measured and not counted.
    pub fn set(&mut self, metric: Metric, value: u64) {
        self.0.insert(metric, value);
    }

    /// Writes them out, if there are any, for the function of this name.
    pub fn emit(self, function: &str) {
        if !self.0.is_empty() {
            let line = self.line(function, Timestamp::now());
            // Without a standard output there is nobody to tell.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn line(&self, function: &str, now: Timestamp) -> Value {
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
    fn a_line_defines_and_holds_each_metric() {
        let mut metrics = Metrics::default();
        metrics.count(Metric::Lost);
        metrics.count(Metric::Lost);
        metrics.set(Metric::ReplicationLatency, 40);

        let line = metrics.line("replicate-fn", Timestamp::UNIX_EPOCH);

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
