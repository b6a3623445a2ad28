//! Failback: nobody missing, nobody twice, everyone who is not home is named.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local::cognito::{CustomAttribute, ImportKnobs, PoolSettings, SeedUser, UserStatus, UserView};
use local::faults::{Fault, Kind, Service};
use local::operator;
use local::world::{BACKUP_TRIGGER, BACKUP_WORKER, RESTORE, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::support::{
    answer, confirmation, email, files, invoke, object, ran, snapshot, sub, twinpool_command, world,
};

/// A person of the secondary pool.
fn person(number: u32) -> SeedUser {
    SeedUser {
        sub: Some(sub(number)),
        status: UserStatus::Confirmed,
        attributes: BTreeMap::from([
            ("email".to_owned(), email(number)),
            ("email_verified".to_owned(), "true".to_owned()),
        ]),
        ..SeedUser::default()
    }
}

fn with(mut person: SeedUser, attribute: &str, value: &str) -> SeedUser {
    person
        .attributes
        .insert(attribute.to_owned(), value.to_owned());
    person
}

fn in_osaka(world: &World, person: SeedUser) {
    world.osaka.cognito().put_user(&world.secondary.id, person);
}

/// Somebody who signed up in Tokyo, with another `sub` there, and their replica.
fn replicated(world: &World, number: u32) {
    let original = SeedUser {
        sub: None,
        ..person(number)
    };
    world.tokyo.cognito().put_user(&world.primary.id, original);
    in_osaka(world, person(number));
}

/// Somebody signs up in Osaka.
async fn newcomer(world: &World, number: u32, person: SeedUser) {
    in_osaka(world, person);
    signs_up(world, number).await;
}

async fn signs_up(world: &World, number: u32) {
    let event = confirmation(number).to_string();
    answer(&world.osaka, BACKUP_TRIGGER, event.as_bytes()).await;
}

fn at_home(world: &World, number: u32) -> Option<UserView> {
    world
        .tokyo
        .cognito()
        .user(&world.primary.id, &email(number))
}

async fn restore(world: &World, request: Value) -> Value {
    let answer = invoke(&world.tokyo, RESTORE, &request).await;
    answer.expect("restore-fn answers")
}

fn report(world: &World, answer: &Value) -> Value {
    let key = answer["report"].as_str().expect("a report");
    object(world, key).expect("the report is there")
}

fn folder(answer: &Value) -> String {
    let key = answer["report"].as_str().expect("a report");
    key.replace("report.json", "")
}

/// A file of a restore as text.
fn file(world: &World, answer: &Value, name: &str) -> String {
    let key = format!("{}{name}", folder(answer));
    let object = world.osaka.s3().object(SNAPSHOTS, &key);
    String::from_utf8(object.expect("the file is there")).expect("UTF-8")
}

/// Who is not home, with the reason.
fn away(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let people = report["not_home"].as_array().expect("people");
    people
        .iter()
        .map(|person| {
            let username = text(&person["username"]);
            let name = match username.as_str() {
                "" => text(&person["sub"]),
                name => name.to_owned(),
            };
            (name, text(&person["reason"]))
        })
        .collect()
}

fn records(world: &World, prefix: &str) -> BTreeSet<String> {
    let keys = world.osaka.s3().keys(SNAPSHOTS, prefix);
    let name = |key: &String| key.rsplit('/').next().unwrap_or_default().to_owned();
    keys.iter().map(name).collect()
}

#[tokio::test]
async fn newcomers_come_home_and_their_records_are_filed() {
    let world = world().await;
    for number in 0..3 {
        replicated(&world, number);
    }
    for number in 3..6 {
        newcomer(
            &world,
            number,
            with(person(number), "name", "Tarō, the first"),
        )
        .await;
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 3);
    assert_eq!(answer["counts"]["filed"], 3);
    let mut sub_map = BTreeSet::from(["username,secondary_sub,primary_sub".to_owned()]);
    for number in 3..6 {
        let home = at_home(&world, number).expect("home");
        assert_eq!(home.status, UserStatus::ResetRequired);
        assert_eq!(home.attributes["name"], "Tarō, the first");
        assert_eq!(home.attributes["custom:origin_sub"], sub(number));
        sub_map.insert(format!("{},{},{}", email(number), sub(number), home.sub));
    }
    let lines = file(&world, &answer, "sub-map.csv");
    assert_eq!(
        lines.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
        sub_map
    );
    assert!(records(&world, "journal/sign-up/").is_empty());
    let filed: BTreeSet<_> = (3..6)
        .map(|number| format!("{}.json", sub(number)))
        .collect();
    assert_eq!(records(&world, "journal/restored/"), filed);
    assert!(away(&report(&world, &answer)).is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_leaves_the_file_that_would_be_uploaded() {
    let world = world().await;
    replicated(&world, 0);
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    world.tokyo.cognito().put_user(
        &world.primary.id,
        SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(2)
        },
    );
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"dry_run": true})).await;

    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["counts"]["imported"], 1);
    let import = file(&world, &answer, "import-0001.csv");
    assert_eq!(import.lines().count(), 2);
    assert!(import.contains(&email(1)));
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(2), "unconfirmed-in-primary".to_owned())])
    );
    assert!(report["estimated_seconds"].is_u64());
    assert!(at_home(&world, 1).is_none());
    assert_eq!(records(&world, "journal/sign-up/").len(), 2);
    assert!(object(&world, "restores/open.json").is_none());
}

