//! Whether both pools keep each user's first `sub`, and whether nobody can forge it.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::{IdentityProviderType, UserPoolClientType};
use reconcile::settings::{unclear_writers_of, writers_of};
use shared::environment::CustomAttribute;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;
use crate::check::rules::tokens::event_version;

/// The attribute for the first `sub` should exist in both pools, app clients should read it, and neither an app client nor an identity provider
/// may write it.
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
    }
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        let unclear = unclear_writers_of(&pool.clients);
        let has_attribute = pool.attributes().contains_key(attribute.as_str());
        if has_attribute && !unclear.is_empty() {
            findings.warn(
                "write access",
                format!(
                    "app clients of the {name} do not name the attributes that they may write, and may write {} too: {}; then a user could \
                     pretend to be another user",
                    attribute.as_str(),
                    join_names(&unclear, "none")
                ),
                format!("name what these clients may write, without {}", attribute.as_str()),
            );
        }
    }
    let mapping = mapping_of(&[primary, secondary], attribute);
    if !mapping.is_empty() {
        findings.wrong(
            topic,
            format!(
                "identity providers write {}: {}; whoever controls such an account could become another user",
                attribute.as_str(),
                join_names(&mapping, "none")
            ),
            "remove it from the attribute mapping of these providers",
        );
    }
    for (name, pool) in [("primary", primary), ("secondary", secondary)] {
        let without = without_identity(pool, attribute);
        let has_attribute = pool.attributes().contains_key(attribute.as_str());
        // Such a function may add the identity to the tokens of a client that may not read it.
        if has_attribute && !without.is_empty() && event_version(pool).is_none() {
            findings.warn(
                topic,
                format!(
                    "app clients of the {name} do not name {} among the attributes that they read: {}; their ID tokens may not say who somebody \
                     is in the other pool",
                    attribute.as_str(),
                    join_names(&without, "none")
                ),
                "name it there, or add it to the tokens: docs/application.md, \"One identity in both pools\"",
            );
        }
    }
    if findings.len() == before {
        findings.good(
            topic,
            format!(
                "both pools have {}, every app client reads it, and none may write it",
                attribute.as_str()
            ),
        );
    }
}

/// The identity providers that write the attribute when somebody signs in with them.
fn mapping_of(pools: &[&PoolFacts], attribute: &CustomAttribute) -> BTreeSet<String> {
    let providers = pools.iter().flat_map(|pool| &pool.identity_providers);
    let writes = |provider: &&IdentityProviderType| {
        let mapping = provider.attribute_mapping();
        mapping.is_some_and(|mapping| mapping.contains_key(attribute.as_str()))
    };
    let writing = providers.filter(writes);
    writing
        .map(|provider| provider.provider_name().unwrap_or_default().to_owned())
        .collect()
}

/// The app clients whose ID tokens may lack the attribute: an ID token contains what its client may read
/// (DG:user-pool-settings-attributes). A client that names no attributes may read the standard ones only (botocore UserPoolClientType), while
/// users report that it may read those too that existed when it was created: only a client that names the attribute is certain to read it.
fn without_identity(pool: &PoolFacts, attribute: &CustomAttribute) -> BTreeSet<String> {
    let may_read = |client: &UserPoolClientType| {
        let mut readable = client.read_attributes().iter();
        readable.any(|name| name == attribute.as_str())
    };
    let without = pool.clients.iter().filter(|client| !may_read(client));
    without
        .map(|client| client.client_name().unwrap_or_default().to_owned())
        .collect()
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
