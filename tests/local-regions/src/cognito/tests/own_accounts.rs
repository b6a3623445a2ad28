//! What people do with their own account.

use super::*;

#[tokio::test]
async fn given_a_person_when_they_change_their_password_then_only_the_new_one_is_good() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let token = local.tokens("taro@e.jp").await["AccessToken"].clone();
    let body = |former: &str, new: &str| json!({"AccessToken": token, "PreviousPassword": former, "ProposedPassword": new});

    for (former, new, wrong) in [
        ("Wrong-Horse-1", "Another-Horse-2", "NotAuthorizedException"),
        (PASSWORD, "weak", "InvalidPasswordException"),
    ] {
        let refusal = local.refused("ChangePassword", body(former, new)).await;
        assert!(refusal.starts_with(wrong), "{refusal}");
    }
    local
        .ok("ChangePassword", body(PASSWORD, "Another-Horse-2"))
        .await;

    local
        .prove("taro@e.jp", "Another-Horse-2")
        .await
        .expect("tokens");
    local
        .prove("taro@e.jp", PASSWORD)
        .await
        .expect_err("the old one");
}

#[tokio::test]
async fn given_a_person_when_they_change_their_address_then_a_code_verifies_it() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let token = local.tokens("taro@e.jp").await["AccessToken"].clone();
    let body = json!({"AccessToken": token, "UserAttributes": attributes(&[("email", "new@e.jp"), ("custom:tenant", "t1")])});
    let answer = local.ok("UpdateUserAttributes", body).await;
    assert_eq!(
        answer["CodeDeliveryDetailsList"][0]["AttributeName"],
        "email"
    );
    let verify = |code: &str| json!({"AccessToken": token, "AttributeName": "email", "Code": code});
    let code = local.last_code("new@e.jp");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let refusal = local.refused("VerifyUserAttribute", verify(wrong)).await;
    assert!(refusal.starts_with("CodeMismatchException"), "{refusal}");
    local.ok("VerifyUserAttribute", verify(&code)).await;
    let refusal = local.refused("VerifyUserAttribute", verify(&code)).await;
    assert!(refusal.starts_with("ExpiredCodeException"), "{refusal}");

    let body = json!({"AccessToken": token, "UserAttributeNames": ["custom:tenant"]});
    local.ok("DeleteUserAttributes", body).await;
    let user = local
        .cognito
        .user(&local.pool.id, "new@e.jp")
        .expect("a user");
    assert_eq!(user.attributes["email_verified"], "true");
    assert!(!user.attributes.contains_key("custom:tenant"));
    let body =
        json!({"AccessToken": token, "UserAttributes": attributes(&[("email_verified", "true")])});
    let refusal = local.refused("UpdateUserAttributes", body).await;
    assert!(refusal.starts_with("NotAuthorizedException"), "{refusal}");
}

#[tokio::test]
async fn given_a_person_when_they_delete_their_account_then_their_token_finds_nobody() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let token = json!({"AccessToken": local.tokens("taro@e.jp").await["AccessToken"]});

    local.ok("DeleteUser", token.clone()).await;

    assert!(local.cognito.user(&local.pool.id, "taro@e.jp").is_none());
    let refusal = local.refused("GetUser", token).await;
    assert!(refusal.starts_with("UserNotFoundException"), "{refusal}");
}

#[tokio::test]
async fn given_a_preference_for_an_authenticator_when_there_is_none_then_it_is_refused() {
    let local = Local::new(PoolSettings {
        mfa: Mfa::Optional,
        ..email_pool()
    });
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let token = local.tokens("taro@e.jp").await["AccessToken"].clone();
    let body = json!({"AccessToken": token, "SoftwareTokenMfaSettings": {"Enabled": true, "PreferredMfa": true}});
    assert_eq!(
        local.refused("SetUserMFAPreference", body.clone()).await,
        "InvalidParameterException: User has not verified software token mfa"
    );
    let answer = local
        .ok("AssociateSoftwareToken", json!({"AccessToken": token}))
        .await;
    let code = Authenticator::new(text(&answer, "SecretCode")).next_code();
    let verify = json!({"AccessToken": token, "UserCode": code, "FriendlyDeviceName": "phone"});
    local.ok("VerifySoftwareToken", verify).await;
    local.ok("SetUserMFAPreference", body).await;
    let refusal = local
        .refused("SetUserMFAPreference", json!({"AccessToken": token}))
        .await;
    assert!(
        refusal.starts_with("InvalidParameterException"),
        "{refusal}"
    );
}
