//! One region of AWS, and the listeners through which all regions are reached.
//!
//! A function has one `AWS_ENDPOINT_URL` and calls two regions. Therefore a signed request is served by the region in its
//! credential scope, whichever listener it reached, a public document of a pool by the region that the pool's id names, and any other
//! unsigned request by the region of the listener.

mod address;
mod answers;
mod listener;
mod pages;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs as logs_sdk;
use aws_sdk_cognitoidentityprovider as cognito_sdk;
use aws_sdk_s3 as s3_sdk;
use aws_sdk_wafv2 as waf_sdk;
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use bytes::Bytes;
use hyper::header::CONTENT_LENGTH;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use s3_sdk::config::{BehaviorVersion, Credentials, SharedCredentialsProvider, SharedHttpClient};
use s3s::Body;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use self::address::Address;
use self::answers::{answered, half, preflight, refused, rubbish, throttled};
pub(crate) use self::listener::listen;
use crate::cognito::{Call, Cognito};
use crate::faults::{Faults, Kind, Service};
use crate::lambda::Lambda;
use crate::logs;
use crate::s3::{self, Notification, S3};
use crate::signature::{self, Scope};
use crate::stacks::Stacks;
use crate::waf::{Inspected, Waf};

/// The AWS account that owns everything.
pub const ACCOUNT_ID: &str = "123456789012";
/// The only valid access key.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// The secret of the access key.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// One region. Clones are handles to the same region.
#[derive(Clone)]
pub struct Region(Arc<Inner>);

struct Inner {
    name: String,
    endpoint: String,
    cognito: Cognito,
    s3: S3,
    lambda: Lambda,
    faults: Faults,
    loss: watch::Sender<Option<Loss>>,
    waf: Waf,
    stacks: Stacks,
    calls: Calls,
    http: SharedHttpClient,
}

/// What callers of a region see during its outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Calls are never answered.
    Hang,
    /// Each connection is reset at once.
    Refuse,
}

/// A call that reached a region, whether it was served or not.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// The region that was called.
    pub region: String,
    /// The service.
    pub service: Service,
    /// The operation, such as `ListUsers` or `PutObject`.
    pub operation: String,
    /// The resource that the call names: the user pool, or else the app client; `bucket/key`; the log group; the ARN or id of
    /// the web ACL, or the ARN of the resource that it protects.
    pub resource: String,
    /// The time of arrival.
    pub at: Instant,
}

/// A record of the calls to all regions that share it.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<RecordedCall>>>);

impl Calls {
    /// The calls in the order of arrival.
    pub fn list(&self) -> Vec<RecordedCall> {
        self.lock().clone()
    }

    /// Empties the record.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RecordedCall>> {
        self.0
            .lock()
            .expect("no thread panicked while it held the lock")
    }
}

/// The connection is reset instead of a response.
#[derive(Debug, thiserror::Error)]
#[error("reset")]
struct Reset;

