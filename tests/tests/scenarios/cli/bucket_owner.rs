//! A bucket of the right name that belongs to somebody else: people's data is neither written into it nor read from it.

use local_regions::world::{OUTBOX, SNAPSHOTS, World};

use crate::restore::{newcomer, person};
use crate::support::{Ran, ran, snapshot, sub, twinpool_command, world};

const SOMEBODY_ELSE: &str = "999999999999";

async fn run_in(world: &World, folder: &tempfile::TempDir, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    ran(command.current_dir(folder.path()).args(arguments)).await
}

#[tokio::test]
async fn a_bucket_of_another_account_is_refused_by_every_command_that_uses_one() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let init = run_in(&world, &folder, &["init"]).await;
    assert_eq!(init.code, 0, "{init:?}");
    world.osaka.s3().give_to(SNAPSHOTS, SOMEBODY_ELSE);
    let before = world.osaka.s3().keys(SNAPSHOTS, "");

    for arguments in [
        &["check"][..],
        &["snapshot"],
        &["reconcile"],
        &["restore"],
        &["forget", "--sub", &sub(1), "--yes"],
        &["failover", "--yes"],
    ] {
        let ran = run_in(&world, &folder, arguments).await;

        assert_eq!(ran.code, 3, "{arguments:?}: {ran:?}");
        let says = "another account may own one of that name";
        assert!(ran.stderr.contains(says), "{arguments:?}: {ran:?}");
    }
    let status = run_in(&world, &folder, &["status"]).await;
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("AccessDenied"), "{status:?}");
    assert_eq!(world.osaka.s3().keys(SNAPSHOTS, ""), before);
}

#[tokio::test]
async fn the_outbox_is_not_read_from_a_bucket_of_another_account() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(&world, &folder, &["init"]).await.code, 0);
    world.tokyo.s3().give_to(OUTBOX, SOMEBODY_ELSE);

    let forget = run_in(&world, &folder, &["forget", "--sub", &sub(1), "--yes"]).await;

    assert_eq!(forget.code, 3, "{forget:?}");
    assert!(forget.stderr.contains(OUTBOX), "{forget:?}");
}

#[tokio::test]
async fn the_account_may_be_named_by_the_environment_and_must_be_one() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(&world, &folder, &["init"]).await.code, 0);
    world.osaka.s3().give_to(SNAPSHOTS, SOMEBODY_ELSE);
    let snapshot = async |account: &str| {
        let mut command = twinpool_command(&world).await;
        command.env("TWINPOOL_ACCOUNT", account).arg("snapshot");
        ran(command.current_dir(folder.path())).await
    };

    let theirs = snapshot(SOMEBODY_ELSE).await;
    let none = snapshot("shop").await;

    assert_eq!(theirs.code, 0, "{theirs:?}");
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.stderr.contains("TWINPOOL_ACCOUNT"), "{none:?}");
}
