//! What the secondary pool's description says about a replica that the pool refused: which name it accepts, which attributes it
//! knows, and which it requires. No decision rests on the wording of a message: AWS words an unknown attribute in at least two
//! ways (facts N11.1).

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::{
    AliasAttributeType, UserPoolType, UsernameAttributeType,
};
use shared::environment::CustomAttribute;
use shared::identity::verified;
use shared::person::Attributes;

use crate::replica::{Name, Replica};

/// The addresses, each of which has a flag `…_verified`.
pub const ADDRESSES: [&str; 2] = ["email", "phone_number"];

/// The attributes with which people may sign in instead of the username or besides it.
pub const SIGN_IN_NAMES: [&str; 3] = [ADDRESSES[0], ADDRESSES[1], "preferred_username"];

/// The part of a pool's description that decides about replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRules {
    /// The addresses that are usernames.
    username_attributes: Vec<&'static str>,
    /// The attributes that people may sign in with besides the username.
    aliases: Vec<&'static str>,
    known: BTreeSet<String>,
    required: BTreeSet<String>,
    /// The attributes that can be given only when a user is created.
    immutable: BTreeSet<String>,
}

/// A replica as the pool's description allows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The replica, without the attributes that the pool does not know.
    pub replica: Replica,
    /// The names of those attributes.
    pub unknown: Vec<String>,
}

impl PoolRules {
    /// The rules of a pool with this description.
    pub fn of(pool: &UserPoolType) -> Self {
        let username_attributes = pool.username_attributes().iter();
        let username_attributes = username_attributes.filter_map(|attribute| match attribute {
            UsernameAttributeType::Email => Some("email"),
            UsernameAttributeType::PhoneNumber => Some("phone_number"),
            _ => None,
        });
        let aliases = pool.alias_attributes().iter();
        let aliases = aliases.filter_map(|attribute| match attribute {
            AliasAttributeType::Email => Some("email"),
            AliasAttributeType::PhoneNumber => Some("phone_number"),
            AliasAttributeType::PreferredUsername => Some("preferred_username"),
            _ => None,
        });
        let schema = || pool.schema_attributes().iter();
        let names = |attributes: &mut dyn Iterator<Item = Option<&str>>| {
            attributes.flatten().map(str::to_owned).collect()
        };
        Self {
            username_attributes: username_attributes.collect(),
            aliases: aliases.collect(),
            known: names(&mut schema().map(|attribute| attribute.name())),
            required: names(
                &mut schema()
                    .filter(|attribute| attribute.required() == Some(true))
                    .map(|attribute| attribute.name()),
            ),
            immutable: names(
                &mut schema()
                    .filter(|attribute| attribute.mutable() == Some(false))
                    .map(|attribute| attribute.name()),
            ),
        }
    }

    /// The replica with a name that the pool accepts, and with the attributes that it knows.
    pub fn fit(&self, replica: &Replica) -> Fitted {
        let mut replica = replica.clone();
        // Only where the name is an address: the username that a person chose is not replaced.
        if let Name::Address { attribute, .. } = replica.username
            && !self.username_attributes.is_empty()
            && !self.username_attributes.contains(&attribute)
        {
            let mut names = self.username_attributes.iter();
            let accepted =
                names.find_map(|attribute| Name::address(attribute, &replica.attributes));
            replica.username = accepted.unwrap_or(replica.username);
        }
        let names = replica.attributes.iter().map(|(name, _)| name.to_owned());
        let unknown: Vec<_> = names.filter(|name| !self.known.contains(name)).collect();
        for name in &unknown {
            replica.attributes.remove(name);
        }
        Fitted { replica, unknown }
    }

    /// The least attributes with which a person can be created: the sign-in address and its flag, what the pool requires, and the
    /// identity.
    pub fn minimal_attributes(
        &self,
        replica: &Replica,
        origin: Option<&CustomAttribute>,
    ) -> Attributes {
        let address = match replica.username {
            Name::Address { attribute, .. } => Some(attribute),
            // Who signs in with a username resets the password with a verified address.
            Name::Username(_) => ADDRESSES
                .into_iter()
                .find(|address| verified(&replica.attributes, address).is_some()),
        };
        let is_needed = |name: &str| {
            let name_or_address = address_of_flag(name).unwrap_or(name);
            address == Some(name_or_address)
                || self.required.contains(name_or_address)
                || origin.is_some_and(|origin| origin.as_str() == name)
        };
        replica
            .attributes
            .iter()
            .filter(|(name, _)| is_needed(name))
            .collect()
    }

    /// The same, and what can be given only when the user is created.
    pub fn minimal_and_immutable_attributes(
        &self,
        replica: &Replica,
        origin: Option<&CustomAttribute>,
    ) -> Attributes {
        let immutable = replica.attributes.iter();
        let immutable = immutable.filter(|(name, _)| self.is_immutable(name));
        let mut attributes = self.minimal_attributes(replica, origin);
        for (name, value) in immutable {
            attributes.insert(name, value);
        }
        attributes
    }

    /// Whether an attribute, or the address whose flag it is, can be given only when a user is created.
    pub fn is_immutable(&self, name: &str) -> bool {
        self.immutable
            .contains(address_of_flag(name).unwrap_or(name))
    }

