//! Who is whom in two pools. A sign-in name is not an identity: addresses are changed, given up, and taken by somebody else.
//!
//! A person's identity is what the origin attribute of their user carries, else its `sub`
//! ([`Attributes::identity`]). Every copy of a person carries the original's identity.

use jiff::{SignedDuration, Timestamp};

use crate::environment::CustomAttribute;
use crate::person::{Attributes, Person, Status};

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
/// addresses must agree too where the name is a username, and the holder must not be older than the sign-up, because nobody's replica
/// is.
pub fn relation(
    original: &Original<'_>,
    holder: &Person,
    origin: Option<&CustomAttribute>,
) -> Relation {
    relation_where(|one, other| one == other, original, holder, origin)
}

/// The same where neither of the two pools distinguishes letter case.
pub fn relation_ignoring_case(
    original: &Original<'_>,
    holder: &Person,
    origin: Option<&CustomAttribute>,
) -> Relation {
    relation_where(same_but_for_case, original, holder, origin)
}

/// The relation where the pools compare names like this.
fn relation_where(
    is_same_name: fn(&str, &str) -> bool,
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
    if is_username && !addresses_agree(original.attributes, holder) {
        return Relation::Another;
    }
    let is_older = |signed_up_at: Timestamp| {
        holder
            .created_at
            .is_none_or(|created_at| created_at < signed_up_at - MAX_AGE_AT_SIGN_UP)
    };
    if !names.any(|name| is_same_name(name, original.name))
        || original.signed_up_at.is_some_and(is_older)
    {
        return Relation::CannotTell;
    }
    Relation::Same
}

/// Whether the verified addresses of two users with the same username say that they are one person. Where there are none to compare,
/// the others say it of a half-made replica, to which nobody has signed in yet.
fn addresses_agree(original: &Attributes, holder: &Person) -> bool {
    let (one, other) = (original, &holder.attributes);
    have_same_addresses(one, other, verified).unwrap_or_else(|| {
        holder.status == Status::ForceChangePassword
            && have_same_addresses(one, other, Attributes::get) == Some(true)
    })
}

/// Whether two users have the same addresses, of those that both have. None if there is no such address.
fn have_same_addresses<'a>(
    one: &'a Attributes,
    other: &'a Attributes,
    address_of: impl Fn(&'a Attributes, &str) -> Option<&'a str>,
) -> Option<bool> {
    ["email", "phone_number"]
        .into_iter()
        .filter_map(|name| {
            let (one, other) = (address_of(one, name)?, address_of(other, name)?);
            Some(same_but_for_case(one, other))
        })
        .reduce(|all, is_same| all && is_same)
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
        let capitalised = Original {
            identity: Some("s-1"),
            name: "Taro@example.jp",
            attributes: &original.into_iter().collect(),
            signed_up_at: None,
        };
        assert_eq!(
            relation_ignoring_case(&capitalised, &unknown, ORIGIN.parse().ok().as_ref()),
            Relation::Same
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

    #[test]
    fn a_half_made_replica_with_the_username_and_an_address_that_nobody_has_verified_is_the_persons()
     {
        let at = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let half_made = |attributes: &[(&str, &str)]| Person {
            status: Status::ForceChangePassword,
            ..holder("taro", attributes)
        };
        let email = ("email", EMAIL);
        let verified = ("email_verified", "true");
        let original = [("sub", "s-1"), email];
        let of = |holder: &Person| related_at(&original, "taro", holder, at(0));

        assert_eq!(of(&half_made(&[email])), Relation::Same);
        assert_eq!(of(&half_made(&[email, verified])), Relation::Same);
        assert_eq!(of(&half_made(&[])), Relation::Another);
        assert_eq!(
            of(&half_made(&[("email", "other@example.jp")])),
            Relation::Another
        );
        assert_eq!(
            of(&holder("taro", &[email])),
            Relation::Another,
            "somebody may have signed in"
        );
        assert_eq!(
            related_at(&original, "taro", &half_made(&[email]), at(61)),
            Relation::CannotTell,
            "nobody's replica is older than their sign-up"
        );
    }
}
