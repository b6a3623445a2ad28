//! Who is whom in two pools. A sign-in name is not an identity: addresses are changed, given up, and taken by somebody else.
//!
//! A person's identity is what the origin attribute of their user carries, else its `sub`
//! ([`Attributes::identity`]). Every copy of a person carries the original's identity.

use jiff::{SignedDuration, Timestamp};

use crate::environment::CustomAttribute;
use crate::person::{Attributes, Person};

/// How much older than the confirmation of a sign-up the user may be who was made for it. Clocks differ by less.
const MAX_AGE_AT_SIGN_UP: SignedDuration = SignedDuration::from_mins(1);

/// A person who is to have a user in the other pool.
#[derive(Clone, Copy)]
pub struct Original<'a> {
    /// The identity; none where only the name is known.
    pub identity: Option<&'a str>,
    /// The sign-in name in the other pool.
    pub name: &'a str,
    /// The attributes.
    pub attributes: &'a Attributes,
    /// When the sign-up was confirmed; none where another event is the occasion.
    pub signed_up_at: Option<Timestamp>,
}

/// Whether a user of the other pool is the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is the same person.
    Same,
    /// It is another person.
    Another,
    /// Nothing tells whether it is the same person.
    CannotTell,
}

/// Whether a user who stands in the way of the original is the same person. `origin` is the attribute that carries identities.
///
/// The identity decides. The name decides only where the holder carries no identity: then the name must be equal letter by letter,
/// verified addresses too where the name is a username, and the holder must not be older than the sign-up, because nobody's
/// replica is.
pub fn relation(
    original: &Original<'_>,
    holder: &Person,
    origin: Option<&CustomAttribute>,
) -> Relation {
    let identity = holder.attributes.identity(origin);
    if identity.is_some() && original.identity == identity {
        return Relation::Same;
    }
    if holder.attributes.origin(origin).is_some() {
        return Relation::Another;
    }
    let is_username = same_but_for_case(&holder.username, original.name);
    let names = [
        Some(holder.username.as_str()),
        holder.attributes.get("email"),
        holder.attributes.get("phone_number"),
    ];
    let mut names = names.into_iter().flatten();
    if !names
        .clone()
        .any(|name| same_but_for_case(name, original.name))
    {
        // The holder has another name, and one of the original's addresses.
        return Relation::Another;
    }
    if is_username && !verified_addresses_agree(original.attributes, &holder.attributes) {
        return Relation::Another;
    }
    let is_older = |signed_up_at: Timestamp| {
        holder
            .created_at
            .is_none_or(|created_at| created_at < signed_up_at - MAX_AGE_AT_SIGN_UP)
    };
    if !names.any(|name| name == original.name) || original.signed_up_at.is_some_and(is_older) {
        return Relation::CannotTell;
    }
    Relation::Same
}

/// Whether two people have a verified address in common, and none in which they differ.
fn verified_addresses_agree(one: &Attributes, other: &Attributes) -> bool {
    let addresses = ["email", "phone_number"].into_iter();
    let compared: Vec<_> = addresses
        .filter_map(|address| {
            let (one, other) = (verified(one, address)?, verified(other, address)?);
            Some(same_but_for_case(one, other))
        })
        .collect();
    !compared.is_empty() && compared.iter().all(|is_same| *is_same)
}

/// The value of `email` or `phone_number`, if it is verified.
pub fn verified<'a>(attributes: &'a Attributes, address: &str) -> Option<&'a str> {
    let is_verified = attributes.is_true(&format!("{address}_verified"));
    attributes.get(address).filter(|_| is_verified)
}

