//! The import CSV, read by a reader that was written from Cognito's documentation, independently of the writer.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cognitoidentityprovider::types::{
    UserImportJobStatusType, UserPoolMfaType, UserPoolType, UsernameAttributeType,
    VerifiedAttributeType,
};
use harness::operator;
use harness::people::{self, Profile};
use local_regions::cognito::import_csv::Csv;
use local_regions::cognito::{SeedUser, UserStatus, UserView};
use proptest::prelude::*;
use serde_json::Value;
use shared::import_csv::Format;
use shared::person::{Attributes, Person, Status};

use crate::support::{files, object, snapshot, world};

const HEADER: [&str; 10] = [
    "name",
    "nickname",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "birthdate",
    "custom:note, with a comma",
    "cognito:mfa_enabled",
    "cognito:username",
];

/// Any text, often with characters that are special in a CSV.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-c,\\\\\" \t\r\n\u{0}\u{85}\u{2028}\u{2029}\u{3000}あ🐈]{0,12}"
    ]
}

fn person() -> impl Strategy<Value = Person> {
    let date = prop_oneof![text(), "[0-9]{4}-[01][0-9]-[0-3][0-9]"];
    let flag = prop_oneof![Just("true".to_owned()), Just("false".to_owned()), text()];
    let email = prop_oneof![9 => "[a-z+.,]{1,9}@[a-z例]{1,9}\\.jp", 1 => text()];
    (email, [text(), text(), text(), text()], date, flag).prop_map(
        |(email, [name, nickname, phone, note], birthdate, phone_flag)| Person {
            created_at: None,
            mfa: false,
            username: "u".into(),
            status: Status::Confirmed,
            enabled: true,
            attributes: Attributes::from_iter([
                ("email", email.as_str()),
                ("email_verified", "true"),
                ("name", &name),
                ("nickname", &nickname),
                ("phone_number", &phone),
                ("phone_number_verified", &phone_flag),
                ("birthdate", &birthdate),
                ("custom:note, with a comma", &note),
            ]),
        },
    )
}

fn format() -> Format {
    let pool = UserPoolType::builder()
        .username_attributes(UsernameAttributeType::Email)
        .auto_verified_attributes(VerifiedAttributeType::Email)
        .mfa_configuration(UserPoolMfaType::On)
        .build();
    Format::of(&pool, &HEADER.map(str::to_owned), None).unwrap()
}

/// Whether the documentation of Cognito does not say how to write a value, or says that the value is changed.
fn cannot_be_carried(value: &str) -> bool {
    let outer = [value.chars().next(), value.chars().next_back()];
    value
        .chars()
        .any(|c| (c.is_control() && c != '\t') || "\u{2028}\u{2029}\\".contains(c) || c == '"')
        || outer.into_iter().flatten().any(char::is_whitespace)
}

fn is_a_date(value: &str) -> bool {
    let parts: Vec<_> = value.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let number = |text: &str, length| {
        let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().unwrap())
    };
    match (number(year, 4), number(month, 2), number(day, 2)) {
        (Some(year), Some(month), Some(day)) => {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day)
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A written value is read unchanged, and a value that is not written is reported.
    #[test]
    fn a_row_is_read_as_the_same_person_or_what_it_leaves_out_is_reported(person in person()) {
        let format = format();
        let email = person.attributes.get("email").unwrap_or_default();
        let row = match format.row(&person) {
            Ok(row) => row,
            Err(rejection) => {
                let no_username = email.is_empty() || email.chars().any(char::is_whitespace);
                prop_assert!(no_username || cannot_be_carried(email), "{:?}", rejection);
                return Ok(());
            }
        };
        let file = format.header_line() + &row.line;

        let csv = Csv::read(file.as_bytes(), &HEADER.map(str::to_owned)).unwrap();
        prop_assert_eq!(csv.len(), 1);
        let read = csv.row(0).unwrap();

        prop_assert_eq!(read.get("cognito:username"), person.attributes.get("email"));
        prop_assert_eq!(read.get("cognito:mfa_enabled"), Some("true"));
        prop_assert_eq!(read.get("email_verified"), Some("true"));
        for name in ["name", "nickname", "email", "phone_number", "custom:note, with a comma", "birthdate"] {
            let value = person.attributes.get(name);
            let left_out = row.left_out.iter().any(|(left_out, _)| left_out == name);
            let justified = value.is_some_and(|value| {
                cannot_be_carried(value) || (name == "birthdate" && !is_a_date(value))
            });
            prop_assert_eq!(left_out, justified, "{}", name);
            let expected = match value {
                _ if left_out => None,
                Some(date) if name == "birthdate" => {
                    Some(format!("{}/{}/{}", &date[5..7], &date[8..10], &date[..4]))
                }
                value => value.map(str::to_owned),
            };
            prop_assert_eq!(read.get(name), expected.as_deref(), "{}", name);
        }
    }
}

