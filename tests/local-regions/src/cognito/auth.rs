//! Sign-in with a password or a proof of it, and an authenticator app.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::error::{Answer, ApiError};
use super::params::{CLIENT_ID, DEVICE_NAME, POOL_ID, Params, SESSION, TOKEN, USER_CODE};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::session::{Session, Stage};
use super::settings::{AuthFlow, ClientSettings, Mfa};
use super::sign_up::check_write_permissions;
use super::srp::{Exchange, canonical_timestamp};
use super::token_trigger::TokenSource;
use super::tokens::Grant;
use super::user::{Totp, User, UserStatus, sub_text};
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

// DG:amazon-cognito-user-pools-authentication-flow: five failures lock the user out for a second, each further one for twice as long,
// up to about 15 minutes [D]. That a right password ends the count is [Inf].
const FREE_FAILURES: u32 = 5;
const LONGEST_LOCK_MS: u64 = 900_000;

fn text<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Result<&'a str, ApiError> {
    let value = map.and_then(|map| map.get(name)).and_then(Value::as_str);
    value.ok_or_else(|| ApiError::invalid_parameter(format!("Missing required parameter {name}")))
}

/// Rejects parameters that no step of a sign-in reads.
// Some clients send more than a step needs, and Cognito takes that: pycognito at NEW_PASSWORD_REQUIRED, and amazon-cognito-identity-js
// the code of an authenticator as SMS_MFA_CODE too [I].
fn only_read(given: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    let read = [
        "USERNAME",
        "PASSWORD",
        "NEW_PASSWORD",
        "SOFTWARE_TOKEN_MFA_CODE",
        "SMS_MFA_CODE",
        "SECRET_HASH",
        "REFRESH_TOKEN",
        "SRP_A",
        "PASSWORD_CLAIM_SECRET_BLOCK",
        "PASSWORD_CLAIM_SIGNATURE",
        "TIMESTAMP",
    ];
    let is_read = |key: &str| read.contains(&key) || key.starts_with("userAttributes.");
    match given.and_then(|given| given.keys().find(|key| !is_read(key))) {
        Some(key) => Err(ApiError::not_modelled(key)),
        None => Ok(()),
    }
}

/// Who signs somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The person, with the operations that need no IAM credentials.
    Person,
    /// A back end, with those that do.
    Administrator,
}

/// The result of one step of a sign-in.
pub(super) enum Step {
    Challenge(Value),
    Tokens(Grant),
}

/// The sign-in that a step belongs to.
struct Attempt<'a> {
    pool: &'a Arc<Mutex<PoolState>>,
    client: &'a ClientSettings,
    client_id: &'a str,
    metadata: Option<&'a Map<String, Value>>,
}

impl Attempt<'_> {
    fn tokens(&self, sub: u128, source: TokenSource) -> Step {
        Step::Tokens(Grant {
            pool: self.pool.clone(),
            client_id: self.client_id.to_owned(),
            sub,
            source,
            metadata: self.metadata.cloned(),
            refreshed: None,
        })
    }

    fn check_hash(
        &self,
        username: &str,
        given: Option<&Map<String, Value>>,
    ) -> Result<(), ApiError> {
        let hash = given.and_then(|given| given.get("SECRET_HASH"));
        self.client
            .check_sign_in_hash(self.client_id, username, hash.and_then(Value::as_str))
    }
}

/// Rejects a flow that the client does not allow, or that is for the other kind of caller.
fn check_flow(flow: &str, by: By, client: &ClientSettings) -> Result<(), ApiError> {
    let allows = |flow: AuthFlow| client.flows.contains(&flow);
    // The texts: that about the method is in soto-cognito-authentication-kit#10 [I], the others are [R].
    let text = match (flow, by) {
        ("USER_SRP_AUTH", _) if allows(AuthFlow::UserSrp) => return Ok(()),
        ("USER_PASSWORD_AUTH", By::Person) if allows(AuthFlow::UserPassword) => return Ok(()),
        ("USER_PASSWORD_AUTH", By::Person) => {
            "USER_PASSWORD_AUTH flow not enabled for this client".to_owned()
        }
        ("ADMIN_NO_SRP_AUTH" | "ADMIN_USER_PASSWORD_AUTH", By::Administrator)
            if allows(AuthFlow::AdminUserPassword) =>
        {
            return Ok(());
        }
        ("REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN", _) if allows(AuthFlow::RefreshToken) => {
            return Ok(());
        }
        ("ADMIN_NO_SRP_AUTH" | "ADMIN_USER_PASSWORD_AUTH", By::Person)
        | ("USER_PASSWORD_AUTH", By::Administrator) => {
            "Initiate Auth method not supported.".to_owned()
        }
        ("USER_SRP_AUTH", _) => "USER_SRP_AUTH is not enabled for the client.".to_owned(),
        ("ADMIN_NO_SRP_AUTH" | "ADMIN_USER_PASSWORD_AUTH", By::Administrator)
        | ("REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN", _) => {
            "Auth flow not enabled for this client".to_owned()
        }
        (other, _) => format!("{other} is not enabled for the client."),
    };
    Err(ApiError::invalid_parameter(text))
}

