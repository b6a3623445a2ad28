//! Which region serves a call, and whose signature it accepts.

use aws_sdk_cognitoidentityprovider as cognito;
use aws_sdk_cognitoidentityprovider::config::Credentials;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_s3 as s3;
use local_regions::region::{ACCESS_KEY_ID, Region};
use local_regions::world::{OUTBOX, World, WorldOptions};

use super::{fetch, world};

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
async fn an_unsigned_call_is_served_by_the_region_of_the_listener() {
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
async fn a_wrong_key_or_a_missing_signature_is_rejected() {
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
async fn a_bucket_exists_only_in_its_own_region() {
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

#[tokio::test]
async fn the_error_names_a_port_that_is_in_use() {
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
