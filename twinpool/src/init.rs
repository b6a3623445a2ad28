//! `twinpool init`: writes `twinpool.toml` from the outputs of the stacks that `cdk/` deploys.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use aws_sdk_cloudformation::Client;
use serde::Serialize;
use shared::aws::{AwsError, RetryPolicy, Sdk};
use shared::environment::Environment;

use crate::context::Context;
use crate::failure::{Failure, Verdict};
use crate::settings;
use crate::terminal::GOOD;

/// Write twinpool.toml from the outputs of the stacks, so that nobody types ids in an emergency
///
/// Reads the outputs of the two stacks, or of the stack of a single pool, and changes nothing in AWS. Every command takes from the file what
/// neither an option nor an environment variable says. Run it again after each deployment, and keep the file where the operators
/// work: it contains no secrets. A file that says something else is only overwritten with --force.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The prefix of the stacks' names.
    #[arg(long, value_name = "PREFIX", default_value = "Twinpool", value_parser = prefix)]
    name: String,

    /// The region of the primary stack.
    #[arg(long, value_name = "REGION", default_value = "ap-northeast-1")]
    primary_region: String,

    /// The region of the secondary stack.
    #[arg(long, value_name = "REGION", default_value = "ap-northeast-3")]
    secondary_region: String,

    /// Overwrite a file that says something else.
    #[arg(long)]
    force: bool,

    /// Only show the file that would be written.
    #[arg(long)]
    dry_run: bool,
}

const HELP: &str = "\
Examples:
  twinpool init
  twinpool init --dry-run | diff twinpool.toml -      what has changed since it was written

The file is twinpool.toml in the current folder, or the one that the variable TWINPOOL_FILE names.

Exit codes:
  0  the file is written, or was the same before
  1  there is another file, or a stack is missing or too old
  2  bad usage
  3  AWS refused or did not answer

Permissions: cloudformation:DescribeStacks";

/// A name of a stack, so that a ValidationError means that there is no such stack (DescribeStacks: "If the stack doesn't exist").
fn prefix(text: &str) -> Result<String, String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && text.chars().all(is_letter) && text.len() <= 100 {
        Ok(text.to_owned())
    } else {
        Err("it should be letters, digits and hyphens, beginning with a letter".to_owned())
    }
}

/// A stack that is deployed.
struct Stack {
    name: String,
    region: String,
    account: Option<String>,
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Reads the outputs of a stack. `None` if there is no such stack.
    async fn read(sdk: &Sdk, name: String, region: &str) -> Result<Option<Self>, AwsError> {
        let client = Client::new(&sdk.config(region, RetryPolicy::WORKER));
        let described = client.describe_stacks().stack_name(&name).send().await;
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                let target = format!("{name} in {region}");
                let error = AwsError::from_sdk("DescribeStacks", target, &error);
                return match error.code() {
                    "ValidationError" => Ok(None),
                    _ => Err(error),
                };
            }
        };
        let stack = described.stacks.into_iter().flatten().next();
        let Some(stack) = stack else {
            return Err(AwsError::incomplete_response(
                "DescribeStacks",
                name,
                "a stack",
            ));
        };
        // arn:aws:cloudformation:ap-northeast-1:123456789012:stack/TwinpoolPrimary/ID
        let account = stack.stack_id.as_deref();
        let account = account.and_then(|arn| arn.split(':').nth(4));
        Ok(Some(Self {
            name,
            region: region.to_owned(),
            account: account.map(str::to_owned),
            outputs: stack
                .outputs
                .unwrap_or_default()
                .into_iter()
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        }))
    }

    fn get(&self, output: &str) -> Option<&str> {
        self.outputs.get(output).map(String::as_str)
    }

    fn require(&self, output: &str) -> Result<&str, Failure> {
        self.get(output).ok_or_else(|| {
            Failure::Wrong(format!(
                "the stack {self} has no output {output}; deploy it again with this version of twinpool"
            ))
        })
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.region)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Written,
    Unchanged,
    DryRun,
}

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    status: Status,
    content: String,
}