fn unconfirmed() -> ApiError {
    ApiError::new("UserNotConfirmedException", "User is not confirmed.")
}

// [R]
fn incorrect() -> ApiError {
    ApiError::not_authorized("Incorrect username or password.")
}

impl PoolState {
    pub(super) fn check_password(
        &mut self,
        sub: u128,
        password: &str,
        now: u64,
    ) -> Result<(), ApiError> {
        let Some(user) = self.users.get(sub) else {
            return Err(incorrect());
        };
        let hash = user.secrets().and_then(|secrets| secrets.password.as_ref());
        let right = hash.is_some_and(|hash| hash.matches(&self.id, &user.name(sub), password));
        self.count_proof(sub, right, now)
    }

    /// Counts a proof of a password, right or wrong, and rejects wrong ones and those that come too early after them.
    fn count_proof(&mut self, sub: u128, right: bool, now: u64) -> Result<(), ApiError> {
        let Some(secrets) = self.users.secrets(sub) else {
            return Err(incorrect());
        };
        if secrets.locked_until > now {
            // DG:amazon-cognito-user-pools-authentication-flow: the text, and that attempts in that time do not count [D].
            return Err(ApiError::not_authorized("Password attempts exceeded"));
        }
        if right {
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
    /// The client of a sign-in and its pool, which an administrator names too.
    fn attempted(
        &self,
        pool_id: Option<&str>,
        client_id: &str,
    ) -> Result<(Arc<Mutex<PoolState>>, ClientSettings), ApiError> {
        if let Some(pool_id) = pool_id {
            let pool = self.pool(pool_id)?;
            if !lock(&pool).clients.contains_key(client_id) {
                let message = format!("User pool client {client_id} does not exist.");
                return Err(ApiError::not_found(message));
            }
        }
        self.client(client_id)
    }

    /// The response to one step of a sign-in.
    pub(super) async fn step(&self, step: Step) -> Answer {
        match step {
            Step::Challenge(challenge) => Ok(challenge),
            Step::Tokens(grant) => {
                let tokens = self.issue(grant).await?;
                Ok(json!({"ChallengeParameters": {}, "AuthenticationResult": tokens}))
            }
        }
    }

    pub(super) fn initiate_auth(&self, mut p: Params<'_>, by: By) -> Result<Step, ApiError> {
        let flow = p.required_word("AuthFlow", &FLOWS);
        let client_id = p.required("ClientId", &CLIENT_ID);
        let pool_id = (by == By::Administrator).then(|| p.required("UserPoolId", &POOL_ID));
        let given = p.map("AuthParameters");
        // DG:user-pool-lambda-pre-token-generation: that trigger does not get the metadata of this operation [D], except at a refresh [R];
        // the triggers that do are not modelled.
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.attempted(pool_id, client_id)?;
        check_flow(flow, by, &client)?;
        only_read(given)?;
        let attempt = Attempt {
            pool: &pool,
            client: &client,
            client_id,
            metadata: None,
        };
        if let "REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN" = flow {
            let token = text(given, "REFRESH_TOKEN")?;
            let (username, grant) = self.refresh(&pool, client_id, token, metadata)?;
            attempt.check_hash(&username, given)?;
            return Ok(Step::Tokens(grant));
        }
        let username = text(given, "USERNAME")?;
        attempt.check_hash(username, given)?;
        let mut pool = lock(&pool);
        let found = pool.find_to_sign_in(username);
        if found.is_none() && !client.prevent_user_existence_errors {
            return Err(ApiError::user_not_found());
        }
        let found = found.map(|(sub, user)| (sub, user.status));
        if let Some((_, UserStatus::ResetRequired)) = found {
            // facts 1.10: which of the two depends on PreventUserExistenceErrors [D]. In a SRP sign-in too, InitiateAuth refuses it
            // (aws-sdk-android#1377) [I].
            return Err(match client.prevent_user_existence_errors {
                true => incorrect(),
                false => ApiError::new(
                    "PasswordResetRequiredException",
                    "Password reset required for the user",
                ),
            });
        }
        if flow == "USER_SRP_AUTH" {
            let public_value = text(given, "SRP_A")?;
            return self.ask_proof(&pool, client_id, username, public_value);
        }
        let password = text(given, "PASSWORD")?;
        let Some((sub, status)) = found else {
            return Err(incorrect());
        };
        if status == UserStatus::Unconfirmed {
            // ministack#1758, measured: before the password is checked [I].
            return Err(unconfirmed());
        }
        pool.check_password(sub, password, self.clock.now())?;
        self.after_password(&mut pool, &attempt, sub)
    }

    /// Asks the client to prove that it knows the password, without sending it.
    // ministack#1758 and floci#1316, measured: the parameters, and no Session [I].
    fn ask_proof(
        &self,
        pool: &PoolState,
        client_id: &str,
        username: &str,
        public_value: &str,
    ) -> Result<Step, ApiError> {
        let known = pool.find_to_sign_in(username).and_then(|(sub, user)| {
            let hash = user.secrets()?.password.clone()?;
            Some((sub, user.name(sub), hash))
        });
        let exists = known.is_some();
        // DG:cognito-user-pool-managing-errors: for a user who does not exist the challenge is simulated, always with the same salt and
        // the same user id in the form of a UUID [D].
        let (sub, user_id, hash) = known.unwrap_or_else(|| {
            let seed = self.mac(&[
                b"nobody",
                pool.id.as_bytes(),
                pool.fold(username).as_bytes(),
            ]);
            let (id, _) = seed.split_first_chunk().expect("a hash is longer");
            let sub = u128::from_be_bytes(*id);
            let hash = PasswordHash::simulated(&seed);
            (sub, sub_text(sub), hash)
        });
        let exchange = Exchange::answer(public_value, hash.private_value());
        // [Inf]
        let exchange =
            exchange.ok_or_else(|| ApiError::invalid_parameter("Invalid SRP_A given."))?;
        let parameters = json!({
            "SALT": hash.salt(),
            "SRP_B": exchange.public_value(),
            "USERNAME": user_id,
            "USER_ID_FOR_SRP": user_id,
        });
        let stage = Stage::Password(exists.then(|| Box::new(exchange)));
        let mut challenge = self.challenge(pool, client_id, sub, stage, parameters);
        let session = challenge["Session"].take();
        let block = STANDARD.encode(session.as_str().unwrap_or_default());
        challenge["ChallengeParameters"]["SECRET_BLOCK"] = block.into();
        if let Some(members) = challenge.as_object_mut() {
            members.remove("Session");
        }
        Ok(Step::Challenge(challenge))
    }

    /// Checks the proof of a client that it knows the password.
    fn check_proof(
        &self,
        pool: &mut PoolState,
        attempt: &Attempt<'_>,
        given: Option<&Map<String, Value>>,
    ) -> Result<Step, ApiError> {
        let username = text(given, "USERNAME")?;
        let block = text(given, "PASSWORD_CLAIM_SECRET_BLOCK")?;
        let signature = text(given, "PASSWORD_CLAIM_SIGNATURE")?;
        let timestamp = text(given, "TIMESTAMP")?;
        // amazon-cognito-identity-js#683 [I].
        let timestamp = canonical_timestamp(timestamp).ok_or_else(|| {
            ApiError::invalid_parameter(
                "TIMESTAMP format should be EEE MMM d HH:mm:ss z yyyy in english.",
            )
        })?;
        // ministack#1758, measured: all of the following are the same error [I].
        let block = STANDARD.decode(block).map_err(|_| incorrect())?;
        let id = std::str::from_utf8(&block).map_err(|_| incorrect())?;
        let session = self.session(id).map_err(|_| incorrect())?;
        let Stage::Password(exchange) = &session.stage else {
            return Err(incorrect());
        };
        // That each challenge is for one proof only is [Inf].
        self.close_session(id).map_err(|_| incorrect())?;
        let found = pool.find(username).filter(|(sub, _)| *sub == session.sub);
        let (Some((sub, user)), Some(exchange)) = (found, exchange) else {
            return Err(incorrect());
        };
        if session.pool_id != pool.id || session.client_id != attempt.client_id {
            return Err(incorrect());
        }
        let status = user.status;
        let wanted = exchange.signature(&pool.id, &user.name(sub), &block, &timestamp);
        pool.count_proof(sub, wanted == signature, self.clock.now())?;
        match status {
            // That it comes after the proof is [Inf].
            UserStatus::Unconfirmed => Err(unconfirmed()),
            _ => self.after_password(pool, attempt, sub),
        }
    }

    /// The step after a correct password, or after the proof of it.
    fn after_password(
        &self,
        pool: &mut PoolState,
        attempt: &Attempt<'_>,
        sub: u128,
    ) -> Result<Step, ApiError> {
        let user = pool.users.get(sub).ok_or_else(incorrect)?;
        if !user.enabled {
            return Err(ApiError::disabled());
        }
        match user.status {
            UserStatus::Confirmed => {
                Ok(self.second_factor(pool, attempt, sub, TokenSource::Authentication))
            }
            UserStatus::ForceChangePassword => self.ask_new_password(pool, attempt.client_id, sub),
            _ => Err(incorrect()),
        }
    }

    fn ask_new_password(
        &self,
        pool: &PoolState,
        client_id: &str,
        sub: u128,
    ) -> Result<Step, ApiError> {
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
        let challenge = self.challenge(pool, client_id, sub, Stage::NewPassword, parameters);
        Ok(Step::Challenge(challenge))
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
            Stage::Password(_) => "PASSWORD_VERIFIER",
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

    /// The step after a password that is no temporary one: a code, the registration of an authenticator, or tokens.
    // facts 5; DG:user-pool-settings-mfa-totp [D]. In an OPTIONAL pool, everyone who has registered
    // an authenticator is asked for a code: the MFA preference, which is separate in Cognito, is not modelled.
    fn second_factor(
        &self,
        pool: &PoolState,
        attempt: &Attempt<'_>,
        sub: u128,
        source: TokenSource,
    ) -> Step {
        let user = pool.users.get(sub);
        let name = user.map(|user| user.name(sub)).unwrap_or_default();
        let has_totp = user.is_some_and(|user| user.totp().is_some());
        let client_id = attempt.client_id;
        match pool.settings.mfa {
            Mfa::On | Mfa::Optional if has_totp => {
                let parameters = json!({"USER_ID_FOR_SRP": name});
                let stage = Stage::SoftwareToken;
                Step::Challenge(self.challenge(pool, client_id, sub, stage, parameters))
            }
            Mfa::On => {
                let can = json!(["SOFTWARE_TOKEN_MFA"]).to_string();
                let parameters = json!({"USER_ID_FOR_SRP": name, "MFAS_CAN_SETUP": can});
                let stage = Stage::MfaSetup;
                Step::Challenge(self.challenge(pool, client_id, sub, stage, parameters))
            }
            Mfa::Off | Mfa::Optional => attempt.tokens(sub, source),
        }
    }

    pub(super) fn respond_to_auth_challenge(
        &self,
        mut p: Params<'_>,
        by: By,
    ) -> Result<Step, ApiError> {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let pool_id = (by == By::Administrator).then(|| p.required("UserPoolId", &POOL_ID));
        let challenge = p.required_word("ChallengeName", &CHALLENGES);
        let session_id = p.optional("Session", &SESSION);
        let given = p.map("ChallengeResponses");
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.attempted(pool_id, client_id)?;
        only_read(given)?;
        let attempt = Attempt {
            pool: &pool,
            client: &client,
            client_id,
            metadata,
        };
        let username = text(given, "USERNAME")?;
        attempt.check_hash(username, given)?;
        let mut pool = lock(&pool);
        if challenge == "PASSWORD_VERIFIER" {
            return self.check_proof(&mut pool, &attempt, given);
        }
        let session_id = session_id
            .ok_or_else(|| ApiError::invalid_parameter("Missing required parameter Session"))?;
        let session = self.session(session_id)?;
        let Some((sub, user)) = pool.find(username) else {
            return Err(ApiError::invalid_session());
        };
        if session.client_id != client_id || session.sub != sub {
            return Err(ApiError::invalid_session());
        }
        if !user.enabled {
            return Err(ApiError::disabled());
        }
        match (challenge, session.stage) {
            ("NEW_PASSWORD_REQUIRED", Stage::NewPassword) => {
                self.set_new_password(&mut pool, &client, sub, given)?;
                self.close_session(session_id)?;
                let source = TokenSource::NewPasswordChallenge;
                Ok(self.second_factor(&pool, &attempt, sub, source))
            }
            ("SOFTWARE_TOKEN_MFA", Stage::SoftwareToken) => {
                pool.take_code(sub, text(given, "SOFTWARE_TOKEN_MFA_CODE")?)?;
                self.close_session(session_id)?;
                Ok(attempt.tokens(sub, TokenSource::Authentication))
            }
            ("MFA_SETUP", Stage::MfaVerified) => {
                self.close_session(session_id)?;
                Ok(attempt.tokens(sub, TokenSource::Authentication))
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
        let hash = PasswordHash::new(&pool.id, &user.name(sub), password);
        let secrets = user.secrets_mut();
        secrets.password = Some(hash);
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
        // botocore VerifySoftwareToken: a name for the authenticator, which no response shows [D].
        p.optional("FriendlyDeviceName", &DEVICE_NAME);
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
