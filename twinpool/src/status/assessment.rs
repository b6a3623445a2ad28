//! Decides how urgent each fact is, and what to do about it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::cognito::public_keys::Reach;

use crate::post_confirmation::is_twinpools;
use crate::recovery::{NO_VERIFIED_ATTRIBUTE, count_without_address, describe_without_address};
use crate::status::facts::{Asked, Facts, Fence, Pool, Records, Snapshot, Unknown};

/// How urgent a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything is as it should be.
    Good,
    /// The operator should know.
    Warn,
    /// Not safe: the operator must act.
    Wrong,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How urgent it is.
    pub level: Level,
    /// What the line is about.
    pub what: &'static str,
    /// Its state.
    pub state: String,
    /// What to do; `None` if nothing needs to be done, or nobody knows.
    pub to_do: Option<String>,
    /// Whether AWS refused to show what the line is about.
    #[serde(skip)]
    pub is_refusal: bool,
}

/// A record of the outbox, or a sign-up that no snapshot contains, that is older than this raises an alarm (docs/deploy.md,
/// "What is made").
const RECORD_AGE_ALARM: SignedDuration = SignedDuration::from_mins(15);

/// A snapshot that is older than this raises an alarm (docs/deploy.md, "What is made").
const SNAPSHOT_AGE_ALARM: SignedDuration = SignedDuration::from_hours(26);

/// A run of reconcile that began longer ago than this raises an alarm (docs/deploy.md, "What is made").
const RECONCILE_AGE_ALARM: SignedDuration = SignedDuration::from_hours(3);

/// Reconcile waits for an hour after somebody has used the secondary pool, and so long may the run take that follows.
const TIME_AFTER_USE: SignedDuration = SignedDuration::from_hours(2);

/// The lines of the table, in their order.
pub fn assess(facts: &Facts) -> Vec<Line> {
    let mut lines = vec![primary_line(facts), secondary_line(facts)];
    lines.extend(trigger_lines(facts));
    lines.push(fence_line(facts));
    if let Some(outbox) = &facts.outbox {
        lines.push(outbox_line(facts, outbox));
    }
    if let Some(conflicts) = &facts.conflicts {
        lines.push(conflicts_line(facts, conflicts));
    }
    lines.push(snapshot_line(facts));
    lines.extend(recovery_line(facts));
    lines.push(reconcile_line(facts));
    match &facts.journal {
        Asked::Known(journal) => lines.extend([
            not_in_snapshot_line(facts, &journal.waiting),
            newcomers_line(facts, &journal.sign_ups),
        ]),
        Asked::Unknown(why) => lines.push(unknown("journal", why)),
    }
    lines
}

fn good(what: &'static str, state: String) -> Line {
    Line {
        level: Level::Good,
        what,
        state,
        to_do: None,
        is_refusal: false,
    }
}

fn warn(what: &'static str, state: String, to_do: String) -> Line {
    Line {
        level: Level::Warn,
        what,
        state,
        to_do: Some(to_do),
        is_refusal: false,
    }
}

fn wrong(what: &'static str, state: String, to_do: String) -> Line {
    Line {
        level: Level::Wrong,
        what,
        state,
        to_do: Some(to_do),
        is_refusal: false,
    }
}

/// A line of something in the primary region that is not known. In a failover that is expected, and nobody can do anything about it.
fn unknown_in_primary(facts: &Facts, what: &'static str, why: &Unknown) -> Line {
    let mut line = unknown(what, why);
    if facts.is_failover() && why.no_answer {
        line.level = Level::Warn;
    }
    line
}

fn unknown(what: &'static str, why: &Unknown) -> Line {
    Line {
        level: Level::Wrong,
        what,
        state: format!("not known: {}", why.error),
        to_do: None,
        is_refusal: why.is_refused(),
    }
}

fn pool_unknown(what: &'static str, why: &Unknown, to_do: &str) -> Line {
    Line {
        is_refusal: why.is_refused(),
        ..wrong(what, why.error.clone(), to_do.to_owned())
    }
}

