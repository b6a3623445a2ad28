//! How users sign in and recover their account: username attributes, aliases, letter case, account recovery, MFA.

use aws_sdk_cognitoidentityprovider::types::{RecoveryOptionNameType, UserPoolMfaType};

use crate::check::facts::PoolFacts;
use crate::check::finding::{Findings, NEW_POOL};
use crate::check::names::{join_names, names_of};

/// Both pools must use the same username attribute, and not more than one.
pub fn username_attributes(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "sign-in";
    let of = |pool: &PoolFacts| names_of(pool.description.username_attributes(), |a| a.as_str());
    let (first, second) = (of(primary), of(secondary));
    if first != second {
        let what = format!(
            "users sign in by {} in the primary, by {} in the secondary",
            join_names(&first, "username"),
            join_names(&second, "username")
        );
        findings.wrong(topic, what, NEW_POOL);
    } else if first.len() > 1 {
        findings.wrong(
            topic,
            "users sign in by email or phone number, and nothing says which of the two is a user's username",
            "twinpool does not support such pools, because an import file must contain the username",
        );
    } else {
        findings.good(topic, format!("by {}", join_names(&first, "username")));
    }
}

/// Both pools must have the same aliases.
pub fn aliases(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "aliases";
    let of = |pool: &PoolFacts| names_of(pool.description.alias_attributes(), |a| a.as_str());
    let (first, second) = (of(primary), of(secondary));
    if first == second {
        findings.good(topic, join_names(&first, "none"));
    } else {
        let what = format!(
            "{} in the primary, {} in the secondary",
            join_names(&first, "none"),
            join_names(&second, "none")
        );
        findings.wrong(topic, what, NEW_POOL);
    }
}

/// Usernames must be case-sensitive in both pools, or in neither.
pub fn letter_case(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "letter case";
    // botocore UsernameConfigurationType: case sensitive unless it says otherwise.
    let is_case_sensitive = |pool: &PoolFacts| {
        let configuration = pool.description.username_configuration();
        configuration.is_none_or(|configuration| configuration.case_sensitive)
    };
    match (is_case_sensitive(primary), is_case_sensitive(secondary)) {
        (true, true) => findings.good(topic, "usernames are case-sensitive in both pools"),
        (false, false) => findings.good(topic, "usernames are not case-sensitive in either pool"),
        (true, false) => findings.wrong(
            topic,
            "usernames are case-sensitive in the primary only",
            NEW_POOL,
        ),
        (false, true) => findings.wrong(
            topic,
            "usernames are case-sensitive in the secondary only",
            NEW_POOL,
        ),
    }
}

/// Users must be able to reset a forgotten password in both pools.
pub fn account_recovery(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "recovery";
    for (name, pool, consequence) in [
        (
            "primary",
            primary,
            "restored users could not choose a password",
        ),
        (
            "secondary",
            secondary,
            "in a failover nobody could choose a password",
        ),
    ] {
        // Where it is not set, phone first, then email (botocore AccountRecoverySetting).
        let setting = pool.description.account_recovery_setting();
        let is_closed = setting.is_some_and(|setting| {
            let mut mechanisms = setting.recovery_mechanisms().iter();
            mechanisms.any(|mechanism| mechanism.name == RecoveryOptionNameType::AdminOnly)
        });
        if is_closed {
            findings.wrong(
                topic,
                format!(
                    "\"forgot password\" is disabled in the {name} (admin_only): {consequence}"
                ),
                "enable it by email or phone: Cognito console › Sign-in › User account recovery",
            );
        } else {
            findings.good(
                topic,
                format!("\"forgot password\" is enabled in the {name}"),
            );
        }
    }
}

/// MFA and authenticator apps must be set alike in both pools.
pub fn mfa(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "MFA";
    // botocore: a pool without the setting has none.
    let of = |pool: &PoolFacts| {
        pool.description
            .mfa_configuration()
            .cloned()
            .unwrap_or(UserPoolMfaType::Off)
    };
    let (first, second) = (of(primary), of(secondary));
    let advice = "set both pools alike: Cognito console › Sign-in › Multi-factor authentication";
    if first == second {
        findings.good(topic, format!("{first} in both pools"));
    } else {
        findings.wrong(
            topic,
            format!("{first} in the primary, {second} in the secondary"),
            advice,
        );
    }
    match (primary.authenticator, secondary.authenticator) {
        (true, true) => findings.good(topic, "authenticator apps are enabled in both pools"),
        (false, false) => findings.warn(
            topic,
            "authenticator apps are enabled in neither pool",
            "consider AWS's own multi-region replication: README, \"Is it for you?\"",
        ),
        (true, false) => findings.wrong(
            topic,
            "authenticator apps are enabled in the primary only",
            advice,
        ),
        (false, true) => findings.wrong(
            topic,
            "authenticator apps are enabled in the secondary only",
            advice,
        ),
    }
}
