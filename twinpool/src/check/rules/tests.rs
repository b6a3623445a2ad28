//! Each test takes two pools that satisfy every rule, and changes one setting.

use aws_sdk_cognitoidentityprovider::types::{
    AccountRecoverySettingType, AdminCreateUserConfigType, AliasAttributeType, AttributeDataType,
    AuthFactorType, DeletionProtectionType, DomainDescriptionType, DomainStatusType,
    EmailConfigurationType, EmailSendingAccountType, ExplicitAuthFlowsType, IdentityProviderType,
    IdentityProviderTypeType, LambdaConfigType, PasswordPolicyType,
    PreTokenGenerationLambdaVersionType, PreTokenGenerationVersionConfigType,
    RecoveryOptionNameType, RecoveryOptionType, SchemaAttributeType, SignInPolicyType,
    SmsConfigurationType, StringAttributeConstraintsType, TimeUnitsType, TokenValidityUnitsType,
    UserPoolClientType, UserPoolMfaType, UserPoolPolicyType, UserPoolType, UsernameAttributeType,
    UsernameConfigurationType, VerifiedAttributeType,
};
use serde_json::json;
use shared::cognito::groups::Group;

use super::compare_pools;
use super::fence::fence;
use super::first_sub::first_sub;
use super::way_in::way_in;
use crate::check::facts::PoolFacts;
use crate::check::finding::{Findings, Severity};
use crate::fence::{FENCE_TAG, Foreign, Gate};
use shared::snapshot::manifest::Users;

const ORIGIN_SUB: &str = "custom:origin_sub";

/// A name as CloudFormation generates it.
const FUNCTION: &str = "arn:aws:lambda:ap-northeast-1:123456789012:function:TwinpoolPrimary-ReplicateTriggerFunction0A1B2C3D-x";

fn text(name: &str, most: u32) -> SchemaAttributeType {
    let limits = StringAttributeConstraintsType::builder()
        .min_length("0")
        .max_length(most.to_string());
    SchemaAttributeType::builder()
        .name(name)
        .attribute_data_type(AttributeDataType::String)
        .required(false)
        .mutable(true)
        .string_attribute_constraints(limits.build())
        .build()
}

fn app() -> UserPoolClientType {
    UserPoolClientType::builder()
        .client_name("app")
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowUserSrpAuth)
        .write_attributes("email")
        .read_attributes("email")
        .read_attributes(ORIGIN_SUB)
        .build()
}

/// A pool that satisfies every rule.
fn pool(id: &str) -> PoolFacts {
    let mail =
        EmailConfigurationType::builder().email_sending_account(EmailSendingAccountType::Developer);
    let triggers = LambdaConfigType::builder().post_confirmation(FUNCTION);
    let names = UsernameConfigurationType::builder().case_sensitive(false);
    let description = UserPoolType::builder()
        .username_attributes(UsernameAttributeType::Email)
        .username_configuration(names.build().unwrap())
        .auto_verified_attributes(VerifiedAttributeType::Email)
        .schema_attributes(text("email", 2048))
        .schema_attributes(text("custom:tenant", 20))
        .schema_attributes(text(ORIGIN_SUB, 40))
        .email_configuration(mail.build())
        .sms_configuration(
            SmsConfigurationType::builder()
                .sns_caller_arn("arn:r")
                .build(),
        )
        .lambda_config(triggers.build())
        .mfa_configuration(UserPoolMfaType::On)
        .deletion_protection(DeletionProtectionType::Active)
        .estimated_number_of_users(1000);
    PoolFacts {
        id: id.parse().unwrap(),
        description: description.build(),
        authenticator: true,
        clients: vec![app()],
        header: ["email", "cognito:username"].map(str::to_owned).to_vec(),
        domains: Vec::new(),
        identity_providers: Vec::new(),
        groups: Vec::new(),
        gate: Gate::None,
    }
}

fn gate(default_action: &str) -> Gate {
    match json!({"Rules": [{"Name": "authorised-by-iam", "Action": {"Count": {}}}], "DefaultAction": {default_action: {}}})
    {
        serde_json::Value::Object(acl) => Gate::of(acl, &[FENCE_TAG.to_owned()]),
        _ => unreachable!(),
    }
}

