//! `twinpool attach`: attaches the post-confirmation trigger to an existing pool, and changes nothing else. `twinpool detach`
//! ([`detach`]) takes it away with the same care ([`mod@change`]).

mod change;
pub mod detach;
mod function;
mod settings;

use self::change::{Wanted, change};
use self::function::FunctionArn;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::OnePool;

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

/// Runs the command.
///
/// # Errors
///
/// The function cannot be attached to this pool safely, AWS rejected a call or did not answer, there are no AWS credentials, or the
/// result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let pool = args.pool.choose(None, context)?;
    let function = match args.function {
        Some(function) => function,
        None => function::named_for(&pool, context)?.ok_or_else(|| {
            Failure::Usage(format!(
                "twinpool.toml names no function for {pool}; give output TriggerArn of the pool's stack with --function"
            ))
        })?,
    };
    function.check_region(&pool)?;
    change(&pool, &Wanted::Attached(function), args.dry_run, context).await
}
