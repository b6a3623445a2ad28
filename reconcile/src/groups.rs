//! Groups and their members. Definitions are few, and compared as they are. Memberships are read group by group, because that takes one
//! call for sixty of them, and are sorted and joined like users. Every write is decided on a fresh look at both users.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use replication::holder::find_original;
use serde::{Deserialize, Serialize};
use shared::aws::AwsError;
use shared::cognito::groups::{self, Group};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::environment::CustomAttribute;
use shared::person::Person;
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;
use shared::s3::rolling_upload::RollingUpload;
use tokio::sync::mpsc;

use crate::changes::Changes;
use crate::compare::time_to_join;
use crate::error::{ReconcileError, no_plan};
use crate::guard::Kind;
use crate::json_lines::JsonLines;
use crate::listed::{Listed, State, Sub};
use crate::mirror::{Mirror, is_refused, not_looked_at};
use crate::outcome::{Done, Outcome, Pair};
use crate::progress::Progress;
use crate::refused::RefusedValues;
use crate::request::{RunContext, Step};
use crate::sorted::hash::hash16;
use crate::sorted::join::Join;
use crate::sorted::merged::Merged;
use crate::sorted::sorter::Sorter;
use crate::sorted::{Record, Run, SHARD_COUNT};

/// Groups whose members are listed concurrently, and after which the progress may be stored.
const CONCURRENT_GROUPS: usize = 8;

/// Pages of members that wait for the receiving side.
const MAX_WAITING_PAGES: usize = 4;

/// Memberships looked at concurrently.
const CONCURRENT_MEMBERS: usize = 8;

/// Memberships between two looks at the clock.
const BATCH: usize = 32;

/// The longest time of which a killed worker loses the lines of changes.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The most groups that a user can be in (DG:quotas).
const MAX_GROUPS_OF_USER: usize = 100;

/// The reason for which somebody is reported who is in a group of the secondary pool, and has used that pool.
pub const CHANGED_IN_SECONDARY: &str = "group-changed-in-secondary";

/// How far the groups of a run are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupProgress {
    step: GroupStep,
    /// The groups of the primary pool, sorted.
    names: Vec<String>,
    /// Groups whose members have been listed.
    listed: usize,
    /// How far the groups after these have been listed, by their place in `names`: in the primary and in the secondary pool.
    pages: (Pages, Pages),
    primary: Vec<Run>,
    secondary: Vec<Run>,
    shard: usize,
    plan: Vec<String>,
    file: usize,
    line: u64,
}

/// How far groups have been listed: the token of the next page, or none at the end.
type Pages = BTreeMap<usize, Option<String>>;

impl GroupProgress {
    /// Whether all groups have been compared.
    pub fn is_finished(&self) -> bool {
        self.step == GroupStep::Finished
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GroupStep {
    #[default]
    Definitions,
    Listing,
    Joining,
    Writing,
    Finished,
}

/// What compares groups.
pub struct Groups<'a> {
    /// Looks at people, and writes.
    pub mirror: &'a Mirror<'a>,
    /// The primary pool, to list members.
    pub listed_primary: &'a Pool,
    /// The secondary pool, to list members.
    pub listed_secondary: &'a Pool,
    /// The pools, to read and write definitions.
    pub definitions: (&'a Pool, &'a Pool),
    /// The run.
    pub context: &'a RunContext<'a>,
}

/// A member of a group, sorted by identity.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Member {
    /// The hash of the identity.
    identity: [u8; 16],
    group: u32,
    sub: Sub,
    is_active: bool,
}

impl Record for Member {
    const SIZE: usize = 16 + 4 + Sub::LENGTH + 1;