fn primary_line(facts: &Facts) -> Line {
    let what = "primary pool";
    let secondary = &facts.secondary_pool;
    match (&facts.primary_keys, &facts.primary) {
        (Reach::Unreachable(why), _) => {
            let state = format!("its region does not serve its public keys: {why}");
            if facts.is_secondary_open() {
                let to_do = format!(
                    "in a failover: the application must use {secondary} until the primary is back"
                );
                warn(what, state, to_do)
            } else {
                let to_do = format!(
                    "if its region is lost: twinpool failover, which opens the fence, and says how to switch the application to {secondary}"
                );
                wrong(what, state, to_do)
            }
        }
        (_, Asked::Unknown(why)) => pool_unknown(
            what,
            why,
            "Cognito answers the public, so this is no reason for a failover: check the pool id and your permissions, and run the command \
             again",
        ),
        (keys, Asked::Known(pool)) => answering(what, keys, pool),
    }
}

/// The line of a pool whose region answers.
fn answering(what: &'static str, keys: &Reach, pool: &Pool) -> Line {
    let users = format!("about {} users", pool.users);
    match keys {
        Reach::Refuses(status) => warn(
            what,
            format!("{users}; its public keys are refused with HTTP status {status}"),
            "nobody can verify a token of this pool: look at the web ACL in front of it".to_owned(),
        ),
        _ => good(what, users),
    }
}

fn secondary_line(facts: &Facts) -> Line {
    let what = "secondary pool";
    let until_back = "sign-ups in the primary are kept in the outbox until it is back";
    match (&facts.secondary_keys, &facts.secondary) {
        (Reach::Unreachable(why), _) => {
            let state = format!("its region does not serve its public keys: {why}");
            wrong(what, state, until_back.to_owned())
        }
        (_, Asked::Unknown(why)) => pool_unknown(what, why, until_back),
        (keys, Asked::Known(pool)) => answering(what, keys, pool),
    }
}

/// Whether each pool that answers runs twinpool's trigger. Its line says already that a pool does not answer.
fn trigger_lines(facts: &Facts) -> impl Iterator<Item = Line> {
    let lines = [
        (
            "primary trigger",
            &facts.primary,
            &facts.primary_pool,
            "nobody is replicated",
        ),
        (
            "secondary trigger",
            &facts.secondary,
            &facts.secondary_pool,
            "newcomers are not recorded in the journal",
        ),
    ];
    lines.into_iter().filter_map(|(what, pool, id, consequence)| {
        let Asked::Known(pool) = pool else {
            return None;
        };
        Some(match &pool.post_confirmation {
            Some(function) if is_twinpools(function) => good(what, "attached".to_owned()),
            Some(function) => warn(
                what,
                format!("the pool runs {function}: if this is not twinpool's, {consequence}"),
                "make sure that this function is twinpool's, or that it invokes twinpool's".to_owned(),
            ),
            None => wrong(
                what,
                format!("detached: {consequence}"),
                format!("twinpool attach --pool {id} --function ARN (output TriggerArn), and find out who detached it"),
            ),
        })
    })
}

fn fence_line(facts: &Facts) -> Line {
    let what = "fence";
    let pool = &facts.secondary_pool;
    let failover = facts.is_primary_lost();
    match &facts.fence {
        Asked::Known(Fence::Closed | Fence::Unjudged) if failover => warn(
            what,
            "closed: users cannot sign in to the secondary".to_owned(),
            "in a failover: twinpool failover".to_owned(),
        ),
        Asked::Known(Fence::Closed) => good(what, "closed".to_owned()),
        Asked::Known(Fence::Open) if failover => {
            good(what, "open, as it should be in a failover".to_owned())
        }
        Asked::Known(Fence::Open) => warn(
            what,
            "open".to_owned(),
            "unless users are to stay in the secondary: twinpool failback, which closes it at its end"
                .to_owned(),
        ),
        Asked::Known(Fence::NoSignUps) => warn(
            what,
            "open except for sign-ups, as at the end of a failback".to_owned(),
            match failover {
                true => "in a failover: twinpool failover",
                false => "go on with twinpool failback",
            }
            .to_owned(),
        ),
        Asked::Known(Fence::PartlyOpen) => wrong(
            what,
            "closed, but a rule lets the public through".to_owned(),
            format!("twinpool fence status --pool {pool} names the rules"),
        ),
        Asked::Known(Fence::Unjudged) => warn(
            what,
            "closed, but a rule group may let the public through".to_owned(),
            format!("twinpool fence status --pool {pool} names it"),
        ),
        Asked::Known(Fence::Outdated) => warn(
            what,
            "of an earlier version of twinpool".to_owned(),
            format!(
                "unless this is a failover, upgrade: docs/deploy.md, \"Upgrade\"; in a failover, twinpool fence open --pool {pool} says \
                 what to do first"
            ),
        ),
        Asked::Known(Fence::Foreign) => warn(
            what,
            "the web ACL of the secondary is not twinpool's".to_owned(),
            "make sure that it blocks the public on a normal day, and that somebody can open it"
                .to_owned(),
        ),
        Asked::Known(Fence::None) => warn(
            what,
            "none: whoever can read a user's mail can sign in to the secondary as that user"
                .to_owned(),
            "deploy the fence: docs/deploy.md, secondary.fence".to_owned(),
        ),
        Asked::Unknown(why) => unknown(what, why),
    }
}