/// Runs the command.
///
/// # Errors
///
/// A stack is missing, the stacks do not belong together, there is another file, AWS rejected a call or did not answer, there are no
/// AWS credentials, or the file or the result cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Verdict, Failure> {
    let sdk = context.sdk().await?;
    let content = read_deployment(&args, &sdk).await?;
    let file = settings::path(&Environment::of_process());
    let status = match (args.dry_run, read(&file)?) {
        (true, _) => Status::DryRun,
        (_, Some(before)) if before == content => Status::Unchanged,
        (_, Some(_)) if !args.force => {
            return Err(Failure::Wrong(format!(
                "{} says something else, and was not changed; see the difference with twinpool init --dry-run | diff {0} -, then \
                 overwrite it with --force",
                file.display()
            )));
        }
        _ => {
            write(&file, &content)?;
            Status::Written
        }
    };
    context.terminal.show(&Report {
        file,
        status,
        content,
    })?;
    Ok(Verdict::Good)
}

fn read(file: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_file(file, error)),
    }
}

/// Writes a file as a whole: nobody ever reads a half of it.
fn write(file: &Path, content: &str) -> Result<(), Failure> {
    let new = file.with_extension("toml.new");
    let written = std::fs::write(&new, content).and_then(|()| std::fs::rename(&new, file));
    written.map_err(|error| of_file(file, error))
}

fn of_file(file: &Path, error: io::Error) -> Failure {
    let path = file.to_owned();
    Failure::File { path, error }
}

/// The text of the file.
async fn read_deployment(args: &Args, sdk: &Sdk) -> Result<String, Failure> {
    let Args {
        name,
        primary_region,
        secondary_region,
        ..
    } = args;
    let (primary, secondary) = tokio::try_join!(
        Stack::read(sdk, format!("{name}Primary"), primary_region),
        Stack::read(sdk, format!("{name}Secondary"), secondary_region),
    )?;
    let missing = |suffix: &str, region: &str| {
        Failure::Wrong(format!(
            "there is no stack {name}{suffix} in {region}; deploy it, or give the prefix of the stacks' names with --name, and their \
             regions with --primary-region and --secondary-region"
        ))
    };
    match (primary, secondary) {
        (Some(primary), Some(secondary)) => pair(&primary, &secondary),
        (None, Some(_)) => Err(missing("Primary", primary_region)),
        (Some(_), None) => Err(missing("Secondary", secondary_region)),
        (None, None) => {
            let single = Stack::read(sdk, format!("{name}Backup"), primary_region).await?;
            match single {
                Some(single) => single_pool(&single),
                None => Err(missing("Primary", primary_region)),
            }
        }
    }
}

/// A pool and its twin.
fn pair(primary: &Stack, secondary: &Stack) -> Result<String, Failure> {
    let bucket = secondary.require("SnapshotBucketName")?;
    if primary.require("SnapshotBucketName")? != bucket {
        return Err(Failure::Wrong(format!(
            "the stacks {primary} and {secondary} do not belong together, because they name different snapshot buckets; give the right \
             prefix with --name, or run make deploy again"
        )));
    }
    let mut text = heading(&format!("{primary} and {secondary}"));
    account(&mut text, secondary);
    origin(&mut text, secondary.get("OriginSubAttribute"));
    text.push_str("\n# The primary pool: where people sign up on a normal day.\n[primary]\n");
    pool(&mut text, primary, "--primary, --pool of restore")?;
    let outbox = primary.require("OutboxBucketName")?;
    key(
        &mut text,
        "The bucket of the outbox: --outbox",
        "outbox",
        Some(outbox),
    );
    functions(
        &mut text,
        primary,
        "replicate-fn",
        "that empties the outbox, and reconciles",
    );
    restores(&mut text, primary);
    text.push_str("\n# The secondary pool: its twin in the other region.\n[secondary]\n");
    pool(
        &mut text,
        secondary,
        "--secondary, --pool of snapshot and fence",
    )?;
    functions(&mut text, secondary, "backup-fn", "that takes snapshots");
    key(
        &mut text,
        "The role with which Cognito writes the log of imports into this pool: --logs-role of reconcile",
        "logs_role",
        secondary.get("ImportLogsRoleArn"),
    );
    key(
        &mut text,
        "The fence: the web ACL in front of this pool",
        "web_acl",
        secondary.get("FenceArn"),
    );
    snapshots(&mut text, bucket);
    Ok(text)
}

