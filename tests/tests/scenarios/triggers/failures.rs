//! What happens when the secondary region, S3 or the configuration fails: an answer in time, and a record or a counted loss.

use std::time::Duration;

use harness::people;
use harness::visitor::Visitor;
use local_regions::cognito::UserStatus;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_TRIGGER, OUTBOX, REPLICATE_TRIGGER, SNAPSHOTS};

use super::{PASSWORD, RESPONSE_TIME_LIMIT, every_fault, set};
use crate::support::{
    answer, confirmation, counted, drain, email, outbox, person_in_primary, replica, sub, world,
};

#[tokio::test]
async fn with_any_fault_of_the_secondary_region_the_response_is_in_time_and_the_person_in_the_outbox()
 {
    for (number, kind) in every_fault().into_iter().enumerate() {
        let world = world().await;
        let fault = Fault::of(Service::Cognito, kind.clone());
        world.osaka.faults().add(fault);
        let event = confirmation(number as u32).to_string();

        let (answer, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

        assert_eq!(answer, event.as_bytes(), "{kind:?}");
        assert!(time < RESPONSE_TIME_LIMIT, "{kind:?}: {time:?}");
        let key = format!("outbox/{}.json", sub(number as u32));
        assert_eq!(outbox(&world, ""), [key], "{kind:?}");
    }
}

#[tokio::test]
async fn when_s3_fails_as_well_the_response_is_in_time_and_the_loss_is_counted() {
    for kind in every_fault() {
        let world = world().await;
        world
            .osaka
            .faults()
            .add(Fault::of(Service::Cognito, kind.clone()));
        world
            .tokyo
            .faults()
            .add(Fault::of(Service::S3, kind.clone()));
        let event = confirmation(1).to_string();

        let (answer, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

        assert_eq!(answer, event.as_bytes(), "{kind:?}");
        assert!(time < RESPONSE_TIME_LIMIT, "{kind:?}: {time:?}");
        let lost = counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Lost");
        assert_eq!(lost, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_single_failure_of_s3_does_not_lose_the_person() {
    let world = world().await;
    let hang = |service| Fault::of(service, Kind::Hang);
    world.osaka.faults().add(hang(Service::Cognito));
    world.tokyo.faults().add(hang(Service::S3).times(1));
    let event = confirmation(1).to_string();

    let (_, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert_eq!(outbox(&world, "").len(), 1);
    assert!(time < RESPONSE_TIME_LIMIT, "{time:?}");
}

#[tokio::test]
async fn a_refusal_of_the_last_place_that_keeps_a_person_is_tried_again() {
    // aws-sdk-js-v3#7605, aws-sdk-rust#1033: the first signed request of a thawed function is refused as expired.
    for (status, code) in [
        (403, "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
        (409, "ConditionalRequestConflict"),
        (409, "OperationAborted"),
        (404, "NoSuchKey"),
    ] {
        let world = world().await;
        let refusal = Kind::error(status, code);
        let refused = Fault::on(Service::S3, "PutObject", refusal).times(2);
        world.tokyo.faults().add(refused.clone());
        world.osaka.faults().add(refused);
        let away = Fault::of(Service::Cognito, Kind::Refuse);
        world.osaka.faults().add(away);
        let event = confirmation(1).to_string();

        let (_, in_tokyo) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
        let (_, in_osaka) = answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;

        assert!(in_tokyo.max(in_osaka) < RESPONSE_TIME_LIMIT);
        assert_eq!(outbox(&world, "outbox/").len(), 1, "{code}");
        let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/sign-up/");
        assert_eq!(journal.len(), 1, "{code}");
        let tokyo = counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Lost");
        let osaka = counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost");
        assert_eq!((tokyo, osaka), (0, 0), "{code}");
    }
}

#[tokio::test]
async fn when_s3_fails_the_journal_trigger_responds_in_time_and_the_loss_is_counted() {
    for kind in every_fault() {
        let world = world().await;
        world
            .osaka
            .faults()
            .add(Fault::of(Service::S3, kind.clone()));
        let event = confirmation(1).to_string();

        let (answer, time) = answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;

        assert_eq!(answer, event.as_bytes(), "{kind:?}");
        assert!(time < RESPONSE_TIME_LIMIT, "{kind:?}: {time:?}");
        let lost = counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost");
        assert_eq!(lost, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn without_its_variables_a_trigger_responds_and_counts_the_loss() {
    let world = world().await;
    let tokyo = world.tokyo.lambda();
    let lost = || counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Lost");
    let event = |number| confirmation(number).to_string();

    tokyo.unset_env(REPLICATE_TRIGGER, "TARGET_USER_POOL_ID");
    let (first, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event(1).as_bytes()).await;
    assert_eq!(first, event(1).as_bytes());
    assert!(time < RESPONSE_TIME_LIMIT);
    assert_eq!(lost(), 1);
    assert_eq!(outbox(&world, "outbox/").len(), 1, "the record is stored");

    tokyo.unset_env(REPLICATE_TRIGGER, "OUTBOX_BUCKET");
    let (second, _) = answer(&world.tokyo, REPLICATE_TRIGGER, event(2).as_bytes()).await;
    assert_eq!(second, event(2).as_bytes());
    assert_eq!(lost(), 2);

    let log = world.log(&world.tokyo, REPLICATE_TRIGGER);
    assert!(log.contains("TARGET_USER_POOL_ID is not set"), "{log}");
    assert!(log.contains("OUTBOX_BUCKET is not set"), "{log}");

    world
        .osaka
        .lambda()
        .unset_env(BACKUP_TRIGGER, "S3_BUCKET_NAME");
    let (third, _) = answer(&world.osaka, BACKUP_TRIGGER, event(3).as_bytes()).await;
    assert_eq!(third, event(3).as_bytes());
    assert_eq!(counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost"), 1);
}

#[tokio::test]
async fn a_replica_whose_second_call_hangs_is_completed_later() {
    let world = world().await;
    let hang = Fault::on(Service::Cognito, "AdminSetUserPassword", Kind::Hang);
    world.osaka.faults().add(hang);
    person_in_primary(&world, 1);
    let event = confirmation(1).to_string();

    let (_, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert!(time < RESPONSE_TIME_LIMIT, "{time:?}");
    assert_eq!(outbox(&world, "outbox/").len(), 1);
    world.osaka.faults().clear();
    assert_eq!(drain(&world).await["drained"], 1);
    let replica = replica(&world, &email(1)).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
}

#[tokio::test]
async fn the_time_limit_for_the_secondary_region_is_a_setting() {
    let world = world().await;
    set(&world, REPLICATE_TRIGGER, "REPLICATION_BUDGET_MS", "300");
    let hang = Fault::of(Service::Cognito, Kind::Hang);
    world.osaka.faults().add(hang);
    let event = confirmation(1).to_string();

    let (_, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert!(time < Duration::from_millis(2500), "{time:?}");
    assert_eq!(outbox(&world, "outbox/").len(), 1);
}

#[tokio::test]
async fn a_sign_up_succeeds_for_the_person_even_if_everything_in_twinpool_fails() {
    let world = world().await;
    world
        .osaka
        .faults()
        .add(Fault::of(Service::Cognito, Kind::Hang));
    world.tokyo.faults().add(Fault::of(Service::S3, Kind::Hang));
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let everyone = people::everyone().unwrap();
    let person = everyone.iter().find(|p| p.kind == "plain").unwrap();
    tokyo.sign_up(person, PASSWORD).await.unwrap();

    let confirmed = tokyo.confirm(person.email()).await;

    assert!(confirmed.is_ok(), "{confirmed:?}");
    assert!(world.tokyo.s3().keys(OUTBOX, "").is_empty());
}
