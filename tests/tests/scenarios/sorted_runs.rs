//! Sorted runs in a bucket: what was written as runs is read back in order, whatever happens on the way.

use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::{SNAPSHOTS, World, WorldOptions};
use reconcile::sorted::hash::hash16;
use reconcile::sorted::merged::Merged;
use reconcile::sorted::sorter::Sorter;
use reconcile::sorted::{Key, Record, Run, SHARD_COUNT};
use shared::aws::error::AwsError;
use shared::s3::bucket::Bucket;

/// So many records make several blocks of each shard.
const RECORDS: u32 = 6_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered {
    key: Key,
    number: u32,
}

impl Record for Numbered {
    const SIZE: usize = 4_000;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.key);
        out.extend(self.number.to_be_bytes());
        out.extend([0; 3_980]);
    }

    fn read(bytes: &[u8]) -> Self {
        let (key, rest) = bytes.split_first_chunk().unwrap();
        let number = u32::from_be_bytes(*rest.first_chunk().unwrap());
        Self { key: *key, number }
    }

    fn key(&self) -> Key {
        self.key
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

async fn world() -> World {
    let options = WorldOptions {
        functions: false,
        ..WorldOptions::default()
    };
    World::start(options).await.expect("the regions start")
}

/// Records in the order in which they sort.
fn records() -> Vec<Numbered> {
    let record = |number: u32| Numbered {
        key: hash16(&number.to_string()),
        number,
    };
    let mut records: Vec<_> = (0..RECORDS).map(record).collect();
    records.sort();
    records
}

/// Writes the records as two runs.
async fn write(bucket: &Bucket) -> Vec<Run> {
    let mut sorter = Sorter::new(bucket, |number| format!("runs/{number}"), Vec::new());
    for half in records().rchunks(RECORDS as usize / 2) {
        for record in half.iter().rev() {
            sorter.add(*record).await.unwrap();
        }
        sorter.flush().await.unwrap();
    }
    sorter.into_runs()
}

async fn read(bucket: &Bucket, runs: &[Run]) -> Result<Vec<Numbered>, AwsError> {
    let mut records = Vec::new();
    for shard in 0..SHARD_COUNT {
        let mut merged = Merged::shard(bucket, runs, shard);
        while let Some((_, group)) = merged.next_group().await? {
            records.extend(group.records);
        }
    }
    Ok(records)
}

#[tokio::test]
async fn runs_are_read_back_in_order_though_the_connection_is_lost() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let runs = write(bucket).await;
    let lost = Fault::on(Service::S3, "GetObject", Kind::Reset);
    world.osaka.faults().add(lost.after(3).times(2));

    let read = read(bucket, &runs).await.unwrap();

    assert_eq!(read, records());
}

#[tokio::test]
async fn a_run_that_cannot_be_read_as_it_was_written_is_an_error() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let runs = write(bucket).await;

    let rubbish = Fault::on(Service::S3, "GetObject", Kind::Rubbish);
    world.osaka.faults().add(rubbish.times(1));
    let something_else = read(bucket, &runs).await.unwrap_err();

    let object = world.osaka.s3().object(SNAPSHOTS, &runs[1].key).unwrap();
    let cut = object[..object.len() - 1].to_vec();
    bucket.put(&runs[1].key, cut).await.unwrap();
    let too_short = read(bucket, &runs).await.unwrap_err();

    let mut gone = runs.clone();
    gone[0].key.push('x');
    let gone = read(bucket, &gone).await.unwrap_err();

    assert_eq!(
        [something_else.code(), too_short.code(), gone.code()],
        [
            "an answer without the range that was requested",
            "InvalidRange",
            "NoSuchKey"
        ]
    );
}
