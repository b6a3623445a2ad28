//! The SDK clients of a process: credentials, region, endpoint, HTTP client.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_cognitoidentityprovider::config::{BehaviorVersion, SharedHttpClient};
use aws_sdk_s3 as s3;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::aws::retry::{RetryPolicy, unlimited_retry_budget};
use crate::environment::{ConfigError, Environment};
use crate::pool_id::PoolId;

/// The settings that all SDK clients of a process share.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
    path_style: bool,
    bucket_owner: Option<String>,
}

impl Sdk {
    /// The settings of a Lambda function, from the environment variables in which Lambda puts its credentials and region.
    /// `AWS_ENDPOINT_URL` and its forms for a single service are respected.
    ///
    /// # Errors
    ///
    /// A variable that Lambda sets is missing.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let region =
            environment.required("AWS_REGION", "the region of the function, as Lambda does")?;
        let credential = |name| environment.required(name, "a credential, as Lambda does");
        let credentials = Credentials::new(
            credential("AWS_ACCESS_KEY_ID")?,
            credential("AWS_SECRET_ACCESS_KEY")?,
            environment.optional("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "environment",
        );
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(Endpoints(environment.clone()))
            .http_client(http_client())
            .build();
        Ok(Self::from_config(config, environment))
    }

    /// Settings from another source, such as a profile. They must contain [`http_client`].
    pub fn from_config(config: SdkConfig, environment: &Environment) -> Self {
        // A local endpoint has no host name of its own for each bucket.
        let path_style = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
            .iter()
            .any(|name| environment.optional(name).is_some());
        Self {
            config,
            path_style,
            bucket_owner: None,
        }
    }

    /// The same settings, with which S3 refuses every request to a bucket that another account owns.
    #[must_use]
    pub fn for_buckets_of(self, account: String) -> Self {
        Self {
            bucket_owner: Some(account),
            ..self
        }
    }

    /// The settings for a client of any service in a region.
    pub fn config(&self, region: &str, policy: RetryPolicy) -> SdkConfig {
        self.config
            .to_builder()
            .region(Region::new(region.to_owned()))
            .retry_config(policy.retry_config())
            .timeout_config(policy.timeout_config())
            .build()
    }

    /// A Cognito client in a pool's region.
    pub fn cognito(&self, pool: &PoolId, policy: RetryPolicy) -> cognito::Client {
        cognito::Client::from_conf(
            cognito::config::Builder::from(&self.config(pool.region(), policy))
                .retry_partition(unlimited_retry_budget())
                .build(),
        )
    }

    /// The URL at which Cognito serves a pool: that of its region, or the one that replaces it.
    pub fn cognito_url(&self, pool: &PoolId) -> String {
        let key = ServiceConfigKey::builder()
            .service_id("Cognito Identity Provider")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let given = self.config.service_config();
        let given = given.and_then(|config| config.load_config(key.ok()?));
        let given = given.or_else(|| self.config.endpoint_url().map(str::to_owned));
        given.unwrap_or_else(|| format!("https://cognito-idp.{}.amazonaws.com", pool.region()))
    }

    /// The HTTP client that the SDK clients share.
    pub(crate) fn http_client(&self) -> SharedHttpClient {
        self.config.http_client().unwrap_or_else(http_client)
    }

    /// An S3 client in the process's own region.
    pub fn s3(&self, policy: RetryPolicy) -> s3::Client {
        let region = self.config.region().map(Region::as_ref);
        self.s3_in(region.unwrap_or_default(), policy)
    }

    /// An S3 client in a region.
    pub fn s3_in(&self, region: &str, policy: RetryPolicy) -> s3::Client {
        let config = s3::config::Builder::from(&self.config(region, policy))
            .force_path_style(self.path_style)
            .retry_partition(unlimited_retry_budget());
        let config = match &self.bucket_owner {
            Some(owner) => config.interceptor(ExpectedOwner(owner.clone())),
            None => config,
        };
        s3::Client::from_conf(config.build())
    }
}

/// Says with every request which account must own the bucket. Otherwise S3 answers 403
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>).
#[derive(Debug)]
struct ExpectedOwner(String);

impl Intercept for ExpectedOwner {
    fn name(&self) -> &'static str {
        "ExpectedOwner"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.try_insert("x-amz-expected-bucket-owner", self.0.clone())?;
        Ok(())
    }
}

/// The HTTP client that all SDK clients share: one TLS stack and one connection pool.
pub fn http_client() -> SharedHttpClient {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls)
        .build_https()
}

/// `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, as in every SDK
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
#[derive(Debug)]
struct Endpoints(Environment);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        let service = key.service_id().to_uppercase().replace(' ', "_");
        let of_service = self.0.optional(&format!("AWS_ENDPOINT_URL_{service}"));
        let url = of_service.or_else(|| self.0.optional("AWS_ENDPOINT_URL"));
        url.map(str::to_owned)
    }
}
