//! Whether a pool's region serves the people of the pool: its public key document, `/<pool>/.well-known/jwks.json`.
//!
//! Anybody may read the document, so the question needs no permission and no credentials that could be what fails, and a closed fence
//! lets it through. Every verifier of tokens reads it, so it is part of what must work for people to be signed in; DescribeUserPool, which
//! administers, may work or fail by itself.
//!
//! <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html>

use std::convert::Infallible;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::aws::client::Sdk;
use crate::aws::retry::RetryPolicy;
use crate::pool_id::PoolId;

/// What came of asking a pool for its public keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The region serves the keys.
    Serves,
    /// The region answered with this HTTP status and no keys: it is there, but something is wrong with the pool or with what stands in
    /// front of it. A pool that was deleted is no lost region.
    Refuses(u16),
    /// The region does not serve the keys: why.
    Unreachable(String),
}

/// Asks a pool for its public keys, as often and for as long as the policy says.
///
/// An answer that comes too late is none. An HTTP status of 500 or more is what a region in trouble answers, and 200 without keys comes
/// from something else than Cognito, so neither is taken for a region that serves.
pub async fn ask(sdk: &Sdk, pool: &PoolId, policy: RetryPolicy) -> Reach {
    let mut reach = ask_once(sdk, pool, policy).await;
    for _ in 1..policy.max_attempts {
        if !matches!(reach, Reach::Unreachable(_)) {
            break;
        }
        reach = ask_once(sdk, pool, policy).await;
    }
    reach
}

async fn ask_once(sdk: &Sdk, pool: &PoolId, policy: RetryPolicy) -> Reach {
    let path = format!("/{pool}/.well-known/jwks.json");
    let get = Operation::builder()
        .service_name("cognito-idp")
        .operation_name("jwks.json")
        .behavior_version(BehaviorVersion::latest())
        .http_client(sdk.http_client())
        .endpoint_url(&sdk.cognito_url(pool))
        .no_auth()
        .no_retry()
        .serializer(move |()| Ok(HttpRequest::get(&path)?))
        .deserializer::<_, Infallible>(|response| Ok(judge(response)))
        .build();
    match tokio::time::timeout(policy.attempt_timeout, get.invoke(())).await {
        Ok(Ok(reach)) => reach,
        Ok(Err(SdkError::DispatchFailure(_))) => Reach::Unreachable("no connection".to_owned()),
        Ok(Err(SdkError::TimeoutError(_))) | Err(_) => {
            Reach::Unreachable("no answer in time".to_owned())
        }
        Ok(Err(_)) => Reach::Unreachable("an unreadable answer".to_owned()),
    }
}

/// The document, as far as it tells that it is one.
#[derive(Deserialize)]
struct Keys {
    keys: Vec<IgnoredAny>,
}

fn judge(response: &HttpResponse) -> Reach {
    let body = response.body().bytes().unwrap_or_default();
    match response.status().as_u16() {
        200 => match serde_json::from_slice(body) {
            Ok(Keys { keys }) if !keys.is_empty() => Reach::Serves,
            _ => Reach::Unreachable("an answer without keys".to_owned()),
        },
        status @ 500.. => Reach::Unreachable(format!("HTTP status {status}")),
        status => Reach::Refuses(status),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn judged(status: u16, body: &'static str) -> Reach {
        let status = status.try_into().expect("an HTTP status");
        judge(&HttpResponse::new(status, SdkBody::from(body)))
    }

    #[test]
    fn a_region_serves_only_if_it_answers_with_keys() {
        assert_eq!(judged(200, r#"{"keys":[{"kid":"a"}]}"#), Reach::Serves);
        for body in ["", "{}", r#"{"keys":[]}"#, "<html>sign in</html>"] {
            assert!(matches!(judged(200, body), Reach::Unreachable(_)), "{body}");
        }
    }

    #[test]
    fn a_status_below_500_is_a_region_that_refuses_and_any_other_one_that_is_not_there() {
        for status in [400, 403, 404, 429] {
            assert_eq!(judged(status, ""), Reach::Refuses(status));
        }
        for status in [500, 503] {
            assert!(matches!(judged(status, ""), Reach::Unreachable(_)));
        }
    }
}
