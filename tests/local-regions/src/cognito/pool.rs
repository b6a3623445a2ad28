//! A user pool: its users, and the rules about their usernames and aliases.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::{Value, json};

use super::configuration;
use super::error::ApiError;
use super::federation::Federation;
use super::groups::Groups;
use super::import_job::Job;
use super::keys::Keys;
use super::knobs::Millis;
use super::schema::{
    EMAIL, EMAIL_VERIFIED, PHONE, PHONE_VERIFIED, SUB, Schema, Writes, is_email, is_phone_number,
};
use super::seconds;
use super::settings::{Alias, ClientSettings, Contact, PoolSettings};
use super::user::{Moment, User, UserView, Users, parse_sub, sub_text};
use crate::region::ACCOUNT_ID;

/// The ids and the name of a pool.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The pool's id, such as `ap-northeast-1_AbCdEf123`.
    pub id: String,
    /// The id of the first app client; empty if the pool was created without one.
    pub client_id: String,
    /// The pool's name.
    pub name: String,
}

/// A pool and its contents.
pub(super) struct PoolState {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) settings: PoolSettings,
    pub(super) schema: Schema,
    pub(super) clients: HashMap<String, ClientSettings>,
    /// The keys that sign the pool's tokens.
    pub(super) keys: Keys,
    pub(super) users: Users,
    pub(super) groups: Groups,
    pub(super) federation: Federation,
    pub(super) jobs: BTreeMap<String, Job>,
    /// The current configuration, by the names in UpdateUserPool.
    pub(super) configuration: Value,
    pub(super) created: Millis,
    pub(super) modified: Millis,
}

