//! Takes the lease on a run's evidence, and records each step in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::bucket::{Bucket, Condition};
use shared::s3::lease::{Lease, LeaseError, LeaseState, Term};
use shared::time::now;

use super::page::Page;
use super::{Evidence, Kind, OPEN_KEY, StepName, StepStatus, evidence_key};
use crate::failure::Failure;

/// How long the lease is valid without a renewal.
const LEASE_VALIDITY: SignedDuration = SignedDuration::from_secs(30);

/// The time between two renewals.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(8);

/// How long it may take to say at the end that a run was interrupted. If that fails, the lease expires in half a minute.
const RELEASE_TIME_LIMIT: Duration = Duration::from_secs(3);

/// `failovers/open.json`: the latest run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    version: u32,
    run: Id,
}

/// What a step has done.
#[derive(Debug, Default)]
pub struct Done {
    /// What was counted.
    pub counted: BTreeMap<String, u64>,
    /// What was seen.
    pub seen: Vec<String>,
    /// Whether there was nothing to do.
    pub is_skipped: bool,
}

impl Done {
    /// Counts something.
    #[must_use]
    pub fn count(mut self, what: &str, number: u64) -> Self {
        self.counted.insert(what.to_owned(), number);
        self
    }

    /// Adds something that was seen.
    #[must_use]
    pub fn see(mut self, what: impl Into<String>) -> Self {
        self.seen.push(what.into());
        self
    }

    /// Adds what another part of the same step has done.
    pub fn add(&mut self, other: Self) {
        self.counted.extend(other.counted);
        self.seen.extend(other.seen);
        self.is_skipped &= other.is_skipped;
    }

    /// A step in which there was nothing to do.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self {
            is_skipped: true,
            ..Self::default()
        }
        .see(why)
    }
}

/// The evidence of a run that this process carries out.
pub struct Recorder {
    lease: Lease<Evidence>,
    operator: String,
    /// Whether the run was begun by an earlier process.
    pub is_resumed: bool,
}

impl Recorder {
    /// Goes on with the latest run of this command, or begins a new one.
    ///
    /// # Errors
    ///
    /// Another process is running the command, or S3 failed.
    pub async fn open(
        bucket: &Bucket,
        kind: Kind,
        (primary, secondary): (&PoolId, &PoolId),
        operator: &str,
    ) -> Result<Self, Failure> {
        let started_at = now();
        let open = bucket.get_json::<Open>(OPEN_KEY).await?;
        let latest = match &open {
            Some((open, _)) => {
                bucket
                    .get_json::<Evidence>(&evidence_key(&open.run))
                    .await?
            }
            None => None,
        };
        if let Some((latest, etag)) = &latest {
            if let Some(until) = latest.held_until(started_at) {
                return Err(busy(latest, Some(until)));
            }
            if latest.can_be_resumed(kind, primary, secondary) {
                let lease = take(bucket, latest.clone(), Some(etag)).await?;
                let lease = lease.ok_or_else(|| busy(latest, None))?;
                return Ok(Self::of(lease, operator, true));
            }
        }
        let latest = latest.map(|(latest, _)| latest);
        let run = match &open {
            Some((open, _)) => Id::new_after(started_at, &open.run),
            None => Id::new(started_at),
        };
        let mut evidence = Evidence::new(kind, run.clone(), primary, secondary, started_at);
        if let (Kind::Failback, Some(latest)) = (kind, &latest)
            && latest.is_of(primary, secondary)
        {
            evidence.opened_at = latest.opened_at;
        }
        // The lease comes first: once `open.json` names a run, everybody sees that somebody is running the command. Of several who have
        // come this far, one moves `open.json`. The evidence of the others stays without any step and is not gone on with, and its
        // lease expires by itself.
        let lease = take(bucket, evidence.clone(), None).await?;
        let lease = lease.ok_or_else(|| busy(&evidence, None))?;
        let opened = Open { version: 1, run };
        let (_, etag) = open.unzip();
        let condition = Condition::since_read(etag.as_deref());
        let moved = bucket.put_json_if(OPEN_KEY, &opened, condition, |_| false);
        if moved.await?.is_none() {
            return Err(busy(&evidence, None));
        }
        Ok(Self::of(lease, operator, false))
    }

