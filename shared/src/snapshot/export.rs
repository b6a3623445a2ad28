//! Exports a pool: its listing streams through the import format into the snapshot's files, in flat memory.
//!
//! Several chains are listed concurrently, and one place receives their users, so that each user is handled in one order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::aws::error::AwsError;
use crate::cognito::listing::{Chain, Listed, Page, Position, concurrent_chains, list_chain};
use crate::cognito::pool::{Pool, PoolError};
use crate::cognito::users;
use crate::confirmation::{Confirmation, Username};
use crate::environment::CustomAttribute;
use crate::import_csv::{Format, Rejection};
use crate::journal::{SIGN_UPS_PREFIX, record_key};
use crate::person::{Attributes, Person};
use crate::s3::bucket::Bucket;
use crate::s3::json::{JsonError, to_json};
use crate::s3::upload::Upload;
use crate::snapshot::details::{Details, UserToExport};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::files::SnapshotFiles;
use crate::snapshot::manifest::{File, Manifest, PoolSummary, Role, Users, write_manifest};
use crate::snapshot::newcomers::GONE;
use crate::snapshot::progress::Progress;
use crate::snapshot::purpose::Purpose;
use crate::snapshot::scope::Scope;
use crate::snapshot::sign_ups::SignUps;
use crate::snapshot::unfinished::Unfinished;
use crate::snapshot::written::PieceWriter;
use crate::time::now;
use crate::withheld::Why;

/// Listed pages that may wait to be written. More would only use memory.
const MAX_WAITING_PAGES: usize = 4;

/// Newcomers who are looked up concurrently, under the pool's one rate limit.
pub(super) const CONCURRENT_LOOKUPS: usize = 8;

/// So many stored users are completed and written together: as many as a page of a listing has.
pub(super) const USERS_PER_BATCH: usize = 60;

/// The reason of a leftover line that says nothing but a newcomer's groups.
pub const GROUPS: &str = "groups";

/// What is exported, and where to.
#[derive(Debug)]
pub struct ExportTask<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// The bucket.
    pub bucket: &'a Bucket,
    /// The attribute whose column carries everyone's identity.
    pub origin_sub: Option<&'a CustomAttribute>,
    /// What the snapshot is for.
    pub purpose: Purpose,
    /// Receives the number of users listed, or looked up, so far.
    pub listed_users: &'a watch::Sender<u64>,
    /// When to leave the rest to the next worker.
    pub deadline: Instant,
}

/// A snapshot with its manifest.
#[derive(Debug)]
pub struct Exported {
    /// Its manifest.
    pub manifest: Manifest,
    /// How many sign-up records were in the journal.
    pub sign_ups: u64,
}

/// Lists the rest of the pool, or looks up the rest of the newcomers, and writes all files and the manifest. None when the deadline passed
/// before: then everything is stored so that the next worker can resume.
///
/// # Errors
///
/// There is no manifest then, and so no snapshot. If its progress was stored, the next worker can resume it.
pub fn export_pool<'a>(
    task: &'a ExportTask<'_>,
    unfinished: &'a mut Unfinished,
) -> LocalBoxFuture<'a, Result<Option<Exported>, SnapshotError>> {
    // Boxed here, so that the callers need not have the stack for it.
    export(task, unfinished).boxed_local()
}

