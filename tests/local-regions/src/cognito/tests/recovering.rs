//! Recovery of forgotten passwords.

use super::*;

#[tokio::test]
async fn given_a_forgotten_password_when_the_code_is_right_then_a_new_one_is_set() {
    let local = Local::new(email_pool());
    for status in [UserStatus::Confirmed, UserStatus::ResetRequired] {
        let email = format!("{}@e.jp", status.as_str().to_lowercase());
        local.seed(&email, status);
        let sent = local.ok("ForgotPassword", json!({"Username": email})).await;
        assert_eq!(sent["CodeDeliveryDetails"]["AttributeName"], "email");
        let code = local.last_code(&email);
        let confirm = |code: &str, password: &str| json!({"Username": email, "ConfirmationCode": code, "Password": password});
        let refusal = local
            .refused("ConfirmForgotPassword", confirm("x", "Another-Horse-2"))
            .await;
        assert!(refusal.starts_with("CodeMismatchException"), "{refusal}");
        let refusal = local
            .refused("ConfirmForgotPassword", confirm(&code, "weak"))
            .await;
        assert!(refusal.starts_with("InvalidPasswordException"), "{refusal}");
        local
            .ok("ConfirmForgotPassword", confirm(&code, "Another-Horse-2"))
            .await;
        assert_eq!(local.status(&email), UserStatus::Confirmed);
        local
            .sign_in(&email, "Another-Horse-2")
            .await
            .expect("tokens");
        let refusal = local
            .refused("ConfirmForgotPassword", confirm(&code, "Another-Horse-2"))
            .await;
        assert!(refusal.starts_with("ExpiredCodeException"), "{refusal}");
    }
}

#[tokio::test]
async fn given_users_who_cannot_recover_when_they_ask_then_each_is_told_why() {
    let local = Local::new(email_pool());
    local.seed("force@e.jp", UserStatus::ForceChangePassword);
    local.seed_with(UserStatus::Confirmed, &[("email", "unverified@e.jp")]);
    local.seed("disabled@e.jp", UserStatus::Confirmed);
    local
        .ok("AdminDisableUser", json!({"Username": "disabled@e.jp"}))
        .await;
    for (email, refusal) in [
        (
            "force@e.jp",
            "NotAuthorizedException: User password cannot be reset in the current state.",
        ),
        (
            "unverified@e.jp",
            "InvalidParameterException: Cannot reset password for the user as there is no registered/verified email or \
             phone_number",
        ),
        ("disabled@e.jp", "NotAuthorizedException: User is disabled."),
        (
            "nobody@e.jp",
            "UserNotFoundException: Username/client id combination not found.",
        ),
    ] {
        assert_eq!(
            local
                .refused("ForgotPassword", json!({"Username": email}))
                .await,
            refusal
        );
    }
    assert_eq!(local.cognito.messages_sent(), 0);
}

#[tokio::test]
async fn given_a_client_that_hides_who_exists_when_nobody_can_recover_then_it_looks_like_success() {
    let mut settings = email_pool();
    settings.client.prevent_user_existence_errors = true;
    let local = Local::new(settings);
    local.seed("force@e.jp", UserStatus::ForceChangePassword);
    for email in ["force@e.jp", "nobody@e.jp"] {
        local.ok("ForgotPassword", json!({"Username": email})).await;
    }
    assert_eq!(local.cognito.messages_sent(), 0);
    let refusal = local
        .sign_in("nobody@e.jp", PASSWORD)
        .await
        .expect_err("nobody");
    assert_eq!(refusal.message, "Incorrect username or password.");
}

#[tokio::test]
async fn given_recovery_codes_when_late_or_asked_for_too_often_then_they_are_refused() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let ask = json!({"Username": "taro@e.jp"});
    local.ok("ForgotPassword", ask.clone()).await;
    let code = local.last_code("taro@e.jp");
    local.cognito.advance(Duration::from_secs(3600));
    let confirm =
        json!({"Username": "taro@e.jp", "ConfirmationCode": code, "Password": "Another-Horse-2"});
    let refusal = local.refused("ConfirmForgotPassword", confirm).await;
    assert!(refusal.starts_with("ExpiredCodeException"), "{refusal}");
    for _ in 0..4 {
        local.ok("ForgotPassword", ask.clone()).await;
    }
    let refusal = local.refused("ForgotPassword", ask.clone()).await;
    assert_eq!(
        refusal,
        "LimitExceededException: Attempt limit exceeded, please try after some time."
    );
    local.cognito.advance(Duration::from_secs(3600));
    local.ok("ForgotPassword", ask).await;
}

#[tokio::test]
async fn given_recovery_by_administrators_only_when_asked_for_then_it_is_refused() {
    let local = Local::new(PoolSettings {
        recovery: vec![Recovery::AdminOnly],
        ..email_pool()
    });
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let refusal = local
        .refused("ForgotPassword", json!({"Username": "taro@e.jp"}))
        .await;
    assert!(refusal.starts_with("NotAuthorizedException"), "{refusal}");
}
