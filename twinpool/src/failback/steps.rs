//! The steps of a failback, each of which can be done again: it finds out what there is to do.

use std::collections::{BTreeMap, BTreeSet};

use ::reconcile::changes::ChangeLines;
use ::reconcile::prefer::{PreferRequest, Side, can_be_decided};
use ::reconcile::report::{Change, changes_key};
use ::reconcile::request::ReconcileConfig;
use jiff::SignedDuration;
use restore::request::{Request, Status as RestoreStatus};
use restore::run::RestoreConfig;
use shared::aws::Sdk;
use shared::id::Id;
use shared::journal::{self, Records, SIGN_UPS_PREFIX};
use shared::s3::bucket::Bucket;

use super::position::position;
use super::{Args, Preference};
use crate::context::Context;
use crate::evidence::{Done, OpenPerson, Recorder, Status, StepName};
use crate::failover::{NO_FENCE, looked, tell_what_to_switch};
use crate::failure::Failure;
use crate::fence::State;
use crate::reconcile;
use crate::reconcile::prefer::decide;
use crate::restore::{Report, restore_and_read_report};
use crate::status;
use crate::status::facts::{Asked, Facts, Fence};
use crate::terminal::{WARN, confirm};

/// When a round brings fewer people home than this, the rest follows after the sign-ups are kept out: nobody waits long for so few.
const FEW_NEWCOMERS: u64 = 100;

/// What reconcile reports of people in the secondary of whom nobody knows who they are, or what they did there: they have no identity,
/// record or pair, or share their identity with somebody.
const UNKNOWN_PEOPLE: [&str; 4] = [
    "cannot-tell",
    "unpaired",
    "used-without-record",
    "identity-twice",
];

/// What reconcile reports of people whom somebody has disabled in the secondary, and who can sign in to the primary.
const DISABLED_THERE_ALONE: &str = "disabled-in-secondary";

/// One run of a failback.
pub struct Failback<'a> {
    pub args: &'a Args,
    pub sdk: &'a Sdk,
    pub bucket: &'a Bucket,
    pub recorder: &'a Recorder,
    pub context: &'a Context,
}

/// What a restore has done.
struct Home {
    done: Done,
    /// People who are not home, or lack an attribute. Their sign-up records wait, so that the next restore looks at them again.
    open: BTreeSet<OpenPerson>,
    /// People who were brought home.
    brought: u64,
}

