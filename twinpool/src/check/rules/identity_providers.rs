//! Whether users can sign in with the same identity providers in both pools.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cognitoidentityprovider::types::{IdentityProviderType, IdentityProviderTypeType};

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;
use crate::check::rules::domains::hosts;

const TOPIC: &str = "identity providers";

/// Each identity provider of the primary pool should be in the secondary pool, with the same attributes, and must accept the secondary's
/// callback, which only the provider knows.
pub fn identity_providers(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let by_name = by_name(secondary);
    let mut callbacks = BTreeSet::new();
    for ours in &primary.identity_providers {
        let name = ours.provider_name().unwrap_or_default();
        let Some(theirs) = by_name.get(name) else {
            findings.wrong(
                TOPIC,
                format!("the secondary does not have {name}: nobody can sign in with it"),
                "add it as in the primary, and register the secondary's callback with the provider",
            );
            continue;
        };
        if theirs.provider_type() != ours.provider_type() {
            findings.wrong(
                TOPIC,
                format!("{name} is of another type in the secondary"),
                "add it as in the primary",
            );
        }
        if theirs.attribute_mapping != ours.attribute_mapping {
            findings.warn(
                TOPIC,
                format!("{name} maps other attributes in the secondary"),
                "map the same attributes in both pools",
            );
        }
        callbacks.extend(callback(theirs, secondary));
    }
    if primary.identity_providers.is_empty() {
        return findings.good(TOPIC, "the primary has none");
    }
    if !callbacks.is_empty() {
        findings.warn(
            TOPIC,
            format!(
                "not known whether the providers accept the callbacks of the secondary: {}",
                join_names(&callbacks, "none")
            ),
            "register them with each provider, and sign in once in a drill; federated users are not replicated, and sign in to the secondary \
             as new users",
        );
    }
}

fn by_name(pool: &PoolFacts) -> BTreeMap<&str, &IdentityProviderType> {
    let providers = pool.identity_providers.iter();
    providers
        .filter_map(|provider| Some((provider.provider_name()?, provider)))
        .collect()
}

/// What the provider must accept: DG:cognito-user-pools-oidc-idp and DG:cognito-user-pools-configuring-federation-with-saml.
fn callback(provider: &IdentityProviderType, pool: &PoolFacts) -> Option<String> {
    let hosts = hosts(pool);
    let host = hosts.first()?;
    Some(match provider.provider_type() {
        Some(IdentityProviderTypeType::Saml) => format!(
            "https://{host}/saml2/idpresponse (audience urn:amazon:cognito:sp:{})",
            pool.id
        ),
        _ => format!("https://{host}/oauth2/idpresponse"),
    })
}
