//! Filling the secondary pool: the people who were in the primary pool before twinpool come by import jobs, and those who must not
//! come by mail stay away.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::region::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use local_regions::world::{IMPORT_LOGS_ROLE, SNAPSHOTS, World};
use restore::fill::{FillAnswer, FillConfig, FillError, fill};
use restore::names::IdentityHash;
use restore::request::Status;
use restore::run::RunContext;
use shared::aws::{RetryPolicy, Sdk};
use shared::environment::Environment;
use shared::s3::bucket::Bucket;
use tokio::sync::watch;

use super::{person, with, world};
use crate::support::{email, object, replica, sub};

fn in_tokyo(world: &World, person: SeedUser) {
    world.tokyo.cognito().put_user(&world.primary.id, person);
}

fn config(world: &World, skip: &[String]) -> FillConfig {
    let environment: Environment = [
        ("AWS_REGION", world.osaka.name()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_ENDPOINT_URL", world.osaka.endpoint()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect();
    let sdk = Sdk::from_environment(&environment).unwrap();
    FillConfig {
        bucket: Bucket::new(
            sdk.s3_in(world.osaka.name(), RetryPolicy::WORKER),
            SNAPSHOTS,
        ),
        sdk,
        primary: world.primary.id.parse().unwrap(),
        secondary: world.secondary.id.parse().unwrap(),
        role: IMPORT_LOGS_ROLE.parse().unwrap(),
        origin: "custom:origin_sub".parse().ok(),
        lists_per_second: 20,
        skip: skip
            .iter()
            .map(|id| IdentityHash::of(id))
            .collect::<HashSet<_>>(),
    }
}

async fn fill_until(
    world: &World,
    skip: &[String],
    time: Duration,
) -> Result<FillAnswer, FillError> {
    let run = RunContext {
        lease_holder: format!("test-{:?}", Instant::now()),
        deadline: Instant::now() + time,
        on_progress: &|_| (),
    };
    let (listed, _) = watch::channel(0);
    fill(&config(world, skip), &run, &listed).await
}

async fn filled(world: &World, skip: &[String]) -> FillAnswer {
    let answer = fill_until(world, skip, Duration::from_secs(600)).await;
    answer.expect("the fill succeeds")
}

#[tokio::test]
async fn the_people_who_were_there_before_come_by_import_and_nobody_else_does() {
    let world = world().await;
    in_tokyo(&world, with(person(1), "custom:note", "a\nb"));
    in_tokyo(&world, with(person(2), "name", "Tarō, the second"));
    let banned = SeedUser {
        enabled: false,
        ..person(3)
    };
    in_tokyo(&world, banned);
    for (number, status) in [
        (4, UserStatus::ForceChangePassword),
        (5, UserStatus::Unconfirmed),
        (6, UserStatus::ExternalProvider),
    ] {
        in_tokyo(
            &world,
            SeedUser {
                status,
                ..person(number)
            },
        );
    }
    // Deleted in Osaka, although they had used it.
    in_tokyo(&world, person(7));
    // Somebody holds the name without having proved it.
    in_tokyo(&world, person(8));
    let squatter = SeedUser {
        sub: None,
        status: UserStatus::Unconfirmed,
        ..person(8)
    };
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, squatter);
    // Another person's replica holds the address.
    in_tokyo(&world, person(9));
    let holder = SeedUser {
        sub: None,
        ..with(person(9), "custom:origin_sub", &sub(90))
    };
    osaka.put_user(&world.secondary.id, holder);
    world.clear_calls();

    let answer = filled(&world, &[sub(7)]).await;

    let counts = answer.restored.counts;
    assert_eq!(counts.imported, 3, "{answer:?}");
    assert_eq!((counts.created, counts.attributes_written), (0, 1));
    assert_eq!((counts.not_restorable, counts.not_home), (5, 1));
    for number in [1, 2, 8] {
        let replica = replica(&world, &email(number)).expect("imported");
        assert_eq!(replica.status, UserStatus::ResetRequired);
        assert_eq!(replica.attributes["custom:origin_sub"], sub(number));
    }
    assert_eq!(
        replica(&world, &email(1)).unwrap().attributes["custom:note"],
        "a\nb"
    );
    for number in 3..8 {
        assert!(replica(&world, &email(number)).is_none(), "{number}");
    }
    assert_eq!(
        replica(&world, &email(9)).unwrap().attributes["custom:origin_sub"],
        sub(90)
    );
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
    let calls = world.calls();
    assert!(calls.iter().all(|call| call.operation != "AdminCreateUser"));
    let s3 = world.osaka.s3();
    assert!(object(&world, &answer.restored.report).is_some());
    assert!(
        s3.keys(SNAPSHOTS, "")
            .iter()
            .all(|key| key.starts_with("fills/"))
    );
}

#[tokio::test]
async fn a_fill_that_was_cut_off_goes_on_with_the_same_snapshot_and_the_next_one_takes_another() {
    let world = world().await;
    for number in 1..20 {
        in_tokyo(&world, person(number));
    }
    // The snapshot is taken, and there is no time left to restore it.
    let cut_off = fill_until(&world, &[], Duration::ZERO).await;
    let cut_off = cut_off.expect("a fill can be cut off");
    assert_eq!(cut_off.restored.status, Status::InProgress);

    let resumed = filled(&world, &[]).await;
    let again = filled(&world, &[]).await;

    assert_eq!(resumed.snapshot, cut_off.snapshot);
    assert_eq!(resumed.restored.status, Status::Complete);
    assert!(again.snapshot > resumed.snapshot);
    assert_eq!(again.restored.counts.already_home, 19);
    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 19);
}
