//! The evidence of a failover or a failback: `failovers/<id>.json` in the snapshot bucket, and one page of HTML ([`page`]).
//!
//! The object is written at each step, so that a run that was killed leaves what it had done. It is a lease too: of two operators, the
//! second is told that the first is running the command. `failovers/open.json` names the latest run. A run that has not come to its end
//! is gone on with by the next run of the same command. No value of a person is in it: people appear by their `sub`.

mod page;
mod recorder;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::Id;
use shared::pool_id::PoolId;
use shared::s3::lease::{Holder, LeaseState};

pub use self::recorder::{Done, Recorder};
use crate::table::{Cell, Table};
use crate::terminal::{GOOD, WARN, WRONG};

/// The prefix of all evidence.
pub const FAILOVERS_PREFIX: &str = "failovers/";

/// The key of the object that names the latest run.
pub const OPEN_KEY: &str = "failovers/open.json";

/// The key of a run's evidence.
pub fn evidence_key(run: &Id) -> String {
    format!("{FAILOVERS_PREFIX}{run}.json")
}

/// What is done in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// People are let into the secondary pool.
    Failover,
    /// People return to the primary pool.
    Failback,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failover => "failover",
            Self::Failback => "failback",
        })
    }
}

/// A step of a run, in the order of a failback. A failover has `look`, `open-fence`, `prove-open` and `switch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// The state of both pools, of the buckets and of the fence.
    Look,
    /// The fence is opened.
    OpenFence,
    /// Unsigned calls show that it is open.
    ProveOpen,
    /// Newcomers are brought home while people go on.
    BringHome,
    /// The fence keeps sign-ups out.
    NoSignUps,
    /// Unsigned calls show that it does.
    ProveNoSignUps,
    /// The last newcomers are brought home.
    BringLastHome,
    /// Reconcile compares the pools and writes nothing.
    Compare,
    /// What people changed in the secondary is written to the primary.
    Prefer,
    /// The operator switches the application.
    Switch,
    /// The fence is closed.
    CloseFence,
    /// Unsigned calls show that it is closed.
    ProveClosed,
    /// The state once more, and whoever came in between.
    LookAgain,
}

impl StepName {
    /// What is done in the step, for people to read.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Look => "look at both pools",
            Self::OpenFence => "open the fence",
            Self::ProveOpen => "prove from outside that it is open",
            Self::BringHome => "bring the newcomers home while people go on",
            Self::NoSignUps => "keep sign-ups out of the secondary",
            Self::ProveNoSignUps => "prove from outside that sign-ups are kept out",
            Self::BringLastHome => "bring the last newcomers home",
            Self::Compare => "show what people changed in the secondary",
            Self::Prefer => "write what they changed to the primary",
            Self::Switch => "switch the application",
            Self::CloseFence => "close the fence",
            Self::ProveClosed => "prove from outside that it is closed",
            Self::LookAgain => "look once more",
        }
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not at its end. The same command goes on.
    InProgress,
    /// Every step was done.
    Complete,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// It is being done, or the process was killed while it was.
    Running,
    /// It was done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It could not be done. The same command tries again.
    Failed,
    /// The operator interrupted it.
    Interrupted,
}

impl StepStatus {
    /// The name in the evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One attempt at a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which step.
    pub step: StepName,
    /// How it ended.
    pub status: StepStatus,
    /// Who ran the command.
    pub operator: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it runs, and for ever if the process was killed.
    pub finished_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<i64>,
    /// What was counted: numbers of people, records, calls, seconds.
    pub counted: BTreeMap<String, u64>,
    /// What was seen, in words.
    pub seen: Vec<String>,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// Somebody who is not home, or of whom nobody knows who they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenPerson {
    /// Their `sub` in the secondary pool; in the primary pool, if they are home and lack a group.
    pub sub: String,
    /// Why, as restore or reconcile names it.
    pub reason: String,
}

/// The evidence of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The version of this format: 1.
    pub version: u32,
    /// The run.
    pub run: Id,
    /// What is done.
    pub kind: Kind,
    /// How far it has come.
    pub status: Status,
    /// The next step; none at the end.
    pub next: Option<StepName>,
    /// The primary pool.
    pub primary: String,
    /// The secondary pool.
    pub secondary: String,
    /// The version of twinpool.
    pub twinpool: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When its last step ended.
    pub finished_at: Option<Timestamp>,
    /// When the fence was opened: of a failback, in the failover that it ends. None if that is not known, as of a fence that somebody had
    /// opened before.
    pub opened_at: Option<Timestamp>,
    /// Every attempt at a step, in order.
    pub steps: Vec<Step>,
    /// People in the secondary who are not home, or of whom nobody knows who they are, as the latest look found them. Every step that
    /// looks has a list of its own.
    pub open: BTreeMap<StepName, BTreeSet<OpenPerson>>,
    /// The `sub`s of those whom an operator has accepted.
    pub accepted: BTreeSet<String>,
    /// The dry run of reconcile in which the pools were compared.
    pub compared: Option<Id>,
    /// How many people have changed something in the secondary on which can be decided, and which is not in the primary.
    pub changed: u64,
    holder: Option<Holder>,
}

impl LeaseState for Evidence {
    fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn set_holder(&mut self, holder: Option<Holder>) {
        self.holder = holder;
    }
}

impl Evidence {
    /// The evidence of a run that begins now.
    pub fn new(kind: Kind, run: Id, primary: &PoolId, secondary: &PoolId, now: Timestamp) -> Self {
        Self {
            version: 1,
            run,
            kind,
            status: Status::InProgress,
            next: Some(StepName::Look),
            primary: primary.to_string(),
            secondary: secondary.to_string(),
            twinpool: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now,
            finished_at: None,
            opened_at: None,
            steps: Vec::new(),
            open: BTreeMap::new(),
            accepted: BTreeSet::new(),
            compared: None,
            changed: 0,
            holder: None,
        }
    }

