//! `twinpool fence`: opens and closes the fence of the secondary pool, and changes nothing else in the web ACL.

use aws_sdk_wafv2::types::{AllowAction, DefaultAction, WebAcl};
use harness::visitor::Visitor;
use local_regions::faults::{Fault, Kind, Service};
use local_regions::world::World;
use serde_json::json;

use crate::support::{Ran, twinpool, world};

async fn fence(world: &World, action: &str, more: &[&str]) -> Ran {
    let fence = [
        "fence",
        action,
        "--pool",
        &world.secondary.id,
        "--output",
        "json",
    ];
    twinpool(world, &[&fence[..], more].concat()).await
}

/// Whether the fence lets a person at the sign-in page through to the pool.
async fn lets_people_through(world: &World) -> bool {
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    let refused = visitor
        .reset_password("nobody@example.jp", "correct-Horse-7-battery")
        .await;
    let refused = format!("{:?}", refused.expect_err("nobody has that name"));
    !refused.contains("ForbiddenException")
}

async fn web_acl(world: &World) -> WebAcl {
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let get = world.osaka.waf_client().get_web_acl_for_resource();
    let answer = get.resource_arn(arn).send().await.unwrap();
    answer.web_acl.expect("a web ACL")
}

fn updates(world: &World) -> usize {
    let calls = world.calls();
    calls
        .iter()
        .filter(|call| call.operation == "UpdateWebACL")
        .count()
}

fn stale() -> Kind {
    Kind::Error {
        status: 400,
        code: "WAFOptimisticLockException".to_owned(),
        message: "the lock token is stale".to_owned(),
    }
}

#[tokio::test]
async fn the_fence_opens_and_closes_however_often() {
    let world = world().await;
    world.osaka.close_fence();
    for (action, open) in [
        ("open", true),
        ("open", true),
        ("close", false),
        ("close", false),
    ] {
        let ran = fence(&world, action, &[]).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.json()["now"], if open { "open" } else { "closed" });
        assert_eq!(lets_people_through(&world).await, open);
    }
    assert_eq!(updates(&world), 2);
}

#[tokio::test]
async fn nothing_else_of_the_web_acl_changes() {
    let world = world().await;
    world.osaka.close_fence();
    let mut wanted = web_acl(&world).await;
    let allow = AllowAction::builder().build();
    wanted.default_action = Some(DefaultAction::builder().allow(allow).build());

    fence(&world, "open", &[]).await;

    assert_eq!(web_acl(&world).await, wanted);
}

#[tokio::test]
async fn a_dry_run_and_the_status_change_nothing() {
    let world = world().await;
    world.osaka.close_fence();

    let dry = fence(&world, "open", &["--dry-run"]).await;
    let status = fence(&world, "status", &[]).await;

    assert_eq!((dry.code, status.code), (0, 0));
    assert_eq!(
        (&dry.json()["before"], &dry.json()["now"]),
        (&json!("closed"), &json!("open"))
    );
    assert_eq!(status.json()["now"], "closed");
    assert_eq!(updates(&world), 0);
}

#[tokio::test]
async fn a_change_by_somebody_else_in_between_is_taken_into_account_once() {
    let world = world().await;
    world.osaka.close_fence();
    let once = Fault::on(Service::Waf, "UpdateWebACL", stale()).times(1);
    world.osaka.faults().add(once);

    let second_try = fence(&world, "open", &[]).await;
    world
        .osaka
        .faults()
        .add(Fault::on(Service::Waf, "UpdateWebACL", stale()));
    let never = fence(&world, "close", &[]).await;

    assert_eq!(second_try.code, 0, "{second_try:?}");
    assert_eq!(never.code, 3, "{never:?}");
}

#[tokio::test]
async fn a_pool_without_a_fence_or_with_another_web_acl_is_found_wrong() {
    let world = world().await;
    let answers = [
        json!({}),
        json!({"WebACL": {"Name": "rate-limit", "Id": "id", "Rules": [], "DefaultAction": {"Allow": {}}}}),
    ];
    for (answer, word) in answers.into_iter().zip(["no fence", "rate-limit"]) {
        world.osaka.faults().clear();
        let there = Fault::on(Service::Waf, "GetWebACLForResource", Kind::Answer(answer));
        world.osaka.faults().add(there);

        let ran = fence(&world, "open", &[]).await;

        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
    assert_eq!(updates(&world), 0);
}
