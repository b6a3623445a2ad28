//! Sign-in: passwords, authenticators, sessions and tokens.

use super::*;

#[tokio::test]
async fn given_required_mfa_when_a_user_first_signs_in_then_an_authenticator_must_be_registered() {
    let local = Local::new(mfa_pool());
    local.confirmed("taro@e.jp").await;
    let challenge = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect("a challenge");
    assert_eq!(challenge["ChallengeName"], "MFA_SETUP");
    let parameters = &challenge["ChallengeParameters"];
    assert_eq!(parameters["MFAS_CAN_SETUP"], r#"["SOFTWARE_TOKEN_MFA"]"#);
    let first = text(&challenge, "Session");
    let associated = local
        .ok("AssociateSoftwareToken", json!({"Session": first}))
        .await;
    assert_eq!(
        local
            .refused("AssociateSoftwareToken", json!({"Session": first}))
            .await,
        "NotAuthorizedException: Invalid session for the user."
    );
    let mut phone = Authenticator::new(text(&associated, "SecretCode"));
    let session = text(&associated, "Session");
    let respond = |session: &str| json!({"ChallengeName": "MFA_SETUP", "Session": session, "ChallengeResponses": {"USERNAME": "taro@e.jp"}});
    let refusal = local
        .refused("RespondToAuthChallenge", respond(session))
        .await;
    assert!(refusal.starts_with("NotAuthorizedException"), "{refusal}");
    let code = phone.next_code().expect("a code");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let verify = |code: &str| json!({"Session": session, "UserCode": code});
    assert_eq!(
        local.refused("VerifySoftwareToken", verify(wrong)).await,
        "EnableSoftwareTokenMFAException: Code mismatch and fail enable Software Token MFA"
    );
    let verified = local.ok("VerifySoftwareToken", verify(&code)).await;
    assert_eq!(verified["Status"], "SUCCESS");
    let signed_in = local
        .ok(
            "RespondToAuthChallenge",
            respond(text(&verified, "Session")),
        )
        .await;
    let token = text(&signed_in["AuthenticationResult"], "AccessToken");
    let user = local.ok("GetUser", json!({"AccessToken": token})).await;
    assert_eq!(user["UserMFASettingList"], json!(["SOFTWARE_TOKEN_MFA"]));

    let challenge = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect("a challenge");
    assert_eq!(challenge["ChallengeName"], "SOFTWARE_TOKEN_MFA");
    let answer = |code: &str| {
        let responses = json!({"USERNAME": "taro@e.jp", "SOFTWARE_TOKEN_MFA_CODE": code});
        json!({"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": challenge["Session"], "ChallengeResponses": responses})
    };
    let refusal = local.refused("RespondToAuthChallenge", answer(wrong)).await;
    assert!(refusal.starts_with("CodeMismatchException"), "{refusal}");
    assert_eq!(
        local.refused("RespondToAuthChallenge", answer(&code)).await,
        "ExpiredCodeException: Your software token has already been used once."
    );
    let code = phone.next_code().expect("another code");
    local.ok("RespondToAuthChallenge", answer(&code)).await;
}

#[tokio::test]
async fn given_a_session_or_a_token_when_its_time_has_passed_then_it_is_no_good() {
    let local = Local::new(mfa_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let challenge = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect("a challenge");
    local.cognito.advance(Duration::from_secs(180));
    let refusal = local
        .refused(
            "AssociateSoftwareToken",
            json!({"Session": challenge["Session"]}),
        )
        .await;
    assert!(refusal.contains("session is expired"), "{refusal}");
    let refusal = local
        .refused("GetUser", json!({"AccessToken": "a.b.c"}))
        .await;
    assert_eq!(refusal, "NotAuthorizedException: Invalid Access Token");

    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let signed_in = local.sign_in("taro@e.jp", PASSWORD).await.expect("tokens");
    let token = json!({"AccessToken": signed_in["AuthenticationResult"]["AccessToken"]});
    local.ok("GetUser", token.clone()).await;
    let refusal = local.refused("AssociateSoftwareToken", token.clone()).await;
    assert!(
        refusal.starts_with("SoftwareTokenMFANotFoundException"),
        "{refusal}"
    );
    local.cognito.advance(Duration::from_secs(3600));
    let refusal = local.refused("GetUser", token).await;
    assert_eq!(refusal, "NotAuthorizedException: Access Token has expired");
}

#[tokio::test]
async fn given_users_who_may_not_sign_in_when_they_try_then_each_is_told_why() {
    let local = Local::new(email_pool());
    for (email, status, wrong) in [
        (
            "u@e.jp",
            UserStatus::Unconfirmed,
            "UserNotConfirmedException",
        ),
        (
            "r@e.jp",
            UserStatus::ResetRequired,
            "PasswordResetRequiredException",
        ),
        (
            "x@e.jp",
            UserStatus::ExternalProvider,
            "NotAuthorizedException",
        ),
        ("c@e.jp", UserStatus::Compromised, "NotAuthorizedException"),
    ] {
        local.seed(email, status);
        let refusal = local.sign_in(email, PASSWORD).await.expect_err(wrong);
        assert_eq!(refusal.code, wrong);
    }
    local.seed("d@e.jp", UserStatus::Confirmed);
    local
        .ok("AdminDisableUser", json!({"Username": "d@e.jp"}))
        .await;
    let refusal = local
        .sign_in("d@e.jp", PASSWORD)
        .await
        .expect_err("disabled");
    assert_eq!(refusal.message, "User is disabled.");
    let refusal = local
        .sign_in("nobody@e.jp", PASSWORD)
        .await
        .expect_err("nobody");
    assert_eq!(refusal.code, "UserNotFoundException");
    for flow in ["CUSTOM_AUTH", "USER_AUTH", "ADMIN_USER_PASSWORD_AUTH"] {
        let body = json!({"AuthFlow": flow, "AuthParameters": {"USERNAME": "d@e.jp"}});
        assert!(
            local
                .refused("InitiateAuth", body)
                .await
                .starts_with("InvalidParameterException")
        );
    }
}

#[tokio::test]
async fn given_wrong_passwords_when_there_are_five_then_even_the_right_one_must_wait() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    for _ in 0..5 {
        let refusal = local
            .sign_in("taro@e.jp", "wrong")
            .await
            .expect_err("wrong");
        assert_eq!(refusal.message, "Incorrect username or password.");
    }
    let refusal = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect_err("locked out");
    assert_eq!(refusal.message, "Password attempts exceeded");
    local.cognito.advance(Duration::from_secs(1));
    local.sign_in("taro@e.jp", PASSWORD).await.expect("tokens");
}

#[tokio::test]
async fn given_a_temporary_password_when_used_then_a_new_one_is_demanded_until_it_expires() {
    let local = Local::new(email_pool());
    let body = json!({"Username": "taro@e.jp", "MessageAction": "SUPPRESS", "TemporaryPassword": PASSWORD});
    local.ok("AdminCreateUser", body).await;
    let challenge = local
        .sign_in("taro@e.jp", PASSWORD)
        .await
        .expect("a challenge");
    assert_eq!(challenge["ChallengeName"], "NEW_PASSWORD_REQUIRED");
    let respond = |password: &str| {
        let responses = json!({"USERNAME": "taro@e.jp", "NEW_PASSWORD": password});
        json!({"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": challenge["Session"], "ChallengeResponses": responses})
    };
    let refusal = local
        .refused("RespondToAuthChallenge", respond("weak"))
        .await;
    assert!(refusal.starts_with("InvalidPasswordException"), "{refusal}");
    let signed_in = local
        .ok("RespondToAuthChallenge", respond("Another-Horse-2"))
        .await;
    assert!(signed_in["AuthenticationResult"]["AccessToken"].is_string());
    assert_eq!(local.status("taro@e.jp"), UserStatus::Confirmed);

    let body = json!({"Username": "hana@e.jp", "MessageAction": "SUPPRESS", "TemporaryPassword": PASSWORD});
    local.ok("AdminCreateUser", body).await;
    local.cognito.advance(Duration::from_secs(7 * 24 * 3600));
    let refusal = local
        .sign_in("hana@e.jp", PASSWORD)
        .await
        .expect_err("expired");
    assert!(
        refusal
            .message
            .starts_with("Temporary password has expired")
    );
}

#[tokio::test]
async fn given_tokens_when_the_user_is_signed_out_or_disabled_then_they_are_revoked_and_new_ones_are_not()
 {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    let nobody = json!({"Username": "nobody@e.jp"});
    assert!(
        local
            .refused("AdminUserGlobalSignOut", nobody)
            .await
            .starts_with("UserNotFoundException")
    );
    for operation in ["AdminUserGlobalSignOut", "AdminDisableUser"] {
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let signed_in = local.sign_in(&sub, PASSWORD).await.expect("tokens");
            let token = signed_in["AuthenticationResult"]["AccessToken"].clone();
            tokens.push(json!({"AccessToken": token}));
            local.ok("GetUser", tokens[0].clone()).await;
        }
        local.ok(operation, json!({"Username": sub})).await;
        local.ok("AdminEnableUser", json!({"Username": sub})).await;
        for token in tokens {
            assert_eq!(
                local.refused("GetUser", token).await,
                "NotAuthorizedException: Access Token has been revoked"
            );
        }
    }
}
