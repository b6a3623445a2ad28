//! Groups, their members, and their listings.

use super::*;

/// Follows a listing to its end; returns the lengths of the pages and what `pick` finds in each item.
async fn follow(
    local: &Local,
    operation: &str,
    query: Value,
    items: &str,
    pick: &str,
) -> (Vec<usize>, Vec<String>) {
    let (mut lengths, mut found, mut token) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let mut body = query.clone();
        body["NextToken"] = token;
        let page = local.ok(operation, body).await;
        let page_items = page[items].as_array().expect("items");
        lengths.push(page_items.len());
        found.extend(page_items.iter().map(|item| text(item, pick).to_owned()));
        token = page["NextToken"].clone();
        if token.is_null() {
            return (lengths, found);
        }
    }
}

async fn members(local: &Local, group: &str) -> BTreeSet<String> {
    let query = json!({"GroupName": group});
    let (_, names) = follow(local, "ListUsersInGroup", query, "Users", "Username").await;
    names.into_iter().collect()
}

fn membership(username: &str, group: &str) -> Value {
    json!({"Username": username, "GroupName": group})
}

#[tokio::test]
async fn given_a_group_when_made_and_changed_then_it_is_returned_as_it_is() {
    let local = Local::new(email_pool());
    let role = "arn:aws:iam::123456789012:role/staff";
    let made = json!({"GroupName": "職員", "Description": "all", "RoleArn": role, "Precedence": 3});
    let made = local.ok("CreateGroup", made).await["Group"].clone();
    let named = json!({"GroupName": "職員"});
    assert_eq!(local.ok("GetGroup", named.clone()).await["Group"], made);
    assert_eq!(
        (&made["Description"], &made["RoleArn"], &made["Precedence"]),
        (&json!("all"), &json!(role), &json!(3))
    );
    assert_eq!(made["UserPoolId"], local.pool.id.as_str());
    assert!(made["CreationDate"].is_number() && made["LastModifiedDate"].is_number());

    let only = json!({"GroupName": "職員", "Precedence": 0});
    let cleared = local.ok("UpdateGroup", only.clone()).await["Group"].clone();
    assert_eq!(cleared["Precedence"], 0);
    assert!(cleared.get("Description").is_none() && cleared.get("RoleArn").is_none());
    local.cognito.knobs().set_update_group_keeps(true);
    let described = json!({"GroupName": "職員", "Description": "some"});
    local.ok("UpdateGroup", described).await;
    let kept = local.ok("UpdateGroup", only).await["Group"].clone();
    assert_eq!(
        (&kept["Description"], &kept["Precedence"]),
        (&json!("some"), &json!(0))
    );

    assert_eq!(
        local.cognito.groups(&local.pool.id),
        [GroupView {
            name: "職員".to_owned(),
            description: Some("some".to_owned()),
            role_arn: None,
            precedence: Some(0),
        }]
    );
    local.ok("DeleteGroup", named.clone()).await;
    assert_eq!(
        local.refused("GetGroup", named).await,
        "ResourceNotFoundException: Group not found."
    );
}

