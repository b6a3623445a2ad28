//! Decides from a confirmation which user is created in the secondary pool, and with which attributes.

use std::fmt;

use jiff::Timestamp;
use shared::confirmation::{Confirmation, Username};
use shared::environment::CustomAttribute;
use shared::event::Source;
use shared::identity::Original;
use shared::person::{Attributes, Person, is_cognitos_own};
use uuid::Uuid;

/// A user to be created in the secondary pool.
#[derive(Clone, PartialEq, Eq)]
pub struct Replica {
    /// What AdminCreateUser takes as Username.
    pub username: Name,
    /// The attributes that travel, the person's identity among them where an attribute for it is configured.
    pub attributes: Attributes,
    /// The person's `sub` in the primary pool; none where it is not known.
    pub sub: Option<String>,
    /// The person's identity, the same in both pools. None when the event has neither a `sub` nor an identity.
    pub identity: Option<String>,
    /// When the sign-up was confirmed. None for other events.
    pub signed_up_at: Option<Timestamp>,
}

/// What a replica is named by.
#[derive(Clone, PartialEq, Eq)]
pub enum Name {
    /// The username that the person chose.
    Username(String),
    /// An address, in pools whose people sign in with one. The event does not say with which, so the pool's description decides
    /// where the email address is refused.
    Address {
        /// The attribute: `email` or `phone_number`.
        attribute: &'static str,
        /// Its value.
        value: String,
    },
}

impl Name {
    /// The person's address in this attribute.
    pub fn address(attribute: &'static str, attributes: &Attributes) -> Option<Self> {
        let value = attributes.get(attribute)?.to_owned();
        Some(Self::Address { attribute, value })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Username(name) => name,
            Self::Address { value, .. } => value,
        }
    }
}

/// The username may be an email address.
impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("attributes", &self.attributes)
            .finish_non_exhaustive()
    }
}

/// Why no user can be created from a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no attributes: the person could not even reset the password.
    #[error("the event has no userAttributes")]
    NoAttributes,
    /// It has nothing that can serve as a username.
    #[error("the event has no username, email or phone number to create the person by")]
    NoUsername,
}

impl Replica {
    /// The replica of a confirmed person. `origin` is the attribute that carries identities.
    ///
    /// # Errors
    ///
    /// No user can be created from the confirmation.
    pub fn of(
        confirmation: &Confirmation,
        origin: Option<&CustomAttribute>,
    ) -> Result<Self, Unfit> {
        if confirmation.attributes.is_empty() {
            return Err(Unfit::NoAttributes);
        }
        let mut attributes: Attributes = confirmation
            .attributes
            .iter()
            .filter(|(name, value)| !value.is_empty() && travels(name, &confirmation.attributes))
            .collect();
        // An identity that the original carries is copied and never replaced by its `sub`, which is new after a restore.
        let carried = confirmation.attributes.origin(origin);
        let identity = carried.or(confirmation.sub.as_deref()).map(str::to_owned);
        if let (Some(attribute), Some(identity)) = (origin, &identity) {
            attributes.insert(attribute.as_str(), identity);
        }
        let is_sign_up = confirmation.trigger == Source::ConfirmSignUp.as_str();
        Ok(Self {
            username: name(confirmation).ok_or(Unfit::NoUsername)?,
            attributes,
            sub: confirmation.sub.clone(),
            identity,
            signed_up_at: is_sign_up.then_some(confirmation.recorded_at),
        })
    }

    /// The replica of somebody who is in the primary pool, as they are at present.
    ///
    /// # Errors
    ///
    /// No user can be created with what the person has.
    pub fn of_person(person: &Person, origin: Option<&CustomAttribute>) -> Result<Self, Unfit> {
        Self::of(
            &Confirmation {
                version: 1,
                trigger: String::new(),
                pool: None,
                username: Some(Username(person.username.clone())),
                sub: person.sub().map(str::to_owned),
                recorded_at: Timestamp::UNIX_EPOCH,
                attributes: person.attributes.clone(),
            },
            origin,
        )
    }

    /// The same person under the name that was recorded of them, with the address that it is.
    #[must_use]
    pub fn under_name_of(mut self, recorded: &Self) -> Self {
        self.username = recorded.username.clone();
        if let Name::Address { attribute, value } = &recorded.username {
            let flag = format!("{attribute}_verified");
            self.attributes.insert(*attribute, value);
            self.attributes.remove(&flag);
            if let Some(is_verified) = recorded.attributes.get(&flag) {
                self.attributes.insert(flag, is_verified);
            }
        }
        self
    }

    /// The identity, where the primary pool did not give it: where the person signed up in the secondary pool, it is their `sub` there.
    pub fn identity_of_another_pool(&self) -> Option<&str> {
        let identity = self.identity.as_deref();
        identity.filter(|identity| self.sub.as_deref() != Some(identity))
    }

