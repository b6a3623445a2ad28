//! Settings of two pools with which nothing may be written, decided from what the pools say of themselves alone.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::{UserPoolClientType, UserPoolType};
use shared::cognito::trigger::is_detached;
use shared::environment::CustomAttribute;

/// What a pool says of itself.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings<'a> {
    /// The answer of DescribeUserPool.
    pub pool: &'a UserPoolType,
    /// All app clients of the pool.
    pub clients: &'a [UserPoolClientType],
    /// The function that the pool should run after a confirmation, if that is known.
    pub trigger_arn: Option<&'a str>,
}

/// Why nothing may be written with two pools as they are, each reason a sentence without a full stop; none when nothing is in the way.
///
/// - Pools whose people sign in differently compare names differently, so that nobody can tell who is whom. These settings cannot be
///   changed once a pool exists (DG:user-pool-settings-attributes).
/// - A person who can write the origin attribute can become somebody else.
/// - Without the triggers, people who used the secondary pool have no record, and would be taken for replicas.
pub fn reasons_not_to_write(
    primary: PoolSettings<'_>,
    secondary: PoolSettings<'_>,
    origin: Option<&CustomAttribute>,
) -> Vec<String> {
    let mut obstacles = Vec::new();
    for (what, of) in [
        (
            "the sign-in attributes",
            username_attributes as fn(&UserPoolType) -> BTreeSet<String>,
        ),
        ("the aliases", aliases),
        ("the letter case of usernames", letter_case),
    ] {
        let (ours, theirs) = (of(primary.pool), of(secondary.pool));
        if ours != theirs {
            obstacles.push(format!(
                "{what} of the pools differ: {} in the primary, {} in the secondary",
                join(&ours),
                join(&theirs)
            ));
        }
    }
    for (name, settings) in [("primary", primary), ("secondary", secondary)] {
        let runs = settings.pool.lambda_config();
        let runs = runs.and_then(|triggers| triggers.post_confirmation());
        if is_detached(runs, settings.trigger_arn) {
            obstacles.push(format!(
                "the {name} pool does not run twinpool's function after a confirmation: attach it again (twinpool attach)"
            ));
        }
        let writers = origin.map(|origin| writers_of(settings.clients, origin));
        if let (Some(origin), Some(writers)) = (origin, writers.filter(|w| !w.is_empty())) {
            obstacles.push(format!(
                "app clients of the {name} pool may write {}: {}; whoever can write it can become somebody else",
                origin.as_str(),
                join(&writers)
            ));
        }
    }
    obstacles
}

/// The names of the app clients that may write a custom attribute, because they name it. For those that name none, see
/// [`unclear_writers_of`].
pub fn writers_of(clients: &[UserPoolClientType], attribute: &CustomAttribute) -> BTreeSet<String> {
    let may_write = |client: &&UserPoolClientType| {
        let mut writable = client.write_attributes().iter();
        writable.any(|name| name == attribute.as_str())
    };
    let writers = clients.iter().filter(may_write);
    writers
        .map(|client| client.client_name().unwrap_or_default().to_owned())
        .collect()
}

/// The names of the app clients that do not name the attributes that they may write. Nobody can tell whether they may write a custom
/// attribute: botocore (UserPoolClientType) says the standard ones only, the README of aws-cdk-lib/aws-cognito says all.
pub fn unclear_writers_of(clients: &[UserPoolClientType]) -> BTreeSet<String> {
    let unclear = clients
        .iter()
        .filter(|client| client.write_attributes().is_empty());
    unclear
        .map(|client| client.client_name().unwrap_or_default().to_owned())
        .collect()
}

/// What an operator should know of two pools although people may be written with them, each a sentence without a full stop.
pub fn warnings(
    primary: &[UserPoolClientType],
    secondary: &[UserPoolClientType],
    origin: Option<&CustomAttribute>,
) -> Vec<String> {
    let Some(origin) = origin else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    for (name, clients) in [("primary", primary), ("secondary", secondary)] {
        let unclear = unclear_writers_of(clients);
        if !unclear.is_empty() {
            warnings.push(format!(
                "app clients of the {name} pool do not name the attributes that they may write, and may write {} too: {}; whoever can write it \
                 can become somebody else",
                origin.as_str(),
                join(&unclear)
            ));
        }
    }
    warnings
}

fn username_attributes(pool: &UserPoolType) -> BTreeSet<String> {
    let attributes = pool.username_attributes().iter();
    attributes.map(|a| a.as_str().to_owned()).collect()
}

fn aliases(pool: &UserPoolType) -> BTreeSet<String> {
    let attributes = pool.alias_attributes().iter();
    attributes.map(|a| a.as_str().to_owned()).collect()
}

