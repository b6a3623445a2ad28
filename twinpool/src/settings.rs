//! The file `twinpool.toml`: the pools, buckets, functions and roles of a deployment, so that nobody types them in an emergency.
//! `twinpool init` writes it.
//!
//! What a command needs is taken from its option, else from an environment variable, else from the file. Clap knows the first two, and
//! gets the values of the file as the defaults of all options that have such a variable.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::StyledStr;
use restore::run::RoleArn;
use serde::de::{Deserialize, Deserializer, Error as _};
use shared::environment::{CustomAttribute, Environment};
use shared::pool_id::PoolId;

use crate::failure::Failure;

/// The variable of the primary pool.
pub const PRIMARY: &str = "TWINPOOL_PRIMARY";
/// The variable of the secondary pool.
pub const SECONDARY: &str = "TWINPOOL_SECONDARY";

/// The variable of the account that owns the buckets.
pub const ACCOUNT: &str = "TWINPOOL_ACCOUNT";

/// The variable that names the file, if it is not `twinpool.toml` in the current folder.
pub const FILE_VARIABLE: &str = "TWINPOOL_FILE";

/// The environment and the file.
#[derive(Debug)]
pub struct Settings {
    environment: Environment,
    file: File,
}

/// What the file contains.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, deserialize_with = "checked::<AccountId, _>")]
    account: Option<String>,
    #[serde(default, deserialize_with = "checked::<CustomAttribute, _>")]
    origin_sub: Option<String>,
    #[serde(default)]
    primary: Primary,
    #[serde(default)]
    secondary: Secondary,
    #[serde(default)]
    snapshots: Snapshots,
}

#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Primary {
    #[serde(default, deserialize_with = "checked::<PoolId, _>")]
    pool: Option<String>,
    outbox: Option<String>,
    trigger: Option<String>,
    #[serde(rename = "worker")]
    _worker: Option<String>,
    #[serde(rename = "restore")]
    _restore: Option<String>,
    #[serde(default, deserialize_with = "checked::<RoleArn, _>")]
    import_role: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Secondary {
    #[serde(default, deserialize_with = "checked::<PoolId, _>")]
    pool: Option<String>,
    trigger: Option<String>,
    #[serde(rename = "worker")]
    _worker: Option<String>,
    #[serde(default, deserialize_with = "checked::<RoleArn, _>")]
    logs_role: Option<String>,
    #[serde(rename = "web_acl")]
    _web_acl: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshots {
    bucket: Option<String>,
    region: Option<String>,
}

/// A text that can be checked while the file is read.
trait Checked: FromStr {
    /// What the text should be, for an error.
    const EXPECTED: &str;
}

impl Checked for PoolId {
    const EXPECTED: &str = "the id of a user pool, such as ap-northeast-3_AbCdEf123";
}

impl Checked for RoleArn {
    const EXPECTED: &str = "the ARN of a role";
}

impl Checked for CustomAttribute {
    const EXPECTED: &str = CustomAttribute::EXPECTED;
}

/// The id of an AWS account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

impl FromStr for AccountId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("not {}", Self::EXPECTED))
        }
    }
}

impl Checked for AccountId {
    const EXPECTED: &str = "the 12 digits of an AWS account";
}

/// Reads a text that must be a `T`, so that the error names its line.
fn checked<'de, T: Checked, D: Deserializer<'de>>(file: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(file)?;
    match text.parse::<T>() {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(D::Error::custom(format!(
            "{text:?} should be {}",
            T::EXPECTED
        ))),
    }
}

impl File {
    /// Reads the text of a file. An unknown key is an error, because it is most likely misspelt.
    fn parse(text: &str) -> Result<Self, (Option<usize>, String)> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or_default();
                before.matches('\n').count() + 1
            });
            (line, error.message().to_owned())
        })
    }

    /// The key that stands for an environment variable, and its value.
    fn key(&self, variable: &str) -> Option<(&'static str, &Option<String>)> {
        Some(match variable {
            PRIMARY => ("primary.pool", &self.primary.pool),
            SECONDARY => ("secondary.pool", &self.secondary.pool),
            "TWINPOOL_BUCKET" => ("snapshots.bucket", &self.snapshots.bucket),
            "TWINPOOL_BUCKET_REGION" => ("snapshots.region", &self.snapshots.region),
            "TWINPOOL_OUTBOX" => ("primary.outbox", &self.primary.outbox),
            "TWINPOOL_IMPORT_ROLE" => ("primary.import_role", &self.primary.import_role),
            "TWINPOOL_LOGS_ROLE" => ("secondary.logs_role", &self.secondary.logs_role),
            ACCOUNT => ("account", &self.account),
            "ORIGIN_SUB_ATTRIBUTE" => ("origin_sub", &self.origin_sub),
            _ => return None,
        })
    }
}

