//! Who somebody is: what the restore compares of a user of the snapshot and a user of the target pool.

use std::borrow::Cow;

use aws_sdk_cognitoidentityprovider::types::{SchemaAttributeType, UserPoolType};
use shared::environment::CustomAttribute;
use shared::person::Attributes;

use crate::names::{IdentityHash, NameHash, NameHasher, PersonKey};

/// The attribute in which a deployment keeps identities by default.
const DEFAULT_ORIGIN_SUB: &str = "custom:origin_sub";

/// A user of the snapshot, or the owner of a sign-up record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Which user of the snapshot.
    pub key: PersonKey,
    /// The sign-in name as the target pool compares it.
    pub name: NameHash,
    /// The identity, if it is known.
    pub identity: Option<IdentityHash>,
    /// The verified addresses.
    pub addresses: Addresses,
}

/// The verified addresses of a user, as hashes of eight bytes. Only users who sign in by username have any here: for the others, the
/// name is the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    email: Option<[u8; 8]>,
    phone_number: Option<[u8; 8]>,
}

impl Addresses {
    /// Whether these are the addresses of one person: one address is the same, and none differs.
    pub fn are_of_one_person(&self, other: &Self) -> bool {
        let pairs = [
            (self.email, other.email),
            (self.phone_number, other.phone_number),
        ];
        let both = pairs.iter().filter_map(|(one, other)| one.zip(*other));
        let mut compared = both.map(|(one, other)| one == other).peekable();
        compared.peek().is_some() && compared.all(|is_same| is_same)
    }
}

/// How the users of the target pool are told apart.
#[derive(Clone, Debug)]
pub struct Comparison {
    hasher: NameHasher,
    origin: Option<CustomAttribute>,
    signs_in_by_username: bool,
    username_attributes: Vec<String>,
    aliases: Vec<String>,
}

impl Comparison {
    /// The comparison for a target pool. Identities are kept in `origin`; if it is not configured, in `custom:origin_sub`, provided that
    /// the pool has that attribute. Without either, people are compared by name.
    pub fn of(pool: &UserPoolType, origin: Option<&CustomAttribute>) -> Self {
        let default = || {
            let mut schema = pool.schema_attributes().iter();
            let has_default = schema.any(|a| a.name() == Some(DEFAULT_ORIGIN_SUB));
            DEFAULT_ORIGIN_SUB.parse().ok().filter(|_| has_default)
        };
        Self {
            hasher: NameHasher::of(pool),
            origin: origin.cloned().or_else(default),
            signs_in_by_username: pool.username_attributes().is_empty(),
            username_attributes: names_of(pool.username_attributes()),
            aliases: names_of(pool.alias_attributes()),
        }
    }

    /// The attribute that keeps identities.
    pub fn origin(&self) -> Option<&CustomAttribute> {
        self.origin.as_ref()
    }

    /// A name as the target pool compares it.
    pub fn name(&self, name: &str) -> NameHash {
        self.hasher.hash(name)
    }

    /// The attributes that are sign-in names beside the username, where they are verified.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// The attributes that people sign in with: one user only can have a value of them.
    pub fn sign_in_attributes(&self) -> impl Iterator<Item = &str> {
        let attributes = self.username_attributes.iter().chain(&self.aliases);
        attributes.map(String::as_str)
    }

