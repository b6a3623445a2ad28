//! Unmodified clients of people and of back ends: aws-amplify with aws-jwt-verify, amazon-cognito-identity-js and pycognito.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use local_regions::region::{Loss, Region};
use local_regions::world::{BACKUP_WORKER, RESTORE, World, WorldOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The path of what `make test` installs, or `None` with a message if it is missing. In CI it must not be.
fn installed(path: &str) -> Option<PathBuf> {
    let path = Path::new(TESTS).join(path);
    if !path.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing",
            path.display()
        );
        println!(
            "skipped: there is no {}; `make test` creates it",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// Runs a script, and does what it asks for.
async fn play(world: &World, mut command: Command) {
    for (city, region, pool) in [
        ("TOKYO", &world.tokyo, &world.primary),
        ("OSAKA", &world.osaka, &world.secondary),
    ] {
        command.env(format!("{city}_POOL"), &pool.id);
        command.env(format!("{city}_CLIENT"), &pool.client_id);
        command.env(format!("{city}_ENDPOINT"), region.endpoint());
    }
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let piped = piped.stderr(Stdio::piped()).kill_on_drop(true);
    let mut script = piped.spawn().expect("the script starts");
    let mut input = script.stdin.take().expect("piped");
    let mut output = BufReader::new(script.stdout.take().expect("piped")).lines();
    let mut errors = script.stderr.take().expect("piped");
    let complaints = tokio::spawn(async move {
        let mut text = String::new();
        errors.read_to_string(&mut text).await.map(|_| text)
    });

    while let Some(line) = output.next_line().await.expect("text") {
        match serde_json::from_str::<Value>(&line) {
            Ok(question) => {
                let answer = do_it(world, &question).await;
                let answer = input.write_all(format!("{answer}\n").as_bytes()).await;
                answer.expect("the script reads the answer");
            }
            Err(_) => println!("{line}"),
        }
    }

    let status = script.wait().await.expect("the script ends");
    let complaints = complaints.await.expect("a task").expect("text");
    assert!(status.success(), "{complaints}");
}

/// Does what a script asks for, and returns the answer.
async fn do_it(world: &World, question: &Value) -> Value {
    let text = |member: &str| question[member].as_str().unwrap_or_default();
    match text("ask") {
        "code" => {
            let region = match text("city") {
                "TOKYO" => &world.tokyo,
                _ => &world.osaka,
            };
            let mut codes = region.cognito().codes_sent_to(text("to"));
            codes.pop().expect("a code was sent").into()
        }
        "lose Tokyo" => {
            world.tokyo.lose(Loss::Refuse);
            Value::Null
        }
        "open the fence" => {
            world.osaka.open_fence();
            Value::Null
        }
        "go home" => {
            world.tokyo.restore();
            let snapshot = json!({"action": "snapshot", "scope": "newcomers"});
            invoke(&world.osaka, BACKUP_WORKER, &snapshot).await;
            let answer = invoke(&world.tokyo, RESTORE, &json!({})).await;
            answer["status"].clone()
        }
        other => unreachable!("{other}"),
    }
}

async fn invoke(region: &Region, function: &str, payload: &Value) -> Value {
    let answer = region
        .lambda()
        .invoke(function, Bytes::from(payload.to_string()));
    let answer = answer.await.expect("the function answers");
    serde_json::from_slice(&answer).expect("JSON")
}

/// A script of `tests/javascript/`, or `None` if its packages are not installed.
fn javascript(script: &str) -> Option<Command> {
    let modules = installed("javascript/node_modules")?;
    let mut command = Command::new("node");
    command.arg(modules.with_file_name(script));
    Some(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amplify_lives_through_a_failover_and_the_way_back() {
    let Some(script) = javascript("amplify.js") else {
        return;
    };
    let world = World::start(WorldOptions::default())
        .await
        .expect("both regions start");
    world.osaka.close_fence();

    play(&world, script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_js_signs_up_and_in_and_out() {
    let Some(script) = javascript("identity.js") else {
        return;
    };
    play(&super::world().await, script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pycognito_proves_a_password_and_verifies_tokens() {
    let Some(python) = installed("../target/python/bin/python") else {
        return;
    };
    let mut script = Command::new(python);
    script
        .arg(Path::new(TESTS).join("python/clients.py"))
        .envs([
            ("AWS_ACCESS_KEY_ID", local_regions::region::ACCESS_KEY_ID),
            (
                "AWS_SECRET_ACCESS_KEY",
                local_regions::region::SECRET_ACCESS_KEY,
            ),
        ]);
    play(&super::world().await, script).await;
}
