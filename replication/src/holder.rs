//! Another person's replica holds the name of somebody who is to be created. The primary pool says where that person is now; if they
//! have moved to another address, the replica is moved, and if they have been deleted, it is withheld and deleted.

use std::sync::Mutex;

use jiff::Timestamp;
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::environment::CustomAttribute;
use shared::forgotten::is_forgotten;
use shared::identity::{Relation, relation_ignoring_case, same_but_for_case, verified};
use shared::journal::has_used_secondary;
use shared::person::{Attributes, Person};
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::withheld::{self, Why, Withheld};

use crate::pool_rules::ADDRESSES;
use crate::replica::{Name, Replica};
use crate::secondary::{Held, NotReplicated, Replicated, Secondary};

/// What frees a name that another person's replica holds.
pub struct Holders<'a> {
    /// The primary pool.
    pub primary: &'a Pool,
    /// The secondary pool.
    pub secondary: &'a Secondary,
    /// The snapshot bucket, where the journal is, and where withheld replicas are kept.
    pub snapshots: Option<&'a Bucket>,
    /// Where people who swap addresses wait. Without it, both keep theirs.
    pub parked: Option<&'a Parked>,
    /// Whether replicas whose person is gone may be deleted.
    pub deletions: &'a (dyn Deletions + Sync),
    /// Collects what was done to others, by `sub`: `move`, `delete` or `reclaim`.
    pub on_made_way: Option<&'a Mutex<Vec<(String, &'static str)>>>,
}

/// Decides whether replicas whose person is gone may be deleted, and counts them.
pub trait Deletions {
    /// Whether this one may be deleted too.
    fn admit(&self, replica: &Person) -> bool;

    /// This one was admitted, and was not deleted.
    fn not_made(&self, replica: &Person);
}

/// Lets every replica be deleted whose person is gone.
pub struct AnyNumber;

impl Deletions for AnyNumber {
    fn admit(&self, _: &Person) -> bool {
        true
    }

    fn not_made(&self, _: &Person) {}
}

/// How many holders of one person's names are dealt with: of the username and of two addresses.
pub const MAX_HOLDERS: u32 = 3;

/// Replicas whose address somebody else needs before they can be given the address that their person has now: they wait with an address
/// that nobody can receive mail at. Whoever parks them moves them on.
#[derive(Debug, Default)]
pub struct Parked(Mutex<Vec<String>>);

impl Parked {
    /// The `sub`s of those who were parked since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic while it is locked"))
    }

    fn add(&self, sub: &str) {
        let mut parked = self.0.lock().expect("no panic while it is locked");
        parked.push(sub.to_owned());
    }
}

/// The domain of the addresses of parked replicas (RFC 2606: nobody can register `invalid`).
const PARKED_DOMAIN: &str = "twinpool.invalid";

/// Whether an address is the one of a parked replica.
pub fn is_parked(address: &str) -> bool {
    address
        .rsplit_once('@')
        .is_some_and(|(_, domain)| domain == PARKED_DOMAIN)
}

/// What becomes of the replica that holds a name.
#[derive(Clone, PartialEq, Eq)]
enum Decision {
    /// Its person has another verified address now: the replica is given this one.
    Move {
        attribute: &'static str,
        address: String,
    },
    /// Its person has been deleted: it is withheld and deleted.
    Withhold,
    /// It keeps the name, for this reason.
    Keep(&'static str),
}

impl Holders<'_> {
    /// Creates a replica, or finds that the person is there. Whoever holds the name without having proved it is deleted, and
    /// `on_reclaimed` is called with their `sub`; a replica whose person has left the name makes way.
    ///
    /// # Errors
    ///
    /// The person is not in the secondary pool, or their user is not complete.
    pub async fn replicate(
        &self,
        replica: &Replica,
        on_reclaimed: impl Fn(&str),
    ) -> Result<Replicated, NotReplicated> {
        if let (Some(snapshots), Some(identity)) = (self.snapshots, &replica.identity) {
            let forgotten = is_forgotten(snapshots, identity).await;
            if forgotten.map_err(NotReplicated::Snapshots)? {
                return Err(NotReplicated::Forgotten);
            }
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.secondary.replicate(replica).await {
                Err(NotReplicated::HeldByUnconfirmed(holder)) if attempts <= MAX_HOLDERS => {
                    let pool = self.secondary.pool();
                    let deleted = users::delete_unconfirmed(pool, &holder).await;
                    if deleted.map_err(NotReplicated::Secondary)? {
                        on_reclaimed(&holder);
                        self.made_way(&holder, "reclaim");
                    }
                }
                Err(NotReplicated::HeldByAnother { held, holder }) if attempts <= MAX_HOLDERS => {
                    self.make_way(held, &holder).await?;
                }
                Err(NotReplicated::CannotTell(holder))
                    if self.is_same_but_for_case(replica, &holder).await? =>
                {
                    return self.secondary.complete_existing(replica, &holder).await;
                }
                replicated => return replicated,
            }
        }
    }

