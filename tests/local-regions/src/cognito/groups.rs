//! The groups of a pool and their members.
//!
//! Names are unique without regard to letter case, and are looked up exactly. What a change of a group or a membership does to
//! the UserLastModifiedDate of a member is not documented (facts N4); here it does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use serde_json::{Value, json};

use super::error::{Answer, ApiError};
use super::knobs::Millis;
use super::list_users::{LONGEST_PAGE, Place};
use super::params::{ARN, DESCRIPTION, GROUP_NAME, PAGE_TOKEN, POOL_ID, Params, USERNAME};
use super::pool::PoolState;
use super::token_trigger::GroupClaims;
use super::user::{Moment, sub_text};
use super::{Cognito, Inner, lock, seconds};

// facts N2: groups of a user, not adjustable [D].
const GROUPS_PER_USER: usize = 100;

/// A group, for tests that make one or look at one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupView {
    /// The name.
    pub name: String,
    /// The description.
    pub description: Option<String>,
    /// The ARN of the IAM role.
    pub role_arn: Option<String>,
    /// The precedence; the lowest one wins.
    pub precedence: Option<u32>,
}

struct Group {
    view: GroupView,
    created: Millis,
    modified: Millis,
}

/// Whether somebody was a member until this time, for ListUsersInGroup.
struct Shadow {
    until: Millis,
    was: bool,
}

/// The groups of a pool and their members.
#[derive(Default)]
pub(super) struct Groups {
    all: BTreeMap<String, Group>,
    /// The names in lower case.
    folded: BTreeSet<String>,
    members: BTreeMap<String, BTreeSet<u128>>,
    of_user: BTreeMap<u128, BTreeSet<String>>,
    shadows: BTreeMap<(String, u128), Vec<Shadow>>,
    /// The time when the last shadow ends.
    shadows_until: Millis,
}

impl Groups {
    fn get(&self, name: &str) -> Result<&Group, ApiError> {
        self.all.get(name).ok_or_else(unknown)
    }

    fn add(&mut self, view: GroupView, most: usize, now: Millis) -> Result<(), ApiError> {
        if self.folded.contains(&view.name.to_lowercase()) {
            // The text, and that names differing only in letter case collide (amplify-backend#1781) [I].
            let text = "A group with the name already exists.";
            return Err(ApiError::new("GroupExistsException", text));
        }
        if self.all.len() >= most {
            // botocore CreateGroup lists the exception [D]; the text is [Inf].
            let text = "The user pool has too many groups.";
            return Err(ApiError::new("LimitExceededException", text));
        }
        self.folded.insert(view.name.to_lowercase());
        let group = Group {
            created: now,
            modified: now,
            view,
        };
        self.all.insert(group.view.name.clone(), group);
        Ok(())
    }

    /// Deletes a group with its memberships.
    fn delete(&mut self, name: &str, at: Moment) -> Result<(), ApiError> {
        self.get(name)?;
        for sub in self.members.get(name).cloned().unwrap_or_default() {
            self.leave(name, sub, at);
        }
        self.members.remove(name);
        self.folded.remove(&name.to_lowercase());
        self.all.remove(name);
        Ok(())
    }

    // facts N2: adding a member twice is widely treated as idempotent [U].
    fn join(&mut self, name: &str, sub: u128, at: Moment) -> Result<(), ApiError> {
        self.get(name)?;
        let own = self.of_user.entry(sub).or_default();
        if own.len() >= GROUPS_PER_USER && !own.contains(name) {
            // facts N2: the limit [D]; the exception, which botocore does not list, and the text are [Inf].
            let text = "The user is in too many groups.";
            return Err(ApiError::new("LimitExceededException", text));
        }
        if own.insert(name.to_owned()) {
            self.members.entry(name.to_owned()).or_default().insert(sub);
            self.remember(name, sub, false, at);
        }
        Ok(())
    }

    fn leave(&mut self, name: &str, sub: u128, at: Moment) {
        let left = self
            .members
            .get_mut(name)
            .is_some_and(|members| members.remove(&sub));
        if let Some(own) = self.of_user.get_mut(&sub).filter(|_| left) {
            own.remove(name);
            if own.is_empty() {
                self.of_user.remove(&sub);
            }
            self.remember(name, sub, true, at);
        }
    }

