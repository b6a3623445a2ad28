//! Unmodified clients of people and of back ends: aws-amplify with aws-jwt-verify, amazon-cognito-identity-js and pycognito.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_cognitoidentityprovider::types::AuthFlowType;
use bytes::Bytes;
use local_regions::cognito::{PoolSettings, SeedUser, UserStatus};
use local_regions::region::{ACCESS_KEY_ID, Loss, Region, SECRET_ACCESS_KEY};
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
    let world = super::world().await;
    let mut script = Command::new(python);
    script.arg(Path::new(TESTS).join("python/clients.py"));
    script.envs([
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_DEFAULT_REGION", world.tokyo.name()),
        ("AWS_ENDPOINT_URL", world.tokyo.endpoint()),
    ]);

    play(&world, script).await;
}

#[tokio::test]
async fn the_sdk_for_rust_renews_and_revokes_tokens_and_names_each_refusal() {
    let world = super::world().await;
    let client = world.tokyo.cognito_client();
    let pool = world.tokyo.cognito().create_pool(PoolSettings::default());
    let seed = SeedUser {
        username: Some("shiro".to_owned()),
        status: UserStatus::Confirmed,
        password: Some("Correct-Horse-1".to_owned()),
        ..SeedUser::default()
    };
    world.tokyo.cognito().put_user(&pool.id, seed);
    let sign_in = |password: &str| {
        let sign_in = client.initiate_auth().client_id(&pool.client_id);
        let sign_in = sign_in.auth_flow(AuthFlowType::UserPasswordAuth);
        let sign_in = sign_in.auth_parameters("USERNAME", "shiro");
        sign_in.auth_parameters("PASSWORD", password).send()
    };
    let refresh = |token: &str| {
        let refresh = client.get_tokens_from_refresh_token();
        let refresh = refresh.client_id(&pool.client_id);
        refresh.refresh_token(token).send()
    };

    let wrong = sign_in("Wrong-Horse-1").await.expect_err("refused");
    let signed_in = sign_in("Correct-Horse-1").await.expect("tokens");
    let tokens = signed_in.authentication_result().expect("tokens");
    let token = tokens.refresh_token().expect("a refresh token");
    let renewed = refresh(token).await.expect("tokens");
    let revoke = client.revoke_token().client_id(&pool.client_id);
    revoke.token(token).send().await.expect("revoked");
    let revoked = refresh(token).await.expect_err("revoked");

    assert!(wrong.into_service_error().is_not_authorized_exception());
    assert!(
        renewed
            .authentication_result()
            .is_some_and(|r| r.id_token().is_some())
    );
    assert!(revoked.into_service_error().is_not_authorized_exception());
}

#[tokio::test]
async fn a_page_of_any_origin_may_call_the_api_and_read_its_refusals() {
    let world = super::world().await;
    let request = |method: &str| {
        hyper::Request::builder()
            .method(method)
            .uri(world.tokyo.endpoint())
    };
    let asked = request("OPTIONS")
        .header("origin", "https://app.example.jp")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "x-amz-target,content-type",
        );
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let client = client.build_http::<String>();

    let preflight = client
        .request(asked.body(String::new()).expect("a request"))
        .await;
    let call = request("POST").header("x-amz-target", "AWSCognitoIdentityProviderService.GetUser");
    let body = r#"{"AccessToken":"none"}"#.to_owned();
    let refusal = client.request(call.body(body).expect("a request")).await;

    let (preflight, refusal) = (preflight.expect("an answer"), refusal.expect("an answer"));
    assert_eq!(preflight.status(), 200);
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "x-amz-target,content-type"
    );
    assert_eq!(refusal.status(), 400);
    assert_eq!(
        refusal.headers()["x-amzn-errortype"],
        "NotAuthorizedException:"
    );
    for answer in [preflight, refusal] {
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn the_public_documents_name_the_pools_own_issuer_and_keys() {
    let world = super::world().await;
    let document = |region: &Region, pool: &str, path: &str| {
        let uri = format!("{}/{pool}/.well-known/{path}", region.endpoint());
        let request = hyper::Request::builder().uri(uri);
        super::fetch(request.body(String::new()).expect("a request"))
    };

    let (_, tokyo) = document(&world.tokyo, &world.primary.id, "jwks.json").await;
    let (_, osaka) = document(&world.osaka, &world.secondary.id, "jwks.json").await;
    let (_, discovery) = document(&world.tokyo, &world.primary.id, "openid-configuration").await;
    let (missing, _) = document(&world.tokyo, "ap-northeast-1_Nobody001", "jwks.json").await;

    let numbers = |keys: &str| -> Vec<Value> {
        let keys: Value = serde_json::from_str(keys).expect("JSON");
        let keys = keys["keys"].as_array().cloned().unwrap_or_default();
        keys.into_iter().map(|key| key["n"].clone()).collect()
    };
    let (tokyo, osaka) = (numbers(&tokyo), numbers(&osaka));
    assert_eq!((tokyo.len(), osaka.len()), (2, 2));
    assert!(tokyo.iter().all(|number| !osaka.contains(number)));
    let discovery: Value = serde_json::from_str(&discovery).expect("JSON");
    let issuer = format!(
        "https://cognito-idp.ap-northeast-1.amazonaws.com/{}",
        world.primary.id
    );
    assert_eq!(discovery["issuer"], issuer);
    assert_eq!(missing, 404);
}
