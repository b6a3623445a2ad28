//! Sign-in with a proof of the password: Secure Remote Password.

use super::*;

const TIME: &str = "Sat Sep 5 08:07:06 UTC 2026";
const INCORRECT: &str = "NotAuthorizedException: Incorrect username or password.";

/// A challenge, and what the client keeps for it.
async fn begin(local: &Local, username: &str) -> (Value, num_bigint::BigUint) {
    let (public_value, secret) = srp::client::begin();
    let parameters = json!({"USERNAME": username, "SRP_A": public_value});
    let body = json!({"AuthFlow": "USER_SRP_AUTH", "AuthParameters": parameters});
    (local.ok("InitiateAuth", body).await, secret)
}

#[tokio::test]
async fn given_a_password_when_proved_then_the_sign_in_goes_on_as_after_the_password_itself() {
    let local = Local::new(mfa_pool());
    let sub = local.confirmed("taro@e.jp").await;

    let (challenge, secret) = begin(&local, "taro@e.jp").await;
    let proof = local.proof(&challenge, &secret, PASSWORD, TIME);
    let next = local.ok("RespondToAuthChallenge", proof).await;

    assert_eq!(challenge["ChallengeName"], "PASSWORD_VERIFIER");
    assert_eq!(challenge["Session"], Value::Null);
    assert_eq!(challenge["ChallengeParameters"]["USERNAME"], sub);
    assert_eq!(next["ChallengeName"], "MFA_SETUP");

    let body = json!({"Username": "hana@e.jp", "MessageAction": "SUPPRESS", "TemporaryPassword": PASSWORD});
    local.ok("AdminCreateUser", body).await;
    let next = local.prove("hana@e.jp", PASSWORD).await.expect("a step");
    assert_eq!(next["ChallengeName"], "NEW_PASSWORD_REQUIRED");
}

#[tokio::test]
async fn given_an_administrator_when_proving_for_somebody_then_it_is_the_same() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let (public_value, secret) = srp::client::begin();
    let parameters = json!({"USERNAME": "taro@e.jp", "SRP_A": public_value});
    let client = local.pool.client_id.as_str();
    let body =
        json!({"ClientId": client, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": parameters});
    let challenge = local.ok("AdminInitiateAuth", body).await;
    let mut proof = local.proof(&challenge, &secret, PASSWORD, TIME);
    proof["ClientId"] = client.into();

    let signed_in = local.ok("AdminRespondToAuthChallenge", proof.clone()).await;

    assert!(signed_in["AuthenticationResult"]["IdToken"].is_string());
    proof["ClientId"] = "another".into();
    let refusal = local.refused("AdminRespondToAuthChallenge", proof).await;
    assert_eq!(
        refusal,
        "ResourceNotFoundException: User pool client another does not exist."
    );
}

#[tokio::test]
async fn given_proofs_that_prove_nothing_when_sent_then_all_are_the_same_refusal() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    local.seed("hana@e.jp", UserStatus::Confirmed);
    for wrong in ["password", "signature", "block", "user", "day", "twice"] {
        let (challenge, secret) = begin(&local, "taro@e.jp").await;
        let password = if wrong == "password" {
            "Wrong-Horse-1"
        } else {
            PASSWORD
        };
        let time = if wrong == "day" {
            "Sat Sep 05 08:07:06 UTC 2026"
        } else {
            TIME
        };
        let mut proof = local.proof(&challenge, &secret, password, time);
        let given = &mut proof["ChallengeResponses"];
        match wrong {
            "signature" => given["PASSWORD_CLAIM_SIGNATURE"] = "not base64!".into(),
            "block" => given["PASSWORD_CLAIM_SECRET_BLOCK"] = STANDARD.encode("block").into(),
            "user" => given["USERNAME"] = "hana@e.jp".into(),
            "twice" => {
                local.ok("RespondToAuthChallenge", proof.clone()).await;
            }
            _ => {}
        }
        let refusal = local.refused("RespondToAuthChallenge", proof).await;
        assert_eq!(refusal, INCORRECT, "{wrong}");
    }
    let (challenge, secret) = begin(&local, "taro@e.jp").await;
    let mut proof = local.proof(&challenge, &secret, PASSWORD, TIME);
    proof["ChallengeResponses"]["TIMESTAMP"] = "2026-09-05T08:07:06Z".into();
    assert_eq!(
        local.refused("RespondToAuthChallenge", proof).await,
        "InvalidParameterException: TIMESTAMP format should be EEE MMM d HH:mm:ss z yyyy in english."
    );
}

#[tokio::test]
async fn given_wrong_proofs_when_there_are_five_then_even_the_right_one_must_wait() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    for _ in 0..5 {
        let refusal = local.prove("taro@e.jp", "wrong").await.expect_err("wrong");
        assert_eq!(refusal.to_string(), INCORRECT);
    }
    let refusal = local
        .prove("taro@e.jp", PASSWORD)
        .await
        .expect_err("locked out");
    assert_eq!(refusal.message, "Password attempts exceeded");
    local.cognito.advance(Duration::from_secs(1));
    local.prove("taro@e.jp", PASSWORD).await.expect("tokens");
}

