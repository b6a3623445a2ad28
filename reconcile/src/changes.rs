//! `changes-0001.jsonl` of a run: written while what became of people is added up, and read line by line.

use shared::aws::AwsError;
use shared::id::Id;
use shared::s3::bucket::Bucket;
use shared::s3::json::to_json;
use shared::s3::rolling_upload::{FileLimits, RollingUpload};

use crate::error::ReconcileError;
use crate::json_lines::JsonLines;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::{Change, MAX_REPORTED, changes_key};

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

/// The lines of changes of a run, read as a stream: there may be many, and its report names only so many people.
pub struct ChangeLines<'a> {
    bucket: &'a Bucket,
    run: &'a Id,
    /// The number of files that have been opened.
    files: usize,
    lines: Option<JsonLines>,
}

impl<'a> ChangeLines<'a> {
    /// The lines of a run, from the first one.
    pub fn of(bucket: &'a Bucket, run: &'a Id) -> Self {
        Self {
            bucket,
            run,
            files: 0,
            lines: None,
        }
    }

    /// The next line; none after the last one.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer, or a line cannot be read.
    pub async fn next(&mut self) -> Result<Option<Change>, ReconcileError> {
        loop {
            if let Some(lines) = &mut self.lines
                && let Some(change) = lines.next_line().await?
            {
                return Ok(Some(change));
            }
            self.files += 1;
            let key = changes_key(self.run, self.files);
            self.lines = JsonLines::open(self.bucket, &key, 0).await?;
            if self.lines.is_none() {
                return Ok(None);
            }
        }
    }
}