fn outbox_line(facts: &Facts, outbox: &Asked<Records>) -> Line {
    let what = "outbox";
    let records = match outbox {
        Asked::Known(records) => records,
        Asked::Unknown(why) => return unknown_in_primary(facts, what, why),
    };
    let Some(oldest) = records.oldest else {
        return good(what, "empty".to_owned());
    };
    let age = facts.at.duration_since(oldest);
    let state = format!(
        "{} users wait to be replicated, the oldest for {}",
        records.count,
        format_age(age)
    );
    if age > RECORD_AGE_ALARM {
        let to_do = "read the log of replicate-fn's worker (output WorkerName of the primary stack) for the cause";
        wrong(what, state, to_do.to_owned())
    } else {
        good(what, state)
    }
}

fn conflicts_line(facts: &Facts, conflicts: &Asked<Records>) -> Line {
    let what = "conflicts";
    match conflicts {
        Asked::Known(records) if records.count == 0 => good(what, "none".to_owned()),
        Asked::Known(records) => {
            let bucket = facts.outbox_bucket.as_deref().unwrap_or_default();
            wrong(
                what,
                format!("{} users cannot be replicated", records.count),
                format!(
                    "each file says why: aws s3 cp --recursive s3://{bucket}/conflicts/ conflicts"
                ),
            )
        }
        Asked::Unknown(why) => unknown_in_primary(facts, what, why),
    }
}

fn snapshot_line(facts: &Facts) -> Line {
    let what = "last snapshot";
    match &facts.snapshot {
        Asked::Unknown(why) => unknown(what, why),
        Asked::Known(None) => wrong(what, "there is none".to_owned(), snapshot_command(facts)),
        Asked::Known(Some(last)) => {
            let age = facts.at.duration_since(last.started_at);
            let state = format!("{} old, {}", format_age(age), format_users(last));
            if age > SNAPSHOT_AGE_ALARM {
                wrong(what, state, snapshot_command(facts))
            } else {
                good(what, state)
            }
        }
    }
}

/// How many users cannot get in at a failover, as far as the last snapshot tells: without a verified address, nobody can reset a
/// password.
fn recovery_line(facts: &Facts) -> Option<Line> {
    let what = "no way in";
    let Asked::Known(Some(last)) = &facts.snapshot else {
        return None;
    };
    last.users?;
    let count = count_without_address(&last.rejected);
    if count == 0 {
        return Some(good(what, "nobody".to_owned()));
    }
    Some(warn(
        what,
        describe_without_address(count),
        format!(
            "rejected.csv lists them (reason {NO_VERIFIED_ATTRIBUTE}): aws s3 cp s3://{}/snapshots/{}/rejected.csv .; verify their \
             address in both pools",
            facts.bucket, last.id
        ),
    ))
}

