//! The secret of an app client, which a back end proves with a hash in each request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::error::ApiError;
use super::settings::ClientSettings;

impl ClientSettings {
    /// Whether the hash is the one of this client's secret and the username.
    // aws.amazon.com/premiumsupport/knowledge-center/cognito-unable-to-verify-secret-hash [D].
    fn is_hash(&self, client_id: &str, username: &str, hash: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes())
                .expect("any length will do");
            mac.update(username.as_bytes());
            mac.update(client_id.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes()) == hash
        })
    }

    /// Whether this is the client's secret, or the client has none.
    pub(super) fn has_secret(&self, given: Option<&str>) -> bool {
        let own = self.secret.as_ref();
        own.is_none_or(|own| given == Some(own.reveal()))
    }

    /// Checks the SecretHash of an operation other than a sign-in.
    // aws.amazon.com/premiumsupport/knowledge-center/cognito-unable-to-verify-secret-hash: the text for a missing hash [D];
    // that a wrong one has the same, and that about a client without a secret, are [R].
    pub(super) fn check_hash(
        &self,
        client_id: &str,
        username: &str,
        hash: Option<&str>,
    ) -> Result<(), ApiError> {
        let text = match (&self.secret, hash) {
            (None, None) => return Ok(()),
            (Some(_), Some(hash)) if self.is_hash(client_id, username, hash) => return Ok(()),
            (Some(_), _) => format!("Unable to verify secret hash for client {client_id}"),
            (None, Some(_)) => needless(client_id),
        };
        Err(ApiError::not_authorized(text))
    }

    /// Checks the SECRET_HASH of a step of a sign-in.
    // The text for a missing hash: amplify-android#2504; that for a wrong one is [R].
    pub(super) fn check_sign_in_hash(
        &self,
        client_id: &str,
        username: &str,
        hash: Option<&str>,
    ) -> Result<(), ApiError> {
        let text = match (&self.secret, hash) {
            (None, None) => return Ok(()),
            (Some(_), Some(hash)) if self.is_hash(client_id, username, hash) => return Ok(()),
            (Some(_), None) => format!(
                "Client {client_id} is configured with secret but SECRET_HASH was not received"
            ),
            (Some(_), Some(_)) => format!("SecretHash does not match for the client: {client_id}"),
            (None, Some(_)) => needless(client_id),
        };
        Err(ApiError::not_authorized(text))
    }
}

fn needless(client_id: &str) -> String {
    format!("Client {client_id} is not configured for secret but secret hash was received")
}
