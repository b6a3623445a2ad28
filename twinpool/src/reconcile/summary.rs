//! What is shown of a run of reconcile.

use std::collections::BTreeMap;
use std::fmt;

use ::reconcile::report::{Report, Reported};
use ::reconcile::request::{Answer, Counts, FILL_THRESHOLD, ReconcileConfig, Status};
use serde::Serialize;

use crate::failure::Verdict;
use crate::table::{Cell, Table};
use crate::terminal::{GOOD, HEAD, WARN, WRONG};

/// Users that one ListUsers call returns at most (botocore: QueryLimitType).
const USERS_PER_PAGE: u64 = 60;

/// Speed of an import job, for the estimate. AWS publishes no number (facts 10.8).
const ASSUMED_IMPORTS_PER_SECOND: u64 = 25;

/// Calls that create a user: AdminCreateUser and AdminSetUserPassword.
const CALLS_PER_CREATION: u64 = 2;

/// People that are listed on the terminal. The lines of changes in the bucket list all.
const MAX_LISTED_PEOPLE: usize = 20;

/// How long a run would take, and who would become a monthly active user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Whether import jobs would bring those who are missing.
    pub by_import: bool,
    /// Seconds that it would take.
    pub seconds: u64,
    /// People who become monthly active users because AdminCreateUser makes them.
    pub active_by_creation: u64,
    /// Writes of attributes and memberships to people who exist: each of these people is a monthly active user too.
    pub active_by_change: u64,
}

impl Estimate {
    /// Estimates from what a dry run has found.
    pub fn of(
        answer: &Answer,
        report: Option<&Report>,
        config: &ReconcileConfig,
        may_fill: bool,
    ) -> Self {
        let counts = &answer.counts;
        let listed = report.map_or((0, 0), |report| {
            (report.primary.listed, report.secondary.listed)
        });
        let rates = (config.lists_per_second, config.writes_per_second);
        Self::from_numbers(counts, listed, rates, may_fill)
    }

    fn from_numbers(
        counts: &Counts,
        (in_primary, in_secondary): (u64, u64),
        (lists_per_second, writes_per_second): (u32, u32),
        may_fill: bool,
    ) -> Self {
        let by_import = may_fill && counts.created > FILL_THRESHOLD;
        let lists = u64::from(lists_per_second.max(1));
        let listing = |users: u64| users.div_ceil(USERS_PER_PAGE).div_ceil(lists);
        let changes = counts.updated
            + counts.disabled
            + counts.enabled
            + counts.withheld
            + counts.removed
            + counts.group_changes;
        let creation = match by_import {
            // The snapshot lists the primary pool, and the restore the secondary one before and after the import.
            true => {
                listing(in_primary)
                    + listing(in_secondary)
                    + listing(in_secondary + counts.created)
                    + counts.created.div_ceil(ASSUMED_IMPORTS_PER_SECOND)
            }
            false => 0,
        };
        let created_one_by_one = if by_import { 0 } else { counts.created };
        let writes = created_one_by_one * CALLS_PER_CREATION + changes;
        Self {
            by_import,
            seconds: listing(in_primary.max(in_secondary))
                + creation
                + writes.div_ceil(u64::from(writes_per_second.max(1))),
            active_by_creation: created_one_by_one,
            active_by_change: counts.updated + counts.group_changes,
        }
    }
}

/// The result of a run.
#[derive(Serialize)]
pub struct Summary<'a> {
    /// Whether everything was done.
    #[serde(skip)]
    pub verdict: Verdict,
    /// The command that was run, without what is specific to this run.
    #[serde(skip)]
    pub again: String,
    /// The bucket of the report.
    #[serde(skip)]
    pub bucket: &'a str,
    /// The engine's answer.
    #[serde(flatten)]
    pub answer: &'a Answer,
    /// How long it would take; of a dry run.
    pub estimate: Option<Estimate>,
    /// The report; none if there is none, because another run is in progress, for example.
    pub details: Option<&'a Report>,
}

