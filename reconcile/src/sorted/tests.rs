//! Sorting and joining, with the runs in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use proptest::prelude::*;
use shared::aws::error::AwsError;

use super::join::Join;
use super::merged::{Group, Merged};
use super::sorter::{RUN_RECORDS, Sorter};
use super::*;

/// A record of a pool. `PADDING` makes records of different types and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listed<const PADDING: usize> {
    key: u8,
    user: u8,
    version: u16,
}

impl<const PADDING: usize> Record for Listed<PADDING> {
    const SIZE: usize = 20 + PADDING;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.key());
        out.extend([self.key, self.user]);
        out.extend(self.version.to_be_bytes());
        out.extend([0; PADDING]);
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            key: bytes[16],
            user: bytes[17],
            version: u16::from_be_bytes([bytes[18], bytes[19]]),
        }
    }

    fn key(&self) -> Key {
        key(self.key)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.user == other.user
    }
}

/// Keys that differ in the first byte, in the last one, or in both.
fn key(number: u8) -> Key {
    let mut key = Key::default();
    key[0] = number & 0xfe;
    key[15] = number & 1;
    key
}

type Small = Listed<0>;

fn listed<const PADDING: usize>(key: u8, user: u8, version: u16) -> Listed<PADDING> {
    Listed { key, user, version }
}

/// The bucket.
#[derive(Clone, Default)]
struct Memory {
    objects: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    reads: Arc<AtomicUsize>,
    /// Whether every block fails to be read the first time.
    fails: bool,
    failed: Arc<Mutex<HashSet<(String, u64)>>>,
}

impl Memory {
    fn sorter<R: Record>(&self, prefix: &'static str, runs: Vec<Run>) -> Sorter<R> {
        let objects = self.objects.clone();
        let write = move |key, body| {
            let earlier = objects.lock().unwrap().insert(key, body);
            assert_eq!(earlier, None, "a run is written once");
            async { Ok(()) }.boxed()
        };
        let key = move |number| format!("{prefix}/{number}");
        Sorter::with_write(Box::new(write), Box::new(key), runs)
    }

    /// Writes a run of each list.
    fn sorted<R: Record>(&self, prefix: &'static str, lists: &[Vec<R>]) -> Vec<Run> {
        let mut sorter = self.sorter(prefix, Vec::new());
        for list in lists {
            for record in list {
                done(sorter.add(*record)).unwrap();
            }
            done(sorter.flush()).unwrap();
        }
        sorter.into_runs()
    }

    fn merged<R: Record>(&self, runs: &[Run], shard: usize, block_bytes: usize) -> Merged<R> {
        let memory = self.clone();
        let read = move |key: String, from: u64, length: usize| {
            memory.reads.fetch_add(1, Ordering::Relaxed);
            let is_first = || memory.failed.lock().unwrap().insert((key.clone(), from));
            let fails = memory.fails && is_first();
            let from = from as usize;
            let bytes = memory.objects.lock().unwrap()[&key][from..from + length].to_vec();
            let result = if fails {
                Err(AwsError::from_status("GetObject", "memory", 503))
            } else {
                Ok(bytes)
            };
            async { result }.boxed()
        };
        Merged::with_read(Box::new(read), (block_bytes, block_bytes), runs, shard)
    }
}

/// The result of what never waits for memory.
fn done<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// All groups of all shards.
fn groups(memory: &Memory, runs: &[Run], block_bytes: usize) -> Vec<(Key, Vec<Small>, u64)> {
    let mut groups = Vec::new();
    for shard in 0..SHARD_COUNT {
        let mut merged = memory.merged(runs, shard, block_bytes);
        while let Some((key, group)) = done(merged.next_group()).unwrap() {
            groups.push((key, group.records.to_vec(), group.more));
        }
        assert_eq!(done(merged.next_group()).unwrap(), None);
    }
    groups
}

#[test]
fn records_of_several_runs_are_one_sorted_stream() {
    let memory = Memory::default();
    let (low, middle, high) = (
        listed(0x00, 1, 1),
        listed(0x01, 2, 1),
        listed::<0>(0xf0, 3, 1),
    );

    let runs = memory.sorted("run", &[vec![high, low], vec![middle]]);

    assert_eq!(runs[0].records, 2);
    assert_eq!(runs[0].shards[..2], [0, 1]);
    assert_eq!(
        groups(&memory, &runs, 1),
        [low, middle, high].map(|record| (record.key(), vec![record], 0))
    );
}

#[test]
fn of_a_user_listed_twice_the_later_record_is_kept() {
    let memory = Memory::default();
    let lists: [Vec<Small>; 2] = [
        vec![
            listed(7, 1, 1),
            listed(7, 1, 2),
            listed(9, 2, 1),
            listed(9, 3, 1),
        ],
        vec![listed(7, 1, 3), listed(9, 2, 2)],
    ];

    let runs = memory.sorted("run", &lists);

    assert_eq!(
        runs[0].records, 3,
        "a run does not contain what it replaces"
    );
    assert_eq!(
        groups(&memory, &runs, 1),
        [
            (key(7), vec![listed(7, 1, 3)], 0),
            (key(9), vec![listed(9, 2, 2), listed(9, 3, 1)], 0),
        ]
    );
}

#[test]
fn more_records_with_one_key_than_are_kept_are_counted() {
    let memory = Memory::default();
    let users: Vec<Small> = (0..20).map(|user| listed(7, user, 1)).collect();

    let runs = memory.sorted("run", &[users[..10].to_vec(), users[10..].to_vec()]);

    let kept = users[..MAX_GROUP].to_vec();
    assert_eq!(groups(&memory, &runs, 64), [(key(7), kept, 4)]);
}