#[tokio::test]
async fn given_requests_on_groups_that_break_a_rule_when_sent_then_each_is_refused_for_it() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local.cognito.add_to_group(&local.pool.id, &sub, "staff");
    for name in ["staff", "STAFF"] {
        assert_eq!(
            local
                .refused("CreateGroup", json!({"GroupName": name}))
                .await,
            "GroupExistsException: A group with the name already exists."
        );
    }
    for (body, wrong) in [
        (
            json!({}),
            "'groupName' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({"GroupName": "two words"}),
            "regular expression pattern",
        ),
        (
            json!({"GroupName": "x".repeat(129)}),
            "less than or equal to 128",
        ),
        (
            json!({"GroupName": "g", "Description": "x".repeat(2049)}),
            "less than or equal to 2048",
        ),
        (
            json!({"GroupName": "g", "RoleArn": "role/staff-of-the-pool"}),
            "regular expression",
        ),
        (
            json!({"GroupName": "g", "Precedence": -1}),
            "greater than or equal to 0",
        ),
    ] {
        let refusal = local.refused("CreateGroup", body).await;
        assert!(
            refusal.starts_with("InvalidParameterException"),
            "{refusal}"
        );
        assert!(refusal.contains(wrong), "{refusal}");
    }
    let unknown = "ResourceNotFoundException: Group not found.";
    for operation in [
        "GetGroup",
        "UpdateGroup",
        "DeleteGroup",
        "ListUsersInGroup",
        "AdminAddUserToGroup",
        "AdminRemoveUserFromGroup",
    ] {
        let mut body = json!({"GroupName": "Staff"});
        if operation.starts_with("Admin") {
            body["Username"] = sub.as_str().into();
        }
        assert_eq!(local.refused(operation, body).await, unknown, "{operation}");
    }
    for operation in ["AdminAddUserToGroup", "AdminRemoveUserFromGroup"] {
        let refusal = local
            .refused(operation, membership("nobody@e.jp", "staff"))
            .await;
        assert_eq!(refusal, "UserNotFoundException: User does not exist.");
    }
    let elsewhere = json!({"UserPoolId": "ap-northeast-3_AbCdEf123"});
    assert!(
        local
            .refused("ListGroups", elsewhere)
            .await
            .starts_with("ResourceNotFoundException: User pool")
    );
    for operation in ["ListGroups", "ListUsersInGroup", "AdminListGroupsForUser"] {
        let mut body = membership(&sub, "staff");
        body["Limit"] = 61.into();
        let refusal = local.refused(operation, body).await;
        assert!(refusal.contains("less than or equal to 60"), "{refusal}");
    }
}

#[tokio::test]
async fn given_a_pool_and_a_user_at_their_limits_when_one_more_group_is_wanted_then_it_is_refused()
{
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local.cognito.knobs().set_most_groups(101);
    for i in 0..101 {
        local
            .ok("CreateGroup", json!({"GroupName": format!("g{i}")}))
            .await;
    }
    let refusal = local
        .refused("CreateGroup", json!({"GroupName": "one-more"}))
        .await;
    assert!(refusal.starts_with("LimitExceededException"), "{refusal}");
    for i in 0..100 {
        local
            .ok("AdminAddUserToGroup", membership(&sub, &format!("g{i}")))
            .await;
    }
    let refusal = local
        .refused("AdminAddUserToGroup", membership(&sub, "g100"))
        .await;
    assert!(refusal.starts_with("LimitExceededException"), "{refusal}");
    local
        .ok("AdminAddUserToGroup", membership(&sub, "g7"))
        .await;
    assert_eq!(local.cognito.groups_of(&local.pool.id, &sub).len(), 100);
}

#[tokio::test]
async fn given_members_when_they_are_added_and_removed_twice_then_nothing_is_refused() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local.ok("CreateGroup", json!({"GroupName": "staff"})).await;
    for _ in 0..2 {
        local
            .ok("AdminAddUserToGroup", membership("taro@e.jp", "staff"))
            .await;
        assert_eq!(
            members(&local, "staff").await,
            BTreeSet::from([sub.clone()])
        );
    }
    for _ in 0..2 {
        local
            .ok("AdminRemoveUserFromGroup", membership(&sub, "staff"))
            .await;
        assert!(members(&local, "staff").await.is_empty());
    }
}

#[tokio::test]
async fn given_a_member_when_listed_then_all_of_the_user_is_shown_whether_enabled_or_not() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::ResetRequired);
    local.cognito.set_enabled(&local.pool.id, &sub, false);
    local.cognito.add_to_group(&local.pool.id, &sub, "staff");
    let listed = local
        .ok("ListUsersInGroup", json!({"GroupName": "staff"}))
        .await["Users"][0]
        .clone();
    let all = local.ok("ListUsers", json!({})).await["Users"][0].clone();
    assert_eq!(listed, all);
    assert_eq!(
        (&listed["Enabled"], &listed["UserStatus"]),
        (&json!(false), &json!("RESET_REQUIRED"))
    );
}