/// Where the file is.
pub fn path(environment: &Environment) -> PathBuf {
    let named = environment.optional(FILE_VARIABLE);
    PathBuf::from(named.unwrap_or("twinpool.toml"))
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// The file is not valid, or cannot be read; or TWINPOOL_FILE names one that is not there.
    pub fn read(environment: Environment) -> Result<Self, Failure> {
        let path = path(&environment);
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => File::parse(&text).map_err(|(line, what)| {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                let path = path.display();
                Failure::Usage(format!(
                    "{path}{line}: {what}; correct the file, or let twinpool init --force write it again"
                ))
            })?,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && environment.optional(FILE_VARIABLE).is_none() =>
            {
                File::default()
            }
            Err(error) => return Err(Failure::File { path, error }),
        };
        Ok(Self { environment, file })
    }

    /// The environment alone.
    pub fn without_file(environment: Environment) -> Self {
        let file = File::default();
        Self { environment, file }
    }

    /// The value of an environment variable, else what the file says instead.
    pub fn get(&self, variable: &str) -> Option<&str> {
        let of_environment = self.environment.optional(variable);
        of_environment.or_else(|| self.file.key(variable)?.1.as_deref())
    }

    /// The account that owns the buckets, if anything says it.
    ///
    /// # Errors
    ///
    /// The variable is not the id of an account.
    pub fn account(&self) -> Result<Option<AccountId>, Failure> {
        let account = self.get(ACCOUNT).map(str::parse).transpose();
        account.map_err(|error| Failure::Usage(format!("{ACCOUNT} is {error}")))
    }

    /// The function that a pool should run after a confirmation, if the file says it.
    pub fn trigger_of(&self, pool: &PoolId) -> Option<&str> {
        let is = |variable| self.get(variable) == Some(pool.as_str());
        let trigger = match (is(PRIMARY), is(SECONDARY)) {
            (true, _) => &self.file.primary.trigger,
            (_, true) => &self.file.secondary.trigger,
            _ => &None,
        };
        trigger.as_deref()
    }

    /// Gives the values of the file to every option that has an environment variable, and names the key in the help of the option.
    pub fn with_defaults(&self, command: clap::Command) -> clap::Command {
        let command = command.mut_args(|arg| {
            let variable = arg.get_env().and_then(|name| name.to_str());
            let Some((key, value)) = variable.and_then(|name| self.file.key(name)) else {
                return arg;
            };
            let with_key = |help: &StyledStr| format!("{help} [twinpool.toml: {key}]");
            let (help, long) = (
                arg.get_help().map(with_key),
                arg.get_long_help().map(with_key),
            );
            let arg = arg.help(help.unwrap_or_default());
            let arg = match long {
                Some(long) => arg.long_help(long),
                None => arg,
            };
            match value {
                Some(value) => arg.required(false).default_value(value.clone()),
                None => arg,
            }
        });
        command.mut_subcommands(|subcommand| self.with_defaults(subcommand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
account = "123456789012"
origin_sub = "custom:origin_sub"

[primary]
pool = "ap-northeast-1_Primary01"
outbox = "an-outbox"
trigger = "arn:aws:lambda:ap-northeast-1:123456789012:function:trigger"
worker = "replicate-fn-worker"
restore = "restore-fn"
import_role = "arn:aws:iam::123456789012:role/import"

[secondary]
pool = "ap-northeast-3_Secondary"
trigger = "arn:aws:lambda:ap-northeast-3:123456789012:function:trigger"
worker = "backup-fn-worker"
logs_role = "arn:aws:iam::123456789012:role/logs"
web_acl = "arn:aws:wafv2:ap-northeast-3:123456789012:regional/webacl/fence/id"

[snapshots]
bucket = "a-bucket"
region = "ap-northeast-3"
"#;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    #[test]
    fn each_variable_has_a_key_and_the_environment_comes_before_the_file() {
        let settings = Settings {
            environment: environment(&[("TWINPOOL_BUCKET", "another")]),
            file: File::parse(WHOLE).unwrap(),
        };

        for (variable, value) in [
            ("TWINPOOL_PRIMARY", "ap-northeast-1_Primary01"),
            ("TWINPOOL_SECONDARY", "ap-northeast-3_Secondary"),
            ("TWINPOOL_BUCKET", "another"),
            ("TWINPOOL_BUCKET_REGION", "ap-northeast-3"),
            ("TWINPOOL_OUTBOX", "an-outbox"),
            (
                "TWINPOOL_IMPORT_ROLE",
                "arn:aws:iam::123456789012:role/import",
            ),
            ("TWINPOOL_LOGS_ROLE", "arn:aws:iam::123456789012:role/logs"),
            ("TWINPOOL_ACCOUNT", "123456789012"),
            ("ORIGIN_SUB_ATTRIBUTE", "custom:origin_sub"),
        ] {
            assert_eq!(settings.get(variable), Some(value), "{variable}");
        }
    }

    #[test]
    fn the_trigger_is_that_of_the_pool() {
        let settings = Settings {
            environment: environment(&[]),
            file: File::parse(WHOLE).unwrap(),
        };
        let trigger_of = |pool: &str| settings.trigger_of(&pool.parse().unwrap());

        let secondary = trigger_of("ap-northeast-3_Secondary").unwrap_or_default();
        assert!(secondary.starts_with("arn:aws:lambda:ap-northeast-3"));
        assert_eq!(trigger_of("ap-northeast-3_Another"), None);
    }

    #[test]
    fn a_misspelt_key_and_a_value_that_cannot_be_are_errors_with_their_line() {
        for (text, line, what) in [
            (
                "[primary]\n\npoool = \"ap-northeast-1_A\"\n",
                3,
                "unknown field `poool`",
            ),
            ("[primry]\n", 1, "unknown field `primry`"),
            ("origin_sub = \"sub\"\n", 1, "should be a custom attribute"),
            (
                "[secondary]\npool = \"Osaka\"\n",
                2,
                "should be the id of a user pool",
            ),
            (
                "account = \"1234\"\n",
                1,
                "should be the 12 digits of an AWS account",
            ),
            ("[snapshots]\nbucket = 7\n", 2, "expected a string"),
            ("[snapshots\n", 1, ""),
        ] {
            let (at, message) = File::parse(text).unwrap_err();

            assert_eq!(at, Some(line), "{text}: {message}");
            assert!(message.contains(what), "{message}");
        }
    }
}
