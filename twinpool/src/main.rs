//! twinpool: the operator's command line. Each command has a module of its own. [`context`], [`evidence`], [`failure`], [`pools`],
//! [`post_confirmation`], [`proof`], [`raw`], [`recovery`], [`settings`], [`snapshot_bucket`], [`switch`], [`table`] and [`terminal`] are shared by the
//! commands.

mod attach;
mod check;
mod completions;
mod context;
mod evidence;
mod failback;
mod failover;
mod failure;
mod fence;
mod forget;
mod init;
mod mfa_reset;
mod pools;
mod post_confirmation;
mod proof;
mod raw;
mod reconcile;
mod recovery;
mod restore;
mod settings;
mod snapshot;
mod snapshot_bucket;
mod status;
mod switch;
mod table;
mod terminal;
mod validate;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use shared::environment::Environment;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::settings::Settings;
use crate::terminal::{Output, Terminal};

/// Keeps a working replica of an Amazon Cognito user pool in a second region.
///
/// The Lambda functions that twinpool deploys replicate the users. These commands are for the operator: to prepare for a failover, to
/// carry it out, and to return to the primary region. The help of each command says what it changes. Every command that changes
/// something has --dry-run.
#[derive(Debug, Parser)]
#[command(version = env!("TWINPOOL_VERSION"), after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    /// The format of the result, which is written to standard output. Everything else is written to standard error: with json, why a
    /// command could not do its work is one line of JSON there.
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
    4  busy: another run is in progress, or Cognito is still processing one; try again later
  130  interrupted from the keyboard; the same command goes on

Credentials are found as the aws CLI finds them. Nobody has to type ids in a failover: twinpool init reads them from the stacks and writes
twinpool.toml. Each command reads it from the current folder, or from where TWINPOOL_FILE says. What an option says comes first, then
these variables, then the file:
  TWINPOOL_PRIMARY, TWINPOOL_SECONDARY   the ids of the two user pools
  TWINPOOL_BUCKET                        the bucket of the journal and the snapshots
  TWINPOOL_BUCKET_REGION                 the region of that bucket, if it is not the secondary pool's
  TWINPOOL_OUTBOX                        the bucket of the outbox
  TWINPOOL_ACCOUNT                       the account that owns the buckets: with it, S3 refuses every request to a bucket of another account
  TWINPOOL_IMPORT_ROLE                   the role that Cognito uses to write the import log of the primary pool, for restore
  TWINPOOL_LOGS_ROLE                     the same for the secondary pool, for reconcile
  ORIGIN_SUB_ATTRIBUTE                   the attribute that keeps everyone's identity, such as custom:origin_sub

The stacks contain IAM policies with what each command needs: docs/deploy.md, \"Who may run which command\"";

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Status(status::Args),
    Attach(attach::Args),
    Detach(attach::detach::Args),
    MfaReset(mfa_reset::Args),
    Fence(fence::Args),
    Validate(validate::Args),
    Snapshot(snapshot::Args),
    Reconcile(reconcile::Args),
    Restore(restore::Args),
    Failover(failover::Args),
    Failback(failback::Args),
    Forget(forget::Args),
    Completions(completions::Args),
}

impl Command {
    async fn run(self, context: &Context) -> Result<Verdict, Failure> {
        match self {
            Self::Init(args) => init::run(args, context).await,
            Self::Check(args) => check::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Attach(args) => attach::run(args, context).await,
            Self::Detach(args) => attach::detach::run(args, context).await,
            Self::MfaReset(args) => mfa_reset::run(args, context).await,
            Self::Fence(args) => fence::run(args, context).await,
            Self::Validate(args) => validate::run(args, context).await,
            Self::Snapshot(args) => snapshot::run(args, context).await,
            Self::Reconcile(args) => reconcile::run(args, context).await,
            Self::Restore(args) => restore::run(args, context).await,
            Self::Failover(args) => failover::run(args, context).await,
            Self::Failback(args) => failback::run(args, context).await,
            Self::Forget(args) => forget::run(args, context).await,
            Self::Completions(args) => completions::run(args, Cli::command(), context),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (cli, settings) = match read_arguments() {
        Ok(read) => read,
        Err(code) => return code,
    };
    show_warnings();
    let context = Context::new(cli.output, cli.profile, settings);
    match cli.command.run(&context).await {
        Ok(verdict) => verdict.into(),
        Err(failure) => {
            context.terminal.error(&failure);
            (&failure).into()
        }
    }
}

/// Reads the arguments, with the values of twinpool.toml as defaults. `Err` is the exit code of what has been shown instead: the help, or
/// what is wrong with the arguments or the file.
fn read_arguments() -> Result<(Cli, Settings), ExitCode> {
    let environment = Environment::of_process();
    let (settings, broken) = match Settings::read(environment.clone()) {
        Ok(settings) => (settings, None),
        Err(failure) => (Settings::without_file(environment), Some(failure)),
    };
    let command = settings.with_defaults(Cli::command());
    let matches = command.try_get_matches();
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let terminal = Terminal::new(match &parsed {
        Ok(cli) => cli.output,
        Err(_) if wants_json() => Output::Json,
        Err(_) => Output::Text,
    });
    let needs_no_file = match &parsed {
        Ok(cli) => matches!(cli.command, Command::Init(_) | Command::Completions(_)),
        Err(error) => !error.use_stderr(),
    };
    match (parsed, broken) {
        (_, Some(failure)) if !needs_no_file => {
            terminal.error(&failure);
            Err((&failure).into())
        }
        (Ok(cli), _) => Ok((cli, settings)),
        (Err(error), _) => Err(show_usage(&error, terminal)),
    }
}

/// Whether the arguments ask for JSON, although they cannot be read as a whole.
fn wants_json() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    let in_two = |pair: &[String]| pair[0] == "--output" && pair[1] == "json";
    arguments.iter().any(|argument| argument == "--output=json") || arguments.windows(2).any(in_two)
}

/// Shows the help, or what is wrong with the arguments.
fn show_usage(error: &clap::Error, terminal: Terminal) -> ExitCode {
    let hint = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            "; twinpool init reads the ids of pools and buckets from the stacks into twinpool.toml, which every command reads"
        }
        _ => "",
    };
    if error.use_stderr() && terminal.output() == Output::Json {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        terminal.error(&Failure::Usage(format!("{text}{hint}")));
    } else {
        // A closed standard output must not stop the command.
        let _ = error.print();
        if !hint.is_empty() {
            terminal.note(hint.trim_start_matches("; "));
        }
    }
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
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
