//! `twinpool reconcile`: usage, what is shown of a run, the first fill, and decisions on what a run has reported.

use jiff::SignedDuration;
use local_regions::cognito::{SeedUser, UserStatus, UserView};
use local_regions::world::{IMPORT_LOGS_ROLE, SNAPSHOTS, World};
use serde_json::{Value, json};

use crate::reconcile::settings::{with_preferred_usernames, world_with};
use crate::restore::{person, with};
use crate::support::{
    RECONCILE, Ran, email, object, put_object, put_reconcile_report, ran, sub, twinpool,
    twinpool_command, world,
};

async fn reconcile(world: &World, arguments: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    command
        .env("TWINPOOL_PRIMARY", &world.primary.id)
        .env("TWINPOOL_SECONDARY", &world.secondary.id)
        .env("TWINPOOL_BUCKET", SNAPSHOTS)
        .arg("reconcile")
        .args(arguments);
    ran(&mut command).await
}

async fn prefer(world: &World, arguments: &[&str]) -> Ran {
    let prefer = ["--of", RECONCILE, "--prefer"];
    reconcile(world, &[&prefer[..], arguments].concat()).await
}

/// The person with this number in both pools: `sub` 1000 more in the secondary, where they have set a password as `base` and are `now`.
pub async fn person_who_used_the_secondary(
    world: &World,
    number: u32,
    base: SeedUser,
    now: SeedUser,
) {
    let secondary_sub = sub(number + 1000);
    let record = json!({
        "version": 1, "trigger": "PostConfirmation_ConfirmForgotPassword", "pool": world.secondary.id,
        "username": secondary_sub, "sub": secondary_sub, "recorded_at": "2026-11-20T10:00:00Z",
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

/// Writes a report that says of each person which attributes they have changed in the secondary.
pub async fn reported(world: &World, people: &[(u32, &[&str])]) {
    let lines = people.iter().map(|(number, attributes)| {
        let line = json!({
            "sub": sub(*number), "secondary_sub": sub(number + 1000), "action": "report", "attributes": attributes,
            "outcome": "changed-in-secondary",
        });
        format!("{line}\n")
    });
    let key = format!("reconciles/{RECONCILE}/changes-0001.jsonl");
    put_object(world, &key, lines.collect()).await;
    put_reconcile_report(world, SignedDuration::ZERO, json!({})).await;
}

fn in_primary(world: &World, number: u32) -> UserView {
    let user = world.tokyo.cognito().user(&world.primary.id, &sub(number));
    user.expect("the user is there")
}

fn in_secondary(world: &World, number: u32) -> UserView {
    let sub = sub(number + 1000);
    let user = world.osaka.cognito().user(&world.secondary.id, &sub);
    user.expect("the user is there")
}

/// The reasons of the people who are listed under a member of the result.
fn reasons(ran: &Ran, member: &str) -> Vec<String> {
    let result = ran.json();
    let listed = result[member].as_array().expect("a list");
    let reason = |person: &Value| person["reason"].as_str().expect("a reason").to_owned();
    listed.iter().map(reason).collect()
}

/// Whether anything was written to a pool.
fn has_written(world: &World) -> bool {
    let calls = world.calls();
    let is_write = |operation: &str| {
        let writes = ["Admin", "Create", "Start", "Update"];
        let is_read = operation.starts_with("AdminGet") || operation.starts_with("AdminList");
        writes.iter().any(|write| operation.starts_with(write)) && !is_read
    };
    calls.iter().any(|call| is_write(&call.operation))
}

#[tokio::test]
async fn options_that_contradict_each_other_are_bad_usage_and_ask_nobody() {
    let world = world().await;
    let pool = &world.primary.id;
    let same = ["--primary", pool, "--secondary", pool];
    let prefer_without_run = ["--prefer", "secondary"];
    let accept_and_prefer = [
        "--accept", RECONCILE, "--prefer", "primary", "--of", RECONCILE,
    ];
    for arguments in [
        &same[..],
        &prefer_without_run,
        &["--of", RECONCILE],
        &["--sub", "s-1"],
        &["--prefer", "both", "--of", RECONCILE],
        &["--accept", "latest"],
        &accept_and_prefer,
        &["--writes-per-second", "0"],
        &["--logs-role", "no-arn"],
    ] {
        let ran = reconcile(&world, arguments).await;

        assert_eq!(ran.code, 2, "{arguments:?} {ran:?}");
        assert_eq!(ran.stdout, "");
    }
    assert!(world.calls().is_empty());
}

#[tokio::test]
async fn without_a_bucket_or_pools_it_is_bad_usage() {
    let world = world().await;

    let ran = twinpool(&world, &["reconcile"]).await;

    assert_eq!(ran.code, 2, "{ran:?}");
    for option in ["--primary", "--secondary", "--bucket"] {
        assert!(ran.stderr.contains(option), "{ran:?}");
    }
}

#[tokio::test]
async fn a_decision_is_not_written_unless_somebody_is_asked_or_says_yes() {
    let world = world().await;
    let base = with(person(1), "custom:note", "old");
    let now = with(person(1), "custom:note", "new");
    person_who_used_the_secondary(&world, 1, base, now).await;
    reported(&world, &[(1, &["custom:note"])]).await;

    let unasked = prefer(&world, &["secondary"]).await;
    let dry = prefer(&world, &["secondary", "--dry-run"]).await;

    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.stdout.contains("custom:note"), "{dry:?}");
    assert!(dry.stdout.contains("would be written"), "{dry:?}");
    for ran in [unasked, dry] {
        assert!(!ran.stdout.contains(&email(1)) && !ran.stdout.contains("new"));
    }
    assert_eq!(in_primary(&world, 1).attributes["custom:note"], "old");
    assert!(!has_written(&world));
}

#[tokio::test]
async fn what_people_changed_in_the_secondary_is_brought_home_without_a_message() {
    let world = world().await;
    let base = with(person(1), "custom:note", "old");
    let now = with(
        with(person(1), "custom:note", "new"),
        "email",
        "moved@example.jp",
    );
    person_who_used_the_secondary(&world, 1, base, now).await;
    let other = with(person(2), "custom:note", "mine");
    person_who_used_the_secondary(&world, 2, person(2), other).await;
    reported(
        &world,
        &[(1, &["custom:note", "email"]), (2, &["custom:note"])],
    )
    .await;

    let only_one = ["secondary", "--yes", "--sub", &sub(1)];
    let ran = prefer(&world, &only_one).await;
    let again = prefer(&world, &[&only_one[..], &["--output", "json"]].concat()).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let home = in_primary(&world, 1);
    assert_eq!(home.attributes["custom:note"], "new");
    assert_eq!(home.attributes["email"], "moved@example.jp");
    assert_eq!(home.attributes["email_verified"], "true");
    assert_eq!(world.tokyo.cognito().messages_sent(), 0);
    let key = format!("journal/password-reset/{}.json", sub(1001));
    let record = object(&world, &key).expect("the record");
    assert_eq!(record["attributes"]["email"], "moved@example.jp");
    assert_eq!(record["attributes"]["custom:note"], "new");
    assert!(!in_primary(&world, 2).attributes.contains_key("custom:note"));
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["written"], json!([]));
}

#[tokio::test]
async fn what_people_changed_in_the_secondary_is_overwritten_if_the_primary_is_preferred() {
    let world = world().await;
    let now = with(
        with(person(1), "custom:note", "new"),
        "email",
        "moved@example.jp",
    );
    person_who_used_the_secondary(&world, 1, person(1), now).await;
    reported(&world, &[(1, &["custom:note", "email"])]).await;

    let ran = prefer(&world, &["primary", "--yes"]).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    let there = in_secondary(&world, 1);
    assert!(!there.attributes.contains_key("custom:note"));
    assert_eq!(there.attributes["email"], email(1));
    assert_eq!(there.attributes["email_verified"], "true");
    assert_eq!(world.osaka.cognito().messages_sent(), 0);
}

/// Adds a file of changes that says that these people are in a group of the secondary alone.
pub async fn reported_in_group(world: &World, people: &[u32], group: &str) {
    let lines = people.iter().map(|number| {
        let line = json!({
            "sub": sub(*number), "secondary_sub": sub(number + 1000), "action": "report", "attributes": [group],
            "outcome": "group-changed-in-secondary",
        });
        format!("{line}\n")
    });
    let key = format!("reconciles/{RECONCILE}/changes-0002.jsonl");
    put_object(world, &key, lines.collect()).await;
}

#[tokio::test]
async fn memberships_are_brought_home_or_taken_away_unless_they_have_changed_since_the_report() {
    for (side, in_primary, in_secondary) in [("secondary", true, true), ("primary", false, false)] {
        let world = world().await;
        let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
        for number in 0..3 {
            person_who_used_the_secondary(&world, number, person(number), person(number)).await;
        }
        // The second one is in the group of both by now, and the third one in that of the primary.
        for number in [0, 1] {
            osaka.add_to_group(&world.secondary.id, &sub(number + 1000), "staff");
        }
        for number in [1, 2] {
            tokyo.add_to_group(&world.primary.id, &sub(number), "staff");
        }
        reported(&world, &[]).await;
        reported_in_group(&world, &[0, 1, 2], "staff").await;

        let planned = prefer(&world, &[side, "--dry-run", "--output", "json"]).await;
        assert!(!has_written(&world));
        let decided = prefer(&world, &[side, "--yes", "--output", "json"]).await;
        let again = prefer(&world, &[side, "--yes", "--output", "json"]).await;

        for ran in [&planned, &decided] {
            assert_eq!(
                ran.json()["written"].as_array().unwrap().len(),
                1,
                "{ran:?}"
            );
            assert_eq!(ran.json()["written"][0]["sub"], sub(0));
            assert_eq!(reasons(ran, "written"), ["group-changed-in-secondary"]);
            assert_eq!(reasons(ran, "not_written"), ["changed-since-report"]);
        }
        assert_eq!(again.json()["written"], json!([]), "{again:?}");
        let home = tokyo.groups_of(&world.primary.id, &sub(0));
        let away = osaka.groups_of(&world.secondary.id, &sub(1000));
        assert_eq!(
            (home.contains("staff"), away.contains("staff")),
            (in_primary, in_secondary)
        );
        let both = tokyo.groups_of(&world.primary.id, &sub(1));
        assert!(both.contains("staff"), "{side}");
    }
}

#[tokio::test]
async fn what_has_changed_since_the_report_or_belongs_to_somebody_else_is_listed_and_left() {
    let world = world().await;
    let changed = with(person(1), "custom:note", "new");
    person_who_used_the_secondary(&world, 1, person(1), changed).await;
    let taken = with(person(2), "email", &email(3));
    person_who_used_the_secondary(&world, 2, person(2), taken).await;
    world.tokyo.cognito().put_user(&world.primary.id, person(3));
    let unverified = with(
        with(person(4), "email", "new@example.jp"),
        "email_verified",
        "false",
    );
    person_who_used_the_secondary(&world, 4, person(4), unverified).await;
    reported(
        &world,
        &[(1, &["custom:note"]), (2, &["email"]), (4, &["email"])],
    )
    .await;
    let delete = world.osaka.cognito_client().admin_delete_user();
    let delete = delete.user_pool_id(&world.secondary.id).username(sub(1001));
    delete.send().await.expect("deleted");

    let ran = prefer(
        &world,
        &[
            "secondary",
            "--yes",
            "--sub",
            &sub(1),
            &sub(2),
            &sub(4),
            "s-9",
            "--output",
            "json",
        ],
    )
    .await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(reasons(&ran, "written"), [""; 0]);
    let mut left = reasons(&ran, "not_written");
    left.sort();
    let expected = [
        "changed-since-report",
        "name-held",
        "not-in-report",
        "unverified-in-secondary",
    ];
    assert_eq!(left, expected);
    for number in [2, 4] {
        assert_eq!(
            in_primary(&world, number).attributes["email"],
            email(number)
        );
    }
}

#[tokio::test]
async fn a_name_that_nobody_can_be_looked_up_by_is_left_and_stops_nobody_else() {
    let world = world_with(with_preferred_usernames(), with_preferred_usernames()).await;
    for (number, attribute, value) in [
        (1, "preferred_username", "Sora K"),
        (2, "custom:note", "new"),
    ] {
        let named = || SeedUser {
            username: Some(format!("taro-{number}")),
            ..person(number)
        };
        let changed = with(named(), attribute, value);
        person_who_used_the_secondary(&world, number, named(), changed).await;
    }
    reported(
        &world,
        &[(1, &["preferred_username"]), (2, &["custom:note"])],
    )
    .await;

    let ran = prefer(&world, &["secondary", "--yes", "--output", "json"]).await;

    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(reasons(&ran, "not_written"), ["name-held"]);
    assert_eq!(in_primary(&world, 2).attributes["custom:note"], "new");
}

#[tokio::test]
async fn a_run_that_is_not_known_or_of_other_pools_is_refused() {
    let world = world().await;

    let unknown = prefer(&world, &["secondary", "--yes"]).await;
    let pools = json!({"primary": {"pool": "ap-northeast-1_Elsewhere", "listed": 0}});
    put_reconcile_report(&world, SignedDuration::ZERO, pools).await;
    let other = prefer(&world, &["secondary", "--yes"]).await;

    assert_eq!((unknown.code, other.code), (1, 1), "{unknown:?} {other:?}");
    assert!(unknown.stderr.contains("no report of a run"), "{unknown:?}");
    assert!(
        other.stderr.contains("ap-northeast-1_Elsewhere"),
        "{other:?}"
    );
    assert!(!has_written(&world));
}

/// Puts people with these numbers into the primary pool, as they were before twinpool.
pub fn people(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        world
            .tokyo
            .cognito()
            .put_user(&world.primary.id, person(number));
    }
}

