//! The environment in which a function is measured: an endpoint, and a local Lambda that starts the release binaries with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use local_regions::lambda::{Function, Lambda};
use local_regions::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::endpoint::{BUCKET, Behaviour, Endpoint, POOL};
use crate::people;

/// The region of the pool and the functions.
pub const REGION: &str = "ap-northeast-3";

/// The path of a release binary, which `cargo build --release` has put next to this one.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name(name);
    ensure!(
        binary.exists(),
        "{} is missing: run cargo build --release",
        binary.display()
    );
    Ok(binary)
}

/// An endpoint and a local Lambda.
pub struct Stage {
    /// The endpoint that functions call.
    pub endpoint: Endpoint,
    /// The Lambda that starts them.
    pub lambda: Lambda,
}

impl Stage {
    /// Starts an endpoint and a Lambda that writes its logs into the folder.
    pub async fn set(behaviour: Behaviour, folder: &Path) -> anyhow::Result<Self> {
        let endpoint = Endpoint::start(behaviour).await?;
        let lambda = Lambda::new(REGION, endpoint.url(), folder.join("logs"));
        Ok(Self { endpoint, lambda })
    }

    /// Deploys a function and ends its running processes.
    pub fn deploy(&self, name: &str, binary: &Path, variables: &[(&str, &str)], timeout: Duration) {
        let ours = [
            ("S3_BUCKET_NAME", BUCKET),
            ("S3_BUCKET_REGION", REGION),
            ("USER_POOL_ID", POOL),
            ("TARGET_USER_POOL_ID", POOL),
            ("OUTBOX_BUCKET", BUCKET),
            (
                "IMPORT_LOGS_ROLE_ARN",
                "arn:aws:iam::123456789012:role/logs",
            ),
        ];
        let variables = ours.iter().chain(variables);
        self.lambda.create_function(Function {
            name: name.to_owned(),
            binary: binary.to_owned(),
            env: variables
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>(),
            timeout,
            concurrency: 1,
        });
    }

    /// Invokes a function; returns its response, which can be an error of the function, and the duration.
    pub async fn invoke(&self, name: &str, payload: &Value) -> (Result<Value, String>, Duration) {
        let payload = Bytes::from(payload.to_string());
        let begun = Instant::now();
        let answer = self.lambda.invoke(name, payload).await;
        let took = begun.elapsed();
        let answer = answer.map_err(|error| error.to_string());
        let json = answer
            .and_then(|answer| serde_json::from_slice(&answer).map_err(|error| error.to_string()));
        (json, took)
    }

    /// A command with the environment variables of an operator or a function.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ENDPOINT_URL", self.endpoint.url())
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        command
    }
}

/// A text in a response.
pub fn text<'a>(answer: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    answer[member]
        .as_str()
        .with_context(|| format!("an answer without {member}"))
}

/// A confirmation event as a pool sends it.
pub fn confirmation(number: u64, source: &str) -> Value {
    let sub = people::sub(number);
    let attributes =
        people::attributes(number).map(|(name, value)| (name.to_owned(), value.into()));
    let mut attributes = serde_json::Map::from_iter(attributes);
    attributes.insert("sub".to_owned(), sub.as_str().into());
    attributes.insert("cognito:user_status".to_owned(), "CONFIRMED".into());
    json!({
        "version": "1", "region": REGION, "userPoolId": POOL, "userName": sub, "triggerSource": source,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "benchappclient00000000000001"},
        "request": {"userAttributes": attributes}, "response": {},
    })
}
