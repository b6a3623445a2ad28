//! Configuration from environment variables, with errors that name the variable and say what it should hold.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The environment variables of a process. An empty or blank value counts as absent, as in the Lambda console.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// A variable that is absent or cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The variable is required and absent.
    #[error("{name} is not set: set it to {expected}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// The variable has a value that cannot be parsed.
    #[error("{name} is {value:?}: it should be {expected}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Environment {
    /// The variables of this process. twinpool uses none that is not UTF-8, so those are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The variable, or `None` if it is absent.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The variable. `expected` says in the error what it should hold.
    ///
    /// # Errors
    ///
    /// The variable is absent.
    pub fn required(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<&str, ConfigError> {
        self.optional(name)
            .ok_or(ConfigError::Missing { name, expected })
    }

    /// The variable, parsed as a `T`. `expected` says in the error what it should hold.
    ///
    /// # Errors
    ///
    /// The variable is absent or cannot be parsed.
    pub fn required_as<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        parse(name, self.required(name, expected)?, expected)
    }

    /// The variable, parsed as a `T`, or `None` if it is absent. `expected` says in the error what it should hold.
    ///
    /// # Errors
    ///
    /// The variable cannot be parsed.
    pub fn optional_as<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.optional(name);
        value.map(|value| parse(name, value, expected)).transpose()
    }

    /// The variable, parsed as a `T`, or `default` if it is absent. `expected` says in the error what it should hold.
    ///
    /// # Errors
    ///
    /// The variable cannot be parsed.
    pub fn or<T: FromStr>(
        &self,
        name: &'static str,
        default: T,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        Ok(self.optional_as(name, expected)?.unwrap_or(default))
    }

    /// The variable as a yes or no, in whatever letter case, or `default` if it is absent.
    ///
    /// # Errors
    ///
    /// The variable is neither `true` nor `false`.
    pub fn flag_or(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        let Some(value) = self.optional(name) else {
            return Ok(default);
        };
        parse(name, &value.to_ascii_lowercase(), "true or false")
    }
}

/// The name of a custom attribute, such as `custom:origin_sub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomAttribute(String);

impl CustomAttribute {
    /// What a variable with such a name should hold, for error messages.
    pub const EXPECTED: &str = "a custom attribute such as custom:origin_sub";

    /// The name, with its prefix `custom:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CustomAttribute {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name.strip_prefix("custom:") {
            Some(rest) if !rest.is_empty() => Ok(Self(name.to_owned())),
            _ => Err(()),
        }
    }
}

fn parse<T: FromStr>(
    name: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, ConfigError> {
    value.parse().map_err(|_| ConfigError::Malformed {
        name,
        value: value.to_owned(),
        expected,
    })
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Shows the names only, because a value may be a credential.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn a_missing_or_empty_variable_is_named_with_what_it_should_hold() {
        for environment in [environment(&[]), environment(&[("S3_BUCKET_NAME", " ")])] {
            let error = environment
                .required("S3_BUCKET_NAME", "the snapshot bucket")
                .unwrap_err();

            assert_eq!(
                error.to_string(),
                "S3_BUCKET_NAME is not set: set it to the snapshot bucket"
            );
        }
    }

    #[test]
    fn a_malformed_variable_is_named_with_its_value() {
        let environment = environment(&[("LIST_USERS_RPS", "fast")]);

        let error = environment
            .or("LIST_USERS_RPS", 20u32, "calls a second, 1 to 1000")
            .unwrap_err();

        assert_eq!(
            error.to_string(),
            r#"LIST_USERS_RPS is "fast": it should be calls a second, 1 to 1000"#
        );
    }

    #[test]
    fn a_flag_is_true_or_false_in_any_letter_case() {
        let flag = |value| environment(&[("SAME_POOL", value)]).flag_or("SAME_POOL", true);

        for (value, expected) in [
            ("TRUE", true),
            ("False", false),
            ("false ", false),
            ("", true),
        ] {
            assert_eq!(flag(value), Ok(expected), "{value}");
        }
        for value in ["1", "yes", "truth"] {
            let error = flag(value).unwrap_err().to_string();
            assert!(error.contains("true or false"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = environment(&[("AWS_SECRET_ACCESS_KEY", "hush")]);

        assert_eq!(format!("{environment:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }
}
