//! Each test takes the facts of a quiet day, and changes some.

use std::collections::BTreeMap;

use ::reconcile::request::Status;
use jiff::{SignedDuration, Timestamp};
use shared::cognito::public_keys::Reach;

use super::{
    Level, Line, RECONCILE_AGE_ALARM, RECORD_AGE_ALARM, SNAPSHOT_AGE_ALARM, TIME_AFTER_USE, assess,
    format_age,
};
use crate::status::facts::{
    Asked, Facts, Fence, Journal, Pool, Reconcile, ReconcileFindings, Records, Snapshot, Unknown,
};

const RUN: &str = "20261120T110000Z-0a1b2c3d";
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
    Asked::Known(Journal {
        last_use: None,
        sign_ups,
        waiting,
    })
}

fn reconcile(
    age: SignedDuration,
    reported: u64,
    held: u64,
    no_way_in: u64,
) -> Asked<Option<Reconcile>> {
    Asked::Known(Some(Reconcile {
        id: RUN.into(),
        started_at: ago(age),
        last_complete: Some(ago(age)),
        findings: Some(ReconcileFindings {
            status: Status::Complete,
            missing: 0,
            failed: 0,
            reported,
            held,
            no_way_in,
        }),
    }))
}

/// The facts of a quiet day.
fn facts() -> Facts {
    let pool = || {
        Asked::Known(Pool {
            users: 7,
            arn: "arn".into(),
            post_confirmation: Some(
                "arn:aws:lambda:ap-northeast-1:1:function:twinpool-trigger".into(),
            ),
        })
    };
    let nothing = || Asked::Known(Records::default());
    Facts {
        at: NOW.parse().unwrap(),
        primary_pool: "ap-northeast-1_Primary01".parse().unwrap(),
        secondary_pool: "ap-northeast-3_Secondary".parse().unwrap(),
        primary: pool(),
        primary_keys: Reach::Serves,
        secondary: pool(),
        secondary_keys: Reach::Serves,
        outbox: Some(nothing()),
        conflicts: Some(nothing()),
        journal: Asked::Known(Journal::default()),
        snapshot: Asked::Known(Some(Snapshot {
            id: "20261120T110000Z-00000000".into(),
            started_at: ago(SignedDuration::from_hours(1)),
            newcomers_at: ago(SignedDuration::from_hours(1)),
            users: Some(7),
            newcomers: Some(0),
            rejected: BTreeMap::from([("unconfirmed".into(), 2)]),
        })),
        reconcile: reconcile(SignedDuration::from_hours(1), 0, 0, 0),
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
        failed: None,
    })
}

fn unreachable() -> Reach {
    Reach::Unreachable("no connection".into())
}

fn refused<T>() -> Asked<T> {
    Asked::Unknown(Unknown {
        error: "AccessDeniedException".into(),
        no_answer: false,
        failed: None,
    })
}

fn line(facts: &Facts, what: &str) -> Line {
    let line = assess(facts).into_iter().find(|line| line.what == what);
    line.unwrap()
}

#[test]
fn a_quiet_day_is_safe() {
    assert!(
        assess(&facts())
            .iter()
            .all(|line| line.level == Level::Good)
    );
}

#[test]
fn a_trigger_that_is_detached_is_wrong_and_an_unknown_one_a_warning() {
    let with = |post_confirmation: Option<&str>| Facts {
        primary: Asked::Known(Pool {
            users: 7,
            arn: "arn".into(),
            post_confirmation: post_confirmation.map(str::to_owned),
        }),
        ..facts()
    };

    let detached = line(&with(None), "primary trigger");
    let other = with(Some("arn:aws:lambda:ap-northeast-1:1:function:welcome"));

    assert_eq!(detached.level, Level::Wrong);
    let to_do = detached.to_do.unwrap();
    assert!(
        to_do.contains("attach --pool ap-northeast-1_Primary01"),
        "{to_do}"
    );
    assert_eq!(line(&other, "primary trigger").level, Level::Warn);
    assert_eq!(line(&other, "secondary trigger").level, Level::Good);
    let lost = assess(&Facts {
        primary: lost(),
        primary_keys: unreachable(),
        ..facts()
    });
    assert!(lost.iter().all(|line| line.what != "primary trigger"));
}

