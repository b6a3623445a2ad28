//! The files of a snapshot, each written row by row.

use crate::aws::error::AwsError;
use crate::id::Id;
use crate::import_csv::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
use crate::s3::bucket::Bucket;
use crate::s3::rolling_upload::{FileLimits, RollingUpload};
use crate::snapshot::layout::folder;
use crate::snapshot::manifest::{File, Role};
use crate::snapshot::scope::Scope;

/// The files that a snapshot is written to.
#[derive(Debug)]
pub struct SnapshotFiles {
    /// All users who can be imported; none in a snapshot of the newcomers.
    pub users: Option<RollingUpload>,
    /// Of those, the newcomers.
    pub newcomers: RollingUpload,
    /// Who and what was left out, for people to read: one file, whatever its size.
    pub rejected: RollingUpload,
    /// Who and what was left out, for restore.
    pub leftovers: RollingUpload,
}

/// The files of one role of a snapshot.
pub struct Series {
    /// Their role.
    pub role: Role,
    /// A file's key by its number, from 1.
    pub key: Box<dyn Fn(usize) -> String + Send + Sync>,
    /// The first line of each.
    pub header: String,
    /// The limits of each; without them there is only one.
    pub limits: Option<FileLimits>,
}

impl Series {
    /// The files of this role. Import files begin with `import_header`.
    pub fn of(role: Role, snapshot: &Id, import_header: &str) -> Self {
        let folder = folder(snapshot);
        let numbered = |name: &'static str, extension: &'static str, header: &str| Self {
            role,
            key: {
                let folder = folder.clone();
                Box::new(move |number| format!("{folder}{name}-{number:04}.{extension}"))
            },
            header: header.to_owned(),
            // Restore reads leftovers as it reads import files, so the same limits serve for all.
            limits: Some(FileLimits {
                rows: MAX_ROWS_PER_FILE,
                bytes: MAX_BYTES_PER_FILE,
            }),
        };
        match role {
            Role::Users => numbered("users", "csv", import_header),
            Role::Newcomers => numbered("newcomers", "csv", import_header),
            Role::Leftovers => numbered("leftovers", "jsonl", ""),
            Role::Rejected => Self {
                role,
                key: Box::new(move |_| format!("{folder}rejected.csv")),
                header: "username,sub,attribute,reason\r\n".to_owned(),
                limits: None,
            },
        }
    }
}

impl SnapshotFiles {
    /// The files of a snapshot, none begun yet. Import files begin with `import_header`.
    pub fn new(bucket: &Bucket, snapshot: &Id, scope: Scope, import_header: &str) -> Self {
        let files = |role| {
            let series = Series::of(role, snapshot, import_header);
            RollingUpload::new(bucket, series.key, 1, series.header, series.limits)
        };
        Self {
            users: match scope {
                Scope::Pool => Some(files(Role::Users)),
                Scope::Newcomers => None,
            },
            newcomers: files(Role::Newcomers),
            rejected: files(Role::Rejected),
            leftovers: files(Role::Leftovers),
        }
    }

    /// Appends a row, its line ending included, to the files of a role. Roles that the scope does not have are left out.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn write_row(&mut self, role: Role, row: &[u8]) -> Result<(), AwsError> {
        let files = match role {
            Role::Users => match &mut self.users {
                Some(users) => users,
                None => return Ok(()),
            },
            Role::Newcomers => &mut self.newcomers,
            Role::Rejected => &mut self.rejected,
            Role::Leftovers => &mut self.leftovers,
        };
        files.write_row(row).await
    }

    fn by_role(&mut self) -> impl Iterator<Item = (Role, &mut RollingUpload)> {
        let users = self.users.iter_mut().map(|users| (Role::Users, users));
        users.chain([
            (Role::Newcomers, &mut self.newcomers),
            (Role::Rejected, &mut self.rejected),
            (Role::Leftovers, &mut self.leftovers),
        ])
    }

    /// Makes all files appear in the bucket. Each role of the scope has at least one file, even if it has no rows.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn finish(&mut self) -> Result<Vec<File>, AwsError> {
        let mut files = Vec::new();
        for (role, upload) in self.by_role() {
            let written = upload.finish_with_at_least_one().await?;
            files.extend(written.into_iter().map(|file| File {
                key: file.object.key,
                role,
                rows: file.rows,
                bytes: file.object.bytes,
                sha256: file.object.sha256,
            }));
        }
        Ok(files)
    }

    /// Discards what has not appeared in the bucket.
    pub async fn abort(&mut self) {
        for (_, upload) in self.by_role() {
            upload.abort().await;
        }
    }
}
