//! The calls of each command, from scenarios in which an operator runs it. A command that runs the code of a function makes the calls of
//! that function as well: `functions` records them.

use harness::visitor::Visitor;
use local_regions::cognito::{SeedUser, UserStatus};
use local_regions::world::{IMPORT_LOGS_ROLE, OUTBOX, SNAPSHOTS, World};
use serde_json::json;
use tempfile::TempDir;

use super::{Calls, command_prefixes, note};
use crate::cli::{failover, forget, reconcile};
use crate::restore::{LARGE_POOL, newcomer, person, with};
use crate::support::{
    RECONCILE, Ran, email, person_in_primary, put_object, ran, snapshot, sub, twinpool_command,
    world,
};

/// Records the calls.
pub async fn record_all() -> Calls {
    let mut recorder = Recorder {
        world: world().await,
        calls: Calls::new(),
        folder: tempfile::tempdir().unwrap(),
    };
    recorder.quiet_day().await;
    recorder.world = world().await;
    recorder.failover_and_failback().await;
    recorder.world = world().await;
    recorder.reconciles().await;
    recorder.restores().await;
    recorder.forgets().await;
    recorder.calls
}

/// Runs one command at a time and records its calls.
struct Recorder {
    world: World,
    calls: Calls,
    folder: TempDir,
}

impl Recorder {
    /// Runs a command with these arguments, which are its name in the record and more.
    async fn run(&mut self, name: &str, more: &[&str]) -> Ran {
        let named: Vec<_> = name.split(' ').collect();
        let arguments = [&named[..], more].concat();
        self.world.clear_calls();
        let mut command = twinpool_command(&self.world).await;
        command
            .env("TWINPOOL_PRIMARY", &self.world.primary.id)
            .env("TWINPOOL_SECONDARY", &self.world.secondary.id)
            .env("TWINPOOL_BUCKET", SNAPSHOTS)
            .env("TWINPOOL_OUTBOX", OUTBOX)
            .env("TWINPOOL_IMPORT_ROLE", IMPORT_LOGS_ROLE)
            .env("TWINPOOL_LOGS_ROLE", IMPORT_LOGS_ROLE)
            .args(&arguments)
            .current_dir(&self.folder);
        let ran = ran(&mut command).await;
        assert!(ran.code <= 1, "{arguments:?}: {ran:?}");
        note(&mut self.calls, name, &self.world, &command_prefixes());
        ran
    }

    /// Everything that only looks, and the fence.
    async fn quiet_day(&mut self) {
        let world = &self.world;
        for (region, pool) in [
            (&world.tokyo, &world.primary.id),
            (&world.osaka, &world.secondary.id),
        ] {
            let cognito = region.cognito();
            let google = json!({"ProviderType": "Google", "AttributeMapping": {"email": "email"}});
            cognito.put_domain(pool, region.name(), json!({}));
            cognito.put_identity_provider(pool, "Google", google);
        }
        let primary = world.tokyo.cognito().pool_arn(&world.primary.id);
        world.tokyo.waf().put_fence(world.tokyo.name(), &primary);
        person_in_primary(world, 1);
        newcomer(world, 2, person(2)).await;
        self.run("init", &[]).await;
        let stacks = self.world.tokyo.stacks();
        let outputs = [
            ("UserPoolId", "ap-northeast-1_A"),
            ("SnapshotBucketName", "a"),
        ];
        stacks.put(self.world.tokyo.name(), "OrdersBackup", &outputs);
        self.run("init", &["--name", "Orders", "--force"]).await;
        std::fs::remove_file(self.folder.path().join("twinpool.toml")).unwrap();
        self.run("reconcile", &[]).await;
        snapshot(&self.world).await.unwrap();
        newcomer(&self.world, 3, person(3)).await;

        self.run("check", &[]).await;
        self.run("status", &[]).await;
        let file = self.folder.path().join("users.csv");
        std::fs::write(&file, "name\n").unwrap();
        for side in ["--primary", "--secondary"] {
            self.run("validate", &[side, file.to_str().unwrap()]).await;
        }
        for scope in ["pool", "newcomers"] {
            self.run("snapshot --dry-run", &["--scope", scope]).await;
        }
        self.run("fence status", &[]).await;
        self.world.osaka.close_fence();
        for action in ["open", "no-sign-ups", "close"] {
            let name = format!("fence {action}");
            self.run(&name, &["--dry-run"]).await;
            self.run(&name, &["--yes"]).await;
        }
        self.run("failover --dry-run", &[]).await;
        self.run("failback --dry-run", &[]).await;
        for side in ["--primary", "--secondary"] {
            self.somebody_has_an_authenticator(side).await;
            self.run("mfa-reset", &[side, "--user", &email(9)]).await;
        }
    }