/// The rates with which a run of a test is fast.
pub const FAST: [&str; 4] = ["--lists-per-second", "500", "--writes-per-second", "500"];

pub fn without_quotas(world: &World) {
    for region in [&world.tokyo, &world.osaka] {
        region.cognito().knobs().set_quotas(false);
    }
}

/// How often an operation was called.
fn calls(world: &World, operation: &str) -> usize {
    let calls = world.calls();
    calls
        .iter()
        .filter(|call| call.operation == operation)
        .count()
}

#[tokio::test]
async fn the_dry_run_says_who_would_be_made_and_what_it_costs_and_the_run_makes_them() {
    let world = world().await;
    people(&world, 1..4);

    let dry = reconcile(&world, &["--dry-run"]).await;
    let nobody = world.osaka.cognito().users(&world.secondary.id).len();
    let done = reconcile(&world, &[]).await;
    let again = reconcile(&world, &["--output", "json"]).await;

    assert_eq!(
        (dry.code, done.code, again.code),
        (0, 0, 0),
        "{dry:?} {done:?}"
    );
    for shown in [
        "nothing was changed",
        "would be created",
        "3 people would be created one by one: each is a monthly active user",
        "It would take about 1 min",
    ] {
        assert!(dry.stdout.contains(shown), "{shown}: {dry:?}");
    }
    assert_eq!(nobody, 0);
    assert!(
        done.stdout.contains("The secondary is as the primary"),
        "{done:?}"
    );
    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 3);
    assert_eq!(again.json()["counts"]["unchanged"], 3, "{again:?}");
    assert_eq!(again.json()["status"], "complete");
    let report = again.json()["report"].as_str().expect("a key").to_owned();
    assert_eq!(
        object(&world, &report),
        Some(again.json()["details"].clone())
    );
    for number in 1..4 {
        assert!(!dry.stdout.contains(&email(number)) && !done.stdout.contains(&email(number)));
    }
}

