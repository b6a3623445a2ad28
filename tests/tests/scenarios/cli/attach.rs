//! `twinpool attach`: changes one setting of the pool, and no other.

use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{World, WorldOptions};
use serde_json::{Value, json};

use crate::support::{Ran, twinpool};

pub const FUNCTION: &str =
    "arn:aws:lambda:ap-northeast-1:123456789012:function:replicate-fn-trigger";

/// The primary pool before twinpool: every setting has a value, and no function of twinpool is attached.
async fn before_twinpool() -> World {
    let options = WorldOptions {
        functions: false,
        ..WorldOptions::default()
    };
    let world = World::start(options).await.expect("the regions start");
    world.tokyo.cognito().set_every_setting(&world.primary.id);
    world
}

/// Runs the command with text output.
async fn attach_in_text(world: &World) -> Ran {
    let pool = world.primary.id.as_str();
    twinpool(world, &["attach", "--pool", pool, "--function", FUNCTION]).await
}

async fn attach(world: &World, more: &[&str]) -> Ran {
    let attach = [
        "attach",
        "--pool",
        &world.primary.id,
        "--function",
        FUNCTION,
        "--output",
        "json",
    ];
    twinpool(world, &[&attach[..], more].concat()).await
}

pub fn settings(world: &World) -> Value {
    world.tokyo.cognito().settings(&world.primary.id)
}

fn updates(world: &World) -> usize {
    let calls = world.calls();
    calls
        .iter()
        .filter(|call| call.operation == "UpdateUserPool")
        .count()
}

pub fn fault(world: &World, operation: &str, kind: Kind) {
    let fault = Fault::on(Service::Cognito, operation, kind);
    world.tokyo.faults().add(fault);
}

#[tokio::test]
async fn every_setting_of_a_pool_survives_and_the_function_is_attached() {
    let world = before_twinpool().await;
    let mut wanted = settings(&world);
    wanted["LambdaConfig"]["PostConfirmation"] = FUNCTION.into();

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(settings(&world), wanted);
    let report = ran.json();
    assert_eq!(report["status"], "attached");
    assert_eq!(
        report["changes"],
        json!([{"setting": "LambdaConfig.PostConfirmation", "before": null, "after": FUNCTION}])
    );
}

/// facts N9: the one setting that Cognito keeps when a request leaves it out, and that a request with some of its members changes.
#[tokio::test]
async fn the_registration_of_clients_is_compared_and_not_written() {
    let world = before_twinpool().await;
    let mut pool = settings(&world);
    pool["DcrConfiguration"]["NewIn2027"] = true.into();
    pool["Name"] = "people".into();
    let described = |pool: &Value| Kind::Answer(json!({"UserPool": pool}));
    let before = Fault::on(Service::Cognito, "DescribeUserPool", described(&pool));
    world.tokyo.faults().add(before.times(2));
    let mut changed = pool.clone();
    changed["LambdaConfig"]["PostConfirmation"] = FUNCTION.into();
    changed["DcrConfiguration"]["EnableStatus"] = "Enabled".into();
    let after = Fault::on(Service::Cognito, "DescribeUserPool", described(&changed));
    world.tokyo.faults().add(after);

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(
        ran.json()["not_kept"],
        json!([{"setting": "DcrConfiguration.EnableStatus", "before": "Disabled", "after": "Enabled"}])
    );
    let kept = settings(&world)["DcrConfiguration"].clone();
    assert_eq!(kept["EnableStatus"], "Disabled");
    assert_eq!(kept["NewIn2027"], Value::Null, "nothing of it was written");
}

#[tokio::test]
async fn whoever_has_attached_a_function_is_told_to_try_it_and_how_to_undo_it() {
    let world = before_twinpool().await;

    let ran = attach_in_text(&world).await;

    for advice in ["one test sign-up now", "To undo: twinpool detach --pool"] {
        assert!(ran.stdout.contains(advice), "{ran:?}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_change_and_makes_none() {
    let world = before_twinpool().await;
    let before = settings(&world);

    let ran = attach(&world, &["--dry-run"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["status"], "would-attach");
    assert_eq!(ran.json()["changes"][0]["after"], FUNCTION);
    assert_eq!(settings(&world), before);
    assert_eq!(updates(&world), 0);
}

#[tokio::test]
async fn a_function_that_is_attached_is_left_alone() {
    let world = before_twinpool().await;
    attach(&world, &[]).await;

    let again = attach(&world, &[]).await;

    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["status"], "already-attached");
    assert_eq!(updates(&world), 1);
}

#[tokio::test]
async fn another_function_is_never_replaced() {
    let world = before_twinpool().await;
    world
        .tokyo
        .cognito()
        .set_post_confirmation(&world.primary.id, "welcome-mail");

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("function:welcome-mail"), "{ran:?}");
    assert!(ran.stderr.contains("docs/deploy.md"), "{ran:?}");
    assert_eq!(updates(&world), 0);
}

#[tokio::test]
async fn a_pool_with_a_setting_that_is_not_known_is_refused() {
    let world = before_twinpool().await;
    let pool = json!({"Id": world.primary.id, "Name": "people", "Telepathy": {"Enabled": true}});
    fault(
        &world,
        "DescribeUserPool",
        Kind::Answer(json!({"UserPool": pool})),
    );

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("Telepathy"), "{ran:?}");
    assert_eq!(updates(&world), 0);
}

