//! Whether the secondary pool has hosted pages where the primary has them.

use aws_sdk_cognitoidentityprovider::types::DomainStatusType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;

const TOPIC: &str = "domain";

/// A secondary pool must have a domain if the primary has one, because sign-in pages and identity providers need it, and its pages should be
/// of the same kind.
pub fn domains(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let before = findings.len();
    for domain in &secondary.domains {
        if domain.status() != Some(&DomainStatusType::Active) {
            let name = domain.domain().unwrap_or_default();
            findings.wrong(
                TOPIC,
                format!("{name} of the secondary is not active: its pages cannot be used"),
                "wait until it is, or create it again: Cognito console › Branding › Domain",
            );
        }
    }
    match (hosts(primary).first(), hosts(secondary).first()) {
        (None, None) => return findings.good(TOPIC, "neither pool has hosted pages"),
        (None, Some(_)) => {}
        (Some(ours), None) => return missing(primary, ours, findings),
        (Some(_), Some(_)) => compare_pages(primary, secondary, findings),
    }
    if findings.len() == before {
        let names = hosts(secondary).join(", ");
        findings.good(TOPIC, format!("the secondary's is {names}"));
    }
}

/// The host names of the pages of a pool, its custom domain first.
pub fn hosts(pool: &PoolFacts) -> Vec<String> {
    let region = pool.id.region();
    let custom = pool.description.custom_domain().map(str::to_owned);
    // DG:cognito-user-pools-assign-domain-prefix.
    let prefix = pool.description.domain();
    let prefix = prefix.map(|prefix| format!("{prefix}.auth.{region}.amazoncognito.com"));
    custom.into_iter().chain(prefix).collect()
}

fn missing(primary: &PoolFacts, ours: &str, findings: &mut Findings) {
    let mut clients = primary.clients.iter();
    let is_used = clients.any(|client| client.allowed_o_auth_flows_user_pool_client == Some(true));
    let what = format!("the secondary has none, and the primary has {ours}");
    let advice = "create one, with another name, and give it to your applications: docs/application.md, \"What the twin must have beforehand\"";
    if is_used {
        findings.wrong(
            TOPIC,
            format!("{what}, which app clients use: they could sign nobody in"),
            advice,
        );
    } else {
        findings.warn(TOPIC, what, advice);
    }
}

/// botocore DomainDescriptionType, ManagedLoginVersion: 1 is the hosted UI (classic), 2 is managed login.
fn compare_pages(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let version = |pool: &PoolFacts| {
        let mut versions = pool.domains.iter().map(|d| d.managed_login_version());
        versions.find_map(|version| version).unwrap_or(1)
    };
    let name = |version| match version {
        1 => "the classic hosted UI",
        _ => "managed login",
    };
    let (ours, theirs) = (version(primary), version(secondary));
    if ours != theirs {
        findings.warn(
            TOPIC,
            format!(
                "the pages of the primary are {}, those of the secondary {}",
                name(ours),
                name(theirs)
            ),
            "set both alike, with the branding: Cognito console › Branding › Domain",
        );
    }
}
