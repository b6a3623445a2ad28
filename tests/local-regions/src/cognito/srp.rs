//! The server's side of the Secure Remote Password protocol as Cognito speaks it, as plain functions.
//!
//! RFC 5054 with its 3072-bit group, and with Cognito's own hashes and paddings, which are those of its clients: amplify-js
//! `packages/auth/src/providers/cognito/utils/srp/` and pycognito `aws_srp.py` `[I]`.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::civil::{Date, Time, Weekday};
use num_bigint::BigUint;
use sha2::{Digest, Sha256};

/// The group's prime: amplify-js `srp/constants.ts`, INIT_N; it is that of RFC 5054, appendix A.
static N: LazyLock<BigUint> = LazyLock::new(|| {
    const HEX: &[u8] = b"\
        FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
        EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
        EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
        83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
        E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
        15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
        ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
        BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF";
    BigUint::parse_bytes(HEX, 16).expect("the prime is hexadecimal")
});
static G: LazyLock<BigUint> = LazyLock::new(|| BigUint::from(2_u8));
/// The multiplier: the hash of the padded prime and the padded generator.
static K: LazyLock<BigUint> = LazyLock::new(|| hash_of(&[&padded(&N), &padded(&G)]));

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The private value `x` of a password. `user_id` is what the client gets as USER_ID_FOR_SRP.
pub(super) fn private_value(salt: &[u8], pool_id: &str, user_id: &str, password: &str) -> [u8; 32] {
    let identity = Sha256::new()
        .chain_update(pool_name(pool_id))
        .chain_update(user_id)
        .chain_update(":")
        .chain_update(password)
        .finalize();
    let salt = padded(&BigUint::from_bytes_be(salt));
    Sha256::new()
        .chain_update(salt)
        .chain_update(identity)
        .finalize()
        .into()
}

/// A pool's id without its region.
fn pool_name(pool_id: &str) -> &str {
    pool_id.rsplit('_').next().unwrap_or_default()
}

/// One exchange with a client.
#[derive(Clone)]
pub(super) struct Exchange {
    client: BigUint,
    verifier: BigUint,
    secret: BigUint,
    server: BigUint,
}

impl Exchange {
    /// Answers the client's public value, which is hexadecimal; `None` if it is none that a client can have.
    pub(super) fn answer(client: &str, private_value: &[u8; 32]) -> Option<Self> {
        // RFC 5054, 2.5.4: the server must abort if A mod N is zero. A longer value than the prime is never one.
        let client = BigUint::parse_bytes(client.as_bytes(), 16)?;
        if &client % &*N == BigUint::ZERO || client >= *N {
            return None;
        }
        let verifier = G.modpow(&BigUint::from_bytes_be(private_value), &N);
        let secret = BigUint::from_bytes_be(&rand::random::<[u8; 32]>());
        let server = (&*K * &verifier + G.modpow(&secret, &N)) % &*N;
        Some(Self {
            client,
            verifier,
            secret,
            server,
        })
    }

    /// The server's public value, SRP_B, in hexadecimal.
    pub(super) fn public_value(&self) -> String {
        self.server.to_str_radix(16)
    }

    /// The key that both sides share if the client knows the password.
    fn key(&self) -> [u8; 16] {
        let u = hash_of(&[&padded(&self.client), &padded(&self.server)]);
        let shared = (&self.client * self.verifier.modpow(&u, &N)).modpow(&self.secret, &N);
        // RFC 5869 with one block, of which Cognito takes the first half.
        let extracted = hmac(&padded(&u), &[&padded(&shared)]);
        let expanded = hmac(&extracted, &[b"Caldera Derived Key", &[1]]);
        expanded[..16].try_into().expect("a hash is longer")
    }

    /// The signature of a client that knows the password, in base64.
    pub(super) fn signature(
        &self,
        pool_id: &str,
        user_id: &str,
        secret_block: &[u8],
        timestamp: &str,
    ) -> String {
        let parts: [&[u8]; 4] = [
            pool_name(pool_id).as_bytes(),
            user_id.as_bytes(),
            secret_block,
            timestamp.as_bytes(),
        ];
        STANDARD.encode(hmac(&self.key(), &parts))
    }
}

/// The timestamp of a signature as Cognito writes it itself, from one that a client wrote; `None` if it has another format.
// ministack#1758, measured: a client that wrote `Sep 05` or a wrong weekday has signed something else [I].
pub(super) fn canonical_timestamp(given: &str) -> Option<String> {
    let parts: Vec<_> = given.split(' ').collect();
    let [weekday, month, day, time, "UTC", year] = parts[..] else {
        return None;
    };
    let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    weekdays.contains(&weekday).then_some(())?;
    let number = MONTHS.iter().position(|known| *known == month)? as i8 + 1;
    let date = Date::new(year.parse().ok()?, number, day.parse().ok()?).ok()?;
    let time: Time = time.parse().ok()?;
    let weekday = match date.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    };
    Some(format!(
        "{weekday} {month} {} {:02}:{:02}:{:02} UTC {}",
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        date.year()
    ))
}