    /// Ends all memberships of a user who is deleted.
    pub(super) fn leave_all(&mut self, sub: u128, at: Moment) {
        for name in self.of_user.get(&sub).cloned().unwrap_or_default() {
            self.leave(&name, sub, at);
        }
    }

    /// Keeps what a membership was, as long as the listing must show it.
    fn remember(&mut self, name: &str, sub: u128, was: bool, at: Moment) {
        if at.now >= self.shadows_until {
            self.shadows.clear();
        }
        if at.listed > at.now {
            let until = at.listed;
            self.shadows_until = self.shadows_until.max(until);
            let key = (name.to_owned(), sub);
            self.shadows
                .entry(key)
                .or_default()
                .push(Shadow { until, was });
        }
    }

    /// The names of a user's groups, in order.
    fn of(&self, sub: u128) -> impl Iterator<Item = &str> {
        self.of_user
            .get(&sub)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// The members from a `sub` on as ListUsersInGroup shows them now, in order of `sub`.
    fn listed(&self, name: &str, from: u128, now: Millis) -> impl Iterator<Item = u128> {
        let live = self.members.get(name).into_iter();
        let mut live = live
            .flat_map(move |members| members.range(from..).copied())
            .peekable();
        let keys = (name.to_owned(), from)..=(name.to_owned(), u128::MAX);
        let mut shadows = self.shadows.range(keys).peekable();
        let merged = iter::from_fn(move || {
            let heads = [live.peek().copied(), shadows.peek().map(|head| head.0.1)];
            let next = heads.into_iter().flatten().min()?;
            let is_member = live.next_if_eq(&next).is_some();
            let shadow = shadows.next_if(|((_, sub), _)| *sub == next);
            let former = shadow.and_then(|(_, all)| all.iter().find(|shadow| shadow.until > now));
            Some((next, former.map_or(is_member, |shadow| shadow.was)))
        });
        merged.filter_map(|(sub, shown)| shown.then_some(sub))
    }
}

impl Groups {
    /// The groups in a user's tokens, with their roles.
    // DG:cognito-user-pools-user-groups: the preferred role is that of the group with the lowest precedence; if several groups have
    // it with different roles, there is none [D].
    pub(super) fn claims_of(&self, sub: u128) -> GroupClaims {
        let own: Vec<_> = self.of(sub).filter_map(|name| self.all.get(name)).collect();
        let lowest = own.iter().filter_map(|group| group.view.precedence).min();
        let first = own.iter().filter(|group| group.view.precedence == lowest);
        let mut preferred: Vec<_> = first
            .filter_map(|group| group.view.role_arn.clone())
            .collect();
        preferred.dedup();
        GroupClaims {
            names: own.iter().map(|group| group.view.name.clone()).collect(),
            roles: own.iter().filter_map(|g| g.view.role_arn.clone()).collect(),
            preferred_role: preferred.pop().filter(|_| preferred.is_empty()),
        }
    }
}

// https://github.com/aws-amplify/amplify-cli/issues/2214 [I].
fn unknown() -> ApiError {
    ApiError::not_found("Group not found.")
}

impl PoolState {
    /// `GroupType` of the API; the members without a value are missing.
    fn group_type(&self, group: &Group) -> Value {
        let GroupView {
            name,
            description,
            role_arn,
            precedence,
        } = &group.view;
        let mut described = json!({
            "GroupName": name,
            "UserPoolId": self.id,
            "CreationDate": seconds(group.created),
            "LastModifiedDate": seconds(group.modified),
        });
        for (member, value) in [("Description", description), ("RoleArn", role_arn)] {
            if let Some(value) = value {
                described[member] = value.as_str().into();
            }
        }
        if let Some(precedence) = precedence {
            described["Precedence"] = (*precedence).into();
        }
        described
    }
}

/// The members that CreateGroup and UpdateGroup have in common.
fn read_group(p: &mut Params<'_>) -> GroupView {
    GroupView {
        name: p.required("GroupName", &GROUP_NAME).to_owned(),
        description: p.optional("Description", &DESCRIPTION).map(str::to_owned),
        role_arn: p.optional("RoleArn", &ARN).map(str::to_owned),
        precedence: p
            .number("Precedence", 0, i32::MAX as u64)
            .and_then(|number| u32::try_from(number).ok()),
    }
}

impl Inner {
    /// The current time, and the time from which ListUsersInGroup shows a change that happens now.
    fn group_moment(&self) -> Moment {
        let now = self.clock.now();
        Moment {
            now,
            listed: now + self.knobs.group_lag().as_millis() as Millis,
        }
    }

