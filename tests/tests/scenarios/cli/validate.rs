//! `twinpool validate`, and a comparison of its rules with the local Cognito, which was written independently from the
//! documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aws_sdk_cognitoidentityprovider::types::UserImportJobStatusType;
use harness::operator;
use local_regions::cognito::{
    Alias, Contact, CustomAttribute, CustomKind, ImportKnobs, Mfa, Pool, PoolSettings, SeedUser,
    UserStatus,
};
use local_regions::world::{World, WorldOptions};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use shared::import_csv::duplicates::Duplicates;
use shared::import_csv::reader::Lines;
use shared::import_csv::rules::Rules;

use crate::support::{Ran, files, object, ran, snapshot, twinpool, twinpool_command, world};

const HEADER: &str = "name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,website,\
                      email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,phone_number_verified,address,\
                      updated_at,custom:tenant,custom:note,custom:origin_sub,cognito:mfa_enabled,cognito:username";

/// The regions without functions.
async fn regions() -> World {
    let options = WorldOptions {
        functions: false,
        ..WorldOptions::default()
    };
    World::start(options).await.expect("the regions start")
}

/// A file in the world's folder.
fn file(world: &World, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = world.folder().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// An import file of rows that have these cells.
fn csv(rows: &[&[(&str, &str)]]) -> String {
    let row = |cells: &&[(&str, &str)]| {
        let of = |column| cells.iter().find(|(name, _)| *name == column);
        let cells = HEADER
            .split(',')
            .map(|column| of(column).map_or("", |(_, cell)| cell));
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    format!("{HEADER}\n{}", rows.iter().map(row).collect::<String>())
}

async fn validate(world: &World, files: &[&PathBuf], more: &[&str]) -> Ran {
    let mut command = twinpool_command(world).await;
    command.arg("validate").args(files).args(more);
    ran(&mut command).await
}

fn places(found: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.rsplit('/').next().unwrap().to_owned(),
        other => other.to_string(),
    };
    let problems = found["problems"].as_array().unwrap().iter();
    let line = |problem: &Value| {
        ["file", "line", "column", "reason"]
            .map(|member| text(&problem[member]))
            .join(" ")
    };
    problems.map(line).collect()
}

const TARO: [(&str, &str); 3] = [
    ("email", "taro@example.jp"),
    ("email_verified", "true"),
    ("cognito:username", "taro@example.jp"),
];

const JIRO: [(&str, &str); 3] = [
    ("email", "jiro@example.jp"),
    ("email_verified", "true"),
    ("cognito:username", "jiro@example.jp"),
];

#[tokio::test]
async fn the_files_of_a_snapshot_pass() {
    // given a snapshot of people
    let world = world().await;
    for number in 0..3 {
        let email = format!("person{number}@example.jp");
        let attributes = [
            ("email", email.as_str()),
            ("email_verified", "true"),
            ("name", "A, B"),
        ];
        let seed = SeedUser {
            status: UserStatus::Confirmed,
            attributes: attributes
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            ..SeedUser::default()
        };
        world.osaka.cognito().put_user(&world.secondary.id, seed);
    }
    let answer = snapshot(&world).await.unwrap();
    let manifest = object(&world, answer["manifest"].as_str().unwrap()).unwrap();
    let users = file(&world, "users-0001.csv", files(&world, &manifest, "users"));

    // when it is validated for the pool that it goes to
    let pool = ["--pool", &world.primary.id];
    let text = validate(&world, &[&users], &pool).await;
    let found = validate(
        &world,
        &[&users],
        &[&pool[..], &["--output", "json"]].concat(),
    )
    .await;

    // then nothing is wrong
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert_eq!(
        text.stdout,
        "3 rows in 1 file: Cognito would accept every row\n"
    );
    assert_eq!(found.code, 0);
    let expected = json!({"files": [users], "problems": [], "rows": 3, "summary": {}});
    assert_eq!(found.json(), expected);
}

#[tokio::test]
async fn what_cognito_would_refuse_is_named_by_file_line_and_column_and_never_by_value() {
    // given two files with mistakes, and people who are in both
    let world = regions().await;
    let first = csv(&[
        &TARO,
        &[
            ("email", "jiro"),
            ("email_verified", "true"),
            ("cognito:username", "jiro@example.jp"),
        ],
        &[("name", "C:\\secret"), ("email_verified", "secret")],
    ]);
    let second = csv(&[&JIRO, &[("email", "Taro@Example.jp"), TARO[1], TARO[2]]]) + "zzz,few";
    let first = file(&world, "first.csv", first);
    let second = file(&world, "second.csv", second);
    let pool = ["--pool", &world.primary.id];

    // when they are validated
    let text = validate(&world, &[&first, &second], &pool).await;
    let found = validate(
        &world,
        &[&first, &second],
        &[&pool[..], &["--output", "json"]].concat(),
    )
    .await;

    // then each mistake is named with its place
    let expected = [
        "first.csv 3 email bad-email",
        "first.csv 3 cognito:username username-differs",
        "first.csv 4 name backslash",
        "first.csv 4 email_verified bad-boolean",
        "first.csv 4 cognito:username missing-username",
        "first.csv 4 null no-verified-attribute",
        "second.csv 4 null cell-count",
        "second.csv 2 cognito:username duplicate",
        "second.csv 3 cognito:username duplicate",
    ];
    let json = found.json();
    assert_eq!((text.code, found.code), (1, 1));
    assert_eq!(places(&json), expected);
    assert_eq!(
        json["problems"][8]["first"],
        json!({"file": first, "line": 2})
    );
    assert_eq!(json["rows"], 6);
    assert_eq!(json["summary"]["duplicate"], 2);
    for line in [
        format!("{}:3: email: not an email address\n", first.display()),
        format!("{}:4: 2 cells for 24 columns\n", second.display()),
        format!(
            "{}:3: cognito:username: somebody else in the files has the same, first in {}:2\n",
            second.display(),
            first.display()
        ),
        "6 rows in 2 files: 9 problems\n".to_owned(),
    ] {
        assert!(text.stdout.contains(&line), "{line}: {}", text.stdout);
    }

    // and no value is printed
    for said in [&text.stdout, &text.stderr, &found.stdout, &found.stderr] {
        for value in ["secret", "taro", "jiro", "zzz"] {
            assert!(!said.to_lowercase().contains(value), "{value}: {said}");
        }
    }
}

#[tokio::test]
async fn blank_lines_and_carriage_returns_are_called_what_they_are() {
    // given a file with blank last lines and a row of one cell, and one whose lines end with carriage returns
    let world = regions().await;
    let good = csv(&[&TARO]);
    let blank = file(&world, "blank.csv", good.clone() + "zzz\n\n \n");
    let old = file(&world, "old.csv", good.replace('\n', "\r"));
    let one = file(&world, "one.csv", good + "\n");
    let pool = ["--pool", world.primary.id.as_str()];

    // when they are validated
    let text = validate(&world, &[&blank, &old], &pool).await;
    let more = ["--pool", &world.primary.id, "--output", "json"];
    let found = validate(&world, &[&blank, &old], &more).await;
    let one = validate(&world, &[&one], &pool).await;

    // then each has its own problem, once
    let expected = [
        "blank.csv 3 null cell-count",
        "blank.csv 4 null blank-line",
        "blank.csv 5 null blank-line",
        "old.csv 1 null carriage-returns",
    ];
    assert_eq!(places(&found.json()), expected);
    for words in [
        ":3: 1 cell for 24 columns\n",
        ":4: a blank line\n",
        ":1: the lines end with carriage returns",
        "4 rows in 2 files: 4 problems\n",
    ] {
        assert!(text.stdout.contains(words), "{words}: {text:?}");
    }
    assert!(
        one.stdout.contains("2 rows in 1 file: 1 problem\n"),
        "{one:?}"
    );
}

#[tokio::test]
async fn saved_files_do_without_a_network() {
    // given the output of the aws CLI for the pool, and its CSV template
    let world = regions().await;
    let attribute = |name: &str| {
        json!({
            "Name": name, "AttributeDataType": "String", "DeveloperOnlyAttribute": false, "Mutable": true,
            "Required": name == "email", "StringAttributeConstraints": {"MinLength": "0", "MaxLength": "5"},
        })
    };
    let pool = json!({"UserPool": {
        "Id": world.primary.id, "MfaConfiguration": "ON", "UsernameAttributes": ["email"],
        "AutoVerifiedAttributes": ["email"], "SchemaAttributes": [attribute("name"), attribute("website")],
        "CreationDate": "2026-11-20T10:00:00.123000+09:00",
    }});
    let columns: Vec<_> = HEADER.split(',').collect();
    let header = json!({"UserPoolId": world.primary.id, "CSVHeader": columns});
    let pool = file(&world, "pool.json", pool.to_string());
    let json = file(&world, "header.json", header.to_string());
    let template = file(&world, "template.csv", HEADER);
    let users = file(
        &world,
        "users.csv",
        csv(&[&[TARO[0], TARO[1], TARO[2], ("name", "Yamada Taro")]]),
    );

    for header in [json, template] {
        // when a file is validated with them alone
        let mut command = twinpool_command(&world).await;
        command.env_clear().arg("validate").arg(&users);
        command
            .arg("--header")
            .arg(header)
            .arg("--rules")
            .arg(&pool);
        let ran = ran(command.args(["--output", "json"])).await;

        // then it is checked with the rules of the pool
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(places(&ran.json()), ["users.csv 2 name too-long"]);
    }
    assert_eq!(world.calls().len(), 0);
}

#[tokio::test]
async fn a_file_that_a_spreadsheet_saved_is_recognised_and_said_once() {
    let world = regions().await;
    let pool = world.primary.id.clone();
    let with = |cells: &[(&str, &str)]| csv(&[&TARO, &[&JIRO[..], cells].concat()]);
    let note = "looks as if a spreadsheet had saved it";

    // given files as spreadsheets save them
    for (name, content) in [
        ("mark.csv", "\u{feff}".to_owned() + &with(&[])),
        ("quotes.csv", with(&[("address", "\"1-2, Chiyoda\"")])),
        (
            "date.csv",
            with(&[("birthdate", "2026/1/5"), ("birthdate", "2026/1/6")]),
        ),
        ("phone.csv", with(&[("phone_number", "819012345678")])),
        ("rounded.csv", with(&[("custom:note", "8.19012E+11")])),
    ] {
        let path = file(&world, name, content.replace('\n', "\r\n"));

        let ran = validate(&world, &[&path, &path], &["--pool", &pool]).await;

        // then it is reported once
        assert_eq!(ran.stderr.matches(note).count(), 1, "{name}: {ran:?}");
    }

    // and line ends or upper case alone are not reported
    let content = with(&[]).replace("true", "TRUE").replace('\n', "\r\n");
    let path = file(&world, "crlf.csv", content);
    let ran = validate(&world, &[&path], &["--pool", &pool]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[tokio::test]
async fn what_cannot_be_checked_is_told_by_the_exit_code() {
    let world = regions().await;
    let users = file(&world, "users.csv", csv(&[&TARO]));
    let users = users.to_str().unwrap();
    let empty = file(&world, "empty.csv", "");
    let empty = empty.to_str().unwrap();
    let pool = world.primary.id.as_str();

    for (code, arguments) in [
        (2, vec!["validate", users]),
        (2, vec!["validate", "--pool", pool]),
        (2, vec!["validate", users, "--pool", "tokyo"]),
        (2, vec!["validate", users, "--rules", users]),
        (
            2,
            vec!["validate", users, "--header", users, "--rules", users],
        ),
        (2, vec!["validate", "nowhere.csv", "--pool", pool]),
        (2, vec!["validate", "/", "--pool", pool]),
        (
            3,
            vec!["validate", users, "--pool", "ap-northeast-1_Nobody001"],
        ),
        (1, vec!["validate", empty, "--pool", pool]),
        (0, vec!["validate", users, "--pool", pool]),
    ] {
        let ran = twinpool(&world, &arguments).await;
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(code < 2 || ran.stdout.is_empty(), "{ran:?}");
    }
}

/// The rules for a pool, from its description in the SDK.
async fn rules(world: &World, pool: &Pool) -> (Rules, Vec<String>) {
    let client = world.tokyo.cognito_client();
    let described = client
        .describe_user_pool()
        .user_pool_id(&pool.id)
        .send()
        .await
        .unwrap();
    let header = client
        .get_csv_header()
        .user_pool_id(&pool.id)
        .send()
        .await
        .unwrap();
    let header = header.csv_header.unwrap();
    let rules = Rules::of(&described.user_pool.unwrap(), &header).unwrap();
    (rules, header)
}

#[tokio::test]
async fn a_file_that_fails_as_a_whole_has_its_header_or_its_lines_named() {
    let world = regions().await;
    let (rules, _) = rules(&world, &world.primary).await;
    let good = csv(&[&TARO]);

    for (content, reason) in [
        (b"\n".to_vec(), "no-header"),
        (format!("\u{feff}{good}").into_bytes(), "byte-order-mark"),
        (
            good.replace("nickname", "nick").into_bytes(),
            "missing-column",
        ),
        (good.replace("gender,", "").into_bytes(), "missing-column"),
        (
            good.replace("gender", "gender,sex").into_bytes(),
            "unknown-column",
        ),
        (
            good.replace("gender", "gender,gender").into_bytes(),
            "repeated-column",
        ),
        (good.replace("gender", "\"gender\"").into_bytes(), "quote"),
        (
            good.split_once('\n').unwrap().1.as_bytes().to_vec(),
            "no-header",
        ),
        (b"n\xe9e\n".to_vec(), "not-utf-8"),
        (good.replace('\n', "\r").into_bytes(), "carriage-returns"),
    ] {
        // when Cognito refuses the file
        let job = operator::import(&world.tokyo, &world.primary, content.clone()).await;
        assert_eq!(
            job.unwrap().status,
            UserImportJobStatusType::Failed,
            "{reason}"
        );

        // then the rules report why
        let mut lines = Lines::default();
        lines.feed(&content);
        lines.end();
        let (_, problems) = rules.read_header(lines.next_line().unwrap().text);
        let is_named = problems
            .iter()
            .any(|problem| problem.reason.as_str() == reason);
        assert!(is_named, "{reason}: {problems:?}");
    }
}

/// A cell that is usually valid for the column.
fn cell(column: &str) -> BoxedStrategy<String> {
    let trouble = prop_oneof![
        "[a-c,+@.0-9/\\\\\" \t\r\u{0}\u{85}\u{200b}\u{3000}あ🐈]{0,12}"
            .prop_map(|text| text.replace(',', "\\,")),
        "[ -~]{0,12}",
        "[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}",
        "[+-]?[0-9]{1,4}(\\.[0-9]{1,2}|e[0-9]|E\\+11)?",
        "\\+?[0-9]{9,17}",
        "(true|TRUE|False|no|NaN|inf)",
        "[a-c]{0,9}@[a-cあ]{0,3}\\.?[a-c]{0,2}",
        prop_oneof!["x{1990,2100}", "あ{670,700}"],
    ];
    let good = match column {
        "email" => "[a-e]{1,5}@[a-c]{1,3}\\.jp".boxed(),
        "phone_number" => "\\+[0-9]{8,15}".boxed(),
        "email_verified" => "(true|TRUE|true|false)".boxed(),
        "phone_number_verified" => "(true|false|)".boxed(),
        "birthdate" => "(0[1-9]|1[0-2])/(0[1-9]|1[0-9]|2[0-9])/(19[0-9]{2}|20[0-2][0-9])".boxed(),
        "updated_at" => "[0-9]{1,10}".boxed(),
        "cognito:mfa_enabled" => "(true|false||||)".boxed(),
        "custom:level" => "-?[0-9]{1,2}".boxed(),
        "custom:code" => "[a-z]{2,4}".boxed(),
        "preferred_username" => "[a-z]{4,9}".boxed(),
        "name" => "[a-zあ-ん]{1,9}( |\\\\, )?[a-z]{1,9}".boxed(),
        _ => Just(String::new()).boxed(),
    };
    prop_oneof![96 => good, 1 => trouble].boxed()
}

/// A row whose username is usually valid for the pool.
fn row(header: &[String]) -> BoxedStrategy<String> {
    let columns = header.to_vec();
    let cells: Vec<_> = header.iter().map(|column| cell(column)).collect();
    let username = prop_oneof![
        8 => Just("email"), 8 => Just("phone_number"), 2 => Just("preferred_username"), 1 => Just("birthdate"), 1 => Just("name")
    ];
    let tail = prop_oneof![40 => Just(""), 1 => Just(","), 1 => Just("\\,"), 1 => Just("\\"), 1 => Just(" ")];
    (cells, username, tail)
        .prop_map(move |(mut cells, username, tail)| {
            let place = |name: &str| columns.iter().position(|column| column == name).unwrap();
            if cells[place("cognito:username")].is_empty() {
                cells[place("cognito:username")] = cells[place(username)].clone();
            }
            cells.join(",") + tail
        })
        .boxed()
}

/// Pools with every kind of sign-in.
fn pools() -> Vec<(&'static str, PoolSettings)> {
    let bounded = |name: &str, kind| CustomAttribute {
        name: name.to_owned(),
        kind,
        mutable: true,
    };
    let usual = || PoolSettings {
        auto_verified: vec![Contact::Email],
        mfa: Mfa::On,
        required_attributes: vec!["name".to_owned()],
        custom_attributes: vec![
            bounded(
                "level",
                CustomKind::Number {
                    min: Some(-5),
                    max: Some(50),
                },
            ),
            bounded("code", CustomKind::Text { min: 2, max: 4 }),
        ],
        ..PoolSettings::default()
    };
    let email = PoolSettings {
        username_attributes: vec![Contact::Email],
        case_sensitive: false,
        ..usual()
    };
    let phone = PoolSettings {
        username_attributes: vec![Contact::PhoneNumber],
        auto_verified: vec![Contact::Email, Contact::PhoneNumber],
        mfa: Mfa::Off,
        ..usual()
    };
    let both = PoolSettings {
        username_attributes: vec![Contact::Email, Contact::PhoneNumber],
        ..usual()
    };
    let aliases = PoolSettings {
        alias_attributes: vec![Alias::Email, Alias::PhoneNumber, Alias::PreferredUsername],
        mfa: Mfa::Optional,
        ..usual()
    };
    vec![
        ("email", email),
        ("phone", phone),
        ("both", both),
        ("aliases", aliases),
        ("username", usual()),
    ]
}

#[tokio::test]
async fn what_the_rules_pass_is_imported_and_what_is_refused_was_named() {
    let world = regions().await;
    let knobs = world.tokyo.cognito().knobs();
    knobs.set_import(ImportKnobs {
        failure_share: 1.0,
        ..ImportKnobs::default()
    });
    let mut runner = TestRunner::deterministic();

    for (kind, settings) in pools() {
        // given a file of rows, good and bad
        let pool = world.tokyo.cognito().create_pool(settings);
        let (rules, header) = rules(&world, &pool).await;
        let rows = prop::collection::vec(row(&header), 1500).new_tree(&mut runner);
        let rows = rows.unwrap().current();
        let content = header.join(",") + "\n" + &rows.join("\n");

        // when the rules check it, and Cognito imports it
        let named = problems(&rules, content.as_bytes());
        let job = operator::import(&world.tokyo, &pool, content.into_bytes())
            .await
            .unwrap();

        // then every row that the rules accept is imported, and for every row that is not imported, the rules report a problem
        assert_eq!(job.log.len(), rows.len());
        let mut refused_anyway = BTreeSet::new();
        for (line, (fate, named)) in job.log.iter().zip(&named).enumerate() {
            if fate.starts_with("[SUCCEEDED]") {
                refused_anyway.extend(named.iter().copied());
            } else {
                assert!(!named.is_empty(), "{kind} pool, {fate}: {}", rows[line]);
            }
        }
        let passed = named.iter().filter(|named| named.is_empty()).count();
        assert!(
            job.imported as usize >= passed && passed > 50,
            "{kind}: {passed} pass"
        );
        assert!(job.failed > 200, "{kind}: {} fail", job.failed);

        // and the rules are stricter only if a value would be changed, its meaning is not documented, or it repeats a value
        // of a row that fails
        let stricter = BTreeSet::from(["outer-space", "bad-number", "duplicate"]);
        assert!(
            refused_anyway.is_subset(&stricter),
            "{kind}: {refused_anyway:?}"
        );
    }
}

/// The names of the problems that the rules report for each row.
fn problems(rules: &Rules, content: &[u8]) -> Vec<Vec<&'static str>> {
    let mut lines = Lines::default();
    lines.feed(content);
    lines.end();
    let (header, problems) = rules.read_header(lines.next_line().unwrap().text);
    assert_eq!(problems, []);
    let header = header.unwrap();
    let rules = rules.under(&header);
    let mut named = Vec::new();
    let mut duplicates = Duplicates::default();
    while let Some(line) = lines.next_line() {
        let problems = match rules.cells(line.text) {
            Ok(cells) => {
                for (column, name) in rules.names(&cells) {
                    duplicates.add(line.number - 2, column, &name);
                }
                rules.check(&cells)
            }
            Err(problem) => vec![problem],
        };
        named.push(
            problems
                .iter()
                .map(|problem| problem.reason.as_str())
                .collect::<Vec<_>>(),
        );
    }
    let duplicates: BTreeMap<_, _> = duplicates.find().into_iter().map(|d| (d.row, d)).collect();
    for row in duplicates.keys() {
        named[*row as usize].push("duplicate");
    }
    named
}
