//! The calls of each function and of each command of the command line, so that a role or a policy in AWS has a permission for every call
//! and for nothing else.
//!
//! The calls of functions are stored in `cdk/test/calls.json`, with which the tests of `cdk/` compare the roles, and those of commands in
//! `cdk/lib/constructs/command-calls.ts`, from which the policies of operators follow. After changing what a function or a command calls:
//! `UPDATE_CALLS=1 cargo test --test scenarios permissions`.

mod commands;
mod functions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use local_regions::faults::Service;
use local_regions::region::RecordedCall;
use local_regions::world::{OUTBOX, SNAPSHOTS, TOKYO, World};
use reconcile::report::RECONCILES_PREFIX;
use shared::forgotten::FORGOTTEN_PREFIX;
use shared::journal::{PASSWORD_RESETS_PREFIX, RESTORED_PREFIX, SIGN_UPS_PREFIX};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::snapshot::layout::{FILLS_PREFIX, PARTS_PREFIX};
use shared::withheld::WITHHELD_PREFIX;

/// The prefixes in a bucket that permissions of functions are given for; any other key is listed itself.
const FUNCTION_PREFIXES: [&str; 11] = [
    PENDING_PREFIX,
    CONFLICTS_PREFIX,
    SIGN_UPS_PREFIX,
    PASSWORD_RESETS_PREFIX,
    RESTORED_PREFIX,
    PARTS_PREFIX,
    "snapshots/",
    "restores/",
    RECONCILES_PREFIX,
    WITHHELD_PREFIX,
    FORGOTTEN_PREFIX,
];

/// The same for commands, which also fill the secondary pool and keep the evidence of failovers. What only reads a manifest must not be
/// allowed to read the snapshot, so manifests are told apart.
fn command_prefixes() -> Vec<&'static str> {
    [
        &[MANIFESTS][..],
        &FUNCTION_PREFIXES,
        &[FILLS_PREFIX, "failovers/"],
    ]
    .concat()
}

/// The manifests of all snapshots.
const MANIFESTS: &str = "snapshots/*/manifest.json";

/// By function or command, and by call, such as `s3:PutObject`: the resources.
type Calls = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Adds the calls that the regions have received since they were last cleared.
fn note(calls: &mut Calls, name: &str, world: &World, prefixes: &[&str]) {
    let of_name = calls.entry(name.to_owned()).or_default();
    for call in world.calls() {
        if !is_authorised(&call) {
            continue;
        }
        let (operation, resource) = describe(world, &call, prefixes);
        of_name.entry(operation).or_default().insert(resource);
    }
}

/// Whether AWS authorises a call by IAM: not an upload to a pre-signed URL, not the public documents of a pool, and not the operations
/// that anybody may call.
fn is_authorised(call: &RecordedCall) -> bool {
    let anybody_may = ["Upload", "InitiateAuth", "ConfirmSignUp"];
    !call.operation.starts_with('/') && !anybody_may.contains(&call.operation.as_str())
}

/// The names of a call and its resource as in the permissions.
fn describe(world: &World, call: &RecordedCall, prefixes: &[&str]) -> (String, String) {
    let RecordedCall {
        operation,
        resource,
        ..
    } = call;
    match call.service {
        Service::Cognito if resource.is_empty() => {
            (format!("cognito-idp:{operation}"), "any-pool".to_owned())
        }
        Service::Cognito => {
            let pool = of_pool(world, resource, "pool");
            (format!("cognito-idp:{operation}"), pool)
        }
        Service::Waf if operation == "GetWebACLForResource" => {
            let pool = of_pool(world, resource, "pool");
            (format!("wafv2:{operation}"), pool)
        }
        // Whose web ACL protects a pool is not known before it has been read.
        Service::Waf if operation == "ListTagsForResource" => {
            let side = if call.region == TOKYO {
                "primary"
            } else {
                "secondary"
            };
            (format!("wafv2:{operation}"), format!("{side}-web-acls"))
        }
        Service::Waf => (format!("wafv2:{operation}"), "fence".to_owned()),
        Service::CloudFormation => (format!("cloudformation:{operation}"), "stacks".to_owned()),
        Service::Logs => {
            let log = of_pool(world, resource, "import-logs");
            (format!("logs:{operation}"), log)
        }
        Service::S3 => {
            let (bucket, key) = resource.split_once('/').unwrap_or((resource, ""));
            let bucket = match bucket {
                OUTBOX => "outbox-bucket",
                SNAPSHOTS => "snapshot-bucket",
                other => panic!("a bucket that is not ours: {other}"),
            };
            let keys = keys_of(key, prefixes);
            let resource = [bucket, &keys].join(if keys.is_empty() { "" } else { "/" });
            (format!("s3:{operation}"), resource)
        }
    }
}

