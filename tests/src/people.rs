//! People to fill the regions with: profiles from a file of JSON lines. A quarter of them are unusual in ways that Cognito
//! allows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A person with the data that they have in a pool.
#[derive(Clone, Deserialize)]
pub struct Profile {
    /// What is unusual about the person; `plain` for most.
    pub kind: String,
    /// The status, as Cognito writes it.
    pub status: String,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Profile {
    /// The email address that the person signs in with.
    pub fn email(&self) -> &str {
        &self.attributes["email"]
    }

    /// The attributes that a person can give at sign-up: all except those that Cognito sets, and no empty ones.
    pub fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .filter(|(name, value)| {
                !name.ends_with("_verified") && *name != "identities" && !value.is_empty()
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the person can have signed up themselves: they were not created by an administrator or another identity
    /// provider, and have no birthdate that SignUp rejects (botocore SchemaType: 10 characters).
    pub fn signs_up(&self) -> bool {
        let birthdate = self.attributes.get("birthdate");
        matches!(self.status.as_str(), "CONFIRMED" | "UNCONFIRMED")
            && birthdate.is_none_or(|date| date.chars().count() == 10)
    }
}

/// Reads the profiles of this repository.
///
/// # Errors
///
/// Fails if the file cannot be read.
pub fn everyone() -> anyhow::Result<Vec<Profile>> {
    read(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/people.jsonl"
    )))
}

/// Reads the profiles of a file.
///
/// # Errors
///
/// Names the file, and the line that is not a profile.
pub fn read(file: &Path) -> anyhow::Result<Vec<Profile>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read people from {}", file.display()))?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            let place = || format!("{}, line {}: not a profile", file.display(), at + 1);
            let profile: Profile = serde_json::from_str(line).with_context(place)?;
            ensure!(
                profile.attributes.contains_key("email"),
                "{}: it has no email",
                place()
            );
            Ok(profile)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_two_thousand_people_of_many_kinds() {
        let people = everyone().unwrap();

        let kinds: std::collections::BTreeSet<_> = people.iter().map(|p| &p.kind).collect();
        assert_eq!(people.len(), 2000);
        assert!(kinds.len() > 25);
    }

    #[test]
    fn the_error_names_a_line_that_is_not_a_profile() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n{\"kind\":\"plain\"}\n").unwrap();

        let error = read(file.path()).err().unwrap().to_string();

        assert!(error.contains("line 2: not a profile"), "{error}");
    }
}
