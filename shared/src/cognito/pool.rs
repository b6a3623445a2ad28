//! A user pool: every call to it goes through [`Pool::call_with_retry`], under the pool's rate limit and deadline.

use std::future::Future;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::types::UserPoolType;

use crate::aws::error::{AwsError, Failure};
use crate::aws::rate_limiter::RateLimiter;
use crate::pool_id::PoolId;

/// Attempts of a call that fails for another reason than throttling.
const MAX_ATTEMPTS: u32 = 6;

/// The first and the longest pause between two attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Why a call to a pool did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The call failed, and retrying did not help or cannot help.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The deadline passed.
    #[error("out of time while calling user pool {0}")]
    OutOfTime(PoolId),
    /// The call would have been sent later than its caller's patience ([`Pool::with_patience`]) allows. It may have been sent before, and
    /// failed.
    #[error("user pool {0} had no time for a call within some seconds")]
    TooLate(PoolId),
}

impl PoolError {
    /// Cognito's error code; empty when no call was sent.
    pub fn code(&self) -> &str {
        match self {
            Self::Aws(error) => error.code(),
            Self::OutOfTime(_) | Self::TooLate(_) => "",
        }
    }
}

/// A user pool that is called.
#[derive(Debug)]
pub struct Pool {
    client: Client,
    id: PoolId,
    limits: Option<Limits>,
    updates: Option<RateLimiter>,
}

#[derive(Debug)]
struct Limits {
    calls_per_second: u32,
    limiter: RateLimiter,
    deadline: Instant,
    patience: Option<Duration>,
}

impl Pool {
    /// A pool that is called at most `calls_per_second` times a second until `deadline`. The client must not retry by itself
    /// ([`RetryPolicy::NO_RETRY`](crate::aws::RetryPolicy::NO_RETRY)): retries count against the rate too.
    pub fn rate_limited(
        client: Client,
        id: PoolId,
        calls_per_second: u32,
        deadline: Instant,
    ) -> Self {
        let limits = Limits {
            calls_per_second,
            limiter: RateLimiter::per_second(calls_per_second),
            deadline,
            patience: None,
        };
        Self {
            client,
            id,
            limits: Some(limits),
            updates: None,
        }
    }

    /// The same pool, whose calls are not sent any more after having waited for so long, for their turn or for another attempt: for writes
    /// that rest on what somebody has just seen. They fail with [`PoolError::TooLate`]. It must be limited in rate.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        if let Some(limits) = &mut self.limits {
            limits.patience = Some(patience);
        }
        self
    }

    /// A pool that is called at once. Its client retries by itself, and its caller limits the time.
    pub fn unlimited(client: Client, id: PoolId) -> Self {
        Self {
            client,
            id,
            limits: None,
            updates: None,
        }
    }

    /// The same pool, to which at most so many calls of the quota UserUpdate are sent a second: those that change a user, and
    /// AdminDeleteUser.
    #[must_use]
    pub fn with_updates_per_second(mut self, calls_per_second: u32) -> Self {
        self.updates = Some(RateLimiter::per_second(calls_per_second));
        self
    }

    /// Its id.
    pub fn id(&self) -> &PoolId {
        &self.id
    }

    /// Its client, to build a call for [`Pool::call_with_retry`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many calls a second it allows; none without a limit.
    pub fn calls_per_second(&self) -> Option<u32> {
        self.limits.as_ref().map(|limits| limits.calls_per_second)
    }

    /// DescribeUserPool.
    ///
    /// # Errors
    ///
    /// The call failed, or the deadline passed.
    pub async fn describe(&self) -> Result<UserPoolType, PoolError> {
        let response = self
            .call_with_retry("DescribeUserPool", || {
                self.client
                    .describe_user_pool()
                    .user_pool_id(self.id.as_str())
                    .send()
            })
            .await?;
        Ok(response
            .user_pool
            .ok_or_else(|| AwsError::incomplete_response("DescribeUserPool", &self.id, "a pool"))?)
    }

    /// GetCSVHeader: the columns of an import file, in the pool's order.
    ///
    /// # Errors
    ///
    /// The call failed, or the deadline passed.
    pub async fn csv_header(&self) -> Result<Vec<String>, PoolError> {
        let response = self
            .call_with_retry("GetCSVHeader", || {
                self.client
                    .get_csv_header()
                    .user_pool_id(self.id.as_str())
                    .send()
            })
            .await?;
        Ok(response
            .csv_header
            .ok_or_else(|| AwsError::incomplete_response("GetCSVHeader", &self.id, "a header"))?)
    }

    /// Sends a call, and retries it while that may help: until the deadline when the pool is throttled, a few times otherwise.
    /// Without limits it sends the call once, because the client retries, and only an update waits for its turn.
    ///
    /// # Errors
    ///
    /// The last attempt's error, or the deadline passed.
    pub async fn call_with_retry<T, E, F>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, PoolError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let to_error = |error| AwsError::from_sdk(operation, &self.id, &error);
        let Some(limits) = &self.limits else {
            if let Some(updates) = self.updates.as_ref().filter(|_| is_update(operation)) {
                updates.acquire().await;
            }
            return Ok(call().await.map_err(to_error)?);
        };
        let mut failures = 0;
        let (mut pause, max_pause) = BACKOFF;
        let begun = Instant::now();
        loop {
            if Instant::now() >= limits.deadline {
                return Err(PoolError::OutOfTime(self.id.clone()));
            }
            limits.limiter.acquire().await;
            if limits
                .patience
                .is_some_and(|patience| begun.elapsed() > patience)
            {
                return Err(PoolError::TooLate(self.id.clone()));
            }
            let error = match call().await {
                Ok(response) => return Ok(response),
                Err(error) => to_error(error),
            };
            // LimitExceededException may be a limit other than a rate, which waiting does not lift.
            let is_throttling =
                error.failure() == Failure::Throttled && error.code() != "LimitExceededException";
            if !is_throttling {
                failures += 1;
                if !error.is_transient() || failures == MAX_ATTEMPTS {
                    return Err(error.into());
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(max_pause);
        }
    }
}

/// Whether an operation counts against the quota UserUpdate (DG:quotas).
fn is_update(operation: &str) -> bool {
    matches!(
        operation,
        "AdminAddUserToGroup"
            | "AdminDeleteUser"
            | "AdminDeleteUserAttributes"
            | "AdminDisableUser"
            | "AdminEnableUser"
            | "AdminRemoveUserFromGroup"
            | "AdminUpdateUserAttributes"
            | "AdminUserGlobalSignOut"
    )
}