#[tokio::test]
async fn after_the_consoles_way_everyone_is_found_at_home_and_the_journal_is_filed() {
    let world = world().await;
    replicated(&world, 0);
    for number in 1..4 {
        newcomer(&world, number, person(number)).await;
    }
    let taken = snapshot(&world).await.unwrap();
    let manifest = object(&world, taken["manifest"].as_str().unwrap()).unwrap();
    let csv = files(&world, &manifest, "newcomers");
    operator::import(&world.tokyo, &world.primary, csv.into_bytes())
        .await
        .unwrap();
    world.clear_calls();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["counts"]["already_home"], 3);
    assert_eq!(answer["counts"]["filed"], 3);
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "CreateUserImportJob")
    );
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 4);
}

#[tokio::test]
async fn a_second_restore_finds_everyone_home() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;

    let again = restore(&world, json!({})).await;

    assert_eq!(again["status"], "complete");
    assert_eq!(again["counts"]["already_home"], 1);
    assert_eq!(again["counts"]["imported"], 0);
    assert_eq!(file(&world, &again, "sub-map.csv").lines().count(), 2);
}

#[tokio::test]
async fn what_a_csv_cannot_carry_arrives_all_the_same() {
    let world = world().await;
    let note = "first line\nsecond \"line\" \\ ";
    newcomer(&world, 1, with(person(1), "custom:note", note)).await;
    let disabled = SeedUser {
        enabled: false,
        ..with(person(2), "name", "Hanako")
    };
    newcomer(&world, 2, disabled).await;
    let long = with(
        with(person(3), "profile", &"p".repeat(2000)),
        "custom:note",
        &"長".repeat(600),
    );
    newcomer(&world, 3, long).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(at_home(&world, 1).unwrap().attributes["custom:note"], note);
    let disabled = at_home(&world, 2).expect("made");
    assert!(!disabled.enabled);
    assert_eq!(disabled.status, UserStatus::Confirmed);
    assert_eq!(disabled.attributes["name"], "Hanako");
    assert_eq!(world.tokyo.cognito().messages_sent(), 0);
    let disable = world
        .calls()
        .iter()
        .position(|call| call.operation == "AdminDisableUser");
    let password = world
        .calls()
        .iter()
        .position(|call| call.operation == "AdminSetUserPassword");
    assert!(
        disable < password,
        "never enabled with a password that can be reset"
    );
    assert_eq!(
        at_home(&world, 3).unwrap().attributes["custom:note"],
        "長".repeat(600)
    );
}

