//! Taking a snapshot: the pool's pages stream through the import format into files, in flat memory.
//!
//! Chains of pages, one a first digit of `sub`, share one rate limit, since a single chain is bound by the latency of its
//! pages. One place receives all people, so that what becomes of a person is decided in one order.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::aws::AwsError;
use crate::bucket::{Bucket, ReadError, json};
use crate::config::CustomAttribute;
use crate::import_csv::{Format, Rejection};
use crate::journal::{Newcomer, SignUps};
use crate::person::{Attributes, Person, Status};
use crate::pool::{Pool, PoolError};
use crate::record::{Record, SIGN_UPS, Username, object_name, to_milliseconds};
use crate::snapshot::files::Series;
use crate::snapshot::progress::{CHAINS, Next, Progress, digit};
use crate::snapshot::unfinished::Unfinished;
use crate::snapshot::{File, Id, Manifest, PoolSummary, Role, SnapshotError, Users, seal};

/// Pages that may wait to be written. More would only be memory.
const PAGES_AHEAD: usize = 4;

/// People of the journal who are asked for at once, under the pool's one rate.
const ASKED_AT_ONCE: usize = 8;

/// What a snapshot is taken of, and where to.
#[derive(Debug)]
pub struct Task<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// The bucket.
    pub bucket: &'a Bucket,
    /// The column for a newcomer's `sub`.
    pub origin_sub: Option<&'a CustomAttribute>,
    /// Told how many users are listed.
    pub listed: &'a watch::Sender<u64>,
    /// When to leave the rest to a next worker.
    pub until: Instant,
}

/// A sealed snapshot.
#[derive(Debug)]
pub struct Taken {
    /// Its manifest.
    pub manifest: Manifest,
    /// How many sign-up records it knew of.
    pub sign_ups: u64,
}

/// Goes on with a snapshot and seals it with its manifest; none when time was up before, and everything is stored to go on from.
///
/// # Errors
///
/// There is no manifest then, so there is no snapshot. If it was stored, a next worker may go on with it.
pub async fn go_on(
    task: &Task<'_>,
    unfinished: &mut Unfinished,
) -> Result<Option<Taken>, SnapshotError> {
    let pool = task.pool.describe().await?;
    let header = task.pool.csv_header().await?;
    let format = Format::of(&pool, &header, task.origin_sub)?;
    let was_listed = unfinished.progress().is_listed();
    let mut export = Export::new(task, unfinished.progress(), format);
    let exported = match tokio::time::timeout_at(task.until.into(), export.run(unfinished)).await {
        Ok(exported) => exported,
        Err(_) => Err(PoolError::OutOfTime(task.pool.id().clone()).into()),
    };
    let files = match exported {
        Ok(files) => files,
        Err(error) => {
            if was_listed && matches!(error, SnapshotError::Pool(PoolError::OutOfTime(_))) {
                tracing::warn!(
                    %error,
                    "the files of this snapshot are not written in one invocation: \
                     if that goes on, raise the function's timeout or memory, or LIST_USERS_RPS"
                );
            }
            let left = leave(unfinished, error).await;
            export.files.abort().await;
            return left.map(|()| None);
        }
    };
    let mfa = pool.mfa_configuration().map_or("OFF", |mfa| mfa.as_str());
    let sign_in = pool.username_attributes().iter();
    let progress = unfinished.progress();
    let manifest = Manifest {
        version: 1,
        snapshot: progress.snapshot.clone(),
        pool: PoolSummary {
            id: task.pool.id().to_string(),
            region: task.pool.id().region().to_owned(),
            mfa: mfa.to_owned(),
            username_attributes: sign_in.map(|a| a.as_str().to_owned()).collect(),
        },
        started_at: progress.started_at,
        finished_at: to_milliseconds(Timestamp::now()),
        header,
        users: export.users,
        dropped_attributes: export.dropped_attributes,
        files,
    };
    if let Err(error) = seal(task.bucket, &manifest).await {
        let left = leave(unfinished, error.into()).await;
        return left.map(|()| None);
    }
    Ok(Some(Taken {
        manifest,
        sign_ups: export.sign_ups.records(),
    }))
}

