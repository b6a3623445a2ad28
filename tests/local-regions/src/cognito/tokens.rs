//! The tokens at the end of a sign-in: their claims, and what is done with them later.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::{Answer, ApiError};
use super::keys::Use;
use super::knobs::Millis;
use super::params::{CLIENT_ID, Params, SECRET, TOKEN};
use super::pool::PoolState;
use super::schema::{EMAIL_VERIFIED, PHONE_VERIFIED};
use super::settings::{AuthFlow, ClientSettings};
use super::token_trigger::{Claims, TokenSource, pre_token_generation};
use super::user::{User, parse_sub, sub_text};
use super::{Inner, lock};

/// The scope of an access token that authorises the operations of its owner.
// botocore GlobalSignOut: "It must include the scope aws.cognito.signin.user.admin" [D].
const OWN_ACCOUNT: &str = "aws.cognito.signin.user.admin";

/// A sign-in whose tokens are not revoked.
#[derive(Clone)]
pub(super) struct SignIn {
    /// What all tokens of the sign-in have as `origin_jti`.
    pub(super) origin: Uuid,
    client_id: String,
    at: Millis,
    event: Uuid,
    /// The current refresh token.
    refresh: Uuid,
    /// The refresh token before it, and until when it is still accepted.
    former: Option<(Uuid, Millis)>,
}

/// Tokens that are to be issued once the pool is no longer locked, because a trigger may run first.
pub(super) struct Grant {
    pub(super) pool: Arc<Mutex<PoolState>>,
    pub(super) client_id: String,
    pub(super) sub: u128,
    pub(super) source: TokenSource,
    pub(super) metadata: Option<Map<String, Value>>,
    /// The sign-in that is refreshed, and whether a new refresh token is issued; `None` for a new sign-in.
    pub(super) refreshed: Option<(SignIn, bool)>,
}

/// What an access token says.
pub(super) struct AccessToken {
    pub(super) pool_id: String,
    sub: u128,
    origin: String,
}

/// A sign-in that a refresh token belongs to.
struct Refreshable {
    sub: u128,
    sign_in: SignIn,
    /// Whether it is the current refresh token and not the one before it.
    current: bool,
}

impl PoolState {
    /// The claims of both tokens, before a trigger changes them.
    // DG:amazon-cognito-user-pools-using-the-id-token and -access-token: the claims [D]; `event_id` is [R].
    fn claims(&self, client: &ClientSettings, sub: u128, sign_in: &SignIn, now: Millis) -> Claims {
        let user = self.users.get(sub);
        let name = user.map(|user| user.name(sub)).unwrap_or_default();
        let issued = now / 1000;
        let common = |of: Use| {
            let lifetime = match of {
                Use::Access => client.lifetimes.access(),
                Use::Id => client.lifetimes.id(),
            };
            json!({
                "sub": sub_text(sub),
                "iss": self.issuer(),
                "token_use": of.as_str(),
                // DG:amazon-cognito-user-pools-using-the-id-token: a refreshed token has the time of the sign-in [D]; that it has the event, too,
                // is [R].
                "auth_time": sign_in.at / 1000,
                "event_id": sign_in.event.to_string(),
                "iat": issued,
                "exp": issued + lifetime / 1000,
                // repost.aws/knowledge-center/cognito-revoke-refresh-tokens: all tokens of one sign-in have the same [D].
                "origin_jti": sign_in.origin.to_string(),
                "jti": Uuid::new_v4().to_string(),
            })
        };
        let mut access = common(Use::Access);
        access["client_id"] = sign_in.client_id.as_str().into();
        access["username"] = name.as_str().into();
        access["scope"] = OWN_ACCOUNT.into();
        let mut id = common(Use::Id);
        id["aud"] = sign_in.client_id.as_str().into();
        id["cognito:username"] = name.into();
        for (attribute, value) in user
            .into_iter()
            .flat_map(|user| self.readable(client, user))
        {
            id[attribute] = match attribute {
                EMAIL_VERIFIED | PHONE_VERIFIED => (value == "true").into(),
                // OpenID Connect Core, 5.1.1; the same in Cognito's tokens [R].
                "address" => json!({ "formatted": value }),
                "identities" => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
                _ => value.into(),
            };
        }
        Claims {
            id,
            access,
            groups: self.groups.claims_of(sub),
        }
    }

