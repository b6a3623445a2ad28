//! The PostConfirmation trigger.

use super::*;

#[tokio::test]
async fn given_a_trigger_that_fails_when_a_user_confirms_then_they_get_an_error_and_are_confirmed()
{
    let local = Local::new(email_pool());
    let pool = &local.pool.id;
    local.cognito.set_post_confirmation(pool, "absent");
    local.sign_up("a@e.jp").await;
    let code = local.last_code("a@e.jp");
    let refusal = local
        .refused(
            "ConfirmSignUp",
            json!({"Username": "a@e.jp", "ConfirmationCode": code}),
        )
        .await;
    assert_eq!(
        refusal,
        "UnexpectedLambdaException: PostConfirmation invocation failed due to error ResourceNotFoundException."
    );
    assert_eq!(local.status("a@e.jp"), UserStatus::Confirmed);

    local.cognito.0.lambda.create_function(Function {
        name: "broken".to_owned(),
        binary: "/bin/false".into(),
        env: BTreeMap::new(),
        timeout: Duration::from_secs(3),
        concurrency: 1,
    });
    local.cognito.set_post_confirmation(pool, "broken");
    local.sign_up("b@e.jp").await;
    let refusal = local
        .refused("AdminConfirmSignUp", json!({"Username": "b@e.jp"}))
        .await;
    assert!(
        refusal.starts_with("UserLambdaValidationException: PostConfirmation failed with error"),
        "{refusal}"
    );
    assert_eq!(local.status("b@e.jp"), UserStatus::Confirmed);
}

#[tokio::test]
async fn given_a_trigger_when_users_come_by_other_ways_then_it_does_not_run() {
    let local = Local::new(email_pool());
    local
        .cognito
        .set_post_confirmation(&local.pool.id, "absent");
    local
        .ok("AdminCreateUser", json!({"Username": "a@e.jp"}))
        .await;
    let password = json!({"Username": "a@e.jp", "Password": PASSWORD, "Permanent": true});
    local.ok("AdminSetUserPassword", password).await;
    assert_eq!(local.status("a@e.jp"), UserStatus::Confirmed);
}