/// The problems that two good pools have after a change.
fn after(change: impl FnOnce(&mut PoolFacts, &mut PoolFacts)) -> Vec<(Severity, &'static str)> {
    let mut primary = pool("ap-northeast-1_Primary01");
    let mut secondary = pool("ap-northeast-3_Secondary");
    secondary.gate = gate("Block");
    change(&mut primary, &mut secondary);
    let everybody = Users::default();
    let origin = ORIGIN_SUB.parse().unwrap();
    let findings = compare_pools(&primary, &secondary, Some(&everybody), &origin);
    let bad = findings
        .iter()
        .filter(|finding| finding.severity != Severity::Good);
    bad.map(|finding| (finding.severity, finding.topic))
        .collect()
}

fn wrong(topic: &'static str) -> Vec<(Severity, &'static str)> {
    vec![(Severity::Wrong, topic)]
}

fn warn(topic: &'static str) -> Vec<(Severity, &'static str)> {
    vec![(Severity::Warn, topic)]
}

fn attribute<'a>(pool: &'a mut PoolFacts, name: &str) -> &'a mut SchemaAttributeType {
    let mut attributes = pool
        .description
        .schema_attributes
        .as_mut()
        .unwrap()
        .iter_mut();
    attributes
        .find(|attribute| attribute.name.as_deref() == Some(name))
        .unwrap()
}

#[test]
fn two_good_pools_have_no_problem() {
    assert_eq!(after(|_, _| {}), []);
}

#[test]
fn two_pools_in_the_same_region_are_wrong() {
    let found = after(|first, second| second.id = first.id.clone());

    assert_eq!(found, wrong("region"));
}

#[test]
fn settings_that_are_fixed_at_creation_must_be_the_same() {
    let sign_in = after(|_, second| second.description.username_attributes = None);
    let aliases = after(|_, second| {
        second.description.alias_attributes = Some(vec![AliasAttributeType::PreferredUsername]);
    });
    // botocore UsernameConfigurationType: case counts unless the pool says otherwise.
    let letter_case = after(|_, second| second.description.username_configuration = None);

    assert_eq!(sign_in, wrong("sign-in"));
    assert_eq!(aliases, wrong("aliases"));
    assert_eq!(letter_case, wrong("letter case"));
}

#[test]
fn pools_that_sign_in_by_email_and_phone_are_not_supported() {
    let both = Some(vec![
        UsernameAttributeType::Email,
        UsernameAttributeType::PhoneNumber,
    ]);
    let found = after(|first, second| {
        first.description.username_attributes = both.clone();
        second.description.username_attributes = both;
    });

    assert_eq!(found, wrong("sign-in"));
}

#[test]
fn an_attribute_that_the_secondary_lacks_is_wrong_and_one_that_the_primary_lacks_is_a_warning() {
    let lacks = |pool: &mut PoolFacts| {
        let attributes = pool.description.schema_attributes.as_mut().unwrap();
        attributes.retain(|attribute| attribute.name() != Some("custom:tenant"));
    };

    assert_eq!(after(|_, second| lacks(second)), wrong("attributes"));
    assert_eq!(after(|first, _| lacks(first)), warn("attributes"));
}

#[test]
fn limits_are_compared_as_numbers_in_both_directions() {
    let limit = |pool: &mut PoolFacts, most| {
        *attribute(pool, "custom:tenant") = text("custom:tenant", most)
    };

    assert_eq!(after(|_, second| limit(second, 9)), wrong("attributes"));
    assert_eq!(after(|_, second| limit(second, 100)), warn("attributes"));
    let none =
        |pool: &mut PoolFacts| attribute(pool, "custom:tenant").string_attribute_constraints = None;
    assert_eq!(after(|_, second| none(second)), warn("attributes"));
    assert_eq!(after(|first, _| none(first)), wrong("attributes"));
}

#[test]
fn type_required_and_mutable_of_an_attribute_are_compared() {
    let number = Some(AttributeDataType::Number);
    let of_type =
        after(|_, second| attribute(second, "custom:tenant").attribute_data_type = number);
    let required = after(|first, _| attribute(first, "email").required = Some(true));
    let required_there = after(|_, second| attribute(second, "email").required = Some(true));
    let fixed = after(|_, second| attribute(second, "custom:tenant").mutable = Some(false));

    assert_eq!(of_type, wrong("attributes"));
    assert_eq!(required, wrong("attributes"));
    assert_eq!(required_there, warn("attributes"));
    assert_eq!(fixed, warn("attributes"));
}

