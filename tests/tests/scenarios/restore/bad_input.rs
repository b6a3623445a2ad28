//! Requests and files that are refused before anything is written.

use local_regions::world::{RESTORE, SNAPSHOTS};
use serde_json::json;

use super::{newcomer, person, world};
use crate::support::{invoke, snapshot};

#[tokio::test]
async fn an_unknown_payload_is_rejected_before_any_call() {
    let world = world().await;

    let error = invoke(&world.tokyo, RESTORE, &json!({"dryrun": true}))
        .await
        .unwrap_err();

    assert!(error.contains("unknown field `dryrun`"), "{error}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_file_that_does_not_match_the_manifest_is_rejected() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    let key = format!(
        "snapshots/{}/users-0001.csv",
        taken["snapshot"].as_str().unwrap()
    );
    let mut csv = world.osaka.s3().object(SNAPSHOTS, &key).unwrap();
    let at = csv.len() - 2;
    csv[at] ^= 1;
    let client = world.osaka.s3_client();
    let put = client.put_object().bucket(SNAPSHOTS).key(&key);
    put.body(csv.into()).send().await.unwrap();

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(
        error.contains("damaged") && error.contains("users-0001.csv"),
        "{error}"
    );
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "CreateUserImportJob")
    );
}
