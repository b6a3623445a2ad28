//! What a rule reports: a finding, its severity, and the list that collects findings.

use std::borrow::Cow;

use serde::Serialize;

/// How serious a finding is, most serious first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The failover, or the return to the primary pool, would fail.
    Wrong,
    /// The operator should know, and decide what to do.
    Warn,
    /// The setting is as it should be.
    Good,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// Which setting it is about.
    pub topic: &'static str,
    /// What was found.
    pub what: String,
    /// What to do about it; `None` when nothing needs to be done.
    pub advice: Option<Cow<'static, str>>,
}

/// Advice for a setting that cannot be changed after the pool was created (DG:user-pool-settings-attributes).
pub const NEW_POOL: &str =
    "this cannot be changed once a pool exists: create a new secondary pool with the right setting";

/// The findings of all rules, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a setting that is as it should be.
    pub fn good(&mut self, topic: &'static str, what: impl Into<String>) {
        self.0.push(Finding {
            severity: Severity::Good,
            topic,
            what: what.into(),
            advice: None,
        });
    }

    /// Adds a setting that the operator should decide about.
    pub fn warn(
        &mut self,
        topic: &'static str,
        what: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) {
        self.problem(Severity::Warn, topic, what, advice);
    }

    /// Adds a setting that would make the failover or the return fail.
    pub fn wrong(
        &mut self,
        topic: &'static str,
        what: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) {
        self.problem(Severity::Wrong, topic, what, advice);
    }

    /// Adds a problem whose severity the rule computes.
    pub fn problem(
        &mut self,
        severity: Severity,
        topic: &'static str,
        what: impl Into<String>,
        advice: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Finding {
            severity,
            topic,
            what: what.into(),
            advice: Some(advice.into()),
        });
    }

    /// Number of findings so far. A rule compares it with an earlier value to learn whether it has added any.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The findings as a list.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
