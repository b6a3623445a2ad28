//! The tokens: their claims, their renewal and their end.

use super::*;

async fn refresh(local: &Local, token: &Value) -> Result<Value, ApiError> {
    let body =
        json!({"AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": {"REFRESH_TOKEN": token}});
    local.call("InitiateAuth", body).await
}

#[tokio::test]
async fn given_a_sign_in_when_tokens_are_issued_then_they_have_the_claims_of_cognito() {
    let local = Local::new(email_pool());
    let sub = local.seed_with(
        UserStatus::Confirmed,
        &[
            ("email", "taro@e.jp"),
            ("email_verified", "true"),
            ("address", "Osaka"),
            ("custom:origin_sub", "an-identity"),
        ],
    );
    for (name, role, precedence) in [
        ("staff", Some("arn:aws:iam::123456789012:role/staff"), 1),
        ("all", None, 2),
    ] {
        let body = json!({"GroupName": name, "RoleArn": role, "Precedence": precedence});
        local.ok("CreateGroup", body).await;
        let body = json!({"GroupName": name, "Username": sub});
        local.ok("AdminAddUserToGroup", body).await;
    }

    let tokens = local.tokens("taro@e.jp").await;

    let (id, access) = (claims(&tokens["IdToken"]), claims(&tokens["AccessToken"]));
    let issuer = format!(
        "https://cognito-idp.ap-northeast-1.amazonaws.com/{}",
        local.pool.id
    );
    for token in [&id, &access] {
        assert_eq!(token["iss"], issuer);
        assert_eq!(token["sub"], sub);
        assert_eq!(token["cognito:groups"], json!(["all", "staff"]));
        assert_eq!(token["auth_time"], token["iat"]);
        assert_eq!(
            token["exp"].as_u64(),
            token["iat"].as_u64().map(|at| at + 3600)
        );
    }
    for same in ["origin_jti", "event_id"] {
        assert_eq!(id[same], access[same]);
    }
    assert_ne!(id["jti"], access["jti"]);
    let client = &local.pool.client_id;
    let expected = [
        ("token_use", json!("id")),
        ("aud", json!(client)),
        ("cognito:username", json!(sub)),
        ("email", json!("taro@e.jp")),
        ("email_verified", json!(true)),
        ("address", json!({"formatted": "Osaka"})),
        ("custom:origin_sub", json!("an-identity")),
        (
            "cognito:roles",
            json!(["arn:aws:iam::123456789012:role/staff"]),
        ),
        (
            "cognito:preferred_role",
            json!("arn:aws:iam::123456789012:role/staff"),
        ),
    ];
    for (claim, value) in expected {
        assert_eq!(id[claim], value, "{claim}");
    }
    assert_eq!(access["token_use"], "access");
    assert_eq!(access["client_id"], client.as_str());
    assert_eq!(access["username"], sub);
    assert_eq!(access["scope"], "aws.cognito.signin.user.admin");
    for absent in ["aud", "email", "custom:origin_sub", "cognito:roles"] {
        assert_eq!(access[absent], Value::Null, "{absent}");
    }
}

#[tokio::test]
async fn given_a_client_that_may_not_read_an_attribute_when_tokens_are_issued_then_it_is_missing() {
    let mut settings = email_pool();
    settings.client.read_attributes = Some(vec!["email".to_owned()]);
    let local = Local::new(settings);
    let all = [("email", "taro@e.jp"), ("custom:origin_sub", "an-identity")];
    local.seed_with(UserStatus::Confirmed, &all);

    let id = claims(&local.tokens("taro@e.jp").await["IdToken"]);

    assert_eq!(id["email"], "taro@e.jp");
    assert_eq!(id["custom:origin_sub"], Value::Null);
}

