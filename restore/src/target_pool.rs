//! The users of the target pool, by sign-in name and by identity, and whether a user of the snapshot is one of them.
//!
//! The pool is listed, or the people of the snapshot are looked up in it one by one, where that is quicker. Both give the same answers
//! about people who are found. `run::lookups` says what a lookup cannot see, and when the pool is listed for that reason.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join_all;

use crate::decision::UserState;
use crate::names::{IdentityHash, NameHash, PersonKey};
use crate::namesakes::Namesakes;
use crate::who::{Addresses, Comparison, Who};
use shared::cognito::listing::{Chain, Page, Position, list_chain};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::identity::verified;
use shared::import_csv::Format;
use shared::person::{Attributes, Person, Status};

/// A confirmed user of the target pool whom the restore wants to know more about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUser {
    /// Their `sub` in the target pool.
    pub sub: String,
    /// Their sign-in name, letter by letter.
    key: PersonKey,
    /// The names of those wanted attributes that the user has a value for.
    attributes: HashSet<String>,
}

impl TargetUser {
    /// Of some attributes, those that the user has no value for.
    pub fn missing(&self, wanted: &Attributes) -> Attributes {
        let has = |attribute: &str| self.attributes.contains(attribute);
        let is_missing = |(attribute, _): &(&str, &str)| {
            // Cognito sets email_verified and phone_number_verified for everyone, so they count as missing as long as the
            // e-mail address or phone number is.
            let verified = attribute.strip_suffix("_verified");
            !has(attribute) || verified.is_some_and(|address| !has(address))
        };
        wanted.iter().filter(is_missing).collect()
    }
}

/// The users of the target pool whom the restore wants to know more about.
#[derive(Debug, Default)]
pub struct WantedUsers {
    /// Their names.
    pub names: HashSet<NameHash>,
    /// Their identities.
    pub identities: HashSet<IdentityHash>,
    /// The names of the attributes of interest.
    pub attributes: HashSet<String>,
}

impl WantedUsers {
    /// Adds somebody.
    pub fn add(&mut self, who: &Who) {
        self.names.insert(who.name);
        self.identities.extend(who.identity);
    }

    /// Adds an attribute of interest. A verification flag is of interest together with its address.
    pub fn add_attribute(&mut self, attribute: &str) {
        self.attributes.insert(attribute.to_owned());
        if let Some(address) = attribute.strip_suffix("_verified") {
            self.attributes.insert(address.to_owned());
        }
    }
}

/// What is kept of every confirmed user, in about 70 bytes with the index of identities.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: NameHash,
    identity: IdentityHash,
    has_origin: bool,
    is_locked_out: bool,
    addresses: Addresses,
}

/// A user in a state in which they are not home.
#[derive(Clone, Debug)]
struct NotHome {
    status: Status,
    sub: String,
}

/// Everyone in the target pool, as of one listing; or, of the people who were looked up, those whom it has.
pub struct TargetPool {
    comparison: Comparison,
    /// The confirmed users, sorted by name.
    users: Vec<Entry>,
    /// For every identity, the places of the users who have it. Sorted.
    identities: Vec<(IdentityHash, u32)>,
    /// Confirmed users who were looked up after the listing.
    looked_up: HashMap<NameHash, Entry>,
    names_looked_up: HashMap<IdentityHash, NameHash>,
    /// Users in every other state.
    others: HashMap<NameHash, NotHome>,
    /// The confirmed users among the wanted ones.
    wanted: HashMap<NameHash, TargetUser>,
    /// Users of the snapshot whose address somebody else has as an alias, with that user's `sub`.
    address_holders: HashMap<PersonKey, String>,
    /// Identities of users of the snapshot's pool whom the snapshot does not have, because it has only the newcomers.
    others_in_source: HashSet<IdentityHash>,
}