#[tokio::test]
async fn what_the_guard_holds_back_is_shown_with_the_command_that_accepts_it() {
    let world = world().await;
    without_quotas(&world);
    people(&world, 1..21);
    reconcile(&world, &FAST).await;
    for number in 1..21 {
        let cognito = world.tokyo.cognito();
        cognito.remove_user(&world.primary.id, &sub(number));
    }

    let dry = reconcile(&world, &["--dry-run"]).await;
    let held = reconcile(&world, &FAST).await;
    let enabled = |number: u32| {
        let secondary = world
            .osaka
            .cognito()
            .user(&world.secondary.id, &email(number));
        secondary.expect("a replica").enabled
    };
    assert!((1..21).all(enabled));
    let mut lines = held.stdout.lines();
    let command = lines.find_map(|line| line.split_once("you want: twinpool "));
    let (_, command) = command.expect("a command");
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let accepted = twinpool(&world, &arguments).await;

    assert_eq!((dry.code, held.code), (1, 1), "{dry:?} {held:?}");
    assert!(held.stdout.contains("withhold: 20"), "{held:?}");
    assert!(arguments.contains(&"--accept"), "{held:?}");
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(!(1..21).any(enabled));
}

#[tokio::test]
async fn many_people_who_are_missing_come_by_import_and_none_of_them_is_created() {
    let world = world().await;
    without_quotas(&world);
    people(&world, 0..501);
    let role = ["--logs-role", IMPORT_LOGS_ROLE];

    let dry = reconcile(&world, &[&FAST[..], &["--dry-run"]].concat()).await;
    let without_role = reconcile(&world, &FAST).await;
    let left_out = object(&world, "reconciles/latest.json").unwrap();
    let filled = reconcile(&world, &[&FAST[..], &role].concat()).await;
    let again = reconcile(&world, &[&FAST[..], &["--output", "json"]].concat()).await;

    assert_eq!(dry.code, 0, "{dry:?}");
    let import = "501 people would be brought by import jobs";
    assert!(dry.stdout.contains(import), "{dry:?}");
    assert_eq!(without_role.code, 1, "{without_role:?}");
    assert!(
        without_role.stderr.contains("--logs-role"),
        "{without_role:?}"
    );
    assert_eq!(left_out["incomplete"], json!({"last_complete": null}));
    assert_eq!(filled.code, 0, "{filled:?}");
    let complete = object(&world, "reconciles/latest.json").unwrap();
    assert_eq!(complete.get("incomplete"), None);
    assert!(
        filled.stderr.contains("501 people were imported"),
        "{filled:?}"
    );
    assert_eq!(calls(&world, "AdminCreateUser"), 0);
    let users = world.osaka.cognito().users(&world.secondary.id);
    assert_eq!(users.len(), 501);
    let must_reset = |user: &&UserView| user.status == UserStatus::ResetRequired;
    assert_eq!(users.iter().filter(must_reset).count(), 501);
    assert_eq!(again.json()["counts"]["unchanged"], 501, "{again:?}");
    assert_eq!(object(&world, "latest.json"), None);
}