#[tokio::test]
async fn an_attribute_that_its_owner_has_written_since_is_not_overwritten() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:note", "a\nb")).await;
    snapshot(&world).await.unwrap();
    let since = SeedUser {
        sub: None,
        ..with(person(1), "custom:note", "mine")
    };
    world.tokyo.cognito().put_user(&world.primary.id, since);

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().attributes["custom:note"],
        "mine"
    );
}

#[tokio::test]
async fn nobody_who_was_deleted_comes_back_unless_asked_for() {
    let world = world().await;
    in_osaka(&world, person(0));
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    restore(&world, json!({})).await;
    let client = world.tokyo.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.primary.id);
    delete.username(email(1)).send().await.unwrap();

    let again = restore(&world, json!({})).await;
    let absent = (at_home(&world, 0).is_none(), at_home(&world, 1).is_none());
    let missing = restore(&world, json!({"scope": "missing"})).await;

    assert_eq!(again["status"], "complete");
    assert_eq!(again["counts"]["not_in_primary"], 2);
    let gone = "not-in-primary".to_owned();
    assert_eq!(
        away(&report(&world, &again)),
        BTreeMap::from([(email(0), gone.clone()), (email(1), gone)])
    );
    assert_eq!(absent, (true, true));
    assert_eq!(missing["counts"]["imported"], 2);
    assert!(at_home(&world, 0).is_some() && at_home(&world, 1).is_some());
}

#[tokio::test]
async fn an_empty_pool_is_rebuilt_from_everyone() {
    let world = world().await;
    for number in 0..20 {
        in_osaka(&world, person(number));
    }
    in_osaka(
        &world,
        SeedUser {
            status: UserStatus::Unconfirmed,
            ..person(20)
        },
    );
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"scope": "users"})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(answer["counts"]["imported"], 20);
    assert_eq!(answer["counts"]["not_restorable"], 1);
    assert_eq!(
        away(&report(&world, &answer)),
        BTreeMap::from([(email(20), "unconfirmed".to_owned())])
    );
}

#[tokio::test]
async fn a_sign_up_newer_than_the_snapshot_stops_the_run_unless_it_is_accepted() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    newcomer(&world, 2, person(2)).await;

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();
    let accepted = restore(&world, json!({"allow_stale": true})).await;

    assert!(refused.contains("take a snapshot first"), "{refused}");
    assert_eq!(accepted["status"], "incomplete");
    assert_eq!(
        away(&report(&world, &accepted)),
        BTreeMap::from([(email(2), "newer-than-snapshot".to_owned())])
    );
    assert!(at_home(&world, 1).is_some());
    assert_eq!(
        records(&world, "journal/sign-up/"),
        BTreeSet::from([format!("{}.json", sub(2))])
    );
}

#[tokio::test]
async fn an_unconfirmed_holder_of_the_name_is_deleted_only_when_asked_for() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    world.tokyo.cognito().put_user(
        &world.primary.id,
        SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(1)
        },
    );
    snapshot(&world).await.unwrap();

    let named = restore(&world, json!({})).await;
    let unconfirmed = at_home(&world, 1).unwrap().status;
    let reclaimed = restore(&world, json!({"reclaim_unconfirmed": true})).await;

    assert_eq!(named["status"], "incomplete");
    assert_eq!(
        away(&report(&world, &named))[&email(1)],
        "unconfirmed-in-primary"
    );
    assert_eq!(unconfirmed, UserStatus::Unconfirmed);
    assert_eq!(reclaimed["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().status,
        UserStatus::ResetRequired
    );
}

