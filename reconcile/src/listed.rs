//! What is kept of a listed user while two pools are compared: a record of fixed size with hashes, and no values.

use jiff::Timestamp;
use shared::aws::AwsError;
use shared::journal::{Kind, RecordedPerson};
use shared::person::{Person, Status};
use shared::pool_id::PoolId;

use crate::comparison::Comparison;
use crate::sorted::Record;
use crate::sorted::hash::hash16;

/// A `sub`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sub([u8; SUB_LENGTH]);

const SUB_LENGTH: usize = Sub::LENGTH;

impl Sub {
    /// The length of the longest one as text: a UUID.
    pub const LENGTH: usize = 36;

    /// The text.
    pub fn as_str(&self) -> &str {
        let text = std::str::from_utf8(&self.0).unwrap_or_default();
        text.trim_end_matches('\0')
    }

    /// The bytes, to be stored.
    pub fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// The `sub` with these bytes, of which there are [`Self::LENGTH`].
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.try_into().expect("the length of a sub"))
    }

    /// A `sub` from its text; none if it is too long to be one.
    pub fn of(sub: &str) -> Option<Self> {
        let mut bytes = [0; SUB_LENGTH];
        bytes.get_mut(..sub.len())?.copy_from_slice(sub.as_bytes());
        Some(Self(bytes))
    }
}

/// What decides about a user whatever their attributes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// CONFIRMED or RESET_REQUIRED.
    Active,
    /// FORCE_CHANGE_PASSWORD: made by an administrator, and never signed in; or a replica that was left half made.
    NeverSignedIn,
    /// UNCONFIRMED.
    Unconfirmed,
    /// EXTERNAL_PROVIDER, COMPROMISED, ARCHIVED or an unknown status.
    Other,
}

impl State {
    /// The state of a user with this status.
    pub fn of(status: &Status) -> Self {
        match status {
            Status::Confirmed | Status::ResetRequired => Self::Active,
            Status::ForceChangePassword => Self::NeverSignedIn,
            Status::Unconfirmed => Self::Unconfirmed,
            _ => Self::Other,
        }
    }

    /// Whether a name tells who a user in this state is: they have it from a sign-up that was confirmed or from an administrator, and sign
    /// in with it. A user of another identity provider may have the email address of somebody else's native user.
    pub fn owns_name(self) -> bool {
        matches!(self, Self::Active | Self::NeverSignedIn)
    }
}

/// A listed user, sorted by identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The hash of the identity.
    pub identity: [u8; 16],
    /// The hash of the sign-in name.
    pub name: [u8; 16],
    /// The `sub` in the pool that was listed.
    pub sub: Sub,
    /// The digest of the addresses that are compared.
    pub addresses: u64,
    /// The digest of the other attributes that are compared.
    pub others: u64,
    /// The state.
    pub state: State,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// Whether the user carries the origin attribute.
    pub has_origin: bool,
    /// Whether the user has a verified address to reset the password with.
    pub has_way_in: bool,
    /// When twinpool withheld the user, in seconds since 1970; 0 where it did not.
    pub withheld_since: u32,
    /// Whether somebody with this identity has used the secondary pool.
    pub has_used: bool,
    /// Whether the user is not what their journal record says any more.
    pub has_changed: bool,
    /// Whether the user's addresses are those that the first journal record of somebody with this identity says.
    pub has_recorded_addresses: bool,
}

impl Listed {
    /// What is kept of a listed user.
    ///
    /// # Errors
    ///
    /// Cognito's answer lacks the user's `sub`.
    pub fn of(person: &Person, comparison: &Comparison, pool: &PoolId) -> Result<Self, AwsError> {
        let incomplete = || AwsError::incomplete_response("ListUsers", pool, "a sub");
        let sub = person.sub().and_then(Sub::of).ok_or_else(incomplete)?;
        let origin = comparison.origin();
        let identity = person.attributes.identity(origin).ok_or_else(incomplete)?;
        let (addresses, others) = comparison.digests(&person.attributes);
        Ok(Self {
            identity: hash16(identity),
            name: hash16(&comparison.sign_in_name(person)),
            sub,
            addresses,
            others,
            state: State::of(&person.status),
            enabled: person.enabled,
            has_origin: person.attributes.origin(origin).is_some(),
            has_way_in: ["email_verified", "phone_number_verified"]
                .iter()
                .any(|flag| person.attributes.is_true(flag)),
            withheld_since: 0,
            has_used: false,
            has_changed: false,
            has_recorded_addresses: false,
        })
    }