#[tokio::test]
async fn what_is_accepted_is_done_after_a_fill_memberships_too() {
    let world = world().await;
    without_quotas(&world);
    people(&world, 0..24);
    let (tokyo, osaka) = (world.tokyo.cognito(), world.osaka.cognito());
    reconcile(&world, &FAST).await;
    for number in 0..12 {
        let secondary = &world.secondary.id;
        let replica = osaka.user(secondary, &email(number)).expect("a replica");
        osaka.add_to_group(secondary, &replica.sub, "staff");
        tokyo.add_to_group(&world.primary.id, &sub(number), "staff");
        tokyo.remove_from_group(&world.primary.id, &sub(number), "staff");
    }
    for number in 12..24 {
        tokyo.set_enabled(&world.primary.id, &sub(number), false);
    }
    let look = ["--groups-every-s", "0", "--output", "json"];
    let held = reconcile(&world, &[&FAST[..], &look].concat()).await.json();
    let run = held["details"]["reconcile"].as_str().expect("a run");
    people(&world, 100..601);

    let accept = ["--accept", run, "--logs-role", IMPORT_LOGS_ROLE];
    let accepted = reconcile(&world, &[&FAST[..], &accept].concat()).await;

    assert_eq!(
        held["details"]["held"],
        json!({"disable": 12, "remove-membership": 12})
    );
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(osaka.members_of(&world.secondary.id, "staff").is_empty());
    let users = osaka.users(&world.secondary.id);
    assert_eq!(
        (
            users.len(),
            users.iter().filter(|user| !user.enabled).count()
        ),
        (525, 12)
    );
}

