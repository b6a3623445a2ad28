//! What a snapshot uses: its rate of calls and its memory.

use std::collections::BTreeMap;

use local_regions::cognito::SeedUser;
use local_regions::world::{BACKUP_WORKER, World};

use super::{hasten, populate};
use crate::support::{email, most_in_a_second, snapshot, sub, world};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_memory_of_a_snapshot_stays_small() {
    let world = world().await;
    hasten(&world);
    let lambda = world.osaka.lambda();
    let mut peaks = Vec::new();
    for people in [0..20_000, 20_000..60_000] {
        for number in people {
            put_with_a_long_name(&world, number);
        }
        // A changed setting starts a new process.
        let rate = (5000 + peaks.len()).to_string();
        lambda.set_env(BACKUP_WORKER, "LIST_USERS_RPS", &rate);
        let answer = snapshot(&world).await.unwrap();
        assert_eq!(answer["status"], "complete");
        peaks.push(peak_memory_of("backup-fn"));
    }

    // Three times as many people have 40 MB more of rows.
    let [few, many] = peaks[..] else { panic!() };
    assert!(few > 0 && many < few + 8_000, "{few} kB and {many} kB");
}

#[cfg(target_os = "linux")]
fn put_with_a_long_name(world: &World, number: u32) {
    let user = SeedUser {
        sub: Some(sub(number)),
        attributes: BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
            ("name".to_owned(), "x".repeat(1000)),
        ]),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, user);
}

#[cfg(target_os = "linux")]
/// The peak memory in kB over all child processes of this test with this name.
fn peak_memory_of(binary: &str) -> u64 {
    let parent = format!("PPid:\t{}", std::process::id());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let statuses = processes.filter_map(|process| {
        let exe = std::fs::read_link(process.path().join("exe")).ok()?;
        let ours = exe.file_name()? == binary;
        let status = std::fs::read_to_string(process.path().join("status")).ok()?;
        (ours && status.contains(&parent)).then_some(status)
    });
    let peaks = statuses.filter_map(|status| {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    });
    peaks.max().unwrap_or(0)
}

#[tokio::test]
async fn many_chains_list_the_pool_within_one_rate() {
    let world = world().await;
    populate(&world, 0..2000);
    world
        .osaka
        .lambda()
        .set_env(BACKUP_WORKER, "LIST_USERS_RPS", "10");

    snapshot(&world).await.unwrap();

    let calls = world.calls();
    let calls = calls.iter().filter(|call| call.operation == "ListUsers");
    assert!(calls.count() >= 16 * 3);
    assert!(most_in_a_second(&world, "ListUsers") <= 15);
}
