//! Helpers that all scenarios use: the regions, events, invocations of the functions, and the command line.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use local_regions::binary;
use local_regions::cognito::{SeedUser, UserView};
use local_regions::region::{ACCESS_KEY_ID, Region, SECRET_ACCESS_KEY};
use local_regions::world::{
    BACKUP_WORKER, OUTBOX, REPLICATE_WORKER, SNAPSHOTS, World, WorldOptions,
};
use serde_json::{Value, json};
use tokio::process::Command;

/// Both regions with the functions deployed. Only the test invokes the workers.
pub async fn world() -> World {
    World::start(WorldOptions::default())
        .await
        .expect("the regions start")
}

/// The confirmation event of the primary pool for the person with this number.
pub fn confirmation(number: u32) -> Value {
    let sub = sub(number);
    json!({
        "version": "1",
        "region": "ap-northeast-1",
        "userPoolId": "ap-northeast-1_Primary01",
        "userName": sub,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "primaryappclient0000000001"},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {"userAttributes": {
            "sub": sub, "email": email(number), "email_verified": "true", "cognito:user_status": "CONFIRMED",
        }},
        "response": {},
    })
}

/// A record as the trigger writes it, of a person who was confirmed this long ago.
pub fn record(number: u32, age: SignedDuration) -> Value {
    json!({
        "version": 1,
        "trigger": "PostConfirmation_ConfirmSignUp",
        "pool": "ap-northeast-1_Primary01",
        "username": sub(number),
        "sub": sub(number),
        "recorded_at": (Timestamp::now() - age).to_string(),
        "attributes": {"sub": sub(number), "email": email(number), "email_verified": "true"},
    })
}

/// Puts the person with this number into the primary pool, as their confirmation or record describes them. The outbox's worker asks
/// there before each replay.
pub fn person_in_primary(world: &World, number: u32) {
    person_of_event_in_primary(world, &confirmation(number));
}

/// Puts the person of a confirmation event into the primary pool, with what the event says of them.
pub fn person_of_event_in_primary(world: &World, event: &Value) {
    let attributes = event["request"]["userAttributes"].as_object();
    let attributes = attributes.expect("attributes").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let person = SeedUser {
        sub: Some(text(&event["request"]["userAttributes"]["sub"])),
        attributes: attributes
            .filter(|(name, _)| *name != "sub" && !name.starts_with("cognito:"))
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&world.primary.id, person);
}

/// The `sub` of the person with this number.
pub fn sub(number: u32) -> String {
    let first = number % 16;
    format!("{first:x}7c4aab8-5061-7015-8b3b-{number:012x}")
}

/// The email address of the person with this number.
pub fn email(number: u32) -> String {
    format!("person{number}@example.jp")
}