#[tokio::test]
async fn without_a_fill_everyone_is_created_however_many_are_missing() {
    let world = world().await;
    without_quotas(&world);
    people(&world, 0..501);

    let ran = reconcile(&world, &[&FAST[..], &["--no-fill"]].concat()).await;

    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(calls(&world, "AdminCreateUser"), 501);
}

#[tokio::test]
async fn groups_are_compared_at_once_and_nobody_is_activated_if_that_is_asked_for() {
    let world = world().await;
    people(&world, 0..1);
    let replica = with(person(0), "custom:origin_sub", &sub(0));
    let replica = SeedUser {
        sub: None,
        status: UserStatus::ForceChangePassword,
        ..replica
    };
    let osaka = world.osaka.cognito();
    osaka.put_user(&world.secondary.id, replica);
    let half_made = || osaka.user(&world.secondary.id, &email(0)).expect("there");
    let first = reconcile(&world, &["--activate-replicas", "false"]).await;
    assert_eq!(
        half_made().status,
        UserStatus::ForceChangePassword,
        "{first:?}"
    );
    let tokyo = world.tokyo.cognito();
    tokyo.add_to_group(&world.primary.id, &sub(0), "staff");
    let is_member = || {
        let groups = osaka.groups_of(&world.secondary.id, &half_made().sub);
        groups.contains("staff")
    };

    let within_a_day = reconcile(&world, &[]).await;
    assert!(!is_member(), "{within_a_day:?}");
    assert_eq!(half_made().status, UserStatus::Confirmed);
    let now = reconcile(&world, &["--groups-every-s", "0"]).await;

    assert!(is_member(), "{now:?}");
    for bad in [["--activate-replicas", "maybe"], ["--groups-every-s", "-1"]] {
        assert_eq!(reconcile(&world, &bad).await.code, 2);
    }
}