/// The bytes of a positive number in two's complement, as Java's BigInteger writes them.
fn padded(number: &BigUint) -> Vec<u8> {
    let mut bytes = number.to_bytes_be();
    if bytes[0] >= 0x80 {
        bytes.insert(0, 0);
    }
    bytes
}

fn hash_of(parts: &[&[u8]]) -> BigUint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    BigUint::from_bytes_be(&hash.finalize())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The client's side, for tests.
#[cfg(test)]
pub(super) mod client {
    use super::*;

    /// What a client sends first, SRP_A, and what it keeps.
    pub(in super::super) fn begin() -> (String, BigUint) {
        let secret = BigUint::from_bytes_be(&rand::random::<[u8; 32]>());
        (G.modpow(&secret, &N).to_str_radix(16), secret)
    }

    /// The client's signature.
    #[allow(clippy::too_many_arguments)]
    pub(in super::super) fn sign(
        secret: &BigUint,
        salt: &str,
        server: &str,
        pool_id: &str,
        user_id: &str,
        password: &str,
        secret_block: &[u8],
        timestamp: &str,
    ) -> String {
        let salt = BigUint::parse_bytes(salt.as_bytes(), 16).expect("a salt");
        let server = BigUint::parse_bytes(server.as_bytes(), 16).expect("a public value");
        let client = G.modpow(secret, &N);
        let x = private_value(&salt.to_bytes_be(), pool_id, user_id, password);
        let x = BigUint::from_bytes_be(&x);
        let u = hash_of(&[&padded(&client), &padded(&server)]);
        let masked = &*K * G.modpow(&x, &N) % &*N;
        let shared = (server + &*N - masked).modpow(&(secret + &u * &x), &N);
        let extracted = hmac(&padded(&u), &[&padded(&shared)]);
        let key = &hmac(&extracted, &[b"Caldera Derived Key", &[1]])[..16];
        let parts: [&[u8]; 4] = [
            pool_name(pool_id).as_bytes(),
            user_id.as_bytes(),
            secret_block,
            timestamp.as_bytes(),
        ];
        STANDARD.encode(hmac(key, &parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "ap-northeast-1_Primary01";
    const NOW: &str = "Sat Sep 5 08:07:06 UTC 2026";

    fn signatures(password: &str) -> (String, String) {
        let salt = [7; 16];
        let x = private_value(&salt, POOL, "taro", "Correct-Horse-1");
        let (public, secret) = client::begin();
        let exchange = Exchange::answer(&public, &x).expect("an exchange");
        let salt = BigUint::from_bytes_be(&salt).to_str_radix(16);
        let server = exchange.public_value();
        let theirs = client::sign(
            &secret, &salt, &server, POOL, "taro", password, b"block", NOW,
        );
        (exchange.signature(POOL, "taro", b"block", NOW), theirs)
    }

    #[test]
    fn given_the_password_when_a_client_signs_then_the_server_expects_that_signature() {
        let (ours, theirs) = signatures("Correct-Horse-1");
        assert_eq!(ours, theirs);
        let (ours, theirs) = signatures("correct-horse-1");
        assert_ne!(ours, theirs);
    }

    #[test]
    fn given_public_values_that_no_client_has_when_answered_then_there_is_no_exchange() {
        let x = [1; 32];
        let beyond = (&*N + 5_u8).to_str_radix(16);
        for wrong in ["", "0", "xyz", &N.to_str_radix(16), &beyond] {
            assert!(Exchange::answer(wrong, &x).is_none(), "{wrong}");
        }
    }

    #[test]
    fn given_timestamps_when_read_then_only_those_of_the_format_are_known_and_written_in_one_way() {
        for same in [
            NOW,
            "Sat Sep 05 08:07:06 UTC 2026",
            "Mon Sep 5 08:07:06 UTC 2026",
        ] {
            assert_eq!(canonical_timestamp(same).as_deref(), Some(NOW));
        }
        for wrong in [
            "",
            "2026-09-05T08:07:06Z",
            "lør. sep. 5 08:07:06 UTC 2026",
            "Sat Feb 30 08:07:06 UTC 2026",
        ] {
            assert_eq!(canonical_timestamp(wrong), None, "{wrong}");
        }
    }
}
