//! Who is in the pool that people are brought back into, and under which names.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use futures_util::future::try_join_all;
use sha2::{Digest, Sha256};

use crate::import_csv::Format;
use crate::person::{Attributes, Person, Status};
use crate::pool::{Pool, PoolError};
use crate::snapshot::progress::{CHAINS, digit};

/// A name that a person signs in with, as sixteen bytes: a million of them are no burden, and two of a pool never the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

/// Of a name.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// How names are compared in a pool.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    case_sensitive: bool,
}

impl Names {
    /// botocore UsernameConfigurationType: case sensitive unless the pool says otherwise.
    pub fn of(pool: &UserPoolType) -> Self {
        let configured = pool.username_configuration();
        Self {
            case_sensitive: configured.is_none_or(|names| names.case_sensitive),
        }
    }

    /// The key of a name.
    pub fn key(&self, name: &str) -> Key {
        let digest = if self.case_sensitive {
            Sha256::digest(name)
        } else {
            Sha256::digest(name.to_lowercase())
        };
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Key(key)
    }
}

/// Where somebody stands in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There, confirmed.
    Home,
    /// Somebody has the name without having confirmed it: their `sub`.
    Unconfirmed(String),
    /// Somebody has the name in another state.
    Other(Status),
    /// Nobody has the name.
    Absent,
}

/// A person of the pool who was looked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Their `sub` in this pool.
    pub sub: String,
    /// Of the attributes that were asked for, those that they have no value for.
    pub lacks: Attributes,
}

/// Everyone in the pool.
pub struct Census {
    home: Vec<Key>,
    others: HashMap<Key, (Status, String)>,
    found: HashMap<Key, Found>,
}

/// People to look for, each with attributes that they may lack.
pub type Wanted = HashMap<Key, Attributes>;

impl Census {
    /// Lists the pool. `listed` is told how many people there are so far.
    pub async fn take(
        pool: &Pool,
        format: &Format,
        names: Names,
        wanted: &Wanted,
        listed: impl Fn(u64),
    ) -> Result<Self, PoolError> {
        let census = Mutex::new((Self::empty(), 0));
        let chains = (0..CHAINS).map(async |chain| {
            let mut token = None;
            loop {
                let page = pool.page(digit(chain), token.as_deref()).await?;
                let so_far = {
                    let mut census = census.lock().unwrap_or_else(PoisonError::into_inner);
                    census.1 += page.people.len() as u64;
                    for person in &page.people {
                        let key = names.key(format.sign_in_name(person));
                        census.0.note(key, person, wanted);
                    }
                    census.1
                };
                listed(so_far);
                token = page.next;
                if token.is_none() {
                    return Ok::<_, PoolError>(());
                }
            }
        });
        try_join_all(chains).await?;
        let (mut census, _) = census.into_inner().unwrap_or_else(PoisonError::into_inner);
        census.home.sort_unstable();
        Ok(census)
    }

    fn empty() -> Self {
        Self {
            home: Vec::new(),
            others: HashMap::new(),
            found: HashMap::new(),
        }
    }

    fn note(&mut self, key: Key, person: &Person, wanted: &Wanted) {
        let sub = person.sub().unwrap_or(&person.username);
        if !is_home(&person.status) {
            self.others
                .insert(key, (person.status.clone(), sub.to_owned()));
            return;
        }
        self.home.push(key);
        if let Some(wanted) = wanted.get(&key) {
            let has = |name: &str| person.attributes.get(name).is_some();
            let lacks = |(name, _): &(&str, &str)| {
                // A flag is there from the start, and of no use without its address.
                let address = name.strip_suffix("_verified");
                !has(name) || address.is_some_and(|address| !has(address))
            };
            let found = Found {
                sub: sub.to_owned(),
                lacks: wanted.iter().filter(lacks).collect(),
            };
            self.found.insert(key, found);
        }
    }

    /// Asks for one person, whom the listing does not show yet: ListUsers is eventually consistent, AdminGetUser is not.
    pub async fn look_again(
        &mut self,
        pool: &Pool,
        username: &str,
        key: Key,
        wanted: &Wanted,
    ) -> Result<(), PoolError> {
        if let Some(person) = pool.person(username).await? {
            self.others.remove(&key);
            let listed = self.home.len();
            self.note(key, &person, wanted);
            if self.home.len() > listed {
                let place = self.home[..listed].partition_point(|other| *other < key);
                self.home[place..].rotate_right(1);
            }
        }
        Ok(())
    }

    /// Where the person with this name stands.
    pub fn standing(&self, key: &Key) -> Standing {
        if self.home.binary_search(key).is_ok() {
            return Standing::Home;
        }
        match self.others.get(key) {
            None => Standing::Absent,
            Some((Status::Unconfirmed, sub)) => Standing::Unconfirmed(sub.clone()),
            Some((status, _)) => Standing::Other(status.clone()),
        }
    }

    /// The person with this name, if they were looked for and are home.
    pub fn found(&self, key: &Key) -> Option<&Found> {
        self.found.get(key)
    }

    /// How many people are home.
    pub fn home(&self) -> usize {
        self.home.len()
    }
}

/// Whether somebody in this state is in the pool for good. An imported person is RESET_REQUIRED (facts 1.10).
pub fn is_home(status: &Status) -> bool {
    matches!(status, Status::Confirmed | Status::ResetRequired)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::UsernameConfigurationType;

    use super::*;

    fn names(case_sensitive: Option<bool>) -> Names {
        let configuration = case_sensitive.map(|case_sensitive| {
            UsernameConfigurationType::builder()
                .case_sensitive(case_sensitive)
                .build()
                .unwrap()
        });
        Names::of(
            &UserPoolType::builder()
                .set_username_configuration(configuration)
                .build(),
        )
    }

    #[test]
    fn names_are_compared_as_the_pool_compares_them() {
        for (case_sensitive, same) in [(Some(false), true), (Some(true), false), (None, false)] {
            let names = names(case_sensitive);

            assert_eq!(names.key("Taro") == names.key("tARO"), same);
        }
    }

    #[test]
    fn who_is_home_and_what_they_lack_is_told_from_who_is_not() {
        let names = names(Some(false));
        let person = |name: &str, status: &str| Person {
            username: name.into(),
            status: Status::from(status),
            enabled: true,
            attributes: Attributes::from_iter([("sub", name), ("nickname", "n")]),
        };
        let wanted = Wanted::from([(
            names.key("a"),
            Attributes::from_iter([("nickname", "x"), ("profile", "y")]),
        )]);
        let mut census = Census::empty();

        for (name, status) in [
            ("b", "RESET_REQUIRED"),
            ("a", "CONFIRMED"),
            ("c", "UNCONFIRMED"),
            ("d", "FORCE_CHANGE_PASSWORD"),
        ] {
            census.note(names.key(name), &person(name, status), &wanted);
        }
        census.home.sort_unstable();

        let standing = |name| census.standing(&names.key(name));
        assert_eq!(standing("A"), Standing::Home);
        assert_eq!(standing("b"), Standing::Home);
        assert_eq!(standing("c"), Standing::Unconfirmed("c".into()));
        assert_eq!(standing("d"), Standing::Other(Status::ForceChangePassword));
        assert_eq!(standing("e"), Standing::Absent);
        let found = census.found(&names.key("a")).unwrap();
        assert_eq!(found.lacks, Attributes::from_iter([("profile", "y")]));
    }
}