    /// Whether a holder without an identity is the person although their names have other letter case: where neither pool
    /// distinguishes it.
    async fn is_same_but_for_case(
        &self,
        replica: &Replica,
        holder: &Person,
    ) -> Result<bool, NotReplicated> {
        let origin = self.secondary.origin();
        if relation_ignoring_case(&replica.original(), holder, origin) != Relation::Same {
            return Ok(false);
        }
        let of_primary = ignores_case(self.primary).await;
        let of_secondary = ignores_case(self.secondary.pool()).await;
        Ok(of_primary.map_err(NotReplicated::Primary)?
            && of_secondary.map_err(NotReplicated::Secondary)?)
    }

    /// Takes what a replica holds away from it, where its person has left it.
    ///
    /// # Errors
    ///
    /// The name stays theirs, or a service did not answer.
    pub async fn make_way(&self, held: Held, holder: &Person) -> Result<(), NotReplicated> {
        let sub = holder.sub().unwrap_or(&holder.username);
        let keep = |why| {
            Err(NotReplicated::NameHeld {
                held,
                holder: sub.to_owned(),
                why,
            })
        };
        let origin = self.secondary.origin();
        let Some(identity) = holder.attributes.origin(origin) else {
            return keep(match origin {
                None => "ORIGIN_SUB_ATTRIBUTE is not set, so nobody can tell who they are",
                Some(_) => "they carry no identity that the primary pool could be asked about",
            });
        };
        let Some(snapshots) = self.snapshots else {
            return keep("S3_BUCKET_NAME is not set, so nobody is moved or withheld");
        };
        let original = self.find_original(identity, holder).await?;
        let decision = decide(held, holder, identity, original.as_ref(), origin);
        // Right before the user is touched.
        if !matches!(decision, Decision::Keep(_)) {
            let used = has_used_secondary(snapshots, holder.record_names()).await;
            // Whoever has an authenticator there has used it, even if their record was lost.
            if used.map_err(NotReplicated::Snapshots)? || holder.mfa {
                return keep("they have used the secondary pool");
            }
        }
        match decision {
            Decision::Keep(why) => keep(why),
            Decision::Move { attribute, address } => {
                // In alias pools the write would take the address away from its holder, without an error (facts N11.11).
                if !self.secondary.is_held_by_another(&address, sub).await? {
                    return self.move_to(sub, attribute, &address).await;
                }
                match self.parked {
                    Some(parked) if attribute == "email" => {
                        let address = format!("{identity}@{PARKED_DOMAIN}");
                        self.move_to(sub, attribute, &address).await?;
                        parked.add(sub);
                        Ok(())
                    }
                    _ => keep("somebody else holds the address that they have now"),
                }
            }
            Decision::Withhold if !self.deletions.admit(holder) => keep(
                "their person is gone, but so many people are that an operator must look first",
            ),
            Decision::Withhold => {
                let deleted = self.withhold(snapshots, sub, identity).await;
                if !matches!(deleted, Ok(true)) {
                    self.deletions.not_made(holder);
                }
                deleted.map(|_| ())
            }
        }
    }