#[tokio::test]
async fn given_a_refresh_token_when_used_then_the_tokens_are_new_and_the_sign_in_is_the_same() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let tokens = local.tokens("taro@e.jp").await;
    local.cognito.advance(Duration::from_secs(3600));

    let by_flow = refresh(&local, &tokens["RefreshToken"])
        .await
        .expect("tokens");
    let body = json!({"RefreshToken": tokens["RefreshToken"]});
    let by_operation = local.ok("GetTokensFromRefreshToken", body).await;

    let first = claims(&tokens["AccessToken"]);
    for answer in [by_flow, by_operation] {
        let renewed = &answer["AuthenticationResult"];
        assert_eq!(renewed["RefreshToken"], Value::Null);
        let access = claims(&renewed["AccessToken"]);
        assert_eq!(access["origin_jti"], first["origin_jti"]);
        assert_eq!(access["auth_time"], first["auth_time"]);
        assert_ne!(access["jti"], first["jti"]);
        let token = json!({"AccessToken": renewed["AccessToken"]});
        local.ok("GetUser", token).await;
    }
    local.cognito.advance(Duration::from_secs(30 * 24 * 3600));
    let refusal = refresh(&local, &tokens["RefreshToken"])
        .await
        .expect_err("old");
    assert_eq!(refusal.message, "Refresh Token has expired");
}

/// The tokens of a new sign-in through a client with these settings, and the client's id.
async fn sign_in_through(local: &Local, mut settings: Value) -> (Value, Value) {
    settings["ClientName"] = "spa".into();
    settings["ExplicitAuthFlows"] = json!(["ALLOW_USER_PASSWORD_AUTH"]);
    let client = local.ok("CreateUserPoolClient", settings).await["UserPoolClient"].clone();
    let parameters = json!({"USERNAME": "taro@e.jp", "PASSWORD": PASSWORD});
    let body = json!({"ClientId": client["ClientId"], "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters});
    let tokens = local.ok("InitiateAuth", body).await["AuthenticationResult"].clone();
    (tokens, client["ClientId"].clone())
}

#[tokio::test]
async fn given_a_client_with_lifetimes_when_tokens_are_issued_then_each_ends_after_its_own() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let settings = json!({
        "AccessTokenValidity": 5, "IdTokenValidity": 1200, "RefreshTokenValidity": 2,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "seconds", "RefreshToken": "hours"},
    });

    let (tokens, client) = sign_in_through(&local, settings.clone()).await;

    let described = local
        .ok("DescribeUserPoolClient", json!({"ClientId": client}))
        .await;
    for (member, value) in settings.as_object().expect("an object") {
        assert_eq!(described["UserPoolClient"][member], *value, "{member}");
    }
    assert_eq!(tokens["ExpiresIn"], 300);
    for (token, seconds) in [("AccessToken", 300), ("IdToken", 1200)] {
        let claims = claims(&tokens[token]);
        let issued = claims["iat"].as_u64().expect("a time");
        assert_eq!(claims["exp"], issued + seconds, "{token}");
    }
    let refresh = json!({"ClientId": client, "RefreshToken": tokens["RefreshToken"]});
    let get = json!({"AccessToken": tokens["AccessToken"]});
    local.cognito.advance(Duration::from_secs(299));
    local.ok("GetUser", get.clone()).await;
    local.cognito.advance(Duration::from_secs(1));
    let refusal = local.refused("GetUser", get).await;
    assert_eq!(refusal, "NotAuthorizedException: Access Token has expired");
    local.cognito.advance(Duration::from_secs(7200 - 301));
    local.ok("GetTokensFromRefreshToken", refresh.clone()).await;
    local.cognito.advance(Duration::from_secs(1));
    let refusal = local.refused("GetTokensFromRefreshToken", refresh).await;
    assert_eq!(refusal, "NotAuthorizedException: Refresh Token has expired");
}

#[tokio::test]
async fn given_a_client_without_lifetimes_when_described_then_it_has_the_default_units() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);

    let (tokens, client) = sign_in_through(&local, json!({"RefreshTokenValidity": 0})).await;

    assert_eq!(tokens["ExpiresIn"], 3600);
    let described = local
        .ok("DescribeUserPoolClient", json!({"ClientId": client}))
        .await;
    let described = &described["UserPoolClient"];
    let units = json!({"AccessToken": "hours", "IdToken": "hours", "RefreshToken": "days"});
    assert_eq!(described["TokenValidityUnits"], units);
    assert_eq!(described["RefreshTokenValidity"], 30);
    assert_eq!(described["AccessTokenValidity"], Value::Null);
}

