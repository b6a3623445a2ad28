//! The operations of an administrator on one user.

use super::*;

#[tokio::test]
async fn given_an_administrator_when_a_user_is_made_then_the_username_is_the_sub() {
    let local = Local::new(email_pool());
    let body = json!({"Username": "taro@e.jp", "MessageAction": "SUPPRESS", "TemporaryPassword": PASSWORD});
    let made = local.ok("AdminCreateUser", body.clone()).await["User"].clone();
    assert_eq!(made["Username"], made["Attributes"][0]["Value"]);
    assert_eq!(made["UserStatus"], "FORCE_CHANGE_PASSWORD");
    assert_eq!(local.cognito.messages_sent(), 0);
    assert_eq!(
        local.refused("AdminCreateUser", body).await,
        "UsernameExistsException: User account already exists"
    );
    local
        .ok("AdminCreateUser", json!({"Username": "hana@e.jp"}))
        .await;
    assert_eq!(local.cognito.codes_sent_to("hana@e.jp").len(), 1);
    let resend = json!({"Username": "hana@e.jp", "MessageAction": "RESEND"});
    local.ok("AdminCreateUser", resend).await;
    assert_eq!(local.cognito.codes_sent_to("hana@e.jp").len(), 2);
    let nobody = json!({"Username": "nobody@e.jp", "MessageAction": "RESEND"});
    assert!(
        local
            .refused("AdminCreateUser", nobody)
            .await
            .starts_with("UserNotFoundException")
    );
}

#[tokio::test]
async fn given_administrators_writes_that_break_a_rule_when_sent_then_each_is_refused_for_it() {
    let local = Local::new(email_pool());
    let uuid = "3f0d7b2e-6a4a-4f39-9d5e-0a1b2c3d4e5f";
    let refusal = local
        .refused("AdminCreateUser", json!({"Username": uuid}))
        .await;
    assert_eq!(
        refusal,
        "InvalidParameterException: Username should be an email."
    );
    for (given, wrong) in [
        (
            vec![("sub", uuid)],
            "Cannot modify the non-mutable attribute sub",
        ),
        (
            vec![("identities", "[]")],
            "Cannot modify the non-mutable attribute identities",
        ),
        (
            vec![("cognito:user_status", "CONFIRMED")],
            "cognito:user_status: Attribute does not exist in the schema.",
        ),
        (
            vec![("birthdate", "1985-2-1")],
            "birthdate: String must have between 10 and 10 characters",
        ),
        (
            vec![("updated_at", "yesterday")],
            "updated_at: Value must be a number",
        ),
        (
            vec![("email_verified", "yes")],
            "email_verified: Value must be true or false.",
        ),
        (
            vec![("phone_number", "090-1234")],
            "Invalid phone number format.",
        ),
        (
            vec![("phone_number_verified", "true")],
            "phone_number is required",
        ),
        (vec![("email", "other@e.jp")], "Username and email differ."),
        (
            vec![("name", &"あ".repeat(700))],
            "name: Value must not be longer than 2048 bytes.",
        ),
    ] {
        let body = json!({"Username": "b@e.jp", "UserAttributes": attributes(&given)});
        let refusal = local.refused("AdminCreateUser", body).await;
        assert!(refusal.contains(wrong), "{refusal}");
    }
    assert!(local.cognito.users(&local.pool.id).is_empty());
    let body = json!({"Username": "b@e.jp", "TemporaryPassword": "weak"});
    assert!(
        local
            .refused("AdminCreateUser", body)
            .await
            .starts_with("InvalidPasswordException")
    );
    for operation in ["AdminGetUser", "AdminDeleteUser", "AdminDisableUser"] {
        let refusal = local
            .refused(operation, json!({"Username": "b@e.jp"}))
            .await;
        assert_eq!(refusal, "UserNotFoundException: User does not exist.");
    }
}

#[tokio::test]
async fn given_a_user_when_attributes_are_updated_then_immutable_ones_and_taken_emails_are_refused()
{
    let local = Local::new(email_pool());
    local.seed("other@e.jp", UserStatus::Confirmed);
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    let update =
        |given: &[(&str, &str)]| json!({"Username": sub, "UserAttributes": attributes(given)});
    let refusal = local
        .refused(
            "AdminUpdateUserAttributes",
            update(&[("custom:origin_sub", "1")]),
        )
        .await;
    assert!(
        refusal.contains("custom:origin_sub: Attribute cannot be updated."),
        "{refusal}"
    );
    let refusal = local
        .refused(
            "AdminUpdateUserAttributes",
            update(&[("email", "OTHER@e.jp")]),
        )
        .await;
    assert!(refusal.starts_with("AliasExistsException"), "{refusal}");
    local
        .ok(
            "AdminUpdateUserAttributes",
            update(&[("email", "new@e.jp"), ("custom:tenant", "t")]),
        )
        .await;
    let user = local
        .cognito
        .user(&local.pool.id, "new@e.jp")
        .expect("by the new email");
    assert_eq!(user.attributes["email_verified"], "false");
    assert!(local.cognito.user(&local.pool.id, "taro@e.jp").is_none());
    local
        .ok(
            "AdminUpdateUserAttributes",
            update(&[("custom:tenant", "")]),
        )
        .await;
    let user = local.cognito.user(&local.pool.id, &sub).expect("by sub");
    assert!(!user.attributes.contains_key("custom:tenant"));
}

