//! A restore, from the request to the answer.
//!
//! - this module: what is known, who is to be brought, and in which order
//! - [`import`]: the import jobs, and what is learnt from them
//! - [`ending`]: what no import file can carry, the report, and the journal

mod ending;
mod import;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::json;

use self::ending::Outcome;
use self::import::Tried;

use crate::aws::{Patience, Sdk};
use crate::bucket::Bucket;
use crate::import_csv::Format;
use crate::import_csv::rules::{self, RowRules, Rules};
use crate::person::{Attributes, is_cognitos_own};
use crate::pool::{Pool, PoolError, PoolId};
use crate::record::to_milliseconds;
use crate::restore::RestoreError;
use crate::restore::census::{Census, Key, Names, Standing, Wanted};
use crate::restore::fate::{Fate, Form, Newcomer, fate, is_in_scope};
use crate::restore::files::{ImportFile, ImportFiles, report_key};
use crate::restore::newcomers::{Newcomers, Why};
use crate::restore::open::Open;
use crate::restore::people::{Body, People, Somebody};
use crate::restore::request::{Answer, Counts, Request, Status};
use crate::restore::source::Source;
use crate::restore::writes::Writes;
use crate::snapshot::Id;

/// Calls a second that read: the quota of ListUsers, 30, is shared with the live application (DG:quotas).
const READS: u32 = 25;

/// Calls a second that write: the quota of UserUpdate is 25.
const WRITES: u32 = 15;

/// Rounds without any progress before the rest is given up: rows that fail through no fault of theirs are tried three times.
const IDLE_ROUNDS: u32 = 2;

/// Rows a second of an import job, for the estimate. AWS publishes no number; facts 10.8.
const ASSUMED_RATE: u64 = 25;

/// How long letting go may take.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Where people are brought back from and to.
#[derive(Clone, Debug)]
pub struct Site {
    /// The clients' settings.
    pub sdk: Sdk,
    /// The pool that people are brought back into.
    pub pool: PoolId,
    /// The bucket of snapshots and journal.
    pub bucket: Bucket,
    /// The role that Cognito writes the import log with.
    pub role: RoleArn,
}

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no ARN of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of a role such as arn:aws:iam::123456789012:role/import-logs")]
pub struct NotARole;

impl FromStr for RoleArn {
    type Err = NotARole;

    fn from_str(arn: &str) -> Result<Self, NotARole> {
        let is_role = arn.starts_with("arn:") && arn.contains(":role/");
        is_role.then(|| Self(arn.to_owned())).ok_or(NotARole)
    }
}

/// A run of a restore.
pub struct Run<'a> {
    /// Who is at it: the invocation's id.
    pub holder: String,
    /// When to stop, to be gone on with.
    pub until: Instant,
    /// Is told what is going on.
    pub watch: &'a (dyn Fn(Step) + Sync),
}

impl Run<'_> {
    /// When the last call to a pool begins: with a little time left to say how far the run has come.
    fn calls_end(&self) -> Instant {
        let left = self.until.saturating_duration_since(Instant::now());
        self.until - (left / 8).min(Duration::from_secs(5))
    }
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Listing the pool: people so far.
    Listing(u64),
    /// Waiting for an import job that is not ours.
    Waiting,
    /// An import job: rows done, of so many.
    Importing(u64, u64),
    /// Making people one by one, and writing attributes: so many so far.
    Writing(u64),
    /// Filing the journal: records so far.
    Filing(u64),
}

/// Restores, or in a dry run says what would be done.
///
/// # Errors
///
/// Nothing is lost: the same request again goes on.
pub fn restore<'a>(
    site: &'a Site,
    request: &'a Request,
    run: &'a Run<'a>,
) -> LocalBoxFuture<'a, Result<Answer, RestoreError>> {
    // Boxed, because the compiler does not look into futures of any depth.
    let restored = async move {
        if request.dry_run {
            let restore = Restore::prepare(site, request, run).await?;
            return restore.rehearse().await;
        }
        let open = Open::take(&site.bucket, &site.pool, request, &run.holder, run.until).await?;
        let worked = async {
            let work = async {
                let restore = Restore::prepare(site, request, run).await?;
                restore.work(&open).await
            };
            tokio::select! {
                answer = work => answer,
                taken_over = open.renew() => Err(taken_over),
            }
        };
        match tokio::time::timeout_at(run.until.into(), worked).await {
            Ok(Ok(answer)) => {
                open.leave(answer.status).await?;
                Ok(answer)
            }
            Ok(Err(error)) if !error.is_out_of_time() => {
                let_go(&open).await;
                Err(error)
            }
            Ok(Err(_)) | Err(_) => {
                let answer = in_progress(&open).await;
                let_go(&open).await;
                Ok(answer)
            }
        }
    };
    restored.boxed_local()
}

