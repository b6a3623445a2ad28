//! A snapshot of the newcomers, made from the journal and lookups: the pool is not listed, so that its size does not matter.
//!
//! Whoever the previous snapshot of the newcomers has looked up is taken over from it; only those who have signed up since are looked up.
//! What is known of each record is stored in parts, like the users of a listing, and the files are written from the parts. So a worker
//! that was interrupted loses little, and the next snapshot finds everyone in the parts of this one. Parts are kept for some days: where
//! they are gone, everyone is looked up once more.
//!
//! Who is taken over may have changed since. The manifest says since when everyone was looked up, and a restore looks everyone up again if
//! that is long ago. One change cannot wait for that: an address that has changed hands. Two people would have one sign-in name, so both
//! are looked up again.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::cognito::listing::{Chain, Position};
use crate::id::Id;
use crate::person::{Person, Status};
use crate::s3::json::JsonError;
use crate::snapshot::details::UserToExport;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::export::{CONCURRENT_LOOKUPS, Export, ExportTask, look_up_newcomer};
use crate::snapshot::layout::progress_key;
use crate::snapshot::manifest::File;
use crate::snapshot::progress::Progress;
use crate::snapshot::scope::Scope;
use crate::snapshot::unfinished::{Unfinished, stored_lines};
use crate::withheld::Why;

/// The reason of a record whose user is not in the pool any more.
pub const GONE: &str = "gone";

/// A line of a part: what is known of one sign-up record.
#[derive(Debug, Serialize, Deserialize)]
struct LookedUp {
    /// The record's name: a `sub`, or a username where the event had no `sub`.
    record: String,
    /// The user; none when they are gone.
    person: Option<Person>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withheld: Option<Why>,
}

impl LookedUp {
    /// Whether the next snapshot may rely on it. Somebody who had not confirmed the sign-up yet is looked up again.
    fn is_settled(&self) -> bool {
        let mut person = self.person.iter();
        person.all(|person| person.status != Status::Unconfirmed)
    }
}