    /// Whether this is a run of a command between these pools that has not come to its end.
    pub fn can_be_resumed(&self, kind: Kind, primary: &PoolId, secondary: &PoolId) -> bool {
        self.status == Status::InProgress && self.kind == kind && self.is_of(primary, secondary)
    }

    /// Whether this is a run between these pools.
    fn is_of(&self, primary: &PoolId, secondary: &PoolId) -> bool {
        self.primary == primary.as_str() && self.secondary == secondary.as_str()
    }

    /// The people whom nobody has accepted.
    pub fn unaccepted(&self) -> BTreeSet<&OpenPerson> {
        let everyone = self.open.values().flatten();
        everyone
            .filter(|person| !self.accepted.contains(&person.sub))
            .collect()
    }

    /// Begins an attempt at a step.
    fn begin(&mut self, step: StepName, operator: &str, now: Timestamp) {
        self.steps.push(Step {
            step,
            status: StepStatus::Running,
            operator: operator.to_owned(),
            started_at: now,
            finished_at: None,
            took_ms: None,
            counted: BTreeMap::new(),
            seen: Vec::new(),
            error: None,
        });
    }

    /// Ends the attempt that is running. What was killed before stays as it is: nobody knows when it ended.
    fn end(&mut self, status: StepStatus, now: Timestamp) -> Option<&mut Step> {
        let running = self.steps.last_mut();
        let step = running.filter(|step| step.status == StepStatus::Running)?;
        step.status = status;
        step.finished_at = Some(now);
        step.took_ms = Some(now.as_millisecond() - step.started_at.as_millisecond());
        self.finished_at = Some(now);
        Some(step)
    }
}

/// A length of time for people to read.
pub fn format_ms(ms: i64) -> String {
    match ms.max(0) {
        ms @ ..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms @ ..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        ms => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}\n", self.kind, self.run)?;
        let mut table = Table::new(["step", "", "took", "what was seen"]);
        for step in &self.steps {
            let style = match step.status {
                StepStatus::Done | StepStatus::Skipped => GOOD,
                StepStatus::Running | StepStatus::Interrupted => WARN,
                StepStatus::Failed => WRONG,
            };
            let took = step.took_ms.map_or_else(String::new, format_ms);
            let counted = step.counted.iter();
            let counted = counted.map(|(what, number)| format!("{number} {what}"));
            let seen = counted.chain(step.seen.iter().cloned());
            let seen: Vec<_> = seen.chain(step.error.clone()).collect();
            table.row([
                step.step.describe().into(),
                Cell::styled(step.status.as_str(), style),
                took.into(),
                seen.join("; ").into(),
            ]);
        }
        writeln!(f, "{table}")?;
        let unaccepted = self.unaccepted();
        if !unaccepted.is_empty() {
            let mut people = Table::new(["not home, or unknown", "sub in the secondary"]);
            for person in &unaccepted {
                people.row([
                    Cell::styled(person.reason.as_str(), WARN),
                    person.sub.as_str().into(),
                ]);
            }
            writeln!(f, "{people}")?;
        }
        match self.status {
            Status::Complete => write!(f, "{GOOD}complete{GOOD:#}"),
            Status::InProgress => write!(
                f,
                "{WARN}not complete{WARN:#}: run twinpool {} again to go on",
                self.kind
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        let pool = |id: &str| id.parse::<PoolId>().unwrap();
        Evidence::new(
            Kind::Failback,
            Id::parse("20261120T101500Z-0a1b2c3d").unwrap(),
            &pool("ap-northeast-1_Primary01"),
            &pool("ap-northeast-3_Secondary"),
            Timestamp::UNIX_EPOCH,
        )
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn each_attempt_has_its_time_and_a_killed_one_none() {
        let mut evidence = evidence();

        evidence.begin(StepName::BringHome, "hanako", at(1000));
        // Killed here, and gone on with.
        evidence.begin(StepName::BringHome, "taro", at(5000));
        evidence.end(StepStatus::Done, at(7500));

        let [killed, done] = &evidence.steps[..] else {
            panic!("two attempts");
        };
        assert_eq!((killed.status, killed.took_ms), (StepStatus::Running, None));
        assert_eq!((done.status, done.took_ms), (StepStatus::Done, Some(2500)));
        assert_eq!(evidence.finished_at, Some(at(7500)));
    }

    #[test]
    fn whoever_was_accepted_is_open_no_more() {
        let mut evidence = evidence();
        let person = |sub: &str| OpenPerson {
            sub: sub.to_owned(),
            reason: "unpaired".to_owned(),
        };
        let people = BTreeSet::from([person("a"), person("b")]);
        evidence.open.insert(StepName::Compare, people);

        evidence.accepted.insert("a".to_owned());

        assert_eq!(evidence.unaccepted(), BTreeSet::from([&person("b")]));
        assert!(evidence.to_string().contains("not complete"));
    }

    #[test]
    fn the_evidence_is_the_same_after_it_was_stored() {
        let mut evidence = evidence();
        evidence.begin(StepName::Compare, "hanako", at(1));
        evidence.open.insert(StepName::Compare, BTreeSet::new());

        let text = serde_json::to_string(&evidence).unwrap();

        assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    }

    #[test]
    fn a_length_of_time_has_its_two_largest_units() {
        let lengths = [
            (900, "0.9 s"),
            (61_500, "1 min 1 s"),
            (7_260_000, "2 h 1 min"),
        ];
        for (ms, text) in lengths {
            assert_eq!(format_ms(ms), text);
        }
    }
}
