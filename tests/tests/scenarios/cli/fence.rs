//! `twinpool fence`: opens and closes the fence of the secondary pool, and changes nothing else in the web ACL.

use aws_sdk_wafv2::primitives::Blob;
use aws_sdk_wafv2::types::{
    AllowAction, ByteMatchStatement, DefaultAction, FieldToMatch, PositionalConstraint, Scope,
    SingleHeader, Statement, Tag, WebAcl,
};
use harness::people::Profile;
use harness::visitor::Visitor;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
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
        "--yes",
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
async fn a_pool_without_a_fence_is_found_wrong() {
    let world = world().await;
    let nothing = Kind::Answer(json!({}));
    let there = Fault::on(Service::Waf, "GetWebACLForResource", nothing);
    world.osaka.faults().add(there);

    let ran = fence(&world, "open", &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no fence"), "{ran:?}");
    assert_eq!(updates(&world), 0);
}

/// Whether somebody at the sign-in page may confirm a sign-up, although nobody has that name.
async fn lets_sign_ups_through(world: &World) -> bool {
    let confirm = world.osaka.cognito_client().confirm_sign_up();
    let confirm = confirm.client_id(&world.secondary.client_id);
    let confirm = confirm
        .username("nobody@example.jp")
        .confirmation_code("123456");
    let refused = confirm.send().await.expect_err("nobody has that name");
    let refused = refused.into_service_error();
    !refused.is_forbidden_exception()
}

#[tokio::test]
async fn with_no_sign_ups_everybody_gets_through_but_nobody_new() {
    let world = world().await;
    world.osaka.close_fence();
    let closed = web_acl(&world).await;
    let new = Profile {
        kind: "plain".to_owned(),
        status: "CONFIRMED".to_owned(),
        enabled: true,
        attributes: [("email".to_owned(), "new.one@example.jp".to_owned())].into(),
    };
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    for (action, people, sign_ups) in [
        ("no-sign-ups", true, false),
        ("no-sign-ups", true, false),
        ("open", true, true),
        ("no-sign-ups", true, false),
        ("close", false, false),
    ] {
        let ran = fence(&world, action, &[]).await;

        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(lets_people_through(&world).await, people, "{action}");
        assert_eq!(lets_sign_ups_through(&world).await, sign_ups, "{action}");
        if !sign_ups {
            let signed_up = visitor.sign_up(&new, "correct-Horse-7-battery").await;
            let refused = format!("{:#}", signed_up.expect_err("signing up is blocked"));
            assert!(refused.contains("ForbiddenException"), "{refused}");
        }
    }
    assert_eq!(updates(&world), 4);
    assert_eq!(web_acl(&world).await, closed);
}

#[tokio::test]
async fn with_no_sign_ups_the_pages_to_sign_up_are_blocked_whatever_header_a_client_sends() {
    let world = world().await;
    world.osaka.close_fence();
    let ran = fence(&world, "no-sign-ups", &[]).await;
    assert_eq!(ran.json()["now"], "no-sign-ups");
    let page = |path: &str| format!("{path}?client_id={}", world.secondary.client_id);
    let other_operation = Some(("x-amzn-cognito-operation-name", "InitiateAuth"));

    for path in ["/signup", "/confirm", "/confirmUser", "/confirmuser"] {
        for header in [None, other_operation] {
            assert_eq!(status_of(&world, &page(path), header).await, 403, "{path}");
        }
    }
    for path in [
        "/login",
        "/forgotPassword",
        "/confirmForgotPassword",
        "/oauth2/authorize",
    ] {
        assert_ne!(status_of(&world, &page(path), None).await, 403, "{path}");
    }
}

/// Removes the tag by which the fence is known.
async fn untag(world: &World) {
    let untag = world.osaka.waf_client().untag_resource();
    let untag = untag.resource_arn(web_acl(world).await.arn);
    untag.tag_keys("twinpool:fence").send().await.unwrap();
}

#[tokio::test]
async fn a_web_acl_without_the_tag_is_not_the_fence_whatever_its_rules_are() {
    let world = world().await;
    world.osaka.close_fence();
    untag(&world).await;

    let ran = fence(&world, "open", &[]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("not the fence"), "{ran:?}");
    assert!(ran.stderr.contains("twinpool:fence"), "{ran:?}");
    assert_eq!(updates(&world), 0);
}

/// Gives the fence the rule of an earlier version, which allows by a header that a client chooses, and removes the tag, which
/// that version did not set.
async fn downgrade(world: &World) {
    let client = world.osaka.waf_client();
    let acl = web_acl(world).await;
    let header = SingleHeader::builder().name("x-amz-target").build();
    let matching = ByteMatchStatement::builder()
        .field_to_match(
            FieldToMatch::builder()
                .single_header(header.unwrap())
                .build(),
        )
        .positional_constraint(PositionalConstraint::Exactly)
        .search_string(Blob::new("AWSCognitoIdentityProviderService.ListUsers"))
        .set_text_transformations(
            acl.rules()[0]
                .statement()
                .and_then(|statement| statement.or_statement())
                .and_then(|or| or.statements()[0].byte_match_statement())
                .map(|matching| matching.text_transformations().to_vec()),
        );
    let mut rule = acl.rules()[0].clone();
    rule.name = "authorised-by-iam".to_owned();
    rule.statement = Some(
        Statement::builder()
            .byte_match_statement(matching.build().unwrap())
            .build(),
    );
    let get = client.get_web_acl().arn(acl.arn()).send().await.unwrap();
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .set_default_action(acl.default_action)
        .set_visibility_config(acl.visibility_config)
        .rules(rule)
        .set_lock_token(get.lock_token);
    update.send().await.unwrap();
    untag(world).await;
}

#[tokio::test]
async fn the_fence_of_an_earlier_version_is_named_with_the_command_that_marks_it() {
    let world = world().await;
    world.osaka.close_fence();
    downgrade(&world).await;
    world.clear_calls();

    let before = fence(&world, "open", &[]).await;
    let arn = web_acl(&world).await.arn;
    let command = format!(
        "aws wafv2 tag-resource --region ap-northeast-3 --resource-arn {arn} --tags Key=twinpool:fence,Value=secondary-pool"
    );
    assert_eq!((before.code, updates(&world)), (1, 0), "{before:?}");
    assert!(before.stderr.contains("earlier version"), "{before:?}");
    assert!(before.stderr.contains(&command), "{before:?}");
    // What the command does.
    let tag = Tag::builder().key("twinpool:fence").value("secondary-pool");
    let mark = world.osaka.waf_client().tag_resource().resource_arn(&arn);
    mark.tags(tag.build().unwrap()).send().await.unwrap();
    let marked = fence(&world, "open", &[]).await;

    assert_eq!(marked.code, 0, "{marked:?}");
    assert!(lets_people_through(&world).await);
}

#[tokio::test]
async fn a_fence_with_a_rule_that_lets_the_public_through_is_not_simply_closed() {
    let world = world().await;
    downgrade(&world).await;
    let tag = Tag::builder().key("twinpool:fence").value("secondary-pool");
    let mark = world.osaka.waf_client().tag_resource();
    let mark = mark.resource_arn(web_acl(&world).await.arn);
    mark.tags(tag.build().unwrap()).send().await.unwrap();

    for action in ["close", "status"] {
        let ran = fence(&world, action, &[]).await;

        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.json()["now"], "closed");
        assert_eq!(ran.json()["openings"], json!(["authorised-by-iam"]));
    }
}

