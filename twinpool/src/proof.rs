//! Proves from outside what the fence lets through: by calls that anybody can make, without credentials, to an app client of the pool.
//!
//! Both calls change nothing and concern nobody: a sign-in with an invalid token, and the confirmation of a sign-up by a name that
//! nobody has. Cognito refuses both, and AWS WAF refuses what it blocks before Cognito sees it, with ForbiddenException (facts N8).

use std::fmt;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::AuthFlowType;
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::id::Id;
use shared::pool_id::PoolId;

use crate::failure::Failure;
use crate::fence::State;

/// How long to retry a call that looks at the app clients.
const ATTEMPT: RetryPolicy = RetryPolicy {
    attempt_timeout: Duration::from_secs(5),
    max_attempts: 1,
};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// So many looks in a row must agree: while a change takes effect, some requests are decided by the rules from before.
const LOOKS_IN_A_ROW: u32 = 3;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Passage {
    /// Cognito answered.
    Through,
    /// AWS WAF blocked it.
    Blocked,
    /// Neither is certain: no answer, or not one of Cognito. Why.
    Unclear(String),
}

/// What Cognito itself answers to the two calls when they get through: the errors of InitiateAuth and ConfirmSignUp (botocore 1.44.5)
/// without the ForbiddenException of AWS WAF, and without ResourceNotFoundException: an app client that does not exist belongs to no pool
/// and no web ACL. TooManyRequestsException is one of them, because "WAF acts before throttling" (facts N8). Any other answer may be of
/// something between here and Cognito, and proves nothing.
const ANSWERS_OF_COGNITO: [&str; 22] = [
    "AliasExistsException",
    "CodeMismatchException",
    "ExpiredCodeException",
    "FeatureUnavailableInTierException",
    "InternalErrorException",
    "InvalidEmailRoleAccessPolicyException",
    "InvalidLambdaResponseException",
    "InvalidParameterException",
    "InvalidSmsRoleAccessPolicyException",
    "InvalidSmsRoleTrustRelationshipException",
    "InvalidUserPoolConfigurationException",
    "LimitExceededException",
    "NotAuthorizedException",
    "OperationNotEnabledException",
    "PasswordResetRequiredException",
    "TooManyFailedAttemptsException",
    "TooManyRequestsException",
    "UnexpectedLambdaException",
    "UnsupportedOperationException",
    "UserLambdaValidationException",
    "UserNotConfirmedException",
    "UserNotFoundException",
];

impl Passage {
    /// What an answer means: nothing but a refusal is expected.
    fn of_code(code: &str) -> Self {
        match code {
            "ForbiddenException" => Self::Blocked,
            code if ANSWERS_OF_COGNITO.contains(&code) => Self::Through,
            other => Self::Unclear(other.to_owned()),
        }
    }

    fn of<T>(result: Result<T, AwsError>) -> Self {
        match result {
            Ok(_) => Self::Through,
            Err(error) => Self::of_code(error.code()),
        }
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through => f.write_str("gets through"),
            Self::Blocked => f.write_str("is blocked"),
            Self::Unclear(why) => write!(f, "is not certain ({why})"),
        }
    }
}

/// What two calls from outside have shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    sign_in: Passage,
    confirm_sign_up: Passage,
}

impl Look {
    /// What is seen when the fence is in a state.
    fn expected(state: State) -> Self {
        let (sign_in, confirm_sign_up) = match state {
            State::Closed => (Passage::Blocked, Passage::Blocked),
            State::NoSignUps => (Passage::Through, Passage::Blocked),
            State::Open => (Passage::Through, Passage::Through),
        };
        Self {
            sign_in,
            confirm_sign_up,
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "from outside, a sign-in {}, and confirming a sign-up {}",
            self.sign_in, self.confirm_sign_up
        )
    }
}

/// A proof that succeeded.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What was seen.
    pub seen: String,
    /// How many calls were made.
    pub calls: u64,
}

