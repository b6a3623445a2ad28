//! `twinpool mfa-reset`: lets a person who has lost their authenticator set up another.

use std::fmt;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::admin_get_user::AdminGetUserOutput;
use serde::Serialize;
use shared::aws::{AwsError, Patience};
use shared::person::{Attributes, Status};
use shared::pool::PoolId;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::terminal::{GOOD, WARN};

/// Remove a person's authenticator, so that they set up another at their next sign-in
///
/// Deletes the one authenticator that the person has registered in this pool (AdminDeleteSoftwareToken), and changes nothing else of
/// theirs. Be sure who is asking: until the person comes back, whoever knows their password can register an authenticator.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The pool.
    #[arg(long, value_name = "POOL_ID")]
    pool: PoolId,

    /// The person: their username, the email address or phone number they sign in with, or their sub.
    #[arg(long, value_name = "NAME")]
    user: String,

    /// Only show who it is and what would be done.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Example:
  twinpool mfa-reset --pool ap-northeast-3_AbCdEf123 --user taro@example.jp

Exit codes:
  0  done, or nothing to do
  1  there is no such person, or none who could have an authenticator
  2  bad usage
  3  AWS refused or did not answer

Permissions: cognito-idp:AdminGetUser, AdminDeleteSoftwareToken";

/// What became of the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Removed,
    WouldRemove,
    /// A dry run sees what is activated; an authenticator may be registered and not be (botocore: UserMFASettingList).
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
    /// Other factors that the person can sign in with.
    other_factors: Vec<String>,
}

/// As AdminGetUser names it in UserMFASettingList.
const AUTHENTICATOR: &str = "SOFTWARE_TOKEN_MFA";

/// Runs the command.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let Args {
        pool,
        user,
        dry_run,
    } = args;
    let client = context.sdk().await?.cognito(&pool, Patience::WORKER);
    let person = get(&client, &pool, &user).await?;
    let status = Status::from(person.user_status.clone());
    match status {
        Status::Unconfirmed => {
            return Err(Failure::Wrong(
                "this person has not confirmed their sign-up yet: there is no authenticator to reset".to_owned(),
            ));
        }
        Status::ExternalProvider => {
            return Err(Failure::Wrong(
                "this person signs in through another identity provider, and has no authenticator here: reset it there"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    let factors = person.user_mfa_setting_list.unwrap_or_default();
    let outcome = if dry_run {
        if factors.iter().any(|factor| factor == AUTHENTICATOR) {
            Outcome::WouldRemove
        } else {
            Outcome::NoneListed
        }
    } else {
        delete(&client, &pool, &person.username).await?
    };
    let attributes = Attributes::from(person.user_attributes.unwrap_or_default());
    context.terminal.show(&Report {
        pool: pool.to_string(),
        sub: attributes.get("sub").unwrap_or_default().to_owned(),
        user_status: status.to_string(),
        enabled: person.enabled,
        outcome,
        other_factors: factors
            .into_iter()
            .filter(|factor| factor != AUTHENTICATOR)
            .collect(),
    })?;
    Ok(Verdict::Good)
}

async fn get(client: &Client, pool: &PoolId, user: &str) -> Result<AdminGetUserOutput, Failure> {
    let found = client
        .admin_get_user()
        .user_pool_id(pool.as_str())
        .username(user)
        .send()
        .await;
    let error = match found {
        Ok(person) => return Ok(person),
        Err(error) => AwsError::of("AdminGetUser", pool, &error),
    };
    Err(match error.code() {
        "UserNotFoundException" => Failure::Wrong(format!(
            "there is no such person in {pool}; look for their sub in the Cognito console, or in the other pool"
        )),
        _ => error.into(),
    })
}

async fn delete(client: &Client, pool: &PoolId, username: &str) -> Result<Outcome, AwsError> {
    let deleted = client
        .admin_delete_software_token()
        .user_pool_id(pool.as_str())
        .username(username)
        .send()
        .await;
    let Err(error) = deleted else {
        return Ok(Outcome::Removed);
    };
    let error = AwsError::of("AdminDeleteSoftwareToken", pool, &error);
    match error.code() {
        // The pool is there, it has just been asked: what is not found is the authenticator.
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
            Outcome::Removed => writeln!(f, "{GOOD}the authenticator is removed{GOOD:#}")?,
            Outcome::WouldRemove => {
                writeln!(
                    f,
                    "the authenticator would be removed, but this was a dry run"
                )?;
            }
            Outcome::NoneListed => writeln!(
                f,
                "no authenticator is listed; if there is one all the same, it would be removed, but this was a dry run"
            )?,
            Outcome::NoneThere => writeln!(f, "no authenticator is registered: nothing to do")?,
        }
        if !self.enabled {
            writeln!(
                f,
                "{WARN}The person is disabled and cannot sign in at all.{WARN:#}"
            )?;
        }
        if matches!(
            user_status.as_str(),
            "RESET_REQUIRED" | "FORCE_CHANGE_PASSWORD"
        ) {
            writeln!(
                f,
                "{WARN}The person needs a new password first ({user_status}).{WARN:#}"
            )?;
        }
        if self.other_factors.is_empty() {
            write!(
                f,
                "At their next sign-in, after the password, they are asked to set up an authenticator (MFA_SETUP)."
            )?;
        } else {
            write!(
                f,
                "At their next sign-in they are asked for their other factor ({}), and may set up an authenticator then.",
                self.other_factors.join(", ")
            )?;
        }
        write!(
            f,
            " A device that the pool remembers may sign in without: forget lost devices in the Cognito console."
        )
    }
}
