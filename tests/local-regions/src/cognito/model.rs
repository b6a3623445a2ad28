//! Checks a request against the service model: `model.json` holds the shapes, without their texts, of botocore 1.44.5
//! (`data/cognito-idp/2016-04-18/service-2.json.gz`, Apache License 2.0) of the requests that create and update pools.
//!
//! Of the patterns, only those of ARNs and of the placeholders in message templates are checked.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::error::ApiError;
use super::params::is_arn;

static SHAPES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("model.json")).expect("the model is JSON"));

/// Rejects a request that does not conform to the model; the error names all violations.
pub(super) fn check(shape: &str, request: &Map<String, Value>) -> Result<(), ApiError> {
    let mut violations = Vec::new();
    check_structure(&SHAPES[shape], request, "", &mut violations)?;
    match violations.len() {
        0 => Ok(()),
        n => {
            let plural = if n == 1 { "" } else { "s" };
            let list = violations.join("; ");
            Err(ApiError::invalid_parameter(format!(
                "{n} validation error{plural} detected: {list}"
            )))
        }
    }
}

/// The names of a structure's members.
#[cfg(test)]
pub(super) fn members(shape: &str) -> Vec<&'static str> {
    let members = SHAPES[shape]["members"].as_object();
    members
        .map(|members| members.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn check_structure(
    shape: &Value,
    given: &Map<String, Value>,
    path: &str,
    violations: &mut Vec<String>,
) -> Result<(), ApiError> {
    for (name, value) in given {
        let path = format!("{path}{name}");
        match shape["members"][name].as_str() {
            Some(member) => check_value(&SHAPES[member], value, &path, violations)?,
            None => return Err(ApiError::not_modelled(&path)),
        }
    }
    let required = shape["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !given.contains_key(name) {
            violations.push(violation(
                &format!("{path}{name}"),
                "Member must not be null",
            ));
        }
    }
    Ok(())
}

fn check_value(
    shape: &Value,
    value: &Value,
    path: &str,
    violations: &mut Vec<String>,
) -> Result<(), ApiError> {
    let mut broken = |constraint: String| violations.push(violation(path, &constraint));
    match (shape["type"].as_str(), value) {
        (Some("string"), Value::String(text)) => {
            if let Some(known) = shape["enum"].as_array()
                && !known.contains(value)
            {
                let known: Vec<_> = known.iter().filter_map(Value::as_str).collect();
                let known = known.join(", ");
                broken(format!("Member must satisfy enum value set: [{known}]"));
            }
            check_size(shape, text.encode_utf16().count() as u64, "length", broken);
            if let Some(pattern) = shape["pattern"].as_str()
                && !matches(pattern, text)
            {
                let constraint = "Member must satisfy regular expression pattern: ";
                violations.push(violation(path, &format!("{constraint}{pattern}")));
            }
        }
        (Some("boolean"), Value::Bool(_)) => {}
        (Some("integer"), Value::Number(number)) if number.is_u64() => {
            let number = number.as_u64().unwrap_or_default();
            check_size(shape, number, "value", broken);
        }
        (Some("structure"), Value::Object(members)) => {
            check_structure(shape, members, &format!("{path}."), violations)?;
        }
        (Some("list"), Value::Array(list)) => {
            check_size(shape, list.len() as u64, "length", broken);
            let member = shape["member"].as_str().unwrap_or_default();
            for item in list {
                check_value(&SHAPES[member], item, path, violations)?;
            }
        }
        (Some("map"), Value::Object(map)) => {
            check_size(shape, map.len() as u64, "length", broken);
            let [of_keys, of_values] =
                ["key", "value"].map(|part| &SHAPES[shape[part].as_str().unwrap_or_default()]);
            for (key, value) in map {
                check_value(of_keys, &Value::from(key.as_str()), path, violations)?;
                check_value(of_values, value, path, violations)?;
            }
        }
        (kind, _) => {
            let kind = kind.unwrap_or_default();
            let message = format!("The member {path} of the request is not a {kind}.");
            return Err(ApiError::new("SerializationException", message));
        }
    }
    Ok(())
}

fn check_size(shape: &Value, size: u64, what: &str, mut broken: impl FnMut(String)) {
    if shape["min"].as_u64().is_some_and(|min| size < min) {
        let min = &shape["min"];
        broken(format!(
            "Member must have {what} greater than or equal to {min}"
        ));
    }
    if shape["max"].as_u64().is_some_and(|max| size > max) {
        let max = &shape["max"];
        broken(format!(
            "Member must have {what} less than or equal to {max}"
        ));
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    if let Some(pattern) = pattern.strip_prefix("(arn:") {
        return text.is_empty() || matches(&format!("arn:{pattern}"), text);
    }
    match pattern {
        arn if arn.starts_with("arn:") => is_arn(text),
        code if code.contains(r"\{####\}") => text.contains("{####}"),
        link if link.contains(r"\{##") => text
            .split_once("{##")
            .is_some_and(|(_, rest)| rest.contains("##}")),
        _ => true,
    }
}

/// The text of a violation as AWS writes it, but without the value, which may contain a message or an address.
fn violation(path: &str, constraint: &str) -> String {
    let lower = path.split('.').map(|name| {
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    let path = lower.collect::<Vec<_>>().join(".");
    format!("Value at '{path}' failed to satisfy constraint: {constraint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(request: Value) -> String {
        let request = request.as_object().expect("an object");
        check("UpdateUserPoolRequest", request)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn given_members_against_the_model_when_checked_then_each_is_named() {
        for (request, words) in [
            (
                json!({}),
                "'userPoolId' failed to satisfy constraint: Member must not be null",
            ),
            (
                json!({"UserPoolId": "p_1", "Colour": 1}),
                "does not model Colour",
            ),
            (
                json!({"UserPoolId": "p_1", "Policies": {"PasswordPolicy": {"MinimumLength": 5}}}),
                "'policies.passwordPolicy.minimumLength' failed to satisfy constraint: Member must have value greater than",
            ),
            (
                json!({"UserPoolId": "p_1", "UserPoolTier": "GOLD"}),
                "enum value set: [LITE, ESSENTIALS, PLUS]",
            ),
            (
                json!({"UserPoolId": "p_1", "SmsAuthenticationMessage": "no code"}),
                "pattern",
            ),
            (
                json!({"UserPoolId": "p_1", "LambdaConfig": {"PreSignUp": "a-function-of-mine"}}),
                "pattern",
            ),
            (
                json!({"UserPoolId": "p_1", "UserPoolTags": {"a": 1}}),
                "SerializationException",
            ),
            (
                json!({"UserPoolId": "p_1", "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 3}]}}),
                "2 validation errors detected",
            ),
        ] {
            let refusal = refusal(request);
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