/// The keys that a permission is given for, of which this is one.
fn keys_of(key: &str, prefixes: &[&str]) -> String {
    let is_manifest = key.starts_with("snapshots/") && key.ends_with("/manifest.json");
    if is_manifest && prefixes.contains(&MANIFESTS) {
        return MANIFESTS.to_owned();
    }
    let prefix = prefixes.iter().find(|prefix| key.starts_with(**prefix));
    prefix.map_or(key.to_owned(), |prefix| format!("{prefix}*"))
}

/// The name of something that belongs to one of the two pools, whose id is part of `resource`.
fn of_pool(world: &World, resource: &str, what: &str) -> String {
    let pools = [(&world.primary, "primary"), (&world.secondary, "secondary")];
    let mut named = pools
        .into_iter()
        .filter(|(pool, _)| resource.contains(&pool.id));
    let (_, side) = named.next().expect("one of the two pools");
    format!("{side}-{what}")
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The operations that the source of a function names, because each error says which call failed.
fn operations_in(folder: PathBuf) -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            operations.extend(operations_in(path));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for before in ["AwsError::from_sdk(", ".call_with_retry("] {
            let after = source.split(before).skip(1);
            let named =
                after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
            operations.extend(named.map(|(operation, _)| operation.to_owned()));
        }
    }
    operations
}

/// Fails unless a file has exactly this text. With UPDATE_CALLS=1, it is written first.
fn assert_stored(file: &str, text: &str) {
    let path = workspace().join(file);
    if std::env::var_os("UPDATE_CALLS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let differs = text.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(
        kept == text,
        "{differs:?}: write {file} again with UPDATE_CALLS=1, then look at the permissions in cdk/"
    );
}

/// The module of `cdk/` with the calls of commands.
fn module_of(commands: &Calls) -> String {
    let calls = serde_json::to_string_pretty(commands).unwrap();
    format!(
        "// The calls of each command of the command line, as tests/tests/scenarios/permissions/ has recorded them. Written by\n\
         // UPDATE_CALLS=1 cargo test --test scenarios permissions\n\n\
         import type {{ Calls }} from './permissions.ts';\n\n\
         export const COMMAND_CALLS: Readonly<Record<string, Calls>> = {calls};\n"
    )
}

/// Fails if a source names an operation that was not recorded.
fn assert_covers(calls: &Calls, folders: &[&str], elsewhere: &[&str]) {
    let recorded: BTreeSet<_> = calls.values().flat_map(BTreeMap::keys).collect();
    for folder in folders {
        for operation in operations_in(workspace().join(folder)) {
            let is_recorded = recorded
                .iter()
                .any(|call| call.ends_with(&format!(":{operation}")));
            assert!(
                is_recorded || elsewhere.contains(&operation.as_str()),
                "{folder} calls {operation}, which this test does not cover"
            );
        }
    }
}

#[tokio::test]
async fn each_function_and_each_command_makes_the_calls_that_its_permissions_allow() {
    let (recorded, commands) = tokio::join!(functions::record_all(), commands::record_all());
    let (functions, mut of_commands) = (recorded.functions, recorded.commands);
    for (command, calls) in commands {
        let known = of_commands.entry(command).or_default();
        for (call, resources) in calls {
            known.entry(call).or_default().extend(resources);
        }
    }

    let json = serde_json::to_string_pretty(&functions).unwrap() + "\n";
    assert_stored("cdk/test/calls.json", &json);
    assert_stored(
        "cdk/lib/constructs/command-calls.ts",
        &module_of(&of_commands),
    );
    let folders = [
        "replicate-fn/src",
        "replication/src",
        "reconcile/src",
        "backup-fn/src",
        "restore/src",
        "restore-fn/src",
        "shared/src",
    ];
    assert_covers(&functions, &folders, &[]);
    // The proof from outside needs no permission, and whoever deploys attaches the triggers.
    let elsewhere = [
        "InitiateAuth",
        "ConfirmSignUp",
        "ListUserImportJobs",
        "UpdateUserPool",
    ];
    assert_covers(&of_commands, &["twinpool/src"], &elsewhere);
}
