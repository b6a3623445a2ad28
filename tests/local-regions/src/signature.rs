//! Signature Version 4 of AWS, as a service checks it: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! The signatures of S3 have more forms, and s3s checks them; only their scope is read here.

use hmac::{Hmac, Mac};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use crate::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The largest difference between the signer's clock and ours, in seconds.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html: a request must reach AWS within five minutes [R].
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// The credential scope of a signature: whose it is, and for which region and service.
#[derive(Debug, PartialEq)]
pub struct Scope<'a> {
    access_key: &'a str,
    date: &'a str,
    /// The region, such as `ap-northeast-1`.
    pub region: &'a str,
    /// The service, such as `cognito-idp`.
    pub service: &'a str,
}

/// Why a signature is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request has no signature.
    #[error("Missing Authentication Token")]
    Missing,
    /// The access key is unknown.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The signature is for another service or region.
    #[error("Credential should be scoped to a valid region and the correct service.")]
    Scope,
    /// The signature is too old, or not valid yet.
    #[error("Signature expired: the request's date is more than 5 minutes off")]
    Expired,
    /// The signature does not match the request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl Refusal {
    /// The error code that services with a JSON protocol return.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Scope | Self::Expired | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

impl<'a> Scope<'a> {
    /// The scope of a signed or pre-signed request; `None` if the request is not signed.
    pub fn of(parts: &'a Parts) -> Option<Self> {
        let credential = match header(parts, AUTHORIZATION.as_str()) {
            Some(authorization) => field(authorization.strip_prefix(ALGORITHM)?, "Credential")?,
            None => parts
                .uri
                .query()?
                .split('&')
                .find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?,
        };
        // In a query, slashes are percent-encoded.
        let credential = credential.split('/').flat_map(|part| part.split("%2F"));
        match credential.collect::<Vec<_>>()[..] {
            [access_key, date, region, service, "aws4_request"] => Some(Self {
                access_key,
                date,
                region,
                service,
            }),
            _ => None,
        }
    }

    /// Whether this is the known access key.
    pub fn is_known(&self) -> bool {
        self.access_key == ACCESS_KEY_ID
    }
}

/// Checks that a request to a JSON service is signed with the known key, for this service, and unchanged.
///
/// # Errors
///
/// Says what is wrong with the signature.
pub fn verify(parts: &Parts, body: &[u8], service: &str) -> Result<(), Refusal> {
    let scope = Scope::of(parts).ok_or(Refusal::Missing)?;
    let authorization = header(parts, AUTHORIZATION.as_str()).ok_or(Refusal::Missing)?;
    let time = header(parts, "x-amz-date").ok_or(Refusal::Missing)?;
    let signed_headers = field(authorization, "SignedHeaders").ok_or(Refusal::Missing)?;
    let given = field(authorization, "Signature").ok_or(Refusal::Missing)?;
    if !scope.is_known() {
        return Err(Refusal::UnknownKey);
    }
    if scope.service != service || !time.starts_with(scope.date) {
        return Err(Refusal::Scope);
    }
    let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| Refusal::Expired)?;
    let now = jiff::Timestamp::now().as_second();
    if (now - signed_at.timestamp().as_second()).abs() > MAX_CLOCK_SKEW_SECONDS {
        return Err(Refusal::Expired);
    }

    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let value = header(parts, name).ok_or(Refusal::Mismatch)?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let request = format!(
        "{}\n{}\n{}\n{headers}\n{signed_headers}\n{}",
        parts.method,
        parts.uri.path(),
        parts.uri.query().unwrap_or_default(),
        hex(&Sha256::digest(body)),
    );
    let Scope { date, region, .. } = scope;
    let string_to_sign = format!(
        "{ALGORITHM}\n{time}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(request)),
    );
    let key = [date, region, service, "aws4_request"].iter().fold(
        format!("AWS4{SECRET_ACCESS_KEY}").into_bytes(),
        |key, part| hmac(&key, part),
    );
    if hex(&hmac(&key, &string_to_sign)) == given {
        Ok(())
    } else {
        Err(Refusal::Mismatch)
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

/// The value of `name=value` in an Authorization header.
fn field<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    authorization
        .split([',', ' '])
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn parts(uri: &str, authorization: &str) -> Parts {
        let request = Request::builder()
            .uri(uri)
            .header(AUTHORIZATION, authorization)
            .body(());
        request.expect("a valid request").into_parts().0
    }

    #[test]
    fn a_scope_is_read_from_the_header() {
        let parts = parts(
            "/",
            "AWS4-HMAC-SHA256 Credential=AK/20261120/ap-northeast-3/cognito-idp/aws4_request, SignedHeaders=host, Signature=00",
        );

        let scope = Scope::of(&parts).expect("a scope");

        assert_eq!(
            (scope.access_key, scope.region, scope.service),
            ("AK", "ap-northeast-3", "cognito-idp")
        );
    }

    #[test]
    fn a_scope_is_read_from_a_presigned_url() {
        let mut parts = parts(
            "/b/k?X-Amz-Credential=AK%2F20261120%2Fap-northeast-1%2Fs3%2Faws4_request&X-Amz-Signature=0",
            "",
        );
        parts.headers.clear();

        let scope = Scope::of(&parts).expect("a scope");

        assert_eq!((scope.region, scope.service), ("ap-northeast-1", "s3"));
    }

    #[test]
    fn a_request_without_a_signature_is_rejected() {
        let mut parts = parts("/", "");
        parts.headers.clear();

        assert_eq!(verify(&parts, b"", "cognito-idp"), Err(Refusal::Missing));
    }
}
