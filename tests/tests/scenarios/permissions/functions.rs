//! The calls of each function, from scenarios in which it makes every call that it can make.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use local_regions::cognito::{GroupView, SeedUser, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{
    BACKUP_TRIGGER, BACKUP_WORKER, ORIGIN_SUB, OUTBOX, REPLICATE_TRIGGER, REPLICATE_WORKER,
    RESTORE, World,
};
use serde_json::{Value, json};
use shared::journal::{PASSWORD_RESETS_PREFIX, RESTORED_PREFIX, SIGN_UPS_PREFIX};

use super::{Calls, FUNCTION_PREFIXES, command_prefixes, note};
use crate::support::{
    confirmation, email, invoke, person_in_primary, put_object, record, sub, world,
};

/// The calls of all functions, and those of the commands that run the same code.
pub struct Recorded {
    pub functions: Calls,
    pub commands: Calls,
}

/// Records the calls.
pub async fn record_all() -> Recorded {
    let mut recorder = Recorder {
        world: world().await,
        functions: Calls::new(),
        commands: Calls::new(),
    };
    recorder.replicate_trigger().await;
    recorder.replicate_worker().await;
    recorder.backup_trigger().await;
    recorder.backup_worker().await;
    recorder.restore().await;
    recorder.world = world().await;
    recorder.reconcile_worker().await;
    Recorded {
        functions: recorder.functions,
        commands: recorder.commands,
    }
}

/// The command that does what a function does with this payload, with the same code.
fn same_as_command(function: &str, payload: &Value) -> Option<&'static str> {
    match (function, payload["action"].as_str()) {
        (REPLICATE_WORKER, Some("reconcile")) => Some("reconcile"),
        (BACKUP_WORKER, _) => Some("snapshot"),
        (RESTORE, _) => Some("restore"),
        _ => None,
    }
}

/// Invokes one function at a time and records its calls.
struct Recorder {
    world: World,
    functions: Calls,
    commands: Calls,
}

impl Recorder {
    async fn invoke(&mut self, function: &str, payload: Value) -> Result<Value, String> {
        let region = match function {
            REPLICATE_TRIGGER | REPLICATE_WORKER | RESTORE => &self.world.tokyo,
            _ => &self.world.osaka,
        };
        self.world.clear_calls();
        let answer = invoke(region, function, &payload).await;
        note(
            &mut self.functions,
            function,
            &self.world,
            &FUNCTION_PREFIXES,
        );
        if let Some(command) = same_as_command(function, &payload) {
            note(
                &mut self.commands,
                command,
                &self.world,
                &command_prefixes(),
            );
        }
        answer
    }

    async fn replicate_trigger(&mut self) {
        let created = self.invoke(REPLICATE_TRIGGER, confirmation(1)).await;
        let found = self.invoke(REPLICATE_TRIGGER, confirmation(1)).await;
        assert!(created.is_ok() && found.is_ok());

        let away = Fault::of(Service::Cognito, Kind::Refuse);
        self.world.osaka.faults().add(away);
        self.invoke(REPLICATE_TRIGGER, confirmation(2))
            .await
            .unwrap();
        self.world.osaka.faults().clear();

        // An attribute that no pool knows.
        let mut unknown = confirmation(12);
        unknown["request"]["userAttributes"]["custom:unknown"] = json!("u");
        self.invoke(REPLICATE_TRIGGER, unknown).await.unwrap();
    }

