//! The one place that looks up, creates, activates, changes and deletes a single user.
//!
//! Each function here is one call to Cognito, with the handling of its errors. Which of them a situation needs is decided by the caller.

use aws_sdk_cognitoidentityprovider::types::{AttributeType, MessageActionType};
use jiff::Timestamp;

use crate::aws::error::AwsError;
use crate::cognito::pool::{Pool, PoolError};
use crate::password::Password;
use crate::person::{Attributes, Person, Status};

/// AdminGetUser: a user by username, alias or `sub`; none when there is no such user. In contrast to ListUsers it is up to date,
/// and it bills a monthly active user (botocore ListUsers: "To validate the existence or configuration of an individual user, use
/// AdminGetUser").
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn look_up(pool: &Pool, username: &str) -> Result<Option<Person>, PoolError> {
    let response = pool
        .call_with_retry("AdminGetUser", || {
            pool.client()
                .admin_get_user()
                .user_pool_id(pool.id().as_str())
                .username(username)
                .send()
        })
        .await;
    let user = match response {
        Err(error) if error.code() == "UserNotFoundException" => return Ok(None),
        user => user?,
    };
    let status = user
        .user_status
        .ok_or_else(|| AwsError::incomplete_response("AdminGetUser", pool.id(), "a status"))?;
    let created_at = user.user_create_date.and_then(|at| at.to_millis().ok());
    // Methods of SMS and email follow from addresses, and do not tell that the person was ever here.
    let mut mfa_methods = user.user_mfa_setting_list.iter().flatten();
    Ok(Some(Person {
        mfa: mfa_methods.any(|method| method == "SOFTWARE_TOKEN_MFA"),
        username: user.username,
        status: Status::from(status.as_str()),
        enabled: user.enabled,
        attributes: Attributes::from(user.user_attributes.unwrap_or_default()),
        created_at: created_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
    }))
}

/// Who has a name: a username, or an alias.
#[derive(Clone, Debug)]
pub enum Holder {
    /// No user.
    Nobody,
    /// This user.
    Somebody(Box<Person>),
    /// Nobody can be looked up by it, because no username may be like it (botocore UsernameType: without spaces, at most 128 characters).
    /// People may have it as an attribute all the same.
    Unknown,
}

impl Holder {
    /// The user who has the name; none also where no username may be like it, because then it is nobody's.
    pub fn into_user(self) -> Option<Person> {
        match self {
            Self::Somebody(user) => Some(*user),
            Self::Nobody | Self::Unknown => None,
        }
    }

    /// Whether another user than this one has the name, or may have it.
    pub fn may_be_another_than(&self, sub: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Somebody(holder) => holder.sub() != Some(sub),
            Self::Unknown => true,
        }
    }
}

/// AdminGetUser by the value of an attribute with which people sign in, or may.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn look_up_holder(pool: &Pool, name: &str) -> Result<Holder, PoolError> {
    match look_up(pool, name).await {
        Ok(Some(holder)) => Ok(Holder::Somebody(Box::new(holder))),
        Ok(None) => Ok(Holder::Nobody),
        Err(error) if error.code() == "InvalidParameterException" => Ok(Holder::Unknown),
        Err(error) => Err(error),
    }
}

/// AdminCreateUser without a message to the person, with a random temporary password; gives the user's `sub`.
///
/// A user with a temporary password that nobody knows can neither sign in nor use "forgot password": see
/// [`set_random_password`].
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn create(
    pool: &Pool,
    username: &str,
    attributes: &Attributes,
) -> Result<String, PoolError> {
    let (password, attributes) = (Password::random(), to_sdk(attributes));
    let created = pool
        .call_with_retry("AdminCreateUser", || {
            pool.client()
                .admin_create_user()
                .user_pool_id(pool.id().as_str())
                .username(username)
                .set_user_attributes(Some(attributes.clone()))
                .temporary_password(password.expose())
                .message_action(MessageActionType::Suppress)
                .send()
        })
        .await?;
    let incomplete = || AwsError::incomplete_response("AdminCreateUser", pool.id(), "a user");
    let user = created.user.ok_or_else(incomplete)?;
    let attributes = Attributes::from(user.attributes.unwrap_or_default());
    let sub = attributes.get("sub").map(str::to_owned);
    Ok(sub.or(user.username).ok_or_else(incomplete)?)
}

