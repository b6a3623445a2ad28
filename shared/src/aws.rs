//! The SDK clients of a function, and what an error of theirs means.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_cognitoidentityprovider::config::{BehaviorVersion, SharedHttpClient};
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3 as s3;
use aws_smithy_http_client::tls;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::config::{ConfigError, Environment};
use crate::pool::PoolId;

/// How long a client waits for an answer and how often it asks again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Time for one attempt.
    pub attempt: Duration,
    /// Attempts in all, the first included.
    pub attempts: u32,
}

impl Patience {
    /// For a trigger, where a person waits: a second try must fit into the budget of the calls.
    pub const TRIGGER: Self = Self {
        attempt: Duration::from_millis(1500),
        attempts: 3,
    };
    /// For the last second of a trigger, when only S3 is left to keep what must not be lost: as often as there is time.
    pub const LAST_SECOND: Self = Self {
        attempt: Duration::from_millis(450),
        attempts: 10,
    };
    /// For a trigger that has S3 alone, and all its time for it.
    pub const JOURNAL: Self = Self {
        attempt: Duration::from_millis(1500),
        attempts: 20,
    };
    /// For a worker, which has minutes.
    pub const WORKER: Self = Self {
        attempt: Duration::from_secs(10),
        attempts: 3,
    };
    /// For callers that repeat a call themselves, under a rate limit.
    pub const ONCE: Self = Self {
        attempt: Duration::from_secs(10),
        attempts: 1,
    };
}

/// The settings that all clients of a process share.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
    path_style: bool,
}

impl Sdk {
    /// The settings of a function.
    ///
    /// Lambda gives it its credentials and region as environment variables, so no other place is asked.
    /// `AWS_ENDPOINT_URL` and its forms for one service are respected.
    ///
    /// # Errors
    ///
    /// A variable is missing that Lambda sets.
    pub fn of(environment: &Environment) -> Result<Self, ConfigError> {
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
        Ok(Self::with(config, environment))
    }

    /// Settings that were found another way, with [`http_client`] in them.
    pub fn with(config: SdkConfig, environment: &Environment) -> Self {
        // A local endpoint has no host name a bucket.
        let path_style = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
            .iter()
            .any(|name| environment.optional(name).is_some());
        Self { config, path_style }
    }

    /// The settings, for a client of another service.
    pub fn config(&self, region: &str, patience: Patience) -> SdkConfig {
        self.config
            .to_builder()
            .region(Region::new(region.to_owned()))
            .retry_config(retries(patience))
            .timeout_config(timeouts(patience))
            .build()
    }

    /// A Cognito client for a pool's region.
    pub fn cognito(&self, pool: &PoolId, patience: Patience) -> cognito::Client {
        cognito::Client::from_conf(
            cognito::config::Builder::from(&self.config(pool.region(), patience))
                .retry_partition(partition())
                .build(),
        )
    }

    /// An S3 client for the process's own region.
    pub fn s3(&self, patience: Patience) -> s3::Client {
        let region = self.config.region().map(Region::as_ref);
        self.s3_in(region.unwrap_or_default(), patience)
    }

    /// An S3 client for a region.
    pub fn s3_in(&self, region: &str, patience: Patience) -> s3::Client {
        s3::Client::from_conf(
            s3::config::Builder::from(&self.config(region, patience))
                .force_path_style(self.path_style)
                .retry_partition(partition())
                .build(),
        )
    }
}

/// The HTTP client of all SDK clients: one TLS stack, one pool of connections.
pub fn http_client() -> SharedHttpClient {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls)
        .build_https()
}

/// `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL`, as in every SDK
/// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
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

/// The SDK lets a process repeat ever fewer calls after many have failed, and takes a success to forget. Here each call may
/// be a person's only one, and its own time is its limit.
fn partition() -> RetryPartition {
    RetryPartition::custom("twinpool")
        .token_bucket(TokenBucket::unlimited())
        .build()
}

fn retries(patience: Patience) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(Duration::from_millis(100))
        .with_max_backoff(Duration::from_secs(1))
}

fn timeouts(patience: Patience) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(patience.attempt.min(Duration::from_secs(3)))
        .operation_attempt_timeout(patience.attempt)
        .build()
}

/// What kind of failure a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered in time, or the connection broke.
    Unreachable,
    /// Too many calls.
    Throttled,
    /// The service answered that it cannot, or something that is no answer.
    Unavailable,
    /// The service said no to this call, and would again.
    Refused,
}

/// A call to AWS that failed.
///
/// `Display` and `Debug` leave out the service's own words, which may speak of a person.
#[derive(Clone, thiserror::Error)]
pub struct AwsError {
    operation: &'static str,
    target: String,
    failure: Failure,
    code: String,
    message: String,
}

