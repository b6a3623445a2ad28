//! The MFA settings of a pool, and the operation with which an administrator deletes the authenticator of a user.
//! Authenticator apps are the only factor that is modelled.

use serde_json::json;

use super::error::{Answer, ApiError};
use super::params::{POOL_ID, Params, USERNAME};
use super::pool::PoolState;
use super::settings::Mfa;
use super::user::UserStatus;
use super::{Inner, lock};

impl PoolState {
    // That the response no longer has the factor once MFA is off is [Inf].
    fn mfa_config(&self) -> serde_json::Value {
        let mut config = json!({"MfaConfiguration": self.configuration["MfaConfiguration"]});
        if self.settings.mfa != Mfa::Off {
            config["SoftwareTokenMfaConfiguration"] = json!({"Enabled": true});
        }
        config
    }
}

impl Inner {
    pub(super) fn get_user_pool_mfa_config(&self, mut p: Params<'_>) -> Answer {
        let id = p.required("UserPoolId", &POOL_ID);
        p.check()?;
        let pool = self.pool(id)?;
        let config = lock(&pool).mfa_config();
        Ok(config)
    }

    pub(super) fn set_user_pool_mfa_config(&self, mut p: Params<'_>) -> Answer {
        let id = p.required("UserPoolId", &POOL_ID);
        let mfa = p.word("MfaConfiguration", &["OFF", "ON", "OPTIONAL"]);
        let token = p.structure("SoftwareTokenMfaConfiguration");
        p.check()?;
        let enabled = match token {
            None => false,
            Some(token) => {
                let mut p = Params::new(token);
                let enabled = p.flag("Enabled");
                p.check()?;
                enabled
            }
        };
        let pool = self.pool(id)?;
        let mut pool = lock(&pool);
        // The default is off [Inf].
        let wanted = mfa.unwrap_or("OFF");
        if wanted == "OFF" && token.is_some() {
            // https://github.com/go-to-k/cdkd/issues/1923 [I].
            return Err(ApiError::invalid_parameter(
                "Invalid MFA configuration given, can't turn off MFA and configure an MFA together.",
            ));
        }
        if wanted != "OFF" && !enabled {
            // facts 7 [I].
            return Err(ApiError::invalid_parameter(
                "Invalid MFA configuration given, can't disable all MFAs with a required or optional configuration.",
            ));
        }
        let mut configuration = pool.configuration.clone();
        configuration["MfaConfiguration"] = wanted.into();
        pool.configure(configuration);
        pool.modified = self.clock.now();
        Ok(pool.mfa_config())
    }

    // facts 5: the errors [D]; that a user without an authenticator is an error, and the texts, are [Inf].
    pub(super) fn admin_delete_software_token(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, user) = pool.must_find(username)?;
        if user.status == UserStatus::Unconfirmed {
            let text = "User is not confirmed.";
            return Err(ApiError::new("UserNotConfirmedException", text));
        }
        if user.totp().is_none() {
            let text = "The user has no software token.";
            return Err(ApiError::not_found(text));
        }
        let at = self.moment();
        pool.change(sub, at, |user| user.secrets_mut().totp = None);
        Ok(json!({}))
    }
}
