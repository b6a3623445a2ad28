//! `twinpool restore`: restores from the command line, with the code of restore-fn.

use local_regions::world::{SNAPSHOTS, World};

use crate::restore::{newcomer, person, with};
use crate::support::{Ran, email, ran, snapshot, twinpool_command, world};

async fn command(world: &World, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    command
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .env(
            "TWINPOOL_IMPORT_ROLE",
            local_regions::world::IMPORT_LOGS_ROLE,
        )
        .args(arguments);
    ran(&mut command).await
}

#[tokio::test]
async fn the_command_line_restores_with_the_same_engine_and_tells_what_it_did() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();

    let dry = command(&world, &["restore", "--dry-run"]).await;
    let done = command(&world, &["restore"]).await;
    let again = command(&world, &["restore", "--output", "json"]).await;

    assert_eq!(
        (dry.code, done.code, again.code),
        (1, 1, 1),
        "{dry:?} {done:?}"
    );
    assert!(dry.stdout.contains("would be imported") && dry.stdout.contains("nothing was changed"));
    assert!(done.stdout.contains(&email(2)) && done.stdout.contains("invalid-row"));
    assert!(done.stdout.contains("what to do"), "{}", done.stdout);
    assert_eq!(again.json()["counts"]["already_home"], 1);
    assert_eq!(done.stderr, "");
}
