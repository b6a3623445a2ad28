//! Changes of a user's attributes by an administrator and by the person, and the messages that they send.

use super::*;

/// Pools that hold a new address back until it is verified.
fn holding(settings: PoolSettings) -> PoolSettings {
    PoolSettings {
        verified_before_update: vec![Contact::Email],
        ..settings
    }
}

fn update(username: &str, given: &[(&str, &str)]) -> Value {
    json!({"Username": username, "UserAttributes": attributes(given)})
}

fn delete(username: &str, names: &[&str]) -> Value {
    json!({"Username": username, "UserAttributeNames": names})
}

fn own(local: &Local, sub: &str) -> BTreeMap<String, String> {
    local
        .cognito
        .user(&local.pool.id, sub)
        .expect("a user")
        .attributes
}

#[tokio::test]
async fn given_a_new_address_when_written_without_a_true_flag_then_it_is_unverified_and_a_code_is_sent()
 {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    for given in [
        vec![("email", "one@e.jp")],
        vec![("email", "two@e.jp"), ("email_verified", "false")],
    ] {
        local
            .ok("AdminUpdateUserAttributes", update(&sub, &given))
            .await;
        assert_eq!(own(&local, &sub)["email_verified"], "false");
        assert_eq!(local.cognito.codes_sent_to(given[0].1).len(), 1);
    }
    assert_eq!(local.cognito.messages_sent(), 2);
    for given in [
        vec![("email", "three@e.jp"), ("email_verified", "true")],
        vec![("email", "three@e.jp")],
        vec![("phone_number", "+8190")],
    ] {
        local
            .ok("AdminUpdateUserAttributes", update(&sub, &given))
            .await;
    }
    let now = own(&local, &sub);
    assert_eq!(
        (
            &*now["email"],
            &*now["email_verified"],
            &*now["phone_number_verified"]
        ),
        ("three@e.jp", "true", "false")
    );
    assert_eq!(local.cognito.messages_sent(), 2);
}

#[tokio::test]
async fn given_a_pool_that_verifies_before_an_update_when_an_address_comes_without_its_flag_then_it_is_held_back()
 {
    for settings in [email_pool(), alias_pool()] {
        let local = Local::new(holding(settings));
        let pool = &local.pool.id;
        let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
        let given = [
            ("email", "new@e.jp"),
            ("email_verified", "false"),
            ("name", "T"),
        ];
        local
            .ok("AdminUpdateUserAttributes", update(&sub, &given))
            .await;
        let held = own(&local, &sub);
        assert_eq!(
            (&*held["email"], &*held["email_verified"], &*held["name"]),
            ("taro@e.jp", "true", "T")
        );
        assert_eq!(local.cognito.codes_sent_to("new@e.jp").len(), 1);
        assert!(local.cognito.user(pool, "new@e.jp").is_none());

        local
            .cognito
            .prove_address(pool, &sub, Contact::Email)
            .expect("the code is valid");
        let proved = own(&local, &sub);
        assert_eq!(
            (&*proved["email"], &*proved["email_verified"]),
            ("new@e.jp", "true")
        );

        local
            .ok(
                "AdminUpdateUserAttributes",
                update(&sub, &[("email", "new@e.jp")]),
            )
            .await;
        assert_eq!(local.cognito.messages_sent(), 2);
        let given = [("email", "last@e.jp"), ("email_verified", "true")];
        local
            .ok("AdminUpdateUserAttributes", update(&sub, &given))
            .await;
        assert_eq!(own(&local, &sub)["email"], "last@e.jp");
        assert_eq!(local.cognito.messages_sent(), 2);
        let refusal = local.cognito.prove_address(pool, &sub, Contact::Email);
        let refusal = refusal.expect_err("the code was for a former address");
        assert_eq!(refusal.code, "ExpiredCodeException");
    }
}

#[tokio::test]
async fn given_an_address_that_somebody_has_when_it_is_written_or_proved_then_the_pool_decides_who_has_it()
 {
    let local = Local::new(holding(email_pool()));
    local.seed("other@e.jp", UserStatus::Confirmed);
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    for given in [
        vec![("email", "other@e.jp")],
        vec![("email", "other@e.jp"), ("email_verified", "true")],
    ] {
        assert_eq!(
            local
                .refused("AdminUpdateUserAttributes", update(&sub, &given))
                .await,
            "AliasExistsException: An account with the email already exists."
        );
    }
    assert_eq!(local.cognito.messages_sent(), 0);

    let local = Local::new(PoolSettings {
        alias_attributes: vec![Alias::Email, Alias::PhoneNumber],
        ..alias_pool()
    });
    let pool = &local.pool.id;
    let verified = |email| [("email", email), ("email_verified", "true")];
    let phone = [("phone_number", "+8190"), ("phone_number_verified", "true")];
    let holder = local.seed_with(UserStatus::Confirmed, &verified("taro@e.jp"));
    let other = local.seed_with(UserStatus::Confirmed, &phone);
    let sub = local.seed_with(UserStatus::Confirmed, &[]);
    let person = Editor::Person;
    local
        .cognito
        .edit_user(pool, &sub, person, &[("email", "taro@e.jp")])
        .expect("an address that is not verified is nobody's");
    let refusal = local.cognito.prove_address(pool, &sub, Contact::Email);
    let refusal = refusal.expect_err("somebody else has it");
    assert_eq!(refusal.code, "AliasExistsException");
    let both: Vec<_> = verified("taro@e.jp").into_iter().chain(phone).collect();
    local
        .ok("AdminUpdateUserAttributes", update(&sub, &both))
        .await;
    for name in ["taro@e.jp", "+8190"] {
        let found = local.cognito.user(pool, name).expect("by alias");
        assert_eq!(found.sub, sub);
    }
    assert_eq!(own(&local, &holder)["email_verified"], "false");
    assert_eq!(own(&local, &other)["phone_number_verified"], "false");
}