/// The status of a request that anybody can send to Osaka.
async fn status_of(world: &World, path: &str, header: Option<(&str, &str)>) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}{path}", world.osaka.endpoint());
    let mut request = hyper::Request::get(url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
    client.request(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_closed_fence_keeps_the_pages_from_everybody_whatever_header_they_send_and_never_the_keys()
 {
    let world = world().await;
    let pool = &world.secondary.id;
    let login = format!("/login?client_id={}", world.secondary.client_id);
    let pages = [login.as_str(), "/oauth2/token", "/signup"];
    let keys = ["jwks.json", "openid-configuration"];
    let keys = keys.map(|document| format!("/{pool}/.well-known/{document}"));
    let spoofed = [
        (
            "x-amz-target",
            "AWSCognitoIdentityProviderService.AdminGetUser",
        ),
        ("x-amzn-cognito-operation-name", "AdminGetUser"),
        ("authorization", "Basic Zm9vOmJhcg=="),
    ];

    for (action, is_open) in [("close", false), ("open", true)] {
        fence(&world, action, &[]).await;

        for page in pages {
            for header in spoofed.map(Some).into_iter().chain([None]) {
                let status = status_of(&world, page, header).await;
                assert_eq!(status != 403, is_open, "{page}, {header:?}: {status}");
            }
        }
        for document in &keys {
            assert_eq!(status_of(&world, document, None).await, 200);
        }
        let users = world.osaka.cognito_client().list_users();
        assert!(users.user_pool_id(pool).send().await.is_ok());
    }
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_fence_is_not_opened_without_yes() {
    let world = world().await;
    world.osaka.close_fence();
    let pool = ["--pool", world.secondary.id.as_str()];
    let run = async |arguments: &[&str]| {
        let arguments = [&["fence"], arguments, &pool[..]].concat();
        twinpool(&world, &arguments).await
    };

    for action in ["open", "no-sign-ups"] {
        let refused = run(&[action]).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("--yes"), "{refused:?}");
    }
    assert_eq!(updates(&world), 0);
    assert_eq!(run(&["open", "--dry-run"]).await.code, 0);
    assert_eq!(run(&["open", "--yes"]).await.code, 0);
    // Nobody is asked before less is let through.
    assert_eq!(run(&["no-sign-ups"]).await.code, 0);
    assert_eq!(run(&["close"]).await.code, 0);
    assert_eq!(updates(&world), 3);
}
