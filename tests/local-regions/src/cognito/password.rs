//! Passwords: the policy of a pool, and the salted hash in which a password is stored.

use serde_json::{Value, json};

use super::error::ApiError;
use super::srp::private_value;

/// The password policy of a pool.
// botocore PasswordPolicyType [D]; the defaults are those of CreateUserPool without Policies.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// The minimum length, 6 to 99.
    pub minimum_length: usize,
    /// Whether a password needs a character of A-Z.
    pub uppercase: bool,
    /// Whether a password needs a character of a-z.
    pub lowercase: bool,
    /// Whether a password needs a digit.
    pub numbers: bool,
    /// Whether a password needs one of Cognito's special characters.
    pub symbols: bool,
    /// How long a temporary password is valid.
    pub temporary_days: u64,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            minimum_length: 8,
            uppercase: true,
            lowercase: true,
            numbers: true,
            symbols: true,
            temporary_days: 7,
        }
    }
}

// DG:user-pool-settings-policies: the special characters that count, and the space [D].
const SYMBOLS: &str = r##"^$*.[]{}()?"!@#%&/\,><':;|_~`=+- "##;

impl PasswordPolicy {
    /// Rejects a password that does not conform to the policy.
    pub(super) fn check(&self, password: &str) -> Result<(), ApiError> {
        let has = |wanted: fn(char) -> bool| password.chars().any(wanted);
        let wrong = if password.chars().count() < self.minimum_length {
            "Password not long enough"
        } else if self.uppercase && !has(|c| c.is_ascii_uppercase()) {
            "Password must have uppercase characters"
        } else if self.lowercase && !has(|c| c.is_ascii_lowercase()) {
            "Password must have lowercase characters"
        } else if self.numbers && !has(|c| c.is_ascii_digit()) {
            "Password must have numeric characters"
        } else if self.symbols && !has(|c| SYMBOLS.contains(c)) {
            "Password must have symbol characters"
        } else {
            return Ok(());
        };
        let message = format!("Password did not conform with policy: {wrong}");
        Err(ApiError::new("InvalidPasswordException", message))
    }

    /// Reads the policy from a pool's configuration.
    pub(super) fn read(policy: &Value) -> Self {
        let number = |name: &str| policy[name].as_u64().unwrap_or_default();
        let flag = |name: &str| policy[name] == true;
        Self {
            minimum_length: number("MinimumLength") as usize,
            uppercase: flag("RequireUppercase"),
            lowercase: flag("RequireLowercase"),
            numbers: flag("RequireNumbers"),
            symbols: flag("RequireSymbols"),
            temporary_days: number("TemporaryPasswordValidityDays"),
        }
    }

    pub(super) fn describe(&self) -> Value {
        json!({
            "MinimumLength": self.minimum_length,
            "RequireUppercase": self.uppercase,
            "RequireLowercase": self.lowercase,
            "RequireNumbers": self.numbers,
            "RequireSymbols": self.symbols,
            "TemporaryPasswordValidityDays": self.temporary_days,
        })
    }

    /// A random temporary password, which Cognito generates if an administrator gives none.
    pub(super) fn make_temporary(&self) -> String {
        let classes: [&[u8]; 4] = [
            b"ABCDEFGHJKLMNPQRSTUVWXYZ",
            b"abcdefghijkmnopqrstuvwxyz",
            b"23456789",
            b"!@#%&*?_=+",
        ];
        let length = self.minimum_length.max(8);
        let pick = |i: usize| {
            let class = classes[i % classes.len()];
            char::from(class[usize::from(rand::random::<u16>()) % class.len()])
        };
        (0..length).map(pick).collect()
    }
}

/// A salted hash of a password. It is the private value of Secure Remote Password, so that both ways to sign in use the same.
#[derive(Clone)]
pub(super) struct PasswordHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl PasswordHash {
    /// The hash of a user's password; `username` is the one that never changes.
    pub(super) fn new(pool_id: &str, username: &str, password: &str) -> Self {
        let mut salt: [u8; 16] = rand::random();
        // Clients handle the salt as a number, so it must not begin with a zero.
        salt[0] |= 0x10;
        Self {
            salt,
            hash: private_value(&salt, pool_id, username, password),
        }
    }

    /// What stands for the password of somebody who does not exist.
    pub(super) fn simulated(seed: &[u8; 32]) -> Self {
        let (_, salt) = seed.split_last_chunk().expect("a seed is longer");
        let mut salt: [u8; 16] = *salt;
        salt[0] |= 0x10;
        Self { salt, hash: *seed }
    }

    pub(super) fn matches(&self, pool_id: &str, username: &str, password: &str) -> bool {
        private_value(&self.salt, pool_id, username, password) == self.hash
    }

    /// The salt in hexadecimal, as clients get it.
    pub(super) fn salt(&self) -> String {
        self.salt.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The private value of Secure Remote Password.
    pub(super) fn private_value(&self) -> &[u8; 32] {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_usual_policy_when_passwords_lack_something_then_each_is_refused_for_it() {
        let policy = PasswordPolicy::default();
        for (password, wrong) in [
            ("Aa1!", "not long enough"),
            ("aaaaaaa1!", "uppercase"),
            ("AAAAAAA1!", "lowercase"),
            ("Aaaaaaaa!", "numeric"),
            ("Aaaaaaaa1", "symbol"),
        ] {
            let refusal = policy.check(password).expect_err(wrong);
            assert_eq!(refusal.code, "InvalidPasswordException");
            assert!(refusal.message.contains(wrong), "{refusal}");
        }
        assert_eq!(policy.check(&policy.make_temporary()), Ok(()));
    }

    #[test]
    fn given_a_hash_when_compared_then_only_the_password_matches() {
        let hash = PasswordHash::new("r_Pool", "taro", "Correct-Horse-1");
        assert!(hash.matches("r_Pool", "taro", "Correct-Horse-1"));
        assert!(!hash.matches("r_Pool", "taro", "correct-horse-1"));
        assert!(!hash.matches("r_Other", "taro", "Correct-Horse-1"));
    }
}
