//! How users sign up: self-registration, and the attributes that a pool verifies.

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::{join_names, names_of};

/// Self-registration must be open in both pools, or closed in both.
pub fn self_registration(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "sign-up";
    let is_open = |pool: &PoolFacts| {
        let creation = pool.description.admin_create_user_config();
        creation.is_none_or(|creation| !creation.allow_admin_create_user_only)
    };
    match (is_open(primary), is_open(secondary)) {
        (true, true) => findings.good(topic, "open in both pools"),
        (false, false) => findings.good(
            topic,
            "closed in both pools: only administrators create users",
        ),
        (true, false) => findings.wrong(
            topic,
            "closed in the secondary only: in a failover nobody could sign up",
            "open it: Cognito console › Sign-up › Self-registration",
        ),
        (false, true) => findings.wrong(
            topic,
            "open in the secondary only: in a failover anybody could sign up",
            "close it: Cognito console › Sign-up › Self-registration",
        ),
    }
}

/// Both pools must verify an attribute, and should verify the same ones.
pub fn verification(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "verification";
    let of =
        |pool: &PoolFacts| names_of(pool.description.auto_verified_attributes(), |a| a.as_str());
    let (first, second) = (of(primary), of(secondary));
    // DG:import-tool: without an auto-verified attribute "the import job will not start"; one must be true for each user.
    for (name, attributes) in [("primary", &first), ("secondary", &second)] {
        if attributes.is_empty() {
            findings.wrong(
                topic,
                format!("the {name} verifies no attribute: a user import cannot start there"),
                "let the pool verify the attribute that users sign in with or recover their account with: Cognito console › Sign-up",
            );
        }
    }
    if first.is_empty() || second.is_empty() {
        return;
    }
    let what = format!(
        "{} in the primary, {} in the secondary",
        join_names(&first, "none"),
        join_names(&second, "none")
    );
    if first == second {
        findings.good(topic, join_names(&first, "none"));
    } else if first.is_disjoint(&second) {
        findings.wrong(
            topic,
            what,
            "let both pools verify the same attributes: otherwise an import into the primary rejects every newcomer",
        );
    } else {
        findings.warn(
            topic,
            what,
            "let both pools verify the same attributes: an import may reject some newcomers",
        );
    }
}
