//! Collects records, and writes them as sorted runs.

use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use shared::aws::error::AwsError;
use shared::s3::bucket::Bucket;

use super::{Key, Record, Run, SHARD_COUNT, shard};

/// A run has at most so many records: 8 MB of 80 bytes each, and 400 runs for forty million.
pub const RUN_RECORDS: usize = 100_000;

/// Writes an object.
pub(super) type Write =
    Box<dyn Fn(String, Vec<u8>) -> BoxFuture<'static, Result<(), AwsError>> + Send + Sync>;

/// Names run number n, from 0.
type RunKey = Box<dyn Fn(usize) -> String + Send + Sync>;

/// Collects records, and writes them as sorted runs of at most [`RUN_RECORDS`] records.
pub struct Sorter<R> {
    write: Write,
    key: RunKey,
    runs: Vec<Run>,
    buffer: Buffer<R>,
}

impl<R: Record> Sorter<R> {
    /// Adds to the runs of earlier workers. `key` gives the object's key of run number n, which counts on from these.
    pub fn new(
        bucket: &Bucket,
        key: impl Fn(usize) -> String + Send + Sync + 'static,
        runs: Vec<Run>,
    ) -> Self {
        let bucket = bucket.clone();
        let write: Write = Box::new(move |key, body| {
            let bucket = bucket.clone();
            Box::pin(async move { bucket.put(&key, body).await })
        });
        Self::with_write(write, Box::new(key), runs)
    }

    pub(super) fn with_write(write: Write, key: RunKey, runs: Vec<Run>) -> Self {
        Self {
            write,
            key,
            runs,
            buffer: Buffer::default(),
        }
    }

    /// Adds a record. Now and then, this writes a run.
    ///
    /// # Errors
    ///
    /// The run was not written. Its records are lost, and the sorter is of no use any more: list again from the last position whose
    /// records had been flushed.
    pub async fn add(&mut self, record: R) -> Result<(), AwsError> {
        self.buffer.add(record);
        if self.buffer.len() == RUN_RECORDS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes the records that are in memory as a run, and gives all runs. They contain every record that was added, and may be stored
    /// together with the position of the listing.
    ///
    /// # Errors
    ///
    /// As for [`add`](Sorter::add).
    pub async fn flush(&mut self) -> Result<&[Run], AwsError> {
        if self.buffer.len() > 0 {
            let key = (self.key)(self.runs.len());
            let (body, shards) = self.buffer.take_sorted();
            let records = (body.len() / R::SIZE) as u64;
            (self.write)(key.clone(), body).await?;
            self.runs.push(Run {
                key,
                records,
                shards,
            });
        }
        Ok(&self.runs)
    }

    /// All runs. A record that was not flushed is in none of them.
    pub fn into_runs(self) -> Vec<Run> {
        self.runs
    }
}

/// The records of the next run.
struct Buffer<R> {
    /// The records, one after the other, as they will be in the run.
    bytes: Vec<u8>,
    /// The key of each record, and its place in `bytes`. Sorting moves these alone; equal keys stay in the order in which they were
    /// added.
    order: Vec<(Key, u32)>,
    record: PhantomData<R>,
}

impl<R> Default for Buffer<R> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            order: Vec::new(),
            record: PhantomData,
        }
    }
}

impl<R: Record> Buffer<R> {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn add(&mut self, record: R) {
        if self.bytes.is_empty() {
            // Memory that is never written to is not used, and growing step by step would copy the records.
            self.bytes.reserve_exact(RUN_RECORDS * R::SIZE);
            self.order.reserve_exact(RUN_RECORDS);
        }
        self.order.push((record.key(), self.order.len() as u32));
        record.write(&mut self.bytes);
        debug_assert_eq!(self.bytes.len(), self.order.len() * R::SIZE);
    }

    /// The run's bytes, and the index of the first record of each shard. The buffer is empty afterwards.
    fn take_sorted(&mut self) -> (Vec<u8>, [u64; SHARD_COUNT]) {
        self.order.sort_unstable();
        self.arrange();
        let counts = self.drop_replaced();
        self.order.clear();
        let mut next = 0;
        let shards = counts.map(|count| {
            let first = next;
            next += count;
            first
        });
        (std::mem::take(&mut self.bytes), shards)
    }

    /// Moves each record to where `order` wants it, without a second copy of all of them.
    fn arrange(&mut self) {
        for start in 0..self.order.len() {
            // The records change places in cycles.
            let mut place = start;
            loop {
                let wanted = std::mem::replace(&mut self.order[place].1, place as u32) as usize;
                if wanted == start {
                    break;
                }
                self.swap(place, wanted);
                place = wanted;
            }
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (low, high) = (one.min(other), one.max(other));
        let (left, right) = self.bytes.split_at_mut(high * R::SIZE);
        left[low * R::SIZE..][..R::SIZE].swap_with_slice(&mut right[..R::SIZE]);
    }

    /// Drops the records that a later one replaces, and counts the others of each shard.
    fn drop_replaced(&mut self) -> [u64; SHARD_COUNT] {
        let mut counts = [0; SHARD_COUNT];
        // Records `first..end` are those of the present key that are kept.
        let (mut first, mut end) = (0, 0);
        for index in 0..self.order.len() {
            let key = self.order[index].0;
            if index > 0 && key != self.order[index - 1].0 {
                first = end;
            }
            let mut others = first..end.min(first + R::MAX_IN_GROUP);
            let record = self.record(index);
            let replaced = others.find(|other| self.record(*other).is_same(&record));
            let place = replaced.unwrap_or(end) * R::SIZE;
            let from = index * R::SIZE;
            self.bytes.copy_within(from..from + R::SIZE, place);
            if replaced.is_none() {
                counts[shard(&key)] += 1;
                end += 1;
            }
        }
        self.bytes.truncate(end * R::SIZE);
        counts
    }

    fn record(&self, index: usize) -> R {
        R::read(&self.bytes[index * R::SIZE..][..R::SIZE])
    }
}