async fn export(
    task: &ExportTask<'_>,
    unfinished: &mut Unfinished,
) -> Result<Option<Exported>, SnapshotError> {
    let pool = task.pool.describe().await?;
    let header = task.pool.csv_header().await?;
    let format = Format::of(&pool, &header, task.origin_sub)?;
    let was_completely_listed = unfinished.progress().is_completely_listed();
    let written_before = unfinished.progress().written.clone();
    let scope = unfinished.progress().scope;
    let mut export = Export::new(task, unfinished.progress(), &header, format);
    let exported = tokio::time::timeout_at(task.deadline.into(), async {
        match scope {
            Scope::Pool => export.list_and_write_users(unfinished).await,
            Scope::Newcomers => export.look_up_and_write_newcomers(unfinished).await,
        }
    });
    let exported = match exported.await {
        Ok(exported) => exported,
        Err(_) => Err(PoolError::OutOfTime(task.pool.id().clone()).into()),
    };
    let files = match exported {
        Ok(files) => files,
        Err(error) => {
            let is_out_of_time = matches!(error, SnapshotError::Pool(PoolError::OutOfTime(_)));
            let has_come_further = unfinished.progress().written != written_before;
            if was_completely_listed && is_out_of_time && !has_come_further {
                tracing::error!(
                    %error,
                    "an invocation was too short to write any part of this snapshot's files: \
                     raise the function's timeout or memory, or LIST_USERS_RPS"
                );
            }
            let saved = save_for_next_worker(unfinished, error).await;
            export.abort().await;
            return saved.map(|()| None);
        }
    };
    let mfa = pool.mfa_configuration().map_or("OFF", |mfa| mfa.as_str());
    let sign_in = pool.username_attributes().iter();
    let progress = unfinished.progress();
    let manifest = Manifest {
        version: 1,
        snapshot: progress.snapshot.clone(),
        scope: progress.scope,
        pool: PoolSummary {
            id: task.pool.id().to_string(),
            region: task.pool.id().region().to_owned(),
            mfa: mfa.to_owned(),
            username_attributes: sign_in.map(|a| a.as_str().to_owned()).collect(),
        },
        started_at: progress.started_at,
        as_of: (scope == Scope::Newcomers).then(|| progress.as_of()),
        finished_at: now(),
        header: match &progress.written {
            Some(written) => written.header.clone(),
            None => header.clone(),
        },
        users: export.users,
        dropped_attributes: export.dropped_attributes,
        files,
    };
    if let Err(error) = write_manifest(task.bucket, &manifest).await {
        let saved = save_for_next_worker(unfinished, error.into()).await;
        return saved.map(|()| None);
    }
    let written = unfinished.progress().written.as_ref();
    Ok(Some(Exported {
        manifest,
        sign_ups: written.map_or(export.sign_ups.len(), |written| written.sign_ups),
    }))
}

/// Stores how far the snapshot has come, if there is something to resume. Passes on the error, unless it only says that the time is
/// up.
async fn save_for_next_worker(
    unfinished: &mut Unfinished,
    error: SnapshotError,
) -> Result<(), SnapshotError> {
    match error {
        // There is nothing to resume, or it belongs to another worker.
        SnapshotError::Superseded | SnapshotError::LostPart { .. } => Err(error),
        SnapshotError::Pool(PoolError::OutOfTime(_)) => unfinished.save().await,
        error => {
            if unfinished.is_stored()
                && let Err(error) = unfinished.save().await
            {
                tracing::warn!(%error, "the next worker resumes from an earlier state");
            }
            Err(error)
        }
    }
}

/// An export that is being written.
pub(super) struct Export<'a> {
    pub(super) task: &'a ExportTask<'a>,
    pub(super) details: Details<'a>,
    pub(super) header: &'a [String],
    pub(super) format: Format,
    pub(super) sign_ups: SignUps,
    pub(super) files: SnapshotFiles,
    /// Where rows go instead of the files, when users are written from the parts.
    pub(super) pieces: Option<PieceWriter>,
    /// A file that is being joined from pieces.
    pub(super) joining: Option<Upload>,
    pub(super) users: Users,
    pub(super) dropped_attributes: BTreeMap<String, u64>,
}

/// A page of one chain.
struct ListedPage {
    chain: Chain,
    page: Page,
}

impl<'a> Export<'a> {
    fn new(
        task: &'a ExportTask<'a>,
        progress: &Progress,
        header: &'a [String],
        format: Format,
    ) -> Self {
        let line = format.header_line();
        Self {
            task,
            details: Details::new(task),
            files: SnapshotFiles::new(task.bucket, &progress.snapshot, progress.scope, &line),
            header,
            format,
            sign_ups: SignUps::default(),
            pieces: None,
            joining: None,
            users: Users::default(),
            dropped_attributes: BTreeMap::new(),
        }
    }

