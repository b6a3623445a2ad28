//! `twinpool failover`: looks, says what it costs everybody, asks, opens the fence, proves that it is open, and says what to switch.
//!
//! Its parts are the single commands `status` and `fence open`. [`Options`] and the steps at the fence are shared with `failback`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use shared::aws::{RetryPolicy, Sdk};
use shared::pool_id::PoolId;
use shared::s3::bucket::Bucket;

use crate::context::Context;
use crate::evidence::{Done, Evidence, Kind, Recorder, Status, StepName};
use crate::failure::{Failure, Verdict};
use crate::fence::{self, Gate, State, no_fence};
use crate::pools::Pools;
use crate::proof;
use crate::recovery::count_without_address;
use crate::snapshot_bucket::SnapshotBucket;
use crate::status;
use crate::status::facts::{Asked, Facts, Fence, Targets};
use crate::switch::Switch;
use crate::table::Table;
use crate::terminal::{HEAD, WARN, check_can_ask, confirm};

/// Let people into the secondary pool, because the primary is lost: open the fence
///
/// Looks at both pools, says what a failover costs everybody, and asks. Then opens the fence, proves from outside that it is open, with
/// calls that anybody can make, and says what to switch in the application. Nothing else is changed, and everything can be undone with
/// twinpool failback.
///
/// Leaves evidence in the snapshot bucket: failovers/ID.json says who did what, when, and how long each step took. If the command is
/// interrupted, run it again: it goes on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

const HELP: &str = "\
Examples:
  twinpool failover --dry-run                      if twinpool.toml is there, or TWINPOOL_PRIMARY and the other variables are set
  twinpool failover --report failover.html

Exit codes:
  0  the fence is open, and that is proved
  1  it is not; nothing was changed if you did not say yes
  2  bad usage, or nobody can be asked and --yes is missing
  3  AWS refused or did not answer
  4  another operator is running the command
  130  interrupted; run the command again to go on

Permissions: those of twinpool status and twinpool fence; cognito-idp:ListUserPoolClients on the secondary; s3:GetObject and s3:PutObject
below failovers/ in the snapshot bucket, with kms:Decrypt and kms:GenerateDataKey on its key";

/// The options of both commands.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub pools: Pools,

    #[command(flatten)]
    pub snapshots: SnapshotBucket,

    /// The bucket of the outbox, in the primary region. Without it, the outbox is not looked at.
    #[arg(long, env = "TWINPOOL_OUTBOX", value_name = "NAME")]
    pub outbox: Option<String>,

    /// Your name in the evidence.
    #[arg(long, env = "USER", value_name = "NAME", default_value = "unknown")]
    pub operator: String,

    /// Write the evidence as one page of HTML, also when the command stops before its end.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// How long a change of the fence may take until it is seen from outside.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub proof_timeout: u64,

    /// Do not ask, for scripts: opens the fence, and takes the application as switched. It accepts nobody, and writes nothing to the
    /// primary without --prefer.
    #[arg(long)]
    pub yes: bool,

    /// Only look, and show what would be done. Change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

impl Options {
    /// Checks what no call is needed for.
    ///
    /// # Errors
    ///
    /// Both pools are the same, or nobody can be asked.
    pub fn check(&self) -> Result<(), Failure> {
        if self.pools.primary == self.pools.secondary {
            let same = "--primary and --secondary name the same pool";
            return Err(Failure::Usage(same.to_owned()));
        }
        check_can_ask(self.dry_run || self.yes)
    }

    /// The bucket of the evidence.
    pub fn bucket(&self, sdk: &Sdk) -> Bucket {
        let region = self.pools.secondary.region();
        self.snapshots.open(sdk, region, RetryPolicy::WORKER)
    }

    /// Reads the state of everything.
    pub async fn look(&self, sdk: &Sdk) -> status::Report {
        let targets = Targets {
            primary: self.pools.primary.clone(),
            secondary: self.pools.secondary.clone(),
            snapshots: self.snapshots.clone(),
            outbox: self.outbox.clone(),
        };
        status::Report::read(sdk, targets).await
    }

