//! Looks at everybody whom a plan names, in the order of the stages, and keeps what became of them.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use shared::cognito::pool::PoolError;
use shared::s3::bucket::Bucket;

use crate::changes::Changes;
use crate::compare::PlannedLook;
use crate::error::{ReconcileError, no_plan};
use crate::json_lines::JsonLines;
use crate::mirror::Mirror;
use crate::plan::{Candidate, Stage};
use crate::progress::Progress;
use crate::request::{FILL_THRESHOLD, RunContext, Step};

/// People looked at concurrently.
const CONCURRENT_PEOPLE: usize = 8;

/// People between two looks at the clock.
const BATCH: usize = 32;

/// The longest time of which a killed worker loses the lines of changes.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// How many times people are moved on who had to wait for their address.
const MAX_ROUNDS_OF_PARKED: usize = 4;

/// A killed worker loses the counts of one batch, so those that the guard counts are small.
fn batch_of(stage: Stage) -> usize {
    match stage {
        Stage::Restrict | Stage::Move => CONCURRENT_PEOPLE,
        Stage::Update | Stage::Create => BATCH,
    }
}

/// What looks at people.
pub struct Writing<'a> {
    /// Looks at one person.
    pub mirror: &'a Mirror<'a>,
    /// The snapshot bucket.
    pub bucket: &'a Bucket,
    /// The run.
    pub context: &'a RunContext<'a>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Everybody was looked at.
    All,
    /// The time is up.
    Partly,
    /// People are missing, and a fill should bring them.
    FillNeeded,
}

impl Writing<'_> {
    /// Looks at everybody who has not been looked at yet.
    ///
    /// # Errors
    ///
    /// A service did not answer, or the deadline passed. What was done is in `progress`.
    pub async fn write(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<Written, ReconcileError> {
        let mut last_saved = Instant::now();
        let many_are_missing = progress.missing > FILL_THRESHOLD;
        let leave_to_fill = self.context.leave_to_fill && !progress.is_dry_run;
        while let Some(&stage) = Stage::ALL.get(progress.stage) {
            if stage == Stage::Create && many_are_missing && leave_to_fill {
                return Ok(Written::FillNeeded);
            }
            while let Some(file) = progress.plan.get(progress.file).cloned() {
                let lines = JsonLines::open(self.bucket, &file, progress.line).await?;
                let mut lines = lines.ok_or_else(|| no_plan(self.bucket))?;
                loop {
                    if self.context.is_time_up() {
                        return Ok(match stage == Stage::Create && many_are_missing {
                            true => Written::FillNeeded,
                            false => Written::Partly,
                        });
                    }
                    let is_due = |look: &PlannedLook| {
                        look.stage == stage && !progress.dealt_with.contains(&look.candidate)
                    };
                    let (batch, read) = lines.next_batch(batch_of(stage), is_due).await?;
                    if read == 0 {
                        break;
                    }
                    match self.look_at(&batch, stage, progress, changes).await {
                        Err(ReconcileError::Pool(PoolError::OutOfTime(_)))
                            if stage == Stage::Create && many_are_missing =>
                        {
                            return Ok(Written::FillNeeded);
                        }
                        looked_at => looked_at?,
                    }
                    progress.line += read;
                    progress.dealt_with.clear();
                    if last_saved.elapsed() >= SAVE_INTERVAL {
                        self.mirror.save(progress, changes).await?;
                        last_saved = Instant::now();
                    } else {
                        self.mirror.save_counts(progress).await?;
                    }
                }
                progress.file += 1;
                progress.line = 0;
            }
            if stage == Stage::Move {
                self.move_parked(progress, changes).await?;
            }
            progress.stage += 1;
            progress.file = 0;
        }
        // Creating somebody may have moved others.
        self.move_parked(progress, changes).await?;
        Ok(Written::All)
    }

    async fn look_at(
        &self,
        batch: &[PlannedLook],
        stage: Stage,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<(), ReconcileError> {
        let concurrent = match stage {
            Stage::Move => 1,
            _ => CONCURRENT_PEOPLE,
        };
        let mut outcomes = stream::iter(batch)
            .map(async |look| (look, self.mirror.look_at_candidate(&look.candidate).await))
            .buffer_unordered(concurrent);
        let mut error = None;
        while let Some((look, outcome)) = outcomes.next().await {
            match outcome {
                Ok(outcome) => {
                    changes.add(outcome, progress).await?;
                    progress.dealt_with.push(look.candidate.clone());
                    progress.looked_at += 1;
                    progress.brought += u64::from(stage == Stage::Create && !progress.is_dry_run);
                    (self.context.on_progress)(Step::Writing(progress.looked_at, progress.planned));
                }
                Err(failed) => error = error.or(Some(failed)),
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Gives those their address who had to make way for somebody else.
    async fn move_parked(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<(), ReconcileError> {
        for _ in 0..MAX_ROUNDS_OF_PARKED {
            let parked = self.mirror.parked.take();
            if parked.is_empty() {
                break;
            }
            for sub in parked {
                let candidate = Candidate {
                    secondary: Some(sub),
                    ..Candidate::default()
                };
                let outcome = self.mirror.look_at_candidate(&candidate).await?;
                changes.add(outcome, progress).await?;
            }
        }
        // Who still waits is moved by the next run.
        progress.failed += self.mirror.parked.take().len() as u64;
        Ok(())
    }
}
