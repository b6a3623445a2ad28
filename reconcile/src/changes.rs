//! Writes `changes-0001.jsonl` of a run, and adds up what became of people.

use shared::aws::AwsError;
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;
use shared::s3::rolling_upload::{FileLimits, RollingUpload};

use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::{MAX_REPORTED, changes_key};

/// The largest file of changes.
const LIMITS: FileLimits = FileLimits {
    rows: 500_000,
    bytes: 100_000_000,
};

/// The file of changes that is being written.
pub struct Changes {
    bucket: Bucket,
    open: Option<RollingUpload>,
}

impl Changes {
    /// Nothing is written yet.
    pub fn new(bucket: &Bucket) -> Self {
        Self {
            bucket: bucket.clone(),
            open: None,
        }
    }

    /// Adds what became of somebody.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn add(&mut self, outcome: Outcome, progress: &mut Progress) -> Result<(), AwsError> {
        progress.counts.add(&outcome.counts);
        progress.failed += outcome.failed;
        let room = MAX_REPORTED.saturating_sub(progress.reported.len());
        let reported = outcome.reported.into_iter();
        progress.reported.extend(reported.take(room));
        for line in outcome.lines {
            let open = self.open.get_or_insert_with(|| {
                let run = progress.run.clone();
                let key = move |number| changes_key(&run, number);
                let first = progress.changes_files + 1;
                RollingUpload::new(&self.bucket, key, first, String::new(), Some(LIMITS))
            });
            open.write_row(&to_json(&line)).await?;
        }
        Ok(())
    }

    /// Makes what was added appear in the bucket.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn close(&mut self, progress: &mut Progress) -> Result<(), AwsError> {
        if let Some(mut open) = self.open.take() {
            progress.changes_files += open.finish().await?.len();
        }
        Ok(())
    }
}