#[tokio::test]
async fn while_another_run_is_at_it_nothing_is_done() {
    let world = world().await;
    let changed = with(person(1), "custom:note", "new");
    person_who_used_the_secondary(&world, 1, person(1), changed).await;
    reported(&world, &[(1, &["custom:note"])]).await;
    let until = jiff::Timestamp::now() + SignedDuration::from_mins(1);
    let mut lease = json!({
        "version": 1, "holder": {"id": "another", "until": until.to_string()},
        "last_start": null, "last_groups": "2026-11-20T10:00:00Z", "unfinished": null,
    });
    put_object(&world, "reconciles/lease.json", lease.to_string()).await;

    let ran = reconcile(&world, &[]).await;
    let preferred = prefer(&world, &["secondary", "--yes"]).await;
    let planned = prefer(&world, &["secondary", "--dry-run"]).await;

    assert_eq!(
        (ran.code, preferred.code, planned.code),
        (4, 4, 0),
        "{preferred:?}"
    );
    assert!(ran.stdout.contains("Another run is in progress"), "{ran:?}");
    assert!(preferred.stderr.contains("another run"), "{preferred:?}");
    assert!(!has_written(&world));

    lease["holder"] = Value::Null;
    put_object(&world, "reconciles/lease.json", lease.to_string()).await;
    let preferred = prefer(&world, &["secondary", "--yes"]).await;
    assert_eq!(preferred.code, 0, "{preferred:?}");
    // It is no run.
    assert_eq!(object(&world, "reconciles/lease.json"), Some(lease));
}

#[tokio::test]
async fn pools_with_which_nothing_may_be_written_are_refused_with_the_reason() {
    let world = world().await;
    people(&world, 1..2);
    let client = world.osaka.cognito_client();
    let update = client.update_user_pool().user_pool_id(&world.secondary.id);
    update.send().await.expect("the trigger is detached");

    reported(&world, &[]).await;
    let ran = reconcile(&world, &[]).await;
    let preferred = prefer(&world, &["secondary", "--yes"]).await;

    for ran in [ran, preferred] {
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("twinpool attach"), "{ran:?}");
    }
    assert_eq!(world.osaka.cognito().users(&world.secondary.id).len(), 0);
}
