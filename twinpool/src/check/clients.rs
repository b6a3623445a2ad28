//! The app clients of two pools, compared with their counterparts, and what they may write.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::UserPoolClientType;

use super::findings::{Finding, Findings, PoolFacts, attributes, list, texts};

/// Whether an application finds in the secondary what it is used to.
pub fn clients(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "app clients";
    if secondary.clients.is_empty() {
        findings.wrong(
            topic,
            "the secondary has none: no application can use it",
            "create your application's, as in the primary",
        );
        return;
    }
    let before = findings.len();
    for ours in &primary.clients {
        let name = ours.client_name().unwrap_or_default();
        let alike = secondary
            .clients
            .iter()
            .find(|theirs| theirs.client_name() == ours.client_name());
        match (alike, &primary.clients[..], &secondary.clients[..]) {
            (Some(theirs), _, _) | (None, [_], [theirs]) => client(
                name,
                Client {
                    settings: ours,
                    pool: primary,
                },
                Client {
                    settings: theirs,
                    pool: secondary,
                },
                findings,
            ),
            (None, _, _) => findings.warn(
                topic,
                format!("none of the secondary is named {name}"),
                "create it, as in the primary, and under the same name",
            ),
        }
    }
    if findings.len() == before {
        findings.good(
            topic,
            format!(
                "{} in the secondary, alike those of the primary",
                secondary.clients.len()
            ),
        );
    }
}

/// An app client of a pool.
#[derive(Clone, Copy)]
struct Client<'a> {
    settings: &'a UserPoolClientType,
    pool: &'a PoolFacts,
}

/// Cognito shows the flows and attributes of an app client only where somebody chose them. What it has otherwise is from botocore 1.44.5,
/// UserPoolClientType.
impl Client<'_> {
    fn auth_flows(&self) -> BTreeSet<String> {
        let flows = texts(self.settings.explicit_auth_flows(), |flow| flow.as_str());
        or(flows, || {
            let usual = [
                "ALLOW_CUSTOM_AUTH",
                "ALLOW_REFRESH_TOKEN_AUTH",
                "ALLOW_USER_SRP_AUTH",
            ];
            usual.map(str::to_owned).into()
        })
    }

    fn reads(&self) -> BTreeSet<String> {
        let attributes = texts(self.settings.read_attributes(), String::as_str);
        let mut readable = or(attributes, || self.standard_attributes());
        // It is in every token, whether it is listed or not.
        readable.remove("sub");
        readable
    }

    fn writes(&self) -> BTreeSet<String> {
        let attributes = texts(self.settings.write_attributes(), String::as_str);
        or(attributes, || {
            let mut writable = self.standard_attributes();
            writable.retain(|name| !name.ends_with("_verified"));
            writable
        })
    }

    fn standard_attributes(&self) -> BTreeSet<String> {
        let names = attributes(self.pool).into_keys().map(str::to_owned);
        names.filter(|name| !name.contains(':')).collect()
    }
}

fn or(chosen: BTreeSet<String>, usual: impl FnOnce() -> BTreeSet<String>) -> BTreeSet<String> {
    if chosen.is_empty() { usual() } else { chosen }
}

/// An app client and its counterpart.
fn client(name: &str, ours: Client<'_>, theirs: Client<'_>, findings: &mut Vec<Finding>) {
    let topic = "app clients";
    let missing = |of: fn(&Client<'_>) -> BTreeSet<String>| {
        let missing: BTreeSet<String> = of(&ours).difference(&of(&theirs)).cloned().collect();
        (!missing.is_empty()).then(|| list(&missing, "none"))
    };
    if let Some(flows) = missing(|client| client.auth_flows()) {
        findings.wrong(
            topic,
            format!("{name} of the secondary does not allow {flows}"),
            "allow what the primary's allows",
        );
    }
    if let Some(flows) =
        missing(|client| texts(client.settings.allowed_o_auth_flows(), |flow| flow.as_str()))
    {
        findings.wrong(
            topic,
            format!("{name} of the secondary does not allow the OAuth grant {flows}"),
            "allow what the primary's allows",
        );
    }
    for (what, of) in [
        (
            "the scope",
            (|client| texts(client.settings.allowed_o_auth_scopes(), String::as_str))
                as fn(&Client<'_>) -> BTreeSet<String>,
        ),
        ("the callback URL", |client| {
            texts(client.settings.callback_urls(), String::as_str)
        }),
        ("the attribute to read", |client| client.reads()),
        ("the attribute to write", |client| client.writes()),
    ] {
        if let Some(missing) = missing(of) {
            findings.warn(
                topic,
                format!("{name} of the secondary lacks {what} {missing}"),
                "make it like the primary's, unless your application does without",
            );
        }
    }
    if ours.settings.client_secret.is_some() != theirs.settings.client_secret.is_some() {
        findings.warn(
            topic,
            format!("{name} has a secret in one of the pools only"),
            "make sure that the application knows",
        );
    }
}

/// Whether a person's first `sub` is kept, and nobody can claim another's.
pub fn first_sub(
    primary: &PoolFacts,
    secondary: &PoolFacts,
    attribute: &str,
    findings: &mut Vec<Finding>,
) {
    let topic = "first sub";
    if !attributes(secondary).contains_key(attribute) {
        findings.warn(
            topic,
            format!("the secondary has no {attribute}: a replica does not know the sub its person has in the primary"),
            "add it if your application keys anything on the sub: aws cognito-idp add-custom-attributes",
        );
        return;
    }
    let writes = |client: &&UserPoolClientType| {
        client
            .write_attributes()
            .iter()
            .any(|name| name == attribute)
    };
    let both = primary.clients.iter().chain(&secondary.clients);
    let writers: BTreeSet<String> = both
        .filter(writes)
        .map(|client| client.client_name().unwrap_or_default().to_owned())
        .collect();
    if writers.is_empty() {
        findings.good(
            topic,
            format!("{attribute} is in the secondary, and no app client may write it"),
        );
    } else {
        findings.wrong(
            topic,
            format!("app clients may write {attribute}: {}; whoever signs up could claim to be another person", list(&writers, "none")),
            "take it out of the attributes that these clients may write",
        );
    }
}
