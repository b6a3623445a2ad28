//! Joins the listings of both pools: by identity, and by name whoever is left. What comes out is a plan: at whom to look.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;
use shared::s3::rolling_upload::RollingUpload;

use crate::changes::Changes;
use crate::comparison::Comparison;
use crate::error::ReconcileError;
use crate::listed::{ByName, Listed, Mark, State};
use crate::outcome::{Outcome, Pair};
use crate::plan::{
    Candidate, Stage, Suggestion, of_pair, of_primary_alone, of_secondary_alone, of_several,
};
use crate::progress::{Phase, Progress};
use crate::request::{RunContext, Step};
use crate::sorted::join::Join;
use crate::sorted::merged::Merged;
use crate::sorted::sorter::Sorter;
use crate::sorted::{Run, SHARD_COUNT};

/// At least so many records are joined in a second with the processor share of 512 MB: half of what was measured for forty million users
/// (docs/performance.md).
const RECORDS_PER_SECOND: u64 = 100_000;

/// A line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLook {
    /// When.
    #[serde(rename = "t")]
    pub stage: Stage,
    /// At whom.
    #[serde(flatten)]
    pub candidate: Candidate,
}

/// What the comparison works with.
pub struct Comparing<'a> {
    /// How users are compared.
    pub comparison: &'a Comparison,
    /// The snapshot bucket.
    pub bucket: &'a Bucket,
    /// Whoever was withheld before this second is deleted.
    pub delete_before: i64,
    /// The run.
    pub context: &'a RunContext<'a>,
}

/// One shard that is being joined.
struct Shard<'a> {
    comparing: &'a Comparing<'a>,
    progress: &'a mut Progress,
    changes: &'a mut Changes,
    plan: RollingUpload,
    /// Who has no user with the same identity in the other pool: of the primary pool, and of the secondary pool.
    unmatched: (Sorter<ByName>, Sorter<ByName>),
}

impl Comparing<'_> {
    /// Joins what has not been joined yet, shard by shard. False when the time is up.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn join(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<bool, ReconcileError> {
        while progress.shard < SHARD_COUNT {
            // A shard is joined whole or not at all.
            let time = time_to_join(records_of_shard(progress));
            if !self.context.has_time_for(time) {
                return Ok(false);
            }
            let before = progress.clone();
            if let Err(error) = self.join_shard(progress, changes).await {
                // A later worker joins the whole shard.
                *progress = before;
                return Err(error);
            }
            progress.shard += 1;
            (self.context.on_progress)(Step::Comparing(
                progress.counts.unchanged + progress.planned,
            ));
        }
        Ok(true)
    }

    async fn join_shard(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
    ) -> Result<(), ReconcileError> {
        let phase = match progress.phase {
            Phase::ByName => "by-name",
            _ => "by-identity",
        };
        let part = progress.part(&format!("plan-{phase}-{:x}", progress.shard));
        let plan = RollingUpload::new(
            self.bucket,
            move |number| format!("{part}-{number}.jsonl"),
            1,
            String::new(),
            None,
        );
        let sorter = |name, runs: &Vec<Run>| {
            let part = progress.part(name);
            let key = move |number| format!("{part}-{number:04}");
            Sorter::new(self.bucket, key, runs.clone())
        };
        let unmatched = (
            sorter("unmatched-primary", &progress.primary.unmatched),
            sorter("unmatched-secondary", &progress.secondary.unmatched),
        );
        let mut shard = Shard {
            comparing: self,
            progress,
            changes,
            plan,
            unmatched,
        };
        match shard.progress.phase {
            Phase::ByName => shard.join_by_name().await?,
            _ => shard.join_by_identity().await?,
        }
        let Shard {
            mut plan,
            mut unmatched,
            progress,
            ..
        } = shard;
        let files = plan.finish().await?.into_iter();
        progress.plan.extend(files.map(|file| file.object.key));
        progress.primary.unmatched = unmatched.0.flush().await?.to_vec();
        progress.secondary.unmatched = unmatched.1.flush().await?.to_vec();
        Ok(())
    }
}

/// How long it takes to join so many records.
pub fn time_to_join(records: u64) -> Duration {
    Duration::from_secs(records / RECORDS_PER_SECOND)
}

/// The records of the shard to be joined next, of both pools.
fn records_of_shard(progress: &Progress) -> u64 {
    let pools = [&progress.primary, &progress.secondary];
    let runs = pools.into_iter().flat_map(|pool| match progress.phase {
        Phase::ByName => &pool.unmatched,
        _ => &pool.runs,
    });
    runs.map(|run| run.records_of_shard(progress.shard)).sum()
}

