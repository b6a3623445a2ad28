//! What a restore is asked for, and what it answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::snapshot::Id;

/// What to restore, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload")]
pub struct Request {
    /// From which snapshot.
    pub snapshot: Which,
    /// Whom.
    pub scope: Scope,
    /// Say what would be done, and leave the file that would be uploaded.
    pub dry_run: bool,
    /// Delete who holds a newcomer's name in the pool without having confirmed it, and import the newcomer.
    pub reclaim_unconfirmed: bool,
    /// Go on although people have signed up since the snapshot.
    pub allow_stale: bool,
}

/// A snapshot by its name, or whatever is the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Which {
    /// The one that `latest.json` names.
    #[default]
    Latest,
    /// This one.
    Named(Id),
}

/// Who is to be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those who signed up in the snapshot's pool.
    #[default]
    Newcomers,
    /// Everyone whom the pool does not have, those included who were probably deleted there.
    Missing,
    /// Everyone, to rebuild an empty pool.
    Users,
}

/// The payload as it may come: what is absent or null is the default, and what is unknown is a mistake. A misspelt `dry_run`
/// must not start a real run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    snapshot: Option<Which>,
    scope: Option<Scope>,
    dry_run: Option<bool>,
    reclaim_unconfirmed: Option<bool>,
    allow_stale: Option<bool>,
}

impl From<Payload> for Request {
    fn from(payload: Payload) -> Self {
        Self {
            snapshot: payload.snapshot.unwrap_or_default(),
            scope: payload.scope.unwrap_or_default(),
            dry_run: payload.dry_run.unwrap_or_default(),
            reclaim_unconfirmed: payload.reclaim_unconfirmed.unwrap_or_default(),
            allow_stale: payload.allow_stale.unwrap_or_default(),
        }
    }
}

/// A text that names no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: give latest, or a name such as 20261120T095959Z-0a1b2c3d")]
pub struct NotASnapshot;

impl FromStr for Which {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        Id::read(text).map(Self::Named).ok_or(NotASnapshot)
    }
}

impl TryFrom<String> for Which {
    type Error = NotASnapshot;

    fn try_from(text: String) -> Result<Self, NotASnapshot> {
        text.parse()
    }
}

impl From<Which> for String {
    fn from(which: Which) -> Self {
        which.to_string()
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Named(id) => id.fmt(f),
        }
    }
}

/// What has become of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// How far it has come.
    pub status: Status,
    /// The key of its report, which is there when it is no longer in progress.
    pub report: String,
    /// How many people.
    pub counts: Counts,
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everyone in scope is home.
    Complete,
    /// Out of time: the same request again goes on.
    InProgress,
    /// Somebody in scope is not home, or not with everything; the report names them.
    Incomplete,
}

/// How many people: `in_scope = already_home + imported + created + not_home`. In a dry run, what would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Whom the restore was asked for.
    pub in_scope: u64,
    /// Of those, whom the pool had.
    pub already_home: u64,
    /// Of those, who came by import.
    pub imported: u64,
    /// Of those, whom no import file can carry and who were made one by one, disabled where they were disabled.
    pub created: u64,
    /// Of those, who are named in the report.
    pub not_home: u64,
    /// In the snapshot, not in the pool and not in scope: deleted there, most likely. Named in the report.
    pub not_in_primary: u64,
    /// In scope by name, and never confirmed or from another identity provider: no restore brings them. Named in the report.
    pub not_restorable: u64,
    /// People who got attributes that an import file cannot carry.
    pub attributes_written: u64,
    /// Attributes of people who are home that could not be written; named in the report.
    pub attributes_missing: u64,
    /// Sign-up records moved to `journal/restored/`.
    pub filed: u64,
    /// Sign-up records of people who are not in the snapshot; named in the report.
    pub not_in_snapshot: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_is_absent_or_null_is_the_default() {
        assert_eq!(read("{}").unwrap(), Request::default());
        assert_eq!(
            read(r#"{"dry_run":null,"scope":null}"#).unwrap(),
            Request::default()
        );
        let request = read(
            r#"{"snapshot":"20261120T095959Z-0a1b2c3d","scope":"missing","dry_run":true,"allow_stale":true}"#,
        )
        .unwrap();
        assert_eq!(request.snapshot.to_string(), "20261120T095959Z-0a1b2c3d");
        assert_eq!(request.scope, Scope::Missing);
        assert!(request.dry_run && request.allow_stale && !request.reclaim_unconfirmed);
    }

    #[test]
    fn what_is_misspelt_or_makes_no_sense_is_refused() {
        for payload in [
            r#"{"dryrun":true}"#,
            r#"{"scope":"everyone"}"#,
            r#"{"snapshot":"../latest"}"#,
            r#"{"snapshot":"20261120T095959Z-0A1B2C3D"}"#,
            r#"{"dry_run":"yes"}"#,
            "[]",
        ] {
            assert!(read(payload).is_err(), "{payload}");
        }
    }
}
