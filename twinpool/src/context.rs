//! The context that every command gets: the terminal, the settings and, on demand, the AWS SDK.

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use shared::aws::Sdk;
use shared::aws::client::http_client;
use shared::environment::Environment;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::{Output, Terminal};

/// The context that every command gets.
#[derive(Debug)]
pub struct Context {
    /// Where results and messages are written.
    pub terminal: Terminal,
    /// The environment and twinpool.toml.
    pub settings: Settings,
    profile: Option<String>,
}

impl Context {
    /// The context of a command line.
    pub fn new(output: Output, profile: Option<String>, settings: Settings) -> Self {
        let terminal = Terminal::new(output);
        Self {
            terminal,
            settings,
            profile,
        }
    }

    /// The settings of all AWS clients. Credentials come from the standard provider chain
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
    ///
    /// # Errors
    ///
    /// There are no credentials, or they do not work; or the account that owns the buckets is not the id of one.
    pub async fn sdk(&self) -> Result<Sdk, Failure> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let provider = config.credentials_provider();
        let provider =
            provider.ok_or_else(|| no_credentials(&CredentialsError::not_loaded_no_source()))?;
        // Loaded here, because a client would report missing credentials as a lost connection.
        let found = provider.provide_credentials().await;
        found.map_err(|error| no_credentials(&error))?;
        let sdk = Sdk::from_config(config, &Environment::of_process());
        Ok(match self.settings.account()? {
            Some(account) => sdk.for_buckets_of(account.into()),
            None => sdk,
        })
    }
}

fn no_credentials(error: &CredentialsError) -> Failure {
    let advice = "run `aws sso login`, choose a profile with --profile, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                  or use AWS CloudShell, which has its own credentials; if the region of a profile that assumes a role is lost, set AWS_REGION to another";
    let what = match error {
        CredentialsError::CredentialsNotLoaded(_) => "there are no AWS credentials".to_owned(),
        error => format!("the AWS credentials could not be loaded: {}", causes(error)),
    };
    Failure::Credentials(format!("{what}; {advice}"))
}

/// An error and its causes, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}
