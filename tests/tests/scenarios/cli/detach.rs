//! `twinpool detach`: takes the trigger away from a pool, and changes no other setting.

use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{World, WorldOptions};
use serde_json::{Value, json};

use super::attach::{FUNCTION, fault, settings};
use crate::support::{Ran, ran, twinpool, twinpool_command};

/// The primary pool with a value for every setting. It runs the function.
async fn attached() -> World {
    let options = WorldOptions {
        functions: false,
        ..WorldOptions::default()
    };
    let world = World::start(options).await.expect("the regions start");
    let cognito = world.tokyo.cognito();
    cognito.set_every_setting(&world.primary.id);
    cognito.set_post_confirmation(&world.primary.id, "replicate-fn-trigger");
    world
}

async fn detach(world: &World, more: &[&str]) -> Ran {
    let pool = world.primary.id.as_str();
    let detach = ["detach", "--pool", pool, "--output", "json"];
    twinpool(world, &[&detach[..], more].concat()).await
}

/// Asserts that the command ended with an exit code, said why, and changed nothing.
fn assert_refused(world: &World, ran: &Ran, code: i32, why: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.stderr.contains(why), "{ran:?}");
    assert_eq!(
        settings(world)["LambdaConfig"]["PostConfirmation"],
        FUNCTION
    );
}

