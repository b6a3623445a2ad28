//! The drill, run as the README describes it.

use std::path::Path;
use std::process::{Command, Output};

fn drill(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drill"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the drill runs")
}

#[test]
fn the_drill_prints_its_steps_keeps_its_promises_and_leaves_its_files() {
    let folder = tempfile::tempdir().unwrap();

    let output = drill(folder.path(), &["--count", "60", "--seed", "5"]);

    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story}");
    for act in 1..=6 {
        assert!(story.contains(&format!("\n{act}. ")), "{story}");
    }
    assert!(story.contains("who signed up in Tokyo is in Osaka"));
    assert!(!story.contains("  NO\n"), "{story}");
    let drill = std::fs::read_dir(folder.path().join("drill")).unwrap();
    let drill = drill.map(|entry| entry.unwrap().path()).next().unwrap();
    assert!(story.contains(&drill.display().to_string()), "{story}");
    let snapshots = drill.join("ap-northeast-3/s3/twinpool-snapshots/snapshots");
    let csv = std::fs::read_dir(snapshots)
        .unwrap()
        .map(|snapshot| snapshot.unwrap().path().join("newcomers-0001.csv"))
        .find(|csv| csv.exists());
    assert!(csv.is_some(), "the drill leaves newcomers-0001.csv");
}

#[test]
fn the_drill_can_restore_with_the_console() {
    let folder = tempfile::tempdir().unwrap();

    let output = drill(
        folder.path(),
        &["--count", "40", "--seed", "6", "--failback", "console"],
    );

    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story}");
    assert!(story.contains("uploads newcomers-0001.csv"), "{story}");
    assert!(story.contains("who signed up in Osaka is in Tokyo, as they are"));
}

#[test]
fn the_error_about_a_wrong_people_file_names_the_file_and_the_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.jsonl"), "{\"kind\":\"plain\"}\n").unwrap();

    let missing = drill(folder.path(), &["--people", "nobody.jsonl"]);
    let wrong = drill(folder.path(), &["--people", "mine.jsonl"]);

    let error = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!missing.status.success() && !wrong.status.success());
    assert!(error(&missing).contains("cannot read people from nobody.jsonl"));
    assert!(error(&wrong).contains("mine.jsonl, line 1"));
}
