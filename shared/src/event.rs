//! A Cognito trigger event, read leniently.
//!
//! "Events … might change with new features … stricter input validation can cause your functions to fail"
//! (DG:cognito-user-pools-working-with-lambda-triggers), so only what is needed is read, whatever else is there or not,
//! and the event itself goes back as the bytes that came.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::person::Attributes;

/// What made Cognito call the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A person confirmed a sign-up, or an administrator did it for them.
    ConfirmSignUp,
    /// A person set a new password through "forgot password".
    ConfirmForgotPassword,
    /// Another trigger, which is none of ours; without a name when what it calls itself is no word.
    Foreign(String),
}

impl Source {
    /// Cognito's name of it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ConfirmSignUp => "PostConfirmation_ConfirmSignUp",
            Self::ConfirmForgotPassword => "PostConfirmation_ConfirmForgotPassword",
            Self::Foreign(name) => name,
        }
    }
}

/// What twinpool needs of a trigger event.
#[derive(Clone)]
pub struct TriggerEvent {
    /// Why it was sent.
    pub source: Source,
    /// The pool it comes from.
    pub pool: Option<String>,
    /// `userName`: a UUID in pools that sign in by email or phone.
    pub username: Option<String>,
    /// `request.userAttributes`; none when the event has none.
    pub attributes: Attributes,
}

impl TriggerEvent {
    /// Reads a payload; none when it is not a JSON object with `triggerSource`.
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

    /// Whether the person comes from another identity provider, whose users are made again by federation in the other region.
    pub fn is_federated(&self) -> bool {
        self.attributes.get("cognito:user_status") == Some("EXTERNAL_PROVIDER")
            || self
                .attributes
                .get("identities")
                .is_some_and(|identities| identities.trim() != "[]")
    }
}

/// Whether a text may be logged as the name of something.
pub(crate) fn is_word(text: &str) -> bool {
    text.len() <= 100
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Only as deep as needed: what lies deeper is not looked at and cannot be wrong.
fn object(json: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json.get()).ok()
}

/// A string as its text, any other value as its JSON, null as nothing.
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
    fn a_person_of_another_identity_provider_is_recognised() {
        let federated = |attributes: &str| {
            let event = format!(
                r#"{{"triggerSource":"PostConfirmation_ConfirmSignUp","request":{{"userAttributes":{attributes}}}}}"#
            );
            read(&event).unwrap().is_federated()
        };

        assert!(federated(r#"{"cognito:user_status":"EXTERNAL_PROVIDER"}"#));
        assert!(federated(
            r#"{"identities":"[{\"providerName\":\"Google\"}]"}"#
        ));
        assert!(federated(r#"{"identities":[{"providerName":"Google"}]}"#));
        assert!(!federated(r#"{"identities":"[]"}"#));
        assert!(!federated(r#"{"cognito:user_status":"CONFIRMED"}"#));
    }
}
