//! Creates a replica in the secondary pool, so that its person can reset the password there on the day of a failover.

use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::person::{Attributes, Status};

use crate::replica::{Replica, Unfit};

/// The secondary pool, in which replicas are created.
pub struct Secondary {
    pool: Pool,
    activate: bool,
}

/// A person who is in the secondary pool now.
#[derive(Debug, PartialEq, Eq)]
pub struct Replicated {
    /// Whether they were there before, with a password of their own.
    pub already: bool,
    /// Attributes that the pool's schema does not know.
    pub dropped: Vec<String>,
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
    /// The primary pool could not say whether the person still exists.
    #[error(transparent)]
    Primary(PoolError),
    /// The record is of another pool than the one that can be asked.
    #[error("the record is of user pool {0}, which is not SOURCE_USER_POOL_ID")]
    OtherPool(String),
    /// An unconfirmed user with this `sub` holds the name.
    #[error("an unconfirmed user, {0}, holds the username")]
    HeldByUnconfirmed(String),
    /// A user holds the name whose status twinpool must not change.
    #[error("a user with status {0} holds the username")]
    Taken(Status),
    /// Two contradicting answers; the next attempt sees more.
    #[error("the username exists and cannot be found")]
    Vanished,
}

impl NotReplicated {
    /// Whether trying again can never help. Everything that is not known to be final stays in the outbox, where it is visible.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Unfit(_) | Self::Taken(_) => true,
            Self::Secondary(error) => matches!(
                error.code(),
                "InvalidParameterException" | "InvalidPasswordException" | "AliasExistsException"
            ),
            Self::Primary(_) | Self::OtherPool(_) | Self::HeldByUnconfirmed(_) | Self::Vanished => {
                false
            }
        }
    }
}

impl Secondary {
    /// The pool. `activate` gives each replica a permanent password.
    pub fn new(pool: Pool, activate: bool) -> Self {
        Self { pool, activate }
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Creates the replica, or finds that the person is there.
    ///
    /// # Errors
    ///
    /// The person is not in the pool, or their user is not complete.
    pub async fn replicate(&self, replica: &Replica) -> Result<Replicated, NotReplicated> {
        let mut username = &replica.username;
        let mut other_username = replica.other_username.as_ref();
        let mut attributes = replica.attributes.clone();
        let mut dropped = Vec::new();
        loop {
            let error = match users::create(&self.pool, username, &attributes).await {
                Ok(_) => break,
                Err(PoolError::Aws(error)) => error,
                Err(error) => return Err(NotReplicated::Secondary(error)),
            };
            match error.code() {
                "UsernameExistsException" => return self.find_holder(username).await,
                // "Username should be an email." (boto3#3836), "… a phone number" (amplify-passwordless-sms-auth#13).
                "InvalidParameterException"
                    if error.message().starts_with("Username should be")
                        && let Some(other) = other_username.take() =>
                {
                    username = other;
                }
                "InvalidParameterException" => {
                    let unknown = unknown_attributes(error.message(), &attributes);
                    if unknown.is_empty() {
                        return Err(NotReplicated::Secondary(error.into()));
                    }
                    for name in &unknown {
                        attributes.remove(name);
                    }
                    dropped.extend(unknown);
                }
                _ => return Err(NotReplicated::Secondary(error.into())),
            }
        }
        self.activate(username).await?;
        Ok(Replicated {
            already: false,
            dropped,
        })
    }

    /// A user with a temporary password could not use "forgot password".
    async fn activate(&self, username: &str) -> Result<(), NotReplicated> {
        if !self.activate {
            return Ok(());
        }
        let activated = users::set_random_password(&self.pool, username).await;
        activated.map_err(NotReplicated::Secondary)
    }

    /// Finds out who holds the name. The password of a person who has set one is never changed.
    async fn find_holder(&self, username: &str) -> Result<Replicated, NotReplicated> {
        let holder = users::look_up(&self.pool, username).await;
        let holder = holder.map_err(NotReplicated::Secondary)?;
        let holder = holder.ok_or(NotReplicated::Vanished)?;
        let already = match holder.status {
            Status::Confirmed | Status::ResetRequired => true,
            Status::ForceChangePassword => {
                self.activate(username).await?;
                !self.activate
            }
            Status::Unconfirmed => {
                let sub = holder.sub().unwrap_or(&holder.username);
                return Err(NotReplicated::HeldByUnconfirmed(sub.to_owned()));
            }
            status => return Err(NotReplicated::Taken(status)),
        };
        Ok(Replicated {
            already,
            dropped: Vec::new(),
        })
    }
}

/// The attributes that, according to an InvalidParameterException, the schema does not know: one line for each, as in
/// `custom:tenant: Attribute does not exist in the schema.` (amplify-flutter#509).
fn unknown_attributes(message: &str, attributes: &Attributes) -> Vec<String> {
    attributes
        .iter()
        .map(|(name, _)| name)
        .filter(|name| {
            message
                .match_indices(&format!("{name}: Attribute does not exist in the schema"))
                .any(|(at, _)| {
                    message[..at]
                        .chars()
                        .next_back()
                        .is_none_or(char::is_whitespace)
                })
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_the_schema_does_not_know_are_found_by_name() {
        let attributes = Attributes::from_iter([
            ("custom:tenant", "t"),
            ("custom:note", "n"),
            ("note", "n"),
            ("email", "taro@example.jp"),
        ]);
        let message = "Attributes did not conform to the schema: custom:tenant: Attribute does not exist in the schema.\n\
                       custom:note: Attribute does not exist in the schema.\n";

        let unknown = unknown_attributes(message, &attributes);

        assert_eq!(unknown, ["custom:note", "custom:tenant"]);
        assert!(unknown_attributes("Invalid email address format.", &attributes).is_empty());
    }
}
