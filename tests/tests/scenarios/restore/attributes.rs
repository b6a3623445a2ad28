//! What a CSV cannot carry is written after the import, and attributes are mapped between the two schemas.

use local_regions::cognito::{CustomAttribute, PoolSettings, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::RESTORE;
use serde_json::json;

use super::{at_home, away, newcomer, person, report, restore, with, world};
use crate::support::{email, invoke, snapshot, sub};

#[tokio::test]
async fn values_that_a_csv_cannot_contain_are_restored() {
    let world = world().await;
    let note = "first line\nsecond \"line\" \\ ";
    newcomer(&world, 1, with(person(1), "custom:note", note)).await;
    let disabled = SeedUser {
        enabled: false,
        ..with(person(2), "name", "Hanako")
    };
    newcomer(&world, 2, disabled).await;
    let long = with(
        with(person(3), "profile", &"p".repeat(2000)),
        "custom:note",
        &"長".repeat(600),
    );
    newcomer(&world, 3, long).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(at_home(&world, 1).unwrap().attributes["custom:note"], note);
    let disabled = at_home(&world, 2).expect("the user was created");
    assert!(!disabled.enabled);
    assert_eq!(disabled.status, UserStatus::Confirmed);
    assert_eq!(disabled.attributes["name"], "Hanako");
    assert_eq!(world.tokyo.cognito().messages_sent(), 0);
    let disable = world
        .calls()
        .iter()
        .position(|call| call.operation == "AdminDisableUser");
    let password = world
        .calls()
        .iter()
        .position(|call| call.operation == "AdminSetUserPassword");
    assert!(
        disable < password,
        "the user must be disabled before the password is set"
    );
    assert_eq!(
        at_home(&world, 3).unwrap().attributes["custom:note"],
        "長".repeat(600)
    );
}

#[tokio::test]
async fn an_attribute_that_the_user_has_changed_since_is_not_overwritten() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:note", "a\nb")).await;
    snapshot(&world).await.unwrap();
    let since = SeedUser {
        sub: None,
        ..with(person(1), "custom:note", "mine")
    };
    world.tokyo.cognito().put_user(&world.primary.id, since);

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().attributes["custom:note"],
        "mine"
    );
}

#[tokio::test]
async fn attributes_are_mapped_by_name_and_a_missing_one_is_an_error_with_its_name() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:tenant", "acme")).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    let settings = |attributes: &[&'static str]| PoolSettings {
        custom_attributes: attributes
            .iter()
            .map(|name| CustomAttribute::text(name))
            .collect(),
        ..local_regions::world::pool()
    };
    let cognito = world.tokyo.cognito();
    let narrow = cognito.create_pool(settings(&["origin_sub", "note"]));
    let wide = cognito.create_pool(settings(&["rank", "note", "origin_sub", "tenant"]));
    let lambda = world.tokyo.lambda();

    lambda.set_env(RESTORE, "USER_POOL_ID", &narrow.id);
    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();
    lambda.set_env(RESTORE, "USER_POOL_ID", &wide.id);
    let mapped = restore(&world, json!({})).await;

    assert!(
        refused.contains("custom:tenant") && refused.contains("1 people"),
        "{refused}"
    );
    assert!(cognito.users(&narrow.id).is_empty());
    assert_eq!(mapped["status"], "complete");
    let home = cognito.user(&wide.id, &email(1)).unwrap();
    assert_eq!(home.attributes["custom:tenant"], "acme");
    assert_eq!(home.attributes["custom:origin_sub"], sub(1));
}

#[tokio::test]
async fn a_rejected_attribute_is_reported_and_written_by_the_next_run() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:note", "a\nb")).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: String::new(),
    };
    let update = Fault::on(Service::Cognito, "AdminUpdateUserAttributes", refuse);
    world.tokyo.faults().add(update.times(2));

    let refused = restore(&world, json!({})).await;
    let again = restore(&world, json!({})).await;

    assert_eq!(refused["status"], "incomplete");
    let missing = &report(&world, &refused)["attributes_missing"][0];
    assert_eq!(missing["attribute"], "custom:note");
    assert_eq!(missing["code"], "InvalidParameterException");
    assert_eq!(again["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().attributes["custom:note"],
        "a\nb"
    );
}

#[tokio::test]
async fn a_disabled_user_whose_creation_was_interrupted_is_completed_by_the_next_run() {
    let world = world().await;
    newcomer(
        &world,
        1,
        SeedUser {
            enabled: false,
            ..person(1)
        },
    )
    .await;
    snapshot(&world).await.unwrap();
    let error = |status, code: &str| Kind::Error {
        status,
        code: code.into(),
        message: String::new(),
    };
    for (operation, kind) in [
        ("AdminCreateUser", Kind::Reset),
        ("AdminDisableUser", error(400, "AccessDeniedException")),
        (
            "AdminSetUserPassword",
            error(400, "InvalidParameterException"),
        ),
    ] {
        let fault = Fault::on(Service::Cognito, operation, kind);
        world.tokyo.faults().add(fault.times(1));
    }

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await;
    let named = restore(&world, json!({})).await;
    let finished = restore(&world, json!({})).await;

    assert!(refused.unwrap_err().contains("AdminDisableUser"));
    assert_eq!(away(&report(&world, &named))[&email(1)], "create-failed");
    assert_eq!(
        finished["status"],
        "complete",
        "{}",
        report(&world, &finished)
    );
    let home = at_home(&world, 1).unwrap();
    assert_eq!((home.status, home.enabled), (UserStatus::Confirmed, false));
}
