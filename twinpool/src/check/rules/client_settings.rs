//! The settings of an app client that an application notices: how long tokens last, where users are sent, which errors it gets.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::{TimeUnitsType, UserPoolClientType};

/// Reads a setting of an app client, as it is shown.
type Setting = fn(&UserPoolClientType) -> String;

/// The differences between an app client of the primary and its counterpart, each as a sentence that follows the client's name.
pub fn differences(ours: &UserPoolClientType, theirs: &UserPoolClientType) -> Vec<String> {
    let settings: [(&str, Setting); 9] = [
        ("the access token lasts", |client| {
            lifetime(client, Token::Access)
        }),
        ("the ID token lasts", |client| lifetime(client, Token::Id)),
        ("the refresh token lasts", |client| {
            lifetime(client, Token::Refresh)
        }),
        // botocore UserPoolClientType: 3 minutes.
        ("the session of a sign-in lasts", |client| {
            format!("{} min", client.auth_session_validity.unwrap_or(3))
        }),
        ("refresh tokens are", |client| {
            let rotation = client.refresh_token_rotation();
            let is_on = rotation.is_some_and(|rotation| rotation.feature.as_str() == "ENABLED");
            if is_on { "rotated" } else { "kept" }.to_owned()
        }),
        ("token revocation is", |client| {
            on_or_off(client.enable_token_revocation)
        }),
        // DG:cognito-user-pool-managing-errors: LEGACY unless it says otherwise.
        ("PreventUserExistenceErrors is", |client| {
            let existence = client.prevent_user_existence_errors();
            existence.map_or("LEGACY", |e| e.as_str()).to_owned()
        }),
        ("the default redirect URL is", |client| {
            client.default_redirect_uri().unwrap_or("none").to_owned()
        }),
        ("the OAuth endpoints are", |client| {
            on_or_off(client.allowed_o_auth_flows_user_pool_client)
        }),
    ];
    let differing = settings.into_iter().filter_map(|(what, of)| {
        let (first, second) = (of(ours), of(theirs));
        (first != second)
            .then(|| format!("{what} {first} in the primary, {second} in the secondary"))
    });
    differing.collect()
}

/// The identity providers that an app client offers.
pub fn providers(client: &UserPoolClientType) -> BTreeSet<String> {
    let providers = client.supported_identity_providers().iter();
    providers.cloned().collect()
}

#[derive(Clone, Copy)]
enum Token {
    Access,
    Id,
    Refresh,
}

/// How long a token lasts. botocore UserPoolClientType: an hour for access and ID tokens, in hours; 30 days for refresh tokens, in days.
fn lifetime(client: &UserPoolClientType, token: Token) -> String {
    let units = client.token_validity_units();
    let (count, unit, default_unit) = match token {
        Token::Access => (
            client.access_token_validity.unwrap_or(1),
            units.and_then(|units| units.access_token()),
            TimeUnitsType::Hours,
        ),
        Token::Id => (
            client.id_token_validity.unwrap_or(1),
            units.and_then(|units| units.id_token()),
            TimeUnitsType::Hours,
        ),
        Token::Refresh => (
            // botocore: 0 means the default.
            match client.refresh_token_validity {
                0 => 30,
                days => days,
            },
            units.and_then(|units| units.refresh_token()),
            TimeUnitsType::Days,
        ),
    };
    let seconds = i64::from(count)
        * match unit.unwrap_or(&default_unit) {
            TimeUnitsType::Seconds => 1,
            TimeUnitsType::Minutes => 60,
            TimeUnitsType::Days => 86_400,
            _ => 3_600,
        };
    match seconds {
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

fn on_or_off(setting: Option<bool>) -> String {
    if setting == Some(true) { "on" } else { "off" }.to_owned()
}
