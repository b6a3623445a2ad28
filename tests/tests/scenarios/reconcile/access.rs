//! Who may get in: banned and deleted people cannot, and whoever may in the primary pool can.

use local_regions::cognito::UserStatus;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{ORIGIN_SUB, REPLICATE_WORKER, World};
use serde_json::{Value, json};

use super::{
    changes, delete, edit, hasten, pairs, person, reconcile, replica_of, report, reported,
    use_secondary, writes,
};
use crate::support::{email, object, put_object, record, replica, sub, world};

fn ban(world: &World, number: u32, is_banned: bool) {
    let cognito = world.tokyo.cognito();
    cognito.set_enabled(&world.primary.id, &sub(number), !is_banned);
}

fn withheld(world: &World, number: u32) -> Option<Value> {
    object(world, &format!("withheld/{}.json", sub(number)))
}

/// As if the person had been missed for this many days.
async fn missed_for(world: &World, number: u32, days: i64) {
    let mut record = withheld(world, number).expect("withheld");
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    record["first_missed"] = since.to_string().into();
    let key = format!("withheld/{}.json", sub(number));
    put_object(world, &key, record.to_string()).await;
}

#[tokio::test]
async fn a_ban_travels_in_one_run_also_to_somebody_who_has_used_the_secondary_pool() {
    let world = world().await;
    pairs(&world, 2);
    use_secondary(&world, 1).await;
    ban(&world, 0, true);
    ban(&world, 1, true);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["disabled"], 2, "{answer}");
    for number in 0..2 {
        assert!(!replica_of(&world, number).enabled);
        assert_eq!(withheld(&world, number).unwrap()["why"], "disabled");
    }
    let calls = world.calls();
    let signed_out = calls
        .iter()
        .filter(|call| call.operation == "AdminUserGlobalSignOut");
    assert_eq!(signed_out.count(), 2);
}

#[tokio::test]
async fn whoever_is_banned_or_deleted_is_disabled_also_if_their_record_cannot_be_read() {
    let world = world().await;
    pairs(&world, 3);
    for number in 0..3 {
        let replica = replica_of(&world, number).sub;
        let key = format!("journal/password-reset/{replica}.json");
        put_object(&world, &key, "[]".to_owned()).await;
        edit(&world, number, &[("name", "Taro")]);
    }
    ban(&world, 0, true);
    delete(&world, 1);

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "incomplete", "{answer}");
    let counts = ["disabled", "withheld", "updated"].map(|count| &answer["counts"][count]);
    assert_eq!(counts, [&json!(1), &json!(1), &json!(0)], "{answer}");
    let enabled = [0, 1, 2].map(|number| replica_of(&world, number).enabled);
    assert_eq!(enabled, [false, false, true]);
    assert_eq!(reasons(&world, &answer), ["record-unreadable"; 3]);
}

#[tokio::test]
async fn whoever_is_banned_is_disabled_also_if_cognito_does_not_sign_them_out() {
    for status in [400, 500] {
        let world = world().await;
        pairs(&world, 1);
        ban(&world, 0, true);
        let refusal = Kind::error(status, "NotAuthorizedException");
        let fault = Fault::on(Service::Cognito, "AdminUserGlobalSignOut", refusal);
        world.osaka.faults().add(fault);

        let answer = reconcile(&world).await;

        assert!(!replica_of(&world, 0).enabled, "{status}");
        assert_eq!(answer["counts"]["disabled"], 1, "{answer}");
        assert_eq!(answer["status"], "incomplete", "{answer}");
        let lines = changes(&world, &answer);
        let outcome = |action: &str| {
            let line = lines.iter().find(|line| line["action"] == action);
            line.unwrap()["outcome"].clone()
        };
        assert_eq!(outcome("sign-out"), "NotAuthorizedException");
        assert_eq!(outcome("disable"), "done");
        let refused = ("sign-out-refused".to_owned(), Vec::new());
        assert!(reported(&world, &answer).contains(&refused));
    }
}

#[tokio::test]
async fn only_whom_reconcile_has_disabled_is_enabled_again() {
    let world = world().await;
    pairs(&world, 2);
    ban(&world, 0, true);
    reconcile(&world).await;
    ban(&world, 0, false);
    let secondary = &world.secondary.id;
    world
        .osaka
        .cognito()
        .set_enabled(secondary, &email(1), false);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["enabled"], 1, "{answer}");
    assert!(replica_of(&world, 0).enabled && withheld(&world, 0).is_none());
    assert!(!replica_of(&world, 1).enabled);
    assert_eq!(
        report(&world, &answer)["reported"][0]["reason"],
        "disabled-in-secondary"
    );
}

