//! The operations of an administrator on one user.

use serde_json::json;

use super::error::{Answer, ApiError};
use super::params::{PASSWORD, POOL_ID, Params, USERNAME};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::settings::{Alias, Contact};
use super::user::{Moment, User, UserStatus, new_sub};
use super::{DAY, Inner, lock, seconds};

impl PoolState {
    /// The attribute to which an invitation is sent: the requested medium, or else one that the user has.
    // botocore AdminCreateUser: DesiredDeliveryMediums, the default is SMS [D]; email if there is no phone number [Inf].
    fn invited_at(&self, user: &User, mediums: &[&str]) -> Option<String> {
        let value = |contact: Contact| self.schema.value(&user.attributes, contact.attribute());
        let (email, phone) = (value(Contact::Email), value(Contact::PhoneNumber));
        let chosen = match mediums {
            [] => phone.or(email),
            mediums if mediums.contains(&"EMAIL") => email,
            _ => phone,
        };
        chosen.map(str::to_owned)
    }

    /// Rejects a preferred username that is an alias for a user who is not confirmed.
    // amplify-js#1669; that AdminCreateUser answers the same is [Inf] (facts N11.4).
    pub(super) fn check_preferred_username(
        &self,
        status: UserStatus,
        given: &[(&str, &str)],
    ) -> Result<(), ApiError> {
        let is_given = given.iter().any(|(name, _)| *name == "preferred_username");
        let aliases = &self.settings.alias_attributes;
        if is_given
            && aliases.contains(&Alias::PreferredUsername)
            && status != UserStatus::Confirmed
        {
            return Err(ApiError::invalid_parameter(
                "Preferred username cannot be provided for unconfirmed account, since user pool is configured for \
                 preferred username alias.",
            ));
        }
        Ok(())
    }

    /// Disables or enables a user.
    // botocore AdminDisableUser: it "revokes all access tokens for the user" [D].
    pub(super) fn enable(&mut self, sub: u128, enabled: bool, at: Moment) {
        self.change(sub, at, |user| user.enabled = enabled);
        if !enabled {
            self.sign_out(sub);
        }
    }

    /// Revokes all tokens of a user.
    pub(super) fn sign_out(&mut self, sub: u128) {
        if let Some(secrets) = self.users.secrets(sub) {
            secrets.sign_ins.clear();
        }
    }

    fn set_temporary_password(&self, sub: u128, user: &mut User, password: &str, now: u64) {
        let days = self.settings.password_policy.temporary_days;
        user.status = UserStatus::ForceChangePassword;
        let hash = PasswordHash::new(&self.id, &user.name(sub), password);
        let secrets = user.secrets_mut();
        secrets.password = Some(hash);
        secrets.temporary_until = Some(now + days * DAY);
    }
}

