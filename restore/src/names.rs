//! Sign-in names and identities as hashes of 16 bytes: small enough to keep some for every user of a large pool in memory, and
//! long enough that two different texts of a pool never share one.

use std::fmt;

use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use sha2::{Digest, Sha256};
use shared::forgotten::IdentityDigest;

/// A sign-in name as the target pool compares it: two names have the same hash exactly if the pool treats them as one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash([u8; 16]);

/// A user of the snapshot: their sign-in name, letter by letter. A pool may distinguish letter case that the target pool ignores, so
/// two users of a snapshot may have one [`NameHash`], but never one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey([u8; 16]);

/// The identity of a person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityHash([u8; 16]);

impl PersonKey {
    /// The key of the user with this sign-in name.
    pub fn of(name: &str) -> Self {
        Self(digest(name))
    }
}

impl PersonKey {
    /// The hash as hexadecimal digits.
    pub fn to_hex(self) -> String {
        shared::s3::upload::hex(&self.0)
    }
}

impl IdentityHash {
    /// The hash of an identity.
    pub fn of(identity: &str) -> Self {
        Self(digest(identity))
    }

    /// The hash of the identity with this SHA-256.
    pub fn of_digest(sha256: &IdentityDigest) -> Self {
        Self(shortened(sha256))
    }
}

/// Hides the hash, from which a known name could be recognized.
impl fmt::Debug for NameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameHash(***)")
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonKey(***)")
    }
}

impl fmt::Debug for IdentityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityHash(***)")
    }
}

/// Hashes sign-in names as a pool compares them.
#[derive(Clone, Copy, Debug)]
pub struct NameHasher {
    case_sensitive: bool,
}

impl NameHasher {
    /// A hasher for the names of a pool. They are case sensitive unless the pool says otherwise (botocore
    /// UsernameConfigurationType).
    pub fn of(pool: &UserPoolType) -> Self {
        let configured = pool.username_configuration();
        Self {
            case_sensitive: configured.is_none_or(|names| names.case_sensitive),
        }
    }

    /// Hashes a name.
    pub fn hash(&self, name: &str) -> NameHash {
        NameHash(if self.case_sensitive {
            digest(name)
        } else {
            digest(&name.to_lowercase())
        })
    }
}

fn digest(text: &str) -> [u8; 16] {
    shortened(&Sha256::digest(text))
}

/// The first half of a SHA-256.
fn shortened(sha256: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&sha256[..16]);
    hash
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::UsernameConfigurationType;

    use super::*;

    fn hasher(case_sensitive: Option<bool>) -> NameHasher {
        let configuration = case_sensitive.map(|case_sensitive| {
            UsernameConfigurationType::builder()
                .case_sensitive(case_sensitive)
                .build()
                .unwrap()
        });
        NameHasher::of(
            &UserPoolType::builder()
                .set_username_configuration(configuration)
                .build(),
        )
    }

    #[test]
    fn names_are_compared_as_the_pool_compares_them() {
        for (case_sensitive, same) in [(Some(false), true), (Some(true), false), (None, false)] {
            let hasher = hasher(case_sensitive);

            assert_eq!(hasher.hash("Taro") == hasher.hash("tARO"), same);
        }
    }
}
