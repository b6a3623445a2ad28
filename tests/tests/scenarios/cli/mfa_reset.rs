//! `twinpool mfa-reset`: a person who has lost their authenticator sets up another.

use std::collections::BTreeMap;

use harness::visitor::Visitor;
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::World;
use serde_json::json;

use crate::support::{Ran, twinpool, world};

const EMAIL: &str = "hanako@example.jp";
const PASSWORD: &str = "correct-Horse-7-battery";

fn put(world: &World, status: UserStatus) -> String {
    let attributes = [("email", EMAIL), ("email_verified", "true")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let seed = SeedUser {
        status,
        attributes: BTreeMap::from(attributes),
        password: Some(PASSWORD.to_owned()),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, seed)
}

async fn reset(world: &World, more: &[&str]) -> Ran {
    let reset = ["mfa-reset", "--pool", &world.secondary.id, "--user", EMAIL];
    twinpool(world, &[&reset[..], more].concat()).await
}

#[tokio::test]
async fn whoever_has_lost_their_authenticator_is_asked_for_another_at_the_next_sign_in() {
    let world = world().await;
    let sub = put(&world, UserStatus::Confirmed);
    let person = Visitor::of(&world.osaka, &world.secondary);
    person
        .set_up_mfa_and_sign_in(EMAIL, PASSWORD)
        .await
        .unwrap();
    let before = person.set_up_mfa_and_sign_in(EMAIL, PASSWORD).await;
    assert!(before.is_err(), "they are asked for their code");

    let ran = reset(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains(&sub) && ran.stdout.contains("MFA_SETUP"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains(EMAIL), "{ran:?}");
    person
        .set_up_mfa_and_sign_in(EMAIL, PASSWORD)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_dry_run_says_who_it_is_and_leaves_the_authenticator() {
    let world = world().await;
    put(&world, UserStatus::Confirmed);
    let person = Visitor::of(&world.osaka, &world.secondary);
    person
        .set_up_mfa_and_sign_in(EMAIL, PASSWORD)
        .await
        .unwrap();

    let ran = reset(&world, &["--dry-run", "--output", "json"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["outcome"], "would-remove");
    let calls = world.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.operation != "AdminDeleteSoftwareToken")
    );
}

#[tokio::test]
async fn where_there_is_no_authenticator_there_is_nothing_to_do_however_often() {
    let world = world().await;
    put(&world, UserStatus::Confirmed);

    // The user can have an authenticator that Cognito does not list.
    let dry = reset(&world, &["--dry-run", "--output", "json"]).await;
    assert_eq!(dry.json()["outcome"], json!("none-listed"));
    for _ in 0..2 {
        let ran = reset(&world, &["--output", "json"]).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.json()["outcome"], json!("none-there"));
    }
}

#[tokio::test]
async fn nobody_of_that_name_and_nobody_who_could_have_one_is_found_wrong() {
    let world = world().await;
    let nobody = reset(&world, &[]).await;
    put(&world, UserStatus::Unconfirmed);
    let unconfirmed = reset(&world, &[]).await;

    for ran in [nobody, unconfirmed] {
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(!ran.stderr.contains(EMAIL), "{ran:?}");
    }
}
