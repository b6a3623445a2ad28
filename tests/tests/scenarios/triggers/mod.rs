//! The triggers: the same bytes back in time, whatever happens, and nobody forgotten.

use std::time::Duration;

use local::cognito::{Contact, CustomAttribute, PoolSettings, UserStatus};
use local::faults::{Fault, Kind, Service};
use local::people;
use local::visitor::Visitor;
use local::world::{BACKUP_TRIGGER, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER, SNAPSHOTS, World};
use serde_json::json;

use crate::support::{answer, confirmation, counted, drain, email, outbox, replica, sub, world};

const PASSWORD: &str = "Correct-horse-7-battery";

/// A trigger has answered by then, a cold start included.
const LIMIT: Duration = Duration::from_millis(4500);

/// Every way in which another service can fail.
fn every_fault() -> Vec<Kind> {
    vec![
        Kind::Hang,
        Kind::Refuse,
        Kind::Throttle,
        Kind::Reset,
        Kind::Rubbish,
        Kind::Error {
            status: 500,
            code: "InternalErrorException".into(),
            message: "".into(),
        },
    ]
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/events");
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            (path.display().to_string(), text.trim().as_bytes().to_vec())
        })
        .collect()
}

#[tokio::test]
async fn every_event_comes_back_in_time_as_the_same_bytes() {
    let world = world().await;

    for (name, event) in fixtures() {
        for (region, function) in [
            (&world.tokyo, REPLICATE_TRIGGER),
            (&world.osaka, BACKUP_TRIGGER),
        ] {
            let (answer, time) = answer(region, function, &event).await;

            assert_eq!(answer, event, "{name}");
            assert!(time < LIMIT, "{name}: {time:?}");
        }
    }
}

#[tokio::test]
async fn every_event_ends_as_a_replica_a_record_or_a_counted_loss() {
    let world = world().await;
    let count = |metric| counted(&world, &world.tokyo, REPLICATE_TRIGGER, metric) as usize;
    let ends = || {
        let replicas = world.osaka.cognito().users(&world.secondary.id).len();
        replicas + outbox(&world, "outbox/").len() + count("Lost") + count("Skipped")
    };

    for (name, event) in fixtures() {
        let before = ends();
        answer(&world.tokyo, REPLICATE_TRIGGER, &event).await;

        assert_eq!(ends() - before, usize::from(is_ours(&name)), "{name}");
    }
    let replicas = world.osaka.cognito().users(&world.secondary.id).len();
    assert_eq!(replicas, count("Replicated"));
    assert_eq!(outbox(&world, "outbox/").len(), count("Deferred"));
}

#[tokio::test]
async fn every_event_ends_in_the_journal_or_as_a_counted_loss() {
    let world = world().await;
    let count = |metric| counted(&world, &world.osaka, BACKUP_TRIGGER, metric) as usize;
    let ends = || {
        let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/").len();
        journal + count("Lost") + count("Skipped")
    };

    for (name, event) in fixtures() {
        let before = ends();
        answer(&world.osaka, BACKUP_TRIGGER, &event).await;

        assert_eq!(ends() - before, usize::from(is_ours(&name)), "{name}");
    }
}

/// Whether an event is of a person who was confirmed.
fn is_ours(fixture: &str) -> bool {
    !fixture.contains("pre-sign-up") && !fixture.contains("null")
}

#[tokio::test]
async fn a_confirmed_person_is_replicated_with_everything_that_may_travel_and_no_mail() {
    let world = world().await;
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let everyone = people::everyone().unwrap();
    let plain = everyone.iter().find(|p| p.attributes.len() > 8).unwrap();

    let sub = tokyo.sign_up(plain, PASSWORD).await.unwrap();
    tokyo.confirm(plain.email()).await.unwrap();

    let replica = replica(&world, plain.email()).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["custom:origin_sub"], sub);
    assert_eq!(replica.attributes["email_verified"], "true");
    for (name, value) in plain.told() {
        assert_eq!(replica.attributes[name], value, "{name}");
    }
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
}

#[tokio::test]
async fn a_replica_can_reset_its_password_and_sign_in_with_a_new_authenticator() {
    let world = world().await;
    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let osaka = Visitor::of(&world.osaka, &world.secondary);

    osaka.reset_password(&email(1), PASSWORD).await.unwrap();
    let token = osaka.set_up_mfa_and_sign_in(&email(1), PASSWORD).await;

    assert!(token.is_ok(), "{token:?}");
}

