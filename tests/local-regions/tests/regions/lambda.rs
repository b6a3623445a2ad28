//! The local Lambda, tested with a function that follows its event (`examples/function.rs`).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use local_regions::lambda::{Function, InvokeError, Lambda};
use serde_json::{Value, json};

struct Deployed {
    lambda: Lambda,
    logs: tempfile::TempDir,
}

fn deploy(change: impl FnOnce(&mut Function)) -> Deployed {
    let logs = tempfile::tempdir().expect("a folder");
    let lambda = Lambda::new(
        "ap-northeast-1",
        "http://127.0.0.1:4501",
        logs.path().to_owned(),
    );
    let mut function = Function {
        name: "f".to_owned(),
        binary: local_regions::example("function").expect("it builds"),
        env: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        concurrency: 2,
    };
    change(&mut function);
    lambda.create_function(function);
    Deployed { lambda, logs }
}

impl Deployed {
    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let answer = self
            .lambda
            .invoke("f", Bytes::from(event.to_string()))
            .await?;
        Ok(serde_json::from_slice(&answer).expect("JSON"))
    }
}

fn alive(pid: &Value) -> bool {
    let mut shell = Command::new("sh");
    let kill = shell.args(["-c", &format!("kill -0 {pid}")]);
    let status = kill.stderr(Stdio::null()).status();
    status.expect("there is a shell").success()
}

#[tokio::test]
async fn an_idle_process_is_reused() {
    let deployed = deploy(|_| {});

    let first = deployed.invoke(json!({ "n": 1 })).await.expect("an answer");
    let second = deployed.invoke(json!({ "n": 2 })).await.expect("an answer");

    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(second["seen"], 2);
    assert_eq!(second["event"], json!({ "n": 2 }));
}

#[tokio::test]
async fn a_timeout_ends_the_process() {
    let deployed = deploy(|f| f.timeout = Duration::from_secs(1));
    let warm = deployed.invoke(json!({})).await.expect("an answer");
    let start = Instant::now();

    let late = deployed.invoke(json!({ "sleep_ms": 60_000 })).await;

    assert!(matches!(late, Err(InvokeError::TimedOut(t)) if t == Duration::from_secs(1)));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(!alive(&warm["pid"]));
    let next = deployed.invoke(json!({})).await.expect("an answer");
    assert_ne!(next["pid"], warm["pid"]);
}

#[tokio::test]
async fn events_beyond_the_concurrency_are_throttled() {
    let deployed = deploy(|_| {});
    let slow = || deployed.invoke(json!({ "sleep_ms": 300 }));

    let (a, b, c) = tokio::join!(slow(), slow(), slow());

    let (a, b) = (a.expect("an answer"), b.expect("an answer"));
    assert_ne!(a["pid"], b["pid"]);
    assert!(matches!(c, Err(InvokeError::Throttled)));
    assert!(deployed.invoke(json!({})).await.is_ok());
}

#[tokio::test]
async fn an_error_of_the_function_is_returned_and_the_process_is_reused() {
    let deployed = deploy(|_| {});
    let before = deployed.invoke(json!({})).await.expect("an answer");

    let error = deployed.invoke(json!({ "fail": "no such luck" })).await;

    let Err(InvokeError::Function {
        error_type,
        message,
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (error_type.as_str(), message.as_str()),
        ("Test", "no such luck")
    );
    let after = deployed.invoke(json!({})).await.expect("an answer");
    assert_eq!(before["pid"], after["pid"]);
}

#[tokio::test]
async fn a_process_that_exits_is_an_error_and_is_replaced() {
    let deployed = deploy(|_| {});

    let crash = deployed.invoke(json!({ "exit": 7 })).await;

    assert!(
        matches!(&crash, Err(InvokeError::Crashed(why)) if why.contains('7')),
        "{crash:?}"
    );
    assert!(deployed.invoke(json!({})).await.is_ok());
}

#[tokio::test]
async fn the_error_of_a_function_that_cannot_start_is_returned() {
    let deployed = deploy(|f| {
        f.env.insert("FAIL_INIT".to_owned(), "1".to_owned());
    });

    let error = deployed.invoke(json!({})).await;

    assert!(
        matches!(&error, Err(InvokeError::Function { message, .. }) if message == "no configuration"),
        "{error:?}"
    );
}

#[tokio::test]
async fn kill_ends_a_running_event() {
    let deployed = deploy(|_| {});
    let kill = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        deployed.lambda.kill("f");
    };

    let (killed, ()) = tokio::join!(deployed.invoke(json!({ "sleep_ms": 60_000 })), kill);

    assert!(
        matches!(&killed, Err(InvokeError::Crashed(why)) if why.contains("SIGKILL")),
        "{killed:?}"
    );
}

#[tokio::test]
async fn processes_end_with_the_lambda() {
    let Deployed { lambda, logs } = deploy(|_| {});
    let answer = lambda
        .invoke("f", Bytes::from_static(b"{}"))
        .await
        .expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert!(alive(&answer["pid"]));

    drop(lambda);

    let start = Instant::now();
    while alive(&answer["pid"]) {
        assert!(start.elapsed() < Duration::from_secs(5), "still alive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = std::fs::read_to_string(logs.path().join("f.log")).expect("a log");
    assert_eq!(log, "event 1\n");
}

#[tokio::test]
async fn an_unknown_function_is_not_found() {
    let deployed = deploy(|_| {});

    let error = deployed.lambda.invoke("g", Bytes::new()).await;

    assert!(matches!(error, Err(InvokeError::NotFound)));
}