    /// The first worker writes users as they are listed. A later one lists the rest first, and then writes all users from the
    /// parts: so all rows have one format, whatever has changed since the start.
    async fn list_and_write_users(
        &mut self,
        unfinished: &mut Unfinished,
    ) -> Result<Vec<File>, SnapshotError> {
        if unfinished.is_stored() {
            self.list_users(unfinished, false).await?;
            unfinished.save().await?;
            return self.write_stored_users(unfinished).await;
        }
        self.read_journal(unfinished.progress()).await?;
        self.list_users(unfinished, true).await?;
        for records in self.sign_ups.recent_not_found().chunks(USERS_PER_BATCH) {
            self.export_unlisted_newcomers(records).await?;
        }
        self.log_deleted();
        unfinished.begin_closing(self.sign_ups.len()).await?;
        Ok(self.files.finish().await?)
    }

    pub(super) async fn read_journal(&mut self, progress: &Progress) -> Result<(), SnapshotError> {
        let (previous, started_at) = (progress.previous, progress.started_at);
        self.sign_ups = SignUps::list(self.task.bucket, previous, started_at).await?;
        Ok(())
    }

    /// Lists all users who are not listed yet, and writes them if `write` says so.
    async fn list_users(
        &mut self,
        unfinished: &mut Unfinished,
        write: bool,
    ) -> Result<(), SnapshotError> {
        // Chains with a token come first, because tokens expire after an hour.
        let has_token = |position: &Position| matches!(position, Position::Token(_));
        let concurrent = concurrent_chains(self.task.pool);
        let expired = self
            .list_chains(unfinished, has_token, concurrent, write)
            .await?;
        for &chain in &expired {
            let digit = chain.first_digit();
            tracing::info!(chain = %digit, "a token has expired: its chain is listed again");
            unfinished.restart_chain(chain);
        }
        // Tokens expire between workers, so only finished chains survive: list them one at a time.
        let concurrent = if expired.is_empty() { concurrent } else { 1 };
        let at_start = |position: &Position| *position == Position::Start;
        self.list_chains(unfinished, at_start, concurrent, write)
            .await?;
        Ok(())
    }

    /// Lists the chains at certain positions, some of them concurrently. Returns the chains whose tokens have expired.
    async fn list_chains(
        &mut self,
        unfinished: &mut Unfinished,
        is_wanted: impl Fn(&Position) -> bool,
        concurrent: usize,
        write: bool,
    ) -> Result<Vec<Chain>, SnapshotError> {
        let (pages, mut listed_pages) = mpsc::channel(MAX_WAITING_PAGES);
        let (pool, listed_users) = (self.task.pool, self.task.listed_users);
        let progress = unfinished.progress();
        let chains: Vec<_> = Chain::all()
            .map(|chain| (chain, progress.position(chain).clone()))
            .filter(|(_, position)| is_wanted(position))
            .collect();
        let listing = async move {
            let expired = stream::iter(chains)
                .map(|(chain, from)| send_pages(pool, chain, from, pages.clone()))
                .buffer_unordered(concurrent)
                .try_filter_map(async |expired| Ok(expired))
                .try_collect()
                .await?;
            // The last sender ends here, and with it the receiving side.
            drop(pages);
            Ok(expired)
        };
        let receiving = async {
            while let Some(ListedPage { chain, page }) = listed_pages.recv().await {
                unfinished.add_page(chain, &page).await?;
                listed_users.send_replace(unfinished.users());
                if write {
                    self.export_listed_users(page.people).await?;
                }
            }
            Ok::<_, SnapshotError>(())
        };
        let (expired, ()) = tokio::try_join!(listing, receiving)?;
        Ok(expired)
    }

    /// Exports users whom the listing shows.
    pub(super) async fn export_listed_users(
        &mut self,
        people: Vec<Person>,
    ) -> Result<(), SnapshotError> {
        let entry = |person: &Person| self.sign_ups.entry(person.sub(), &person.username);
        let listed = people.into_iter().map(|person| (entry(&person), person));
        let listed: Vec<_> = listed.collect();
        let users: Vec<_> = stream::iter(listed)
            .map(|(entry, person)| self.details.of_listed(person, entry))
            .buffered(CONCURRENT_LOOKUPS)
            .try_collect()
            .await?;
        for user in users {
            let person = &user.person;
            self.sign_ups.mark_found(person.sub(), &person.username);
            if user.is_newcomer {
                self.note_found(person.sub(), &person.username).await?;
            }
            self.write_user(&user).await?;
        }
        Ok(())
    }

