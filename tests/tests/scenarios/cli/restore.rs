//! `twinpool restore`: restores from the command line, with the code of restore-fn.

use local_regions::cognito::{PoolSettings, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{BACKUP_WORKER, SNAPSHOTS, World, pool};

use crate::restore::{newcomer, person, with};
use crate::support::{Ran, called, email, object, ran, snapshot, twinpool_command, world};

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

#[tokio::test]
async fn twenty_people_are_on_the_screen_and_all_of_them_in_the_report() {
    let world = world().await;
    for number in 1..=25 {
        newcomer(
            &world,
            number,
            with(person(number), "phone_number", "090-1234"),
        )
        .await;
    }
    snapshot(&world).await.unwrap();

    let ran = command(&world, &["restore"]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    let shown = (1..=25).filter(|number| ran.stdout.contains(&email(*number)));
    assert_eq!(shown.count(), 20, "{ran:?}");
    let (_, place) = ran
        .stdout
        .split_once("… and 5 more: s3://")
        .expect("the rest");
    let (_, key) = place.split_once('/').expect("a key");
    let key = key.lines().next().unwrap_or_default();
    let report = object(&world, key).expect("the report is there");
    assert_eq!(report["not_home"].as_array().map(Vec::len), Some(25));
}

#[tokio::test]
async fn where_nobody_can_be_asked_no_sign_up_is_reclaimed_without_yes() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let holder = SeedUser {
        status: UserStatus::Unconfirmed,
        attributes: [("email".to_owned(), email(1))].into(),
        ..SeedUser::default()
    };
    let holder = world.tokyo.cognito().put_user(&world.primary.id, holder);
    let reclaim = ["restore", "--reclaim-unconfirmed"];
    world.clear_calls();

    let refused = command(&world, &reclaim).await;
    let calls = world.calls().len();
    let confirmed = command(&world, &[&reclaim[..], &["--yes"]].concat()).await;

    assert_eq!((refused.code, calls), (2, 0), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(confirmed.code, 0, "{confirmed:?}");
    let cognito = world.tokyo.cognito();
    assert!(cognito.user(&world.primary.id, &holder).is_none());
}

#[tokio::test]
async fn while_another_restore_is_at_it_the_exit_code_says_to_try_again() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let hangs = Fault::on(Service::Cognito, "CreateUserImportJob", Kind::Hang);
    world.tokyo.faults().add(hangs);
    let first = command(&world, &["restore"]);
    let second = async {
        called(&world, "CreateUserImportJob").await;
        command(&world, &["restore", "--output", "json"]).await
    };

    let second = tokio::select! {
        _ = first => panic!("it hangs"),
        second = second => second,
    };

    assert_eq!(second.code, 4, "{second:?}");
    assert!(second.stderr.contains("\"kind\":\"busy\""), "{second:?}");
}
