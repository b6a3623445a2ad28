//! What a failed call to AWS means: whether to retry, whether the set-up is wrong, and what may be logged.

use std::fmt;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer came in time, or the connection broke.
    Unreachable,
    /// The service received too many calls.
    Throttled,
    /// The service reported an internal error, or its answer could not be read.
    Unavailable,
    /// An error of the request (HTTP 4xx) without a code. It does not come from the service itself but from something in between, so that
    /// nobody can tell whether the same call may succeed later.
    Unexplained,
    /// The service rejected the call, and would reject it again.
    Refused,
}

/// A call to AWS that failed.
///
/// `Display` and `Debug` leave out the service's own message, which may contain personal data.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct AwsError {
    operation: &'static str,
    target: String,
    failure: Failure,
    /// Where the service itself has answered.
    status: Option<u16>,
    code: String,
    message: String,
}

impl AwsError {
    /// The error of an SDK call: the operation's name, and the pool or bucket it was sent to.
    pub fn from_sdk<E>(
        operation: &'static str,
        target: impl fmt::Display,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let status = match error {
            SdkError::ServiceError(_) => error.raw_response().map(|raw| raw.status().as_u16()),
            _ => None,
        };
        let (failure, code) = match error {
            SdkError::TimeoutError(_) => (Failure::Unreachable, "no answer in time".to_owned()),
            SdkError::DispatchFailure(_) => (Failure::Unreachable, "no connection".to_owned()),
            SdkError::ServiceError(answer) => classify(answer.err().code(), status),
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
            status,
            code,
            message,
        }
    }

    /// A response without a member that it must have, so that it is not taken for a success.
    pub fn incomplete_response(
        operation: &'static str,
        target: impl fmt::Display,
        missing: &'static str,
    ) -> Self {
        Self {
            operation,
            target: target.to_string(),
            failure: Failure::Unavailable,
            status: None,
            code: format!("an answer without {missing}"),
            message: String::new(),
        }
    }

    /// An error of which only the HTTP status is known.
    pub fn from_status(operation: &'static str, target: impl fmt::Display, status: u16) -> Self {
        Self {
            operation,
            target: target.to_string(),
            failure: match status {
                429 => Failure::Throttled,
                500.. => Failure::Unavailable,
                _ => Failure::Refused,
            },
            status: None,
            code: format!("HTTP status {status}"),
            message: String::new(),
        }
    }

    /// The kind of failure.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// The operation, e.g. `AdminCreateUser`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The pool or bucket that it was sent to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The service's error code, e.g. `UsernameExistsException`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The service's message. It may contain personal data and must never be logged.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The service's message without people's values: text in quotes, email addresses and phone numbers are masked. For calls that are
    /// refused because of the set-up, it is the only help there is.
    pub fn safe_message(&self) -> String {
        mask(&self.message)
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.failure != Failure::Refused
    }

    /// Whether the set-up is wrong and not this call: a pool, bucket, role, credential or account.
    pub fn is_configuration(&self) -> bool {
        self.advice().is_some()
    }

    /// Whether the service rejected what this call asks for, and would reject it again.
    pub fn is_call_rejected(&self) -> bool {
        self.failure == Failure::Refused && !self.is_configuration()
    }

    /// What to check, if the set-up is wrong.
    pub fn advice(&self) -> Option<&'static str> {
        if self.failure != Failure::Refused {
            return None;
        }
        let of_code = SET_UP_ERRORS
            .iter()
            .find(|(codes, _)| is_one_of(&self.code, codes));
        match (of_code, self.status) {
            (Some((_, advice)), _) => Some(advice),
            (None, _) if self.code.to_ascii_lowercase().starts_with("kms.") => {
                Some("check the key that the bucket is encrypted with")
            }
            // Whatever the code: everything that Cognito refuses about a person has status 400 (the errors of each operation in its API
            // reference).
            (None, Some(401 | 403)) => Some(
                "check the credentials, the permissions of the role that asked, and that the account may use the region",
            ),
            (None, _) => None,
        }
    }
}

