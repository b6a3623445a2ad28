//! The blocking PostConfirmation trigger. Nothing is locked while it runs, and the user is confirmed before.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Inner;
use super::error::{Answer, ApiError};
use super::pool::PoolState;
use super::schema::{EMAIL, EMAIL_VERIFIED, SUB};
use super::settings::Alias;
use super::user::sub_text;
use crate::lambda::InvokeError;

// facts 2: 5 s that nobody can change, and at most three attempts [D].
const LIMIT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 3;

/// Which confirmation it was.
#[derive(Clone, Copy)]
pub(super) enum Source {
    ConfirmSignUp,
    ConfirmForgotPassword,
}

/// A trigger to run once the pool is no longer locked.
pub(super) struct Trigger {
    function: String,
    event: Value,
}

/// The trigger of a user who has just been confirmed, if the pool has one.
pub(super) fn post_confirmation(
    pool: &PoolState,
    region: &str,
    sub: u128,
    source: Source,
    client_id: Option<&str>,
    metadata: Option<&Map<String, Value>>,
) -> Option<Trigger> {
    let function = pool.post_confirmation()?.to_owned();
    let user = pool.users.get(sub)?;
    let own = user.attributes.iter();
    let mut attributes: Map<String, Value> = own
        .map(|(id, value)| (pool.schema.name(id).to_owned(), value.into()))
        .collect();
    attributes.insert(SUB.to_owned(), sub_text(sub).into());
    // facts 2: strings all, with the status, and the email alias in alias pools [I]; only a verified one [Inf].
    attributes.insert(
        "cognito:user_status".to_owned(),
        user.status.as_str().into(),
    );
    if pool.settings.alias_attributes.contains(&Alias::Email)
        && pool.schema.is_true(&user.attributes, EMAIL_VERIFIED)
    {
        let email = pool
            .schema
            .value(&user.attributes, EMAIL)
            .unwrap_or_default();
        attributes.insert("cognito:email_alias".to_owned(), email.into());
    }
    // facts 2: the members [D]; what callerContext says here is [R].
    let mut event = json!({
        "version": "1",
        "region": region,
        "userPoolId": pool.id,
        "userName": user.name(sub),
        "callerContext": {
            "awsSdkVersion": "aws-sdk-unknown-unknown",
            "clientId": client_id.unwrap_or("CLIENT_ID_NOT_APPLICABLE"),
        },
        "triggerSource": match source {
            Source::ConfirmSignUp => "PostConfirmation_ConfirmSignUp",
            Source::ConfirmForgotPassword => "PostConfirmation_ConfirmForgotPassword",
        },
        "request": {"userAttributes": attributes},
        "response": {},
    });
    if let Some(metadata) = metadata {
        event["request"]["clientMetadata"] = metadata.clone().into();
    }
    Some(Trigger { function, event })
}

impl Inner {
    /// Runs the trigger; the operation answers only when it is through.
    pub(super) async fn run(&self, trigger: Option<Trigger>) -> Answer {
        let Some(Trigger { function, event }) = trigger else {
            return Ok(json!({}));
        };
        let payload = Bytes::from(event.to_string());
        for _ in 0..ATTEMPTS {
            let call = self.lambda.invoke(&function, payload.clone());
            if let Ok(reply) = tokio::time::timeout(LIMIT, call).await {
                return judge(&event, reply).map(|()| json!({}));
            }
        }
        // The text for a function that never answers is [R], its exception [Inf].
        Err(unexpected("Socket timeout while invoking Lambda function"))
    }
}

fn unexpected(error: &str) -> ApiError {
    let message = format!("PostConfirmation invocation failed due to error {error}.");
    ApiError::new("UnexpectedLambdaException", message)
}

fn failed(text: &str) -> ApiError {
    let message = format!("PostConfirmation failed with error {text}.");
    ApiError::new("UserLambdaValidationException", message)
}

/// What Cognito makes of the function's answer.
// DG:cognito-user-pools-working-with-lambda-triggers, facts 2 [D, I].
fn judge(event: &Value, reply: Result<Bytes, InvokeError>) -> Result<(), ApiError> {
    let answer = match reply {
        Ok(answer) => answer,
        Err(InvokeError::NotFound) => return Err(unexpected("ResourceNotFoundException")),
        Err(InvokeError::Throttled) => return Err(unexpected("TooManyRequestsException")),
        Err(InvokeError::Function { message, .. }) => return Err(failed(&message)),
        // Lambda's own limit and a crash are errors of the function too.
        Err(error @ (InvokeError::TimedOut(_) | InvokeError::Crashed(_))) => {
            return Err(failed(&error.to_string()));
        }
    };
    let answer: Option<Value> = serde_json::from_slice(&answer).ok();
    // "Return the whole event" [D]; that each of these members must come back is [Inf].
    let echoed = ["version", "triggerSource", "userPoolId", "userName"];
    let same = |answer: Value| {
        echoed
            .iter()
            .all(|member| answer[*member] == event[*member])
    };
    if answer.filter(Value::is_object).is_some_and(same) {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidLambdaResponseException",
        "Unrecognizable lambda output",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({"version": "1", "triggerSource": "PostConfirmation_ConfirmSignUp", "userPoolId": "p", "userName": "u"})
    }

    fn code(reply: Result<Bytes, InvokeError>) -> String {
        judge(&event(), reply).map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn given_the_event_when_it_comes_back_then_it_is_accepted() {
        assert_eq!(code(Ok(event().to_string().into())), "accepted");
    }

    #[test]
    fn given_other_answers_when_judged_then_each_is_refused_in_its_way() {
        let unrecognizable = "InvalidLambdaResponseException: Unrecognizable lambda output";
        for answer in ["", "null", "{}", "\"ok\"", "[1]"] {
            assert_eq!(code(Ok(Bytes::from(answer))), unrecognizable, "{answer}");
        }
        let error = InvokeError::Function {
            error_type: "Error".to_owned(),
            message: "no".to_owned(),
        };
        assert_eq!(
            code(Err(error)),
            "UserLambdaValidationException: PostConfirmation failed with error no."
        );
        assert_eq!(
            code(Err(InvokeError::Throttled)),
            "UnexpectedLambdaException: PostConfirmation invocation failed due to error TooManyRequestsException."
        );
        assert!(
            code(Err(InvokeError::TimedOut(Duration::from_secs(3))))
                .contains("Task timed out after 3.00 seconds")
        );
    }
}