#[tokio::test]
async fn given_more_than_a_page_when_listings_are_followed_then_everything_is_there_once() {
    let local = Local::new(email_pool());
    let pool = &local.pool.id;
    let everybody: BTreeSet<_> = (0..130)
        .map(|i| local.seed(&format!("user{i}@e.jp"), UserStatus::Confirmed))
        .collect();
    for sub in &everybody {
        local.cognito.add_to_group(pool, sub, "all");
    }
    let first = everybody.first().expect("somebody");
    for i in 0..70 {
        local.cognito.add_to_group(pool, first, &format!("g{i}"));
    }
    let all = json!({"GroupName": "all"});
    let (lengths, names) =
        follow(&local, "ListUsersInGroup", all.clone(), "Users", "Username").await;
    assert_eq!((lengths, names.len()), (vec![60, 60, 10], 130));
    for pages in [Pages::Short { seed: 3 }, Pages::Empty { seed: 3 }] {
        local.cognito.knobs().set_pages(pages);
        let (lengths, names) =
            follow(&local, "ListUsersInGroup", all.clone(), "Users", "Username").await;
        assert_ne!(lengths, [60, 60, 10]);
        assert_eq!(names.len(), 130);
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), everybody);
    }
    for (query, pages) in [
        (json!({}), vec![60, 11]),
        (json!({"Limit": 50}), vec![50, 21]),
    ] {
        let (lengths, names) =
            follow(&local, "ListGroups", query.clone(), "Groups", "GroupName").await;
        assert_eq!((lengths, names.len()), (pages.clone(), 71));
        let mut query = query;
        query["Username"] = first.as_str().into();
        let (lengths, names) = follow(
            &local,
            "AdminListGroupsForUser",
            query,
            "Groups",
            "GroupName",
        )
        .await;
        assert_eq!((lengths, names.len()), (pages, 71));
    }
}

#[tokio::test]
async fn given_a_token_when_used_for_another_listing_or_too_late_then_it_is_refused() {
    let local = Local::new(email_pool());
    for name in ["a", "b"] {
        for email in ["taro@e.jp", "hana@e.jp"] {
            if local.cognito.user(&local.pool.id, email).is_none() {
                local.seed(email, UserStatus::Confirmed);
            }
            local.cognito.add_to_group(&local.pool.id, email, name);
        }
    }
    let of_a = json!({"GroupName": "a", "Limit": 1});
    let page = local.ok("ListUsersInGroup", of_a.clone()).await;
    let go_on = |operation: &str, mut body: Value| {
        body["NextToken"] = page["NextToken"].clone();
        (operation.to_owned(), body)
    };
    let invalid = "InvalidParameterException: Invalid pagination token given.";
    for (operation, body) in [
        go_on("ListUsersInGroup", json!({"GroupName": "b"})),
        go_on("ListGroups", json!({})),
        go_on("AdminListGroupsForUser", json!({"Username": "taro@e.jp"})),
    ] {
        assert_eq!(local.refused(&operation, body).await, invalid);
    }
    let (operation, body) = go_on("ListUsersInGroup", of_a);
    local.ok(&operation, body.clone()).await;
    local.cognito.advance(Duration::from_secs(3600));
    assert_eq!(local.refused(&operation, body).await, invalid);
}

#[tokio::test]
async fn given_a_lag_when_members_come_and_go_then_the_listing_of_the_group_learns_of_it_later() {
    let local = Local::new(email_pool());
    let pool = &local.pool.id;
    let goes = local.seed("goes@e.jp", UserStatus::Confirmed);
    let comes = local.seed("comes@e.jp", UserStatus::Confirmed);
    local.cognito.add_to_group(pool, &goes, "staff");
    local
        .cognito
        .knobs()
        .set_group_lag(Duration::from_secs(600));
    local
        .ok("AdminRemoveUserFromGroup", membership(&goes, "staff"))
        .await;
    local
        .ok("AdminAddUserToGroup", membership(&comes, "staff"))
        .await;
    assert_eq!(
        members(&local, "staff").await,
        BTreeSet::from([goes.clone()])
    );
    assert_eq!(
        local.cognito.members_of(pool, "staff"),
        BTreeSet::from([comes.clone()])
    );
    let groups = local
        .ok("AdminListGroupsForUser", json!({"Username": comes}))
        .await;
    assert_eq!(groups["Groups"][0]["GroupName"], "staff");
    local.cognito.advance(Duration::from_secs(600));
    assert_eq!(members(&local, "staff").await, BTreeSet::from([comes]));
}

