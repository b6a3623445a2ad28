//! The sessions between the steps of a sign-in.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::error::ApiError;
use super::knobs::Millis;
use super::srp::Exchange;
use super::{HOUR, Inner, lock};

// DG:amazon-cognito-user-pools-authentication-flow: three minutes by default [D].
const SESSION_LIFE: Millis = 180_000;

/// The next step of a sign-in.
#[derive(Clone)]
pub(super) enum Stage {
    /// The client must prove that it knows the password. `None` if nobody has the name.
    Password(Option<Box<Exchange>>),
    NewPassword,
    SoftwareToken,
    /// An authenticator must be registered.
    MfaSetup,
    /// This secret was returned, and is not verified yet.
    MfaAssociated(String),
    /// The authenticator is verified.
    MfaVerified,
}

/// A sign-in that is not finished.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) pool_id: String,
    pub(super) client_id: String,
    pub(super) sub: u128,
    pub(super) stage: Stage,
}

/// The sign-ins of one region that are not finished.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, (Session, Millis)>);

impl Inner {
    /// Begins a step of a sign-in.
    pub(super) fn open_session(&self, session: Session) -> String {
        let now = self.clock.now();
        let id = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut sessions = lock(&self.sessions);
        // Sessions are kept for another hour, so that an expired session can be distinguished from an unknown one.
        sessions.0.retain(|_, (_, expires)| *expires + HOUR > now);
        sessions.0.insert(id.clone(), (session, now + SESSION_LIFE));
        id
    }

    /// Reads a session that is still valid.
    pub(super) fn session(&self, id: &str) -> Result<Session, ApiError> {
        match lock(&self.sessions).0.get(id) {
            None => Err(ApiError::invalid_session()),
            Some((_, expires)) if *expires <= self.clock.now() => {
                // [R]
                let text = "Invalid session for the user, session is expired.";
                Err(ApiError::not_authorized(text))
            }
            Some((session, _)) => Ok(session.clone()),
        }
    }

    /// Ends a session: each is valid for one step.
    pub(super) fn close_session(&self, id: &str) -> Result<(), ApiError> {
        match lock(&self.sessions).0.remove(id) {
            Some(_) => Ok(()),
            // Another request has used the same session in the meantime.
            None => Err(ApiError::invalid_session()),
        }
    }

    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length will do");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
