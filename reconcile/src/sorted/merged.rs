//! One shard of several runs as one sorted stream, in which a record that was listed twice is there once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use shared::aws::error::AwsError;
use shared::s3::bucket::Bucket;

use super::{Key, Record, Run};

/// The blocks of all runs together have at most so many bytes, unless there are more than 512 runs: those have the smallest block each.
const MAX_BUFFERED: usize = 8 << 20;

/// The smallest and the largest block of a run.
const BLOCK_BYTES: (usize, usize) = (16 << 10, 512 << 10);

/// So many blocks are requested at once at the beginning, when every run needs its first one.
const CONCURRENT_READS: usize = 16;

/// Reads a range of an object: its key, the offset and the length.
pub(super) type Read =
    Box<dyn Fn(String, u64, usize) -> BoxFuture<'static, Result<Vec<u8>, AwsError>> + Send + Sync>;

/// All records with one key, in the order in which they were first listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a, R> {
    /// The records: one for each user, as it was listed last. At most [`Record::MAX_IN_GROUP`].
    pub records: &'a [R],
    /// The number of records beyond these. A user who was listed twice may count twice.
    pub more: u64,
}

/// One shard of several runs, key by key. Nothing is allocated for a record.
pub struct Merged<R> {
    read: Read,
    block_bytes: usize,
    cursors: Vec<Cursor<R>>,
    /// The key of the next record of each run that has a block, with the run's place in `cursors`: a record of an earlier run comes
    /// before one of a later run.
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    /// The runs that need a block before the next record is known, by their place in `cursors`.
    waiting: Vec<usize>,
    state: State,
    /// The key of the present group.
    key: Key,
    group: Vec<R>,
    more: u64,
}

/// What became of the present group. An error may leave it half gathered; the next call goes on with it, so that no record is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Gathering,
    Complete,
    Taken,
}

impl<R: Record> Merged<R> {
    /// A shard of these runs, of which later ones replace what earlier ones contain. No runs are an empty stream.
    ///
    /// # Panics
    ///
    /// There is no such shard.
    pub fn shard(bucket: &Bucket, runs: &[Run], shard: usize) -> Self {
        let bucket = bucket.clone();
        let read: Read = Box::new(move |key, from, length| {
            let bucket = bucket.clone();
            Box::pin(async move { bucket.get_range(&key, from, length).await })
        });
        Self::with_read(read, BLOCK_BYTES, runs, shard)
    }

    /// `block_bytes` is the smallest and the largest block.
    pub(super) fn with_read(
        read: Read,
        block_bytes: (usize, usize),
        runs: &[Run],
        shard: usize,
    ) -> Self {
        let cursors: Vec<_> = runs
            .iter()
            .map(|run| Cursor::new(run, shard))
            .filter(|cursor: &Cursor<R>| cursor.unread > 0)
            .collect();
        let (smallest, largest) = block_bytes;
        let block_bytes = (MAX_BUFFERED / cursors.len().max(1)).clamp(smallest, largest);
        Self {
            read,
            block_bytes: (block_bytes / R::SIZE).max(1) * R::SIZE,
            heap: BinaryHeap::with_capacity(cursors.len()),
            waiting: (0..cursors.len()).collect(),
            cursors,
            state: State::Taken,
            key: Key::default(),
            group: Vec::with_capacity(R::MAX_IN_GROUP),
            more: 0,
        }
    }

    /// The records with the next key; none after the last one. After an error, it may be called again.
    ///
    /// # Errors
    ///
    /// A run cannot be read, is gone or is too short.
    pub async fn next_group(&mut self) -> Result<Option<(Key, Group<'_, R>)>, AwsError> {
        let key = self.peek().await?;
        Ok(key.map(|key| (key, self.take(&key))))
    }

