//! The operations with which people look at and change their own account. An access token authorises them.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::editing::Editor;
use super::error::{Answer, ApiError};
use super::mail::delivery;
use super::params::{CONFIRMATION_CODE, PASSWORD, Params, TOKEN};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::schema::{EMAIL, PHONE};
use super::settings::Contact;
use super::user::User;
use super::{Inner, lock};

/// The owner of an access token: their pool and their `sub`.
struct Owner {
    pool: Arc<Mutex<PoolState>>,
    sub: u128,
}

impl Owner {
    /// The user, who must still exist and be enabled.
    fn user<'p>(&self, pool: &'p PoolState) -> Result<&'p User, ApiError> {
        let user = pool.users.get(self.sub);
        let user = user.ok_or_else(ApiError::user_not_found)?;
        match user.enabled {
            true => Ok(user),
            false => Err(ApiError::disabled()),
        }
    }
}

impl Inner {
    fn owner(&self, token: &str) -> Result<Owner, ApiError> {
        let (pool_id, sub) = self.access_token(token)?;
        let pool = self.pool(&pool_id)?;
        let owner = Owner { pool, sub };
        owner.user(&lock(&owner.pool))?;
        Ok(owner)
    }

    pub(super) fn get_user(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        p.check()?;
        let owner = self.owner(token)?;
        let pool = lock(&owner.pool);
        let user = owner.user(&pool)?;
        Ok(pool.profile(owner.sub, user))
    }

    // botocore GlobalSignOut: neither the access tokens nor the refresh tokens are accepted any more [D].
    pub(super) fn global_sign_out(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        p.check()?;
        let owner = self.owner(token)?;
        lock(&owner.pool).sign_out(owner.sub);
        Ok(json!({}))
    }

    // That the other sign-ins stay is [Inf].
    pub(super) fn change_password(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        let former = p.optional("PreviousPassword", &PASSWORD);
        let new = p.required("ProposedPassword", &PASSWORD);
        p.check()?;
        let owner = self.owner(token)?;
        let at = self.moment();
        let mut pool = lock(&owner.pool);
        // botocore ChangePassword: only users without a password may leave the previous one out [D]; they are not modelled.
        pool.check_password(owner.sub, former.unwrap_or_default(), at.now)?;
        pool.settings.password_policy.check(new)?;
        let pool_id = pool.id.clone();
        pool.change(owner.sub, at, |user| {
            let hash = PasswordHash::new(&pool_id, &user.name(owner.sub), new);
            user.secrets_mut().password = Some(hash);
        });
        Ok(json!({}))
    }

    pub(super) fn update_user_attributes(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        let given = p.required_attributes("UserAttributes");
        // It is for a trigger that is not modelled.
        p.map("ClientMetadata");
        p.check()?;
        let owner = self.owner(token)?;
        let messages = lock(&owner.pool).edit(owner.sub, &given, Editor::Person, self.moment())?;
        let sent: Vec<_> = messages
            .iter()
            .map(|message| delivery(message.attribute(), message.destination()))
            .collect();
        self.send(messages);
        Ok(json!({"CodeDeliveryDetailsList": sent}))
    }

    pub(super) fn delete_user_attributes(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        let names = p.required_attribute_names("UserAttributeNames");
        p.check()?;
        let owner = self.owner(token)?;
        let blank: Vec<_> = names.into_iter().map(|name| (name, "")).collect();
        lock(&owner.pool).edit(owner.sub, &blank, Editor::Person, self.moment())?;
        Ok(json!({}))
    }

    pub(super) fn verify_user_attribute(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        let attribute = p.required_word("AttributeName", &[EMAIL, PHONE]);
        let code = p.required("Code", &CONFIRMATION_CODE);
        p.check()?;
        let owner = self.owner(token)?;
        let contact = match attribute {
            PHONE => Contact::PhoneNumber,
            _ => Contact::Email,
        };
        let at = self.moment();
        let mut pool = lock(&owner.pool);
        pool.check_unproved(owner.sub, contact, code, at.now)?;
        pool.prove(owner.sub, contact, at)?;
        Ok(json!({}))
    }

    // In Cognito, the preference is separate from the registered authenticator. Here, whoever has one is asked for it, so that only
    // a preference for it can be set.
    pub(super) fn set_user_mfa_preference(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        let wanted = p.structure("SoftwareTokenMfaSettings");
        p.check()?;
        let Some(wanted) = wanted else {
            return Err(ApiError::not_modelled("a preference for another factor"));
        };
        let mut p = Params::new(wanted);
        let enabled = p.flag("Enabled");
        p.flag("PreferredMfa");
        p.check()?;
        let owner = self.owner(token)?;
        let pool = lock(&owner.pool);
        if !enabled {
            return Err(ApiError::not_modelled("an authenticator that is not used"));
        }
        if owner.user(&pool)?.totp().is_none() {
            // [R]
            let text = "User has not verified software token mfa";
            return Err(ApiError::invalid_parameter(text));
        }
        Ok(json!({}))
    }

    pub(super) fn delete_user(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("AccessToken", &TOKEN);
        p.check()?;
        let owner = self.owner(token)?;
        lock(&owner.pool).remove(owner.sub, self.moment());
        Ok(json!({}))
    }
}
