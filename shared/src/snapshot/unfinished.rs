//! An unfinished snapshot: the users listed so far, stored in S3 as parts except for the last ones of each chain.

use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::error::AwsError;
use crate::cognito::listing::{CHAIN_COUNT, Chain, Page, Position};
use crate::person::Person;
use crate::s3::bucket::{Bucket, Condition};
use crate::s3::json::append_json;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::layout::progress_key;
use crate::snapshot::progress::Progress;
use crate::time::now;

/// Bytes that a chain keeps in memory before it writes them as a part.
const PART_BYTES: usize = 512 * 1024;

/// Extra bytes of a chain's buffer, for the page that fills it.
const BUFFER_MARGIN_BYTES: usize = 128 * 1024;

/// Parts that are written, or read ahead, concurrently.
const CONCURRENT_PARTS: usize = 8;

/// The longest time between two writes of the progress: the work that a killed worker may lose.
const MAX_SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// An unfinished snapshot in the hands of one worker.
#[derive(Debug)]
pub struct Unfinished {
    bucket: Bucket,
    progress: Progress,
    /// The entity tag of the stored progress; none before it is stored.
    etag: Option<String>,
    unwritten: [Unwritten; CHAIN_COUNT],
    saved_at: Instant,
    save_interval: Duration,
}

/// The users whom a chain has listed and not written as a part yet.
#[derive(Debug, Default)]
struct Unwritten {
    lines: Vec<u8>,
    users: u64,
    /// How far the chain is listed; none when it has not moved since its last part.
    position: Option<Position>,
}

impl Unfinished {
    /// A new snapshot. Nothing is stored yet.
    pub fn start(bucket: &Bucket, progress: Progress) -> Self {
        Self {
            bucket: bucket.clone(),
            progress,
            etag: None,
            unwritten: Default::default(),
            saved_at: Instant::now(),
            save_interval: MAX_SAVE_INTERVAL,
        }
    }

    /// Resumes a snapshot as its next worker. `stored` is its progress with the entity tag.
    ///
    /// # Errors
    ///
    /// Another worker has resumed it already, or S3 failed.
    pub async fn resume(
        bucket: &Bucket,
        stored: (Progress, String),
        holder: &str,
        accept_shrink: bool,
    ) -> Result<Self, SnapshotError> {
        let (mut progress, etag) = stored;
        progress.hand_over(holder, accept_shrink);
        let mut unfinished = Self::start(bucket, progress);
        unfinished.etag = Some(etag);
        unfinished.write_progress().await?;
        Ok(unfinished)
    }

    /// Chooses how often the progress is stored: at least five times in the time that the worker has.
    pub fn save_at_least_five_times_in(&mut self, time: Duration) {
        self.save_interval = MAX_SAVE_INTERVAL.min(time / 5);
    }

    /// How far the snapshot has come, as far as users are in parts.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Notes that people are taken over who were looked up since this time.
    pub fn take_over_as_of(&mut self, as_of: Timestamp) {
        self.progress.take_over_as_of(as_of);
    }

    /// Whether its progress is stored, so that another worker may resume it.
    pub fn is_stored(&self) -> bool {
        self.etag.is_some()
    }

    /// How many users are listed.
    pub fn users(&self) -> u64 {
        let unwritten: u64 = self.unwritten.iter().map(|unwritten| unwritten.users).sum();
        self.progress.users() + unwritten
    }

    /// Adds a page of a chain. If it is cancelled, nothing is lost as long as [`Unfinished::save`] follows.
    ///
    /// # Errors
    ///
    /// S3 failed, or another worker has resumed the snapshot.
    pub async fn add_page(&mut self, chain: Chain, page: &Page) -> Result<(), SnapshotError> {
        self.add(chain, &page.people, &page.next).await
    }

    /// Adds users to a chain, one line each, which is listed up to a position then. As [`Unfinished::add_page`].
    ///
    /// # Errors
    ///
    /// S3 failed, or another worker has resumed the snapshot.
    pub async fn add<T: Serialize>(
        &mut self,
        chain: Chain,
        users: &[T],
        next: &Position,
    ) -> Result<(), SnapshotError> {
        let unwritten = &mut self.unwritten[chain.index()];
        if unwritten.lines.capacity() == 0 {
            // Reserved memory that is never written to costs nothing; growing by doubling would.
            unwritten
                .lines
                .reserve_exact(PART_BYTES + BUFFER_MARGIN_BYTES);
        }
        for user in users {
            append_json(&mut unwritten.lines, user);
        }
        unwritten.users += users.len() as u64;
        unwritten.position = Some(next.clone());
        if unwritten.lines.len() >= PART_BYTES {
            self.write_parts(&[chain]).await?;
        }
        if self.saved_at.elapsed() >= self.save_interval {
            self.save().await?;
        }
        Ok(())
    }

