//! Sign-in with a password and an authenticator app.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::{Answer, ApiError};
use super::params::{CLIENT_ID, Params, SESSION, TOKEN, USER_CODE};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::session::{Session, Stage};
use super::settings::{ClientSettings, Mfa};
use super::sign_up::check_write_permissions;
use super::user::{Totp, User, UserStatus};
use super::{Inner, lock};
use crate::totp;

const FLOWS: [&str; 8] = [
    "USER_SRP_AUTH",
    "REFRESH_TOKEN_AUTH",
    "REFRESH_TOKEN",
    "CUSTOM_AUTH",
    "ADMIN_NO_SRP_AUTH",
    "USER_PASSWORD_AUTH",
    "ADMIN_USER_PASSWORD_AUTH",
    "USER_AUTH",
];

const CHALLENGES: [&str; 16] = [
    "SMS_MFA",
    "EMAIL_OTP",
    "SOFTWARE_TOKEN_MFA",
    "SELECT_MFA_TYPE",
    "MFA_SETUP",
    "PASSWORD_VERIFIER",
    "CUSTOM_CHALLENGE",
    "SELECT_CHALLENGE",
    "DEVICE_SRP_AUTH",
    "DEVICE_PASSWORD_VERIFIER",
    "ADMIN_NO_SRP_AUTH",
    "NEW_PASSWORD_REQUIRED",
    "SMS_OTP",
    "PASSWORD",
    "WEB_AUTHN",
    "PASSWORD_SRP",
];

// DG:managing-users-passwords: five failures lock the user out for a second, each further one for twice as long,
// up to about 15 minutes [R].
const FREE_FAILURES: u32 = 5;
const LONGEST_LOCK_MS: u64 = 900_000;

fn text<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Result<&'a str, ApiError> {
    let value = map.and_then(|map| map.get(name)).and_then(Value::as_str);
    value.ok_or_else(|| ApiError::invalid_parameter(format!("Missing required parameter {name}")))
}

/// Rejects parameters that no step of a sign-in reads.
fn only_read(given: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    let read = [
        "USERNAME",
        "PASSWORD",
        "NEW_PASSWORD",
        "SOFTWARE_TOKEN_MFA_CODE",
    ];
    let is_read = |key: &str| read.contains(&key) || key.starts_with("userAttributes.");
    match given.and_then(|given| given.keys().find(|key| !is_read(key))) {
        Some(key) => Err(ApiError::not_modelled(key)),
        None => Ok(()),
    }
}

// [R]
fn incorrect() -> ApiError {
    ApiError::not_authorized("Incorrect username or password.")
}

impl PoolState {
    fn check_password(&mut self, sub: u128, password: &str, now: u64) -> Result<(), ApiError> {
        let Some(secrets) = self.users.secrets(sub) else {
            return Err(incorrect());
        };
        if secrets.locked_until > now {
            // [R]
            return Err(ApiError::not_authorized("Password attempts exceeded"));
        }
        if secrets
            .password
            .as_ref()
            .is_some_and(|hash| hash.matches(password))
        {
            secrets.failed_sign_ins = 0;
            return Ok(());
        }
        secrets.failed_sign_ins += 1;
        if let Some(more) = secrets.failed_sign_ins.checked_sub(FREE_FAILURES) {
            secrets.locked_until = now + (1000_u64 << more.min(20)).min(LONGEST_LOCK_MS);
        }
        Err(incorrect())
    }

    /// Accepts a code of the user's authenticator, but only once.
    fn take_code(&mut self, sub: u128, code: &str) -> Result<(), ApiError> {
        let totp = self
            .users
            .secrets(sub)
            .and_then(|secrets| secrets.totp.as_mut());
        let Some(totp) = totp else {
            // [R]
            let text = "Software Token MFA has not been set up by the user.";
            return Err(ApiError::new("SoftwareTokenMFANotFoundException", text));
        };
        match totp::matching_step(&totp.secret, code, SystemTime::now()) {
            // [R]
            None => Err(ApiError::new(
                "CodeMismatchException",
                "Invalid code received for user",
            )),
            // That a code is valid only once, and the text, are [R].
            Some(step) if step <= totp.last_step => {
                let text = "Your software token has already been used once.";
                Err(ApiError::new("ExpiredCodeException", text))
            }
            Some(step) => {
                totp.last_step = step;
                Ok(())
            }
        }
    }
}

