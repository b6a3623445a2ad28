//! twinpool: the operator's command line. Each command has a module of its own. [`context`], [`failure`], [`pools`],
//! [`post_confirmation`], [`raw`], [`recovery`], [`table`] and [`terminal`] are shared by the commands.

mod attach;
mod check;
mod completions;
mod context;
mod failure;
mod fence;
mod forget;
mod mfa_reset;
mod pools;
mod post_confirmation;
mod raw;
mod reconcile;
mod recovery;
mod restore;
mod snapshot;
mod status;
mod table;
mod terminal;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::terminal::Output;

/// Keeps a working replica of an Amazon Cognito user pool in a second region.
///
/// The Lambda functions that twinpool deploys replicate the users. These commands are for the operator: to prepare for a failover, to
/// carry it out, and to return to the primary region. The help of each command says what it changes. Every command that changes
/// something has --dry-run.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// The format of the result, which is written to standard output. Everything else is written to standard error.
    #[arg(long, global = true, value_enum, default_value_t, help_heading = GLOBAL_OPTIONS)]
    output: Output,

    /// The profile of ~/.aws/config whose credentials are used.
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL_OPTIONS)]
    profile: Option<String>,

    #[command(subcommand)]
    command: Command,
}

const GLOBAL_OPTIONS: &str = "Options of every command";

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  found something wrong
  2  bad usage
  3  AWS refused or did not answer

Credentials are found as the aws CLI finds them. Pools and buckets can be set once, so that nobody has to type ids in a failover:
  TWINPOOL_PRIMARY, TWINPOOL_SECONDARY   the ids of the two user pools
  TWINPOOL_BUCKET                        the bucket of the journal and the snapshots
  TWINPOOL_BUCKET_REGION                 the region of that bucket, if it is not the secondary pool's
  TWINPOOL_OUTBOX                        the bucket of the outbox
  TWINPOOL_IMPORT_ROLE                   the role that Cognito uses to write the import log of the primary pool, for restore
  TWINPOOL_LOGS_ROLE                     the same for the secondary pool, for reconcile";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Status(status::Args),
    Attach(attach::Args),
    MfaReset(mfa_reset::Args),
    Fence(fence::Args),
    Validate(validate::Args),
    Snapshot(snapshot::Args),
    Reconcile(reconcile::Args),
    Restore(restore::Args),
    Forget(forget::Args),
    Completions(completions::Args),
}

impl Command {
    async fn run(self, context: &Context) -> Result<Verdict, Failure> {
        match self {
            Self::Check(args) => check::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Attach(args) => attach::run(args, context).await,
            Self::MfaReset(args) => mfa_reset::run(args, context).await,
            Self::Fence(args) => fence::run(args, context).await,
            Self::Validate(args) => validate::run(args, context).await,
            Self::Snapshot(args) => snapshot::run(args, context).await,
            Self::Reconcile(args) => reconcile::run(args, context).await,
            Self::Restore(args) => restore::run(args, context).await,
            Self::Forget(args) => forget::run(args, context).await,
            Self::Completions(args) => completions::run(args, Cli::command(), context),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    show_warnings();
    let context = Context::new(cli.output, cli.profile);
    match cli.command.run(&context).await {
        Ok(verdict) => verdict.into(),
        Err(failure) => {
            context.terminal.error(&failure);
            failure.into()
        }
    }
}

/// Writes the warnings and errors of the shared code to standard error. Events of the SDK are left out, because they may contain
/// personal data or passwords.
fn show_warnings() {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(
            Targets::new()
                .with_target("reconcile", Level::WARN)
                .with_target("replication", Level::WARN)
                .with_target("restore", Level::WARN)
                .with_target("shared", Level::WARN),
        );
    tracing_subscriber::registry().with(lines).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