    /// Goes on with a run, or begins one.
    ///
    /// # Errors
    ///
    /// Another operator is running the command, or the evidence cannot be written.
    pub async fn open(
        &self,
        sdk: &Sdk,
        kind: Kind,
        context: &Context,
    ) -> Result<Recorder, Failure> {
        let Pools { primary, secondary } = &self.pools;
        let bucket = self.bucket(sdk);
        let recorder = Recorder::open(&bucket, kind, (primary, secondary), &self.operator).await?;
        let evidence = recorder.evidence().await;
        if recorder.is_resumed {
            let note = format_args!("going on with {kind} {}", evidence.run);
            context.terminal.note(note);
        }
        Ok(recorder)
    }

    /// Shows the evidence at the end of a command, also of one that failed, and writes the page.
    ///
    /// # Errors
    ///
    /// The command failed, or the result or the page cannot be written.
    pub async fn finish(
        &self,
        done: Result<(), Failure>,
        recorder: &Recorder,
        context: &Context,
    ) -> Result<Verdict, Failure> {
        let page = match &self.report {
            Some(file) => recorder.write_page(file).await,
            None => Ok(()),
        };
        let shown = context.terminal.show(&recorder.evidence().await);
        // Why the command failed counts more than a page that cannot be written.
        done.and(shown).and(page).map(|()| Verdict::Good)
    }

    /// The state of the fence; none if the pool has no web ACL.
    ///
    /// # Errors
    ///
    /// The web ACL is not the fence, or AWS rejected a call or did not answer.
    pub async fn fence_state(&self, sdk: &Sdk) -> Result<Option<State>, Failure> {
        let pool = &self.pools.secondary;
        match fence::read_gate(sdk, pool).await?.1 {
            Gate::Fence(fence) => Ok(Some(fence.state())),
            Gate::None => Ok(None),
            gate => Err(no_fence(pool, &gate)),
        }
    }

    /// Brings the fence into a state. A pool without a fence is left as it is.
    ///
    /// # Errors
    ///
    /// The web ACL is not the fence, or AWS rejected a call or did not answer.
    pub async fn set_fence(&self, sdk: &Sdk, wanted: State) -> Result<(Done, ()), Failure> {
        let pool = &self.pools.secondary;
        let (client, gate) = fence::read_gate(sdk, pool).await?;
        let fence = match gate {
            Gate::Fence(fence) => fence,
            Gate::None => return Ok((Done::skipped(NO_FENCE), ())),
            gate => return Err(no_fence(pool, &gate)),
        };
        let before = fence.state();
        if before == wanted {
            return Ok((Done::skipped(format!("the fence is {before} already")), ()));
        }
        fence.change(&client, wanted).await?;
        let seen = format!("the fence was {before}, and is {wanted}");
        Ok((Done::default().see(seen), ()))
    }

    /// Proves from outside what the fence lets through.
    ///
    /// # Errors
    ///
    /// The proof failed, or AWS rejected a call or did not answer.
    pub async fn prove(&self, sdk: &Sdk, state: State) -> Result<(Done, ()), Failure> {
        let time_limit = Duration::from_secs(self.proof_timeout);
        let proof = proof::prove(sdk, &self.pools.secondary, state, time_limit).await?;
        let done = Done::default().count("unsigned calls", proof.calls);
        Ok((done.see(proof.seen), ()))
    }
}

/// What is seen of a pool without a web ACL: nothing has to be opened, and nothing can be closed.
pub const NO_FENCE: &str = "the pool has no fence";

