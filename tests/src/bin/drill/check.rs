//! Whether people are where they should be, as they should be.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use local::cognito::{Pool, UserView};
use local::people::Profile;
use local::region::Region;
use local::world::ORIGIN_SUB;

/// Everyone in a pool, by the address they sign in with, without regard to case as the pools are.
pub struct Census(BTreeMap<String, UserView>);

impl Census {
    /// Takes the census of a pool.
    pub fn of(region: &Region, pool: &Pool) -> Self {
        let users = region.cognito().users(&pool.id).into_iter();
        Self(
            users
                .filter_map(|user| Some((user.attributes.get("email")?.to_lowercase(), user)))
                .collect(),
        )
    }

    /// Who signs in with this profile's address.
    pub fn find(&self, profile: &Profile) -> Option<&UserView> {
        self.0.get(&profile.email().to_lowercase())
    }
}

/// `rejected.csv`: the people and the attributes that are not in the import files.
pub struct Rejected {
    /// With the reason.
    people: BTreeMap<String, String>,
    attributes: BTreeSet<(String, String)>,
}

impl Rejected {
    /// Reads the file.
    pub fn read(csv: &[u8]) -> anyhow::Result<Self> {
        let mut rejected = Self {
            people: BTreeMap::new(),
            attributes: BTreeSet::new(),
        };
        for row in csv::Reader::from_reader(csv).into_records() {
            let row = row.context("rejected.csv")?;
            let cell = |at| row.get(at).unwrap_or_default().to_owned();
            let (username, attribute) = (cell(0).to_lowercase(), cell(2));
            if attribute.is_empty() {
                rejected.people.insert(username, cell(3));
            } else {
                rejected.attributes.insert((username, attribute));
            }
        }
        Ok(rejected)
    }

    /// Whether the person is named with a reason that is true of them.
    pub fn names(&self, profile: &Profile) -> bool {
        match self.people.get(&profile.email().to_lowercase()) {
            Some(reason) if reason == "unconfirmed" => profile.status == "UNCONFIRMED",
            Some(reason) if reason == "disabled" => !profile.enabled,
            Some(reason) if reason == "row-too-long" => profile.told().any(|(_, v)| v.len() > 2000),
            _ => false,
        }
    }

    fn names_attribute(&self, email: &str, attribute: &str) -> bool {
        let key = (email.to_lowercase(), attribute.to_owned());
        self.attributes.contains(&key)
    }
}

/// What is wrong with a replica beside its original: every attribute that may travel must be there.
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

/// What is wrong with a newcomer who came home: an attribute may be missing only where `rejected.csv` names it.
pub fn newcomer(
    newcomer: &UserView,
    home: Option<&UserView>,
    rejected: &Rejected,
) -> Result<(), String> {
    let sub = &newcomer.sub;
    let home = home.ok_or_else(|| format!("{sub} is not in Tokyo and nobody says why"))?;
    let email = newcomer.attributes.get("email").map_or("", String::as_str);
    for (name, value) in &newcomer.attributes {
        // An import takes whole seconds.
        let value = match name.as_str() {
            "updated_at" => value.split('.').next().unwrap_or(value),
            _ => value,
        };
        let at_home = home.attributes.get(name).map_or("", String::as_str);
        if at_home == value || (at_home.is_empty() && rejected.names_attribute(email, name)) {
            continue;
        }
        return Err(format!(
            "{sub}: {name} differs in Tokyo and nobody says why"
        ));
    }
    match home.attributes.get(ORIGIN_SUB) {
        Some(origin) if origin == sub => Ok(()),
        _ => Err(format!(
            "{sub}: nothing in Tokyo leads back to the sub in Osaka"
        )),
    }
}
