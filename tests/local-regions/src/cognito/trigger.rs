//! The triggers, for which Cognito waits, and the PostConfirmation trigger. The user is confirmed before that one runs, and the pool
//! is not locked while a trigger runs.

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::cognito::{
    CognitoEventUserPoolsCallerContext, CognitoEventUserPoolsHeader,
    CognitoEventUserPoolsPostConfirmation, CognitoEventUserPoolsPostConfirmationRequest,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Inner;
use super::error::{Answer, ApiError};
use super::pool::PoolState;
use super::schema::{EMAIL, EMAIL_VERIFIED, SUB};
use super::settings::Alias;
use super::token_trigger::unrecognizable;
use super::user::sub_text;
use crate::lambda::InvokeError;

/// Which confirmation it was.
pub(super) use aws_lambda_events::cognito::CognitoEventUserPoolsPostConfirmationTriggerSource as Source;

// facts 2: a time limit of 5 s that cannot be changed, and at most three attempts [D].
const TRIGGER_TIME_LIMIT: Duration = Duration::from_secs(5);
const TRIGGER_ATTEMPTS: usize = 3;

/// A trigger that is to be run once the pool is no longer locked.
pub(super) struct Trigger {
    /// The name in LambdaConfig.
    name: &'static str,
    function: String,
    event: Value,
}

impl Trigger {
    pub(super) fn new(name: &'static str, function: String, event: Value) -> Self {
        Self {
            name,
            function,
            event,
        }
    }
}

/// The trigger for a user who has just been confirmed, if the pool has one.
pub(super) fn post_confirmation(
    pool: &PoolState,
    region: &str,
    sub: u128,
    source: Source,
    client_id: Option<&str>,
    metadata: Option<&Map<String, Value>>,
) -> Option<Trigger> {
    let function = pool.post_confirmation()?.to_owned();
    let source = match source {
        Source::ConfirmForgotPassword => "PostConfirmation_ConfirmForgotPassword",
        _ => "PostConfirmation_ConfirmSignUp",
    };
    let mut event = event_of(pool, region, sub, source, client_id)?;
    // A real event has the member only if the caller sent it (facts 2).
    if let Some(metadata) = metadata {
        event["request"]["clientMetadata"] = metadata.clone().into();
    }
    Some(Trigger::new("PostConfirmation", function, event))
}

/// The members that the events of all triggers have: the header and the user's attributes.
pub(super) fn event_of(
    pool: &PoolState,
    region: &str,
    sub: u128,
    source: &str,
    client_id: Option<&str>,
) -> Option<Value> {
    let user = pool.users.get(sub)?;
    let mut attributes: HashMap<String, String> = user
        .attributes
        .iter()
        .map(|(id, value)| (pool.schema.name(id).to_owned(), value.to_owned()))
        .collect();
    attributes.insert(SUB.to_owned(), sub_text(sub));
    // facts 2: all attributes are strings, with the status, and with the email alias in alias pools [I]; that only a verified
    // address is an alias here is [Inf].
    attributes.insert(
        "cognito:user_status".to_owned(),
        user.status.as_str().to_owned(),
    );
    if pool.settings.alias_attributes.contains(&Alias::Email)
        && pool.schema.is_true(&user.attributes, EMAIL_VERIFIED)
    {
        let email = pool
            .schema
            .value(&user.attributes, EMAIL)
            .unwrap_or_default();
        attributes.insert("cognito:email_alias".to_owned(), email.to_owned());
    }
    // facts 2: the members [D]; the values of callerContext are [R].
    let mut caller = CognitoEventUserPoolsCallerContext::default();
    caller.awssdk_version = Some("aws-sdk-unknown-unknown".to_owned());
    caller.client_id = Some(client_id.unwrap_or("CLIENT_ID_NOT_APPLICABLE").to_owned());
    let mut header = CognitoEventUserPoolsHeader::default();
    header.version = Some("1".to_owned());
    header.region = Some(region.to_owned());
    header.user_pool_id = Some(pool.id.clone());
    header.user_name = Some(user.name(sub));
    header.caller_context = caller;
    let mut request = CognitoEventUserPoolsPostConfirmationRequest::default();
    request.user_attributes = attributes;
    let mut event: CognitoEventUserPoolsPostConfirmation = Default::default();
    event.cognito_event_user_pools_header = header;
    event.request = request;
    Some(serialise(&event, source))
}

/// The event as it is sent.
fn serialise(event: &CognitoEventUserPoolsPostConfirmation, source: &str) -> Value {
    let mut event = serde_json::to_value(event).expect("an event is JSON");
    event["triggerSource"] = source.into();
    // The crate always writes clientMetadata, empty where the caller sent none.
    let request = event["request"].as_object_mut().expect("it is a structure");
    request.remove("clientMetadata");
    event
}

impl Inner {
    /// Runs a trigger whose response is of no interest; the operation returns only when it has ended.
    pub(super) async fn run(&self, trigger: Option<Trigger>) -> Answer {
        if let Some(trigger) = trigger {
            self.invoke(trigger).await?;
        }
        Ok(json!({}))
    }

    /// Runs a trigger, and returns the event as the function has changed it.
    pub(super) async fn invoke(&self, trigger: Trigger) -> Answer {
        let Trigger {
            name,
            function,
            event,
        } = trigger;
        let payload = Bytes::from(event.to_string());
        for _ in 0..TRIGGER_ATTEMPTS {
            let call = self.lambda.invoke(&function, payload.clone());
            if let Ok(reply) = tokio::time::timeout(TRIGGER_TIME_LIMIT, call).await {
                return check_response(name, &event, reply);
            }
        }
        // The text for a function that never answers is [R], its exception [Inf].
        Err(unexpected(
            name,
            "Socket timeout while invoking Lambda function",
        ))
    }
}

fn unexpected(trigger: &str, error: &str) -> ApiError {
    let message = format!("{trigger} invocation failed due to error {error}.");
    ApiError::new("UnexpectedLambdaException", message)
}

fn failed(trigger: &str, text: &str) -> ApiError {
    let message = format!("{trigger} failed with error {text}.");
    ApiError::new("UserLambdaValidationException", message)
}

/// Checks the function's response, and returns it.
// DG:cognito-user-pools-working-with-lambda-triggers, facts 2 [D, I].
fn check_response(trigger: &str, event: &Value, reply: Result<Bytes, InvokeError>) -> Answer {
    let answer = match reply {
        Ok(answer) => answer,
        Err(InvokeError::NotFound) => return Err(unexpected(trigger, "ResourceNotFoundException")),
        Err(InvokeError::Throttled) => return Err(unexpected(trigger, "TooManyRequestsException")),
        Err(InvokeError::Function { message, .. }) => return Err(failed(trigger, &message)),
        // A timeout of the function itself and a crash are errors of the function as well.
        Err(error @ (InvokeError::TimedOut(_) | InvokeError::Crashed(_))) => {
            return Err(failed(trigger, &error.to_string()));
        }
    };
    let answer: Option<Value> = serde_json::from_slice(&answer).ok();
    // "Return the whole event" [D]; that each of these members must come back is [Inf].
    let echoed = ["version", "triggerSource", "userPoolId", "userName"];
    let same = |answer: &Value| {
        let mut echoed = echoed.iter();
        answer.is_object() && echoed.all(|member| answer[*member] == event[*member])
    };
    answer.filter(same).ok_or_else(unrecognizable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({"version": "1", "triggerSource": "PostConfirmation_ConfirmSignUp", "userPoolId": "p", "userName": "u"})
    }

    fn code(reply: Result<Bytes, InvokeError>) -> String {
        check_response("PostConfirmation", &event(), reply)
            .map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    }

    #[test]
    fn given_a_user_when_the_event_is_built_then_it_has_the_members_of_a_real_one() {
        let mut event = CognitoEventUserPoolsPostConfirmation::default();
        event.cognito_event_user_pools_header.version = Some("1".to_owned());

        let event = serialise(&event, "PostConfirmation_ConfirmForgotPassword");

        assert_eq!(event["version"], "1");
        assert_eq!(
            event["triggerSource"],
            "PostConfirmation_ConfirmForgotPassword"
        );
        assert_eq!(event["request"], json!({"userAttributes": {}}));
        assert_eq!(event["response"], json!({}));
    }

    #[test]
    fn given_the_event_when_it_comes_back_then_it_is_accepted() {
        assert_eq!(code(Ok(event().to_string().into())), "accepted");
    }

    #[test]
    fn given_other_responses_when_checked_then_each_is_the_error_that_cognito_returns() {
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