/// botocore UsernameConfigurationType: case sensitive unless the pool says otherwise.
fn letter_case(pool: &UserPoolType) -> BTreeSet<String> {
    let configuration = pool.username_configuration();
    let is_sensitive = configuration.is_none_or(|configuration| configuration.case_sensitive);
    let name = if is_sensitive {
        "case-sensitive"
    } else {
        "not case-sensitive"
    };
    BTreeSet::from([name.to_owned()])
}

fn join(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::{
        AliasAttributeType, LambdaConfigType, UsernameAttributeType, UsernameConfigurationType,
    };

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:ap-northeast-1:123456789012:function:trigger";

    fn pool() -> UserPoolType {
        UserPoolType::builder()
            .username_attributes(UsernameAttributeType::Email)
            .lambda_config(
                LambdaConfigType::builder()
                    .post_confirmation(FUNCTION)
                    .build(),
            )
            .build()
    }

    fn client(writable: &[&str]) -> UserPoolClientType {
        let writable = writable.iter().map(|name| (*name).to_owned()).collect();
        UserPoolClientType::builder()
            .client_name("app")
            .set_write_attributes(Some(writable))
            .build()
    }

    /// What is in the way after a change of two pools that can be reconciled.
    fn after(
        change: impl FnOnce(&mut (UserPoolType, UserPoolClientType), &mut Option<&'static str>),
    ) -> Vec<String> {
        let mut changed = (pool(), client(&["email"]));
        let mut expected = Some(FUNCTION);
        change(&mut changed, &mut expected);
        let (other, other_client) = (pool(), client(&[]));
        let origin = "custom:origin_sub".parse().ok();
        let primary = PoolSettings {
            pool: &changed.0,
            clients: std::slice::from_ref(&changed.1),
            trigger_arn: expected,
        };
        let secondary = PoolSettings {
            pool: &other,
            clients: &[other_client],
            trigger_arn: None,
        };
        let found = reasons_not_to_write(primary, secondary, origin.as_ref());
        let mirrored = reasons_not_to_write(secondary, primary, origin.as_ref());
        assert_eq!(found.len(), mirrored.len(), "whichever pool it is");
        found
    }

    #[test]
    fn two_pools_alike_with_their_triggers_have_no_obstacle() {
        assert!(after(|_, _| {}).is_empty());
    }

    #[test]
    fn pools_whose_people_sign_in_differently_are_not_reconciled() {
        let insensitive = UsernameConfigurationType::builder().case_sensitive(false);

        for (found, what) in [
            (
                after(|(pool, _), _| pool.username_attributes = None),
                "sign-in attributes",
            ),
            (
                after(|(pool, _), _| {
                    pool.alias_attributes = Some(vec![AliasAttributeType::PreferredUsername]);
                }),
                "aliases",
            ),
            (
                after(|(pool, _), _| {
                    pool.username_configuration = insensitive.build().ok();
                }),
                "letter case",
            ),
        ] {
            assert_eq!(found.len(), 1);
            assert!(found[0].contains(what), "{}", found[0]);
        }
    }

    #[test]
    fn nothing_is_written_while_a_trigger_is_detached() {
        let none = after(|(pool, _), _| pool.lambda_config = None);
        let another = after(|_, expected| *expected = Some("arn:other"));

        assert_eq!(none.len(), 1);
        assert_eq!(another.len(), 1);
    }

    #[test]
    fn no_app_client_of_either_pool_may_write_the_origin_attribute() {
        let found = after(|(_, app), _| *app = client(&["email", "custom:origin_sub"]));

        assert_eq!(found.len(), 1);
        assert!(found[0].contains("may write custom:origin_sub: app"));
    }

    #[test]
    fn a_client_that_does_not_name_what_it_may_write_is_a_warning_and_no_obstacle() {
        let origin = "custom:origin_sub".parse().ok();
        let (unclear, clear) = ([client(&[])], [client(&["email"])]);

        let found = warnings(&clear, &unclear, origin.as_ref());

        assert_eq!(found.len(), 1);
        assert!(found[0].contains("of the secondary pool"), "{}", found[0]);
        assert!(found[0].contains("may write custom:origin_sub too: app"));
        assert!(after(|(_, app), _| *app = client(&[])).is_empty());
        assert!(warnings(&unclear, &unclear, None).is_empty());
    }

    #[test]
    fn without_an_origin_attribute_no_client_is_in_the_way() {
        let (pool, clients) = (pool(), [client(&["custom:origin_sub"])]);
        let settings = PoolSettings {
            pool: &pool,
            clients: &clients,
            trigger_arn: None,
        };

        assert!(reasons_not_to_write(settings, settings, None).is_empty());
    }
}
