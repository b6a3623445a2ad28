//! The functions that are attached to a pool as its PostConfirmation trigger.

use aws_sdk_cognitoidentityprovider as cognito;
use std::time::{Duration, Instant};

use local_regions::cognito::UserStatus;
use local_regions::lambda::Function;
use local_regions::world::{BACKUP_TRIGGER, REPLICATE_TRIGGER, SNAPSHOTS, World, WorldOptions};

use super::{describe, world};

#[tokio::test]
async fn a_trigger_that_is_attached_by_its_arn_is_invoked() {
    let world = world().await;
    let region = &world.tokyo;
    region.lambda().create_function(Function {
        name: "attached".to_owned(),
        binary: local_regions::example("function").expect("it builds"),
        env: [("LOG_EVENTS".to_owned(), "1".to_owned())].into(),
        timeout: Duration::from_secs(5),
        concurrency: 10,
    });
    let client = region.cognito_client();
    let triggers = cognito::types::LambdaConfigType::builder();
    let triggers = triggers.post_confirmation(region.lambda().arn("attached"));
    let update = client.update_user_pool().user_pool_id(&world.primary.id);
    let update = update.lambda_config(triggers.build()).send().await;
    update.expect("updated");

    let app = &world.primary.client_id;
    let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
    let sign_up = sign_up.password("Correct-horse-1").send().await;
    sign_up.expect("signed up");
    let confirm = client.admin_confirm_sign_up();
    let confirm = confirm.user_pool_id(&world.primary.id);
    let confirm = confirm.username("taro@example.jp").send().await;

    // Cognito rejects the response, because this function does not return the event.
    let error = confirm.expect_err("the function ran");
    assert_eq!(describe(&error), "400 InvalidLambdaResponseException");
    assert_eq!(world.log(region, "attached").lines().count(), 1);
}

#[tokio::test]
async fn a_trigger_that_never_responds_is_invoked_three_times_and_the_user_is_confirmed() {
    let world = world().await;
    let logged = || world.log(&world.tokyo, "slow").lines().count();
    world.tokyo.lambda().create_function(Function {
        name: "slow".to_owned(),
        binary: local_regions::example("function").expect("it builds"),
        env: [("LOG_EVENTS", "1"), ("SLEEP_MS", "60000")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        timeout: Duration::from_secs(60),
        concurrency: 10,
    });
    let cognito = world.tokyo.cognito();
    cognito.set_post_confirmation(&world.primary.id, "slow");
    let client = world.tokyo.cognito_client();
    let app = &world.primary.client_id;
    let sign_up = client.sign_up().client_id(app).username("taro@example.jp");
    let sign_up = sign_up.password("Correct-horse-1").send().await;
    sign_up.expect("signed up");
    let code = cognito.codes_sent_to("taro@example.jp").pop();
    let confirm = client.confirm_sign_up().client_id(app);
    let confirm = confirm.username("taro@example.jp");
    let start = Instant::now();

    let confirmed = confirm.set_confirmation_code(code).send().await;

    let error = confirmed.expect_err("no answer of the trigger");
    assert_eq!(describe(&error), "400 UnexpectedLambdaException");
    assert!(start.elapsed() >= Duration::from_secs(15));
    assert_eq!(logged(), 3);
    let user = cognito.user(&world.primary.id, "taro@example.jp");
    assert_eq!(user.map(|user| user.status), Some(UserStatus::Confirmed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_are_attached_to_their_pools() {
    let world = World::start(WorldOptions::default()).await;
    let world = world.expect("both regions start");
    for (region, pool, person) in [
        (&world.tokyo, &world.primary, "taro@example.jp"),
        (&world.osaka, &world.secondary, "hanako@example.jp"),
    ] {
        let client = region.cognito_client();
        let sign_up = client.sign_up().client_id(&pool.client_id).username(person);
        let sign_up = sign_up.password("Correct-horse-1").send().await;
        sign_up.expect("signed up");
        let code = region
            .cognito()
            .codes_sent_to(person)
            .pop()
            .expect("a code");
        let confirm = client.confirm_sign_up().client_id(&pool.client_id);
        let confirm = confirm.username(person).confirmation_code(code);
        confirm.send().await.expect("confirmed");
    }

    let twin = world
        .osaka
        .cognito()
        .user(&world.secondary.id, "taro@example.jp");
    let log = world.log(&world.tokyo, REPLICATE_TRIGGER);
    assert!(twin.is_some(), "{log}");
    let journal = world.osaka.s3().keys(SNAPSHOTS, "journal/sign-up/");
    let log = world.log(&world.osaka, BACKUP_TRIGGER);
    assert_eq!(journal.len(), 1, "{log}");
}
