//! The local regions as real SDK clients see them.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::operation::get_log_events::builders::GetLogEventsFluentBuilder as GetLogEvents;
use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_cognitoidentityprovider::config::Credentials;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_s3 as s3;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_wafv2::types::{AllowAction, BlockAction, DefaultAction, Scope};
use local::cognito::{ImportKnobs, SeedUser, UserStatus};
use local::faults::{Fault, Kind, Service};
use local::lambda::Function;
use local::region::{ACCESS_KEY_ID, Loss, Region};
use local::schedule::ScheduleOptions;
use local::world::{
    BACKUP_TRIGGER, BACKUP_WORKER, OUTBOX, REPLICATE_TRIGGER, SNAPSHOTS, World, WorldOptions,
};
use serde_json::{Value, json};

/// The log group of the primary pool's import jobs.
const LOG_GROUP: &str = "/aws/cognito/userpools/ap-northeast-1_Primary01/primary";
const LOG_ROLE: &str = "arn:aws:iam::123456789012:role/import-logs";

async fn world() -> World {
    World::start(WorldOptions {
        functions: false,
        ..WorldOptions::default()
    })
    .await
    .expect("both regions start")
}

/// Clients that try once and wait two seconds, to see what one call meets.
fn two_seconds() -> TimeoutConfig {
    let timeout = TimeoutConfig::builder();
    timeout.operation_timeout(Duration::from_secs(2)).build()
}

fn s3_once(region: &Region) -> s3::Client {
    let config = region.s3_client().config().to_builder();
    s3::Client::from_conf(
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(two_seconds())
            .build(),
    )
}

fn cognito_once(region: &Region) -> cognito::Client {
    let config = region.cognito_client().config().to_builder();
    cognito::Client::from_conf(
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(two_seconds())
            .build(),
    )
}

async fn put(client: &s3::Client, bucket: &str, key: &str, body: &str) {
    client
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(ByteStream::from(body.to_owned().into_bytes()))
        .send()
        .await
        .expect("stored");
}

#[tokio::test]
async fn a_signed_call_is_served_by_the_region_it_is_signed_for() {
    let world = world().await;
    let config = world.osaka.cognito_client().config().to_builder();
    let through_tokyo =
        cognito::Client::from_conf(config.endpoint_url(world.tokyo.endpoint()).build());

    let pool = through_tokyo
        .describe_user_pool()
        .user_pool_id(&world.secondary.id)
        .send()
        .await
        .expect("the pool of Osaka");

    assert_eq!(
        pool.user_pool().and_then(|pool| pool.id()),
        Some(world.secondary.id.as_str())
    );
    let calls = world.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (
            calls[0].region.as_str(),
            calls[0].operation.as_str(),
            calls[0].resource.as_str()
        ),
        (
            "ap-northeast-3",
            "DescribeUserPool",
            world.secondary.id.as_str()
        )
    );
}

