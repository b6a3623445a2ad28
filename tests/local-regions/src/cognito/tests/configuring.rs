//! Settings that are replaced as a whole, and settings that have operations of their own.

use super::super::model;
use super::*;

async fn described(local: &Local) -> Value {
    local.ok("DescribeUserPool", json!({})).await["UserPool"].clone()
}

/// A request that changes nothing: all described settings, except those that cannot be set.
async fn unchanged(local: &Local) -> Value {
    let mut pool = described(local).await;
    let mut request = json!({});
    for member in model::members("UpdateUserPoolRequest") {
        if let Some(value) = pool.get_mut(member) {
            request[member] = value.take();
        }
    }
    let create = request["AdminCreateUserConfig"].as_object_mut();
    create
        .expect("described")
        .remove("UnusedAccountValidityDays");
    request
}

#[tokio::test]
async fn given_a_pool_with_every_setting_when_all_are_given_back_then_none_changes() {
    let local = Local::new(mfa_pool());
    local.cognito.set_every_setting(&local.pool.id);
    let before = local.cognito.settings(&local.pool.id);
    let known = model::members("UpdateUserPoolRequest").into_iter();
    let settings: Vec<_> = known
        .filter(|member| !["UserPoolId", "PoolName"].contains(member))
        .collect();
    for setting in &settings {
        assert!(!before[setting].is_null(), "{setting} is set");
    }

    let request = unchanged(&local).await;
    local.ok("UpdateUserPool", request).await;

    assert_eq!(local.cognito.settings(&local.pool.id), before);
    assert_eq!(described(&local).await["Name"], "pool");
}

#[tokio::test]
async fn given_a_pool_with_every_setting_when_one_is_given_then_the_others_are_lost() {
    let local = Local::new(mfa_pool());
    let bare = Local::new(PoolSettings::default());
    local.cognito.set_every_setting(&local.pool.id);
    bare.ok("UpdateUserPool", json!({})).await;
    let before = local.cognito.settings(&local.pool.id);
    let defaults = bare.cognito.settings(&bare.pool.id);
    let trigger = json!({"PostConfirmation": local.cognito.0.lambda.arn("f")});

    local
        .ok("UpdateUserPool", json!({"LambdaConfig": trigger}))
        .await;

    let after = local.cognito.settings(&local.pool.id);
    for setting in model::members("UpdateUserPoolRequest") {
        let expected = match setting {
            "LambdaConfig" => &trigger,
            "DcrConfiguration" => &before[setting],
            _ => &defaults[setting],
        };
        assert_eq!(&after[setting], expected, "{setting}");
        let differs = ["LambdaConfig", "UserPoolId", "PoolName", "DcrConfiguration"];
        if !differs.contains(&setting) {
            assert_ne!(&before[setting], expected, "{setting}");
        }
    }
}

/// facts N9.
#[tokio::test]
async fn given_client_registration_in_part_when_updated_then_it_is_on_and_the_rest_is_lost() {
    let local = Local::new(mfa_pool());
    local.cognito.set_every_setting(&local.pool.id);
    let mut request = unchanged(&local).await;
    request["DcrConfiguration"] = json!({"AllowedScopes": ["openid"]});

    local.ok("UpdateUserPool", request).await;

    assert_eq!(
        local.cognito.settings(&local.pool.id)["DcrConfiguration"],
        json!({"AllowedScopes": ["openid"], "EnableStatus": "Enabled"})
    );
}

#[tokio::test]
async fn given_other_settings_when_updated_then_the_pool_acts_on_them() {
    let local = Local::new(mfa_pool());
    let sub = local.confirmed("taro@e.jp").await;
    let update = json!({
        "PoolName": "other",
        "Policies": {"PasswordPolicy": {"MinimumLength": 20}},
        "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "admin_only"}]},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": true},
    });
    local.ok("UpdateUserPool", update).await;

    let signed_in = local.sign_in("taro@e.jp", PASSWORD).await.expect("no MFA");
    assert!(signed_in["AuthenticationResult"].is_object());
    let refused = local
        .refused("ForgotPassword", json!({"Username": "taro@e.jp"}))
        .await;
    assert!(refused.contains("Contact administrator"), "{refused}");
    let short = json!({"Username": sub, "Password": PASSWORD, "Permanent": true});
    let refused = local.refused("AdminSetUserPassword", short).await;
    assert!(refused.contains("not long enough"), "{refused}");
    let body = json!({"Username": "hana@e.jp", "Password": "only-lower-case-letters"});
    let refused = local.refused("SignUp", body).await;
    assert!(refused.contains("not permitted"), "{refused}");
    let job = json!({
        "JobName": "j",
        "CloudWatchLogsRoleArn": "arn:aws:iam::123456789012:role/import-logs",
    });
    let refused = local.refused("CreateUserImportJob", job).await;
    assert!(refused.contains("auto-verified"), "{refused}");
    assert_eq!(described(&local).await["Name"], "other");
}

