//! `twinpool detach`: takes the post-confirmation trigger away from a pool, and changes nothing else.

use super::change::{Wanted, change};
use super::function::{self, FunctionArn};
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::OnePool;

/// Detach the post-confirmation trigger from a pool
///
/// For the case that the trigger fails, because then every sign-up fails. Until the trigger is attached again, whoever signs up in the pool
/// is neither replicated nor recorded. Changes one setting of the pool, as carefully as twinpool attach: reads all settings, writes back
/// those that Cognito would reset, and reads all of them again. Nothing is written if the pool runs another function than the one that is
/// named, if the pool has a setting that this version of twinpool does not know, or while a user import is running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    pool: OnePool,

    /// Detach only if the pool runs this function. Without this option, the one that twinpool.toml names for the pool; if it names none,
    /// whichever the pool runs.
    #[arg(long, value_name = "ARN")]
    function: Option<FunctionArn>,

    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  twinpool detach --primary --dry-run       if twinpool.toml is there
  twinpool detach --pool ap-northeast-1_AbCdEf123

Exit codes:
  0  no function is attached, or none was attached before
  1  the pool cannot be changed safely, or another setting has changed too
  2  bad usage
  3  AWS refused or did not answer; if settings were written but could not be read again, they are listed
  4  somebody else is changing the pool, or a user import is running: run the command again later

Permissions: cognito-idp:DescribeUserPool, GetUserPoolMfaConfig, ListUserImportJobs, UpdateUserPool";

/// Runs the command.
///
/// # Errors
///
/// The function cannot be detached from this pool safely, AWS rejected a call or did not answer, there are no AWS credentials, or the
/// result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let pool = args.pool.choose(None, context)?;
    let only = match args.function {
        Some(function) => Some(function),
        None => function::named_for(&pool, context)?,
    };
    if let Some(only) = &only {
        only.check_region(&pool)?;
    }
    change(&pool, &Wanted::Detached { only }, args.dry_run, context).await
}
