//! The id of a Cognito user pool, which names its region.

use std::fmt;
use std::str::FromStr;

/// The id of a user pool, such as `ap-northeast-3_AbCdEf123`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolId(String);

impl PoolId {
    /// The part before `_`.
    pub fn region(&self) -> &str {
        self.0.split('_').next().unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a pool id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a user pool id such as ap-northeast-3_AbCdEf123")]
pub struct NotAPoolId;

impl FromStr for PoolId {
    type Err = NotAPoolId;

    /// botocore UserPoolIdType: `[\w-]+_[0-9a-zA-Z]+`.
    fn from_str(id: &str) -> Result<Self, NotAPoolId> {
        let (region, rest) = id.rsplit_once('_').ok_or(NotAPoolId)?;
        let fits = !region.is_empty()
            && region
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_ascii_alphanumeric());
        if fits {
            Ok(Self(id.to_owned()))
        } else {
            Err(NotAPoolId)
        }
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_id_names_its_region() {
        let id: PoolId = "ap-northeast-3_AbCdEf123".parse().unwrap();

        assert_eq!(id.region(), "ap-northeast-3");
    }

    #[test]
    fn anything_else_is_rejected() {
        for text in [
            "",
            "_",
            "ap-northeast-3",
            "ap-northeast-3_",
            "a b_c",
            "x_y z",
        ] {
            assert_eq!(text.parse::<PoolId>(), Err(NotAPoolId), "{text:?}");
        }
    }
}
