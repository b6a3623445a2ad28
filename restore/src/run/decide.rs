//! Phase 3: what to do about each user of the snapshot.

use crate::decision::{Candidate, Decision, decide};
use crate::error::RestoreError;
use crate::names::NameHash;
use crate::run::prepare::Prepared;
use crate::run::results::JobResults;
use crate::snapshot_users::{SnapshotEntry, SnapshotUser};
use crate::target_pool::TargetPool;
use shared::import_csv::rules::{self, RowRules};

/// Everything that a decision depends on.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) target: &'a TargetPool,
    pub(super) results: &'a JobResults,
}

impl Situation<'_> {
    /// Decides what to do about a user of the snapshot. Whether Cognito would accept the user's row is a question of its own:
    /// [`Self::row_problem`].
    pub(super) fn decide(&self, user: &SnapshotUser) -> Decision {
        let candidate = match &user.entry {
            SnapshotEntry::ImportRow(_) => Candidate::Row {
                failure: self
                    .results
                    .failures
                    .get(&user.name)
                    .map(|(message, times)| (message.as_str(), *times)),
                was_imported: self.results.done.contains(&user.name),
            },
            SnapshotEntry::Leftover(leftover) => Candidate::LeftOut(&leftover.reason),
        };
        self.decide_candidate(&user.name, candidate)
    }

    /// Decides what to do about the user with this name, of whom the snapshot and the import jobs say this.
    pub(super) fn decide_candidate(&self, name: &NameHash, candidate: Candidate<'_>) -> Decision {
        let prepared = self.prepared;
        decide(
            prepared.request.scope,
            prepared.request.reclaim_unconfirmed,
            prepared.newcomers.state_of(name),
            self.target.state_of(name),
            candidate,
        )
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
        let mapped = cells.map(prepared.rules.header(), prepared.format.mfa_enabled());
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