#[test]
fn self_registration_must_be_the_same() {
    let closed = AdminCreateUserConfigType::builder()
        .allow_admin_create_user_only(true)
        .build();
    let close =
        |pool: &mut PoolFacts| pool.description.admin_create_user_config = Some(closed.clone());

    assert_eq!(after(|first, _| close(first)), wrong("sign-up"));
    assert_eq!(after(|_, second| close(second)), wrong("sign-up"));
}

#[test]
fn a_pool_that_verifies_phone_numbers_must_be_able_to_send_text_messages() {
    let phone = |pool: &mut PoolFacts| {
        pool.description.auto_verified_attributes = Some(vec![VerifiedAttributeType::PhoneNumber])
    };

    let found = after(|first, second| {
        phone(first);
        phone(second);
        second.description.sms_configuration = None;
        second.description.email_configuration = None;
    });

    assert_eq!(found, wrong("text messages"));
}

#[test]
fn import_columns_that_differ_are_a_warning() {
    let found = after(|_, second| second.header.push("custom:other".into()));

    assert_eq!(found, warn("import columns"));
}

#[test]
fn a_pool_that_verifies_no_attribute_is_wrong() {
    let nothing = |pool: &mut PoolFacts| pool.description.auto_verified_attributes = None;
    let phone = Some(vec![VerifiedAttributeType::PhoneNumber]);
    let both = Some(vec![
        VerifiedAttributeType::Email,
        VerifiedAttributeType::PhoneNumber,
    ]);

    assert_eq!(after(|first, _| nothing(first)), wrong("verification"));
    assert_eq!(after(|_, second| nothing(second)), wrong("verification"));
    let disjoint = after(|_, second| second.description.auto_verified_attributes = phone);
    assert_eq!(disjoint, wrong("verification"));
    let more = after(|_, second| second.description.auto_verified_attributes = both);
    assert_eq!(more, warn("verification"));
}

#[test]
fn forgot_password_must_be_enabled_in_both_pools() {
    let only = RecoveryOptionType::builder()
        .name(RecoveryOptionNameType::AdminOnly)
        .priority(1);
    let closed = AccountRecoverySettingType::builder()
        .recovery_mechanisms(only.build().unwrap())
        .build();

    let first = after(|first, _| first.description.account_recovery_setting = Some(closed.clone()));
    let second =
        after(|_, second| second.description.account_recovery_setting = Some(closed.clone()));

    assert_eq!(first, wrong("recovery"));
    assert_eq!(second, wrong("recovery"));
}

#[test]
fn cognitos_own_sender_is_wrong_in_the_secondary_and_a_warning_in_the_primary() {
    assert_eq!(
        after(|_, second| second.description.email_configuration = None),
        wrong("mail")
    );
    assert_eq!(
        after(|first, _| first.description.email_configuration = None),
        warn("mail")
    );
}

#[test]
fn mfa_must_be_the_same() {
    let off = after(|_, second| second.description.mfa_configuration = Some(UserPoolMfaType::Off));
    let app = after(|_, second| second.authenticator = false);
    let neither = after(|first, second| {
        first.authenticator = false;
        second.authenticator = false;
    });

    assert_eq!(off, wrong("MFA"));
    assert_eq!(app, wrong("MFA"));
    assert_eq!(neither, warn("MFA"));
}

#[test]
fn both_pools_need_their_function() {
    assert_eq!(
        after(|first, _| first.description.lambda_config = None),
        wrong("trigger")
    );
    assert_eq!(
        after(|_, second| second.description.lambda_config = None),
        wrong("trigger")
    );
}

#[test]
fn a_post_confirmation_function_that_does_not_look_like_twinpools_is_a_warning() {
    let runs = |name: &str| {
        let function = format!("arn:aws:lambda:ap-northeast-1:123456789012:function:{name}");
        let triggers = LambdaConfigType::builder().post_confirmation(function);
        after(|first, _| first.description.lambda_config = Some(triggers.build()))
    };

    assert_eq!(runs("welcome-mail"), warn("trigger"));
    for ours in [
        "replicate-fn-trigger",
        "backup-fn-trigger:live",
        "twinpool-a",
    ] {
        assert_eq!(runs(ours), [], "{ours}");
    }
}