#[tokio::test]
async fn an_unsigned_call_belongs_to_the_listeners_region() {
    let world = world().await;

    let sign_up = |region: &Region, client_id: &str| {
        let call = region.cognito_client().sign_up().client_id(client_id);
        call.username("taro@example.jp")
            .password("Correct-horse-1")
            .send()
    };
    let here = sign_up(&world.osaka, &world.secondary.client_id).await;
    let there = sign_up(&world.osaka, &world.primary.client_id).await;

    assert!(here.is_ok(), "{here:?}");
    let error = there.expect_err("no such client in Osaka");
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_wrong_key_or_a_missing_signature_is_refused() {
    let world = world().await;
    let with = |id: &str, secret: &str| {
        let config = world.tokyo.cognito_client().config().to_builder();
        let key = Credentials::new(id, secret, None, None, "test");
        cognito::Client::from_conf(config.credentials_provider(key).build())
    };
    let code = |client: cognito::Client| async move {
        let error = client.list_user_pools().max_results(1).send().await;
        error.expect_err("refused").code().map(str::to_owned)
    };

    assert_eq!(
        code(with(ACCESS_KEY_ID, "wrong")).await.as_deref(),
        Some("InvalidSignatureException")
    );
    assert_eq!(
        code(with("AKIAUNKNOWN", "wrong")).await.as_deref(),
        Some("UnrecognizedClientException")
    );
    let unsigned = hyper::Request::post(world.tokyo.endpoint())
        .header(
            "x-amz-target",
            "AWSCognitoIdentityProviderService.ListUserPools",
        )
        .body("{}".to_owned());
    let (status, body) = fetch(unsigned.expect("valid")).await;
    assert_eq!(status, 400);
    assert!(
        body.contains("MissingAuthenticationTokenException"),
        "{body}"
    );

    let config = world.tokyo.s3_client().config().to_builder();
    let key = Credentials::new(ACCESS_KEY_ID, "wrong", None, None, "test");
    let client = s3::Client::from_conf(config.credentials_provider(key).build());
    let error = client.list_objects_v2().bucket(OUTBOX).send().await;
    assert_eq!(
        error.expect_err("refused").code(),
        Some("SignatureDoesNotMatch")
    );
}

#[tokio::test]
async fn a_bucket_is_only_in_its_own_region() {
    let world = world().await;

    let put = world
        .osaka
        .s3_client()
        .put_object()
        .bucket(OUTBOX)
        .key("k")
        .send()
        .await;

    assert_eq!(put.expect_err("refused").code(), Some("NoSuchBucket"));
    assert!(world.osaka.s3().keys(OUTBOX, "").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_that_want_a_new_object_one_wins() {
    let world = world().await;
    let writers = (0..24).map(|n| {
        let client = world.osaka.s3_client();
        tokio::spawn(async move {
            let put = client.put_object().bucket(SNAPSHOTS).key("lease.json");
            let body = ByteStream::from(format!("writer {n}").into_bytes());
            put.if_none_match("*").body(body).send().await
        })
    });

    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(e) => assert_eq!(e.code(), Some("PreconditionFailed")),
        }
    }

    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_that_replace_one_version_one_wins() {
    let world = world().await;
    let client = world.osaka.s3_client();
    put(&client, SNAPSHOTS, "latest.json", "old").await;
    let head = client.head_object().bucket(SNAPSHOTS).key("latest.json");
    let etag = head.send().await.expect("there").e_tag.expect("an ETag");
    let writers = (0..24).map(|n| {
        let put = client.put_object().bucket(SNAPSHOTS).key("latest.json");
        let body = ByteStream::from(format!("writer {n}").into_bytes());
        tokio::spawn(put.if_match(&etag).body(body).send())
    });

    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(e) => assert_eq!(e.code(), Some("PreconditionFailed")),
        }
    }

    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_condition_on_an_object_that_is_not_there_fails() {
    let world = world().await;
    let client = world.osaka.s3_client();

    let put = client.put_object().bucket(SNAPSHOTS).key("k");
    let put = put.if_match("\"0123\"").send().await;
    let delete = client.delete_object().bucket(SNAPSHOTS).key("k");
    let delete = delete.if_match("\"0123\"").send().await;
    let unconditional = client.delete_object().bucket(SNAPSHOTS).key("k");

    assert_eq!(describe(&put.expect_err("refused")), "404 NoSuchKey");
    assert_eq!(describe(&delete.expect_err("refused")), "404 NoSuchKey");
    assert!(unconditional.send().await.is_ok());
}

#[tokio::test]
async fn a_conditional_delete_leaves_another_version_alone() {
    let world = world().await;
    let client = world.osaka.s3_client();
    put(&client, SNAPSHOTS, "k", "v").await;

    let delete = client.delete_object().bucket(SNAPSHOTS).key("k");
    let error = delete
        .if_match("\"0123\"")
        .send()
        .await
        .expect_err("refused");

    assert_eq!(error.code(), Some("PreconditionFailed"));
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, ""), ["k"]);
}

#[tokio::test]
async fn objects_are_listed_in_order_with_a_truthful_time() {
    let world = world().await;
    let client = world.osaka.s3_client();
    for key in ["b/2", "a", "b/10", "c"] {
        put(&client, SNAPSHOTS, key, "v").await;
    }

    let list = client.list_objects_v2().bucket(SNAPSHOTS).prefix("b/");
    let list = list.send().await.expect("a list");

    let keys: Vec<_> = list.contents().iter().filter_map(|o| o.key()).collect();
    assert_eq!(keys, ["b/10", "b/2"]);
    let modified = list.contents()[0].last_modified().expect("a time");
    let now = jiff::Timestamp::now().as_second();
    assert!((0..5).contains(&(now - modified.secs())));
    assert_eq!(modified.subsec_nanos(), 0);
}