/// A verified authenticator replaces the previous one.
// facts 5 [D].
fn register(user: &mut User, secret: &str, code: &str) -> Result<(), ApiError> {
    let Some(step) = totp::matching_step(secret, code, SystemTime::now()) else {
        // The text: aws-samples/aws-amplify-auth-starters#15 [I].
        return Err(ApiError::new(
            "EnableSoftwareTokenMFAException",
            "Code mismatch and fail enable Software Token MFA",
        ));
    };
    let secrets = user.secrets_mut();
    secrets.pending_totp = None;
    secrets.totp = Some(Totp {
        secret: secret.to_owned(),
        last_step: step,
    });
    Ok(())
}

impl Inner {
    pub(super) fn initiate_auth(&self, mut p: Params<'_>) -> Answer {
        let flow = p.required_word("AuthFlow", &FLOWS);
        let client_id = p.required("ClientId", &CLIENT_ID);
        let given = p.map("AuthParameters");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        match flow {
            "USER_PASSWORD_AUTH" if client.user_password_auth => {}
            // The texts of these errors are [R].
            "USER_PASSWORD_AUTH" => {
                let text = "USER_PASSWORD_AUTH flow not enabled for this client";
                return Err(ApiError::invalid_parameter(text));
            }
            "ADMIN_NO_SRP_AUTH" | "ADMIN_USER_PASSWORD_AUTH" => {
                return Err(ApiError::invalid_parameter(
                    "Initiate Auth method not supported.",
                ));
            }
            other => {
                let message = format!("{other} is not enabled for the client.");
                return Err(ApiError::invalid_parameter(message));
            }
        }
        only_read(given)?;
        let (username, password) = (text(given, "USERNAME")?, text(given, "PASSWORD")?);
        let mut pool = lock(&pool);
        let now = self.clock.now();
        let Some((sub, user)) = pool.find(username) else {
            return Err(match client.prevent_user_existence_errors {
                true => incorrect(),
                false => ApiError::user_not_found(),
            });
        };
        let (status, enabled) = (user.status, user.enabled);
        if status == UserStatus::ResetRequired {
            // facts 1.10: which of the two depends on PreventUserExistenceErrors [D].
            return Err(match client.prevent_user_existence_errors {
                true => incorrect(),
                false => ApiError::new(
                    "PasswordResetRequiredException",
                    "Password reset required for the user",
                ),
            });
        }
        pool.check_password(sub, password, now)?;
        if !enabled {
            return Err(ApiError::disabled());
        }
        match status {
            UserStatus::Confirmed => Ok(self.after_password(&mut pool, client_id, sub)),
            UserStatus::Unconfirmed => Err(ApiError::new(
                "UserNotConfirmedException",
                "User is not confirmed.",
            )),
            UserStatus::ForceChangePassword => self.ask_new_password(&pool, client_id, sub),
            _ => Err(incorrect()),
        }
    }

    fn ask_new_password(&self, pool: &PoolState, client_id: &str, sub: u128) -> Answer {
        let user = pool.users.get(sub).ok_or_else(incorrect)?;
        let until = user.secrets().and_then(|secrets| secrets.temporary_until);
        if until.is_some_and(|until| until <= self.clock.now()) {
            // facts 3 [I].
            let text = "Temporary password has expired and must be reset by an administrator.";
            return Err(ApiError::not_authorized(text));
        }
        let own = user.attributes.iter();
        let attributes: Map<_, _> = own
            .map(|(id, value)| (pool.schema.name(id).to_owned(), value.into()))
            .collect();
        let missing = pool.schema.missing_required(&user.attributes);
        let missing: Vec<_> = missing
            .iter()
            .map(|name| format!("userAttributes.{name}"))
            .collect();
        let parameters = json!({
            "USER_ID_FOR_SRP": user.name(sub),
            "requiredAttributes": json!(missing).to_string(),
            "userAttributes": Value::from(attributes).to_string(),
        });
        Ok(self.challenge(pool, client_id, sub, Stage::NewPassword, parameters))
    }

    fn challenge(
        &self,
        pool: &PoolState,
        client_id: &str,
        sub: u128,
        stage: Stage,
        parameters: Value,
    ) -> Value {
        let name = match stage {
            Stage::NewPassword => "NEW_PASSWORD_REQUIRED",
            Stage::SoftwareToken => "SOFTWARE_TOKEN_MFA",
            Stage::MfaSetup | Stage::MfaAssociated(_) | Stage::MfaVerified => "MFA_SETUP",
        };
        let session = self.open_session(Session {
            pool_id: pool.id.clone(),
            client_id: client_id.to_owned(),
            sub,
            stage,
        });
        json!({"ChallengeName": name, "Session": session, "ChallengeParameters": parameters})
    }