#[test]
fn a_full_buffer_is_written_by_itself() {
    let memory = Memory::default();
    let mut sorter = memory.sorter("run", Vec::new());
    for number in 0..=RUN_RECORDS {
        let record: Small = listed(
            (number % 251) as u8,
            (number / 251 % 256) as u8,
            number as u16,
        );
        done(sorter.add(record)).unwrap();
    }

    let runs = done(sorter.flush()).unwrap();

    let last = (RUN_RECORDS % 251) as u8;
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].records, 1);
    assert_eq!(groups(&memory, &runs[1..], 64)[0].0, key(last));
}

#[test]
fn a_worker_adds_to_the_runs_of_earlier_ones() {
    let memory = Memory::default();
    let runs = memory.sorted::<Small>("run", &[vec![listed(1, 1, 1)]]);

    let mut sorter = memory.sorter::<Small>("run", runs);
    done(sorter.add(listed(2, 2, 1))).unwrap();
    done(sorter.flush()).unwrap();
    done(sorter.flush()).unwrap();

    let keys: Vec<_> = sorter.into_runs().into_iter().map(|run| run.key).collect();
    assert_eq!(keys, ["run/0", "run/1"], "nothing is written of nothing");
}

#[test]
fn a_block_is_read_only_when_its_first_record_is_needed() {
    let memory = Memory::default();
    let record = |number| listed::<0>(number, number, 1);
    let lists = [(0..8).map(record).collect(), vec![record(9)]];
    let runs = memory.sorted("run", &lists);
    let mut merged = memory.merged::<Small>(&runs, 0, 2 * Small::SIZE);
    let mut reads = Vec::new();

    while done(merged.next_group()).unwrap().is_some() {
        reads.push(memory.reads.load(Ordering::Relaxed));
    }

    // Whether a group is complete shows in the next record, which is in the next block after the second record of a block.
    assert_eq!(reads, [2, 3, 3, 4, 4, 5, 5, 5, 5]);
}

#[test]
fn a_stream_without_runs_has_nothing_to_join() {
    let memory = Memory::default();
    let runs = memory.sorted::<Small>("run", &[vec![listed(7, 1, 1)]]);
    let mut join = Join::new(
        memory.merged::<Small>(&runs, 0, 64),
        memory.merged::<Small>(&[], 0, 64),
        memory.merged::<Small>(&[], 0, 64),
    );

    let joined = done(join.next()).unwrap().unwrap();

    let nothing = Group {
        records: &[],
        more: 0,
    };
    assert_eq!(joined.primary.records, [listed(7, 1, 1)]);
    assert_eq!((joined.secondary, joined.marks), (nothing, nothing));
    assert_eq!(done(join.next()).unwrap(), None);
}

/// What a map makes of the same lists: the first users with a key in the order in which they were listed, each as listed last.
fn by_map<const PADDING: usize>(
    lists: &[Vec<Listed<PADDING>>],
) -> BTreeMap<Key, Vec<Listed<PADDING>>> {
    let mut groups: BTreeMap<Key, Vec<Listed<PADDING>>> = BTreeMap::new();
    for record in lists.iter().flatten() {
        let group = groups.entry(record.key()).or_default();
        match group.iter().position(|other| other.user == record.user) {
            Some(place) => group[place] = *record,
            None => group.push(*record),
        }
    }
    groups
}

/// Lists of records, few of which have a key alone.
fn lists<const PADDING: usize>() -> impl Strategy<Value = Vec<Vec<Listed<PADDING>>>> {
    let keys = prop_oneof![0u8..4, Just(7), any::<u8>()];
    let record = (keys, 0u8..24, any::<u16>());
    let record = record.prop_map(|(key, user, version)| listed(key, user, version));
    prop::collection::vec(prop::collection::vec(record, 0..60), 0..8)
}

/// Whether a group is what a map has for its key.
fn check<const PADDING: usize>(
    group: Group<'_, Listed<PADDING>>,
    expected: Option<Vec<Listed<PADDING>>>,
) -> Result<(), TestCaseError> {
    let expected = expected.unwrap_or_default();
    let kept = &expected[..expected.len().min(MAX_GROUP)];
    prop_assert_eq!(group.records, kept);
    prop_assert!(group.more >= (expected.len() - kept.len()) as u64);
    prop_assert_eq!(group.more > 0, expected.len() > MAX_GROUP);
    Ok(())
}

proptest! {
    #[test]
    fn runs_are_joined_as_a_map_would_join_their_records(
        primary in lists::<0>(),
        secondary in lists::<1>(),
        marks in lists::<60>(),
        block_bytes in 1usize..400,
        fails in any::<bool>(),
    ) {
        let memory = Memory { fails, ..Memory::default() };
        let mut expected = (by_map(&primary), by_map(&secondary), by_map(&marks));
        let primary = memory.sorted("primary", &primary);
        let secondary = memory.sorted("secondary", &secondary);
        let marks = memory.sorted("marks", &marks);
        let mut last = None;

        for shard in 0..SHARD_COUNT {
            let mut join = Join::new(
                memory.merged::<Listed<0>>(&primary, shard, block_bytes),
                memory.merged::<Listed<1>>(&secondary, shard, block_bytes),
                memory.merged::<Listed<60>>(&marks, shard, block_bytes),
            );
            loop {
                let joined = match done(join.next()) {
                    Ok(Some(joined)) => joined,
                    Ok(None) => break,
                    Err(_) => continue,
                };
                prop_assert!(last < Some(joined.key));
                last = Some(joined.key);
                check(joined.primary, expected.0.remove(&joined.key))?;
                check(joined.secondary, expected.1.remove(&joined.key))?;
                check(joined.marks, expected.2.remove(&joined.key))?;
            }
        }

        prop_assert!(expected.0.is_empty() && expected.1.is_empty() && expected.2.is_empty());
    }
}