#[tokio::test]
async fn whoever_is_deleted_is_withheld_and_deleted_only_after_some_days() {
    let world = world().await;
    pairs(&world, 2);
    use_secondary(&world, 1).await;
    delete(&world, 0);
    delete(&world, 1);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;
    missed_for(&world, 0, 8).await;
    missed_for(&world, 1, 8).await;
    world
        .tokyo
        .lambda()
        .set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "7");
    let third = reconcile(&world).await;

    assert_eq!(first["counts"]["withheld"], 2, "{first}");
    assert_eq!(
        (&second["counts"]["withheld"], &second["counts"]["removed"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(third["counts"]["removed"], 1, "{third}");
    assert!(replica(&world, &email(0)).is_none() && withheld(&world, 0).is_some());
    assert!(!replica_of(&world, 1).enabled, "who has used it is kept");
    assert_eq!(
        report(&world, &third)["reported"][0]["reason"],
        "deleted-in-primary"
    );
}

/// Puts the replica of a person with this number who is gone into the secondary pool, with an address that is too long for a username.
/// Gives its `sub`.
pub fn put_replica_with_long_address(world: &World, number: u32) -> String {
    let mut replica = person(number);
    replica.sub = None;
    let long = format!("{}@example.jp", "a".repeat(130));
    let attributes = [("email", long), (ORIGIN_SUB, sub(number))];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    replica.attributes.extend(attributes);
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, replica)
}

#[tokio::test]
async fn whoever_is_deleted_is_withheld_also_if_their_address_can_be_no_username() {
    let world = world().await;
    let replica = put_replica_with_long_address(&world, 0);

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    let user = world.osaka.cognito().user(&world.secondary.id, &replica);
    assert!(!user.expect("still there").enabled);
}

#[tokio::test]
async fn newcomers_and_people_whom_nobody_knows_are_never_touched() {
    let world = world().await;
    pairs(&world, 1);
    for number in [5, 6] {
        world
            .osaka
            .cognito()
            .put_user(&world.secondary.id, person(number));
    }
    let sign_up = record(5, jiff::SignedDuration::from_hours(2));
    let key = format!("journal/sign-up/{}.json", sub(5));
    put_object(&world, &key, sign_up.to_string()).await;

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["newcomers"], 1, "{answer}");
    let report = report(&world, &answer);
    assert_eq!(report["reported"][0]["reason"], "unpaired");
    assert_eq!(report["reported"][0]["secondary_sub"], sub(6).as_str());
    assert!(replica_of(&world, 5).enabled && replica_of(&world, 6).enabled);
}

#[tokio::test]
async fn a_half_made_replica_is_activated_and_an_invitation_is_not_mirrored() {
    let world = world().await;
    pairs(&world, 1);
    let mut half_made = person(1);
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, half_made.clone());
    half_made.sub = None;
    half_made.status = UserStatus::ForceChangePassword;
    half_made.attributes.insert(ORIGIN_SUB.into(), sub(1));
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, half_made);
    let mut invited = person(2);
    invited.status = UserStatus::ForceChangePassword;
    world.tokyo.cognito().put_user(&world.primary.id, invited);

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["counts"]["created"], &answer["counts"]["skipped"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );
    assert_eq!(replica_of(&world, 1).status, UserStatus::Confirmed);
    assert!(replica(&world, &email(2)).is_none());
}

#[tokio::test]
async fn whoever_has_not_proved_a_name_loses_it_to_the_person_who_has() {
    let world = world().await;
    hasten(&world);
    world.tokyo.cognito().put_user(&world.primary.id, person(0));
    let mut holder = person(9);
    holder.status = UserStatus::Unconfirmed;
    holder.attributes.insert("email".into(), email(0));
    world.osaka.cognito().put_user(&world.secondary.id, holder);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(replica_of(&world, 0).attributes[ORIGIN_SUB], sub(0));
}

/// Gives the person with this number a pair, and a second replica under another address.
fn twice(world: &World, number: u32) {
    pairs(world, number + 1);
    let mut twice = person(number + 100);
    twice.attributes.insert(ORIGIN_SUB.into(), sub(number));
    world.osaka.cognito().put_user(&world.secondary.id, twice);
}

