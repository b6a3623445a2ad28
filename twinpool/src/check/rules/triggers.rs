//! Whether twinpool's functions are attached, and whether the other triggers of the pools agree.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::LambdaConfigType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;
use crate::post_confirmation::is_twinpools;

/// Both pools must run twinpool's function after a confirmation, and should have the same other triggers.
pub fn triggers(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "trigger";
    let none = LambdaConfigType::builder().build();
    let of = |pool: &PoolFacts| pool.description.lambda_config().unwrap_or(&none).clone();
    let (first, second) = (of(primary), of(secondary));
    for (name, triggers, consequence) in [
        ("primary", &first, "no user is replicated"),
        (
            "secondary",
            &second,
            "newcomers are not recorded in the journal, and cannot be restored",
        ),
    ] {
        match triggers.post_confirmation() {
            Some(function) if is_twinpools(function) => findings.good(
                topic,
                format!("the {name} runs {function} after a confirmation"),
            ),
            Some(function) => findings.warn(
                topic,
                format!(
                    "the {name} runs {function} after a confirmation, which may not be twinpool's; if it is not, {consequence}"
                ),
                "make sure that this is twinpool's function, or that it invokes twinpool's function",
            ),
            None => findings.wrong(
                topic,
                format!("the {name} runs no function after a confirmation: {consequence}"),
                "twinpool attach --pool ID --function ARN",
            ),
        }
    }
    // DG:cognito-user-pools-working-with-lambda-triggers: AdminCreateUser runs PreSignUp_AdminCreateUser.
    if let Some(function) = second.pre_sign_up() {
        findings.warn(
            topic,
            format!("the secondary runs {function} before a sign-up, which can reject replicas"),
            "let it accept the trigger source PreSignUp_AdminCreateUser",
        );
    }
    let (ours, theirs) = (other_triggers(&first), other_triggers(&second));
    let missing: BTreeSet<String> = ours.difference(&theirs).cloned().collect();
    if !missing.is_empty() {
        findings.warn(
            topic,
            format!(
                "the primary has triggers that the secondary does not have: {}",
                join_names(&missing, "none")
            ),
            "attach the same functions to the secondary; otherwise it behaves differently in a failover",
        );
    }
}

/// The triggers that are set, except post-confirmation, and pre token generation, which `tokens` compares.
fn other_triggers(triggers: &LambdaConfigType) -> BTreeSet<String> {
    let triggers = [
        ("PreSignUp", triggers.pre_sign_up.is_some()),
        ("CustomMessage", triggers.custom_message.is_some()),
        ("PreAuthentication", triggers.pre_authentication.is_some()),
        ("PostAuthentication", triggers.post_authentication.is_some()),
        (
            "DefineAuthChallenge",
            triggers.define_auth_challenge.is_some(),
        ),
        (
            "CreateAuthChallenge",
            triggers.create_auth_challenge.is_some(),
        ),
        (
            "VerifyAuthChallengeResponse",
            triggers.verify_auth_challenge_response.is_some(),
        ),
        ("UserMigration", triggers.user_migration.is_some()),
        ("CustomSMSSender", triggers.custom_sms_sender.is_some()),
        ("CustomEmailSender", triggers.custom_email_sender.is_some()),
        ("InboundFederation", triggers.inbound_federation.is_some()),
    ];
    let set = triggers.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name.to_owned()).collect()
}