/// Where the target pool has a person.
enum Found<'a> {
    Home(&'a Entry),
    AnotherPerson(&'a Entry),
    NameOfAnother,
    IdentityTwice,
    NoUser,
}

impl TargetPool {
    /// Lists the whole pool. `on_page` is called with the number of users listed so far.
    ///
    /// # Errors
    ///
    /// A page cannot be listed, or not before the pool's deadline.
    pub async fn list(
        pool: &Pool,
        format: &Format,
        comparison: &Comparison,
        wanted: &WantedUsers,
        on_page: impl Fn(u64),
    ) -> Result<Self, PoolError> {
        let listing = Mutex::new((Listing::new(comparison), 0));
        let receive = async |page: Page| {
            let listed_so_far = {
                let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
                let (target, listed) = &mut *listing;
                *listed += page.people.len() as u64;
                for person in &page.people {
                    target.add(format.sign_in_name(person), person, wanted);
                }
                *listed
            };
            on_page(listed_so_far);
            ControlFlow::Continue(())
        };
        let chains = Chain::all().map(|chain| list_chain(pool, chain, Position::Start, receive));
        try_join_all(chains).await?;
        let (listing, _) = listing.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(listing.finish())
    }

    /// The target pool as it is known from the users who were found by lookups, each once.
    pub fn of_found<'a>(
        found: impl IntoIterator<Item = &'a Person>,
        format: &Format,
        comparison: &Comparison,
        wanted: &WantedUsers,
    ) -> Self {
        let mut listing = Listing::new(comparison);
        for person in found {
            listing.add(format.sign_in_name(person), person, wanted);
        }
        listing.finish()
    }

    /// Looks up one user who is missing in the listing: ListUsers is eventually consistent, AdminGetUser is not. Returns whom the pool
    /// has found by something else than this sign-in name, for example by an alias.
    ///
    /// # Errors
    ///
    /// The call fails, or cannot be made before the pool's deadline.
    pub async fn look_up(
        &mut self,
        pool: &Pool,
        format: &Format,
        username: &str,
        wanted: &WantedUsers,
    ) -> Result<Option<Person>, PoolError> {
        let Some(person) = users::look_up(pool, username).await? else {
            return Ok(None);
        };
        let sign_in_name = format.sign_in_name(&person);
        let name = self.comparison.name(sign_in_name);
        if name != self.comparison.name(username) {
            return Ok(Some(person));
        }
        self.others.remove(&name);
        if is_present(&person.status) {
            let entry = entry(&self.comparison, name, &person);
            self.looked_up.insert(name, entry);
            for identity in identities(&self.comparison, &person) {
                self.names_looked_up.insert(identity, name);
            }
            if let Some(user) = target_user(sign_in_name, &person, &entry, wanted) {
                self.wanted.insert(name, user);
            }
        } else {
            self.others.insert(name, not_home(&person));
        }
        Ok(None)
    }

    /// Notes that somebody else has an address of a user of the snapshot.
    pub fn add_address_holder(&mut self, user: PersonKey, holder: &Person) {
        let sub = holder.sub().unwrap_or(&holder.username);
        self.address_holders.insert(user, sub.to_owned());
    }

    /// The `sub` of the user who has an address of a user of the snapshot.
    pub fn address_holder(&self, user: &PersonKey) -> Option<&str> {
        self.address_holders.get(user).map(String::as_str)
    }

    /// What the pool has of a user of the snapshot.
    pub fn state_of(&self, who: &Who, namesakes: &Namesakes) -> UserState {
        match self.find(who, namesakes) {
            Found::Home(_) => return UserState::Present,
            Found::IdentityTwice => return UserState::IdentityTwice,
            Found::NameOfAnother => return UserState::NameOfAnother,
            // The holder is the user of the snapshot with whom this one shares the name.
            Found::AnotherPerson(holder)
                if namesakes.group(&who.name).is_some()
                    && namesakes.has_identity(&holder.identity) =>
            {
                return UserState::NameOfAnother;
            }
            Found::AnotherPerson(holder) => {
                let holder = self.wanted.get(&holder.name);
                return UserState::AnotherPerson(holder.map(|holder| holder.sub.clone()));
            }
            Found::NoUser => {}
        }
        let group = namesakes.group(&who.name);
        if namesakes.is_second(who.key) || group.is_some_and(|group| !group.is_first(who.key)) {
            return UserState::NameOfAnother;
        }
        match self.others.get(&who.name) {
            None => UserState::Absent,
            Some(other) => other.state(),
        }
    }

    /// Whether a confirmed user has this identity.
    pub fn has_identity(&self, identity: &IdentityHash) -> bool {
        self.names_with_identity(identity).next().is_some()
    }

    /// The identity of the user who is taken for a person because of the name alone.
    pub fn identity_of_namesake(&self, who: &Who, namesakes: &Namesakes) -> Option<IdentityHash> {
        match self.find(who, namesakes) {
            Found::Home(entry) if who.identity.is_none_or(|i| !self.has_identity(&i)) => {
                Some(entry.identity)
            }
            _ => None,
        }
    }

    /// Notes that users of the snapshot's pool whom the snapshot does not have, have these identities.
    pub fn add_others_in_source(&mut self, identities: HashSet<IdentityHash>) {
        self.others_in_source.extend(identities);
    }

    /// The user of the target pool who is this person, if they are confirmed and one of the wanted users.
    pub fn home_user(&self, who: &Who, namesakes: &Namesakes) -> Option<&TargetUser> {
        match self.find(who, namesakes) {
            Found::Home(entry) => self.wanted.get(&entry.name),
            _ => None,
        }
    }

    /// What a user whom the pool has found under the name of a user of the snapshot is to them.
    pub fn state_of_holder(&self, who: &Who, holder: &Person, namesakes: &Namesakes) -> UserState {
        if !is_present(&holder.status) {
            return not_home(holder).state();
        }
        let entry = entry(&self.comparison, who.name, holder);
        let mut of_holder = identities(&self.comparison, holder);
        let has_identity = of_holder.any(|identity| who.identity == Some(identity));
        if has_identity || self.may_be_one_person(who, &entry, namesakes) {
            UserState::Present
        } else {
            UserState::AnotherPerson(holder.sub().map(str::to_owned))
        }
    }

    /// Whether a person who is present must reset the password, and has no verified address to which Cognito would send the code.
    pub fn is_locked_out(&self, who: &Who, namesakes: &Namesakes) -> bool {
        matches!(self.find(who, namesakes), Found::Home(user) if user.is_locked_out)
    }

    /// Number of confirmed users.
    pub fn present_users(&self) -> usize {
        self.users.len()
    }

    /// Finds a person: by identity; by name only where nothing else can tell.
    fn find(&self, who: &Who, namesakes: &Namesakes) -> Found<'_> {
        if let Some(identity) = &who.identity {
            let mut names = self.names_with_identity(identity);
            match (names.next(), names.next()) {
                (None, _) => {}
                (Some(name), None) => {
                    return self.with_name(&name).map_or(Found::NoUser, Found::Home);
                }
                (Some(_), Some(_)) => return Found::IdentityTwice,
            }
        }
        let Some(holder) = self.with_name(&who.name) else {
            return Found::NoUser;
        };
        if !self.may_be_one_person(who, holder, namesakes) {
            return Found::AnotherPerson(holder);
        }
        let Some(group) = namesakes.group(&who.name) else {
            return Found::Home(holder);
        };
        // Several users of the snapshot have the holder's name: it is the one who spells it alike.
        let key = self.wanted.get(&holder.name).map(|user| user.key);
        match key.is_some_and(|key| group.is_only_one_named(who.key, key)) {
            true => Found::Home(holder),
            false => Found::NameOfAnother,
        }
    }

    /// Whether the holder of a person's name may be that person, although they do not have the person's identity.
    fn may_be_one_person(&self, who: &Who, holder: &Entry, namesakes: &Namesakes) -> bool {
        // The holder is a copy of somebody else.
        let is_copy_of_another = holder.has_origin && who.identity.is_some();
        // The holder is in the snapshot too, under another name.
        let is_another_user = namesakes.has_identity(&holder.identity)
            || self.others_in_source.contains(&holder.identity);
        let has_equal_addresses = !self.comparison.needs_equal_addresses()
            || who.addresses.are_of_one_person(&holder.addresses);
        !is_copy_of_another && !is_another_user && has_equal_addresses
    }

    fn with_name(&self, name: &NameHash) -> Option<&Entry> {
        self.looked_up.get(name).or_else(|| {
            let place = self.users.binary_search_by(|user| user.name.cmp(name));
            Some(&self.users[place.ok()?])
        })
    }

    /// The names of the users with this identity, each once.
    fn names_with_identity(&self, identity: &IdentityHash) -> impl Iterator<Item = NameHash> {
        let first = self
            .identities
            .partition_point(|(other, _)| other < identity);
        let rest = self.identities[first..].iter();
        let equal = rest.take_while(|(other, _)| other == identity);
        let listed = equal.map(|(_, place)| self.users[*place as usize].name);
        let looked_up = self.names_looked_up.get(identity).copied();
        let names: HashSet<_> = listed.chain(looked_up).collect();
        names.into_iter()
    }
}

