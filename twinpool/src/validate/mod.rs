//! `twinpool validate`: finds what Cognito would reject in import files, before they are uploaded.
//!
//! `source` reads the files, `check` applies the rules, `report` writes the problems, `spreadsheet` recognises files that a
//! spreadsheet program has changed.

mod check;
mod report;
mod source;
mod spreadsheet;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use shared::aws::RetryPolicy;
use shared::cognito::pool::Pool;
use shared::import_csv::rules::Rules;
use shared::import_csv::saved;

use self::check::Check;
use self::report::Report;
use self::source::{open, read_text, unusable};
use self::spreadsheet::SpreadsheetNote;
use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::pools::OnePool;

/// Check import files as Cognito would check them, before they are uploaded. Changes nothing.
///
/// Lists every row that Cognito would reject, or whose values it would change, with file, line, column and reason, but never with a
/// value. Then lists every name that occurs twice in all files. Works with any import file, whichever program wrote it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// The import files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    pool: OnePool,

    /// Instead of a pool, together with --rules: the pool's header, saved earlier, or the template from the Cognito console.
    #[arg(
        long,
        value_name = "FILE",
        requires = "rules",
        conflicts_with = "one-pool"
    )]
    header: Option<PathBuf>,

    /// Instead of a pool, together with --header: the pool's settings, saved earlier.
    #[arg(
        long,
        value_name = "FILE",
        requires = "header",
        conflicts_with = "one-pool"
    )]
    rules: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  twinpool validate newcomers-0001.csv --primary      if twinpool.toml or TWINPOOL_PRIMARY is there
  twinpool validate newcomers-0001.csv --pool ap-northeast-1_AbCdEf123

Exit codes:
  0  Cognito would accept every row
  1  Cognito would reject or change something
  2  bad usage, or a file that cannot be read
  3  AWS refused or did not answer

Permissions: cognito-idp:DescribeUserPool, GetCSVHeader

Lines are counted as in an editor: the header is line 1. Cognito's import log counts users instead: its \
\"Line Number 1\" is line 2 here.

Without a network, use what you saved on a normal day:
  aws cognito-idp get-csv-header --user-pool-id POOL_ID > header.json
  aws cognito-idp describe-user-pool --user-pool-id POOL_ID > pool.json
  twinpool validate users-0001.csv --header header.json --rules pool.json

With --output json, the result is one document:
  {\"files\": [..], \"problems\": [{\"file\", \"line\", \"column\", \"reason\"}, ..], \"rows\": n, \"summary\": {reason: n}}
A duplicate also has the place of the first row with the same name: {\"first\": {\"file\", \"line\"}}.";

/// Rate limit of the calls that read the pool's settings, of which there are two.
const CALLS_PER_SECOND: u32 = 5;

/// How long to retry these calls.
const POOL_READ_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
///
/// The pool's settings or a file cannot be read, the arguments contradict each other, or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let rules = read_rules(&args, context).await?;
    let files: Result<Vec<_>, _> = args.files.iter().map(|path| open(path)).collect();
    let files = files?;
    let names: Vec<_> = args
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();

    let mut check = Check::new(Report::begin(&context.terminal, &names)?);
    for ((path, name), file) in args.files.iter().zip(&names).zip(files) {
        check.check_file(&rules, path, name, file)?;
    }
    let (verdict, from_spreadsheets) = check.end()?;
    if !from_spreadsheets.is_empty() {
        context.terminal.note(SpreadsheetNote(&from_spreadsheets));
    }
    Ok(verdict)
}

/// Reads the rules from the pool, or from the files that were saved earlier.
async fn read_rules(args: &Args, context: &Context) -> Result<Rules, Failure> {
    let (pool, header) = match (&args.header, &args.rules) {
        (Some(header), Some(rules)) => (
            saved::pool(&read_text(rules)?).map_err(|error| unusable(rules, error))?,
            saved::header(&read_text(header)?).map_err(|error| unusable(header, error))?,
        ),
        _ if args.pool.is_none() => {
            let message = "nothing says for which pool the files are; give --pool ID, --primary or --secondary, or --header and --rules";
            return Err(Failure::Usage(message.to_owned()));
        }
        _ => {
            let id = args.pool.choose(None, context)?;
            let client = context.sdk().await?.cognito(&id, RetryPolicy::NO_RETRY);
            let until = Instant::now() + POOL_READ_TIME_LIMIT;
            let pool = Pool::rate_limited(client, id, CALLS_PER_SECOND, until);
            (pool.describe().await?, pool.csv_header().await?)
        }
    };
    Rules::of(&pool, &header).map_err(|error| match &args.header {
        Some(path) => unusable(path, error),
        None => Failure::Wrong(error.to_string()),
    })
}