/// A pool without a twin.
fn single_pool(stack: &Stack) -> Result<String, Failure> {
    let mut text = heading(&stack.to_string());
    account(&mut text, stack);
    origin(&mut text, stack.get("OriginSubAttribute"));
    text.push_str("\n# The pool.\n[primary]\n");
    pool(&mut text, stack, "--primary, --pool of restore")?;
    functions(&mut text, stack, "backup-fn", "that takes snapshots");
    restores(&mut text, stack);
    snapshots(&mut text, stack.require("SnapshotBucketName")?);
    Ok(text)
}

fn heading(stacks: &str) -> String {
    format!(
        "# A deployment of twinpool, as its stacks describe it: {stacks}.\n\
         # twinpool init wrote this file, and writes it again with --force. Every command takes from it what neither an option nor an\n\
         # environment variable says. It contains no secrets.\n"
    )
}

fn account(text: &mut String, stack: &Stack) {
    if stack.account.is_some() {
        text.push('\n');
    }
    key(
        text,
        "The account that owns the buckets. S3 refuses a request to a bucket of this name if another account owns it",
        "account",
        stack.account.as_deref(),
    );
}

fn origin(text: &mut String, attribute: Option<&str>) {
    if attribute.is_some() {
        text.push('\n');
    }
    key(
        text,
        "The attribute that keeps everyone's identity, their first sub: --origin-sub",
        "origin_sub",
        attribute,
    );
}

fn pool(text: &mut String, stack: &Stack, options: &str) -> Result<(), Failure> {
    let comment = format!("Its id: {options}");
    key(text, &comment, "pool", Some(stack.require("UserPoolId")?));
    Ok(())
}

fn functions(text: &mut String, stack: &Stack, function: &str, what: &str) {
    key(
        text,
        &format!(
            "{function}, as the function that the pool runs after a confirmation: --function of attach"
        ),
        "trigger",
        stack.get("TriggerArn"),
    );
    key(
        text,
        &format!("{function}, as the worker {what}"),
        "worker",
        stack.get("WorkerName"),
    );
}

fn restores(text: &mut String, stack: &Stack) {
    key(
        text,
        "restore-fn, which restores from the Lambda console",
        "restore",
        stack.get("RestoreFunctionName"),
    );
    key(
        text,
        "The role with which Cognito writes the log of imports into this pool: --role of restore",
        "import_role",
        stack.get("ImportLogsRoleArn"),
    );
}

fn snapshots(text: &mut String, bucket: &str) {
    text.push_str("\n[snapshots]\n");
    key(
        text,
        "The bucket of the journal, the snapshots and the reports: --bucket",
        "bucket",
        Some(bucket),
    );
}

/// A line of the file with its comment, if there is a value.
fn key(text: &mut String, comment: &str, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        // What JSON escapes, TOML escapes in the same way.
        let value = serde_json::Value::from(value);
        let _ = writeln!(text, "# {comment}\n{name} = {value}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.status {
            Status::DryRun => f.write_str(&self.content),
            Status::Written => write!(f, "{GOOD}written:{GOOD:#} {file}"),
            Status::Unchanged => write!(f, "{GOOD}nothing to do:{GOOD:#} {file} says the same"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str, outputs: &[(&str, &str)]) -> Stack {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Stack {
            name: name.to_owned(),
            region: "ap-northeast-1".to_owned(),
            account: Some("123456789012".to_owned()),
            outputs: outputs.iter().map(owned).collect(),
        }
    }

    #[test]
    fn stacks_of_different_deployments_are_refused() {
        let primary = stack("APrimary", &[("SnapshotBucketName", "one")]);
        let secondary = stack("ASecondary", &[("SnapshotBucketName", "other")]);

        let refused = pair(&primary, &secondary).unwrap_err().to_string();

        assert!(refused.contains("do not belong together"), "{refused}");
    }

    #[test]
    fn what_a_stack_must_say_is_named_when_it_is_missing() {
        let single = stack("ABackup", &[("SnapshotBucketName", "one")]);

        let refused = single_pool(&single).unwrap_err().to_string();

        assert!(
            refused.contains("ABackup (ap-northeast-1) has no output UserPoolId"),
            "{refused}"
        );
    }
}
