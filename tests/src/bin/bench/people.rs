//! Users who are generated from a number: as ListUsers returns them, and as rows of an import file.

use std::fmt::Write;

use shared::person::{Person, Status};

/// The columns of the import file of the generated pool.
pub const HEADER: [&str; 24] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
    "custom:tenant",
    "custom:note",
    "custom:origin_sub",
    "cognito:mfa_enabled",
    "cognito:username",
];

/// The number of first digits of a `sub`; the first digit is derived from the user's number.
pub const DIGITS: u64 = 16;

/// The `sub` of the user with this number.
pub fn sub(number: u64) -> String {
    let digit = number % DIGITS;
    format!("{digit:x}7c4aab8-5061-7015-8b3b-{number:012x}")
}

/// The `sub` of a copy of the user with this number: of their replica in the twin, or of a newcomer who was imported.
pub fn sub_of_copy(number: u64) -> String {
    let original = sub(number);
    format!("{}8{}", &original[..1], &original[2..])
}

/// The number of the user with this `sub`, be it of a copy, or with this email address.
pub fn number(name: &str) -> Option<u64> {
    match name.strip_prefix("person") {
        Some(address) => address.split('@').next()?.parse().ok(),
        None => u64::from_str_radix(name.rsplit('-').next()?, 16).ok(),
    }
}

/// A user as backup-fn reads one from a page.
pub fn person(number: u64) -> Person {
    let attributes = attributes(number).into_iter();
    let sub = ("sub", sub(number));
    Person {
        username: sub.1.clone(),
        status: Status::from(status(number)),
        enabled: true,
        attributes: attributes.chain([sub]).collect(),
        created_at: None,
        mfa: false,
    }
}

/// The attributes of a user except `sub`. One user in a hundred has a value that an import file cannot contain, and one has
/// a comma.
pub fn attributes(number: u64) -> [(&'static str, String); 10] {
    let address = match number % 100 {
        1 => "千代田区一番町 1-2-3\n101 号室".to_owned(),
        2 => "千代田区一番町 1-2-3, 101 号室".to_owned(),
        _ => format!("千代田区一番町 {}-{}", number % 9 + 1, number % 30 + 1),
    };
    [
        ("email", format!("person{number}@example.jp")),
        ("email_verified", "true".to_owned()),
        ("name", "山田 太郎".to_owned()),
        ("family_name", "山田".to_owned()),
        ("given_name", "太郎".to_owned()),
        ("birthdate", format!("1990-05-{:02}", number % 28 + 1)),
        ("locale", "ja-JP".to_owned()),
        ("phone_number", format!("+81{:010}", number)),
        ("custom:tenant", format!("tenant-{:03}", number % 997)),
        ("address", address),
    ]
}

/// The status of a user: one in fifty is not confirmed.
pub fn status(number: u64) -> &'static str {
    match number % 50 {
        0 => "UNCONFIRMED",
        _ => "CONFIRMED",
    }
}

/// A user as ListUsers returns one, in JSON, or their replica in the twin.
pub fn write_json(text: &mut String, number: u64, is_replica: bool) {
    let original = sub(number);
    let sub = match is_replica {
        true => sub_of_copy(number),
        false => original.clone(),
    };
    let status = status(number);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"{{"Username":"{sub}","Enabled":true,"UserStatus":"{status}","UserCreateDate":1.763596800123E9,"UserLastModifiedDate":1.763596800123E9,"Attributes":[{{"Name":"sub","Value":"{sub}"}}"#
    );
    for (name, value) in attributes(number) {
        let value = value.replace('\n', "\\n");
        let _ = write!(text, r#",{{"Name":"{name}","Value":"{value}"}}"#);
    }
    if is_replica {
        let _ = write!(
            text,
            r#",{{"Name":"custom:origin_sub","Value":"{original}"}}"#
        );
    }
    text.push_str("]}");
}

/// A user as a row of an import file.
pub fn write_row(text: &mut String, number: u64) {
    let attributes = attributes(number);
    for (at, column) in HEADER.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match *column {
            "cognito:username" => text.push_str(&attributes[0].1),
            "cognito:mfa_enabled" => text.push_str("true"),
            "phone_number_verified" => text.push_str("false"),
            "birthdate" => {
                let _ = write!(text, "05/{:02}/1990", number % 28 + 1);
            }
            // Commas and line breaks are left out, because they do not affect the measured time.
            "address" => text.push_str("千代田区一番町 1-2-3"),
            column => {
                if let Some((_, value)) = attributes.iter().find(|(name, _)| *name == column) {
                    text.push_str(value);
                }
            }
        }
    }
    text.push('\n');
}
