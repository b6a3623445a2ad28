//! What all commands of twinpool have in common: usage, credentials, exit codes, and one JSON document.

use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Loss;
use serde_json::{Value, json};

use crate::support::{ran, twinpool, twinpool_command, world};

const POOL: &str = "ap-northeast-3_Secondary";

#[tokio::test]
async fn a_completion_script_knows_the_commands() {
    let world = world().await;

    let ran = twinpool(&world, &["completions", "bash"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("mfa-reset"), "{ran:?}");
}

#[tokio::test]
async fn what_makes_no_sense_is_bad_usage_and_asks_nobody() {
    let world = world().await;
    for arguments in [
        &["telepathy"][..],
        &["fence", "status", "--pool", "no pool"],
        &["fence", "lift", "--pool", POOL],
        &["mfa-reset", "--pool", POOL],
    ] {
        let ran = twinpool(&world, arguments).await;

        assert_eq!(ran.code, 2, "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn without_credentials_the_operator_is_told_where_they_come_from() {
    let world = world().await;
    let mut command = twinpool_command(&world).await;
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_EC2_METADATA_DISABLED", "true");

    let ran = ran(command.args(["fence", "status", "--pool", POOL])).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    for advice in ["aws sso login", "set AWS_REGION to another"] {
        assert!(ran.stderr.contains(advice), "{ran:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_aws_names_the_operation_and_what_to_check() {
    let world = world().await;
    let elsewhere = ["fence", "status", "--pool", "ap-northeast-3_Elsewhere"];

    let unknown = twinpool(&world, &elsewhere).await;
    let denied = Kind::Error {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: "User: arn:aws:iam::123456789012:user/taro is not authorized".to_owned(),
    };
    world
        .osaka
        .faults()
        .add(Fault::of(Service::Cognito, denied));
    let denied = twinpool(&world, &elsewhere).await;

    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("DescribeUserPool on ap-northeast-3_Elsewhere"),
        "{unknown:?}"
    );
    assert!(
        unknown.stderr.contains("check the pool id and its region"),
        "{unknown:?}"
    );
    assert_eq!(denied.code, 3, "{denied:?}");
    assert!(
        denied.stderr.contains("check the permissions"),
        "{denied:?}"
    );
}

#[tokio::test]
async fn a_pool_may_be_named_by_the_environment() {
    let world = world().await;
    let mut command = twinpool_command(&world).await;
    command.env("TWINPOOL_SECONDARY", POOL);

    let ran = ran(command.args(["fence", "status", "--output", "json"])).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["pool"], POOL);
}

#[tokio::test]
async fn the_version_names_the_commit_if_it_is_built_from_a_checkout() {
    let world = world().await;

    let ran = twinpool(&world, &["--version"]).await;

    let (name, rest) = ran.stdout.trim().split_once(' ').expect("name and version");
    let (version, commit) = rest.split_once(' ').unwrap_or((rest, ""));
    assert_eq!((name, version), ("twinpool", env!("CARGO_PKG_VERSION")));
    let is_commit = |text: &str| text.len() == 12 && text.chars().all(|c| c.is_ascii_hexdigit());
    let commit = commit.trim_matches(['(', ')']);
    let is_checkout =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.git")).exists();
    assert_eq!(is_commit(commit), is_checkout, "{ran:?}");
}

#[tokio::test]
async fn with_output_json_a_failure_is_one_line_of_json_on_standard_error() {
    let world = world().await;
    let json = async |arguments: &[&str]| {
        let ran = twinpool(&world, &[arguments, &["--output", "json"]].concat()).await;
        assert_eq!(ran.stdout, "", "{ran:?}");
        let failure: Value = serde_json::from_str(&ran.stderr).expect("JSON");
        assert_eq!(failure["exit_code"], ran.code, "{failure}");
        failure
    };

    let usage = json(&["telepathy"]).await;
    let missing = json(&["status"]).await;
    let unknown = json(&["fence", "status", "--pool", "ap-northeast-3_Elsewhere"]).await;
    world.osaka.lose(Loss::Refuse);
    let lost = json(&["fence", "status", "--pool", POOL]).await;

    assert_eq!(
        (&usage["kind"], &usage["exit_code"]),
        (&json!("usage"), &json!(2))
    );
    let to_do = missing["to_do"].as_str().unwrap_or_default();
    assert!(to_do.contains("twinpool init"), "{missing}");
    assert_eq!(
        unknown,
        json!({
            "kind": "refused", "what": "ResourceNotFoundException", "where": "DescribeUserPool on ap-northeast-3_Elsewhere",
            "to_do": "check the pool id and its region", "exit_code": 3,
        })
    );
    assert_eq!(
        (&lost["kind"], &lost["exit_code"]),
        (&json!("unreachable"), &json!(3))
    );
}
