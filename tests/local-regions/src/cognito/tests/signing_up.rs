//! Sign-up and its confirmation.

use super::*;

#[tokio::test]
async fn given_a_sign_up_when_confirmed_by_its_code_then_the_user_is_confirmed_and_verified() {
    let local = Local::new(email_pool());
    let sub = local.sign_up("Taro@example.jp").await;
    assert_eq!(local.status(&sub), UserStatus::Unconfirmed);
    let confirm = |code: &str| json!({"Username": "taro@EXAMPLE.jp", "ConfirmationCode": code});
    let code = local.last_code("Taro@example.jp");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert!(
        local
            .refused("ConfirmSignUp", confirm(wrong))
            .await
            .starts_with("CodeMismatchException")
    );
    local.ok("ConfirmSignUp", confirm(&code)).await;
    let user = local.cognito.user(&local.pool.id, &sub).expect("a user");
    assert_eq!((user.username, user.status), (sub, UserStatus::Confirmed));
    assert_eq!(user.attributes["email_verified"], "true");
    assert_eq!(
        local.refused("ConfirmSignUp", confirm(&code)).await,
        "NotAuthorizedException: User cannot be confirmed. Current status is CONFIRMED"
    );
}

#[tokio::test]
async fn given_a_code_when_a_day_has_passed_or_it_was_guessed_too_often_then_it_is_no_good() {
    let local = Local::new(email_pool());
    local.sign_up("taro@e.jp").await;
    let body = json!({"Username": "taro@e.jp", "ConfirmationCode": local.last_code("taro@e.jp")});
    local.cognito.advance(Duration::from_secs(24 * 3600));
    assert!(
        local
            .refused("ConfirmSignUp", body.clone())
            .await
            .starts_with("ExpiredCodeException")
    );
    local
        .ok("ResendConfirmationCode", json!({"Username": "taro@e.jp"}))
        .await;
    for _ in 0..14 {
        local
            .refused(
                "ConfirmSignUp",
                json!({"Username": "taro@e.jp", "ConfirmationCode": "x"}),
            )
            .await;
    }
    let body = json!({"Username": "taro@e.jp", "ConfirmationCode": local.last_code("taro@e.jp")});
    assert!(
        local
            .refused("ConfirmSignUp", body)
            .await
            .starts_with("LimitExceededException")
    );
}

#[tokio::test]
async fn given_sign_ups_that_break_a_rule_when_sent_then_each_is_refused_for_it() {
    let local = Local::new(PoolSettings {
        required_attributes: vec!["name".to_owned()],
        ..email_pool()
    });
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let name = ("name", "T");
    for (username, password, given, refusal) in [
        (
            "TARO@e.jp",
            PASSWORD,
            vec![name],
            "UsernameExistsException: An account with the given email already exists.",
        ),
        (
            "taro",
            PASSWORD,
            vec![name],
            "InvalidParameterException: Username should be an email.",
        ),
        (
            "b@e.jp",
            "short",
            vec![name],
            "InvalidPasswordException: Password did not conform with policy: Password not long enough",
        ),
        (
            "b@e.jp",
            PASSWORD,
            vec![name, ("custom:x", "1"), ("custom:y", "1")],
            "InvalidParameterException: Attributes did not conform to the schema: custom:x: Attribute does not exist in \
             the schema.\ncustom:y: Attribute does not exist in the schema.\n",
        ),
        (
            "b@e.jp",
            PASSWORD,
            vec![],
            "InvalidParameterException: Attributes did not conform to the schema: name: The attribute is required\n",
        ),
        (
            "b@e.jp",
            PASSWORD,
            vec![name, ("email_verified", "true")],
            "NotAuthorizedException: A client attempted to write unauthorized attribute",
        ),
        (
            "b@e.jp",
            PASSWORD,
            vec![name, ("sub", "1")],
            "InvalidParameterException: Cannot modify the non-mutable attribute sub",
        ),
    ] {
        let body = json!({"Username": username, "Password": password, "UserAttributes": attributes(&given)});
        assert_eq!(local.refused("SignUp", body).await, refusal);
    }
    assert_eq!(local.cognito.messages_sent(), 0);
}

#[tokio::test]
async fn given_an_alias_pool_when_an_alias_is_taken_then_confirmation_is_refused_unless_forced() {
    let local = Local::new(alias_pool());
    let body = json!({"Username": "a@e.jp", "Password": PASSWORD});
    assert_eq!(
        local.refused("SignUp", body).await,
        "InvalidParameterException: Username cannot be of email format, since user pool is configured for email alias."
    );
    let sign_up = |name: &str| {
        let email = attributes(&[("email", "taro@e.jp")]);
        json!({"Username": name, "Password": PASSWORD, "UserAttributes": email})
    };
    local.ok("SignUp", sign_up("first")).await;
    let code = local.last_code("taro@e.jp");
    local
        .ok(
            "ConfirmSignUp",
            json!({"Username": "first", "ConfirmationCode": code}),
        )
        .await;
    assert_eq!(
        local.refused("SignUp", sign_up("first")).await,
        "UsernameExistsException: User already exists"
    );
    local.ok("SignUp", sign_up("second")).await;
    let mut confirm =
        json!({"Username": "second", "ConfirmationCode": local.last_code("taro@e.jp")});
    assert_eq!(
        local.refused("ConfirmSignUp", confirm.clone()).await,
        "AliasExistsException: An account with the email already exists."
    );
    confirm["ForceAliasCreation"] = true.into();
    local.ok("ConfirmSignUp", confirm).await;
    let found = local
        .cognito
        .user(&local.pool.id, "taro@e.jp")
        .expect("by alias");
    assert_eq!(found.username, "second");
    let former = local
        .cognito
        .user(&local.pool.id, "first")
        .expect("by name");
    assert_eq!(former.attributes["email_verified"], "false");
}