    /// Continues with the record that the trigger left in the outbox.
    async fn replicate_worker(&mut self) {
        // Somebody who has been deleted, somebody whose name an unconfirmed user has, somebody without a name, and an object
        // that is not a record.
        let squatter = SeedUser {
            status: UserStatus::Unconfirmed,
            attributes: [("email".to_owned(), email(4))].into(),
            ..SeedUser::default()
        };
        let secondary = &self.world.secondary.id;
        self.world.osaka.cognito().put_user(secondary, squatter);
        let mut nameless = record(5, SignedDuration::ZERO);
        nameless["attributes"] = json!({});
        for number in [2, 4, 7, 9] {
            person_in_primary(&self.world, number);
        }
        let primary = &self.world.primary.id;
        let without_address = SeedUser {
            sub: Some(sub(5)),
            ..SeedUser::default()
        };
        self.world
            .tokyo
            .cognito()
            .put_user(primary, without_address);
        // An address that has changed hands: the first person moved from it, or is gone.
        let holder = |number: u32| SeedUser {
            attributes: [
                ("email", email(number)),
                ("custom:origin_sub", sub(number - 1)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            ..SeedUser::default()
        };
        let moved = SeedUser {
            sub: Some(sub(6)),
            attributes: [("email", email(600)), ("email_verified", "true".to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..SeedUser::default()
        };
        self.world.tokyo.cognito().put_user(primary, moved);
        for number in [7, 9] {
            let holder = holder(number);
            self.world.osaka.cognito().put_user(secondary, holder);
        }
        // Somebody whom the pool refuses with one of the attributes.
        let too_long = SeedUser {
            sub: Some(sub(1)),
            attributes: [
                ("email", "one-more@example.jp".to_owned()),
                ("email_verified", "true".to_owned()),
                ("name", "x".repeat(2049)),
                ("nickname", "one".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            ..SeedUser::default()
        };
        self.world.tokyo.cognito().put_user(primary, too_long);
        let too_long = record(1, SignedDuration::ZERO);
        // Somebody whom nobody can look up: the record is of another pool.
        let mut foreign = record(11, SignedDuration::ZERO);
        foreign["pool"] = json!("ap-northeast-1_Another01");
        let records = [
            record(3, SignedDuration::from_hours(2)),
            record(4, SignedDuration::ZERO),
            nameless,
            json!("no record"),
            record(7, SignedDuration::ZERO),
            record(9, SignedDuration::ZERO),
            too_long,
            foreign,
        ];
        for (name, record) in records.iter().enumerate() {
            let put = self.world.tokyo.s3_client().put_object();
            let put = put.bucket(OUTBOX).key(format!("outbox/{name}.json"));
            put.body(record.to_string().into_bytes().into())
                .send()
                .await
                .unwrap();
        }

        let answer = self.invoke(REPLICATE_WORKER, json!({"action": "tick"}));

        assert_eq!(
            answer.await.unwrap(),
            json!({"drained": 5, "failing": 1, "conflicts": 2, "gone": 1, "oldest_s": 0})
        );
    }

    async fn backup_trigger(&mut self) {
        let mut event = confirmation(1);
        self.invoke(BACKUP_TRIGGER, event.clone()).await.unwrap();
        event["triggerSource"] = json!("PostConfirmation_ConfirmForgotPassword");
        self.invoke(BACKUP_TRIGGER, event).await.unwrap();
    }

    /// Continues with the newcomer whom the trigger wrote to the journal and the listing does not show.
    async fn backup_worker(&mut self) {
        let lambda = self.world.osaka.lambda();
        lambda.set_env(BACKUP_WORKER, "SNAPSHOT_MIN_INTERVAL_S", "0");
        for status in ["complete", "not-needed"] {
            let tick = self.invoke(BACKUP_WORKER, json!({"action": "tick"}));
            assert_eq!(tick.await.unwrap()["status"], status);
        }

        // The file needs a multipart upload: rows of the maximum length, with three bytes for each character.
        let long = "あ".repeat(2000);
        for number in 10..210 {
            let user = SeedUser {
                sub: Some(sub(number)),
                attributes: with_values(number, &long),
                ..SeedUser::default()
            };
            let secondary = &self.world.secondary.id;
            self.world.osaka.cognito().put_user(secondary, user);
        }
        // A newcomer who is in a group, and a replica that somebody has disabled.
        self.newcomer(210, 210, |_| ()).await;
        let (secondary, cognito) = (&self.world.secondary.id, self.world.osaka.cognito());
        cognito.add_to_group(secondary, &email(210), "staff");
        let disabled = SeedUser {
            enabled: false,
            attributes: [("email", email(211)), ("custom:origin_sub", sub(212))]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..SeedUser::default()
        };
        cognito.put_user(secondary, disabled);
        let snapshot = json!({"action": "snapshot"});
        let answer = self.invoke(BACKUP_WORKER, snapshot.clone()).await;
        assert_eq!(answer.unwrap()["status"], "complete");

        let refused = Kind::Error {
            status: 403,
            code: "AccessDenied".into(),
            message: "Access Denied".into(),
        };
        let fault = Fault::on(Service::S3, "CompleteMultipartUpload", refused);
        self.world.osaka.faults().add(fault);
        let error = self.invoke(BACKUP_WORKER, snapshot).await.unwrap_err();
        assert!(error.contains("CompleteMultipartUpload"), "{error}");
        self.world.osaka.faults().clear();

        let newcomers = json!({"action": "snapshot", "scope": "newcomers"});
        let answer = self.invoke(BACKUP_WORKER, newcomers).await;
        assert_eq!(answer.unwrap()["status"], "complete");

        // Interrupted by the timeout, and resumed.
        let lambda = self.world.osaka.lambda().clone();
        lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", "2");
        lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(6));
        let cut_off = self.invoke(BACKUP_WORKER, json!({"action": "snapshot"}));
        assert_eq!(cut_off.await.unwrap()["status"], "in-progress");
        lambda.unset_env(BACKUP_WORKER, "LIST_USERS_RPS");
        lambda.set_timeout(BACKUP_WORKER, Duration::from_secs(900));
        let complete = self.invoke(BACKUP_WORKER, json!({"action": "tick"}));
        assert_eq!(complete.await.unwrap()["status"], "complete");
    }
}

impl Recorder {
    /// Puts a user into the secondary pool who has signed up there, possibly with an email address that was changed later.
    async fn newcomer(&self, number: u32, signed_up_as: u32, change: impl FnOnce(&mut SeedUser)) {
        let mut person = SeedUser {
            sub: Some(sub(number)),
            attributes: [
                ("email".to_owned(), email(number)),
                ("email_verified".to_owned(), "true".to_owned()),
            ]
            .into(),
            ..SeedUser::default()
        };
        change(&mut person);
        let secondary = &self.world.secondary.id;
        self.world.osaka.cognito().put_user(secondary, person);
        let mut event = confirmation(number);
        event["request"]["userAttributes"]["email"] = json!(email(signed_up_as));
        invoke(&self.world.osaka, BACKUP_TRIGGER, &event)
            .await
            .unwrap();
    }

    /// Restores people who need more than an import: with a line break in a value, disabled, with a changed email address,
    /// with a name that somebody has; and more rows than fit into one request.
    async fn restore(&mut self) {
        let set = |person: &mut SeedUser, name: &str, value: String| {
            person.attributes.insert(name.to_owned(), value);
        };
        self.newcomer(300, 300, |person| set(person, "custom:note", "a\nb".into()))
            .await;
        self.newcomer(301, 301, |person| person.enabled = false)
            .await;
        self.newcomer(302, 9302, |_| ()).await;
        self.newcomer(303, 303, |_| ()).await;
        let holder = SeedUser {
            status: UserStatus::Unconfirmed,
            attributes: [("email".to_owned(), email(303))].into(),
            ..SeedUser::default()
        };
        let primary = &self.world.primary.id;
        self.world.tokyo.cognito().put_user(primary, holder);
        let long = "x".repeat(2000);
        for number in 400..1000 {
            let person = SeedUser {
                attributes: with_values(number, &long),
                ..SeedUser::default()
            };
            let secondary = &self.world.secondary.id;
            self.world.osaka.cognito().put_user(secondary, person);
        }
        // Without this attribute, records and rows are matched by email address.
        let lambda = self.world.osaka.lambda();
        lambda.unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");
        let snapshot = json!({"action": "snapshot", "accept_shrink": true});
        let taken = invoke(&self.world.osaka, BACKUP_WORKER, &snapshot).await;
        assert_eq!(taken.unwrap()["status"], "complete");
        let knobs = self.world.tokyo.cognito().knobs();
        knobs.break_rows([1]);
        knobs.set_quotas(false);

        let missing = json!({"scope": "missing", "reclaim_unconfirmed": true, "allow_stale": true});
        let refused = Kind::Error {
            status: 403,
            code: "AccessDenied".into(),
            message: "Access Denied".into(),
        };
        let fault = Fault::on(Service::S3, "CompleteMultipartUpload", refused);
        self.world.osaka.faults().add(fault);
        let error = self.invoke(RESTORE, missing.clone()).await.unwrap_err();
        assert!(error.contains("CompleteMultipartUpload"), "{error}");
        self.world.osaka.faults().clear();
        let restored = self.invoke(RESTORE, missing).await.unwrap();
        // The newcomer and the replica who are disabled.
        assert_eq!(restored["counts"]["created"], 2, "{restored}");
        assert_eq!(restored["counts"]["attributes_written"], 1, "{restored}");

        let again = self.invoke(RESTORE, json!({"allow_stale": true})).await;
        assert_eq!(again.unwrap()["counts"]["not_home"], 0);
        // In a large pool, people are looked up.
        let knobs = self.world.tokyo.cognito().knobs();
        knobs.set_estimated_users(40_000_000);
        let again = self.invoke(RESTORE, json!({"allow_stale": true})).await;
        assert_eq!(again.unwrap()["counts"]["not_home"], 0);

        // Somebody signs up after the last snapshot, and is disabled: has twinpool withheld them?
        self.newcomer(304, 304, |person| {
            person.enabled = false;
            set(person, ORIGIN_SUB, sub(304));
        })
        .await;
        let again = self.invoke(RESTORE, json!({})).await;
        assert_eq!(again.unwrap()["counts"]["created"], 1);
    }
}

impl Recorder {
    /// Puts the person with this number into both pools, with these attributes in the primary pool and those in the secondary pool. The
    /// replica's `sub` is that of 1000 more.
    fn pair(&self, number: u32, in_primary: &[(&str, &str)], in_secondary: &[(&str, &str)]) {
        let user = |sub: String, more: &[(&str, &str)]| SeedUser {
            sub: Some(sub),
            attributes: [("email", &*email(number)), ("email_verified", "true")]
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..SeedUser::default()
        };
        let primary = user(sub(number), in_primary);
        let secondary = user(sub(number + 1000), in_secondary);
        let ids = (&self.world.primary.id, &self.world.secondary.id);
        self.world.tokyo.cognito().put_user(ids.0, primary);
        self.world.osaka.cognito().put_user(ids.1, secondary);
    }

    /// Writes a journal record of the person with this number, whose name it knows as another one.
    async fn journal(&self, prefix: &str, number: u32) {
        let mut record = record(number + 1000, SignedDuration::from_mins(30));
        record["attributes"] =
            json!({"email": email(number), "email_verified": "true", "name": "old"});
        record["primary_sub"] = sub(number).into();
        let key = format!("{prefix}{}.json", sub(number + 1000));
        put_object(&self.world, &key, record.to_string()).await;
    }

    async fn reconcile(&mut self, mut payload: Value) -> Result<Value, String> {
        payload["action"] = "reconcile".into();
        self.invoke(REPLICATE_WORKER, payload).await
    }

    /// Reconciles people of each kind, in regions of its own.
    async fn reconcile_worker(&mut self) {
        let lambda = self.world.tokyo.lambda().clone();
        lambda.set_env(REPLICATE_WORKER, "RECONCILE_LIST_RPS", "1000");
        lambda.set_env(REPLICATE_WORKER, "WITHHOLD_DAYS", "0");
        lambda.set_env(REPLICATE_WORKER, "GROUPS_EVERY_S", "0");
        for region in [&self.world.tokyo, &self.world.osaka] {
            region.cognito().knobs().set_quotas(false);
        }
        let (tokyo, osaka) = (&self.world.tokyo, &self.world.osaka);
        let (tokyo, osaka) = (tokyo.cognito().clone(), osaka.cognito().clone());
        let (primary, secondary) = (&self.world.primary.id, &self.world.secondary.id);
        let (primary, secondary) = (primary.clone(), secondary.clone());
        for number in 1..=4 {
            let origin = ("custom:origin_sub", &*sub(number));
            self.pair(number, &[("name", "new")], &[origin, ("nickname", "old")]);
        }
        // People who have used the secondary pool: both of their users have the new name, and the nickname is to be written.
        for number in 5..=7 {
            let home = ("custom:origin_sub", &*sub(number + 1000));
            let replica = ("custom:origin_sub", &*sub(number));
            let (of_primary, of_secondary) = match number {
                5 => (None, Some(replica)),
                _ => (Some(home), None),
            };
            let changed = [("name", "new"), ("nickname", "new")];
            let of_primary: Vec<_> = of_primary.into_iter().chain(changed).collect();
            let of_secondary: Vec<_> = of_secondary.into_iter().chain([changed[0]]).collect();
            self.pair(number, &of_primary, &of_secondary);
        }
        self.journal(PASSWORD_RESETS_PREFIX, 5).await;
        self.journal(SIGN_UPS_PREFIX, 6).await;
        self.journal(RESTORED_PREFIX, 7).await;
        person_in_primary(&self.world, 8);
        let group = |name: &str, description: &str| GroupView {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            ..GroupView::default()
        };
        tokyo.put_group(&primary, group("created", ""));
        tokyo.put_group(&primary, group("updated", "new"));
        osaka.put_group(&secondary, group("updated", "old"));
        tokyo.add_to_group(&primary, &sub(1), "created");
        osaka.add_to_group(&secondary, &sub(1001), "updated");
        tokyo.set_enabled(&primary, &sub(2), false);
        tokyo.remove_user(&primary, &sub(3));

        let waiting = self.reconcile(json!({})).await.unwrap();
        let now = json!({"now": true});
        let first = self.reconcile(now.clone()).await.unwrap();
        tokyo.set_enabled(&primary, &sub(2), true);
        let second = self.reconcile(now).await.unwrap();

        assert_eq!(waiting["status"], "waiting", "{waiting}");
        assert_eq!(first["status"], "complete", "{first}");
        for (count, expected) in [
            ("created", 1),
            ("updated", 6),
            ("disabled", 1),
            ("withheld", 1),
            ("group_changes", 4),
            ("reported", 0),
        ] {
            assert_eq!(first["counts"][count], expected, "{count} {first}");
        }
        assert_eq!(second["counts"]["enabled"], 1, "{second}");
        assert_eq!(second["counts"]["removed"], 1, "{second}");

        // More lines of changes than fit into one request.
        for number in 10_000..60_000 {
            person_in_primary(&self.world, number);
        }
        let refused = Kind::Error {
            status: 403,
            code: "AccessDenied".into(),
            message: "Access Denied".into(),
        };
        let fault = Fault::on(Service::S3, "CompleteMultipartUpload", refused);
        self.world.osaka.faults().add(fault);
        let dry_run = json!({"dry_run": true});
        let error = self.reconcile(dry_run.clone()).await.unwrap_err();
        assert!(error.contains("CompleteMultipartUpload"), "{error}");
        self.world.osaka.faults().clear();
        let planned = self.reconcile(dry_run).await.unwrap();
        assert_eq!(planned["counts"]["created"], 50_000, "{planned}");
    }
}

/// The attributes of a person with this number, whose long ones all have this value.
fn with_values(number: u32, long: &str) -> BTreeMap<String, String> {
    let names = [
        "name",
        "address",
        "nickname",
        "custom:note",
        "custom:tenant",
    ];
    let long = names.map(|name| (name.to_owned(), long.to_owned()));
    let address = [
        ("email".to_owned(), email(number)),
        ("email_verified".to_owned(), "true".to_owned()),
    ];
    long.into_iter().chain(address).collect()
}
