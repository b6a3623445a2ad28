//! The pools as their callers see them, above all their errors.

mod administration;
mod client_secrets;
mod configuring;
mod editing;
mod grouping;
mod importing;
mod listing;
mod own_accounts;
mod proving;
mod recovering;
mod requests;
mod signing_in;
mod signing_up;
mod tokens;
mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::lambda::Function;
use crate::totp::Authenticator;

const ENDPOINT: &str = "http://127.0.0.1:4501";
const PASSWORD: &str = "Correct-Horse-1";

struct Local {
    cognito: Cognito,
    pool: Pool,
    /// The logs of functions, deleted with this value.
    _logs: tempfile::TempDir,
}

impl Local {
    fn new(settings: PoolSettings) -> Self {
        let logs = tempfile::tempdir().expect("a folder can be created");
        let lambda = Lambda::new("ap-northeast-1", ENDPOINT, logs.path().to_owned());
        let cognito = Cognito::new("ap-northeast-1", ENDPOINT, lambda);
        cognito.knobs().set_quotas(false);
        let pool = cognito.create_pool(settings);
        Self {
            cognito,
            pool,
            _logs: logs,
        }
    }

    /// Calls an operation; adds the pool or the client to the body if the operation needs it and it is missing.
    async fn call(&self, operation: &str, mut body: Value) -> Result<Value, ApiError> {
        let (member, id) = match Cognito::is_public(operation) {
            true => ("ClientId", &self.pool.client_id),
            false => ("UserPoolId", &self.pool.id),
        };
        let of_neither = [
            "CreateUserPool",
            "ListUserPools",
            "AssociateSoftwareToken",
            "VerifySoftwareToken",
            "GetUser",
            "GlobalSignOut",
            "ChangePassword",
            "UpdateUserAttributes",
            "DeleteUserAttributes",
            "VerifyUserAttribute",
            "SetUserMFAPreference",
            "DeleteUser",
        ];
        if !of_neither.contains(&operation) && body.get(member).is_none() {
            body[member] = id.as_str().into();
        }
        self.cognito.call(Call { operation, body }).await
    }

    async fn ok(&self, operation: &str, body: Value) -> Value {
        self.call(operation, body).await.expect(operation)
    }

    async fn refused(&self, operation: &str, body: Value) -> String {
        self.call(operation, body)
            .await
            .expect_err(operation)
            .to_string()
    }

    async fn sign_up(&self, email: &str) -> String {
        let body = json!({"Username": email, "Password": PASSWORD});
        let answer = self.ok("SignUp", body).await;
        answer["UserSub"].as_str().expect("a sub").to_owned()
    }

    fn last_code(&self, destination: &str) -> String {
        self.cognito
            .codes_sent_to(destination)
            .pop()
            .expect("a code was sent")
    }

    async fn confirmed(&self, email: &str) -> String {
        let sub = self.sign_up(email).await;
        let code = self.last_code(email);
        self.ok(
            "ConfirmSignUp",
            json!({"Username": email, "ConfirmationCode": code}),
        )
        .await;
        sub
    }

    async fn sign_in(&self, username: &str, password: &str) -> Result<Value, ApiError> {
        let parameters = json!({"USERNAME": username, "PASSWORD": password});
        let body = json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters});
        self.call("InitiateAuth", body).await
    }

    /// Signs in with a client of the pool that proves its password, and returns the response to the proof.
    async fn prove(&self, username: &str, password: &str) -> Result<Value, ApiError> {
        let (public_value, secret) = srp::client::begin();
        let parameters = json!({"USERNAME": username, "SRP_A": public_value});
        let body = json!({"AuthFlow": "USER_SRP_AUTH", "AuthParameters": parameters});
        let challenge = self.call("InitiateAuth", body).await?;
        let proof = self.proof(&challenge, &secret, password, "Sat Sep 5 08:07:06 UTC 2026");
        self.call("RespondToAuthChallenge", proof).await
    }

    /// The response of a client to a PASSWORD_VERIFIER challenge.
    fn proof(
        &self,
        challenge: &Value,
        secret: &num_bigint::BigUint,
        password: &str,
        time: &str,
    ) -> Value {
        let given = &challenge["ChallengeParameters"];
        let block = STANDARD
            .decode(text(given, "SECRET_BLOCK"))
            .expect("base64");
        let user_id = text(given, "USER_ID_FOR_SRP");
        let signature = srp::client::sign(
            secret,
            text(given, "SALT"),
            text(given, "SRP_B"),
            &self.pool.id,
            user_id,
            password,
            &block,
            time,
        );
        json!({
            "ChallengeName": "PASSWORD_VERIFIER",
            "ChallengeResponses": {
                "USERNAME": user_id,
                "PASSWORD_CLAIM_SECRET_BLOCK": given["SECRET_BLOCK"],
                "PASSWORD_CLAIM_SIGNATURE": signature,
                "TIMESTAMP": time,
            },
        })
    }

    /// Tokens of somebody whom the pool asks for no second factor.
    async fn tokens(&self, username: &str) -> Value {
        let signed_in = self.sign_in(username, PASSWORD).await.expect("tokens");
        signed_in["AuthenticationResult"].clone()
    }

    fn status(&self, username: &str) -> UserStatus {
        self.cognito
            .user(&self.pool.id, username)
            .expect("a user")
            .status
    }

    fn seed(&self, email: &str, status: UserStatus) -> String {
        let attributes = [("email", email), ("email_verified", "true")];
        self.seed_with(status, &attributes)
    }

    fn seed_with(&self, status: UserStatus, attributes: &[(&str, &str)]) -> String {
        let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let user = SeedUser {
            status,
            attributes: attributes.iter().map(pair).collect(),
            password: Some(PASSWORD.to_owned()),
            ..SeedUser::default()
        };
        self.cognito.put_user(&self.pool.id, user)
    }
}

fn email_pool() -> PoolSettings {
    PoolSettings {
        username_attributes: vec![Contact::Email],
        case_sensitive: false,
        auto_verified: vec![Contact::Email],
        recovery: vec![Recovery::VerifiedEmail],
        custom_attributes: vec![
            CustomAttribute::text("tenant"),
            CustomAttribute {
                mutable: false,
                ..CustomAttribute::text("origin_sub")
            },
        ],
        client: ClientSettings {
            prevent_user_existence_errors: false,
            ..ClientSettings::default()
        },
        ..PoolSettings::default()
    }
}

fn alias_pool() -> PoolSettings {
    PoolSettings {
        username_attributes: Vec::new(),
        alias_attributes: vec![Alias::Email, Alias::PreferredUsername],
        ..email_pool()
    }
}

fn mfa_pool() -> PoolSettings {
    PoolSettings {
        mfa: Mfa::On,
        ..email_pool()
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| json!({"Name": name, "Value": value}))
        .collect()
}

/// The claims of a token.
fn claims(token: &Value) -> Value {
    let claims = token.as_str().and_then(|token| token.split('.').nth(1));
    let claims = URL_SAFE_NO_PAD
        .decode(claims.expect("a JWT"))
        .expect("base64");
    serde_json::from_slice(&claims).expect("JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| unreachable!("{name} in {value}"))
}