/// Leaves an unfinished snapshot to a next worker, as far as it goes, and says why there will have to be one.
async fn leave(unfinished: &mut Unfinished, error: SnapshotError) -> Result<(), SnapshotError> {
    match error {
        // There is nothing to go on with, or nothing of ours.
        SnapshotError::Superseded | SnapshotError::LostPart { .. } => Err(error),
        SnapshotError::Pool(PoolError::OutOfTime(_)) => unfinished.save().await,
        error => {
            if unfinished.is_stored()
                && let Err(error) = unfinished.save().await
            {
                tracing::warn!(%error, "the next worker goes on from an earlier place");
            }
            Err(error)
        }
    }
}

/// The files being written.
#[derive(Debug)]
struct Files {
    users: Series,
    newcomers: Series,
    rejected: Series,
    leftovers: Series,
}

impl Files {
    fn new(bucket: &Bucket, id: &Id, header: String) -> Self {
        let series = |role, head: String| Series::new(bucket, id, role, head);
        Self {
            users: series(Role::Users, header.clone()),
            newcomers: series(Role::Newcomers, header),
            rejected: series(Role::Rejected, "username,sub,attribute,reason\r\n".into()),
            leftovers: series(Role::Leftovers, String::new()),
        }
    }

    fn all(&mut self) -> [&mut Series; 4] {
        [
            &mut self.users,
            &mut self.newcomers,
            &mut self.rejected,
            &mut self.leftovers,
        ]
    }

    async fn finish(&mut self) -> Result<Vec<File>, AwsError> {
        let mut files = Vec::new();
        for series in self.all() {
            files.extend(series.finish().await?);
        }
        Ok(files)
    }

    async fn abort(&mut self) {
        for series in self.all() {
            series.abort().await;
        }
    }
}

/// A snapshot in the making.
struct Export<'a> {
    task: &'a Task<'a>,
    format: Format,
    sign_ups: SignUps,
    files: Files,
    users: Users,
    dropped_attributes: BTreeMap<String, u64>,
}

impl<'a> Export<'a> {
    fn new(task: &'a Task<'a>, progress: &Progress, format: Format) -> Self {
        Self {
            task,
            files: Files::new(task.bucket, &progress.snapshot, format.header_line()),
            format,
            sign_ups: SignUps::default(),
            users: Users::default(),
            dropped_attributes: BTreeMap::new(),
        }
    }

    /// The first worker writes people as they are listed. A later one lists the rest first, and then writes everybody from the
    /// parts: all rows are of one format, one journal and one worker, whatever has changed since the start.
    async fn run(&mut self, unfinished: &mut Unfinished) -> Result<Vec<File>, SnapshotError> {
        if unfinished.is_stored() {
            self.list(unfinished, false).await?;
            unfinished.save().await?;
            self.read_journal(unfinished.progress()).await?;
            let mut people = pin!(unfinished.people());
            while let Some(person) = people.next().await {
                self.receive(person?).await?;
            }
        } else {
            self.read_journal(unfinished.progress()).await?;
            self.list(unfinished, true).await?;
        }
        self.settle().await?;
        unfinished.close(self.sign_ups.records()).await?;
        Ok(self.files.finish().await?)
    }

    async fn read_journal(&mut self, progress: &Progress) -> Result<(), SnapshotError> {
        let (previous, started_at) = (progress.previous, progress.started_at);
        self.sign_ups = SignUps::list(self.task.bucket, previous, started_at).await?;
        Ok(())
    }

    /// Everyone whom the listing shows from here on, and writes them if wanted.
    async fn list(
        &mut self,
        unfinished: &mut Unfinished,
        write: bool,
    ) -> Result<(), SnapshotError> {
        // Tokens live an hour: those that there are come first.
        let has_token = |next: &Next| matches!(next, Next::Token(_));
        let at_once = self.task.pool.chains_at_once();
        let expired = self
            .list_chains(unfinished, has_token, at_once, write)
            .await?;
        for &chain in &expired {
            tracing::info!(chain, "a token has expired: its chain starts anew");
            unfinished.forget(chain);
        }
        // Where workers come so seldom, only a chain that is finished is kept: one after the other.
        let at_once = if expired.is_empty() { at_once } else { 1 };
        let at_start = |next: &Next| *next == Next::Start;
        self.list_chains(unfinished, at_start, at_once, write)
            .await?;
        Ok(())
    }

