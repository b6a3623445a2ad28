//! The groups of a pool, and their members.

use std::ops::ControlFlow;

use aws_sdk_cognitoidentityprovider::types::GroupType;

use crate::aws::error::AwsError;
use crate::cognito::pool::{Pool, PoolError};
use crate::person::Person;

/// The largest page (botocore ListGroups, ListUsersInGroup: 0 to 60).
const PER_PAGE: i32 = 60;

/// A group, without its role: a role's trust policy names an identity pool, which is regional (facts N2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, which never changes.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Its precedence: the lowest decides about the role of a member of several groups.
    pub precedence: Option<i32>,
    /// Whether it has a role.
    pub has_role: bool,
}

impl From<GroupType> for Group {
    fn from(group: GroupType) -> Self {
        Self {
            name: group.group_name.unwrap_or_default(),
            description: group
                .description
                .filter(|description| !description.is_empty()),
            precedence: group.precedence,
            has_role: group.role_arn.is_some_and(|role| !role.is_empty()),
        }
    }
}

/// ListGroups: all groups of a pool.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn list(pool: &Pool) -> Result<Vec<Group>, PoolError> {
    let mut groups = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = pool
            .call_with_retry("ListGroups", || {
                pool.client()
                    .list_groups()
                    .user_pool_id(pool.id().as_str())
                    .limit(PER_PAGE)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
        let incomplete = |missing| AwsError::incomplete_response("ListGroups", pool.id(), missing);
        let of_page = page.groups.ok_or_else(|| incomplete("groups"))?;
        groups.extend(of_page.into_iter().map(Group::from));
        if page.next_token.is_none() {
            return Ok(groups);
        }
        if page.next_token == token {
            return Err(incomplete("a new token").into());
        }
        token = page.next_token;
    }
}

/// ListGroups: whether the pool has a group.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn has_groups(pool: &Pool) -> Result<bool, PoolError> {
    let response = pool
        .call_with_retry("ListGroups", || {
            pool.client()
                .list_groups()
                .user_pool_id(pool.id().as_str())
                .limit(1)
                .send()
        })
        .await?;
    let incomplete = || AwsError::incomplete_response("ListGroups", pool.id(), "groups");
    Ok(!response.groups.ok_or_else(incomplete)?.is_empty())
}

/// CreateGroup, without a role.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn create(pool: &Pool, group: &Group) -> Result<(), PoolError> {
    let created = pool
        .call_with_retry("CreateGroup", || {
            pool.client()
                .create_group()
                .user_pool_id(pool.id().as_str())
                .group_name(&group.name)
                .set_description(group.description.clone())
                .set_precedence(group.precedence)
                .send()
        })
        .await;
    match created {
        // An attempt of ours, whose answer was lost; or somebody else was faster.
        Err(error) if error.code() == "GroupExistsException" => Ok(()),
        created => created.map(|_| ()),
    }
}

/// UpdateGroup, which leaves the role of the group alone. Gives what the group is now: a precedence cannot be taken away if UpdateGroup
/// keeps what is left out.
///
/// # Errors
///
/// The call failed, or the deadline passed.
pub async fn update(pool: &Pool, group: &Group) -> Result<Group, PoolError> {
    let updated = pool
        .call_with_retry("UpdateGroup", || {
            pool.client()
                .update_group()
                .user_pool_id(pool.id().as_str())
                .group_name(&group.name)
                // Whether an omitted description is kept or cleared is not documented (facts N2).
                .description(group.description.clone().unwrap_or_default())
                .set_precedence(group.precedence)
                .send()
        })
        .await?;
    let incomplete = || AwsError::incomplete_response("UpdateGroup", pool.id(), "a group");
    Ok(updated.group.map(Group::from).ok_or_else(incomplete)?)
}

/// A page of the members of a group.
#[derive(Debug)]
pub struct MembersPage {
    /// The members.
    pub people: Vec<Person>,
    /// The token of the next page; none after the last one.
    pub next: Option<String>,
}

/// ListUsersInGroup: passes each page of members to `receive` until that breaks, from the page with this token on. A token that is no
/// longer accepted begins anew. A group that does not exist has no members.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn list_members(
    pool: &Pool,
    group: &str,
    from: Option<String>,
    mut receive: impl AsyncFnMut(MembersPage) -> ControlFlow<()>,
) -> Result<(), PoolError> {
    // The token of another worker may have expired; this worker's own tokens are used at once.
    let mut may_have_expired = from.is_some();
    let mut token = from;
    loop {
        let page = pool
            .call_with_retry("ListUsersInGroup", || {
                pool.client()
                    .list_users_in_group()
                    .user_pool_id(pool.id().as_str())
                    .group_name(group)
                    .limit(PER_PAGE)
                    .set_next_token(token.clone())
                    .send()
            })
            .await;
        let page = match page {
            Err(error) if error.code() == "ResourceNotFoundException" => {
                let none = MembersPage {
                    people: Vec::new(),
                    next: None,
                };
                let _ = receive(none).await;
                return Ok(());
            }
            Err(PoolError::Aws(error)) if may_have_expired && error.is_call_rejected() => {
                (token, may_have_expired) = (None, false);
                continue;
            }
            page => page?,
        };
        may_have_expired = false;
        let incomplete =
            |missing| AwsError::incomplete_response("ListUsersInGroup", pool.id(), missing);
        let users = page.users.ok_or_else(|| incomplete("users"))?;
        if page.next_token.is_some() && page.next_token == token {
            return Err(incomplete("a new token").into());
        }
        token = page.next_token;
        let page = MembersPage {
            people: users.into_iter().map(Person::from).collect(),
            next: token.clone(),
        };
        if receive(page).await.is_break() || token.is_none() {
            return Ok(());
        }
    }
}