impl Shard<'_> {
    async fn join_by_identity(&mut self) -> Result<(), ReconcileError> {
        let (bucket, shard) = (self.comparing.bucket, self.progress.shard);
        let marks = [&*self.progress.withheld, &*self.progress.journal.runs].concat();
        let mut join = Join::new(
            Merged::<Listed>::shard(bucket, &self.progress.primary.runs, shard),
            Merged::<Listed>::shard(bucket, &self.progress.secondary.runs, shard),
            Merged::<Mark>::shard(bucket, &marks, shard),
        );
        while let Some(joined) = join.next().await? {
            let (of_primary, of_secondary) = (joined.primary, joined.secondary);
            let marked = |user: &Listed| {
                let mut user = *user;
                user.mark(joined.marks.records);
                user
            };
            for primary in of_primary.records {
                self.count_way_in(primary);
            }
            match (of_primary.records, of_secondary.records) {
                ([primary], [secondary]) => {
                    self.progress.pairs += 1;
                    let suggestion = of_pair(&marked(primary), &marked(secondary), false);
                    self.suggest(suggestion).await?;
                }
                ([primary], []) => self.unmatched.0.add(ByName(marked(primary))).await?,
                ([], [secondary]) => self.unmatched.1.add(ByName(marked(secondary))).await?,
                (primary, secondary) => self.identity_twice(primary, secondary).await?,
            }
        }
        Ok(())
    }

    async fn join_by_name(&mut self) -> Result<(), ReconcileError> {
        let (bucket, shard) = (self.comparing.bucket, self.progress.shard);
        let mut join = Join::new(
            Merged::<ByName>::shard(bucket, &self.progress.primary.unmatched, shard),
            Merged::<ByName>::shard(bucket, &self.progress.secondary.unmatched, shard),
            Merged::<Mark>::shard(bucket, &[], shard),
        );
        let origin = self.comparing.comparison.origin();
        let may_write_origin =
            origin.is_some_and(|origin| !self.comparing.comparison.is_immutable(origin.as_str()));
        while let Some(joined) = join.next().await? {
            let mut of_primary: Vec<_> =
                joined.primary.records.iter().map(|user| &user.0).collect();
            // Somebody who can sign in comes before an invitation that nobody took up.
            of_primary.sort_by_key(|user| user.state as u8);
            // Whoever carries another identity is another person.
            let may_be_anybodys = |user: &&Listed| !user.has_origin && user.state.owns_name();
            let of_secondary = joined.secondary.records.iter().map(|user| &user.0);
            let (replicas, others): (Vec<_>, Vec<_>) = of_secondary.partition(may_be_anybodys);
            let mut replicas = replicas.into_iter();
            for primary in of_primary {
                let theirs = match primary.state.owns_name() {
                    true => replicas.next(),
                    false => None,
                };
                match theirs {
                    Some(secondary) => {
                        self.progress.pairs += 1;
                        let suggestion = of_pair(primary, secondary, may_write_origin);
                        self.suggest(suggestion).await?;
                    }
                    None => self.suggest(of_primary_alone(primary)).await?,
                }
            }
            for secondary in replicas.chain(others) {
                let suggestion = of_secondary_alone(secondary, self.comparing.delete_before);
                // Nobody of the secondary pool alone is one of the people who are not mirrored.
                if suggestion != Suggestion::Skipped {
                    self.suggest(suggestion).await?;
                }
            }
        }
        Ok(())
    }

    async fn suggest(&mut self, suggestion: Suggestion) -> Result<(), ReconcileError> {
        let (stage, kinds, candidate) = match suggestion {
            Suggestion::Unchanged => {
                self.progress.counts.unchanged += 1;
                return Ok(());
            }
            Suggestion::Skipped => {
                self.progress.counts.skipped += 1;
                return Ok(());
            }
            Suggestion::Look {
                stage,
                kinds,
                candidate,
            } => (stage, kinds, candidate),
        };
        for kind in kinds {
            self.progress.guard.plan(kind);
        }
        self.progress.planned += 1;
        self.progress.missing += u64::from(stage == Stage::Create);
        let line = to_json(&PlannedLook { stage, candidate });
        Ok(self.plan.write_row(&line).await?)
    }

    /// Several users with one identity are reported, and nothing but a ban is written to any of them.
    async fn identity_twice(
        &mut self,
        primary: &[Listed],
        secondary: &[Listed],
    ) -> Result<(), ReconcileError> {
        let mut outcome = Outcome::default();
        for user in primary {
            let pair = Pair::of(Some(user.sub.as_str()), None);
            outcome.report(&pair, "identity-twice", Vec::new());
        }
        for user in secondary {
            let pair = Pair::of(None, Some(user.sub.as_str()));
            outcome.report(&pair, "identity-twice", Vec::new());
        }
        self.changes.add(outcome, self.progress).await?;
        for suggestion in of_several(primary, secondary) {
            self.suggest(suggestion).await?;
        }
        Ok(())
    }

    /// Counts who could not get in at a failover.
    fn count_way_in(&mut self, primary: &Listed) {
        let is_mirrored = primary.state == State::Active && primary.enabled;
        self.progress.counts.no_way_in += u64::from(is_mirrored && !primary.has_way_in);
    }
}

#[cfg(test)]
mod tests {
    use shared::id::Id;
    use shared::time::now;

    use crate::guard::Guard;

    use super::*;

    #[test]
    fn the_records_of_a_shard_are_those_of_both_pools_in_this_phase() {
        let mut shards = [100; SHARD_COUNT];
        shards[0] = 0;
        let run = |records| Run {
            key: String::new(),
            records,
            shards,
        };
        let mut progress = Progress::start(Id::new(now()), "one", "two", false, Guard::default());
        progress.primary.runs = vec![run(107), run(108)];
        progress.secondary.runs = vec![run(109)];
        progress.secondary.unmatched = vec![run(101)];
        progress.phase = Phase::ByIdentity;

        assert_eq!(records_of_shard(&progress), 300);
        progress.shard = SHARD_COUNT - 1;
        assert_eq!(records_of_shard(&progress), 7 + 8 + 9);
        progress.phase = Phase::ByName;
        assert_eq!(records_of_shard(&progress), 1);
    }
}