    /// Lists those chains that go on in such a way, so many at once, and gives those whose tokens have expired.
    async fn list_chains(
        &mut self,
        unfinished: &mut Unfinished,
        wanted: impl Fn(&Next) -> bool,
        at_once: usize,
        write: bool,
    ) -> Result<Vec<usize>, SnapshotError> {
        let (pages, mut received) = mpsc::channel(PAGES_AHEAD);
        let (pool, listed) = (self.task.pool, self.task.listed);
        let progress = unfinished.progress();
        let chains: Vec<_> = (0..CHAINS)
            .map(|chain| (chain, progress.next(chain).clone()))
            .filter(|(_, next)| wanted(next))
            .collect();
        let listing = async move {
            let expired = stream::iter(chains)
                .map(|(chain, next)| list_chain(pool, chain, next, pages.clone()))
                .buffer_unordered(at_once)
                .try_filter_map(async |expired| Ok(expired))
                .try_collect()
                .await?;
            // The last sender ends here, and with it the receiving side.
            drop(pages);
            Ok(expired)
        };
        let receiving = async {
            while let Some(page) = received.recv().await {
                unfinished.add(page.chain, &page.people, page.next).await?;
                listed.send_replace(unfinished.users());
                if write {
                    for person in page.people {
                        self.receive(person).await?;
                    }
                }
            }
            Ok::<_, SnapshotError>(())
        };
        let (expired, ()) = tokio::try_join!(listing, receiving)?;
        Ok(expired)
    }

    /// A person as the listing shows them.
    async fn receive(&mut self, person: Person) -> Result<(), SnapshotError> {
        let newcomer = self.sign_ups.of(person.sub(), &person.username);
        let behind = newcomer == Newcomer::Recent && person.status == Status::Unconfirmed;
        let person = if behind {
            let now = self.task.pool.person(&person.username).await?;
            // Somebody else may have the name by now, and is listed on their own account.
            now.filter(|now| now.sub() == person.sub())
                .unwrap_or(person)
        } else {
            person
        };
        self.sign_ups.meet(person.sub(), &person.username);
        self.write(&person, newcomer != Newcomer::No).await
    }

    /// The newcomers that the listing has not shown: ListUsers is eventually consistent (botocore ListUsers).
    async fn settle(&mut self) -> Result<(), SnapshotError> {
        let task = self.task;
        let mut asked = stream::iter(self.sign_ups.unmet())
            .map(|name| ask_for(task, name))
            .buffer_unordered(ASKED_AT_ONCE);
        while let Some(person) = asked.next().await {
            // Who is not there now has been deleted since.
            if let Some(person) = person? {
                self.write(&person, true).await?;
            }
        }
        let absent = self.sign_ups.absent();
        if absent > 0 {
            tracing::info!(
                absent,
                "sign-ups in the journal of people who are not in the pool any more"
            );
        }
        Ok(())
    }

    async fn write(&mut self, person: &Person, newcomer: bool) -> Result<(), SnapshotError> {
        self.users.listed += 1;
        let row = match self.format.row(person, newcomer) {
            Ok(row) => row,
            Err(rejection) => return self.reject(person, &rejection).await,
        };
        self.users.exported += 1;
        self.files.users.write(row.line.as_bytes()).await?;
        if newcomer {
            self.users.newcomers += 1;
            self.files.newcomers.write(row.line.as_bytes()).await?;
        }
        for (attribute, reason) in &row.left_out {
            count(&mut self.dropped_attributes, reason.as_str());
            let value = person.attributes.get(attribute).unwrap_or_default();
            let left_out = Attributes::from_iter([(attribute, value)]);
            self.leave_out(person, Some(attribute), reason.as_str(), &left_out)
                .await?;
        }
        Ok(())
    }

