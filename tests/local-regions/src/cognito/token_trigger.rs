//! The pre token generation trigger, which changes the claims of tokens before they are signed.
//!
//! DG:user-pool-lambda-pre-token-generation: the versions and their plans `[D]`; the members of the event and of the response of version one
//! `[D]`; those of version two are `[R]`, and those of the crate `aws_lambda_events`.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::pool::PoolState;
use super::trigger::{Trigger, event_of};

/// What tokens are generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenSource {
    Authentication,
    NewPasswordChallenge,
    RefreshTokens,
}

impl TokenSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "TokenGeneration_Authentication",
            Self::NewPasswordChallenge => "TokenGeneration_NewPasswordChallenge",
            Self::RefreshTokens => "TokenGeneration_RefreshTokens",
        }
    }
}

/// The version of the event, and with it of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Only the ID token can be changed.
    One,
    /// Both tokens can be changed.
    Two,
}

/// The groups in a user's tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupClaims {
    pub(super) names: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) preferred_role: Option<String>,
}

/// The claims of both tokens.
pub(super) struct Claims {
    pub(super) id: Value,
    pub(super) access: Value,
    pub(super) groups: GroupClaims,
}

// DG:user-pool-lambda-pre-token-generation: the claims that a trigger cannot change. The list of the ID token is [D], that of the access
// token [R].
const FIXED_ID: [&str; 17] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "cognito:username",
    "exp",
    "iat",
    "identities",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "origin_jti",
    "sub",
    "token_use",
];
const FIXED_ACCESS: [&str; 15] = [
    "acr",
    "amr",
    "at_hash",
    "auth_time",
    "azp",
    "client_id",
    "event_id",
    "exp",
    "iat",
    "iss",
    "jti",
    "origin_jti",
    "sub",
    "token_use",
    "username",
];
const GROUPS: [&str; 3] = ["cognito:groups", "cognito:roles", "cognito:preferred_role"];

impl Claims {
    /// Applies the response of the trigger.
    pub(super) fn change(&mut self, answer: &Value, version: Version) -> Result<(), ApiError> {
        let response = &answer["response"];
        let details = match version {
            Version::One => &response["claimsOverrideDetails"],
            Version::Two => &response["claimsAndScopeOverrideDetails"],
        };
        match version {
            Version::One => change(&mut self.id, details, &FIXED_ID, version)?,
            Version::Two => {
                change(
                    &mut self.id,
                    &details["idTokenGeneration"],
                    &FIXED_ID,
                    version,
                )?;
                let wanted = &details["accessTokenGeneration"];
                change(&mut self.access, wanted, &FIXED_ACCESS, version)?;
                let suppressed = texts(&wanted["scopesToSuppress"])?;
                let scopes = self.access["scope"].as_str().unwrap_or_default();
                let mut scopes: Vec<_> = scopes.split(' ').map(str::to_owned).collect();
                scopes.retain(|scope| !suppressed.contains(scope));
                scopes.extend(texts(&wanted["scopesToAdd"])?);
                self.access["scope"] = scopes.join(" ").into();
            }
        }
        let groups = &details["groupOverrideDetails"];
        if groups.as_object().is_some_and(|groups| !groups.is_empty()) {
            self.groups = GroupClaims {
                names: texts(&groups["groupsToOverride"])?,
                roles: texts(&groups["iamRolesToOverride"])?,
                preferred_role: groups["preferredRole"].as_str().map(str::to_owned),
            };
        }
        Ok(())
    }

    /// The claims of the ID token and of the access token, groups included.
    // DG:cognito-user-pools-user-groups: groups in both tokens, roles in ID tokens [D]; that there is no claim without groups is [R].
    pub(super) fn finish(self) -> (Value, Value) {
        let Self {
            mut id,
            mut access,
            groups,
        } = self;
        if !groups.names.is_empty() {
            id["cognito:groups"] = groups.names.clone().into();
            access["cognito:groups"] = groups.names.into();
        }
        if !groups.roles.is_empty() {
            id["cognito:roles"] = groups.roles.into();
        }
        if let Some(role) = groups.preferred_role {
            id["cognito:preferred_role"] = role.into();
        }
        (id, access)
    }
}

fn change(
    claims: &mut Value,
    wanted: &Value,
    fixed: &[&str],
    version: Version,
) -> Result<(), ApiError> {
    let changeable = |name: &str| !fixed.contains(&name) && !GROUPS.contains(&name);
    if let Some(added) = object(&wanted["claimsToAddOrOverride"])? {
        for (name, value) in added.iter().filter(|(name, _)| changeable(name)) {
            // Version one has a map of strings, version two any JSON [D]; that another value is an error is [Inf].
            if version == Version::One && !value.is_string() {
                return Err(unrecognizable());
            }
            claims[name] = value.clone();
        }
    }
    for name in texts(&wanted["claimsToSuppress"])? {
        if changeable(&name)
            && let Some(claims) = claims.as_object_mut()
        {
            claims.remove(&name);
        }
    }
    Ok(())
}

