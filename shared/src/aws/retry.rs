//! How long an SDK client waits for an answer, and how often it tries again.

use std::time::Duration;

use aws_sdk_cognitoidentityprovider::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// The longest time for a TCP and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The first and the longest pause between two attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How long a client waits for an answer, and how often it tries again.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Time for one attempt.
    pub attempt_timeout: Duration,
    /// All attempts, the first one included.
    pub max_attempts: u32,
}

impl RetryPolicy {
    /// For a trigger's calls to the other region: a person waits, and a second attempt must fit into the calls' budget.
    pub const TRIGGER: Self = Self {
        attempt_timeout: Duration::from_millis(1500),
        max_attempts: 3,
    };
    /// For the last second of a trigger, when only S3 is left to keep the person: as many attempts as fit.
    pub const OUTBOX_WRITE: Self = Self {
        attempt_timeout: Duration::from_millis(450),
        max_attempts: 10,
    };
    /// For a trigger that calls S3 alone and has all its time for it.
    pub const JOURNAL_WRITE: Self = Self {
        attempt_timeout: Duration::from_millis(1500),
        max_attempts: 20,
    };
    /// For a worker, which has minutes.
    pub const WORKER: Self = Self {
        attempt_timeout: Duration::from_secs(10),
        max_attempts: 3,
    };
    /// For callers that retry themselves, under a rate limit.
    pub const NO_RETRY: Self = Self {
        attempt_timeout: Duration::from_secs(10),
        max_attempts: 1,
    };

    pub(super) fn retry_config(self) -> RetryConfig {
        let (initial, max) = BACKOFF;
        RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(initial)
            .with_max_backoff(max)
    }

    pub(super) fn timeout_config(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.attempt_timeout.min(CONNECT_TIMEOUT))
            .operation_attempt_timeout(self.attempt_timeout)
            .build()
    }
}

/// The SDK's retry budget refills only on success, so that after many failures a process would stop retrying. It is disabled
/// here: each call may be a person's only one, and its deadline limits it.
pub(super) fn unlimited_retry_budget() -> RetryPartition {
    RetryPartition::custom("twinpool")
        .token_bucket(TokenBucket::unlimited())
        .build()
}