#[test]
fn a_pre_sign_up_function_of_the_secondary_and_a_trigger_that_it_lacks_are_warnings() {
    let with = |triggers: LambdaConfigType| Some(triggers);
    let triggers = || LambdaConfigType::builder().post_confirmation(FUNCTION);

    let refusing = after(|_, second| {
        second.description.lambda_config = with(triggers().pre_sign_up("arn:g").build())
    });
    let lacking = after(|first, _| {
        first.description.lambda_config = with(triggers().custom_message("arn:g").build())
    });

    assert_eq!(refusing, warn("trigger"));
    assert_eq!(lacking, warn("trigger"));
}

#[test]
fn a_secondary_without_an_app_client_is_wrong() {
    assert_eq!(
        after(|_, second| second.clients.clear()),
        wrong("app clients")
    );
}

#[test]
fn an_app_client_must_allow_what_its_counterpart_allows() {
    let flows = after(|_, second| {
        let others = vec![ExplicitAuthFlowsType::AllowUserPasswordAuth];
        second.clients[0].explicit_auth_flows = Some(others);
    });
    let attributes = after(|_, second| {
        second.clients[0].write_attributes = Some(vec!["name".into()]);
    });
    let secret = after(|_, second| second.clients[0].client_secret = Some("secret".into()));

    assert_eq!(flows, wrong("app clients"));
    assert_eq!(attributes, warn("app clients"));
    assert_eq!(secret, warn("app clients"));
}

#[test]
fn an_app_client_without_explicit_settings_has_cognitos_defaults() {
    use ExplicitAuthFlowsType::{AllowRefreshTokenAuth, AllowUserPasswordAuth, AllowUserSrpAuth};
    let flows = |client: &mut UserPoolClientType, flows: &[ExplicitAuthFlowsType]| {
        client.explicit_auth_flows = Some(flows.to_vec());
    };
    let usual = |client: &mut UserPoolClientType| {
        client.explicit_auth_flows = None;
        client.write_attributes = None;
        client.read_attributes = None;
    };
    let within = after(|first, second| {
        let client = &mut first.clients[0];
        flows(client, &[AllowUserSrpAuth, AllowRefreshTokenAuth]);
        client.read_attributes = Some(vec!["email".into()]);
        usual(&mut second.clients[0]);
    });
    let beyond = after(|first, second| {
        flows(&mut first.clients[0], &[AllowUserPasswordAuth]);
        first.clients[0].read_attributes = Some(vec!["custom:tenant".into()]);
        usual(&mut second.clients[0]);
    });
    let less = after(|first, second| {
        usual(&mut first.clients[0]);
        flows(&mut second.clients[0], &[AllowUserSrpAuth]);
    });

    let of_clients = |mut found: Vec<(Severity, &'static str)>| {
        found.retain(|(_, topic)| *topic == "app clients");
        found
    };
    assert_eq!(of_clients(within), []);
    let both = [wrong("app clients"), warn("app clients")].concat();
    assert_eq!(of_clients(beyond), both);
    assert_eq!(of_clients(less), wrong("app clients"));
}

#[test]
fn app_clients_are_counterparts_by_name_or_because_there_is_one_each() {
    let renamed = |client: &mut UserPoolClientType| client.client_name = Some("other".into());

    assert_eq!(after(|_, second| renamed(&mut second.clients[0])), []);
    let of_two = after(|first, second| {
        first.clients.push(app());
        renamed(&mut first.clients[1]);
        second.clients.push(app());
    });
    assert_eq!(of_two, warn("app clients"));
}

#[test]
fn no_app_client_may_write_the_first_sub() {
    let writable = |pool: &mut PoolFacts| {
        let attributes = ["email", ORIGIN_SUB].map(str::to_owned);
        pool.clients[0].write_attributes = Some(attributes.to_vec());
    };

    let found = after(|first, second| {
        writable(first);
        writable(second);
    });

    assert_eq!(found, wrong("first sub"));
}

#[test]
fn an_app_client_that_does_not_name_what_it_may_write_is_a_warning() {
    let unclear = |pool: &mut PoolFacts| pool.clients[0].write_attributes = None;

    let of_one = after(|_, second| unclear(second));
    let of_both = after(|first, second| {
        unclear(first);
        unclear(second);
    });

    assert!(of_one.contains(&warn("write access")[0]), "{of_one:?}");
    assert_eq!(
        of_both,
        [warn("write access"), warn("write access")].concat()
    );
}

