//! Random passwords for replicas: accepted by every policy that Cognito can hold, known to nobody, printed nowhere.

use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// Longer than the longest minimum a policy can ask for (99), within the API's 256.
/// botocore PasswordPolicyType.MinimumLength: 6 to 99; PasswordType: at most 256.
const LENGTH: usize = 128;

/// One of each is what the strictest policy asks for (DG:managing-users-passwords); the symbols are from its list.
const CLASSES: [&[u8]; 4] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
    b"^$*.[]{}()?!@#%&/,><':;|_~`=+-",
];

/// A password that shows itself only to the call that sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new password from the operating system's generator.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give, which leaves nothing sensible to do.
    pub fn random() -> Self {
        let mut rng = OsRng.unwrap_err();
        let everything = CLASSES.concat();
        let mut characters: Vec<u8> = CLASSES
            .iter()
            .copied()
            .chain(std::iter::repeat_n(
                everything.as_slice(),
                LENGTH - CLASSES.len(),
            ))
            .filter_map(|class| class.choose(&mut rng).copied())
            .collect();
        characters.shuffle(&mut rng);
        Self(characters.into_iter().map(char::from).collect())
    }

    /// The text, for the one call that sets it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every policy Cognito allows: a minimum of 6 to 99 and any set of the four classes.
        #[test]
        fn every_policy_accepts_every_password(minimum in 6usize..=99, upper: bool, lower: bool, digit: bool, symbol: bool) {
            let password = Password::random();
            let text = password.expose();

            prop_assert!(text.chars().count() >= minimum.max(100));
            prop_assert!(text.len() <= 256);
            prop_assert!(!text.chars().any(char::is_whitespace));
            prop_assert!(!upper || text.chars().any(|c| c.is_ascii_uppercase()));
            prop_assert!(!lower || text.chars().any(|c| c.is_ascii_lowercase()));
            prop_assert!(!digit || text.chars().any(|c| c.is_ascii_digit()));
            prop_assert!(!symbol || text.chars().any(|c| c.is_ascii_punctuation()));
            prop_assert_eq!(format!("{:?}", password), "Password(***)");
        }
    }

    #[test]
    fn no_two_passwords_are_the_same() {
        let passwords: std::collections::BTreeSet<_> = (0..1000)
            .map(|_| Password::random().expose().to_owned())
            .collect();

        assert_eq!(passwords.len(), 1000);
    }

    #[test]
    fn required_characters_are_not_always_in_the_same_place() {
        let first_characters: std::collections::BTreeSet<_> = (0..200)
            .filter_map(|_| Password::random().expose().chars().next())
            .collect();

        assert!(first_characters.len() > 26);
    }
}
