//! Replicas that were left half made: their trigger was ended between creating and activating them.

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::ORIGIN_SUB;

use super::{edit, hasten, people, person, reconcile, replica_of};
use crate::support::{sub, world};

#[tokio::test]
async fn a_banned_half_made_replica_keeps_up_and_is_activated_when_the_ban_ends() {
    let world = world().await;
    hasten(&world);
    people(&world, 1);
    let mut replica = SeedUser {
        sub: None,
        status: UserStatus::ForceChangePassword,
        ..person(0)
    };
    replica.attributes.insert(ORIGIN_SUB.to_owned(), sub(0));
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    osaka.put_user(&world.secondary.id, replica);
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
