//! App clients with a secret.

use hmac::{Hmac, Mac};

use super::*;

fn hash(secret: &str, username: &str, client_id: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{username}{client_id}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn given_a_client_with_a_secret_when_called_then_only_the_right_hash_gets_through() {
    let local = Local::new(email_pool());
    let flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];
    let body = json!({"ClientName": "web", "GenerateSecret": true, "ExplicitAuthFlows": flows});
    let client = local.ok("CreateUserPoolClient", body).await["UserPoolClient"].clone();
    let (id, secret) = (text(&client, "ClientId"), text(&client, "ClientSecret"));
    let right = hash(secret, "taro@e.jp", id);
    let sign_up = |hash: Option<&str>| json!({"ClientId": id, "Username": "taro@e.jp", "Password": PASSWORD, "SecretHash": hash});
    let unverified =
        format!("NotAuthorizedException: Unable to verify secret hash for client {id}");

    for wrong in [None, Some("d3Jvbmc=")] {
        assert_eq!(local.refused("SignUp", sign_up(wrong)).await, unverified);
    }
    local.ok("SignUp", sign_up(Some(&right))).await;
    let code = local.last_code("taro@e.jp");
    let confirm = json!({"ClientId": id, "Username": "taro@e.jp", "ConfirmationCode": code});
    assert_eq!(
        local.refused("ConfirmSignUp", confirm.clone()).await,
        unverified
    );
    let mut confirm = confirm;
    confirm["SecretHash"] = right.as_str().into();
    local.ok("ConfirmSignUp", confirm).await;
    let forgot = json!({"ClientId": id, "Username": "taro@e.jp"});
    assert_eq!(local.refused("ForgotPassword", forgot).await, unverified);

    let sign_in = |hash: Option<&str>| {
        let mut parameters = json!({"USERNAME": "taro@e.jp", "PASSWORD": PASSWORD});
        if let Some(hash) = hash {
            parameters["SECRET_HASH"] = hash.into();
        }
        json!({"ClientId": id, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters})
    };
    assert_eq!(
        local.refused("InitiateAuth", sign_in(None)).await,
        format!(
            "NotAuthorizedException: Client {id} is configured with secret but SECRET_HASH was not received"
        )
    );
    assert_eq!(
        local
            .refused("InitiateAuth", sign_in(Some("d3Jvbmc=")))
            .await,
        format!("NotAuthorizedException: SecretHash does not match for the client: {id}")
    );
    let signed_in = local.ok("InitiateAuth", sign_in(Some(&right))).await;
    let tokens = &signed_in["AuthenticationResult"];

    let refresh = |secret: Option<&str>| json!({"ClientId": id, "RefreshToken": tokens["RefreshToken"], "ClientSecret": secret});
    let refusal = local
        .refused("GetTokensFromRefreshToken", refresh(None))
        .await;
    assert!(refusal.starts_with("NotAuthorizedException"), "{refusal}");
    local
        .ok("GetTokensFromRefreshToken", refresh(Some(secret)))
        .await;
    let revoke = json!({"ClientId": id, "Token": tokens["RefreshToken"], "ClientSecret": "wrong"});
    let refusal = local.refused("RevokeToken", revoke).await;
    assert!(refusal.starts_with("UnauthorizedException"), "{refusal}");
}

#[tokio::test]
async fn given_a_client_without_a_secret_when_called_with_a_hash_then_it_is_refused() {
    let local = Local::new(email_pool());
    let body = json!({"Username": "taro@e.jp", "Password": PASSWORD, "SecretHash": "d3Jvbmc="});
    let id = &local.pool.client_id;
    let refusal = local.refused("SignUp", body).await;
    assert_eq!(
        refusal,
        format!(
            "NotAuthorizedException: Client {id} is not configured for secret but secret hash was received"
        )
    );
}