fn object(value: &Value) -> Result<Option<&Map<String, Value>>, ApiError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        _ => Err(unrecognizable()),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, ApiError> {
    match value {
        Value::Null => Ok(Vec::new()),
        list => serde_json::from_value(list.clone()).map_err(|_| unrecognizable()),
    }
}

/// The error for a response of the wrong form.
pub(super) fn unrecognizable() -> ApiError {
    ApiError::new(
        "InvalidLambdaResponseException",
        "Unrecognizable lambda output",
    )
}

/// The trigger before tokens are generated, if the pool has one.
pub(super) fn pre_token_generation(
    pool: &PoolState,
    region: &str,
    sub: u128,
    source: TokenSource,
    client_id: &str,
    metadata: Option<&Map<String, Value>>,
    claims: &Claims,
) -> Option<(Trigger, Version)> {
    let triggers = &pool.configuration["LambdaConfig"];
    let detailed = &triggers["PreTokenGenerationConfig"];
    let arn = detailed["LambdaArn"].as_str();
    let arn = arn.or(triggers["PreTokenGeneration"].as_str())?;
    // Version three is the same as version two except for machines, which cannot sign in here.
    let version = match detailed["LambdaVersion"].as_str() {
        None | Some("V1_0") => Version::One,
        Some(_) => Version::Two,
    };
    let groups = json!({
        "groupsToOverride": claims.groups.names,
        "iamRolesToOverride": claims.groups.roles,
        "preferredRole": claims.groups.preferred_role,
    });
    let mut event = event_of(pool, region, sub, source.as_str(), Some(client_id))?;
    event["request"]["groupConfiguration"] = groups;
    if let Some(metadata) = metadata {
        event["request"]["clientMetadata"] = metadata.clone().into();
    }
    match version {
        Version::One => event["response"] = json!({"claimsOverrideDetails": null}),
        Version::Two => {
            event["version"] = "2".into();
            event["request"]["scopes"] = json!([claims.access["scope"]]);
            event["response"] = json!({"claimsAndScopeOverrideDetails": null});
        }
    }
    let function = arn.split(':').nth(6)?.to_owned();
    Some((Trigger::new("PreTokenGeneration", function, event), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            id: json!({"sub": "a", "email": "taro@e.jp", "aud": "app"}),
            access: json!({"sub": "a", "scope": "aws.cognito.signin.user.admin"}),
            groups: GroupClaims {
                names: vec!["staff".to_owned()],
                ..GroupClaims::default()
            },
        }
    }

    #[test]
    fn given_a_response_of_version_one_when_applied_then_only_the_id_token_changes() {
        let mut claims = claims();
        let details = json!({
            "claimsToAddOrOverride": {"tenant": "t1", "sub": "b", "aud": "x", "cognito:groups": "no"},
            "claimsToSuppress": ["email", "aud"],
            "groupOverrideDetails": {"groupsToOverride": ["guests"], "iamRolesToOverride": ["role"], "preferredRole": "role"},
        });
        let answer = json!({"response": {"claimsOverrideDetails": details}});

        claims.change(&answer, Version::One).expect("applied");

        let (id, access) = claims.finish();
        assert_eq!(
            id,
            json!({"sub": "a", "aud": "app", "tenant": "t1", "cognito:groups": ["guests"],
                "cognito:roles": ["role"], "cognito:preferred_role": "role"})
        );
        assert_eq!(access["cognito:groups"], json!(["guests"]));
        assert_eq!(access["scope"], "aws.cognito.signin.user.admin");
    }

    #[test]
    fn given_a_response_of_version_two_when_applied_then_both_tokens_change() {
        let mut claims = claims();
        let details = json!({
            "idTokenGeneration": {"claimsToAddOrOverride": {"tenant": {"id": 1}}},
            "accessTokenGeneration": {
                "claimsToAddOrOverride": {"tenant": "t1", "username": "root"},
                "scopesToAdd": ["orders"],
                "scopesToSuppress": ["aws.cognito.signin.user.admin"],
            },
        });
        let answer = json!({"response": {"claimsAndScopeOverrideDetails": details}});

        claims.change(&answer, Version::Two).expect("applied");

        let (id, access) = claims.finish();
        assert_eq!(id["tenant"], json!({"id": 1}));
        assert_eq!(
            access,
            json!({"sub": "a", "tenant": "t1", "scope": "orders", "cognito:groups": ["staff"]})
        );
    }

    #[test]
    fn given_responses_of_another_form_when_applied_then_they_are_errors() {
        for (details, version) in [
            (json!({"claimsToAddOrOverride": {"level": 3}}), Version::One),
            (json!({"claimsToAddOrOverride": ["level"]}), Version::One),
            (
                json!({"accessTokenGeneration": {"scopesToAdd": "orders"}}),
                Version::Two,
            ),
        ] {
            let answer = json!({"response": {"claimsOverrideDetails": details, "claimsAndScopeOverrideDetails": details}});
            let refusal = claims().change(&answer, version).expect_err("an error");
            assert_eq!(refusal.code, "InvalidLambdaResponseException");
        }
        let untouched = json!({"response": {"claimsOverrideDetails": null}});
        claims()
            .change(&untouched, Version::One)
            .expect("nothing to apply");
    }
}
