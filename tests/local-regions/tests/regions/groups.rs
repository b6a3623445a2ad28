//! Groups as SDK clients see them.

use aws_sdk_cognitoidentityprovider as cognito;
use cognito::config::Credentials;
use local_regions::cognito::SeedUser;
use local_regions::faults::{Fault, Kind, Service};

use super::{cognito_once, describe, world};

#[tokio::test]
async fn a_group_and_its_members_are_made_and_read_with_recorded_calls() {
    let world = world().await;
    let pool = &world.primary.id;
    let seeded = SeedUser {
        attributes: [("email".to_owned(), "taro@e.jp".to_owned())].into(),
        ..SeedUser::default()
    };
    let sub = world.tokyo.cognito().put_user(pool, seeded);
    let client = world.tokyo.cognito_client();

    let made = client.create_group().user_pool_id(pool).group_name("staff");
    let made = made.precedence(2).send().await.unwrap().group.unwrap();
    client
        .admin_add_user_to_group()
        .user_pool_id(pool)
        .username("taro@e.jp")
        .group_name("staff")
        .send()
        .await
        .unwrap();
    let groups = client.list_groups().user_pool_id(pool).send();
    let groups = groups.await.unwrap().groups.unwrap();
    let members = client
        .list_users_in_group()
        .user_pool_id(pool)
        .group_name("staff")
        .send();
    let members = members.await.unwrap().users.unwrap();

    assert_eq!(groups, [made]);
    assert_eq!(groups[0].precedence(), Some(2));
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].username(), Some(sub.as_str()));
    let calls = world.calls();
    let calls: Vec<_> = calls
        .iter()
        .map(|call| (call.operation.as_str(), call.resource.as_str()))
        .collect();
    let operations = [
        "CreateGroup",
        "AdminAddUserToGroup",
        "ListGroups",
        "ListUsersInGroup",
    ];
    assert_eq!(
        calls,
        operations.map(|operation| (operation, pool.as_str()))
    );
}

#[tokio::test]
async fn a_call_about_groups_needs_the_regions_keys_and_meets_faults() {
    let world = world().await;
    let pool = &world.primary.id;
    let client = cognito_once(&world.tokyo);
    let strange = Credentials::new("AKIASOMEBODYELSE0000", "secret", None, None, "test");
    let stranger = client.config().to_builder().credentials_provider(strange);
    let stranger = cognito::Client::from_conf(stranger.build());
    let throttle = Fault::on(Service::Cognito, "ListGroups", Kind::Throttle);
    world.tokyo.faults().add(throttle.times(1));

    let refused = stranger.list_users_in_group().user_pool_id(pool);
    let refused = refused.group_name("staff").send().await.unwrap_err();
    let unknown = client.list_users_in_group().user_pool_id(pool);
    let unknown = unknown.group_name("staff").send().await.unwrap_err();
    let throttled = client.list_groups().user_pool_id(pool).send().await;
    let throttled = throttled.unwrap_err();

    assert_eq!(describe(&refused), "400 UnrecognizedClientException");
    assert_eq!(describe(&unknown), "400 ResourceNotFoundException");
    assert_eq!(describe(&throttled), "400 TooManyRequestsException");
}
