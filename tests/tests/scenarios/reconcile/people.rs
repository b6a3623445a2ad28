//! People, row by row of the table in the contract.

use local_regions::cognito::UserStatus;
use serde_json::json;

use super::{people, reconcile, replica_of};
use crate::support::world;

#[tokio::test]
async fn whoever_was_there_before_is_created_once() {
    let world = world().await;
    people(&world, 3);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(
        (&first["status"], &first["counts"]["created"]),
        (&json!("complete"), &json!(3)),
        "{first}"
    );
    assert_eq!(
        (&second["status"], &second["counts"]["unchanged"]),
        (&json!("complete"), &json!(3)),
        "{second}"
    );
    assert!((0..3).all(|number| replica_of(&world, number).status == UserStatus::Confirmed));
}
