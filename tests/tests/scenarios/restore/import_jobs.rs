//! Import jobs that fail, or fail for some rows, and what the report says about them.

use std::collections::BTreeMap;
use std::time::Duration;

use local_regions::cognito::ImportKnobs;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::RecordedCall;
use local_regions::world::{RESTORE, World};
use serde_json::json;

use super::{at_home, away, newcomer, person, records, report, restore, with, world};
use crate::support::{email, invoke, snapshot, sub};

#[tokio::test]
async fn a_job_that_fails_after_half_of_its_rows_is_followed_by_another_one() {
    let world = world().await;
    for number in 0..60 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        failure_share: 0.1,
        abort: true,
        ..ImportKnobs::default()
    });
    knobs.break_rows(20..40);

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(answer["counts"]["imported"], 60);
    let jobs = report(&world, &answer)["jobs"].as_array().unwrap().len();
    assert!(jobs > 1);
    assert_eq!(
        report(&world, &answer)["jobs"][0]["ended"]["status"],
        "Failed"
    );
}

#[tokio::test]
async fn an_expired_url_a_start_without_the_file_and_throttling_lose_nobody() {
    let world = world().await;
    for number in 0..5 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        unseen_starts: 2,
        ..ImportKnobs::default()
    });
    let refuse = Kind::Error {
        status: 403,
        code: "AccessDenied".into(),
        message: "Request has expired".into(),
    };
    world
        .tokyo
        .faults()
        .add(Fault::on(Service::Cognito, "Upload", refuse).times(1));
    for operation in [
        "ListUsers",
        "CreateUserImportJob",
        "StartUserImportJob",
        "DescribeUserImportJob",
    ] {
        world
            .tokyo
            .faults()
            .add(Fault::on(Service::Cognito, operation, Kind::Throttle).times(2));
    }

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 5);
}

#[tokio::test]
async fn a_delayed_listing_imports_nobody_twice() {
    let world = world().await;
    for number in 0..5 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    world
        .tokyo
        .cognito()
        .knobs()
        .set_list_lag(Duration::from_secs(60));

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(report(&world, &answer)["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_that_the_pool_would_reject_are_reported_and_not_uploaded() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "incomplete");
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(2), "invalid-row".to_owned())])
    );
    assert!(
        report["not_home"][0]["detail"]
            .as_str()
            .unwrap()
            .starts_with("phone_number")
    );
    assert_eq!(report["not_home"][0]["sub"], sub(2));
    assert!(at_home(&world, 1).is_some());
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn a_row_that_cognito_rejects_is_reported_with_the_reason_of_cognito() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    world.tokyo.cognito().knobs().break_rows([1]);
    let told = |text: &str, line| json!({"timestamp": 0, "message": format!("{text} - {line}")});
    let log = json!({
        "events": [
            told("[FAILED] Line Number 2", "The attribute is not allowed."),
            told("[SUCCEEDED] Line Number 3", "The import succeeded."),
        ],
        "nextForwardToken": "f/1",
    });
    world
        .tokyo
        .faults()
        .add(Fault::of(Service::Logs, Kind::Answer(log)));

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    let people = report["not_home"].as_array().unwrap();
    assert_eq!(people.len(), 1, "{report}");
    assert_eq!(people[0]["reason"], "import-failed");
    assert_eq!(people[0]["detail"], "The attribute is not allowed.");
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(report["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_that_fails_before_its_first_row_is_an_error_with_the_message_of_cognito() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let foreign = "arn:aws:iam::999999999999:role/import-logs";
    world
        .tokyo
        .lambda()
        .set_env(RESTORE, "IMPORT_LOGS_ROLE_ARN", foreign);

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(error.contains("failed before its first row"), "{error}");
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn a_start_that_cognito_refuses_while_no_job_is_active_is_an_error_with_the_message_of_cognito()
 {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let message = "The role cannot write the log.";
    refuse_start(&world, "PreconditionNotMetException", message, 1000);

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(error.contains(message), "{error}");
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
    world.tokyo.faults().clear();
    let answer = restore(&world, json!({})).await;
    assert_eq!(answer["status"], "complete", "{answer}");
}

#[tokio::test]
async fn a_start_that_cognito_refuses_while_a_job_is_active_waits_for_its_end() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    refuse_start(
        &world,
        "PreconditionNotMetException",
        "No csv file was uploaded.",
        1,
    );
    let jobs = json!({"UserImportJobs": [{"JobId": "import-other", "Status": "InProgress"}]});
    let listed = Fault::on(Service::Cognito, "ListUserImportJobs", Kind::Answer(jobs));
    world.tokyo.faults().add(listed);

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    let calls = world.calls();
    let has_asked = |call: &RecordedCall| call.operation == "ListUserImportJobs";
    assert!(calls.iter().any(has_asked), "the words alone say nothing");
}

/// Refuses to start jobs, so many times.
fn refuse_start(world: &World, code: &str, message: &str, times: usize) {
    let refusal = Kind::Error {
        status: 400,
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let refused = Fault::on(Service::Cognito, "StartUserImportJob", refusal);
    world.tokyo.faults().add(refused.times(times));
}
