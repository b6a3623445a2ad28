//! A user in a compact form, so that a million fit into memory, and the users of a pool with their indexes.
//!
//! Users are ordered by `sub`, so that the cost of a page of ListUsers, also with the filter `sub ^= "a"`, depends only on its
//! length. For changes that ListUsers must not show yet, the former state and the time when it ends are kept as shadows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::editing::Unproved;
use super::knobs::Millis;
use super::password::PasswordHash;
use super::tokens::SignIn;

/// The status of a user.
// botocore UserStatusType [D].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserStatus {
    /// The user has signed up, but is not confirmed yet.
    Unconfirmed,
    /// The user can sign in.
    #[default]
    Confirmed,
    /// Cognito no longer uses this status.
    Archived,
    /// The user was disabled because of a security threat.
    Compromised,
    /// The status is not known.
    Unknown,
    /// The user must reset the password before the next sign-in.
    ResetRequired,
    /// The user was created by an administrator and has a temporary password.
    ForceChangePassword,
    /// The user signs in with another identity provider.
    ExternalProvider,
}

impl UserStatus {
    /// The status as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "UNCONFIRMED",
            Self::Confirmed => "CONFIRMED",
            Self::Archived => "ARCHIVED",
            Self::Compromised => "COMPROMISED",
            Self::Unknown => "UNKNOWN",
            Self::ResetRequired => "RESET_REQUIRED",
            Self::ForceChangePassword => "FORCE_CHANGE_PASSWORD",
            Self::ExternalProvider => "EXTERNAL_PROVIDER",
        }
    }
}

impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user that a test puts into a pool; nothing about them is checked.
#[derive(Clone)]
pub struct SeedUser {
    /// The username. In pools that sign in by email or phone number it is the `sub`, except for federated users.
    pub username: Option<String>,
    /// The `sub`, a UUID; `None` means a random one.
    pub sub: Option<String>,
    /// The status.
    pub status: UserStatus,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// All attributes except `sub`; they must exist in the pool's schema.
    pub attributes: BTreeMap<String, String>,
    /// The password, if the user has one.
    pub password: Option<String>,
}

impl Default for SeedUser {
    fn default() -> Self {
        Self {
            username: None,
            sub: None,
            status: UserStatus::Confirmed,
            enabled: true,
            attributes: BTreeMap::new(),
            password: None,
        }
    }
}

impl fmt::Debug for SeedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SeedUser");
        shown.field("status", &self.status).finish_non_exhaustive()
    }
}

/// The current state of a user, for assertions.
#[derive(Clone, PartialEq, Eq)]
pub struct UserView {
    /// The username; in pools that sign in by email or phone number it is the `sub`.
    pub username: String,
    /// The `sub`.
    pub sub: String,
    /// The status.
    pub status: UserStatus,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// All attributes except `sub`.
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Debug for UserView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserView")
            .field("sub", &self.sub)
            .field("status", &self.status)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// The attributes of a user in one piece of memory: the short name, the length and the value of each, ordered by short name.
#[derive(Clone, Default)]
pub(super) struct Attributes(Box<[u8]>);

impl Attributes {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&id, tail) = rest.split_first()?;
            let (length, tail) = tail.split_first_chunk::<4>()?;
            let (value, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            rest = tail;
            Some((id, std::str::from_utf8(value).expect("it was a str")))
        })
    }

    pub(super) fn get(&self, id: u8) -> Option<&str> {
        self.iter()
            .find_map(|(known, value)| (known == id).then_some(value))
    }

    /// Writes some attributes; if `delete` is true, an empty value deletes the attribute.
    pub(super) fn write<S: AsRef<str>>(&mut self, writes: &[(u8, S)], delete: bool) {
        let old = std::mem::take(self);
        let mut all: BTreeMap<u8, &str> = old.iter().collect();
        all.extend(writes.iter().map(|(id, value)| (*id, value.as_ref())));
        if delete {
            let emptied = |id: &u8| {
                writes
                    .iter()
                    .any(|(written, value)| written == id && value.as_ref().is_empty())
            };
            all.retain(|id, value| !(value.is_empty() && emptied(id)));
        }
        let mut packed = Vec::with_capacity(all.values().map(|value| value.len() + 5).sum());
        for (id, value) in all {
            packed.push(id);
            packed.extend_from_slice(&(value.len() as u32).to_le_bytes());
            packed.extend_from_slice(value.as_bytes());
        }
        self.0 = packed.into_boxed_slice();
    }
}