#[tokio::test]
async fn a_job_that_ends_failed_after_half_of_its_rows_is_followed_by_another() {
    let world = world().await;
    for number in 0..60 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        failure_share: 0.1,
        abort: true,
        ..ImportKnobs::default()
    });
    knobs.break_rows(20..40);

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{}", report(&world, &answer));
    assert_eq!(answer["counts"]["imported"], 60);
    let jobs = report(&world, &answer)["jobs"].as_array().unwrap().len();
    assert!(jobs > 1);
    assert_eq!(
        report(&world, &answer)["jobs"][0]["ended"]["status"],
        "Failed"
    );
}

#[tokio::test]
async fn a_url_that_expires_a_start_that_sees_no_file_and_throttling_do_not_lose_anybody() {
    let world = world().await;
    for number in 0..5 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        unseen_starts: 2,
        ..ImportKnobs::default()
    });
    let refuse = Kind::Error {
        status: 403,
        code: "AccessDenied".into(),
        message: "Request has expired".into(),
    };
    world
        .tokyo
        .faults()
        .add(Fault::on(Service::Cognito, "Upload", refuse).times(1));
    for operation in [
        "ListUsers",
        "CreateUserImportJob",
        "StartUserImportJob",
        "DescribeUserImportJob",
    ] {
        world
            .tokyo
            .faults()
            .add(Fault::on(Service::Cognito, operation, Kind::Throttle).times(2));
    }

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 5);
}

#[tokio::test]
async fn a_listing_that_lags_behind_imports_nobody_twice() {
    let world = world().await;
    for number in 0..5 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    world
        .tokyo
        .cognito()
        .knobs()
        .set_list_lag(Duration::from_secs(60));

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete");
    assert_eq!(report(&world, &answer)["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn out_of_time_it_says_so_and_the_same_request_goes_on() {
    let world = world().await;
    for number in 0..30 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(5),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(4));

    let first = restore(&world, json!({})).await;
    let mut last = first.clone();
    for _ in 0..10 {
        if last["status"] != "in-progress" {
            break;
        }
        last = restore(&world, json!({})).await;
    }

    assert_eq!(first["status"], "in-progress");
    assert_eq!(first["report"], last["report"]);
    assert_eq!(last["status"], "complete");
    assert_eq!(report(&world, &last)["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rows_that_the_pool_would_refuse_are_named_and_not_uploaded() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "incomplete");
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(2), "invalid-row".to_owned())])
    );
    assert!(
        report["not_home"][0]["detail"]
            .as_str()
            .unwrap()
            .starts_with("phone_number")
    );
    assert_eq!(report["not_home"][0]["sub"], sub(2));
    assert!(at_home(&world, 1).is_some());
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn a_payload_that_asks_for_nothing_known_is_refused_before_anything_is_done() {
    let world = world().await;

    let error = invoke(&world.tokyo, RESTORE, &json!({"dryrun": true}))
        .await
        .unwrap_err();

    assert!(error.contains("unknown field `dryrun`"), "{error}");
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_what_the_manifest_says_is_refused() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    let taken = snapshot(&world).await.unwrap();
    let key = format!(
        "snapshots/{}/users-0001.csv",
        taken["snapshot"].as_str().unwrap()
    );
    let mut csv = world.osaka.s3().object(SNAPSHOTS, &key).unwrap();
    let at = csv.len() - 2;
    csv[at] ^= 1;
    let client = world.osaka.s3_client();
    let put = client.put_object().bucket(SNAPSHOTS).key(&key);
    put.body(csv.into()).send().await.unwrap();

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(
        error.contains("damaged") && error.contains("users-0001.csv"),
        "{error}"
    );
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.operation == "CreateUserImportJob")
    );
}