    /// Adds what the bucket knows of the people with this identity.
    pub fn mark(&mut self, marks: &[Mark]) {
        for mark in marks {
            if let Mark::Withheld { since, .. } = mark {
                self.withheld_since = *since;
            }
        }
        let used = marks.iter().filter_map(|mark| match mark {
            Mark::Used(used) => Some(used),
            Mark::Withheld { .. } => None,
        });
        let first = used.clone().min_by_key(|used| used.recorded_at);
        let of_user = used.filter(|used| used.sub == self.sub);
        let first_of_user = of_user.min_by_key(|used| used.recorded_at);
        self.has_used = first.is_some();
        self.has_changed = first_of_user
            .is_some_and(|first| (first.addresses, first.others) != (self.addresses, self.others));
        self.has_recorded_addresses = first.is_some_and(|first| first.addresses == self.addresses);
    }

    fn flags(&self) -> u8 {
        let state = self.state as u8;
        let flags = [
            self.enabled,
            self.has_origin,
            self.has_way_in,
            self.has_used,
            self.has_changed,
            self.has_recorded_addresses,
        ];
        flags.iter().enumerate().fold(state, |bits, (at, flag)| {
            bits | (u8::from(*flag) << (at + 2))
        })
    }

    fn write_rest(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sub.0);
        out.extend_from_slice(&self.addresses.to_le_bytes());
        out.extend_from_slice(&self.others.to_le_bytes());
        out.push(self.flags());
        out.extend_from_slice(&self.withheld_since.to_le_bytes());
    }

    fn read_from(bytes: &[u8], identity: usize, name: usize) -> Self {
        let hash = |at: usize| bytes[at..at + 16].try_into().expect("sixteen bytes");
        let number =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let flags_at = 32 + SUB_LENGTH + 16;
        let flags = bytes[flags_at];
        let since = bytes[flags_at + 1..flags_at + 5].try_into();
        let is_set = |at: u8| flags >> (at + 2) & 1 == 1;
        Self {
            identity: hash(identity),
            name: hash(name),
            sub: Sub(bytes[32..32 + SUB_LENGTH].try_into().expect("a sub")),
            addresses: number(32 + SUB_LENGTH),
            others: number(32 + SUB_LENGTH + 8),
            state: match flags & 3 {
                0 => State::Active,
                1 => State::NeverSignedIn,
                2 => State::Unconfirmed,
                _ => State::Other,
            },
            enabled: is_set(0),
            has_origin: is_set(1),
            has_way_in: is_set(2),
            withheld_since: u32::from_le_bytes(since.expect("four bytes")),
            has_used: is_set(3),
            has_changed: is_set(4),
            has_recorded_addresses: is_set(5),
        }
    }
}

impl Record for Listed {
    const SIZE: usize = 16 + 16 + SUB_LENGTH + 8 + 8 + 1 + 4;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.identity);
        out.extend_from_slice(&self.name);
        self.write_rest(out);
    }

    fn read(bytes: &[u8]) -> Self {
        Self::read_from(bytes, 0, 16)
    }

    fn key(&self) -> [u8; 16] {
        self.identity
    }

    fn is_same(&self, other: &Self) -> bool {
        self.sub == other.sub
    }
}

/// A listed user, sorted by sign-in name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ByName(pub Listed);

impl Record for ByName {
    const SIZE: usize = Listed::SIZE;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.name);
        out.extend_from_slice(&self.0.identity);
        self.0.write_rest(out);
    }

    fn read(bytes: &[u8]) -> Self {
        Self(Listed::read_from(bytes, 16, 0))
    }

    fn key(&self) -> [u8; 16] {
        self.0.name
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.sub == other.0.sub
    }
}