impl Failback<'_> {
    /// Carries out the run, from where it was left to its end.
    ///
    /// # Errors
    ///
    /// A step failed, or people are not home and nobody has accepted them. The same command goes on.
    pub async fn carry_out(
        &self,
        report: &status::Report,
        accepted: BTreeSet<String>,
    ) -> Result<(), Failure> {
        self.recorder
            .change(|evidence| evidence.accepted.extend(accepted))
            .await?;
        let evidence = self.recorder.evidence().await;
        let fence = match &report.facts.fence {
            Asked::Known(fence) => Some(*fence),
            Asked::Unknown(_) => None,
        };
        let has_open_people = !evidence.unaccepted().is_empty();
        let mut step = position(evidence.next, fence, has_open_people);
        let look = async { Ok((looked(report), ())) };
        self.recorder.step(StepName::Look, Some(step), look).await?;
        loop {
            self.tell(step);
            let next = match step {
                StepName::NoSignUps => self.keep_sign_ups_out().await?,
                StepName::ProveNoSignUps => self.prove_no_sign_ups().await?,
                StepName::BringLastHome => self.bring_last_home().await?,
                StepName::Compare => self.compare_before_switch().await?,
                StepName::Prefer => self.prefer().await?,
                StepName::Switch => self.switch().await?,
                StepName::CloseFence => self.close_fence().await?,
                StepName::ProveClosed => self.prove_closed().await?,
                StepName::LookAgain => return self.look_again().await,
                _ => self.bring_home().await?,
            };
            step = next;
        }
    }

    fn tell(&self, step: StepName) {
        let terminal = &self.context.terminal;
        terminal.note(format_args!("-- {}", step.describe()));
    }

    /// Brings newcomers home while people go on, round by round, until only few come in a round.
    async fn bring_home(&self) -> Result<StepName, Failure> {
        let next = StepName::NoSignUps;
        let work = async {
            let mut done = Done::default();
            let (mut total, mut rounds, mut before) = (0, 0, u64::MAX);
            while !self.waiting().await?.is_empty() {
                let home = self.restore().await?;
                total += home.brought;
                rounds += 1;
                let is_enough = home.brought < FEW_NEWCOMERS || home.brought >= before;
                before = home.brought;
                if is_enough {
                    done.seen = home.done.seen;
                    break;
                }
            }
            if rounds == 0 {
                return Ok((Done::skipped("no newcomers"), ()));
            }
            Ok((
                done.count("brought home", total).count("rounds", rounds),
                (),
            ))
        };
        self.recorder
            .step(StepName::BringHome, Some(next), work)
            .await?;
        Ok(next)
    }

    async fn keep_sign_ups_out(&self) -> Result<StepName, Failure> {
        let next = StepName::ProveNoSignUps;
        let options = &self.args.options;
        let work = async {
            match options.fence_state(self.sdk).await? {
                // Never open it any further.
                Some(State::Closed) => Ok((Done::skipped("the fence is closed already"), ())),
                _ => options.set_fence(self.sdk, State::NoSignUps).await,
            }
        };
        self.recorder
            .step(StepName::NoSignUps, Some(next), work)
            .await?;
        Ok(next)
    }

    async fn prove_no_sign_ups(&self) -> Result<StepName, Failure> {
        let next = StepName::BringLastHome;
        let options = &self.args.options;
        let work = async {
            match options.fence_state(self.sdk).await? {
                Some(State::Closed) => Ok((Done::skipped("the fence is closed"), ())),
                Some(_) => options.prove(self.sdk, State::NoSignUps).await,
                None => Ok((Done::skipped(NO_FENCE), ())),
            }
        };
        self.recorder
            .step(StepName::ProveNoSignUps, Some(next), work)
            .await?;
        Ok(next)
    }

    async fn bring_last_home(&self) -> Result<StepName, Failure> {
        let next = StepName::Compare;
        let work = async {
            let (done, open) = self.bring_the_rest_home().await?;
            // Before the step is done: whoever goes on with a run that was killed knows them.
            self.remember_not_home(open).await?;
            Ok((done, ()))
        };
        self.recorder
            .step(StepName::BringLastHome, Some(next), work)
            .await?;
        Ok(next)
    }

    /// Restores until no sign-up waits, or nobody more can be brought.
    async fn bring_the_rest_home(&self) -> Result<(Done, BTreeSet<OpenPerson>), Failure> {
        if self.waiting().await?.is_empty() {
            return Ok((Done::skipped("no newcomers"), BTreeSet::new()));
        }
        let home = self.restore().await?;
        Ok((home.done, home.open))
    }

    /// Compares the pools before people return, unless nobody has used the secondary: then nobody needs to wait, and the last look
    /// compares.
    async fn compare_before_switch(&self) -> Result<StepName, Failure> {
        let next = StepName::Prefer;
        let work = async {
            let done = match self.is_secondary_used().await? {
                true => self.compare().await?,
                false => Done::skipped(
                    "nobody has used the secondary: the pools are compared at the end",
                ),
            };
            Ok((done, ()))
        };
        self.recorder
            .step(StepName::Compare, Some(next), work)
            .await?;
        Ok(next)
    }

    /// Whether somebody has used the secondary since the fence was opened, as far as that is known.
    async fn is_secondary_used(&self) -> Result<bool, Failure> {
        let opened_at = self.recorder.evidence().await.opened_at;
        let newest = journal::newest_record(self.bucket).await?;
        Ok(match (opened_at, newest) {
            (Some(opened_at), Some(newest)) => {
                // S3 says when a record was written in whole seconds, by a clock of its own.
                newest.as_second() + CLOCK_TOLERANCE_SECONDS >= opened_at.as_second()
            }
            (_, None) => false,
            (None, Some(_)) => true,
        })
    }

    /// `twinpool reconcile --dry-run`. Remembers who changed something, and of whom nobody knows who they are.
    async fn compare(&self) -> Result<Done, Failure> {
        let (done, compared) = self.look_at_differences().await?;
        self.recorder
            .change(|evidence| {
                evidence.compared = Some(compared.run);
                evidence.changed = compared.changed.len() as u64;
                evidence.open.insert(StepName::Compare, compared.unknown);
            })
            .await?;
        Ok(done)
    }

    async fn look_at_differences(&self) -> Result<(Done, Compared), Failure> {
        let config = self.reconcile_config().await?;
        let report = reconcile::compare(&config, self.context).await?;
        let run = report.reconcile;
        let mut compared = Compared {
            run: run.clone(),
            changed: BTreeSet::new(),
            unknown: BTreeSet::new(),
            reported: BTreeMap::new(),
        };
        let mut changes = ChangeLines::of(self.bucket, &run);
        while let Some(change) = changes.next().await? {
            compared.add(&change);
        }
        let terminal = &self.context.terminal;
        let mut done = Done::default();
        for (reason, reported) in &compared.reported {
            let Reported { number, lines } = reported;
            lines.iter().for_each(|line| terminal.note(line));
            if *number > lines.len() {
                let more = number - lines.len();
                let all = format!("s3://{}/{}", self.bucket.name(), changes_key(&run, 1));
                terminal.note(format_args!(
                    "   … and {more} more are reported as {reason}: {all}"
                ));
            }
            done = done.count(&format!("reported as {reason}"), *number as u64);
        }
        if compared.reported.contains_key(DISABLED_THERE_ALONE) {
            // Nothing carries a ban home. Whether it was meant for both pools, only an operator knows.
            let number = compared.reported[DISABLED_THERE_ALONE].number;
            let told = "people are disabled in the secondary alone: disable them in the primary too, if they were banned";
            terminal.note(format_args!("{WARN}{number} {told}{WARN:#}"));
            done = done.see(told);
        }
        let done = done
            .count("users in the primary", report.primary.listed)
            .count("users in the secondary", report.secondary.listed)
            .count("with changes to decide on", compared.changed.len() as u64)
            .count("unknown", compared.unknown.len() as u64)
            .see(format!("reconcile {run}"));
        Ok((done, compared))
    }

    /// Asks for people whom nobody has accepted, then writes what people changed in the secondary to the primary, if that is told.
    async fn prefer(&self) -> Result<StepName, Failure> {
        let next = StepName::Switch;
        let work = async {
            self.check_accepted().await?;
            let evidence = self.recorder.evidence().await;
            let (Some(of), 1..) = (evidence.compared, evidence.changed) else {
                return Ok((Done::skipped("there is nothing to decide on"), ()));
            };
            self.write_changes(of).await
        };
        self.recorder
            .step(StepName::Prefer, Some(next), work)
            .await?;
        Ok(next)
    }

    async fn write_changes(&self, of: Id) -> Result<(Done, ()), Failure> {
        let options = &self.args.options;
        if !self.is_told_to_write() && options.yes {
            return Ok((Done::skipped(left_for_later(&of)), ()));
        }
        let config = self.reconcile_config().await?;
        let mut request = PreferRequest {
            side: Side::Secondary,
            of: of.clone(),
            subs: Vec::new(),
            dry_run: true,
        };
        let plan = decide(&config, &request, self.context).await?;
        self.context.terminal.note(&plan);
        if plan.is_empty() || !confirm("Write this to the primary?", options.yes).await? {
            return Ok((Done::skipped(left_for_later(&of)), ()));
        }
        request.dry_run = false;
        let written = decide(&config, &request, self.context).await?;
        let (of_written, of_others) = written.people();
        let done = Done::default().count("people written", of_written);
        Ok((
            done.count("people with something not written", of_others),
            (),
        ))
    }

    fn is_told_to_write(&self) -> bool {
        matches!(self.args.prefer, Some(Preference::Secondary))
    }

    /// Says what to switch to, and waits until the operator says that it is done.
    async fn switch(&self) -> Result<StepName, Failure> {
        let next = StepName::CloseFence;
        let options = &self.args.options;
        let work = async {
            let told = tell_what_to_switch(self.sdk, &options.pools.primary, self.context).await?;
            let question = "Has the application been switched?";
            match confirm(question, options.yes).await? {
                true => Ok(told),
                false => Err(Failure::Wrong(
                    "waiting for the switch: run the same command again when the application has been switched".to_owned(),
                )),
            }
        };
        self.recorder
            .step(StepName::Switch, Some(next), work)
            .await?;
        Ok(next)
    }

    async fn close_fence(&self) -> Result<StepName, Failure> {
        let next = StepName::ProveClosed;
        let close = self.args.options.set_fence(self.sdk, State::Closed);
        self.recorder
            .step(StepName::CloseFence, Some(next), close)
            .await?;
        Ok(next)
    }

    async fn prove_closed(&self) -> Result<StepName, Failure> {
        let next = StepName::LookAgain;
        let options = &self.args.options;
        let work = async {
            match options.fence_state(self.sdk).await? {
                Some(_) => options.prove(self.sdk, State::Closed).await,
                None => Ok((Done::skipped(NO_FENCE), ())),
            }
        };
        self.recorder
            .step(StepName::ProveClosed, Some(next), work)
            .await?;
        Ok(next)
    }

    /// The last look: whoever came in between is brought home, and the fence must be closed. People may have changed something until it
    /// was, so the pools are compared once more.
    async fn look_again(&self) -> Result<(), Failure> {
        let work = async {
            let (mut done, open) = self.bring_the_rest_home().await?;
            self.remember_not_home(open).await?;
            let evidence = self.recorder.evidence().await;
            let is_open = evidence.compared.is_none() || !evidence.unaccepted().is_empty();
            if is_open || self.is_secondary_used().await? {
                done.add(self.compare().await?);
            }
            self.check_accepted().await?;
            let evidence = self.recorder.evidence().await;
            if let (Some(of), 1..) = (evidence.compared, evidence.changed) {
                done.add(match self.is_told_to_write() {
                    true => self.write_changes(of).await?.0,
                    false => Done::skipped(left_for_later(&of)),
                });
            }
            let report = self.args.options.look(self.sdk).await;
            self.context.terminal.note(&report);
            let evidence = self.recorder.evidence().await;
            let mut waiting = self.waiting().await?;
            for accepted in evidence.open.values().flatten() {
                waiting.remove(&accepted.sub);
            }
            check_end(&report.facts, waiting.len())?;
            done.add(looked(&report));
            Ok((done, ()))
        };
        self.recorder.step(StepName::LookAgain, None, work).await?;
        self.recorder
            .change(|evidence| evidence.status = Status::Complete)
            .await
    }

    /// Stops if people are not home, or unknown, and nobody accepts them.
    async fn check_accepted(&self) -> Result<(), Failure> {
        let evidence = self.recorder.evidence().await;
        let people = evidence.unaccepted();
        if people.is_empty() {
            return Ok(());
        }
        let terminal = &self.context.terminal;
        terminal.note(format_args!(
            "{WARN}people in the secondary who are not home, or of whom nobody knows who they are:{WARN:#}"
        ));
        for person in people.iter().take(MAX_LISTED) {
            terminal.note(format_args!("   {}  {}", person.sub, person.reason));
        }
        let question = format!(
            "Accept these {} people as they are, and go on without them?",
            people.len()
        );
        let options = &self.args.options;
        // The option --yes is no acceptance: somebody must have seen the list.
        if !options.yes && confirm(&question, false).await? {
            let subs: Vec<_> = people.iter().map(|person| person.sub.clone()).collect();
            return self
                .recorder
                .change(|evidence| evidence.accepted.extend(subs))
                .await;
        }
        Err(Failure::Wrong(format!(
            "not complete: {} people in the secondary are not home, or nobody knows who they are; they are listed in s3://{}/{}. Find out \
             who they are, and run the same command again; or accept them with --accept {}",
            people.len(),
            self.bucket.name(),
            crate::evidence::evidence_key(&evidence.run),
            evidence.run
        )))
    }

    async fn remember_not_home(&self, open: BTreeSet<OpenPerson>) -> Result<(), Failure> {
        self.recorder
            .change(|evidence| {
                evidence.open.insert(StepName::BringLastHome, open);
            })
            .await
    }

    /// Whose sign-ups wait in the journal.
    async fn waiting(&self) -> Result<BTreeSet<String>, Failure> {
        let mut records = Records::list(self.bucket, SIGN_UPS_PREFIX);
        let mut people = BTreeSet::new();
        while let Some(page) = records.next_page().await? {
            people.extend(page.into_iter().map(|record| record.person));
        }
        Ok(people)
    }

    /// `twinpool restore` of the newcomers. Remembers who is home without a group: their sign-up records do not wait any more, so no later
    /// restore finds that out.
    async fn restore(&self) -> Result<Home, Failure> {
        let site = RestoreConfig {
            sdk: self.sdk.clone(),
            pool: self.args.options.pools.primary.clone(),
            bucket: self.bucket.clone(),
            role: self.args.role.clone(),
            origin: self.args.origin_sub.clone(),
            same_pool: false,
            fill: None,
        };
        // Never with allow_stale: whoever was banned in the secondary must not come home as if they were not.
        let request = Request {
            reclaim_unconfirmed: self.args.reclaim_unconfirmed,
            ..Request::default()
        };
        let (answer, text) = restore_and_read_report(&site, &request, self.context).await?;
        let report = Report::read(&text, &answer.report)?;
        let summary = report.summary(self.bucket.name(), &answer.report);
        self.context.terminal.note(&summary);
        let open_person = |(sub, reason): (&str, String)| OpenPerson {
            sub: sub.to_owned(),
            reason,
        };
        let without_groups: Vec<_> = report.people_without_groups().map(open_person).collect();
        if !without_groups.is_empty() {
            self.recorder
                .change(|evidence| {
                    let open = evidence.open.entry(StepName::BringHome).or_default();
                    open.extend(without_groups);
                })
                .await?;
        }
        let open: BTreeSet<_> = report.people_not_home().map(open_person).collect();
        if answer.status != RestoreStatus::Complete && open.is_empty() {
            return Err(Failure::Wrong(format!(
                "the restore is not complete: see s3://{}/{}",
                self.bucket.name(),
                answer.report
            )));
        }
        let counts = &answer.counts;
        let brought = counts.imported + counts.created;
        let done = Done::default()
            .count("brought home", brought)
            .count("home already", counts.already_home)
            .count("not home", counts.not_home)
            .see(answer.report.trim_end_matches("/report.json"));
        Ok(Home {
            done,
            open,
            brought,
        })
    }

    async fn reconcile_config(&self) -> Result<ReconcileConfig, Failure> {
        let options = &self.args.options;
        let config = reconcile::default_config(
            self.sdk.clone(),
            &options.pools,
            self.bucket.clone(),
            self.args.origin_sub.clone(),
        )
        .await?;
        Ok(ReconcileConfig {
            // What somebody decides on is complete, also if groups were compared a moment ago.
            groups_interval: SignedDuration::ZERO,
            ..config
        })
    }
}