    const MAX_IN_GROUP: usize = MAX_GROUPS_OF_USER;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.identity);
        out.extend_from_slice(&self.group.to_le_bytes());
        out.extend_from_slice(self.sub.bytes());
        out.push(self.is_active.into());
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            identity: bytes[..16].try_into().expect("sixteen bytes"),
            group: u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes")),
            sub: Sub::from_bytes(&bytes[20..20 + Sub::LENGTH]),
            is_active: bytes[20 + Sub::LENGTH] == 1,
        }
    }

    fn key(&self) -> [u8; 16] {
        self.identity
    }

    fn is_same(&self, other: &Self) -> bool {
        self.sub == other.sub && self.group == other.group
    }
}

/// A line of the plan: somebody who is in a group of one pool, and not in the same group of the other, as the listings say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Difference {
    #[serde(rename = "g")]
    group: u32,
    /// Whoever is in the group of the primary pool.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    /// Their user in the secondary pool, if it was listed. Without `primary`, whoever is in the group of the secondary pool.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    secondary: Option<String>,
}

/// In which groups people with one identity are in one pool alone. `users` are those of the secondary pool with this identity.
fn differences<'a>(
    primary: &'a [Member],
    secondary: &'a [Member],
    users: &[Listed],
) -> impl Iterator<Item = Difference> + 'a {
    let listed = match users {
        [user] => Some(user.sub.as_str().to_owned()),
        _ => None,
    };
    let is_alone = |member: &Member, own: &[Member], others: &[Member]| {
        let is_of_group = |other: &&Member| other.group == member.group;
        let in_group = |members: &[Member]| members.iter().filter(is_of_group).count();
        in_group(own) == 1 && in_group(others) == 0
    };
    let added = primary.iter();
    let added =
        added.filter(move |member| member.is_active && is_alone(member, primary, secondary));
    let removed = secondary.iter();
    let removed = removed.filter(move |member| is_alone(member, secondary, primary));
    let added = added.map(move |member| Difference {
        group: member.group,
        primary: Some(member.sub.as_str().to_owned()),
        secondary: listed.clone(),
    });
    added.chain(removed.map(|member| Difference {
        group: member.group,
        primary: None,
        secondary: Some(member.sub.as_str().to_owned()),
    }))
}

/// What is done about a group of the primary pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Definition {
    Same,
    Create,
    Update,
    /// It differs only in a precedence that it has in the secondary pool, and that UpdateGroup may not be able to take away.
    KeepsPrecedence(i32),
}

/// Whether the secondary pool has kept this precedence of a group when it was to be taken away: it is not tried again until it changes.
async fn is_kept(bucket: &Bucket, group: &str, precedence: i32) -> Result<bool, ReconcileError> {
    let kept = RefusedValues::read(bucket, &identity_of_group(group)).await?;
    Ok(kept.contains("precedence", &precedence.to_string()))
}

async fn remember_kept(
    bucket: &Bucket,
    group: &str,
    precedence: i32,
) -> Result<(), ReconcileError> {
    let identity = identity_of_group(group);
    let mut kept = RefusedValues::read(bucket, &identity).await?;
    kept.insert("precedence", &precedence.to_string());
    kept.save(bucket, &identity).await
}

/// The place of a group among the identities of people, none of which has a space.
fn identity_of_group(group: &str) -> String {
    format!("group {group}")
}

/// Whether Cognito has made the group, for the users of an identity provider (facts N2).
fn is_cognitos_own(group: &str, pool: &Pool) -> bool {
    group
        .strip_prefix(pool.id().as_str())
        .is_some_and(|rest| rest.starts_with('_'))
}

fn compare_definition(primary: &Group, secondary: Option<&Group>) -> Definition {
    match secondary {
        None => Definition::Create,
        Some(secondary)
            if primary.description == secondary.description
                && primary.precedence == secondary.precedence =>
        {
            Definition::Same
        }
        Some(Group {
            description,
            precedence: Some(precedence),
            ..
        }) if *description == primary.description && primary.precedence.is_none() => {
            Definition::KeepsPrecedence(*precedence)
        }
        Some(_) => Definition::Update,
    }
}

