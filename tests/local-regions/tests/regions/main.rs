//! The local regions as real SDK clients see them.

mod boto3;
mod buckets;
mod clients;
mod command;
mod faults;
mod fence;
mod groups;
mod import_jobs;
mod lambda;
mod routing;
mod schedule;
mod triggers;

use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_s3 as s3;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use local_regions::region::Region;
use local_regions::world::{World, WorldOptions};

async fn world() -> World {
    World::start(WorldOptions {
        functions: false,
        ..WorldOptions::default()
    })
    .await
    .expect("both regions start")
}

/// The timeout of clients that make a single attempt.
fn two_seconds() -> TimeoutConfig {
    let timeout = TimeoutConfig::builder();
    timeout.operation_timeout(Duration::from_secs(2)).build()
}

fn s3_once(region: &Region) -> s3::Client {
    let config = region.s3_client().config().to_builder();
    s3::Client::from_conf(
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(two_seconds())
            .build(),
    )
}

fn cognito_once(region: &Region) -> cognito::Client {
    let config = region.cognito_client().config().to_builder();
    cognito::Client::from_conf(
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(two_seconds())
            .build(),
    )
}

async fn put(client: &s3::Client, bucket: &str, key: &str, body: &str) {
    client
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(ByteStream::from(body.to_owned().into_bytes()))
        .send()
        .await
        .expect("stored");
}

async fn fetch(request: hyper::Request<String>) -> (u16, String) {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

fn describe<E: ProvideErrorMetadata>(
    error: &s3::error::SdkError<E, s3::config::http::HttpResponse>,
) -> String {
    use s3::error::SdkError;
    match error {
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "dispatch".to_owned(),
        SdkError::ResponseError(_) => "response".to_owned(),
        SdkError::ServiceError(e) => {
            let status = e.raw().status().as_u16();
            format!("{status} {}", e.err().code().unwrap_or("unhandled"))
        }
        _ => "other".to_owned(),
    }
}
