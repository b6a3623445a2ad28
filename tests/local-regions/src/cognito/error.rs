//! The errors of Cognito's API, with Cognito's own texts as far as they are known.

/// An error, written as `{"__type": code, "message": message}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The exception's name.
    pub code: String,
    /// What went wrong.
    pub message: String,
}

/// The response of an operation.
pub(super) type Answer = Result<serde_json::Value, ApiError>;

// The names are those of botocore 1.44.5 [D]; a text without another source is [R].
impl ApiError {
    /// An error with HTTP status 400, which all errors of Cognito itself have.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn forbidden(code: &str, message: &str) -> Self {
        Self {
            status: 403,
            ..Self::new(code, message)
        }
    }

    pub(super) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// A member that is not implemented. It is an error, because AWS would not have ignored it.
    pub(super) fn not_modelled(what: &str) -> Self {
        Self::invalid_parameter(format!("This emulator does not model {what}."))
    }

    pub(super) fn not_authorized(message: impl Into<String>) -> Self {
        Self::new("NotAuthorizedException", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::new("PreconditionNotMetException", message)
    }

    // [R]
    pub(super) fn alias_exists(attribute: &str) -> Self {
        let message = format!("An account with the {attribute} already exists.");
        Self::new("AliasExistsException", message)
    }

    pub(super) fn user_not_found() -> Self {
        Self::new("UserNotFoundException", "User does not exist.")
    }

    /// Like [`Self::user_not_found`], for the operations without IAM credentials.
    pub(super) fn unknown_username() -> Self {
        let text = "Username/client id combination not found.";
        Self::new("UserNotFoundException", text)
    }

    pub(super) fn disabled() -> Self {
        Self::not_authorized("User is disabled.")
    }

    pub(super) fn invalid_session() -> Self {
        Self::not_authorized("Invalid session for the user.")
    }

    pub(super) fn expired_code() -> Self {
        Self::new(
            "ExpiredCodeException",
            "Invalid code provided, please request a code again.",
        )
    }

    pub(super) fn code_mismatch() -> Self {
        Self::new(
            "CodeMismatchException",
            "Invalid verification code provided, please try again.",
        )
    }

    pub(super) fn attempt_limit() -> Self {
        Self::new(
            "LimitExceededException",
            "Attempt limit exceeded, please try after some time.",
        )
    }

    // facts 4 [D, I].
    pub(super) fn too_many_requests() -> Self {
        Self::new("TooManyRequestsException", "Rate exceeded")
    }
}