#[tokio::test]
async fn a_pool_is_not_changed_while_users_are_imported() {
    for (operation, kind) in [
        (
            "ListUserImportJobs",
            Kind::Answer(
                json!({"UserImportJobs": [{"Status": "Succeeded"}, {"Status": "InProgress"}]}),
            ),
        ),
        (
            "UpdateUserPool",
            Kind::error(400, "UserImportInProgressException"),
        ),
    ] {
        let world = before_twinpool().await;
        let before = settings(&world);
        fault(&world, operation, kind);

        let ran = attach(&world, &[]).await;

        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("import is running"), "{ran:?}");
        assert_eq!(settings(&world), before);
    }
}

#[tokio::test]
async fn a_pool_that_somebody_else_is_changing_is_left_to_them() {
    let world = before_twinpool().await;
    fault(
        &world,
        "UpdateUserPool",
        Kind::error(400, "ConcurrentModificationException"),
    );
    let refused = attach(&world, &[]).await;
    world.tokyo.faults().clear();

    let pool = json!({"Id": world.primary.id, "Name": "people", "LastModifiedDate": 1});
    let later = Fault::on(
        Service::Cognito,
        "DescribeUserPool",
        Kind::Answer(json!({"UserPool": pool})),
    );
    world.tokyo.faults().add(later.after(1));
    world.clear_calls();
    let changed = attach(&world, &[]).await;

    for ran in [refused, changed] {
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.stderr.contains("run the command again"), "{ran:?}");
    }
    assert_eq!(updates(&world), 0);
}

#[tokio::test]
async fn what_did_not_survive_is_named() {
    let world = before_twinpool().await;
    let nothing = Kind::Answer(json!({}));
    fault(&world, "UpdateUserPool", nothing);

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["status"], "settings-changed");
    assert_eq!(
        report["not_kept"],
        json!([{"setting": "LambdaConfig.PostConfirmation", "before": FUNCTION, "after": null}])
    );
}

#[tokio::test]
async fn what_is_written_and_cannot_be_read_again_is_listed_to_be_compared() {
    // Each operation is called before the pool is written; DescribeUserPool is called twice.
    for (operation, before) in [("DescribeUserPool", 2), ("GetUserPoolMfaConfig", 1)] {
        let world = before_twinpool().await;
        let lost = Fault::on(Service::Cognito, operation, Kind::Refuse);
        world.tokyo.faults().add(lost.after(before));

        let ran = attach(&world, &[]).await;

        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("written, but not read"), "{ran:?}");
        assert!(ran.stderr.contains("attach again"), "{ran:?}");
        let report = ran.json();
        assert_eq!(report["status"], "not-read-again");
        let to_compare = &report["to_compare"];
        assert_eq!(to_compare["LambdaConfig.PostConfirmation"], FUNCTION);
        assert_eq!(to_compare["SoftwareTokenMfaConfiguration.Enabled"], true);
        assert_eq!(
            settings(&world)["LambdaConfig"]["PostConfirmation"],
            FUNCTION
        );
    }
}

#[tokio::test]
async fn a_refusal_of_the_new_settings_is_told_in_cognitos_words() {
    let world = before_twinpool().await;
    fault(
        &world,
        "UpdateUserPool",
        Kind::error(400, "InvalidParameterException"),
    );

    let ran = attach(&world, &[]).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("InvalidParameterException: no"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_function_of_another_region_or_a_version_of_one_is_bad_usage() {
    let world = before_twinpool().await;
    let osaka = FUNCTION.replace("ap-northeast-1", "ap-northeast-3");
    let version = format!("{FUNCTION}:7");
    for function in [osaka.as_str(), version.as_str()] {
        let ran = twinpool(
            &world,
            &[
                "attach",
                "--pool",
                &world.primary.id,
                "--function",
                function,
            ],
        )
        .await;

        assert_eq!(ran.code, 2, "{ran:?}");
    }
    assert!(world.calls().is_empty());
}
