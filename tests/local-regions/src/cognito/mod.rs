//! The user pools of one region over Cognito's JSON protocol, in memory.
//!
//! It behaves as Cognito is documented to, including errors, limits and delays. It implements only what a replicated pool
//! needs: sign-up, sign-in with an authenticator app, tokens, recovery, administration, groups, listing and import. An operation or
//! a member of a request that is not implemented is an error and never ignored.
//!
//! Comments name their source. `facts <section>` is `docs/cognito-facts.md` of this repository, `botocore` AWS's service
//! model, and `DG:<page>` is `https://docs.aws.amazon.com/cognito/latest/developerguide/<page>.html`; `DG:import-tool` is
//! short for `DG:cognito-user-pools-using-import-tool`. `[D]` means documented, `[I]` means reported in an issue thread,
//! `[Inf]` means inferred, and `[R]` means recalled from such a source, but not read again when this was written.
//! Some pages were read in their edition of 2023, in github.com/awsdocs/amazon-cognito-developer-guide.

mod admin;
mod auth;
mod client_secret;
mod configuration;
mod editing;
mod error;
mod every_setting;
mod federation;
mod groups;
pub mod import_csv;
mod import_job;
mod keys;
mod knobs;
mod list_users;
mod mail;
mod mfa;
mod model;
mod own_account;
mod params;
mod password;
mod pool;
mod pools;
mod quota;
mod recovery;
mod schema;
mod session;
mod settings;
mod sign_up;
mod srp;
#[cfg(test)]
mod tests;
mod token_lifetimes;
mod token_trigger;
mod tokens;
mod trigger;
mod user;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use serde_json::{Value, json};

pub use editing::Editor;
pub use error::ApiError;
pub use groups::GroupView;
pub(crate) use import_job::ImportLog;
pub use knobs::{ImportKnobs, Knobs, Pages};
pub use password::PasswordPolicy;
pub use pool::Pool;
pub use quota::Category;
pub use settings::{
    Alias, AuthFlow, ClientSecret, ClientSettings, Contact, CustomAttribute, CustomKind, Mfa,
    PoolSettings, Recovery,
};
pub use token_lifetimes::TokenLifetimes;
pub use user::{SeedUser, UserStatus, UserView};

use crate::lambda::Lambda;
use auth::By;
use knobs::{Clock, Millis};
use mail::Mail;
use params::Params;
use password::PasswordHash;
use pool::PoolState;
use quota::Quotas;
use session::Sessions;
use user::{Moment, User, new_sub, parse_sub};

/// The user pools of one region. Clones are handles to the same pools.
#[derive(Clone)]
pub struct Cognito(Arc<Inner>);

/// One request whose signature has been checked if the operation needs one.
pub struct Call<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// The request's members.
    pub body: Value,
}

struct Inner {
    region: String,
    endpoint: String,
    lambda: Lambda,
    clock: Clock,
    knobs: Knobs,
    quotas: Quotas,
    /// The key that seals what only this region can read again: refresh tokens and page tokens.
    key: [u8; 32],
    pools: RwLock<HashMap<String, Arc<Mutex<PoolState>>>>,
    /// The pool of each app client.
    clients: RwLock<HashMap<String, String>>,
    mail: Mutex<Mail>,
    sessions: Mutex<Sessions>,
    /// Whether an import job is active.
    importing: Mutex<bool>,
}

/// The operations that Cognito serves without IAM credentials, whether they are implemented here or not.
// facts 11: `auth: smithy.api#noAuth` in botocore 1.44.5 [D].
const PUBLIC: [&str; 34] = [
    "AssociateSoftwareToken",
    "ChangePassword",
    "CompleteWebAuthnRegistration",
    "ConfirmDevice",
    "ConfirmForgotPassword",
    "ConfirmSignUp",
    "DeleteUser",
    "DeleteUserAttributes",
    "DeleteWebAuthnCredential",
    "ForgetDevice",
    "ForgotPassword",
    "GetDevice",
    "GetTokensFromRefreshToken",
    "GetUser",
    "GetUserAttributeVerificationCode",
    "GetUserAuthFactors",
    "GlobalSignOut",
    "InitiateAuth",
    "ListDevices",
    "ListUserSessions",
    "ListWebAuthnCredentials",
    "ResendConfirmationCode",
    "RespondToAuthChallenge",
    "RevokeToken",
    "RevokeUserSession",
    "SetUserMFAPreference",
    "SetUserSettings",
    "SignUp",
    "StartWebAuthnRegistration",
    "UpdateAuthEventFeedback",
    "UpdateDeviceStatus",
    "UpdateUserAttributes",
    "VerifySoftwareToken",
    "VerifyUserAttribute",
];

