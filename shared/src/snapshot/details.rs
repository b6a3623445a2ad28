//! What a listing does not say of a user, and an export needs: the present state of a newcomer, their groups, and whether twinpool has
//! withheld a disabled user.
//!
//! Only newcomers and disabled replicas are asked for, so that most users cost no call.

use tokio::sync::OnceCell;

use crate::aws::error::Failure;
use crate::cognito::groups::has_groups;
use crate::cognito::pool::PoolError;
use crate::cognito::users;
use crate::person::{Person, Status};
use crate::s3::json::JsonError;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::export::ExportTask;
use crate::snapshot::purpose::Purpose;
use crate::snapshot::sign_ups::JournalEntry;
use crate::withheld::{self, Why};

/// A user to export.
#[derive(Debug)]
pub struct UserToExport {
    /// The user.
    pub person: Person,
    /// Whether they signed up in this pool, according to the journal.
    pub is_newcomer: bool,
    /// The groups of a newcomer.
    pub groups: Vec<String>,
    /// Why twinpool has disabled the user, if it has.
    pub withheld: Option<Why>,
}

/// Completes users for an export.
#[derive(Debug)]
pub struct Details<'a> {
    task: &'a ExportTask<'a>,
    /// Whether there are groups to ask for. It is found out for the first newcomer.
    has_groups: OnceCell<bool>,
}

impl<'a> Details<'a> {
    /// Completes users of the pool of an export.
    pub fn new(task: &'a ExportTask<'a>) -> Self {
        Self {
            task,
            has_groups: OnceCell::new(),
        }
    }

    /// Completes a user whom the listing shows. A recent newcomer whom it shows as unconfirmed is looked up: ListUsers may lag behind.
    ///
    /// # Errors
    ///
    /// A call failed, or the deadline passed.
    pub async fn of_listed(
        &self,
        person: Person,
        entry: JournalEntry,
    ) -> Result<UserToExport, SnapshotError> {
        let may_lag = entry == JournalEntry::Recent && person.status == Status::Unconfirmed;
        let person = if may_lag {
            let current = users::look_up(self.task.pool, &person.username).await?;
            // Another user may have the name by now, and is listed separately.
            current
                .filter(|current| current.sub() == person.sub())
                .unwrap_or(person)
        } else {
            person
        };
        self.of(person, entry != JournalEntry::None).await
    }

    /// Completes a user as they are now.
    ///
    /// # Errors
    ///
    /// A call failed, or the deadline passed.
    pub async fn of(
        &self,
        person: Person,
        is_newcomer: bool,
    ) -> Result<UserToExport, SnapshotError> {
        // Nobody can be brought back with groups who has not confirmed the sign-up.
        let groups = match is_newcomer && person.status != Status::Unconfirmed {
            true => self.groups_of(&person).await?,
            false => Vec::new(),
        };
        Ok(UserToExport {
            withheld: self.why_withheld(&person).await?,
            groups,
            is_newcomer,
            person,
        })
    }

    /// The groups of a user, except for those that Cognito keeps for identity providers (facts N2). A role that may not ask for them
    /// still takes snapshots: a person without groups can be helped, a snapshot that was not taken cannot.
    async fn groups_of(&self, person: &Person) -> Result<Vec<String>, SnapshotError> {
        let pool = self.task.pool;
        let has_groups = self.has_groups.get_or_try_init(async || {
            match has_groups(pool).await {
                Err(PoolError::Aws(error)) if error.failure() == Failure::Refused => {
                    tracing::error!(%error, "the snapshot has no groups of newcomers: allow the function to read them");
                    Ok(false)
                }
                has_groups => has_groups,
            }
        });
        if !*has_groups.await? {
            return Ok(Vec::new());
        }
        let groups = match users::groups(pool, &person.username).await {
            // Deleted since.
            Err(error) if error.code() == "UserNotFoundException" => Vec::new(),
            Err(PoolError::Aws(error)) if error.failure() == Failure::Refused => {
                let sub = person.sub();
                tracing::error!(%error, sub, "the snapshot has no groups of this newcomer");
                Vec::new()
            }
            groups => groups?,
        };
        let of_provider = format!("{}_", pool.id());
        let groups = groups.into_iter();
        Ok(groups
            .filter(|group| !group.starts_with(&of_provider))
            .collect())
    }

    /// Why twinpool has disabled a user. Only replicas are withheld, and each carries its person's identity.
    async fn why_withheld(&self, person: &Person) -> Result<Option<Why>, SnapshotError> {
        let identity = person.attributes.origin(self.task.origin_sub);
        let Some(identity) = identity.filter(|_| !person.enabled) else {
            return Ok(None);
        };
        if self.task.purpose != Purpose::Backup {
            return Ok(None);
        }
        match withheld::read(self.task.bucket, identity).await {
            Ok(withheld) => Ok(withheld.map(|(withheld, _)| withheld.why)),
            Err(JsonError::Malformed { .. }) => {
                let sub = person.sub();
                tracing::error!(
                    sub,
                    "the record of a withheld replica cannot be read: move it away"
                );
                Ok(None)
            }
            Err(JsonError::Aws(error)) => Err(error.into()),
        }
    }
}
