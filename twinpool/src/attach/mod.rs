//! `twinpool attach`: attaches the post-confirmation trigger to an existing pool, and changes nothing else.

mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::UserImportJobStatusType;
use serde::Serialize;
use serde_json::Value;
use shared::aws::{AwsError, RetryPolicy};
use shared::pool_id::PoolId;

use self::settings::{Change, Description, Settings};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::OnePool;
use crate::raw::{self, Object, RawAnswer};
use crate::terminal::{GOOD, WARN, WRONG};

/// Attach twinpool's function to an existing pool as its post-confirmation trigger
///
/// Changes one setting of the pool, its post-confirmation trigger. Cognito's UpdateUserPool resets nearly every setting that the
/// request leaves out. So the command reads all settings, writes back those that would be reset, and reads all of them again to make
/// sure that no other setting has changed. Nothing is written if another function is already attached, if the pool has a setting that this version of twinpool
/// does not know, or while a user import is running. The deployment of the function has already permitted the pool to invoke it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pool: OnePool,

    /// The function: the output TriggerArn of the pool's stack. Without this option, the one that twinpool.toml names for the pool.
    #[arg(long, value_name = "ARN")]
    function: Option<FunctionArn>,

    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  twinpool attach --primary --dry-run       if twinpool.toml is there
  twinpool attach --pool ap-northeast-1_AbCdEf123 \\
    --function arn:aws:lambda:ap-northeast-1:123456789012:function:replicate-fn-trigger --dry-run

Exit codes:
  0  the function is attached, or was attached before
  1  the pool cannot be changed safely, or another setting has changed too
  2  bad usage
  3  AWS refused or did not answer; if settings were written but could not be read again, they are listed
  4  somebody else is changing the pool, or a user import is running: run the command again later

Permissions: cognito-idp:DescribeUserPool, GetUserPoolMfaConfig, ListUserImportJobs, UpdateUserPool";

/// The ARN of a Lambda function, with or without an alias. A version is not allowed (botocore LambdaConfigType and the developer
/// guide).
#[derive(Clone, Debug, PartialEq, Eq)]
struct FunctionArn(String);

/// Why a text is not the ARN of a function that can be attached to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotAFunction {
    /// It is not the ARN of a function.
    #[error("not the ARN of a function, such as arn:aws:lambda:REGION:ACCOUNT:function:NAME")]
    Malformed,
    /// It names a version.
    #[error(
        "a version of a function cannot be attached to a pool: leave the version out, or name an alias"
    )]
    Version,
}

