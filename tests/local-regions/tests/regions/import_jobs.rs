//! Import jobs: the upload, and the log in CloudWatch Logs.

use aws_sdk_cognitoidentityprovider as cognito;
use std::convert::Infallible;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::operation::get_log_events::builders::GetLogEventsFluentBuilder as GetLogEvents;
use local_regions::cognito::ImportKnobs;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::World;

use super::{describe, fetch, world};

/// The log group of the primary pool's import jobs.
const LOG_GROUP: &str = "/aws/cognito/userpools/ap-northeast-1_Primary01/primary";
const LOG_ROLE: &str = "arn:aws:iam::123456789012:role/import-logs";

/// Imports people into the primary pool and returns the finished job.
async fn import(world: &World, role: &str, people: &[&str]) -> cognito::types::UserImportJobType {
    let client = world.tokyo.cognito_client();
    let pool = &world.primary.id;
    let header = client.get_csv_header().user_pool_id(pool).send().await;
    let header = header.expect("a header").csv_header.unwrap_or_default();
    let mut csv = header.join(",") + "\n";
    for person in people {
        let cell = |column: &String| match column.as_str() {
            "email" | "cognito:username" => *person,
            "email_verified" => "true",
            _ => "",
        };
        csv += &(header.iter().map(cell).collect::<Vec<_>>().join(",") + "\n");
    }
    let create = client.create_user_import_job().user_pool_id(pool);
    let create = create.job_name("restore").cloud_watch_logs_role_arn(role);
    let job = create.send().await.expect("a job").user_import_job;
    let job = job.expect("a job");
    let (id, url) = (
        job.job_id.expect("an id"),
        job.pre_signed_url.expect("a URL"),
    );
    let upload = hyper::Request::put(url)
        .header("x-amz-server-side-encryption", "aws:kms")
        .body(csv);
    assert_eq!(fetch(upload.expect("valid")).await.0, 200);
    let start = client.start_user_import_job().user_pool_id(pool);
    start.job_id(&id).send().await.expect("started");
    loop {
        let job = client.describe_user_import_job().user_pool_id(pool);
        let job = job.job_id(&id).send().await.expect("described");
        let job = job.user_import_job.expect("a job");
        if job.completion_date.is_some() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A page of a job's log: its lines, and the token of the next page.
async fn log_page(
    world: &World,
    job: &cognito::types::UserImportJobType,
    turn: impl FnOnce(GetLogEvents) -> GetLogEvents,
) -> Result<(Vec<String>, String), String> {
    let get = world.tokyo.logs_client().get_log_events();
    let stream = format!(
        "{}/{}",
        job.job_id().unwrap_or_default(),
        job.job_name().unwrap_or_default()
    );
    let page = turn(get.log_group_name(LOG_GROUP).log_stream_name(stream));
    let page = page.send().await.map_err(|error| describe(&error))?;
    let lines = page.events().iter().filter_map(|event| event.message());
    Ok((
        lines.map(str::to_owned).collect(),
        page.next_forward_token.expect("never absent"),
    ))
}

#[tokio::test]
async fn an_import_jobs_log_is_read_page_by_page_until_the_token_repeats() {
    let world = world().await;
    let people = ["a@example.jp", "b@example.jp", "A@example.jp"];
    let job = import(&world, LOG_ROLE, &people).await;

    let head = |get: GetLogEvents| get.start_from_head(true).limit(2);
    let (first, token) = log_page(&world, &job, head).await.expect("a page");
    let (second, token) = log_page(&world, &job, |get| head(get).next_token(token))
        .await
        .expect("a page");
    let (third, repeated) = log_page(&world, &job, |get| head(get).next_token(&token))
        .await
        .expect("a page");
    let (latest, _) = log_page(&world, &job, |get| get.limit(2))
        .await
        .expect("a page");

    let succeeded = |line| format!("[SUCCEEDED] Line Number {line} - The import succeeded.");
    let skipped = "[SKIPPED] Line Number 3 - The user already exists.";
    assert_eq!(first, [succeeded(1), succeeded(2)]);
    assert_eq!(second, [skipped]);
    assert_eq!((third, repeated), (Vec::new(), token));
    assert_eq!(latest, [succeeded(2), skipped.to_owned()]);
    let streams = world.tokyo.logs_client().describe_log_streams();
    let streams = streams.log_group_name(LOG_GROUP).send().await;
    let streams = streams.expect("streams");
    let names: Vec<_> = streams
        .log_streams()
        .iter()
        .filter_map(|stream| stream.log_stream_name())
        .collect();
    assert_eq!(names, [format!("{}/restore", job.job_id().expect("an id"))]);
    let calls = world.calls();
    let last = calls.last().expect("a call");
    assert_eq!(
        (
            last.service,
            last.operation.as_str(),
            last.resource.as_str()
        ),
        (Service::Logs, "DescribeLogStreams", LOG_GROUP)
    );
}

#[tokio::test]
async fn requests_for_missing_logs_or_with_invalid_parameters_are_rejected() {
    let world = world().await;
    let job = import(&world, LOG_ROLE, &["a@example.jp"]).await;
    let refused = async |turn: fn(GetLogEvents) -> GetLogEvents| {
        log_page(&world, &job, turn).await.expect_err("refused")
    };

    let stream = refused(|get| get.log_stream_name("import-0/other")).await;
    let group = refused(|get| get.log_group_name("/aws/cognito/userpools/x_y/z")).await;
    let token = refused(|get| get.next_token("t").start_from_head(true)).await;
    let backwards = refused(|get| get.next_token("f/0/s")).await;
    let many = refused(|get| get.limit(10_001)).await;
    let range = refused(|get| get.start_time(0)).await;
    let fault = Fault::on(Service::Logs, "GetLogEvents", Kind::Throttle);
    world.tokyo.faults().add(fault.times(9));
    let throttled = refused(|get| get).await;

    let not_found = "400 ResourceNotFoundException";
    assert_eq!([stream, group], [not_found, not_found]);
    let invalid = "400 InvalidParameterException";
    assert_eq!([token, backwards, many, range], [invalid; 4]);
    assert_eq!(throttled, "400 ThrottlingException");
}

#[tokio::test]
async fn a_log_can_appear_long_after_the_end_of_the_job() {
    let world = world().await;
    let cognito = world.tokyo.cognito();
    cognito.knobs().set_import(ImportKnobs {
        log_lag: Some(Duration::from_secs(60)),
        ..ImportKnobs::default()
    });
    let job = import(&world, LOG_ROLE, &["a@example.jp"]).await;

    let early = log_page(&world, &job, |get| get).await;
    cognito.advance(Duration::from_secs(61));
    let late = log_page(&world, &job, |get| get).await;

    assert_eq!(
        early.expect_err("too early"),
        "400 ResourceNotFoundException"
    );
    assert_eq!(late.expect("there").0.len(), 1);
}

#[tokio::test]
async fn a_job_with_a_log_role_of_another_account_fails_and_imports_nobody() {
    let world = world().await;

    let role = "arn:aws:iam::999999999999:role/import-logs";
    let job = import(&world, role, &["a@example.jp"]).await;

    assert_eq!(
        job.status(),
        Some(&cognito::types::UserImportJobStatusType::Failed)
    );
    assert!(world.tokyo.cognito().users(&world.primary.id).is_empty());
    let log = log_page(&world, &job, |get| get).await;
    assert_eq!(log.expect_err("no log"), "400 ResourceNotFoundException");
}

#[tokio::test]
async fn an_upload_without_its_length_is_rejected() {
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use hyper_util::client::legacy::Client;
    let world = world().await;
    let client = world.tokyo.cognito_client().create_user_import_job();
    let create = client
        .user_pool_id(&world.primary.id)
        .job_name("restore")
        .cloud_watch_logs_role_arn(LOG_ROLE);
    let job = create.send().await.expect("a job").user_import_job;
    let url = job.and_then(|job| job.pre_signed_url).expect("a URL");
    let put = async |length: Option<usize>| {
        let request = hyper::Request::put(&url).header("x-amz-server-side-encryption", "aws:kms");
        let request = match length {
            Some(length) => request.header("content-length", length),
            None => request,
        };
        let frames =
            ["one,", "two"].map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let answer = client.request(request.body(body).expect("valid")).await;
        answer.expect("an answer").status().as_u16()
    };

    assert_eq!(put(None).await, 411);
    assert_eq!(put(Some(7)).await, 200);
}
