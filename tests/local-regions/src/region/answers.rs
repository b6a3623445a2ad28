//! Responses and errors in the form of each service, and responses that break off.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::CONTENT_LENGTH;
use hyper::{Response, StatusCode};
use s3s::Body;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Reset;
use crate::faults::Service;
use crate::s3;
use crate::stacks;

pub(super) fn answered(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", Uuid::new_v4().to_string())
        .body(Body::from(body.to_string()))
        .expect("valid headers")
}

pub(super) fn refused(service: Service, status: u16, code: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("an HTTP status");
    match service {
        Service::Cognito | Service::Logs | Service::Waf => {
            answered(status, &json!({ "__type": code, "message": message }))
        }
        Service::CloudFormation => stacks::error(status.as_u16(), code, message),
        Service::S3 => s3::error(status, code, message),
    }
}

pub(super) fn throttled(service: Service) -> Response<Body> {
    match service {
        // facts 4: "TooManyRequestsException (HTTP 400, Rate exceeded)" [D+I].
        Service::Cognito => refused(service, 400, "TooManyRequestsException", "Rate exceeded"),
        // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: SlowDown, 503.
        Service::S3 => refused(service, 503, "SlowDown", "Please reduce your request rate."),
        // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html: ThrottlingException, 400.
        // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html: ThrottlingException, 400; WAF's alike.
        Service::Logs | Service::Waf | Service::CloudFormation => {
            refused(service, 400, "ThrottlingException", "Rate exceeded")
        }
    }
}

pub(super) fn rubbish() -> Response<Body> {
    let page = "<html><body>Please sign in to this network</body></html>";
    Response::new(Body::from(page.to_owned()))
}

/// Cuts a response off after its first half and resets the connection.
pub(super) async fn half(response: Response<Body>) -> Result<Response<Body>, Reset> {
    let (mut parts, body) = response.into_parts();
    let whole = BodyExt::collect(body).await.map_err(|_| Reset)?;
    let whole = whole.to_bytes();
    if whole.is_empty() {
        return Err(Reset);
    }
    parts.headers.insert(CONTENT_LENGTH, whole.len().into());
    let first = Frame::data(whole.slice(..whole.len() / 2));
    let rest = async {
        // The first half must have been sent before the connection is reset.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(Reset)
    };
    let frames = stream::iter([Ok(first)]).chain(stream::once(rest));
    let body = Body::http_body_unsync(StreamBody::new(frames));
    Ok(Response::from_parts(parts, body))
}
