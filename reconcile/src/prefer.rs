//! Carries out what an operator decides on people whom a run has reported: for exactly the people, attributes and memberships that its
//! report names as changed in the secondary pool or in both, what one pool has is written to the other.
//!
//! Reconcile never decides between two values that people have given themselves. Here somebody decides, on a list that they have seen; so
//! only what is still as it was reported is written, on a fresh look at both users and at the journal record.

use std::collections::{BTreeMap, BTreeSet};

use replication::pool_rules::{ADDRESSES, PoolRules, address_of_flag};
use serde::Serialize;
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::id::Id;
use shared::identity::verified;
use shared::journal;
use shared::person::{Attributes, Person};
use shared::s3::bucket::Bucket;

use crate::changes::ChangeLines;
use crate::comparison::Comparison;
use crate::decision::{Finding, decide, new_base};
use crate::error::ReconcileError;
use crate::groups::CHANGED_IN_SECONDARY;
use crate::mirror::is_refused;
use crate::report::{Change, Report, Reported, report_key};
use crate::request::{ReconcileConfig, RunContext, Step};
use crate::run::{PATIENCE, check_pools, look_at_pools, under_lease};

/// How often a journal record is read again that changes while it is brought up to date.
const RECORD_ATTEMPTS: u32 = 3;

/// Whose values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The primary pool's: they are written to the secondary pool.
    Primary,
    /// The secondary pool's: they are written to the primary pool.
    Secondary,
}

/// A decision on what a run has reported.
#[derive(Clone, Debug)]
pub struct PreferRequest {
    /// Whose values are kept.
    pub side: Side,
    /// The run.
    pub of: Id,
    /// Only these people, by their `sub` in either pool; everyone if empty.
    pub subs: Vec<String>,
    /// To write nothing.
    pub dry_run: bool,
}

/// What was done with a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreferAnswer {
    /// What was written, or would be: people and attributes, with the reason why they were reported.
    pub written: Vec<Reported>,
    /// What was not written, and why.
    pub not_written: Vec<Reported>,
}

/// Whether a line of changes reports something of a person on which can be decided: an attribute, or a membership in a group.
pub fn can_be_decided(change: &Change) -> bool {
    ReportedPerson::of(change.clone()).is_some()
}

/// Carries out a decision. It takes the lease of runs, and is refused with pools with which a run is refused. It may be run again: whatever has
/// been written agrees in both pools then, and is left.
///
/// # Errors
///
/// The run is not known or is of other pools, nothing may be written with these pools, another run is in progress, or a service did not answer.
pub async fn run(
    config: &ReconcileConfig,
    request: &PreferRequest,
    context: &RunContext<'_>,
) -> Result<PreferAnswer, ReconcileError> {
    let report = config
        .bucket
        .get_json::<Report>(&report_key(&request.of))
        .await?;
    let (report, _) = report.ok_or_else(|| ReconcileError::NoSuchRun(request.of.to_string()))?;
    check_pools(config, &report)?;
    // On the heap: in a failback, too many large futures are nested for the stack of a debug build.
    let work = Box::pin(decide_on_people(config, request, &report, context));
    if request.dry_run {
        return work.await;
    }
    let decided = under_lease(&config.bucket, &context.lease_holder, work).await?;
    decided.ok_or(ReconcileError::Held)
}