    /// Decides which replica to create for somebody whose name has changed since it was recorded: as they are at present, under the
    /// recorded name only if they have a replica there that keeps it. Any other replica of theirs is moved to the present address first,
    /// so that nobody gets two.
    ///
    /// # Errors
    ///
    /// The secondary pool did not answer, or refused the address.
    pub async fn move_replica_to_present_address(
        &self,
        recorded: Replica,
        present: Replica,
    ) -> Result<Replica, NotReplicated> {
        if recorded.username == present.username {
            return Ok(present);
        }
        let pool = self.secondary.pool();
        let holder = users::look_up(pool, recorded.username.as_str()).await;
        let Some(holder) = holder.map_err(NotReplicated::Secondary)? else {
            return Ok(present);
        };
        let Some(origin) = self.secondary.origin() else {
            // Without identities the name tells whose it is, and only while they have it: an address that they have left may be
            // somebody else's by now, also if nobody has it in the primary pool. A replica of theirs that has it stays behind, as
            // with reconcile, which moves nobody without identities.
            let has_it = |address: &&str| {
                present.attributes.get(address) == Some(recorded.username.as_str())
            };
            return Ok(match ADDRESSES.iter().any(has_it) {
                true => present.under_name_of(&recorded),
                false => present,
            });
        };
        let is_theirs = present.identity.is_some()
            && holder.attributes.origin(Some(origin)) == present.identity.as_deref();
        if !is_theirs {
            return Ok(present);
        }
        let sub = holder.sub().unwrap_or(&holder.username);
        let Name::Address { attribute, .. } = present.username else {
            return Ok(present.under_name_of(&recorded));
        };
        match verified(&present.attributes, attribute) {
            Some(address) if !self.secondary.is_held_by_another(address, sub).await? => {
                self.move_to(sub, attribute, address).await?;
                Ok(present)
            }
            _ => Ok(present.under_name_of(&recorded)),
        }
    }

    /// The holder's person in the primary pool.
    async fn find_original(
        &self,
        identity: &str,
        holder: &Person,
    ) -> Result<Option<Person>, NotReplicated> {
        let found = find_original(self.primary, identity, holder, self.secondary.origin()).await;
        found.map_err(NotReplicated::Primary)
    }

    fn made_way(&self, sub: &str, action: &'static str) {
        if let Some(made_way) = self.on_made_way {
            let mut made_way = made_way.lock().expect("no panic while it is locked");
            made_way.push((sub.to_owned(), action));
        }
    }

    /// Gives the replica its person's present address. Only a flag that is written in the same call keeps Cognito from sending a
    /// code (facts N11.9).
    async fn move_to(
        &self,
        sub: &str,
        attribute: &str,
        address: &str,
    ) -> Result<(), NotReplicated> {
        let flag = format!("{attribute}_verified");
        let attributes = Attributes::from_iter([(attribute, address), (&flag, "true")]);
        let moved = users::update_attributes(self.secondary.pool(), sub, &attributes).await;
        moved.map_err(NotReplicated::Secondary)?;
        self.made_way(sub, "move");
        tracing::warn!(
            holder = sub,
            attribute,
            "a replica was moved to the address that its person has now"
        );
        Ok(())
    }

    /// Deletes the replica, after what it was has been kept. It is looked up once more right before. False if it was gone already.
    async fn withhold(
        &self,
        snapshots: &Bucket,
        sub: &str,
        identity: &str,
    ) -> Result<bool, NotReplicated> {
        let pool = self.secondary.pool();
        let replica = users::look_up(pool, sub).await;
        let Some(replica) = replica.map_err(NotReplicated::Secondary)? else {
            return Ok(false);
        };
        if replica.attributes.origin(self.secondary.origin()) != Some(identity) {
            return Err(NotReplicated::Vanished);
        }
        let groups = users::groups(pool, sub).await;
        let withheld = Withheld {
            version: 1,
            why: Why::Deleted,
            first_missed: Timestamp::now(),
            attributes: replica.attributes.clone(),
            groups: groups.map_err(NotReplicated::Secondary)?,
        };
        let kept = withheld::keep(snapshots, identity, &withheld).await;
        kept.map_err(NotReplicated::Snapshots)?;
        let used = has_used_secondary(snapshots, replica.record_names()).await;
        if used.map_err(NotReplicated::Snapshots)? || replica.mfa {
            // They are not withheld, and nothing may say so.
            let kept = withheld::read(snapshots, identity).await;
            let kept = kept.map_err(|error| match error {
                JsonError::Aws(error) => NotReplicated::Snapshots(error),
                JsonError::Malformed { .. } => NotReplicated::Vanished,
            })?;
            if let Some((_, etag)) = kept {
                let removed = withheld::remove(snapshots, identity, &etag).await;
                removed.map_err(NotReplicated::Snapshots)?;
            }
            return Err(NotReplicated::Vanished);
        }
        let deleted = users::delete(pool, sub).await;
        deleted.map_err(NotReplicated::Secondary)?;
        self.made_way(sub, "delete");
        tracing::warn!(
            holder = sub,
            identity,
            "a replica held the name of somebody else, and its person is no longer in the primary pool: kept in withheld/, deleted"
        );
        Ok(true)
    }
}