/// A verification code that was sent.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) digits: String,
    pub(super) expires: Millis,
    /// The attribute that becomes verified with the code of a sign-up.
    pub(super) proves: &'static str,
}

/// Counts attempts within the hour that begins with the first one.
#[derive(Clone, Default)]
pub(super) struct Attempts {
    since: Millis,
    count: u32,
}

impl Attempts {
    /// Counts an attempt and returns whether it was within the limit.
    pub(super) fn allow(&mut self, now: Millis, per_hour: u32) -> bool {
        if now >= self.since + 3_600_000 {
            *self = Self {
                since: now,
                count: 0,
            };
        }
        self.count += 1;
        self.count <= per_hour
    }
}

/// The data that only a few users have, stored outside of the user.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    pub(super) password: Option<PasswordHash>,
    /// The time when the temporary password expires.
    pub(super) temporary_until: Option<Millis>,
    pub(super) totp: Option<Totp>,
    /// A secret that was associated with an access token, but is not verified yet.
    pub(super) pending_totp: Option<String>,
    pub(super) confirmation: Option<Code>,
    pub(super) recovery: Option<Code>,
    pub(super) confirmation_tries: Attempts,
    pub(super) recovery_tries: Attempts,
    /// New addresses that wait for the code which was sent to them.
    pub(super) unproved: Vec<Unproved>,
    /// The sign-ins whose tokens are not revoked.
    pub(super) sign_ins: Vec<SignIn>,
    pub(super) failed_sign_ins: u32,
    pub(super) locked_until: Millis,
}

/// A registered authenticator.
#[derive(Clone)]
pub(super) struct Totp {
    pub(super) secret: String,
    /// The window of the last code that was accepted.
    pub(super) last_step: u64,
}

/// One user. The `sub` is the key of the map that contains them.
#[derive(Clone)]
pub(super) struct User {
    /// `None` if the username is the `sub`.
    pub(super) username: Option<Box<str>>,
    pub(super) attributes: Attributes,
    pub(super) status: UserStatus,
    pub(super) enabled: bool,
    pub(super) created: Millis,
    pub(super) modified: Millis,
    secrets: Option<Box<Secrets>>,
}

impl User {
    pub(super) fn new(username: Option<&str>, status: UserStatus, now: Millis) -> Self {
        Self {
            username: username.map(Into::into),
            attributes: Attributes::default(),
            status,
            enabled: true,
            created: now,
            modified: now,
            secrets: None,
        }
    }

    pub(super) fn name(&self, sub: u128) -> String {
        self.username
            .as_deref()
            .map_or_else(|| sub_text(sub), str::to_owned)
    }

    pub(super) fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_deref()
    }

    pub(super) fn secrets_mut(&mut self) -> &mut Secrets {
        self.secrets.get_or_insert_default()
    }

    pub(super) fn totp(&self) -> Option<&Totp> {
        self.secrets()?.totp.as_ref()
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A `sub` as text.
pub(super) fn sub_text(sub: u128) -> String {
    Uuid::from_u128(sub).to_string()
}

/// Reads a `sub`; `None` if the text is not one.
pub(super) fn parse_sub(text: &str) -> Option<u128> {
    let sub = Uuid::try_parse(text).ok()?;
    (sub.to_string() == text).then(|| sub.as_u128())
}

/// A new random `sub`.
pub(super) fn new_sub() -> u128 {
    Uuid::new_v4().as_u128()
}

/// The time of a change, and the time from which ListUsers shows it.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Millis,
    pub(super) listed: Millis,
}

struct Shadow {
    until: Millis,
    was: Option<User>,
}

/// The users of a pool, by `sub` and by each name that they can sign in with.
#[derive(Default)]
pub(super) struct Users {
    live: BTreeMap<u128, User>,
    names: HashMap<Box<str>, u128>,
    shadows: BTreeMap<u128, Vec<Shadow>>,
    shadows_end: VecDeque<(Millis, u128)>,
}

impl Users {
    pub(super) fn get(&self, sub: u128) -> Option<&User> {
        self.live.get(&sub)
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, &User)> {
        self.live.iter().map(|(&sub, user)| (sub, user))
    }

    /// The user who has a name, which is given in the form in which names are compared.
    pub(super) fn by_name(&self, folded: &str) -> Option<u128> {
        self.names.get(folded).copied()
    }

