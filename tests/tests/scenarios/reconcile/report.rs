//! What a run leaves and says: the answer, the report, the lines of changes and the metrics have exactly the documented form.

use std::collections::BTreeSet;
use std::time::Duration;

use local_regions::cognito::UserStatus;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{REPLICATE_WORKER, SNAPSHOTS};
use serde_json::{Value, json};

use super::{
    asked, attempted, changes, delete, edit, hasten, measured, pairs, people, person, reconcile,
    replica_of, report, reported, use_secondary, writes,
};
use crate::support::{object, sub, world};

/// The counts of a run that found nothing, with some of them.
fn counts(some: Value) -> Value {
    let mut counts = json!({
        "unchanged": 0, "created": 0, "updated": 0, "disabled": 0, "enabled": 0, "withheld": 0, "removed": 0, "group_changes": 0,
        "skipped": 0, "newcomers": 0, "reported": 0, "no_way_in": 0,
    });
    for (name, count) in some.as_object().expect("an object") {
        counts[name] = count.clone();
    }
    counts
}

#[tokio::test]
async fn a_run_leaves_an_answer_a_report_lines_and_a_pointer() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 6);
    edit(&world, 0, &[("name", "New"), ("nickname", "n")]);
    delete(&world, 1);
    world
        .tokyo
        .cognito()
        .set_enabled(&world.primary.id, &sub(2), false);
    world.tokyo.cognito().put_user(&world.primary.id, person(7));
    let mut invited = person(8);
    invited.status = UserStatus::ForceChangePassword;
    world.tokyo.cognito().put_user(&world.primary.id, invited);
    let mut nobody = person(9);
    nobody.sub = None;
    world.osaka.cognito().put_user(&world.secondary.id, nobody);
    let subs = [0, 1, 2, 9].map(|number| replica_of(&world, number).sub);

    let answer = reconcile(&world).await;

    let counts = counts(json!({
        "unchanged": 3, "created": 1, "updated": 1, "disabled": 1, "withheld": 1, "skipped": 1, "reported": 1,
    }));
    let mut report = report(&world, &answer);
    let run = report["reconcile"].as_str().unwrap().to_owned();
    let key = format!("reconciles/{run}/report.json");
    assert_eq!(
        answer,
        json!({"status": "complete", "report": key, "counts": counts})
    );
    let started_at = report["started_at"].take();
    let finished_at = report["finished_at"].take();
    assert!(started_at.as_str().unwrap() <= finished_at.as_str().unwrap());
    // The clients of both pools do not name the attributes that they may write.
    let warnings = report["warnings"].take();
    let of_pools: Vec<_> = warnings.as_array().unwrap().iter().collect();
    assert_eq!(of_pools.len(), 2, "{warnings}");
    assert!(
        of_pools
            .iter()
            .all(|warning| warning.as_str().unwrap().contains(": app;"))
    );
    let unpaired =
        json!({"sub": "", "secondary_sub": subs[3], "reason": "unpaired", "attributes": []});
    assert_eq!(
        report,
        json!({
            "version": 1, "reconcile": run, "status": "complete", "started_at": null, "finished_at": null,
            "primary": {"pool": world.primary.id, "listed": 7}, "secondary": {"pool": world.secondary.id, "listed": 7},
            "counts": counts, "missing": 0, "failed": 0, "warnings": null, "newly_reported": 1, "pairs": 5, "held": {}, "made": {"disable": 1, "withhold": 1},
            "reported": [unpaired],
        })
    );
    let pointer = json!({"version": 1, "reconcile": run, "report": key, "started_at": started_at});
    assert_eq!(object(&world, "reconciles/latest.json"), Some(pointer));
    let line = |sub: &str,
                secondary_sub: &str,
                action: &str,
                attributes: &[&str],
                outcome: &str| {
        json!({
            "sub": sub, "secondary_sub": secondary_sub, "action": action, "attributes": attributes, "outcome": outcome,
        })
    };
    let lines: BTreeSet<String> = changes(&world, &answer)
        .iter()
        .map(Value::to_string)
        .collect();
    let expected = [
        line(&sub(0), &subs[0], "update", &["name", "nickname"], "done"),
        line("", &subs[1], "withhold", &[], "done"),
        line(&sub(2), &subs[2], "disable", &[], "done"),
        line(&sub(7), "", "create", &[], "done"),
        line("", &subs[3], "report", &[], "unpaired"),
    ];
    assert_eq!(lines, expected.iter().map(Value::to_string).collect());
    let keys = world.osaka.s3().keys(SNAPSHOTS, "reconciles/");
    let names = ["changes-0001.jsonl", "progress.json", "report.json"];
    let mut of_run = names
        .map(|name| format!("reconciles/{run}/{name}"))
        .to_vec();
    of_run.extend(["latest.json", "lease.json"].map(|name| format!("reconciles/{name}")));
    assert_eq!(keys, of_run);
}