    /// The step after a correct password: a code, the registration of an authenticator, or tokens.
    // facts 5; DG:user-pool-settings-mfa-totp [D]. In an OPTIONAL pool, everyone who has registered
    // an authenticator is asked for a code: the MFA preference, which is separate in Cognito, is not modelled.
    fn after_password(&self, pool: &mut PoolState, client_id: &str, sub: u128) -> Value {
        let user = pool.users.get(sub);
        let name = user.map(|user| user.name(sub)).unwrap_or_default();
        let has_totp = user.is_some_and(|user| user.totp().is_some());
        match pool.settings.mfa {
            Mfa::On | Mfa::Optional if has_totp => {
                let parameters = json!({"USER_ID_FOR_SRP": name});
                self.challenge(pool, client_id, sub, Stage::SoftwareToken, parameters)
            }
            Mfa::On => {
                let can = json!(["SOFTWARE_TOKEN_MFA"]).to_string();
                let parameters = json!({"USER_ID_FOR_SRP": name, "MFAS_CAN_SETUP": can});
                self.challenge(pool, client_id, sub, Stage::MfaSetup, parameters)
            }
            Mfa::Off | Mfa::Optional => self.signed_in(pool, client_id, sub, &name),
        }
    }

    fn signed_in(&self, pool: &mut PoolState, client_id: &str, sub: u128, username: &str) -> Value {
        let origin = Uuid::new_v4();
        if let Some(secrets) = pool.users.secrets(sub) {
            secrets.sign_ins.push(origin);
        }
        let tokens = self.tokens(&pool.id, client_id, sub, username, origin);
        json!({"ChallengeParameters": {}, "AuthenticationResult": tokens})
    }

    pub(super) fn respond_to_auth_challenge(&self, mut p: Params<'_>) -> Answer {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let challenge = p.required_word("ChallengeName", &CHALLENGES);
        let session_id = p.optional("Session", &SESSION);
        let given = p.map("ChallengeResponses");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        let session_id = session_id
            .ok_or_else(|| ApiError::invalid_parameter("Missing required parameter Session"))?;
        only_read(given)?;
        let username = text(given, "USERNAME")?;
        let session = self.session(session_id)?;
        let mut pool = lock(&pool);
        let Some((sub, user)) = pool.find(username) else {
            return Err(ApiError::invalid_session());
        };
        if session.client_id != client_id || session.sub != sub {
            return Err(ApiError::invalid_session());
        }
        if !user.enabled {
            return Err(ApiError::disabled());
        }
        let name = user.name(sub);
        match (challenge, session.stage) {
            ("NEW_PASSWORD_REQUIRED", Stage::NewPassword) => {
                self.set_new_password(&mut pool, &client, sub, given)?;
                self.close_session(session_id)?;
                Ok(self.after_password(&mut pool, client_id, sub))
            }
            ("SOFTWARE_TOKEN_MFA", Stage::SoftwareToken) => {
                pool.take_code(sub, text(given, "SOFTWARE_TOKEN_MFA_CODE")?)?;
                self.close_session(session_id)?;
                Ok(self.signed_in(&mut pool, client_id, sub, &name))
            }
            ("MFA_SETUP", Stage::MfaVerified) => {
                self.close_session(session_id)?;
                Ok(self.signed_in(&mut pool, client_id, sub, &name))
            }
            _ => Err(ApiError::invalid_session()),
        }
    }

    fn set_new_password(
        &self,
        pool: &mut PoolState,
        client: &ClientSettings,
        sub: u128,
        given: Option<&Map<String, Value>>,
    ) -> Result<(), ApiError> {
        let password = text(given, "NEW_PASSWORD")?;
        pool.settings.password_policy.check(password)?;
        let pairs = given.into_iter().flatten();
        let attributes: Vec<_> = pairs
            .filter_map(|(key, value)| {
                Some((key.strip_prefix("userAttributes.")?, value.as_str()?))
            })
            .collect();
        check_write_permissions(client, &attributes)?;
        let writes = pool.schema.checked_writes(&attributes, false)?;
        let mut user = pool
            .users
            .get(sub)
            .cloned()
            .ok_or_else(ApiError::invalid_session)?;
        user.attributes.write(&writes, true);
        if let Some(name) = pool.schema.missing_required(&user.attributes).first() {
            // [R]
            let message = format!("Invalid attributes given, {name} is missing");
            return Err(ApiError::invalid_parameter(message));
        }
        let at = self.moment();
        pool.claim_aliases(sub, &user, false, at)?;
        user.status = UserStatus::Confirmed;
        user.modified = at.now;
        let secrets = user.secrets_mut();
        secrets.password = Some(PasswordHash::new(password));
        secrets.temporary_until = None;
        pool.put(sub, user, at);
        Ok(())
    }