/// People who are listed on the terminal. The evidence lists all.
const MAX_LISTED: usize = 50;

/// Lines with one reason that are listed on the terminal. The lines of changes of the comparison have all.
const MAX_LISTED_OF_REASON: usize = 20;

/// By how much the clocks of S3 and of this machine may differ.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// What a comparison has found.
struct Compared {
    run: Id,
    /// The `sub`s of people who have changed something on which can be decided.
    changed: BTreeSet<String>,
    /// People of whom nobody knows who they are, or what they did.
    unknown: BTreeSet<OpenPerson>,
    /// Everything that is reported, by reason.
    reported: BTreeMap<String, Reported>,
}

/// What a comparison has reported with one reason.
#[derive(Default)]
struct Reported {
    number: usize,
    /// The first of it, as lines for people to read.
    lines: Vec<String>,
}

impl Compared {
    /// Adds a line of changes, if it reports something.
    fn add(&mut self, change: &Change) {
        let Change {
            sub,
            secondary_sub,
            action,
            attributes,
            outcome: reason,
        } = change;
        if action != "report" {
            return;
        }
        if can_be_decided(change) {
            self.changed.insert(secondary_sub.clone());
        } else if UNKNOWN_PEOPLE.contains(&reason.as_str()) && !secondary_sub.is_empty() {
            self.unknown.insert(OpenPerson {
                sub: secondary_sub.clone(),
                reason: reason.clone(),
            });
        }
        let who: &str = match (secondary_sub.as_str(), sub.as_str()) {
            ("", "") => "nobody",
            ("", _) => &format!("{sub} (in the primary)"),
            (secondary_sub, _) => secondary_sub,
        };
        let reported = self.reported.entry(reason.clone()).or_default();
        reported.number += 1;
        if reported.lines.len() < MAX_LISTED_OF_REASON {
            let attributes = attributes.join(", ");
            let line = format!("   {who}  {reason}  {attributes}");
            reported.lines.push(line.trim_end().to_owned());
        }
    }
}

/// What is said of changes that are not written.
fn left_for_later(of: &Id) -> String {
    format!("left as it is; to decide later: twinpool reconcile --prefer secondary --of {of}")
}

/// Makes sure that nobody waits in the journal whom nobody has accepted, and that the public is kept out.
fn check_end(facts: &Facts, waiting: usize) -> Result<(), Failure> {
    let what = match &facts.fence {
        // A fence with rule groups was proved to be closed from outside.
        Asked::Known(Fence::Closed | Fence::Unjudged | Fence::None) if waiting == 0 => {
            return Ok(());
        }
        Asked::Known(Fence::Closed | Fence::Unjudged | Fence::None) => {
            format!("{waiting} sign-ups wait in the journal")
        }
        Asked::Known(_) => "the fence is not closed".to_owned(),
        Asked::Unknown(why) => {
            return Err(why.to_failure(
                "not complete: the fence cannot be read, so run the same command again",
            ));
        }
    };
    Err(Failure::Wrong(format!(
        "not complete: {what}; run the same command again"
    )))
}
