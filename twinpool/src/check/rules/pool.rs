//! Region, deletion protection and number of users.

use aws_sdk_cognitoidentityprovider::types::DeletionProtectionType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;

/// The pools must be in different regions.
pub fn regions(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "region";
    let (first, second) = (primary.id.region(), secondary.id.region());
    if first == second {
        findings.wrong(
            topic,
            format!("both pools are in {first}"),
            "create the secondary pool in another region",
        );
    } else {
        findings.good(topic, format!("{first} and {second}"));
    }
}

/// Both pools should be protected against deletion.
pub fn deletion_protection(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "deletion";
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        if pool.description.deletion_protection() == Some(&DeletionProtectionType::Active) {
            findings.good(topic, format!("the {name} pool is protected"));
        } else {
            findings.warn(
                topic,
                format!("the {name} pool is not protected: one call can delete it"),
                "protect it: Cognito console › Settings › Deletion protection",
            );
        }
    }
}

/// The secondary pool should have about as many users as the primary one.
pub fn user_count(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "users";
    let (first, second) = (
        primary.description.estimated_number_of_users,
        secondary.description.estimated_number_of_users,
    );
    let what = format!("about {first} in the primary, about {second} in the secondary");
    // The numbers are Cognito's estimates: a difference of up to 5 % is no sign that users are missing.
    if i64::from(second) * 20 < i64::from(first) * 19 {
        findings.warn(
            topic,
            what,
            "users who signed up before the trigger was attached are replicated only when they next reset their password",
        );
    } else {
        findings.good(topic, what);
    }
}