impl Export<'_> {
    /// Takes over whoever is known, looks up the others, and writes everyone.
    pub(super) async fn look_up_and_write_newcomers(
        &mut self,
        unfinished: &mut Unfinished,
    ) -> Result<Vec<File>, SnapshotError> {
        self.read_journal(unfinished.progress()).await?;
        self.mark_stored(unfinished).await?;
        if let Some(base) = unfinished.progress().base.clone() {
            match self.take_over(&base, unfinished).await {
                // Nothing is wrong with what was taken over before the part that is gone.
                Err(SnapshotError::LostPart { key }) => tracing::info!(
                    key,
                    "what the previous snapshot has looked up is gone: its newcomers are looked up again"
                ),
                taken_over => taken_over?,
            }
        }
        self.look_up_others(unfinished).await?;
        // Everything is in parts from here on, and the next snapshot finds them by the progress.
        unfinished.save().await?;
        self.write_stored(unfinished).await?;
        unfinished.begin_closing(self.sign_ups.len()).await?;
        Ok(self.files.finish().await?)
    }

    /// Notes whom earlier workers have stored.
    async fn mark_stored(&mut self, unfinished: &Unfinished) -> Result<(), SnapshotError> {
        let mut stored = pin!(unfinished.stored::<LookedUp>());
        while let Some(known) = stored.try_next().await? {
            self.sign_ups.mark_record_found(&known.record);
        }
        Ok(())
    }

    async fn write_stored(&mut self, unfinished: &Unfinished) -> Result<(), SnapshotError> {
        let mut namesakes = self.look_up_namesakes(unfinished).await?;
        let mut stored = pin!(unfinished.stored::<LookedUp>());
        while let Some(known) = stored.try_next().await? {
            let known = namesakes.remove(&known.record).unwrap_or(known);
            self.write_newcomer(known).await?;
        }
        Ok(())
    }

    /// Looks up again, by the names of their records, those who have a sign-in name that somebody else has too.
    async fn look_up_namesakes(
        &self,
        unfinished: &Unfinished,
    ) -> Result<HashMap<String, LookedUp>, SnapshotError> {
        let mut names = Vec::new();
        let mut stored = pin!(unfinished.stored::<LookedUp>());
        while let Some(known) = stored.try_next().await? {
            names.extend(self.name_of(&known));
        }
        names.sort_unstable();
        let shared = names.chunk_by(|one, other| one == other);
        let shared: HashSet<_> = shared.filter(|name| name.len() > 1).map(|n| n[0]).collect();
        let mut namesakes = HashMap::new();
        if shared.is_empty() {
            return Ok(namesakes);
        }
        let mut stored = pin!(unfinished.stored::<LookedUp>());
        while let Some(known) = stored.try_next().await? {
            let name = self.name_of(&known);
            if name.is_some_and(|name| shared.contains(&name)) {
                let now = self.look_up(known.record).await?;
                namesakes.insert(now.record.clone(), now);
            }
        }
        Ok(namesakes)
    }

    /// The sign-in name of somebody who can have a row, as a hash that leaves out letter case. Two names with one hash cost a lookup.
    fn name_of(&self, known: &LookedUp) -> Option<u64> {
        let mut person = known.person.iter();
        let person = person.find(|person| person.status != Status::Unconfirmed)?;
        let mut hasher = DefaultHasher::new();
        let name = self.format.sign_in_name(person);
        name.to_lowercase().hash(&mut hasher);
        Some(hasher.finish())
    }

    /// Copies what the previous snapshot knows of the records that are still in the journal.
    async fn take_over(
        &mut self,
        base: &Id,
        unfinished: &mut Unfinished,
    ) -> Result<(), SnapshotError> {
        let key = progress_key(base);
        let progress = match self.task.bucket.get_json::<Progress>(&key).await {
            Ok(Some((progress, _))) if progress.scope == Scope::Newcomers => progress,
            Ok(_) | Err(JsonError::Malformed { .. }) => {
                return Err(SnapshotError::LostPart { key });
            }
            Err(error) => return Err(error.into()),
        };
        unfinished.take_over_as_of(progress.as_of());
        let mut lines = pin!(stored_lines::<LookedUp>(self.task.bucket, &progress));
        while let Some(known) = lines.try_next().await? {
            if known.is_settled() && self.sign_ups.mark_record_found(&known.record) {
                self.store(known, unfinished).await?;
            }
        }
        Ok(())
    }

    async fn look_up_others(&self, unfinished: &mut Unfinished) -> Result<(), SnapshotError> {
        let mut looked_up = pin!(
            stream::iter(self.sign_ups.not_found())
                .map(|record| self.look_up(record))
                .buffer_unordered(CONCURRENT_LOOKUPS)
        );
        while let Some(known) = looked_up.try_next().await? {
            self.store(known, unfinished).await?;
        }
        Ok(())
    }

    async fn look_up(&self, record: String) -> Result<LookedUp, SnapshotError> {
        let task: &ExportTask<'_> = self.task;
        Ok(match look_up_newcomer(task, &record).await? {
            Some(person) => {
                let user = self.details.of(person, true).await?;
                LookedUp {
                    record,
                    person: Some(user.person),
                    groups: user.groups,
                    withheld: user.withheld,
                }
            }
            None => LookedUp {
                record,
                person: None,
                groups: Vec::new(),
                withheld: None,
            },
        })
    }

    async fn store(
        &self,
        known: LookedUp,
        unfinished: &mut Unfinished,
    ) -> Result<(), SnapshotError> {
        // The chains of a listing are not needed here: one of them holds all parts, and has no position.
        let chain = Chain::all().next().expect("there are sixteen chains");
        unfinished.add(chain, &[known], &Position::Start).await?;
        self.task.listed_users.send_replace(unfinished.users());
        Ok(())
    }

    async fn write_newcomer(&mut self, known: LookedUp) -> Result<(), SnapshotError> {
        let LookedUp {
            record,
            person,
            groups,
            withheld,
        } = known;
        let Some(person) = person else {
            return self.write_gone(&record).await;
        };
        // Somebody with two records, one of which is named by the username, is written once.
        let sub = person.sub().filter(|sub| *sub != record);
        if sub.is_some_and(|sub| self.sign_ups.has_record(sub)) {
            return Ok(());
        }
        let user = UserToExport {
            person,
            is_newcomer: true,
            groups,
            withheld,
        };
        self.write_user(&user).await
    }
}
