//! AWS WAF: the fence in front of a pool.

use aws_sdk_cognitoidentityprovider as cognito;
use std::time::Duration;

use aws_sdk_wafv2::primitives::Blob;
use aws_sdk_wafv2::types::{
    AllowAction, BlockAction, ByteMatchStatement, DefaultAction, FieldToMatch,
    PositionalConstraint, Rule, RuleAction, Scope, SingleHeader, Statement, Tag,
    TextTransformation, TextTransformationType, VisibilityConfig,
};
use local_regions::cognito::SeedUser;
use local_regions::faults::Service;
use local_regions::world::World;

use super::{describe, fetch, world};

#[tokio::test]
async fn a_closed_fence_blocks_people_but_not_the_operator() {
    let world = world().await;
    let client = world.osaka.cognito_client();
    let app = &world.secondary.client_id;
    let sign_up = || {
        let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
        sign_up.password("Correct-horse-1").send()
    };
    let forgot = client.forgot_password().client_id(app);
    let pool = &world.secondary.id;
    let hanako = SeedUser {
        attributes: [("email".to_owned(), "hanako@example.jp".to_owned())].into(),
        ..SeedUser::default()
    };
    let hanako = world.osaka.cognito().put_user(pool, hanako);

    world.osaka.close_fence();
    let signed_up = sign_up().await.expect_err("fenced");
    let forgotten = forgot.username("hanako@example.jp").send().await;
    let user = client.admin_get_user().user_pool_id(pool).username(&hanako);
    let user = user.send().await;
    world.osaka.open_fence();

    assert_eq!(describe(&signed_up), "403 ForbiddenException");
    let forgotten = forgotten.expect_err("fenced");
    assert_eq!(describe(&forgotten), "403 ForbiddenException");
    assert_eq!(user.expect("served").username(), hanako);
    assert!(sign_up().await.is_ok());
}

/// Changes the default action of the fence in Osaka through the API.
async fn set_fence(world: &World, action: &str, lock_token: Option<String>) -> Result<(), String> {
    let client = world.osaka.waf_client();
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = client.get_web_acl_for_resource().resource_arn(arn);
    let acl = acl.send().await.map_err(|error| describe(&error))?.web_acl;
    let acl = acl.expect("a fence");
    let get = client.get_web_acl().name(&acl.name).id(&acl.id);
    let get = get.scope(Scope::Regional).send().await;
    let token = get.map_err(|error| describe(&error))?.lock_token;
    let default = match action {
        "allow" => DefaultAction::builder().allow(AllowAction::builder().build()),
        _ => DefaultAction::builder().block(BlockAction::builder().build()),
    };
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .default_action(default.build())
        .set_description(acl.description)
        .set_rules(acl.rules)
        .set_visibility_config(acl.visibility_config)
        .set_lock_token(lock_token.or(token));
    let updated = update.send().await;
    updated.map(drop).map_err(|error| describe(&error))
}

#[tokio::test]
async fn the_fence_is_closed_and_opened_by_its_default_action() {
    let world = world().await;
    let client = world.osaka.cognito_client();
    let pool = &world.secondary.id;
    let sign_up = async |name: &str| {
        let sign_up = client.sign_up().client_id(&world.secondary.client_id);
        let sign_up = sign_up.username(name).password("Correct-horse-1");
        let answer = sign_up.send().await.map_err(|error| describe(&error));
        answer.map(drop)
    };

    set_fence(&world, "block", None).await.expect("closed");
    let closed = sign_up("a@example.jp").await;
    let users = client.list_users().user_pool_id(pool).send().await;
    set_fence(&world, "allow", None).await.expect("opened");
    let open = sign_up("a@example.jp").await;
    world.osaka.waf().set_propagation(Duration::from_secs(1));
    set_fence(&world, "block", None).await.expect("closed");
    let soon = sign_up("b@example.jp").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let later = sign_up("c@example.jp").await;

    assert_eq!(closed.expect_err("fenced"), "403 ForbiddenException");
    assert!(users.is_ok());
    assert_eq!((open, soon), (Ok(()), Ok(())));
    assert_eq!(later.expect_err("fenced"), "403 ForbiddenException");
    let named = |call: &local_regions::region::RecordedCall| call.operation == "UpdateWebACL";
    let calls = world.calls();
    let updates = calls.iter().filter(|call| named(call));
    assert!(updates.clone().all(|call| call.service == Service::Waf));
    assert_eq!(updates.count(), 3);
}

