//! `twinpool completions`: prints a completion script for a shell.

use clap_complete::Shell;

use crate::context::Context;
use crate::failure::{Failure, Verdict};

/// Print a script that completes twinpool's commands and options in your shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub struct Args {
    /// The shell that the script is for.
    shell: Shell,
}

const EXAMPLE: &str = "\
Example, for the current bash session:
  source <(twinpool completions bash)";

/// Runs the command. `cli` is the definition of twinpool's command line.
///
/// # Errors
///
/// The result cannot be written.
pub fn run(args: Args, mut cli: clap::Command, context: &Context) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "twinpool", &mut script);
    context.terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Good)
}
