//! A person who uses the sign-in page of an application: makes the unsigned calls of the front end, with the codes that
//! Cognito sends to the person.

use anyhow::{Context, bail};
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{AttributeType, AuthFlowType, ChallengeNameType};

use crate::people::Profile;
use local_regions::cognito::Pool;
use local_regions::region::Region;
use local_regions::totp::Authenticator;

/// A person who uses the sign-in page in one region.
#[derive(Clone)]
pub struct Visitor {
    region: Region,
    client: Client,
    app: String,
}

impl Visitor {
    /// A person who uses the application of this pool.
    pub fn of(region: &Region, pool: &Pool) -> Self {
        Self {
            region: region.clone(),
            client: region.cognito_client(),
            app: pool.client_id.clone(),
        }
    }

    /// Signs up and returns the `sub`.
    ///
    /// # Errors
    ///
    /// Fails if Cognito rejects the sign-up.
    pub async fn sign_up(&self, profile: &Profile, password: &str) -> anyhow::Result<String> {
        let attributes = profile.told().map(|(name, value)| {
            let attribute = AttributeType::builder().name(name).value(value);
            attribute.build().expect("it has a name")
        });
        let answer = self
            .client
            .sign_up()
            .client_id(&self.app)
            .username(profile.email())
            .password(password)
            .set_user_attributes(Some(attributes.collect()))
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("SignUp")?;
        Ok(answer.user_sub)
    }

    /// Confirms the sign-up with the code of the newest email.
    ///
    /// # Errors
    ///
    /// Fails if no code was sent, or Cognito rejects it.
    pub async fn confirm(&self, email: &str) -> anyhow::Result<()> {
        self.client
            .confirm_sign_up()
            .client_id(&self.app)
            .username(email)
            .confirmation_code(self.newest_code(email)?)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("ConfirmSignUp")?;
        Ok(())
    }

    /// Sets a new password with "forgot password".
    ///
    /// # Errors
    ///
    /// Fails if no code is sent, or Cognito rejects a call.
    pub async fn reset_password(&self, email: &str, password: &str) -> anyhow::Result<()> {
        self.client
            .forgot_password()
            .client_id(&self.app)
            .username(email)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("ForgotPassword")?;
        self.client
            .confirm_forgot_password()
            .client_id(&self.app)
            .username(email)
            .confirmation_code(self.newest_code(email)?)
            .password(password)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("ConfirmForgotPassword")?;
        Ok(())
    }

    /// Signs in with a password for the first time, registers an authenticator app and returns the access token.
    ///
    /// # Errors
    ///
    /// Fails if Cognito rejects a step of the sign-in.
    pub async fn set_up_mfa_and_sign_in(
        &self,
        email: &str,
        password: &str,
    ) -> anyhow::Result<String> {
        let asked = self
            .client
            .initiate_auth()
            .client_id(&self.app)
            .auth_flow(AuthFlowType::UserPasswordAuth)
            .auth_parameters("USERNAME", email)
            .auth_parameters("PASSWORD", password)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("InitiateAuth")?;
        if asked.challenge_name() != Some(&ChallengeNameType::MfaSetup) {
            bail!("expected MFA_SETUP, got {:?}", asked.challenge_name());
        }
        let secret = self
            .client
            .associate_software_token()
            .set_session(asked.session)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("AssociateSoftwareToken")?;
        let mut phone = Authenticator::new(secret.secret_code().context("no secret")?);
        let verified = self
            .client
            .verify_software_token()
            .set_session(secret.session)
            .user_code(phone.next_code().context("no code left")?)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("VerifySoftwareToken")?;
        let signed_in = self
            .client
            .respond_to_auth_challenge()
            .client_id(&self.app)
            .challenge_name(ChallengeNameType::MfaSetup)
            .challenge_responses("USERNAME", email)
            .set_session(verified.session)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("RespondToAuthChallenge")?;
        let tokens = signed_in.authentication_result.context("no tokens")?;
        tokens.access_token.context("no access token")
    }

    /// Checks that a password is accepted: with an authenticator missing, the next step is to register one.
    ///
    /// # Errors
    ///
    /// Fails if Cognito rejects the password.
    pub async fn signs_in(&self, email: &str, password: &str) -> anyhow::Result<()> {
        self.client
            .initiate_auth()
            .client_id(&self.app)
            .auth_flow(AuthFlowType::UserPasswordAuth)
            .auth_parameters("USERNAME", email)
            .auth_parameters("PASSWORD", password)
            .send()
            .await
            .map_err(|e| e.into_service_error())
            .context("InitiateAuth")?;
        Ok(())
    }

    fn newest_code(&self, email: &str) -> anyhow::Result<String> {
        let codes = self.region.cognito().codes_sent_to(email);
        codes.into_iter().next_back().context("no mail has come")
    }
}