/// What the bucket knows of a person: sorted by identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// There is a record of a withheld replica.
    Withheld {
        /// The hash of the identity.
        identity: [u8; 16],
        /// When the record was written, in seconds since 1970.
        since: u32,
    },
    /// There is a record in the journal.
    Used(UsedMark),
}

/// A record of the journal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UsedMark {
    /// The hash of the identity.
    pub identity: [u8; 16],
    /// The `sub` in the secondary pool.
    pub sub: Sub,
    /// The digest of the addresses that the record says.
    pub addresses: u64,
    /// The digest of the other attributes.
    pub others: u64,
    /// When it was recorded, in seconds since 1970.
    pub recorded_at: u32,
    /// The record's kind: there is one of each kind at most.
    pub kind: Kind,
}

impl UsedMark {
    /// What is kept of a record. One that cannot be read says no more than that somebody has used the secondary pool.
    pub fn of(recorded: &RecordedPerson, comparison: &Comparison) -> Self {
        let confirmation = recorded.confirmation.as_ref();
        // Nobody's `sub` is empty, so an unreadable record is nobody's base.
        let sub = confirmation.and_then(|_| Sub::of(&recorded.person));
        let digests = confirmation.map(|record| comparison.digests(&record.attributes));
        let (addresses, others) = digests.unwrap_or_default();
        Self {
            identity: hash16(&recorded.identity),
            sub: sub.unwrap_or(Sub([0; SUB_LENGTH])),
            addresses,
            others,
            recorded_at: confirmation.map_or(u32::MAX, |record| seconds(record.recorded_at)),
            kind: recorded.kind,
        }
    }
}

/// Seconds since 1970.
pub fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_second()).unwrap_or(u32::MAX)
}

/// The kinds of marks as they are stored: 0 is a withheld replica.
fn kind_number(kind: Kind) -> u8 {
    let place = Kind::ALL.into_iter().position(|other| other == kind);
    place.map_or(0, |place| place as u8 + 1)
}

impl Record for Mark {
    const SIZE: usize = 16 + 4 + 1 + SUB_LENGTH + 8 + 8;

