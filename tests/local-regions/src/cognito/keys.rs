//! The keys with which a pool signs its tokens.
//!
//! RSA keys take seconds to generate in a debug build, so the pools take theirs from `keys.pem`. The pools of both regions have
//! different ones, and so have the first pools of a region.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

static PAIRS: LazyLock<Vec<RsaKeyPair>> = LazyLock::new(|| {
    let pem = include_str!("keys.pem").lines();
    let mut keys = Vec::new();
    let mut body = String::new();
    for line in pem.skip_while(|line| !line.starts_with("-----BEGIN")) {
        match line {
            line if line.starts_with("-----BEGIN") => body.clear(),
            line if line.starts_with("-----END") => {
                let der = STANDARD.decode(&body).expect("the file is PEM");
                keys.push(RsaKeyPair::from_pkcs8(&der).expect("the file has RSA keys"));
            }
            line => body.push_str(line),
        }
    }
    keys
});

/// A kind of token that a pool signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Id,
    Access,
}

impl Use {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Access => "access",
        }
    }
}

/// The two keys of one pool: one for its ID tokens and one for its access tokens.
// DG:amazon-cognito-user-pools-using-tokens-verifying-a-jwt: two keys a pool; DG:amazon-cognito-user-pools-using-the-access-token: one
// for each kind of token [D].
pub(super) struct Keys {
    pool_id: String,
    place: usize,
}

impl Keys {
    /// The keys of the pool that is the `number`th of its region, from 0.
    pub(super) fn new(pool_id: &str, region: &str, number: usize) -> Self {
        let region: usize = region.bytes().map(usize::from).sum();
        Self {
            pool_id: pool_id.to_owned(),
            place: region + number,
        }
    }

    fn pair(&self, of: Use) -> &'static RsaKeyPair {
        let places = PAIRS.len() / 2;
        &PAIRS[self.place % places * 2 + of as usize]
    }

    /// The key's id.
    fn id(&self, of: Use) -> String {
        let hash = Sha256::new()
            .chain_update(&self.pool_id)
            .chain_update(of.as_str());
        STANDARD.encode(hash.finalize())
    }

    /// A signed token with these claims.
    pub(super) fn sign(&self, of: Use, claims: &Value) -> String {
        let header = json!({"kid": self.id(of), "alg": "RS256"});
        let body = [header.to_string(), claims.to_string()]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let pair = self.pair(of);
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            body.as_bytes(),
            &mut signature,
        )
        .expect("the key can sign");
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether a token is signed with the pool's key for that use.
    pub(super) fn has_signed(&self, of: Use, token: &str) -> bool {
        let Some((body, signature)) = token.rsplit_once('.') else {
            return false;
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let public = self.pair(of).public();
        let public =
            ring::signature::UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref());
        public.verify(body.as_bytes(), &signature).is_ok()
    }

    /// The public document of the keys.
    // DG:amazon-cognito-user-pools-using-tokens-verifying-a-jwt: the members [D].
    pub(super) fn document(&self) -> Value {
        let key = |of| {
            let public = self.pair(of).public();
            let public = PublicKeyComponents::<Vec<u8>>::from(public);
            let [n, e] = [public.n, public.e].map(|number| URL_SAFE_NO_PAD.encode(number));
            json!({"alg": "RS256", "e": e, "kid": self.id(of), "kty": "RSA", "n": n, "use": "sig"})
        };
        json!({"keys": [key(Use::Id), key(Use::Access)]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_token_when_verified_then_only_its_own_pool_and_use_have_signed_it() {
        let tokyo = Keys::new("ap-northeast-1_A", "ap-northeast-1", 0);
        let second = Keys::new("ap-northeast-1_B", "ap-northeast-1", 1);
        let osaka = Keys::new("ap-northeast-3_A", "ap-northeast-3", 0);

        let token = tokyo.sign(Use::Access, &json!({"sub": "a"}));

        assert!(tokyo.has_signed(Use::Access, &token));
        assert!(!tokyo.has_signed(Use::Id, &token));
        assert!(!second.has_signed(Use::Access, &token) && !osaka.has_signed(Use::Access, &token));
        let forged = token.replacen('.', ".A", 1);
        assert!(!tokyo.has_signed(Use::Access, &forged));
    }
}