/// Invokes a function with a JSON payload and returns its response or error.
pub async fn invoke(region: &Region, function: &str, payload: &Value) -> Result<Value, String> {
    let payload = Bytes::from(payload.to_string());
    let answer = region.lambda().invoke(function, payload).await;
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

/// Invokes a trigger with the bytes of an event; returns the bytes of the response, and the duration.
pub async fn answer(region: &Region, function: &str, event: &[u8]) -> (Bytes, Duration) {
    let begun = Instant::now();
    let payload = Bytes::copy_from_slice(event);
    let answer = region.lambda().invoke(function, payload).await;
    (answer.expect("a trigger never fails"), begun.elapsed())
}

/// Sends a tick to the worker that empties the outbox.
pub async fn drain(world: &World) -> Value {
    let tick = json!({"action": "tick"});
    let answer = invoke(&world.tokyo, REPLICATE_WORKER, &tick).await;
    answer.expect("the worker succeeds")
}

/// Sends a tick to the worker that takes snapshots.
pub async fn tick(world: &World) -> Value {
    let tick = json!({"action": "tick"});
    let answer = invoke(&world.osaka, BACKUP_WORKER, &tick).await;
    answer.expect("the worker succeeds")
}

/// Requests a snapshot.
pub async fn snapshot(world: &World) -> Result<Value, String> {
    let snapshot = json!({"action": "snapshot"});
    invoke(&world.osaka, BACKUP_WORKER, &snapshot).await
}

/// The user with this name in the secondary pool.
pub fn replica(world: &World, username: &str) -> Option<UserView> {
    world.osaka.cognito().user(&world.secondary.id, username)
}

/// The keys with a prefix in the bucket of the outbox.
pub fn outbox(world: &World, prefix: &str) -> Vec<String> {
    world.tokyo.s3().keys(OUTBOX, prefix)
}

/// An object of the snapshot bucket as JSON.
pub fn object(world: &World, key: &str) -> Option<Value> {
    let object = world.osaka.s3().object(SNAPSHOTS, key)?;
    Some(serde_json::from_slice(&object).expect("JSON"))
}

/// Writes an object of the snapshot bucket.
pub async fn put_object(world: &World, key: &str, text: String) {
    let put = world.osaka.s3_client().put_object();
    let put = put
        .bucket(SNAPSHOTS)
        .key(key)
        .body(text.into_bytes().into());
    put.send().await.expect("it is written");
}

/// The name of the run whose report [`put_reconcile_report`] writes.
pub const RECONCILE: &str = "20261120T101500Z-0a1b2c3d";

/// Writes the report of a run of reconcile that began this long ago, with these members instead of those of a run that found nothing.
pub async fn put_reconcile_report(world: &World, age: SignedDuration, members: Value) {
    let started_at = (Timestamp::now() - age).to_string();
    let folder = format!("reconciles/{RECONCILE}");
    let mut report = json!({
        "version": 1, "reconcile": RECONCILE, "status": "complete", "started_at": started_at, "finished_at": started_at,
        "primary": {"pool": world.primary.id, "listed": 7}, "secondary": {"pool": world.secondary.id, "listed": 7},
        "counts": {"unchanged": 7}, "newly_reported": 0, "pairs": 7, "held": {}, "made": {}, "reported": [],
    });
    for (name, value) in members.as_object().expect("an object") {
        report[name] = value.clone();
    }
    let latest = json!({
        "version": 1, "reconcile": RECONCILE, "report": format!("{folder}/report.json"), "started_at": started_at,
    });
    put_object(world, &format!("{folder}/report.json"), report.to_string()).await;
    put_object(world, "reconciles/latest.json", latest.to_string()).await;
}

/// The concatenated text of all files with one role of a snapshot.
pub fn files(world: &World, manifest: &Value, role: &str) -> String {
    let files = manifest["files"].as_array().expect("files");
    files
        .iter()
        .filter(|file| file["role"] == role)
        .map(|file| {
            let key = file["key"].as_str().expect("a key");
            let object = world.osaka.s3().object(SNAPSHOTS, key);
            String::from_utf8(object.expect("the file is there")).expect("UTF-8")
        })
        .collect()
}

/// Waits until an operation has been called.
pub async fn called(world: &World, operation: &str) {
    while !world.calls().iter().any(|call| call.operation == operation) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The highest number of calls of an operation within any second.
pub fn most_in_a_second(world: &World, operation: &str) -> usize {
    let calls = world.calls();
    let calls = calls.iter().filter(|call| call.operation == operation);
    let times: Vec<Instant> = calls.map(|call| call.at).collect();
    let within = |start: &Instant| {
        let in_time = |at: &&Instant| **at >= *start && **at - *start < Duration::from_secs(1);
        times.iter().filter(in_time).count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

/// The sum of a metric over the whole log of a function.
pub fn counted(world: &World, region: &Region, function: &str, metric: &str) -> u64 {
    let log = world.log(region, function);
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "twinpool")
        .filter_map(|line| line[metric].as_u64())
        .sum()
}

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output, which must be one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command of twinpool with the operator's credentials.
pub async fn twinpool(world: &World, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    ran(command.args(arguments)).await
}

/// The twinpool binary with the operator's credentials, and without the environment of this machine.
pub async fn twinpool_command(world: &World) -> Command {
    let binary = tokio::task::spawn_blocking(|| binary("twinpool")).await;
    let mut command = Command::new(binary.expect("no panic").expect("twinpool builds"));
    command
        .env_clear()
        .env("AWS_ENDPOINT_URL", world.osaka.endpoint())
        .env("AWS_REGION", world.osaka.name())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .kill_on_drop(true);
    command
}

/// Runs a command and waits for its end.
pub async fn ran(command: &mut Command) -> Ran {
    let output = command.output().await.expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code().expect("not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// In the secondary pool, a user gets another email address.
pub async fn move_to_address(world: &World, username: &str, address: &str, is_verified: bool) {
    let attribute = |name: &str, value: &str| {
        let attribute = aws_sdk_cognitoidentityprovider::types::AttributeType::builder();
        attribute.name(name).value(value).build().unwrap()
    };
    let client = world.osaka.cognito_client();
    let update = client.admin_update_user_attributes();
    let update = update.user_pool_id(&world.secondary.id);
    update
        .username(username)
        .user_attributes(attribute("email", address))
        .user_attributes(attribute("email_verified", &is_verified.to_string()))
        .send()
        .await
        .unwrap();
}
