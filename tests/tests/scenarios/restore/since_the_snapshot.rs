//! What has become of newcomers in the secondary pool since the snapshot: banned, deleted, moved to another address, or not to be found
//! out.

use std::collections::{BTreeMap, BTreeSet};

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, RESTORE, World};
use serde_json::{Value, json};

use super::{at_home, away, file, newcomer, person, records, report, restore, world};
use crate::support::{email, invoke, move_to_address, object, sub};

/// Newcomers 1 to 3, and a snapshot of this scope of them: its name.
async fn three_newcomers(world: &World, scope: &str) -> Value {
    for number in 1..=3 {
        newcomer(world, number, person(number)).await;
    }
    take_snapshot(world, scope).await
}

async fn take_snapshot(world: &World, scope: &str) -> Value {
    let wanted = json!({"action": "snapshot", "scope": scope});
    let taken = invoke(&world.osaka, BACKUP_WORKER, &wanted).await.unwrap();
    assert_eq!(taken["status"], "complete");
    taken["snapshot"].clone()
}

async fn disable(world: &World, number: u32) {
    let client = world.osaka.cognito_client();
    let disable = client.admin_disable_user().username(email(number));
    let disable = disable.user_pool_id(&world.secondary.id);
    disable.send().await.unwrap();
}

async fn delete(world: &World, number: u32) {
    let client = world.osaka.cognito_client();
    let delete = client.admin_delete_user().username(email(number));
    let delete = delete.user_pool_id(&world.secondary.id);
    delete.send().await.unwrap();
}

fn osaka_does_not_answer(world: &World) {
    let away = Fault::of(Service::Cognito, Kind::Refuse);
    world.osaka.faults().add(away);
}

#[tokio::test]
async fn a_newcomer_who_was_disabled_since_the_snapshot_comes_home_disabled() {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        three_newcomers(&world, scope).await;
        disable(&world, 2).await;

        let dry = restore(&world, json!({"dry_run": true})).await;
        let answer = restore(&world, json!({})).await;

        assert_eq!(dry["counts"]["imported"], 2, "{dry}");
        assert_eq!(dry["counts"]["created"], 1, "{dry}");
        assert!(!file(&world, &dry, "import-0001.csv").contains(&email(2)));
        assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
        assert_eq!(answer["counts"]["imported"], 2, "{answer}");
        assert_eq!(answer["counts"]["created"], 1, "{answer}");
        let banned = at_home(&world, 2).unwrap();
        assert!(!banned.enabled);
        assert_eq!(banned.status, UserStatus::Confirmed);
        assert_eq!(banned.attributes["custom:origin_sub"], sub(2));
        let record = format!("journal/restored/{}.json", sub(2));
        assert_eq!(object(&world, &record).unwrap()["primary_sub"], banned.sub);
        for number in [1, 3] {
            assert!(at_home(&world, number).unwrap().enabled);
        }
    }
}

#[tokio::test]
async fn a_newcomer_who_was_deleted_since_the_snapshot_is_not_brought_home_and_is_counted() {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        three_newcomers(&world, scope).await;
        delete(&world, 2).await;

        let answer = restore(&world, json!({})).await;
        let missing = match scope {
            "pool" => Some(restore(&world, json!({"scope": "missing"})).await),
            _ => None,
        };

        assert!(at_home(&world, 2).is_none());
        for answer in [Some(answer), missing].iter().flatten() {
            let report = report(&world, answer);
            assert_eq!(answer["status"], "complete", "{report}");
            assert_eq!(answer["counts"]["deleted_in_secondary"], 1, "{answer}");
            assert_eq!(answer["counts"]["in_scope"], 2, "{answer}");
            assert_eq!(
                away(&report),
                BTreeMap::from([(email(2), "deleted-in-secondary".to_owned())])
            );
        }
        assert_eq!(
            records(&world, "journal/sign-up/"),
            BTreeSet::from([format!("{}.json", sub(2))])
        );
    }
}

#[tokio::test]
async fn people_who_have_other_addresses_since_come_home_with_those_from_a_new_snapshot() {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        let taken = three_newcomers(&world, scope).await;
        // One gives up an address, and another one takes it.
        move_to_address(&world, &sub(1), "moved@example.jp", true).await;
        move_to_address(&world, &sub(2), &email(1), true).await;

        let dry = restore(&world, json!({"dry_run": true})).await;
        let answer = restore(&world, json!({})).await;

        assert_eq!(dry["counts"]["imported"], 3, "{dry}");
        assert!(file(&world, &dry, "import-0001.csv").contains("moved@example.jp"));
        let report = report(&world, &answer);
        assert_eq!(answer["status"], "complete", "{report}");
        assert_eq!(answer["counts"]["imported"], 3, "{report}");
        assert_ne!(report["snapshot"], taken);
        let cognito = world.tokyo.cognito();
        for (address, number) in [("moved@example.jp", 1), (&email(1), 2), (&email(3), 3)] {
            let home = cognito.user(&world.primary.id, address).unwrap();
            assert_eq!(home.attributes["custom:origin_sub"], sub(number));
        }
        assert!(at_home(&world, 2).is_none());
    }
}