#[tokio::test]
async fn given_settings_that_aws_refuses_when_updated_then_nothing_changes() {
    let local = Local::new(email_pool());
    let before = local.cognito.settings(&local.pool.id);
    let function =
        |name: &str| format!("arn:aws:lambda:ap-northeast-1:123456789012:function:{name}");
    let there = "arn:aws:lambda:ap-northeast-3:123456789012:function:f";
    let message = json!({"EmailMessage": "{####}", "EmailMessageByLink": "{##here##}"});
    for (update, words) in [
        (
            json!({"MfaConfiguration": "ON"}),
            "Cannot turn MFA functionality ON, once the user pool has been created.",
        ),
        (
            json!({"MfaConfiguration": "OPTIONAL"}),
            "SMS configuration and Auto verification for phone_number are required",
        ),
        (
            json!({"AdminCreateUserConfig": {"UnusedAccountValidityDays": 7}}),
            "Please use TemporaryPasswordValidityDays",
        ),
        (
            json!({"LambdaConfig": {"PostConfirmation": there}}),
            "region",
        ),
        (
            json!({"LambdaConfig": {"PostConfirmation": function("f:3")}}),
            "of an alias",
        ),
        (
            json!({"LambdaConfig": {
                "PreTokenGeneration": function("f"),
                "PreTokenGenerationConfig": {"LambdaVersion": "V1_0", "LambdaArn": function("g")},
            }}),
            "the same function",
        ),
        (
            json!({"VerificationMessageTemplate": message}),
            "cannot both be set",
        ),
        (
            json!({"VerificationMessageTemplate": {"EmailSubject": "Code"}}),
            "EmailSendingAccount is DEVELOPER",
        ),
        (
            json!({"EmailConfiguration": {"EmailSendingAccount": "DEVELOPER"}}),
            "SourceArn",
        ),
        (
            json!({"UserPoolAddOns": {"AdvancedSecurityMode": "AUDIT"}}),
            "FeatureUnavailableInTierException",
        ),
        (
            json!({"SchemaAttributes": []}),
            "does not model SchemaAttributes",
        ),
    ] {
        let refused = local.refused("UpdateUserPool", update).await;
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(local.cognito.settings(&local.pool.id), before);
}

#[tokio::test]
async fn given_an_import_under_way_when_the_pool_is_changed_then_it_is_refused() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        rows_per_second: Some(1),
        ..ImportKnobs::default()
    });
    let addresses: Vec<_> = (0..9).map(|i| format!("user{i}@e.jp")).collect();
    let file = importing::csv_of(&local, &addresses).await;
    let job = importing::create(&local).await;
    importing::upload(&local, &job, file)
        .await
        .expect("uploaded");
    let id = json!({"JobId": job["JobId"]});
    local.ok("StartUserImportJob", id.clone()).await;
    let attribute = json!({"CustomAttributes": [{"Name": "x", "AttributeDataType": "String"}]});

    let update = local.refused("UpdateUserPool", json!({})).await;
    let add = local
        .refused("AddCustomAttributes", attribute.clone())
        .await;
    local.ok("StopUserImportJob", id).await;
    importing::wait(&local, &job).await;

    for refused in [update, add] {
        let code = "UserImportInProgressException";
        assert!(refused.starts_with(code), "{refused}");
    }
    local.ok("UpdateUserPool", json!({})).await;
    local.ok("AddCustomAttributes", attribute).await;
}

#[tokio::test]
async fn given_custom_attributes_when_added_then_users_can_have_them() {
    let local = Local::new(email_pool());
    let add = |name: &str, kind: &str| json!({"CustomAttributes": [{"Name": name, "AttributeDataType": kind}]});
    local.ok("AddCustomAttributes", add("plan", "String")).await;

    for (body, words) in [
        (add("plan", "String"), "custom:plan already exists"),
        (add("a-name-of-21-letters-", "String"), "customAttributes"),
        (add("on", "Boolean"), "does not model Boolean"),
        (json!({"CustomAttributes": []}), "customAttributes"),
    ] {
        let refused = local.refused("AddCustomAttributes", body).await;
        assert!(refused.contains(words), "{refused}");
    }
    local.seed_with(
        UserStatus::Confirmed,
        &[("email", "a@e.jp"), ("custom:plan", "large")],
    );
    let header = local.ok("GetCSVHeader", json!({})).await["CSVHeader"].clone();
    let header = header.as_array().expect("a header");
    assert_eq!(header[header.len() - 3], "custom:plan");
}