    async fn somebody_has_an_authenticator(&self, side: &str) {
        let (region, pool) = match side {
            "--primary" => (&self.world.tokyo, &self.world.primary),
            _ => (&self.world.osaka, &self.world.secondary),
        };
        let password = "correct-Horse-7-battery";
        let user = SeedUser {
            password: Some(password.to_owned()),
            ..person(9)
        };
        region.cognito().put_user(&pool.id, user);
        self.world.osaka.open_fence();
        let person = Visitor::of(region, pool);
        person
            .set_up_mfa_and_sign_in(&email(9), password)
            .await
            .unwrap();
    }

    async fn failover_and_failback(&mut self) {
        self.world.osaka.close_fence();
        self.run("failover", &["--yes"]).await;
        failover::play_failover(&self.world).await;
        // Somebody whom nobody knows in the primary pool, and somebody whose name an unconfirmed user has there.
        let osaka = self.world.osaka.cognito();
        osaka.put_user(&self.world.secondary.id, person(5));
        let unconfirmed = SeedUser {
            sub: None,
            status: UserStatus::Unconfirmed,
            ..person(3)
        };
        let tokyo = self.world.tokyo.cognito();
        tokyo.put_user(&self.world.primary.id, unconfirmed);
        let yes = ["--yes", "--prefer", "secondary", "--reclaim-unconfirmed"];
        self.run("failback", &yes).await;
        let run = failover::evidence(&self.world).unwrap()["run"].clone();
        let run = run.as_str().unwrap();
        self.run("failback", &[&yes[..], &["--accept", run]].concat())
            .await;
    }

    /// A fill, and decisions on what a run has reported.
    async fn reconciles(&mut self) {
        reconcile::without_quotas(&self.world);
        reconcile::people(&self.world, 1000..1501);
        // Cognito refuses somebody, which only the log of the import tells, and the pool is so large that people are looked up.
        let knobs = self.world.osaka.cognito().knobs();
        knobs.break_rows([1]);
        knobs.set_estimated_users(LARGE_POOL);
        self.run("reconcile", &["--dry-run"]).await;
        self.run("reconcile", &reconcile::FAST).await;

        for (number, side) in [(600, "secondary"), (700, "primary")] {
            self.somebody_has_changed(number).await;
            self.run("reconcile", &["--prefer", side, "--of", RECONCILE, "--yes"])
                .await;
        }
    }

    /// Somebody has written one attribute in the secondary pool, deleted another one and joined a group, and a run has reported that.
    async fn somebody_has_changed(&self, number: u32) {
        let world = &self.world;
        let before = with(person(number), "name", "old");
        let now = with(person(number), "custom:note", "new");
        reconcile::person_who_used_the_secondary(world, number, before, now).await;
        let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
        osaka.add_to_group(&world.secondary.id, &sub(number + 1000), "staff");
        tokyo.add_to_group(&world.primary.id, &sub(number), "old");
        reconcile::reported(world, &[(number, &["custom:note", "name"])]).await;
        reconcile::reported_in_group(world, &[number], "staff").await;
    }

    async fn restores(&mut self) {
        newcomer(&self.world, 1, person(1)).await;
        snapshot(&self.world).await.unwrap();
        self.run("restore", &["--dry-run"]).await;
        self.run("restore", &[]).await;
        newcomer(&self.world, 2, person(2)).await;
        for scope in ["newcomers", "pool"] {
            self.run("snapshot", &["--scope", scope]).await;
        }
    }

    /// Erases somebody who has left traces everywhere, and a newcomer, after each run has been here before.
    async fn forgets(&mut self) {
        let cognito = self.world.tokyo.cognito();
        cognito.remove_user(&self.world.primary.id, &email(1));
        let cognito = self.world.osaka.cognito();
        cognito.remove_user(&self.world.secondary.id, &email(1));
        let evidence = "failovers/20261120T101500Z-0a1b2c3d.json";
        put_object(&self.world, evidence, "{}".to_owned()).await;
        let there = forget::traces_of_person_1(&self.world).await;
        newcomer(&self.world, 4, person(4)).await;
        for options in [
            ["--user", &email(1), "--dry-run"],
            ["--sub", &sub(1), "--dry-run"],
            ["--sub", &there, "--yes"],
            ["--sub", &sub(4), "--yes"],
        ] {
            let ran = self.run("forget", &options).await;
            assert_eq!(ran.code, 0, "{options:?}: {ran:?}");
        }
    }
}