#[tokio::test]
async fn given_lifetimes_that_no_client_can_have_when_one_is_created_then_it_is_refused() {
    let local = Local::new(email_pool());
    let access = |number: u64, unit: &str| json!({"AccessTokenValidity": number, "TokenValidityUnits": {"AccessToken": unit}});
    let refresh = |number: u64, unit: &str| json!({"RefreshTokenValidity": number, "TokenValidityUnits": {"RefreshToken": unit}});
    let range = "InvalidParameterException: Invalid range for token validity.";
    for (settings, expected) in [
        (access(4, "minutes"), range),
        (access(299, "seconds"), range),
        (access(25, "hours"), range),
        (
            json!({"IdTokenValidity": 2, "TokenValidityUnits": {"IdToken": "days"}}),
            range,
        ),
        (json!({"IdTokenValidity": 60}), range),
        (json!({"TokenValidityUnits": {"IdToken": "minutes"}}), range),
        (refresh(59, "minutes"), range),
        (refresh(3651, "days"), range),
        (
            json!({"AccessTokenValidity": 2, "RefreshTokenValidity": 1, "TokenValidityUnits": {"RefreshToken": "hours"}}),
            range,
        ),
        (
            json!({"AccessTokenValidity": 0}),
            "InvalidParameterException: 1 validation error detected: Value '0' at 'accessTokenValidity' failed to satisfy constraint: \
             Member must have value greater than or equal to 1",
        ),
        (
            access(1, "weeks"),
            "InvalidParameterException: 1 validation error detected: Value 'weeks' at 'accessToken' failed to satisfy constraint: \
             Member must satisfy enum value set: [seconds, minutes, hours, days]",
        ),
    ] {
        let mut body = settings.clone();
        body["ClientName"] = "another".into();
        assert_eq!(
            local.refused("CreateUserPoolClient", body).await,
            expected,
            "{settings}"
        );
    }
    for settings in [
        access(5, "minutes"),
        access(1, "days"),
        refresh(60, "minutes"),
        refresh(3650, "days"),
    ] {
        let mut body = settings;
        body["ClientName"] = "another".into();
        local.ok("CreateUserPoolClient", body).await;
    }
}

#[tokio::test]
async fn given_a_refresh_token_that_is_none_when_used_then_it_is_invalid() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let tokens = local.tokens("taro@e.jp").await;
    let another = local
        .ok("CreateUserPoolClient", json!({"ClientName": "another"}))
        .await;
    let another = &another["UserPoolClient"]["ClientId"];

    for wrong in ["junk", text(&tokens, "AccessToken")] {
        let refusal = refresh(&local, &wrong.into()).await.expect_err("invalid");
        assert_eq!(
            refusal.to_string(),
            "NotAuthorizedException: Invalid Refresh Token."
        );
    }
    let body = json!({"RefreshToken": tokens["RefreshToken"], "ClientId": another});
    let refusal = local.refused("GetTokensFromRefreshToken", body).await;
    assert_eq!(refusal, "NotAuthorizedException: Invalid Refresh Token.");
}

