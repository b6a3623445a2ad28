//! The sessions between the steps of a sign-in, and the tokens at its end.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::error::ApiError;
use super::knobs::Millis;
use super::user::{parse_sub, sub_text};
use super::{HOUR, Inner, lock};

// botocore: AuthSessionValidity is 3 to 15 minutes [D], the default is 3 [R].
const SESSION_LIFE: Millis = 180_000;

/// The next step of a sign-in.
#[derive(Clone)]
pub(super) enum Stage {
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

/// What an access token says.
pub(super) struct AccessToken {
    pub(super) pool_id: String,
    sub: u128,
    origin: String,
}

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

    /// `AuthenticationResult`: tokens in the form of JWTs, valid for an hour.
    pub(super) fn tokens(
        &self,
        pool_id: &str,
        client_id: &str,
        sub: u128,
        username: &str,
        origin: Uuid,
    ) -> Value {
        let issued = self.clock.now() / 1000;
        let claims = |kind: &str| {
            let mut claims = json!({
                "sub": sub_text(sub),
                "iss": format!("https://cognito-idp.{}.amazonaws.com/{pool_id}", self.region),
                "token_use": kind,
                "auth_time": issued,
                "iat": issued,
                "exp": issued + HOUR / 1000,
                // DG:token-revocation: all tokens of one sign-in have the same [R].
                "origin_jti": origin.to_string(),
                "jti": Uuid::new_v4().to_string(),
            });
            if kind == "access" {
                claims["client_id"] = client_id.into();
                claims["username"] = username.into();
                claims["scope"] = "aws.cognito.signin.user.admin".into();
            } else {
                claims["aud"] = client_id.into();
                claims["cognito:username"] = username.into();
            }
            claims
        };
        let token = |kind| {
            let header = json!({"kid": "local", "alg": "RS256"}).to_string();
            let body = [header, claims(kind).to_string()]
                .map(|part| URL_SAFE_NO_PAD.encode(part))
                .join(".");
            let signature = URL_SAFE_NO_PAD.encode(self.mac(&[body.as_bytes()]));
            format!("{body}.{signature}")
        };
        json!({
            "AccessToken": token("access"),
            "IdToken": token("id"),
            "RefreshToken": URL_SAFE_NO_PAD.encode(rand::random::<[u8; 48]>()),
            "ExpiresIn": HOUR / 1000,
            "TokenType": "Bearer",
        })
    }

    /// The pool and the user of an access token that is not revoked.
    pub(super) fn access_token(&self, token: &str) -> Result<(String, u128), ApiError> {
        let read = self.read_access_token(token)?;
        let pool = self.pool(&read.pool_id)?;
        let pool = lock(&pool);
        // The operations themselves answer for a user who does not exist any more.
        let revoked = pool.users.get(read.sub).is_some_and(|user| {
            let mut sign_ins = user.secrets().into_iter().flat_map(|s| &s.sign_ins);
            !sign_ins.any(|origin| origin.to_string() == read.origin)
        });
        if revoked {
            // botocore AdminUserGlobalSignOut [D].
            return Err(ApiError::not_authorized("Access Token has been revoked"));
        }
        Ok((read.pool_id, read.sub))
    }

    /// What an access token of this region says, whether it is revoked or not.
    pub(super) fn read_access_token(&self, token: &str) -> Result<AccessToken, ApiError> {
        let invalid = || ApiError::not_authorized("Invalid Access Token");
        let (body, signature) = token.rsplit_once('.').ok_or_else(invalid)?;
        if URL_SAFE_NO_PAD.encode(self.mac(&[body.as_bytes()])) != signature {
            return Err(invalid());
        }
        let claims = body
            .split_once('.')
            .and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Value = claims
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(invalid)?;
        if claims["token_use"] != "access" {
            return Err(invalid());
        }
        if claims["exp"].as_u64().unwrap_or_default() <= self.clock.now() / 1000 {
            return Err(ApiError::not_authorized("Access Token has expired"));
        }
        let pool = claims["iss"]
            .as_str()
            .and_then(|issuer| issuer.rsplit_once('/'));
        let sub = claims["sub"].as_str().and_then(parse_sub);
        let ((_, pool), sub) = pool.zip(sub).ok_or_else(invalid)?;
        Ok(AccessToken {
            pool_id: pool.to_owned(),
            sub,
            origin: claims["origin_jti"].as_str().unwrap_or_default().to_owned(),
        })
    }
}