/// Whether a pool takes two names for one that differ in letter case only.
async fn ignores_case(pool: &Pool) -> Result<bool, PoolError> {
    let pool = pool.describe().await?;
    // botocore UsernameConfigurationType: names are case sensitive unless the pool says otherwise.
    Ok(pool
        .username_configuration()
        .is_some_and(|names| !names.case_sensitive))
}

/// The person of a replica in the primary pool: by `sub`, else by a name of the replica if its user has the same identity. None when the
/// primary pool has nobody with that identity under any of these names.
///
/// # Errors
///
/// The primary pool did not answer.
pub async fn find_original(
    primary: &Pool,
    identity: &str,
    replica: &Person,
    origin: Option<&CustomAttribute>,
) -> Result<Option<Person>, PoolError> {
    if let Some(found) = users::look_up(primary, identity).await? {
        return Ok(Some(found));
    }
    // The primary pool may have been rebuilt: then the identity is in the origin attribute, which cannot be searched for.
    let username = Some(replica.username.as_str()).filter(|name| replica.sub() != Some(name));
    let addresses = ADDRESSES.map(|address| replica.attributes.get(address));
    for name in [username].into_iter().chain(addresses).flatten() {
        let found = users::look_up_holder(primary, name).await?.into_user();
        if let Some(found) =
            found.filter(|found| found.attributes.identity(origin) == Some(identity))
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Decides from where the holder's person is now.
fn decide(
    held: Held,
    holder: &Person,
    identity: &str,
    original: Option<&Person>,
    origin: Option<&CustomAttribute>,
) -> Decision {
    let Some(original) = original else {
        return Decision::Withhold;
    };
    if original.attributes.identity(origin) != Some(identity) {
        return Decision::Keep(
            "the primary pool has a user with their identity who is somebody else",
        );
    }
    let (Held::Address(attribute) | Held::Alias(attribute)) = held else {
        return Decision::Keep("usernames never change, so they still have it");
    };
    if let Some(now) = verified(&original.attributes, attribute)
        && let Some(then) = holder.attributes.get(attribute)
        && ADDRESSES.contains(&attribute)
        && !same_but_for_case(now, then)
    {
        return Decision::Move {
            attribute,
            address: now.to_owned(),
        };
    }
    Decision::Keep("they still have it in the primary pool, or no other verified address")
}

#[cfg(test)]
mod tests {
    use shared::person::Status;

    use super::*;

    fn person(sub: &str, email: &str, verified: &str) -> Person {
        Person {
            username: sub.into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: Attributes::from_iter([
                ("sub", sub),
                ("email", email),
                ("email_verified", verified),
            ]),
            created_at: None,
            mfa: false,
        }
    }

    fn decision(original: Option<&Person>) -> Decision {
        let holder = person("s-2", "a@example.jp", "true");
        decide(Held::Address("email"), &holder, "s-1", original, None)
    }

    #[test]
    fn a_replica_follows_its_person_to_a_verified_address() {
        let moved = person("s-1", "b@example.jp", "true");

        let expected = Decision::Move {
            attribute: "email",
            address: "b@example.jp".into(),
        };
        assert!(decision(Some(&moved)) == expected);
    }

    #[test]
    fn a_replica_whose_person_is_gone_is_withheld() {
        assert!(decision(None) == Decision::Withhold);
    }

    #[test]
    fn a_replica_keeps_the_name_otherwise() {
        for original in [
            person("s-1", "a@example.jp", "true"),
            person("s-1", "A@example.jp", "true"),
            person("s-1", "b@example.jp", "false"),
            person("s-9", "b@example.jp", "true"),
        ] {
            assert!(matches!(decision(Some(&original)), Decision::Keep(_)));
        }
    }
}
