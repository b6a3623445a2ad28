//! Changes the post-confirmation trigger of a pool and no other setting, for `twinpool attach` and `twinpool detach`.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_cognitoidentityprovider::Client;
use restore::import_job::is_active;
use serde::Serialize;
use serde_json::Value;
use shared::aws::{AwsError, RetryPolicy};
use shared::pool_id::PoolId;

use super::function::FunctionArn;
use super::settings::{Change, Description, Settings};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::raw::{self, Object, RawAnswer};
use crate::terminal::{GOOD, WARN, WRONG};

/// What a pool should run after a confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This function.
    Attached(FunctionArn),
    /// No function.
    Detached {
        /// The only function that may be taken away; any, if `None`.
        only: Option<FunctionArn>,
    },
}

impl Wanted {
    /// The name of the command.
    fn command(&self) -> &'static str {
        match self {
            Self::Attached(_) => "attach",
            Self::Detached { .. } => "detach",
        }
    }

    /// Whether a pool that runs a function, or none, is as it should be.
    fn is_reached(&self, runs: Option<&str>) -> bool {
        match self {
            Self::Attached(function) => runs == Some(function.as_str()),
            Self::Detached { .. } => runs.is_none(),
        }
    }

    /// Refuses to take away a function that is not to be taken away.
    fn check_function(&self, runs: &str) -> Result<(), Failure> {
        match self {
            Self::Attached(_) => Err(Failure::Wrong(format!(
                "the pool already has a post-confirmation function: {runs}; keep it, and let it invoke twinpool's function with the \
                 same event: docs/deploy.md, \"Around existing pools\", says how"
            ))),
            Self::Detached { only: Some(only) } if only.as_str() != runs => {
                Err(Failure::Wrong(format!(
                    "the pool runs another function than {}: {runs}; if that one is to be detached, name it with --function",
                    only.as_str()
                )))
            }
            Self::Detached { .. } => Ok(()),
        }
    }

    /// The settings of the pool as they should be.
    fn applied_to(&self, settings: &Settings) -> Settings {
        match self {
            Self::Attached(function) => settings.with_post_confirmation(function.as_str()),
            Self::Detached { .. } => settings.without_post_confirmation(),
        }
    }

    /// How to do the same in the Cognito console.
    fn in_the_console(&self) -> &'static str {
        match self {
            Self::Attached(_) => {
                "attach the function in the Cognito console: the pool › Extensions › Add Lambda trigger"
            }
            Self::Detached { .. } => {
                "remove the post-confirmation trigger in the Cognito console: the pool › Extensions"
            }
        }
    }
}

/// The result of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    AlreadyAttached,
    WouldAttach,
    Attached,
    AlreadyDetached,
    WouldDetach,
    Detached,
    SettingsChanged,
    NotReadAgain,
}

#[derive(Debug, Serialize)]
struct Report {
    pool: String,
    /// The function that is attached or detached; none if there is none to detach.
    function: Option<String>,
    status: Status,
    /// The changes that are written.
    changes: Vec<Change>,
    /// Number of settings that do not change.
    kept: usize,
    /// Settings that differ from what was written.
    not_kept: Vec<Change>,
    /// If the settings could not be read again: the settings that the pool should have.
    to_compare: BTreeMap<String, Value>,
}

