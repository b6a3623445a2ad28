//! What Cognito serves beside its API: the hosted pages of a pool's domain, and the public documents of a pool.
//!
//! The pages are stubs: they show whether a request gets through to a page, and nobody can sign in on them.

use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use s3s::Body;
use serde_json::{Value, json};

use super::answers::answered;
use crate::cognito::Cognito;

/// The hosted pages and the endpoints of a pool's domain.
// DG:cognito-userpools-server-contract-reference [D].
const PATHS: [&str; 20] = [
    "/login",
    "/logout",
    "/signup",
    "/confirm",
    "/confirmUser",
    "/confirmuser",
    "/resendcode",
    "/forgotPassword",
    "/forgotpassword",
    "/confirmForgotPassword",
    "/confirmforgotpassword",
    "/error",
    "/passkeys/add",
    "/oauth2/authorize",
    "/oauth2/token",
    "/oauth2/userInfo",
    "/oauth2/revoke",
    "/oauth2/idpresponse",
    "/saml2/idpresponse",
    "/saml2/logout",
];
const TOKEN_PATH: &str = "/oauth2/token";

const KEYS: &str = "/.well-known/jwks.json";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A request for a page.
pub(super) struct Page {
    pub(super) path: String,
    /// The app client, if the request names one.
    pub(super) client: Option<String>,
    /// The pool of a public document; a hosted page has none in its path.
    pub(super) pool: Option<String>,
    method: Method,
    has_grant: bool,
}

impl Page {
    /// The page that a request is for; `None` if it is for something else.
    pub(super) fn of(parts: &Parts, body: &[u8]) -> Option<Self> {
        let path = parts.uri.path();
        let document = [KEYS, DISCOVERY]
            .iter()
            .find_map(|document| path.strip_suffix(document)?.strip_prefix('/'));
        if document.is_none() && !PATHS.contains(&path) {
            return None;
        }
        let body = std::str::from_utf8(body).unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            let all = query.split('&').chain(body.split('&'));
            let mut named = all.filter_map(|one| one.split_once('='));
            let (_, value) = named.find(|(known, _)| *known == name)?;
            Some(value.to_owned())
        };
        Some(Self {
            path: path.to_owned(),
            client: parameter("client_id"),
            pool: document.map(str::to_owned),
            method: parts.method.clone(),
            has_grant: parameter("grant_type").is_some(),
        })
    }

    /// The region of the pool whose public document it is.
    pub(super) fn region(&self) -> Option<&str> {
        Some(self.pool.as_deref()?.split_once('_')?.0)
    }

    /// What the request names: a pool or an app client.
    pub(super) fn resource(&self) -> &str {
        let named = self.pool.as_ref().or(self.client.as_ref());
        named.map_or("", String::as_str)
    }

    /// The response of the page, if nothing blocks the request.
    pub(super) fn response(&self, cognito: &Cognito, pool_arn: Option<&str>) -> Response<Body> {
        let document = self
            .pool
            .as_ref()
            .map(|pool| match self.path.ends_with(KEYS) {
                true => cognito.public_keys(pool),
                false => cognito.issuer(pool).map(|issuer| discovery(&issuer)),
            });
        match (document, pool_arn) {
            (Some(None), _) => html(StatusCode::NOT_FOUND, "not found"),
            (Some(Some(document)), _) => public(&document),
            // DG:token-endpoint: invalid_request and invalid_grant, 400 [D].
            (None, _) if self.path == TOKEN_PATH && self.method == Method::POST => {
                let error = match self.has_grant {
                    true => "invalid_grant",
                    false => "invalid_request",
                };
                answered(StatusCode::BAD_REQUEST, &json!({"error": error}))
            }
            (None, _) if self.method != Method::GET && self.method != Method::HEAD => {
                html(StatusCode::NOT_IMPLEMENTED, "not implemented here")
            }
            // [Inf]
            (None, None) => html(StatusCode::BAD_REQUEST, "there is no such app client"),
            (None, Some(_)) => html(StatusCode::OK, "a hosted page"),
        }
    }
}

/// The response to a request for a page that WAF blocks: 403, unless the web ACL has a response of its own (facts N8).
pub(super) fn blocked() -> Response<Body> {
    html(StatusCode::FORBIDDEN, "403 Forbidden")
}

fn html(status: StatusCode, text: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "text/html")
        .body(Body::from(format!("<html><body>{text}</body></html>")))
        .expect("valid headers")
}

/// A public document, which pages of other origins may read too.
// The console's own sample for a page has a library that reads both documents with CORS [R].
fn public(document: &Value) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .header("access-control-allow-origin", "*")
        .body(Body::from(document.to_string()))
        .expect("valid headers")
}

// DG:federation-endpoints, the discovery document of a pool without a domain: the members [R].
fn discovery(issuer: &str) -> Value {
    json!({
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{KEYS}"),
        "response_types_supported": ["code", "token"],
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
    })
}