#[tokio::test]
async fn a_multipart_upload_becomes_one_object() {
    let world = world().await;
    let client = world.osaka.s3_client();
    let create = client
        .create_multipart_upload()
        .bucket(SNAPSHOTS)
        .key("big");
    let upload = create
        .send()
        .await
        .expect("an upload")
        .upload_id
        .expect("an id");
    let part = "x".repeat(5 << 20);
    let mut parts = s3::types::CompletedMultipartUpload::builder();
    for (number, body) in [(1, part.as_str()), (2, "end")] {
        let put = client
            .upload_part()
            .bucket(SNAPSHOTS)
            .key("big")
            .upload_id(&upload);
        let body = ByteStream::from(body.to_owned().into_bytes());
        let part = put
            .part_number(number)
            .body(body)
            .send()
            .await
            .expect("a part");
        let done = s3::types::CompletedPart::builder().part_number(number);
        parts = parts.parts(done.set_e_tag(part.e_tag).build());
    }
    let complete = client
        .complete_multipart_upload()
        .bucket(SNAPSHOTS)
        .key("big");
    let complete = complete.upload_id(&upload).multipart_upload(parts.build());

    complete.if_none_match("*").send().await.expect("complete");

    let object = world.osaka.s3().object(SNAPSHOTS, "big").expect("there");
    assert_eq!(object.len(), (5 << 20) + 3);
}

#[tokio::test]
async fn an_object_is_copied_with_its_content_and_recorded_where_it_goes() {
    let world = world().await;
    let client = world.osaka.s3_client();
    put(&client, SNAPSHOTS, "journal/sign-up/a+東.json", "record").await;
    let copy = |from: &str| {
        let copy = client.copy_object().bucket(SNAPSHOTS);
        let copy = copy.copy_source(format!("{SNAPSHOTS}/{from}"));
        copy.key("journal/restored/sign-up/a+東.json").send()
    };

    let absent = copy("journal/sign-up/b.json").await.expect_err("refused");
    let source = "journal/sign-up/a%2B%E6%9D%B1.json";
    copy(source).await.expect("copied");

    assert_eq!(describe(&absent), "404 NoSuchKey");
    let keys = world.osaka.s3().keys(SNAPSHOTS, "");
    let target = "journal/restored/sign-up/a+東.json";
    assert_eq!(keys, [target, "journal/sign-up/a+東.json"]);
    let object = world.osaka.s3().object(SNAPSHOTS, target);
    assert_eq!(object.as_deref(), Some(&b"record"[..]));
    let calls = world.calls();
    let last = calls.last().expect("a call");
    assert_eq!(last.operation, "CopyObject");
    assert_eq!(last.resource, format!("{SNAPSHOTS}/{target}"));
}

#[tokio::test]
async fn a_presigned_url_needs_no_key() {
    let world = world().await;
    let client = world.osaka.s3_client();
    put(&client, SNAPSHOTS, "k", "content").await;
    let hour = s3::presigning::PresigningConfig::expires_in(Duration::from_secs(3600));
    let get = client.get_object().bucket(SNAPSHOTS).key("k");
    let url = get.presigned(hour.expect("valid")).await.expect("a URL");

    let get = |url: String| fetch(hyper::Request::get(url).body(String::new()).expect("valid"));
    let (status, body) = get(url.uri().to_owned()).await;
    let (refused, _) = get(url.uri().replace("Expires=3600", "Expires=3601")).await;

    assert_eq!((status, body.as_str()), (200, "content"));
    assert_eq!(refused, 403);
}

async fn fetch(request: hyper::Request<String>) -> (u16, String) {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    (
        status,
        String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    )
}

/// What S3 client and Cognito client see of a fault.
async fn meets(kind: Kind) -> (String, String) {
    let world = world().await;
    for service in [Service::S3, Service::Cognito] {
        world.tokyo.faults().add(Fault::of(service, kind.clone()));
    }
    let list = s3_once(&world.tokyo).list_objects_v2().bucket(OUTBOX);
    let list = list.send().await.expect_err("a fault");
    let pools = cognito_once(&world.tokyo).list_user_pools().max_results(1);
    let pools = pools.send().await.expect_err("a fault");
    (describe(&list), describe(&pools))
}

fn describe<E: ProvideErrorMetadata>(
    error: &s3::error::SdkError<E, s3::config::http::HttpResponse>,
) -> String {
    use s3::error::SdkError;
    match error {
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "dispatch".to_owned(),
        SdkError::ResponseError(_) => "response".to_owned(),
        SdkError::ServiceError(e) => {
            let status = e.raw().status().as_u16();
            format!("{status} {}", e.err().code().unwrap_or("unhandled"))
        }
        _ => "other".to_owned(),
    }
}