/// Makes a pool run what it should after a confirmation, and shows what was done.
///
/// # Errors
///
/// The trigger cannot be changed safely, AWS rejected a call or did not answer, there are no AWS credentials, or the result cannot be
/// written.
pub async fn change(
    pool: &PoolId,
    wanted: &Wanted,
    dry_run: bool,
    context: &Context,
) -> Result<Verdict, Failure> {
    let client = context.sdk().await?.cognito(pool, RetryPolicy::WORKER);
    let description = Description::read(&client, pool).await?;
    let before = description.settings();
    let runs = before.post_confirmation();
    let (function, [already, would, done]) = match wanted {
        Wanted::Attached(function) => (
            Some(function.as_str()),
            [
                Status::AlreadyAttached,
                Status::WouldAttach,
                Status::Attached,
            ],
        ),
        Wanted::Detached { .. } => (
            runs,
            [
                Status::AlreadyDetached,
                Status::WouldDetach,
                Status::Detached,
            ],
        ),
    };
    let mut report = Report {
        pool: pool.to_string(),
        function: function.map(str::to_owned),
        status: already,
        changes: Vec::new(),
        kept: before.count(),
        not_kept: Vec::new(),
        to_compare: BTreeMap::new(),
    };
    if wanted.is_reached(runs) {
        context.terminal.show(&report)?;
        return Ok(Verdict::Good);
    }
    check_writable(&before, wanted)?;
    if import_is_running(&client, pool).await? {
        return Err(import_in_progress());
    }

    let changed = wanted.applied_to(&before);
    report.changes = before.changes_to(&changed);
    report.kept -= report
        .changes
        .iter()
        .filter(|change| change.before.is_some())
        .count();
    if dry_run {
        report.status = would;
        context.terminal.show(&report)?;
        return Ok(Verdict::Good);
    }
    let mfa = read_mfa_settings(&client, pool).await?;
    let again = Description::read(&client, pool).await?;
    if again.last_modified() != description.last_modified() {
        return Err(changed_meanwhile());
    }
    update(&client, pool, &changed).await?;

    let (after, mfa_after) = match read_again(&client, pool).await {
        Ok(after) => after,
        Err(error) => {
            // Running the command again would find nothing to change, and would not compare the settings.
            report.status = Status::NotReadAgain;
            report.to_compare = changed.leaves();
            report.to_compare.extend(mfa.leaves());
            context.terminal.show(&report)?;
            let command = wanted.command();
            return Err(Failure::NotReadAgain { command, error });
        }
    };
    report.not_kept = changed.changes_to(&after);
    report.not_kept.extend(mfa.changes_to(&mfa_after));
    let (status, verdict) = if report.not_kept.is_empty() {
        (done, Verdict::Good)
    } else {
        (Status::SettingsChanged, Verdict::Wrong)
    };
    report.status = status;
    context.terminal.show(&report)?;
    Ok(verdict)
}

/// Rejects settings that cannot be written back safely.
fn check_writable(settings: &Settings, wanted: &Wanted) -> Result<(), Failure> {
    if let Some(runs) = settings.post_confirmation() {
        wanted.check_function(runs)?;
    }
    let unknown = settings.unknown();
    if !unknown.is_empty() {
        return Err(Failure::Wrong(format!(
            "the pool has settings that this version of twinpool does not know and might reset: {}; {}",
            unknown.join(", "),
            wanted.in_the_console()
        )));
    }
    Ok(())
}

fn import_in_progress() -> Failure {
    Failure::Busy(
        "a user import is running, and Cognito does not change a pool during an import; run the command again when it has ended"
            .to_owned(),
    )
}

fn changed_meanwhile() -> Failure {
    Failure::Busy(
        "somebody else is changing the pool; nothing was written; run the command again".to_owned(),
    )
}

/// Whether a user import of the pool is running.
async fn import_is_running(client: &Client, pool: &PoolId) -> Result<bool, AwsError> {
    let mut token = None;
    loop {
        let page = client
            .list_user_import_jobs()
            .user_pool_id(pool.as_str())
            .max_results(60)
            .set_pagination_token(token)
            .send()
            .await
            .map_err(|error| AwsError::from_sdk("ListUserImportJobs", pool, &error))?;
        if page.user_import_jobs().iter().any(is_active) {
            return Ok(true);
        }
        token = page.pagination_token;
        if token.is_none() {
            return Ok(false);
        }
    }
}

