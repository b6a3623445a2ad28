//! Invalid payloads, variables, buckets and pools: the error says what is wrong, where, and what to do, and nothing is
//! written.

use local_regions::cognito::{Contact, PoolSettings};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Region;
use local_regions::world::{BACKUP_WORKER, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::support::{invoke, snapshot, world};

async fn error(region: &Region, function: &str, payload: Value) -> String {
    let answer = invoke(region, function, &payload).await;
    answer.expect_err("the function must return an error")
}

fn nothing_was_written(world: &World) -> bool {
    world.osaka.s3().keys(SNAPSHOTS, "snapshots/").is_empty()
        && world.osaka.s3().object(SNAPSHOTS, "latest.json").is_none()
}

#[tokio::test]
async fn the_error_about_an_unknown_payload_says_what_to_send() {
    let world = world().await;

    for payload in [
        json!({}),
        json!([1]),
        json!("tick"),
        json!({"action": "dance"}),
        Value::Null,
    ] {
        for (region, function) in [
            (&world.tokyo, REPLICATE_WORKER),
            (&world.osaka, BACKUP_WORKER),
        ] {
            let error = error(region, function, payload.clone()).await;
            assert!(error.starts_with("UnknownPayload: "), "{error}");
            assert!(error.contains("triggerSource"), "{error}");
            assert!(error.contains(r#"{"action":"tick"}"#), "{error}");
        }
    }
}

#[tokio::test]
async fn the_error_names_a_missing_or_malformed_variable() {
    for (worker, variable, value, named) in [
        (REPLICATE_WORKER, "TARGET_USER_POOL_ID", None, "is not set"),
        (REPLICATE_WORKER, "SOURCE_USER_POOL_ID", None, "is not set"),
        (REPLICATE_WORKER, "OUTBOX_BUCKET", None, "is not set"),
        (
            REPLICATE_WORKER,
            "TARGET_USER_POOL_ID",
            Some("osaka"),
            "a user pool id such as",
        ),
        (
            REPLICATE_WORKER,
            "ACTIVATE_REPLICAS",
            Some("yes"),
            "true or false",
        ),
        (
            REPLICATE_WORKER,
            "REPLICATION_BUDGET_MS",
            Some("3s"),
            "milliseconds",
        ),
        (BACKUP_WORKER, "USER_POOL_ID", None, "is not set"),
        (BACKUP_WORKER, "S3_BUCKET_NAME", None, "is not set"),
        (BACKUP_WORKER, "LIST_USERS_RPS", Some("0"), "calls a second"),
        (
            BACKUP_WORKER,
            "SHRINK_GUARD_PERCENT",
            Some("101"),
            "0 to 100",
        ),
        (
            REPLICATE_WORKER,
            "ORIGIN_SUB_ATTRIBUTE",
            Some("email"),
            "a custom attribute",
        ),
        (
            BACKUP_WORKER,
            "ORIGIN_SUB_ATTRIBUTE",
            Some("sub"),
            "a custom attribute",
        ),
        (
            BACKUP_WORKER,
            "SNAPSHOT_MIN_INTERVAL_S",
            Some("-1"),
            "whole seconds",
        ),
    ] {
        let world = world().await;
        let region = if worker == BACKUP_WORKER {
            &world.osaka
        } else {
            &world.tokyo
        };
        match value {
            Some(value) => region.lambda().set_env(worker, variable, value),
            None => region.lambda().unset_env(worker, variable),
        }

        let error = error(region, worker, json!({"action": "tick"})).await;

        assert!(error.contains(variable) && error.contains(named), "{error}");
    }
}

#[tokio::test]
async fn an_interval_of_reconcile_is_not_negative() {
    for variable in ["RECONCILE_EVERY_S", "GROUPS_EVERY_S"] {
        let world = world().await;
        world
            .tokyo
            .lambda()
            .set_env(REPLICATE_WORKER, variable, "-1");

        let error = error(
            &world.tokyo,
            REPLICATE_WORKER,
            json!({"action": "reconcile"}),
        )
        .await;

        assert!(
            error.contains(variable) && error.contains("whole seconds"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_error_names_a_missing_bucket_and_what_to_check() {
    let world = world().await;
    for (region, worker, variable) in [
        (&world.tokyo, REPLICATE_WORKER, "OUTBOX_BUCKET"),
        (&world.osaka, BACKUP_WORKER, "S3_BUCKET_NAME"),
    ] {
        region
            .lambda()
            .set_env(worker, variable, "no-such-bucket-here");

        let error = error(region, worker, json!({"action": "tick"})).await;

        assert!(
            error.contains("no-such-bucket-here: NoSuchBucket"),
            "{error}"
        );
        assert!(error.contains("check the bucket's name"), "{error}");
    }
}

#[tokio::test]
async fn the_error_names_a_missing_pool_and_nothing_is_written() {
    let world = world().await;
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "USER_POOL_ID", "ap-northeast-3_Nowhere01");

    let error = snapshot(&world).await.unwrap_err();

    assert!(error.contains("ap-northeast-3_Nowhere01"), "{error}");
    assert!(error.contains("check the pool id"), "{error}");
    assert!(nothing_was_written(&world));
}

#[tokio::test]
async fn a_pool_that_signs_in_by_email_and_phone_is_rejected_with_the_reason() {
    let world = world().await;
    let pool = world.osaka.cognito().create_pool(PoolSettings {
        name: "both".into(),
        username_attributes: vec![Contact::Email, Contact::PhoneNumber],
        ..local_regions::world::pool()
    });
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "USER_POOL_ID", &pool.id);

    let error = snapshot(&world).await.unwrap_err();

    assert!(
        error.contains("signs in by email and by phone number"),
        "{error}"
    );
    assert!(nothing_was_written(&world));
}

#[tokio::test]
async fn an_import_header_without_a_username_column_is_rejected_with_the_reason() {
    let world = world().await;
    let header = json!({
        "UserPoolId": world.secondary.id,
        "CSVHeader": ["email", "email_verified", "cognito:mfa_enabled"],
    });
    let fault = Fault::on(Service::Cognito, "GetCSVHeader", Kind::Answer(header));
    world.osaka.faults().add(fault);

    let error = snapshot(&world).await.unwrap_err();

    assert!(error.contains("no cognito:username column"), "{error}");
    assert!(nothing_was_written(&world));
}

#[tokio::test]
async fn the_error_names_an_origin_attribute_that_the_pool_does_not_have() {
    let world = world().await;
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE", "custom:nowhere");

    let error = snapshot(&world).await.unwrap_err();

    assert!(
        error.contains("ORIGIN_SUB_ATTRIBUTE names custom:nowhere"),
        "{error}"
    );
    assert!(nothing_was_written(&world));
}