/// The reasons for which people are reported.
fn reasons(world: &World, answer: &Value) -> Vec<String> {
    let reported = reported(world, answer).into_iter();
    reported.map(|(reason, _)| reason).collect()
}

#[tokio::test]
async fn nothing_is_written_to_two_users_with_one_identity() {
    let world = world().await;
    twice(&world, 0);
    edit(&world, 0, &[("name", "Taro")]);

    let answer = reconcile(&world).await;

    assert_eq!(reasons(&world, &answer), ["identity-twice"; 3], "{answer}");
    assert!(writes(&world).is_empty(), "{:?}", writes(&world));
}

#[tokio::test]
async fn a_ban_reaches_both_users_with_one_identity_and_ends_when_one_of_them_is_gone() {
    let world = world().await;
    twice(&world, 0);
    ban(&world, 0, true);

    let banned = reconcile(&world).await;

    assert_eq!(banned["counts"]["disabled"], 2, "{banned}");
    assert_eq!(reasons(&world, &banned), ["identity-twice"; 3]);
    assert!(!replica_of(&world, 0).enabled && !replica_of(&world, 100).enabled);
    assert_eq!(withheld(&world, 0).unwrap()["why"], "disabled");

    // Who of them is the person cannot be told, so nobody is let in again.
    ban(&world, 0, false);
    let unbanned = reconcile(&world).await;
    assert_eq!(unbanned["counts"]["enabled"], 0, "{unbanned}");
    let secondary = &world.secondary.id;
    world.osaka.cognito().remove_user(secondary, &email(100));
    let settled = reconcile(&world).await;
    assert_eq!(settled["counts"]["enabled"], 1, "{settled}");
    assert!(replica_of(&world, 0).enabled);
}

#[tokio::test]
async fn whoever_is_deleted_can_enter_with_neither_of_two_users_and_neither_is_deleted() {
    let world = world().await;
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");
    twice(&world, 0);
    delete(&world, 0);

    let first = reconcile(&world).await;
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["withheld"], 2, "{first}");
    assert_eq!(second["counts"]["removed"], 0, "{second}");
    assert!(!replica_of(&world, 0).enabled && !replica_of(&world, 100).enabled);
    assert_eq!(withheld(&world, 0).unwrap()["why"], "deleted");
}

#[tokio::test]
async fn of_two_users_of_the_primary_pool_one_who_may_sign_in_is_enough() {
    let world = world().await;
    twice(&world, 0);
    let mut another = person(200);
    another.attributes.insert(ORIGIN_SUB.into(), sub(0));
    world.tokyo.cognito().put_user(&world.primary.id, another);
    ban(&world, 0, true);

    let one = reconcile(&world).await;
    ban(&world, 200, true);
    let both = reconcile(&world).await;

    assert_eq!(one["counts"]["disabled"], 0, "{one}");
    assert_eq!(both["counts"]["disabled"], 2, "{both}");
}

#[tokio::test]
async fn whoever_is_deleted_and_enabled_again_in_the_secondary_pool_is_withheld_again() {
    let world = world().await;
    pairs(&world, 1);
    delete(&world, 0);
    reconcile(&world).await;
    let since = withheld(&world, 0).unwrap()["first_missed"].clone();
    let osaka = world.osaka.cognito();
    osaka.set_enabled(&world.secondary.id, &email(0), true);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["withheld"], 1, "{answer}");
    assert!(!replica_of(&world, 0).enabled);
    assert_eq!(withheld(&world, 0).unwrap()["first_missed"], since);
}

#[tokio::test]
async fn nobody_is_deleted_in_the_run_that_misses_them_first() {
    let world = world().await;
    pairs(&world, 1);
    let lambda = world.tokyo.lambda();
    lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");
    delete(&world, 0);

    let first = reconcile(&world).await;
    let in_between = replica(&world, &email(0));
    let second = reconcile(&world).await;

    assert_eq!(first["counts"]["withheld"], 1, "{first}");
    assert!(!in_between.expect("still there").enabled);
    assert_eq!(second["counts"]["removed"], 1, "{second}");
    assert!(replica(&world, &email(0)).is_none());
}

#[tokio::test]
async fn whom_an_administrator_has_disabled_in_both_pools_stays_disabled_when_one_ban_ends() {
    let world = world().await;
    pairs(&world, 1);
    let osaka = world.osaka.cognito();
    osaka.set_enabled(&world.secondary.id, &email(0), false);
    ban(&world, 0, true);
    reconcile(&world).await;
    ban(&world, 0, false);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["enabled"], 0, "{answer}");
    assert!(!replica_of(&world, 0).enabled);
    assert_eq!(
        report(&world, &answer)["reported"][0]["reason"],
        "disabled-in-secondary"
    );
}