impl AwsError {
    /// The error of an SDK call: the operation's name, and the pool or bucket it was for.
    pub fn of<E>(
        operation: &'static str,
        target: impl fmt::Display,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let (failure, code) = match error {
            SdkError::TimeoutError(_) => (Failure::Unreachable, "no answer in time".to_owned()),
            SdkError::DispatchFailure(_) => (Failure::Unreachable, "no connection".to_owned()),
            SdkError::ServiceError(answer) => of_answer(
                answer.err().code(),
                error.raw_response().map(|raw| raw.status().as_u16()),
            ),
            SdkError::ConstructionFailure(_) => {
                (Failure::Refused, "the call cannot be built".to_owned())
            }
            _ => (Failure::Unavailable, "an unreadable answer".to_owned()),
        };
        let message = match error {
            SdkError::ServiceError(answer) => answer.err().message().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Self {
            operation,
            target: target.to_string(),
            failure,
            code,
            message,
        }
    }

    /// An answer that reads well and lacks what it must have, so that it is not taken for a success.
    pub fn hollow(
        operation: &'static str,
        target: impl fmt::Display,
        missing: &'static str,
    ) -> Self {
        Self {
            operation,
            target: target.to_string(),
            failure: Failure::Unavailable,
            code: format!("an answer without {missing}"),
            message: String::new(),
        }
    }

    /// A refusal of which only the HTTP status is known.
    pub fn of_status(operation: &'static str, target: impl fmt::Display, status: u16) -> Self {
        Self {
            operation,
            target: target.to_string(),
            failure: match status {
                429 => Failure::Throttled,
                500.. => Failure::Unavailable,
                _ => Failure::Refused,
            },
            code: format!("HTTP status {status}"),
            message: String::new(),
        }
    }

    /// What kind of failure it is.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// The service's code, e.g. `UsernameExistsException`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The service's words. They may speak of a person: never for a log.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether asking again later may help.
    pub fn is_transient(&self) -> bool {
        self.failure != Failure::Refused
    }

    /// Whether it is not this call but the set-up that is wrong: a pool, bucket, role or credential.
    pub fn is_configuration(&self) -> bool {
        self.advice().is_some()
    }

    /// Whether the service said no to what this call asks for, and would again.
    pub fn is_about_the_call(&self) -> bool {
        self.failure == Failure::Refused && !self.is_configuration()
    }

    fn advice(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "ResourceNotFoundException" => "check the pool id and its region",
            "NoSuchBucket" | "PermanentRedirect" | "InvalidBucketName" => {
                "check the bucket's name and its region"
            }
            "AccessDeniedException" | "AccessDenied" => {
                "check the permissions of the role that asked, and the bucket's policy"
            }
            "ForbiddenException" => "check the web ACL in front of the pool",
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "MissingAuthenticationTokenException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "AuthorizationHeaderMalformed" => "check the credentials",
            _ => return None,
        })
    }
}

/// What an error answer means, by its code, else by its HTTP status.
fn of_answer(code: Option<&str>, status: Option<u16>) -> (Failure, String) {
    let failure = match (code, status) {
        (
            Some(
                "TooManyRequestsException"
                | "ThrottlingException"
                | "LimitExceededException"
                | "RequestLimitExceeded"
                | "SlowDown",
            ),
            _,
        )
        | (_, Some(429)) => Failure::Throttled,
        (Some("InternalErrorException" | "RequestTimeout"), _) | (_, Some(500..)) => {
            Failure::Unavailable
        }
        // An error without a code is not the service's own answer.
        (None, _) => Failure::Unavailable,
        _ => Failure::Refused,
    };
    let code = code.map(str::to_owned).unwrap_or_else(|| {
        status.map_or_else(
            || "an unreadable answer".to_owned(),
            |s| format!("HTTP status {s}"),
        )
    });
    (failure, code)
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.operation, self.target, self.code)?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsError({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> AwsError {
        AwsError {
            operation: "AdminCreateUser",
            target: "ap-northeast-3_Example01".into(),
            failure: of_answer(Some(code), Some(400)).0,
            code: code.into(),
            message: message.into(),
        }
    }

    #[test]
    fn an_error_about_a_person_does_not_repeat_the_services_words() {
        let error = error("InvalidParameterException", "Value 'taro@example.jp' at …");

        assert!(!format!("{error} {error:?}").contains("taro"));
        assert!(!error.is_transient());
    }

    #[test]
    fn an_error_of_the_set_up_says_what_to_check() {
        let error = error(
            "ResourceNotFoundException",
            "User pool ap-northeast-3_Example01 does not exist.",
        );

        assert!(error.is_configuration());
        assert_eq!(
            error.to_string(),
            "AdminCreateUser on ap-northeast-3_Example01: ResourceNotFoundException; \
             check the pool id and its region"
        );
    }

    #[test]
    fn an_answer_is_judged_by_its_code_and_else_by_its_status() {
        let failure = |code, status| of_answer(code, Some(status)).0;

        assert_eq!(
            failure(Some("TooManyRequestsException"), 400),
            Failure::Throttled
        );
        assert_eq!(failure(Some("SlowDown"), 503), Failure::Throttled);
        assert_eq!(
            failure(Some("InternalErrorException"), 400),
            Failure::Unavailable
        );
        assert_eq!(failure(None, 502), Failure::Unavailable);
        assert_eq!(failure(None, 400), Failure::Unavailable);
        assert_eq!(
            failure(Some("UsernameExistsException"), 400),
            Failure::Refused
        );
    }
}