    /// Looks up and exports newcomers whom the listing did not show: ListUsers is eventually consistent (botocore ListUsers).
    pub(super) async fn export_unlisted_newcomers(
        &mut self,
        records: &[String],
    ) -> Result<(), SnapshotError> {
        let (task, details) = (self.task, &self.details);
        let users: Vec<_> = stream::iter(records)
            .map(async |record| {
                Ok::<_, SnapshotError>(match look_up_newcomer(task, record).await? {
                    Some(person) => Some(details.of(person, true).await?),
                    // Deleted since.
                    None => None,
                })
            })
            .buffer_unordered(CONCURRENT_LOOKUPS)
            .try_collect()
            .await?;
        for user in users.into_iter().flatten() {
            self.write_user(&user).await?;
        }
        for record in records {
            self.note_found(Some(record), record).await?;
        }
        Ok(())
    }

    pub(super) fn log_deleted(&self) {
        let deleted = self.sign_ups.old_not_found();
        if deleted > 0 {
            tracing::info!(
                deleted,
                "sign-up records in the journal whose users are not in the pool any more"
            );
        }
    }

    async fn write_row(&mut self, role: Role, row: &[u8]) -> Result<(), AwsError> {
        match &mut self.pieces {
            Some(pieces) => pieces.write_row(role.into(), row).await,
            None => self.files.write_row(role, row).await,
        }
    }

    /// Discards what is not finished.
    async fn abort(&mut self) {
        self.files.abort().await;
        if let Some(joining) = self.joining.take() {
            joining.abort().await;
        }
    }

    pub(super) async fn write_user(&mut self, user: &UserToExport) -> Result<(), SnapshotError> {
        let person = &user.person;
        self.users.listed += 1;
        let row = self.task.purpose.check(person);
        let row = match row.and_then(|()| self.format.row(person)) {
            Ok(row) => row,
            Err(rejection) => return self.write_rejection(user, &rejection).await,
        };
        self.users.exported += 1;
        self.write_row(Role::Users, row.line.as_bytes()).await?;
        if user.is_newcomer {
            self.users.newcomers += 1;
            self.write_row(Role::Newcomers, row.line.as_bytes()).await?;
        }
        for (attribute, reason) in &row.left_out {
            count(&mut self.dropped_attributes, reason.as_str());
            self.write_rejected(person, attribute, reason.as_str())
                .await?;
            let value = person.attributes.get(attribute).unwrap_or_default();
            let left_out = Attributes::from_iter([(attribute, value)]);
            let leftover = Leftover {
                attributes: &left_out,
                ..self.leftover(person, reason.as_str())
            };
            let line = to_json(&leftover);
            self.write_row(Role::Leftovers, &line).await?;
        }
        if !user.groups.is_empty() {
            let leftover = Leftover {
                attributes: &Attributes::default(),
                groups: &user.groups,
                ..self.leftover(person, GROUPS)
            };
            let line = to_json(&leftover);
            self.write_row(Role::Leftovers, &line).await?;
        }
        Ok(())
    }

    async fn write_rejection(
        &mut self,
        user: &UserToExport,
        rejection: &Rejection,
    ) -> Result<(), SnapshotError> {
        let reason = rejection.as_str();
        count(&mut self.users.rejected, reason);
        let attribute = rejection.attribute().unwrap_or_default();
        self.write_rejected(&user.person, attribute, reason).await?;
        let leftover = Leftover {
            withheld: user.withheld,
            groups: &user.groups,
            ..self.leftover(&user.person, reason)
        };
        let line = to_json(&leftover);
        Ok(self.write_row(Role::Leftovers, &line).await?)
    }

    /// Rejects a sign-up record whose user is not in the pool any more.
    pub(super) async fn write_gone(&mut self, record: &str) -> Result<(), SnapshotError> {
        self.users.listed += 1;
        count(&mut self.users.rejected, GONE);
        let row = rfc_4180_row([record, record, "", GONE]);
        self.write_row(Role::Rejected, &row).await?;
        let leftover = Leftover {
            username: record,
            sub: record,
            // What Cognito calls a status that nobody knows (botocore UserStatusType).
            status: "UNKNOWN".to_owned(),
            enabled: false,
            reason: GONE,
            withheld: None,
            groups: &[],
            attributes: &Attributes::default(),
        };
        let line = to_json(&leftover);
        Ok(self.write_row(Role::Leftovers, &line).await?)
    }