    /// The next key, whose records [`take`](Merged::take) gives; none after the last one.
    pub(super) async fn peek(&mut self) -> Result<Option<Key>, AwsError> {
        if self.state == State::Taken {
            self.group.clear();
            self.more = 0;
            self.state = State::Gathering;
        }
        while self.state == State::Gathering {
            if !self.waiting.is_empty() {
                self.read_blocks().await?;
            }
            self.gather();
        }
        Ok(self.group.first().map(|_| self.key))
    }

    /// The records with this key, which are none if it is not the next key.
    pub(super) fn take(&mut self, key: &Key) -> Group<'_, R> {
        if self.state != State::Complete || self.group.is_empty() || self.key != *key {
            return Group {
                records: &[],
                more: 0,
            };
        }
        self.state = State::Taken;
        Group {
            records: &self.group,
            more: self.more,
        }
    }

    /// Adds the smallest record to the group, unless it has another key or there is none.
    fn gather(&mut self) {
        let Some(mut smallest) = self.heap.peek_mut() else {
            self.state = State::Complete;
            return;
        };
        let Reverse((key, index)) = *smallest;
        if !self.group.is_empty() && key != self.key {
            self.state = State::Complete;
            return;
        }
        self.key = key;
        let cursor = &mut self.cursors[index];
        let record = cursor.record();
        match self
            .group
            .iter()
            .position(|earlier| earlier.is_same(&record))
        {
            Some(earlier) => self.group[earlier] = record,
            None if self.group.len() < R::MAX_IN_GROUP => self.group.push(record),
            None => self.more += 1,
        }
        if cursor.advance() {
            *smallest = Reverse((cursor.record().key(), index));
        } else {
            PeekMut::pop(smallest);
            if cursor.unread > 0 {
                self.waiting.push(index);
            }
        }
    }

    /// Reads the next block of each run that waits for one. When this fails, the others still wait.
    async fn read_blocks(&mut self) -> Result<(), AwsError> {
        let requests = self.waiting.iter().map(|index| {
            let index = *index;
            let cursor = &self.cursors[index];
            let length = cursor.next_length(self.block_bytes);
            let block = (self.read)(cursor.key.clone(), cursor.from, length);
            async move { (index, block.await) }
        });
        let requests: Vec<_> = requests.collect();
        let mut blocks = stream::iter(requests).buffer_unordered(CONCURRENT_READS);
        while let Some((index, block)) = blocks.next().await {
            let cursor = &mut self.cursors[index];
            cursor.begin(block?);
            self.heap.push(Reverse((cursor.record().key(), index)));
            self.waiting.retain(|waiting| *waiting != index);
        }
        Ok(())
    }
}

/// How far a shard of a run has been read.
struct Cursor<R> {
    /// The key of the run's object.
    key: String,
    /// The offset of the next block.
    from: u64,
    /// The number of bytes from there to the end of the shard.
    unread: u64,
    block: Vec<u8>,
    /// The place of the present record in the block.
    at: usize,
    record: PhantomData<R>,
}

impl<R: Record> Cursor<R> {
    fn new(run: &Run, shard: usize) -> Self {
        let section = run.section(shard);
        let size = R::SIZE as u64;
        Self {
            key: run.key.clone(),
            from: section.start * size,
            unread: (section.end - section.start) * size,
            block: Vec::new(),
            at: 0,
            record: PhantomData,
        }
    }

    /// The length of the next block.
    fn next_length(&self, block_bytes: usize) -> usize {
        usize::try_from(self.unread).map_or(block_bytes, |unread| unread.min(block_bytes))
    }

    /// Begins a block.
    fn begin(&mut self, block: Vec<u8>) {
        self.from += block.len() as u64;
        self.unread -= block.len() as u64;
        self.block = block;
        self.at = 0;
    }

    /// The present record.
    fn record(&self) -> R {
        R::read(&self.block[self.at..self.at + R::SIZE])
    }

    /// Goes to the next record of the block. Gives `false` after the last one, and frees the block.
    fn advance(&mut self) -> bool {
        self.at += R::SIZE;
        if self.at < self.block.len() {
            return true;
        }
        self.block = Vec::new();
        false
    }
}
