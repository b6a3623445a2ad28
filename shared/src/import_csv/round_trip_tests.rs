//! Checks that what the writer writes, the reader reads back.

use aws_sdk_cognitoidentityprovider::types::{
    UserPoolMfaType, UserPoolType, UsernameAttributeType, VerifiedAttributeType,
};
use proptest::prelude::*;

use super::reader::{Header, Lines};
use super::writer::Format;
use crate::person::{Attributes, Person, Status};

const HEADER: [&str; 11] = [
    "name",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "birthdate",
    "updated_at",
    "custom:note, with a comma",
    "password_hash",
    "cognito:mfa_enabled",
    "cognito:username",
];

fn format() -> Format {
    let pool = UserPoolType::builder()
        .username_attributes(UsernameAttributeType::Email)
        .auto_verified_attributes(VerifiedAttributeType::Email)
        .mfa_configuration(UserPoolMfaType::On)
        .build();
    Format::of(&pool, &HEADER.map(str::to_owned), None).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-c,\\\\\" \t\r\n\u{0}\u{85}\u{2028}\u{2029}\u{3000}あ🐈]{0,12}"
    ]
}

fn person() -> impl Strategy<Value = Person> {
    let date = prop_oneof![text(), "[0-9]{4}-[01][0-9]-[0-3][0-9]"];
    let flag = prop_oneof![Just("true".to_owned()), Just("false".to_owned()), text()];
    let seconds = prop_oneof![text(), "[0-9]{1,10}"];
    (
        "[a-z+.,]{1,9}@[a-z例]{1,9}\\.jp",
        [text(), text(), text()],
        date,
        flag,
        seconds,
    )
        .prop_map(
            |(email, [name, phone, note], birthdate, phone_flag, updated_at)| Person {
                created_at: None,
                mfa: false,
                username: "u".into(),
                status: Status::Confirmed,
                enabled: true,
                attributes: Attributes::from_iter([
                    ("email", email.as_str()),
                    ("email_verified", "true"),
                    ("name", &name),
                    ("phone_number", &phone),
                    ("phone_number_verified", &phone_flag),
                    ("birthdate", &birthdate),
                    ("updated_at", &updated_at),
                    ("custom:note, with a comma", &note),
                ]),
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_written_person_reads_back_unchanged_except_for_what_was_left_out(person in person()) {
        let format = format();
        let row = format.row(&person).unwrap();
        let mut lines = Lines::default();
        lines.feed((format.header_line() + &row.line).as_bytes());
        let header = Header::parse(lines.next_line().unwrap().text.unwrap()).unwrap();
        prop_assert_eq!(&header, &Header::of(&HEADER).unwrap());

        let line = lines.next_line().unwrap();
        let cells = header.cells(line.text.unwrap()).unwrap();
        let read = cells.attributes().unwrap();

        let username = cells.username();
        prop_assert_eq!(username.as_deref(), person.attributes.get("email"));
        prop_assert!(cells.rewrite_for_header(&header, "true").line == row.line);
        for name in ["name", "email", "phone_number", "birthdate", "updated_at", "custom:note, with a comma"] {
            let was_left_out = row.left_out.iter().any(|(left_out, _)| left_out == name);
            let written = person.attributes.get(name).filter(|_| !was_left_out);
            prop_assert_eq!(read.get(name), written, "{}", name);
        }
        prop_assert!(read.is_true("email_verified"));
        let phone_is_verified = person.attributes.is_true("phone_number_verified")
            && read.get("phone_number").is_some();
        prop_assert_eq!(read.is_true("phone_number_verified"), phone_is_verified);
    }
}