async fn decide_on_people(
    config: &ReconcileConfig,
    request: &PreferRequest,
    report: &Report,
    context: &RunContext<'_>,
) -> Result<PreferAnswer, ReconcileError> {
    let deadline = context.last_call_at();
    let pools = look_at_pools(config, deadline).await?;
    let pool = |id| config.rate_limited(id, config.writes_per_second, deadline);
    let (primary, secondary) = (pool(&config.primary), pool(&config.secondary));
    let (written_to, rules) = match request.side {
        Side::Primary => (&config.secondary, &pools.secondary),
        Side::Secondary => (&config.primary, &pools.primary),
    };
    let decision = Decision {
        side: request.side,
        is_dry_run: request.dry_run,
        comparison: pools.comparison,
        primary: &primary,
        secondary: &secondary,
        written_to: pool(written_to).with_patience(PATIENCE),
        rules: PoolRules::of(rules),
        bucket: &config.bucket,
    };
    let mut answer = PreferAnswer::default();
    let mut chosen = Chosen::of(&request.subs);
    let mut people = ReportedPeople::of(&config.bucket, &request.of);
    let mut done = 0;
    while let Some(person) = people.next().await? {
        (context.on_progress)(Step::Writing(done, report.counts.reported.max(done)));
        done += 1;
        if chosen.contains(&person) {
            decision.decide_on(&person, &mut answer).await?;
        }
    }
    answer.not_written.extend(chosen.not_reported());
    Ok(answer)
}

/// What was reported of one person on which can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ReportedPerson {
    /// Their `sub` in the primary pool.
    primary: String,
    /// Their `sub` in the secondary pool.
    secondary: String,
    attributes: BTreeMap<String, Finding>,
    /// Groups of the secondary pool that they are in, and not in the primary pool.
    groups: BTreeSet<String>,
}

impl ReportedPerson {
    /// What a line of changes reports, if it is something on which can be decided.
    fn of(change: Change) -> Option<Self> {
        let is_pair = !change.sub.is_empty() && !change.secondary_sub.is_empty();
        if !is_pair || change.action != "report" {
            return None;
        }
        let mut person = Self {
            primary: change.sub,
            secondary: change.secondary_sub,
            ..Self::default()
        };
        if change.outcome == CHANGED_IN_SECONDARY {
            person.groups.extend(change.attributes);
            return Some(person);
        }
        let mut findings = [Finding::ChangedInSecondary, Finding::ChangedInBoth].into_iter();
        let finding = findings.find(|finding| finding.as_str() == change.outcome)?;
        let attributes = change.attributes.into_iter().map(|name| (name, finding));
        person.attributes.extend(attributes);
        Some(person)
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.primary, &self.secondary) == (&other.primary, &other.secondary)
    }

    /// Adds what another line reports of the same person.
    fn add(&mut self, other: Self) {
        self.attributes.extend(other.attributes);
        self.groups.extend(other.groups);
    }

    fn about(&self, reason: &str, attributes: Vec<String>) -> Reported {
        Reported {
            sub: self.primary.clone(),
            secondary_sub: self.secondary.clone(),
            reason: reason.to_owned(),
            attributes,
        }
    }
}

/// Whoever a run has reported.
struct ReportedPeople<'a> {
    lines: ChangeLines<'a>,
    /// The next person, as far as they have been read. All lines of a person that were written together follow each other.
    next: Option<ReportedPerson>,
}

impl<'a> ReportedPeople<'a> {
    fn of(bucket: &'a Bucket, run: &'a Id) -> Self {
        Self {
            lines: ChangeLines::of(bucket, run),
            next: None,
        }
    }

    /// The next person; none after the last one.
    async fn next(&mut self) -> Result<Option<ReportedPerson>, ReconcileError> {
        while let Some(change) = self.lines.next().await? {
            let Some(person) = ReportedPerson::of(change) else {
                continue;
            };
            match &mut self.next {
                Some(next) if next.is_same(&person) => next.add(person),
                _ => {
                    if let Some(complete) = self.next.replace(person) {
                        return Ok(Some(complete));
                    }
                }
            }
        }
        Ok(self.next.take())
    }
}

/// The people on whom is decided, by their `sub` in either pool.
struct Chosen<'a> {
    subs: &'a [String],
    unknown: BTreeSet<&'a String>,
}

impl<'a> Chosen<'a> {
    /// Only these people; everyone if there are none.
    fn of(subs: &'a [String]) -> Self {
        Self {
            subs,
            unknown: subs.iter().collect(),
        }
    }

    fn contains(&mut self, person: &ReportedPerson) -> bool {
        self.unknown.remove(&person.primary);
        self.unknown.remove(&person.secondary);
        let is_named = |sub: &String| *sub == person.primary || *sub == person.secondary;
        self.subs.is_empty() || self.subs.iter().any(is_named)
    }