/// The time in which a run that was killed is believed to live is over.
async fn time_passes(world: &World) {
    let Some(mut open) = object(world, "restores/open.json") else {
        return;
    };
    if open["holder"].is_object() {
        open["holder"]["until"] = json!("2026-01-01T00:00:00Z");
    }
    let client = world.osaka.s3_client();
    let put = client
        .put_object()
        .bucket(SNAPSHOTS)
        .key("restores/open.json");
    put.body(open.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn killed_at_any_call_and_run_again_it_brings_everyone_home_once() {
    let world = world().await;
    for number in 0..40 {
        newcomer(&world, number, person(number)).await;
    }
    newcomer(
        &world,
        40,
        SeedUser {
            enabled: false,
            ..person(40)
        },
    )
    .await;
    newcomer(&world, 41, with(person(41), "custom:note", "a\nb")).await;
    newcomer(&world, 42, with(person(42), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(40),
        ..ImportKnobs::default()
    });

    let mut answer = None;
    for calls in (5..).step_by(7) {
        world.clear_calls();
        let request = json!({});
        let running = invoke(&world.tokyo, RESTORE, &request);
        let killing = async {
            while world.calls().len() < calls {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            world.tokyo.lambda().kill(RESTORE);
            std::future::pending::<()>().await
        };
        let ended = tokio::select! {
            ended = running => ended,
            () = killing => unreachable!("it never ends"),
        };
        if let Ok(ended) = ended {
            answer = Some(ended);
            break;
        }
        time_passes(&world).await;
    }

    let answer = answer.expect("once it was not killed any more");
    let report = report(&world, &answer);
    assert_eq!(
        away(&report),
        BTreeMap::from([(email(42), "invalid-row".to_owned())])
    );
    let imported: u64 = world.tokyo.cognito().users(&world.primary.id).len() as u64;
    assert_eq!(imported, 42);
    assert!(!at_home(&world, 40).unwrap().enabled);
    assert_eq!(
        at_home(&world, 41).unwrap().attributes["custom:note"],
        "a\nb"
    );
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
    assert_eq!(records(&world, "journal/restored/").len(), 42);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 43);
}

#[tokio::test]
async fn a_restore_that_another_run_is_at_is_left_to_it() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(1),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(20));

    let request = json!({});
    let (first, second) = tokio::join!(
        invoke(&world.tokyo, RESTORE, &request),
        invoke(&world.tokyo, RESTORE, &request)
    );

    let (done, left): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), left.len()), (1, 1), "{done:?} {left:?}");
    assert!(
        left[0].as_ref().unwrap_err().contains("another run"),
        "{left:?}"
    );
    assert_eq!(done[0].as_ref().unwrap()["counts"]["imported"], 1);
}

#[tokio::test]
async fn an_attribute_that_only_one_pool_has_is_mapped_or_refused_by_name() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:tenant", "acme")).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    let settings = |attributes: &[&'static str]| PoolSettings {
        custom_attributes: attributes
            .iter()
            .map(|name| CustomAttribute::text(name))
            .collect(),
        ..local::world::pool()
    };
    let cognito = world.tokyo.cognito();
    let narrow = cognito.create_pool(settings(&["origin_sub", "note"]));
    let wide = cognito.create_pool(settings(&["rank", "note", "origin_sub", "tenant"]));
    let lambda = world.tokyo.lambda();

    lambda.set_env(RESTORE, "USER_POOL_ID", &narrow.id);
    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();
    lambda.set_env(RESTORE, "USER_POOL_ID", &wide.id);
    let mapped = restore(&world, json!({})).await;

    assert!(
        refused.contains("custom:tenant") && refused.contains("1 people"),
        "{refused}"
    );
    assert!(cognito.users(&narrow.id).is_empty());
    assert_eq!(mapped["status"], "complete");
    let home = cognito.user(&wide.id, &email(1)).unwrap();
    assert_eq!(home.attributes["custom:tenant"], "acme");
    assert_eq!(home.attributes["custom:origin_sub"], sub(1));
}

