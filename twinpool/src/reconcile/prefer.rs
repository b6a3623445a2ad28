//! `twinpool reconcile --prefer`: shows what a decision would write, asks, and writes it.

use std::collections::BTreeSet;
use std::fmt;

use ::reconcile::prefer::{PreferAnswer, PreferRequest, Side};
use ::reconcile::report::Reported;
use ::reconcile::request::{ReconcileConfig, RunContext};
use serde::Serialize;
use shared::id::Id;

use super::summary::people_table;
use super::{Args, lease_holder, progress_of};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::terminal::{GOOD, Output, Progress, WARN, check_can_ask, confirm};

/// Carries out a decision on what a run has reported.
///
/// # Errors
///
/// The run is not known or is of other pools, AWS did not answer, or nobody could be asked.
pub async fn run(
    args: &Args,
    side: Side,
    of: &Id,
    config: &ReconcileConfig,
    context: &Context,
) -> Result<Verdict, Failure> {
    check_can_ask(args.dry_run || args.yes)?;
    let must_ask = !args.dry_run && !args.yes;
    let mut request = PreferRequest {
        side,
        of: of.clone(),
        subs: args.sub.clone(),
        dry_run: true,
    };
    if must_ask {
        let answer = prefer(config, &request, context).await?;
        let plan = Decided::of(&request, answer);
        // On a terminal, the answer to the question follows the list. A result in JSON is one document, and comes at the end.
        match context.terminal.output() {
            Output::Text => context.terminal.show(&plan)?,
            Output::Json => context.terminal.note(&plan),
        }
        if plan.answer.written.is_empty() {
            return Ok(plan.verdict());
        }
        if !confirm("Write this?", args.yes).await? {
            return Err(Failure::Wrong("nothing was written".to_owned()));
        }
    }
    request.dry_run = args.dry_run;
    let answer = prefer(config, &request, context).await?;
    let decided = Decided::of(&request, answer);
    context.terminal.show(&decided)?;
    Ok(decided.verdict())
}

async fn prefer(
    config: &ReconcileConfig,
    request: &PreferRequest,
    context: &Context,
) -> Result<PreferAnswer, Failure> {
    let progress = Progress::new(&context.terminal);
    let run = RunContext {
        lease_holder: lease_holder(),
        deadline: None,
        leave_to_fill: false,
        on_progress: &|step| progress.show(progress_of(step)),
    };
    let answer = ::reconcile::prefer::run(config, request, &run).await;
    progress.end();
    Ok(answer?)
}

/// The result.
#[derive(Serialize)]
struct Decided {
    prefer: Side,
    of: Id,
    dry_run: bool,
    #[serde(flatten)]
    answer: PreferAnswer,
}

impl Decided {
    fn of(request: &PreferRequest, answer: PreferAnswer) -> Self {
        Self {
            prefer: request.side,
            of: request.of.clone(),
            dry_run: request.dry_run,
            answer,
        }
    }

    fn verdict(&self) -> Verdict {
        match self.answer.not_written.is_empty() {
            true => Verdict::Good,
            false => Verdict::Wrong,
        }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PreferAnswer {
            written,
            not_written,
        } = &self.answer;
        let (kept, other) = match self.prefer {
            Side::Primary => ("primary", "secondary"),
            Side::Secondary => ("secondary", "primary"),
        };
        let would = if self.dry_run { "would be " } else { "" };
        let people = |reported: &[Reported]| {
            let subs = reported.iter().map(|person| &person.sub);
            match subs.collect::<BTreeSet<_>>().len() {
                1 => "1 person".to_owned(),
                number => format!("{number} people"),
            }
        };
        if !written.is_empty() {
            people_table(f, "written, because it was", written)?;
        }
        if !not_written.is_empty() {
            people_table(f, "not written, because it is", not_written)?;
            writeln!(f, "{}", WHAT_TO_DO)?;
        }
        let style = if not_written.is_empty() { GOOD } else { WARN };
        write!(
            f,
            "{style}{would}written from the {kept} to the {other}: values of {}; not written: of {}{style:#}",
            people(written),
            people(not_written)
        )
    }
}

const WHAT_TO_DO: &str = "\
  changed-since-report     run twinpool reconcile --dry-run, and decide on the new report
  unverified-in-…          the address is not verified in that pool: ask the person
  name-held                somebody else signs in with this address: find out to whom it belongs
  not-in-report            the report does not say that this person has changed anything
  any other                Cognito's error code for this attribute
";
