//! Whether a pool still runs the function that it should run after a confirmation.
//!
//! Nothing tells twinpool that its trigger was detached: another tool that calls UpdateUserPool without it resets it, because the call
//! resets every setting that it leaves out (facts 7). From then on, nobody is replicated or recorded, and nothing fails.

use std::time::Duration;

use aws_sdk_cognitoidentityprovider::Client;

use crate::aws::error::AwsError;
use crate::pool_id::PoolId;

/// The longest time that a tick waits for the answer.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Whether twinpool's trigger is detached from a pool that runs `post_confirmation`: the pool runs no function after a confirmation, or
/// another one than `expected`, where that is known. A version or an alias of the expected function is that function.
pub fn is_detached(post_confirmation: Option<&str>, expected: Option<&str>) -> bool {
    let Some(function) = post_confirmation.filter(|function| !function.is_empty()) else {
        return true;
    };
    expected.is_some_and(|expected| {
        let rest = function.strip_prefix(expected);
        !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

/// Asks a pool whether the trigger is detached. `None` when the pool does not say: that is logged, and must not stop the caller.
pub async fn is_trigger_detached(
    client: &Client,
    pool: &PoolId,
    expected: Option<&str>,
) -> Option<bool> {
    let describe = client.describe_user_pool().user_pool_id(pool.as_str());
    let answer = tokio::time::timeout(TIME_LIMIT, describe.send()).await;
    let described = match answer {
        Ok(Ok(answer)) => answer.user_pool,
        Ok(Err(error)) => {
            let error = AwsError::from_sdk("DescribeUserPool", pool, &error);
            tracing::warn!(%error, "cannot see whether the pool still runs the trigger");
            return None;
        }
        Err(_) => {
            tracing::warn!(%pool, "no answer in time: cannot see whether the pool still runs the trigger");
            return None;
        }
    };
    let described = described?;
    let function = described
        .lambda_config()
        .and_then(|triggers| triggers.post_confirmation());
    let detached = is_detached(function, expected);
    if detached {
        tracing::error!(
            %pool, function, expected,
            "the pool does not run the trigger after a confirmation: attach it again, and find out who detached it"
        );
    }
    Some(detached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_without_the_function_or_with_another_one_is_detached() {
        let ours = "arn:aws:lambda:ap-northeast-1:123456789012:function:trigger";
        let version = format!("{ours}:live");
        let namesake = format!("{ours}-2");

        for (runs, expected, detached) in [
            (None, None, true),
            (Some(""), None, true),
            (None, Some(ours), true),
            (Some(ours), None, false),
            (Some(ours), Some(ours), false),
            (Some(version.as_str()), Some(ours), false),
            (Some(namesake.as_str()), Some(ours), true),
            (Some(ours), Some(namesake.as_str()), true),
        ] {
            assert_eq!(
                is_detached(runs, expected),
                detached,
                "{runs:?}, {expected:?}"
            );
        }
    }
}