#[tokio::test]
async fn whatever_goes_wrong_nobody_is_missing_and_nobody_is_there_twice() {
    let world = world().await;
    for number in 0..500 {
        replicated(&world, number);
    }
    for number in 500..800 {
        let person = match number % 50 {
            0 => with(person(number), "custom:note", "\"quoted\""),
            1 => SeedUser {
                enabled: false,
                ..person(number)
            },
            2 => with(person(number), "phone_number", "no number"),
            _ => person(number),
        };
        newcomer(&world, number, person).await;
    }
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        failure_share: 0.02,
        abort: true,
        ..ImportKnobs::default()
    });
    knobs.break_rows(100..120);
    knobs.set_list_lag(Duration::from_secs(3));
    snapshot(&world).await.unwrap();
    let faults = world.tokyo.faults();
    let error = |status, code: &str| Kind::Error {
        status,
        code: code.into(),
        message: String::new(),
    };
    faults.add(Fault::on(Service::Cognito, "Upload", error(403, "AccessDenied")).times(1));
    faults.add(
        Fault::of(Service::Cognito, Kind::Throttle)
            .after(10)
            .times(10),
    );
    faults.add(
        Fault::of(Service::Cognito, error(500, "InternalErrorException"))
            .after(25)
            .times(3),
    );
    faults.add(Fault::of(Service::Logs, Kind::Reset).times(2));
    world.osaka.faults().add(
        Fault::of(Service::S3, error(503, "SlowDown"))
            .after(20)
            .times(2),
    );

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    let refused: BTreeMap<_, _> = (500..800)
        .filter(|number| number % 50 == 2)
        .map(|number| (email(number), "invalid-row".to_owned()))
        .collect();
    assert_eq!(away(&report), refused);
    assert_eq!(answer["counts"]["in_scope"], 300);
    assert_eq!(answer["counts"]["imported"], 288);
    assert_eq!(answer["counts"]["created"], 6);
    assert_eq!(answer["counts"]["attributes_written"], 6);
    let users = world.tokyo.cognito().users(&world.primary.id);
    assert_eq!(users.len(), 500 + 294);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 295);
}

#[tokio::test]
async fn somebody_elses_sub_in_an_attribute_of_ones_own_is_not_believed() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "phone_number", "090-1234")).await;
    newcomer(&world, 2, with(person(2), "custom:tenant", &sub(1))).await;
    let disabled = SeedUser {
        enabled: false,
        ..with(person(3), "custom:tenant", "acme")
    };
    newcomer(&world, 3, disabled).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    let home = |number| at_home(&world, number).unwrap();
    let map: BTreeSet<_> = [2, 3]
        .map(|number| format!("{},{},{}", email(number), sub(number), home(number).sub))
        .into();
    let lines = file(&world, &answer, "sub-map.csv");
    assert_eq!(
        lines
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        map
    );
    let waiting = BTreeSet::from([format!("{}.json", sub(1))]);
    assert_eq!(records(&world, "journal/sign-up/"), waiting);
    assert_eq!(home(3).attributes["custom:tenant"], "acme");
    assert_eq!(home(3).attributes["custom:origin_sub"], sub(3));
}

#[tokio::test]
async fn without_an_attribute_of_origin_records_are_joined_by_name_and_else_by_asking() {
    let world = world().await;
    world
        .osaka
        .lambda()
        .unset_env(BACKUP_WORKER, "ORIGIN_SUB_ATTRIBUTE");
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "email", "renamed@example.jp")).await;
    newcomer(&world, 3, person(3)).await;
    let client = world.osaka.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.secondary.id);
    delete.username(sub(3)).send().await.unwrap();
    // Older than what may have been under way when the snapshot was taken.
    tokio::time::sleep(Duration::from_secs(11)).await;
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    let map = file(&world, &answer, "sub-map.csv");
    assert!(map.contains(&format!("{},{},", email(1), sub(1))), "{map}");
    assert!(
        map.contains(&format!("renamed@example.jp,{},", sub(2))),
        "{map}"
    );
    let gone = BTreeMap::from([(sub(3), "deleted-in-secondary".to_owned())]);
    assert_eq!(away(&report(&world, &answer)), gone);
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