/// What a look has found, for the evidence.
pub fn looked(report: &status::Report) -> Done {
    let Facts {
        at,
        primary,
        secondary,
        outbox,
        snapshot,
        reconcile,
        journal,
        ..
    } = &report.facts;
    let age = |started_at: Timestamp| at.duration_since(started_at).as_secs().max(0) as u64;
    let mut done = Done::default();
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        done = match pool {
            Asked::Known(pool) => {
                let users = u64::try_from(pool.users).unwrap_or_default();
                done.count(&format!("users in the {name}"), users)
            }
            Asked::Unknown(why) => done.see(format!("{name}: {}", why.error)),
        };
    }
    if let Some(Asked::Known(records)) = outbox {
        done = done.count("records in the outbox", records.count);
    }
    if let Asked::Known(journal) = journal {
        done = done.count("newcomers in the journal", journal.sign_ups.count);
    }
    if let Asked::Known(Some(last)) = snapshot {
        done = done.count("seconds since the last snapshot", age(last.started_at));
    }
    if let Asked::Known(Some(last)) = reconcile {
        done = done.count("seconds since reconcile", age(last.started_at));
    }
    for (what, state) in report.wrong_lines() {
        done = done.see(format!("{what}: {state}"));
    }
    done
}

/// Password resets a second, of two calls each: the quota of UserAccountRecovery is 30 a second and cannot be raised (DG:quotas).
const RESETS_PER_SECOND: f64 = 15.0;

/// Authenticators a second, of two calls each: the quota of UserResourceUpdate is 25 a second and cannot be raised (DG:quotas).
const AUTHENTICATORS_PER_SECOND: f64 = 12.5;

/// What a failover costs everybody.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Cost {
    /// Users of the secondary pool, as Cognito estimates it.
    users: u64,
    /// Hours that all password resets take at the quota.
    hours_to_reset: f64,
    /// Hours that all authenticators take at the quota.
    hours_to_set_up_authenticators: f64,
    /// Users without a verified address, as the last snapshot counted them, if there is one.
    no_way_in: Option<u64>,
}

impl Cost {
    fn of(users: u64, no_way_in: Option<u64>) -> Self {
        let hours = |rate: f64| (users as f64 / rate / 360.0).ceil() / 10.0;
        Self {
            users,
            hours_to_reset: hours(RESETS_PER_SECOND),
            hours_to_set_up_authenticators: hours(AUTHENTICATORS_PER_SECOND),
            no_way_in,
        }
    }

    fn of_facts(facts: &Facts) -> Self {
        let users = match &facts.secondary {
            Asked::Known(pool) => u64::try_from(pool.users).unwrap_or_default(),
            Asked::Unknown(_) => 0,
        };
        let no_way_in = match &facts.snapshot {
            Asked::Known(Some(last)) => Some(count_without_address(&last.rejected)),
            _ => None,
        };
        Self::of(users, no_way_in)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            users,
            hours_to_reset,
            hours_to_set_up_authenticators,
            no_way_in,
        } = self;
        writeln!(f, "{HEAD}What a failover costs{HEAD:#}")?;
        writeln!(
            f,
            "  everybody, about {users} users, resets the password by mail and sets up the authenticator again, as nobody can copy them"
        )?;
        writeln!(
            f,
            "  at Cognito's quotas this takes at least {hours_to_reset} h for all passwords and {hours_to_set_up_authenticators} h for all \
             authenticators"
        )?;
        if let Some(people) = no_way_in.filter(|people| *people > 0) {
            writeln!(
                f,
                "  {people} users have no verified address, and cannot get in at all"
            )?;
        }
        writeln!(
            f,
            "  whoever signs up in the secondary does all this once more after the failback"
        )?;
        write!(
            f,
            "  whoever can read a user's mail can take over that user in the secondary while the fence is open"
        )
    }
}

/// Result of a dry run.
#[derive(Serialize)]
struct Plan {
    dry_run: bool,
    kind: Kind,
    primary_answers: bool,
    cost: Cost,
    steps: Vec<StepName>,
}

/// The steps of a failover.
const STEPS: [StepName; 4] = [
    StepName::Look,
    StepName::OpenFence,
    StepName::ProveOpen,
    StepName::Switch,
];

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["dry run", "nothing is changed; it would"]);
        for (number, step) in (1..).zip(&self.steps) {
            let number: u32 = number;
            table.row([number.to_string().into(), step.describe().into()]);
        }
        table.fmt(f)
    }
}

