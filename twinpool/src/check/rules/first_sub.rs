//! Whether both pools keep each user's first `sub`, and whether nobody can forge it.

use std::collections::BTreeSet;

use reconcile::settings::writers_of;
use shared::environment::CustomAttribute;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;

/// The attribute for the first `sub` should exist in both pools, and no app client may write it.
pub fn first_sub(
    primary: &PoolFacts,
    secondary: &PoolFacts,
    attribute: &CustomAttribute,
    findings: &mut Findings,
) {
    let topic = "first sub";
    let before = findings.len();
    for (name, pool, consequence) in [
        (
            "primary",
            primary,
            "users who come home from the secondary get another identity than they had there",
        ),
        (
            "secondary",
            secondary,
            "users are known by their names only, so that nobody is moved, disabled or deleted there as in the primary",
        ),
    ] {
        if !pool.attributes().contains_key(attribute.as_str()) {
            findings.warn(
                topic,
                format!(
                    "the {name} has no attribute {}: {consequence}",
                    attribute.as_str()
                ),
                add_attribute(pool, attribute),
            );
        }
    }
    let both = [&primary.clients, &secondary.clients];
    let writers: BTreeSet<String> = both
        .into_iter()
        .flat_map(|clients| writers_of(clients, attribute))
        .collect();
    if !writers.is_empty() {
        findings.wrong(
            topic,
            format!(
                "app clients may write {}: {}; a user could pretend to be another user",
                attribute.as_str(),
                join_names(&writers, "none")
            ),
            "remove it from the attributes that these clients may write",
        );
    } else if findings.len() == before {
        findings.good(
            topic,
            format!(
                "both pools have {}, and no app client may write it",
                attribute.as_str()
            ),
        );
    }
}

/// How to add the attribute to a pool. A custom attribute can be added to a pool with users, and never be removed
/// (DG:user-pool-settings-attributes).
fn add_attribute(pool: &PoolFacts, attribute: &CustomAttribute) -> String {
    let name = attribute.as_str();
    let name = name.strip_prefix("custom:").unwrap_or(name);
    format!(
        "add it, which changes no user: aws cognito-idp add-custom-attributes --region {} --user-pool-id {} --custom-attributes \
         Name={name},AttributeDataType=String,Mutable=true",
        pool.id.region(),
        pool.id
    )
}
