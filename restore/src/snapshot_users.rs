//! The users of a snapshot, one by one: first the rows of the import files, then the users whom the import files leave out.

use std::borrow::Cow;

use crate::decision::NewcomerState;
use crate::error::RestoreError;
use crate::names::PersonKey;
use crate::newcomers::Newcomers;
use crate::source::{Leftover, LeftoverReader, SourceSnapshot, VerifiedLines};
use crate::who::{Comparison, Who};
use shared::snapshot::manifest::Role;

/// A user of a snapshot.
pub struct SnapshotUser {
    /// What the user signs in with.
    pub username: String,
    /// Who the user is.
    pub who: Who,
    /// The user's identity, if it is known.
    pub identity: Option<String>,
    /// The user's data.
    pub entry: SnapshotEntry,
}

/// The form in which a snapshot holds a user.
pub enum SnapshotEntry {
    /// A row of an import file, without its line feed.
    ImportRow(String),
    /// A user whom the import files leave out.
    Leftover(Leftover),
}

/// A stream of the users of a snapshot.
#[derive(Debug)]
pub struct SnapshotUsers<'a> {
    source: &'a SourceSnapshot,
    comparison: &'a Comparison,
    newcomers: &'a Newcomers,
    rows: Option<VerifiedLines<'a>>,
    leftovers: LeftoverReader<'a>,
}

impl<'a> SnapshotUsers<'a> {
    /// A stream of every user of the snapshot.
    pub fn of(
        source: &'a SourceSnapshot,
        comparison: &'a Comparison,
        newcomers: &'a Newcomers,
    ) -> Self {
        Self {
            source,
            comparison,
            newcomers,
            // In a snapshot of the whole pool, the newcomers are among the users.
            rows: Some(source.lines(match source.has_only_newcomers() {
                true => Role::Newcomers,
                false => Role::Users,
            })),
            leftovers: source.leftovers(),
        }
    }

    /// The same stream, of the users whom the import files leave out only.
    #[must_use]
    pub fn without_rows(self) -> Self {
        Self { rows: None, ..self }
    }

    /// The next user; none after the last one.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or differs from what the manifest says.
    pub async fn next(&mut self) -> Result<Option<SnapshotUser>, RestoreError> {
        if let Some(rows) = &mut self.rows
            && let Some(row) = rows.next().await?
        {
            let username = self.source.username(&row)?;
            let (who, identity) = self.who_of_row(&username, &row)?;
            return Ok(Some(SnapshotUser {
                who,
                username,
                identity,
                entry: SnapshotEntry::ImportRow(row),
            }));
        }
        while let Some(leftover) = self.leftovers.next().await? {
            let who = leftover.who(self.comparison);
            let is_left_out = self.source.has_only_newcomers()
                && self.newcomers.state_of(&who.key) == NewcomerState::NotNewcomer;
            if leftover.has_row() || is_left_out {
                continue;
            }
            return Ok(Some(SnapshotUser {
                who,
                identity: leftover.identity(self.comparison).map(str::to_owned),
                username: leftover.username.clone(),
                entry: SnapshotEntry::Leftover(leftover),
            }));
        }
        Ok(None)
    }

    /// Whose a row is. The identity is in the column of the origin attribute. A row without it may be of a newcomer, whose record is named
    /// by the `sub`.
    fn who_of_row(&self, username: &str, row: &str) -> Result<(Who, Option<String>), RestoreError> {
        let cells = self.source.cells(row)?;
        let origin = self.comparison.origin();
        let identity = origin.and_then(|origin| cells.get(origin.as_str()));
        let record = || self.newcomers.record_of(&PersonKey::of(username));
        let identity = identity.or_else(|| record().map(Cow::Borrowed));
        let addresses = self.comparison.addresses(|name| cells.get(name));
        let who = self
            .comparison
            .who(username, identity.as_deref(), addresses);
        Ok((who, identity.map(Cow::into_owned)))
    }
}
