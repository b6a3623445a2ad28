//! A Cognito trigger event, read without strict validation.
//!
//! "Events … might change with new features … stricter input validation can cause your functions to fail"
//! (DG:cognito-user-pools-working-with-lambda-triggers), so only the members that twinpool needs are read, whatever else is
//! present or missing. The event is returned to Cognito unchanged, byte by byte.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::person::Attributes;

/// The trigger source: why Cognito called the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A person confirmed their sign-up, or an administrator confirmed it for them.
    ConfirmSignUp,
    /// A person set a new password through "forgot password".
    ConfirmForgotPassword,
    /// A trigger that twinpool does not handle. The name is empty if it may not be logged.
    Foreign(String),
}

impl Source {
    /// The name that Cognito uses.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ConfirmSignUp => "PostConfirmation_ConfirmSignUp",
            Self::ConfirmForgotPassword => "PostConfirmation_ConfirmForgotPassword",
            Self::Foreign(name) => name,
        }
    }
}

/// The part of a trigger event that twinpool needs.
#[derive(Clone)]
pub struct TriggerEvent {
    /// Why the event was sent.
    pub source: Source,
    /// The pool that the event comes from.
    pub pool: Option<String>,
    /// `userName`: a UUID in pools whose people sign in with an email address or a phone number.
    pub username: Option<String>,
    /// `request.userAttributes`; empty if the event has none.
    pub attributes: Attributes,
}

impl TriggerEvent {
    /// Reads a payload. Returns `None` if it is not a JSON object with `triggerSource`.
    pub fn read(payload: &RawValue) -> Option<Self> {
        let event = object(payload)?;
        let source = match text(event.get("triggerSource")?) {
            Some(name) if name == Source::ConfirmSignUp.as_str() => Source::ConfirmSignUp,
            Some(name) if name == Source::ConfirmForgotPassword.as_str() => {
                Source::ConfirmForgotPassword
            }
            Some(name) if is_word(&name) => Source::Foreign(name),
            _ => Source::Foreign(String::new()),
        };
        let attributes = event
            .get("request")
            .and_then(|request| object(request)?.get("userAttributes").copied())
            .and_then(object)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name, text(value)?)))
            .collect();
        let field = |name| {
            event
                .get(name)
                .and_then(|value| text(value))
                .filter(|value| !value.is_empty())
        };
        Some(Self {
            source,
            pool: field("userPoolId"),
            username: field("userName"),
            attributes,
        })
    }

    /// Whether the person comes from another identity provider. Such a person is created in the other region by signing in
    /// there through that provider. The status alone decides: somebody who signed up here and was linked to a provider later has
    /// `identities` too, but stays CONFIRMED and has a password (facts N11: amplify-js#7300, #11565).
    pub fn is_federated(&self) -> bool {
        self.attributes.get("cognito:user_status") == Some("EXTERNAL_PROVIDER")
    }
}

/// Whether a text may be logged as a name: it is short and has only letters, digits, `_` and `-`.
pub(crate) fn is_word(text: &str) -> bool {
    text.len() <= 100
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Parses one level of a JSON object. Nested values are not parsed, so that they cannot cause an error.
fn object(json: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json.get()).ok()
}

/// The text of a string, the JSON of any other value, and `None` for null.
/// DG:user-pool-lambda-post-confirmation: the console's test event has `"email_verified": true`, real events have strings.
fn text(json: &RawValue) -> Option<String> {
    match json.get() {
        "null" => None,
        string if string.starts_with('"') => serde_json::from_str(string).ok(),
        other => Some(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<TriggerEvent> {
        TriggerEvent::read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn only_an_object_with_a_trigger_source_is_an_event() {
        for payload in [
            "null",
            "[]",
            "7",
            r#""triggerSource""#,
            r#"{"action":"tick"}"#,
        ] {
            assert!(read(payload).is_none(), "{payload}");
        }
        for payload in [
            r#"{"triggerSource":null}"#,
            r#"{"triggerSource":7,"request":[]}"#,
            r#"{"triggerSource":"PreSignUp_SignUp","request":null}"#,
        ] {
            let event = read(payload).unwrap();
            assert!(matches!(event.source, Source::Foreign(_)), "{payload}");
        }
    }

    #[test]
    fn attribute_values_of_any_type_are_read_as_text() {
        let event = read(
            r#"{"triggerSource":"PostConfirmation_ConfirmSignUp","userName":"u","request":{"userAttributes":
                {"email_verified":true,"updated_at":1700000000,"nickname":null,"name":"\u592a\u90ce"}}}"#,
        )
        .unwrap();

        assert_eq!(event.source, Source::ConfirmSignUp);
        assert!(event.attributes.is_true("email_verified"));
        assert_eq!(event.attributes.get("updated_at"), Some("1700000000"));
        assert_eq!(event.attributes.get("nickname"), None);
        assert_eq!(event.attributes.get("name"), Some("太郎"));
    }

    #[test]
    fn a_person_of_another_identity_provider_is_recognised_by_the_status_alone() {
        let federated = |attributes: &str| {
            let event = format!(
                r#"{{"triggerSource":"PostConfirmation_ConfirmSignUp","request":{{"userAttributes":{attributes}}}}}"#
            );
            read(&event).unwrap().is_federated()
        };

        assert!(federated(r#"{"cognito:user_status":"EXTERNAL_PROVIDER"}"#));
        assert!(!federated(
            r#"{"cognito:user_status":"CONFIRMED","identities":"[{\"providerName\":\"Google\"}]"}"#
        ));
        assert!(!federated(r#"{"identities":[{"providerName":"Google"}]}"#));
        assert!(!federated(r#"{"cognito:user_status":"CONFIRMED"}"#));
    }
}
