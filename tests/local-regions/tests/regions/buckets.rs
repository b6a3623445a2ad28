//! S3: conditional writes, listings, multipart uploads, copies and pre-signed URLs.

use aws_sdk_s3 as s3;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use local_regions::world::SNAPSHOTS;

use super::{describe, fetch, put, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_concurrent_writers_of_a_new_object_one_succeeds() {
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
async fn of_many_concurrent_writers_of_one_version_one_succeeds() {
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
async fn a_condition_on_a_missing_object_fails() {
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
async fn a_conditional_delete_does_not_delete_another_version() {
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
async fn objects_are_listed_in_order_with_their_time_of_modification() {
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
async fn an_object_is_copied_and_the_call_is_recorded_with_the_target() {
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