#[tokio::test]
async fn somebody_disabled_in_the_primary_pool_is_not_made() {
    let world = world().await;
    let banned = local_regions::cognito::SeedUser {
        enabled: false,
        ..person(0)
    };
    world.tokyo.cognito().put_user(&world.primary.id, banned);

    let answer = reconcile(&world).await;

    assert_eq!(
        (&answer["counts"]["created"], &answer["counts"]["skipped"]),
        (&json!(0), &json!(1)),
        "{answer}"
    );
    assert!(replica(&world, &email(0)).is_none());
}

#[tokio::test]
async fn an_invitation_that_nobody_took_up_does_not_change_a_replica() {
    let world = world().await;
    let mut invited = person(0);
    invited.status = UserStatus::ForceChangePassword;
    invited.attributes.insert("name".into(), "Hanako".into());
    world.tokyo.cognito().put_user(&world.primary.id, invited);
    let mut copy = person(0);
    copy.sub = None;
    copy.attributes.insert(ORIGIN_SUB.into(), sub(0));
    world.osaka.cognito().put_user(&world.secondary.id, copy);
    let before = replica_of(&world, 0);

    let answer = reconcile(&world).await;

    assert_eq!(answer["counts"]["skipped"], 1, "{answer}");
    assert_eq!(replica_of(&world, 0), before);
}

/// Puts a user of another provider into the primary pool who has the address of the person with the number 18.
fn put_federated_namesake(world: &World, number: u32, is_enabled: bool) {
    let mut federated = person(18);
    federated.sub = Some(sub(number));
    federated.username = Some("Google_1001".to_owned());
    federated.status = UserStatus::ExternalProvider;
    federated.enabled = is_enabled;
    let tokyo = world.tokyo.cognito();
    tokyo.put_user(&world.primary.id, federated);
}

/// Puts the person with the number 18 into the secondary pool, without anything that tells who they are but the address.
fn put_unknown_replica(world: &World) {
    let mut replica = person(18);
    replica.sub = None;
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, replica);
}

#[tokio::test]
async fn a_user_of_another_provider_with_the_same_address_has_no_part_in_a_ban() {
    // The order is that of the hashes of identities: the first one comes before the native user, the second one after.
    for number in [16, 19] {
        for is_banned in [false, true] {
            let world = world().await;
            hasten(&world);
            put_federated_namesake(&world, number, is_banned);
            let tokyo = world.tokyo.cognito();
            tokyo.put_user(&world.primary.id, person(18));
            ban(&world, 18, is_banned);
            put_unknown_replica(&world);

            let answer = reconcile(&world).await;

            assert_eq!(replica_of(&world, 18).enabled, !is_banned, "{answer}");
            assert_eq!(answer["counts"]["disabled"], u32::from(is_banned));
            assert_eq!(answer["counts"]["skipped"], 1, "{answer}");
        }
    }
}

#[tokio::test]
async fn whoever_has_only_a_namesake_who_does_not_own_the_name_is_unknown_or_a_newcomer() {
    for is_newcomer in [false, true] {
        let world = world().await;
        hasten(&world);
        put_federated_namesake(&world, 16, true);
        let mut unconfirmed = person(18);
        unconfirmed.status = UserStatus::Unconfirmed;
        let tokyo = world.tokyo.cognito();
        tokyo.put_user(&world.primary.id, unconfirmed);
        put_unknown_replica(&world);
        if is_newcomer {
            let secondary_sub = replica_of(&world, 18).sub;
            let mut sign_up = record(18, jiff::SignedDuration::from_hours(2));
            sign_up["sub"] = secondary_sub.as_str().into();
            let key = format!("journal/sign-up/{secondary_sub}.json");
            put_object(&world, &key, sign_up.to_string()).await;
        }

        let answer = reconcile(&world).await;

        let unknown = u32::from(!is_newcomer);
        assert_eq!(answer["counts"]["skipped"], 2, "{answer}");
        assert_eq!(answer["counts"]["newcomers"], u32::from(is_newcomer));
        assert_eq!(answer["counts"]["reported"], unknown, "{answer}");
        assert_eq!(
            reasons(&world, &answer).contains(&"unpaired".to_owned()),
            !is_newcomer
        );
    }
}
