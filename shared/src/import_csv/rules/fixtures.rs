//! Pools for the tests of the rules.

use aws_sdk_cognitoidentityprovider::types::builders::UserPoolTypeBuilder;
use aws_sdk_cognitoidentityprovider::types::{
    AttributeDataType, NumberAttributeConstraintsType, SchemaAttributeType,
    StringAttributeConstraintsType, UserPoolMfaType, UserPoolType, UsernameAttributeType,
    UsernameConfigurationType, VerifiedAttributeType,
};

use super::pool::Rules;

pub(super) const HEADER: [&str; 14] = [
    "name",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "birthdate",
    "updated_at",
    "preferred_username",
    "custom:level",
    "custom:code",
    "custom:is_member",
    "password_hash",
    "cognito:mfa_enabled",
    "cognito:username",
];

fn schema() -> Vec<SchemaAttributeType> {
    let attribute = |name: &str, kind| {
        SchemaAttributeType::builder()
            .name(name)
            .attribute_data_type(kind)
    };
    let level = NumberAttributeConstraintsType::builder()
        .min_value("-1")
        .max_value("10");
    let code = StringAttributeConstraintsType::builder()
        .min_length("2")
        .max_length("4");
    vec![
        attribute("sub", AttributeDataType::String)
            .required(true)
            .build(),
        attribute("name", AttributeDataType::String)
            .required(true)
            .build(),
        attribute("custom:level", AttributeDataType::Number)
            .number_attribute_constraints(level.build())
            .build(),
        attribute("custom:code", AttributeDataType::String)
            .string_attribute_constraints(code.build())
            .build(),
        attribute("custom:is_member", AttributeDataType::Boolean).build(),
    ]
}

/// A pool that signs in by username, verifies email and requires MFA.
pub(super) fn pool() -> UserPoolTypeBuilder {
    UserPoolType::builder()
        .auto_verified_attributes(VerifiedAttributeType::Email)
        .mfa_configuration(UserPoolMfaType::On)
        .set_schema_attributes(Some(schema()))
}

pub(super) fn email_pool() -> UserPoolTypeBuilder {
    let insensitive = UsernameConfigurationType::builder().case_sensitive(false);
    pool()
        .username_attributes(UsernameAttributeType::Email)
        .username_configuration(insensitive.build().unwrap())
}

pub(super) fn rules(pool: UserPoolTypeBuilder) -> Rules {
    Rules::of(&pool.build(), &HEADER.map(str::to_owned)).unwrap()
}
