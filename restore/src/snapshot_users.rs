//! The users of a snapshot, one by one: first the rows of the import files, then the users whom the import files leave out.

use crate::error::RestoreError;
use crate::names::{NameHash, NameHasher};
use crate::source::{Leftover, LeftoverReader, SourceSnapshot, VerifiedLines};
use shared::snapshot::manifest::Role;

/// A user of a snapshot.
pub struct SnapshotUser {
    /// What the user signs in with.
    pub username: String,
    /// The hash of the username.
    pub name: NameHash,
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
    hasher: NameHasher,
    rows: VerifiedLines<'a>,
    leftovers: LeftoverReader<'a>,
}

impl<'a> SnapshotUsers<'a> {
    /// A stream of every user of the snapshot.
    pub fn of(source: &'a SourceSnapshot, hasher: NameHasher) -> Self {
        Self {
            source,
            hasher,
            rows: source.lines(Role::Users),
            leftovers: source.leftovers(),
        }
    }

    /// The next user; none after the last one.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or differs from what the manifest says.
    pub async fn next(&mut self) -> Result<Option<SnapshotUser>, RestoreError> {
        if let Some(row) = self.rows.next().await? {
            let username = self.source.username(&row)?;
            return Ok(Some(SnapshotUser {
                name: self.hasher.hash(&username),
                username,
                entry: SnapshotEntry::ImportRow(row),
            }));
        }
        while let Some(leftover) = self.leftovers.next().await? {
            if !leftover.is_attribute() {
                return Ok(Some(SnapshotUser {
                    name: self.hasher.hash(&leftover.username),
                    username: leftover.username.clone(),
                    entry: SnapshotEntry::Leftover(leftover),
                }));
            }
        }
        Ok(None)
    }
}