    fn of(lease: Lease<Evidence>, operator: &str, is_resumed: bool) -> Self {
        Self {
            lease,
            operator: operator.to_owned(),
            is_resumed,
        }
    }

    /// The evidence so far.
    pub async fn evidence(&self) -> Evidence {
        self.lease.state().await
    }

    /// Changes the evidence.
    ///
    /// # Errors
    ///
    /// Another process has taken over the run, or S3 failed.
    pub async fn change(&self, change: impl FnOnce(&mut Evidence)) -> Result<(), Failure> {
        Ok(self.lease.update(change).await?)
    }

    /// Carries out a step, and records when it began and ended, what it has done, or why it could not.
    ///
    /// # Errors
    ///
    /// The step failed, another process has taken over the run, or S3 failed.
    pub async fn step<T>(
        &self,
        step: StepName,
        next: Option<StepName>,
        work: impl Future<Output = Result<(Done, T), Failure>>,
    ) -> Result<T, Failure> {
        let operator = &self.operator;
        self.change(|evidence| evidence.begin(step, operator, now()))
            .await?;
        match work.await {
            Ok((done, value)) => {
                self.change(|evidence| {
                    let status = match done.is_skipped {
                        true => StepStatus::Skipped,
                        false => StepStatus::Done,
                    };
                    if let Some(step) = evidence.end(status, now()) {
                        step.counted = done.counted;
                        step.seen = done.seen;
                    }
                    evidence.next = next;
                })
                .await?;
                Ok(value)
            }
            Err(failure) => {
                let error = failure.to_string();
                self.change(|evidence| {
                    if let Some(step) = evidence.end(StepStatus::Failed, now()) {
                        step.error = Some(error);
                    }
                })
                .await?;
                Err(failure)
            }
        }
    }

    /// Carries out a run while its lease is renewed. At the end the lease is free, and the evidence says whether the run was interrupted.
    ///
    /// # Errors
    ///
    /// The run failed, was interrupted, or another process has taken it over.
    pub async fn carry_out<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let result = tokio::select! {
            result = work => result,
            () = self.lease.keep_renewed() => return Err(LeaseError::TakenOver.into()),
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(
                "run the same command again to go on".to_owned(),
            )),
        };
        let release = self.lease.release(|evidence| {
            evidence.end(StepStatus::Interrupted, now());
        });
        // The result counts: a lease that is not released expires by itself.
        if !matches!(
            tokio::time::timeout(RELEASE_TIME_LIMIT, release).await,
            Ok(Ok(()))
        ) {
            tracing::warn!("the lease could not be released: it expires in half a minute");
        }
        result
    }

    /// Writes the evidence as one page of HTML.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn write_page(&self, file: &Path) -> Result<(), Failure> {
        let page = Page(&self.evidence().await).to_string();
        std::fs::write(file, page).map_err(|error| Failure::File {
            path: file.to_owned(),
            error,
        })
    }
}

async fn take(
    bucket: &Bucket,
    evidence: Evidence,
    etag: Option<&str>,
) -> Result<Option<Lease<Evidence>>, Failure> {
    let key = evidence_key(&evidence.run);
    let holder = format!("twinpool-{}", Id::new(Timestamp::now()));
    let term = Term::Renewed {
        validity: LEASE_VALIDITY,
        interval: RENEWAL_INTERVAL,
    };
    Ok(Lease::take(bucket, &key, etag, evidence, &holder, term).await?)
}

fn busy(evidence: &Evidence, until: Option<Timestamp>) -> Failure {
    let by = evidence.steps.last().map_or("somebody else", |step| {
        // The operator is named, so that one can ask them.
        step.operator.as_str()
    });
    let when = until.map_or_else(String::new, |until| {
        format!("; if it was stopped, run the command again after {until}")
    });
    Failure::Busy(format!(
        "busy: {by} is running twinpool {} ({}) right now{when}",
        evidence.kind, evidence.run
    ))
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::TakenOver => Self::Busy(
                "busy: another process has gone on with this run; this one has stopped".to_owned(),
            ),
            LeaseError::Json(error) => error.into(),
        }
    }
}
