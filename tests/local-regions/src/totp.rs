//! One-time passwords of authenticator apps (RFC 6238: HMAC-SHA1, 30 s, 6 digits, base32 secret): the check of the server, and
//! the authenticator app of a person in a test.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha1::Sha1;

const STEP_SECONDS: u64 = 30;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A random secret in base32, as authenticator apps take it: 256 bits, 52 characters.
pub fn new_secret() -> String {
    base32(&rand::random::<[u8; 32]>())
}

/// The number of the 30-second window that contains `time`.
pub fn step_at(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_secs() / STEP_SECONDS
}

/// The code of one window, or `None` if the secret is not base32.
pub fn code(secret: &str, step: u64) -> Option<String> {
    let key = from_base32(secret)?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 0x0f);
    let number = u32::from_be_bytes([
        digest[offset] & 0x7f,
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ]);
    Some(format!("{:06}", number % 1_000_000))
}

/// The window that this code belongs to: the current one, the previous or the next one.
// DG:user-pool-settings-mfa-totp: codes of 30 seconds earlier or later are accepted.
pub fn matching_step(secret: &str, given: &str, time: SystemTime) -> Option<u64> {
    let now = step_at(time);
    (now.saturating_sub(1)..=now + 1).find(|&step| code(secret, step).as_deref() == Some(given))
}

/// An authenticator app that never shows a code twice, because Cognito accepts each code only once.
#[derive(Clone)]
pub struct Authenticator {
    secret: String,
    last: Option<u64>,
}

impl Authenticator {
    /// An app that holds the secret returned by AssociateSoftwareToken.
    pub fn new(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            last: None,
        }
    }

    /// A code that is valid now and was not shown before; `None` if all codes that are valid now have been shown.
    pub fn next_code(&mut self) -> Option<String> {
        let now = step_at(SystemTime::now());
        let step = self
            .last
            .map_or(now, |last| last + 1)
            .max(now.saturating_sub(1));
        if step > now + 1 {
            return None;
        }
        self.last = Some(step);
        code(&self.secret, step)
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|&known| known == letter)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// RFC 6238, appendix B: the ASCII secret "12345678901234567890".
    const RFC_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn given_the_rfc_secret_when_a_code_is_made_then_it_is_the_one_of_the_rfc() {
        assert_eq!(code(RFC_SECRET, 59 / 30).as_deref(), Some("287082"));
        assert_eq!(
            code(RFC_SECRET, 1_111_111_109 / 30).as_deref(),
            Some("081804")
        );
        assert_eq!(
            code(RFC_SECRET, 20_000_000_000 / 30).as_deref(),
            Some("353130")
        );
    }

    #[test]
    fn given_bytes_when_encoded_then_they_decode_to_the_same() {
        assert_eq!(base32(b"12345678901234567890"), RFC_SECRET);
        assert_eq!(
            from_base32(RFC_SECRET).as_deref(),
            Some(&b"12345678901234567890"[..])
        );
        assert_eq!(new_secret().len(), 52);
        assert_eq!(from_base32("not base32"), None);
    }

    #[test]
    fn given_a_code_when_a_minute_has_passed_then_it_no_longer_matches() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let given = code(RFC_SECRET, step_at(now)).expect("a code");
        assert_eq!(matching_step(RFC_SECRET, &given, now), Some(step_at(now)));
        assert!(matching_step(RFC_SECRET, &given, now + Duration::from_secs(30)).is_some());
        assert!(matching_step(RFC_SECRET, &given, now + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn given_an_authenticator_when_asked_again_then_it_shows_another_code() {
        let mut phone = Authenticator::new(RFC_SECRET);
        assert_ne!(phone.next_code(), phone.next_code());
    }
}