impl Groups<'_> {
    /// Compares what has not been compared yet. False when the time is up.
    ///
    /// # Errors
    ///
    /// A service did not answer, or the deadline passed. What was done is in `progress`.
    pub async fn compare(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<bool, ReconcileError> {
        if progress.groups.step == GroupStep::Definitions {
            self.mirror_definitions(progress, changes).await?;
            progress.groups.step = GroupStep::Listing;
            self.mirror.save(progress, changes).await?;
        }
        if progress.groups.step == GroupStep::Listing {
            if !self.list_members(progress).await? {
                return Ok(false);
            }
            progress.groups.step = GroupStep::Joining;
            self.mirror.save(progress, changes).await?;
        }
        if progress.groups.step == GroupStep::Joining {
            while progress.groups.shard < SHARD_COUNT {
                // A shard is joined whole or not at all.
                let records = records_of_shard(progress);
                if !self.context.has_time_for(time_to_join(records)) {
                    return Ok(false);
                }
                if records > 0 {
                    let (plan, removals) = self.join_shard(progress).await?;
                    progress.groups.plan.extend(plan);
                    // After an error the shard is joined again, and counts once.
                    (0..removals).for_each(|_| self.mirror.plan(Kind::RemoveMembership));
                }
                progress.groups.shard += 1;
            }
            progress.groups.step = GroupStep::Writing;
            self.mirror.save(progress, changes).await?;
        }
        if progress.groups.step == GroupStep::Writing {
            if !self.write(progress, changes).await? {
                return Ok(false);
            }
            progress.groups.step = GroupStep::Finished;
        }
        Ok(true)
    }

    /// Gives the secondary pool the groups of the primary pool. Groups that only the secondary pool has are left, and reported.
    async fn mirror_definitions(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<(), ReconcileError> {
        let (primary, secondary) = self.definitions;
        let of = async |pool: &Pool| -> Result<BTreeMap<String, Group>, PoolError> {
            let groups = groups::list(pool).await?.into_iter();
            let groups = groups.filter(|group| !is_cognitos_own(&group.name, pool));
            Ok(groups.map(|group| (group.name.clone(), group)).collect())
        };
        let (of_primary, of_secondary) = (of(primary).await?, of(secondary).await?);
        let nobody = Pair::default();
        for (name, group) in &of_primary {
            let mut outcome = Outcome::default();
            let bucket = self.mirror.bucket;
            let definition = compare_definition(group, of_secondary.get(name));
            let mut is_kept = match definition {
                Definition::KeepsPrecedence(precedence) => {
                    is_kept(bucket, name, precedence).await?
                }
                _ => false,
            };
            let (action, written) = match definition {
                Definition::Same => ("", None),
                _ if is_kept => ("", None),
                Definition::Create if self.mirror.is_dry_run => ("create-group", Some(Ok(None))),
                _ if self.mirror.is_dry_run => ("update-group", Some(Ok(None))),
                Definition::Create => {
                    let created = groups::create(secondary, group).await;
                    ("create-group", Some(created.map(|()| None)))
                }
                Definition::Update | Definition::KeepsPrecedence(_) => {
                    let updated = groups::update(secondary, group).await;
                    ("update-group", Some(updated.map(Some)))
                }
            };
            let done = match written {
                None => None,
                Some(Ok(_)) if self.mirror.is_dry_run => Some(Done::Planned),
                Some(Ok(updated)) => {
                    let precedence = updated.and_then(|updated| updated.precedence);
                    if let (Some(precedence), None) = (precedence, group.precedence) {
                        remember_kept(bucket, name, precedence).await?;
                        is_kept = true;
                    }
                    Some(Done::Done)
                }
                Some(Err(PoolError::Aws(error))) if is_refused(&error) => {
                    outcome.failed += 1;
                    Some(Done::Refused(error.code().to_owned()))
                }
                Some(Err(error)) => return Err(error.into()),
            };
            if let Some(done) = done {
                outcome.counts.group_changes += u64::from(!matches!(done, Done::Refused(_)));
                outcome.line(&nobody, action, vec![name.clone()], done);
            }
            if is_kept {
                outcome.report(&nobody, "group-precedence-kept", vec![name.clone()]);
            }
            if group.has_role {
                // Its trust policy names an identity pool of the primary region (facts N2).
                outcome.report(&nobody, "group-role", vec![name.clone()]);
            }
            changes.add(outcome, progress).await?;
        }
        for name in of_secondary
            .keys()
            .filter(|name| !of_primary.contains_key(*name))
        {
            let mut outcome = Outcome::default();
            outcome.report(&nobody, "group-not-in-primary", vec![name.clone()]);
            changes.add(outcome, progress).await?;
        }
        progress.groups.names = of_primary.into_keys().collect();
        Ok(())
    }

    /// Lists the members of all groups in both pools. False when the time is up.
    async fn list_members(&self, progress: &mut Progress) -> Result<bool, ReconcileError> {
        let bucket = self.mirror.bucket;
        let sorter = |name, runs: &Vec<Run>| {
            let part = progress.part(name);
            Sorter::<Member>::new(bucket, move |n| format!("{part}-{n:04}"), runs.clone())
        };
        let mut of_primary = sorter("members-primary", &progress.groups.primary);
        let mut of_secondary = sorter("members-secondary", &progress.groups.secondary);
        let names = progress.groups.names.clone();
        let mut listed = progress.groups.listed;
        let mut pages = std::mem::take(&mut progress.groups.pages);
        let mut result = Ok(true);
        while listed < names.len() {
            if self.context.is_time_up() {
                result = Ok(false);
                break;
            }
            let batch = listed..(listed + CONCURRENT_GROUPS).min(names.len());
            let (primary, secondary) = (self.listed_primary, self.listed_secondary);
            let primary = self.members_of(
                primary,
                &names,
                batch.clone(),
                &mut pages.0,
                &mut of_primary,
            );
            let secondary = self.members_of(
                secondary,
                &names,
                batch.clone(),
                &mut pages.1,
                &mut of_secondary,
            );
            let (primary, secondary) = tokio::join!(primary, secondary);
            if let Err(error) = primary.and(secondary) {
                result = Err(error);
                break;
            }
            listed = batch.end;
            pages = Default::default();
            (self.context.on_progress)(Step::Groups(listed as u64, names.len() as u64));
        }
        // Together, so that no member is left out after a failure. Whoever is listed again counts once.
        progress.groups.primary = of_primary.flush().await?.to_vec();
        progress.groups.secondary = of_secondary.flush().await?.to_vec();
        progress.groups.listed = listed;
        progress.groups.pages = pages;
        progress.store(bucket).await?;
        result
    }

    async fn members_of(
        &self,
        pool: &Pool,
        names: &[String],
        batch: std::ops::Range<usize>,
        pages: &mut Pages,
        sorter: &mut Sorter<Member>,
    ) -> Result<(), ReconcileError> {
        let origin = self.mirror.comparison.origin();
        let (sender, mut received) = mpsc::channel(MAX_WAITING_PAGES);
        let unlisted: Vec<_> = batch
            .filter_map(|index| match pages.get(&index) {
                None => Some((index, None)),
                Some(Some(token)) => Some((index, Some(token.clone()))),
                Some(None) => None,
            })
            .collect();
        let listing = async {
            let sender = sender;
            let listed = stream::iter(unlisted)
                .map(async |(index, from)| {
                    let receive = async |page| {
                        // The receiving side has failed, and says why.
                        let sent = sender.send((index, page)).await;
                        sent.map_or(ControlFlow::Break(()), ControlFlow::Continue)
                    };
                    groups::list_members(pool, &names[index], from, receive).await
                })
                .buffer_unordered(CONCURRENT_GROUPS)
                .try_collect::<()>()
                .await;
            // The last sender ends here, and with it the receiving side.
            drop(sender);
            listed
        };
        let receiving = async {
            while let Some((index, page)) = received.recv().await {
                for person in &page.people {
                    let member = member(person, index, pool, origin)?;
                    sorter.add(member).await?;
                }
                pages.insert(index, page.next);
            }
            Ok::<_, ReconcileError>(())
        };
        // What was received counts, although the listing may have been cut off.
        let (listed, received) = tokio::join!(listing, receiving);
        received?;
        Ok(listed?)
    }

    /// Joins a shard. Gives the files of the plan, and how many memberships it suggests to remove.
    async fn join_shard(&self, progress: &Progress) -> Result<(Vec<String>, u64), ReconcileError> {
        let mut removals = 0;
        let (bucket, shard) = (self.mirror.bucket, progress.groups.shard);
        let part = progress.part(&format!("plan-groups-{shard:x}"));
        let key = move |number| format!("{part}-{number}.jsonl");
        let mut plan = RollingUpload::new(bucket, key, 1, String::new(), None);
        let mut join = Join::new(
            Merged::<Member>::shard(bucket, &progress.groups.primary, shard),
            Merged::<Member>::shard(bucket, &progress.groups.secondary, shard),
            Merged::<Listed>::shard(bucket, &progress.secondary.runs, shard),
        );
        while let Some(joined) = join.next().await? {
            let (of_primary, of_secondary) = (joined.primary.records, joined.secondary.records);
            for difference in differences(of_primary, of_secondary, joined.marks.records) {
                removals += u64::from(difference.primary.is_none());
                plan.write_row(&to_json(&difference)).await?;
            }
        }
        let files = plan.finish().await?.into_iter();
        Ok((files.map(|file| file.object.key).collect(), removals))
    }

    /// Looks at every difference. False when the time is up.
    async fn write(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<bool, ReconcileError> {
        let names = progress.groups.names.clone();
        let mut last_saved = Instant::now();
        while let Some(file) = progress.groups.plan.get(progress.groups.file).cloned() {
            let bucket = self.mirror.bucket;
            let lines = JsonLines::open(bucket, &file, progress.groups.line).await?;
            let mut lines = lines.ok_or_else(|| no_plan(bucket))?;
            loop {
                if self.context.is_time_up() {
                    return Ok(false);
                }
                let (batch, read) = lines.next_batch::<Difference>(BATCH, |_| true).await?;
                if read == 0 {
                    break;
                }
                let mut outcomes = stream::iter(&batch)
                    .map(|difference| self.look(difference, &names))
                    .buffer_unordered(CONCURRENT_MEMBERS);
                let mut error = None;
                while let Some(outcome) = outcomes.next().await {
                    match outcome {
                        Ok(outcome) => changes.add(outcome, progress).await?,
                        Err(failed) => error = error.or(Some(failed)),
                    }
                }
                if let Some(error) = error {
                    return Err(error);
                }
                progress.groups.line += read;
                if last_saved.elapsed() >= SAVE_INTERVAL {
                    self.mirror.save(progress, changes).await?;
                    last_saved = Instant::now();
                } else {
                    self.mirror.save_counts(progress).await?;
                }
            }
            progress.groups.file += 1;
            progress.groups.line = 0;
        }
        Ok(true)
    }

    /// Looks at one membership.
    async fn look(
        &self,
        difference: &Difference,
        names: &[String],
    ) -> Result<Outcome, ReconcileError> {
        let mut outcome = Outcome::default();
        let Some(group) = names.get(difference.group as usize) else {
            return Ok(outcome);
        };
        loop {
            let looked = match (&difference.primary, &difference.secondary) {
                (Some(sub), listed) => self.add(sub, listed.as_deref(), group, &mut outcome).await,
                (None, Some(sub)) => self.remove(sub, group, &mut outcome).await,
                (None, None) => Ok(()),
            };
            match looked {
                Err(error) if error.is_too_late() => continue,
                Err(error) => {
                    let subs = (
                        difference.primary.as_deref(),
                        difference.secondary.as_deref(),
                    );
                    let pair = Pair::of(subs.0, subs.1);
                    not_looked_at(error, &pair, vec![group.clone()], &mut outcome)?;
                }
                Ok(()) => {}
            }
            return Ok(outcome);
        }
    }

    /// `listed` is their user in the secondary pool, if it was listed.
    async fn add(
        &self,
        sub: &str,
        listed: Option<&str>,
        group: &str,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let mirror = self.mirror;
        let Some(primary) = users::look_up(mirror.primary, sub).await? else {
            return Ok(());
        };
        if State::of(&primary.status) != State::Active
            || !self.is_in(mirror.primary, sub, group).await?
        {
            return Ok(());
        }
        let Some(secondary) = mirror.find_pair(&primary, listed).await? else {
            // They are missing, or known under another name there, without their identity.
            let pair = Pair::of(primary.sub(), None);
            outcome.report(&pair, "group-not-added", vec![group.to_owned()]);
            return Ok(());
        };
        let pair = Pair::of(primary.sub(), secondary.sub());
        if self.is_in(mirror.lookups, pair.secondary(), group).await? {
            return Ok(());
        }
        let added = mirror
            .write(
                outcome,
                &pair,
                "add-to-group",
                vec![group.to_owned()],
                async {
                    users::add_to_group(mirror.secondary.pool(), pair.secondary(), group).await
                },
            )
            .await?;
        outcome.counts.group_changes += u64::from(added);
        Ok(())
    }

    async fn remove(
        &self,
        sub: &str,
        group: &str,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let mirror = self.mirror;
        let Some(secondary) = users::look_up(mirror.lookups, sub).await? else {
            return Ok(());
        };
        let origin = mirror.comparison.origin();
        let identity = secondary.attributes.identity(origin).unwrap_or_default();
        let original = find_original(mirror.primary, identity, &secondary, origin).await?;
        // Whoever has no user in the primary pool keeps the groups: a newcomer, or somebody who is withheld.
        let Some(original) = original else {
            return Ok(());
        };
        let pair = Pair::of(original.sub(), secondary.sub());
        if self.is_in(mirror.primary, pair.primary(), group).await?
            || !self.is_in(mirror.lookups, pair.secondary(), group).await?
        {
            return Ok(());
        }
        if mirror.record(&secondary).await?.is_some() || secondary.mfa {
            outcome.report(&pair, CHANGED_IN_SECONDARY, vec![group.to_owned()]);
            return Ok(());
        }
        let (kind, action) = (Kind::RemoveMembership, "remove-from-group");
        if !mirror.admit_or_hold(kind, outcome, &pair, action, vec![group.to_owned()]) {
            return Ok(());
        }
        let removed = mirror
            .write(outcome, &pair, action, vec![group.to_owned()], async {
                users::remove_from_group(mirror.secondary.pool(), pair.secondary(), group).await
            })
            .await;
        let removed = mirror.take_back_unless_made(kind, removed)?;
        outcome.counts.group_changes += u64::from(removed);
        Ok(())
    }

    async fn is_in(&self, pool: &Pool, sub: &str, group: &str) -> Result<bool, ReconcileError> {
        let groups = users::groups(pool, sub).await?;
        Ok(groups.iter().any(|name| name == group))
    }
}

/// The records of the shard to be joined next: members of both pools, and users of the secondary pool. None where nobody is in a group.
fn records_of_shard(progress: &Progress) -> u64 {
    let of = |runs: &[Run]| -> u64 {
        let runs = runs.iter();
        runs.map(|run| run.records_of_shard(progress.groups.shard))
            .sum()
    };
    match of(&progress.groups.primary) + of(&progress.groups.secondary) {
        0 => 0,
        members => members + of(&progress.secondary.runs),
    }
}

/// What is kept of a member.
fn member(
    person: &Person,
    index: usize,
    pool: &Pool,
    origin: Option<&CustomAttribute>,
) -> Result<Member, AwsError> {
    let incomplete = || AwsError::incomplete_response("ListUsersInGroup", pool.id(), "a sub");
    let sub = person.sub().and_then(Sub::of).ok_or_else(incomplete)?;
    let identity = person.attributes.identity(origin).ok_or_else(incomplete)?;
    Ok(Member {
        identity: hash16(identity),
        group: u32::try_from(index).unwrap_or(u32::MAX),
        sub,
        is_active: State::of(&person.status) == State::Active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listed::tests::listed;

    fn group(description: Option<&str>, precedence: Option<i32>) -> Group {
        Group {
            name: "staff".into(),
            description: description.map(str::to_owned),
            precedence,
            has_role: false,
        }
    }

    #[test]
    fn a_definition_is_written_where_it_differs() {
        let ours = group(Some("people"), Some(1));

        assert_eq!(compare_definition(&ours, None), Definition::Create);
        for (theirs, expected) in [
            (group(Some("people"), Some(1)), Definition::Same),
            (group(None, Some(1)), Definition::Update),
            (group(Some("people"), Some(2)), Definition::Update),
            (group(Some("people"), None), Definition::Update),
        ] {
            assert_eq!(compare_definition(&ours, Some(&theirs)), expected);
        }
        let ours = group(Some("people"), None);
        for (theirs, expected) in [
            (
                group(Some("people"), Some(2)),
                Definition::KeepsPrecedence(2),
            ),
            (group(None, Some(2)), Definition::Update),
        ] {
            assert_eq!(compare_definition(&ours, Some(&theirs)), expected);
        }
    }

    fn member_of(group: u32, sub: &str) -> Member {
        Member {
            identity: hash16("s-1"),
            group,
            sub: Sub::of(sub).unwrap(),
            is_active: true,
        }
    }

    #[test]
    fn somebody_differs_in_the_groups_of_one_pool_alone_and_their_listed_user_is_known() {
        let primary = [member_of(1, "s-1"), member_of(2, "s-1")];
        let secondary = [member_of(2, "s-2"), member_of(3, "s-2")];
        let user = listed("s-2", &[]);
        let difference = |group, primary: Option<&str>, secondary: Option<&str>| Difference {
            group,
            primary: primary.map(str::to_owned),
            secondary: secondary.map(str::to_owned),
        };

        let found: Vec<_> = differences(&primary, &secondary, &[user]).collect();

        let expected = [
            difference(1, Some("s-1"), Some("s-2")),
            difference(3, None, Some("s-2")),
        ];
        assert_eq!(found, expected);
        let unlisted: Vec<_> = differences(&primary, &[], &[]).collect();
        assert_eq!(unlisted[0], difference(1, Some("s-1"), None));
    }

    #[test]
    fn of_several_users_of_one_pool_in_one_group_nobody_differs() {
        let twice = [member_of(1, "s-1"), member_of(1, "s-9")];

        assert_eq!(differences(&twice, &[], &[]).count(), 0);
        assert_eq!(differences(&[], &twice, &[]).count(), 0);
    }

    #[test]
    fn whoever_cannot_sign_in_is_added_to_no_group() {
        let invited = Member {
            is_active: false,
            ..member_of(1, "s-1")
        };

        assert_eq!(differences(&[invited], &[], &[]).count(), 0);
    }

    #[test]
    fn a_member_is_read_as_it_was_written() {
        let member = Member {
            identity: hash16("s-1"),
            group: 7,
            sub: Sub::of("57c4aab8-5061-7015-8b3b-1a2f6c0d9e11").unwrap(),
            is_active: true,
        };
        let mut bytes = Vec::new();
        member.write(&mut bytes);

        assert_eq!(bytes.len(), Member::SIZE);
        assert!(Member::read(&bytes) == member);
    }
}
