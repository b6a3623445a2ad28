//! What is kept of a listed user while two pools are compared: a record of fixed size with hashes, and no values.

use shared::aws::AwsError;
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
        })
    }

    /// Whether everything that is compared is equal.
    pub fn has_same_attributes(&self, other: &Self) -> bool {
        (self.addresses, self.others) == (other.addresses, other.others)
    }

    fn flags(&self) -> u8 {
        let state = self.state as u8;
        let flags = [self.enabled, self.has_origin, self.has_way_in];
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

/// That there is a record of a withheld replica: sorted by identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WithheldMark {
    /// The hash of the identity.
    pub identity: [u8; 16],
    /// When the record was written, in seconds.
    pub since: u32,
}

impl Record for WithheldMark {
    const SIZE: usize = 16 + 4;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.identity);
        out.extend_from_slice(&self.since.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            identity: bytes[..16].try_into().expect("sixteen bytes"),
            since: u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes")),
        }
    }

    fn key(&self) -> [u8; 16] {
        self.identity
    }

    fn is_same(&self, _: &Self) -> bool {
        true
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
}
