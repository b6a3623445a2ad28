//! Both regions as the engineer's stacks leave them: two pools, two buckets, the functions replicate-fn and backup-fn, each
//! deployed as a trigger and as a worker, restore-fn, and the fence, which is open at the start.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::binary;
use crate::cognito::{Contact, CustomAttribute, Mfa, Pool, PoolSettings, Recovery};
use crate::lambda::Function;
use crate::region::{Calls, RecordedCall, Region, listen};
use crate::schedule::{self, ScheduleOptions};

/// The region of the primary pool.
pub const TOKYO: &str = "ap-northeast-1";
/// The region of the secondary pool.
pub const OSAKA: &str = "ap-northeast-3";
/// The bucket of the outbox, in Tokyo.
pub const OUTBOX: &str = "twinpool-outbox";
/// The bucket of the journal and the snapshots, in Osaka.
pub const SNAPSHOTS: &str = "twinpool-snapshots";
/// replicate-fn as the primary pool's trigger.
pub const REPLICATE_TRIGGER: &str = "replicate-fn-trigger";
/// replicate-fn as the outbox's worker.
pub const REPLICATE_WORKER: &str = "replicate-fn-worker";
/// backup-fn as the secondary pool's trigger.
pub const BACKUP_TRIGGER: &str = "backup-fn-trigger";
/// backup-fn as the worker that takes snapshots.
pub const BACKUP_WORKER: &str = "backup-fn-worker";
/// restore-fn, in Tokyo.
pub const RESTORE: &str = "restore-fn";
/// The role with which Cognito writes the import log.
pub const IMPORT_LOGS_ROLE: &str = "arn:aws:iam::123456789012:role/import-logs";
/// The custom attribute that contains the `sub` of the other pool.
pub const ORIGIN_SUB: &str = "custom:origin_sub";

/// The options of a [`World`].
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The folder of objects and logs; `None` means a temporary folder, which is deleted with the world.
    pub folder: Option<PathBuf>,
    /// The ports of Tokyo and Osaka; 0 means any free port.
    pub ports: [u16; 2],
    /// Whether the functions are deployed, and the triggers attached to the pools.
    pub functions: bool,
    /// How the workers are invoked; `None` means that only the test invokes them.
    pub schedule: Option<ScheduleOptions>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            folder: None,
            ports: [0, 0],
            functions: true,
            schedule: None,
        }
    }
}

/// Both regions, which run until this is dropped.
pub struct World {
    /// The region of the primary pool.
    pub tokyo: Region,
    /// The region of the secondary pool.
    pub osaka: Region,
    /// The pool in which people sign up on a normal day.
    pub primary: Pool,
    /// The replica of the primary pool.
    pub secondary: Pool,
    folder: PathBuf,
    calls: Calls,
    _tasks: JoinSet<()>,
    _temporary: Option<TempDir>,
}

impl World {
    /// Starts both regions.
    ///
    /// # Errors
    ///
    /// Fails if a port is in use, a folder cannot be created, or a function cannot be built.
    pub async fn start(options: WorldOptions) -> anyhow::Result<Self> {
        let (folder, temporary) = match options.folder {
            Some(folder) => (folder, None),
            None => {
                let temporary = temporary_folder()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let calls = Calls::default();
        let [tokyo_listener, osaka_listener] =
            [bind(options.ports[0]).await?, bind(options.ports[1]).await?];
        let region = |name, listener: &TcpListener| {
            let endpoint = format!("http://{}", listener.local_addr()?);
            Region::new(name, &endpoint, &folder.join(name), calls.clone())
        };
        let (tokyo, tokyo_notifications) = region(TOKYO, &tokyo_listener)?;
        let (osaka, osaka_notifications) = region(OSAKA, &osaka_listener)?;

        let primary = tokyo.cognito().create_pool(PoolSettings {
            name: "primary".to_owned(),
            id: Some(format!("{TOKYO}_Primary01")),
            client_id: Some("primaryappclient0000000001".to_owned()),
            ..pool()
        });
        let secondary = osaka.cognito().create_pool(PoolSettings {
            name: "secondary".to_owned(),
            id: Some(format!("{OSAKA}_Secondary")),
            client_id: Some("secondaryappclient00000001".to_owned()),
            ..pool()
        });
        let arn = osaka.cognito().pool_arn(&secondary.id);
        let fence = osaka.waf().put_fence(OSAKA, &arn);
        tokyo.s3().create_bucket(OUTBOX)?;
        osaka.s3().create_bucket(SNAPSHOTS)?;
        osaka
            .s3()
            .notify(SNAPSHOTS, "journal/sign-up/", BACKUP_WORKER);
        if options.functions {
            deploy(&tokyo, &osaka, &primary, &secondary).await?;
            put_stacks(&tokyo, &osaka, &primary, &secondary, &fence);
        }

        let mut tasks = JoinSet::new();
        let regions: Arc<[Region]> = Arc::new([tokyo.clone(), osaka.clone()]);
        tasks.spawn(listen(tokyo_listener, regions.clone(), 0));
        tasks.spawn(listen(osaka_listener, regions, 1));
        if let Some(schedule) = options.schedule {
            for (region, notifications, worker) in [
                (&tokyo, tokyo_notifications, REPLICATE_WORKER),
                (&osaka, osaka_notifications, BACKUP_WORKER),
            ] {
                tasks.spawn(schedule::run(
                    region.lambda().clone(),
                    notifications,
                    worker.to_owned(),
                    schedule.clone(),
                ));
            }
        }
        Ok(Self {
            tokyo,
            osaka,
            primary,
            secondary,
            folder,
            calls,
            _tasks: tasks,
            _temporary: temporary,
        })
    }

    /// The calls to both regions, in the order of arrival.
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.calls.list()
    }

    /// Deletes the record of calls so far.
    pub fn clear_calls(&self) {
        self.calls.clear();
    }

    /// The folder of objects (`<region>/s3/<bucket>/`) and logs (`<region>/logs/<function>.log`).
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log of a function.
    pub fn log(&self, region: &Region, function: &str) -> String {
        let log = self.folder.join(region.name()).join("logs");
        std::fs::read_to_string(log.join(format!("{function}.log"))).unwrap_or_default()
    }
}

/// A folder below `target/tmp` of this repository, so that nothing stays outside of it if the process is killed.
fn temporary_folder() -> anyhow::Result<TempDir> {
    let parent = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp"));
    std::fs::create_dir_all(parent)?;
    let parent = parent.canonicalize()?;
    let folder = tempfile::Builder::new()
        .prefix("regions-")
        .tempdir_in(parent)?;
    Ok(folder)
}

async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))
}