#[test]
fn a_pool_without_the_attribute_for_the_first_sub_is_a_warning_that_says_how_to_add_it() {
    let without = |pool: &mut PoolFacts| {
        let attributes = pool.description.schema_attributes.as_mut().unwrap();
        attributes.retain(|attribute| attribute.name() != Some(ORIGIN_SUB));
    };

    let in_both = after(|first, second| {
        without(first);
        without(second);
    });

    assert_eq!(in_both, [warn("first sub"), warn("first sub")].concat());
    let mut findings = Findings::default();
    let mut secondary = pool("ap-northeast-3_Secondary");
    without(&mut secondary);
    let origin = ORIGIN_SUB.parse().unwrap();
    first_sub(
        &pool("ap-northeast-1_Primary01"),
        &secondary,
        &origin,
        &mut findings,
    );
    let advice = findings.into_vec().remove(0).advice.unwrap();
    assert!(advice.contains("--user-pool-id ap-northeast-3_Secondary"));
    assert!(advice.contains("Name=origin_sub,AttributeDataType=String,Mutable=true"));
}

#[test]
fn a_client_of_the_secondary_that_needs_no_password_is_wrong() {
    use ExplicitAuthFlowsType::{AllowCustomAuth, AllowUserAuth};
    let allow = |pool: &mut PoolFacts, flow: ExplicitAuthFlowsType| {
        let flows = pool.clients[0].explicit_auth_flows.as_mut();
        flows.unwrap().push(flow);
    };
    let first_factors = |pool: &mut PoolFacts, factors: &[AuthFactorType]| {
        let policy = SignInPolicyType::builder();
        let policy = policy.set_allowed_first_auth_factors(Some(factors.to_vec()));
        let policies = UserPoolPolicyType::builder().sign_in_policy(policy.build());
        pool.description.policies = Some(policies.build());
    };
    let with_user_auth = |factors: &[AuthFactorType]| {
        after(|_, second| {
            allow(second, AllowUserAuth);
            first_factors(second, factors);
        })
    };

    assert_eq!(
        after(|_, second| allow(second, AllowCustomAuth)),
        wrong("passwordless")
    );
    for factor in [
        AuthFactorType::EmailOtp,
        AuthFactorType::SmsOtp,
        AuthFactorType::WebAuthn,
    ] {
        let factors = [AuthFactorType::Password, factor];
        assert_eq!(with_user_auth(&factors), wrong("passwordless"));
        assert_eq!(after(|_, second| first_factors(second, &factors)), []);
    }
    assert_eq!(with_user_auth(&[AuthFactorType::Password]), []);
    let in_the_primary = after(|first, second| {
        allow(first, AllowCustomAuth);
        second.clients[0].explicit_auth_flows = None;
    });
    assert_eq!(in_the_primary, [], "no function answers custom challenges");
    let by_default = after(|first, second| {
        for pool in [first, &mut *second] {
            let triggers = pool.description.lambda_config.as_mut().unwrap();
            triggers.define_auth_challenge = Some("arn:f".into());
        }
        second.clients[0].explicit_auth_flows = None;
    });
    assert_eq!(by_default, wrong("passwordless"));
}

#[test]
fn a_pool_that_can_be_deleted_or_lacks_many_users_is_a_warning() {
    assert_eq!(
        after(|_, second| second.description.deletion_protection = None),
        warn("deletion")
    );
    assert_eq!(
        after(|_, second| second.description.estimated_number_of_users = 949),
        warn("users")
    );
    assert_eq!(
        after(|_, second| second.description.estimated_number_of_users = 950),
        []
    );
}

#[test]
fn a_fence_that_is_open_missing_or_foreign_is_a_warning() {
    let found = |gate: &Gate| {
        let mut findings = Findings::default();
        fence(gate, &mut findings);
        findings.into_vec()[0].severity
    };

    assert_eq!(found(&gate("Block")), Severity::Good);
    assert_eq!(found(&gate("Allow")), Severity::Warn);
    for is_outdated in [false, true] {
        let acl = Foreign {
            name: "acl".into(),
            arn: "arn".into(),
            rules: Vec::new(),
            is_outdated,
        };
        assert_eq!(found(&Gate::Foreign(acl)), Severity::Warn);
    }
    assert_eq!(found(&Gate::None), Severity::Warn);
}