impl fmt::Debug for PoolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolState")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl PoolState {
    /// The pool that is the `number`th of its region, from 0.
    pub(super) fn new(region: &str, number: usize, settings: PoolSettings, now: Millis) -> Self {
        let random = || {
            format!(
                "{region}_{}",
                random_text(
                    9,
                    b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
                )
            )
        };
        let id = settings.id.clone().unwrap_or_else(random);
        Self {
            arn: format!("arn:aws:cognito-idp:{region}:{ACCOUNT_ID}:userpool/{id}"),
            keys: Keys::new(&id, region, number),
            id,
            schema: Schema::new(&settings),
            configuration: configuration::of(&settings, region),
            settings,
            clients: HashMap::new(),
            users: Users::default(),
            groups: Groups::default(),
            federation: Federation::default(),
            jobs: BTreeMap::new(),
            created: now,
            modified: now,
        }
    }

    /// A name in the form in which names are compared: in lower case if the pool is not case-sensitive.
    pub(super) fn fold(&self, name: &str) -> String {
        if self.settings.case_sensitive {
            name.to_owned()
        } else {
            name.to_lowercase()
        }
    }

    pub(super) fn signs_in_by_contact(&self) -> bool {
        !self.settings.username_attributes.is_empty()
    }

    /// The names by which a user can be found, besides `sub`, in the form in which they are compared.
    pub(super) fn names(&self, sub: u128, user: &User) -> Vec<String> {
        let value = |name| {
            self.schema
                .value(&user.attributes, name)
                .filter(|value| !value.is_empty())
        };
        if self.signs_in_by_contact() {
            // A federated user can be found only by their username [Inf].
            if let Some(name) = &user.username {
                return vec![self.fold(name)];
            }
            // facts 8: username attributes are unique, verified or not [D].
            let contacts = self.settings.username_attributes.iter();
            let names = contacts.filter_map(|contact| value(contact.attribute()));
            return names.map(|name| self.fold(name)).collect();
        }
        // facts 8: an alias can be used once it is verified [D].
        let aliases =
            self.settings
                .alias_attributes
                .iter()
                .filter_map(|alias| match alias {
                    Alias::Email => value(EMAIL)
                        .filter(|_| self.schema.is_true(&user.attributes, EMAIL_VERIFIED)),
                    Alias::PhoneNumber => value(PHONE)
                        .filter(|_| self.schema.is_true(&user.attributes, PHONE_VERIFIED)),
                    Alias::PreferredUsername => value("preferred_username"),
                });
        let aliases = aliases.map(|alias| self.fold(alias));
        aliases.chain([self.fold(&user.name(sub))]).collect()
    }

    /// Finds a user by username, `sub` or any name that they sign in with.
    // DG:user-pool-settings-attributes; botocore AdminGetUser: "this value must be the sub of a local user" [D].
    pub(super) fn find(&self, name: &str) -> Option<(u128, &User)> {
        let by_name = self.users.by_name(&self.fold(name));
        let sub = by_name.or_else(|| parse_sub(name))?;
        self.users.get(sub).map(|user| (sub, user))
    }

    /// Finds a user by a name that they can sign in with.
    // ministack#1758, measured: a `sub` that is not the username is no name to sign in with [I].
    pub(super) fn find_to_sign_in(&self, name: &str) -> Option<(u128, &User)> {
        let (sub, user) = self.find(name)?;
        let by_sub = parse_sub(name) == Some(sub) && user.name(sub) != name;
        (!by_sub).then_some((sub, user))
    }

    pub(super) fn must_find(&self, name: &str) -> Result<(u128, &User), ApiError> {
        self.find(name).ok_or_else(ApiError::user_not_found)
    }

    /// The names that `user` would have and another user already has.
    fn holders(&self, sub: u128, user: &User) -> impl Iterator<Item = (String, u128)> {
        self.names(sub, user).into_iter().filter_map(move |name| {
            let holder = self.users.by_name(&name).filter(|&holder| holder != sub)?;
            Some((name, holder))
        })
    }

    /// Another user who already has one of the names that `user` would have.
    pub(super) fn holder(&self, sub: u128, user: &User) -> Option<(String, u128)> {
        self.holders(sub, user).next()
    }

    /// Stores a user, new or changed.
    pub(super) fn put(&mut self, sub: u128, user: User, at: Moment) {
        let old = self
            .users
            .get(sub)
            .map(|old| self.names(sub, old))
            .unwrap_or_default();
        let new = self.names(sub, &user);
        self.users.set(sub, Some(user), (old, new), at);
    }

    /// Changes an existing user.
    pub(super) fn change(&mut self, sub: u128, at: Moment, change: impl FnOnce(&mut User)) {
        let Some(mut user) = self.users.get(sub).cloned() else {
            return;
        };
        change(&mut user);
        user.modified = at.now;
        self.put(sub, user, at);
    }

    pub(super) fn remove(&mut self, sub: u128, at: Moment) {
        let old = self
            .users
            .get(sub)
            .map(|old| self.names(sub, old))
            .unwrap_or_default();
        self.users.set(sub, None, (old, Vec::new()), at);
        // What becomes of the memberships of a deleted user is not documented; they end [Inf].
        self.groups.leave_all(sub, at);
    }

    /// Checks that nobody else has an alias of the user; with `force`, takes the alias away from them.
    pub(super) fn claim_aliases(
        &mut self,
        sub: u128,
        user: &User,
        force: bool,
        at: Moment,
    ) -> Result<(), ApiError> {
        if force {
            for (alias, holder) in self.holders(sub, user).collect::<Vec<_>>() {
                self.release_alias(holder, &alias, at);
            }
        }
        match self.holder(sub, user) {
            None => Ok(()),
            Some((name, _)) => {
                let kind = match name.as_bytes() {
                    [b'+', ..] => "phone_number",
                    _ if name.contains('@') => "email",
                    _ => "preferred_username",
                };
                Err(ApiError::alias_exists(kind))
            }
        }
    }

    /// Takes an alias away from the user who has it, as ForceAliasCreation does.
    // botocore AdminCreateUser: the alias migrates [D]; that of the previous user becomes unverified [Inf].
    fn release_alias(&mut self, holder: u128, alias: &str, at: Moment) {
        let Some(user) = self.users.get(holder) else {
            return;
        };
        let held = |contact: &Contact| {
            let value = self.schema.value(&user.attributes, contact.attribute());
            value.is_some_and(|value| self.fold(value) == alias)
        };
        if let Some(contact) = [Contact::Email, Contact::PhoneNumber]
            .into_iter()
            .find(held)
        {
            let verified = self
                .schema
                .id(contact.verified())
                .expect("a standard attribute");
            self.change(holder, at, |user| {
                user.attributes.write(&[(verified, "false")], false)
            });
        }
    }

    /// Checks the username of a new user. Returns the attribute whose value it is, if the pool uses one as the username.
    pub(super) fn check_username(&self, username: &str) -> Result<Option<Contact>, ApiError> {
        let (email, phone) = (is_email(username), is_phone_number(username));
        let wrong = match self.settings.username_attributes[..] {
            [] => {
                let alias = |alias| self.settings.alias_attributes.contains(&alias);
                // facts 1.5: the text about the email is [I]; that about the phone number is assumed to be similar [Inf].
                if alias(Alias::Email) && email {
                    "Username cannot be of email format, since user pool is configured for email alias."
                } else if alias(Alias::PhoneNumber) && phone {
                    "Username cannot be of phone number format, since user pool is configured for phone number alias."
                } else {
                    return Ok(None);
                }
            }
            [Contact::Email] if email => return Ok(Some(Contact::Email)),
            [Contact::PhoneNumber] if phone => return Ok(Some(Contact::PhoneNumber)),
            [_, _, ..] if email => return Ok(Some(Contact::Email)),
            [_, _, ..] if phone => return Ok(Some(Contact::PhoneNumber)),
            // facts 3 [I]; the other two texts are assumed to be similar [Inf].
            [Contact::Email] => "Username should be an email.",
            [Contact::PhoneNumber] => "Username should be a phone number.",
            [_, _, ..] => "Username should be either an email or a phone number.",
        };
        Err(ApiError::invalid_parameter(wrong))
    }

    /// The attributes of a new user, including the one that is the username.
    pub(super) fn creation_writes(
        &self,
        username: &str,
        given: &[(&str, &str)],
    ) -> Result<(Option<Contact>, Writes), ApiError> {
        let contact = self.check_username(username)?;
        let mut writes = self.schema.checked_writes(given, true)?;
        if let Some(contact) = contact {
            let id = self
                .schema
                .id(contact.attribute())
                .expect("a standard attribute");
            let other = writes.iter().find(|(written, _)| *written == id);
            if other.is_some_and(|(_, value)| self.fold(value) != self.fold(username)) {
                // It is not documented what Cognito does if the two differ; here it is an error [Inf].
                let message = format!("Username and {} differ.", contact.attribute());
                return Err(ApiError::invalid_parameter(message));
            }
            if other.is_none() {
                writes.push((id, username.to_owned()));
            }
        }
        Ok((contact, writes))
    }

    /// Rejects `email_verified` without `email`, and the same for the phone number.
    // facts 3: "needs the email/phone" [D]; the text is [Inf].
    pub(super) fn check_verified(&self, user: &User) -> Result<(), ApiError> {
        for contact in [Contact::Email, Contact::PhoneNumber] {
            let value = self.schema.value(&user.attributes, contact.attribute());
            if self.schema.is_true(&user.attributes, contact.verified())
                && value.is_none_or(str::is_empty)
            {
                let (name, verified) = (contact.attribute(), contact.verified());
                let message = format!("{name} is required when {verified} is true.");
                return Err(ApiError::invalid_parameter(message));
            }
        }
        Ok(())
    }

    /// A user's attributes as the API lists them, `sub` first.
    pub(super) fn attribute_list(&self, sub: u128, user: &User) -> Vec<Value> {
        let own = user.attributes.iter();
        let own = own.map(|(id, value)| json!({"Name": self.schema.name(id), "Value": value}));
        [json!({"Name": SUB, "Value": sub_text(sub)})]
            .into_iter()
            .chain(own)
            .collect()
    }

    /// `UserType` of the API, which has no UserMFASettingList.
    pub(super) fn user_type(&self, sub: u128, user: &User) -> Value {
        json!({
            "Username": user.name(sub),
            "Attributes": self.attribute_list(sub, user),
            "UserCreateDate": seconds(user.created),
            "UserLastModifiedDate": seconds(user.modified),
            "Enabled": user.enabled,
            "UserStatus": user.status.as_str(),
        })
    }

    /// The members that GetUser and AdminGetUser have in common; they include the MFA settings.
    pub(super) fn profile(&self, sub: u128, user: &User) -> Value {
        let mut profile = json!({
            "Username": user.name(sub),
            "UserAttributes": self.attribute_list(sub, user),
        });
        if user.totp().is_some() {
            profile["UserMFASettingList"] = json!(["SOFTWARE_TOKEN_MFA"]);
            profile["PreferredMfaSetting"] = "SOFTWARE_TOKEN_MFA".into();
        }
        profile
    }

    pub(super) fn view(&self, sub: u128, user: &User) -> UserView {
        let attribute =
            |(id, value): (u8, &str)| (self.schema.name(id).to_owned(), value.to_owned());
        UserView {
            username: user.name(sub),
            sub: sub_text(sub),
            status: user.status,
            enabled: user.enabled,
            attributes: user.attributes.iter().map(attribute).collect(),
        }
    }
}

/// Random letters.
pub(super) fn random_text(length: usize, letters: &[u8]) -> String {
    let pick = |_| char::from(letters[usize::from(rand::random::<u16>()) % letters.len()]);
    (0..length).map(pick).collect()
}
