//! `twinpool init`, and what every command takes from the file that it writes.

use std::path::Path;

use local_regions::region::Loss;
use local_regions::world::{IMPORT_LOGS_ROLE, OUTBOX, REPLICATE_WORKER, SNAPSHOTS, World};
use tempfile::TempDir;

use crate::support::{Ran, ran, snapshot, twinpool_command, world};

/// Runs a command in a folder.
async fn run_in(world: &World, folder: &TempDir, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    ran(command.current_dir(folder.path()).args(arguments)).await
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn read(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("twinpool.toml")).expect("the file is there")
}

fn write(folder: &TempDir, text: &str) {
    std::fs::write(folder.path().join("twinpool.toml"), text).expect("it can be written");
}

#[tokio::test]
async fn the_file_has_what_the_stacks_say_and_no_command_needs_an_id() {
    let world = world().await;
    let folder = folder();

    let init = run_in(&world, &folder, &["init"]).await;

    assert_eq!(init.code, 0, "{init:?}");
    let text = read(&folder);
    for value in [
        world.primary.id.as_str(),
        world.secondary.id.as_str(),
        OUTBOX,
        SNAPSHOTS,
        IMPORT_LOGS_ROLE,
        REPLICATE_WORKER,
        "custom:origin_sub",
        "account = \"123456789012\"",
        "regional/webacl/twinpool-fence",
    ] {
        assert!(text.contains(value), "{value}: {text}");
    }
    snapshot(&world).await.unwrap();
    for arguments in [
        &["check"][..],
        &["status"],
        &["fence", "status"],
        &["snapshot", "--dry-run"],
        &["restore", "--dry-run"],
        &["reconcile", "--dry-run"],
        &["attach", "--primary", "--dry-run"],
        &["attach", "--secondary", "--dry-run"],
        &["mfa-reset", "--secondary", "--user", "nobody@example.jp"],
    ] {
        let ran = run_in(&world, &folder, arguments).await;
        assert!(ran.code <= 1, "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.contains("init"), "{arguments:?}: {ran:?}");
    }
}

#[tokio::test]
async fn without_the_file_the_missing_ids_are_named_with_the_command_that_finds_them() {
    let world = world().await;
    let folder = folder();
    for arguments in [
        &["status"][..],
        &["snapshot", "--bucket", SNAPSHOTS],
        &["mfa-reset", "--secondary", "--user", "nobody@example.jp"],
        &["attach", "--primary"],
    ] {
        let ran = run_in(&world, &folder, arguments).await;

        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("twinpool init"), "{ran:?}");
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn an_option_comes_before_the_environment_and_the_environment_before_the_file() {
    let world = world().await;
    let folder = folder();
    write(
        &folder,
        "[secondary]\npool = \"ap-northeast-3_OfTheFile\"\n",
    );
    let asked = async |variable: Option<&str>, option: &[&str]| {
        let mut command = twinpool_command(&world).await;
        command
            .current_dir(folder.path())
            .args(["fence", "status"])
            .args(option);
        if let Some(id) = variable {
            command.env("TWINPOOL_SECONDARY", id);
        }
        world.clear_calls();
        ran(&mut command).await;
        world.calls()[0].resource.clone()
    };

    let of_file = asked(None, &[]).await;
    let of_environment = asked(Some("ap-northeast-3_OfTheVariable"), &[]).await;
    let of_option = asked(
        Some("ap-northeast-3_OfTheVariable"),
        &["--pool", "ap-northeast-3_OfTheOption"],
    )
    .await;

    assert_eq!(of_file, "ap-northeast-3_OfTheFile");
    assert_eq!(of_environment, "ap-northeast-3_OfTheVariable");
    assert_eq!(of_option, "ap-northeast-3_OfTheOption");
}

#[tokio::test]
async fn the_same_file_is_left_and_another_one_only_overwritten_with_force() {
    let world = world().await;
    let folder = folder();
    run_in(&world, &folder, &["init"]).await;
    let first = read(&folder);

    let again = run_in(&world, &folder, &["init", "--output", "json"]).await;
    let edited = format!("{first}\n# a note of ours\n");
    write(&folder, &edited);
    let refused = run_in(&world, &folder, &["init"]).await;
    let kept = read(&folder);
    let forced = run_in(&world, &folder, &["init", "--force"]).await;

    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["status"], "unchanged");
    assert_eq!((refused.code, kept), (1, edited), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!((forced.code, read(&folder)), (0, first), "{forced:?}");
}

#[tokio::test]
async fn a_dry_run_shows_the_file_and_writes_none() {
    let world = world().await;
    let folder = folder();

    let dry = run_in(&world, &folder, &["init", "--dry-run"]).await;
    let nothing = std::fs::read_dir(folder.path()).expect("a folder").count();
    run_in(&world, &folder, &["init"]).await;

    assert_eq!((dry.code, nothing), (0, 0), "{dry:?}");
    assert_eq!(dry.stdout.trim(), read(&folder).trim());
}

#[tokio::test]
async fn a_misspelt_key_is_named_with_its_line_and_init_writes_a_good_file() {
    let world = world().await;
    let folder = folder();
    write(&folder, "[secondary]\n\npoool = \"ap-northeast-3_A\"\n");

    let status = run_in(&world, &folder, &["fence", "status"]).await;
    let help = run_in(&world, &folder, &["fence", "--help"]).await;
    let json = run_in(&world, &folder, &["fence", "status", "--output=json"]).await;
    let forced = run_in(&world, &folder, &["init", "--force"]).await;
    let after = run_in(&world, &folder, &["fence", "status"]).await;

    assert_eq!(status.code, 2, "{status:?}");
    assert!(status.stderr.contains("twinpool.toml:3: "), "{status:?}");
    assert!(status.stderr.contains("poool"), "{status:?}");
    let error: serde_json::Value = serde_json::from_str(&json.stderr).expect("JSON");
    assert_eq!((&error["kind"], json.code), (&"usage".into(), 2), "{error}");
    assert_eq!(help.code, 0, "{help:?}");
    let check = run_in(&world, &folder, &["check", "--help"]).await;
    let key = "[twinpool.toml: secondary.pool]";
    assert!(check.stdout.contains(key), "{check:?}");
    assert_eq!((forced.code, after.code), (0, 0), "{forced:?} {after:?}");
}

#[tokio::test]
async fn the_variable_names_a_file_elsewhere_which_must_be_there() {
    let world = world().await;
    let folder = folder();
    let file = folder.path().join("of-the-drill.toml");
    let run = async |arguments: &[&str], file: &Path| {
        let mut command = twinpool_command(&world).await;
        ran(command.env("TWINPOOL_FILE", file).args(arguments)).await
    };

    let missing = run(&["fence", "status"], &file).await;
    let init = run(&["init"], &file).await;
    let there = run(&["fence", "status"], &file).await;

    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.contains("of-the-drill.toml"), "{missing:?}");
    assert_eq!((init.code, there.code), (0, 0), "{init:?} {there:?}");
}

#[tokio::test]
async fn the_stack_of_a_single_pool_will_do_and_missing_stacks_are_named() {
    let world = world().await;
    let folder = folder();
    world.osaka.stacks().delete("TwinpoolSecondary");

    let half = run_in(&world, &folder, &["init"]).await;
    world.tokyo.stacks().delete("TwinpoolPrimary");
    let none = run_in(&world, &folder, &["init"]).await;
    let outputs = [
        ("UserPoolId", world.primary.id.as_str()),
        ("SnapshotBucketName", "twinpool-backup"),
    ];
    let stacks = world.tokyo.stacks();
    stacks.put(world.tokyo.name(), "OrdersBackup", &outputs);
    let single = run_in(&world, &folder, &["init", "--name", "Orders"]).await;

    assert_eq!((half.code, none.code), (1, 1), "{half:?} {none:?}");
    let missing = "TwinpoolSecondary in ap-northeast-3";
    assert!(half.stderr.contains(missing), "{half:?}");
    assert!(none.stderr.contains("--primary-region"), "{none:?}");
    assert_eq!(single.code, 0, "{single:?}");
    assert!(read(&folder).contains("bucket = \"twinpool-backup\""));
    assert!(!read(&folder).contains("[secondary]"));
}

#[tokio::test]
async fn a_region_that_does_not_answer_leaves_the_file_as_it_is() {
    let world = world().await;
    let folder = folder();
    run_in(&world, &folder, &["init"]).await;
    let before = read(&folder);
    world.tokyo.lose(Loss::Refuse);

    let ran = run_in(&world, &folder, &["init", "--force"]).await;

    assert_eq!((ran.code, read(&folder)), (3, before), "{ran:?}");
    assert!(
        ran.stderr.contains("DescribeStacks on TwinpoolPrimary"),
        "{ran:?}"
    );
}
