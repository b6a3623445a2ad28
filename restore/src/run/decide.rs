//! Phase 3: what to do about each user of the snapshot.

use crate::decision::{Candidate, Decision, NewcomerState, UserState, decide, decide_fill};
use crate::error::RestoreError;
use crate::reason::Reason;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::run::source_looks::{Look, SourceLooks};
use crate::snapshot_users::{SnapshotEntry, SnapshotUser, SnapshotUsers};
use crate::target_pool::{TargetPool, TargetUser};
use crate::who::Who;
use shared::import_csv::rules::{self, RowRules};

/// Everything that a decision depends on.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) target: &'a TargetPool,
    pub(super) results: &'a JobResults,
    pub(super) looks: &'a SourceLooks,
}

impl<'a> Situation<'a> {
    /// Decides what to do about a user of the snapshot. Whether Cognito would accept the user's row is a question of its own:
    /// [`Self::row_problem`].
    pub(super) fn decide(&self, user: &SnapshotUser) -> Decision {
        let key = &user.who.key;
        let candidate = match &user.entry {
            _ if self.looks.of(key) == Some(Look::Deleted) => Candidate::Deleted,
            _ if self.looks.of(key) == Some(Look::Changed) => Candidate::Changed,
            SnapshotEntry::ImportRow(_) if self.is_created_one_by_one(user) => {
                Candidate::RowToCreate
            }
            SnapshotEntry::ImportRow(_) => {
                let holder = self.target.address_holder(key);
                Candidate::Row(self.results.of(key, holder))
            }
            SnapshotEntry::Leftover(leftover)
                if leftover.is_withheld_as_deleted() && !self.prepared.request.withheld =>
            {
                Candidate::Withheld
            }
            SnapshotEntry::Leftover(leftover) => Candidate::LeftOut(&leftover.reason),
        };
        let prepared = self.prepared;
        if let Some(identity) = &user.who.identity
            && prepared.forgotten.contains(identity)
        {
            return Decision::NotRestored(Reason::Forgotten);
        }
        if let Some(fill) = &prepared.config.fill {
            let identity = user.who.identity.as_ref();
            let is_skipped = identity.is_some_and(|identity| fill.skip.contains(identity));
            return decide_fill(self.state_of(&user.who), candidate, is_skipped);
        }
        decide(
            prepared.request.scope,
            prepared.request.reclaim_unconfirmed,
            prepared.newcomers.state_of(key),
            self.state_of(&user.who),
            candidate,
        )
    }

    /// Whether no import file can carry the user, so that the user is created with AdminCreateUser. An import would enable whoever is
    /// disabled.
    pub(super) fn is_created_one_by_one(&self, user: &SnapshotUser) -> bool {
        let key = &user.who.key;
        match &user.entry {
            SnapshotEntry::ImportRow(_) => {
                self.prepared.rows_to_create.contains(key)
                    || self.looks.of(key) == Some(Look::Disabled)
            }
            SnapshotEntry::Leftover(_) => true,
        }
    }

    /// A stream of the users of the snapshot for whom something may have to be written after the import.
    pub(super) fn users_with_late_writes(&self) -> SnapshotUsers<'a> {
        let users = self.prepared.snapshot_users();
        let are_without_rows =
            self.prepared.late_attributes.is_empty() && self.looks.has_nobody_disabled();
        match are_without_rows {
            true => users.without_rows(),
            false => users,
        }
    }

    /// What the target pool has of a user of the snapshot.
    pub(super) fn state_of(&self, who: &Who) -> UserState {
        if self.prepared.newcomers.has_identity_twice(&who.key) {
            return UserState::IdentityTwice;
        }
        self.target.state_of(who, &self.prepared.namesakes)
    }

    /// The user of the target pool who is this user of the snapshot, if they are home.
    pub(super) fn home_user(&self, who: &Who) -> Option<&'a TargetUser> {
        match self.state_of(who) {
            UserState::Present => self.target.home_user(who, &self.prepared.namesakes),
            _ => None,
        }
    }

    /// Whether a user whom this restore brings home is in the target pool and cannot sign in, because no address of theirs is verified
    /// there. Other users are none of its business, and a fill leaves the flags of addresses to reconcile.
    pub(super) fn is_locked_out(&self, who: &Who) -> bool {
        let Self {
            prepared, results, ..
        } = self;
        let is_brought = results.in_files.contains(&who.key)
            || prepared.newcomers.state_of(&who.key) == NewcomerState::Pending;
        is_brought
            && prepared.config.fill.is_none()
            && self.target.is_locked_out(who, &prepared.namesakes)
    }

    /// Why Cognito would reject the user's row, if the user has a row and Cognito would reject it.
    ///
    /// # Errors
    ///
    /// The snapshot's row is damaged.
    pub(super) fn row_problem(
        &self,
        rules: &RowRules<'_>,
        user: &SnapshotUser,
    ) -> Result<Option<String>, RestoreError> {
        let SnapshotEntry::ImportRow(row) = &user.entry else {
            return Ok(None);
        };
        let prepared = self.prepared;
        let cells = prepared.source.cells(row)?;
        let mapped =
            cells.rewrite_for_header(prepared.rules.header(), prepared.format.mfa_enabled());
        Ok(import_row_problem(rules, &mapped.line))
    }
}

/// Why Cognito would reject a row of the target pool's import file, if it would.
pub(super) fn import_row_problem(rules: &RowRules<'_>, row: &str) -> Option<String> {
    let row = row.strip_suffix('\n').unwrap_or(row);
    let problem = match rules.cells(Ok(row)) {
        // A value that the snapshot's pool holds is not too long for the target pool.
        Ok(cells) => rules
            .check(&cells)
            .into_iter()
            .find(|problem| problem.reason != rules::Reason::TooManyBytes)?,
        Err(problem) => problem,
    };
    Some(match problem.column {
        Some(column) => format!("{column}: {}", problem.reason),
        None => problem.reason.to_string(),
    })
}