#[tokio::test]
async fn each_run_is_measured_and_people_count_as_reported_the_first_time_only() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 2);
    people(&world, 3);
    let mut nobody = person(9);
    nobody.sub = None;
    world.osaka.cognito().put_user(&world.secondary.id, nobody);

    reconcile(&world).await;
    reconcile(&world).await;
    use_secondary(&world, 1).await;
    let secondary = &world.secondary.id;
    let (cognito, sub) = (world.osaka.cognito(), replica_of(&world, 1).sub);
    let editor = local_regions::cognito::Editor::Person;
    cognito
        .edit_user(secondary, &sub, editor, &[("name", "New")])
        .unwrap();
    let third = reconcile(&world).await;

    assert_eq!(measured(&world, "ReconcileChanges"), [1, 0, 0]);
    assert_eq!(measured(&world, "ReconcileReported"), [1, 0, 1]);
    assert_eq!(measured(&world, "MassChange"), [0, 0, 0]);
    let changed = ("changed-in-secondary".to_owned(), vec!["name".to_owned()]);
    assert!(reported(&world, &third).contains(&changed));
}

#[tokio::test]
async fn what_is_reported_of_groups_is_new_the_first_time_only_although_they_are_compared_once_a_day()
 {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    let osaka = world.osaka.cognito();
    let replica = replica_of(&world, 0).sub;
    osaka.add_to_group(&world.secondary.id, &replica, "theirs");
    let lambda = world.tokyo.lambda();

    let of_first = reconcile(&world).await;
    reconcile(&world).await;
    reconcile(&world).await;
    let pointer = object(&world, "reconciles/latest.json").unwrap();
    lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");
    let next_day = reconcile(&world).await;

    let theirs = ("group-not-in-primary".to_owned(), vec!["theirs".to_owned()]);
    assert_eq!(reported(&world, &next_day), [theirs]);
    assert_eq!(measured(&world, "ReconcileReported"), [1, 0, 0, 0]);
    assert_eq!(pointer["with_groups"], of_first["report"]);
    let pointer = object(&world, "reconciles/latest.json").unwrap();
    assert_eq!(pointer.get("with_groups"), None);
}

#[tokio::test]
async fn the_age_of_the_latest_run_is_measured_whatever_becomes_of_an_invocation() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 1);
    reconcile(&world).await;
    let mut latest = object(&world, "reconciles/latest.json").unwrap();
    let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    latest["started_at"] = an_hour_ago.to_string().into();
    crate::support::put_object(&world, "reconciles/latest.json", latest.to_string()).await;

    let not_needed = asked(&world, json!({})).await;
    let tokyo = world.tokyo.lambda();
    tokyo.set_env("replicate-fn-worker", "TRIGGER_ARN", "arn:aws:lambda:other");
    let refused = attempted(&world, json!({"now": true})).await;

    assert_eq!(not_needed["status"], "not-needed");
    assert!(refused.is_err());
    let ages = measured(&world, "ReconcileAge");
    assert_eq!(ages.len(), 3, "{ages:?}");
    assert!(
        ages[0] < 60 && ages[1..].iter().all(|age| *age >= 3600),
        "{ages:?}"
    );
}

