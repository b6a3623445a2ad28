//! Whether somebody can sign in to the secondary pool without a password.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::{AuthFactorType, ExplicitAuthFlowsType};

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;

/// Nobody may sign in to the secondary without a password. A replica's password is random, so whoever uses the secondary must set one,
/// and the trigger records it. Without such a record the user counts as a replica, which is made equal to the primary again.
pub fn passwordless(_: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "passwordless";
    let factors = first_factors(secondary);
    let before = findings.len();
    for client in &secondary.clients {
        let name = client.client_name().unwrap_or_default();
        let flows = client.explicit_auth_flows();
        let has = |flow| flows.contains(&flow);
        // A client without explicit flows allows custom authentication too (botocore UserPoolClientType), but it fails in a pool that
        // has no function for it.
        let is_custom_by_default = flows.is_empty() && runs_custom_challenges(secondary);
        if has(ExplicitAuthFlowsType::AllowCustomAuth)
            || has(ExplicitAuthFlowsType::CustomAuthFlowOnly)
            || is_custom_by_default
        {
            findings.wrong(
                topic,
                format!(
                    "{name} in the secondary allows ALLOW_CUSTOM_AUTH: whoever signs in so leaves no record in the journal, and what they \
                     change is overwritten"
                ),
                "remove ALLOW_CUSTOM_AUTH from this client; in a failover, users set a password with \"forgot password\"",
            );
        }
        if has(ExplicitAuthFlowsType::AllowUserAuth) && !factors.is_empty() {
            findings.wrong(
                topic,
                format!(
                    "{name} in the secondary allows ALLOW_USER_AUTH, and the pool allows {} as the first factor: whoever signs in so \
                     leaves no record in the journal, and what they change is overwritten",
                    join_names(&factors, "none")
                ),
                "remove ALLOW_USER_AUTH from this client, or allow only the password as the first factor of this pool",
            );
        }
    }
    if findings.len() == before {
        findings.good(
            topic,
            "nobody can sign in to the secondary without a password",
        );
    }
}

/// The first factors of a pool other than the password. A pool allows only the password unless it says otherwise (botocore
/// SignInPolicyType).
fn first_factors(pool: &PoolFacts) -> BTreeSet<String> {
    let policies = pool.description.policies();
    let sign_in = policies.and_then(|policies| policies.sign_in_policy());
    let factors = sign_in.map_or(&[][..], |policy| policy.allowed_first_auth_factors());
    let others = factors
        .iter()
        .filter(|factor| **factor != AuthFactorType::Password);
    others.map(|factor| factor.as_str().to_owned()).collect()
}

fn runs_custom_challenges(pool: &PoolFacts) -> bool {
    let triggers = pool.description.lambda_config();
    triggers.is_some_and(|triggers| triggers.define_auth_challenge().is_some())
}