/// Looks from outside until the fence does what it should in a state.
///
/// # Errors
///
/// It does not within the time limit, the pool has no app client, or AWS rejected a call or did not answer.
pub async fn prove(
    sdk: &Sdk,
    pool: &PoolId,
    state: State,
    time_limit: Duration,
) -> Result<Proof, Failure> {
    let app_client = first_app_client(sdk, pool).await?;
    // No credentials: these are calls that anybody can make.
    let mut config = sdk.config(pool.region(), ATTEMPT).into_builder();
    config.set_credentials_provider(None);
    let client = Client::new(&config.build());
    let expected = Look::expected(state);
    let until = Instant::now() + time_limit;
    let (mut in_a_row, mut calls) = (0, 0);
    loop {
        let look = look(&client, &app_client).await;
        calls += 2;
        in_a_row = if look == expected { in_a_row + 1 } else { 0 };
        if in_a_row == LOOKS_IN_A_ROW {
            let seen = look.to_string();
            return Ok(Proof { seen, calls });
        }
        if Instant::now() >= until {
            return Err(Failure::Wrong(format!(
                "the fence is set, but the proof failed: {look}, after {} s, at the app client {app_client}; a change takes seconds to \
                 minutes: run the same command again. If it stays so, look at the web ACL of {pool} in the AWS WAF console",
                time_limit.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(client: &Client, app_client: &str) -> Look {
    let nobody = Id::new(jiff::Timestamp::now()).to_string();
    let sign_in = client
        .initiate_auth()
        .client_id(app_client)
        .auth_flow(AuthFlowType::RefreshTokenAuth)
        .auth_parameters("REFRESH_TOKEN", "twinpool-proof")
        .send();
    let confirm = client
        .confirm_sign_up()
        .client_id(app_client)
        .username(format!("twinpool-proof-{nobody}"))
        .confirmation_code("000000")
        .send();
    let (sign_in, confirm) = tokio::join!(sign_in, confirm);
    let sign_in = sign_in.map_err(|error| AwsError::from_sdk("InitiateAuth", app_client, &error));
    let confirm = confirm.map_err(|error| AwsError::from_sdk("ConfirmSignUp", app_client, &error));
    Look {
        sign_in: Passage::of(sign_in),
        confirm_sign_up: Passage::of(confirm),
    }
}

/// An app client of the pool: without one, no public call reaches the pool.
async fn first_app_client(sdk: &Sdk, pool: &PoolId) -> Result<String, Failure> {
    let page = sdk
        .cognito(pool, RetryPolicy::WORKER)
        .list_user_pool_clients()
        .user_pool_id(pool.as_str())
        .max_results(1)
        .send()
        .await
        .map_err(|error| AwsError::from_sdk("ListUserPoolClients", pool, &error))?;
    let mut clients = page.user_pool_clients.unwrap_or_default().into_iter();
    let first = clients.find_map(|client| client.client_id);
    first.ok_or_else(|| {
        Failure::Wrong(format!(
            "the fence is set, but nothing can be proved: {pool} has no app client, so nobody can sign in to it; create one"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_cognito_shows_that_the_call_got_through() {
        for code in [
            "NotAuthorizedException",
            "UserNotFoundException",
            "TooManyRequestsException",
            "UserLambdaValidationException",
        ] {
            assert_eq!(Passage::of_code(code), Passage::Through);
        }
        assert_eq!(Passage::of_code("ForbiddenException"), Passage::Blocked);
    }

    #[test]
    fn no_answer_or_the_answer_of_something_else_proves_nothing() {
        for code in [
            "no connection",
            "ResourceNotFoundException",
            "the call cannot be built",
            "HTTP status 403",
        ] {
            assert!(
                matches!(Passage::of_code(code), Passage::Unclear(_)),
                "{code}"
            );
        }
    }

    #[test]
    fn each_state_looks_different_from_outside() {
        let looks = [State::Closed, State::NoSignUps, State::Open].map(Look::expected);

        assert!(looks[0] != looks[1] && looks[1] != looks[2] && looks[0] != looks[2]);
    }
}