/// AdminSetUserPassword with a permanent random password that nobody knows: the user is CONFIRMED afterwards.
///
/// A user with a temporary password cannot use "forgot password" (amplify-js#1340, #2955), so without this the person would be
/// locked out on the day on which the user is needed.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn set_random_password(pool: &Pool, username: &str) -> Result<(), PoolError> {
    let password = Password::random();
    pool.call_with_retry("AdminSetUserPassword", || {
        pool.client()
            .admin_set_user_password()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .password(password.expose())
            .permanent(true)
            .send()
    })
    .await
    .map(|_| ())
}

/// AdminDisableUser.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn disable(pool: &Pool, username: &str) -> Result<(), PoolError> {
    pool.call_with_retry("AdminDisableUser", || {
        pool.client()
            .admin_disable_user()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .send()
    })
    .await
    .map(|_| ())
}

/// AdminEnableUser.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn enable(pool: &Pool, username: &str) -> Result<(), PoolError> {
    pool.call_with_retry("AdminEnableUser", || {
        pool.client()
            .admin_enable_user()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .send()
    })
    .await
    .map(|_| ())
}

/// AdminUserGlobalSignOut: the user's refresh tokens are worth nothing afterwards.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn global_sign_out(pool: &Pool, username: &str) -> Result<(), PoolError> {
    pool.call_with_retry("AdminUserGlobalSignOut", || {
        pool.client()
            .admin_user_global_sign_out()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .send()
    })
    .await
    .map(|_| ())
}

/// AdminDeleteUserAttributes: the user has none of these attributes afterwards.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn delete_attributes(
    pool: &Pool,
    username: &str,
    names: &[&str],
) -> Result<(), PoolError> {
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    pool.call_with_retry("AdminDeleteUserAttributes", || {
        pool.client()
            .admin_delete_user_attributes()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .set_user_attribute_names(Some(names.clone()))
            .send()
    })
    .await
    .map(|_| ())
}

/// An attribute that Cognito refused to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAttribute {
    /// Its name.
    pub name: String,
    /// Cognito's error code.
    pub code: String,
}