impl FunctionArn {
    fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl FromStr for FunctionArn {
    type Err = NotAFunction;

    fn from_str(arn: &str) -> Result<Self, NotAFunction> {
        let parts: Vec<&str> = arn.split(':').collect();
        let qualifier = match parts[..] {
            [
                "arn",
                _,
                "lambda",
                region,
                account,
                "function",
                name,
                ref qualifier @ ..,
            ] if ![region, account, name].contains(&"") && qualifier.len() < 2 => {
                qualifier.first().copied()
            }
            _ => return Err(NotAFunction::Malformed),
        };
        match qualifier {
            Some("") => Err(NotAFunction::Malformed),
            Some("$LATEST") => Err(NotAFunction::Version),
            Some(version) if version.chars().all(|c| c.is_ascii_digit()) => {
                Err(NotAFunction::Version)
            }
            _ => Ok(Self(arn.to_owned())),
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
    SettingsChanged,
    NotReadAgain,
}

#[derive(Debug, Serialize)]
struct Report {
    pool: String,
    function: String,
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

/// Runs the command.
///
/// # Errors
///
/// The function cannot be attached to this pool safely, AWS rejected a call or did not answer, there are no AWS credentials, or the
/// result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        pool,
        function,
        dry_run,
    } = args;
    let pool = pool.choose(None, context)?;
    let function = match function {
        Some(function) => function,
        None => read_function(&pool, context)?,
    };
    if function.region() != pool.region() {
        return Err(Failure::Usage(format!(
            "the function is in {}, the pool is in {}: a pool can only invoke functions of its own region",
            function.region(),
            pool.region()
        )));
    }
    let client = context.sdk().await?.cognito(&pool, RetryPolicy::WORKER);
    let description = Description::read(&client, &pool).await?;
    let before = description.settings();
    let mut report = Report {
        pool: pool.to_string(),
        function: function.0.clone(),
        status: Status::AlreadyAttached,
        changes: Vec::new(),
        kept: before.count(),
        not_kept: Vec::new(),
        to_compare: BTreeMap::new(),
    };
    if before.post_confirmation() == Some(&function.0) {
        context.terminal.show(&report)?;
        return Ok(Verdict::Good);
    }
    check_writable(&before)?;
    if import_is_running(&client, &pool).await? {
        return Err(import_in_progress());
    }

    let wanted = before.with_post_confirmation(&function.0);
    report.changes = before.changes_to(&wanted);
    if dry_run {
        report.status = Status::WouldAttach;
        context.terminal.show(&report)?;
        return Ok(Verdict::Good);
    }
    let mfa = read_mfa_settings(&client, &pool).await?;
    let again = Description::read(&client, &pool).await?;
    if again.last_modified() != description.last_modified() {
        return Err(changed_meanwhile());
    }
    update(&client, &pool, &wanted).await?;

    let (after, mfa_after) = match read_again(&client, &pool).await {
        Ok(after) => after,
        Err(error) => {
            // Running the command again would find the function attached, and would not compare the settings.
            report.status = Status::NotReadAgain;
            report.to_compare = wanted.leaves();
            report.to_compare.extend(mfa.leaves());
            context.terminal.show(&report)?;
            return Err(Failure::NotReadAgain { error });
        }
    };
    report.not_kept = wanted.changes_to(&after);
    report.not_kept.extend(mfa.changes_to(&mfa_after));
    let (status, verdict) = if report.not_kept.is_empty() {
        (Status::Attached, Verdict::Good)
    } else {
        (Status::SettingsChanged, Verdict::Wrong)
    };
    report.status = status;
    context.terminal.show(&report)?;
    Ok(verdict)
}

/// The function that twinpool.toml names for a pool.
fn read_function(pool: &PoolId, context: &Context) -> Result<FunctionArn, Failure> {
    let named = context.settings.trigger_of(pool).ok_or_else(|| {
        Failure::Usage(format!(
            "twinpool.toml names no function for {pool}; give output TriggerArn of the pool's stack with --function"
        ))
    })?;
    named.parse().map_err(|error| {
        Failure::Usage(format!("the function of {pool} in twinpool.toml: {error}"))
    })
}

/// Rejects settings that cannot be written back safely.
fn check_writable(settings: &Settings) -> Result<(), Failure> {
    if let Some(other) = settings.post_confirmation() {
        return Err(Failure::Wrong(format!(
            "the pool already has a post-confirmation function: {other}; keep it, and let it invoke twinpool's function with the \
             same event: docs/deploy.md, \"Around existing pools\", says how"
        )));
    }
    let unknown = settings.unknown();
    if !unknown.is_empty() {
        return Err(Failure::Wrong(format!(
            "the pool has settings that this version of twinpool does not know and might reset: {}; attach the function in the \
             Cognito console: the pool › Extensions › Add Lambda trigger",
            unknown.join(", ")
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
    use UserImportJobStatusType::{InProgress, Pending, Stopping};
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
        let mut jobs = page.user_import_jobs().iter();
        if jobs.any(|job| matches!(job.status, Some(InProgress | Pending | Stopping))) {
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
            Status::WouldAttach => write!(f, "nothing was changed: this was a dry run"),
            Status::Attached => {
                writeln!(
                    f,
                    "{GOOD}attached{GOOD:#}: the settings were read again, and no other setting has changed"
                )?;
                write!(
                    f,
                    "Confirm one test sign-up now (if the fence is closed, in the next failover drill): if the function does not exist, or \
                     the pool is not permitted to invoke it, every sign-up fails. To undo: Cognito console › the pool › Extensions › \
                     detach the function."
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_arn_may_have_an_alias_but_no_version() {
        let arn = "arn:aws:lambda:ap-northeast-1:123456789012:function:f";

        assert_eq!(
            arn.parse::<FunctionArn>().unwrap().region(),
            "ap-northeast-1"
        );
        assert!(format!("{arn}:live").parse::<FunctionArn>().is_ok());
        for version in ["1", "42", "$LATEST"] {
            let parsed = format!("{arn}:{version}").parse::<FunctionArn>();
            assert_eq!(parsed, Err(NotAFunction::Version));
        }
        for text in [
            "f",
            "arn:aws:s3:::bucket",
            &format!("{arn}:"),
            &format!("{arn}:a:b"),
        ] {
            assert_eq!(
                text.parse::<FunctionArn>(),
                Err(NotAFunction::Malformed),
                "{text}"
            );
        }
    }
}