#[tokio::test]
async fn given_a_sign_in_when_ended_in_any_way_then_neither_of_its_tokens_is_accepted_any_more() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    for way in ["RevokeToken", "GlobalSignOut", "AdminUserGlobalSignOut"] {
        let (tokens, others) = (
            local.tokens("taro@e.jp").await,
            local.tokens("taro@e.jp").await,
        );
        let body = match way {
            "RevokeToken" => json!({"Token": tokens["RefreshToken"]}),
            "GlobalSignOut" => json!({"AccessToken": tokens["AccessToken"]}),
            _ => json!({"Username": sub}),
        };
        local.ok(way, body).await;

        let refusal = refresh(&local, &tokens["RefreshToken"])
            .await
            .expect_err(way);
        assert_eq!(
            refusal.to_string(),
            "NotAuthorizedException: Refresh Token has been revoked"
        );
        let token = json!({"AccessToken": tokens["AccessToken"]});
        assert_eq!(
            local.refused("GetUser", token).await,
            "NotAuthorizedException: Access Token has been revoked"
        );
        let other = refresh(&local, &others["RefreshToken"]).await;
        assert_eq!(other.is_ok(), way == "RevokeToken", "{way}");
    }
}

#[tokio::test]
async fn given_tokens_that_cannot_be_revoked_when_revoked_then_each_is_told_why() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let tokens = local.tokens("taro@e.jp").await;
    let another = local
        .ok("CreateUserPoolClient", json!({"ClientName": "another"}))
        .await;

    let body = json!({"Token": tokens["AccessToken"]});
    let refusal = local.refused("RevokeToken", body).await;
    assert!(
        refusal.starts_with("UnsupportedTokenTypeException"),
        "{refusal}"
    );
    let client = &another["UserPoolClient"]["ClientId"];
    for body in [
        json!({"Token": tokens["RefreshToken"], "ClientId": client}),
        json!({"Token": "junk"}),
    ] {
        let refusal = local.refused("RevokeToken", body).await;
        assert!(refusal.starts_with("UnauthorizedException"), "{refusal}");
    }
    let body = json!({"Token": tokens["RefreshToken"]});
    local.ok("RevokeToken", body.clone()).await;
    local.ok("RevokeToken", body).await;
}

#[tokio::test]
async fn given_rotation_when_a_refresh_token_is_used_then_it_is_replaced_and_a_late_reuse_is_refused()
 {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let rotation = json!({"Feature": "ENABLED", "RetryGracePeriodSeconds": 10});
    let (tokens, client) = sign_in_through(&local, json!({"RefreshTokenRotation": rotation})).await;
    let first = tokens["RefreshToken"].clone();
    let with = |token: &Value| json!({"ClientId": client, "RefreshToken": token});

    let renewed = local.ok("GetTokensFromRefreshToken", with(&first)).await;

    let second = &renewed["AuthenticationResult"]["RefreshToken"];
    assert!(second.is_string() && *second != first);
    local.ok("GetTokensFromRefreshToken", with(&first)).await;
    local.cognito.advance(Duration::from_secs(10));
    let refusal = local
        .refused("GetTokensFromRefreshToken", with(&first))
        .await;
    assert!(
        refusal.starts_with("RefreshTokenReuseException"),
        "{refusal}"
    );
    local.ok("GetTokensFromRefreshToken", with(second)).await;

    let flows = ["ALLOW_REFRESH_TOKEN_AUTH"];
    let body =
        json!({"ClientName": "both", "ExplicitAuthFlows": flows, "RefreshTokenRotation": rotation});
    let refusal = local.refused("CreateUserPoolClient", body).await;
    assert!(
        refusal.starts_with("InvalidParameterException"),
        "{refusal}"
    );
}

#[tokio::test]
async fn given_two_regions_when_a_token_of_one_comes_to_the_other_then_it_is_invalid() {
    let (tokyo, other) = (Local::new(email_pool()), Local::new(email_pool()));
    tokyo.seed("taro@e.jp", UserStatus::Confirmed);
    let tokens = tokyo.tokens("taro@e.jp").await;

    let token = json!({"AccessToken": tokens["AccessToken"]});
    let id = json!({"AccessToken": tokens["IdToken"]});

    for (local, token) in [(&other, token), (&tokyo, id)] {
        assert_eq!(
            local.refused("GetUser", token).await,
            "NotAuthorizedException: Invalid Access Token"
        );
    }
}

