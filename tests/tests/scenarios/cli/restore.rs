//! `twinpool restore`: restores from the command line, with the code of restore-fn.

use local_regions::cognito::PoolSettings;
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World, pool};

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
async fn two_users_with_one_name_in_the_pool_are_named_and_the_exit_code_is_1() {
    let world = world().await;
    let settings = |case_sensitive| PoolSettings {
        case_sensitive,
        ..pool()
    };
    let primary = world.tokyo.cognito().create_pool(settings(false));
    let secondary = world.osaka.cognito().create_pool(settings(true));
    let osaka = world.osaka.lambda();
    osaka.set_env(BACKUP_WORKER, "USER_POOL_ID", &secondary.id);
    for (number, email) in [(1, "Foo.Bar@example.com"), (2, "foo.bar@example.com")] {
        let user = with(person(number), "email", email);
        world.osaka.cognito().put_user(&secondary.id, user);
    }
    snapshot(&world).await.unwrap();
    let pool = ["restore", "--scope", "users", "--pool", &primary.id];

    let dry = command(&world, &[&pool[..], &["--dry-run"]].concat()).await;
    let done = command(&world, &pool).await;

    for ran in [&dry, &done] {
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains("duplicate-name"), "{ran:?}");
    }
}

#[tokio::test]
async fn the_pool_of_the_snapshot_is_refused_without_the_option() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let pool = ["restore", "--pool", &world.secondary.id];

    let refused = command(&world, &pool).await;
    let requested = command(&world, &[&pool[..], &["--same-pool"]].concat()).await;

    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--same-pool"), "{refused:?}");
    assert_eq!(requested.code, 0, "{requested:?}");
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