#[tokio::test]
async fn given_members_when_the_user_or_the_group_is_deleted_then_the_memberships_end() {
    let local = Local::new(email_pool());
    let pool = &local.pool.id;
    let [goes, stays] =
        ["goes@e.jp", "stays@e.jp"].map(|email| local.seed(email, UserStatus::Confirmed));
    for sub in [&goes, &stays] {
        for group in ["staff", "team"] {
            local.cognito.add_to_group(pool, sub, group);
        }
    }
    local.ok("AdminDeleteUser", json!({"Username": goes})).await;
    assert_eq!(
        members(&local, "staff").await,
        BTreeSet::from([stays.clone()])
    );
    local.ok("DeleteGroup", json!({"GroupName": "staff"})).await;
    assert_eq!(
        local.cognito.groups_of(pool, &stays),
        BTreeSet::from(["team".to_owned()])
    );
    local.ok("CreateGroup", json!({"GroupName": "staff"})).await;
    assert!(members(&local, "staff").await.is_empty());
    local.cognito.remove_from_group(pool, &stays, "team");
    assert!(local.cognito.members_of(pool, "team").is_empty());
}

#[tokio::test]
async fn given_quotas_when_groups_are_used_then_they_share_the_documented_categories() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local.cognito.add_to_group(&local.pool.id, &sub, "staff");
    let knobs = local.cognito.knobs();
    let staff = json!({"GroupName": "staff"});
    let in_staff = membership(&sub, "staff");
    let user = json!({"Username": sub});
    for (category, first, second) in [
        (
            Category::UserList,
            ("ListUsers", json!({})),
            ("ListUsersInGroup", staff.clone()),
        ),
        (
            Category::UserUpdate,
            ("AdminAddUserToGroup", in_staff.clone()),
            ("AdminRemoveUserFromGroup", in_staff),
        ),
        (
            Category::UserUpdate,
            ("AdminUserGlobalSignOut", user.clone()),
            (
                "AdminDeleteUserAttributes",
                json!({"Username": sub, "UserAttributeNames": []}),
            ),
        ),
        (
            Category::UserResourceRead,
            ("AdminListGroupsForUser", user.clone()),
            ("AdminListGroupsForUser", user),
        ),
        (
            Category::UserPoolResourceRead,
            ("ListGroups", json!({})),
            ("GetGroup", staff.clone()),
        ),
        (
            Category::UserPoolResourceUpdate,
            ("UpdateGroup", staff.clone()),
            ("DeleteGroup", staff.clone()),
        ),
    ] {
        let local = Local::new(email_pool());
        local.cognito.put_user(
            &local.pool.id,
            SeedUser {
                sub: Some(sub.clone()),
                ..SeedUser::default()
            },
        );
        local.cognito.add_to_group(&local.pool.id, &sub, "staff");
        local.cognito.knobs().set_quotas(true);
        local.cognito.knobs().set_quota(category, 1);
        local.ok(first.0, first.1).await;
        assert_eq!(
            local.refused(second.0, second.1).await,
            "TooManyRequestsException: Rate exceeded",
            "{category:?}"
        );
    }
    knobs.set_quotas(true);
    for _ in 0..5 {
        local.ok("UpdateGroup", staff.clone()).await;
    }
    assert!(
        local
            .refused("UpdateGroup", staff.clone())
            .await
            .starts_with("TooManyRequests")
    );
    local.ok("GetGroup", staff).await;
}