#[test]
fn people_who_cannot_reset_their_password_in_a_failover_are_a_warning_with_their_number() {
    let found = |snapshot: Option<&Users>| {
        let mut findings = Findings::default();
        way_in(snapshot, &mut findings);
        findings.into_vec().remove(0)
    };
    let with = |count| Users {
        rejected: [("no-verified-attribute".into(), count)].into(),
        ..Users::default()
    };

    assert_eq!(found(Some(&Users::default())).severity, Severity::Good);
    assert_eq!(found(None).severity, Severity::Warn);
    for (count, text) in [(1, "1 user has"), (3, "3 users have")] {
        let finding = found(Some(&with(count)));
        assert_eq!(finding.severity, Severity::Warn);
        assert!(finding.what.starts_with(text), "{}", finding.what);
    }
}

#[test]
fn settings_of_an_app_client_that_an_application_notices_are_compared_by_their_meaning() {
    let differing: [fn(&mut UserPoolClientType); 6] = [
        |client| client.refresh_token_validity = 1,
        |client| client.access_token_validity = Some(2),
        |client| client.auth_session_validity = Some(15),
        |client| client.enable_token_revocation = Some(true),
        |client| client.default_redirect_uri = Some("https://example.jp".into()),
        |client| client.allowed_o_auth_flows_user_pool_client = Some(true),
    ];
    for differ in differing {
        let found = after(|_, second| differ(&mut second.clients[0]));
        assert_eq!(found, warn("app clients"));
    }
    let same = after(|first, second| {
        // 60 minutes are the hour that a client without the setting has, and 30 days the default.
        let units = TokenValidityUnitsType::builder().access_token(TimeUnitsType::Minutes);
        first.clients[0].token_validity_units = Some(units.build());
        first.clients[0].access_token_validity = Some(60);
        second.clients[0].refresh_token_validity = 30;
    });
    assert_eq!(same, []);
    let provider = after(|first, _| {
        first.clients[0].supported_identity_providers = Some(vec!["Google".into()]);
    });
    assert_eq!(provider, wrong("app clients"));
    let sign_out = after(|first, _| {
        first.clients[0].logout_urls = Some(vec!["https://example.jp/bye".into()]);
    });
    assert_eq!(sign_out, warn("app clients"));
}

#[test]
fn app_clients_should_name_the_first_sub_unless_a_function_adds_it_to_the_tokens() {
    let unread = |pool: &mut PoolFacts| pool.clients[0].read_attributes = None;

    let without = after(|first, second| {
        unread(first);
        unread(second);
    });
    let with_function = after(|first, second| {
        for pool in [first, second] {
            unread(pool);
            generates_tokens(pool, PreTokenGenerationLambdaVersionType::V20);
        }
    });

    let found = without.iter().filter(|found| found.1 == "first sub");
    assert_eq!(found.count(), 2, "{without:?}");
    assert_eq!(with_function, []);
}

fn generates_tokens(pool: &mut PoolFacts, version: PreTokenGenerationLambdaVersionType) {
    let config = PreTokenGenerationVersionConfigType::builder()
        .lambda_version(version)
        .lambda_arn("arn:f");
    let triggers = pool.description.lambda_config.as_mut().unwrap();
    triggers.pre_token_generation_config = Some(config.build().unwrap());
}

#[test]
fn both_pools_must_run_the_same_version_of_the_function_before_a_token_is_issued() {
    use PreTokenGenerationLambdaVersionType::{V10, V20};

    assert_eq!(
        after(|first, _| generates_tokens(first, V20)),
        wrong("tokens")
    );
    assert_eq!(
        after(|_, second| generates_tokens(second, V20)),
        warn("tokens")
    );
    let of_other_versions = after(|first, second| {
        generates_tokens(first, V20);
        generates_tokens(second, V10);
    });
    assert_eq!(of_other_versions, wrong("tokens"));
    let of_one_version = after(|first, second| {
        generates_tokens(first, V10);
        let triggers = second.description.lambda_config.as_mut().unwrap();
        triggers.pre_token_generation = Some("arn:f".into());
    });
    assert_eq!(of_one_version, [], "PreTokenGeneration alone is version 1");
}

fn domain(pool: &mut PoolFacts, name: &str, version: i32) {
    pool.description.domain = Some(name.into());
    let described = DomainDescriptionType::builder()
        .domain(name)
        .status(DomainStatusType::Active)
        .managed_login_version(version);
    pool.domains = vec![described.build()];
}