impl Region {
    /// A region without pools, buckets and functions. It keeps its objects and logs in `folder`.
    pub(crate) fn new(
        name: &str,
        endpoint: &str,
        folder: &Path,
        calls: Calls,
    ) -> anyhow::Result<(Self, UnboundedReceiver<Notification>)> {
        let lambda = Lambda::new(name, endpoint, folder.join("logs"));
        let (s3, notifications) = S3::new(name, &folder.join("s3"))?;
        let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls);
        let inner = Inner {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            cognito: Cognito::new(name, endpoint, lambda.clone()),
            s3,
            lambda,
            faults: Faults::default(),
            loss: watch::Sender::new(None),
            waf: Waf::default(),
            stacks: Stacks::default(),
            calls,
            http: http.build_https(),
        };
        Ok((Self(Arc::new(inner)), notifications))
    }

    /// The region's name, such as `ap-northeast-1`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The URL of the region's listener.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The user pools.
    pub fn cognito(&self) -> &Cognito {
        &self.0.cognito
    }

    /// The buckets.
    pub fn s3(&self) -> &S3 {
        &self.0.s3
    }

    /// The Lambda functions.
    pub fn lambda(&self) -> &Lambda {
        &self.0.lambda
    }

    /// The faults that a test can inject.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Begins an outage of the whole region: of its services, its functions and its schedules.
    pub fn lose(&self, how: Loss) {
        self.0.loss.send_replace(Some(how));
        self.0.lambda.set_lost(true);
    }

    /// Ends the outage. Calls that are hanging are still never answered.
    pub fn restore(&self) {
        self.0.loss.send_replace(None);
        self.0.lambda.set_lost(false);
    }

    /// Closes the fence of the region's pool: the web ACL blocks every request that its rules do not allow.
    pub fn close_fence(&self) {
        self.0.waf.set_default(false);
    }

    /// Opens the fence: the web ACL allows every request.
    pub fn open_fence(&self) {
        self.0.waf.set_default(true);
    }

    /// The web ACLs.
    pub fn waf(&self) -> &Waf {
        &self.0.waf
    }

    /// The stacks that CloudFormation describes.
    pub fn stacks(&self) -> &Stacks {
        &self.0.stacks
    }

    /// The SDK configuration of a client of this region.
    pub fn sdk_config(&self) -> SdkConfig {
        let key = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "local");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(s3_sdk::config::Region::new(self.0.name.clone()))
            .endpoint_url(self.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(key))
            .http_client(self.0.http.clone())
            .build()
    }

    /// A client of this region's user pools.
    pub fn cognito_client(&self) -> cognito_sdk::Client {
        cognito_sdk::Client::new(&self.sdk_config())
    }

    /// A client of this region's buckets.
    pub fn s3_client(&self) -> s3_sdk::Client {
        let config = s3_sdk::config::Builder::from(&self.sdk_config());
        s3_sdk::Client::from_conf(config.force_path_style(true).build())
    }

    /// A client of this region's CloudWatch Logs.
    pub fn logs_client(&self) -> logs_sdk::Client {
        logs_sdk::Client::new(&self.sdk_config())
    }

    /// A client of this region's web ACLs.
    pub fn waf_client(&self) -> waf_sdk::Client {
        waf_sdk::Client::new(&self.sdk_config())
    }

    async fn serve(&self, parts: Parts, body: Bytes) -> Result<Response<Body>, Reset> {
        let address = Address::of(&parts, &body);
        let service = address.service();
        self.0.calls.lock().push(RecordedCall {
            region: self.0.name.clone(),
            service,
            operation: address.operation().to_owned(),
            resource: address.resource(),
            at: Instant::now(),
        });
        self.present().await?;
        let fault = self.0.faults.meet(service, address.operation());
        let mut delay = Duration::ZERO;
        match &fault {
            None | Some(Kind::Reset) => {}
            Some(Kind::Hang) => std::future::pending().await,
            Some(Kind::Refuse) => return Err(Reset),
            Some(Kind::Throttle) => return Ok(throttled(service)),
            Some(Kind::Rubbish) => return Ok(rubbish()),
            Some(Kind::Answer(body)) => return Ok(answered(StatusCode::OK, body)),
            Some(Kind::Error {
                status,
                code,
                message,
            }) => return Ok(refused(service, *status, code, message)),
            Some(Kind::Delay(by)) => delay = *by,
        }
        // A task of its own, because a service finishes what it has begun even if the caller disconnects.
        let region = self.clone();
        let answer = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            region.answer(parts, body, address).await
        });
        let response = answer.await.map_err(|_| Reset)?;
        self.present().await?;
        match fault {
            Some(Kind::Reset) => half(response).await,
            _ => Ok(response),
        }
    }

    /// Returns at once if the region has no outage; otherwise hangs or resets the connection.
    async fn present(&self) -> Result<(), Reset> {
        let loss = *self.0.loss.borrow();
        match loss {
            None => Ok(()),
            Some(Loss::Refuse) => Err(Reset),
            Some(Loss::Hang) => std::future::pending().await,
        }
    }

    async fn answer(&self, parts: Parts, body: Bytes, address: Address) -> Response<Body> {
        match address {
            Address::S3(_) => {
                if Scope::of(&parts).is_some_and(|scope| !scope.is_known()) {
                    return s3::error(
                        StatusCode::FORBIDDEN,
                        "InvalidAccessKeyId",
                        "The AWS Access Key Id you provided does not exist in our records.",
                    );
                }
                self.0.s3.call(Request::from_parts(parts, body)).await
            }
            Address::Query(query) => {
                match signature::verify(&parts, &body, Service::CloudFormation.signing_name()) {
                    Ok(()) => self.0.stacks.call(&query),
                    Err(e) => refused(Service::CloudFormation, 403, e.code(), &e.to_string()),
                }
            }
            // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: MissingContentLength, 411.
            Address::Upload if !parts.headers.contains_key(CONTENT_LENGTH) => s3::error(
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ),
            Address::Upload => {
                let url = parts.uri.path_and_query().map_or("", |url| url.as_str());
                match self.0.cognito.upload(url, &parts.headers, body).await {
                    Ok(()) => Response::new(Body::empty()),
                    Err(e) => refused(Service::S3, e.status, &e.code, &e.message),
                }
            }
            Address::Preflight => preflight(&parts.headers),
            Address::Page(page) => {
                let named = match (&page.pool, &page.client) {
                    (Some(pool), _) => Some(json!({"UserPoolId": pool})),
                    (None, client) => client.as_ref().map(|client| json!({"ClientId": client})),
                };
                let pool = named.and_then(|body| self.0.cognito.pool_of(&body));
                let client = page.client.as_deref();
                // Whether WAF sees requests for the public documents is not documented. [Inf] It does: that is worse for a fence
                // without a rule for them.
                let seen = Inspected::page(&page.path, &parts.headers, client);
                match self.0.waf.allows(pool.as_deref(), &seen) {
                    true => page.response(&self.0.cognito, pool.as_deref()),
                    false => pages::blocked(),
                }
            }
            Address::Json {
                service,
                operation,
                body: json,
            } => {
                let public = service == Service::Cognito && Cognito::is_public(&operation);
                if !public && let Err(e) = signature::verify(&parts, &body, service.signing_name())
                {
                    return refused(service, 400, e.code(), &e.to_string());
                }
                // facts N8: operations that IAM authorises "are not inspected" [D].
                let inspected = json.as_ref().filter(|_| public);
                let pool = inspected.and_then(|body| self.0.cognito.pool_of(body));
                let client = inspected.and_then(|body| body["ClientId"].as_str());
                let seen = Inspected::operation(&operation, &parts.headers, client);
                if pool.is_some_and(|arn| !self.0.waf.allows(Some(&arn), &seen)) {
                    // botocore ForbiddenException: "AWS WAF doesn't allow your request based on a web ACL that's
                    // associated with your user pool" [D].
                    let message = "Request not allowed due to WAF block.";
                    return refused(Service::Cognito, 403, "ForbiddenException", message);
                }
                let Some(body) = json else {
                    return refused(service, 400, "SerializationException", "");
                };
                let cognito = &self.0.cognito;
                let answer = match service {
                    Service::Cognito => {
                        let operation = &operation;
                        cognito.call(Call { operation, body }).await
                    }
                    Service::Waf => self.0.waf.call(cognito, &operation, body),
                    Service::Logs => logs::call(cognito, self.name(), &operation, body),
                    Service::S3 | Service::CloudFormation => {
                        unreachable!("it has no target")
                    }
                };
                match answer {
                    Ok(answer) => answered(StatusCode::OK, &answer),
                    Err(e) => refused(service, e.status, &e.code, &e.message),
                }
            }
        }
    }
}
