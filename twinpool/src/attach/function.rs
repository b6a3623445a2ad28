//! The function that a pool runs after a confirmation.

use std::str::FromStr;

use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::Failure;

/// The ARN of a Lambda function, with or without an alias. A version is not allowed (botocore LambdaConfigType and the developer
/// guide).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionArn(String);

/// Why a text is not the ARN of a function that can be attached to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFunction {
    /// It is not the ARN of a function.
    #[error("not the ARN of a function, such as arn:aws:lambda:REGION:ACCOUNT:function:NAME")]
    Malformed,
    /// It names a version.
    #[error(
        "a version of a function cannot be attached to a pool: leave the version out, or name an alias"
    )]
    Version,
}

impl FunctionArn {
    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes sure that a pool can invoke the function.
    ///
    /// # Errors
    ///
    /// The function is in another region than the pool.
    pub fn check_region(&self, pool: &PoolId) -> Result<(), Failure> {
        let region = self.0.split(':').nth(3).unwrap_or_default();
        if region == pool.region() {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "the function is in {region}, the pool is in {}: a pool can only invoke functions of its own region",
            pool.region()
        )))
    }
}

impl FromStr for FunctionArn {
    type Err = NotAFunction;

    fn from_str(arn: &str) -> Result<Self, NotAFunction> {
        let parts: Vec<&str> = arn.split(':').collect();
        let qualifier = match parts[..] {
            [
                "arn",
                _,
                "lambda",
                region,
                account,
                "function",
                name,
                ref qualifier @ ..,
            ] if ![region, account, name].contains(&"") && qualifier.len() < 2 => {
                qualifier.first().copied()
            }
            _ => return Err(NotAFunction::Malformed),
        };
        match qualifier {
            Some("") => Err(NotAFunction::Malformed),
            Some("$LATEST") => Err(NotAFunction::Version),
            Some(version) if version.chars().all(|c| c.is_ascii_digit()) => {
                Err(NotAFunction::Version)
            }
            _ => Ok(Self(arn.to_owned())),
        }
    }
}

/// The function that twinpool.toml names for a pool, if it names one.
///
/// # Errors
///
/// What it names is not a function that can be attached to a pool.
pub fn named_for(pool: &PoolId, context: &Context) -> Result<Option<FunctionArn>, Failure> {
    let Some(named) = context.settings.trigger_of(pool) else {
        return Ok(None);
    };
    let function = named.parse().map_err(|error| {
        Failure::Usage(format!("the function of {pool} in twinpool.toml: {error}"))
    })?;
    Ok(Some(function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_arn_may_have_an_alias_but_no_version() {
        let arn = "arn:aws:lambda:ap-northeast-1:123456789012:function:f";

        let function = arn.parse::<FunctionArn>().unwrap();
        let check = |pool: &str| function.check_region(&pool.parse().unwrap()).is_ok();
        assert!(check("ap-northeast-1_Primary01") && !check("ap-northeast-3_Secondary"));
        assert!(format!("{arn}:live").parse::<FunctionArn>().is_ok());
        for version in ["1", "42", "$LATEST"] {
            let parsed = format!("{arn}:{version}").parse::<FunctionArn>();
            assert_eq!(parsed, Err(NotAFunction::Version));
        }
        for text in [
            "f",
            "arn:aws:s3:::bucket",
            &format!("{arn}:"),
            &format!("{arn}:a:b"),
        ] {
            assert_eq!(
                text.parse::<FunctionArn>(),
                Err(NotAFunction::Malformed),
                "{text}"
            );
        }
    }
}
