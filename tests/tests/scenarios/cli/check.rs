//! `twinpool check`: checks both pools and writes nothing.

use aws_sdk_cognitoidentityprovider::types::{
    FeatureType, LambdaConfigType, PasswordPolicyType, PreTokenGenerationLambdaVersionType,
    PreTokenGenerationVersionConfigType, RefreshTokenRotationType, UserPoolPolicyType,
};
use aws_sdk_wafv2::types::{BlockAction, DefaultAction, RuleAction, Scope};
use local_regions::cognito::{GroupView, SeedUser};
use local_regions::region::Region;
use local_regions::world::{
    BACKUP_TRIGGER, ORIGIN_SUB, REPLICATE_TRIGGER, SNAPSHOTS, TOKYO, World, WorldOptions,
};
use serde_json::{Value, json};

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

/// What the command found about a topic, each finding as `severity: what`.
fn found_about(ran: &Ran, topic: &str) -> Vec<String> {
    let report = ran.json();
    let findings = report["findings"].as_array().expect("findings");
    let about = findings.iter().filter(|finding| finding["topic"] == topic);
    let text = |finding: &Value| {
        let [severity, what] = ["severity", "what"].map(|member| finding[member].as_str());
        format!("{}: {}", severity.expect("a text"), what.expect("a text"))
    };
    about.map(text).collect()
}