/// A listing that is not complete yet.
struct Listing {
    target: TargetPool,
    /// The identities of `target.users`, in their order: one, or two for a user with an origin attribute.
    identities: Vec<[Option<IdentityHash>; 2]>,
}

impl Listing {
    fn new(comparison: &Comparison) -> Self {
        Self {
            target: TargetPool {
                comparison: comparison.clone(),
                users: Vec::new(),
                identities: Vec::new(),
                looked_up: HashMap::new(),
                names_looked_up: HashMap::new(),
                others: HashMap::new(),
                wanted: HashMap::new(),
                address_holders: HashMap::new(),
                others_in_source: HashSet::new(),
            },
            identities: Vec::new(),
        }
    }

    fn add(&mut self, sign_in_name: &str, person: &Person, wanted: &WantedUsers) {
        let target = &mut self.target;
        let name = target.comparison.name(sign_in_name);
        if !is_present(&person.status) {
            target.others.insert(name, not_home(person));
            return;
        }
        let entry = entry(&target.comparison, name, person);
        if let Some(user) = target_user(sign_in_name, person, &entry, wanted) {
            target.wanted.insert(name, user);
        }
        target.users.push(entry);
        let mut of_person = identities(&target.comparison, person);
        self.identities.push([of_person.next(), of_person.next()]);
    }

