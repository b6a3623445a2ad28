//! The request of a restore, and the response.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use shared::id::Id;

/// What to restore, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload")]
pub struct Request {
    /// Which snapshot to restore from.
    pub snapshot: SnapshotChoice,
    /// Which users to restore.
    pub scope: Scope,
    /// Change nothing in the pool: only report what would be done, and write the import file that would be uploaded.
    pub dry_run: bool,
    /// If an unconfirmed user of the target pool holds the name of a user to restore, delete the unconfirmed one.
    pub reclaim_unconfirmed: bool,
    /// Restore even if people have signed up since the snapshot was taken, and even if the snapshot's pool does not say who was disabled
    /// or deleted since.
    pub allow_stale: bool,
    /// Restore even if the snapshot was taken from the target pool itself.
    pub same_pool: bool,
    /// Bring back, enabled, the users whom twinpool disabled because they were deleted in the primary pool.
    pub withheld: bool,
}

/// A snapshot, by its name or as the latest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SnapshotChoice {
    /// The snapshot that `latest.json` names.
    #[default]
    Latest,
    /// The snapshot of this name.
    Named(Id),
}

/// Which users to restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The users who signed up in the snapshot's pool.
    #[default]
    Newcomers,
    /// Every user whom the target pool does not have, including those who were probably deleted there.
    Missing,
    /// Every user, to rebuild an empty pool.
    Users,
}

/// The payload as it arrives. An absent or null member has its default, and an unknown member is an error: a misspelt `dry_run`
/// must not start a real run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    snapshot: Option<SnapshotChoice>,
    scope: Option<Scope>,
    dry_run: Option<bool>,
    reclaim_unconfirmed: Option<bool>,
    allow_stale: Option<bool>,
    same_pool: Option<bool>,
    withheld: Option<bool>,
}

impl From<Payload> for Request {
    fn from(payload: Payload) -> Self {
        Self {
            snapshot: payload.snapshot.unwrap_or_default(),
            scope: payload.scope.unwrap_or_default(),
            dry_run: payload.dry_run.unwrap_or_default(),
            reclaim_unconfirmed: payload.reclaim_unconfirmed.unwrap_or_default(),
            allow_stale: payload.allow_stale.unwrap_or_default(),
            same_pool: payload.same_pool.unwrap_or_default(),
            withheld: payload.withheld.unwrap_or_default(),
        }
    }
}

/// The text is not the name of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: give latest, or a name such as 20261120T095959Z-0a1b2c3d")]
pub struct NotASnapshot;

impl FromStr for SnapshotChoice {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        Id::parse(text).map(Self::Named).ok_or(NotASnapshot)
    }
}

impl TryFrom<String> for SnapshotChoice {
    type Error = NotASnapshot;

    fn try_from(text: String) -> Result<Self, NotASnapshot> {
        text.parse()
    }
}

impl From<SnapshotChoice> for String {
    fn from(choice: SnapshotChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for SnapshotChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Named(id) => id.fmt(f),
        }
    }
}

/// The result of one run of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Whether the restore is complete.
    pub status: Status,
    /// The key of the report, which exists unless the restore is still in progress.
    pub report: String,
    /// How many people were restored, and how many were not.
    pub counts: Counts,
}

/// The state of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every user in scope is in the target pool, with all attributes.
    Complete,
    /// The run reached its deadline. The same request, sent again, resumes the restore.
    InProgress,
    /// Some users in scope were not restored, or lack attributes. The report names them.
    Incomplete,
}

/// Numbers of people, where `in_scope = already_home + imported + created + not_home`. A dry run counts what would be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Users in the scope of the request.
    pub in_scope: u64,
    /// Of those, users whom the target pool already had.
    pub already_home: u64,
    /// Of those, users restored by an import job.
    pub imported: u64,
    /// Of those, users whom no import file can carry and who were created with AdminCreateUser; disabled if they were disabled.
    pub created: u64,
    /// Of those, users who were not restored. Named in the report.
    pub not_home: u64,
    /// Users of the snapshot who are neither in the target pool nor in scope: probably deleted there. Named in the report.
    pub not_in_primary: u64,
    /// Users who have never confirmed their sign-up, or sign in with another identity provider: no restore can create them.
    /// Named in the report.
    pub not_restorable: u64,
    /// Newcomers of the snapshot whom its pool does not have any more. They are left out. Named in the report.
    #[serde(default)]
    pub deleted_in_secondary: u64,
    /// Newcomers who were restored as the snapshot has them, because its pool did not say whether they were disabled or deleted since.
    #[serde(default)]
    pub unchecked: u64,
    /// Users whom twinpool disabled because they were deleted in the primary pool. They are left out.
    pub withheld: u64,
    /// Users to whom attributes were written that an import file cannot carry.
    pub attributes_written: u64,
    /// Attributes that could not be written to users in the target pool. Named in the report.
    pub attributes_missing: u64,
    /// Memberships of newcomers in groups that were written.
    pub groups_written: u64,
    /// Memberships that were not written, because there is no such group in the target pool or the write was refused. Named in the report.
    pub groups_missing: u64,
    /// Sign-up records moved to `journal/restored/`.
    pub filed: u64,
    /// Sign-up records of people who are not in the snapshot. Named in the report.
    pub not_in_snapshot: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn an_absent_or_null_member_has_its_default() {
        assert_eq!(read("{}").unwrap(), Request::default());
        assert_eq!(
            read(r#"{"dry_run":null,"scope":null}"#).unwrap(),
            Request::default()
        );
        let request = read(
            r#"{"snapshot":"20261120T095959Z-0a1b2c3d","scope":"missing","dry_run":true,"allow_stale":true,"same_pool":true,"withheld":true}"#,
        )
        .unwrap();
        assert_eq!(request.snapshot.to_string(), "20261120T095959Z-0a1b2c3d");
        assert_eq!(request.scope, Scope::Missing);
        assert!(request.dry_run && request.allow_stale && !request.reclaim_unconfirmed);
        assert!(request.same_pool && request.withheld);
    }

    #[test]
    fn a_misspelt_or_invalid_payload_is_rejected() {
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
