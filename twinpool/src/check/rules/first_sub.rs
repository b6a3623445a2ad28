//! Whether the secondary pool keeps each user's first `sub`, and whether nobody can forge it.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::UserPoolClientType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;

/// The attribute for the first `sub` should exist in the secondary pool, and no app client may write it.
pub fn first_sub(
    primary: &PoolFacts,
    secondary: &PoolFacts,
    attribute: &str,
    findings: &mut Findings,
) {
    let topic = "first sub";
    if !secondary.attributes().contains_key(attribute) {
        findings.warn(
            topic,
            format!("the secondary has no attribute {attribute}: a replica does not record the user's sub in the primary"),
            "if your application uses the sub as a key, add the attribute: aws cognito-idp add-custom-attributes",
        );
        return;
    }
    let may_write = |client: &&UserPoolClientType| {
        client
            .write_attributes()
            .iter()
            .any(|name| name == attribute)
    };
    let both = primary.clients.iter().chain(&secondary.clients);
    let writers: BTreeSet<String> = both
        .filter(may_write)
        .map(|client| client.client_name().unwrap_or_default().to_owned())
        .collect();
    if writers.is_empty() {
        findings.good(
            topic,
            format!("the secondary has {attribute}, and no app client may write it"),
        );
    } else {
        findings.wrong(
            topic,
            format!(
                "app clients may write {attribute}: {}; a user could pretend to be another user",
                join_names(&writers, "none")
            ),
            "remove it from the attributes that these clients may write",
        );
    }
}
