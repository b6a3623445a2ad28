//! Sign-up and its confirmation by the person.

use serde_json::json;

use super::error::{Answer, ApiError};
use super::mail::{delivery, new_code};
use super::params::{
    CLIENT_ID, CONFIRMATION_CODE, PASSWORD, POOL_ID, Params, SECRET_HASH, USERNAME,
};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::schema::{EMAIL_VERIFIED, PHONE_VERIFIED};
use super::settings::{Alias, ClientSettings, Contact};
use super::trigger::{Source, Trigger, post_confirmation};
use super::user::{Code, User, UserStatus, new_sub, sub_text};
use super::{DAY, Inner, lock};

// DG:signing-up-users-in-your-app: a confirmation code is valid for 24 hours [D].
const CONFIRMATION_LIFE: u64 = DAY;

// facts 4: ConfirmSignUp at most 15 times an hour for each user [D].
const CONFIRMATIONS_PER_HOUR: u32 = 15;

/// Rejects attributes that a client may not write.
// DG:user-pool-settings-attributes: write permissions [D]; that people may not set their own contacts as verified is [R].
pub(super) fn check_write_permissions(
    client: &ClientSettings,
    given: &[(&str, &str)],
) -> Result<(), ApiError> {
    let may = |name: &str| match &client.write_attributes {
        _ if [EMAIL_VERIFIED, PHONE_VERIFIED].contains(&name) => false,
        Some(allowed) => allowed.iter().any(|known| known == name),
        None => true,
    };
    if given.iter().all(|(name, _)| may(name)) {
        return Ok(());
    }
    let text = "A client attempted to write unauthorized attribute";
    Err(ApiError::not_authorized(text))
}

impl PoolState {
    /// The attribute to which the code of a new user is sent: the phone number if the pool verifies it.
    // DG:signing-up-users-in-your-app: if a user has both, only the phone number gets a code [D].
    fn verified_by_code(&self, user: &User) -> Option<(Contact, String)> {
        let order = [Contact::PhoneNumber, Contact::Email];
        let wanted = order
            .into_iter()
            .filter(|contact| self.settings.auto_verified.contains(contact));
        let mut reachable = wanted.filter_map(|contact| {
            let value = self.schema.value(&user.attributes, contact.attribute())?;
            (!value.is_empty()).then(|| (contact, value.to_owned()))
        });
        reachable.next()
    }

    fn must_be_unconfirmed(&self, user: &User) -> Result<(), ApiError> {
        if user.status == UserStatus::Unconfirmed {
            return Ok(());
        }
        // facts 2 [I].
        let message = format!(
            "User cannot be confirmed. Current status is {}",
            user.status
        );
        Err(ApiError::not_authorized(message))
    }
}

impl Inner {
    pub(super) fn sign_up(&self, mut p: Params<'_>) -> Answer {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let username = p.required("Username", &USERNAME);
        let password = p.optional("Password", &PASSWORD);
        let given = p.attributes("UserAttributes");
        let hash = p.optional("SecretHash", &SECRET_HASH);
        // Both are for triggers that are not modelled.
        p.map("ClientMetadata");
        p.list("ValidationData");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        client.check_hash(client_id, username, hash)?;
        let mut pool = lock(&pool);
        if pool.settings.admin_create_only {
            // [R]
            return Err(ApiError::not_authorized(
                "SignUp is not permitted for this user pool",
            ));
        }
        check_write_permissions(&client, &given)?;
        let (contact, writes) = pool.creation_writes(username, &given)?;
        let preferred = given.iter().any(|(name, _)| *name == "preferred_username");
        if preferred
            && pool
                .settings
                .alias_attributes
                .contains(&Alias::PreferredUsername)
        {
            // facts 3: as an alias it can be set only after confirmation [D]; the text is [Inf].
            let text = "preferred_username cannot be set before the user is confirmed.";
            return Err(ApiError::invalid_parameter(text));
        }
        let at = self.moment();
        let sub = new_sub();
        let mut user = User::new(
            contact.is_none().then_some(username),
            UserStatus::Unconfirmed,
            at.now,
        );
        user.attributes.write(&writes, true);
        let missing = pool.schema.missing_required(&user.attributes);
        if !missing.is_empty() {
            let lines: String = missing
                .iter()
                .map(|name| format!("{name}: The attribute is required\n"))
                .collect();
            // [R]
            let message = format!("Attributes did not conform to the schema: {lines}");
            return Err(ApiError::invalid_parameter(message));
        }
        if pool.holder(sub, &user).is_some() {
            // [R]
            let text = match contact {
                Some(Contact::Email) => "An account with the given email already exists.",
                Some(Contact::PhoneNumber) => {
                    "An account with the given phone_number already exists."
                }
                None => "User already exists",
            };
            return Err(ApiError::new("UsernameExistsException", text));
        }
        // botocore SignUp: users may lack one in passwordless pools [D], which are not modelled; the text is [Inf].
        let password =
            password.ok_or_else(|| ApiError::invalid_parameter("Password is required."))?;
        pool.settings.password_policy.check(password)?;
        let hash = PasswordHash::new(&pool.id, &user.name(sub), password);
        user.secrets_mut().password = Some(hash);
        let mut answer = json!({"UserConfirmed": false, "UserSub": sub_text(sub)});
        if let Some((contact, destination)) = pool.verified_by_code(&user) {
            let code = new_code();
            lock(&self.mail).send(&destination, &code);
            user.secrets_mut().confirmation = Some(Code {
                digits: code,
                expires: at.now + CONFIRMATION_LIFE,
                proves: contact.verified(),
            });
            answer["CodeDeliveryDetails"] = delivery(contact.attribute(), &destination);
        }
        pool.put(sub, user, at);
        Ok(answer)
    }

