//! What is compared of two users of one person: the attributes that both schemas know, as the pools store them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cognitoidentityprovider::types::{UserPoolType, UsernameAttributeType};
use replication::pool_rules::{ADDRESSES, address_of_flag};
use sha2::{Digest, Sha256};
use shared::environment::CustomAttribute;
use shared::identity::verified;
use shared::person::{Attributes, Person, is_cognitos_own};

/// How users of the two pools are compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The attribute that carries identities, if both pools have it.
    origin: Option<CustomAttribute>,
    /// The attributes that both schemas know, without flags, the origin attribute and Cognito's own.
    known: BTreeSet<String>,
    /// Of those, the attributes that the secondary pool accepts only when a user is created.
    immutable: BTreeSet<String>,
    /// The addresses with which people sign in instead of a username.
    sign_in_addresses: Vec<&'static str>,
    is_case_sensitive: bool,
    /// The attributes that people of the secondary pool can sign in with, so that only one of them can have a value.
    sign_in_names: BTreeSet<String>,
}

impl Comparison {
    /// The comparison of two pools. Identities are kept in `origin`, provided that both pools have that attribute.
    pub fn of(
        primary: &UserPoolType,
        secondary: &UserPoolType,
        origin: Option<&CustomAttribute>,
    ) -> Self {
        let names = |pool: &UserPoolType| -> BTreeSet<String> {
            let schema = pool.schema_attributes().iter();
            schema.filter_map(|a| a.name.clone()).collect()
        };
        let (of_primary, of_secondary) = (names(primary), names(secondary));
        let origin = origin.filter(|origin| {
            of_primary.contains(origin.as_str()) && of_secondary.contains(origin.as_str())
        });
        let is_compared = |name: &&String| {
            !is_cognitos_own(name)
                && address_of_flag(name).is_none()
                && origin.is_none_or(|origin| origin.as_str() != name.as_str())
        };
        let known = of_primary.intersection(&of_secondary).filter(is_compared);
        let immutable = secondary.schema_attributes().iter();
        let immutable = immutable.filter(|a| a.mutable() == Some(false));
        let sign_in_addresses = primary.username_attributes().iter();
        let sign_in_addresses = sign_in_addresses.filter_map(|attribute| match attribute {
            UsernameAttributeType::Email => Some("email"),
            UsernameAttributeType::PhoneNumber => Some("phone_number"),
            _ => None,
        });
        let mut sign_in_addresses: Vec<_> = sign_in_addresses.collect();
        sign_in_addresses.sort_unstable();
        Self {
            origin: origin.cloned(),
            known: known.cloned().collect(),
            immutable: immutable.filter_map(|a| a.name.clone()).collect(),
            sign_in_addresses,
            // botocore UsernameConfigurationType: names are case sensitive unless the pool says otherwise.
            is_case_sensitive: primary
                .username_configuration()
                .is_none_or(|names| names.case_sensitive),
            sign_in_names: {
                let names = secondary.username_attributes().iter().map(|a| a.as_str());
                let aliases = secondary.alias_attributes().iter().map(|a| a.as_str());
                names.chain(aliases).map(str::to_owned).collect()
            },
        }
    }

    /// Whether people can sign in with the attribute, so that only one user can have a value.
    pub fn is_sign_in_name(&self, name: &str) -> bool {
        self.sign_in_names.contains(name)
    }

    /// The attribute that carries identities; none in names-only mode.
    pub fn origin(&self) -> Option<&CustomAttribute> {
        self.origin.as_ref()
    }

    /// Whether the secondary pool accepts the attribute only when a user is created.
    pub fn is_immutable(&self, name: &str) -> bool {
        self.immutable.contains(name)
    }

    /// The attributes that are compared, in order.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// The value of an attribute in the form in which it is compared. An address counts only if it is verified, because no other is
    /// written: so two users agree whose address is unverified, whatever it is.
    pub fn value(&self, attributes: &Attributes, name: &str) -> Option<String> {
        let is_address = ADDRESSES.contains(&name);
        let value = match is_address {
            true => verified(attributes, name)?,
            false => attributes.get(name)?,
        };
        let is_name = is_address || name == "preferred_username";
        Some(match name {
            _ if is_name && !self.is_case_sensitive => value.to_lowercase(),
            // The pool stores whole seconds.
            "updated_at" => value.split('.').next().unwrap_or(value).to_owned(),
            _ => value.to_owned(),
        })
    }

    /// Everything that is compared of a user.
    pub fn comparable(&self, attributes: &Attributes) -> BTreeMap<&str, String> {
        let values = self.attributes();
        values
            .filter_map(|name| Some((name, self.value(attributes, name)?)))
            .collect()
    }

