//! A function for the tests of the local Lambda, which uses the Runtime API directly.
//!
//! The event tells it what to do: `{"sleep_ms":n}` waits, `{"fail":"…"}` returns an error, `{"exit":n}` ends the process. The
//! response to any other event is the process id, the number of events that the process has received, and the event itself.
//!
//! Environment variables: with `FAIL_INIT` the function reports that it cannot start, with `LOG_EVENTS` it writes each event
//! to its log, with `SLEEP_MS` it waits that long in every event, and with `FAIL` it returns that error for every event.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

fn main() {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("a Runtime API");
    if std::env::var_os("FAIL_INIT").is_some() {
        let error = json!({ "errorType": "Config", "errorMessage": "no configuration" });
        call(&api, "POST", "init/error", &error);
        return;
    }
    for seen in 1.. {
        let (id, event) = call(&api, "GET", "invocation/next", &Value::Null);
        match std::env::var_os("LOG_EVENTS") {
            Some(_) => println!("{event}"),
            None => println!("event {seen}"),
        }
        let always = std::env::var("SLEEP_MS")
            .ok()
            .and_then(|ms| ms.parse().ok());
        if let Some(ms) = event["sleep_ms"].as_u64().or(always) {
            std::thread::sleep(Duration::from_millis(ms));
        }
        if let Some(code) = event["exit"].as_i64() {
            std::process::exit(code as i32);
        }
        let always = std::env::var("FAIL").ok();
        match event["fail"].as_str().or(always.as_deref()) {
            Some(message) => {
                let error = json!({ "errorType": "Test", "errorMessage": message });
                call(&api, "POST", &format!("invocation/{id}/error"), &error);
            }
            None => {
                let answer = json!({ "pid": std::process::id(), "seen": seen, "event": event });
                call(&api, "POST", &format!("invocation/{id}/response"), &answer);
            }
        }
    }
}

/// Makes one call on its own connection; returns the request id and the body of the response.
fn call(api: &str, method: &str, path: &str, body: &Value) -> (String, Value) {
    let mut stream = TcpStream::connect(api).expect("the Runtime API listens");
    let body = body.to_string();
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the Runtime API reads");
    let mut answer = BufReader::new(stream);
    let mut id = String::new();
    loop {
        let mut line = String::new();
        answer.read_line(&mut line).expect("a header");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("lambda-runtime-aws-request-id: ") {
            id = value.to_owned();
        }
    }
    let mut body = String::new();
    answer.read_to_string(&mut body).expect("a body");
    (id, serde_json::from_str(&body).unwrap_or_default())
}