impl Summary<'_> {
    fn is_dry_run(&self) -> bool {
        self.estimate.is_some()
    }

    /// The numbers.
    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.answer.counts;
        let would = if self.is_dry_run() { "would be " } else { "" };
        let done = |what: &str| format!("{would}{what}");
        let mut table = Table::new(["people", "number"]);
        let warn = |number: u64| match number {
            0 => Cell::from("0"),
            number => Cell::styled(number.to_string(), WARN),
        };
        for (name, number) in [
            ("equal in both pools".to_owned(), counts.unchanged),
            (done("created"), counts.created),
            (done("updated"), counts.updated),
            (done("disabled, as in the primary"), counts.disabled),
            (done("enabled again, as in the primary"), counts.enabled),
            (
                done("disabled, because they are not in the primary"),
                counts.withheld,
            ),
            (
                done("deleted, because they were not in the primary for days"),
                counts.removed,
            ),
            (
                done("changed: groups and memberships"),
                counts.group_changes,
            ),
            (
                "left out: never confirmed, never signed in, of another identity provider"
                    .to_owned(),
                counts.skipped,
            ),
            (
                "newcomers, whom twinpool restore brings to the primary".to_owned(),
                counts.newcomers,
            ),
        ] {
            table.row([name.into(), number.to_string().into()]);
        }
        table.row(["reported".into(), warn(counts.reported)]);
        table.row([
            "could not get in at a failover: no verified address".into(),
            warn(counts.no_way_in),
        ]);
        writeln!(f, "{table}")
    }

    /// Whom somebody should look at.
    fn reported(&self, f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
        if report.reported.is_empty() {
            return Ok(());
        }
        let folder = self.answer.report.trim_end_matches("report.json");
        let lines = format!("s3://{}/{folder}changes-*.jsonl", self.bucket);
        let total = usize::try_from(self.answer.counts.reported).unwrap_or(usize::MAX);
        people_table(f, "reported", &report.reported, total, &lines)?;
        let mut of_reason: BTreeMap<&str, u64> = BTreeMap::new();
        for person in &report.reported {
            *of_reason.entry(&person.reason).or_default() += 1;
        }
        writeln!(f, "{HEAD}what to do{HEAD:#}")?;
        for (reason, people) in &of_reason {
            writeln!(f, "  {reason} ({people}): {}", advice(reason))?;
        }
        if of_reason
            .keys()
            .any(|reason| reason.contains("changed-in-"))
        {
            writeln!(
                f,
                "  bring home what people changed in the secondary: {} --prefer secondary --of {}",
                self.again, report.reconcile
            )?;
        }
        writeln!(f)
    }

    /// What the mass change guard holds back.
    fn held(&self, f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
        let held: Vec<_> = report.held.iter().filter(|(_, held)| **held > 0).collect();
        if held.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "{WRONG}Held back by the mass change guard,{WRONG:#} because they are more than 5 % of the users:"
        )?;
        for (kind, number) in held {
            writeln!(f, "  {}: {number}", kind.as_str())?;
        }
        writeln!(
            f,
            "If this is what you want: {} --accept {}\n",
            self.again, report.reconcile
        )
    }

    fn estimate(&self, f: &mut fmt::Formatter<'_>, estimate: Estimate) -> fmt::Result {
        let Estimate {
            by_import,
            seconds,
            active_by_creation,
            active_by_change,
        } = estimate;
        let created = self.answer.counts.created;
        if by_import {
            writeln!(
                f,
                "{created} people would be brought by import jobs (--logs-role), which make no monthly active users. With --no-fill they \
                 would be created one by one, and be {created} monthly active users."
            )?;
        } else if active_by_creation > 0 {
            writeln!(
                f,
                "{active_by_creation} people would be created one by one: each is a monthly active user of this month."
            )?;
        }
        if active_by_change > 0 {
            writeln!(
                f,
                "Whoever gets another attribute or group is a monthly active user too: at most {active_by_change}."
            )?;
        }
        let minutes = seconds.div_ceil(60);
        writeln!(
            f,
            "It would take about {minutes} min at these rates{}",
            if by_import {
                ", if Cognito imports 25 users per second. That is an estimate: AWS publishes no number."
            } else {
                "."
            }
        )
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dry = if self.is_dry_run() {
            " (dry run: nothing was changed)"
        } else {
            ""
        };
        if let Some(report) = self.details {
            writeln!(
                f,
                "Run {}: user pool {} to {}{dry}\n",
                report.reconcile, report.primary.pool, report.secondary.pool
            )?;
            self.counts(f)?;
            self.reported(f, report)?;
            self.held(f, report)?;
            for warning in &report.warnings {
                writeln!(f, "{WARN}Warning:{WARN:#} {warning}.")?;
            }
        }
        if let Some(estimate) = self.estimate.filter(|_| self.details.is_some()) {
            self.estimate(f, estimate)?;
        }
        if !self.answer.report.is_empty() {
            writeln!(f, "Report: s3://{}/{}", self.bucket, self.answer.report)?;
        }
        match (self.answer.status, self.verdict) {
            (Status::Held, _) => write!(
                f,
                "{WARN}Another run is in progress:{WARN:#} try again when it has ended."
            ),
            (Status::Waiting, _) => write!(
                f,
                "{WARN}A snapshot of the secondary pool is being taken:{WARN:#} try again when it has ended."
            ),
            (_, Verdict::Good) if self.is_dry_run() => {
                write!(f, "Run the command without --dry-run to do this.")
            }
            (_, Verdict::Good) => {
                write!(f, "{GOOD}The secondary is as the primary.{GOOD:#}")
            }
            (Status::InProgress, _) => {
                write!(
                    f,
                    "{WRONG}Not finished.{WRONG:#} Run the command again: it goes on."
                )
            }
            (Status::FillNeeded, _) => write!(
                f,
                "{WRONG}Many people are still missing.{WRONG:#} Run the command again: it goes on."
            ),
            (Status::NotNeeded, _) => write!(f, "{WARN}Nothing was done.{WARN:#}"),
            (Status::Guarded | Status::DryRun | Status::Complete, _) => write!(
                f,
                "{WRONG}Something is held back, see above.{WRONG:#} Everything else {}.",
                if self.is_dry_run() {
                    "would be done"
                } else {
                    "was done"
                }
            ),
            (Status::Incomplete, _) => write!(
                f,
                "{WRONG}Some writes failed.{WRONG:#} The lines of changes beside the report say which. Run the command again."
            ),
        }
    }
}