    /// Everything but the username that somebody signs in with in the target pool, each once, given by a function that gets one of their
    /// attributes. DG:user-pool-settings-attributes: an alias counts when it is verified, a username attribute always.
    pub fn further_names<'a>(
        &self,
        who: &Who,
        get: impl Fn(&str) -> Option<Cow<'a, str>>,
    ) -> Vec<NameHash> {
        let is_verified = |alias: &&String| {
            let flag = get(&format!("{alias}_verified"));
            *alias == "preferred_username" || flag.is_some_and(|flag| is_true(&flag))
        };
        let aliases = self.aliases.iter().filter(is_verified);
        let values = self.username_attributes.iter().chain(aliases);
        let values = values.filter_map(|attribute| get(attribute));
        let mut names: Vec<_> = values.map(|value| self.name(&value)).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| *name != who.name);
        names
    }

    /// Somebody with this sign-in name in the snapshot's pool.
    pub fn who(&self, name: &str, identity: Option<&str>, addresses: Addresses) -> Who {
        Who {
            key: PersonKey::of(name),
            name: self.name(name),
            identity: identity.map(IdentityHash::of),
            addresses,
        }
    }

    /// Whether a name alone does not say that two users are one person, because people choose their names.
    pub fn needs_equal_addresses(&self) -> bool {
        self.signs_in_by_username
    }

    /// The verified addresses among some attributes, given by a function that gets one of them.
    pub fn addresses<'a>(&self, get: impl Fn(&str) -> Option<Cow<'a, str>>) -> Addresses {
        if !self.signs_in_by_username {
            return Addresses::default();
        }
        let verified = |address: &str, flag: &str| {
            let is_verified = get(flag).is_some_and(|value| is_true(&value));
            get(address).filter(|_| is_verified).map(|address| {
                use sha2::{Digest, Sha256};
                let mut hash = [0; 8];
                hash.copy_from_slice(&Sha256::digest(address.to_lowercase())[..8]);
                hash
            })
        };
        Addresses {
            email: verified("email", "email_verified"),
            phone_number: verified("phone_number", "phone_number_verified"),
        }
    }

    /// The verified addresses among the attributes of a user.
    pub fn addresses_of(&self, attributes: &Attributes) -> Addresses {
        self.addresses(|name| attributes.get(name).map(Cow::Borrowed))
    }
}

fn is_true(flag: &str) -> bool {
    flag.eq_ignore_ascii_case("true")
}

fn names_of<T: AsRef<str>>(attributes: &[T]) -> Vec<String> {
    let names = attributes.iter().map(|attribute| attribute.as_ref());
    names.map(str::to_owned).collect()
}

/// The attributes of a schema that can be given only when a user is created.
pub fn immutable_attributes(pool: &UserPoolType) -> Vec<String> {
    let immutable = |attribute: &&SchemaAttributeType| {
        attribute.mutable() == Some(false) && attribute.name() != Some("sub")
    };
    let schema = pool.schema_attributes().iter().filter(immutable);
    schema.filter_map(|a| a.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::UsernameAttributeType;

    use super::*;

    fn addresses(attributes: &[(&str, &str)]) -> Addresses {
        let pool = UserPoolType::builder().build();
        Comparison::of(&pool, None).addresses_of(&attributes.iter().copied().collect())
    }

    #[test]
    fn verified_addresses_that_differ_mean_two_people() {
        let email = [("email", "taro@example.jp"), ("email_verified", "true")];
        let phone = [("phone_number", "+8190"), ("phone_number_verified", "true")];
        let both = [email, phone].concat();
        let mine = addresses(&both);

        for (other, same) in [
            (&both[..], true),
            (&email, true),
            (
                &[("email", "Taro@example.jp"), ("email_verified", "TRUE")],
                true,
            ),
            (
                &[("email", "taro@example.jp"), ("email_verified", "false")],
                false,
            ),
            (
                &[("email", "jiro@example.jp"), ("email_verified", "true")],
                false,
            ),
            (
                &[
                    phone[0],
                    phone[1],
                    ("email", "jiro@example.jp"),
                    ("email_verified", "true"),
                ],
                false,
            ),
            (&[], false),
        ] {
            assert_eq!(mine.are_of_one_person(&addresses(other)), same, "{other:?}");
        }
    }

    #[test]
    fn in_a_pool_that_signs_in_by_address_the_name_is_the_address() {
        let pool = UserPoolType::builder().username_attributes(UsernameAttributeType::Email);
        let comparison = Comparison::of(&pool.build(), None);

        assert!(!comparison.needs_equal_addresses());
    }

    #[test]
    fn the_default_origin_attribute_is_used_if_the_pool_has_it() {
        let attribute = SchemaAttributeType::builder()
            .name("custom:origin_sub")
            .build();
        let pool = UserPoolType::builder().schema_attributes(attribute).build();
        let configured = "custom:first".parse().unwrap();

        assert_eq!(
            Comparison::of(&pool, None).origin().unwrap().as_str(),
            "custom:origin_sub"
        );
        assert_eq!(
            Comparison::of(&pool, Some(&configured)).origin(),
            Some(&configured)
        );
        let bare = UserPoolType::builder().build();
        assert_eq!(Comparison::of(&bare, None).origin(), None);
    }
}
