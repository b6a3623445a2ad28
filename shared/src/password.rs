//! Random passwords for replicas. Every password policy that Cognito allows accepts them; nobody knows them, and they are
//! never printed.

use std::fmt;

use rand::TryRngCore;
use rand::rngs::OsRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// Length of a password: above every minimum that a policy can set, and below the API's maximum.
/// botocore PasswordPolicyType.MinimumLength: 6 to 99; PasswordType: at most 256.
const PASSWORD_CHARACTERS: usize = 128;

/// The strictest policy requires one character of each class (DG:managing-users-passwords, which lists the symbols).
const CHARACTER_CLASSES: [&[u8]; 4] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
    b"^$*.[]{}()?!@#%&/,><':;|_~`=+-",
];

/// A password. `Debug` does not show it; only the call that sends it reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new password from the operating system's random number generator.
    ///
    /// # Panics
    ///
    /// If the operating system returns no random numbers: without them no safe password can be made.
    pub fn random() -> Self {
        let mut rng = OsRng.unwrap_err();
        let any_class = CHARACTER_CLASSES.concat();
        let mut characters: Vec<u8> = CHARACTER_CLASSES
            .iter()
            .copied()
            .chain(std::iter::repeat_n(
                any_class.as_slice(),
                PASSWORD_CHARACTERS - CHARACTER_CLASSES.len(),
            ))
            .filter_map(|class| class.choose(&mut rng).copied())
            .collect();
        characters.shuffle(&mut rng);
        Self(characters.into_iter().map(char::from).collect())
    }

    /// The password as text, for the request that sets it.
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
        /// Every policy that Cognito allows: a minimum length of 6 to 99 and any set of the four classes.
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