#[tokio::test]
async fn given_mfa_when_turned_on_by_its_own_operation_then_sign_in_asks_for_it() {
    let local = Local::new(email_pool());
    local.confirmed("taro@e.jp").await;
    let set = |mfa: &str, enabled: bool| {
        let token = json!({"Enabled": enabled});
        json!({"MfaConfiguration": mfa, "SoftwareTokenMfaConfiguration": token})
    };
    for (body, words) in [
        (json!({"MfaConfiguration": "ON"}), "can't disable all MFAs"),
        (set("OPTIONAL", false), "can't disable all MFAs"),
        (set("OFF", true), "can't turn off MFA and configure an MFA"),
        (
            json!({"EmailMfaConfiguration": {}}),
            "does not model EmailMfaConfiguration",
        ),
    ] {
        let refused = local.refused("SetUserPoolMfaConfig", body).await;
        assert!(refused.contains(words), "{refused}");
    }

    local.ok("SetUserPoolMfaConfig", set("ON", true)).await;

    let answer = local.sign_in("taro@e.jp", PASSWORD).await.expect("served");
    assert_eq!(answer["ChallengeName"], "MFA_SETUP");
    let config = local.ok("GetUserPoolMfaConfig", json!({})).await;
    assert_eq!(config, set("ON", true));
    assert_eq!(described(&local).await["MfaConfiguration"], "ON");
    let request = unchanged(&local).await;
    local.ok("UpdateUserPool", request).await;
    assert_eq!(described(&local).await["MfaConfiguration"], "ON");
}

#[tokio::test]
async fn given_a_lost_authenticator_when_an_administrator_deletes_it_then_the_next_sign_in_sets_one_up()
 {
    let local = Local::new(mfa_pool());
    local.confirmed("taro@e.jp").await;
    local.sign_up("hana@e.jp").await;
    let setup = local.sign_in("taro@e.jp", PASSWORD).await.expect("served");
    let answer = local
        .ok(
            "AssociateSoftwareToken",
            json!({"Session": setup["Session"]}),
        )
        .await;
    let mut authenticator = Authenticator::new(text(&answer, "SecretCode"));
    let code = authenticator.next_code().expect("a code");
    let verify = json!({"Session": answer["Session"], "UserCode": code});
    local.ok("VerifySoftwareToken", verify).await;
    let challenge = async || {
        let answer = local.sign_in("taro@e.jp", PASSWORD).await;
        answer.expect("served")["ChallengeName"].clone()
    };
    assert_eq!(challenge().await, "SOFTWARE_TOKEN_MFA");

    let delete = |username: &str| json!({"Username": username});
    local
        .ok("AdminDeleteSoftwareToken", delete("taro@e.jp"))
        .await;

    assert_eq!(challenge().await, "MFA_SETUP");
    for (username, code) in [
        ("taro@e.jp", "ResourceNotFoundException"),
        ("hana@e.jp", "UserNotConfirmedException"),
        ("nobody@e.jp", "UserNotFoundException"),
    ] {
        let refused = local
            .refused("AdminDeleteSoftwareToken", delete(username))
            .await;
        assert!(refused.starts_with(code), "{refused}");
    }
}

#[tokio::test]
async fn given_many_clients_when_listed_then_each_is_on_one_page() {
    let local = Local::new(email_pool());
    for name in ["web", "phone"] {
        local
            .ok("CreateUserPoolClient", json!({"ClientName": name}))
            .await;
    }
    let mut names = BTreeSet::new();
    let mut body = json!({"MaxResults": 2});
    loop {
        let page = local.ok("ListUserPoolClients", body.clone()).await;
        for client in page["UserPoolClients"].as_array().expect("clients") {
            assert!(names.insert(text(client, "ClientName").to_owned()));
        }
        if page["NextToken"].is_null() {
            break;
        }
        body["NextToken"] = page["NextToken"].clone();
    }
    assert_eq!(names, ["app", "phone", "web"].map(str::to_owned).into());
}
