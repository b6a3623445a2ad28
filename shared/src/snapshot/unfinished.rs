//! An unfinished snapshot: those who are listed so far, in parts in S3 except for the last of each chain.

use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::aws::AwsError;
use crate::bucket::{Bucket, Condition, push_json};
use crate::person::Person;
use crate::record::to_milliseconds;
use crate::snapshot::SnapshotError;
use crate::snapshot::progress::{CHAINS, Next, Progress};

/// What a chain keeps in memory before it becomes a part.
const PART: usize = 512 * 1024;

/// Room for the page that fills a drawer.
const ROOM: usize = 128 * 1024;

/// Parts that are written, or read ahead, at once.
const AT_ONCE: usize = 8;

/// The longest time between two times that the progress is stored: what a worker that is killed may lose.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// An unfinished snapshot in the hands of a worker.
#[derive(Debug)]
pub struct Unfinished {
    bucket: Bucket,
    progress: Progress,
    /// That of the stored progress; none before the first time.
    etag: Option<String>,
    drawers: [Drawer; CHAINS],
    saved: Instant,
    save_every: Duration,
}

/// Those whom a chain has listed and not put into a part yet.
#[derive(Debug, Default)]
struct Drawer {
    lines: Vec<u8>,
    users: u64,
    /// Where the chain goes on; none when it has not moved.
    next: Option<Next>,
}

impl Unfinished {
    /// A new one. Nothing is stored until there is a reason to.
    pub fn begin(bucket: &Bucket, progress: Progress) -> Self {
        Self {
            bucket: bucket.clone(),
            progress,
            etag: None,
            drawers: Default::default(),
            saved: Instant::now(),
            save_every: SAVE_EVERY,
        }
    }

    /// Goes on with one, as a next worker.
    ///
    /// # Errors
    ///
    /// Another one does already.
    pub async fn take_over(
        bucket: &Bucket,
        (mut progress, etag): (Progress, String),
        holder: &str,
        accept_shrink: bool,
    ) -> Result<Self, SnapshotError> {
        progress.hand_on(holder, accept_shrink);
        let mut unfinished = Self::begin(bucket, progress);
        unfinished.etag = Some(etag);
        unfinished.store().await?;
        Ok(unfinished)
    }

    /// Stores the progress often enough for a worker that has this much time: five times at least.
    pub fn save_within(&mut self, time: Duration) {
        self.save_every = SAVE_EVERY.min(time / 5);
    }

    /// How far it has come, as far as its parts tell.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether its progress is stored, so that somebody else may go on with it.
    pub fn is_stored(&self) -> bool {
        self.etag.is_some()
    }

    /// How many users are listed.
    pub fn users(&self) -> u64 {
        let in_drawers: u64 = self.drawers.iter().map(|drawer| drawer.users).sum();
        self.progress.users() + in_drawers
    }

    /// Takes in a page of a chain. Loses nothing when it is dropped halfway, if [`Unfinished::save`] follows.
    pub async fn add(
        &mut self,
        chain: usize,
        people: &[Person],
        next: Next,
    ) -> Result<(), SnapshotError> {
        let drawer = &mut self.drawers[chain];
        if drawer.lines.capacity() == 0 {
            // Memory that is not written to costs nothing; growing by doubling would.
            drawer.lines.reserve_exact(PART + ROOM);
        }
        for person in people {
            push_json(&mut drawer.lines, person);
        }
        drawer.users += people.len() as u64;
        drawer.next = Some(next);
        if drawer.lines.len() >= PART {
            self.put_away(&[chain]).await?;
        }
        if self.saved.elapsed() >= self.save_every {
            self.save().await?;
        }
        Ok(())
    }

    /// Lets a chain start anew.
    pub fn forget(&mut self, chain: usize) {
        self.drawers[chain] = Drawer::default();
        self.progress.forget(chain);
    }

    /// Puts everybody into parts and stores the progress, so that a next worker can go on from here.
    pub async fn save(&mut self) -> Result<(), SnapshotError> {
        let moved: Vec<_> = (0..CHAINS)
            .filter(|&chain| self.drawers[chain].next.is_some())
            .collect();
        self.put_away(&moved).await?;
        self.progress.closing = None;
        self.store().await?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Keeps everybody else from going on, before the files are closed. One that was never stored is nobody else's anyway.
    pub async fn close(&mut self, sign_ups: u64) -> Result<(), SnapshotError> {
        self.progress.closing = Some(sign_ups);
        if self.is_stored() {
            self.store().await?;
        }
        Ok(())
    }

    /// Everybody who is in a part.
    pub fn people(&self) -> impl Stream<Item = Result<Person, SnapshotError>> {
        stream::iter(self.progress.parts())
            .map(|key| self.part(key))
            .buffered(AT_ONCE)
            .map_ok(|(key, part)| stream::iter(people_of(key, part)))
            .try_flatten()
    }

    async fn part(&self, key: String) -> Result<(String, Vec<u8>), SnapshotError> {
        match self.bucket.get(&key).await? {
            Some(part) => Ok((key, part.body)),
            None => Err(SnapshotError::LostPart { key }),
        }
    }

    /// Writes what chains have in their drawers as their next parts. A part that is written again, because the first time
    /// was interrupted, holds the same people.
    async fn put_away(&mut self, chains: &[usize]) -> Result<(), AwsError> {
        stream::iter(chains)
            .map(|&chain| self.put_part(chain))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        for &chain in chains {
            let drawer = &mut self.drawers[chain];
            if let Some(next) = drawer.next.take() {
                let users = std::mem::take(&mut drawer.users);
                drawer.lines.clear();
                self.progress.advance(chain, users, next);
            }
        }
        Ok(())
    }

    async fn put_part(&self, chain: usize) -> Result<(), AwsError> {
        let drawer = &self.drawers[chain];
        if drawer.users == 0 {
            return Ok(());
        }
        let key = self.progress.next_part(chain);
        self.bucket.put(&key, drawer.lines.clone()).await
    }

    async fn store(&mut self) -> Result<(), SnapshotError> {
        let key = self.progress.snapshot.progress_key();
        self.progress.stored_at = to_milliseconds(Timestamp::now());
        loop {
            let condition = self
                .etag
                .as_deref()
                .map_or(Condition::Absent, Condition::Unchanged);
            let stored = self.bucket.put_json_if(&key, &self.progress, condition);
            if let Some(etag) = stored.await? {
                self.etag = Some(etag);
                return Ok(());
            }
            // Perhaps it was a write of this worker whose answer was lost, or not waited for when time was up.
            match self.bucket.get_json::<Progress>(&key).await? {
                Some((stored, etag)) if stored.is_by_the_same(&self.progress) => {
                    self.etag = Some(etag);
                }
                _ => return Err(SnapshotError::Superseded),
            }
        }
    }
}

/// The people of a part, one by one.
fn people_of(key: String, part: Vec<u8>) -> impl Iterator<Item = Result<Person, SnapshotError>> {
    let mut read = 0;
    std::iter::from_fn(move || {
        let line = part[read..].split_inclusive(|&byte| byte == b'\n').next()?;
        read += line.len();
        let person = serde_json::from_slice(line);
        Some(person.map_err(|_| SnapshotError::LostPart { key: key.clone() }))
    })
}