/// Leaves the restore to a next run, at once or, where that fails, in half a minute.
async fn let_go(open: &Open) {
    let left = open.leave(Status::InProgress);
    if !matches!(tokio::time::timeout(LETTING_GO, left).await, Ok(Ok(()))) {
        tracing::warn!("the next run waits until this one is no longer believed to live");
    }
}

async fn in_progress(open: &Open) -> Answer {
    let state = open.state().await;
    let ended = state.jobs.iter().filter_map(|job| job.ended.as_ref());
    Answer {
        status: Status::InProgress,
        report: report_key(&state.restore),
        counts: Counts {
            imported: ended.map(|ended| ended.imported).sum(),
            ..Counts::default()
        },
    }
}

/// What is known before anything is done.
struct Restore<'a> {
    site: &'a Site,
    request: &'a Request,
    run: &'a Run<'a>,
    reads: Pool,
    writes: Pool,
    pool_name: String,
    format: Format,
    rules: Rules,
    names: Names,
    source: Source,
    newcomers: Newcomers,
    wanted: Wanted,
}

/// The files of the next import jobs.
struct Plan {
    files: Vec<ImportFile>,
    rows: u64,
    /// Unconfirmed users who hold names that are needed, by `sub`.
    reclaim: Vec<String>,
}

impl<'a> Restore<'a> {
    async fn prepare(
        site: &'a Site,
        request: &'a Request,
        run: &'a Run<'a>,
    ) -> Result<Self, RestoreError> {
        let pool = |id: &PoolId, rate| {
            let client = site.sdk.cognito(id, Patience::ONCE);
            Pool::new(client, id.clone(), rate, run.calls_end())
        };
        let reads = pool(&site.pool, READS);
        let described = reads.describe().await?;
        let csv_header = reads.csv_header().await?;
        let format = Format::of(&described, &csv_header, None)?;
        let rules = Rules::of(&described, &csv_header);
        let rules = rules.map_err(|error| RestoreError::Header {
            pool: site.pool.clone(),
            error,
        })?;
        let names = Names::of(&described);
        let source = Source::open(&site.bucket, &request.snapshot).await?;
        let here = described.username_attributes().iter();
        let here: Vec<_> = here.map(|a| a.as_str().to_owned()).collect();
        let there = &source.manifest.pool.username_attributes;
        if here != *there {
            let named = |names: &[String]| match names {
                [] => "username".to_owned(),
                names => names.join(" or "),
            };
            return Err(RestoreError::SignInDiffers {
                snapshot: source.manifest.snapshot.clone(),
                pool: site.pool.clone(),
                there: named(there),
                here: named(&here),
            });
        }
        let there = source.manifest.pool.id.parse();
        let there = there.map_err(|_| RestoreError::Damaged {
            snapshot: source.manifest.snapshot.clone(),
            what: "the pool's id".to_owned(),
        })?;
        let newcomers = Newcomers::read(&site.bucket, &source, names, &pool(&there, READS)).await?;
        let strays = newcomers.strays.iter();
        let newer = strays.filter(|stray| stray.why == Why::Newer);
        let newer = newer.count();
        if newer > 0 && !request.allow_stale {
            return Err(RestoreError::Stale {
                snapshot: source.manifest.snapshot.clone(),
                records: newer,
            });
        }
        let mut restore = Self {
            site,
            request,
            run,
            reads,
            writes: pool(&site.pool, WRITES),
            pool_name: described.name.clone().unwrap_or_default(),
            format,
            rules,
            names,
            source,
            newcomers,
            wanted: Wanted::new(),
        };
        restore.wanted = restore.wanted().await?;
        Ok(restore)
    }