/// A table of people: their `sub`s, the reason and the names of the attributes or groups. If there are too many for a screen, it ends
/// with how many are left out of `total`, and the place where all of them are.
///
/// # Errors
///
/// The text cannot be written.
pub fn people_table(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    people: &[Reported],
    total: usize,
    place: &str,
) -> fmt::Result {
    let mut table = Table::new([
        heading,
        "sub in the primary",
        "sub in the secondary",
        "what",
    ]);
    let or_none = |text: &str| match text {
        "" => "-".to_owned(),
        text => text.to_owned(),
    };
    for person in people.iter().take(MAX_LISTED_PEOPLE) {
        table.row([
            Cell::styled(&person.reason, WARN),
            or_none(&person.sub).into(),
            or_none(&person.secondary_sub).into(),
            or_none(&person.attributes.join(", ")).into(),
        ]);
    }
    writeln!(f, "{table}")?;
    match total.saturating_sub(people.len().min(MAX_LISTED_PEOPLE)) {
        0 => Ok(()),
        more => writeln!(f, "… and {more} more: {place}\n"),
    }
}

/// What to do about people who are reported with a reason.
fn advice(reason: &str) -> &'static str {
    match reason {
        "changed-in-secondary" => "they changed this in the secondary: decide with --prefer",
        "group-changed-in-secondary" => {
            "they used the secondary, and are in a group there alone: decide with --prefer"
        }
        "group-not-added" => {
            "their user in the secondary was not found, so it is not in this group: see what else is reported of them, then run the command \
             again with --groups-every-s 0"
        }
        "group-precedence-kept" => {
            "the group has no precedence in the primary, and Cognito keeps the one in the secondary: give it one in the primary"
        }
        "changed-in-both" => "they changed this in both pools: decide with --prefer",
        "deleted-in-secondary" => {
            "they used the secondary, and their user there was deleted: create it there yourself if that was a mistake"
        }
        "used-without-record" => {
            "they have an authenticator in the secondary, and no record in the journal: nothing is written to them there"
        }
        "unpaired" => {
            "nobody knows who they are: they carry no identity, and have no record; set the origin attribute, or delete them there"
        }
        "disabled-in-secondary" => {
            "somebody disabled them in the secondary alone: if they were banned, disable them in the primary too; otherwise enable them in \
             the secondary"
        }
        "unverified-in-primary" => {
            "the address is not verified in the primary, so it was not written: the person should verify it"
        }
        "identity-twice" => {
            "several users of one pool carry one identity, as after a new address and a password reset at once: delete the one with the old \
             address. Until then only a ban reaches them, and its end does not"
        }
        "name-held" => {
            "somebody else has the address in the secondary: find out to whom it belongs"
        }
        "immutable" => {
            "the secondary accepts this attribute only when a user is created: delete the user there"
        }
        "refused" => "the secondary refuses this value: the schemas of the pools differ",
        "names-only" => {
            "without the origin attribute nothing is written to them: twinpool check says how to add it"
        }
        "cannot-tell" => {
            "nobody can tell whether these are one person: set the origin attribute of the user in the secondary"
        }
        _ => "look at the user in both pools",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(created: u64) -> Counts {
        Counts {
            created,
            ..Counts::default()
        }
    }

    #[test]
    fn few_people_are_created_one_by_one_and_are_active_users() {
        let estimate = Estimate::from_numbers(&missing(500), (600, 100), (10, 10), true);

        assert!(!estimate.by_import);
        assert_eq!(estimate.active_by_creation, 500);
        assert_eq!(estimate.seconds, 1 + 500 * 2 / 10);
    }

    #[test]
    fn many_people_are_imported_and_nobody_of_them_is_an_active_user() {
        let import = Estimate::from_numbers(&missing(200_000), (200_000, 0), (10, 10), true);
        let one_by_one = Estimate::from_numbers(&missing(200_000), (200_000, 0), (10, 10), false);

        assert!(import.by_import);
        assert_eq!(import.active_by_creation, 0);
        // Three listings of 200,000 users, and the import.
        assert_eq!(import.seconds, 3 * 334 + 8_000);
        assert_eq!(one_by_one.active_by_creation, 200_000);
        assert_eq!(one_by_one.seconds, 334 + 40_000);
    }
}
