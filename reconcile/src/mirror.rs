//! Looks at one person in both pools, decides, and writes. Every write rests on a fresh look at both users and at the journal record
//! right before it.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use replication::holder::{Deletions, Holders, MAX_HOLDERS, Parked, find_original, is_parked};
use replication::pool_rules::address_of_flag;
use replication::replica::Replica;
use replication::secondary::{Held, NotReplicated, RetryClass, Secondary};
use shared::aws::{AwsError, Failure};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users::{self, Holder};
use shared::identity::{Original, Relation, relation};
use shared::journal::{self, Kind as RecordKind, UsedSecondary};
use shared::person::{Attributes, Person, Status};
use shared::s3::bucket::Bucket;
use shared::s3::json::JsonError;
use shared::withheld::{self, Why, Withheld};

use crate::changes::Changes;
use crate::comparison::Comparison;
use crate::decision::{AttributeChanges, decide, new_base};
use crate::error::ReconcileError;
use crate::guard::{Guard, Kind};
use crate::listed::State;
use crate::outcome::{Done, Outcome, Pair};
use crate::plan::Candidate;
use crate::progress::Progress;
use crate::refused::RefusedValues;

/// What makes the secondary pool equal to the primary pool, person by person.
pub struct Mirror<'a> {
    /// How users are compared.
    pub comparison: &'a Comparison,
    /// The primary pool, from which nothing but lookups is asked.
    pub primary: &'a Pool,
    /// The secondary pool, for lookups.
    pub lookups: &'a Pool,
    /// The secondary pool, for writes.
    pub secondary: &'a Secondary,
    /// The snapshot bucket.
    pub bucket: &'a Bucket,
    /// Whether replicas get a permanent password.
    pub activate: bool,
    /// How long people are withheld before they are deleted.
    pub withhold_for: SignedDuration,
    /// Whether nothing is written.
    pub is_dry_run: bool,
    /// Counts the changes that may be too many.
    pub guard: Mutex<Guard>,
    /// Replicas that wait for their address.
    pub parked: Parked,
    /// What was done to others who held a name, by `sub`.
    pub made_way: Mutex<Vec<(String, &'static str)>>,
}

