//! What the facts of a status mean, and what to do about them.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Asked, Facts, Fence, Records, Snapshot, Unknown};

/// How urgent a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Somebody should know.
    Warn,
    /// Not safe: somebody should act.
    Wrong,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How urgent it is.
    pub level: Level,
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub state: String,
    /// What to do.
    pub to_do: Option<String>,
}

/// Older than this, a record of the outbox is an alarm, and so is a sign-up that no snapshot holds (docs/deploy.md, "What is made").
const LATE: SignedDuration = SignedDuration::from_mins(15);

/// Older than this, a snapshot is an alarm (docs/deploy.md, "What is made").
const STALE: SignedDuration = SignedDuration::from_hours(26);

/// Everything there is to say.
pub fn lines(facts: &Facts) -> Vec<Line> {
    let mut lines = vec![primary(facts), secondary(facts), fence(facts)];
    lines.extend(
        facts
            .outbox
            .as_ref()
            .map(|outbox| self::outbox(facts, outbox)),
    );
    lines.extend(
        facts
            .conflicts
            .as_ref()
            .map(|conflicts| self::conflicts(facts, conflicts)),
    );
    lines.push(snapshot(facts));
    match &facts.journal {
        Asked::Known(journal) => lines.extend([
            waiting(facts, &journal.waiting),
            newcomers(facts, &journal.sign_ups),
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
    }
}

fn warn(what: &'static str, state: String, to_do: String) -> Line {
    Line {
        level: Level::Warn,
        what,
        state,
        to_do: Some(to_do),
    }
}

fn wrong(what: &'static str, state: String, to_do: String) -> Line {
    Line {
        level: Level::Wrong,
        what,
        state,
        to_do: Some(to_do),
    }
}

fn unknown(what: &'static str, why: &Unknown) -> Line {
    Line {
        level: Level::Wrong,
        what,
        state: format!("not known: {}", why.error),
        to_do: None,
    }
}

fn primary(facts: &Facts) -> Line {
    let what = "primary pool";
    let why = match &facts.primary {
        Asked::Known(pool) => return good(what, format!("about {} users", pool.users)),
        Asked::Unknown(why) => why,
    };
    let secondary = &facts.secondary_pool;
    let to_do = if !facts.is_primary_lost() {
        "Cognito answers there, so this is no reason for a failover: look at the pool's id and your permissions, and ask again"
            .to_owned()
    } else if facts.is_secondary_open() {
        format!("in a failover: the application belongs to {secondary} until the primary is back")
    } else {
        format!("if its region is lost: open the fence, and switch the application to {secondary}")
    };
    wrong(what, why.error.clone(), to_do)
}

fn secondary(facts: &Facts) -> Line {
    let what = "secondary pool";
    match &facts.secondary {
        Asked::Known(pool) => good(what, format!("about {} users", pool.users)),
        Asked::Unknown(why) => wrong(
            what,
            why.error.clone(),
            "sign-ups of the primary wait in the outbox until it is back".to_owned(),
        ),
    }
}

fn fence(facts: &Facts) -> Line {
    let what = "fence";
    let pool = &facts.secondary_pool;
    let failover = facts.is_primary_lost();
    match &facts.fence {
        Asked::Known(Fence::Closed) if failover => warn(
            what,
            "closed: people cannot enter the secondary".to_owned(),
            format!("in a failover: twinpool fence open --pool {pool}"),
        ),
        Asked::Known(Fence::Closed) => good(what, "closed".to_owned()),
        Asked::Known(Fence::Open) if failover => {
            good(what, "open, as it should be in a failover".to_owned())
        }
        Asked::Known(Fence::Open) => warn(
            what,
            "open".to_owned(),
            format!("unless this is a failover: twinpool fence close --pool {pool}"),
        ),
        Asked::Known(Fence::None) => warn(
            what,
            "none: whoever holds a person's mailbox can enter the secondary as them".to_owned(),
            "docs/deploy.md, secondary.fence".to_owned(),
        ),
        Asked::Unknown(why) => unknown(what, why),
    }
}

fn outbox(facts: &Facts, outbox: &Asked<Records>) -> Line {
    let what = "outbox";
    let records = match outbox {
        Asked::Known(records) => records,
        Asked::Unknown(why) => return unknown(what, why),
    };
    let Some(oldest) = records.oldest else {
        return good(what, "empty".to_owned());
    };
    let age = facts.at.duration_since(oldest);
    let state = format!(
        "{} people wait to be replicated, the first for {}",
        records.count,
        text(age)
    );
    if age > LATE {
        let to_do =
            "see why in the log of replicate-fn's worker (output WorkerName of the primary stack)";
        wrong(what, state, to_do.to_owned())
    } else {
        good(what, state)
    }
}

fn conflicts(facts: &Facts, conflicts: &Asked<Records>) -> Line {
    let what = "conflicts";
    match conflicts {
        Asked::Known(records) if records.count == 0 => good(what, "none".to_owned()),
        Asked::Known(records) => {
            let bucket = facts.outbox_bucket.as_deref().unwrap_or_default();
            wrong(
                what,
                format!(
                    "{} people can never be replicated as they are",
                    records.count
                ),
                format!(
                    "each file says why: aws s3 cp --recursive s3://{bucket}/conflicts/ conflicts"
                ),
            )
        }
        Asked::Unknown(why) => unknown(what, why),
    }
}

fn snapshot(facts: &Facts) -> Line {
    let what = "last snapshot";
    match &facts.snapshot {
        Asked::Unknown(why) => unknown(what, why),
        Asked::Known(None) => wrong(what, "there is none".to_owned(), take_one(facts)),
        Asked::Known(Some(last)) => {
            let age = facts.at.duration_since(last.started_at);
            let state = format!("{} old, {}", text(age), people(last));
            if age > STALE {
                wrong(what, state, take_one(facts))
            } else {
                good(what, state)
            }
        }
    }
}

fn waiting(facts: &Facts, records: &Records) -> Line {
    let what = "not in a snapshot";
    let Some(oldest) = records.oldest else {
        return good(what, "nobody".to_owned());
    };
    let age = facts.at.duration_since(oldest);
    let state = format!("{} sign-ups, the first {} ago", records.count, text(age));
    if age > LATE {
        wrong(what, state, take_one(facts))
    } else {
        // The next one is on its way.
        good(what, state)
    }
}

fn newcomers(facts: &Facts, records: &Records) -> Line {
    let what = "journal";
    let (Some(oldest), Some(newest)) = (records.oldest, records.newest) else {
        return good(what, "no newcomers".to_owned());
    };
    let state = format!(
        "{} newcomers, {} to {}",
        records.count,
        minute(oldest),
        minute(newest)
    );
    if facts.is_primary_lost() {
        return good(what, state);
    }
    warn(
        what,
        state,
        "bring them back: twinpool restore --dry-run shows how".to_owned(),
    )
}

fn take_one(facts: &Facts) -> String {
    let command = format!(
        "twinpool snapshot --pool {} --bucket {}",
        facts.secondary_pool, facts.bucket
    );
    match &facts.bucket_region {
        Some(region) => format!("{command} --bucket-region {region}"),
        None => command,
    }
}

fn people(snapshot: &Snapshot) -> String {
    let Some(users) = snapshot.users else {
        return "its manifest is gone".to_owned();
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

/// A length of time, in the two largest units that matter.
fn text(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Journal, Pool};
    use super::*;

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn ago(duration: SignedDuration) -> Timestamp {
        NOW.parse::<Timestamp>().unwrap() - duration
    }

    fn records(count: u64, age: SignedDuration) -> Records {
        let at = Some(ago(age));
        Records {
            count,
            oldest: at,
            newest: at,
        }
    }

    fn journal(sign_ups: Records, waiting: Records) -> Asked<Journal> {
        Asked::Known(Journal { sign_ups, waiting })
    }

    /// A quiet day.
    fn facts() -> Facts {
        let pool = || {
            Asked::Known(Pool {
                users: 7,
                arn: "arn".into(),
            })
        };
        let nothing = || Asked::Known(Records::default());
        Facts {
            at: NOW.parse().unwrap(),
            primary_pool: "ap-northeast-1_Primary01".parse().unwrap(),
            secondary_pool: "ap-northeast-3_Secondary".parse().unwrap(),
            primary: pool(),
            secondary: pool(),
            outbox: Some(nothing()),
            conflicts: Some(nothing()),
            journal: Asked::Known(Journal::default()),
            snapshot: Asked::Known(Some(Snapshot {
                id: "20261120T110000Z-00000000".into(),
                started_at: ago(SignedDuration::from_hours(1)),
                users: Some(7),
                newcomers: Some(0),
                rejected: BTreeMap::from([("unconfirmed".into(), 2)]),
            })),
            fence: Asked::Known(Fence::Closed),
            bucket: "snapshots".into(),
            bucket_region: None,
            outbox_bucket: Some("outbox".into()),
        }
    }

    fn lost<T>() -> Asked<T> {
        Asked::Unknown(Unknown {
            error: "no connection".into(),
            no_answer: true,
        })
    }

    fn refused<T>() -> Asked<T> {
        Asked::Unknown(Unknown {
            error: "AccessDeniedException".into(),
            no_answer: false,
        })
    }

    fn line(facts: &Facts, what: &str) -> Line {
        let line = lines(facts).into_iter().find(|line| line.what == what);
        line.unwrap()
    }

    #[test]
    fn a_quiet_day_is_safe() {
        assert!(lines(&facts()).iter().all(|line| line.level == Level::Good));
    }

    #[test]
    fn with_the_primary_lost_the_fence_is_to_be_opened() {
        let facts = Facts {
            primary: lost(),
            outbox: Some(lost()),
            conflicts: Some(lost()),
            ..facts()
        };

        let pool = line(&facts, "primary pool");
        let to_do = line(&facts, "fence").to_do.unwrap();

        assert_eq!(pool.level, Level::Wrong);
        assert!(
            to_do.contains("twinpool fence open --pool ap-northeast-3_Secondary"),
            "{to_do}"
        );
        assert_eq!(line(&facts, "outbox").level, Level::Wrong);
    }

    #[test]
    fn an_open_fence_is_as_it_should_be_only_while_the_primary_is_lost() {
        let open = Facts {
            fence: Asked::Known(Fence::Open),
            ..facts()
        };
        let failover = Facts {
            primary: lost(),
            ..open.clone()
        };

        assert_eq!(line(&open, "fence").level, Level::Warn);
        assert_eq!(line(&failover, "fence").level, Level::Good);
        assert!(line(&failover, "fence").state.contains("failover"));
        let to_do = line(&failover, "primary pool").to_do.unwrap();
        assert!(!to_do.contains("open the fence"), "{to_do}");
    }

    #[test]
    fn a_primary_that_says_no_is_not_lost() {
        let with = |fence| Facts {
            primary: refused(),
            fence: Asked::Known(fence),
            journal: journal(records(5, LATE), Records::default()),
            ..facts()
        };
        let (open, closed) = (with(Fence::Open), with(Fence::Closed));

        let pool = line(&closed, "primary pool");

        assert_eq!(pool.level, Level::Wrong);
        assert!(pool.to_do.unwrap().contains("permissions"));
        assert_eq!(line(&open, "fence").level, Level::Warn);
        assert_eq!(line(&closed, "fence").to_do, None);
        assert_eq!(line(&open, "journal").level, Level::Warn);
    }

    #[test]
    fn the_outbox_may_hold_people_for_a_quarter_of_an_hour() {
        let with = |age| Facts {
            outbox: Some(Asked::Known(records(3, age))),
            ..facts()
        };

        assert_eq!(line(&with(LATE), "outbox").level, Level::Good);
        let late = line(&with(LATE + SignedDuration::from_secs(1)), "outbox");
        assert_eq!(late.level, Level::Wrong);
    }

    #[test]
    fn a_person_in_conflict_is_somebody_to_act_for() {
        let facts = Facts {
            conflicts: Some(Asked::Known(records(1, LATE))),
            ..facts()
        };

        let line = line(&facts, "conflicts");

        assert_eq!(line.level, Level::Wrong);
        assert!(line.to_do.unwrap().contains("s3://outbox/conflicts/"));
    }

    #[test]
    fn a_snapshot_that_is_old_or_missing_is_to_be_taken() {
        let mut old = facts();
        if let Asked::Known(Some(last)) = &mut old.snapshot {
            last.started_at = ago(STALE + SignedDuration::from_secs(1));
        }
        let none = Facts {
            snapshot: Asked::Known(None),
            ..facts()
        };

        let elsewhere = Facts {
            bucket_region: Some("ap-southeast-1".into()),
            ..none.clone()
        };

        for (facts, option) in [
            (old, ""),
            (none, ""),
            (elsewhere, " --bucket-region ap-southeast-1"),
        ] {
            let line = line(&facts, "last snapshot");
            assert_eq!(line.level, Level::Wrong);
            let command = "twinpool snapshot --pool ap-northeast-3_Secondary --bucket snapshots";
            assert_eq!(line.to_do.unwrap(), format!("{command}{option}"));
        }
    }

    #[test]
    fn a_sign_up_that_no_snapshot_holds_is_late_after_a_quarter_of_an_hour() {
        let with = |age| Facts {
            journal: journal(records(1, age), records(1, age)),
            ..facts()
        };

        assert_eq!(line(&with(LATE), "not in a snapshot").level, Level::Good);
        let late = LATE + SignedDuration::from_secs(1);
        assert_eq!(line(&with(late), "not in a snapshot").level, Level::Wrong);
    }

    #[test]
    fn newcomers_are_to_be_brought_back_once_the_primary_answers() {
        let back = Facts {
            journal: journal(records(5, LATE), Records::default()),
            ..facts()
        };
        let failover = Facts {
            primary: lost(),
            ..back.clone()
        };

        assert_eq!(line(&back, "journal").level, Level::Warn);
        assert_eq!(line(&failover, "journal").level, Level::Good);
    }

    #[test]
    fn a_length_of_time_is_said_in_its_two_largest_units() {
        let said = |seconds| text(SignedDuration::from_secs(seconds));

        assert_eq!(said(59), "59 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(7_500), "2 h 5 min");
        assert_eq!(said(90_061), "1 d 1 h");
        assert_eq!(said(-5), "0 s");
    }
}