    /// Whom to look for in the pool: the newcomers, and whoever is to get attributes.
    async fn wanted(&self) -> Result<Wanted, RestoreError> {
        let newcomers = self.newcomers.keys();
        let mut wanted: Wanted = newcomers.map(|key| (*key, Attributes::default())).collect();
        let strays = self.newcomers.strays.iter();
        let strays = strays.filter_map(|stray| stray.username.as_ref());
        wanted.extend(strays.map(|name| (self.names.key(name.as_str()), Attributes::default())));
        let mut leftovers = self.source.leftovers();
        while let Some(leftover) = leftovers.next().await? {
            let key = self.names.key(&leftover.username);
            if leftover.is_attribute() && self.is_in_scope(&key) {
                let attributes = wanted.entry(key).or_default();
                for (name, value) in leftover.attributes.iter() {
                    attributes.insert(name, value);
                }
            }
        }
        Ok(wanted)
    }

    fn is_in_scope(&self, key: &Key) -> bool {
        is_in_scope(self.request.scope, self.newcomers.of(key))
    }

    async fn census(&self, open: Option<&Open>) -> Result<Census, RestoreError> {
        let listed = |so_far| (self.run.watch)(Step::Listing(so_far));
        let begun = Instant::now();
        let census =
            Census::take(&self.reads, &self.format, self.names, &self.wanted, listed).await;
        let is_first = match open {
            Some(open) => open.state().await.jobs.is_empty(),
            None => true,
        };
        match census {
            // A whole invocation is not enough, so the next one would not be either.
            Err(PoolError::OutOfTime(pool))
                if is_first && begun.elapsed() > Duration::from_secs(60) =>
            {
                Err(RestoreError::TooLarge(pool))
            }
            census => Ok(census?),
        }
    }

    /// A dry run: what would be done, and the file that would be uploaded.
    async fn rehearse(self) -> Result<Answer, RestoreError> {
        let now = to_milliseconds(Timestamp::now());
        let id = Id::new(now);
        let census = self.census(None).await?;
        let tried = Tried::default();
        let plan = self.plan(&id, 1, &census, &tried).await?;
        let outcome = Outcome {
            attributes_written: self.attributes_to_write(&census),
            ..Outcome::default()
        };
        let more = json!({ "estimated_seconds": estimate(&census, plan.rows) });
        self.tell(&id, now, &census, &tried, &outcome, more).await
    }

    /// To how many people a real run would write attributes that no import file can carry.
    fn attributes_to_write(&self, census: &Census) -> u64 {
        let wanted = self.wanted.iter().filter(|(_, wanted)| !wanted.is_empty());
        let wanted = wanted.filter(|(key, _)| match census.found(key) {
            Some(found) => self.newcomers.of(key) == Newcomer::Waiting && !found.lacks.is_empty(),
            None => census.standing(key) == Standing::Absent,
        });
        wanted.count() as u64
    }

    /// The real run: until everyone is home or named.
    async fn work(&self, open: &Open) -> Result<Answer, RestoreError> {
        let state = open.state().await;
        let (id, started_at, since) = (state.restore, state.started_at, state.since);
        self.finish_jobs(open).await?;
        let mut tried = Tried::default();
        for job in open.state().await.jobs {
            self.learn(&mut tried, &job).await?;
        }
        let (mut least, mut idle) = (u64::MAX, 0);
        let census = loop {
            let mut census = self.census(Some(open)).await?;
            self.look_again(&mut census, &tried).await?;
            let number = open.state().await.jobs.len() + 1;
            let plan = self.plan(&id, number, &census, &tried).await?;
            for sub in &plan.reclaim {
                self.writes(since).reclaim(sub).await?;
            }
            if plan.rows >= least {
                idle += 1;
            }
            if plan.rows == 0 || idle == IDLE_ROUNDS {
                break census;
            }
            least = least.min(plan.rows);
            for file in &plan.files {
                let job = self.import(open, &id, file).await?;
                self.learn(&mut tried, &job).await?;
            }
        };
        let outcome = self.write(since, &census, &tried).await?;
        let more = json!({ "jobs": open.state().await.jobs });
        self.tell(&id, started_at, &census, &tried, &outcome, more)
            .await
    }

