//! An external merge sort over S3: millions of records are sorted and joined in the memory of a few blocks.
//!
//! A pool is listed in no useful order, and neither pool fits into memory. So what is listed is written to the bucket as sorted runs,
//! and the runs of both pools are read side by side, which brings together what the pools know of one person.
//!
//! - [`sorter`]: collects records and writes them as runs
//! - [`merged`]: several runs as one sorted stream, in which a record that was listed twice is there once
//! - [`join`]: the streams of both pools, and of what the bucket knows of people, key by key
//! - [`hash`]: texts of any length as keys

pub mod hash;
pub mod join;
pub mod merged;
pub mod sorter;

#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The bytes by which records are sorted and joined.
pub type Key = [u8; 16];

/// Shards are ranges of keys that can be read and joined alone, so that a run that was cut off goes on with the next shard. The first
/// hex digit of a key is the number of its shard.
pub const SHARD_COUNT: usize = 16;

/// So many different records with one key are kept, of most kinds of records. One is usual; more have a key in common by mistake or on
/// purpose, and this limit keeps memory and time flat for any number of them.
pub const MAX_GROUP: usize = 16;

/// A record of fixed size.
pub trait Record: Copy {
    /// The number of bytes that [`write`](Record::write) appends.
    const SIZE: usize;

    /// So many different records with one key are kept.
    const MAX_IN_GROUP: usize = MAX_GROUP;

    /// Appends the record to bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// The record of bytes that [`write`](Record::write) has made.
    fn read(bytes: &[u8]) -> Self;

    /// The bytes by which records are sorted and joined: a hash, so that the shards are of one size.
    fn key(&self) -> Key;

    /// Whether two records with the same key are of the same user. Then the one that was listed later replaces the other.
    fn is_same(&self, other: &Self) -> bool;
}

/// A sorted run, which is an object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The object's key.
    pub key: String,
    /// The number of its records.
    pub records: u64,
    /// The index of the first record of each shard.
    pub shards: [u64; SHARD_COUNT],
}

impl Run {
    /// The number of records of a shard.
    ///
    /// # Panics
    ///
    /// There is no such shard.
    pub fn records_of_shard(&self, shard: usize) -> u64 {
        let section = self.section(shard);
        section.end - section.start
    }

    /// The indexes of the records of a shard.
    fn section(&self, shard: usize) -> Range<u64> {
        let end = self.shards.get(shard + 1).unwrap_or(&self.records);
        self.shards[shard]..*end
    }
}

/// The shard of a key.
fn shard(key: &Key) -> usize {
    usize::from(key[0] >> 4)
}
