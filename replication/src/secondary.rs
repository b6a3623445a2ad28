//! Creates a replica in the secondary pool, so that its person can reset the password there on the day of a failover.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::aws::{AwsError, Failure};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users::{self, Holder};
use shared::environment::CustomAttribute;
use shared::identity::{Relation, relation, verified};
use shared::person::{Attributes, Person, Status};
use tokio::sync::Mutex;

use crate::pool_rules::{Fitted, PoolRules, SIGN_IN_NAMES, address_of_flag, to_write_afterwards};
use crate::replica::{Name, Replica, Unfit};

/// How long the pool's description is used before it is asked for again.
const RULES_LIFETIME: Duration = Duration::from_mins(10);

/// The secondary pool, in which replicas are created.
pub struct Secondary {
    pool: Pool,
    settings: Settings,
    rules: Mutex<Option<(Instant, Arc<PoolRules>)>>,
}

/// How replicas are created.
pub struct Settings {
    /// Whether each replica is given a permanent password.
    pub activate: bool,
    /// The attribute that carries identities.
    pub origin: Option<CustomAttribute>,
    /// Whether there is time to create a person with the least attributes, and to write the others one by one. Who is interrupted
    /// in between leaves a replica that is not activated, which the next attempt completes.
    pub one_by_one: bool,
}

/// A person who is in the secondary pool now.
#[derive(Debug, PartialEq, Eq)]
pub struct Replicated {
    /// Whether they were there before, with a password of their own.
    pub already: bool,
    /// Attributes that the pool does not know, or refused.
    pub dropped: Vec<String>,
}

/// What a user of the secondary pool has that a replica needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The username that the person chose.
    Username,
    /// The address that is the username.
    Address(&'static str),
    /// Another attribute that people sign in with: an address or the preferred username.
    Alias(&'static str),
}

/// Why a person is not in the secondary pool.
#[derive(Debug, thiserror::Error)]
pub enum NotReplicated {
    /// No user can be created from the confirmation.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A call to the secondary pool failed.
    #[error(transparent)]
    Secondary(PoolError),
    /// The primary pool could not say whether a person still exists.
    #[error(transparent)]
    Primary(PoolError),
    /// The snapshot bucket could not be read or written.
    #[error(transparent)]
    Snapshots(AwsError),
    /// The person was erased with `twinpool forget`.
    #[error("forgotten: the person was erased")]
    Forgotten,
    /// The record is of another pool than the one that can be asked.
    #[error("the record is of user pool {0}, which is not SOURCE_USER_POOL_ID")]
    OtherPool(String),
    /// An unconfirmed user with this `sub` holds the name.
    #[error("an unconfirmed user, {0}, holds the username")]
    HeldByUnconfirmed(String),
    /// A user who is another person holds the name or an alias.
    #[error("{held} held by another user, {}", .holder.sub().unwrap_or("(no sub)"))]
    HeldByAnother {
        /// What they hold.
        held: Held,
        /// The user.
        holder: Box<Person>,
    },
    /// The same, and nobody may take it from them.
    #[error("name-held: {held} held by another user, {holder}: {why}")]
    NameHeld {
        /// What they hold.
        held: Held,
        /// Their `sub`.
        holder: String,
        /// Why it stays theirs.
        why: &'static str,
    },
    /// A user without an identity holds the name, and is older than the sign-up, or the name has other letter case.
    #[error(
        "cannot-tell: the username is held by user {}, who carries no identity and may be somebody else",
        sub_of(.0)
    )]
    CannotTell(Box<Person>),
    /// A user holds the name whose status twinpool must not change.
    #[error("a user with status {0} holds the username")]
    Taken(Status),
    /// The replica was left incomplete, and there is no time to complete it.
    #[error("the replica is incomplete")]
    HalfMade,
    /// Two contradicting answers; the next attempt sees more.
    #[error("the username or an alias of the person is taken, and its holder cannot be found")]
    Vanished,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Username => f.write_str("username"),
            Self::Address(attribute) | Self::Alias(attribute) => {
                f.write_str(&attribute.replace('_', " "))
            }
        }
    }
}

/// Whether a record that was not replicated is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// Trying again can never help.
    Permanent,
    /// Refused: it is tried again, but not for ever.
    Refused,
    /// Nobody refused it: something did not answer, or is not set up.
    Unavailable,
}