#[tokio::test]
async fn given_a_person_when_they_change_their_attributes_then_only_flags_are_refused() {
    let local = Local::new(email_pool());
    let pool = &local.pool.id;
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    let edit = |given: &[(&str, &str)]| local.cognito.edit_user(pool, &sub, Editor::Person, given);
    let refusal = edit(&[("email", "new@e.jp"), ("email_verified", "true")]);
    assert_eq!(refusal.expect_err("a flag").code, "NotAuthorizedException");
    edit(&[("email", "new@e.jp"), ("custom:tenant", "t")]).expect("written");
    assert_eq!(own(&local, &sub)["email_verified"], "false");
    assert_eq!(local.cognito.codes_sent_to("new@e.jp").len(), 1);
    local
        .cognito
        .prove_address(pool, "new@e.jp", Contact::Email)
        .expect("the code is valid");
    assert_eq!(own(&local, &sub)["email_verified"], "true");
    edit(&[("email", "late@e.jp")]).expect("written");
    local.cognito.advance(Duration::from_secs(24 * 3600));
    let refusal = local.cognito.prove_address(pool, &sub, Contact::Email);
    assert_eq!(refusal.expect_err("too late").code, "ExpiredCodeException");
}

#[tokio::test]
async fn given_attributes_when_an_administrator_deletes_them_then_an_address_takes_its_flag_along()
{
    let local = Local::new(alias_pool());
    let given = [
        ("email", "taro@e.jp"),
        ("email_verified", "true"),
        ("name", "T"),
        ("custom:tenant", "t"),
    ];
    let sub = local.seed_with(UserStatus::Confirmed, &given);
    let names = ["email", "custom:tenant", "nickname"];
    local
        .ok("AdminDeleteUserAttributes", delete(&sub, &names))
        .await;
    local
        .ok("AdminDeleteUserAttributes", delete(&sub, &[]))
        .await;
    assert_eq!(
        own(&local, &sub),
        BTreeMap::from([("name".to_owned(), "T".to_owned())])
    );
    assert!(local.cognito.user(&local.pool.id, "taro@e.jp").is_none());
    assert_eq!(local.cognito.messages_sent(), 0);
}

#[tokio::test]
async fn given_attributes_that_must_stay_when_deleted_either_way_then_each_is_refused() {
    let local = Local::new(PoolSettings {
        required_attributes: vec!["name".to_owned()],
        ..email_pool()
    });
    let given = [
        ("email", "taro@e.jp"),
        ("email_verified", "true"),
        ("name", "T"),
        ("custom:origin_sub", "o"),
    ];
    let sub = local.seed_with(UserStatus::Confirmed, &given);
    let before = own(&local, &sub);
    for (name, wrong) in [
        (
            "custom:x",
            "custom:x: Attribute does not exist in the schema.",
        ),
        ("sub", "Cannot modify the non-mutable attribute sub"),
        (
            "identities",
            "Cannot modify the non-mutable attribute identities",
        ),
        (
            "custom:origin_sub",
            "custom:origin_sub: Attribute cannot be updated.",
        ),
        ("name", "user.name: Required attribute cannot be deleted."),
        ("email", "user.email: Required attribute cannot be deleted."),
    ] {
        for (operation, body) in [
            ("AdminDeleteUserAttributes", delete(&sub, &[name])),
            ("AdminUpdateUserAttributes", update(&sub, &[(name, "")])),
        ] {
            let refusal = local.refused(operation, body).await;
            assert!(
                refusal.starts_with("InvalidParameterException"),
                "{refusal}"
            );
            assert!(refusal.contains(wrong), "{refusal}");
        }
    }
    assert_eq!(own(&local, &sub), before);
    assert_eq!(
        local
            .refused(
                "AdminDeleteUserAttributes",
                delete("nobody@e.jp", &["name"])
            )
            .await,
        "UserNotFoundException: User does not exist."
    );
    let refusal = local
        .refused("AdminDeleteUserAttributes", json!({"Username": sub}))
        .await;
    assert!(refusal.contains("'userAttributeNames'"), "{refusal}");
    let long = "x".repeat(33);
    let refusal = local
        .refused("AdminDeleteUserAttributes", delete(&sub, &[&long]))
        .await;
    assert!(refusal.contains("less than or equal to 32"), "{refusal}");
}

#[tokio::test]
async fn given_pool_settings_when_an_attribute_is_verified_before_an_update_then_it_must_be_auto_verified()
 {
    let local = Local::new(holding(email_pool()));
    let described = local.ok("DescribeUserPool", json!({})).await["UserPool"].clone();
    assert_eq!(
        described["UserAttributeUpdateSettings"],
        json!({"AttributesRequireVerificationBeforeUpdate": ["email"]})
    );
    let body = json!({"UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["phone_number"]}});
    let refusal = local.refused("UpdateUserPool", body).await;
    assert!(
        refusal.ends_with("must exist in AutoVerifiedAttributes"),
        "{refusal}"
    );
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local
        .ok(
            "UpdateUserPool",
            json!({"AutoVerifiedAttributes": ["email"]}),
        )
        .await;
    local
        .ok(
            "AdminUpdateUserAttributes",
            update(&sub, &[("email", "new@e.jp")]),
        )
        .await;
    assert_eq!(own(&local, &sub)["email"], "new@e.jp");
}
