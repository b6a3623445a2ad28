//! `twinpool check`: checks both pools and writes nothing.

use local_regions::cognito::SeedUser;
use local_regions::world::{SNAPSHOTS, World, WorldOptions};
use serde_json::Value;

use crate::support::{Ran, email, snapshot, twinpool, world};

async fn check(world: &World) -> Ran {
    let (primary, secondary) = (&world.primary.id, &world.secondary.id);
    let check = ["check", "--primary", primary, "--secondary", secondary];
    twinpool(world, &[&check[..], &["--output", "json"]].concat()).await
}

fn found(ran: &Ran, severity: &str) -> Vec<String> {
    let report = ran.json();
    let findings = report["findings"].as_array().expect("findings");
    let of_it = findings
        .iter()
        .filter(|finding| finding["severity"] == severity);
    let text = |finding: &Value| format!("{}: {}", finding["topic"], finding["what"]);
    of_it.map(text).collect()
}

#[tokio::test]
async fn two_pools_as_the_stacks_leave_them_have_nothing_wrong_and_are_only_read() {
    let world = world().await;
    world.osaka.close_fence();

    let ran = check(&world).await;

    assert_eq!(found(&ran, "wrong"), [""; 0]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for call in world.calls() {
        let reads = ["Describe", "Get", "List"];
        let reads = reads.iter().any(|read| call.operation.starts_with(read));
        assert!(reads, "{call:?}");
    }
}

#[tokio::test]
async fn what_would_fail_on_the_night_is_wrong() {
    let options = WorldOptions {
        functions: false,
        ..WorldOptions::default()
    };
    let world = World::start(options).await.expect("the regions start");

    let ran = check(&world).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    let wrong = found(&ran, "wrong");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(
        wrong
            .iter()
            .all(|finding| finding.contains("after a confirmation")),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn a_region_that_does_not_answer_cannot_be_checked() {
    let world = world().await;
    world.tokyo.lose(local_regions::region::Loss::Refuse);

    let ran = check(&world).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("no connection"), "{ran:?}");
}

#[tokio::test]
async fn people_without_a_verified_address_are_a_warning_where_the_bucket_is_known() {
    let world = world().await;
    let user = SeedUser {
        attributes: [("email".to_owned(), email(1))].into(),
        ..SeedUser::default()
    };
    world.osaka.cognito().put_user(&world.secondary.id, user);
    snapshot(&world).await.unwrap();
    let (primary, secondary) = (&world.primary.id, &world.secondary.id);
    let check = ["check", "--primary", primary, "--secondary", secondary];
    let with_bucket = ["--bucket", SNAPSHOTS, "--output", "json"];

    let known = twinpool(&world, &[&check[..], &with_bucket].concat()).await;
    let unknown = twinpool(&world, &[&check[..], &with_bucket[2..]].concat()).await;

    for (ran, says) in [
        (known, r#""way in": "1 user has no verified address"#),
        (unknown, r#""way in": "not known"#),
    ] {
        let warnings = found(&ran, "warn");
        let is_told = warnings.iter().any(|warning| warning.starts_with(says));
        assert!(is_told, "{warnings:?}");
        assert!(!ran.stdout.contains(&email(1)));
    }
}
