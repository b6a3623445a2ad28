//! The rules that two pools must satisfy to replace each other. They decide from the pools' settings alone and make no calls.

mod app_clients;
mod attributes;
mod client_settings;
mod domains;
mod fence;
mod first_sub;
mod groups;
mod identity_providers;
mod messages;
mod password_policy;
mod passwordless;
mod pool;
mod sign_in;
mod sign_up;
mod tokens;
mod triggers;
mod way_in;
mod web_acl;

use crate::check::facts::PoolFacts;
use crate::check::finding::{Finding, Findings};
use shared::environment::CustomAttribute;
use shared::snapshot::manifest::Users;

/// Applies all rules to two pools, and to what the latest snapshot has counted.
pub fn compare_pools(
    primary: &PoolFacts,
    secondary: &PoolFacts,
    snapshot: Option<&Users>,
    origin_sub: &CustomAttribute,
) -> Vec<Finding> {
    let mut findings = Findings::default();
    for rule in [
        pool::regions,
        sign_in::username_attributes,
        sign_in::aliases,
        sign_in::letter_case,
        sign_up::self_registration,
        attributes::schema,
        attributes::import_columns,
        sign_up::verification,
        sign_in::account_recovery,
        messages::mail,
        messages::text_messages,
        sign_in::mfa,
        password_policy::password_policy,
        triggers::triggers,
        tokens::tokens,
        pool::deletion_protection,
        pool::user_count,
        app_clients::app_clients,
        passwordless::passwordless,
        domains::domains,
        identity_providers::identity_providers,
        groups::groups,
        web_acl::web_acl,
    ] {
        rule(primary, secondary, &mut findings);
    }
    first_sub::first_sub(primary, secondary, origin_sub, &mut findings);
    fence::fence(&secondary.gate, &mut findings);
    way_in::way_in(snapshot, &mut findings);
    findings.into_vec()
}

#[cfg(test)]
mod tests;