fn both(what: &str) -> (String, String) {
    (what.to_owned(), what.to_owned())
}

#[tokio::test]
async fn a_call_that_hangs_times_out() {
    assert_eq!(meets(Kind::Hang).await, both("timeout"));
}

#[tokio::test]
async fn a_call_that_is_refused_has_no_connection() {
    assert_eq!(meets(Kind::Refuse).await, both("dispatch"));
}

#[tokio::test]
async fn a_throttled_call_is_told_so_as_each_service_does() {
    let throttled = ("503 SlowDown", "400 TooManyRequestsException");
    let (s3, cognito) = meets(Kind::Throttle).await;
    assert_eq!((s3.as_str(), cognito.as_str()), throttled);
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    assert_eq!(meets(Kind::Reset).await, both("response"));
}

#[tokio::test]
async fn a_call_that_loses_its_answer_was_served() {
    let world = world().await;
    let reset = Fault::on(Service::S3, "PutObject", Kind::Reset);
    world.tokyo.faults().add(reset.times(1));

    let put = s3_once(&world.tokyo).put_object().bucket(OUTBOX).key("k");
    let lost = put.send().await;

    assert!(lost.is_err());
    assert_eq!(world.tokyo.s3().keys(OUTBOX, ""), ["k"]);
}

#[tokio::test]
async fn rubbish_is_no_answer() {
    let (s3, cognito) = meets(Kind::Rubbish).await;
    assert_eq!(
        (s3.as_str(), cognito.as_str()),
        ("200 unhandled", "response")
    );
}

#[tokio::test]
async fn an_error_comes_as_it_was_asked_for() {
    let error = Kind::Error {
        status: 500,
        code: "InternalErrorException".to_owned(),
        message: "sorry".to_owned(),
    };
    assert_eq!(meets(error).await, both("500 InternalErrorException"));
}

#[tokio::test]
async fn a_conflict_of_conditional_writes_is_told_as_s3_does() {
    let world = world().await;
    let conflict = Kind::Error {
        status: 409,
        code: "ConditionalRequestConflict".to_owned(),
        message: "The conditional request cannot succeed due to a conflicting operation against this resource."
            .to_owned(),
    };
    let fault = Fault::on(Service::S3, "PutObject", conflict);
    world.osaka.faults().add(fault);

    let put = s3_once(&world.osaka).put_object().bucket(SNAPSHOTS);
    let refused = put.key("k").if_none_match("*").send().await;

    let refused = refused.expect_err("a fault");
    assert_eq!(describe(&refused), "409 ConditionalRequestConflict");
    assert!(world.osaka.s3().keys(SNAPSHOTS, "").is_empty());
}

#[tokio::test]
async fn an_answer_comes_as_it_was_asked_for() {
    let world = world().await;
    let answer = json!({ "UserPoolId": world.primary.id, "CSVHeader": ["name"] });
    let fault = Fault::on(Service::Cognito, "GetCSVHeader", Kind::Answer(answer));
    world.tokyo.faults().add(fault.times(1));
    let client = world.tokyo.cognito_client();
    let header = || async {
        let header = client.get_csv_header().user_pool_id(&world.primary.id);
        header
            .send()
            .await
            .expect("a header")
            .csv_header
            .expect("columns")
    };

    assert_eq!(header().await, ["name"]);
    assert!(header().await.len() > 1);
}

#[tokio::test]
async fn a_delayed_call_is_served_late_and_the_next_one_at_once() {
    let world = world().await;
    let delay = Kind::Delay(Duration::from_secs(2));
    let fault = Fault::on(Service::S3, "ListObjectsV2", delay)
        .after(1)
        .times(1);
    world.tokyo.faults().add(fault);
    let client = world.tokyo.s3_client();

    let mut took = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        client
            .list_objects_v2()
            .bucket(OUTBOX)
            .send()
            .await
            .expect("a list");
        took.push(start.elapsed() >= Duration::from_secs(2));
    }

    assert_eq!(took, [false, true, false]);
}