/// Codes that mean that the set-up is wrong, and what to check: those of AWS that all services have in common, those of signatures and
/// credentials, and those of buckets (CommonErrors of the API references; S3 API reference, List of error codes).
const SET_UP_ERRORS: [(&[&str], &str); 7] = [
    (
        &["ResourceNotFoundException"],
        "check the pool id and its region",
    ),
    (
        &["NoSuchBucket", "PermanentRedirect", "InvalidBucketName"],
        "check the bucket's name and its region",
    ),
    (
        &[
            "AccessDeniedException",
            "UnauthorizedAccess",
            "NotAuthorized",
        ],
        "check the permissions of the role that asked",
    ),
    (
        // S3. If the account that should own the bucket is named, it answers the same for a bucket of another account.
        &["AccessDenied"],
        "check the permissions of the role that asked, the bucket's policy, and that the bucket is yours: another account may own one of \
         that name",
    ),
    (
        &["ForbiddenException"],
        "check the web ACL in front of the pool",
    ),
    (
        &[
            "UnrecognizedClientException",
            "UnrecognizedClient",
            "InvalidSignatureException",
            "InvalidSignature",
            "SignatureDoesNotMatch",
            "IncompleteSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "MissingSecurityHeader",
            "AuthorizationHeaderMalformed",
            "ExpiredTokenException",
            "ExpiredToken",
            "TokenRefreshRequired",
            "InvalidToken",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSecurity",
            "RequestExpired",
            "RequestTimeTooSkewed",
        ],
        "check the credentials",
    ),
    (
        &[
            "OptInRequired",
            "SubscriptionRequiredException",
            "NotSignedUp",
            "AccountProblem",
            "AllAccessDisabled",
        ],
        "check that the account is in order and may use the service in this region",
    ),
];

/// Codes of failures of the service that are not always sent with status 5xx, beside the SDK's own.
const UNAVAILABLE_ERRORS: &[&str] = &[
    "InternalErrorException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// Whether a code is one of a list. Services do not agree on letter case.
fn is_one_of(code: &str, codes: &[&str]) -> bool {
    codes.iter().any(|known| known.eq_ignore_ascii_case(code))
}

/// Replaces what may be a value of a person: everything from an opening quote to the last closing one of its kind, and every word that
/// looks like an email address or a phone number.
fn mask(message: &str) -> String {
    const MASK: &str = "***";
    let mut text = message.to_owned();
    for (opening, closing) in [
        ('\'', '\''),
        ('"', '"'),
        ('`', '`'),
        ('\u{201c}', '\u{201d}'),
        ('\u{2018}', '\u{2019}'),
    ] {
        let is_word = |c: char| c.is_alphanumeric();
        // An apostrophe within a word opens nothing.
        let opens = text.match_indices(opening).find(|(at, _)| {
            let before = text[..*at].chars().next_back();
            !before.is_some_and(is_word)
        });
        let Some((start, _)) = opens else { continue };
        let inner = start + opening.len_utf8();
        let end = text[inner..].rfind(closing);
        let end = end.map_or(text.len(), |end| inner + end);
        text.replace_range(inner..end, MASK);
    }
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_number = digits >= 5 && !word.chars().any(char::is_alphabetic);
        if word.contains('@') || is_number {
            masked.push_str(MASK);
            masked.extend(word.chars().last().filter(|c| c.is_whitespace()));
        } else {
            masked.push_str(word);
        }
    }
    masked
}