    fn write(&self, out: &mut Vec<u8>) {
        let (number, used) = match self {
            Self::Withheld { .. } => (0, None),
            Self::Used(used) => (kind_number(used.kind), Some(used)),
        };
        let seconds = match self {
            Self::Withheld { since, .. } => *since,
            Self::Used(used) => used.recorded_at,
        };
        out.extend_from_slice(&self.key());
        out.extend_from_slice(&seconds.to_le_bytes());
        out.push(number);
        out.extend_from_slice(used.map_or(&[0; SUB_LENGTH], |used| used.sub.bytes()));
        for digest in used.map_or([0, 0], |used| [used.addresses, used.others]) {
            out.extend_from_slice(&digest.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let identity = bytes[..16].try_into().expect("sixteen bytes");
        let seconds = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes"));
        let number =
            |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        match usize::from(bytes[20]).checked_sub(1) {
            None => Self::Withheld {
                identity,
                since: seconds,
            },
            Some(kind) => Self::Used(UsedMark {
                identity,
                sub: Sub::from_bytes(&bytes[21..21 + SUB_LENGTH]),
                addresses: number(21 + SUB_LENGTH),
                others: number(21 + SUB_LENGTH + 8),
                recorded_at: seconds,
                kind: Kind::ALL[kind],
            }),
        }
    }

    fn key(&self) -> [u8; 16] {
        match self {
            Self::Withheld { identity, .. } => *identity,
            Self::Used(used) => used.identity,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Withheld { .. }, Self::Withheld { .. }) => true,
            (Self::Used(one), Self::Used(other)) => (one.sub, one.kind) == (other.sub, other.kind),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::person::Attributes;

    use super::*;
    use crate::comparison::tests::{ORIGIN, comparison};

    pub fn listed(sub: &str, attributes: &[(&str, &str)]) -> Listed {
        let mut attributes: Attributes = attributes.iter().copied().collect();
        attributes.insert("sub", sub);
        let person = Person {
            username: sub.into(),
            status: Status::Confirmed,
            enabled: true,
            attributes,
            created_at: None,
            mfa: false,
        };
        let pool = "ap-northeast-1_Example01".parse().unwrap();
        Listed::of(&person, &comparison(), &pool).unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut listed = listed(
            "57c4aab8-5061-7015-8b3b-1a2f6c0d9e11",
            &[
                ("email", "taro@example.jp"),
                ("email_verified", "true"),
                (ORIGIN, "s-1"),
            ],
        );
        for state in [
            State::Active,
            State::NeverSignedIn,
            State::Unconfirmed,
            State::Other,
        ] {
            listed.state = state;
            listed.enabled = !listed.enabled;
            listed.withheld_since += 1;
            listed.has_used = !listed.has_used;
            listed.has_changed = !listed.has_used;
            listed.has_recorded_addresses = listed.has_used;
            let (mut by_identity, mut by_name) = (Vec::new(), Vec::new());
            listed.write(&mut by_identity);
            ByName(listed).write(&mut by_name);

            assert_eq!(by_identity.len(), Listed::SIZE);
            assert!(Listed::read(&by_identity) == listed);
            assert!(ByName::read(&by_name) == ByName(listed));
            assert_eq!(by_name[..16], listed.name);
        }
        assert_eq!(listed.sub.as_str(), "57c4aab8-5061-7015-8b3b-1a2f6c0d9e11");
    }

    fn used(sub: &str, kind: Kind, recorded_at: u32, (addresses, others): (u64, u64)) -> Mark {
        Mark::Used(UsedMark {
            identity: hash16("s-1"),
            sub: Sub::of(sub).unwrap(),
            addresses,
            others,
            recorded_at,
            kind,
        })
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let withheld = Mark::Withheld {
            identity: hash16("s-1"),
            since: 7,
        };
        let kinds = Kind::ALL.map(|kind| used("s-2", kind, 9, (1, 2)));
        for mark in [withheld].into_iter().chain(kinds) {
            let mut bytes = Vec::new();
            mark.write(&mut bytes);

            assert_eq!(bytes.len(), Mark::SIZE);
            assert!(Mark::read(&bytes) == mark);
        }
        assert!(kinds[0].is_same(&used("s-2", Kind::SignUp, 1, (0, 0))));
        assert!(!kinds[0].is_same(&kinds[1]) && !kinds[0].is_same(&withheld));
    }

    #[test]
    fn a_user_has_changed_who_is_not_what_their_first_record_says() {
        let user = listed("s-2", &[("name", "Taro"), (ORIGIN, "s-1")]);
        let present = (user.addresses, user.others);
        let reset = |sub, at, digests| used(sub, Kind::PasswordReset, at, digests);
        for (marks, has_used, has_changed) in [
            (vec![], false, false),
            (vec![reset("s-2", 5, present)], true, false),
            (vec![reset("s-2", 5, (0, 0))], true, true),
            (
                vec![
                    reset("s-2", 5, (0, 0)),
                    used("s-2", Kind::Restored, 4, present),
                ],
                true,
                false,
            ),
            // Of a user who is not there any more.
            (vec![reset("s-3", 4, (0, 0))], true, false),
        ] {
            let mut user = user;
            user.mark(&marks);
            assert_eq!((user.has_used, user.has_changed), (has_used, has_changed));
        }
    }

    #[test]
    fn the_addresses_of_both_users_of_a_pair_are_compared_with_the_first_record() {
        let user = listed(
            "s-1",
            &[("email", "a@example.jp"), ("email_verified", "true")],
        );
        let reset = |at, addresses| used("s-2", Kind::PasswordReset, at, (addresses, 0));
        let restored = |at, addresses| used("s-2", Kind::Restored, at, (addresses, 0));
        for (marks, expected) in [
            (vec![], false),
            (vec![reset(5, user.addresses)], true),
            (vec![reset(5, 0)], false),
            (vec![reset(5, 0), restored(4, user.addresses)], true),
            (vec![reset(5, user.addresses), restored(4, 0)], false),
        ] {
            let mut user = user;
            user.mark(&marks);
            assert_eq!(user.has_recorded_addresses, expected);
        }
    }
}
