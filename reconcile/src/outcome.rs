//! What became of one person: counts, lines of changes, and what is reported. Nothing in it is a value of a person.

use crate::report::{Change, Reported};
use crate::request::Counts;

/// One person's users, by `sub`; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    primary: String,
    secondary: String,
}

impl Pair {
    /// The users with these `sub`s.
    pub fn of(primary: Option<&str>, secondary: Option<&str>) -> Self {
        Self {
            primary: primary.unwrap_or_default().to_owned(),
            secondary: secondary.unwrap_or_default().to_owned(),
        }
    }

    /// The user in the primary pool.
    pub fn primary(&self) -> &str {
        &self.primary
    }

    /// The user in the secondary pool.
    pub fn secondary(&self) -> &str {
        &self.secondary
    }
}

/// What a line says of a change that the mass change guard held back.
const HELD: &str = "held";

/// Whether a change was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was.
    Done,
    /// It would be: this is a dry run.
    Planned,
    /// The mass change guard held it back.
    Held,
    /// It was refused, with this code or reason.
    Refused(String),
}

/// What became of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Numbers to add to the run's.
    pub counts: Counts,
    /// Writes that failed.
    pub failed: u64,
    /// Lines of changes.
    pub lines: Vec<Change>,
    /// What is reported.
    pub reported: Vec<Reported>,
}

impl Outcome {
    /// Keeps a line about a change.
    pub fn line(&mut self, pair: &Pair, action: &str, attributes: Vec<String>, done: Done) {
        self.lines.push(Change {
            sub: pair.primary.clone(),
            secondary_sub: pair.secondary.clone(),
            action: action.to_owned(),
            attributes,
            outcome: match done {
                Done::Done => "done".to_owned(),
                Done::Planned => "planned".to_owned(),
                Done::Held => HELD.to_owned(),
                Done::Refused(reason) => reason,
            },
        });
    }

    /// Whether the mass change guard has held back such a change.
    pub fn is_held(&self, action: &str) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| line.action == action && line.outcome == HELD)
    }

    /// Reports somebody, once.
    pub fn report(&mut self, pair: &Pair, reason: &str, attributes: Vec<String>) {
        let reported = Reported {
            sub: pair.primary.clone(),
            secondary_sub: pair.secondary.clone(),
            reason: reason.to_owned(),
            attributes: attributes.clone(),
        };
        if self.reported.contains(&reported) {
            return;
        }
        self.counts.reported += 1;
        self.line(pair, "report", attributes, Done::Refused(reason.to_owned()));
        self.reported.push(reported);
    }
}