#[tokio::test]
async fn a_lost_region_is_lost_for_everybody_until_it_is_restored() {
    let world = world().await;
    let osaka = cognito_once(&world.osaka);
    let pools = || osaka.list_user_pools().max_results(1).send();

    world.osaka.lose(Loss::Refuse);
    let refused = pools().await.expect_err("lost");
    world.osaka.lose(Loss::Hang);
    let hung = pools().await.expect_err("lost");
    let tokyo = cognito_once(&world.tokyo).list_user_pools().max_results(1);
    let elsewhere = tokyo.send().await;
    world.osaka.restore();

    assert_eq!(describe(&refused), "dispatch");
    assert_eq!(describe(&hung), "timeout");
    assert!(elsewhere.is_ok());
    assert!(pools().await.is_ok());
}

#[tokio::test]
async fn a_closed_fence_stops_people_and_not_the_operator() {
    let world = world().await;
    let client = world.osaka.cognito_client();
    let app = &world.secondary.client_id;
    let sign_up = || {
        let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
        sign_up.password("Correct-horse-1").send()
    };
    let forgot = client.forgot_password().client_id(app);
    let pool = &world.secondary.id;
    let hanako = SeedUser {
        attributes: [("email".to_owned(), "hanako@example.jp".to_owned())].into(),
        ..SeedUser::default()
    };
    let hanako = world.osaka.cognito().put_user(pool, hanako);

    world.osaka.close_fence();
    let signed_up = sign_up().await.expect_err("fenced");
    let forgotten = forgot.username("hanako@example.jp").send().await;
    let user = client.admin_get_user().user_pool_id(pool).username(&hanako);
    let user = user.send().await;
    world.osaka.open_fence();

    assert_eq!(describe(&signed_up), "403 ForbiddenException");
    let forgotten = forgotten.expect_err("fenced");
    assert_eq!(describe(&forgotten), "403 ForbiddenException");
    assert_eq!(user.expect("served").username(), hanako);
    assert!(sign_up().await.is_ok());
}

/// Changes the default action of the fence in Osaka as an operator would.
async fn set_fence(world: &World, action: &str, lock_token: Option<String>) -> Result<(), String> {
    let client = world.osaka.waf_client();
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = client.get_web_acl_for_resource().resource_arn(arn);
    let acl = acl.send().await.map_err(|error| describe(&error))?.web_acl;
    let acl = acl.expect("a fence");
    let get = client.get_web_acl().name(&acl.name).id(&acl.id);
    let get = get.scope(Scope::Regional).send().await;
    let token = get.map_err(|error| describe(&error))?.lock_token;
    let default = match action {
        "allow" => DefaultAction::builder().allow(AllowAction::builder().build()),
        _ => DefaultAction::builder().block(BlockAction::builder().build()),
    };
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .default_action(default.build())
        .set_description(acl.description)
        .set_rules(acl.rules)
        .set_visibility_config(acl.visibility_config)
        .set_lock_token(lock_token.or(token));
    let updated = update.send().await;
    updated.map(drop).map_err(|error| describe(&error))
}

#[tokio::test]
async fn the_fence_is_closed_and_opened_by_its_default_action() {
    let world = world().await;
    let client = world.osaka.cognito_client();
    let pool = &world.secondary.id;
    let sign_up = async |name: &str| {
        let sign_up = client.sign_up().client_id(&world.secondary.client_id);
        let sign_up = sign_up.username(name).password("Correct-horse-1");
        let answer = sign_up.send().await.map_err(|error| describe(&error));
        answer.map(drop)
    };

    set_fence(&world, "block", None).await.expect("closed");
    let closed = sign_up("a@example.jp").await;
    let users = client.list_users().user_pool_id(pool).send().await;
    set_fence(&world, "allow", None).await.expect("opened");
    let open = sign_up("a@example.jp").await;
    world.osaka.waf().set_propagation(Duration::from_secs(1));
    set_fence(&world, "block", None).await.expect("closed");
    let soon = sign_up("b@example.jp").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let later = sign_up("c@example.jp").await;

    assert_eq!(closed.expect_err("fenced"), "403 ForbiddenException");
    assert!(users.is_ok());
    assert_eq!((open, soon), (Ok(()), Ok(())));
    assert_eq!(later.expect_err("fenced"), "403 ForbiddenException");
    let named = |call: &local::region::RecordedCall| call.operation == "UpdateWebACL";
    let calls = world.calls();
    let updates = calls.iter().filter(|call| named(call));
    assert!(updates.clone().all(|call| call.service == Service::Waf));
    assert_eq!(updates.count(), 3);
}