#[test]
fn the_secondary_needs_a_domain_where_the_primary_has_one() {
    let missing = after(|first, _| domain(first, "shop", 2));
    let missing_and_used = after(|first, second| {
        domain(first, "shop", 2);
        for pool in [first, second] {
            pool.clients[0].allowed_o_auth_flows_user_pool_client = Some(true);
        }
    });
    let of_another_kind = after(|first, second| {
        domain(first, "shop", 2);
        domain(second, "shop-twin", 1);
    });
    let inactive = after(|first, second| {
        domain(first, "shop", 2);
        domain(second, "shop-twin", 2);
        second.domains[0].status = Some(DomainStatusType::Creating);
    });
    let alike = after(|first, second| {
        domain(first, "shop", 2);
        domain(second, "shop-twin", 2);
    });

    assert_eq!(missing, warn("domain"));
    assert_eq!(missing_and_used, wrong("domain"));
    assert_eq!(of_another_kind, warn("domain"));
    assert_eq!(inactive, wrong("domain"));
    assert_eq!(alike, []);
}

fn provider(
    name: &str,
    of_type: IdentityProviderTypeType,
    attribute: &str,
) -> IdentityProviderType {
    IdentityProviderType::builder()
        .provider_name(name)
        .provider_type(of_type)
        .attribute_mapping(attribute, "email")
        .build()
}

#[test]
fn identity_providers_must_be_in_both_pools_and_nobody_knows_whether_they_accept_the_callback() {
    use IdentityProviderTypeType::{Google, Oidc};
    let topic = "identity providers";
    let ours = || vec![provider("Google", Google, "email")];

    let missing = after(|first, _| first.identity_providers = ours());
    let other = after(|first, second| {
        first.identity_providers = ours();
        second.identity_providers = vec![provider("Google", Oidc, "name")];
    });
    let mut callback = String::new();
    let alike = after(|first, second| {
        for pool in [&mut *first, &mut *second] {
            pool.identity_providers = ours();
            domain(pool, "shop", 2);
        }
        let origin = ORIGIN_SUB.parse().unwrap();
        let findings = compare_pools(first, second, None, &origin).into_iter();
        callback = findings
            .filter(|finding| finding.topic == topic)
            .map(|finding| finding.what)
            .collect();
    });
    let forging = after(|first, _| {
        first.identity_providers = vec![provider("Google", Google, ORIGIN_SUB)];
    });

    assert_eq!(missing, wrong(topic));
    assert_eq!(other, [wrong(topic), warn(topic)].concat());
    assert_eq!(alike, warn(topic));
    assert!(
        callback.contains("https://shop.auth.ap-northeast-3.amazoncognito.com/oauth2/idpresponse"),
        "{callback}"
    );
    assert!(
        forging.contains(&(Severity::Wrong, "first sub")),
        "{forging:?}"
    );
}

#[test]
fn a_password_policy_that_differs_is_a_warning_that_names_the_requirement() {
    let stricter = |pool: &mut PoolFacts| {
        let policy = PasswordPolicyType::builder().minimum_length(12);
        let policies = UserPoolPolicyType::builder().password_policy(policy.build());
        pool.description.policies = Some(policies.build());
    };

    assert_eq!(after(|first, _| stricter(first)), warn("password policy"));
    assert_eq!(after(|_, second| stricter(second)), warn("password policy"));
    let both = after(|first, second| {
        stricter(first);
        stricter(second);
    });
    assert_eq!(both, []);
}

#[test]
fn groups_and_roles_that_the_secondary_lacks_are_warnings() {
    let group = |name: &str, has_role| Group {
        name: name.into(),
        description: None,
        precedence: None,
        has_role,
    };

    let missing = after(|first, _| first.groups = vec![group("staff", false)]);
    let without_role = after(|first, second| {
        first.groups = vec![group("staff", true)];
        second.groups = vec![group("staff", false), group("more", false)];
    });

    assert_eq!(missing, warn("groups"));
    assert_eq!(without_role, warn("groups"));
}

#[test]
fn rules_of_the_web_acl_that_the_secondary_lacks_are_a_warning() {
    let with_rule = after(|first, _| first.gate = gate("Allow"));
    let without = after(|first, second| {
        first.gate = gate("Allow");
        second.gate = Gate::None;
    });

    assert_eq!(with_rule, [], "both have the rule");
    assert_eq!(without, [warn("web ACL"), warn("fence")].concat());
}