impl NotReplicated {
    /// Whether it is worth trying again. Everything that is not known to be final stays in the outbox for a while, where it is
    /// visible.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Unfit(_)
            | Self::Taken(_)
            | Self::NameHeld { .. }
            | Self::CannotTell(_)
            | Self::Forgotten => RetryClass::Permanent,
            Self::Secondary(error)
                if matches!(
                    error.code(),
                    "InvalidParameterException"
                        | "InvalidPasswordException"
                        | "AliasExistsException"
                ) =>
            {
                RetryClass::Permanent
            }
            // Nothing fails for ever: what something in between refuses each time is a conflict in the end.
            Self::Secondary(PoolError::Aws(error)) if error.failure() == Failure::Unexplained => {
                RetryClass::Refused
            }
            Self::Secondary(PoolError::Aws(error))
            | Self::Primary(PoolError::Aws(error))
            | Self::Snapshots(error)
                if !error.is_call_rejected() =>
            {
                RetryClass::Unavailable
            }
            Self::Secondary(PoolError::OutOfTime(_) | PoolError::TooLate(_))
            | Self::Primary(PoolError::OutOfTime(_) | PoolError::TooLate(_)) => {
                RetryClass::Unavailable
            }
            _ => RetryClass::Refused,
        }
    }
}

/// What AdminCreateUser answered.
enum Creation {
    /// The user's `sub`.
    Created(String),
    /// Somebody has the username or an alias.
    Taken,
    /// Refused for another reason, and it would be refused again.
    Refused(AwsError),
}