/// Whether the secondary is as the primary, people who were there before twinpool included.
fn reconcile_line(facts: &Facts) -> Line {
    let what = "reconcile";
    let last = match &facts.reconcile {
        Asked::Unknown(why) => return unknown(what, why),
        Asked::Known(last) => last,
    };
    let command = reconcile_command(facts);
    // Nothing is written while the primary does not answer.
    let not_whole = |state: String| match facts.is_primary_lost() {
        true => warn(what, state, format!("once the primary is back: {command}")),
        false => wrong(
            what,
            state,
            format!("{command} --dry-run, then without --dry-run"),
        ),
    };
    let Some(last) = last else {
        let state =
            "never: people who were in the primary before twinpool are missing in the secondary";
        return not_whole(state.to_owned());
    };
    let age = facts.at.duration_since(last.started_at);
    let Some(findings) = &last.findings else {
        return wrong(
            what,
            format!("{} ago; its report has been deleted", format_age(age)),
            command,
        );
    };
    let mut state = format!("{} ago", format_age(age));
    for (number, text) in [
        (findings.missing, "still missing in the secondary"),
        (findings.failed, "writes failed"),
        (findings.reported, "reported"),
        (findings.held, "held by the mass change guard"),
        (findings.no_way_in, "with no way in at a failover"),
    ] {
        if number > 0 {
            state.push_str(&format!(", {number} {text}"));
        }
    }
    if !findings.status.is_complete() {
        return not_whole(match last.last_complete {
            None => format!("never complete; the last run {state}"),
            Some(at) => {
                let since = format_age(facts.at.duration_since(at));
                format!("last complete {since} ago; the last run {state}")
            }
        });
    }
    let report = format!(
        "the report says who: aws s3 cp s3://{}/reconciles/{}/report.json .",
        facts.bucket, last.id
    );
    let is_late = age > RECONCILE_AGE_ALARM && !facts.is_primary_lost();
    let is_in_use = is_secondary_in_use(facts);
    if is_late && !is_in_use {
        let to_do = format!(
            "read the log of replicate-fn's worker for the cause, or run it yourself: {command}"
        );
        wrong(what, state, to_do)
    } else if findings.held > 0 {
        let to_do = format!(
            "{report}; if this is what you want: {command} --accept {}",
            last.id
        );
        wrong(what, state, to_do)
    } else if is_late {
        let to_do = format!(
            "it waits while the secondary is in use, and goes on by itself an hour after the last sign-up or password reset there. If \
             somebody must be disabled there at once: {command}"
        );
        warn(what, state, to_do)
    } else if findings.reported > 0 || findings.no_way_in > 0 {
        warn(what, state, report)
    } else {
        good(what, state)
    }
}

/// Whether somebody has used the secondary pool so short a time ago that reconcile may still wait for that reason.
fn is_secondary_in_use(facts: &Facts) -> bool {
    let Asked::Known(journal) = &facts.journal else {
        return false;
    };
    let last_use = journal.last_use;
    last_use.is_some_and(|last_use| facts.at.duration_since(last_use) <= TIME_AFTER_USE)
}

fn reconcile_command(facts: &Facts) -> String {
    let command = format!(
        "twinpool reconcile --primary {} --secondary {} --bucket {}",
        facts.primary_pool, facts.secondary_pool, facts.bucket
    );
    match &facts.bucket_region {
        Some(region) => format!("{command} --bucket-region {region}"),
        None => command,
    }
}

fn not_in_snapshot_line(facts: &Facts, records: &Records) -> Line {
    let what = "not in a snapshot";
    let Some(oldest) = records.oldest else {
        return good(what, "nobody".to_owned());
    };
    let age = facts.at.duration_since(oldest);
    let state = format!(
        "{} sign-ups, the oldest {} ago",
        records.count,
        format_age(age)
    );
    if age > RECORD_AGE_ALARM {
        wrong(what, state, snapshot_command(facts))
    } else {
        // The next snapshot will contain them.
        good(what, state)
    }
}

fn newcomers_line(facts: &Facts, records: &Records) -> Line {
    let what = "journal";
    let (Some(oldest), Some(newest)) = (records.oldest, records.newest) else {
        return good(what, "no newcomers".to_owned());
    };
    let state = format!(
        "{} newcomers, {} to {}",
        records.count,
        format_minute(oldest),
        format_minute(newest)
    );
    if facts.is_primary_lost() {
        return good(what, state);
    }
    warn(
        what,
        state,
        "twinpool failback brings them home; twinpool restore --dry-run shows whom".to_owned(),
    )
}

fn snapshot_command(facts: &Facts) -> String {
    let command = format!(
        "twinpool snapshot --pool {} --bucket {}",
        facts.secondary_pool, facts.bucket
    );
    match &facts.bucket_region {
        Some(region) => format!("{command} --bucket-region {region}"),
        None => command,
    }
}

fn format_users(snapshot: &Snapshot) -> String {
    let Some(users) = snapshot.users else {
        return "its manifest has been deleted".to_owned();
    };
    let mut text = format!(
        "{users} users, {} newcomers",
        snapshot.newcomers.unwrap_or_default()
    );
    for (reason, count) in &snapshot.rejected {
        text.push_str(&format!(", {count} {reason}"));
    }
    text
}

/// A duration in its two largest units, such as "2 h 5 min".
fn format_age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn format_minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