    /// The names of nobody who was reported.
    fn not_reported(&self) -> impl Iterator<Item = Reported> {
        self.unknown.iter().map(|sub| Reported {
            sub: (*sub).clone(),
            secondary_sub: String::new(),
            reason: "not-in-report".to_owned(),
            attributes: Vec::new(),
        })
    }
}

/// What is written to one user, and what is not.
#[derive(Clone, Default, PartialEq, Eq)]
struct Plan {
    /// Attributes to be written. An address comes with its flag.
    write: Attributes,
    /// Attributes to be deleted, because the other pool no longer has them.
    delete: Vec<String>,
    /// Attributes that are not written, with the reason.
    not_written: BTreeMap<String, String>,
}

impl Plan {
    /// Decides from both users as they are now, and from what their journal record says they were. What agrees by now is left.
    fn of(
        side: Side,
        comparison: &Comparison,
        reported: &BTreeMap<String, Finding>,
        (primary, secondary): (&Attributes, &Attributes),
        base: &Attributes,
    ) -> Self {
        let mut plan = Self::default();
        let found = decide(comparison, primary, secondary, Some(base), |_, _| false);
        let (kept, unverified) = match side {
            Side::Primary => (primary, "unverified-in-primary"),
            Side::Secondary => (secondary, "unverified-in-secondary"),
        };
        for (name, finding) in reported {
            if comparison.value(primary, name) == comparison.value(secondary, name) {
                continue;
            }
            let is_as_reported = found
                .reported
                .get(finding)
                .is_some_and(|names| names.contains(name));
            let is_address = ADDRESSES.contains(&name.as_str());
            if !is_as_reported {
                plan.leave(name, "changed-since-report");
            } else if !is_address {
                match kept.get(name) {
                    Some(value) => plan.write.insert(name, value),
                    None => plan.delete.push(name.clone()),
                }
            } else if let Some(address) = verified(kept, name) {
                // Any other way may send a code to it, and keep the address before (facts N11.9).
                plan.write.insert(name, address);
                plan.write.insert(format!("{name}_verified"), "true");
            } else {
                plan.leave(name, unverified);
            }
        }
        plan
    }

    fn leave(&mut self, name: &str, reason: impl Into<String>) {
        self.write.remove(name);
        self.write.remove(&format!("{name}_verified"));
        self.delete.retain(|other| other != name);
        self.not_written.insert(name.to_owned(), reason.into());
    }

    /// The attributes that are written or deleted.
    fn names(&self) -> impl Iterator<Item = &str> {
        let written = self.write.iter().map(|(name, _)| name);
        let written = written.filter(|name| address_of_flag(name).is_none());
        written.chain(self.delete.iter().map(String::as_str))
    }
}

/// A decision that is carried out.
struct Decision<'a> {
    side: Side,
    is_dry_run: bool,
    comparison: Comparison,
    primary: &'a Pool,
    secondary: &'a Pool,
    /// The pool that is written to, and its rules.
    written_to: Pool,
    rules: PoolRules,
    bucket: &'a Bucket,
}