/// Both regions, each with its pool and the function that runs after a confirmation.
fn both(world: &World) -> [(&Region, &str, &str); 2] {
    [
        (&world.tokyo, &world.primary.id, REPLICATE_TRIGGER),
        (&world.osaka, &world.secondary.id, BACKUP_TRIGGER),
    ]
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

#[tokio::test]
async fn a_domain_that_only_the_primary_has_is_told_and_one_that_is_not_active_is_wrong() {
    let world = world().await;
    let [tokyo, osaka] = [world.tokyo.cognito(), world.osaka.cognito()];
    tokyo.put_domain(&world.primary.id, "shop", json!({}));

    let missing = check(&world).await;
    let creating = json!({"Status": "CREATING"});
    osaka.put_domain(&world.secondary.id, "auth.example.jp", creating);
    let inactive = check(&world).await;
    let of_another_kind = json!({"ManagedLoginVersion": 2});
    osaka.put_domain(&world.secondary.id, "auth.example.jp", of_another_kind);
    let other = check(&world).await;

    let host = "shop.auth.ap-northeast-1.amazoncognito.com";
    assert_eq!(
        found_about(&missing, "domain"),
        [format!(
            "warn: the secondary has none, and the primary has {host}"
        )]
    );
    assert_eq!(
        found_about(&inactive, "domain"),
        ["wrong: auth.example.jp of the secondary is not active: its pages cannot be used"]
    );
    assert_eq!(inactive.code, 1, "{inactive:?}");
    assert_eq!(
        found_about(&other, "domain"),
        [
            "warn: the pages of the primary are the classic hosted UI, those of the secondary managed login"
        ]
    );
}

#[tokio::test]
async fn an_identity_provider_that_the_secondary_lacks_is_wrong_on_every_page_of_the_list() {
    let world = world().await;
    let google = json!({"ProviderType": "Google", "AttributeMapping": {"email": "email"}});
    // ListIdentityProviders returns 60 at most.
    for (region, pool, _) in both(&world) {
        for number in 0..60 {
            let name = format!("Provider{number:02}");
            let cognito = region.cognito();
            cognito.put_identity_provider(pool, &name, google.clone());
        }
    }
    let tokyo = world.tokyo.cognito();
    tokyo.put_identity_provider(&world.primary.id, "Zitadel", google);

    let ran = check(&world).await;

    assert_eq!(
        found_about(&ran, "identity providers"),
        ["wrong: the secondary does not have Zitadel: nobody can sign in with it"]
    );
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[tokio::test]
async fn whoever_may_write_the_first_sub_of_either_pool_is_wrong() {
    for writes_primary in [true, false] {
        let world = world().await;
        for (region, pool, _) in both(&world) {
            let writes = (region.name() == TOKYO) == writes_primary;
            let source = if writes { ORIGIN_SUB } else { "email" };
            let mapping = json!({source: "id"});
            let google = json!({"ProviderType": "Google", "AttributeMapping": mapping});
            let cognito = region.cognito();
            cognito.put_identity_provider(pool, "Google", google);
            let client = region.cognito_client().create_user_pool_client();
            let client = client.user_pool_id(pool).client_name("page");
            let client = client.write_attributes(source);
            client.send().await.expect("created");
        }

        let ran = check(&world).await;

        let wrong: Vec<String> = found_about(&ran, "first sub")
            .into_iter()
            .filter(|finding| finding.starts_with("wrong"))
            .collect();
        let says = [
            "app clients may write custom:origin_sub: page;",
            "identity providers write custom:origin_sub: Google;",
        ];
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        for (finding, says) in wrong.iter().zip(says) {
            assert!(finding.contains(says), "{wrong:?}");
        }
        assert_eq!(ran.code, 1, "{ran:?}");
    }
}

#[tokio::test]
async fn groups_and_roles_that_the_secondary_lacks_are_told_by_name() {
    let world = world().await;
    let group = |name: &str, role_arn: Option<&str>| GroupView {
        name: name.to_owned(),
        role_arn: role_arn.map(str::to_owned),
        ..GroupView::default()
    };
    let role = "arn:aws:iam::123456789012:role/staff";
    let [tokyo, osaka] = [world.tokyo.cognito(), world.osaka.cognito()];
    tokyo.put_group(&world.primary.id, group("staff", Some(role)));
    tokyo.put_group(&world.primary.id, group("readers", None));
    osaka.put_group(&world.secondary.id, group("staff", None));

    let ran = check(&world).await;

    assert_eq!(
        found_about(&ran, "groups"),
        [
            "warn: the secondary does not have readers",
            "warn: these have a role in the primary and none in the secondary: staff",
        ]
    );
}

#[tokio::test]
async fn a_password_policy_that_differs_is_told_with_both_values() {
    let world = world().await;
    for ((region, pool, _), length) in both(&world).into_iter().zip([12, 8]) {
        let policy = PasswordPolicyType::builder().minimum_length(length);
        let policies = UserPoolPolicyType::builder().password_policy(policy.build());
        let update = region.cognito_client().update_user_pool();
        let update = update.user_pool_id(pool).policies(policies.build());
        update.send().await.expect("updated");
    }

    let ran = check(&world).await;

    assert_eq!(
        found_about(&ran, "password policy"),
        ["warn: the minimum length is 12 in the primary, 8 in the secondary"]
    );
}

#[tokio::test]
async fn a_setting_of_an_app_client_that_differs_is_told_with_both_values() {
    let world = world().await;
    for ((region, pool, _), is_rotated) in both(&world).into_iter().zip([true, false]) {
        let rotation = RefreshTokenRotationType::builder().feature(FeatureType::Enabled);
        let rotation = rotation.build().expect("it has a feature");
        let client = region.cognito_client().create_user_pool_client();
        let client = client.user_pool_id(pool).client_name("page");
        let client = client.explicit_auth_flows("ALLOW_USER_SRP_AUTH".into());
        let client = client.set_refresh_token_rotation(is_rotated.then_some(rotation));
        client.send().await.expect("created");
    }

    let ran = check(&world).await;

    assert_eq!(
        found_about(&ran, "app clients"),
        ["warn: page: refresh tokens are rotated in the primary, kept in the secondary"]
    );
}

/// Gives a pool a function that runs before a token is issued.
async fn generate_tokens(region: &Region, pool: &str, after_confirmation: &str) {
    let function = PreTokenGenerationVersionConfigType::builder()
        .lambda_version(PreTokenGenerationLambdaVersionType::V20)
        .lambda_arn(region.lambda().arn("claims"));
    let triggers = LambdaConfigType::builder()
        .post_confirmation(region.lambda().arn(after_confirmation))
        .pre_token_generation_config(function.build().expect("it is complete"));
    let update = region.cognito_client().update_user_pool();
    let update = update.user_pool_id(pool).lambda_config(triggers.build());
    update.send().await.expect("updated");
}

#[tokio::test]
async fn tokens_say_who_somebody_is_in_both_pools_or_the_difference_is_wrong() {
    let world = world().await;
    let [primary, secondary] = both(&world);

    let of_neither = check(&world).await;
    generate_tokens(primary.0, primary.1, primary.2).await;
    let of_primary = check(&world).await;
    generate_tokens(secondary.0, secondary.1, secondary.2).await;
    let of_both = check(&world).await;

    // The app clients of these pools do not name the attribute among those that they read.
    for (ran, unreadable) in [(&of_neither, 2), (&of_primary, 1), (&of_both, 0)] {
        let about = found_about(ran, "first sub");
        let warnings = about.iter().filter(|finding| finding.starts_with("warn"));
        assert_eq!(warnings.count(), unreadable, "{about:?}");
    }
    let lacks = "wrong: only the primary runs a function before it issues a token";
    let about = found_about(&of_primary, "tokens");
    assert!(about.len() == 1 && about[0].starts_with(lacks), "{about:?}");
    assert_eq!(
        found_about(&of_both, "tokens"),
        ["good: both pools run a function before they issue a token (V2_0)"]
    );
}

/// Adds a rule to the web ACL of a pool, after those that it has.
async fn block_bots(region: &Region, pool: &str) {
    let client = region.waf_client();
    let of_pool = client.get_web_acl_for_resource();
    let of_pool = of_pool.resource_arn(region.cognito().pool_arn(pool));
    let acl = of_pool.send().await.expect("served").web_acl;
    let acl = acl.expect("a web ACL");
    let lock_token = client.get_web_acl().arn(acl.arn()).send().await;
    let lock_token = lock_token.expect("served").lock_token;
    let mut bots = acl.rules()[0].clone();
    bots.name = "bots".to_owned();
    bots.priority = 10;
    let block = DefaultAction::builder().block(BlockAction::builder().build());
    bots.action = Some(
        RuleAction::builder()
            .block(BlockAction::builder().build())
            .build(),
    );
    let update = client.update_web_acl().name(&acl.name).id(&acl.id);
    update
        .scope(Scope::Regional)
        .default_action(block.build())
        .set_visibility_config(acl.visibility_config.clone())
        .set_rules(acl.rules.clone())
        .rules(bots)
        .set_lock_token(lock_token)
        .send()
        .await
        .expect("updated");
}

#[tokio::test]
async fn a_rule_of_the_primarys_web_acl_that_the_secondary_lacks_is_told_by_name() {
    let world = world().await;
    let [(tokyo, primary, _), (osaka, secondary, _)] = both(&world);
    let arn = tokyo.cognito().pool_arn(primary);
    tokyo.waf().put_fence(TOKYO, &arn);
    block_bots(tokyo, primary).await;

    let lacking = check(&world).await;
    block_bots(osaka, secondary).await;
    let alike = check(&world).await;

    assert_eq!(
        found_about(&lacking, "web ACL"),
        ["warn: the web ACL of the secondary lacks rules that protect the primary: bots"]
    );
    assert_eq!(
        found_about(&alike, "web ACL"),
        ["good: the secondary has the 2 rules of the primary's web ACL"]
    );
}

#[tokio::test]
async fn pools_that_are_alike_in_all_that_an_application_needs_have_nothing_wrong() {
    let world = world().await;
    world.osaka.close_fence();
    for (region, pool, _) in both(&world) {
        let cognito = region.cognito();
        cognito.put_domain(pool, &format!("shop-{}", region.name()), json!({}));
        let google = json!({"ProviderType": "Google", "AttributeMapping": {"email": "email"}});
        cognito.put_identity_provider(pool, "Google", google);
        let staff = GroupView {
            name: "staff".to_owned(),
            ..GroupView::default()
        };
        cognito.put_group(pool, staff);
        let client = region.cognito_client().create_user_pool_client();
        let client = client.user_pool_id(pool).client_name("page");
        client.send().await.expect("created");
    }

    let ran = check(&world).await;

    assert_eq!(found(&ran, "wrong"), [""; 0]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (topic, says) in [
        (
            "domain",
            "good: the secondary's is shop-ap-northeast-3.auth.ap-northeast-3.amazoncognito.com",
        ),
        ("groups", "good: all 1 of the primary are in the secondary"),
        ("password policy", "good: the same in both pools"),
        (
            "app clients",
            "good: 2 in the secondary, with the settings of the primary",
        ),
        (
            "identity providers",
            "warn: not known whether the providers accept the callbacks of the secondary: \
             https://shop-ap-northeast-3.auth.ap-northeast-3.amazoncognito.com/oauth2/idpresponse",
        ),
    ] {
        assert_eq!(found_about(&ran, topic), [says]);
    }
}