#[tokio::test]
async fn every_setting_of_a_pool_survives_but_the_function() {
    let world = attached().await;
    let mut wanted = settings(&world);
    let triggers = wanted["LambdaConfig"].as_object_mut();
    triggers.and_then(|triggers| triggers.remove("PostConfirmation"));

    let ran = detach(&world, &["--function", FUNCTION]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(settings(&world), wanted);
    let report = ran.json();
    assert_eq!(report["status"], "detached");
    assert_eq!(report["function"], FUNCTION);
    assert_eq!(
        report["changes"],
        json!([{"setting": "LambdaConfig.PostConfirmation", "before": FUNCTION, "after": null}])
    );
}

#[tokio::test]
async fn whoever_has_detached_the_function_is_told_what_that_costs_and_how_to_undo_it() {
    let world = attached().await;

    let pool = world.primary.id.as_str();
    let ran = twinpool(&world, &["detach", "--pool", pool]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let undo = format!("twinpool attach --pool {pool} --function {FUNCTION}");
    for text in ["neither replicated nor recorded", &undo] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_change_and_makes_none() {
    let world = attached().await;

    let ran = detach(&world, &["--dry-run"]).await;

    assert_eq!(ran.json()["status"], "would-detach");
    assert_eq!(ran.json()["changes"][0]["before"], FUNCTION);
    assert_refused(&world, &ran, 0, "");
}

#[tokio::test]
async fn a_pool_that_runs_no_function_is_left_alone() {
    let world = attached().await;
    detach(&world, &[]).await;
    let before = settings(&world);
    world.clear_calls();

    let again = detach(&world, &["--function", FUNCTION]).await;

    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["status"], "already-detached");
    assert_eq!(settings(&world), before);
    let calls = world.calls();
    assert!(calls.iter().all(|call| call.operation != "UpdateUserPool"));
}

#[tokio::test]
async fn another_function_than_the_one_that_is_named_is_not_detached() {
    let world = attached().await;

    let ran = detach(&world, &["--function", &format!("{FUNCTION}:live")]).await;

    assert_refused(&world, &ran, 1, "runs another function");
}

#[tokio::test]
async fn another_function_than_the_one_of_twinpool_toml_is_not_detached_unless_it_is_named() {
    let world = attached().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twinpool.toml");
    let text = format!(
        "[primary]\npool = \"{}\"\ntrigger = \"{FUNCTION}-of-twinpool\"\n",
        world.primary.id
    );
    std::fs::write(&file, text).unwrap();
    let mut detach = twinpool_command(&world).await;
    detach.env("TWINPOOL_FILE", &file);
    detach.args(["detach", "--primary"]);

    let other = ran(&mut detach).await;

    assert_refused(&world, &other, 1, "name it with --function");
    let named = ran(detach.args(["--function", FUNCTION])).await;
    assert_eq!(named.code, 0, "{named:?}");
}

#[tokio::test]
async fn a_pool_with_a_setting_that_is_not_known_is_refused() {
    let world = attached().await;
    let pool = json!({
        "Id": world.primary.id, "Name": "people", "Telepathy": {"Enabled": true},
        "LambdaConfig": {"PostConfirmation": FUNCTION},
    });
    let answer = Kind::Answer(json!({"UserPool": pool}));
    fault(&world, "DescribeUserPool", answer);

    let ran = detach(&world, &[]).await;

    assert_refused(&world, &ran, 1, "Telepathy");
    assert!(
        ran.stderr.contains("remove the post-confirmation trigger"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_pool_is_not_changed_while_users_are_imported() {
    let jobs = json!({"UserImportJobs": [{"Status": "Succeeded"}, {"Status": "InProgress"}]});
    for (operation, kind) in [
        ("ListUserImportJobs", Kind::Answer(jobs)),
        (
            "UpdateUserPool",
            Kind::error(400, "UserImportInProgressException"),
        ),
    ] {
        let world = attached().await;
        fault(&world, operation, kind);

        let ran = detach(&world, &[]).await;

        assert_refused(&world, &ran, 4, "import is running");
    }
}

#[tokio::test]
async fn a_pool_that_somebody_else_is_changing_is_left_to_them() {
    let world = attached().await;
    fault(
        &world,
        "UpdateUserPool",
        Kind::error(400, "ConcurrentModificationException"),
    );
    let refused = detach(&world, &[]).await;
    world.tokyo.faults().clear();
    let pool = json!({"Id": world.primary.id, "Name": "people", "LastModifiedDate": 1});
    let answer = Kind::Answer(json!({"UserPool": pool}));
    let later = Fault::on(Service::Cognito, "DescribeUserPool", answer);
    world.tokyo.faults().add(later.after(1));

    let changed = detach(&world, &[]).await;

    for ran in [refused, changed] {
        assert_refused(&world, &ran, 4, "run the command again");
    }
}

#[tokio::test]
async fn what_did_not_come_about_is_named() {
    let world = attached().await;
    fault(&world, "UpdateUserPool", Kind::Answer(json!({})));

    let ran = detach(&world, &[]).await;

    let report = ran.json();
    assert_eq!(report["status"], "settings-changed");
    assert_eq!(
        report["not_kept"],
        json!([{"setting": "LambdaConfig.PostConfirmation", "before": null, "after": FUNCTION}])
    );
    assert_refused(&world, &ran, 1, "");
}

#[tokio::test]
async fn what_is_written_and_cannot_be_read_again_is_listed_to_be_compared() {
    let world = attached().await;
    let lost = Fault::on(Service::Cognito, "DescribeUserPool", Kind::Refuse);
    world.tokyo.faults().add(lost.after(2));

    let ran = detach(&world, &[]).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("run twinpool detach again"), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["status"], "not-read-again");
    assert_eq!(
        report["to_compare"]["SoftwareTokenMfaConfiguration.Enabled"],
        true
    );
    assert_eq!(
        report["to_compare"]["LambdaConfig.PostConfirmation"],
        Value::Null
    );
}

#[tokio::test]
async fn a_refusal_of_the_new_settings_is_told_in_cognitos_words() {
    let world = attached().await;
    fault(
        &world,
        "UpdateUserPool",
        Kind::error(400, "InvalidParameterException"),
    );

    let ran = detach(&world, &[]).await;

    assert_refused(&world, &ran, 3, "InvalidParameterException: no");
}

#[tokio::test]
async fn no_pool_and_a_function_of_another_region_are_bad_usage() {
    let world = attached().await;
    let osaka = FUNCTION.replace("ap-northeast-1", "ap-northeast-3");

    let elsewhere = detach(&world, &["--function", &osaka]).await;
    let nowhere = twinpool(&world, &["detach"]).await;

    assert_refused(&world, &elsewhere, 2, "functions of its own region");
    assert_refused(&world, &nowhere, 2, "no pool is named");
    assert!(world.calls().is_empty());
}
