//! A prefix of a bucket as a bucket of its own: nothing that is done there can be seen outside of the prefix, and the keys are its own.

use local_regions::world::SNAPSHOTS;
use shared::s3::bucket::{Bucket, Condition};

use crate::support::world;

/// More than a part of a multipart upload.
const LARGE: usize = 6 * 1024 * 1024;

async fn keys(mut listing: shared::s3::bucket::Listing) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        keys.extend(page.into_iter().map(|object| object.key));
    }
    keys
}

#[tokio::test]
async fn what_is_below_a_prefix_is_read_and_written_with_keys_of_its_own() {
    let world = world().await;
    let whole = Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let below = whole.below("fills/");
    for key in ["a/1", "a/2", "a/3"] {
        whole.put(key, b"outside".to_vec()).await.unwrap();
        below.put(key, b"inside".to_vec()).await.unwrap();
    }
    let mut upload = below.upload("b/large");
    upload.write(&vec![b'x'; LARGE]).await.unwrap();
    let uploaded = upload.finish().await.unwrap();

    assert_eq!(uploaded.key, "b/large");
    assert_eq!(keys(below.list("")).await, ["a/1", "a/2", "a/3", "b/large"]);
    assert_eq!(keys(below.list_after("a/", "a/2")).await, ["a/3"]);
    let mut large = below.download("b/large").await.unwrap().unwrap();
    let mut read = 0;
    while let Some(chunk) = large.next_chunk().await.unwrap() {
        read += chunk.len();
    }
    assert_eq!(read, LARGE);
    let inside = below.get("a/1").await.unwrap().unwrap();
    assert_eq!(inside.body, b"inside");
    let unchanged = Condition::Unchanged(&inside.etag);
    let changed = below.put_if("a/1", b"new".to_vec(), unchanged).await;
    assert!(
        below
            .delete_if("a/1", &changed.unwrap().unwrap())
            .await
            .unwrap()
    );
    assert!(below.get("a/1").await.unwrap().is_none());
    assert_eq!(whole.get("a/1").await.unwrap().unwrap().body, b"outside");
    let outside = keys(whole.list("fills/")).await;
    assert_eq!(outside, ["fills/a/2", "fills/a/3", "fills/b/large"]);
}