#[test]
fn people_who_cannot_reset_their_password_in_a_failover_are_counted() {
    let mut facts = facts();
    assert_eq!(line(&facts, "no way in").level, Level::Good);
    if let Asked::Known(Some(last)) = &mut facts.snapshot {
        last.rejected.insert("no-verified-attribute".into(), 3);
    }

    let line = line(&facts, "no way in");

    assert_eq!(line.level, Level::Warn);
    assert!(line.state.starts_with("3 users"), "{}", line.state);
    let to_do = line.to_do.unwrap();
    assert!(
        to_do.contains("s3://snapshots/snapshots/20261120T110000Z-00000000/rejected.csv"),
        "{to_do}"
    );
}

#[test]
fn when_the_primary_is_lost_the_advice_is_a_failover() {
    let facts = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        outbox: Some(lost()),
        conflicts: Some(lost()),
        ..facts()
    };

    let pool = line(&facts, "primary pool");

    assert_eq!(pool.level, Level::Wrong);
    for fence in [Fence::Closed, Fence::NoSignUps] {
        let facts = Facts {
            fence: Asked::Known(fence),
            ..facts.clone()
        };
        let to_do = line(&facts, "fence").to_do.unwrap();
        assert_eq!(to_do, "in a failover: twinpool failover");
    }
    assert_eq!(line(&facts, "outbox").level, Level::Wrong);
}

#[test]
fn when_the_primary_answers_the_advice_is_a_failback_and_never_to_close_the_fence_at_once() {
    for fence in [Fence::Open, Fence::NoSignUps] {
        let facts = Facts {
            fence: Asked::Known(fence),
            journal: journal(
                records(2, SignedDuration::from_hours(1)),
                Records::default(),
            ),
            ..facts()
        };
        for what in ["fence", "journal"] {
            let to_do = line(&facts, what).to_do.unwrap();
            assert!(to_do.contains("twinpool failback"), "{to_do}");
            assert!(!to_do.contains("fence close"), "{to_do}");
        }
    }
}

#[test]
fn an_open_fence_is_good_only_while_the_primary_is_lost() {
    let open = Facts {
        fence: Asked::Known(Fence::Open),
        ..facts()
    };
    let failover = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        ..open.clone()
    };

    assert_eq!(line(&open, "fence").level, Level::Warn);
    assert_eq!(line(&failover, "fence").level, Level::Good);
    assert!(line(&failover, "fence").state.contains("failover"));
    let to_do = line(&failover, "primary pool").to_do.unwrap();
    assert!(!to_do.contains("open the fence"), "{to_do}");
}

#[test]
fn a_fence_that_is_not_simply_closed_is_never_good_on_a_quiet_day() {
    for (fence, level) in [
        (Fence::PartlyOpen, Level::Wrong),
        (Fence::Unjudged, Level::Warn),
        (Fence::Outdated, Level::Warn),
        (Fence::Foreign, Level::Warn),
        (Fence::None, Level::Warn),
    ] {
        let facts = Facts {
            fence: Asked::Known(fence),
            ..facts()
        };

        assert_eq!(line(&facts, "fence").level, level, "{fence:?}");
    }
}

