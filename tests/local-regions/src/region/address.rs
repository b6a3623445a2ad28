//! What a request is for: the service, the operation and the resource.

use hyper::Method;
use hyper::header::CONTENT_TYPE;
use hyper::http::HeaderValue;
use hyper::http::request::Parts;
use serde_json::Value;

use super::pages::Page;
use crate::faults::Service;
use crate::s3::Target;
use crate::stacks::Query;

/// The prefix of the operation in the header `x-amz-target`, by service.
// botocore of each service: targetPrefix [D].
const TARGETS: [(&str, Service); 3] = [
    ("AWSCognitoIdentityProviderService.", Service::Cognito),
    ("Logs_20140328.", Service::Logs),
    ("AWSWAF_20190729.", Service::Waf),
];
const UPLOAD: &str = "/cognito-import/";

/// What a request is for.
pub(super) enum Address {
    /// A call to a service that speaks AWS's JSON protocol.
    Json {
        service: Service,
        operation: String,
        /// `None` if the body is not JSON.
        body: Option<Value>,
    },
    /// The question of a browser whether a page may call Cognito's API.
    Preflight,
    /// A hosted page of Cognito, or a public document of a pool.
    Page(Page),
    /// A call to CloudFormation, which speaks the query protocol.
    Query(Query),
    /// The CSV of an import job, sent to a pre-signed URL.
    Upload,
    S3(Target),
}

impl Address {
    pub(super) fn of(parts: &Parts, body: &[u8]) -> Self {
        // On these paths, the path alone decides: a header of the client cannot turn them into an operation.
        if let Some(page) = Page::of(parts, body) {
            return Self::Page(page);
        }
        let asked = |header: &str| parts.headers.contains_key(header);
        if parts.method == Method::OPTIONS
            && parts.uri.path() == "/"
            && asked("access-control-request-method")
        {
            return Self::Preflight;
        }
        let target = parts.headers.get("x-amz-target");
        if let Some(target) = target.and_then(|target| target.to_str().ok()) {
            let known = TARGETS
                .iter()
                .find_map(|(prefix, service)| Some((*service, target.strip_prefix(prefix)?)));
            // A request to an unknown service is answered by Cognito, which rejects the operation.
            let (service, operation) = known.unwrap_or((Service::Cognito, target));
            return Self::Json {
                service,
                operation: operation.to_owned(),
                body: serde_json::from_slice(body).ok(),
            };
        }
        let form = |kind: &HeaderValue| {
            kind.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        };
        if parts.method == Method::POST && parts.headers.get(CONTENT_TYPE).is_some_and(form) {
            return Self::Query(Query::of(body));
        }
        if parts.method == Method::PUT && parts.uri.path().starts_with(UPLOAD) {
            return Self::Upload;
        }
        Self::S3(Target::of(&parts.method, &parts.uri, &parts.headers))
    }

    pub(super) fn service(&self) -> Service {
        match self {
            Self::Json { service, .. } => *service,
            Self::Upload | Self::Page(_) | Self::Preflight => Service::Cognito,
            Self::Query(_) => Service::CloudFormation,
            Self::S3(_) => Service::S3,
        }
    }

    pub(super) fn operation(&self) -> &str {
        match self {
            Self::Json { operation, .. } => operation,
            Self::Page(page) => &page.path,
            Self::Query(query) => query.get("Action"),
            Self::Upload => "Upload",
            Self::Preflight => "Preflight",
            Self::S3(target) => target.operation,
        }
    }

    pub(super) fn resource(&self) -> String {
        match self {
            Self::Json { body, .. } => [
                "UserPoolId",
                "ClientId",
                "logGroupName",
                "ResourceArn",
                "ARN",
                "Id",
            ]
            .iter()
            .find_map(|name| body.as_ref()?[name].as_str())
            .unwrap_or_default()
            .to_owned(),
            Self::Page(page) => page.resource().to_owned(),
            Self::Query(query) => query.get("StackName").to_owned(),
            Self::Upload | Self::Preflight => String::new(),
            Self::S3(target) if target.key.is_empty() => target.bucket.clone(),
            Self::S3(target) => format!("{}/{}", target.bucket, target.key),
        }
    }
}
