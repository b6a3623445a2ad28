//! Responses and errors in the form of each service, and responses that break off.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::HeaderMap;
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

const EXPOSED: &str = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date";

pub(super) fn answered(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", Uuid::new_v4().to_string())
        // amplify-js#11034: a page of any origin may read the response, and these headers [I].
        .header("access-control-allow-origin", "*")
        .header("access-control-expose-headers", EXPOSED)
        .body(Body::from(body.to_string()))
        .expect("valid headers")
}

/// The response to a browser's question before a page calls Cognito's API.
// amplify-js#4346: the answer is valid for 172,800 s [I]; that the headers asked for are allowed, whatever they are, is [Inf].
pub(super) fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = Response::builder()
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-methods", "POST")
        .header("access-control-expose-headers", EXPOSED)
        .header("access-control-max-age", "172800");
    if let Some(asked) = headers.get("access-control-request-headers") {
        response = response.header("access-control-allow-headers", asked);
    }
    response.body(Body::empty()).expect("valid headers")
}

pub(super) fn refused(service: Service, status: u16, code: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("an HTTP status");
    match service {
        Service::Cognito | Service::Logs | Service::Waf => {
            let mut response = answered(status, &json!({ "__type": code, "message": message }));
            // aws-sdk-cpp#1789: Cognito says it in headers too [I].
            let headers = response.headers_mut();
            for (name, value) in [
                ("x-amzn-errortype", format!("{code}:")),
                ("x-amzn-errormessage", message.to_owned()),
            ] {
                if let Ok(value) = value.try_into() {
                    headers.insert(name, value);
                }
            }
            response
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