    fn finish(self) -> TargetPool {
        let Self {
            mut target,
            identities,
        } = self;
        let mut by_name: Vec<_> = target.users.iter().copied().zip(identities).collect();
        by_name.sort_unstable_by_key(|(entry, _)| entry.name);
        let places = (0u32..).zip(&by_name);
        let identities = places.flat_map(|(place, (_, identities))| {
            let identities = identities.iter().flatten();
            identities.map(move |identity| (*identity, place))
        });
        target.identities = identities.collect();
        target.identities.sort_unstable();
        target.users = by_name.into_iter().map(|(entry, _)| entry).collect();
        target
    }
}

impl NotHome {
    fn state(&self) -> UserState {
        match self.status {
            Status::Unconfirmed => UserState::Unconfirmed(self.sub.clone()),
            ref status => UserState::Other(status.clone()),
        }
    }
}

fn not_home(person: &Person) -> NotHome {
    NotHome {
        status: person.status.clone(),
        sub: person.sub().unwrap_or(&person.username).to_owned(),
    }
}

fn entry(comparison: &Comparison, name: NameHash, person: &Person) -> Entry {
    let attributes = &person.attributes;
    let identity = attributes.identity(comparison.origin());
    Entry {
        name,
        identity: IdentityHash::of(identity.unwrap_or(&person.username)),
        has_origin: attributes.origin(comparison.origin()).is_some(),
        is_locked_out: is_locked_out(person),
        addresses: comparison.addresses_of(attributes),
    }
}

/// The identity of a user, and the `sub` of a user who has another identity: no other user was ever made with this `sub`.
fn identities(comparison: &Comparison, person: &Person) -> impl Iterator<Item = IdentityHash> {
    let origin = person.attributes.origin(comparison.origin());
    let sub = person.sub().filter(|sub| Some(*sub) != origin);
    [origin, sub].into_iter().flatten().map(IdentityHash::of)
}

/// What is kept of a user who is wanted.
fn target_user(
    sign_in_name: &str,
    person: &Person,
    entry: &Entry,
    wanted: &WantedUsers,
) -> Option<TargetUser> {
    let sub = person.sub().unwrap_or(&person.username);
    let is_wanted = wanted.names.contains(&entry.name)
        || wanted.identities.contains(&entry.identity)
        || wanted.identities.contains(&IdentityHash::of(sub));
    is_wanted.then(|| {
        let wanted = wanted.attributes.iter();
        let present = wanted.filter(|name| person.attributes.get(name).is_some());
        TargetUser {
            sub: sub.to_owned(),
            key: PersonKey::of(sign_in_name),
            attributes: present.cloned().collect(),
        }
    })
}