    /// What becomes of a person, as far as the snapshot and the pool say.
    fn fate(&self, person: &Somebody, census: &Census, tried: &Tried) -> Fate {
        let form = match &person.body {
            Body::Row(_) => Form::Row {
                failure: tried
                    .failures
                    .get(&person.key)
                    .map(|(text, times)| (text.as_str(), *times)),
                was_imported: tried.done.contains(&person.key),
            },
            Body::Leftover(leftover) => Form::LeftOut(&leftover.reason),
        };
        fate(
            self.request.scope,
            self.request.reclaim_unconfirmed,
            self.newcomers.of(&person.key),
            census.standing(&person.key),
            form,
        )
    }

    /// Writes the files of the next import jobs.
    ///
    /// # Errors
    ///
    /// Rows have values for which the pool has no column, named.
    async fn plan(
        &self,
        id: &Id,
        number: usize,
        census: &Census,
        tried: &Tried,
    ) -> Result<Plan, RestoreError> {
        let header = self.rules.header();
        let rules = self.rules.under(header);
        let mut files = ImportFiles::new(&self.site.bucket, id, number, header.line());
        let mut reclaim = Vec::new();
        let mut without_place = BTreeSet::new();
        let mut losers = 0;
        // Rows at which a job may have given up come last, so that they do not keep the others out again.
        for suspects in [false, true] {
            if suspects && tried.suspects.is_empty() {
                continue;
            }
            let mut people = People::of(&self.source, self.names);
            while let Some(person) = people.next().await? {
                let Fate::Bring { reclaim: holder } = self.fate(&person, census, tried) else {
                    continue;
                };
                if tried.suspects.contains(&person.key) != suspects {
                    continue;
                }
                let line = match &person.body {
                    Body::Row(row) => {
                        let cells = self.source.cells(row)?;
                        let mapped = cells.map(header, self.format.mfa_enabled());
                        losers += u64::from(!mapped.without_place.is_empty());
                        let columns = mapped.without_place.iter();
                        without_place.extend(columns.map(|column| (*column).to_owned()));
                        if problem(&rules, &mapped.line).is_some() {
                            continue;
                        }
                        Some(mapped.line)
                    }
                    Body::Leftover(leftover) => {
                        let attributes = leftover.attributes.iter();
                        let lost = attributes.filter(|(name, value)| {
                            !value.is_empty()
                                && !is_cognitos_own(name)
                                && header.position(name).is_none()
                        });
                        let before = without_place.len();
                        without_place.extend(lost.map(|(name, _)| name.to_owned()));
                        losers += u64::from(without_place.len() > before);
                        None
                    }
                };
                reclaim.extend(holder);
                if let Some(line) = line {
                    files.write(&line).await?;
                }
            }
        }
        if losers > 0 {
            files.abort().await;
            return Err(RestoreError::NoColumn {
                pool: self.site.pool.clone(),
                columns: without_place.into_iter().collect(),
                people: losers,
            });
        }
        let is_first = number == 1;
        let files = files.finish(is_first).await?;
        Ok(Plan {
            rows: files.iter().map(|file| file.rows).sum(),
            files,
            reclaim,
        })
    }

    /// Those whom a job has imported and the listing does not show yet.
    async fn look_again(&self, census: &mut Census, tried: &Tried) -> Result<(), RestoreError> {
        if tried
            .done
            .iter()
            .all(|key| census.standing(key) == Standing::Home)
        {
            return Ok(());
        }
        let mut people = People::of(&self.source, self.names);
        while let Some(person) = people.next().await? {
            let key = person.key;
            if tried.done.contains(&key) && census.standing(&key) != Standing::Home {
                census
                    .look_again(&self.reads, &person.username, key, &self.wanted)
                    .await?;
            }
        }
        Ok(())
    }

    fn writes(&self, since: Timestamp) -> Writes<'_> {
        Writes {
            pool: &self.writes,
            since,
        }
    }
}

/// Why the pool would refuse a row, if it would.
fn problem(rules: &RowRules<'_>, row: &str) -> Option<String> {
    let row = row.strip_suffix('\n').unwrap_or(row);
    let problem = match rules.cells(Ok(row)) {
        // A value that the snapshot's pool holds is not too long for another.
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

/// Seconds that a restore of so many rows may take: the pool is listed twice.
fn estimate(census: &Census, rows: u64) -> u64 {
    let listing = census.home() as u64 / 60 / u64::from(READS);
    2 * listing + rows / ASSUMED_RATE + 10
}