impl Mirror<'_> {
    /// Looks at somebody, and does what is to be done.
    ///
    /// # Errors
    ///
    /// A service did not answer, or the deadline passed: then it is not known what was done.
    pub async fn look_at_candidate(
        &self,
        candidate: &Candidate,
    ) -> Result<Outcome, ReconcileError> {
        let mut outcome = Outcome::default();
        loop {
            match self.look_into(candidate, &mut outcome).await {
                Err(error) if error.is_too_late() => continue,
                Err(error) => {
                    let subs = (candidate.primary.as_deref(), candidate.secondary.as_deref());
                    not_looked_at(error, &Pair::of(subs.0, subs.1), Vec::new(), &mut outcome)?;
                }
                Ok(()) => {}
            }
            break;
        }
        // What became of others who made way.
        for (sub, action) in std::mem::take(&mut *self.locked_made_way()) {
            let pair = Pair::of(None, Some(&sub));
            outcome.counts.removed += u64::from(action == "delete");
            outcome.counts.updated += u64::from(action == "move");
            outcome.line(&pair, action, Vec::new(), Done::Done);
        }
        Ok(outcome)
    }

    async fn look_into(
        &self,
        candidate: &Candidate,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        if self.is_dry_run && candidate.secondary.is_none() && !candidate.has_used {
            // Nobody needs to be looked up, which would bill an active user each.
            let pair = Pair::of(candidate.primary.as_deref(), None);
            outcome.counts.created += 1;
            outcome.line(&pair, "create", Vec::new(), Done::Planned);
            return Ok(());
        }
        let primary = match &candidate.primary {
            Some(sub) => users::look_up(self.primary, sub).await?,
            None => None,
        };
        let secondary = match &candidate.secondary {
            Some(sub) => users::look_up(self.lookups, sub).await?,
            None => None,
        };
        if let Some(banned_as) = &candidate.banned_as {
            if let Some(secondary) = secondary {
                self.one_of_several(&secondary, banned_as, outcome).await?;
            }
            return Ok(());
        }
        match (primary, secondary) {
            (Some(primary), Some(secondary)) => {
                self.look_at_two_users(&primary, secondary, candidate.has_used, outcome)
                    .await?;
                outcome.counts.unchanged += u64::from(*outcome == Outcome::default());
            }
            (Some(primary), None) => {
                // They may have used it and deleted themselves since the journal was read, or under the username, which both pools have.
                let username = primary.record_names().skip(1);
                let names = candidate.secondary.as_deref().into_iter().chain(username);
                let has_used =
                    candidate.has_used || journal::has_used_secondary(self.bucket, names).await?;
                self.missing(&primary, has_used, outcome).await?;
            }
            (None, Some(secondary)) => {
                self.look_at_secondary_user_alone(secondary, outcome)
                    .await?
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Two users who may be of one person. `has_used` says whether somebody with the identity of the first one has used the secondary
    /// pool.
    async fn look_at_two_users(
        &self,
        primary: &Person,
        secondary: Person,
        has_used: bool,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        if secondary.status == Status::Unconfirmed {
            // They have not proved the name, and lose it to whoever has.
            return self.missing(primary, has_used, outcome).await;
        }
        let record = match self.record(&secondary).await {
            Err(error) => {
                let origin = self.comparison.origin();
                let identity = secondary.attributes.identity(origin);
                if is_unreadable(&error)
                    && let Some(identity) = identity
                    && primary.attributes.identity(origin) == Some(identity)
                {
                    self.restrict(Some(primary), &secondary, identity, outcome)
                        .await?;
                }
                return Err(error);
            }
            Ok(record) => record,
        };
        match self.relation(primary, &secondary, record.as_ref()) {
            Relation::Same => self.pair(primary, secondary, record, outcome).await,
            Relation::Another => {
                self.missing(primary, has_used, outcome).await?;
                // Their name may have been needed.
                let sub = secondary.sub().unwrap_or(&secondary.username);
                match users::look_up(self.lookups, sub).await? {
                    Some(secondary) => {
                        Box::pin(self.look_at_secondary_user_alone(secondary, outcome)).await
                    }
                    None => Ok(()),
                }
            }
            Relation::CannotTell => {
                let pair = Pair::of(primary.sub(), secondary.sub());
                outcome.report(&pair, "cannot-tell", Vec::new());
                Ok(())
            }
        }
    }

    /// Whether a user of each pool are of one person.
    fn relation(
        &self,
        primary: &Person,
        secondary: &Person,
        record: Option<&UsedSecondary>,
    ) -> Relation {
        let origin = self.comparison.origin();
        let signed_up_here = record.is_some_and(|record| {
            let kinds = &record.kinds;
            kinds.contains(&RecordKind::SignUp) || kinds.contains(&RecordKind::Restored)
        });
        if record.is_some_and(|record| record.primary_sub.as_deref() == primary.sub()) {
            return Relation::Same;
        }
        let identity = primary.attributes.identity(origin);
        let owns_name = |user: &Person| State::of(&user.status).owns_name();
        let may_be_by_name = owns_name(primary) && owns_name(secondary);
        if identity != secondary.attributes.identity(origin) && !may_be_by_name {
            return Relation::Another;
        }
        // Who signed up in the secondary pool is its original, so its identity is certain, and so is a copy's.
        if signed_up_here
            && primary.attributes.origin(origin).is_some()
            && identity != secondary.attributes.identity(origin)
        {
            return Relation::Another;
        }
        let name = self.comparison.sign_in_name(primary);
        let original = Original {
            identity,
            name: &name,
            attributes: &primary.attributes,
            signed_up_at: None,
        };
        match relation(&original, secondary, origin) {
            // The pools compare letter case alike, so a name in another case is the same name.
            Relation::CannotTell if self.comparison.sign_in_name(secondary) == name => {
                Relation::Same
            }
            relation => relation,
        }
    }

    /// A user of the secondary pool whose identity several users carry. Nobody can tell which of them is whose, so nothing is written but
    /// what keeps somebody out: where everyone in the primary pool who carries the identity is disabled or gone, this user is disabled.
    async fn one_of_several(
        &self,
        secondary: &Person,
        primary_subs: &[String],
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let origin = self.comparison.origin();
        let identity = secondary.attributes.identity(origin).unwrap_or_default();
        let mut banned = None;
        for sub in primary_subs {
            let primary = users::look_up(self.primary, sub).await?;
            let is_theirs =
                |primary: &Person| primary.attributes.identity(origin) == Some(identity);
            banned = match primary.filter(is_theirs) {
                Some(primary) if primary.enabled => return Ok(()),
                primary => banned.or(primary),
            };
        }
        if banned.is_none() {
            let record = self.record(secondary).await?;
            let Some(known_as) = self.known_as(secondary, record.as_ref()) else {
                return Ok(());
            };
            banned = find_original(self.primary, &known_as, secondary, origin).await?;
        }
        self.restrict(banned.as_ref(), secondary, identity, outcome)
            .await
    }

    /// Disables a user of the secondary pool whose person is disabled in the primary pool or gone. Nothing else is written to them: it is not
    /// known who they are, or whether they have used the secondary pool. `original` has this identity in the primary pool.
    async fn restrict(
        &self,
        original: Option<&Person>,
        secondary: &Person,
        identity: &str,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let pair = Pair::of(original.and_then(Person::sub), secondary.sub());
        match original {
            _ if !secondary.enabled => Ok(()),
            Some(original) if original.enabled => Ok(()),
            Some(_) => {
                let disabled = self
                    .withhold(&pair, secondary, identity, Why::Disabled, outcome)
                    .await?;
                outcome.counts.disabled += u64::from(disabled);
                Ok(())
            }
            // They are enabled, so they are withheld. Nobody is deleted of whom so little is known.
            None => {
                self.withhold_or_delete(&pair, secondary, identity, true, outcome)
                    .await
            }
        }
    }

    /// One person's users.
    async fn pair(
        &self,
        primary: &Person,
        secondary: Person,
        record: Option<UsedSecondary>,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let pair = Pair::of(primary.sub(), secondary.sub());
        if self.comparison.origin().is_none() {
            let is_mirrored = State::of(&primary.status) == State::Active && primary.enabled;
            let is_half_made = secondary.status == Status::ForceChangePassword;
            if is_mirrored && is_half_made && secondary.enabled && self.activate {
                self.activate(&pair, outcome).await?;
            }
            self.report_differences(&pair, primary, &secondary, outcome);
            return Ok(());
        }
        let is_enabled = self
            .mirror_enabled(&pair, primary, &secondary, outcome)
            .await?;
        if State::of(&primary.status) != State::Active {
            outcome.counts.skipped += 1;
            return Ok(());
        }
        if record.is_none() && secondary.mfa {
            outcome.report(&pair, "used-without-record", Vec::new());
            return Ok(());
        }
        match secondary.status {
            Status::Confirmed | Status::ResetRequired => {}
            Status::ForceChangePassword if self.activate && is_enabled && primary.enabled => {
                self.activate(&pair, outcome).await?;
            }
            // Whoever is banned is activated when the ban ends, also if they could not be disabled. They keep up with their attributes.
            Status::ForceChangePassword => {}
            _ => {
                outcome.report(&pair, "status-in-secondary", Vec::new());
                return Ok(());
            }
        }
        self.mirror_attributes(&pair, primary, &secondary, record, outcome)
            .await
    }

    /// In names-only mode, people are only created and reported.
    fn report_differences(
        &self,
        pair: &Pair,
        primary: &Person,
        secondary: &Person,
        outcome: &mut Outcome,
    ) {
        let changes = decide(
            self.comparison,
            &primary.attributes,
            &secondary.attributes,
            None,
            |_, _| false,
        );
        let mut names = changes.names();
        if primary.enabled != secondary.enabled {
            names.push("enabled".to_owned());
        }
        if !names.is_empty() {
            outcome.report(pair, "names-only", names);
        }
    }

    /// Disables whoever is disabled in the primary pool, and enables again whom twinpool has disabled. Gives whether the user in the
    /// secondary pool is enabled now.
    async fn mirror_enabled(
        &self,
        pair: &Pair,
        primary: &Person,
        secondary: &Person,
        outcome: &mut Outcome,
    ) -> Result<bool, ReconcileError> {
        let origin = self.comparison.origin();
        let identity = primary.attributes.identity(origin).unwrap_or_default();
        match (primary.enabled, secondary.enabled) {
            (false, false) => {
                // They have come back, and are banned now: since when they were missed no longer counts.
                if let Some((withheld, _)) = withheld::read(self.bucket, identity).await?
                    && withheld.why == Why::Deleted
                    && !self.is_dry_run
                {
                    let why = Why::Disabled;
                    withheld::keep(self.bucket, identity, &Withheld { why, ..withheld }).await?;
                }
                Ok(false)
            }
            (false, true) => {
                let disabled = self
                    .withhold(pair, secondary, identity, Why::Disabled, outcome)
                    .await?;
                outcome.counts.disabled += u64::from(disabled);
                Ok(!disabled)
            }
            (true, true) => {
                // Enabled again by an earlier run, which ended before it could remove the record; or by an administrator.
                if let Some((_, etag)) = withheld::read(self.bucket, identity).await?
                    && !self.is_dry_run
                {
                    withheld::remove(self.bucket, identity, &etag).await?;
                }
                Ok(true)
            }
            (true, false) => {
                let Some((_, etag)) = withheld::read(self.bucket, identity).await? else {
                    outcome.report(pair, "disabled-in-secondary", Vec::new());
                    return Ok(false);
                };
                let enabled = self
                    .write(outcome, pair, "enable", Vec::new(), async {
                        users::enable(self.secondary.pool(), pair.secondary()).await
                    })
                    .await?;
                if enabled && !self.is_dry_run {
                    // The record is removed last: whoever is interrupted in between is only found to be enabled.
                    withheld::remove(self.bucket, identity, &etag).await?;
                }
                outcome.counts.enabled += u64::from(enabled);
                Ok(enabled)
            }
        }
    }

    /// Activates a replica that was left half made: with a temporary password its person could not use "forgot password".
    async fn activate(&self, pair: &Pair, outcome: &mut Outcome) -> Result<(), ReconcileError> {
        let activated = self
            .write(outcome, pair, "activate", Vec::new(), async {
                users::set_random_password(self.secondary.pool(), pair.secondary()).await
            })
            .await?;
        outcome.counts.created += u64::from(activated);
        Ok(())
    }

    async fn mirror_attributes(
        &self,
        pair: &Pair,
        primary: &Person,
        secondary: &Person,
        record: Option<UsedSecondary>,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let origin = self.comparison.origin();
        let identity = primary.attributes.identity(origin).unwrap_or_default();
        let mut refused = RefusedValues::read(self.bucket, identity).await?;
        let base = record.as_ref().map(|record| &record.record.attributes);
        let mut changes = decide(
            self.comparison,
            &primary.attributes,
            &secondary.attributes,
            base,
            |name, value| refused.contains(name, value),
        );
        for (finding, names) in std::mem::take(&mut changes.reported) {
            outcome.report(pair, finding.as_str(), names);
        }
        // Somebody whom only the name has matched gets the identity, so that the next change of the name loses nobody. Who signed up in
        // the secondary pool is known by their `sub`.
        if let Some(origin) = origin
            && secondary.attributes.identity(Some(origin)) != Some(identity)
            && !self.comparison.is_immutable(origin.as_str())
            && !refused.contains(origin.as_str(), identity)
        {
            changes.write.insert(origin.as_str(), identity);
        }
        // Whoever waits for an address has been counted as the one who needed theirs.
        let is_parked = secondary.attributes.get("email").is_some_and(is_parked);
        if changes.change_an_address() && !is_parked {
            let addresses = changes.names_of_addresses();
            if !self.admit_or_hold(Kind::ChangeAddress, outcome, pair, "update", addresses) {
                changes = changes.without_addresses();
            }
        }
        let is_counted = changes.change_an_address() && !is_parked;
        let written = self
            .apply(pair, primary, &mut changes, &mut refused, outcome)
            .await;
        if is_counted {
            let made = written.map(|()| changes.change_an_address());
            self.take_back_unless_made(Kind::ChangeAddress, made)?;
        } else {
            written?;
        }
        if !self.is_dry_run && !changes.is_empty() {
            refused.save(self.bucket, identity).await?;
        }
        if let Some(record) = record
            && !self.is_dry_run
        {
            let now = users::look_up(self.lookups, pair.secondary()).await?;
            let base = now.and_then(|now| {
                let base = &record.record.attributes;
                new_base(self.comparison, &primary.attributes, &now.attributes, base)
            });
            if let Some(base) = base {
                journal::update_attributes(self.bucket, &record, base).await?;
            }
        }
        Ok(())
    }

    /// Writes and deletes attributes, after their addresses have been freed.
    async fn apply(
        &self,
        pair: &Pair,
        primary: &Person,
        changes: &mut AttributeChanges,
        refused: &mut RefusedValues,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        if !self.is_dry_run {
            self.free_addresses(pair, changes, outcome).await?;
        }
        if !changes.is_empty() {
            let is_written = self
                .write_changes(pair, primary, changes, refused, outcome)
                .await?;
            outcome.counts.updated += u64::from(is_written);
        }
        Ok(())
    }

    /// Makes sure that nobody else has the addresses that are to be written: in an alias pool the write would take them away without an
    /// error (facts N11.11). An address that stays somebody else's is not written.
    async fn free_addresses(
        &self,
        pair: &Pair,
        changes: &mut AttributeChanges,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let mut kept = Vec::new();
        for (attribute, address) in &changes.addresses {
            if !self.comparison.is_sign_in_name(attribute) {
                continue;
            }
            let mut is_free = false;
            for _ in 0..=MAX_HOLDERS {
                let holder = users::look_up_holder(self.lookups, address).await?;
                is_free = !holder.may_be_another_than(pair.secondary());
                let Holder::Somebody(holder) = holder else {
                    break;
                };
                if is_free {
                    break;
                }
                let freed = match holder.status {
                    Status::Unconfirmed => {
                        let holder = holder.sub().unwrap_or(&holder.username);
                        users::delete_unconfirmed(self.secondary.pool(), holder)
                            .await
                            .map(|_| ())
                            .map_err(NotReplicated::Secondary)
                    }
                    _ => {
                        let held = Held::Address(attribute);
                        self.holders().make_way(held, &holder).await
                    }
                };
                if let Err(error) = freed {
                    if error.retry_class() == RetryClass::Unavailable {
                        return Err(stopped(error));
                    }
                    break;
                }
            }
            if !is_free {
                kept.push(*attribute);
            }
        }
        let preferred = changes.write.get("preferred_username");
        if let Some(name) = preferred
            && self.comparison.is_sign_in_name("preferred_username")
        {
            let holder = users::look_up_holder(self.lookups, name).await?;
            if holder.may_be_another_than(pair.secondary()) {
                changes.write.remove("preferred_username");
                outcome.report(pair, "name-held", vec!["preferred_username".to_owned()]);
            }
        }
        for attribute in kept {
            changes.addresses.remove(attribute);
            outcome.report(pair, "name-held", vec![attribute.to_owned()]);
        }
        Ok(())
    }

    /// Writes and deletes attributes. True if something was written.
    async fn write_changes(
        &self,
        pair: &Pair,
        primary: &Person,
        changes: &AttributeChanges,
        refused: &mut RefusedValues,
        outcome: &mut Outcome,
    ) -> Result<bool, ReconcileError> {
        let names = changes.names();
        if self.is_dry_run {
            outcome.line(pair, "update", names, Done::Planned);
            return Ok(true);
        }
        let mut written: Attributes = changes.write.iter().collect();
        for (name, value) in &changes.addresses {
            // Any other way may send a code, and keep the address before (facts N11.9).
            written.insert(*name, value);
            written.insert(format!("{name}_verified"), "true");
        }
        for name in &changes.unverify {
            written.insert(format!("{name}_verified"), "false");
        }
        let pool = self.secondary.pool();
        let mut failed: Vec<(String, String)> = Vec::new();
        let not_written = users::write_attributes(pool, pair.secondary(), &written).await?;
        failed.extend(
            not_written
                .into_iter()
                .map(|refused| (refused.name, refused.code)),
        );
        for name in &changes.delete {
            match users::delete_attributes(pool, pair.secondary(), &[name]).await {
                Ok(()) => {}
                Err(PoolError::Aws(error)) if error.is_call_rejected() => {
                    failed.push((name.clone(), error.code().to_owned()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let is_flag = |name: &str| address_of_flag(name).is_some();
        // Any other refusal may be of the moment: somebody else has the address, or the user has just been deleted.
        let is_of_value = |code: &str| code == "InvalidParameterException";
        let of_values = failed
            .iter()
            .filter(|(name, code)| !is_flag(name) && is_of_value(code));
        for (name, _) in of_values {
            let value = written.get(name).or_else(|| primary.attributes.get(name));
            refused.insert(
                name,
                value
                    .filter(|_| !changes.delete.contains(name))
                    .unwrap_or_default(),
            );
        }
        let is_refused = |name: &String| failed.iter().any(|(refused, _)| refused == name);
        let (not_done, done): (Vec<_>, Vec<_>) = names.into_iter().partition(is_refused);
        for (name, code) in failed.iter().filter(|(name, _)| not_done.contains(name)) {
            outcome.line(
                pair,
                "update",
                vec![name.clone()],
                Done::Refused(code.clone()),
            );
        }
        if !not_done.is_empty() {
            outcome.report(pair, "refused", not_done);
        }
        let is_written = !done.is_empty();
        if is_written {
            outcome.line(pair, "update", done, Done::Done);
        }
        Ok(is_written)
    }

    /// Somebody who has no user in the secondary pool.
    async fn missing(
        &self,
        primary: &Person,
        has_used: bool,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let pair = Pair::of(primary.sub(), None);
        if State::of(&primary.status) != State::Active || !primary.enabled {
            outcome.counts.skipped += 1;
            return Ok(());
        }
        let origin = self.comparison.origin();
        let replica = match Replica::of_person(primary, origin) {
            Ok(replica) => replica,
            Err(_) => {
                outcome.report(&pair, "unfit", Vec::new());
                return Ok(());
            }
        };
        if has_used {
            let there = users::look_up(self.lookups, replica.username.as_str()).await?;
            let is_there = there.is_some_and(|there| {
                relation(&replica.original(), &there, origin) == Relation::Same
            });
            if !is_there {
                outcome.report(&pair, "deleted-in-secondary", Vec::new());
                return Ok(());
            }
        }
        if self.is_dry_run {
            outcome.counts.created += 1;
            outcome.line(&pair, "create", Vec::new(), Done::Planned);
            return Ok(());
        }
        let on_reclaimed = |holder: &str| {
            tracing::warn!(holder, "an unconfirmed user held the username: deleted");
        };
        match self.holders().replicate(&replica, on_reclaimed).await {
            Ok(replicated) if replicated.already => {}
            Ok(replicated) => {
                outcome.counts.created += 1;
                outcome.line(&pair, "create", Vec::new(), Done::Done);
                if !replicated.dropped.is_empty() {
                    self.remember_refused(primary, &replicated.dropped).await?;
                    outcome.report(&pair, "refused", replicated.dropped);
                }
            }
            Err(error) => self.not_replicated(&pair, "create", error, outcome)?,
        }
        Ok(())
    }

    /// Remembers the values that a new replica did not get, so that the next run does not try them: but for a name that somebody else has,
    /// which may be free by then, and for what the schema does not know, which it may be taught.
    async fn remember_refused(
        &self,
        primary: &Person,
        dropped: &[String],
    ) -> Result<(), ReconcileError> {
        let origin = self.comparison.origin();
        let identity = primary.attributes.identity(origin).unwrap_or_default();
        let mut refused = RefusedValues::read(self.bucket, identity).await?;
        for name in self.comparison.attributes() {
            if let Some(value) = primary.attributes.get(name)
                && dropped.iter().any(|dropped| dropped == name)
                && !self.comparison.is_sign_in_name(name)
            {
                refused.insert(name, value);
            }
        }
        refused.save(self.bucket, identity).await
    }

    /// A user of the secondary pool whose person has no user in the primary pool, as the listings say.
    async fn look_at_secondary_user_alone(
        &self,
        secondary: Person,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let pair = Pair::of(None, secondary.sub());
        if matches!(
            State::of(&secondary.status),
            State::Unconfirmed | State::Other
        ) {
            return Ok(());
        }
        let origin = self.comparison.origin();
        let record = match self.record(&secondary).await {
            Err(error) => {
                if is_unreadable(&error)
                    && let Some(identity) = secondary.attributes.origin(origin)
                {
                    let original = find_original(self.primary, identity, &secondary, origin);
                    let original = original.await?;
                    let is_another =
                        |original: &Person| original.attributes.identity(origin) != Some(identity);
                    if !original.as_ref().is_some_and(is_another) {
                        self.restrict(original.as_ref(), &secondary, identity, outcome)
                            .await?;
                    }
                }
                return Err(error);
            }
            Ok(record) => record,
        };
        let Some(known_as) = self.known_as(&secondary, record.as_ref()) else {
            let is_newcomer =
                record.is_some_and(|record| record.kinds.contains(&RecordKind::SignUp));
            match is_newcomer {
                true => outcome.counts.newcomers += 1,
                false => outcome.report(&pair, "unpaired", Vec::new()),
            }
            return Ok(());
        };
        if let Some(original) = find_original(self.primary, &known_as, &secondary, origin).await? {
            return match self.relation(&original, &secondary, record.as_ref()) {
                Relation::Same => self.pair(&original, secondary, record, outcome).await,
                _ => {
                    outcome.report(&pair, "another-person", Vec::new());
                    Ok(())
                }
            };
        }
        if origin.is_none() {
            outcome.report(&pair, "not-in-primary", Vec::new());
            return Ok(());
        }
        let identity = secondary
            .attributes
            .identity(origin)
            .unwrap_or(&known_as)
            .to_owned();
        self.withhold_or_delete(&pair, &secondary, &identity, record.is_some(), outcome)
            .await
    }

    /// As whom the primary pool can be asked about somebody: by the identity that their user carries, or by the `sub` that their record
    /// says. None for newcomers, and for people whom nobody knows.
    fn known_as(&self, secondary: &Person, record: Option<&UsedSecondary>) -> Option<String> {
        let identity = secondary.attributes.origin(self.comparison.origin());
        let primary_sub = record.and_then(|record| record.primary_sub.as_deref());
        identity.or(primary_sub).map(str::to_owned)
    }

    /// Somebody who is gone from the primary pool.
    async fn withhold_or_delete(
        &self,
        pair: &Pair,
        secondary: &Person,
        identity: &str,
        has_record: bool,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        let withheld = withheld::read(self.bucket, identity).await?;
        let since = withheld
            .filter(|(withheld, _)| withheld.why == Why::Deleted)
            .map(|(withheld, _)| withheld.first_missed);
        let Some(since) = since.filter(|_| !secondary.enabled) else {
            let (kind, action) = (Kind::Withhold, "withhold");
            // An earlier run ended before it could disable them: since when they are missed stays.
            let done = match since {
                None => {
                    self.withhold(pair, secondary, identity, Why::Deleted, outcome)
                        .await?
                }
                Some(_) => {
                    self.admit_or_hold(kind, outcome, pair, action, Vec::new())
                        && self.disable(pair, kind, action, outcome).await?
                }
            };
            outcome.counts.withheld += u64::from(done);
            return Ok(());
        };
        if Timestamp::now().duration_since(since) < self.withhold_for {
            return Ok(());
        }
        if has_record || secondary.mfa {
            outcome.report(pair, "deleted-in-primary", Vec::new());
            return Ok(());
        }
        if !self.admit_or_hold(Kind::Delete, outcome, pair, "delete", Vec::new()) {
            return Ok(());
        }
        let deleted = self
            .write(outcome, pair, "delete", Vec::new(), async {
                users::delete(self.secondary.pool(), pair.secondary())
                    .await
                    .map(|_| ())
            })
            .await;
        outcome.counts.removed += u64::from(self.take_back_unless_made(Kind::Delete, deleted)?);
        Ok(())
    }

    /// Remembers what a replica is, then ends its sessions and disables it. True if it was disabled.
    async fn withhold(
        &self,
        pair: &Pair,
        secondary: &Person,
        identity: &str,
        why: Why,
        outcome: &mut Outcome,
    ) -> Result<bool, ReconcileError> {
        let (kind, action) = match why {
            Why::Disabled => (Kind::Disable, "disable"),
            Why::Deleted => (Kind::Withhold, "withhold"),
        };
        if !self.admit_or_hold(kind, outcome, pair, action, Vec::new()) {
            return Ok(false);
        }
        // Before the user is touched: who is interrupted in between leaves a record that the next run finds.
        let remembered = self.remember(pair, secondary, identity, why).await;
        self.take_back_unless_made(kind, remembered.map(|()| true))?;
        self.disable(pair, kind, action, outcome).await
    }

    /// Keeps what a replica is.
    async fn remember(
        &self,
        pair: &Pair,
        secondary: &Person,
        identity: &str,
        why: Why,
    ) -> Result<(), ReconcileError> {
        if self.is_dry_run {
            return Ok(());
        }
        let groups = users::groups(self.lookups, pair.secondary()).await?;
        let record = Withheld {
            version: 1,
            why,
            first_missed: Timestamp::now(),
            attributes: secondary.attributes.clone(),
            groups,
        };
        Ok(withheld::keep(self.bucket, identity, &record).await?)
    }

    async fn disable(
        &self,
        pair: &Pair,
        kind: Kind,
        action: &str,
        outcome: &mut Outcome,
    ) -> Result<bool, ReconcileError> {
        // Disabled last: whoever is interrupted in between is found enabled, and both are done again.
        let signed_out = self.sign_out(pair, outcome).await;
        self.take_back_unless_made(kind, signed_out.map(|()| true))?;
        let disabled = self
            .write(outcome, pair, action, Vec::new(), async {
                users::disable(self.secondary.pool(), pair.secondary()).await
            })
            .await;
        self.take_back_unless_made(kind, disabled)
    }

    /// Ends somebody's sessions. Whatever Cognito answers, they are disabled then: only a call that was not sent, or a sign-out that gets
    /// no answer, ends the look at them.
    async fn sign_out(&self, pair: &Pair, outcome: &mut Outcome) -> Result<(), ReconcileError> {
        if self.is_dry_run {
            return Ok(());
        }
        let signed_out = users::global_sign_out(self.secondary.pool(), pair.secondary()).await;
        match signed_out {
            Err(PoolError::Aws(error)) if error.failure() != Failure::Unreachable => {
                self.not_done(outcome, pair, "sign-out", Vec::new(), &error);
                Ok(())
            }
            signed_out => Ok(signed_out?),
        }
    }

    /// Carries a write out, unless this is a dry run, and keeps a line about it. True if it was done, or is planned.
    ///
    /// # Errors
    ///
    /// A service did not answer.
    pub async fn write(
        &self,
        outcome: &mut Outcome,
        pair: &Pair,
        action: &str,
        attributes: Vec<String>,
        write: impl Future<Output = Result<(), PoolError>>,
    ) -> Result<bool, ReconcileError> {
        if self.is_dry_run {
            outcome.line(pair, action, attributes, Done::Planned);
            return Ok(true);
        }
        match write.await {
            Ok(()) => {
                outcome.line(pair, action, attributes, Done::Done);
                Ok(true)
            }
            Err(PoolError::Aws(error)) if is_refused(&error) => {
                self.not_done(outcome, pair, action, attributes, &error);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a line about a write that failed, and reports it.
    fn not_done(
        &self,
        outcome: &mut Outcome,
        pair: &Pair,
        action: &str,
        attributes: Vec<String>,
        error: &AwsError,
    ) {
        tracing::error!(sub = pair.secondary(), %error, action, "not done");
        let code = error.code().to_owned();
        outcome.line(pair, action, attributes.clone(), Done::Refused(code));
        // An alarm for the first time: somebody may get in who should not.
        outcome.report(pair, &format!("{action}-refused"), attributes);
        outcome.failed += 1;
    }

    /// Keeps a line about somebody who was not brought into the secondary pool, or ends the run where a service did not answer.
    fn not_replicated(
        &self,
        pair: &Pair,
        action: &str,
        error: NotReplicated,
        outcome: &mut Outcome,
    ) -> Result<(), ReconcileError> {
        if error.retry_class() == RetryClass::Unavailable {
            return Err(stopped(error));
        }
        let reason = match &error {
            NotReplicated::NameHeld { .. } | NotReplicated::HeldByAnother { .. } => "name-held",
            NotReplicated::Taken(_) | NotReplicated::HeldByUnconfirmed(_) => "name-held",
            NotReplicated::CannotTell(_) => "cannot-tell",
            NotReplicated::Unfit(_) => "unfit",
            NotReplicated::Forgotten => "forgotten",
            _ => "refused",
        };
        tracing::error!(sub = pair.primary(), %error, action, "not brought into the secondary pool");
        outcome.line(pair, action, Vec::new(), Done::Refused(reason.to_owned()));
        outcome.report(pair, reason, Vec::new());
        // A conflict is reported and stays; trying again does not help.
        outcome.failed += u64::from(reason == "refused");
        Ok(())
    }

    /// The user of somebody of the primary pool in the secondary pool: the one whom the listing has found by identity, or found by the names
    /// that they have now.
    ///
    /// # Errors
    ///
    /// A service did not answer.
    pub async fn find_pair(
        &self,
        primary: &Person,
        listed: Option<&str>,
    ) -> Result<Option<Person>, ReconcileError> {
        let name = self.comparison.sign_in_name(primary);
        // Somebody who signed up in the secondary pool has their identity as `sub` there.
        let identity = primary.attributes.identity(self.comparison.origin());
        for name in [listed, Some(&name), identity].into_iter().flatten() {
            let found = users::look_up_holder(self.lookups, name).await?.into_user();
            if let Some(found) = found
                && self.relation(primary, &found, None) == Relation::Same
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The journal record of somebody; none when they have not used the secondary pool.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn record(
        &self,
        secondary: &Person,
    ) -> Result<Option<UsedSecondary>, ReconcileError> {
        Ok(journal::read_record(self.bucket, secondary).await?)
    }

    fn holders(&self) -> Holders<'_> {
        Holders {
            primary: self.primary,
            secondary: self.secondary,
            snapshots: Some(self.bucket),
            parked: Some(&self.parked),
            deletions: self,
            on_made_way: Some(&self.made_way),
        }
    }

    /// Stores how far the run has come, with what the guard has counted and with the lines of changes until here.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn save(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<(), ReconcileError> {
        progress.guard = self.guard();
        changes.close(progress).await?;
        progress.store(self.bucket).await
    }

    /// Stores how far the run has come if the guard has counted changes since: the runs of the next day count them, also if this worker is
    /// killed. The lines of changes follow with [`save`](Self::save).
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn save_counts(&self, progress: &mut Progress) -> Result<(), ReconcileError> {
        let guard = self.guard();
        if guard.made == progress.guard.made {
            return Ok(());
        }
        progress.guard = guard;
        progress.store(self.bucket).await
    }

    /// Counts a change that the listings suggest.
    pub fn plan(&self, kind: Kind) {
        self.locked_guard().plan(kind);
    }

    /// Whether one more change of this kind may be made. One that is held back gets a line.
    pub fn admit_or_hold(
        &self,
        kind: Kind,
        outcome: &mut Outcome,
        pair: &Pair,
        action: &str,
        attributes: Vec<String>,
    ) -> bool {
        // Whoever is looked at a second time has been counted.
        if outcome.is_held(action) {
            return false;
        }
        let is_admitted = self.admit(kind);
        if !is_admitted {
            outcome.line(pair, action, attributes, Done::Held);
        }
        is_admitted
    }

    /// Whether one more change of this kind may be made.
    fn admit(&self, kind: Kind) -> bool {
        self.locked_guard().admit(kind)
    }

    /// Takes the admission of a change back that was not made. If the run ends here, a later worker looks at this person again, and
    /// counts the change then.
    pub fn take_back_unless_made(
        &self,
        kind: Kind,
        made: Result<bool, ReconcileError>,
    ) -> Result<bool, ReconcileError> {
        if !matches!(made, Ok(true)) {
            self.locked_guard().not_made(kind);
        }
        made
    }

    /// The guard as it has counted so far.
    pub fn guard(&self) -> Guard {
        self.locked_guard().clone()
    }

    fn locked_made_way(&self) -> std::sync::MutexGuard<'_, Vec<(String, &'static str)>> {
        self.made_way.lock().expect("no panic while it is locked")
    }

    fn locked_guard(&self) -> std::sync::MutexGuard<'_, Guard> {
        self.guard.lock().expect("no panic while it is locked")
    }
}

/// A replica that is deleted because somebody else needs its name counts as withheld too, unless it is disabled already: if so many people
/// are gone that withholding them is held back, their names are not given away either.
impl Deletions for Mirror<'_> {
    fn admit(&self, replica: &Person) -> bool {
        let mut guard = self.locked_guard();
        if replica.enabled && !guard.admit(Kind::Withhold) {
            return false;
        }
        let is_admitted = guard.admit(Kind::Delete);
        if replica.enabled && !is_admitted {
            guard.not_made(Kind::Withhold);
        }
        is_admitted
    }

    fn not_made(&self, replica: &Person) {
        let mut guard = self.locked_guard();
        if replica.enabled {
            guard.not_made(Kind::Withhold);
        }
        guard.not_made(Kind::Delete);
    }
}

/// Whether a write was refused and would be refused again, so that the run goes on without it. A group that is gone and a limit of groups
/// come under codes that mean something else in other calls.
pub fn is_refused(error: &AwsError) -> bool {
    error.is_call_rejected()
        || matches!(
            error.code(),
            "ResourceNotFoundException" | "LimitExceededException"
        )
}

/// Whether a journal record is there that cannot be read.
fn is_unreadable(error: &ReconcileError) -> bool {
    matches!(error, ReconcileError::Json(JsonError::Malformed { .. }))
}

/// Reports somebody who cannot be looked at although the services answer: nothing is written to them, and the others come after.
/// `attributes` are the names that it is about.
///
/// # Errors
///
/// The error, if it is of another kind: then the run ends.
pub fn not_looked_at(
    error: ReconcileError,
    pair: &Pair,
    attributes: Vec<String>,
    outcome: &mut Outcome,
) -> Result<(), ReconcileError> {
    let reason = match &error {
        // Nobody can tell whether they have used the secondary pool.
        error if is_unreadable(error) => "record-unreadable",
        // No username may be like a name of theirs, although people may have it as an attribute (botocore UsernameType: without spaces, at
        // most 128 characters).
        ReconcileError::Pool(PoolError::Aws(refused))
            if refused.code() == "InvalidParameterException" =>
        {
            "refused"
        }
        _ => return Err(error),
    };
    let (sub, secondary_sub) = (pair.primary(), pair.secondary());
    tracing::error!(sub, secondary_sub, %error, "nothing is written to this person");
    outcome.report(pair, reason, attributes);
    outcome.failed += 1;
    Ok(())
}

/// A service did not answer: the run ends here, and a later one goes on.
fn stopped(error: NotReplicated) -> ReconcileError {
    match error {
        NotReplicated::Primary(error) | NotReplicated::Secondary(error) => error.into(),
        NotReplicated::Snapshots(error) => error.into(),
        error => ReconcileError::Refused(error.to_string()),
    }
}