impl Cognito {
    /// A region without pools. `endpoint` is the base of pre-signed URLs; triggers run in `lambda`.
    pub fn new(region: &str, endpoint: &str, lambda: Lambda) -> Self {
        Self(Arc::new(Inner {
            region: region.to_owned(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            lambda,
            clock: Clock::default(),
            knobs: Knobs::default(),
            quotas: Quotas::default(),
            key: rand::random(),
            pools: RwLock::default(),
            clients: RwLock::default(),
            mail: Mutex::default(),
            sessions: Mutex::default(),
            importing: Mutex::default(),
        }))
    }

    /// Whether Cognito serves the operation without a signature.
    pub fn is_public(operation: &str) -> bool {
        PUBLIC.contains(&operation)
    }

    /// Creates a pool with one app client.
    pub fn create_pool(&self, settings: PoolSettings) -> Pool {
        self.0.add_pool(settings, true)
    }

    /// Attaches a Lambda function of this region to the pool as its PostConfirmation trigger.
    pub fn set_post_confirmation(&self, pool_id: &str, function: &str) {
        let arn = self.0.lambda.arn(function);
        self.state(pool_id, |pool| {
            pool.configuration["LambdaConfig"]["PostConfirmation"] = arn.into();
        });
    }

    /// Gives every setting of a pool that UpdateUserPool replaces a value that is not the default, except the name, MFA and
    /// the PostConfirmation trigger, which are not changed.
    pub fn set_every_setting(&self, pool_id: &str) {
        let mut every = every_setting::every_setting(&self.0.region);
        self.state(pool_id, |pool| {
            every["MfaConfiguration"] = pool.configuration["MfaConfiguration"].take();
            if let trigger @ Value::String(_) =
                &pool.configuration["LambdaConfig"]["PostConfirmation"]
            {
                every["LambdaConfig"]["PostConfirmation"] = trigger.clone();
            }
            pool.configure(every);
        });
    }

    /// The settings of a pool, by their names in UpdateUserPool.
    pub fn settings(&self, pool_id: &str) -> Value {
        self.state(pool_id, |pool| pool.configuration.clone())
    }

    /// The ARN of a pool.
    pub fn pool_arn(&self, pool_id: &str) -> String {
        self.state(pool_id, |pool| pool.arn.clone())
    }

    /// The public keys of the pool with this id.
    pub(crate) fn public_keys(&self, pool_id: &str) -> Option<Value> {
        let pool = self.0.pool(pool_id).ok()?;
        let keys = lock(&pool).keys.document();
        Some(keys)
    }

    /// The issuer of the tokens of the pool with this id.
    pub(crate) fn issuer(&self, pool_id: &str) -> Option<String> {
        let pool = self.0.pool(pool_id).ok()?;
        let issuer = lock(&pool).issuer();
        Some(issuer)
    }

    /// Whether there is a pool with this ARN.
    pub(crate) fn has_pool(&self, arn: &str) -> bool {
        let id = arn.rsplit('/').next().unwrap_or_default();
        let pool = self.0.pool(id);
        pool.is_ok_and(|pool| lock(&pool).arn == arn)
    }

    /// The ARN of the pool that a request is for. The request names the pool itself, a client, a token or a session.
    pub(crate) fn pool_of(&self, body: &Value) -> Option<String> {
        let inner = &self.0;
        let text = |member: &str| body[member].as_str();
        let pool = if let Some(id) = text("UserPoolId") {
            inner.pool(id).ok()?
        } else if let Some(client) = text("ClientId") {
            inner.client(client).ok()?.0
        } else if let Some(token) = text("AccessToken") {
            inner
                .pool(&inner.read_access_token(token).ok()?.pool_id)
                .ok()?
        } else {
            let session = inner.session(text("Session")?).ok()?;
            inner.pool(&session.pool_id).ok()?
        };
        let arn = lock(&pool).arn.clone();
        Some(arn)
    }

    /// Serves one request.
    pub async fn call(&self, call: Call<'_>) -> Result<Value, ApiError> {
        let Call { operation, body } = call;
        let Value::Object(body) = body else {
            return Err(ApiError::new(
                "SerializationException",
                "The request body is not a JSON object.",
            ));
        };
        let inner = &*self.0;
        if let Some(category) =
            Category::of(operation, body.get("ChallengeName").and_then(Value::as_str))
        {
            let pool = body.get("UserPoolId").and_then(Value::as_str);
            inner.quotas.take(category, operation, pool, &inner.knobs)?;
        }
        let p = Params::new(&body);
        match operation {
            "SignUp" => inner.sign_up(p),
            "ConfirmSignUp" => {
                let trigger = inner.confirm_sign_up(p)?;
                inner.run(trigger).await
            }
            "ResendConfirmationCode" => inner.resend_confirmation_code(p),
            "AdminConfirmSignUp" => {
                let trigger = inner.admin_confirm_sign_up(p)?;
                inner.run(trigger).await
            }
            "AdminCreateUser" => inner.admin_create_user(p),
            "AdminSetUserPassword" => inner.admin_set_user_password(p),
            "AdminGetUser" => inner.admin_get_user(p),
            "AdminUserGlobalSignOut" => inner.admin_user_global_sign_out(p),
            "AdminDeleteUser" => inner.admin_delete_user(p),
            "AdminDisableUser" => inner.admin_enable(p, false),
            "AdminEnableUser" => inner.admin_enable(p, true),
            "AdminDeleteSoftwareToken" => inner.admin_delete_software_token(p),
            "AdminUpdateUserAttributes" => inner.admin_update_user_attributes(p),
            "AdminDeleteUserAttributes" => inner.admin_delete_user_attributes(p),
            "AdminAddUserToGroup" => inner.admin_add_user_to_group(p),
            "AdminRemoveUserFromGroup" => inner.admin_remove_user_from_group(p),
            "AdminListGroupsForUser" => inner.admin_list_groups_for_user(p),
            "CreateGroup" => inner.create_group(p),
            "GetGroup" => inner.get_group(p),
            "UpdateGroup" => inner.update_group(p),
            "DeleteGroup" => inner.delete_group(p),
            "ListGroups" => inner.list_groups(p),
            "ListUsersInGroup" => inner.list_users_in_group(p),
            "ListUsers" => inner.list_users(p),
            "InitiateAuth" => inner.step(inner.initiate_auth(p, By::Person)?).await,
            "AdminInitiateAuth" => inner.step(inner.initiate_auth(p, By::Administrator)?).await,
            "RespondToAuthChallenge" => {
                let step = inner.respond_to_auth_challenge(p, By::Person)?;
                inner.step(step).await
            }
            "AdminRespondToAuthChallenge" => {
                let step = inner.respond_to_auth_challenge(p, By::Administrator)?;
                inner.step(step).await
            }
            "GetTokensFromRefreshToken" => {
                let grant = inner.get_tokens_from_refresh_token(p)?;
                let tokens = inner.issue(grant).await?;
                Ok(json!({"AuthenticationResult": tokens}))
            }
            "RevokeToken" => inner.revoke_token(p),
            "GlobalSignOut" => inner.global_sign_out(p),
            "ChangePassword" => inner.change_password(p),
            "UpdateUserAttributes" => inner.update_user_attributes(p),
            "DeleteUserAttributes" => inner.delete_user_attributes(p),
            "VerifyUserAttribute" => inner.verify_user_attribute(p),
            "SetUserMFAPreference" => inner.set_user_mfa_preference(p),
            "DeleteUser" => inner.delete_user(p),
            "AssociateSoftwareToken" => inner.associate_software_token(p),
            "VerifySoftwareToken" => inner.verify_software_token(p),
            "GetUser" => inner.get_user(p),
            "ForgotPassword" => inner.forgot_password(p),
            "ConfirmForgotPassword" => {
                let trigger = inner.confirm_forgot_password(p)?;
                inner.run(trigger).await
            }
            "DescribeUserPool" => inner.describe_user_pool(p),
            "DescribeUserPoolClient" => inner.describe_user_pool_client(p),
            "ListUserPools" => inner.list_user_pools(p),
            "CreateUserPool" => inner.create_user_pool(&body),
            "UpdateUserPool" => inner.update_user_pool(&body),
            "AddCustomAttributes" => inner.add_custom_attributes(&body),
            "GetUserPoolMfaConfig" => inner.get_user_pool_mfa_config(p),
            "SetUserPoolMfaConfig" => inner.set_user_pool_mfa_config(p),
            "ListUserPoolClients" => inner.list_user_pool_clients(p),
            "DescribeUserPoolDomain" => inner.describe_user_pool_domain(p),
            "ListIdentityProviders" => inner.list_identity_providers(p),
            "DescribeIdentityProvider" => inner.describe_identity_provider(p),
            "CreateUserPoolClient" => inner.create_user_pool_client(p),
            "GetCSVHeader" => inner.get_csv_header(p),
            "CreateUserImportJob" => inner.create_user_import_job(p),
            "StartUserImportJob" => self.start_user_import_job(p),
            "StopUserImportJob" => inner.stop_user_import_job(p),
            "DescribeUserImportJob" => inner.describe_user_import_job(p),
            "ListUserImportJobs" => inner.list_user_import_jobs(p),
            other => Err(ApiError::new(
                "UnknownOperationException",
                format!("Operation {other} is not known here."),
            )),
        }
    }

    /// Accepts the CSV that is uploaded to the pre-signed URL of an import job.
    pub async fn upload(
        &self,
        path_and_query: &str,
        headers: &hyper::HeaderMap,
        body: bytes::Bytes,
    ) -> Result<(), ApiError> {
        self.0.upload_csv(path_and_query, headers, body)
    }

    /// The codes and temporary passwords sent to an email address or phone number, oldest first.
    pub fn codes_sent_to(&self, destination: &str) -> Vec<String> {
        lock(&self.0.mail).codes(destination)
    }

    /// How many messages have been sent in total.
    pub fn messages_sent(&self) -> usize {
        lock(&self.0.mail).sent()
    }

    /// The lines that an import job wrote to CloudWatch Logs.
    pub fn import_log(&self, pool_id: &str, job_id: &str) -> Vec<String> {
        self.state(pool_id, |pool| {
            pool.jobs
                .get(job_id)
                .map(|job| job.log())
                .unwrap_or_default()
        })
    }

    /// The settings of the emulation that a test can change.
    pub fn knobs(&self) -> &Knobs {
        &self.0.knobs
    }

    /// Moves this region's clock forward, and with it the age of codes, tokens, sessions, pre-signed URLs and jobs.
    /// Authenticators still use the machine's clock, as people's phones do.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// Puts a user into a pool without an API call, and returns their `sub`.
    pub fn put_user(&self, pool_id: &str, seed: SeedUser) -> String {
        let now = self.0.clock.now();
        let sub = seed
            .sub
            .as_deref()
            .map_or_else(new_sub, |sub| parse_sub(sub).expect("a sub is a UUID"));
        self.state(pool_id, |pool| {
            let own_name =
                !pool.signs_in_by_contact() || seed.status == UserStatus::ExternalProvider;
            let username = seed.username.as_deref().filter(|_| own_name);
            let mut user = User::new(username, seed.status, now);
            user.enabled = seed.enabled;
            let own = seed.attributes.iter().filter(|(name, _)| *name != "sub");
            let writes: Vec<_> = own
                .map(|(name, value)| {
                    (
                        pool.schema
                            .id(name)
                            .expect("an attribute of the pool's schema"),
                        value,
                    )
                })
                .collect();
            user.attributes.write(&writes, false);
            if let Some(password) = &seed.password {
                let hash = PasswordHash::new(&pool.id, &user.name(sub), password);
                user.secrets_mut().password = Some(hash);
                if seed.status == UserStatus::ForceChangePassword {
                    let days = pool.settings.password_policy.temporary_days;
                    user.secrets_mut().temporary_until = Some(now + days * DAY);
                }
            }
            pool.put(sub, user, Moment { now, listed: now });
        });
        user::sub_text(sub)
    }

    /// The current state of a user, found by the same names as in AdminGetUser.
    pub fn user(&self, pool_id: &str, username: &str) -> Option<UserView> {
        self.state(pool_id, |pool| {
            pool.find(username).map(|(sub, user)| pool.view(sub, user))
        })
    }

    /// The current state of all users of a pool, in order of `sub`.
    pub fn users(&self, pool_id: &str) -> Vec<UserView> {
        self.state(pool_id, |pool| {
            pool.users
                .iter()
                .map(|(sub, user)| pool.view(sub, user))
                .collect()
        })
    }

    fn state<T>(&self, pool_id: &str, look: impl FnOnce(&mut PoolState) -> T) -> T {
        let pool = self.0.pool(pool_id).expect("a pool of this region");
        let mut pool = lock(&pool);
        look(&mut pool)
    }
}

impl fmt::Debug for Cognito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cognito")
            .field("region", &self.0.region)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn pool(&self, id: &str) -> Result<Arc<Mutex<PoolState>>, ApiError> {
        let pools = self
            .pools
            .read()
            .expect("no thread panicked while it held the lock");
        let pool = pools.get(id).cloned();
        pool.ok_or_else(|| ApiError::not_found(format!("User pool {id} does not exist.")))
    }

    /// A client and its pool.
    fn client(&self, id: &str) -> Result<(Arc<Mutex<PoolState>>, ClientSettings), ApiError> {
        let clients = self
            .clients
            .read()
            .expect("no thread panicked while it held the lock");
        let unknown = || ApiError::not_found(format!("User pool client {id} does not exist."));
        let pool = self.pool(clients.get(id).ok_or_else(unknown)?)?;
        let client = lock(&pool).clients.get(id).cloned().ok_or_else(unknown)?;
        Ok((pool, client))
    }

    /// The current time, and the time from which ListUsers shows a change that happens now.
    fn moment(&self) -> Moment {
        let now = self.clock.now();
        Moment {
            now,
            listed: now + self.knobs.list_lag().as_millis() as Millis,
        }
    }
}

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;

/// A time as the API writes it: seconds since 1970 with a fraction.
fn seconds(at: Millis) -> f64 {
    at as f64 / 1000.0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panicked while it held the lock")
}
