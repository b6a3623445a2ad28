//! Texts of any length as keys.

use sha2::{Digest, Sha256};

use super::Key;

/// The first 16 bytes of the SHA-256 of a text.
///
/// They suffice: among a hundred million texts, the probability that two different ones have the same 128 bits is below 10^-22, and to
/// find two such texts on purpose takes 2^64 attempts.
pub fn hash16(text: &str) -> Key {
    let digest = Sha256::digest(text.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_beginning_of_the_texts_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223_u128;

        assert_eq!(hash16("abc"), expected.to_be_bytes());
    }
}
