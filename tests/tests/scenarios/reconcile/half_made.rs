//! Replicas that were left half made: their trigger was ended between creating and activating them.

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{ORIGIN_SUB, World, pool};

use super::settings::world_with;
use super::{edit, hasten, people, person, reconcile, replica_of};
use crate::support::{sub, world};

/// Puts the person with the number 0 into the primary pool, and a half-made replica with this identity into the secondary pool.
fn put_half_made(world: &World, identity: Option<String>) {
    people(world, 1);
    let mut replica = SeedUser {
        sub: None,
        status: UserStatus::ForceChangePassword,
        ..person(0)
    };
    let identity = identity.map(|identity| (ORIGIN_SUB.to_owned(), identity));
    replica.attributes.extend(identity);
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, replica);
}

#[tokio::test]
async fn a_banned_half_made_replica_that_cannot_be_disabled_is_not_activated() {
    let world = world().await;
    hasten(&world);
    put_half_made(&world, Some(sub(0)));
    let tokyo = world.tokyo.cognito();
    tokyo.set_enabled(&world.primary.id, &sub(0), false);
    let refusal = Kind::error(400, "NotAuthorizedException");
    let fault = Fault::on(Service::Cognito, "AdminDisableUser", refusal);
    world.osaka.faults().add(fault);

    let answer = reconcile(&world).await;

    assert_eq!(answer["status"], "incomplete", "{answer}");
    let replica = replica_of(&world, 0);
    assert_eq!(replica.status, UserStatus::ForceChangePassword);
}

#[tokio::test]
async fn without_the_origin_attribute_a_half_made_replica_is_activated_unless_its_person_is_banned()
{
    for is_banned in [false, true] {
        let mut without_origin = pool();
        without_origin
            .custom_attributes
            .retain(|custom| custom.name != "origin_sub");
        let world = world_with(pool(), without_origin).await;
        put_half_made(&world, None);
        let tokyo = world.tokyo.cognito();
        tokyo.set_enabled(&world.primary.id, &sub(0), !is_banned);

        let answer = reconcile(&world).await;

        let expected = match is_banned {
            true => UserStatus::ForceChangePassword,
            false => UserStatus::Confirmed,
        };
        assert_eq!(replica_of(&world, 0).status, expected, "{answer}");
        assert_eq!(answer["counts"]["created"], u32::from(!is_banned));
        assert_eq!(answer["counts"]["reported"], u32::from(is_banned));
    }
}

#[tokio::test]
async fn a_banned_half_made_replica_keeps_up_and_is_activated_when_the_ban_ends() {
    let world = world().await;
    hasten(&world);
    put_half_made(&world, Some(sub(0)));
    let tokyo = world.tokyo.cognito();
    tokyo.set_enabled(&world.primary.id, &sub(0), false);
    edit(&world, 0, &[("nickname", "Taro")]);

    reconcile(&world).await;
    let banned = replica_of(&world, 0);
    tokyo.set_enabled(&world.primary.id, &sub(0), true);
    reconcile(&world).await;
    let active = replica_of(&world, 0);

    assert!(!banned.enabled && active.enabled);
    assert_eq!(banned.attributes["nickname"], "Taro");
    assert_eq!(
        (banned.status, active.status),
        (UserStatus::ForceChangePassword, UserStatus::Confirmed)
    );
}