#[tokio::test]
async fn a_holder_of_the_name_is_deleted_for_whoever_comes_home_and_for_nobody_else() {
    let world = world().await;
    newcomer(
        &world,
        1,
        SeedUser {
            enabled: false,
            ..person(1)
        },
    )
    .await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    for number in [1, 2] {
        let holder = SeedUser {
            status: UserStatus::Unconfirmed,
            sub: None,
            ..person(number)
        };
        world.tokyo.cognito().put_user(&world.primary.id, holder);
    }
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({"reclaim_unconfirmed": true})).await;

    assert_eq!(answer["counts"]["created"], 1, "{answer}");
    assert_eq!(at_home(&world, 1).unwrap().status, UserStatus::Confirmed);
    assert_eq!(at_home(&world, 2).unwrap().status, UserStatus::Unconfirmed);
}

#[tokio::test]
async fn an_attribute_that_was_refused_is_named_and_tried_again() {
    let world = world().await;
    newcomer(&world, 1, with(person(1), "custom:note", "a\nb")).await;
    snapshot(&world).await.unwrap();
    let refuse = Kind::Error {
        status: 400,
        code: "InvalidParameterException".into(),
        message: String::new(),
    };
    let update = Fault::on(Service::Cognito, "AdminUpdateUserAttributes", refuse);
    world.tokyo.faults().add(update.times(2));

    let refused = restore(&world, json!({})).await;
    let again = restore(&world, json!({})).await;

    assert_eq!(refused["status"], "incomplete");
    let missing = &report(&world, &refused)["attributes_missing"][0];
    assert_eq!(missing["attribute"], "custom:note");
    assert_eq!(missing["code"], "InvalidParameterException");
    assert_eq!(again["status"], "complete");
    assert_eq!(
        at_home(&world, 1).unwrap().attributes["custom:note"],
        "a\nb"
    );
}

#[tokio::test]
async fn a_disabled_person_whose_making_was_interrupted_is_finished_by_the_next_run() {
    let world = world().await;
    newcomer(
        &world,
        1,
        SeedUser {
            enabled: false,
            ..person(1)
        },
    )
    .await;
    snapshot(&world).await.unwrap();
    let error = |status, code: &str| Kind::Error {
        status,
        code: code.into(),
        message: String::new(),
    };
    for (operation, kind) in [
        ("AdminCreateUser", Kind::Reset),
        ("AdminDisableUser", error(400, "AccessDeniedException")),
        (
            "AdminSetUserPassword",
            error(400, "InvalidParameterException"),
        ),
    ] {
        let fault = Fault::on(Service::Cognito, operation, kind);
        world.tokyo.faults().add(fault.times(1));
    }

    let refused = invoke(&world.tokyo, RESTORE, &json!({})).await;
    let named = restore(&world, json!({})).await;
    let finished = restore(&world, json!({})).await;

    assert!(refused.unwrap_err().contains("AdminDisableUser"));
    assert_eq!(away(&report(&world, &named))[&email(1)], "create-failed");
    assert_eq!(
        finished["status"],
        "complete",
        "{}",
        report(&world, &finished)
    );
    let home = at_home(&world, 1).unwrap();
    assert_eq!((home.status, home.enabled), (UserStatus::Confirmed, false));
}