#[tokio::test]
async fn given_an_alias_pool_when_an_email_is_verified_elsewhere_then_creation_is_refused_unless_forced()
 {
    let local = Local::new(alias_pool());
    let create = |name: &str, force: bool| {
        let given = attributes(&[("email", "taro@e.jp"), ("email_verified", "true")]);
        json!({"Username": name, "UserAttributes": given, "ForceAliasCreation": force, "MessageAction": "SUPPRESS"})
    };
    local.ok("AdminCreateUser", create("first", false)).await;
    let refusal = local
        .refused("AdminCreateUser", create("second", false))
        .await;
    assert!(refusal.starts_with("AliasExistsException"), "{refusal}");
    local.ok("AdminCreateUser", create("second", true)).await;
    let found = local
        .cognito
        .user(&local.pool.id, "taro@e.jp")
        .expect("by alias");
    assert_eq!(found.username, "second");
}

#[tokio::test]
async fn given_an_alias_when_it_is_written_to_another_user_then_it_is_taken_without_an_error() {
    let local = Local::new(alias_pool());
    let given = attributes(&[("email", "taro@e.jp"), ("email_verified", "true")]);
    for name in ["first", "second"] {
        local
            .ok(
                "AdminCreateUser",
                json!({"Username": name, "MessageAction": "SUPPRESS"}),
            )
            .await;
        let update = json!({"Username": name, "UserAttributes": given});
        local.ok("AdminUpdateUserAttributes", update).await;
    }
    let user = |name: &str| local.cognito.user(&local.pool.id, name).expect("a user");
    assert_eq!(user("taro@e.jp").username, "second");
    assert_eq!(user("first").attributes["email_verified"], "false");
}

#[tokio::test]
async fn given_refusals_as_reported_when_a_user_is_created_then_codes_and_texts_differ() {
    let local = Local::new(alias_pool());
    local.cognito.knobs().set_reported_refusals(true);
    let create = |name: &str, given: &[(&str, &str)]| json!({"Username": name, "UserAttributes": attributes(given), "MessageAction": "SUPPRESS"});
    let email = [("email", "taro@e.jp"), ("email_verified", "true")];
    local.ok("AdminCreateUser", create("first", &email)).await;
    assert_eq!(
        local
            .refused("AdminCreateUser", create("second", &email))
            .await,
        "UsernameExistsException: An account with the email already exists."
    );
    let unknown = [("custom:one", "1"), ("custom:two", "2")];
    assert_eq!(
        local
            .refused("AdminCreateUser", create("third", &unknown))
            .await,
        "InvalidParameterException: Attributes did not conform to the schema: \
         Type for attribute {custom:one} could not be determined"
    );
    let refusal = local.refused(
        "AdminCreateUser",
        create("fourth", &[("preferred_username", "four")]),
    );
    let refusal = refusal.await;
    assert!(
        refusal.starts_with("InvalidParameterException: Preferred username"),
        "{refusal}"
    );
}

#[tokio::test]
async fn given_a_user_in_groups_when_they_are_listed_then_their_names_are_returned() {
    let local = Local::new(email_pool());
    let sub = local.seed("taro@e.jp", UserStatus::Confirmed);
    local.cognito.add_to_group(&local.pool.id, &sub, "staff");
    let listed = local
        .ok("AdminListGroupsForUser", json!({"Username": sub}))
        .await;
    assert_eq!(listed["Groups"][0]["GroupName"], "staff");
}

#[tokio::test]
async fn given_a_federated_user_when_somebody_signs_up_with_their_email_then_both_exist() {
    let local = Local::new(email_pool());
    local.cognito.put_user(
        &local.pool.id,
        SeedUser {
            username: Some("Google_152".to_owned()),
            status: UserStatus::ExternalProvider,
            attributes: BTreeMap::from([("email".to_owned(), "taro@e.jp".to_owned())]),
            ..SeedUser::default()
        },
    );
    local.sign_up("taro@e.jp").await;
    assert_eq!(local.status("Google_152"), UserStatus::ExternalProvider);
    assert_eq!(local.status("taro@e.jp"), UserStatus::Unconfirmed);
}

#[test]
fn given_users_when_printed_for_debugging_then_no_attribute_shows() {
    let local = Local::new(email_pool());
    let sub = local.seed("secret@e.jp", UserStatus::Confirmed);
    let view = local.cognito.user(&local.pool.id, &sub).expect("a user");
    assert!(!format!("{view:?} {:?}", local.cognito).contains("secret"));
}
