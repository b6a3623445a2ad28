//! `twinpool mfa-reset`: lets a user who has lost the authenticator set up a new one.

use std::fmt;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::admin_get_user::AdminGetUserOutput;
use serde::Serialize;
use shared::aws::{AwsError, RetryPolicy};
use shared::person::{Attributes, Status};
use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::OnePool;
use crate::terminal::{GOOD, WARN};

/// Remove a user's authenticator, so that the user sets up a new one at the next sign-in
///
/// Deletes the authenticator that the user has registered in this pool (AdminDeleteSoftwareToken), and changes nothing else.
/// Verify first who is asking: until the user signs in again, anyone who knows the password can register an authenticator.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pool: OnePool,

    /// The user: username, the email address or phone number used for sign-in, or sub.
    #[arg(long, value_name = "NAME")]
    user: String,

    /// Only show the user and what would be done.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  twinpool mfa-reset --secondary --user taro@example.jp     if twinpool.toml or TWINPOOL_SECONDARY is there
  twinpool mfa-reset --pool ap-northeast-3_AbCdEf123 --user taro@example.jp

Exit codes:
  0  done, or nothing to do
  1  there is no such user, or the user cannot have an authenticator in this pool
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:AdminGetUser, AdminDeleteSoftwareToken";

/// What happened to the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Removed,
    WouldRemove,
    /// In a dry run: none is listed. The list contains active factors only, so an authenticator may still be registered (botocore:
    /// UserMFASettingList).
    NoneListed,
    NoneThere,
}

#[derive(Debug, Serialize)]
struct Report {
    pool: String,
    sub: String,
    user_status: String,
    enabled: bool,
    outcome: Outcome,
    /// Other factors that the user can sign in with.
    other_factors: Vec<String>,
}

/// Name of the authenticator in UserMFASettingList of AdminGetUser.
const AUTHENTICATOR: &str = "SOFTWARE_TOKEN_MFA";

/// Runs the command.
///
/// # Errors
///
/// There is no such user, the user cannot have an authenticator, AWS rejected a call or did not answer, there are no AWS credentials,
/// or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        pool,
        user,
        dry_run,
    } = args;
    let pool = pool.choose(None, context)?;
    let client = context.sdk().await?.cognito(&pool, RetryPolicy::WORKER);
    let found = read_user(&client, &pool, &user).await?;
    let status = Status::from(found.user_status.clone());
    match status {
        Status::Unconfirmed => {
            return Err(Failure::Wrong(
                "this user has not confirmed the sign-up yet: there is no authenticator to reset"
                    .to_owned(),
            ));
        }
        Status::ExternalProvider => {
            return Err(Failure::Wrong(
                "this user signs in through another identity provider and has no authenticator in this pool: reset it at that provider"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let factors = found.user_mfa_setting_list.unwrap_or_default();
    let outcome = if dry_run {
        if factors.iter().any(|factor| factor == AUTHENTICATOR) {
            Outcome::WouldRemove
        } else {
            Outcome::NoneListed
        }
    } else {
        delete_authenticator(&client, &pool, &found.username).await?
    };
    let attributes = Attributes::from(found.user_attributes.unwrap_or_default());
    context.terminal.show(&Report {
        pool: pool.to_string(),
        sub: attributes.get("sub").unwrap_or_default().to_owned(),
        user_status: status.to_string(),
        enabled: found.enabled,
        outcome,
        other_factors: factors
            .into_iter()
            .filter(|factor| factor != AUTHENTICATOR)
            .collect(),
    })?;
    Ok(Verdict::Good)
}

async fn read_user(
    client: &Client,
    pool: &PoolId,
    user: &str,
) -> Result<AdminGetUserOutput, Failure> {
    let found = client
        .admin_get_user()
        .user_pool_id(pool.as_str())
        .username(user)
        .send()
        .await;
    let error = match found {
        Ok(user) => return Ok(user),
        Err(error) => AwsError::from_sdk("AdminGetUser", pool, &error),
    };
    Err(match error.code() {
        "UserNotFoundException" => Failure::Wrong(format!(
            "there is no such user in {pool}; look for the user's sub in the Cognito console, or in the other pool"
        )),
        _ => error.into(),
    })
}

async fn delete_authenticator(
    client: &Client,
    pool: &PoolId,
    username: &str,
) -> Result<Outcome, AwsError> {
    let deleted = client
        .admin_delete_software_token()
        .user_pool_id(pool.as_str())
        .username(username)
        .send()
        .await;
    let Err(error) = deleted else {
        return Ok(Outcome::Removed);
    };
    let error = AwsError::from_sdk("AdminDeleteSoftwareToken", pool, &error);
    match error.code() {
        // The pool exists, because AdminGetUser has just succeeded: it is the authenticator that was not found.
        "ResourceNotFoundException" => Ok(Outcome::NoneThere),
        _ => Err(error),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pool,
            sub,
            user_status,
            ..
        } = self;
        writeln!(f, "{sub} in {pool}, {user_status}")?;
        match self.outcome {
            Outcome::Removed => writeln!(f, "{GOOD}the authenticator was removed{GOOD:#}")?,
            Outcome::WouldRemove => {
                writeln!(
                    f,
                    "the authenticator would be removed, but this was a dry run"
                )?;
            }
            Outcome::NoneListed => writeln!(
                f,
                "no active authenticator is listed; if one is registered, it would be removed, but this was a dry run"
            )?,
            Outcome::NoneThere => writeln!(f, "no authenticator is registered: nothing to do")?,
        }
        if !self.enabled {
            writeln!(f, "{WARN}The user is disabled and cannot sign in.{WARN:#}")?;
        }
        if matches!(
            user_status.as_str(),
            "RESET_REQUIRED" | "FORCE_CHANGE_PASSWORD"
        ) {
            writeln!(
                f,
                "{WARN}The user must choose a new password first ({user_status}).{WARN:#}"
            )?;
        }
        if self.other_factors.is_empty() {
            write!(
                f,
                "At the next sign-in, after the password, the user is asked to set up an authenticator (MFA_SETUP)."
            )?;
        } else {
            write!(
                f,
                "At the next sign-in the user is asked for the other factor ({}), and can set up an authenticator then.",
                self.other_factors.join(", ")
            )?;
        }
        write!(
            f,
            " Remembered devices may sign in without an authenticator: remove lost devices in the Cognito console."
        )
    }
}