    /// Drops what a chain has listed, so that it is listed from its beginning again.
    pub fn restart_chain(&mut self, chain: Chain) {
        self.unwritten[chain.index()] = Unwritten::default();
        self.progress.restart_chain(chain);
    }

    /// Writes all users as parts, and stores the progress, so that the next worker can resume from here.
    ///
    /// # Errors
    ///
    /// S3 failed, or another worker has resumed the snapshot.
    pub async fn save(&mut self) -> Result<(), SnapshotError> {
        let moved: Vec<_> = Chain::all()
            .filter(|chain| self.unwritten[chain.index()].position.is_some())
            .collect();
        self.write_parts(&moved).await?;
        self.progress.closing = None;
        self.write_progress().await?;
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Prevents other workers from resuming the snapshot, before its files are closed. A snapshot that was never stored cannot be
    /// resumed anyway.
    ///
    /// # Errors
    ///
    /// S3 failed, or another worker has resumed the snapshot.
    pub async fn begin_closing(&mut self, sign_ups: u64) -> Result<(), SnapshotError> {
        self.progress.closing = Some(sign_ups);
        if self.is_stored() {
            self.write_progress().await?;
        }
        Ok(())
    }

    /// All users who are in parts.
    pub fn stored_users(&self) -> impl Stream<Item = Result<Person, SnapshotError>> {
        self.stored()
    }

    /// All lines that are in parts.
    pub fn stored<T: DeserializeOwned>(&self) -> impl Stream<Item = Result<T, SnapshotError>> {
        stored_lines(&self.bucket, &self.progress)
    }

    /// Writes the next part of each of these chains. A part that is written twice, because the first write was cancelled, contains
    /// the same users.
    async fn write_parts(&mut self, chains: &[Chain]) -> Result<(), AwsError> {
        stream::iter(chains)
            .map(|&chain| self.write_part(chain))
            .buffer_unordered(CONCURRENT_PARTS)
            .try_collect::<()>()
            .await?;
        for &chain in chains {
            let unwritten = &mut self.unwritten[chain.index()];
            if let Some(position) = unwritten.position.take() {
                let users = std::mem::take(&mut unwritten.users);
                unwritten.lines.clear();
                self.progress.advance(chain, users, position);
            }
        }
        Ok(())
    }

    async fn write_part(&self, chain: Chain) -> Result<(), AwsError> {
        let unwritten = &self.unwritten[chain.index()];
        if unwritten.users == 0 {
            return Ok(());
        }
        let key = self.progress.next_part_key(chain);
        self.bucket.put(&key, unwritten.lines.clone()).await
    }

    async fn write_progress(&mut self) -> Result<(), SnapshotError> {
        self.progress.stored_at = now();
        let key = progress_key(&self.progress.snapshot);
        let condition = Condition::since_read(self.etag.as_deref());
        let is_ours = |stored: &Progress| stored.is_by_same_worker(&self.progress);
        let written = self
            .bucket
            .put_json_if(&key, &self.progress, condition, is_ours);
        let etag = written.await?.ok_or(SnapshotError::Superseded)?;
        self.etag = Some(etag);
        Ok(())
    }
}

/// All lines in the parts of a snapshot.
pub(super) fn stored_lines<T: DeserializeOwned>(
    bucket: &Bucket,
    progress: &Progress,
) -> impl Stream<Item = Result<T, SnapshotError>> {
    stream::iter(progress.part_keys())
        .map(|key| read_part(bucket, key))
        .buffered(CONCURRENT_PARTS)
        .map_ok(|(key, part)| stream::iter(lines_of_part(key, part)))
        .try_flatten()
}

async fn read_part(bucket: &Bucket, key: String) -> Result<(String, Vec<u8>), SnapshotError> {
    match bucket.get(&key).await? {
        Some(part) => Ok((key, part.body)),
        None => Err(SnapshotError::LostPart { key }),
    }
}

/// The lines of a part, one by one.
fn lines_of_part<T: DeserializeOwned>(
    key: String,
    part: Vec<u8>,
) -> impl Iterator<Item = Result<T, SnapshotError>> {
    let mut bytes_read = 0;
    std::iter::from_fn(move || {
        let line = part[bytes_read..]
            .split_inclusive(|&byte| byte == b'\n')
            .next()?;
        bytes_read += line.len();
        let user = serde_json::from_slice(line);
        Some(user.map_err(|_| SnapshotError::LostPart { key: key.clone() }))
    })
}