#[tokio::test]
async fn a_row_that_cognito_refuses_is_named_with_cognitos_reason() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    snapshot(&world).await.unwrap();
    world.tokyo.cognito().knobs().break_rows([1]);
    let told = |text: &str, line| json!({"timestamp": 0, "message": format!("{text} - {line}")});
    let log = json!({
        "events": [
            told("[FAILED] Line Number 2", "The attribute is not allowed."),
            told("[SUCCEEDED] Line Number 3", "The import succeeded."),
        ],
        "nextForwardToken": "f/1",
    });
    world
        .tokyo
        .faults()
        .add(Fault::of(Service::Logs, Kind::Answer(log)));

    let answer = restore(&world, json!({})).await;

    let report = report(&world, &answer);
    let people = report["not_home"].as_array().unwrap();
    assert_eq!(people.len(), 1, "{report}");
    assert_eq!(people[0]["reason"], "import-failed");
    assert_eq!(people[0]["detail"], "The attribute is not allowed.");
    assert_eq!(answer["counts"]["imported"], 1);
    assert_eq!(report["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_federated_namesake_is_somebody_else() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, person(2)).await;
    let federated = |number, sub| SeedUser {
        status: UserStatus::ExternalProvider,
        username: Some(format!("google_{number}")),
        sub,
        ..person(number)
    };
    world
        .tokyo
        .cognito()
        .put_user(&world.primary.id, federated(1, None));
    in_osaka(&world, federated(2, Some(sub(90))));
    snapshot(&world).await.unwrap();

    let answer = restore(&world, json!({})).await;

    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["counts"]["imported"], 2);
    assert_eq!(file(&world, &answer, "sub-map.csv").lines().count(), 3);
}

#[tokio::test]
async fn who_is_deleted_between_import_and_resumption_stays_deleted() {
    let world = world().await;
    for number in 0..30 {
        newcomer(&world, number, person(number)).await;
    }
    snapshot(&world).await.unwrap();
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        rows_per_second: Some(8),
        ..ImportKnobs::default()
    });
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(4));
    let first = restore(&world, json!({})).await;
    while world.tokyo.cognito().users(&world.primary.id).len() < 30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let client = world.tokyo.cognito_client();
    let delete = client.admin_delete_user().user_pool_id(&world.primary.id);
    delete.username(email(3)).send().await.unwrap();
    world
        .tokyo
        .lambda()
        .set_timeout(RESTORE, Duration::from_secs(60));

    let again = restore(&world, json!({})).await;

    assert_eq!(first["status"], "in-progress");
    assert!(at_home(&world, 3).is_none());
    let gone = BTreeMap::from([(email(3), "gone-since-import".to_owned())]);
    assert_eq!(away(&report(&world, &again)), gone);
    assert_eq!(again["counts"]["imported"], 29);
    assert!(records(&world, "journal/sign-up/").is_empty());
}

#[tokio::test]
async fn a_job_that_fails_before_its_first_row_is_told_with_cognitos_words() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    snapshot(&world).await.unwrap();
    let foreign = "arn:aws:iam::999999999999:role/import-logs";
    world
        .tokyo
        .lambda()
        .set_env(RESTORE, "IMPORT_LOGS_ROLE_ARN", foreign);

    let error = invoke(&world.tokyo, RESTORE, &json!({})).await.unwrap_err();

    assert!(error.contains("failed before its first row"), "{error}");
    assert_eq!(records(&world, "journal/sign-up/").len(), 1);
}

async fn command(world: &World, arguments: &[&str]) -> crate::support::Ran {
    let mut command = twinpool_command(world).await;
    command
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .env("TWINPOOL_IMPORT_ROLE", local::world::IMPORT_LOGS_ROLE)
        .args(arguments);
    ran(&mut command).await
}

#[tokio::test]
async fn the_command_line_restores_with_the_same_engine_and_tells_what_it_did() {
    let world = world().await;
    newcomer(&world, 1, person(1)).await;
    newcomer(&world, 2, with(person(2), "phone_number", "090-1234")).await;
    snapshot(&world).await.unwrap();

    let dry = command(&world, &["restore", "--dry-run"]).await;
    let done = command(&world, &["restore"]).await;
    let again = command(&world, &["restore", "--output", "json"]).await;

    assert_eq!(
        (dry.code, done.code, again.code),
        (1, 1, 1),
        "{dry:?} {done:?}"
    );
    assert!(dry.stdout.contains("would be imported") && dry.stdout.contains("nothing was changed"));
    assert!(done.stdout.contains(&email(2)) && done.stdout.contains("invalid-row"));
    assert!(done.stdout.contains("what to do"), "{}", done.stdout);
    assert_eq!(again.json()["counts"]["already_home"], 1);
    assert_eq!(done.stderr, "");
}
