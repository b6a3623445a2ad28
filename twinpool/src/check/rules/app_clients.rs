//! Whether an application finds the same app clients in both pools.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::UserPoolClientType;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::{join_names, names_of};
use crate::check::rules::client_settings::{differences, providers};

const TOPIC: &str = "app clients";

/// Each app client of the primary pool should have a counterpart in the secondary pool that allows the same.
///
/// A counterpart has the same name; where each pool has a single client, these are counterparts whatever their names.
pub fn app_clients(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    if secondary.clients.is_empty() {
        findings.wrong(
            TOPIC,
            "the secondary has none: no application can use it",
            "create the app clients of your application, as in the primary",
        );
        return;
    }
    let before = findings.len();
    for ours in &primary.clients {
        let name = ours.client_name().unwrap_or_default();
        let same_name = secondary
            .clients
            .iter()
            .find(|theirs| theirs.client_name() == ours.client_name());
        match (same_name, &primary.clients[..], &secondary.clients[..]) {
            (Some(theirs), _, _) | (None, [_], [theirs]) => compare_clients(
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
                TOPIC,
                format!("the secondary has none that is named {name}"),
                "create it as in the primary, under the same name",
            ),
        }
    }
    if findings.len() == before {
        findings.good(
            TOPIC,
            format!(
                "{} in the secondary, with the settings of the primary",
                secondary.clients.len()
            ),
        );
    }
}

/// An app client, together with its pool.
#[derive(Clone, Copy)]
struct Client<'a> {
    settings: &'a UserPoolClientType,
    pool: &'a PoolFacts,
}

/// Cognito shows the flows and attributes of an app client only if they were set explicitly. The defaults are from botocore 1.44.5,
/// UserPoolClientType.
impl Client<'_> {
    fn auth_flows(&self) -> BTreeSet<String> {
        let flows = names_of(self.settings.explicit_auth_flows(), |flow| flow.as_str());
        or_default(flows, || {
            let defaults = [
                "ALLOW_CUSTOM_AUTH",
                "ALLOW_REFRESH_TOKEN_AUTH",
                "ALLOW_USER_SRP_AUTH",
            ];
            defaults.map(str::to_owned).into()
        })
    }

    fn readable_attributes(&self) -> BTreeSet<String> {
        let attributes = names_of(self.settings.read_attributes(), String::as_str);
        let mut readable = or_default(attributes, || self.standard_attributes());
        // Every token contains it, whether it is listed or not.
        readable.remove("sub");
        readable
    }

    fn writable_attributes(&self) -> BTreeSet<String> {
        let attributes = names_of(self.settings.write_attributes(), String::as_str);
        or_default(attributes, || {
            let mut writable = self.standard_attributes();
            writable.retain(|name| !name.ends_with("_verified"));
            writable
        })
    }

    fn standard_attributes(&self) -> BTreeSet<String> {
        let names = self.pool.attributes().into_keys().map(str::to_owned);
        names.filter(|name| !name.contains(':')).collect()
    }
}

fn or_default(
    explicit: BTreeSet<String>,
    default: impl FnOnce() -> BTreeSet<String>,
) -> BTreeSet<String> {
    if explicit.is_empty() {
        default()
    } else {
        explicit
    }
}

/// Compares an app client with its counterpart.
fn compare_clients(name: &str, ours: Client<'_>, theirs: Client<'_>, findings: &mut Findings) {
    let missing = |of: fn(&Client<'_>) -> BTreeSet<String>| {
        let missing: BTreeSet<String> = of(&ours).difference(&of(&theirs)).cloned().collect();
        (!missing.is_empty()).then(|| join_names(&missing, "none"))
    };
    if let Some(flows) = missing(|client| client.auth_flows()) {
        findings.wrong(
            TOPIC,
            format!("{name} in the secondary does not allow {flows}"),
            "allow what the client in the primary allows",
        );
    }
    if let Some(flows) =
        missing(|client| names_of(client.settings.allowed_o_auth_flows(), |flow| flow.as_str()))
    {
        findings.wrong(
            TOPIC,
            format!("{name} in the secondary does not allow the OAuth grant {flows}"),
            "allow what the client in the primary allows",
        );
    }
    if let Some(providers) = missing(|client| providers(client.settings)) {
        findings.wrong(
            TOPIC,
            format!("{name} in the secondary does not offer the identity provider {providers}"),
            "offer what the client in the primary offers",
        );
    }
    for (what, of) in [
        (
            "the scope",
            (|client| names_of(client.settings.allowed_o_auth_scopes(), String::as_str))
                as fn(&Client<'_>) -> BTreeSet<String>,
        ),
        ("the callback URL", |client| {
            names_of(client.settings.callback_urls(), String::as_str)
        }),
        ("the sign-out URL", |client| {
            names_of(client.settings.logout_urls(), String::as_str)
        }),
        ("the readable attribute", |client| {
            client.readable_attributes()
        }),
        ("the writable attribute", |client| {
            client.writable_attributes()
        }),
    ] {
        if let Some(missing) = missing(of) {
            findings.warn(
                TOPIC,
                format!("{name} in the secondary lacks {what} {missing}"),
                "set it as in the primary, unless your application does not need it",
            );
        }
    }
    if ours.settings.client_secret.is_some() != theirs.settings.client_secret.is_some() {
        findings.warn(
            TOPIC,
            format!("{name} has a client secret in one of the pools only"),
            "make sure that your application can handle both",
        );
    }
    let differences = differences(ours.settings, theirs.settings);
    if !differences.is_empty() {
        findings.warn(
            TOPIC,
            format!("{name}: {}", differences.join("; ")),
            "set it as in the primary, unless you mean it",
        );
    }
}