/// The MFA settings that DescribeUserPool does not return.
async fn read_mfa_settings(client: &Client, pool: &PoolId) -> Result<Settings, AwsError> {
    let answer = RawAnswer::default();
    client
        .get_user_pool_mfa_config()
        .user_pool_id(pool.as_str())
        .customize()
        .interceptor(answer.clone())
        .send()
        .await
        .map_err(|error| AwsError::from_sdk("GetUserPoolMfaConfig", pool, &error))?;
    let settings = answer.whole();
    let settings = settings
        .ok_or_else(|| AwsError::incomplete_response("GetUserPoolMfaConfig", pool, "settings"))?;
    Ok(Settings::from(settings))
}

/// The settings of a pool and its MFA settings, after they were written.
async fn read_again(client: &Client, pool: &PoolId) -> Result<(Settings, Settings), AwsError> {
    let settings = Description::read(client, pool).await?.settings();
    Ok((settings, read_mfa_settings(client, pool).await?))
}

async fn update(client: &Client, pool: &PoolId, settings: &Settings) -> Result<(), Failure> {
    let request: Object = settings.request(pool);
    let updated = client
        .update_user_pool()
        .user_pool_id(pool.as_str())
        .customize()
        .mutate_request(raw::with_body(request))
        .send()
        .await;
    let Err(error) = updated else {
        return Ok(());
    };
    let error = AwsError::from_sdk("UpdateUserPool", pool, &error);
    Err(match error.code() {
        "ConcurrentModificationException" => changed_meanwhile(),
        "UserImportInProgressException" => import_in_progress(),
        _ => Failure::Explained { error },
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, kept, .. } = self;
        writeln!(f, "user pool {pool}")?;
        write_changes(f, &self.changes)?;
        if !self.changes.is_empty() {
            writeln!(f, "  {kept} other settings do not change")?;
        }
        match self.status {
            Status::AlreadyAttached => {
                write!(
                    f,
                    "{GOOD}nothing to do{GOOD:#}: the function is already attached"
                )
            }
            Status::AlreadyDetached => {
                write!(
                    f,
                    "{GOOD}nothing to do{GOOD:#}: the pool runs no function after a confirmation"
                )
            }
            Status::WouldAttach | Status::WouldDetach => {
                write!(f, "nothing was changed: this was a dry run")
            }
            Status::Attached => {
                writeln!(
                    f,
                    "{GOOD}attached{GOOD:#}: the settings were read again, and no other setting has changed"
                )?;
                write!(
                    f,
                    "Confirm one test sign-up now (if the fence is closed, in the next failover drill): if the function does not exist, or \
                     the pool is not permitted to invoke it, every sign-up fails. To undo: twinpool detach --pool {pool}"
                )
            }
            Status::Detached => {
                writeln!(
                    f,
                    "{GOOD}detached{GOOD:#}: the settings were read again, and no other setting has changed"
                )?;
                write!(
                    f,
                    "Whoever signs up in this pool is neither replicated nor recorded until the function is attached again: twinpool \
                     attach --pool {pool} --function {}",
                    self.function.as_deref().unwrap_or("ARN")
                )
            }
            Status::SettingsChanged => {
                writeln!(
                    f,
                    "{WRONG}the settings were written, but some of them have changed{WRONG:#}; correct these in the Cognito console:"
                )?;
                write_changes(f, &self.not_kept)
            }
            Status::NotReadAgain => {
                writeln!(
                    f,
                    "{WARN}the settings were written, but not read again{WARN:#}; they should be:"
                )?;
                for (setting, value) in &self.to_compare {
                    writeln!(f, "  {setting}: {}", show_value(Some(value)))?;
                }
                Ok(())
            }
        }
    }
}

fn write_changes(f: &mut fmt::Formatter<'_>, changes: &[Change]) -> fmt::Result {
    for change in changes {
        let (before, after) = (
            show_value(change.before.as_ref()),
            show_value(change.after.as_ref()),
        );
        writeln!(f, "  {}: {before} -> {after}", change.setting)?;
    }
    Ok(())
}

/// The value of a setting as text.
fn show_value(value: Option<&Value>) -> String {
    match value {
        None => "(not set)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
