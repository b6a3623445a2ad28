//! `reconciles/refused/<identity>.json`: values that the secondary pool has refused for a person, as hashes, so that none is tried again
//! until it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::confirmation::object_name;
use shared::s3::bucket::Bucket;
use shared::s3::json::{JsonError, to_json};
use shared::s3::upload::hex;

use crate::error::ReconcileError;
use crate::report::RECONCILES_PREFIX;
use crate::sorted::hash::hash16;

/// The values that were refused for one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedValues {
    identity: String,
    stored: Stored,
    is_changed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// The hash of the value, by attribute.
    values: BTreeMap<String, String>,
}

impl RefusedValues {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn read(bucket: &Bucket, identity: &str) -> Result<Self, ReconcileError> {
        let stored = match bucket.get_json::<Stored>(&refused_key(identity)).await {
            Ok(stored) => stored.map(|(stored, _)| stored),
            // At worst, a value is tried once more.
            Err(JsonError::Malformed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            identity: identity.to_owned(),
            stored: stored.unwrap_or_default(),
            is_changed: false,
        })
    }

    /// Whether this value was refused. The empty value stands for a deletion.
    pub fn contains(&self, name: &str, value: &str) -> bool {
        self.stored.values.get(name) == Some(&self.hash(name, value))
    }

    /// Adds a value.
    pub fn insert(&mut self, name: &str, value: &str) {
        let hash = self.hash(name, value);
        self.stored.values.insert(name.to_owned(), hash);
        self.is_changed = true;
    }

    /// Writes them, if some were added.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn save(&mut self, bucket: &Bucket, identity: &str) -> Result<(), ReconcileError> {
        if self.is_changed {
            self.stored.version = 1;
            bucket
                .put(&refused_key(identity), to_json(&self.stored))
                .await?;
        }
        Ok(())
    }

    /// The identity makes the hash of a common value differ from person to person.
    fn hash(&self, name: &str, value: &str) -> String {
        hex(&hash16(&format!("{}\0{name}\0{value}", self.identity)))
    }
}

/// The key of the values that were refused for the person with this identity.
pub fn refused_key(identity: &str) -> String {
    format!("{RECONCILES_PREFIX}refused/{}", object_name(identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_refused_until_it_changes() {
        let mut refused = RefusedValues::default();
        refused.insert("name", "Taro");

        assert!(refused.contains("name", "Taro"));
        assert!(!refused.contains("name", "Jiro") && !refused.contains("nickname", "Taro"));
        assert!(!format!("{refused:?}").contains("Taro"));
    }
}
