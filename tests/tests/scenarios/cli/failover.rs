//! `twinpool failover` and `twinpool failback`: from an open fence to everybody home, with evidence of each step.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::types::AttributeType;
use harness::visitor::Visitor;
use jiff::{SignedDuration, Timestamp};
use local_regions::cognito::{
    CustomAttribute, GroupView, PoolSettings, SeedUser, UserStatus, UserView,
};
use local_regions::faults::{Fault, Kind, Service};
use local_regions::region::Loss;
use local_regions::world::{IMPORT_LOGS_ROLE, OUTBOX, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::reconcile::settings::world_with;
use crate::restore::{newcomer, person, with};
use crate::support::{
    Ran, email, object, put_object, ran, replica, snapshot, sub, twinpool_command, world,
};

/// The evidence of the latest run.
pub fn evidence(world: &World) -> Option<Value> {
    let open = object(world, "failovers/open.json")?;
    let run = open["run"].as_str().expect("a run");
    object(world, &format!("failovers/{run}.json"))
}

async fn command(world: &World, arguments: &[&str]) -> tokio::process::Command {
    let mut command = twinpool_command(world).await;
    command
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .env("TWINPOOL_OUTBOX", OUTBOX)
        .env("TWINPOOL_IMPORT_ROLE", IMPORT_LOGS_ROLE)
        .env("USER", "hanako")
        .args(arguments);
    command
}

async fn run(world: &World, arguments: &[&str]) -> Ran {
    ran(&mut command(world, arguments).await).await
}

async fn failover(world: &World, more: &[&str]) -> Ran {
    let failover = ["failover", "--output", "json"];
    run(world, &[&failover[..], more].concat()).await
}

async fn failback(world: &World, more: &[&str]) -> Ran {
    let failback = ["failback", "--output", "json"];
    run(world, &[&failback[..], more].concat()).await
}

/// The steps of a run with how each ended.
fn steps(evidence: &Value) -> Vec<(String, String)> {
    let steps = evidence["steps"].as_array().expect("steps");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    steps
        .iter()
        .map(|step| (text(&step["step"]), text(&step["status"])))
        .collect()
}

fn status_of(evidence: &Value, step: &str) -> String {
    let steps = steps(evidence);
    let mut of_step = steps.into_iter().rev().filter(|(name, _)| name == step);
    of_step.next().map_or("-".to_owned(), |(_, status)| status)
}

fn fence(world: &World) -> Value {
    let id = "3f8a2c6e-1d4b-4c7a-9e52-6b0d8f1a2c3e";
    world.osaka.waf().web_acl(id).expect("the fence")["WebACL"].clone()
}

fn is_closed(world: &World) -> bool {
    let fence = fence(world);
    let rules = fence["Rules"].as_array().expect("rules").len();
    fence["DefaultAction"] == json!({"Block": {}}) && rules == 1
}

fn in_tokyo(world: &World, number: u32) -> Option<UserView> {
    world
        .tokyo
        .cognito()
        .user(&world.primary.id, &email(number))
}

/// The person with this number in both pools. They have set a password in the secondary, and are `now` there.
async fn person_who_used_the_secondary(world: &World, number: u32, now: SeedUser) {
    let secondary_sub = sub(number + 1000);
    let base = person(number);
    let record = json!({
        "version": 1, "trigger": "PostConfirmation_ConfirmForgotPassword", "pool": world.secondary.id,
        "username": secondary_sub, "sub": secondary_sub, "recorded_at": Timestamp::now().to_string(),
        "attributes": base.attributes,
    });
    let key = format!("journal/password-reset/{secondary_sub}.json");
    put_object(world, &key, record.to_string()).await;
    world.tokyo.cognito().put_user(&world.primary.id, base);
    let now = SeedUser {
        sub: Some(secondary_sub),
        ..with(now, "custom:origin_sub", &sub(number))
    };
    world.osaka.cognito().put_user(&world.secondary.id, now);
}

/// The primary has the person with this number, and the secondary their replica.
fn replicated(world: &World, number: u32) {
    let original = person(number);
    world.tokyo.cognito().put_user(&world.primary.id, original);
    let replica = SeedUser {
        sub: None,
        ..with(person(number), "custom:origin_sub", &sub(number))
    };
    world.osaka.cognito().put_user(&world.secondary.id, replica);
}

/// The regions after a failover in which people used the secondary.
async fn after_a_failover() -> World {
    let world = world().await;
    play_failover(&world).await;
    world
}

/// A failover in which people used the secondary: somebody has changed a note, and two have signed up.
pub async fn play_failover(world: &World) {
    world.osaka.open_fence();
    replicated(world, 1);
    let changed = with(person(2), "custom:note", "new");
    person_who_used_the_secondary(world, 2, changed).await;
    for number in [3, 4] {
        newcomer(world, number, person(number)).await;
    }
    snapshot(world).await.unwrap();
}

/// The regions on a normal day: the fence is closed.
async fn on_a_normal_day() -> World {
    let world = world().await;
    world.osaka.close_fence();
    world
}

/// A failback by a script that has decided what becomes of changes in the secondary.
async fn failback_of_everything(world: &World, more: &[&str]) -> Ran {
    failback(world, &[&["--yes", "--prefer", "secondary"], more].concat()).await
}

/// No lease is valid any more, as when its holder was killed minutes ago.
async fn leases_expire(world: &World) {
    let keys = world.osaka.s3().keys(SNAPSHOTS, "");
    let is_lease = |key: &&String| {
        key.ends_with("lease.json")
            || key.ends_with("open.json")
            || key.starts_with("failovers/")
            || key.contains("lease-")
    };
    for key in keys.iter().filter(is_lease) {
        let mut lease = object(world, key).expect("a lease");
        if lease["holder"].is_object() {
            let past = Timestamp::now() - SignedDuration::from_secs(1);
            lease["holder"]["until"] = json!(past.to_string());
            put_object(world, key, lease.to_string()).await;
        }
    }
}

/// Nothing of the people of these scenarios is in a text.
fn assert_no_personal_values(text: &str) {
    for number in 1..10 {
        assert!(!text.contains(&email(number)), "{text}");
    }
}

#[tokio::test]
async fn a_lost_primary_is_failed_over_and_the_proof_comes_from_outside() {
    let world = on_a_normal_day().await;
    replicated(&world, 1);
    world.tokyo.lose(Loss::Refuse);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("failover.html");

    let ran = failover(&world, &["--yes", "--report", page.to_str().unwrap()]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let evidence = evidence(&world).unwrap();
    assert_eq!(evidence, ran.json());
    assert_eq!(evidence["status"], "complete");
    assert_eq!(evidence["kind"], "failover");
    for step in ["look", "open-fence", "prove-open", "switch"] {
        assert_eq!(status_of(&evidence, step), "done", "{evidence}");
    }
    for step in evidence["steps"].as_array().unwrap() {
        assert_eq!(step["operator"], "hanako");
        assert!(step["took_ms"].is_u64(), "{step}");
    }
    assert_eq!(fence(&world)["DefaultAction"], json!({"Allow": {}}));
    let unsigned = world.calls();
    let proofs = unsigned
        .iter()
        .filter(|call| call.operation == "InitiateAuth");
    assert_eq!(proofs.count(), 3);
    for told in [
        "resets the password",
        "the authenticator again",
        "Switch the application",
        &world.secondary.client_id,
    ] {
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("hanako"));
    for text in [&page, &ran.stderr, &evidence.to_string()] {
        assert_no_personal_values(text);
    }
}

#[tokio::test]
async fn a_healthy_primary_is_said_to_be_healthy_and_a_failover_is_possible() {
    let world = on_a_normal_day().await;

    let ran = failover(&world, &["--yes"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("The primary answers"), "{ran:?}");
    assert_eq!(ran.json()["status"], "complete");
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nobody_can_be_asked() {
    let world = on_a_normal_day().await;

    for command in ["failover", "failback"] {
        let ran = run(&world, &[command]).await;

        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("--yes"), "{ran:?}");
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let world = on_a_normal_day().await;
    newcomer(&world, 3, person(3)).await;
    world.clear_calls();

    let over = failover(&world, &["--dry-run"]).await;
    let back = failback(&world, &["--dry-run"]).await;

    assert_eq!((over.code, back.code), (0, 0), "{over:?} {back:?}");
    let names = ["look", "open-fence", "prove-open", "switch"];
    assert_eq!(over.json()["steps"], json!(names));
    assert_eq!(over.json()["primary_answers"], true);
    assert_eq!(back.json()["newcomers"], 1);
    assert!(is_closed(&world));
    let writes = ["PutObject", "UpdateWebACL", "CreateUserImportJob"];
    for call in world.calls() {
        assert!(!writes.contains(&call.operation.as_str()), "{call:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_aws_waf_is_told_and_recorded() {
    let world = on_a_normal_day().await;
    let denied = Kind::Error {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: "not authorized to perform: wafv2:UpdateWebACL".to_owned(),
    };
    let denied = Fault::on(Service::Waf, "UpdateWebACL", denied);
    world.osaka.faults().add(denied);

    let refused = failover(&world, &["--yes"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    let evidence = evidence(&world).unwrap();
    assert_eq!(evidence["status"], "in-progress");
    assert_eq!(status_of(&evidence, "open-fence"), "failed");
    assert!(is_closed(&world));

    world.osaka.faults().clear();
    let allowed = failover(&world, &["--yes"]).await;
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert_eq!(allowed.json()["run"], evidence["run"]);
}

#[tokio::test]
async fn a_fence_that_is_not_seen_open_from_outside_is_no_success() {
    let world = on_a_normal_day().await;
    let minutes = Duration::from_secs(600);
    world.osaka.waf().set_propagation(minutes);

    let ran = failover(&world, &["--yes", "--proof-timeout", "1"]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("the proof failed"), "{ran:?}");
    assert!(ran.stderr.contains("is blocked"), "{ran:?}");
    let evidence = evidence(&world).unwrap();
    assert_eq!(evidence["status"], "in-progress");
    assert_eq!(status_of(&evidence, "open-fence"), "done");
    assert_eq!(status_of(&evidence, "prove-open"), "failed");
}

#[tokio::test]
async fn no_answer_from_outside_proves_nothing() {
    let world = world().await;
    let away = Fault::on(Service::Cognito, "InitiateAuth", Kind::Refuse);
    world.osaka.faults().add(away);

    let ran = failover(&world, &["--yes", "--proof-timeout", "1"]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("is not certain"), "{ran:?}");
}

/// The storm that a failover lets in: "WAF acts before throttling" (facts N8).
#[tokio::test]
async fn a_pool_that_throttles_has_let_the_call_through() {
    let world = on_a_normal_day().await;
    for operation in ["InitiateAuth", "ConfirmSignUp"] {
        let throttled = Fault::on(Service::Cognito, operation, Kind::Throttle);
        world.osaka.faults().add(throttled);
    }

    let ran = failover(&world, &["--yes", "--proof-timeout", "30"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(status_of(&ran.json(), "prove-open"), "done");
}

#[tokio::test]
async fn of_two_operators_the_second_is_told_that_the_first_is_at_it() {
    let world = on_a_normal_day().await;
    let slow = Duration::from_secs(20);
    world.osaka.waf().set_propagation(slow);
    let mut first = command(&world, &["failover", "--yes"]).await;
    let mut first = first.spawn().unwrap();
    until(&world, "prove-open", "running").await;

    for second in [
        failover(&world, &["--yes"]).await,
        failback(&world, &["--yes"]).await,
    ] {
        assert_eq!(second.code, 4, "{second:?}");
        assert!(second.stderr.contains("busy: hanako"), "{second:?}");
    }
    first.kill().await.unwrap();
}

#[tokio::test]
async fn of_two_operators_who_begin_at_the_same_moment_one_is_told_so() {
    let world = on_a_normal_day().await;
    // The first one's second write is late.
    let late = Kind::Delay(Duration::from_secs(6));
    let late = Fault::on(Service::S3, "PutObject", late).after(1).times(1);
    world.osaka.faults().add(late);
    let second = async {
        while calls_of(&world, "PutObject") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        failover(&world, &["--yes"]).await
    };

    let (first, second) = tokio::join!(failover(&world, &["--yes"]), second);

    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!(first.code, 4, "{first:?}");
    assert!(first.stderr.contains("busy"), "{first:?}");
    assert_eq!(evidence(&world).unwrap(), second.json());
    let next = failover(&world, &["--yes"]).await;
    assert_eq!(next.code, 0, "{next:?}");
}

fn calls_of(world: &World, operation: &str) -> usize {
    let calls = world.calls().into_iter();
    calls.filter(|call| call.operation == operation).count()
}

/// Waits until the latest attempt at a step has this status.
async fn until(world: &World, step: &str, status: &str) {
    let is_there = || evidence(world).is_some_and(|evidence| status_of(&evidence, step) == status);
    while !is_there() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn everybody_comes_home_and_what_they_changed_too() {
    let world = after_a_failover().await;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("failback.html");

    let report = ["--report", page.to_str().unwrap()];
    let ran = failback_of_everything(&world, &report).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let evidence = ran.json();
    assert_eq!(evidence["status"], "complete");
    for step in [
        "bring-home",
        "no-sign-ups",
        "prove-no-sign-ups",
        "compare",
        "prefer",
    ] {
        assert_eq!(status_of(&evidence, step), "done", "{evidence}");
    }
    assert_eq!(status_of(&evidence, "bring-last-home"), "skipped");
    is_home(&world);
    let page = std::fs::read_to_string(page).unwrap();
    for text in [&page, &evidence.to_string()] {
        assert_no_personal_values(text);
    }
    look_at_in_a_browser(&page).await;
}

/// What every failback after [`after_a_failover`] must end with.
fn is_home(world: &World) {
    assert!(is_closed(world));
    for number in [3, 4] {
        let user = in_tokyo(world, number).expect("they are home");
        assert_eq!(user.status, UserStatus::ResetRequired);
    }
    let written = in_tokyo(world, 2).expect("they were there before");
    assert_eq!(written.attributes["custom:note"], "new");
    assert!(in_tokyo(world, 1).is_some());
    let waiting = world.osaka.s3().keys(SNAPSHOTS, "journal/sign-up/");
    assert!(waiting.is_empty(), "{waiting:?}");
}

#[tokio::test]
async fn what_people_changed_is_left_and_named_when_nobody_says_what_to_prefer() {
    let world = after_a_failover().await;

    let ran = failback(&world, &["--yes"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["changed"], 1);
    assert_eq!(status_of(&ran.json(), "prefer"), "skipped");
    assert!(
        ran.stdout
            .contains("twinpool reconcile --prefer secondary --of")
    );
    let left = in_tokyo(&world, 2).unwrap();
    assert!(!left.attributes.contains_key("custom:note"));
}

#[tokio::test]
async fn a_membership_of_the_secondary_alone_is_shown_and_brought_home_however_lately_groups_were_compared()
 {
    let world = after_a_failover().await;
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    for (cognito, pool) in [(tokyo, &world.primary), (osaka, &world.secondary)] {
        cognito.put_group(
            &pool.id,
            GroupView {
                name: "staff".to_owned(),
                ..GroupView::default()
            },
        );
    }
    // Whoever has changed nothing but their groups is asked about too.
    person_who_used_the_secondary(&world, 6, person(6)).await;
    osaka.add_to_group(&world.secondary.id, &sub(1006), "staff");
    let compared = run(&world, &["reconcile", "--dry-run"]).await;
    assert!(
        compared.stdout.contains("group-changed-in-secondary"),
        "{compared:?}"
    );

    let ran = failback_of_everything(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["changed"], 0, "all of it is in Tokyo by now");
    let shown = format!("{}  group-changed-in-secondary  staff", sub(1006));
    assert!(ran.stderr.contains(&shown), "{ran:?}");
    assert!(
        tokyo
            .groups_of(&world.primary.id, &sub(6))
            .contains("staff")
    );
}

#[tokio::test]
async fn what_somebody_changes_until_the_fence_is_closed_comes_home_too() {
    for told in [true, false] {
        let world = after_a_failover().await;
        person_who_used_the_secondary(&world, 6, person(6)).await;
        let more: &[&str] = if told {
            &["--prefer", "secondary"]
        } else {
            &[]
        };
        let failback = ["failback", "--output", "json", "--yes"];
        let mut child = command(&world, &[&failback[..], more].concat()).await;
        // The switch can be seen for at least this long, and the pools have been compared before it.
        let slow = Fault::on(
            Service::S3,
            "PutObject",
            Kind::Delay(Duration::from_millis(60)),
        );
        world.osaka.faults().add(slow);
        let child = child.stdout(Stdio::piped()).spawn().unwrap();
        until(&world, "switch", "running").await;
        let changed = SeedUser {
            sub: Some(sub(1006)),
            ..with(
                with(person(6), "custom:note", "late"),
                "custom:origin_sub",
                &sub(6),
            )
        };
        world.osaka.cognito().put_user(&world.secondary.id, changed);
        let ended = child.wait_with_output().await.unwrap();

        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let evidence = evidence(&world).unwrap();
        assert_eq!(evidence["status"], "complete");
        let note = in_tokyo(&world, 6)
            .unwrap()
            .attributes
            .get("custom:note")
            .cloned();
        assert_eq!(note.as_deref(), told.then_some("late"), "{evidence}");
        let last = evidence["steps"].as_array().unwrap().last().unwrap();
        let run = evidence["compared"].as_str().unwrap();
        let left = format!("twinpool reconcile --prefer secondary --of {run}");
        assert_eq!(last["seen"].to_string().contains(&left), !told, "{last}");
    }
}

#[tokio::test]
async fn a_failback_brings_nobody_home_while_the_secondary_does_not_say_who_was_banned() {
    let world = after_a_failover().await;
    // Somebody has signed up since the snapshot.
    newcomer(&world, 5, person(5)).await;
    let denied = Kind::Error {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: String::new(),
    };
    let denied = Fault::on(Service::Cognito, "AdminGetUser", denied);
    world.osaka.faults().add(denied);

    let ran = failback_of_everything(&world, &[]).await;

    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(status_of(&ran.json(), "bring-home"), "failed");
    for number in [3, 4, 5] {
        assert!(in_tokyo(&world, number).is_none(), "{ran:?}");
    }
}

#[tokio::test]
async fn who_is_disabled_in_the_secondary_alone_is_shown() {
    let world = after_a_failover().await;
    person_who_used_the_secondary(&world, 6, person(6)).await;
    let client = world.osaka.cognito_client();
    let disable = client.admin_disable_user().username(email(6));
    let disable = disable.user_pool_id(&world.secondary.id);
    disable.send().await.unwrap();

    let ran = failback_of_everything(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let shown = format!("{}  disabled-in-secondary", sub(1006));
    assert!(ran.stderr.contains(&shown), "{ran:?}");
    let evidence = ran.json();
    let steps = evidence["steps"].as_array().unwrap();
    let compare = steps.iter().find(|step| step["step"] == "compare").unwrap();
    assert_eq!(
        compare["counted"]["reported as disabled-in-secondary"], 1,
        "{compare}"
    );
}

#[tokio::test]
async fn a_newcomer_who_is_home_without_a_group_is_named_until_somebody_accepts_it() {
    let world = after_a_failover().await;
    let osaka = world.osaka.cognito();
    osaka.add_to_group(&world.secondary.id, &email(3), "staff");
    snapshot(&world).await.unwrap();

    let stopped = failback_of_everything(&world, &[]).await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let open = &stopped.json()["open"]["bring-home"][0];
    let reason = open["reason"].as_str().unwrap();
    assert!(reason.contains("not in group staff"), "{reason}");
    assert_eq!(open["sub"], in_tokyo(&world, 3).unwrap().sub);

    let run = stopped.json()["run"].as_str().unwrap().to_owned();
    let accepted = failback_of_everything(&world, &["--accept", &run]).await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    is_home(&world);
}

#[tokio::test]
async fn of_a_fence_that_was_open_before_the_failover_nobody_says_since_when_it_is_used() {
    let world = on_a_normal_day().await;
    assert_eq!(run(&world, &["fence", "open", "--yes"]).await.code, 0);
    let by_hand = failover(&world, &["--yes"]).await;
    assert_eq!(run(&world, &["fence", "close"]).await.code, 0);
    let opened = failover(&world, &["--yes"]).await;

    assert_eq!(
        (by_hand.code, opened.code),
        (0, 0),
        "{by_hand:?} {opened:?}"
    );
    assert_eq!(by_hand.json()["opened_at"], json!(null));
    assert!(opened.json()["opened_at"].is_string());
}

#[tokio::test]
async fn an_answer_without_app_clients_is_no_word_on_what_to_switch() {
    let world = on_a_normal_day().await;
    let nothing = Kind::Answer(json!({}));
    // The proof asks for an app client before.
    let clients = Fault::on(Service::Cognito, "ListUserPoolClients", nothing);
    world.osaka.faults().add(clients.after(1));

    let ran = failover(&world, &["--yes"]).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(status_of(&ran.json(), "switch"), "failed");
    assert!(!ran.stderr.contains("Switch the application"), "{ran:?}");
}

#[tokio::test]
async fn a_failover_in_which_nobody_did_anything_is_ended_without_waiting_for_a_comparison() {
    let world = on_a_normal_day().await;
    replicated(&world, 1);
    assert_eq!(failover(&world, &["--yes"]).await.code, 0);
    world.clear_calls();

    let ran = failback(&world, &["--yes"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let evidence = ran.json();
    for step in ["bring-home", "bring-last-home", "compare", "prefer"] {
        assert_eq!(status_of(&evidence, step), "skipped", "{evidence}");
    }
    let calls = world.calls();
    let at = |operation: &str| calls.iter().position(|call| call.operation == operation);
    assert_eq!(at("CreateUserImportJob"), None);
    // The pools are compared all the same, after the last change of the fence.
    let last_change = calls
        .iter()
        .rposition(|call| call.operation == "UpdateWebACL");
    assert!(last_change < at("ListUsers"), "{calls:?}");
    assert!(evidence["compared"].is_string());
    assert!(is_closed(&world));
}

#[tokio::test]
async fn whoever_is_unknown_is_listed_and_it_is_not_complete_until_somebody_accepts_them() {
    let world = after_a_failover().await;
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, person(5));

    let stopped = failback_of_everything(&world, &[]).await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let evidence = stopped.json();
    assert_eq!(evidence["status"], "in-progress");
    assert_eq!(evidence["open"]["compare"][0]["sub"], sub(5));
    assert_eq!(evidence["open"]["compare"][0]["reason"], "unpaired");
    assert!(stopped.stderr.contains("not complete"), "{stopped:?}");
    assert_eq!(status_of(&evidence, "prefer"), "failed");
    assert_eq!(status_of(&evidence, "close-fence"), "-");

    let other = failback_of_everything(&world, &["--accept", &sub(1)]).await;
    assert_eq!(other.code, 1, "{other:?}");

    let run = evidence["run"].as_str().unwrap();
    let accepted = failback_of_everything(&world, &["--accept", run]).await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert_eq!(accepted.json()["run"], run);
    assert_eq!(accepted.json()["accepted"], json!([sub(1), sub(5)]));
    is_home(&world);
}

/// The person with this number sets a password in the secondary and enrols an authenticator, and their record is lost.
async fn use_without_record(world: &World, number: u32) -> String {
    let visitor = Visitor::of(&world.osaka, &world.secondary);
    let (email, password) = (email(number), "Correct-horse-7-battery");
    visitor.reset_password(&email, password).await.unwrap();
    let signed_in = visitor.set_up_mfa_and_sign_in(&email, password).await;
    signed_in.unwrap();
    let sub = replica(world, &email).unwrap().sub;
    let lost = world.osaka.s3_client().delete_object().bucket(SNAPSHOTS);
    let lost = lost.key(format!("journal/password-reset/{sub}.json"));
    lost.send().await.unwrap();
    sub
}

#[tokio::test]
async fn who_used_the_secondary_without_a_record_or_shares_an_identity_is_not_passed_over_in_silence()
 {
    let world = after_a_failover().await;
    let used = use_without_record(&world, 1).await;
    // They change something, which nobody can tell from a change in the primary.
    let note = AttributeType::builder().name("custom:note").value("new");
    let update = world.osaka.cognito_client().admin_update_user_attributes();
    let update = update.user_pool_id(&world.secondary.id).username(email(1));
    let update = update.user_attributes(note.build().unwrap());
    update.send().await.unwrap();
    for number in [8, 9] {
        let twice = with(person(number), "custom:origin_sub", &sub(8));
        let osaka = world.osaka.cognito();
        osaka.put_user(&world.secondary.id, twice);
    }

    let stopped = failback_of_everything(&world, &[]).await;

    assert_eq!(stopped.code, 1, "{stopped:?}");
    let evidence = stopped.json();
    let open = evidence["open"]["compare"].as_array().unwrap();
    let open: BTreeSet<_> = open
        .iter()
        .map(|person| (person["sub"].as_str(), person["reason"].as_str()))
        .collect();
    let (first, second) = (sub(8), sub(9));
    let expected = [
        (Some(used.as_str()), Some("used-without-record")),
        (Some(first.as_str()), Some("identity-twice")),
        (Some(second.as_str()), Some("identity-twice")),
    ];
    assert_eq!(open, BTreeSet::from(expected));
    assert_eq!(status_of(&evidence, "close-fence"), "-");
    let run = evidence["run"].as_str().unwrap();
    let accepted = failback_of_everything(&world, &["--accept", run]).await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    is_home(&world);
}

#[tokio::test]
async fn whatever_else_the_comparison_reports_is_shown_and_counted_by_reason() {
    let settings = || PoolSettings {
        custom_attributes: vec![CustomAttribute::text("note")],
        ..local_regions::world::pool()
    };
    let world = world_with(settings(), settings()).await;
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    for number in 0..25 {
        tokyo.put_user(&world.primary.id, person(number));
        let changed = SeedUser {
            sub: Some(sub(number + 1000)),
            ..with(person(number), "custom:note", "new")
        };
        osaka.put_user(&world.secondary.id, changed);
    }
    let used = json!({
        "version": 1, "trigger": "PostConfirmation_ConfirmForgotPassword", "pool": world.secondary.id,
        "username": sub(1001), "sub": sub(1001), "recorded_at": Timestamp::now().to_string(),
        "attributes": person(1).attributes,
    });
    let key = format!("journal/password-reset/{}.json", sub(1001));
    put_object(&world, &key, used.to_string()).await;

    let ran = failback_of_everything(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.contains("nobody changed anything"), "{ran:?}");
    let evidence = ran.json();
    let steps = evidence["steps"].as_array().unwrap();
    let compare = steps.iter().find(|step| step["step"] == "compare").unwrap();
    let counted = &compare["counted"];
    assert_eq!(counted["reported as names-only"], 25, "{compare}");
    assert_eq!(counted["with changes to decide on"], 0, "{compare}");
    let shown = ran.stderr.matches("  names-only  custom:note\n").count();
    assert_eq!(shown % 20, 0, "{ran:?}");
    assert!(
        ran.stderr
            .contains("… and 5 more are reported as names-only"),
        "{ran:?}"
    );
}

/// Somebody has signed up in Tokyo with the address of a newcomer, and never confirmed it.
fn put_unconfirmed_namesake(world: &World) {
    let unconfirmed = SeedUser {
        sub: None,
        status: UserStatus::Unconfirmed,
        ..person(3)
    };
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, unconfirmed);
}

#[tokio::test]
async fn a_newcomer_who_cannot_come_home_is_not_complete_either() {
    let world = after_a_failover().await;
    put_unconfirmed_namesake(&world);

    let stopped = failback_of_everything(&world, &[]).await;
    assert_eq!(stopped.code, 1, "{stopped:?}");
    let open = &stopped.json()["open"]["bring-last-home"];
    assert_eq!(open[0]["reason"], "unconfirmed-in-primary");
    assert_no_personal_values(&evidence(&world).unwrap().to_string());

    let reclaimed = failback_of_everything(&world, &["--reclaim-unconfirmed"]).await;
    assert_eq!(reclaimed.code, 0, "{reclaimed:?}");
    is_home(&world);
}

#[tokio::test]
async fn killed_when_the_last_were_brought_home_it_still_knows_who_is_not_home() {
    let world = after_a_failover().await;
    put_unconfirmed_namesake(&world);
    // Each state of the evidence can be seen for at least this long.
    let slow = Kind::Delay(Duration::from_millis(60));
    let slow = Fault::on(Service::S3, "PutObject", slow);
    world.osaka.faults().add(slow);
    let mut child = command(&world, &["failback", "--output", "json", "--yes"]).await;
    let mut child = child.stdout(Stdio::null()).spawn().unwrap();
    until(&world, "bring-last-home", "done").await;
    let killed = evidence(&world).unwrap();
    child.kill().await.unwrap();
    world.osaka.faults().clear();
    // What was sent before the end is still carried out. Here it was not.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let key = format!("failovers/{}.json", killed["run"].as_str().unwrap());
    put_object(&world, &key, killed.to_string()).await;
    leases_expire(&world).await;

    let again = failback(&world, &["--yes"]).await;

    assert_eq!(again.code, 1, "{again:?}");
    assert_eq!(again.json()["run"], killed["run"]);
    assert_eq!(status_of(&again.json(), "close-fence"), "-");
    assert!(!is_closed(&world));
}

#[tokio::test]
async fn a_primary_that_does_not_answer_is_no_time_for_a_failback() {
    let world = after_a_failover().await;
    world.tokyo.lose(Loss::Refuse);

    let ran = failback(&world, &["--yes"]).await;

    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("the primary pool does not answer"));
    assert_eq!(evidence(&world), None);
}

#[tokio::test]
async fn a_pool_that_aws_refuses_to_show_is_a_refusal_for_a_failover_and_a_failback() {
    let world = world().await;
    let denied = Kind::error(400, "AccessDeniedException");
    let denied = Fault::on(Service::Cognito, "DescribeUserPool", denied);
    world.osaka.faults().add(denied);

    for ran in [
        failover(&world, &["--dry-run"]).await,
        failback(&world, &["--dry-run"]).await,
    ] {
        assert_eq!(ran.code, 3, "{ran:?}");
        let why = ran.stderr.lines().last().unwrap_or_default();
        let why: Value = serde_json::from_str(why).expect("one line of JSON");
        assert_eq!(why["kind"], "refused", "{why}");
        assert!(why["where"].as_str().unwrap().contains("DescribeUserPool"));
    }
}

#[tokio::test]
async fn a_closed_fence_is_never_opened_by_a_failback() {
    let world = after_a_failover().await;
    world.osaka.close_fence();

    let ran = failback_of_everything(&world, &[]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    for step in ["no-sign-ups", "prove-no-sign-ups", "close-fence"] {
        assert_eq!(status_of(&ran.json(), step), "skipped");
    }
    assert_eq!(status_of(&ran.json(), "prove-closed"), "done");
    is_home(&world);
}

#[tokio::test]
async fn whoever_was_in_tokyo_before_signs_in_there_at_every_step() {
    let world = after_a_failover().await;
    let password = "Correct-horse-7-battery";
    let with_password = SeedUser {
        password: Some(password.to_owned()),
        ..person(7)
    };
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, with_password);
    let tokyo = Visitor::of(&world.tokyo, &world.primary);
    let mut child = command(&world, &["failback", "--yes"])
        .await
        .spawn()
        .unwrap();

    let mut tries = 0;
    while child.try_wait().unwrap().is_none() {
        tokyo.signs_in(&email(7), password).await.unwrap();
        tries += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert!(tries > 20, "{tries}");
}

#[tokio::test]
async fn a_fence_that_somebody_opened_in_between_means_that_newcomers_are_looked_for_again() {
    let world = after_a_failover().await;
    world
        .osaka
        .cognito()
        .put_user(&world.secondary.id, person(5));
    assert_eq!(failback_of_everything(&world, &[]).await.code, 1);
    assert_eq!(run(&world, &["fence", "open", "--yes"]).await.code, 0);
    newcomer(&world, 6, person(6)).await;

    let ran = failback_of_everything(&world, &["--accept", &sub(5)]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(in_tokyo(&world, 6).is_some());
    is_home(&world);
}

/// A failback is killed while it is at a step, and run again. Somebody signs up until the last moment.
async fn killed_at(step: &str) {
    let world = after_a_failover().await;
    // Each state of the evidence can be seen for at least this long.
    let slow = Kind::Delay(Duration::from_millis(60));
    let slow = Fault::on(Service::S3, "PutObject", slow);
    world.osaka.faults().add(slow);
    let yes = [
        "failback",
        "--output",
        "json",
        "--yes",
        "--prefer",
        "secondary",
    ];
    let mut child = command(&world, &yes).await;
    let mut child = child.stdout(std::process::Stdio::null()).spawn().unwrap();
    if !["look", "bring-home", "no-sign-ups"].contains(&step) {
        until(&world, "prove-no-sign-ups", "running").await;
        newcomer(&world, 5, person(5)).await;
    }
    until(&world, step, "running").await;
    child.kill().await.unwrap();
    world.osaka.faults().clear();
    // What was sent before the end is still carried out.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let killed = evidence(&world).unwrap();
    assert_eq!(killed["status"], "in-progress", "{killed}");
    leases_expire(&world).await;

    let again = ran(&mut command(&world, &yes).await).await;

    assert_eq!(again.code, 0, "{again:?}");
    let evidence = again.json();
    assert_eq!(evidence["run"], killed["run"]);
    assert_eq!(evidence["status"], "complete");
    is_home(&world);
    if in_osaka(&world, 5) {
        assert!(in_tokyo(&world, 5).is_some(), "{evidence}");
    }
}

fn in_osaka(world: &World, number: u32) -> bool {
    let user = world
        .osaka
        .cognito()
        .user(&world.secondary.id, &email(number));
    user.is_some()
}

/// A scenario for each step at which a failback is killed.
macro_rules! killed_at {
    ($($name:ident: $step:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                killed_at($step).await;
            }
        )*
    };
}

killed_at! {
    a_failback_killed_at_look_ends_the_same: "look",
    a_failback_killed_at_bring_home_ends_the_same: "bring-home",
    a_failback_killed_at_no_sign_ups_ends_the_same: "no-sign-ups",
    a_failback_killed_at_prove_no_sign_ups_ends_the_same: "prove-no-sign-ups",
    a_failback_killed_at_bring_last_home_ends_the_same: "bring-last-home",
    a_failback_killed_at_compare_ends_the_same: "compare",
    a_failback_killed_at_prefer_ends_the_same: "prefer",
    a_failback_killed_at_switch_ends_the_same: "switch",
    a_failback_killed_at_close_fence_ends_the_same: "close-fence",
    a_failback_killed_at_prove_closed_ends_the_same: "prove-closed",
    a_failback_killed_at_look_again_ends_the_same: "look-again",
}

/// Loads a page in Chromium, if there is one, and looks whether its picture is drawn.
async fn look_at_in_a_browser(page: &str) {
    let browsers = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
    let Some(browser) = browsers.iter().find(|browser| Path::new(browser).exists()) else {
        println!("skipped: there is no Chromium, so the page is not looked at");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page).unwrap();
    let profile = format!("--user-data-dir={}", folder.path().display());
    let mut command = tokio::process::Command::new(browser);
    let url = format!("file://{}", file.display());
    let options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        &profile,
        "--dump-dom",
        &url,
    ];
    let shown = ran(command.args(options)).await;
    assert!(shown.stdout.contains("</svg>"), "{shown:?}");
    assert!(shown.stdout.contains("<rect"), "{shown:?}");
}
