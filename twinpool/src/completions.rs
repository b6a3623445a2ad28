//! `twinpool completions`: a script that completes commands and options in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::context::Context;
use crate::failure::{Failure, Verdict};

/// Print a script that completes twinpool's commands and options in your shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

const EXAMPLE: &str = "\
Example, for this session of bash:
  source <(twinpool completions bash)";

/// Runs the command.
pub fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "twinpool", &mut script);
    context.terminal.print(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Good)
}