    pub(super) fn resend_confirmation_code(&self, mut p: Params<'_>) -> Answer {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let username = p.required("Username", &USERNAME);
        let hash = p.optional("SecretHash", &SECRET_HASH);
        // It is for a trigger that is not modelled.
        p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        client.check_hash(client_id, username, hash)?;
        let mut pool = lock(&pool);
        let Some((sub, user)) = pool.find(username) else {
            return nobody(&client, username);
        };
        if user.status != UserStatus::Unconfirmed {
            // [R]
            return Err(ApiError::invalid_parameter("User is already confirmed."));
        }
        let Some((contact, destination)) = pool.verified_by_code(user) else {
            // [R]
            return Err(ApiError::invalid_parameter(
                "Auto verification not turned on.",
            ));
        };
        let code = new_code();
        lock(&self.mail).send(&destination, &code);
        let expires = self.clock.now() + CONFIRMATION_LIFE;
        let secrets = pool.users.secrets(sub).expect("the user was just found");
        secrets.confirmation = Some(Code {
            digits: code,
            expires,
            proves: contact.verified(),
        });
        Ok(json!({"CodeDeliveryDetails": delivery(contact.attribute(), &destination)}))
    }

    pub(super) fn confirm_sign_up(&self, mut p: Params<'_>) -> Result<Option<Trigger>, ApiError> {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let username = p.required("Username", &USERNAME);
        let code = p.required("ConfirmationCode", &CONFIRMATION_CODE);
        let force = p.flag("ForceAliasCreation");
        let hash = p.optional("SecretHash", &SECRET_HASH);
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        client.check_hash(client_id, username, hash)?;
        let mut pool = lock(&pool);
        let at = self.moment();
        let Some((sub, user)) = pool.find(username) else {
            // DG:cognito-user-pool-managing-errors: if the client hides whether a user exists, the error is an expired code
            // [R].
            return Err(if client.prevent_user_existence_errors {
                ApiError::expired_code()
            } else {
                ApiError::unknown_username()
            });
        };
        pool.must_be_unconfirmed(user)?;
        let secrets = pool.users.secrets(sub).expect("the user was just found");
        if !secrets
            .confirmation_tries
            .allow(at.now, CONFIRMATIONS_PER_HOUR)
        {
            return Err(ApiError::attempt_limit());
        }
        let sent = check_code(secrets.confirmation.as_ref(), code, at.now)?;
        let mut user = pool
            .users
            .get(sub)
            .cloned()
            .expect("the user was just found");
        let verified = pool.schema.id(sent.proves).expect("a standard attribute");
        user.status = UserStatus::Confirmed;
        user.modified = at.now;
        user.attributes.write(&[(verified, "true")], false);
        user.secrets_mut().confirmation = None;
        pool.claim_aliases(sub, &user, force, at)?;
        pool.put(sub, user, at);
        Ok(post_confirmation(
            &pool,
            &self.region,
            sub,
            Source::ConfirmSignUp,
            Some(client_id),
            metadata,
        ))
    }

    pub(super) fn admin_confirm_sign_up(
        &self,
        mut p: Params<'_>,
    ) -> Result<Option<Trigger>, ApiError> {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, user) = pool.must_find(username)?;
        pool.must_be_unconfirmed(user)?;
        pool.change(sub, self.moment(), |user| {
            user.status = UserStatus::Confirmed;
            user.secrets_mut().confirmation = None;
        });
        let source = Source::ConfirmSignUp;
        Ok(post_confirmation(
            &pool,
            &self.region,
            sub,
            source,
            None,
            metadata,
        ))
    }
}

/// The code that was sent, if the given one is the same.
pub(super) fn check_code(sent: Option<&Code>, given: &str, now: u64) -> Result<Code, ApiError> {
    match sent {
        None => Err(ApiError::expired_code()),
        Some(sent) if sent.expires <= now => Err(ApiError::expired_code()),
        Some(sent) if sent.digits != given => Err(ApiError::code_mismatch()),
        Some(sent) => Ok(sent.clone()),
    }
}

/// The response if no code is sent and the client must not learn whether the user exists.
// DG:cognito-user-pool-managing-errors: a simulated delivery [D].
pub(super) fn nobody(client: &ClientSettings, username: &str) -> Answer {
    if !client.prevent_user_existence_errors {
        return Err(ApiError::unknown_username());
    }
    let simulated = if username.contains('@') {
        username
    } else {
        "n@e"
    };
    Ok(json!({"CodeDeliveryDetails": delivery("email", simulated)}))
}