/// Runs the command.
///
/// # Errors
///
/// The secondary pool does not answer, the fence cannot be opened, the proof failed, another operator is running the command, nobody said
/// yes, AWS rejected a call or did not answer, there are no AWS credentials, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let options = args.options;
    options.check()?;
    let sdk = context.sdk().await?;
    let report = options.look(&sdk).await;
    let terminal = &context.terminal;
    terminal.note(&report);
    let facts = &report.facts;
    if let Asked::Unknown(why) = &facts.secondary {
        return Err(why.to_failure(
            "no failover: the secondary pool does not answer, so look at your network and credentials first",
        ));
    }
    let is_lost = facts.is_primary_lost();
    if !is_lost {
        terminal.note(format_args!(
            "\n{WARN}The primary answers, so it does not look lost.{WARN:#} A failover is possible all the same, for a drill, or if \
             people cannot sign in there for a reason that cannot be seen from here."
        ));
    }
    let cost = Cost::of_facts(facts);
    terminal.note(format_args!("\n{cost}\n"));
    if options.dry_run {
        terminal.show(&Plan {
            dry_run: true,
            kind: Kind::Failover,
            primary_answers: !is_lost,
            cost,
            steps: STEPS.to_vec(),
        })?;
        return Ok(Verdict::Good);
    }
    let question = format!(
        "Open the fence of {} for everybody?",
        options.pools.secondary
    );
    if !confirm(&question, options.yes).await? {
        return Err(Failure::Wrong("nothing was changed".to_owned()));
    }
    let opened = options.open(&sdk, Kind::Failover, context).await;
    let recorder = opened.inspect_err(|_| {
        terminal.note(
            "nothing was changed; if the evidence cannot be written, twinpool fence open opens the fence without any",
        );
    })?;
    let done = recorder
        .carry_out(failover(&recorder, &options, &sdk, &report, context))
        .await;
    options.finish(done, &recorder, context).await
}

/// The steps, after somebody has said yes. All of them are done again when a run goes on: each finds out what there is to do.
async fn failover(
    recorder: &Recorder,
    options: &Options,
    sdk: &Sdk,
    report: &status::Report,
    context: &Context,
) -> Result<(), Failure> {
    let look = async { Ok((looked(report), ())) };
    recorder
        .step(StepName::Look, Some(StepName::OpenFence), look)
        .await?;
    // Noted before it is opened, so that nobody can have come in earlier. Of a fence that is open already, nobody knows since when.
    if let Asked::Known(Fence::Closed) = report.facts.fence {
        let opened_at = Timestamp::now();
        recorder
            .change(|evidence| {
                evidence.opened_at.get_or_insert(opened_at);
            })
            .await?;
    }
    let open = options.set_fence(sdk, State::Open);
    recorder
        .step(StepName::OpenFence, Some(StepName::ProveOpen), open)
        .await?;
    context
        .terminal
        .note("the fence is set; looking from outside until it is open everywhere");
    let prove = options.prove(sdk, State::Open);
    recorder
        .step(StepName::ProveOpen, Some(StepName::Switch), prove)
        .await?;
    let switch = tell_what_to_switch(sdk, &options.pools.secondary, context);
    recorder.step(StepName::Switch, None, switch).await?;
    recorder
        .change(|evidence: &mut Evidence| evidence.status = Status::Complete)
        .await
}

/// Says what to switch to.
///
/// # Errors
///
/// AWS rejected a call or did not answer.
pub async fn tell_what_to_switch(
    sdk: &Sdk,
    pool: &PoolId,
    context: &Context,
) -> Result<(Done, ()), Failure> {
    let switch = Switch::to(sdk, pool).await?;
    context.terminal.note(format_args!("\n{switch}\n"));
    Ok((Done::default().see(format!("to be switched to {pool}")), ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_follows_the_quotas_and_the_size_of_the_pool() {
        let cost = Cost::of(100_000, Some(12));

        // docs/runbook.md, "How fast users can come back": 1.9 h and 2.2 h, here rounded up.
        assert_eq!(cost.hours_to_reset, 1.9);
        assert_eq!(cost.hours_to_set_up_authenticators, 2.3);
        assert!(
            cost.to_string()
                .contains("12 users have no verified address")
        );
        assert!(!Cost::of(5, Some(0)).to_string().contains("no verified"));
    }
}