    /// The secrets of a user, which ListUsers never shows.
    pub(super) fn secrets(&mut self, sub: u128) -> Option<&mut Secrets> {
        self.live.get_mut(&sub).map(User::secrets_mut)
    }

    /// Sets or changes (`Some`) or removes (`None`) a user together with the names that they sign in with.
    pub(super) fn set(
        &mut self,
        sub: u128,
        user: Option<User>,
        names: (Vec<String>, Vec<String>),
        at: Moment,
    ) {
        let (old, new) = names;
        for name in old {
            if self.names.get(name.as_str()) == Some(&sub) {
                self.names.remove(name.as_str());
            }
        }
        for name in new {
            self.names.insert(name.into(), sub);
        }
        let was = match user {
            Some(user) => self.live.insert(sub, user),
            None => self.live.remove(&sub),
        };
        self.forget_shadows(at.now);
        if at.listed > at.now {
            let until = at.listed;
            self.shadows
                .entry(sub)
                .or_default()
                .push(Shadow { until, was });
            self.shadows_end.push_back((until, sub));
        }
    }

    fn forget_shadows(&mut self, now: Millis) {
        while let Some(&(until, sub)) = self.shadows_end.front() {
            if until > now {
                break;
            }
            self.shadows_end.pop_front();
            if let Some(shadows) = self.shadows.get_mut(&sub) {
                shadows.retain(|shadow| shadow.until > now);
                if shadows.is_empty() {
                    self.shadows.remove(&sub);
                }
            }
        }
    }

    /// The users as ListUsers shows them now, in order of `sub`.
    pub(super) fn listed(
        &self,
        range: RangeInclusive<u128>,
        now: Millis,
    ) -> impl Iterator<Item = (u128, &User)> {
        let mut live = self.live.range(range.clone()).peekable();
        let mut shadows = self.shadows.range(range).peekable();
        let merged = std::iter::from_fn(move || {
            let heads = [
                live.peek().map(|head| *head.0),
                shadows.peek().map(|head| *head.0),
            ];
            let next = heads.into_iter().flatten().min()?;
            let user = live.next_if(|(sub, _)| **sub == next).map(|(_, user)| user);
            let shadow = shadows.next_if(|(sub, _)| **sub == next);
            let former = shadow.and_then(|(_, all)| all.iter().find(|shadow| shadow.until > now));
            Some((next, former.map_or(user, |shadow| shadow.was.as_ref())))
        });
        merged.filter_map(|(sub, user)| user.map(|user| (sub, user)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: Millis, lag: Millis) -> Moment {
        Moment {
            now,
            listed: now + lag,
        }
    }

    fn nobody() -> (Vec<String>, Vec<String>) {
        (Vec::new(), Vec::new())
    }

    #[test]
    fn given_attributes_when_written_and_deleted_then_the_rest_stays() {
        let mut attributes = Attributes::default();
        attributes.write(&[(3, "三"), (1, "one"), (7, "")], false);
        attributes.write(&[(1, ""), (2, "two")], true);
        let left: Vec<_> = attributes.iter().collect();
        assert_eq!(left, [(2, "two"), (3, "三"), (7, "")]);
    }

    #[test]
    fn given_a_lag_when_a_user_changes_then_the_listing_shows_the_former_state_until_it_ends() {
        let mut users = Users::default();
        let user = |status| User::new(None, status, 0);
        users.set(5, Some(user(UserStatus::Unconfirmed)), nobody(), at(0, 0));
        users.set(5, Some(user(UserStatus::Confirmed)), nobody(), at(100, 50));
        users.set(6, Some(user(UserStatus::Confirmed)), nobody(), at(100, 50));
        users.set(5, None, nobody(), at(120, 50));
        let seen = |users: &Users, now| -> Vec<_> {
            let listed = users.listed(0..=u128::MAX, now);
            listed.map(|(sub, user)| (sub, user.status)).collect()
        };
        assert_eq!(seen(&users, 149), [(5, UserStatus::Unconfirmed)]);
        assert_eq!(
            seen(&users, 150),
            [(5, UserStatus::Confirmed), (6, UserStatus::Confirmed)]
        );
        assert_eq!(seen(&users, 170), [(6, UserStatus::Confirmed)]);
        assert!(users.get(5).is_none());
    }
}