#[tokio::test]
async fn the_fence_applies_to_requests_that_name_only_a_session_or_a_token() {
    let world = world().await;
    let region = &world.osaka;
    let attributes = [("email", "a@example.jp"), ("email_verified", "true")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let user = SeedUser {
        attributes: attributes.into(),
        password: Some("Correct-horse-1".to_owned()),
        ..SeedUser::default()
    };
    region.cognito().put_user(&world.secondary.id, user);
    let client = region.cognito_client();
    let sign_in = client.initiate_auth().client_id(&world.secondary.client_id);
    let sign_in = sign_in
        .auth_flow(cognito::types::AuthFlowType::UserPasswordAuth)
        .auth_parameters("USERNAME", "a@example.jp")
        .auth_parameters("PASSWORD", "Correct-horse-1");
    let session = sign_in.send().await.expect("a challenge").session;

    region.close_fence();
    let associate = client.associate_software_token().set_session(session);
    let fenced = associate.clone().send().await.expect_err("fenced");
    region.open_fence();

    assert_eq!(describe(&fenced), "403 ForbiddenException");
    assert!(associate.send().await.is_ok());
}

#[tokio::test]
async fn an_update_replaces_the_whole_web_acl() {
    let world = world().await;
    let client = world.osaka.waf_client();
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = client.get_web_acl_for_resource().resource_arn(arn);
    let acl = acl.send().await.expect("served").web_acl.expect("a fence");
    let get = async || {
        let get = client.get_web_acl().arn(acl.arn()).send().await;
        get.expect("served")
    };
    let allow = DefaultAction::builder().allow(AllowAction::builder().build());
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .default_action(allow.build())
        .set_visibility_config(acl.visibility_config.clone())
        .token_domains("example.jp")
        .set_lock_token(get().await.lock_token);
    update.send().await.expect("updated");

    let after = get().await.web_acl.expect("still there");
    assert!(acl.description.is_some() && !acl.rules().is_empty());
    assert!(after.description.is_none() && after.rules().is_empty());
    assert_eq!(after.token_domains(), ["example.jp"]);
    assert_eq!((after.id, after.capacity > 0), (acl.id, true));
}

#[tokio::test]
async fn stale_lock_tokens_and_unknown_scopes_and_resources_are_rejected() {
    let world = world().await;
    let client = world.osaka.waf_client();
    let of = |arn: &str| client.get_web_acl_for_resource().resource_arn(arn).send();
    let pool = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = of(&pool).await.expect("served").web_acl.expect("a fence");
    let stale = "00000000-0000-0000-0000-000000000000".to_owned();

    let stale = set_fence(&world, "block", Some(stale)).await;
    let nowhere = of(&format!("{pool}x")).await.expect_err("refused");
    let get = client
        .get_web_acl()
        .name(&acl.name)
        .id(&acl.id)
        .send()
        .await;
    let cloudfront = client.list_web_acls().scope(Scope::Cloudfront).send().await;
    let list = client.list_web_acls().scope(Scope::Regional).send().await;
    let bare = world.tokyo.waf_client().get_web_acl_for_resource();
    let bare = bare.resource_arn(world.tokyo.cognito().pool_arn(&world.primary.id));

    assert_eq!(stale.expect_err("stale"), "400 WAFOptimisticLockException");
    assert_eq!(describe(&nowhere), "400 WAFNonexistentItemException");
    let invalid = "400 WAFInvalidParameterException";
    assert_eq!(describe(&get.expect_err("refused")), invalid);
    assert_eq!(describe(&cloudfront.expect_err("refused")), invalid);
    assert_eq!(list.expect("listed").web_acls().len(), 1);
    assert!(bare.send().await.expect("served").web_acl.is_none());
    let rules = acl.rules.expect("rules");
    let statement = rules[0].statement.as_ref().expect("a statement");
    let or = statement.or_statement.as_ref().expect("a list");
    let first = or.statements()[0].byte_match_statement();
    let first = first.expect("a document").search_string().as_ref();
    assert_eq!(
        std::str::from_utf8(first),
        Ok("/ap-northeast-3_Secondary/.well-known/jwks.json")
    );
}

/// Sends a request without a signature to Osaka.
async fn send(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(format!("{}{path}", world.osaka.endpoint()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    fetch(request.body(String::new()).expect("a request")).await
}

#[tokio::test]
async fn a_closed_fence_blocks_the_hosted_pages_and_lets_the_public_documents_through() {
    let world = world().await;
    let login = format!("/login?client_id={}", world.secondary.client_id);
    let pages = [
        ("GET", login.as_str(), 200),
        ("GET", "/login", 400),
        ("GET", "/signup?client_id=secondaryappclient00000001", 200),
        ("POST", "/oauth2/token", 400),
        ("POST", "/forgotPassword", 501),
    ];
    let documents = ["jwks.json", "openid-configuration"]
        .map(|d| format!("/{}/.well-known/{d}", world.secondary.id));

    for (method, path, status) in pages {
        world.osaka.open_fence();
        assert_eq!(send(&world, method, path, &[]).await.0, status, "{path}");
        world.osaka.close_fence();
        assert_eq!(send(&world, method, path, &[]).await.0, 403, "{path}");
    }
    for document in documents {
        assert_eq!(send(&world, "GET", &document, &[]).await.0, 200);
    }
    let (status, _) = send(&world, "GET", "/nobody/.well-known/jwks.json", &[]).await;
    assert_eq!(status, 403);
}

/// A rule that allows by a header, as a web ACL of somebody may have it.
fn allowing_by_header(name: &str, value: &str) -> Rule {
    let header = SingleHeader::builder().name(name).build().expect("a name");
    let matching = ByteMatchStatement::builder()
        .field_to_match(FieldToMatch::builder().single_header(header).build())
        .positional_constraint(PositionalConstraint::Exactly)
        .search_string(Blob::new(value))
        .text_transformations(
            TextTransformation::builder()
                .priority(0)
                .r#type(TextTransformationType::None)
                .build()
                .expect("a transformation"),
        );
    let allow = AllowAction::builder().build();
    let visibility = VisibilityConfig::builder()
        .sampled_requests_enabled(true)
        .cloud_watch_metrics_enabled(true)
        .metric_name("allowed");
    Rule::builder()
        .name("by-header")
        .priority(0)
        .action(RuleAction::builder().allow(allow).build())
        .statement(
            Statement::builder()
                .byte_match_statement(matching.build().expect("a match"))
                .build(),
        )
        .visibility_config(visibility.build().expect("a metric"))
        .build()
        .expect("a rule")
}

/// Closes the web ACL in Osaka but for these rules.
async fn block_except(world: &World, rules: Vec<Rule>) {
    let client = world.osaka.waf_client();
    let arn = world.osaka.cognito().pool_arn(&world.secondary.id);
    let acl = client.get_web_acl_for_resource().resource_arn(arn);
    let acl = acl.send().await.expect("served").web_acl.expect("a fence");
    let get = client.get_web_acl().arn(acl.arn()).send().await;
    let block = DefaultAction::builder().block(BlockAction::builder().build());
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    let update = update
        .scope(Scope::Regional)
        .default_action(block.build())
        .set_rules(Some(rules))
        .set_visibility_config(acl.visibility_config)
        .set_lock_token(get.expect("served").lock_token);
    update.send().await.expect("updated");
}

#[tokio::test]
async fn the_operation_is_told_by_the_header_that_cognito_sets_and_not_by_a_clients() {
    let world = world().await;
    let header = "x-amzn-cognito-operation-name";
    block_except(&world, vec![allowing_by_header(header, "SignUp")]).await;
    let client = world.osaka.cognito_client();
    let app = &world.secondary.client_id;

    let sign_up = client.sign_up().client_id(app).username("a@example.jp");
    let sign_up = sign_up.password("Correct-horse-1").send().await;
    let forgot = client.forgot_password().client_id(app);
    let forgot = forgot
        .username("a@example.jp")
        .customize()
        .mutate_request(|request| {
            let headers = request.headers_mut();
            headers.insert("x-amzn-cognito-operation-name", "SignUp");
        });
    let forgot = forgot.send().await.expect_err("fenced");
    let (page, _) = send(&world, "GET", "/login", &[(header, "SignUp")]).await;

    assert!(sign_up.is_ok(), "{sign_up:?}");
    assert_eq!(describe(&forgot), "403 ForbiddenException");
    assert_eq!(page, 403);
}

/// The path of a hosted page decides, so a rule that trusts the client's x-amz-target can be fooled.
#[tokio::test]
async fn a_rule_that_allows_by_x_amz_target_can_be_fooled_and_the_fence_cannot() {
    let world = world().await;
    let target = "AWSCognitoIdentityProviderService.AdminGetUser";
    let spoofed = [("x-amz-target", target)];
    let login = format!("/login?client_id={}", world.secondary.client_id);

    world.osaka.close_fence();
    let fence = send(&world, "GET", &login, &spoofed).await;
    block_except(&world, vec![allowing_by_header("x-amz-target", target)]).await;
    let fooled = send(&world, "GET", &login, &spoofed).await;

    assert_eq!((fence.0, fooled.0), (403, 200));
}

#[tokio::test]
async fn operations_that_iam_authorises_are_not_inspected() {
    let world = world().await;
    block_except(&world, Vec::new()).await;

    let client = world.osaka.cognito_client();
    let list = client.list_users().user_pool_id(&world.secondary.id);

    assert!(list.send().await.is_ok());
    let keys = format!("/{}/.well-known/jwks.json", world.secondary.id);
    assert_eq!(send(&world, "GET", &keys, &[]).await.0, 403);
}

#[tokio::test]
async fn the_fence_has_a_tag_that_can_be_removed_and_set() {
    let world = world().await;
    let client = world.osaka.waf_client();
    let list = client.list_web_acls().scope(Scope::Regional).send().await;
    let arn = list.expect("listed").web_acls()[0].arn().map(str::to_owned);
    let arn = arn.expect("an ARN");
    let tags = async || {
        let tags = client.list_tags_for_resource().resource_arn(&arn).send();
        let tags = tags.await.expect("listed").tag_info_for_resource;
        let tags = tags.expect("tags").tag_list.unwrap_or_default();
        tags.into_iter().map(|tag| tag.key).collect::<Vec<_>>()
    };

    assert_eq!(tags().await, ["twinpool:fence"]);
    let untag = client.untag_resource().resource_arn(&arn);
    untag.tag_keys("twinpool:fence").send().await.expect("done");
    assert!(tags().await.is_empty());
    let tag = Tag::builder().key("colour").value("red").build();
    let put = client.tag_resource().resource_arn(&arn);
    put.tags(tag.expect("a tag")).send().await.expect("done");
    assert_eq!(tags().await, ["colour"]);
}