impl Decision<'_> {
    /// Carries the decision on one person out. If a write has to wait for too long, they are looked at again.
    async fn decide_on(
        &self,
        person: &ReportedPerson,
        answer: &mut PreferAnswer,
    ) -> Result<(), ReconcileError> {
        let mut decided = PreferAnswer::default();
        loop {
            match self.carry_out(person, &mut decided).await {
                Err(error) if error.is_too_late() => decided.not_written.clear(),
                carried_out => break carried_out?,
            }
        }
        answer.written.extend(decided.written);
        answer.not_written.extend(decided.not_written);
        Ok(())
    }

    /// Looks at one person, and writes what is still as it was reported.
    async fn carry_out(
        &self,
        person: &ReportedPerson,
        answer: &mut PreferAnswer,
    ) -> Result<(), ReconcileError> {
        let primary = users::look_up(self.primary, &person.primary).await?;
        let secondary = users::look_up(self.secondary, &person.secondary).await?;
        let (Some(primary), Some(secondary)) = (primary, secondary) else {
            let names = person.attributes.keys().chain(&person.groups);
            let gone = person.about("changed-since-report", names.cloned().collect());
            answer.not_written.push(gone);
            return Ok(());
        };
        if !person.attributes.is_empty() {
            self.decide_attributes(person, &primary, &secondary, answer)
                .await?;
        }
        if !person.groups.is_empty() {
            self.decide_groups(person, answer).await?;
        }
        Ok(())
    }

    async fn decide_attributes(
        &self,
        person: &ReportedPerson,
        primary: &Person,
        secondary: &Person,
        answer: &mut PreferAnswer,
    ) -> Result<(), ReconcileError> {
        let reported = &person.attributes;
        let Some(record) = journal::read_record(self.bucket, secondary).await? else {
            let names = reported.keys().cloned().collect();
            let gone = person.about("changed-since-report", names);
            answer.not_written.push(gone);
            return Ok(());
        };
        let mut plan = Plan::of(
            self.side,
            &self.comparison,
            reported,
            (&primary.attributes, &secondary.attributes),
            &record.record.attributes,
        );
        let user = match self.side {
            Side::Primary => secondary,
            Side::Secondary => primary,
        };
        self.leave_names_of_others(user, &mut plan).await?;
        if !self.is_dry_run {
            self.write(user, &mut plan).await?;
            self.update_record(&person.primary, &person.secondary)
                .await?;
        }
        let mut written: BTreeMap<Finding, Vec<String>> = BTreeMap::new();
        for name in plan.names() {
            if let Some(finding) = reported.get(name) {
                written.entry(*finding).or_default().push(name.to_owned());
            }
        }
        let written = written.into_iter();
        let written = written.map(|(finding, names)| person.about(finding.as_str(), names));
        answer.written.extend(written);
        let mut not_written: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, reason) in plan.not_written {
            not_written.entry(reason).or_default().push(name);
        }
        let not_written = not_written.into_iter();
        let not_written = not_written.map(|(reason, names)| person.about(&reason, names));
        answer.not_written.extend(not_written);
        Ok(())
    }

    /// Puts somebody into the groups of the primary pool that they are in in the secondary pool, or takes them out of these.
    async fn decide_groups(
        &self,
        person: &ReportedPerson,
        answer: &mut PreferAnswer,
    ) -> Result<(), ReconcileError> {
        let in_primary = users::groups(self.primary, &person.primary).await?;
        let in_secondary = users::groups(self.secondary, &person.secondary).await?;
        for group in &person.groups {
            let about = |reason: &str| person.about(reason, vec![group.clone()]);
            match (in_primary.contains(group), in_secondary.contains(group)) {
                (true, true) | (false, false) => continue,
                (true, false) => {
                    answer.not_written.push(about("changed-since-report"));
                    continue;
                }
                (false, true) => {}
            }
            let written = match self.side {
                _ if self.is_dry_run => Ok(()),
                Side::Primary => {
                    users::remove_from_group(&self.written_to, &person.secondary, group).await
                }
                Side::Secondary => {
                    users::add_to_group(&self.written_to, &person.primary, group).await
                }
            };
            match written {
                Ok(()) => answer.written.push(about(CHANGED_IN_SECONDARY)),
                Err(PoolError::Aws(error)) if is_refused(&error) => {
                    answer.not_written.push(about(error.code()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Leaves names with which somebody else signs in: in an alias pool the write would take them away from their holder, without an
    /// error (facts N11.11).
    async fn leave_names_of_others(
        &self,
        user: &Person,
        plan: &mut Plan,
    ) -> Result<(), ReconcileError> {
        for name in [ADDRESSES[0], ADDRESSES[1], "preferred_username"] {
            let Some(value) = plan.write.get(name).map(str::to_owned) else {
                continue;
            };
            if !self.rules.is_sign_in_name(name) {
                continue;
            }
            let holder = users::look_up_holder(&self.written_to, &value).await?;
            if holder.may_be_another_than(user.sub().unwrap_or(&user.username)) {
                plan.leave(name, "name-held");
            }
        }
        Ok(())
    }

    /// Writes and deletes attributes. What is refused is left, with Cognito's code.
    async fn write(&self, user: &Person, plan: &mut Plan) -> Result<(), ReconcileError> {
        let pool = &self.written_to;
        let sub = user.sub().unwrap_or(&user.username);
        for refused in users::write_attributes(pool, sub, &plan.write).await? {
            // A flag is named with its address.
            if address_of_flag(&refused.name).is_none() {
                plan.leave(&refused.name, refused.code);
            }
        }
        for name in plan.delete.clone() {
            match users::delete_attributes(pool, sub, &[&name]).await {
                Ok(()) => {}
                Err(PoolError::Aws(error)) if error.is_call_rejected() => {
                    plan.leave(&name, error.code());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Brings the record up to date where both users agree now. Also when nothing was written: an earlier call may have been interrupted
    /// in between, and a record that says what nobody has any more would hide the next change of the primary pool.
    async fn update_record(
        &self,
        primary_sub: &str,
        secondary_sub: &str,
    ) -> Result<(), ReconcileError> {
        for _ in 0..RECORD_ATTEMPTS {
            let primary = users::look_up(self.primary, primary_sub).await?;
            let secondary = users::look_up(self.secondary, secondary_sub).await?;
            let (Some(primary), Some(secondary)) = (primary, secondary) else {
                return Ok(());
            };
            let Some(record) = journal::read_record(self.bucket, &secondary).await? else {
                return Ok(());
            };
            let base = new_base(
                &self.comparison,
                &primary.attributes,
                &secondary.attributes,
                &record.record.attributes,
            );
            let Some(base) = base else {
                return Ok(());
            };
            if journal::update_attributes(self.bucket, &record, base).await? {
                return Ok(());
            }
        }
        tracing::warn!(
            secondary_sub,
            "the journal record changes all the time: it is not brought up to date"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::tests::comparison;

    fn attributes(of: &[(&str, &str)]) -> Attributes {
        of.iter().copied().collect()
    }

    fn email(address: &str, verified: &str) -> Attributes {
        attributes(&[("email", address), ("email_verified", verified)])
    }

    fn plan(
        side: Side,
        reported: &[(&str, Finding)],
        users: (&Attributes, &Attributes),
        base: &Attributes,
    ) -> Plan {
        let reported = reported.iter();
        let reported = reported.map(|(name, finding)| ((*name).to_owned(), *finding));
        Plan::of(side, &comparison(), &reported.collect(), users, base)
    }

    fn change(action: &str, outcome: &str, secondary_sub: &str) -> Change {
        Change {
            sub: "s-1".into(),
            secondary_sub: secondary_sub.into(),
            action: action.into(),
            attributes: vec!["name".into()],
            outcome: outcome.into(),
        }
    }

    #[test]
    fn the_value_of_the_preferred_side_is_written_and_what_it_lacks_is_deleted() {
        let (primary, secondary) = (attributes(&[("name", "p")]), attributes(&[("name", "s")]));
        let without = Attributes::default();
        let base = attributes(&[("name", "base")]);
        let name = [("name", Finding::ChangedInBoth)];

        let home = plan(Side::Secondary, &name, (&primary, &secondary), &base);
        let away = plan(Side::Primary, &name, (&primary, &secondary), &base);
        let deleted = plan(Side::Secondary, &name, (&primary, &without), &base);

        assert_eq!(home.write.get("name"), Some("s"));
        assert_eq!(away.write.get("name"), Some("p"));
        assert!(deleted.write.is_empty());
        assert_eq!(deleted.delete, ["name"]);
    }

    #[test]
    fn only_what_was_reported_is_written() {
        let primary = attributes(&[("name", "base"), ("updated_at", "1")]);
        let secondary = attributes(&[("name", "s"), ("updated_at", "2")]);
        let name = [("name", Finding::ChangedInSecondary)];

        let plan = plan(Side::Secondary, &name, (&primary, &secondary), &primary);

        assert_eq!(plan.names().collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn what_is_not_as_it_was_reported_any_more_is_left() {
        let name = |name| attributes(&[("name", name)]);
        let reported = [("name", Finding::ChangedInSecondary)];
        let of = |primary, secondary| {
            let users = (&name(primary), &name(secondary));
            plan(Side::Secondary, &reported, users, &name("base"))
        };

        let changed_in_both = of("p", "s");
        let changed_back = of("p", "base");
        let agreed = of("s", "s");

        for left in [changed_in_both, changed_back] {
            assert!(left.write.is_empty());
            assert_eq!(left.not_written["name"], "changed-since-report");
        }
        assert!(agreed == Plan::default());
    }

    #[test]
    fn an_address_is_written_only_if_it_is_verified_and_together_with_its_flag() {
        let base = email("old@example.jp", "true");
        let reported = [("email", Finding::ChangedInSecondary)];
        let of =
            |secondary: &Attributes| plan(Side::Secondary, &reported, (&base, secondary), &base);

        let verified = of(&email("new@example.jp", "true"));
        let unverified = of(&email("new@example.jp", "false"));
        let none = of(&Attributes::default());

        assert_eq!(verified.write.get("email"), Some("new@example.jp"));
        assert_eq!(verified.write.get("email_verified"), Some("true"));
        assert_eq!(verified.names().collect::<Vec<_>>(), ["email"]);
        for left in [unverified, none] {
            assert!(left.write.is_empty() && left.delete.is_empty());
            assert_eq!(left.not_written["email"], "unverified-in-secondary");
        }
    }

    #[test]
    fn an_attribute_that_is_left_takes_its_flag_with_it() {
        let base = email("old@example.jp", "true");
        let reported = [("email", Finding::ChangedInSecondary)];
        let new = email("new@example.jp", "true");
        let mut plan = plan(Side::Secondary, &reported, (&base, &new), &base);

        plan.leave("email", "name-held");

        assert!(plan.write.is_empty());
        assert_eq!(plan.not_written["email"], "name-held");
    }

    #[test]
    fn only_changes_of_people_in_both_pools_are_decided_on() {
        for other in [
            change("report", "unpaired", "s-2"),
            change("update", "changed-in-secondary", "s-2"),
            change("report", "changed-in-secondary", ""),
        ] {
            assert_eq!(ReportedPerson::of(other), None);
        }

        let attribute = ReportedPerson::of(change("report", "changed-in-both", "s-2")).unwrap();
        let group = ReportedPerson::of(change("report", CHANGED_IN_SECONDARY, "s-2")).unwrap();

        assert_eq!((&*attribute.primary, &*attribute.secondary), ("s-1", "s-2"));
        assert_eq!(attribute.attributes["name"], Finding::ChangedInBoth);
        assert!(attribute.groups.is_empty() && group.attributes.is_empty());
        assert!(group.groups.contains("name"));
    }

    #[test]
    fn people_are_chosen_by_their_sub_in_either_pool() {
        let person = |number: u32| ReportedPerson {
            primary: format!("t-{number}"),
            secondary: format!("o-{number}"),
            ..ReportedPerson::default()
        };
        let subs = ["t-2", "o-3", "x-9"].map(str::to_owned);
        let mut chosen = Chosen::of(&subs);

        let are_chosen = [2, 3, 4].map(|number| chosen.contains(&person(number)));

        assert_eq!(are_chosen, [true, true, false]);
        let unknown: Vec<_> = chosen.not_reported().collect();
        assert_eq!(unknown.len(), 1);
        assert_eq!(
            (unknown[0].sub.as_str(), unknown[0].reason.as_str()),
            ("x-9", "not-in-report")
        );
        assert!(Chosen::of(&[]).contains(&person(4)), "everyone");
    }
}
