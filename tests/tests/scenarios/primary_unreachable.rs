//! The loss of the primary region, which the secondary region's worker measures with each tick.

use std::time::Duration;

use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Loss;
use local_regions::world::{BACKUP_WORKER, World};
use serde_json::Value;

use crate::support::{tick, world};

/// The values of PrimaryUnreachable in the log of the worker, in their order.
fn measured(world: &World) -> Vec<u64> {
    let log = world.log(&world.osaka, BACKUP_WORKER);
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line["PrimaryUnreachable"].as_u64())
        .collect()
}

/// A fault of the primary pool's public key document.
fn of_keys(world: &World, kind: Kind) -> Fault {
    let document = format!("/{}/.well-known/jwks.json", world.primary.id);
    Fault::on(Service::Cognito, &document, kind)
}

#[tokio::test]
async fn a_lost_primary_region_is_measured_in_the_secondary_region_until_it_is_back() {
    let world = world().await;

    tick(&world).await;
    for loss in [Loss::Hang, Loss::Refuse] {
        world.tokyo.lose(loss);
        let answer = tick(&world).await;
        assert_eq!(answer["status"], "not-needed", "{answer}");
    }
    world.tokyo.restore();
    tick(&world).await;

    assert_eq!(measured(&world), [0, 1, 1, 0]);
    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert!(log.contains("no answer in time"), "{log}");
}

#[tokio::test]
async fn only_keys_that_come_in_time_are_an_answer() {
    let error = |status| Kind::Error {
        status,
        code: "InternalErrorException".to_owned(),
        message: String::new(),
    };
    let slow = Kind::Delay(Duration::from_secs(7));
    for kind in [error(500), error(503), Kind::Rubbish, Kind::Reset, slow] {
        let world = world().await;
        world.tokyo.faults().add(of_keys(&world, kind.clone()));

        tick(&world).await;

        assert_eq!(measured(&world), [1], "{kind:?}");
    }
}

#[tokio::test]
async fn a_pool_that_was_deleted_is_no_lost_region_and_is_in_the_log() {
    let world = world().await;
    let deleted = "ap-northeast-1_Deleted99";
    let lambda = world.osaka.lambda();
    lambda.set_env(BACKUP_WORKER, "PRIMARY_USER_POOL_ID", deleted);

    tick(&world).await;

    assert_eq!(measured(&world), [0]);
    let log = world.log(&world.osaka, BACKUP_WORKER);
    assert!(log.contains("does the pool still exist?"), "{log}");
    assert!(log.contains(deleted), "{log}");
}

#[tokio::test]
async fn without_the_pool_s_id_there_is_no_value_and_nobody_is_asked() {
    let world = world().await;
    let lambda = world.osaka.lambda();
    lambda.unset_env(BACKUP_WORKER, "PRIMARY_USER_POOL_ID");

    tick(&world).await;

    assert!(measured(&world).is_empty());
    let asked = |operation: &str| operation.ends_with("jwks.json");
    assert!(!world.calls().iter().any(|call| asked(&call.operation)));
}
