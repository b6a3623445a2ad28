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

impl SnapshotFiles {
    /// The files of a snapshot, none begun yet. Import files begin with `import_header`.
    pub fn new(bucket: &Bucket, snapshot: &Id, scope: Scope, import_header: String) -> Self {
        let numbered = |name: &str, extension: &'static str, header: String| {
            let prefix = format!("{}{name}", folder(snapshot));
            let key = move |number| format!("{prefix}-{number:04}.{extension}");
            // Restore reads leftovers as it reads import files, so the same limits serve for all.
            let limits = FileLimits {
                rows: MAX_ROWS_PER_FILE,
                bytes: MAX_BYTES_PER_FILE,
            };
            RollingUpload::new(bucket, key, 1, header, Some(limits))
        };
        let rejected = format!("{}rejected.csv", folder(snapshot));
        let rejected_header = "username,sub,attribute,reason\r\n".to_owned();
        Self {
            users: match scope {
                Scope::Pool => Some(numbered("users", "csv", import_header.clone())),
                Scope::Newcomers => None,
            },
            newcomers: numbered("newcomers", "csv", import_header),
            rejected: RollingUpload::new(
                bucket,
                move |_| rejected.clone(),
                1,
                rejected_header,
                None,
            ),
            leftovers: numbered("leftovers", "jsonl", String::new()),
        }
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