#[tokio::test]
async fn a_session_and_a_token_are_fenced_as_their_pool_is() {
    let world = world().await;
    let region = &world.osaka;
    let attributes = [("email", "a@example.jp"), ("email_verified", "true")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let user = SeedUser {
        attributes: attributes.into(),
        password: Some("Correct-horse-1".to_owned()),
        ..SeedUser::default()
    };
    region.cognito().put_user(&world.secondary.id, user);
    let client = region.cognito_client();
    let sign_in = client.initiate_auth().client_id(&world.secondary.client_id);
    let sign_in = sign_in
        .auth_flow(cognito::types::AuthFlowType::UserPasswordAuth)
        .auth_parameters("USERNAME", "a@example.jp")
        .auth_parameters("PASSWORD", "Correct-horse-1");
    let session = sign_in.send().await.expect("a challenge").session;

    region.close_fence();
    let associate = client.associate_software_token().set_session(session);
    let fenced = associate.clone().send().await.expect_err("fenced");
    region.open_fence();

    assert_eq!(describe(&fenced), "403 ForbiddenException");
    assert!(associate.send().await.is_ok());
}

#[tokio::test]
async fn a_web_acl_is_replaced_as_a_whole() {
    let world = world().await;
    let client = world.osaka.waf_client();
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = client.get_web_acl_for_resource().resource_arn(arn);
    let acl = acl.send().await.expect("served").web_acl.expect("a fence");
    let get = async || {
        let get = client.get_web_acl().arn(acl.arn()).send().await;
        get.expect("served")
    };
    let allow = DefaultAction::builder().allow(AllowAction::builder().build());
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .default_action(allow.build())
        .set_visibility_config(acl.visibility_config.clone())
        .token_domains("example.jp")
        .set_lock_token(get().await.lock_token);
    update.send().await.expect("updated");

    let after = get().await.web_acl.expect("still there");
    assert!(acl.description.is_some() && !acl.rules().is_empty());
    assert!(after.description.is_none() && after.rules().is_empty());
    assert_eq!(after.token_domains(), ["example.jp"]);
    assert_eq!((after.id, after.capacity > 0), (acl.id, true));
}

#[tokio::test]
async fn a_web_acl_says_no_to_what_is_stale_unknown_or_not_there() {
    let world = world().await;
    let client = world.osaka.waf_client();
    let of = |arn: &str| client.get_web_acl_for_resource().resource_arn(arn).send();
    let pool = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = of(&pool).await.expect("served").web_acl.expect("a fence");
    let stale = "00000000-0000-0000-0000-000000000000".to_owned();

    let stale = set_fence(&world, "block", Some(stale)).await;
    let nowhere = of(&format!("{pool}x")).await.expect_err("refused");
    let get = client
        .get_web_acl()
        .name(&acl.name)
        .id(&acl.id)
        .send()
        .await;
    let cloudfront = client.list_web_acls().scope(Scope::Cloudfront).send().await;
    let list = client.list_web_acls().scope(Scope::Regional).send().await;
    let bare = world.tokyo.waf_client().get_web_acl_for_resource();
    let bare = bare.resource_arn(world.tokyo.cognito().pool_arn(&world.primary.id));

    assert_eq!(stale.expect_err("stale"), "400 WAFOptimisticLockException");
    assert_eq!(describe(&nowhere), "400 WAFNonexistentItemException");
    let invalid = "400 WAFInvalidParameterException";
    assert_eq!(describe(&get.expect_err("refused")), invalid);
    assert_eq!(describe(&cloudfront.expect_err("refused")), invalid);
    assert_eq!(list.expect("listed").web_acls().len(), 1);
    assert!(bare.send().await.expect("served").web_acl.is_none());
    let rules = acl.rules.expect("rules");
    let statement = rules[0].statement.as_ref().expect("a statement");
    let or = statement.or_statement.as_ref().expect("a list");
    let first = or.statements()[0].byte_match_statement();
    let first = first.expect("an operation").search_string().as_ref();
    assert_eq!(
        std::str::from_utf8(first),
        Ok("AWSCognitoIdentityProviderService.AddCustomAttributes")
    );
}

#[tokio::test]
async fn a_trigger_that_is_attached_by_its_arn_runs() {
    let world = world().await;
    let region = &world.tokyo;
    region.lambda().create_function(Function {
        name: "attached".to_owned(),
        binary: local::example("function").expect("it builds"),
        env: [("LOG_EVENTS".to_owned(), "1".to_owned())].into(),
        timeout: Duration::from_secs(5),
        concurrency: 10,
    });
    let client = region.cognito_client();
    let triggers = cognito::types::LambdaConfigType::builder();
    let triggers = triggers.post_confirmation(region.lambda().arn("attached"));
    let update = client.update_user_pool().user_pool_id(&world.primary.id);
    let update = update.lambda_config(triggers.build()).send().await;
    update.expect("updated");

    let app = &world.primary.client_id;
    let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
    let sign_up = sign_up.password("Correct-horse-1").send().await;
    sign_up.expect("signed up");
    let confirm = client.admin_confirm_sign_up();
    let confirm = confirm.user_pool_id(&world.primary.id);
    let confirm = confirm.username("taro@example.jp").send().await;

    // The function's answer is not the event.
    let error = confirm.expect_err("the function ran");
    assert_eq!(describe(&error), "400 InvalidLambdaResponseException");
    assert_eq!(world.log(region, "attached").lines().count(), 1);
}

#[tokio::test]
async fn a_trigger_that_never_answers_is_tried_three_times_and_the_user_is_confirmed() {
    let world = world().await;
    let logged = || world.log(&world.tokyo, "slow").lines().count();
    world.tokyo.lambda().create_function(Function {
        name: "slow".to_owned(),
        binary: local::example("function").expect("it builds"),
        env: [("LOG_EVENTS", "1"), ("SLEEP_MS", "60000")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        timeout: Duration::from_secs(60),
        concurrency: 10,
    });
    let cognito = world.tokyo.cognito();
    cognito.set_post_confirmation(&world.primary.id, "slow");
    let client = world.tokyo.cognito_client();
    let app = &world.primary.client_id;
    let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
    let sign_up = sign_up.password("Correct-horse-1").send().await;
    sign_up.expect("signed up");
    let code = cognito.codes_sent_to("taro@example.jp").pop();
    let confirm = client.confirm_sign_up().client_id(app);
    let confirm = confirm.username("taro@example.jp");
    let start = Instant::now();

    let confirmed = confirm.set_confirmation_code(code).send().await;

    let error = confirmed.expect_err("no answer of the trigger");
    assert_eq!(describe(&error), "400 UnexpectedLambdaException");
    assert!(start.elapsed() >= Duration::from_secs(15));
    assert_eq!(logged(), 3);
    let user = cognito.user(&world.primary.id, "taro@example.jp");
    assert_eq!(user.map(|user| user.status), Some(UserStatus::Confirmed));
}

fn worker(world: &World) {
    world.osaka.lambda().create_function(Function {
        name: BACKUP_WORKER.to_owned(),
        binary: local::example("function").expect("it builds"),
        env: [("LOG_EVENTS".to_owned(), "1".to_owned())].into(),
        timeout: Duration::from_secs(10),
        concurrency: 10,
    });
}

/// The events that the worker has seen, once there are so many.
async fn events(world: &World, at_least: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let log = world.log(&world.osaka, BACKUP_WORKER);
        let events: Vec<Value> = log
            .lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect();
        if events.len() >= at_least || start.elapsed() > Duration::from_secs(20) {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn scheduled(change: impl FnOnce(&mut ScheduleOptions)) -> World {
    let mut schedule = ScheduleOptions {
        tick: Duration::from_secs(3600),
        duplicates: 0.0,
        delay: Duration::ZERO,
        retry_pause: Duration::from_millis(100),
        ..ScheduleOptions::default()
    };
    change(&mut schedule);
    let world = World::start(WorldOptions {
        functions: false,
        schedule: Some(schedule),
        ..WorldOptions::default()
    });
    let world = world.await.expect("both regions start");
    worker(&world);
    world
}

#[tokio::test]
async fn a_created_object_wakes_the_worker() {
    let world = scheduled(|_| {}).await;
    let client = world.osaka.s3_client();

    put(&client, SNAPSHOTS, "journal/password-reset/x.json", "{}").await;
    put(&client, SNAPSHOTS, "journal/sign-up/a b@c.json", "{}").await;

    let events = events(&world, 1).await;
    assert_eq!(events.len(), 1);
    let record = &events[0]["Records"][0];
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["awsRegion"], "ap-northeast-3");
    assert_eq!(record["s3"]["bucket"]["name"], SNAPSHOTS);
    assert_eq!(
        record["s3"]["object"]["key"],
        "journal/sign-up/a+b%40c.json"
    );
    assert_eq!(record["s3"]["object"]["size"], 2);
}

#[tokio::test]
async fn some_notifications_come_twice() {
    let world = scheduled(|schedule| schedule.duplicates = 1.0).await;

    put(
        &world.osaka.s3_client(),
        SNAPSHOTS,
        "journal/sign-up/a.json",
        "{}",
    )
    .await;

    assert_eq!(events(&world, 2).await.len(), 2);
}

#[tokio::test]
async fn the_tick_comes_again_and_again_and_waits_while_the_region_is_lost() {
    let world = scheduled(|schedule| schedule.tick = Duration::from_millis(200)).await;
    let before = events(&world, 2).await;
    assert_eq!(before[0], json!({ "action": "tick" }));

    world.osaka.lose(Loss::Hang);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let lost = events(&world, 0).await.len();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(events(&world, 0).await.len(), lost);

    world.osaka.restore();
    assert!(events(&world, lost + 1).await.len() > lost);
}

#[tokio::test]
async fn a_failed_event_is_tried_twice_more() {
    let world = scheduled(|_| {}).await;
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "FAIL", "always");

    put(
        &world.osaka.s3_client(),
        SNAPSHOTS,
        "journal/sign-up/a.json",
        "{}",
    )
    .await;

    assert_eq!(events(&world, 3).await.len(), 3);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(events(&world, 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_are_attached_to_their_pools() {
    let world = World::start(WorldOptions::default()).await;
    let world = world.expect("both regions start");
    for (region, pool, person) in [
        (&world.tokyo, &world.primary, "taro@example.jp"),
        (&world.osaka, &world.secondary, "hanako@example.jp"),
    ] {
        let client = region.cognito_client();
        let sign_up = client.sign_up().client_id(&pool.client_id).username(person);
        let sign_up = sign_up.password("Correct-horse-1").send().await;
        sign_up.expect("signed up");
        let code = region
            .cognito()
            .codes_sent_to(person)
            .pop()
            .expect("a code");
        let confirm = client.confirm_sign_up().client_id(&pool.client_id);
        let confirm = confirm.username(person).confirmation_code(code);
        confirm.send().await.expect("confirmed");
    }

    let twin = world
        .osaka
        .cognito()
        .user(&world.secondary.id, "taro@example.jp");
    let log = world.log(&world.tokyo, REPLICATE_TRIGGER);
    assert!(twin.is_some(), "{log}");
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/sign-up/");
    let log = world.log(&world.osaka, BACKUP_TRIGGER);
    assert_eq!(journal.len(), 1, "{log}");
}

/// Runs an import job of people into the primary pool to its end.
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

/// A page of a job's log: the lines, and the token of the next page.
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
async fn a_log_says_no_to_what_is_not_there_or_not_asked_for_properly() {
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
async fn a_log_may_come_long_after_the_job() {
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
async fn a_job_whose_log_role_is_not_of_the_account_fails_and_imports_nobody() {
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
async fn a_streamed_upload_must_say_its_length() {
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

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = taken.local_addr().expect("an address").port();

    let world = World::start(WorldOptions {
        ports: [port, 0],
        functions: false,
        ..WorldOptions::default()
    });

    let error = world.await.err().expect("in use");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_works_unmodified() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = match std::env::var_os("TWINPOOL_PYTHON") {
        Some(python) => python.into(),
        None => tests.join("../target/python/bin/python"),
    };
    if !python.exists() && std::env::var_os("CI").is_none() {
        println!(
            "skipped: there is no {}; `make test` creates it",
            python.display()
        );
        return;
    }
    let world = world().await;

    let output = tokio::process::Command::new(&python)
        .arg(tests.join("python/regions.py"))
        .env_clear()
        .envs([
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", local::region::SECRET_ACCESS_KEY),
            ("AWS_REGION", world.tokyo.name()),
            ("AWS_DEFAULT_REGION", world.tokyo.name()),
            ("AWS_ENDPOINT_URL", world.tokyo.endpoint()),
            // Cognito's quotas are in force, and boto3's own default does not retry what they answer.
            ("AWS_RETRY_MODE", "standard"),
            ("AWS_MAX_ATTEMPTS", "10"),
            ("POOL", &world.primary.id),
            ("CLIENT", &world.primary.client_id),
            ("BUCKET", OUTBOX),
        ])
        .output()
        .await
        .expect("python runs");

    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
}
