//! The logs of the functions never contain a password or personal data, at any log level and with any error.

use std::time::Duration;

use harness::people;
use harness::visitor::Visitor;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{
    BACKUP_TRIGGER, BACKUP_WORKER, REPLICATE_TRIGGER, REPLICATE_WORKER, RESTORE,
};
use serde_json::json;

use crate::support::{drain, invoke, tick, world};

const PASSWORD: &str = "Correct-horse-7-battery";

#[tokio::test]
async fn the_most_detailed_logs_contain_no_password_and_no_personal_data() {
    // given functions with the most detailed logs, including those of the SDK
    let world = world().await;
    let functions = [
        (
            &world.tokyo,
            vec![REPLICATE_TRIGGER, REPLICATE_WORKER, RESTORE],
        ),
        (&world.osaka, vec![BACKUP_TRIGGER, BACKUP_WORKER]),
    ];
    for (region, functions) in &functions {
        for function in functions {
            let lambda = region.lambda();
            lambda.set_env(function, "AWS_LAMBDA_LOG_LEVEL", "TRACE");
            lambda.set_env(function, "RUST_LOG", "trace");
            lambda.set_env(function, "RUST_BACKTRACE", "full");
        }
    }

    // when people sign up in both regions, and many calls fail
    let everyone = people::everyone().unwrap();
    let awkward: Vec<_> = everyone
        .iter()
        .filter(|profile| profile.status == "CONFIRMED")
        .step_by(40)
        .collect();
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let osaka = Visitor::of(&world.osaka, &world.secondary);
    for (at, profile) in awkward.iter().enumerate() {
        let kind = match at % 5 {
            0 => Kind::Delay(Duration::ZERO),
            1 => Kind::Throttle,
            2 => Kind::Rubbish,
            3 => Kind::Reset,
            _ => Kind::Error {
                status: 400,
                code: ["InvalidParameterException", "AccessDeniedException"][at % 2].into(),
                message: format!("Value '{}' failed", profile.email()),
            },
        };
        let call = ["AdminCreateUser", "AdminSetUserPassword"][at % 2];
        let fault = Fault::on(Service::Cognito, call, kind.clone());
        world.osaka.faults().add(fault);
        if at % 3 == 0 {
            world.tokyo.faults().add(Fault::of(Service::S3, kind));
        }
        tokyo.sign_up(profile, PASSWORD).await.unwrap();
        tokyo.confirm(profile.email()).await.unwrap();
        world.osaka.faults().clear();
        world.tokyo.faults().clear();
    }
    let newcomer = everyone.iter().rfind(|p| p.kind == "plain").unwrap();
    osaka.sign_up(newcomer, PASSWORD).await.unwrap();
    osaka.confirm(newcomer.email()).await.unwrap();
    drain(&world).await;
    tick(&world).await;
    world.tokyo.cognito().knobs().break_rows([1]);
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: format!("Value '{}' failed", newcomer.email()),
    };
    let update = Fault::on(Service::Cognito, "AdminUpdateUserAttributes", refuse);
    world.tokyo.faults().add(update);
    let missing = json!({"scope": "missing", "allow_stale": true});
    let restored = invoke(&world.tokyo, RESTORE, &missing).await;
    assert!(restored.is_ok(), "{restored:?}");

    // then none of the attribute values is in the logs
    let logs = functions.iter().flat_map(|(region, functions)| {
        let logs = functions.iter();
        logs.map(|function| world.log(region, function))
    });
    let written: String = logs.collect();
    assert!(
        written.lines().count() > awkward.len(),
        "the functions write logs"
    );
    for profile in awkward.iter().chain([&newcomer]) {
        for (name, value) in &profile.attributes {
            let is_personal =
                value.chars().count() > 5 && !["ja_JP", "Asia/Tokyo"].contains(&&**value);
            let escaped = serde_json::to_string(value).unwrap();
            let escaped = escaped.trim_matches('"');
            let is_written = written.contains(value.as_str()) || written.contains(escaped);
            let named = is_personal && name != "gender" && is_written;
            assert!(
                !named,
                "the attribute {name} of a person of kind {} is in the logs",
                profile.kind
            );
        }
    }
    // A random password would be the longest word in the logs.
    let longest = written
        .split(|c: char| c.is_whitespace() || c == '"')
        .map(str::len)
        .max();
    assert!(
        longest < Some(100),
        "the logs contain a word as long as a password"
    );
}