    /// A digest of the addresses that are compared, and one of the other attributes.
    pub fn digests(&self, attributes: &Attributes) -> (u64, u64) {
        let (mut addresses, mut others) = (Sha256::new(), Sha256::new());
        for name in self.attributes() {
            let Some(value) = self.value(attributes, name) else {
                continue;
            };
            let digest = match ADDRESSES.contains(&name) {
                true => &mut addresses,
                false => &mut others,
            };
            for text in [name, &value] {
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
        }
        (short(addresses), short(others))
    }

    /// What a user signs in with, as the pool compares it: an address, in pools whose people sign in with one.
    pub fn sign_in_name(&self, person: &Person) -> String {
        let mut addresses = self.sign_in_addresses.iter();
        let address = addresses.find_map(|address| person.attributes.get(address));
        let name = address.unwrap_or(&person.username);
        match self.is_case_sensitive {
            true => name.to_owned(),
            false => name.to_lowercase(),
        }
    }
}

/// Eight bytes: enough to see a change, and nobody relies on more, because every difference is looked at again.
fn short(digest: Sha256) -> u64 {
    let digest = digest.finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_sdk_cognitoidentityprovider::types::{SchemaAttributeType, UsernameConfigurationType};

    use super::*;

    pub const ORIGIN: &str = "custom:origin_sub";

    pub fn pool(names: &[&str]) -> UserPoolType {
        let attribute = |name: &str| {
            let attribute = SchemaAttributeType::builder().name(name);
            attribute.mutable(name != "custom:fixed").build()
        };
        let case = UsernameConfigurationType::builder().case_sensitive(false);
        UserPoolType::builder()
            .set_schema_attributes(Some(names.iter().map(|name| attribute(name)).collect()))
            .username_attributes(UsernameAttributeType::Email)
            .username_configuration(case.build().unwrap())
            .build()
    }

    /// Pools that know the attributes that tests use.
    pub fn comparison() -> Comparison {
        let names = [
            "sub",
            "email",
            "email_verified",
            "phone_number",
            "phone_number_verified",
            "name",
            "updated_at",
            "custom:fixed",
            ORIGIN,
        ];
        let pool = pool(&names);
        Comparison::of(&pool, &pool, ORIGIN.parse().ok().as_ref())
    }

    fn attributes(of: &[(&str, &str)]) -> Attributes {
        of.iter().copied().collect()
    }

    #[test]
    fn only_what_both_schemas_know_is_compared() {
        let one = pool(&["sub", "email", "email_verified", "name", "custom:a", ORIGIN]);
        let other = pool(&["sub", "email", "email_verified", "name", "custom:b", ORIGIN]);

        let comparison = Comparison::of(&one, &other, ORIGIN.parse().ok().as_ref());

        let names: Vec<_> = comparison.attributes().collect();
        assert_eq!(names, ["email", "name"]);
        assert!(comparison.origin().is_some());
    }

    #[test]
    fn without_the_attribute_in_both_pools_only_names_tell_people_apart() {
        let one = pool(&["email", ORIGIN]);
        let other = pool(&["email"]);

        let comparison = Comparison::of(&one, &other, ORIGIN.parse().ok().as_ref());

        assert!(comparison.origin().is_none());
    }

    #[test]
    fn values_are_equal_that_the_pool_stores_alike() {
        let one = attributes(&[
            ("email", "Taro@example.jp"),
            ("email_verified", "true"),
            ("updated_at", "1700000000.25"),
            (ORIGIN, "s-1"),
        ]);
        let other = attributes(&[
            ("email", "taro@example.jp"),
            ("email_verified", "True"),
            ("updated_at", "1700000000"),
            ("sub", "s-1"),
        ]);

        let comparison = comparison();

        assert_eq!(comparison.digests(&one), comparison.digests(&other));
    }

    #[test]
    fn two_unverified_addresses_agree_whatever_they_are() {
        let comparison = comparison();
        let unverified = comparison.digests(&attributes(&[("email", "a@example.jp")]));
        let another = comparison.digests(&attributes(&[("email", "b@example.jp")]));
        let verified = [("email", "a@example.jp"), ("email_verified", "true")];

        assert_eq!(unverified, another);
        assert_ne!(unverified, comparison.digests(&attributes(&verified)));
    }

    #[test]
    fn a_change_of_an_address_is_told_from_another_change() {
        let comparison = comparison();
        let before = comparison.digests(&attributes(&[("name", "Taro")]));
        let renamed = comparison.digests(&attributes(&[("name", "Jiro")]));

        assert_eq!(before.0, renamed.0);
        assert_ne!(before.1, renamed.1);
    }
}
