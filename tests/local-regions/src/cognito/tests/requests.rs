//! Requests in general: the service model, credentials, quotas, and the operations on pools.

use super::*;

#[tokio::test]
async fn given_requests_outside_the_model_when_sent_then_they_are_refused_in_awss_words() {
    let local = Local::new(email_pool());
    assert_eq!(
        local
            .refused(
                "AdminGetUser",
                json!({"UserPoolId": "nonsense", "Username": "a b"})
            )
            .await,
        "InvalidParameterException: 2 validation errors detected: Value 'nonsense' at 'userPoolId' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: [\\w-]+_[0-9a-zA-Z]+; Value at 'username' failed \
         to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}]+"
    );
    assert_eq!(
        local.refused("AdminGetUser", json!({})).await,
        "InvalidParameterException: 1 validation error detected: Value null at 'username' failed to satisfy \
         constraint: Member must not be null"
    );
    let long = "x".repeat(2049);
    let given = json!({"Username": "a@e.jp", "UserAttributes": attributes(&[("name", &long)])});
    let refusal = local.refused("AdminCreateUser", given).await;
    assert!(
        refusal.contains("'userAttributes.1.member.value'"),
        "{refusal}"
    );
    assert!(
        local
            .refused("ListUsers", json!({"Limit": 61}))
            .await
            .contains("less than or equal to 60")
    );
    assert!(
        local
            .refused("AdminGetUser", json!({"Username": 1}))
            .await
            .starts_with("SerializationException")
    );
    assert!(
        local
            .refused("AdminResetUserPassword", json!({}))
            .await
            .starts_with("UnknownOperationException")
    );
    let elsewhere = json!({"UserPoolId": "ap-northeast-3_AbCdEf123", "Username": "a@e.jp"});
    assert_eq!(
        local.refused("AdminGetUser", elsewhere).await,
        "ResourceNotFoundException: User pool ap-northeast-3_AbCdEf123 does not exist."
    );
}

#[tokio::test]
async fn given_members_that_are_not_modelled_when_sent_then_they_are_refused_and_nothing_is_done() {
    let local = Local::new(email_pool());
    let taro = json!({"Username": "taro@e.jp", "Password": PASSWORD});
    let with = |of: &Value, member: &str, value: Value| {
        let mut body = of.clone();
        body[member] = value;
        body
    };
    for (operation, body, member) in [
        (
            "SignUp",
            with(&taro, "UserContextData", json!({"EncodedData": "x"})),
            "UserContextData",
        ),
        (
            "InitiateAuth",
            json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"DEVICE_KEY": "x"}}),
            "DEVICE_KEY",
        ),
        (
            "CreateUserImportJob",
            json!({
                "JobName": "j",
                "CloudWatchLogsRoleArn": "arn:aws:iam::123456789012:role/import-logs",
                "PasswordHashingAlgorithm": "BCRYPT",
            }),
            "PasswordHashingAlgorithm",
        ),
    ] {
        assert_eq!(
            local.refused(operation, body).await,
            format!("InvalidParameterException: This emulator does not model {member}.")
        );
    }
    assert!(local.cognito.users(&local.pool.id).is_empty());
    local
        .ok("SignUp", with(&taro, "UserContextData", Value::Null))
        .await;
}

#[tokio::test]
async fn given_quotas_when_a_category_is_used_up_then_only_it_is_throttled() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_quotas(true);
    local.cognito.knobs().set_quota(Category::UserList, 2);
    local.ok("ListUsers", json!({})).await;
    local.ok("ListUsers", json!({})).await;
    let refusal = local.refused("ListUsers", json!({})).await;
    assert_eq!(refusal, "TooManyRequestsException: Rate exceeded");
    local.ok("DescribeUserPool", json!({})).await;
    for _ in 0..5 {
        local.ok("GetCSVHeader", json!({})).await;
    }
    assert!(
        local
            .refused("GetCSVHeader", json!({}))
            .await
            .starts_with("TooManyRequests")
    );
}

#[tokio::test]
async fn given_pool_settings_when_they_are_not_modelled_then_they_are_refused() {
    let local = Local::new(email_pool());
    let refusal = local
        .refused(
            "CreateUserPool",
            json!({"PoolName": "p", "EnabledMfas": ["SOFTWARE_TOKEN_MFA"]}),
        )
        .await;
    assert!(refusal.contains("does not model EnabledMfas"), "{refusal}");
    let refusal = local
        .refused(
            "CreateUserPool",
            json!({"PoolName": "p", "MfaConfiguration": "ON"}),
        )
        .await;
    assert!(refusal.contains("SMS configuration"), "{refusal}");
    let refusal = local
        .refused(
            "CreateUserPoolClient",
            json!({"ClientName": "c", "AuthSessionValidity": 5}),
        )
        .await;
    assert!(
        refusal.contains("does not model AuthSessionValidity"),
        "{refusal}"
    );
}

#[tokio::test]
async fn given_a_pool_made_by_request_when_described_then_its_settings_are_there() {
    let local = Local::new(email_pool());
    let made = json!({
        "PoolName": "second",
        "UsernameAttributes": ["email"],
        "UsernameConfiguration": {"CaseSensitive": false},
        "AutoVerifiedAttributes": ["email"],
        "Policies": {"PasswordPolicy": {"MinimumLength": 12, "RequireNumbers": true}},
        "Schema": [{"Name": "name", "Required": true}, {"Name": "tenant", "AttributeDataType": "String"}],
        "LambdaConfig": {"PostConfirmation": "arn:aws:lambda:ap-northeast-1:123456789012:function:f"},
    });
    let made = local.ok("CreateUserPool", made).await;
    let id = text(&made["UserPool"], "Id");
    let pool = local
        .ok("DescribeUserPool", json!({"UserPoolId": id}))
        .await["UserPool"]
        .clone();
    assert_eq!(pool["Policies"]["PasswordPolicy"]["MinimumLength"], 12);
    assert_eq!(pool["UsernameAttributes"], json!(["email"]));
    assert_eq!(pool["LambdaConfig"], made["UserPool"]["LambdaConfig"]);
    let schema = pool["SchemaAttributes"].as_array().expect("attributes");
    assert!(
        schema
            .iter()
            .any(|attribute| attribute["Name"] == "custom:tenant")
    );
    let client = json!({"UserPoolId": id, "ClientName": "app", "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]});
    let client = local.ok("CreateUserPoolClient", client).await;
    assert_eq!(
        client["UserPoolClient"]["PreventUserExistenceErrors"],
        "LEGACY"
    );
    let pools = local.ok("ListUserPools", json!({"MaxResults": 1})).await;
    assert!(
        pools["UserPools"]
            .as_array()
            .is_some_and(|pools| pools.len() == 1)
            && pools["NextToken"].is_string()
    );
}