#[tokio::test]
async fn from_a_snapshot_that_is_named_nobody_comes_home_with_an_address_that_is_not_theirs_any_more()
 {
    for scope in ["newcomers", "pool"] {
        let world = world().await;
        let taken = three_newcomers(&world, scope).await;
        move_to_address(&world, &sub(1), "moved@example.jp", true).await;
        move_to_address(&world, &sub(2), &email(2), false).await;

        let answer = restore(&world, json!({"snapshot": taken})).await;

        let report = report(&world, &answer);
        assert_eq!(answer["status"], "incomplete", "{report}");
        assert_eq!(answer["counts"]["imported"], 1, "{report}");
        let changed = [1, 2].map(|number| (email(number), "changed-since-snapshot".to_owned()));
        assert_eq!(away(&report), BTreeMap::from(changed));
        assert!(at_home(&world, 1).is_none() && at_home(&world, 2).is_none());
        let waiting = [1, 2].map(|number| format!("{}.json", sub(number)));
        let waiting = BTreeSet::from(waiting);
        assert_eq!(records(&world, "journal/sign-up/"), waiting);
    }
}

#[tokio::test]
async fn a_newcomer_who_was_enabled_again_since_the_snapshot_comes_home_enabled() {
    let world = world().await;
    let banned = SeedUser {
        enabled: false,
        ..person(1)
    };
    newcomer(&world, 1, banned).await;
    take_snapshot(&world, "newcomers").await;
    let client = world.osaka.cognito_client();
    let enable = client.admin_enable_user().username(email(1));
    let enable = enable.user_pool_id(&world.secondary.id);
    enable.send().await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert!(at_home(&world, 1).unwrap().enabled);
}

#[tokio::test]
async fn nobody_comes_home_while_the_secondary_pool_does_not_say_who_was_disabled_since() {
    let world = world().await;
    three_newcomers(&world, "newcomers").await;
    disable(&world, 2).await;
    osaka_does_not_answer(&world);

    for request in [json!({"dry_run": true}), json!({})] {
        let refused = invoke(&world.tokyo, RESTORE, &request).await.unwrap_err();

        assert!(refused.contains("disabled or deleted since"), "{refused}");
        assert!(refused.contains("allow_stale"), "{refused}");
    }
    assert!(world.tokyo.cognito().users(&world.primary.id).is_empty());
    world.osaka.faults().clear();
    let answer = restore(&world, json!({})).await;
    assert_eq!(answer["status"], "complete", "{answer}");
    assert!(!at_home(&world, 2).unwrap().enabled);
}

#[tokio::test]
async fn who_is_restored_on_request_although_the_secondary_pool_does_not_answer_is_counted() {
    let world = world().await;
    three_newcomers(&world, "newcomers").await;
    osaka_does_not_answer(&world);

    let answer = restore(&world, json!({"allow_stale": true})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 3, "{answer}");
    assert_eq!(answer["counts"]["unchecked"], 3, "{answer}");
}

#[tokio::test]
async fn a_newcomer_who_was_disabled_since_is_never_left_enabled_by_a_run_that_was_cut_off() {
    let world = world().await;
    three_newcomers(&world, "newcomers").await;
    disable(&world, 2).await;
    let refuse = Kind::Error {
        status: 400,
        code: "AccessDeniedException".into(),
        message: String::new(),
    };
    let disabling = Fault::on(Service::Cognito, "AdminDisableUser", refuse);
    world.tokyo.faults().add(disabling.times(1));

    let cut_off = invoke(&world.tokyo, RESTORE, &json!({})).await;
    let half_made = at_home(&world, 2).unwrap().status;
    let finished = restore(&world, json!({})).await;

    assert!(cut_off.unwrap_err().contains("AdminDisableUser"));
    assert_eq!(half_made, UserStatus::ForceChangePassword);
    let report = report(&world, &finished);
    assert_eq!(finished["status"], "complete", "{report}");
    let home = at_home(&world, 2).unwrap();
    assert_eq!((home.status, home.enabled), (UserStatus::Confirmed, false));
}