    /// The person, to be compared with users of the secondary pool.
    pub fn original(&self) -> Original<'_> {
        Original {
            identity: self.identity.as_deref(),
            name: self.username.as_str(),
            attributes: &self.attributes,
            signed_up_at: self.signed_up_at,
        }
    }
}

/// Whether an attribute is replicated: every one that an administrator may write. A flag needs its address (botocore
/// AdminCreateUser).
fn travels(name: &str, attributes: &Attributes) -> bool {
    match name {
        "email_verified" => attributes.get("email").is_some(),
        "phone_number_verified" => attributes.get("phone_number").is_some(),
        name => !is_cognitos_own(name),
    }
}

/// In pools whose users sign in by email or phone number, `userName` is a UUID equal to `sub`, which the other pool would not accept
/// (DG:user-pool-settings-attributes). There the username is an address, the email first.
fn name(confirmation: &Confirmation) -> Option<Name> {
    let is_uuid =
        |name: &str, sub: &str| name.eq_ignore_ascii_case(sub) && Uuid::try_parse(sub).is_ok();
    match (&confirmation.username, &confirmation.sub) {
        (Some(username), sub)
            if !sub
                .as_ref()
                .is_some_and(|sub| is_uuid(username.as_str(), sub)) =>
        {
            Some(Name::Username(username.as_str().to_owned()))
        }
        _ => ["email", "phone_number"]
            .into_iter()
            .find_map(|attribute| Name::address(attribute, &confirmation.attributes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "57c4aab8-5061-7015-8b3b-1a2f6c0d9e11";

    fn confirmation(username: Option<&str>, attributes: &[(&str, &str)]) -> Confirmation {
        let attributes: Attributes = attributes.iter().copied().collect();
        Confirmation {
            version: 1,
            trigger: "PostConfirmation_ConfirmSignUp".into(),
            pool: None,
            username: username.map(|username| Username(username.into())),
            sub: attributes.get("sub").map(str::to_owned),
            recorded_at: Default::default(),
            attributes,
        }
    }

    fn username_of(username: Option<&str>, attributes: &[(&str, &str)]) -> Option<String> {
        let replica = Replica::of(&confirmation(username, attributes), None);
        replica
            .ok()
            .map(|replica| replica.username.as_str().to_owned())
    }

    #[test]
    fn the_username_is_the_address_where_the_pool_signs_in_by_one() {
        let email = ("email", "taro@example.jp");
        let phone = ("phone_number", "+819012345678");

        assert_eq!(
            username_of(Some(SUB), &[("sub", SUB), email, phone]).as_deref(),
            Some(email.1)
        );
        assert_eq!(
            username_of(Some(SUB), &[("sub", SUB), phone]).as_deref(),
            Some(phone.1)
        );
        assert_eq!(
            username_of(Some("taro"), &[("sub", SUB), email]).as_deref(),
            Some("taro")
        );
        assert_eq!(
            username_of(Some(SUB), &[("sub", SUB), ("name", "太郎")]),
            None
        );
    }

    #[test]
    fn every_attribute_travels_that_an_administrator_may_write() {
        let confirmation = confirmation(
            Some(SUB),
            &[
                ("sub", SUB),
                ("cognito:user_status", "CONFIRMED"),
                ("cognito:email_alias", "taro@example.jp"),
                ("identities", "[]"),
                ("email", "taro@example.jp"),
                ("email_verified", "true"),
                ("phone_number_verified", "false"),
                ("nickname", ""),
                ("custom:tenant", "t-1"),
            ],
        );

        let replica =
            Replica::of(&confirmation, "custom:origin_sub".parse().ok().as_ref()).unwrap();

        let names: Vec<_> = replica.attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "custom:origin_sub",
                "custom:tenant",
                "email",
                "email_verified"
            ]
        );
        assert_eq!(replica.attributes.get("custom:origin_sub"), Some(SUB));
    }

    #[test]
    fn an_event_without_attributes_makes_no_replica() {
        let unfit = Replica::of(&confirmation(Some("taro"), &[]), None);

        assert_eq!(unfit, Err(Unfit::NoAttributes));
    }

    #[test]
    fn an_identity_that_the_person_carries_is_copied() {
        let origin = "custom:origin_sub".parse().ok();
        let attributes = [
            ("sub", SUB),
            ("email", "taro@example.jp"),
            ("custom:origin_sub", "of-another-pool"),
        ];

        let replica = Replica::of(&confirmation(Some(SUB), &attributes), origin.as_ref()).unwrap();

        assert_eq!(replica.identity.as_deref(), Some("of-another-pool"));
        assert_eq!(
            replica.attributes.get("custom:origin_sub"),
            Some("of-another-pool")
        );
    }
}