#[tokio::test]
async fn only_a_complete_run_ends_the_alarm_and_one_that_left_people_out_says_how_many_are_missing()
{
    let world = world().await;
    hasten(&world);
    people(&world, 501);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "RECONCILE_WRITES_RPS", "5");
    lambda.set_timeout(REPLICATE_WORKER, Duration::from_secs(20));

    let first = reconcile(&world).await;
    let of_first = report(&world, &first);
    let pointer_to_first = object(&world, "reconciles/latest.json").unwrap();
    let ages_of_first = measured(&world, "ReconcileAge");
    for number in 1..501 {
        delete(&world, number);
    }
    let complete = reconcile(&world).await;
    let pointer_to_complete = object(&world, "reconciles/latest.json").unwrap();

    assert_eq!(first["status"], "fill-needed", "{first}");
    assert_eq!(of_first["status"], "incomplete");
    let created = first["counts"]["created"].as_u64().unwrap();
    assert!(0 < created && created < 501, "{first}");
    assert_eq!(of_first["missing"], 501 - created);
    assert_eq!(
        pointer_to_first["incomplete"],
        json!({"last_complete": null})
    );
    assert_eq!(ages_of_first, [0; 0], "never");
    assert!(["complete", "guarded"].contains(&complete["status"].as_str().unwrap()));
    assert_eq!(pointer_to_complete.get("incomplete"), None);
    assert_eq!(measured(&world, "ReconcileAge").len(), 1);
}

#[tokio::test]
async fn a_run_whose_writes_failed_is_measured_from_the_last_complete_one() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 2);
    let complete = reconcile(&world).await;
    let mut latest = object(&world, "reconciles/latest.json").unwrap();
    let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    latest["started_at"] = an_hour_ago.to_string().into();
    crate::support::put_object(&world, "reconciles/latest.json", latest.to_string()).await;
    world
        .tokyo
        .cognito()
        .set_enabled(&world.primary.id, &sub(1), false);
    let refusal = Kind::error(400, "NotAuthorizedException");
    let fault = Fault::on(Service::Cognito, "AdminDisableUser", refusal);
    world.osaka.faults().add(fault);

    let incomplete = reconcile(&world).await;
    let again = reconcile(&world).await;

    assert_eq!(complete["status"], "complete");
    assert_eq!(incomplete["status"], "incomplete");
    assert_eq!(report(&world, &incomplete)["failed"], 1);
    let pointer = object(&world, "reconciles/latest.json").unwrap();
    let last_complete = pointer["incomplete"]["last_complete"].as_str();
    let last_complete: jiff::Timestamp = last_complete.unwrap().parse().unwrap();
    assert_eq!(again["status"], "incomplete");
    assert_eq!(last_complete, an_hour_ago);
    assert!(
        measured(&world, "ReconcileAge")[1..]
            .iter()
            .all(|age| *age >= 3600)
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_plans_what_a_run_then_does() {
    let world = world().await;
    hasten(&world);
    pairs(&world, 4);
    edit(&world, 0, &[("name", "New")]);
    edit(
        &world,
        1,
        &[("email", "moved@example.jp"), ("email_verified", "true")],
    );
    delete(&world, 2);
    people(&world, 2);
    world.tokyo.cognito().put_user(&world.primary.id, person(7));
    world
        .tokyo
        .cognito()
        .add_to_group(&world.primary.id, &sub(0), "staff");
    let mut of_group = Vec::new();
    world.clear_calls();

    let dry = asked(&world, json!({"dry_run": true})).await;

    assert_eq!(dry["status"], "complete", "{dry}");
    assert_eq!(report(&world, &dry)["status"], "dry-run");
    assert_eq!(object(&world, "reconciles/latest.json"), None);
    assert_eq!(object(&world, "reconciles/lease.json"), None);
    assert!(world.osaka.s3().keys(SNAPSHOTS, "withheld/").is_empty());
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
    assert!(measured(&world, "ReconcileChanges").is_empty());

    let real = reconcile(&world).await;

    let mut lines = |answer: &Value, outcome: &str| -> BTreeSet<String> {
        let mut lines = changes(&world, answer);
        assert!(
            lines.iter().all(|line| line["outcome"] == outcome),
            "{lines:?}"
        );
        of_group.push(
            lines
                .iter()
                .filter(|line| line["action"] == "add-to-group")
                .count(),
        );
        lines
            .iter_mut()
            .for_each(|line| line["outcome"] = Value::Null);
        lines.iter().map(Value::to_string).collect()
    };
    assert_eq!(lines(&dry, "planned"), lines(&real, "done"));
    assert_eq!(of_group, [1, 1]);
    assert_eq!(dry["counts"], real["counts"]);
}