    /// The attributes of a user that a client may read.
    // DG:user-pool-settings-attributes: ID tokens have those that the client can read [D].
    fn readable<'a>(
        &'a self,
        client: &'a ClientSettings,
        user: &'a User,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = user.attributes.iter();
        let named = own.map(|(id, value)| (self.schema.name(id), value));
        named.filter(|(name, _)| match &client.read_attributes {
            Some(readable) => readable.iter().any(|known| known == name),
            None => true,
        })
    }

    /// The issuer of the pool's tokens.
    // DG:amazon-cognito-user-pools-using-tokens-verifying-a-jwt [D].
    pub(super) fn issuer(&self) -> String {
        let region = self.id.split('_').next().unwrap_or_default();
        format!("https://cognito-idp.{region}.amazonaws.com/{}", self.id)
    }

    fn sign_ins(&mut self, sub: u128) -> Option<&mut Vec<SignIn>> {
        self.users.secrets(sub).map(|secrets| &mut secrets.sign_ins)
    }
}

impl Inner {
    /// Issues tokens: `AuthenticationResult`.
    pub(super) async fn issue(&self, grant: Grant) -> Answer {
        let now = self.clock.now();
        let (mut sign_in, new_refresh) = match grant.refreshed {
            Some(refreshed) => refreshed,
            None => {
                let sign_in = SignIn {
                    origin: Uuid::new_v4(),
                    client_id: grant.client_id.clone(),
                    at: now,
                    event: Uuid::new_v4(),
                    refresh: Uuid::new_v4(),
                    former: None,
                };
                (sign_in, true)
            }
        };
        let (mut claims, trigger, lifetime) = {
            let pool = lock(&grant.pool);
            let client = pool.clients.get(&grant.client_id).cloned();
            let client = client.unwrap_or_default();
            let claims = pool.claims(&client, grant.sub, &sign_in, now);
            let trigger = pre_token_generation(
                &pool,
                &self.region,
                grant.sub,
                grant.source,
                &grant.client_id,
                grant.metadata.as_ref(),
                &claims,
            );
            (claims, trigger, client.lifetimes.access())
        };
        if let Some((trigger, version)) = trigger {
            claims.change(&self.invoke(trigger).await?, version)?;
        }
        let (id, access) = claims.finish();
        let mut pool = lock(&grant.pool);
        let grace = pool.clients.get(&grant.client_id).and_then(|c| c.rotation);
        let sign_ins = pool
            .sign_ins(grant.sub)
            .ok_or_else(ApiError::user_not_found)?;
        match sign_ins
            .iter_mut()
            .find(|known| known.origin == sign_in.origin)
        {
            Some(known) if new_refresh => {
                known.former = Some((known.refresh, now + grace.unwrap_or_default() * 1000));
                known.refresh = Uuid::new_v4();
                sign_in.refresh = known.refresh;
            }
            Some(_) => {}
            None => sign_ins.push(sign_in.clone()),
        }
        let mut result = json!({
            "AccessToken": pool.keys.sign(Use::Access, &access),
            "IdToken": pool.keys.sign(Use::Id, &id),
            // botocore AuthenticationResultType: that of the access token [D].
            "ExpiresIn": lifetime / 1000,
            "TokenType": "Bearer",
        });
        if new_refresh {
            result["RefreshToken"] = self.refresh_token(&pool.id, grant.sub, &sign_in).into();
        }
        Ok(result)
    }

    /// A refresh token, which is opaque to its holder.
    fn refresh_token(&self, pool_id: &str, sub: u128, sign_in: &SignIn) -> String {
        let ids = [sub, sign_in.origin.as_u128(), sign_in.refresh.as_u128()];
        let body: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        let seal = self.mac(&[b"refresh", pool_id.as_bytes(), &body]);
        URL_SAFE_NO_PAD.encode([&body[..], &seal].concat())
    }

