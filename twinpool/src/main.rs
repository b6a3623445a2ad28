//! twinpool: the command line of the operator. One module a command; what they share is below [`context`].

mod attach;
mod check;
mod completions;
mod context;
mod failure;
mod fence;
mod mfa_reset;
mod pools;
mod raw;
mod restore;
mod snapshot;
mod status;
mod table;
mod terminal;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::terminal::Output;

/// Keeps a working twin of an Amazon Cognito user pool in a second region.
///
/// The functions that twinpool deploys do the work; these commands are for the operator: before anyone relies on the
/// twin, on the night, and on the way back. Every command says in its own help what it changes; those that change something
/// have --dry-run.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// How the result is written to standard output. Everything else goes to standard error.
    #[arg(long, global = true, value_enum, default_value_t, help_heading = GLOBAL)]
    output: Output,

    /// The profile of ~/.aws/config whose credentials are used.
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    profile: Option<String>,

    #[command(subcommand)]
    command: Command,
}

const GLOBAL: &str = "Options of every command";

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  found something wrong
  2  bad usage
  3  AWS refused or did not answer

Credentials come from where the aws CLI finds them. So that nobody types ids at night, pools and buckets may be named once:
  TWINPOOL_PRIMARY, TWINPOOL_SECONDARY   the ids of the two user pools
  TWINPOOL_BUCKET                        the bucket of journal and snapshots
  TWINPOOL_BUCKET_REGION                 its region, if it is not the secondary pool's
  TWINPOOL_OUTBOX                        the bucket of the outbox
  TWINPOOL_IMPORT_ROLE                   the role that Cognito writes the import log with, for restore";

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Status(status::Args),
    Attach(attach::Args),
    MfaReset(mfa_reset::Args),
    Fence(fence::Args),
    Validate(validate::Args),
    Snapshot(snapshot::Args),
    Restore(restore::Args),
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
            Self::Restore(args) => restore::run(args, context).await,
            Self::Completions(args) => completions::run(args, context),
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

/// What the shared code warns of becomes lines on standard error. The SDK's own events may hold a person or a password, and are not
/// shown.
fn show_warnings() {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_filter(Targets::new().with_target("shared", Level::WARN));
    tracing_subscriber::registry().with(lines).init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
