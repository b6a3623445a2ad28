//! People to feed the regions: profiles from a file of JSON lines, a quarter of them awkward in ways that Cognito allows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A person as they would be in a pool.
#[derive(Clone, Deserialize)]
pub struct Profile {
    /// What is awkward about them; `plain` for most.
    pub kind: String,
    /// Their status in Cognito's words.
    pub status: String,
    /// Whether they may sign in.
    pub enabled: bool,
    /// Their attributes.
    pub attributes: BTreeMap<String, String>,
}

impl Profile {
    /// The address they sign in with.
    pub fn email(&self) -> &str {
        &self.attributes["email"]
    }

    /// What a person may tell about themselves when signing up: all but what Cognito decides, and nothing empty.
    pub fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .filter(|(name, value)| {
                !name.ends_with("_verified") && *name != "identities" && !value.is_empty()
            })
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether they can have come by signing up themselves: neither made by an administrator nor by another identity
    /// provider, nor with a birthdate that SignUp refuses (botocore SchemaType: 10 characters).
    pub fn signs_up(&self) -> bool {
        let birthdate = self.attributes.get("birthdate");
        matches!(self.status.as_str(), "CONFIRMED" | "UNCONFIRMED")
            && birthdate.is_none_or(|date| date.chars().count() == 10)
    }
}

/// The profiles that come with the repository.
pub fn everyone() -> anyhow::Result<Vec<Profile>> {
    read(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/people.jsonl"
    )))
}

/// The profiles in a file.
///
/// # Errors
///
/// Names the file and the line that is no profile.
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
    fn the_repositorys_people_are_two_thousand_and_of_many_kinds() {
        let people = everyone().unwrap();

        let kinds: std::collections::BTreeSet<_> = people.iter().map(|p| &p.kind).collect();
        assert_eq!(people.len(), 2000);
        assert!(kinds.len() > 25);
    }

    #[test]
    fn a_line_that_is_no_profile_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n{\"kind\":\"plain\"}\n").unwrap();

        let error = read(file.path()).err().unwrap().to_string();

        assert!(error.contains("line 2: not a profile"), "{error}");
    }
}