    /// The `sub`, the `origin_jti` and the id in a refresh token that this region has issued for the pool.
    fn read_refresh_token(&self, pool_id: &str, token: &str) -> Option<[u128; 3]> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (body, seal) = bytes.split_at_checked(48)?;
        let (ids, _) = body.as_chunks::<16>();
        (seal == self.mac(&[b"refresh", pool_id.as_bytes(), body]))
            .then(|| [0, 1, 2].map(|i| u128::from_be_bytes(ids[i])))
    }

    // The texts: aws-sdk-cpp#1789 and amplify-swift#3344 [I]; that about expiry is [R].
    fn refreshable(
        &self,
        pool: &PoolState,
        client_id: &str,
        token: &str,
    ) -> Result<Refreshable, ApiError> {
        let now = self.clock.now();
        let invalid = || ApiError::not_authorized("Invalid Refresh Token.");
        let [sub, origin, id] = self
            .read_refresh_token(&pool.id, token)
            .ok_or_else(invalid)?;
        let user = pool.users.get(sub).ok_or_else(ApiError::user_not_found)?;
        if !user.enabled {
            return Err(ApiError::disabled());
        }
        let mut own = user.secrets().into_iter().flat_map(|s| &s.sign_ins);
        let sign_in = own.find(|sign_in| sign_in.origin.as_u128() == origin);
        let Some(sign_in) = sign_in.cloned() else {
            return Err(ApiError::not_authorized("Refresh Token has been revoked"));
        };
        if sign_in.client_id != client_id {
            return Err(invalid());
        }
        // With rotation, too, the time runs from the sign-in: repost.aws/questions/QUzBxC3OvwTpiTymQWBYLDOg [I].
        let lifetime = pool
            .clients
            .get(client_id)
            .map_or(0, |client| client.lifetimes.refresh());
        if sign_in.at + lifetime <= now {
            return Err(ApiError::not_authorized("Refresh Token has expired"));
        }
        let current = sign_in.refresh.as_u128() == id;
        let graced = |(former, until): (Uuid, Millis)| former.as_u128() == id && until > now;
        if !current && !sign_in.former.is_some_and(graced) {
            // botocore RefreshTokenReuseException: for a token that rotation has made invalid [D]; the text is [Inf].
            let text = "The refresh token has been rotated and cannot be used again.";
            return Err(ApiError::new("RefreshTokenReuseException", text));
        }
        Ok(Refreshable {
            sub,
            sign_in,
            current,
        })
    }

    /// The user whose sign-in a refresh token belongs to, and what is issued for it.
    pub(super) fn refresh(
        &self,
        pool: &Arc<Mutex<PoolState>>,
        client_id: &str,
        token: &str,
        metadata: Option<&Map<String, Value>>,
    ) -> Result<(String, Grant), ApiError> {
        let state = lock(pool);
        let Refreshable {
            sub,
            sign_in,
            current,
        } = self.refreshable(&state, client_id, token)?;
        let user = state.users.get(sub).ok_or_else(ApiError::user_not_found)?;
        let rotates = state
            .clients
            .get(client_id)
            .is_some_and(|client| client.rotation.is_some());
        let grant = Grant {
            pool: pool.clone(),
            client_id: client_id.to_owned(),
            sub,
            source: TokenSource::RefreshTokens,
            metadata: metadata.cloned(),
            // Within the grace period, the former token gets no refresh token [Inf].
            refreshed: Some((sign_in, rotates && current)),
        };
        Ok((user.name(sub), grant))
    }

    pub(super) fn get_tokens_from_refresh_token(
        &self,
        mut p: Params<'_>,
    ) -> Result<Grant, ApiError> {
        let token = p.required("RefreshToken", &TOKEN);
        let client_id = p.required("ClientId", &CLIENT_ID);
        let secret = p.optional("ClientSecret", &SECRET);
        let metadata = p.map("ClientMetadata");
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        // The operation takes the secret itself [D]; the text is assumed to be that of a wrong hash [Inf].
        if !client.has_secret(secret) {
            let text = format!("Unable to verify secret for client {client_id}");
            return Err(ApiError::not_authorized(text));
        }
        let (_, grant) = self.refresh(&pool, client_id, token, metadata)?;
        Ok(grant)
    }

    // botocore RevokeToken: the exceptions [D]; the texts, and which one a token that is none gets, are [Inf].
    pub(super) fn revoke_token(&self, mut p: Params<'_>) -> Answer {
        let token = p.required("Token", &TOKEN);
        let client_id = p.required("ClientId", &CLIENT_ID);
        let secret = p.optional("ClientSecret", &SECRET);
        p.check()?;
        let (pool, client) = self.client(client_id)?;
        let unauthorized = |text: &str| Err(ApiError::new("UnauthorizedException", text));
        if !client.has_secret(secret) {
            return unauthorized("Invalid client secret.");
        }
        if token.split('.').count() == 3 {
            let text = "Only refresh tokens can be revoked.";
            return Err(ApiError::new("UnsupportedTokenTypeException", text));
        }
        let mut pool = lock(&pool);
        let Some([sub, origin, _]) = self.read_refresh_token(&pool.id, token) else {
            return unauthorized("Invalid token.");
        };
        let Some(sign_ins) = pool.sign_ins(sub) else {
            return Ok(json!({}));
        };
        let place = sign_ins
            .iter()
            .position(|sign_in| sign_in.origin.as_u128() == origin);
        if let Some(place) = place {
            if sign_ins[place].client_id != client_id {
                return unauthorized("The token was not issued to this client.");
            }
            sign_ins.remove(place);
        }
        // RFC 7009, 2.2: a token that is revoked already is no error.
        Ok(json!({}))
    }

    /// The pool and the user of an access token that is not revoked.
    pub(super) fn access_token(&self, token: &str) -> Result<(String, u128), ApiError> {
        let read = self.read_access_token(token)?;
        let pool = self.pool(&read.pool_id)?;
        let pool = lock(&pool);
        // The operations themselves answer for a user who does not exist any more.
        let revoked = pool.users.get(read.sub).is_some_and(|user| {
            let mut sign_ins = user.secrets().into_iter().flat_map(|s| &s.sign_ins);
            !sign_ins.any(|sign_in| sign_in.origin.to_string() == read.origin)
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
        let claims = token
            .split('.')
            .nth(1)
            .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Value = claims
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(invalid)?;
        let issuer = claims["iss"].as_str();
        let (_, pool_id) = issuer
            .and_then(|i| i.rsplit_once('/'))
            .ok_or_else(invalid)?;
        let pool = self.pool(pool_id).map_err(|_| invalid())?;
        if !lock(&pool).keys.has_signed(Use::Access, token) {
            return Err(invalid());
        }
        if claims["exp"].as_u64().unwrap_or_default() <= self.clock.now() / 1000 {
            return Err(ApiError::not_authorized("Access Token has expired"));
        }
        let scopes = claims["scope"].as_str().unwrap_or_default();
        if !scopes.split(' ').any(|scope| scope == OWN_ACCOUNT) {
            // [R]
            let text = "Access Token does not have required scopes";
            return Err(ApiError::not_authorized(text));
        }
        let sub = claims["sub"].as_str().and_then(parse_sub);
        Ok(AccessToken {
            pool_id: pool_id.to_owned(),
            sub: sub.ok_or_else(invalid)?,
            origin: claims["origin_jti"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

impl ClientSettings {
    /// Rejects settings that contradict each other.
    // DG:amazon-cognito-user-pools-using-the-refresh-token: no REFRESH_TOKEN_AUTH with rotation [D]; the text is [Inf].
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.rotation.is_some() && self.flows.contains(&AuthFlow::RefreshToken) {
            let text =
                "ALLOW_REFRESH_TOKEN_AUTH cannot be set together with refresh token rotation.";
            return Err(ApiError::invalid_parameter(text));
        }
        self.lifetimes.check()
    }
}