impl Secondary {
    /// The pool, and how replicas are created in it.
    pub fn new(pool: Pool, settings: Settings) -> Self {
        Self {
            pool,
            settings,
            rules: Mutex::default(),
        }
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The attribute that carries identities.
    pub fn origin(&self) -> Option<&CustomAttribute> {
        self.settings.origin.as_ref()
    }

    /// Creates the replica, or finds that the person is there.
    ///
    /// A person comes before an attribute: if the pool refuses them with all attributes, they are created with those that it knows;
    /// then, where there is time, with the least, and the others are written one by one. What can be given at creation only is left
    /// out last.
    ///
    /// # Errors
    ///
    /// The person is not in the pool, or their user is not complete.
    pub async fn replicate(&self, replica: &Replica) -> Result<Replicated, NotReplicated> {
        if let Some(newcomer) = self.newcomer(replica).await? {
            return self.complete_existing(replica, &newcomer).await;
        }
        let mut refusal = match self.create(replica, &replica.attributes).await? {
            Creation::Created(_) => {
                self.activate(replica.username.as_str()).await?;
                return Ok(Replicated {
                    already: false,
                    dropped: Vec::new(),
                });
            }
            Creation::Taken => return self.find_holder(replica).await,
            Creation::Refused(refusal) => refusal,
        };
        let rules = self.rules().await?;
        let Fitted {
            replica: fitted,
            unknown: mut dropped,
        } = rules.fit(replica);
        let mut attempts = vec![fitted.attributes.clone()];
        if self.settings.one_by_one {
            attempts.push(rules.minimal_and_immutable_attributes(&fitted, self.origin()));
            attempts.push(rules.minimal_attributes(&fitted, self.origin()));
            attempts.dedup();
        }
        let already_refused = usize::from(fitted == *replica);
        for attributes in attempts.iter().skip(already_refused) {
            refusal = match self.create(&fitted, attributes).await? {
                Creation::Created(sub) => {
                    let user = (fitted.username.as_str(), sub.as_str());
                    dropped.extend(self.complete(user, &fitted, attributes, &rules).await?);
                    return Ok(Replicated {
                        already: false,
                        dropped,
                    });
                }
                Creation::Taken => return self.find_holder(&fitted).await,
                Creation::Refused(refusal) => refusal,
            };
        }
        Err(NotReplicated::Secondary(refusal.into()))
    }

    async fn create(
        &self,
        replica: &Replica,
        attributes: &Attributes,
    ) -> Result<Creation, NotReplicated> {
        match users::create(&self.pool, replica.username.as_str(), attributes).await {
            Ok(sub) => Ok(Creation::Created(sub)),
            Err(PoolError::Aws(error)) => match error.code() {
                // A taken alias comes under either code (boto3#3213).
                "UsernameExistsException" | "AliasExistsException" => Ok(Creation::Taken),
                _ if error.is_call_rejected() => Ok(Creation::Refused(error)),
                _ => Err(NotReplicated::Secondary(error.into())),
            },
            Err(error) => Err(NotReplicated::Secondary(error)),
        }
    }

    /// A user with a temporary password could not use "forgot password".
    async fn activate(&self, username: &str) -> Result<(), NotReplicated> {
        if !self.settings.activate {
            return Ok(());
        }
        let activated = users::set_random_password(&self.pool, username).await;
        activated.map_err(NotReplicated::Secondary)
    }

    /// Writes what a new user does not have yet, and activates them. Gives the names of the attributes that they do not get. The user
    /// is given by username and `sub`.
    ///
    /// The attributes come first, so that a user who is interrupted here is recognised as incomplete. What is refused is tried once
    /// more afterwards: a preferred username is refused for an account that is not confirmed (facts N11.4).
    async fn complete(
        &self,
        (username, sub): (&str, &str),
        replica: &Replica,
        present: &Attributes,
        rules: &PoolRules,
    ) -> Result<Vec<String>, NotReplicated> {
        let (rest, mut dropped) = to_write_afterwards(&replica.attributes, present);
        let too_late = rest.iter().map(|(name, _)| name);
        let too_late = too_late.filter(|name| rules.is_immutable(name) && !is_flag(name));
        dropped.extend(too_late.map(str::to_owned));
        let rest = rest.iter().filter(|(name, _)| !rules.is_immutable(name));
        let mut rest: Attributes = rest.collect();
        for attribute in SIGN_IN_NAMES {
            // In alias pools the write would take the name away from its holder, without an error (boto3#3213).
            if let Some(value) = rest.get(attribute)
                && rules.is_sign_in_name(attribute)
                && self.is_held_by_another(value, sub).await?
            {
                rest.remove(attribute);
                rest.remove(&format!("{attribute}_verified"));
                dropped.push(attribute.to_owned());
            }
        }
        let write = async |attributes: &Attributes| {
            let refused = users::write_attributes(&self.pool, username, attributes).await;
            refused.map_err(NotReplicated::Secondary)
        };
        let refused = write(&rest).await?;
        self.activate(username).await?;
        let again: Attributes = rest
            .iter()
            .filter(|(name, _)| refused.iter().any(|refused| refused.name == *name))
            .collect();
        let refused = write(&again).await?;
        let refused = refused.into_iter().map(|refused| refused.name);
        dropped.extend(refused.filter(|name| !is_flag(name)));
        Ok(dropped)
    }

    /// Whether another user than this one has a name, or may have it.
    pub async fn is_held_by_another(&self, name: &str, sub: &str) -> Result<bool, NotReplicated> {
        let holder = self.look_up_holder(name).await?;
        Ok(holder.may_be_another_than(sub))
    }

    async fn look_up_holder(&self, name: &str) -> Result<Holder, NotReplicated> {
        let holder = users::look_up_holder(&self.pool, name).await;
        holder.map_err(NotReplicated::Secondary)
    }

    async fn look_up(&self, username: &str) -> Result<Option<Person>, NotReplicated> {
        let found = users::look_up(&self.pool, username).await;
        found.map_err(NotReplicated::Secondary)
    }

    /// The user of somebody who signed up in this pool, whose `sub` is their identity. They may have another address here by now, so
    /// no name would find them, and they would get a second user.
    async fn newcomer(&self, replica: &Replica) -> Result<Option<Person>, NotReplicated> {
        let Some(identity) = replica.identity_of_another_pool() else {
            return Ok(None);
        };
        Ok(match self.look_up_holder(identity).await? {
            Holder::Somebody(found)
                if found.attributes.identity(self.origin()) == Some(identity) =>
            {
                Some(*found)
            }
            _ => None,
        })
    }

    /// Finds out who holds the name or an alias.
    async fn find_holder(&self, replica: &Replica) -> Result<Replicated, NotReplicated> {
        let (held, holder) = self.holder(replica).await?;
        // Who has not confirmed has not proved the name either, unless an administrator has marked the address as verified.
        let is_proved =
            matches!(held, Held::Alias(address) if verified(&holder.attributes, address).is_some());
        if holder.status == Status::Unconfirmed && !is_proved {
            return Err(NotReplicated::HeldByUnconfirmed(sub_of(&holder).to_owned()));
        }
        match relation(&replica.original(), &holder, self.origin()) {
            Relation::Same => self.complete_existing(replica, &holder).await,
            Relation::Another => Err(NotReplicated::HeldByAnother {
                held,
                holder: Box::new(holder),
            }),
            Relation::CannotTell => Err(NotReplicated::CannotTell(Box::new(holder))),
        }
    }

    /// The person has a user in this pool, which may have been left half made. The password of a person who has set one is never
    /// changed.
    ///
    /// # Errors
    ///
    /// The user is not complete.
    pub async fn complete_existing(
        &self,
        replica: &Replica,
        user: &Person,
    ) -> Result<Replicated, NotReplicated> {
        match user.status.clone() {
            Status::Confirmed | Status::ResetRequired => Ok(Replicated {
                already: true,
                dropped: Vec::new(),
            }),
            Status::ForceChangePassword => Ok(Replicated {
                already: !self.settings.activate,
                dropped: self.complete_half_made(replica, user).await?,
            }),
            Status::Unconfirmed => Err(NotReplicated::HeldByUnconfirmed(sub_of(user).to_owned())),
            status => Err(NotReplicated::Taken(status)),
        }
    }

    /// The user who has the name, else an alias that the replica would have.
    async fn holder(&self, replica: &Replica) -> Result<(Held, Person), NotReplicated> {
        if let Some(holder) = self.look_up(replica.username.as_str()).await? {
            let held = match replica.username {
                Name::Username(_) => Held::Username,
                Name::Address { attribute, .. } => Held::Address(attribute),
            };
            return Ok((held, holder));
        }
        let rules = self.rules().await?;
        for name in SIGN_IN_NAMES {
            if let Some(value) = rules.unique_value(&replica.attributes, name)
                && let Holder::Somebody(holder) = self.look_up_holder(value).await?
            {
                return Ok((Held::Alias(name), *holder));
            }
        }
        Err(NotReplicated::Vanished)
    }

    /// Completes a replica that was created and not activated.
    async fn complete_half_made(
        &self,
        replica: &Replica,
        user: &Person,
    ) -> Result<Vec<String>, NotReplicated> {
        let present = &user.attributes;
        let (missing, _) = to_write_afterwards(&replica.attributes, present);
        if missing.is_empty() {
            self.activate(&user.username).await?;
            return Ok(Vec::new());
        }
        let rules = self.rules().await?;
        let fitted = rules.fit(replica);
        let (missing, _) = to_write_afterwards(&fitted.replica.attributes, present);
        let mut dropped = fitted.unknown;
        if missing.is_empty() {
            self.activate(&user.username).await?;
        } else if self.settings.one_by_one {
            let user = (user.username.as_str(), sub_of(user));
            let completed = self.complete(user, &fitted.replica, present, &rules);
            dropped.extend(completed.await?);
        } else {
            return Err(NotReplicated::HalfMade);
        }
        Ok(dropped)
    }

    /// What the pool's description says, asked for at most every ten minutes and only after a refusal.
    async fn rules(&self) -> Result<Arc<PoolRules>, NotReplicated> {
        let mut kept = self.rules.lock().await;
        if let Some((since, rules)) = &*kept
            && since.elapsed() < RULES_LIFETIME
        {
            return Ok(Arc::clone(rules));
        }
        let pool = self.pool.describe().await;
        let rules = Arc::new(PoolRules::of(&pool.map_err(NotReplicated::Secondary)?));
        *kept = Some((Instant::now(), Arc::clone(&rules)));
        Ok(rules)
    }
}

/// The `sub` of a user, which every user has.
fn sub_of(user: &Person) -> &str {
    user.sub().unwrap_or(&user.username)
}

/// Whether an attribute is the flag of an address, which is named with it.
fn is_flag(name: &str) -> bool {
    address_of_flag(name).is_some()
}