    pub(super) fn create_group(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let view = read_group(&mut p);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let name = view.name.clone();
        pool.groups
            .add(view, self.knobs.most_groups(), self.clock.now())?;
        Ok(json!({"Group": pool.group_type(pool.groups.get(&name)?)}))
    }

    pub(super) fn get_group(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("GroupName", &GROUP_NAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        Ok(json!({"Group": pool.group_type(pool.groups.get(name)?)}))
    }

    pub(super) fn update_group(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let new = read_group(&mut p);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let group = pool.groups.all.get_mut(&new.name).ok_or_else(unknown)?;
        group.modified = self.clock.now();
        let keeps = self.knobs.update_group_keeps();
        let former = std::mem::replace(&mut group.view, new);
        if keeps {
            let new = &mut group.view;
            new.description = new.description.take().or(former.description);
            new.role_arn = new.role_arn.take().or(former.role_arn);
            new.precedence = new.precedence.or(former.precedence);
        }
        Ok(json!({"Group": pool.group_type(pool.groups.get(&former.name)?)}))
    }

    pub(super) fn delete_group(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("GroupName", &GROUP_NAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        lock(&pool).groups.delete(name, self.group_moment())?;
        Ok(json!({}))
    }

    pub(super) fn admin_add_user_to_group(&self, p: Params<'_>) -> Answer {
        self.change_membership(p, |groups, name, sub, at| groups.join(name, sub, at))
    }

    // That removing somebody who is not a member is not an error is [Inf].
    pub(super) fn admin_remove_user_from_group(&self, p: Params<'_>) -> Answer {
        self.change_membership(p, |groups, name, sub, at| {
            groups.get(name)?;
            groups.leave(name, sub, at);
            Ok(())
        })
    }

    fn change_membership(
        &self,
        mut p: Params<'_>,
        change: impl FnOnce(&mut Groups, &str, u128, Moment) -> Result<(), ApiError>,
    ) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let name = p.required("GroupName", &GROUP_NAME);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let mut pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        change(&mut pool.groups, name, sub, self.group_moment())?;
        Ok(json!({}))
    }

    pub(super) fn list_groups(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let page = self.names_page(&mut p);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let names = pool.groups.all.keys().map(String::as_str);
        self.list_names(&pool, names, page, &["ListGroups", pool_id])
    }

    pub(super) fn admin_list_groups_for_user(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let username = p.required("Username", &USERNAME);
        let page = self.names_page(&mut p);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        let (sub, _) = pool.must_find(username)?;
        let request = ["AdminListGroupsForUser", pool_id, &sub_text(sub)];
        self.list_names(&pool, pool.groups.of(sub), page, &request)
    }

    fn names_page<'a>(&self, p: &mut Params<'a>) -> (usize, Option<&'a str>) {
        // botocore QueryLimitType: 0 to 60 [D]. That 0 means the longest page is [Inf].
        let limit = p.number("Limit", 0, LONGEST_PAGE);
        let limit = limit.filter(|&limit| limit > 0).unwrap_or(LONGEST_PAGE);
        (limit as usize, p.optional("NextToken", &PAGE_TOKEN))
    }

    /// One page of groups in order of their names.
    fn list_names<'n>(
        &self,
        pool: &PoolState,
        names: impl Iterator<Item = &'n str>,
        (limit, token): (usize, Option<&str>),
        request: &[&str],
    ) -> Answer {
        let after = token
            .map(|token| self.unseal(token, request))
            .transpose()?
            .map(|place| String::from_utf8(place).expect("a name was sealed"));
        let mut rest = names
            .filter(|name| after.as_deref().is_none_or(|after| *name > after))
            .peekable();
        let page: Vec<_> = rest.by_ref().take(limit).collect();
        let groups: Result<Vec<_>, _> = page
            .iter()
            .map(|name| Ok(pool.group_type(pool.groups.get(name)?)))
            .collect();
        let mut answer = json!({"Groups": groups?});
        if let Some(last) = page.last().filter(|_| rest.peek().is_some()) {
            answer["NextToken"] = self.seal(last.as_bytes(), request).into();
        }
        Ok(answer)
    }

