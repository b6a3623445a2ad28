//! Checks whether every user is in the right pool with the right attributes.

use std::collections::BTreeMap;

use anyhow::Context;
use harness::people::Profile;
use local_regions::cognito::{Pool, UserView};
use local_regions::region::Region;
use local_regions::world::ORIGIN_SUB;

/// All users of a pool by the email address that they sign in with, in lower case because the pools are not case-sensitive.
pub struct Census(BTreeMap<String, UserView>);

impl Census {
    /// Reads all users of a pool.
    pub fn of(region: &Region, pool: &Pool) -> Self {
        let users = region.cognito().users(&pool.id).into_iter();
        Self(
            users
                .filter_map(|user| Some((user.attributes.get("email")?.to_lowercase(), user)))
                .collect(),
        )
    }

    /// The user who signs in with the profile's email address.
    pub fn find(&self, profile: &Profile) -> Option<&UserView> {
        self.at(profile.email())
    }

    /// The user who signs in with this email address.
    pub fn at(&self, email: &str) -> Option<&UserView> {
        self.0.get(&email.to_lowercase())
    }
}

/// The content of `rejected.csv`: who is not in the import files, with the reason.
pub struct Rejected(BTreeMap<String, String>);

impl Rejected {
    /// Reads the file.
    pub fn read(csv: &[u8]) -> anyhow::Result<Self> {
        let mut people = BTreeMap::new();
        for row in csv::Reader::from_reader(csv).into_records() {
            let row = row.context("rejected.csv")?;
            let cell = |at| row.get(at).unwrap_or_default().to_owned();
            if cell(2).is_empty() {
                people.insert(cell(0).to_lowercase(), cell(3));
            }
        }
        Ok(Self(people))
    }

    /// Whether the person is listed with a correct reason.
    pub fn names(&self, profile: &Profile) -> bool {
        match self.0.get(&profile.email().to_lowercase()) {
            Some(reason) if reason == "unconfirmed" => profile.status == "UNCONFIRMED",
            Some(reason) if reason == "disabled" => !profile.enabled,
            Some(reason) if reason == "row-too-long" => profile.told().any(|(_, v)| v.len() > 2000),
            _ => false,
        }
    }
}

/// Compares a replica with its original: every attribute that can be replicated must be there. Returns the differences.
pub fn replica(original: &UserView, replica: Option<&UserView>) -> Result<(), String> {
    let sub = &original.sub;
    let replica = replica.ok_or_else(|| format!("{sub} is not in Osaka"))?;
    let travelling = original.attributes.iter().filter(|(name, value)| {
        !value.is_empty() && *name != "identities" && !name.starts_with("cognito:")
    });
    for (name, value) in travelling {
        if replica.attributes.get(name) != Some(value) {
            return Err(format!("{sub}: {name} differs in Osaka"));
        }
    }
    match replica.attributes.get(ORIGIN_SUB) {
        Some(origin) if origin == sub => Ok(()),
        _ => Err(format!("{sub}: the replica does not know its origin")),
    }
}

/// Compares a restored newcomer with the user in the secondary pool: everything must be the same. Returns the differences.
pub fn newcomer(newcomer: &UserView, home: Option<&UserView>) -> Result<(), String> {
    let sub = &newcomer.sub;
    let home = home.ok_or_else(|| format!("{sub} is not in Tokyo"))?;
    for (name, value) in &newcomer.attributes {
        // An import file has whole seconds.
        let whole = |value: &str| value.split('.').next().unwrap_or(value).to_owned();
        let at_home = home.attributes.get(name).map_or("", String::as_str);
        let is_same = match name.as_str() {
            "updated_at" => whole(at_home) == whole(value),
            _ => at_home == value,
        };
        if !is_same {
            return Err(format!("{sub}: {name} differs in Tokyo"));
        }
    }
    if home.enabled != newcomer.enabled {
        return Err(format!("{sub} is not as enabled in Tokyo as in Osaka"));
    }
    match home.attributes.get(ORIGIN_SUB) {
        Some(origin) if origin == sub => Ok(()),
        _ => Err(format!(
            "{sub}: nothing in Tokyo leads back to the sub in Osaka"
        )),
    }
}
