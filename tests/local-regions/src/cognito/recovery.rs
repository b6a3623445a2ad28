//! Recovery of forgotten passwords.

use serde_json::json;

use super::error::{Answer, ApiError};
use super::mail::{delivery, new_code};
use super::params::{CLIENT_ID, CONFIRMATION_CODE, PASSWORD, Params, SECRET_HASH, USERNAME};
use super::password::PasswordHash;
use super::pool::PoolState;
use super::settings::{Contact, Recovery};
use super::sign_up::{check_code, nobody};
use super::trigger::{Source, Trigger, post_confirmation};
use super::user::{Code, User, UserStatus};
use super::{HOUR, Inner, lock};

// DG:quotas: the code is valid for one hour [D].
const RECOVERY_LIFE: u64 = HOUR;

// facts 4: 5 to 20 attempts an hour for each user [D]; the lowest limit is used here [Inf].
const RECOVERIES_PER_HOUR: u32 = 5;

impl PoolState {
    /// The attribute to which the recovery code is sent.
    // facts 5: if the pool does not set an order, the phone number comes first, then the email [D].
    fn recovery_contact(&self, user: &User) -> Option<(Contact, String)> {
        let usual = [Recovery::VerifiedPhoneNumber, Recovery::VerifiedEmail];
        let ways = match &self.settings.recovery[..] {
            [] => &usual[..],
            set => set,
        };
        ways.iter().find_map(|way| {
            let contact = match way {
                Recovery::VerifiedEmail => Contact::Email,
                Recovery::VerifiedPhoneNumber => Contact::PhoneNumber,
                Recovery::AdminOnly => return None,
            };
            let value = self.schema.value(&user.attributes, contact.attribute())?;
            let verified = self.schema.is_true(&user.attributes, contact.verified());
            (verified && !value.is_empty()).then(|| (contact, value.to_owned()))
        })
    }
}

impl Inner {
    pub(super) fn forgot_password(&self, mut p: Params<'_>) -> Answer {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let username = p.required("Username", &USERNAME);
        let hash = p.optional("SecretHash", &SECRET_HASH);
        // It is for a trigger that is not modelled.
        p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        client.check_hash(client_id, username, hash)?;
        let mut pool = lock(&pool);
        if pool.settings.recovery.contains(&Recovery::AdminOnly) {
            // facts 5: recovery by the user is disabled [D]; the text is [R].
            return Err(ApiError::not_authorized(
                "Contact administrator to reset password.",
            ));
        }
        // DG:cognito-user-pool-managing-errors: if the client hides whether a user exists, the response looks like success for
        // a user who is not found, is disabled or has no verified contact [D].
        let simulate = |error| match client.prevent_user_existence_errors {
            true => nobody(&client, username),
            false => Err(error),
        };
        let Some((sub, user)) = pool.find(username) else {
            return nobody(&client, username);
        };
        if !user.enabled {
            return simulate(ApiError::disabled());
        }
        // facts 1.10 for RESET_REQUIRED [D]; that UNCONFIRMED is allowed is [R].
        let resettable = [
            UserStatus::Confirmed,
            UserStatus::ResetRequired,
            UserStatus::Unconfirmed,
        ];
        if !resettable.contains(&user.status) {
            // facts 3 [I]: for FORCE_CHANGE_PASSWORD it is an error, or nothing is sent without an error.
            let text = "User password cannot be reset in the current state.";
            return simulate(ApiError::not_authorized(text));
        }
        let Some((contact, destination)) = pool.recovery_contact(user) else {
            // facts 5: the exception [D]; the text is [R].
            return simulate(ApiError::invalid_parameter(
                "Cannot reset password for the user as there is no registered/verified email or phone_number",
            ));
        };
        let now = self.clock.now();
        let secrets = pool.users.secrets(sub).expect("the user was just found");
        if !secrets.recovery_tries.allow(now, RECOVERIES_PER_HOUR) {
            return Err(ApiError::attempt_limit());
        }
        let code = new_code();
        lock(&self.mail).send(&destination, &code);
        secrets.recovery = Some(Code {
            digits: code,
            expires: now + RECOVERY_LIFE,
            proves: contact.verified(),
        });
        Ok(json!({"CodeDeliveryDetails": delivery(contact.attribute(), &destination)}))
    }

    pub(super) fn confirm_forgot_password(
        &self,
        mut p: Params<'_>,
    ) -> Result<Option<Trigger>, ApiError> {
        let client_id = p.required("ClientId", &CLIENT_ID);
        let username = p.required("Username", &USERNAME);
        let code = p.required("ConfirmationCode", &CONFIRMATION_CODE);
        let password = p.required("Password", &PASSWORD);
        let hash = p.optional("SecretHash", &SECRET_HASH);
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        client.check_hash(client_id, username, hash)?;
        let mut pool = lock(&pool);
        let at = self.moment();
        let hidden = client.prevent_user_existence_errors;
        let Some((sub, user)) = pool.find(username) else {
            // DG:cognito-user-pool-managing-errors [D].
            return Err(if hidden {
                ApiError::code_mismatch()
            } else {
                ApiError::unknown_username()
            });
        };
        if !user.enabled {
            return Err(if hidden {
                ApiError::code_mismatch()
            } else {
                ApiError::disabled()
            });
        }
        let secrets = pool.users.secrets(sub).expect("the user was just found");
        if !secrets.recovery_tries.allow(at.now, RECOVERIES_PER_HOUR) {
            return Err(ApiError::attempt_limit());
        }
        check_code(secrets.recovery.as_ref(), code, at.now)?;
        pool.settings.password_policy.check(password)?;
        let pool_id = pool.id.clone();
        pool.change(sub, at, |user| {
            let hash = PasswordHash::new(&pool_id, &user.name(sub), password);
            user.status = UserStatus::Confirmed;
            let secrets = user.secrets_mut();
            secrets.password = Some(hash);
            secrets.temporary_until = None;
            secrets.recovery = None;
            secrets.confirmation = None;
            secrets.failed_sign_ins = 0;
            secrets.locked_until = 0;
        });
        Ok(post_confirmation(
            &pool,
            &self.region,
            sub,
            Source::ConfirmForgotPassword,
            Some(client_id),
            metadata,
        ))
    }
}
