//! Whether both pools accept the same passwords.

use aws_sdk_cognitoidentityprovider::types::PasswordPolicyType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;

/// The policies should be the same: a sign-in page checks a new password before it sends it, and users should not choose a weaker one in a
/// failover.
pub fn password_policy(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "password policy";
    let (ours, theirs) = (requirements(primary), requirements(secondary));
    let both = ours.iter().zip(&theirs);
    let differing: Vec<String> = both
        .filter(|(ours, theirs)| ours != theirs)
        .map(|((name, ours), (_, theirs))| {
            format!("{name} is {ours} in the primary, {theirs} in the secondary")
        })
        .collect();
    if differing.is_empty() {
        findings.good(topic, "the same in both pools");
    } else {
        findings.warn(
            topic,
            differing.join("; "),
            "set both pools alike: Cognito console › Authentication methods › Password policy",
        );
    }
}

/// The requirements of a pool's policy. A pool that names no minimum length has Cognito's, 8 (DG:managing-users-passwords).
fn requirements(pool: &PoolFacts) -> [(&'static str, i32); 6] {
    let none = PasswordPolicyType::builder().build();
    let policies = pool.description.policies();
    let policy = policies.and_then(|policies| policies.password_policy());
    let policy = policy.unwrap_or(&none);
    [
        ("the minimum length", policy.minimum_length.unwrap_or(8)),
        ("\"upper case\"", policy.require_uppercase.into()),
        ("\"lower case\"", policy.require_lowercase.into()),
        ("\"numbers\"", policy.require_numbers.into()),
        ("\"symbols\"", policy.require_symbols.into()),
        (
            "the number of passwords that may not come again",
            policy.password_history_size.unwrap_or(0),
        ),
    ]
}