/// Whether a user must reset the password and cannot: "forgot password" needs a verified address (facts N11.10).
fn is_locked_out(person: &Person) -> bool {
    let is_verified = |address| verified(&person.attributes, address).is_some();
    person.status == Status::ResetRequired
        && !["email", "phone_number"].into_iter().any(is_verified)
}

/// Whether a user with this status counts as present in the pool. Imported users are RESET_REQUIRED (facts 1.10).
pub fn is_present(status: &Status) -> bool {
    matches!(status, Status::Confirmed | Status::ResetRequired)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::{
        SchemaAttributeType, UserPoolType, UsernameAttributeType, UsernameConfigurationType,
    };

    use super::*;

    const ORIGIN: &str = "custom:origin_sub";

    /// A pool that does not distinguish letter case and keeps identities.
    fn comparison(sign_in: Option<UsernameAttributeType>) -> Comparison {
        let case = UsernameConfigurationType::builder().case_sensitive(false);
        let origin = SchemaAttributeType::builder().name(ORIGIN);
        let pool = UserPoolType::builder()
            .username_configuration(case.build().unwrap())
            .schema_attributes(origin.build())
            .set_username_attributes(sign_in.map(|attribute| vec![attribute]));
        Comparison::of(&pool.build(), None)
    }

    fn by_email() -> Comparison {
        comparison(Some(UsernameAttributeType::Email))
    }

    fn user(name: &str, status: &str, sub: &str, origin: Option<&str>) -> (String, Person) {
        let mut attributes = Attributes::from_iter([("sub", sub), ("nickname", "n")]);
        if let Some(origin) = origin {
            attributes.insert(ORIGIN, origin);
        }
        let person = Person {
            username: sub.into(),
            status: Status::from(status),
            enabled: true,
            attributes,
            created_at: None,
            mfa: false,
        };
        (name.to_owned(), person)
    }

    fn listed(
        comparison: &Comparison,
        users: &[(String, Person)],
        wanted: &WantedUsers,
    ) -> TargetPool {
        let mut listing = Listing::new(comparison);
        for (name, person) in users {
            listing.add(name, person, wanted);
        }
        listing.finish()
    }

    fn who(name: &str, identity: Option<&str>) -> Who {
        by_email().who(name, identity, Addresses::default())
    }

    #[test]
    fn a_listing_tells_the_states_of_users_apart_and_finds_their_missing_attributes() {
        let mut wanted = WantedUsers::default();
        wanted.add(&who("a", None));
        for attribute in ["nickname", "profile"] {
            wanted.add_attribute(attribute);
        }
        let users = [
            user("b", "RESET_REQUIRED", "sb", None),
            user("a", "CONFIRMED", "sa", None),
            user("c", "UNCONFIRMED", "sc", None),
            user("d", "FORCE_CHANGE_PASSWORD", "sd", None),
        ];

        let target = listed(&by_email(), &users, &wanted);

        let nobody = Namesakes::default();
        let state = |name| target.state_of(&who(name, None), &nobody);
        assert_eq!(state("A"), UserState::Present);
        assert_eq!(state("b"), UserState::Present);
        assert_eq!(state("c"), UserState::Unconfirmed("sc".into()));
        assert_eq!(state("d"), UserState::Other(Status::ForceChangePassword));
        assert_eq!(state("e"), UserState::Absent);
        let home = target.home_user(&who("a", None), &nobody).unwrap();
        assert_eq!(home.sub, "sa");
        let missing = home.missing(&Attributes::from_iter([
            ("nickname", "x"),
            ("profile", "y"),
        ]));
        assert_eq!(missing, Attributes::from_iter([("profile", "y")]));
    }

    #[test]
    fn whoever_must_reset_the_password_needs_a_verified_address() {
        let verified = [("email", "taro@example.jp"), ("email_verified", "true")];
        let unverified = [("email", "taro@example.jp"), ("email_verified", "false")];

        for (status, attributes, is_locked_out) in [
            ("RESET_REQUIRED", &verified[..], false),
            ("RESET_REQUIRED", &unverified, true),
            ("RESET_REQUIRED", &[("phone_number_verified", "true")], true),
            ("CONFIRMED", &unverified, false),
        ] {
            let (name, mut user) = user("taro", status, "s", None);
            for (attribute, value) in attributes {
                user.attributes.insert(*attribute, *value);
            }
            let target = listed(&by_email(), &[(name, user)], &WantedUsers::default());
            let found = target.is_locked_out(&who("taro", None), &Namesakes::default());
            assert_eq!(found, is_locked_out, "{status} {attributes:?}");
        }
    }

    #[test]
    fn identity_decides_and_the_name_only_where_nothing_else_can_tell() {
        let users = [
            user("moved", "CONFIRMED", "s1", Some("first")),
            user("original", "CONFIRMED", "s2", None),
            user("copy", "CONFIRMED", "s3", Some("other")),
            user("twice-1", "CONFIRMED", "s4", Some("twice")),
            user("twice-2", "CONFIRMED", "s5", Some("twice")),
        ];
        let target = listed(&by_email(), &users, &WantedUsers::default());
        let snapshot = Namesakes::for_test(&[], &["first", "s2", "mine"]);
        let empty = Namesakes::default();

        for (name, identity, snapshot, state) in [
            // The same identity, whatever the name.
            ("a", Some("first"), &empty, UserState::Present),
            ("b", Some("s2"), &empty, UserState::Present),
            ("c", Some("s3"), &empty, UserState::Present),
            ("d", Some("twice"), &empty, UserState::IdentityTwice),
            // The same name: an original without an origin attribute, or somebody whose identity is not known.
            ("original", Some("mine"), &empty, UserState::Present),
            ("copy", None, &empty, UserState::Present),
            // A copy of somebody else.
            ("copy", Some("mine"), &empty, UserState::AnotherPerson(None)),
            // The snapshot has the original under another name.
            (
                "original",
                Some("mine"),
                &snapshot,
                UserState::AnotherPerson(None),
            ),
            ("original", None, &snapshot, UserState::AnotherPerson(None)),
        ] {
            let found = target.state_of(&who(name, identity), snapshot);

            assert_eq!(found, state, "{name} {identity:?}");
        }
    }

    #[test]
    fn in_a_pool_that_signs_in_by_username_a_name_alone_proves_nothing() {
        let comparison = comparison(None);
        let address = |email| {
            let attributes = [("email", email), ("email_verified", "true")];
            comparison.addresses_of(&attributes.into_iter().collect())
        };
        let (name, mut taro) = user("taro", "CONFIRMED", "s", None);
        for (attribute, value) in [("email", "taro@example.jp"), ("email_verified", "true")] {
            taro.attributes.insert(attribute, value);
        }
        let target = listed(&comparison, &[(name, taro)], &WantedUsers::default());
        let state = |addresses| {
            let who = comparison.who("taro", Some("mine"), addresses);
            target.state_of(&who, &Namesakes::default())
        };

        assert_eq!(state(address("taro@example.jp")), UserState::Present);
        let other = UserState::AnotherPerson(None);
        assert_eq!(state(address("jiro@example.jp")), other);
        assert_eq!(state(Addresses::default()), other);
    }

    #[test]
    fn of_several_users_of_a_snapshot_with_one_name_only_one_can_be_home() {
        let (upper, lower) = (who("Foo", None), who("foo", None));
        let snapshot = Namesakes::for_test(&[(&lower, false), (&upper, true)], &[]);
        let mut wanted = WantedUsers::default();
        wanted.names.extend(snapshot.names());
        let state = |users: &[(String, Person)]| {
            let target = listed(&by_email(), users, &wanted);
            [&upper, &lower].map(|who| target.state_of(who, &snapshot))
        };
        let another = UserState::NameOfAnother;

        // Nobody has the name: the first one in scope may get it.
        assert_eq!(state(&[]), [UserState::Absent, another.clone()]);
        let holder = |name| [user(name, "CONFIRMED", "s", None)];
        assert_eq!(state(&holder("Foo")), [UserState::Present, another.clone()]);
        assert_eq!(state(&holder("foo")), [another.clone(), UserState::Present]);
        assert_eq!(state(&holder("FOO")), [another.clone(), another]);
    }
}
