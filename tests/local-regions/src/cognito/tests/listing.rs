//! ListUsers: pages, tokens, chains, delay and filters.

use super::*;

/// Follows one chain of pages; returns the lengths of the pages and the usernames, which must not repeat.
async fn chain(local: &Local, query: Value) -> (Vec<usize>, BTreeSet<String>) {
    let (mut lengths, mut names, mut token) = (Vec::new(), BTreeSet::new(), Value::Null);
    loop {
        let mut body = query.clone();
        body["PaginationToken"] = token;
        let page = local.ok("ListUsers", body).await;
        let users = page["Users"].as_array().expect("users");
        lengths.push(users.len());
        for user in users {
            assert!(names.insert(text(user, "Username").to_owned()), "twice");
            assert!(user.get("UserMFASettingList").is_none());
        }
        token = page["PaginationToken"].clone();
        if token.is_null() {
            return (lengths, names);
        }
    }
}

fn crowd(local: &Local, n: usize) -> BTreeSet<String> {
    (0..n)
        .map(|i| local.seed(&format!("user{i}@e.jp"), UserStatus::Confirmed))
        .collect()
}

#[tokio::test]
async fn given_pages_of_any_shape_when_followed_to_the_end_then_everybody_is_listed_once() {
    let local = Local::new(email_pool());
    let everybody = crowd(&local, 200);
    let (lengths, names) = chain(&local, json!({})).await;
    assert_eq!((lengths, &names), (vec![60, 60, 60, 20], &everybody));
    local.cognito.knobs().set_pages(Pages::Short { seed: 1 });
    let (lengths, names) = chain(&local, json!({})).await;
    assert_eq!(names, everybody);
    assert!(lengths.len() > 4 && !lengths.contains(&0));
    local.cognito.knobs().set_pages(Pages::Empty { seed: 1 });
    let (lengths, names) = chain(&local, json!({"Limit": 10})).await;
    assert_eq!(names, everybody);
    assert!(lengths.contains(&0) && lengths.iter().all(|&n| n <= 10));
}

#[tokio::test]
async fn given_chains_by_the_first_digit_of_sub_when_all_are_followed_then_they_make_up_the_pool() {
    let local = Local::new(email_pool());
    let everybody = crowd(&local, 200);
    local.cognito.knobs().set_pages(Pages::Empty { seed: 7 });
    let mut found = BTreeSet::new();
    for digit in "0123456789abcdef".chars() {
        let (_, names) = chain(
            &local,
            json!({"Filter": format!("sub ^= \"{digit}\""), "Limit": 5}),
        )
        .await;
        assert!(names.iter().all(|name| name.starts_with(digit)));
        found.extend(names);
    }
    assert_eq!(found, everybody);
}

#[tokio::test]
async fn given_a_token_when_late_forged_or_used_for_another_query_then_it_is_refused() {
    let local = Local::new(email_pool());
    crowd(&local, 3);
    let page = local.ok("ListUsers", json!({"Limit": 1})).await;
    let token = text(&page, "PaginationToken");
    let invalid = "InvalidParameterException: Invalid pagination token given.";
    let other = json!({"PaginationToken": token, "Filter": "status = \"Enabled\""});
    assert_eq!(local.refused("ListUsers", other).await, invalid);
    let second = local.cognito.create_pool(email_pool());
    let other = json!({"PaginationToken": token, "UserPoolId": second.id});
    assert_eq!(local.refused("ListUsers", other).await, invalid);
    assert_eq!(
        local
            .refused("ListUsers", json!({"PaginationToken": "AAAA"}))
            .await,
        invalid
    );
    local.cognito.advance(Duration::from_secs(3599));
    local
        .ok("ListUsers", json!({"PaginationToken": token}))
        .await;
    local.cognito.advance(Duration::from_secs(1));
    assert_eq!(
        local
            .refused("ListUsers", json!({"PaginationToken": token}))
            .await,
        invalid
    );
}

#[tokio::test]
async fn given_a_lag_when_users_come_change_and_go_then_the_listing_learns_of_it_later() {
    let local = Local::new(email_pool());
    let stays = local.seed("stays@e.jp", UserStatus::Confirmed);
    let goes = local.seed("goes@e.jp", UserStatus::Confirmed);
    local.cognito.knobs().set_list_lag(Duration::from_secs(600));
    let new = local.confirmed("new@e.jp").await;
    local.ok("AdminDeleteUser", json!({"Username": goes})).await;
    local
        .ok("AdminDisableUser", json!({"Username": stays}))
        .await;
    assert_eq!(
        local.ok("AdminGetUser", json!({"Username": new})).await["UserStatus"],
        "CONFIRMED"
    );
    assert_eq!(
        chain(&local, json!({})).await.1,
        BTreeSet::from([stays.clone(), goes])
    );
    let enabled = json!({"Filter": "status = \"Enabled\""});
    assert_eq!(chain(&local, enabled.clone()).await.1.len(), 2);
    local.cognito.advance(Duration::from_secs(601));
    assert_eq!(
        chain(&local, json!({})).await.1,
        BTreeSet::from([stays, new.clone()])
    );
    assert_eq!(chain(&local, enabled).await.1, BTreeSet::from([new]));
}

#[tokio::test]
async fn given_filters_when_used_then_documented_ones_find_and_others_are_refused() {
    let local = Local::new(email_pool());
    let sub = local.seed("Taro@e.jp", UserStatus::ResetRequired);
    local.seed("hana@e.jp", UserStatus::Confirmed);
    for filter in [
        "email = \"taro@e.jp\"",
        "email ^= \"taro\"",
        "cognito:user_status = \"reset_required\"",
        &format!("sub = \"{sub}\""),
        &format!("username = \"{sub}\""),
    ] {
        let (_, names) = chain(&local, json!({"Filter": filter})).await;
        assert_eq!(names, BTreeSet::from([sub.clone()]), "{filter}");
    }
    let names = Local::new(PoolSettings {
        case_sensitive: false,
        ..PoolSettings::default()
    });
    let made = json!({"Username": "Taro", "MessageAction": "SUPPRESS"});
    names.ok("AdminCreateUser", made).await;
    for (filter, found) in [("username = \"Taro\"", 1), ("username = \"taro\"", 0)] {
        let (_, names) = chain(&names, json!({"Filter": filter})).await;
        assert_eq!(names.len(), found, "{filter}");
    }
    for filter in [
        "custom:tenant = \"a\"",
        "email",
        "email = taro",
        "birthdate = \"a\"",
    ] {
        let refusal = local.refused("ListUsers", json!({"Filter": filter})).await;
        assert!(refusal.starts_with("InvalidParameterException"), "{filter}");
    }
    let page = local
        .ok(
            "ListUsers",
            json!({"AttributesToGet": ["email"], "Limit": 1}),
        )
        .await;
    assert_eq!(
        page["Users"][0]["Attributes"].as_array().map(Vec::len),
        Some(1)
    );
    let lacking = local
        .refused("ListUsers", json!({"AttributesToGet": ["name"]}))
        .await;
    assert!(
        lacking.starts_with("InvalidParameterException"),
        "{lacking}"
    );
}