    /// The value of an attribute that only one user can have: of a username attribute, verified or not; of an alias, once it is verified
    /// (facts 8).
    pub fn unique_value<'a>(&self, attributes: &'a Attributes, name: &str) -> Option<&'a str> {
        let is_alias_address = ADDRESSES.contains(&name) && self.aliases.contains(&name);
        match is_alias_address {
            true => verified(attributes, name),
            false => attributes.get(name).filter(|_| self.is_sign_in_name(name)),
        }
    }

    /// Whether people can sign in with the attribute, so that only one user can have a value.
    pub fn is_sign_in_name(&self, attribute: &str) -> bool {
        self.aliases.contains(&attribute) || self.username_attributes.contains(&attribute)
    }
}

/// The address whose verification flag this attribute is.
pub fn address_of_flag(name: &str) -> Option<&'static str> {
    let address = name.strip_suffix("_verified")?;
    ADDRESSES.into_iter().find(|known| *known == address)
}

/// Of the attributes that a user does not have yet: those that may be written afterwards, and the names of those that may not.
///
/// An address is written only if it is verified, together with its flag; Cognito would send a code to any other, and keep the one
/// before (facts N11.9).
pub fn to_write_afterwards(wanted: &Attributes, present: &Attributes) -> (Attributes, Vec<String>) {
    let differs = |name: &str, value: &str| present.get(name) != Some(value);
    let mut left_out = Vec::new();
    let mut written = Attributes::default();
    for (name, value) in wanted.iter() {
        if address_of_flag(name).is_some() {
            continue;
        }
        let flag = format!("{name}_verified");
        if !ADDRESSES.contains(&name) {
            if differs(name, value) {
                written.insert(name, value);
            }
        } else if verified(wanted, name).is_some() {
            if differs(name, value) || !present.is_true(&flag) {
                written.insert(name, value);
                written.insert(flag, "true");
            }
        } else if differs(name, value) {
            left_out.push(name.to_owned());
        }
    }
    (written, left_out)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::SchemaAttributeType;

    use super::*;

    fn rules(username_attributes: &[&'static str]) -> PoolRules {
        let attribute = |name: &str, required| {
            SchemaAttributeType::builder()
                .name(name)
                .required(required)
                .mutable(name != "custom:tenant")
                .build()
        };
        let pool = UserPoolType::builder()
            .set_username_attributes(Some(
                username_attributes
                    .iter()
                    .map(|name| UsernameAttributeType::from(*name))
                    .collect(),
            ))
            .alias_attributes(AliasAttributeType::PreferredUsername)
            .schema_attributes(attribute("sub", true))
            .schema_attributes(attribute("email", false))
            .schema_attributes(attribute("email_verified", false))
            .schema_attributes(attribute("phone_number", false))
            .schema_attributes(attribute("name", true))
            .schema_attributes(attribute("custom:origin_sub", false))
            .schema_attributes(attribute("custom:tenant", false))
            .build();
        PoolRules::of(&pool)
    }

    fn replica() -> Replica {
        let attributes = Attributes::from_iter([
            ("email", "taro@example.jp"),
            ("email_verified", "true"),
            ("phone_number", "+819012345678"),
            ("name", "Taro"),
            ("custom:note", "n"),
            ("custom:origin_sub", "s-1"),
        ]);
        Replica {
            username: Name::address("email", &attributes).unwrap(),
            attributes,
            sub: Some("s-1".into()),
            identity: Some("s-1".into()),
            signed_up_at: None,
        }
    }

    #[test]
    fn attributes_that_the_pool_does_not_know_are_left_out() {
        let fitted = rules(&["email"]).fit(&replica());

        assert_eq!(fitted.unknown, ["custom:note"]);
        assert!(fitted.replica.username.as_str() == "taro@example.jp");
    }

    #[test]
    fn the_name_is_the_address_that_the_pool_signs_in_by() {
        let fitted = rules(&["phone_number"]).fit(&replica());

        assert!(fitted.replica.username.as_str() == "+819012345678");
    }

    #[test]
    fn the_least_is_the_address_what_is_required_and_the_identity() {
        let origin = "custom:origin_sub".parse().ok();

        let least = rules(&["email"]).minimal_attributes(&replica(), origin.as_ref());

        let names: Vec<_> = least.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["custom:origin_sub", "email", "email_verified", "name"]
        );
    }

    #[test]
    fn an_address_is_unique_as_a_username_and_once_it_is_verified_as_an_alias() {
        let attributes = replica().attributes;
        let mut unverified = attributes.clone();
        unverified.remove("email_verified");
        let by_email = rules(&["email"]);
        let by_alias = PoolRules {
            aliases: vec!["email"],
            ..PoolRules::default()
        };
        let email = Some("taro@example.jp");

        assert_eq!(by_email.unique_value(&unverified, "email"), email);
        assert_eq!(by_alias.unique_value(&unverified, "email"), None);
        assert_eq!(by_alias.unique_value(&attributes, "email"), email);
        assert_eq!(by_email.unique_value(&attributes, "phone_number"), None);
    }

    #[test]
    fn what_can_be_given_at_creation_only_is_given_with_the_least() {
        let mut replica = replica();
        replica.attributes.insert("custom:tenant", "t-1");

        let attributes = rules(&["email"]).minimal_and_immutable_attributes(&replica, None);

        let names: Vec<_> = attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["custom:tenant", "email", "email_verified", "name"]);
    }

    #[test]
    fn an_address_that_is_not_verified_is_not_written_afterwards() {
        let (written, left_out) = to_write_afterwards(
            &replica().attributes,
            &Attributes::from_iter([("name", "Taro")]),
        );

        let names: Vec<_> = written.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "custom:note",
                "custom:origin_sub",
                "email",
                "email_verified"
            ]
        );
        assert_eq!(left_out, ["phone_number"]);
    }
}