    // facts N2: pages may be shorter than Limit before the end, and show the whole UserType [D]. That the listing lags behind like
    // ListUsers is [Inf].
    pub(super) fn list_users_in_group(&self, mut p: Params<'_>) -> Answer {
        let pool_id = p.required("UserPoolId", &POOL_ID);
        let name = p.required("GroupName", &GROUP_NAME);
        let (limit, token) = self.names_page(&mut p);
        p.check()?;
        let pool = self.pool(pool_id)?;
        let pool = lock(&pool);
        pool.groups.get(name)?;
        let request = ["ListUsersInGroup", pool_id, name];
        let place = self.place(token, &request)?;
        let (count, linger) = self.shape(limit, &place);
        let now = self.clock.now();
        let from = match place.after {
            Some(u128::MAX) => return Ok(json!({"Users": []})),
            after => after.map_or(0, |after| after + 1),
        };
        let members = pool.groups.listed(name, from, now);
        let mut found = members.filter_map(|sub| pool.users.listed(sub..=sub, now).next());
        let page: Vec<_> = found.by_ref().take(count).collect();
        let more = found.next().is_some();
        let users = page.iter().map(|(sub, user)| pool.user_type(*sub, user));
        let mut answer = json!({"Users": users.collect::<Vec<_>>()});
        if more || (linger && !page.is_empty()) {
            let next = Place {
                after: page.last().map(|(sub, _)| *sub).or(place.after),
                page: place.page + 1,
            };
            answer["NextToken"] = self.seal(&next.to_bytes(), &request).into();
        }
        Ok(answer)
    }
}

/// Groups without an API call. The limits do not apply; the lag of ListUsersInGroup does.
impl Cognito {
    /// Makes a group, or replaces what is known of it.
    pub fn put_group(&self, pool_id: &str, group: GroupView) {
        let now = self.0.clock.now();
        self.state(pool_id, |pool| match pool.groups.all.get_mut(&group.name) {
            Some(known) => {
                known.view = group;
                known.modified = now;
            }
            None => pool
                .groups
                .add(group, usize::MAX, now)
                .expect("no group whose name differs only in letter case"),
        });
    }

    /// Deletes a group with its memberships.
    pub fn remove_group(&self, pool_id: &str, name: &str) {
        let at = self.0.group_moment();
        self.state(pool_id, |pool| {
            pool.groups.delete(name, at).expect("a group of the pool");
        });
    }

    /// The groups of a pool, in order of their names.
    pub fn groups(&self, pool_id: &str) -> Vec<GroupView> {
        self.state(pool_id, |pool| {
            let groups = pool.groups.all.values();
            groups.map(|group| group.view.clone()).collect()
        })
    }

    /// Puts a user into a group, which is made if it does not exist.
    pub fn add_to_group(&self, pool_id: &str, username: &str, group: &str) {
        let at = self.0.group_moment();
        self.state(pool_id, |pool| {
            let (sub, _) = pool.find(username).expect("a user of the pool");
            if pool.groups.get(group).is_err() {
                let view = GroupView {
                    name: group.to_owned(),
                    ..GroupView::default()
                };
                let made = pool.groups.add(view, usize::MAX, at.now);
                made.expect("no group whose name differs only in letter case");
            }
            let joined = pool.groups.join(group, sub, at);
            joined.expect("the user is in fewer than 100 groups");
        });
    }

    /// Takes a user out of a group.
    pub fn remove_from_group(&self, pool_id: &str, username: &str, group: &str) {
        let at = self.0.group_moment();
        self.state(pool_id, |pool| {
            let (sub, _) = pool.find(username).expect("a user of the pool");
            pool.groups.leave(group, sub, at);
        });
    }

    /// The names of the groups that a user is in now.
    pub fn groups_of(&self, pool_id: &str, username: &str) -> BTreeSet<String> {
        self.state(pool_id, |pool| {
            let (sub, _) = pool.find(username).expect("a user of the pool");
            pool.groups.of(sub).map(str::to_owned).collect()
        })
    }

    /// The `sub` of everybody who is in a group now; empty if there is no such group.
    pub fn members_of(&self, pool_id: &str, group: &str) -> BTreeSet<String> {
        self.state(pool_id, |pool| {
            let members = pool.groups.members.get(group).into_iter().flatten();
            members.map(|sub| sub_text(*sub)).collect()
        })
    }
}