#[tokio::test]
async fn given_users_who_may_not_sign_in_when_they_prove_their_password_then_each_is_told_why() {
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
        ("c@e.jp", UserStatus::Compromised, "NotAuthorizedException"),
    ] {
        local.seed(email, status);
        let refusal = local.prove(email, PASSWORD).await.expect_err(wrong);
        assert_eq!(refusal.code, wrong);
    }
    local.seed("d@e.jp", UserStatus::Confirmed);
    local
        .ok("AdminDisableUser", json!({"Username": "d@e.jp"}))
        .await;
    let refusal = local.prove("d@e.jp", PASSWORD).await.expect_err("disabled");
    assert_eq!(refusal.message, "User is disabled.");
    let refusal = local
        .prove("nobody@e.jp", PASSWORD)
        .await
        .expect_err("nobody");
    assert_eq!(refusal.code, "UserNotFoundException");
    let body = json!({"AuthFlow": "USER_SRP_AUTH", "AuthParameters": {"USERNAME": "d@e.jp", "SRP_A": "0"}});
    let refusal = local.refused("InitiateAuth", body).await;
    assert!(
        refusal.starts_with("InvalidParameterException"),
        "{refusal}"
    );
}

#[tokio::test]
async fn given_a_client_that_hides_who_exists_when_nobody_proves_something_then_it_looks_like_a_wrong_password()
 {
    let mut settings = email_pool();
    settings.client.prevent_user_existence_errors = true;
    let local = Local::new(settings);
    local.seed("r@e.jp", UserStatus::ResetRequired);

    let (first, secret) = begin(&local, "nobody@e.jp").await;
    let (second, _) = begin(&local, "nobody@e.jp").await;
    let proof = local.proof(&first, &secret, PASSWORD, TIME);
    let refusal = local.refused("RespondToAuthChallenge", proof).await;

    let parameters = |challenge: &Value, name: &str| challenge["ChallengeParameters"][name].clone();
    for same in ["SALT", "USER_ID_FOR_SRP"] {
        assert_eq!(parameters(&first, same), parameters(&second, same));
    }
    assert_ne!(parameters(&first, "SRP_B"), parameters(&second, "SRP_B"));
    assert_eq!(refusal, INCORRECT);
    let refusal = local.prove("r@e.jp", PASSWORD).await.expect_err("reset");
    assert_eq!(refusal.to_string(), INCORRECT);
}

#[tokio::test]
async fn given_an_alias_pool_when_signing_in_then_the_alias_is_a_name_and_the_sub_is_none() {
    let local = Local::new(alias_pool());
    let body = json!({"Username": "taro", "Password": PASSWORD, "UserAttributes": attributes(&[("email", "taro@e.jp")])});
    let sub = local.ok("SignUp", body).await["UserSub"].clone();
    let code = local.last_code("taro@e.jp");
    let body = json!({"Username": "taro", "ConfirmationCode": code});
    local.ok("ConfirmSignUp", body).await;

    for name in ["taro", "taro@e.jp"] {
        let (challenge, secret) = begin(&local, name).await;
        assert_eq!(challenge["ChallengeParameters"]["USER_ID_FOR_SRP"], "taro");
        let proof = local.proof(&challenge, &secret, PASSWORD, TIME);
        local.ok("RespondToAuthChallenge", proof).await;
    }
    let sub = sub.as_str().expect("a sub");
    let refusal = local.prove(sub, PASSWORD).await.expect_err("no name");
    assert_eq!(refusal.code, "UserNotFoundException");
}

#[tokio::test]
async fn given_clients_that_do_not_allow_a_flow_when_it_is_tried_then_it_is_refused() {
    let local = Local::new(email_pool());
    local.seed("taro@e.jp", UserStatus::Confirmed);
    let body = json!({"ClientName": "none", "ExplicitAuthFlows": []});
    let client = local.ok("CreateUserPoolClient", body).await["UserPoolClient"]["ClientId"].clone();
    for (operation, flow, text) in [
        (
            "InitiateAuth",
            "USER_SRP_AUTH",
            "USER_SRP_AUTH is not enabled for the client.",
        ),
        (
            "AdminInitiateAuth",
            "USER_SRP_AUTH",
            "USER_SRP_AUTH is not enabled for the client.",
        ),
        (
            "InitiateAuth",
            "USER_PASSWORD_AUTH",
            "USER_PASSWORD_AUTH flow not enabled for this client",
        ),
        (
            "InitiateAuth",
            "REFRESH_TOKEN_AUTH",
            "Auth flow not enabled for this client",
        ),
        (
            "AdminInitiateAuth",
            "ADMIN_USER_PASSWORD_AUTH",
            "Auth flow not enabled for this client",
        ),
        (
            "InitiateAuth",
            "ADMIN_USER_PASSWORD_AUTH",
            "Initiate Auth method not supported.",
        ),
        (
            "AdminInitiateAuth",
            "USER_PASSWORD_AUTH",
            "Initiate Auth method not supported.",
        ),
    ] {
        let body = json!({"ClientId": client, "AuthFlow": flow, "AuthParameters": {"USERNAME": "taro@e.jp"}});
        let refusal = local.refused(operation, body).await;
        assert_eq!(refusal, format!("InvalidParameterException: {text}"));
    }
}
