//! What no import file can carry: people who are made one by one, and attributes that are written afterwards.

use aws_sdk_cognitoidentityprovider::types::{AttributeType, MessageActionType};
use jiff::Timestamp;

use crate::aws::AwsError;
use crate::password::Password;
use crate::person::{Attributes, Status, is_cognitos_own};
use crate::pool::{Pool, PoolError};
use crate::restore::reason::Reason;
use crate::restore::source::Leftover;
use crate::restore::target_pool::is_present;

/// By how many milliseconds this clock may differ from Cognito's, which may show whole seconds.
const CLOCKS: i64 = 60_000;

/// The pool, asked at the pace of its writing operations.
pub struct Writes<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// Since when a half-made user is a restore's own.
    pub since: Timestamp,
}

/// Who has a name.
enum There {
    /// A user that this restore began to make and did not finish: their `sub`.
    HalfMade(String),
    /// Anybody else.
    Other(String, Status),
}

impl Writes<'_> {
    /// Makes a person who was left out, and gives their `sub`, or why not. A disabled person is never enabled in a state in which
    /// they could sign in.
    pub async fn make(&self, person: &Leftover) -> Result<Result<String, Reason>, PoolError> {
        let sub = match self.create(person).await {
            Ok(sub) => sub,
            Err(PoolError::Aws(error)) if error.code() == "UsernameExistsException" => {
                match self.who_is_there(&person.username).await? {
                    There::HalfMade(sub) => sub,
                    There::Other(sub, status) => {
                        return Ok(if is_present(&status) {
                            Ok(sub)
                        } else {
                            Err(Reason::ExistsInPrimary(status))
                        });
                    }
                }
            }
            Err(error) => return Err(error),
        };
        if !person.enabled {
            let (pool, sub) = (self.pool, &sub);
            pool.patiently("AdminDisableUser", || {
                pool.client()
                    .admin_disable_user()
                    .user_pool_id(pool.id().as_str())
                    .username(sub)
                    .send()
            })
            .await?;
        }
        // Only now: with a temporary password that nobody knows, nobody gets in (amplify-js#1340).
        let (pool, password) = (self.pool, Password::random());
        pool.patiently("AdminSetUserPassword", || {
            pool.client()
                .admin_set_user_password()
                .user_pool_id(pool.id().as_str())
                .username(&sub)
                .password(password.expose())
                .permanent(true)
                .send()
        })
        .await?;
        Ok(Ok(sub))
    }

    async fn create(&self, person: &Leftover) -> Result<String, PoolError> {
        let (pool, password) = (self.pool, Password::random());
        let attributes = person.attributes.iter();
        let attributes = attributes.filter(|(name, _)| !is_cognitos_own(name));
        let attributes: Vec<_> = attributes.filter_map(attribute).collect();
        let created = pool
            .patiently("AdminCreateUser", || {
                pool.client()
                    .admin_create_user()
                    .user_pool_id(pool.id().as_str())
                    .username(&person.username)
                    .set_user_attributes(Some(attributes.clone()))
                    .temporary_password(password.expose())
                    .message_action(MessageActionType::Suppress)
                    .send()
            })
            .await?;
        let hollow = || AwsError::hollow("AdminCreateUser", pool.id(), "a user");
        let user = created.user.ok_or_else(hollow)?;
        let attributes = Attributes::from(user.attributes.unwrap_or_default());
        let sub = attributes.get("sub").map(str::to_owned);
        Ok(sub.or(user.username).ok_or_else(hollow)?)
    }

    /// Who has the name.
    async fn who_is_there(&self, username: &str) -> Result<There, PoolError> {
        let pool = self.pool;
        let user = pool
            .patiently("AdminGetUser", || {
                pool.client()
                    .admin_get_user()
                    .user_pool_id(pool.id().as_str())
                    .username(username)
                    .send()
            })
            .await?;
        let status = Status::from(user.user_status);
        let created = user.user_create_date.and_then(|at| at.to_millis().ok());
        let is_ours = status == Status::ForceChangePassword
            && created.is_some_and(|created| created >= self.since.as_millisecond() - CLOCKS);
        let attributes = Attributes::from(user.user_attributes.unwrap_or_default());
        let sub = attributes.get("sub").unwrap_or(&user.username).to_owned();
        Ok(if is_ours {
            There::HalfMade(sub)
        } else {
            There::Other(sub, status)
        })
    }

    /// Writes attributes of a person who is home, all at once, else one by one; gives those that were refused, with the code.
    pub async fn write(
        &self,
        sub: &str,
        attributes: &Attributes,
    ) -> Result<Vec<(String, String)>, PoolError> {
        let all: Vec<_> = attributes.iter().filter_map(attribute).collect();
        match self.update(sub, all.clone()).await {
            Ok(()) => return Ok(Vec::new()),
            Err(PoolError::Aws(error)) if !error.is_transient() => {}
            Err(error) => return Err(error),
        }
        let mut refused = Vec::new();
        for attribute in all {
            let name = attribute.name.clone();
            match self.update(sub, vec![attribute]).await {
                Ok(()) => {}
                Err(PoolError::Aws(error)) if !error.is_transient() => {
                    refused.push((name, error.code().to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    async fn update(&self, sub: &str, attributes: Vec<AttributeType>) -> Result<(), PoolError> {
        let pool = self.pool;
        pool.patiently("AdminUpdateUserAttributes", || {
            pool.client()
                .admin_update_user_attributes()
                .user_pool_id(pool.id().as_str())
                .username(sub)
                .set_user_attributes(Some(attributes.clone()))
                .send()
        })
        .await
        .map(|_| ())
    }

    /// Deletes somebody who has never confirmed a name that a newcomer has proved; by `sub`, and only if that is still so.
    pub async fn reclaim(&self, sub: &str) -> Result<(), PoolError> {
        let pool = self.pool;
        let holder = pool.person(sub).await?;
        if holder.is_none_or(|holder| holder.status != Status::Unconfirmed) {
            return Ok(());
        }
        let deleted = pool
            .patiently("AdminDeleteUser", || {
                pool.client()
                    .admin_delete_user()
                    .user_pool_id(pool.id().as_str())
                    .username(sub)
                    .send()
            })
            .await;
        match deleted {
            Err(PoolError::Aws(error)) if error.code() == "UserNotFoundException" => Ok(()),
            deleted => deleted.map(|_| ()),
        }
    }
}

fn attribute((name, value): (&str, &str)) -> Option<AttributeType> {
    let attribute = AttributeType::builder().name(name).value(value);
    attribute.build().ok().filter(|_| !value.is_empty())
}
