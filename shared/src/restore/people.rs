//! The people of a snapshot, one by one: those of the import files, then those who were left out of them.

use super::RestoreError;
use crate::restore::census::{Key, Names};
use crate::restore::source::{Leftover, Leftovers, Reading, Source};
use crate::snapshot::Role;

/// A person of a snapshot.
pub struct Somebody {
    /// What they sign in with.
    pub username: String,
    /// The same, as it is compared.
    pub key: Key,
    /// The form in which the snapshot has them.
    pub body: Body,
}

/// The form in which a snapshot has a person.
pub enum Body {
    /// A row of an import file, without its line feed.
    Row(String),
    /// Left out, whole.
    Leftover(Leftover),
}

/// The people of a snapshot.
#[derive(Debug)]
pub struct People<'a> {
    source: &'a Source,
    names: Names,
    rows: Reading<'a>,
    leftovers: Leftovers<'a>,
}

impl<'a> People<'a> {
    /// Everyone of a snapshot.
    pub fn of(source: &'a Source, names: Names) -> Self {
        Self {
            source,
            names,
            rows: source.lines(Role::Users),
            leftovers: source.leftovers(),
        }
    }

    /// The next one; none after the last.
    pub async fn next(&mut self) -> Result<Option<Somebody>, RestoreError> {
        if let Some(line) = self.rows.next().await? {
            let username = self.source.username(&line)?;
            return Ok(Some(Somebody {
                key: self.names.key(&username),
                username,
                body: Body::Row(line),
            }));
        }
        while let Some(leftover) = self.leftovers.next().await? {
            if !leftover.is_attribute() {
                return Ok(Some(Somebody {
                    key: self.names.key(&leftover.username),
                    username: leftover.username.clone(),
                    body: Body::Leftover(leftover),
                }));
            }
        }
        Ok(None)
    }
}
