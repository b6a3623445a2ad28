//! Faults and a lost region, as SDK clients see them.

use std::time::{Duration, Instant};

use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Loss;
use local_regions::world::{OUTBOX, SNAPSHOTS};
use serde_json::json;

use super::{cognito_once, describe, s3_once, world};

/// The errors that clients of S3 and Cognito report for a fault.
async fn errors_of(kind: Kind) -> (String, String) {
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

fn both(what: &str) -> (String, String) {
    (what.to_owned(), what.to_owned())
}

#[tokio::test]
async fn a_call_that_hangs_times_out() {
    assert_eq!(errors_of(Kind::Hang).await, both("timeout"));
}

#[tokio::test]
async fn a_refused_call_is_a_connection_error() {
    assert_eq!(errors_of(Kind::Refuse).await, both("dispatch"));
}

#[tokio::test]
async fn a_throttled_call_gets_the_throttling_error_of_its_service() {
    let throttled = ("503 SlowDown", "400 TooManyRequestsException");
    let (s3, cognito) = errors_of(Kind::Throttle).await;
    assert_eq!((s3.as_str(), cognito.as_str()), throttled);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_an_error() {
    assert_eq!(errors_of(Kind::Reset).await, both("response"));
}

#[tokio::test]
async fn a_call_whose_response_is_lost_was_served() {
    let world = world().await;
    let reset = Fault::on(Service::S3, "PutObject", Kind::Reset);
    world.tokyo.faults().add(reset.times(1));

    let put = s3_once(&world.tokyo).put_object().bucket(OUTBOX).key("k");
    let lost = put.send().await;

    assert!(lost.is_err());
    assert_eq!(world.tokyo.s3().keys(OUTBOX, ""), ["k"]);
}

#[tokio::test]
async fn an_unexpected_body_is_an_error() {
    let (s3, cognito) = errors_of(Kind::Rubbish).await;
    assert_eq!(
        (s3.as_str(), cognito.as_str()),
        ("200 unhandled", "response")
    );
}

#[tokio::test]
async fn an_injected_error_is_returned_unchanged() {
    let error = Kind::Error {
        status: 500,
        code: "InternalErrorException".to_owned(),
        message: "sorry".to_owned(),
    };
    assert_eq!(errors_of(error).await, both("500 InternalErrorException"));
}

#[tokio::test]
async fn a_conflict_of_conditional_writes_is_the_error_of_s3() {
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
async fn an_injected_response_is_returned_unchanged() {
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
async fn an_outage_affects_every_call_until_it_ends() {
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
