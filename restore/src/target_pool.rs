//! Everyone in the target pool, by hashed name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join_all;

use crate::names::{NameHash, NameHasher};
use shared::cognito::listing::{Chain, Page, Position, list_chain};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::import_csv::Format;
use shared::person::{Attributes, Person, Status};
use std::ops::ControlFlow;

/// What the target pool has under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserState {
    /// A confirmed user.
    Present,
    /// A user who signed up and has not confirmed it: their `sub`.
    Unconfirmed(String),
    /// A user in another state.
    Other(Status),
    /// No user.
    Absent,
}

/// A confirmed user of the target pool whom the restore wants to know more about.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUser {
    /// Their `sub` in the target pool.
    pub sub: String,
    /// Of the wanted attributes, those that the user has no value for, with the values to write.
    pub missing_attributes: Attributes,
}

/// Everyone in the target pool, as of one listing.
pub struct TargetPool {
    /// The confirmed users, sorted.
    present: Vec<NameHash>,
    /// Users in every other state, with their `sub`.
    others: HashMap<NameHash, (Status, String)>,
    /// The confirmed users among the wanted ones.
    wanted: HashMap<NameHash, TargetUser>,
}

/// The users whose `sub` the restore needs, each with the attributes that they should have.
pub type WantedUsers = HashMap<NameHash, Attributes>;

impl TargetPool {
    /// Lists the whole pool. `on_page` is called with the number of users listed so far.
    ///
    /// # Errors
    ///
    /// A page cannot be listed, or not before the pool's deadline.
    pub async fn list(
        pool: &Pool,
        format: &Format,
        hasher: NameHasher,
        wanted: &WantedUsers,
        on_page: impl Fn(u64),
    ) -> Result<Self, PoolError> {
        let listing = Mutex::new((Self::empty(), 0));
        let receive = async |page: Page| {
            let listed_so_far = {
                let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
                let (target, listed) = &mut *listing;
                *listed += page.people.len() as u64;
                for person in &page.people {
                    target.add(hasher.hash(format.sign_in_name(person)), person, wanted);
                }
                *listed
            };
            on_page(listed_so_far);
            ControlFlow::Continue(())
        };
        let chains = Chain::all().map(|chain| list_chain(pool, chain, Position::Start, receive));
        try_join_all(chains).await?;
        let (mut target, _) = listing.into_inner().unwrap_or_else(PoisonError::into_inner);
        target.present.sort_unstable();
        Ok(target)
    }

    fn empty() -> Self {
        Self {
            present: Vec::new(),
            others: HashMap::new(),
            wanted: HashMap::new(),
        }
    }

    /// Adds a user; the caller keeps `present` sorted.
    fn add(&mut self, name: NameHash, person: &Person, wanted: &WantedUsers) {
        let sub = person.sub().unwrap_or(&person.username);
        if !is_present(&person.status) {
            self.others
                .insert(name, (person.status.clone(), sub.to_owned()));
            return;
        }
        self.present.push(name);
        if let Some(wanted) = wanted.get(&name) {
            let has = |attribute: &str| person.attributes.get(attribute).is_some();
            let is_missing = |(attribute, _): &(&str, &str)| {
                // Cognito sets email_verified and phone_number_verified for everyone, so they count as missing as long as the
                // e-mail address or phone number is.
                let verified = attribute.strip_suffix("_verified");
                !has(attribute) || verified.is_some_and(|address| !has(address))
            };
            let user = TargetUser {
                sub: sub.to_owned(),
                missing_attributes: wanted.iter().filter(is_missing).collect(),
            };
            self.wanted.insert(name, user);
        }
    }

    /// Looks up one user who is missing in the listing: ListUsers is eventually consistent, AdminGetUser is not.
    ///
    /// # Errors
    ///
    /// The call fails, or cannot be made before the pool's deadline.
    pub async fn look_up(
        &mut self,
        pool: &Pool,
        username: &str,
        name: NameHash,
        wanted: &WantedUsers,
    ) -> Result<(), PoolError> {
        if let Some(person) = users::look_up(pool, username).await? {
            self.others.remove(&name);
            let listed = self.present.len();
            self.add(name, &person, wanted);
            if self.present.len() > listed {
                let place = self.present[..listed].partition_point(|other| *other < name);
                self.present[place..].rotate_right(1);
            }
        }
        Ok(())
    }

    /// What the pool has under a name.
    pub fn state_of(&self, name: &NameHash) -> UserState {
        if self.present.binary_search(name).is_ok() {
            return UserState::Present;
        }
        match self.others.get(name) {
            None => UserState::Absent,
            Some((Status::Unconfirmed, sub)) => UserState::Unconfirmed(sub.clone()),
            Some((status, _)) => UserState::Other(status.clone()),
        }
    }

    /// The user with this name, if they are confirmed and one of the wanted users.
    pub fn wanted_user(&self, name: &NameHash) -> Option<&TargetUser> {
        self.wanted.get(name)
    }

    /// Number of confirmed users.
    pub fn present_users(&self) -> usize {
        self.present.len()
    }
}

/// Whether a user with this status counts as present in the pool. Imported users are RESET_REQUIRED (facts 1.10).
pub fn is_present(status: &Status) -> bool {
    matches!(status, Status::Confirmed | Status::ResetRequired)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::{UserPoolType, UsernameConfigurationType};

    use super::*;

    #[test]
    fn the_listing_distinguishes_present_users_and_finds_their_missing_attributes() {
        let case_insensitive = UsernameConfigurationType::builder().case_sensitive(false);
        let pool =
            UserPoolType::builder().username_configuration(case_insensitive.build().unwrap());
        let hasher = NameHasher::of(&pool.build());
        let person = |name: &str, status: &str| Person {
            username: name.into(),
            status: Status::from(status),
            enabled: true,
            attributes: Attributes::from_iter([("sub", name), ("nickname", "n")]),
            created_at: None,
        };
        let wanted = WantedUsers::from([(
            hasher.hash("a"),
            Attributes::from_iter([("nickname", "x"), ("profile", "y")]),
        )]);
        let mut target = TargetPool::empty();

        for (name, status) in [
            ("b", "RESET_REQUIRED"),
            ("a", "CONFIRMED"),
            ("c", "UNCONFIRMED"),
            ("d", "FORCE_CHANGE_PASSWORD"),
        ] {
            target.add(hasher.hash(name), &person(name, status), &wanted);
        }
        target.present.sort_unstable();

        let state_of = |name| target.state_of(&hasher.hash(name));
        assert_eq!(state_of("A"), UserState::Present);
        assert_eq!(state_of("b"), UserState::Present);
        assert_eq!(state_of("c"), UserState::Unconfirmed("c".into()));
        assert_eq!(state_of("d"), UserState::Other(Status::ForceChangePassword));
        assert_eq!(state_of("e"), UserState::Absent);
        let user = target.wanted_user(&hasher.hash("a")).unwrap();
        assert_eq!(
            user.missing_attributes,
            Attributes::from_iter([("profile", "y")])
        );
    }
}
