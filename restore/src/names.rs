//! Sign-in names, hashed as the pool compares them.

use std::fmt;

use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use sha2::{Digest, Sha256};

/// The hash of a sign-in name: the first 16 bytes of its SHA-256. Small enough to keep one for every user of a large pool in
/// memory, and long enough that two names of a pool never share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash([u8; 16]);

/// Hides the hash, from which a known name could be recognized.
impl fmt::Debug for NameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameHash(***)")
    }
}

/// Hashes sign-in names so that two names have the same hash exactly if the pool treats them as the same name.
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
        let digest = if self.case_sensitive {
            Sha256::digest(name)
        } else {
            Sha256::digest(name.to_lowercase())
        };
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        NameHash(hash)
    }
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