impl Inner {
    pub(super) fn admin_create_user(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let given = p.attributes("UserAttributes");
        let password = p.optional("TemporaryPassword", &PASSWORD);
        let force = p.flag("ForceAliasCreation");
        let action = p.word("MessageAction", &["RESEND", "SUPPRESS"]);
        let mediums = p.texts("DesiredDeliveryMediums").unwrap_or_default();
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let at = self.moment();
        let made_up = || pool.settings.password_policy.make_temporary();
        let password = password.map_or_else(made_up, str::to_owned);
        if action == Some("RESEND") {
            let (sub, user) = pool.must_find(username)?;
            if user.status != UserStatus::ForceChangePassword {
                // botocore AdminCreateUser lists the exception [D]; the text is [Inf].
                let message = format!("Resend not possible. Current status is {}", user.status);
                return Err(ApiError::new("UnsupportedUserStateException", message));
            }
            pool.settings.password_policy.check(&password)?;
            let mut user = user.clone();
            pool.set_temporary_password(sub, &mut user, &password, at.now);
            user.modified = at.now;
            if let Some(destination) = pool.invited_at(&user, &mediums) {
                lock(&self.mail).send(&destination, &password);
            }
            let answer = pool.user_type(sub, &user);
            pool.put(sub, user, at);
            return Ok(json!({"User": answer}));
        }
        let reported = self.knobs.reported_refusals();
        let unknown = given
            .iter()
            .find(|(name, _)| pool.schema.id(name).is_none());
        if let Some((name, _)) = unknown.filter(|_| reported) {
            // facts N11.1: names one attribute at a time [I].
            let message = format!(
                "Attributes did not conform to the schema: Type for attribute {{{name}}} could not be determined"
            );
            return Err(ApiError::invalid_parameter(message));
        }
        let (contact, writes) = pool.creation_writes(username, &given)?;
        pool.check_preferred_username(UserStatus::ForceChangePassword, &given)?;
        let sub = new_sub();
        let mut user = User::new(
            contact.is_none().then_some(username),
            UserStatus::ForceChangePassword,
            at.now,
        );
        user.attributes.write(&writes, true);
        pool.check_verified(&user)?;
        for (medium, contact) in [("EMAIL", Contact::Email), ("SMS", Contact::PhoneNumber)] {
            let attribute = contact.attribute();
            if mediums.contains(&medium) && pool.schema.value(&user.attributes, attribute).is_none()
            {
                // botocore AdminCreateUser: the medium needs its attribute [D]; the text is [Inf].
                let message = format!("{attribute} is required to deliver by {medium}.");
                return Err(ApiError::invalid_parameter(message));
            }
        }
        let taken = pool.users.by_name(&pool.fold(username)).is_some();
        if taken || (contact.is_some() && pool.holder(sub, &user).is_some()) {
            // [R]
            return Err(ApiError::new(
                "UsernameExistsException",
                "User account already exists",
            ));
        }
        pool.settings.password_policy.check(&password)?;
        pool.set_temporary_password(sub, &mut user, &password, at.now);
        pool.claim_aliases(sub, &user, force, at)
            .map_err(|refusal| match reported {
                // boto3#3213: nobody has the username, but somebody has the alias [I].
                true => ApiError::new("UsernameExistsException", refusal.message),
                false => refusal,
            })?;
        if action.is_none()
            && let Some(destination) = pool.invited_at(&user, &mediums)
        {
            lock(&self.mail).send(&destination, &password);
        }
        let answer = pool.user_type(sub, &user);
        pool.put(sub, user, at);
        Ok(json!({"User": answer}))
    }

    pub(super) fn admin_set_user_password(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let password = p.required("Password", &PASSWORD);
        let permanent = p.flag("Permanent");
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, user) = pool.must_find(username)?;
        pool.settings.password_policy.check(password)?;
        let at = self.moment();
        let mut user = user.clone();
        pool.set_temporary_password(sub, &mut user, password, at.now);
        user.modified = at.now;
        if permanent {
            // facts 3: the status becomes CONFIRMED, whatever it was before [D].
            user.status = UserStatus::Confirmed;
            user.secrets_mut().temporary_until = None;
        }
        user.secrets_mut().failed_sign_ins = 0;
        pool.put(sub, user, at);
        Ok(json!({}))
    }

    pub(super) fn admin_get_user(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let (sub, user) = pool.must_find(username)?;
        let mut answer = pool.profile(sub, user);
        answer["UserCreateDate"] = seconds(user.created).into();
        answer["UserLastModifiedDate"] = seconds(user.modified).into();
        answer["Enabled"] = user.enabled.into();
        answer["UserStatus"] = user.status.as_str().into();
        Ok(answer)
    }

    pub(super) fn admin_delete_user(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        pool.remove(sub, self.moment());
        Ok(json!({}))
    }

    pub(super) fn admin_enable(&self, mut p: Params<'_>, enabled: bool) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        pool.enable(sub, enabled, self.moment());
        Ok(json!({}))
    }

    // botocore AdminUserGlobalSignOut: the user's tokens are no longer accepted [D].
    pub(super) fn admin_user_global_sign_out(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        pool.sign_out(sub);
        Ok(json!({}))
    }
}
