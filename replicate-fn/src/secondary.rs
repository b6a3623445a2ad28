//! Creating a replica in the secondary pool, so that its person can reset the password there on the day it is needed.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{AttributeType, MessageActionType};
use shared::aws::AwsError;
use shared::password::Password;
use shared::person::{Attributes, Status};
use shared::pool::{PoolError, PoolId};

use crate::replica::{Replica, Unfit};

/// The secondary pool, as replicas are made in it.
pub struct Secondary {
    client: Client,
    pool: PoolId,
    activate: bool,
}

/// A person who is now in the secondary pool.
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
    /// The confirmation is no good.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// A call failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The primary pool could not say whether the person still exists.
    #[error(transparent)]
    Primary(#[from] PoolError),
    /// The record is of another pool than the one that could be asked.
    #[error("the record is of user pool {0}, which is not SOURCE_USER_POOL_ID")]
    AnotherPool(String),
    /// Somebody has the name without having proved it: their `sub`.
    #[error("an unconfirmed user, {0}, holds the username")]
    HeldByUnconfirmed(String),
    /// Somebody has the name in a state that is not ours to change.
    #[error("a user with status {0} holds the username")]
    Taken(Status),
    /// Two answers that do not go together; the next try sees more.
    #[error("the username exists and cannot be found")]
    Vanished,
}

impl NotReplicated {
    /// Whether trying again can never help. Whatever is not known to be final stays in the outbox, where it is seen.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Unfit(_) | Self::Taken(_) => true,
            Self::Aws(error) => matches!(
                error.code(),
                "InvalidParameterException" | "InvalidPasswordException" | "AliasExistsException"
            ),
            Self::Primary(_)
            | Self::AnotherPool(_)
            | Self::HeldByUnconfirmed(_)
            | Self::Vanished => false,
        }
    }
}

impl Secondary {
    /// The pool; `activate` gives each replica a permanent password.
    pub fn new(client: Client, pool: PoolId, activate: bool) -> Self {
        Self {
            client,
            pool,
            activate,
        }
    }

    /// Creates the replica, or finds the person there.
    pub async fn replicate(&self, replica: &Replica) -> Result<Replicated, NotReplicated> {
        let mut username = &replica.username;
        let mut other_username = replica.other_username.as_ref();
        let mut attributes = replica.attributes.clone();
        let mut dropped = Vec::new();
        loop {
            let error = match self.create(username, &attributes).await {
                Ok(()) => break,
                Err(error) => error,
            };
            match error.code() {
                "UsernameExistsException" => return self.find(username).await,
                // "Username should be an email." (boto3#3836), "… a phone number" (amplify-passwordless-sms-auth#13).
                "InvalidParameterException"
                    if error.message().starts_with("Username should be") =>
                {
                    username = other_username.take().ok_or(error)?;
                }
                "InvalidParameterException" => {
                    let unknown = unknown_attributes(error.message(), &attributes);
                    if unknown.is_empty() {
                        return Err(error.into());
                    }
                    for name in &unknown {
                        attributes.remove(name);
                    }
                    dropped.extend(unknown);
                }
                _ => return Err(error.into()),
            }
        }
        self.activate(username).await?;
        Ok(Replicated {
            already: false,
            dropped,
        })
    }

    /// Deletes an unconfirmed holder of a name that its owner has proved in the primary pool. By `sub`, so that nobody
    /// else is deleted who has the name by now.
    pub async fn delete_unconfirmed(&self, sub: &str) -> Result<(), AwsError> {
        let deleted = self
            .client
            .admin_delete_user()
            .user_pool_id(self.pool.as_str())
            .username(sub)
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = AwsError::of("AdminDeleteUser", &self.pool, &error);
                if error.code() == "UserNotFoundException" {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    async fn create(&self, username: &str, attributes: &Attributes) -> Result<(), AwsError> {
        let attributes = attributes.iter().filter_map(|(name, value)| {
            let attribute = AttributeType::builder().name(name).value(value);
            attribute.build().ok()
        });
        let created = self
            .client
            .admin_create_user()
            .user_pool_id(self.pool.as_str())
            .username(username)
            .set_user_attributes(Some(attributes.collect()))
            .temporary_password(Password::random().expose())
            .message_action(MessageActionType::Suppress)
            .send()
            .await
            .map_err(|e| AwsError::of("AdminCreateUser", &self.pool, &e))?;
        match created.user {
            Some(_) => Ok(()),
            None => Err(AwsError::hollow("AdminCreateUser", &self.pool, "a user")),
        }
    }

    /// A user with a temporary password cannot use "forgot password" (amplify-js#1340, #2955), so the replica would be
    /// locked out when it is needed: it gets a permanent one, random too and known to nobody.
    async fn activate(&self, username: &str) -> Result<(), AwsError> {
        if !self.activate {
            return Ok(());
        }
        self.client
            .admin_set_user_password()
            .user_pool_id(self.pool.as_str())
            .username(username)
            .password(Password::random().expose())
            .permanent(true)
            .send()
            .await
            .map(|_| ())
            .map_err(|e| AwsError::of("AdminSetUserPassword", &self.pool, &e))
    }

    /// Who has the name already. The password of a person who has one of their own is never touched.
    async fn find(&self, username: &str) -> Result<Replicated, NotReplicated> {
        let user = self
            .client
            .admin_get_user()
            .user_pool_id(self.pool.as_str())
            .username(username)
            .send()
            .await
            .map_err(|e| AwsError::of("AdminGetUser", &self.pool, &e));
        let user = match user {
            Err(error) if error.code() == "UserNotFoundException" => {
                return Err(NotReplicated::Vanished);
            }
            user => user?,
        };
        let status = user
            .user_status
            .ok_or_else(|| AwsError::hollow("AdminGetUser", &self.pool, "a status"))?;
        let already = match Status::from(status.as_str()) {
            Status::Confirmed | Status::ResetRequired => true,
            Status::ForceChangePassword => {
                self.activate(username).await?;
                !self.activate
            }
            Status::Unconfirmed => {
                let attributes = Attributes::from(user.user_attributes.unwrap_or_default());
                let sub = attributes.get("sub").unwrap_or(&user.username);
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

/// The attributes that an InvalidParameterException says the schema does not know: a line each, as in
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