/// Whether two names are equal in a pool that does not distinguish letter case.
pub fn same_but_for_case(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::Status;

    const ORIGIN: &str = "custom:origin_sub";
    const EMAIL: &str = "taro@example.jp";

    fn holder(username: &str, attributes: &[(&str, &str)]) -> Person {
        Person {
            username: username.into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: attributes.iter().copied().collect(),
            created_at: Some(Timestamp::UNIX_EPOCH),
            mfa: false,
        }
    }

    fn related(original: &[(&str, &str)], name: &str, holder: &Person) -> Relation {
        related_at(original, name, holder, None)
    }

    fn related_at(
        original: &[(&str, &str)],
        name: &str,
        holder: &Person,
        signed_up_at: Option<Timestamp>,
    ) -> Relation {
        let origin = ORIGIN.parse().ok();
        let attributes: Attributes = original.iter().copied().collect();
        let original = Original {
            identity: attributes.identity(origin.as_ref()),
            name,
            attributes: &attributes,
            signed_up_at,
        };
        relation(&original, holder, origin.as_ref())
    }

    #[test]
    fn the_identity_decides_whatever_the_names_are() {
        let replica = holder("s-2", &[("sub", "s-2"), ("email", EMAIL), (ORIGIN, "s-1")]);

        assert_eq!(
            related(&[("sub", "s-1")], "hanako@example.jp", &replica),
            Relation::Same
        );
        assert_eq!(
            related(&[("sub", "s-3"), ("email", EMAIL)], EMAIL, &replica),
            Relation::Another
        );
    }

    #[test]
    fn an_identity_that_the_original_carries_is_not_replaced_by_its_sub() {
        // The primary pool was rebuilt from a snapshot: new subs, old identities.
        let replica = holder("s-2", &[("sub", "s-2"), ("email", EMAIL), (ORIGIN, "s-1")]);
        let rebuilt = [("sub", "s-9"), (ORIGIN, "s-1")];
        assert_eq!(related(&rebuilt, EMAIL, &replica), Relation::Same);

        // Somebody signed up in the secondary pool, and was brought home.
        let newcomer = holder("s-2", &[("sub", "s-2"), ("email", EMAIL)]);
        let home = [("sub", "s-9"), (ORIGIN, "s-2")];
        assert_eq!(related(&home, EMAIL, &newcomer), Relation::Same);
    }

    #[test]
    fn by_name_only_where_the_holder_carries_no_identity() {
        let unknown = holder("s-2", &[("sub", "s-2"), ("email", EMAIL)]);
        let original = [("sub", "s-1"), ("email", EMAIL)];

        assert_eq!(related(&original, EMAIL, &unknown), Relation::Same);
        assert_eq!(
            related(&original, "Taro@example.jp", &unknown),
            Relation::CannotTell,
            "pools that compare letter case differently"
        );
        assert_eq!(
            related(&original, "another-name", &unknown),
            Relation::Another,
            "the holder of an alias"
        );
    }

    #[test]
    fn a_sign_up_does_not_belong_to_a_user_who_was_there_long_before() {
        let unknown = holder("s-2", &[("sub", "s-2"), ("email", EMAIL)]);
        let original = [("sub", "s-1"), ("email", EMAIL)];
        let signed_up = |seconds| Some(Timestamp::from_second(seconds).unwrap());

        let soon = related_at(&original, EMAIL, &unknown, signed_up(59));
        let later = related_at(&original, EMAIL, &unknown, signed_up(61));

        assert_eq!((soon, later), (Relation::Same, Relation::CannotTell));
    }

    #[test]
    fn equal_usernames_are_one_person_only_with_equal_verified_addresses() {
        let verified = |email| [("sub", "s-2"), ("email", email), ("email_verified", "true")];
        let original = verified(EMAIL);

        let same = holder("taro", &verified("Taro@example.jp"));
        let namesake = holder("taro", &verified("other@example.jp"));
        let unverified = holder("taro", &[("email", EMAIL)]);

        let original = [("sub", "s-1"), original[1], original[2]];
        assert_eq!(related(&original, "taro", &same), Relation::Same);
        assert_eq!(related(&original, "taro", &namesake), Relation::Another);
        assert_eq!(related(&original, "taro", &unverified), Relation::Another);
    }
}