    async fn reject(
        &mut self,
        person: &Person,
        rejection: &Rejection,
    ) -> Result<(), SnapshotError> {
        let reason = rejection.as_str();
        count(&mut self.users.rejected, reason);
        self.leave_out(person, rejection.attribute(), reason, &person.attributes)
            .await
    }

    /// Names what is left out for people, and keeps it whole for restore-fn.
    async fn leave_out(
        &mut self,
        person: &Person,
        attribute: Option<&str>,
        reason: &str,
        attributes: &Attributes,
    ) -> Result<(), SnapshotError> {
        let username = self.format.sign_in_name(person);
        let sub = person.sub().unwrap_or_default();
        let row = rfc_4180_row([username, sub, attribute.unwrap_or_default(), reason]);
        self.files.rejected.write(&row).await?;
        let leftover = Leftover {
            username,
            sub,
            status: person.status.to_string(),
            enabled: person.enabled,
            reason,
            attributes,
        };
        Ok(self.files.leftovers.write(&json(&leftover)).await?)
    }
}

/// The person of a sign-up record, if they are in the pool now.
async fn ask_for(task: &Task<'_>, name: String) -> Result<Option<Person>, SnapshotError> {
    let key = format!("{SIGN_UPS}{}", object_name(&name));
    let username = match task.bucket.get_json::<Record>(&key).await {
        Ok(record) => record.and_then(|(record, _)| record.username),
        Err(ReadError::Malformed { .. }) => None,
        Err(ReadError::Aws(error)) => return Err(error.into()),
    };
    let username = username.as_ref().map_or(&*name, Username::as_str);
    let person = match task.pool.person(username).await {
        // No user of any pool can have such a name, so the record is of nobody. Any other refusal is not about the name.
        Err(PoolError::Aws(error)) if error.code() == "InvalidParameterException" => {
            tracing::error!(%error, "an object in journal/sign-up/ is of nobody: move it away");
            None
        }
        person => person?,
    };
    // Somebody else may have the name by now, and is listed on their own account.
    Ok(person.filter(|person| [person.sub(), Some(&person.username)].contains(&Some(&name))))
}

/// A line of `leftovers-0001.jsonl`.
#[derive(Serialize)]
struct Leftover<'a> {
    username: &'a str,
    sub: &'a str,
    status: String,
    enabled: bool,
    reason: &'a str,
    attributes: &'a Attributes,
}

/// A page of a chain.
struct ListedPage {
    chain: usize,
    people: Vec<Person>,
    next: Next,
}

/// Lists everyone of a chain from where it goes on; gives the chain back when the token has expired that it should go on with.
async fn list_chain(
    pool: &Pool,
    chain: usize,
    from: Next,
    pages: mpsc::Sender<ListedPage>,
) -> Result<Option<usize>, SnapshotError> {
    let mut token = match from {
        Next::Token(token) => Some(token),
        Next::Start | Next::End => None,
    };
    // Another worker's.
    let mut is_old = token.is_some();
    loop {
        let page = match pool.page(digit(chain), token.as_deref()).await {
            // With which error, nobody documents. Any other reason for a refusal shows again when the chain starts anew.
            Err(PoolError::Aws(error)) if is_old && error.is_about_the_call() => {
                return Ok(Some(chain));
            }
            page => page?,
        };
        is_old = false;
        token = page.next;
        let page = ListedPage {
            chain,
            people: page.people,
            next: token.clone().map_or(Next::End, Next::Token),
        };
        // When the receiving side has failed, it says why.
        if pages.send(page).await.is_err() || token.is_none() {
            return Ok(None);
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, reason: &str) {
    *counts.entry(reason.to_owned()).or_default() += 1;
}

/// A row for a spreadsheet: RFC 4180, and a cell that begins like a formula is made a text.
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
    fn a_cell_that_begins_like_a_formula_is_made_a_text() {
        assert_eq!(
            rfc_4180_row(["=1+1", "+819012345678", "a,b", "say \"hi\""]),
            b"'=1+1,'+819012345678,\"a,b\",\"say \"\"hi\"\"\"\r\n"
        );
    }
}