#[tokio::test]
async fn without_activation_a_replica_keeps_its_temporary_password() {
    let world = world().await;
    set(&world, REPLICATE_TRIGGER, "ACTIVATE_REPLICAS", "false");

    let event = confirmation(1).to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    let replica = replica(&world, &email(1)).unwrap();
    assert_eq!(replica.status, UserStatus::ForceChangePassword);
}

#[tokio::test]
async fn whatever_the_secondary_region_does_the_answer_is_in_time_and_the_person_in_the_outbox() {
    for (number, kind) in every_fault().into_iter().enumerate() {
        let world = world().await;
        let fault = Fault::of(Service::Cognito, kind.clone());
        world.osaka.faults().add(fault);
        let event = confirmation(number as u32).to_string();

        let (answer, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

        assert_eq!(answer, event.as_bytes(), "{kind:?}");
        assert!(time < LIMIT, "{kind:?}: {time:?}");
        let key = format!("outbox/{}.json", sub(number as u32));
        assert_eq!(outbox(&world, ""), [key], "{kind:?}");
    }
}

#[tokio::test]
async fn when_s3_fails_as_well_the_answer_is_in_time_and_the_loss_is_counted() {
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
        assert!(time < LIMIT, "{kind:?}: {time:?}");
        let lost = counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Lost");
        assert_eq!(lost, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_slip_of_s3_at_the_last_moment_does_not_lose_the_person() {
    let world = world().await;
    let hang = |service| Fault::of(service, Kind::Hang);
    world.osaka.faults().add(hang(Service::Cognito));
    world.tokyo.faults().add(hang(Service::S3).times(1));
    let event = confirmation(1).to_string();

    let (_, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert_eq!(outbox(&world, "").len(), 1);
    assert!(time < LIMIT, "{time:?}");
}

#[tokio::test]
async fn when_s3_fails_the_journals_trigger_answers_in_time_and_the_loss_is_counted() {
    for kind in every_fault() {
        let world = world().await;
        world
            .osaka
            .faults()
            .add(Fault::of(Service::S3, kind.clone()));
        let event = confirmation(1).to_string();

        let (answer, time) = answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;

        assert_eq!(answer, event.as_bytes(), "{kind:?}");
        assert!(time < LIMIT, "{kind:?}: {time:?}");
        let lost = counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost");
        assert_eq!(lost, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn without_its_variables_a_trigger_answers_and_counts_the_loss() {
    let world = world().await;
    let tokyo = world.tokyo.lambda();
    let lost = || counted(&world, &world.tokyo, REPLICATE_TRIGGER, "Lost");
    let event = |number| confirmation(number).to_string();

    tokyo.unset_env(REPLICATE_TRIGGER, "TARGET_USER_POOL_ID");
    let (first, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event(1).as_bytes()).await;
    assert_eq!(first, event(1).as_bytes());
    assert!(time < LIMIT);
    assert_eq!(lost(), 1);
    assert_eq!(outbox(&world, "outbox/").len(), 1, "nothing is thrown away");

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
async fn a_repeated_event_makes_one_user_and_one_record() {
    let world = world().await;
    let event = confirmation(1).to_string();

    let together = (
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()),
        answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()),
        answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()),
    );
    tokio::join!(together.0, together.1, together.2, together.3, together.4);
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 1);
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/");
    assert_eq!(journal, [format!("journal/sign-up/{}.json", sub(1))]);
    assert_eq!(
        counted(&world, &world.osaka, BACKUP_TRIGGER, "Lost"),
        0,
        "a record that is there already is no loss"
    );
}

#[tokio::test]
async fn a_password_reset_heals_what_an_earlier_event_missed_and_is_journalled_apart() {
    let world = world().await;
    let mut event = confirmation(1);
    event["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
    let event = event.to_string();

    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;

    assert!(replica(&world, &email(1)).is_some());
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/");
    assert_eq!(journal, [format!("journal/password-reset/{}.json", sub(1))]);
}

#[tokio::test]
async fn a_replica_left_half_made_is_activated_and_a_password_of_ones_own_is_never_touched() {
    let world = world().await;
    let event = confirmation(1).to_string();
    let half = Fault::on(Service::Cognito, "AdminSetUserPassword", Kind::Refuse);
    world.osaka.faults().add(half);
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let status = || replica(&world, &email(1)).unwrap().status;
    assert_eq!(status(), UserStatus::ForceChangePassword);

    world.osaka.faults().clear();
    assert_eq!(drain(&world).await["drained"], 1);
    assert_eq!(status(), UserStatus::Confirmed);

    let osaka = Visitor::of(&world.osaka, &world.secondary);
    osaka.reset_password(&email(1), PASSWORD).await.unwrap();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    let signed_in = osaka.set_up_mfa_and_sign_in(&email(1), PASSWORD).await;
    assert!(signed_in.is_ok(), "{signed_in:?}");
}

#[tokio::test]
async fn a_replica_whose_second_call_hangs_is_finished_later() {
    let world = world().await;
    let hang = Fault::on(Service::Cognito, "AdminSetUserPassword", Kind::Hang);
    world.osaka.faults().add(hang);
    let event = confirmation(1).to_string();

    let (_, time) = answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    assert!(time < LIMIT, "{time:?}");
    assert_eq!(outbox(&world, "outbox/").len(), 1);
    world.osaka.faults().clear();
    assert_eq!(drain(&world).await["drained"], 1);
    let replica = replica(&world, &email(1)).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
}

#[tokio::test]
async fn the_time_for_the_secondary_region_is_a_setting() {
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
async fn an_unconfirmed_squatter_does_not_keep_the_replica_out() {
    let world = world().await;
    let everyone = people::everyone().unwrap();
    let person = everyone.iter().find(|p| p.kind == "plain").unwrap();
    let squatter = Visitor::of(&world.osaka, &world.secondary);
    squatter.sign_up(person, "Squatters-pass-1").await.unwrap();

    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let sub = tokyo.sign_up(person, PASSWORD).await.unwrap();
    tokyo.confirm(person.email()).await.unwrap();
    assert_eq!(outbox(&world, ""), [format!("outbox/{sub}.json")]);
    let answer = drain(&world).await;

    assert_eq!(answer["drained"], 1);
    let replica = replica(&world, person.email()).unwrap();
    assert_eq!(replica.status, UserStatus::Confirmed);
    assert_eq!(replica.attributes["custom:origin_sub"], sub);
    assert_eq!(
        counted(&world, &world.tokyo, REPLICATE_WORKER, "Reclaimed"),
        1
    );
}

#[tokio::test]
async fn in_a_pool_that_signs_in_by_phone_the_number_is_the_username() {
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "phones".into(),
        username_attributes: vec![Contact::PhoneNumber],
        auto_verified: vec![Contact::PhoneNumber],
        ..local::world::pool()
    });
    set(&world, REPLICATE_TRIGGER, "TARGET_USER_POOL_ID", &twin.id);
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["phone_number"] = json!("+819012345678");

    for _ in 0..2 {
        let event = event.to_string();
        answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;
    }

    let users = world.osaka.cognito().users(&twin.id);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].status, UserStatus::Confirmed);
    assert_eq!(users[0].attributes["phone_number"], "+819012345678");
    assert_eq!(users[0].attributes["email"], email(1));
    let count = |metric| counted(&world, &world.tokyo, REPLICATE_TRIGGER, metric);
    assert_eq!((count("Replicated"), count("AlreadyReplicated")), (1, 1));
}

#[tokio::test]
async fn an_attribute_that_the_other_schema_does_not_know_is_dropped_by_name_and_the_person_kept() {
    let world = world().await;
    let twin = world.osaka.cognito().create_pool(PoolSettings {
        name: "narrow".into(),
        custom_attributes: vec![CustomAttribute::text("tenant")],
        ..local::world::pool()
    });
    set(&world, REPLICATE_TRIGGER, "TARGET_USER_POOL_ID", &twin.id);
    let mut event = confirmation(1);
    event["request"]["userAttributes"]["custom:tenant"] = json!("t-1");
    event["request"]["userAttributes"]["custom:note"] = json!("secret note");

    let event = event.to_string();
    answer(&world.tokyo, REPLICATE_TRIGGER, event.as_bytes()).await;

    let replica = world.osaka.cognito().user(&twin.id, &email(1)).unwrap();
    assert_eq!(replica.attributes["custom:tenant"], "t-1");
    assert!(!replica.attributes.contains_key("custom:note"));
    let log = world.log(&world.tokyo, REPLICATE_TRIGGER);
    assert!(log.contains("custom:note custom:origin_sub"), "{log}");
    let dropped = counted(&world, &world.tokyo, REPLICATE_TRIGGER, "DroppedAttributes");
    assert_eq!(dropped, 2);
}

#[tokio::test]
async fn a_sign_up_succeeds_for_the_person_while_everything_of_twinpool_fails() {
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

fn set(world: &World, function: &str, variable: &str, value: &str) {
    world.tokyo.lambda().set_env(function, variable, value);
}