/// AdminUpdateUserAttributes: all attributes in one call; if that is refused, one by one, an address together with its flag. Gives
/// those that were refused.
///
/// # Errors
///
/// A call failed for another reason than a refusal, or the deadline passed.
pub async fn write_attributes(
    pool: &Pool,
    username: &str,
    attributes: &Attributes,
) -> Result<Vec<RefusedAttribute>, PoolError> {
    if attributes.is_empty() {
        return Ok(Vec::new());
    }
    match update_attributes(pool, username, attributes).await {
        Ok(()) => return Ok(Vec::new()),
        Err(PoolError::Aws(error)) if error.is_call_rejected() => {}
        Err(error) => return Err(error),
    }
    let mut refused = Vec::new();
    for unit in units(attributes) {
        match update_attributes(pool, username, &unit).await {
            Ok(()) => {}
            Err(PoolError::Aws(error)) if error.is_call_rejected() => {
                let code = error.code().to_owned();
                refused.extend(unit.iter().map(|(name, _)| RefusedAttribute {
                    name: name.to_owned(),
                    code: code.clone(),
                }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// What is written in one call: an attribute, or an address together with its flag. An address without its flag would be
/// unverified, and a code would be sent to it (facts N11.9).
fn units(attributes: &Attributes) -> Vec<Attributes> {
    let address_of = |flag: &str| flag.strip_suffix("_verified").map(str::to_owned);
    let has = |name: &str| attributes.iter().any(|(other, _)| other == name);
    attributes
        .iter()
        .filter(|(name, _)| !address_of(name).is_some_and(|address| has(&address)))
        .map(|(name, value)| {
            let flag = format!("{name}_verified");
            let flag = attributes.iter().find(|(other, _)| *other == flag);
            [(name, value)].into_iter().chain(flag).collect()
        })
        .collect()
}

/// AdminUpdateUserAttributes with these attributes in one call.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn update_attributes(
    pool: &Pool,
    username: &str,
    attributes: &Attributes,
) -> Result<(), PoolError> {
    let attributes = to_sdk(attributes);
    pool.call_with_retry("AdminUpdateUserAttributes", || {
        pool.client()
            .admin_update_user_attributes()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .set_user_attributes(Some(attributes.clone()))
            .send()
    })
    .await
    .map(|_| ())
}

/// Deletes a user who is still UNCONFIRMED: they hold a name that somebody else has proved to own. Looks the user up right
/// before, by `sub`, so that nobody else is deleted who has the name or has confirmed it by now. True if the user was deleted.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn delete_unconfirmed(pool: &Pool, sub: &str) -> Result<bool, PoolError> {
    let holder = look_up(pool, sub).await?;
    if holder.is_none_or(|holder| holder.status != Status::Unconfirmed) {
        return Ok(false);
    }
    delete(pool, sub).await
}

/// AdminDeleteUser by `sub`. False if the user was gone already.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn delete(pool: &Pool, sub: &str) -> Result<bool, PoolError> {
    let deleted = pool
        .call_with_retry("AdminDeleteUser", || {
            pool.client()
                .admin_delete_user()
                .user_pool_id(pool.id().as_str())
                .username(sub)
                .send()
        })
        .await;
    match deleted {
        Err(error) if error.code() == "UserNotFoundException" => Ok(false),
        deleted => deleted.map(|_| true),
    }
}

/// AdminListGroupsForUser: the names of all groups that a user is in.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn groups(pool: &Pool, username: &str) -> Result<Vec<String>, PoolError> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = pool
            .call_with_retry("AdminListGroupsForUser", || {
                pool.client()
                    .admin_list_groups_for_user()
                    .user_pool_id(pool.id().as_str())
                    .username(username)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
        let incomplete =
            || AwsError::incomplete_response("AdminListGroupsForUser", pool.id(), "groups");
        let groups = page.groups.ok_or_else(incomplete)?;
        names.extend(groups.into_iter().filter_map(|group| group.group_name));
        token = page.next_token;
        if token.is_none() {
            return Ok(names);
        }
    }
}

/// AdminAddUserToGroup. A group that does not exist is a `ResourceNotFoundException`.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn add_to_group(pool: &Pool, username: &str, group: &str) -> Result<(), PoolError> {
    pool.call_with_retry("AdminAddUserToGroup", || {
        pool.client()
            .admin_add_user_to_group()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .group_name(group)
            .send()
    })
    .await
    .map(|_| ())
}

/// AdminRemoveUserFromGroup.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn remove_from_group(pool: &Pool, username: &str, group: &str) -> Result<(), PoolError> {
    pool.call_with_retry("AdminRemoveUserFromGroup", || {
        pool.client()
            .admin_remove_user_from_group()
            .user_pool_id(pool.id().as_str())
            .username(username)
            .group_name(group)
            .send()
    })
    .await
    .map(|_| ())
}

/// Without empty values, which Cognito would store.
fn to_sdk(attributes: &Attributes) -> Vec<AttributeType> {
    attributes
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| {
            AttributeType::builder()
                .name(name)
                .value(value)
                .build()
                .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_together_with_its_flag() {
        let attributes = Attributes::from_iter([
            ("email", "taro@example.jp"),
            ("email_verified", "true"),
            ("name", "Taro"),
            ("phone_number_verified", "false"),
        ]);

        let names: Vec<Vec<String>> = units(&attributes)
            .iter()
            .map(|unit| unit.iter().map(|(name, _)| name.to_owned()).collect())
            .collect();

        assert_eq!(
            names,
            [
                vec!["email", "email_verified"],
                vec!["name"],
                vec!["phone_number_verified"]
            ]
        );
    }
}
