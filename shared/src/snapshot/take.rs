//! Taking a snapshot: the pool's pages stream through the import format into files, in flat memory.
//!
//! Sixteen chains of pages, one a first digit of `sub`, share one rate limit, since a single chain is bound by the latency
//! of its pages. One place receives all people, so that what becomes of a person is decided in one order.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::aws::AwsError;
use crate::bucket::{Bucket, ReadError, json};
use crate::config::CustomAttribute;
use crate::import_csv::{Format, FormatError, Rejection};
use crate::journal::{Newcomer, SignUps};
use crate::person::{Attributes, Person, Status};
use crate::pool::{Pool, PoolError, PoolId};
use crate::record::{Record, SIGN_UPS, Username, object_name, to_milliseconds};
use crate::snapshot::files::Series;
use crate::snapshot::{File, Id, Manifest, PoolSummary, Role, Users, seal};

/// Pages that may wait to be written. More would only be memory.
const PAGES_AHEAD: usize = 4;

/// People of the journal who are asked for at once, under the pool's one rate.
const ASKED_AT_ONCE: usize = 8;

/// Why there is no snapshot. Nothing that was written counts as one.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The pool could not be listed.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No import file can be written for the pool.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// S3 refused.
    #[error(transparent)]
    Bucket(#[from] AwsError),
    /// An object in the bucket cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The invocation ends before the pool is listed.
    #[error(
        "out of time after {listed} users of {pool}: nothing was published; raise LIST_USERS_RPS or the function's timeout"
    )]
    OutOfTime {
        /// The pool.
        pool: PoolId,
        /// Users listed by then.
        listed: u64,
    },
}

/// What a snapshot is taken of, and where to.
#[derive(Debug)]
pub struct Task<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// The bucket.
    pub bucket: &'a Bucket,
    /// The column for a newcomer's `sub`.
    pub origin_sub: Option<&'a CustomAttribute>,
    /// The start of the previous snapshot.
    pub previous: Option<Timestamp>,
    /// When to give up.
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

/// Takes a snapshot that starts now and seals it with its manifest.
///
/// # Errors
///
/// There is no manifest then, so there is no snapshot.
pub async fn take(task: &Task<'_>, started_at: Timestamp) -> Result<Taken, SnapshotError> {
    let pool = task.pool.describe().await?;
    let header = task.pool.csv_header().await?;
    let format = Format::of(&pool, &header, task.origin_sub)?;
    let id = Id::new(started_at);
    let mut export = Export::new(task, &id, format);
    let exported = match tokio::time::timeout_at(task.until.into(), export.run()).await {
        Ok(exported) => exported,
        Err(_) => Err(PoolError::OutOfTime(task.pool.id().clone()).into()),
    };
    let files = match exported {
        Ok(files) => files,
        Err(error) => {
            export.files.abort().await;
            return Err(match error {
                SnapshotError::Pool(PoolError::OutOfTime(pool)) => SnapshotError::OutOfTime {
                    pool,
                    listed: export.users.listed,
                },
                error => error,
            });
        }
    };
    let mfa = pool.mfa_configuration().map_or("OFF", |mfa| mfa.as_str());
    let sign_in = pool.username_attributes().iter();
    let manifest = Manifest {
        version: 1,
        snapshot: id,
        pool: PoolSummary {
            id: task.pool.id().to_string(),
            region: task.pool.id().region().to_owned(),
            mfa: mfa.to_owned(),
            username_attributes: sign_in.map(|a| a.as_str().to_owned()).collect(),
        },
        started_at: to_milliseconds(started_at),
        finished_at: to_milliseconds(Timestamp::now()),
        header,
        users: export.users,
        dropped_attributes: export.dropped_attributes,
        files,
    };
    seal(task.bucket, &manifest).await?;
    Ok(Taken {
        manifest,
        sign_ups: export.sign_ups.records(),
    })
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
    fn new(task: &'a Task<'a>, id: &Id, format: Format) -> Self {
        Self {
            task,
            files: Files::new(task.bucket, id, format.header_line()),
            format,
            sign_ups: SignUps::default(),
            users: Users::default(),
            dropped_attributes: BTreeMap::new(),
        }
    }

    async fn run(&mut self) -> Result<Vec<File>, SnapshotError> {
        self.sign_ups = SignUps::list(self.task.bucket, self.task.previous).await?;
        self.list().await?;
        self.settle().await?;
        Ok(self.files.finish().await?)
    }

    /// Everyone whom the listing shows.
    async fn list(&mut self) -> Result<(), SnapshotError> {
        let (pages, mut received) = mpsc::channel(PAGES_AHEAD);
        let pool = self.task.pool;
        let listing = async move {
            let chains = "0123456789abcdef"
                .chars()
                .map(|digit| list_chain(pool, digit, pages.clone()));
            try_join_all(chains).await?;
            // The last sender ends here, and with it the receiving side.
            drop(pages);
            Ok(())
        };
        let receiving = async {
            while let Some(people) = received.recv().await {
                for person in people {
                    self.receive(person).await?;
                }
            }
            Ok::<_, SnapshotError>(())
        };
        tokio::try_join!(listing, receiving)?;
        Ok(())
    }

    /// A person as the listing shows them.
    async fn receive(&mut self, person: Person) -> Result<(), SnapshotError> {
        let newcomer = self.sign_ups.of(person.sub(), &person.username);
        let behind = newcomer == Newcomer::Recent && person.status == Status::Unconfirmed;
        let person = if behind {
            let now = self.task.pool.person(&person.username).await?;
            now.unwrap_or(person)
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

/// Lists everyone whose `sub` begins with a digit.
async fn list_chain(
    pool: &Pool,
    digit: char,
    pages: mpsc::Sender<Vec<Person>>,
) -> Result<(), SnapshotError> {
    let mut token = None;
    loop {
        let page = pool.page(digit, token.as_deref()).await?;
        if pages.send(page.people).await.is_err() {
            // The receiving side has failed, and says why.
            return Ok(());
        }
        token = page.next;
        if token.is_none() {
            return Ok(());
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