    pub(super) fn associate_software_token(&self, mut p: Params<'_>) -> Answer {
        let token = p.optional("AccessToken", &TOKEN);
        let session_id = p.optional("Session", &SESSION);
        p.check()?;
        let secret = totp::new_secret();
        match (token, session_id) {
            (Some(token), None) => {
                let (pool_id, sub) = self.access_token(token)?;
                let pool = self.pool(&pool_id)?;
                let mut pool = lock(&pool);
                pool.must_allow_totp()?;
                let secrets = pool
                    .users
                    .secrets(sub)
                    .ok_or_else(ApiError::user_not_found)?;
                secrets.pending_totp = Some(secret.clone());
                Ok(json!({"SecretCode": secret}))
            }
            (None, Some(session_id)) => {
                let session = self.session(session_id)?;
                lock(&*self.pool(&session.pool_id)?).must_allow_totp()?;
                if !matches!(session.stage, Stage::MfaSetup) {
                    return Err(ApiError::invalid_session());
                }
                self.close_session(session_id)?;
                let session = self.open_session(Session {
                    stage: Stage::MfaAssociated(secret.clone()),
                    ..session
                });
                Ok(json!({"SecretCode": secret, "Session": session}))
            }
            _ => Err(either_token_or_session()),
        }
    }

    pub(super) fn verify_software_token(&self, mut p: Params<'_>) -> Answer {
        let token = p.optional("AccessToken", &TOKEN);
        let session_id = p.optional("Session", &SESSION);
        let code = p.required("UserCode", &USER_CODE);
        p.check()?;
        let at = self.moment();
        match (token, session_id) {
            (Some(token), None) => {
                let (pool_id, sub) = self.access_token(token)?;
                let pool = self.pool(&pool_id)?;
                let mut pool = lock(&pool);
                pool.must_allow_totp()?;
                let mut user = pool
                    .users
                    .get(sub)
                    .cloned()
                    .ok_or_else(ApiError::user_not_found)?;
                let Some(secret) = user
                    .secrets()
                    .and_then(|secrets| secrets.pending_totp.clone())
                else {
                    // [Inf]
                    let text = "Software token has not been associated.";
                    return Err(ApiError::new("SoftwareTokenMFANotFoundException", text));
                };
                register(&mut user, &secret, code)?;
                pool.put(sub, user, at);
                Ok(json!({"Status": "SUCCESS"}))
            }
            (None, Some(session_id)) => {
                let session = self.session(session_id)?;
                let pool = self.pool(&session.pool_id)?;
                let mut pool = lock(&pool);
                let Stage::MfaAssociated(secret) = &session.stage else {
                    return Err(ApiError::invalid_session());
                };
                let mut user = pool
                    .users
                    .get(session.sub)
                    .cloned()
                    .ok_or_else(ApiError::user_not_found)?;
                register(&mut user, secret, code)?;
                self.close_session(session_id)?;
                pool.put(session.sub, user, at);
                let session = self.open_session(Session {
                    stage: Stage::MfaVerified,
                    ..session
                });
                Ok(json!({"Status": "SUCCESS", "Session": session}))
            }
            _ => Err(either_token_or_session()),
        }
    }

    pub(super) fn get_user(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        p.check()?;
        let (pool_id, sub) = self.access_token(token)?;
        let pool = self.pool(&pool_id)?;
        let pool = lock(&pool);
        let user = pool.users.get(sub).ok_or_else(ApiError::user_not_found)?;
        if !user.enabled {
            return Err(ApiError::disabled());
        }
        Ok(pool.profile(sub, user))
    }
}

impl PoolState {
    fn must_allow_totp(&self) -> Result<(), ApiError> {
        if self.settings.mfa != Mfa::Off {
            return Ok(());
        }
        // [R]
        let text = "Software Token MFA has not been enabled by the userPool";
        Err(ApiError::new("SoftwareTokenMFANotFoundException", text))
    }
}

// botocore AssociateSoftwareToken: "You can provide either an access token or a session ID" [D]; the text is [Inf].
fn either_token_or_session() -> ApiError {
    ApiError::invalid_parameter("Either AccessToken or Session must be given, and not both.")
}