/// What an error response means, by its code, else by its HTTP status; and the code alone, without the namespace before it and the
/// address behind it that some services send.
fn classify(code: Option<&str>, status: Option<u16>) -> (Failure, String) {
    let code = code.map(|code| {
        let code = code.split(':').next().unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().trim()
    });
    let code = code.filter(|code| !code.is_empty());
    let is_code_of = |codes: &[&str]| code.is_some_and(|code| is_one_of(code, codes));
    let failure = match (code, status) {
        (_, Some(429)) => Failure::Throttled,
        _ if is_code_of(THROTTLING_ERRORS) || is_code_of(&["TooManyRequests"]) => {
            Failure::Throttled
        }
        (_, Some(408 | 500..)) => Failure::Unavailable,
        _ if is_code_of(TRANSIENT_ERRORS) || is_code_of(UNAVAILABLE_ERRORS) => Failure::Unavailable,
        (None, Some(401 | 403)) => Failure::Refused,
        (None, Some(400..)) => Failure::Unexplained,
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
            failure: classify(Some(code), Some(400)).0,
            status: Some(400),
            code: classify(Some(code), Some(400)).1,
            message: message.into(),
        }
    }

    #[test]
    fn an_error_never_shows_the_services_message() {
        let error = error("InvalidParameterException", "Value 'taro@example.jp' at …");

        assert!(!format!("{error} {error:?}").contains("taro"));
        assert!(!error.is_transient());
    }

    #[test]
    fn the_safe_message_keeps_what_helps_and_masks_what_may_be_of_a_person() {
        for (message, safe) in [
            (
                "Role arn:aws:iam::123456789012:role/import-logs cannot be assumed by Cognito.",
                "Role arn:aws:iam::123456789012:role/import-logs cannot be assumed by Cognito.",
            ),
            (
                "The user's role isn't allowed to write \"taro\".",
                "The user's role isn't allowed to write \"***\".",
            ),
            ("Value 'ta'ro' at 'name' failed", "Value '***' failed"),
            (
                "No such user: taro@example.jp, +81 90-1234-5678.",
                "No such user: *** +81 ***",
            ),
        ] {
            assert_eq!(
                error("InvalidParameterException", message).safe_message(),
                safe
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_of_the_request_is_in_the_safe_message(
            email in "[a-z+.]{1,12}@[a-z-]{1,12}\\.jp",
            phone in "\\+[0-9]{7,15}",
            text in "[^\\s]{1,3}[ -~あ-ん]{4,20}[0-9]{4}",
            template in 0usize..5,
        ) {
            let message = match template {
                0 => format!("1 validation error detected: Value '{text}' at 'userAttributes' failed to satisfy constraint"),
                1 => format!("Invalid value \"{text}\" for user {email}, or {phone}."),
                2 => format!("{email} is taken, and so is {phone}"),
                3 => format!("User `{text}` can't be listed."),
                _ => format!("filter: email = \"{email}\", phone_number = \"{phone}\", name = \"{text}\""),
            };

            let safe = error("InvalidParameterException", &message).safe_message();

            for value in [&email, &phone, &text] {
                proptest::prop_assert!(!safe.contains(value.as_str()), "{safe}");
            }
        }
    }

    #[test]
    fn an_error_in_the_set_up_says_what_to_check() {
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
    fn a_response_is_classified_by_its_code_else_by_its_status() {
        let failure = |code, status| classify(code, Some(status)).0;

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
        assert_eq!(failure(None, 400), Failure::Unexplained);
        assert_eq!(failure(None, 408), Failure::Unavailable);
        assert_eq!(failure(None, 403), Failure::Refused);
        assert_eq!(failure(Some("SomethingNew"), 429), Failure::Throttled);
        assert_eq!(failure(Some("SomethingNew"), 503), Failure::Unavailable);
        assert_eq!(
            failure(Some("UsernameExistsException"), 400),
            Failure::Refused
        );
    }

    #[test]
    fn a_refusal_with_status_401_or_403_is_of_the_set_up_whatever_its_code() {
        for status in [401, 403] {
            let mut error = error("SomethingNewException", "");
            error.status = Some(status);

            assert!(error.is_configuration());
            assert!(!error.is_call_rejected());
        }
        assert!(error("SomethingNewException", "").is_call_rejected());
    }

    /// What AWS answers to a call whatever it asks for, as the documentation of the services and the retry rules of the SDKs name it.
    const NOT_ABOUT_THE_CALL: &[&str] = &[
        // Too many calls.
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequests",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "SlowDown",
        // A failure of the service.
        "RequestTimeout",
        "RequestTimeoutException",
        "InternalFailure",
        "InternalErrorException",
        "InternalServerError",
        "ServiceUnavailable",
        // Credentials, signatures, permissions, accounts.
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "AccountProblem",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "KMS.DisabledException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "NotSignedUp",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "TokenRefreshRequired",
        "UnauthorizedAccess",
        "UnrecognizedClientException",
    ];

    proptest::proptest! {
        #[test]
        fn what_is_not_about_the_call_is_never_a_refusal_of_a_person(
            code in proptest::sample::select(NOT_ABOUT_THE_CALL),
            case in 0usize..3,
            prefix in proptest::sample::select(&["", "com.amazonaws.cognito.identityprovider#", "aws.protocols#"][..]),
            suffix in proptest::sample::select(&["", ":http://internal.amazon.com/coral/com.amazon.coral.service/#x"][..]),
        ) {
            let code = match case {
                0 => code.to_owned(),
                1 => code.to_ascii_lowercase(),
                _ => code.to_ascii_uppercase(),
            };

            let error = error(&format!("{prefix}{code}{suffix}"), "");

            proptest::prop_assert!(!error.is_call_rejected(), "{error}");
        }
    }
}