    /// Names in `rejected.csv` who or what is left out of the import files.
    async fn write_rejected(
        &mut self,
        person: &Person,
        attribute: &str,
        reason: &str,
    ) -> Result<(), SnapshotError> {
        let username = self.format.sign_in_name(person);
        let sub = person.sub().unwrap_or_default();
        let row = rfc_4180_row([username, sub, attribute, reason]);
        Ok(self.write_row(Role::Rejected, &row).await?)
    }

    /// A line of the leftovers, with all attributes of the person.
    fn leftover<'p>(&self, person: &'p Person, reason: &'p str) -> Leftover<'p> {
        Leftover {
            username: self.format.sign_in_name(person),
            sub: person.sub().unwrap_or_default(),
            status: person.status.to_string(),
            enabled: person.enabled,
            reason,
            withheld: None,
            groups: &[],
            attributes: &person.attributes,
        }
    }
}

/// Looks up the person of a sign-up record in the pool; none when they are not there.
pub(super) async fn look_up_newcomer(
    task: &ExportTask<'_>,
    record: &str,
) -> Result<Option<Person>, SnapshotError> {
    let key = record_key(SIGN_UPS_PREFIX, record);
    let username = match task.bucket.get_json::<Confirmation>(&key).await {
        Ok(confirmation) => confirmation.and_then(|(confirmation, _)| confirmation.username),
        Err(JsonError::Malformed { .. }) => None,
        Err(JsonError::Aws(error)) => return Err(error.into()),
    };
    let username = username.as_ref().map_or(record, Username::as_str);
    let person = match users::look_up(task.pool, username).await {
        // No user of any pool can have such a name. Any other refusal is not about the name.
        Err(PoolError::Aws(error)) if error.code() == "InvalidParameterException" => {
            tracing::error!(%error, "an object in journal/sign-up/ does not belong to any user: move it away");
            None
        }
        person => person?,
    };
    // Another user may have the name by now, and is listed separately.
    Ok(person.filter(|person| [person.sub(), Some(&person.username)].contains(&Some(record))))
}

/// A line of `leftovers-0001.jsonl`.
#[derive(Serialize)]
struct Leftover<'a> {
    username: &'a str,
    sub: &'a str,
    status: String,
    enabled: bool,
    reason: &'a str,
    /// Why twinpool has disabled the user, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<Why>,
    /// The groups of a newcomer.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    attributes: &'a Attributes,
}

/// Lists a chain and sends its pages to the receiving side. Returns the chain if its token has expired.
async fn send_pages(
    pool: &Pool,
    chain: Chain,
    from: Position,
    pages: mpsc::Sender<ListedPage>,
) -> Result<Option<Chain>, SnapshotError> {
    let send = async |page| match pages.send(ListedPage { chain, page }).await {
        Ok(()) => ControlFlow::Continue(()),
        // The receiving side has failed, and says why.
        Err(_) => ControlFlow::Break(()),
    };
    let listed = list_chain(pool, chain, from, send).await?;
    Ok((listed == Listed::TokenExpired).then_some(chain))
}

fn count(counts: &mut BTreeMap<String, u64>, reason: &str) {
    *counts.entry(reason.to_owned()).or_default() += 1;
}

/// A row for a spreadsheet: RFC 4180, and a cell that begins like a formula becomes a text.
fn rfc_4180_row(cells: [&str; 4]) -> Vec<u8> {
    let cells = cells.map(|cell| {
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            format!("'{cell}")
        } else {
            cell.to_owned()
        }
    });
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer
        .write_record(cells)
        .and_then(|()| Ok(writer.into_inner().map_err(|e| e.into_error())?))
        .expect("four cells fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_like_a_formula_becomes_a_text() {
        assert_eq!(
            rfc_4180_row(["=1+1", "+819012345678", "a,b", "say \"hi\""]),
            b"'=1+1,'+819012345678,\"a,b\",\"say \"\"hi\"\"\"\r\n"
        );
    }
}