#[test]
fn a_primary_that_rejects_the_request_is_not_lost() {
    let with = |fence| Facts {
        primary: refused(),
        fence: Asked::Known(fence),
        journal: journal(records(5, RECORD_AGE_ALARM), Records::default()),
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
fn a_record_of_the_outbox_raises_an_alarm_after_15_minutes() {
    let with = |age| Facts {
        outbox: Some(Asked::Known(records(3, age))),
        ..facts()
    };

    assert_eq!(line(&with(RECORD_AGE_ALARM), "outbox").level, Level::Good);
    let late = line(
        &with(RECORD_AGE_ALARM + SignedDuration::from_secs(1)),
        "outbox",
    );
    assert_eq!(late.level, Level::Wrong);
}

#[test]
fn a_user_in_conflicts_is_wrong() {
    let facts = Facts {
        conflicts: Some(Asked::Known(records(1, RECORD_AGE_ALARM))),
        ..facts()
    };

    let line = line(&facts, "conflicts");

    assert_eq!(line.level, Level::Wrong);
    assert!(line.to_do.unwrap().contains("s3://outbox/conflicts/"));
}

#[test]
fn when_the_snapshot_is_old_or_missing_the_advice_is_to_take_one() {
    let mut old = facts();
    if let Asked::Known(Some(last)) = &mut old.snapshot {
        last.started_at = ago(SNAPSHOT_AGE_ALARM + SignedDuration::from_secs(1));
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
fn a_sign_up_that_no_snapshot_contains_raises_an_alarm_after_15_minutes() {
    let with = |age| Facts {
        journal: journal(records(1, age), records(1, age)),
        ..facts()
    };

    assert_eq!(
        line(&with(RECORD_AGE_ALARM), "not in a snapshot").level,
        Level::Good
    );
    let late = RECORD_AGE_ALARM + SignedDuration::from_secs(1);
    assert_eq!(line(&with(late), "not in a snapshot").level, Level::Wrong);
}

#[test]
fn newcomers_are_a_warning_once_the_primary_answers() {
    let back = Facts {
        journal: journal(records(5, RECORD_AGE_ALARM), Records::default()),
        ..facts()
    };
    let failover = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        ..back.clone()
    };

    assert_eq!(line(&back, "journal").level, Level::Warn);
    assert_eq!(line(&failover, "journal").level, Level::Good);
}

#[test]
fn an_age_is_shown_in_its_two_largest_units() {
    let shown = |seconds| format_age(SignedDuration::from_secs(seconds));

    assert_eq!(shown(59), "59 s");
    assert_eq!(shown(60), "1 min");
    assert_eq!(shown(7_500), "2 h 5 min");
    assert_eq!(shown(90_061), "1 d 1 h");
    assert_eq!(shown(-5), "0 s");
}

#[test]
fn a_secondary_that_was_never_reconciled_is_not_safe_and_the_command_is_shown() {
    let never = Facts {
        reconcile: Asked::Known(None),
        ..facts()
    };
    let in_a_failover = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        ..never.clone()
    };

    let found = line(&never, "reconcile");

    assert_eq!(found.level, Level::Wrong);
    assert!(found.state.starts_with("never"), "{}", found.state);
    let to_do = found.to_do.unwrap();
    assert!(
        to_do.contains("twinpool reconcile --primary ap-northeast-1_Primary01"),
        "{to_do}"
    );
    assert_eq!(line(&in_a_failover, "reconcile").level, Level::Warn);
}

#[test]
fn a_run_of_reconcile_raises_an_alarm_after_three_hours_unless_the_primary_is_lost() {
    let since = |age| Facts {
        reconcile: reconcile(age, 0, 0, 0),
        ..facts()
    };
    let late = since(RECONCILE_AGE_ALARM + SignedDuration::from_secs(1));
    let in_a_failover = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        ..late.clone()
    };

    assert_eq!(
        line(&since(RECONCILE_AGE_ALARM), "reconcile").level,
        Level::Good
    );
    assert_eq!(line(&late, "reconcile").level, Level::Wrong);
    assert_eq!(line(&in_a_failover, "reconcile").level, Level::Good);
}

#[test]
fn a_run_of_reconcile_that_waits_while_the_secondary_is_in_use_is_a_warning() {
    let used = |age, held| Facts {
        journal: Asked::Known(Journal {
            last_use: Some(ago(age)),
            ..Journal::default()
        }),
        reconcile: reconcile(SignedDuration::from_hours(9), 0, held, 0),
        ..facts()
    };

    let waiting = line(&used(TIME_AFTER_USE, 0), "reconcile");
    assert_eq!(waiting.level, Level::Warn);
    assert!(waiting.to_do.unwrap().contains("in use"));
    let long_ago = TIME_AFTER_USE + SignedDuration::from_secs(1);
    for facts in [used(long_ago, 0), used(SignedDuration::ZERO, 12)] {
        assert_eq!(line(&facts, "reconcile").level, Level::Wrong);
    }
}

#[test]
fn a_run_of_reconcile_that_left_people_out_is_wrong_however_new_it_is() {
    let found = |missing, failed, last_complete, is_lost: bool| {
        let Asked::Known(Some(mut last)) = reconcile(SignedDuration::from_mins(5), 0, 0, 0) else {
            panic!("there is a run");
        };
        last.last_complete = last_complete;
        let findings = last.findings.as_mut().unwrap();
        (findings.status, findings.missing, findings.failed) =
            (Status::Incomplete, missing, failed);
        let mut facts = Facts {
            reconcile: Asked::Known(Some(last)),
            ..facts()
        };
        if is_lost {
            (facts.primary, facts.primary_keys) = (lost(), unreachable());
        }
        line(&facts, "reconcile")
    };
    let two_hours_ago = Some(ago(SignedDuration::from_hours(2)));

    let never = found(697, 0, None, false);
    let refused = found(0, 3, two_hours_ago, false);

    assert_eq!((never.level, refused.level), (Level::Wrong, Level::Wrong));
    assert_eq!(
        never.state,
        "never complete; the last run 5 min ago, 697 still missing in the secondary"
    );
    let to_do = never.to_do.unwrap();
    assert!(to_do.contains("twinpool reconcile"), "{to_do}");
    assert_eq!(
        refused.state,
        "last complete 2 h 0 min ago; the last run 5 min ago, 3 writes failed"
    );
    assert_eq!(found(697, 0, None, true).level, Level::Warn);
}

#[test]
fn whom_reconcile_reported_is_a_warning_and_what_it_holds_back_is_wrong() {
    let found = |reported, held, no_way_in| {
        let facts = Facts {
            reconcile: reconcile(SignedDuration::from_hours(1), reported, held, no_way_in),
            ..facts()
        };
        line(&facts, "reconcile")
    };

    let reported = found(2, 0, 3);
    let held = found(0, 40, 0);

    assert_eq!(reported.level, Level::Warn);
    assert_eq!(
        reported.state,
        "1 h 0 min ago, 2 reported, 3 with no way in at a failover"
    );
    assert!(reported.to_do.unwrap().contains(RUN));
    assert_eq!(held.level, Level::Wrong);
    let accept = format!("--accept {RUN}");
    assert!(held.to_do.unwrap().contains(&accept));
}

#[test]
fn what_is_in_the_primary_region_is_no_reason_to_act_in_a_failover_and_anything_else_is() {
    let failover = Facts {
        primary: lost(),
        primary_keys: unreachable(),
        outbox: Some(lost()),
        conflicts: Some(lost()),
        fence: Asked::Known(Fence::Open),
        ..facts()
    };
    let old = Asked::Known(Some(Snapshot {
        started_at: ago(SNAPSHOT_AGE_ALARM + SignedDuration::from_hours(1)),
        ..match facts().snapshot {
            Asked::Known(Some(snapshot)) => snapshot,
            _ => panic!("a quiet day has a snapshot"),
        }
    }));
    let is_wrong = |facts: &Facts| assess(facts).iter().any(|it| it.level == Level::Wrong);

    assert!(!is_wrong(&failover));
    for what in ["primary pool", "outbox", "conflicts"] {
        assert_eq!(line(&failover, what).level, Level::Warn, "{what}");
    }
    assert!(is_wrong(&Facts {
        snapshot: old,
        ..failover
    }));
}

#[test]
fn only_what_serves_people_tells_that_a_region_is_lost() {
    let administration = Facts {
        primary: lost(),
        ..facts()
    };
    let people = Facts {
        primary_keys: unreachable(),
        ..facts()
    };

    assert!(!administration.is_primary_lost());
    let pool = line(&administration, "primary pool");
    assert_eq!(pool.level, Level::Wrong);
    assert!(pool.to_do.unwrap().contains("no reason for a failover"));
    assert!(people.is_primary_lost());
    assert_eq!(line(&people, "primary pool").level, Level::Wrong);
}

#[test]
fn public_keys_that_are_refused_are_a_warning() {
    let refused = Facts {
        secondary_keys: Reach::Refuses(403),
        ..facts()
    };

    let pool = line(&refused, "secondary pool");

    assert_eq!(pool.level, Level::Warn);
    assert!(pool.state.contains("403"), "{}", pool.state);
}