/// A pool whose tokens a function changes. The function answers what the file says.
async fn customised(answer: &Value, config: Value) -> Local {
    use std::os::unix::fs::PermissionsExt;
    let local = Local::new(email_pool());
    let [script, headers] = ["customise", "headers"].map(|name| local._logs.path().join(name));
    std::fs::write(&script, format!("#!/bin/sh\n{FUNCTION}")).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&script, executable).expect("executable");
    local.cognito.0.lambda.create_function(Function {
        name: "customise".to_owned(),
        binary: script,
        env: BTreeMap::from([
            ("ANSWER".to_owned(), answer.to_string()),
            ("HEADERS".to_owned(), headers.display().to_string()),
        ]),
        timeout: Duration::from_secs(5),
        concurrency: 1,
    });
    let arn = local.cognito.0.lambda.arn("customise");
    let mut config = config;
    config["LambdaArn"] = arn.as_str().into();
    let body = json!({"UserPoolTier": "ESSENTIALS", "AutoVerifiedAttributes": ["email"], "LambdaConfig": {
        "PreTokenGeneration": arn, "PreTokenGenerationConfig": config,
    }});
    local.ok("UpdateUserPool", body).await;
    local.seed("taro@e.jp", UserStatus::Confirmed);
    local
}

/// A function that speaks the Lambda Runtime API with curl: it puts `ANSWER` in place of the empty response of the event.
const FUNCTION: &str = r#"
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while event=$(curl --silent --fail --dump-header "$HEADERS" "$api/next"); do
    id=$(sed -n 's/^lambda-runtime-aws-request-id: *//Ip' "$HEADERS" | tr -d '\r')
    printf '%s' "$event" | sed "s|\"response\":{[^}]*}|\"response\":$ANSWER|" |
        curl --silent --fail --data-binary @- "$api/$id/response" >/dev/null
done
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_pre_token_generation_trigger_when_tokens_are_issued_then_they_have_its_claims() {
    let added = json!({"claimsToAddOrOverride": {"tenant": "t1"}});
    let one = json!({"claimsOverrideDetails": added});
    let two = json!({"claimsAndScopeOverrideDetails": {"accessTokenGeneration": added}});
    for (answer, version, changed) in [(one, "V1_0", "IdToken"), (two, "V2_0", "AccessToken")] {
        let local = customised(&answer, json!({"LambdaVersion": version})).await;
        let tokens = local.tokens("taro@e.jp").await;
        let renewed = refresh(&local, &tokens["RefreshToken"])
            .await
            .expect("tokens");
        for tokens in [&tokens, &renewed["AuthenticationResult"]] {
            for token in ["IdToken", "AccessToken"] {
                let tenant = claims(&tokens[token])["tenant"] == "t1";
                assert_eq!(tenant, token == changed, "{version} {token}");
            }
        }
    }
}

#[tokio::test]
async fn given_a_pre_token_generation_trigger_that_fails_when_signing_in_then_there_are_no_tokens()
{
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let body = json!({"AutoVerifiedAttributes": ["email"], "LambdaConfig": {
        "PreTokenGeneration": local.cognito.0.lambda.arn("absent"),
    }});
    local.ok("UpdateUserPool", body).await;

    let refusal = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect_err("refused");

    assert_eq!(
        refusal.to_string(),
        "UnexpectedLambdaException: PreTokenGeneration invocation failed due to error ResourceNotFoundException."
    );
}

#[tokio::test]
async fn given_the_plan_lite_when_access_tokens_are_to_be_customised_then_it_is_refused() {
    let local = Local::new(email_pool());
    let arn = local.cognito.0.lambda.arn("f");
    let body = |version: &str| {
        json!({"UserPoolTier": "LITE", "LambdaConfig": {
            "PreTokenGenerationConfig": {"LambdaVersion": version, "LambdaArn": arn},
        }})
    };
    let refusal = local.refused("UpdateUserPool", body("V2_0")).await;
    assert!(
        refusal.starts_with("FeatureUnavailableInTierException"),
        "{refusal}"
    );
    local.ok("UpdateUserPool", body("V1_0")).await;
}