/// The settings of both pools: sign-in by email with a required authenticator.
pub fn pool() -> PoolSettings {
    PoolSettings {
        username_attributes: vec![Contact::Email],
        case_sensitive: false,
        mfa: Mfa::On,
        auto_verified: vec![Contact::Email],
        recovery: vec![Recovery::VerifiedEmail],
        custom_attributes: ["tenant", "note", "origin_sub"]
            .map(CustomAttribute::text)
            .to_vec(),
        ..PoolSettings::default()
    }
}

async fn deploy(
    tokyo: &Region,
    osaka: &Region,
    primary: &Pool,
    secondary: &Pool,
) -> anyhow::Result<()> {
    let names = ["replicate-fn", "backup-fn", "restore-fn"];
    let binaries = tokio::task::spawn_blocking(move || names.map(binary)).await?;
    let [replicate, backup, restore] = binaries;
    let (replicate, backup, restore) = (replicate?, backup?, restore?);
    let trigger = Duration::from_secs(5);
    let worker = Duration::from_secs(900);
    let function = |name: &str, binary: &Path, timeout, env: &[(&str, &str)]| Function {
        name: name.to_owned(),
        binary: binary.to_owned(),
        env: BTreeMap::from_iter(
            env.iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        ),
        timeout,
        concurrency: 10,
    };

    let env = [
        ("TARGET_USER_POOL_ID", secondary.id.as_str()),
        ("OUTBOX_BUCKET", OUTBOX),
        ("ORIGIN_SUB_ATTRIBUTE", ORIGIN_SUB),
    ];
    let lambda = tokyo.lambda();
    lambda.create_function(function(REPLICATE_TRIGGER, &replicate, trigger, &env));
    let trigger_arn = lambda.arn(REPLICATE_TRIGGER);
    let of_worker = [
        ("SOURCE_USER_POOL_ID", primary.id.as_str()),
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("S3_BUCKET_REGION", OSAKA),
        ("TRIGGER_ARN", &trigger_arn),
    ];
    let env = [&env[..], &of_worker].concat();
    lambda.create_function(function(REPLICATE_WORKER, &replicate, worker, &env));
    tokyo
        .cognito()
        .set_post_confirmation(&primary.id, REPLICATE_TRIGGER);

    let env = [
        ("USER_POOL_ID", primary.id.as_str()),
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("S3_BUCKET_REGION", OSAKA),
        ("IMPORT_LOGS_ROLE_ARN", IMPORT_LOGS_ROLE),
    ];
    lambda.create_function(function(RESTORE, &restore, worker, &env));

    let env = [
        ("S3_BUCKET_NAME", SNAPSHOTS),
        ("ORIGIN_SUB_ATTRIBUTE", ORIGIN_SUB),
    ];
    let lambda = osaka.lambda();
    lambda.create_function(function(BACKUP_TRIGGER, &backup, trigger, &env));
    let trigger_arn = lambda.arn(BACKUP_TRIGGER);
    let more = [
        ("USER_POOL_ID", secondary.id.as_str()),
        ("PRIMARY_USER_POOL_ID", primary.id.as_str()),
        ("TRIGGER_ARN", &trigger_arn),
    ];
    let env = [&env[..], &more].concat();
    lambda.create_function(function(BACKUP_WORKER, &backup, worker, &env));
    osaka
        .cognito()
        .set_post_confirmation(&secondary.id, BACKUP_TRIGGER);
    Ok(())
}

/// The stacks that `cdk/` deploys, with their outputs as far as an operator needs them.
fn put_stacks(tokyo: &Region, osaka: &Region, primary: &Pool, secondary: &Pool, fence: &str) {
    let outputs = [
        ("UserPoolId", primary.id.as_str()),
        ("TriggerArn", &tokyo.lambda().arn(REPLICATE_TRIGGER)),
        ("WorkerName", REPLICATE_WORKER),
        ("OutboxBucketName", OUTBOX),
        ("SnapshotBucketName", SNAPSHOTS),
        ("RestoreFunctionName", RESTORE),
        ("ImportLogsRoleArn", IMPORT_LOGS_ROLE),
        ("OriginSubAttribute", ORIGIN_SUB),
    ];
    tokyo.stacks().put(TOKYO, "TwinpoolPrimary", &outputs);
    let outputs = [
        ("UserPoolId", secondary.id.as_str()),
        ("TriggerArn", &osaka.lambda().arn(BACKUP_TRIGGER)),
        ("WorkerName", BACKUP_WORKER),
        ("SnapshotBucketName", SNAPSHOTS),
        ("ImportLogsRoleArn", IMPORT_LOGS_ROLE),
        ("FenceArn", fence),
        ("OriginSubAttribute", ORIGIN_SUB),
    ];
    osaka.stacks().put(OSAKA, "TwinpoolSecondary", &outputs);
}
