//! What a snapshot contains: everyone in the pool, once, whatever the listing does.

use jiff::Timestamp;
use local_regions::cognito::{Pages, UserStatus};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::SNAPSHOTS;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::id::Id;
use shared::s3::bucket::Bucket;
use shared::snapshot::files::SnapshotFiles;
use shared::snapshot::manifest::Role;
use shared::snapshot::scope::Scope;

use super::{hasten, journal, latest, manifest, populate, put, rows};
use crate::support::{email, files, snapshot, sub, tick, world};

#[tokio::test]
async fn a_snapshot_has_the_documented_files() {
    let world = world().await;
    populate(&world, 0..3);
    put(&world, 3, UserStatus::Unconfirmed);
    journal(&world, 1).await;

    let answer = tick(&world).await;

    let manifest = manifest(&world, &answer);
    let id = answer["snapshot"].as_str().unwrap();
    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["users"], 4);
    assert_eq!(answer["manifest"], format!("snapshots/{id}/manifest.json"));
    let latest = latest(&world).unwrap();
    assert_eq!(latest["snapshot"], id);
    assert_eq!(latest["manifest"], answer["manifest"]);
    for file in manifest["files"].as_array().unwrap() {
        let key = file["key"].as_str().unwrap();
        let object = world.osaka.s3().object(SNAPSHOTS, key).unwrap();
        assert_eq!(file["sha256"], format!("{:x}", Sha256::digest(&object)));
        assert_eq!(file["bytes"], object.len());
    }
    assert_eq!(
        manifest["users"],
        json!({"listed": 4, "exported": 3, "newcomers": 1, "rejected": {"unconfirmed": 1}})
    );
    assert_eq!(
        manifest["pool"],
        json!({"id": "ap-northeast-3_Secondary", "region": "ap-northeast-3", "mfa": "ON", "username_attributes": ["email"]})
    );
    let keys = world.osaka.s3().keys(SNAPSHOTS, "snapshots/");
    let names: Vec<_> = keys
        .iter()
        .map(|key| key.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "leftovers-0001.jsonl",
            "manifest.json",
            "newcomers-0001.csv",
            "rejected.csv",
            "users-0001.csv"
        ]
    );
    let newcomers = files(&world, &manifest, "newcomers");
    assert_eq!(newcomers.lines().count(), 2);
    assert!(
        newcomers.contains(&sub(1)),
        "the row contains the newcomer's sub"
    );
    assert!(files(&world, &manifest, "rejected").contains(&format!(
        "{},{},,unconfirmed\r\n",
        email(3),
        sub(3)
    )));
}

#[tokio::test]
async fn short_and_empty_pages_throttling_and_broken_responses_do_not_change_the_people_in_a_snapshot()
 {
    let world = world().await;
    hasten(&world);
    populate(&world, 0..700);
    for number in 700..720 {
        put(&world, number, UserStatus::Unconfirmed);
    }
    let knobs = world.osaka.cognito().knobs();
    let plain = rows(&world, &snapshot(&world).await.unwrap());
    assert_eq!(plain.0.len(), 701);

    for pages in [
        Pages::Short { seed: 1 },
        Pages::Empty { seed: 2 },
        Pages::Empty { seed: 3 },
    ] {
        knobs.set_pages(pages);
        for kind in [Kind::Throttle, Kind::Reset, Kind::Rubbish] {
            let fault = Fault::on(Service::Cognito, "ListUsers", kind);
            world.osaka.faults().add(fault.after(3).times(2));
        }

        let answer = snapshot(&world).await.unwrap();

        assert_eq!(rows(&world, &answer), plain, "{pages:?}");
    }
}

#[tokio::test]
async fn a_new_file_begins_before_the_limits_of_an_import_are_exceeded() {
    let world = world().await;
    let bucket = &Bucket::new(world.osaka.s3_client(), SNAPSHOTS);
    let id = &Id::new(Timestamp::UNIX_EPOCH);
    let mut files = SnapshotFiles::new(bucket, id, Scope::Pool, "head\n");
    for _ in 0..500_001 {
        files
            .users
            .as_mut()
            .unwrap()
            .write_row(b"row\n")
            .await
            .unwrap();
    }
    let row = vec![b'x'; 1_000_000];
    for _ in 0..100 {
        files.newcomers.write_row(&row).await.unwrap();
    }

    let written = files.finish().await.unwrap();
    let of = |role| written.iter().filter(move |file| file.role == role);
    let rows: Vec<_> = of(Role::Users).map(|file| file.rows).collect();
    assert_eq!(rows, [500_000, 1]);
    let files: Vec<_> = of(Role::Newcomers).collect();
    let bytes: Vec<_> = files.iter().map(|file| file.bytes).collect();
    assert_eq!(bytes, [99_000_005, 1_000_005]);
    for file in files {
        let object = world.osaka.s3().object(SNAPSHOTS, &file.key).unwrap();
        assert_eq!(object.len() as u64, file.bytes);
        assert!(object.starts_with(b"head\n"));
    }
}