/// A profile as a user of the pool, in any status.
fn seed(profile: &Profile) -> SeedUser {
    let status: UserStatus = serde_json::from_value(profile.status.clone().into()).unwrap();
    let federated = status == UserStatus::ExternalProvider;
    SeedUser {
        username: federated.then(|| format!("google_{}", profile.email())),
        status,
        enabled: profile.enabled,
        attributes: profile.attributes.clone().into_iter().collect(),
        ..SeedUser::default()
    }
}

#[tokio::test]
async fn everyone_is_imported_unchanged_or_listed_as_rejected_with_all_attributes() {
    // given all people of the repository in the secondary pool
    let world = world().await;
    let osaka = world.osaka.cognito();
    for profile in people::everyone().unwrap() {
        osaka.put_user(&world.secondary.id, seed(&profile));
    }

    // when a snapshot of them is imported into an empty pool
    let answer = snapshot(&world).await.unwrap();
    assert_eq!(answer["status"], "complete", "{answer}");
    assert_eq!(answer["users"], 2000);
    let manifest = object(&world, answer["manifest"].as_str().unwrap()).unwrap();
    let csv = files(&world, &manifest, "users").into_bytes();
    let job = operator::import(&world.tokyo, &world.primary, csv)
        .await
        .unwrap();

    // then every row is imported
    let exported = manifest["users"]["exported"].as_i64().unwrap();
    assert_eq!(
        job.status,
        UserImportJobStatusType::Succeeded,
        "{:?}",
        job.log
    );
    assert_eq!((job.imported, job.skipped, job.failed), (exported, 0, 0));

    // and every ordinary person is in the files
    let osaka_users = osaka.users(&world.secondary.id);
    let plain = people::everyone().unwrap();
    let plain = plain.iter().filter(|profile| profile.kind == "plain");
    let rejected_csv = files(&world, &manifest, "rejected");
    for profile in plain {
        assert!(!rejected_csv.contains(profile.email()), "{}", profile.kind);
    }

    // and everybody else is in rejected.csv, and with all attributes in the leftovers
    let left_out = leftovers(&files(&world, &manifest, "leftovers"));
    let named = named(&rejected_csv);
    let home: BTreeMap<_, _> = world
        .tokyo
        .cognito()
        .users(&world.primary.id)
        .into_iter()
        .map(|user| (user.attributes["email"].clone(), user))
        .collect();
    let mut rejected = 0;
    for user in osaka_users {
        let email = &user.attributes["email"];
        match home.get(email) {
            Some(home) => assert_same(&user, home, &named, &left_out),
            None => {
                rejected += 1;
                assert!(
                    named.contains(&(user.sub.clone(), String::new())),
                    "{}",
                    user.sub
                );
                let whole = &left_out[&user.sub];
                for (name, value) in &user.attributes {
                    assert_eq!(whole.get(name), Some(value), "{name}");
                }
            }
        }
    }
    assert_eq!(exported + rejected, 2000);
    let by_reason = &manifest["users"]["rejected"];
    for reason in [
        "unconfirmed",
        "external-provider",
        "disabled",
        "no-verified-attribute",
        "row-too-long",
    ] {
        assert!(
            by_reason[reason].as_u64() > Some(0),
            "{reason}: {by_reason}"
        );
    }
}

/// Checks that each attribute was imported unchanged, or is listed as left out and kept.
fn assert_same(
    user: &UserView,
    home: &UserView,
    named: &BTreeSet<(String, String)>,
    left_out: &BTreeMap<String, BTreeMap<String, String>>,
) {
    let filled = user
        .attributes
        .iter()
        .filter(|(_, value)| !value.is_empty());
    for (name, value) in filled {
        match home.attributes.get(name) {
            // DG:import-tool: epoch seconds.
            Some(seconds) if name == "updated_at" => {
                assert_eq!(value.split('.').next(), Some(seconds.as_str()));
            }
            Some(at_home) => assert_eq!(at_home, value, "{name}"),
            None => {
                assert!(named.contains(&(user.sub.clone(), name.clone())), "{name}");
                assert_eq!(left_out[&user.sub].get(name), Some(value), "{name}");
            }
        }
    }
}

/// The attributes in the leftovers, by `sub`.
fn leftovers(lines: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut kept: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let attributes: BTreeMap<String, String> =
            serde_json::from_value(line["attributes"].clone()).unwrap();
        let sub = line["sub"].as_str().unwrap().to_owned();
        kept.entry(sub).or_default().extend(attributes);
    }
    kept
}

/// The `sub` and attribute of each row of `rejected.csv`.
fn named(csv: &str) -> BTreeSet<(String, String)> {
    let rows = csv::Reader::from_reader(csv.as_bytes()).into_records();
    rows.map(|row| {
        let row = row.unwrap();
        (row[1].to_owned(), row[2].to_owned())
    })
    .collect()
}
