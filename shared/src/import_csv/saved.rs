//! A pool's description and import header as the aws CLI prints them, for work without a network.

use aws_sdk_cognitoidentityprovider::types::{
    AliasAttributeType, AttributeDataType, NumberAttributeConstraintsType, SchemaAttributeType,
    StringAttributeConstraintsType, UserPoolMfaType, UserPoolType, UsernameAttributeType,
    UsernameConfigurationType, VerifiedAttributeType,
};
use serde::Deserialize;

use super::syntax::{BYTE_ORDER_MARK, cell_value, split_cells};

/// A text that is not what the aws CLI prints.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// Not the response of DescribeUserPool.
    #[error("not what `aws cognito-idp describe-user-pool` prints: {0}")]
    Pool(serde_json::Error),
    /// Neither the response of GetCSVHeader nor a header line.
    #[error(
        "neither what `aws cognito-idp get-csv-header` prints nor the header of an import file: {0}"
    )]
    Header(serde_json::Error),
}

/// Reads what `aws cognito-idp describe-user-pool` prints: the parts of the pool that matter for an import file.
///
/// # Errors
///
/// The text is something else, or lacks a member that every pool has.
pub fn pool(json: &str) -> Result<UserPoolType, SavedError> {
    let described: Described = serde_json::from_str(json).map_err(SavedError::Pool)?;
    Ok(described.user_pool.into())
}

/// Reads the columns of a header: from what `aws cognito-idp get-csv-header` prints, or from the first line of an import
/// file or of the console's template.
///
/// # Errors
///
/// The text begins like JSON, but is not what the command prints.
pub fn header(text: &str) -> Result<Vec<String>, SavedError> {
    if text.trim_start().starts_with('{') {
        let header: CsvHeader = serde_json::from_str(text).map_err(SavedError::Header)?;
        return Ok(header.columns);
    }
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    Ok(split_cells(line)
        .map(|cell| cell_value(cell).into_owned())
        .collect())
}

#[derive(Deserialize)]
struct CsvHeader {
    #[serde(rename = "CSVHeader")]
    columns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    user_pool: Pool,
}

/// The aws CLI does not print the members that a pool does not use, so most are optional.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    id: String,
    mfa_configuration: Option<String>,
    #[serde(default)]
    username_attributes: Vec<String>,
    #[serde(default)]
    alias_attributes: Vec<String>,
    #[serde(default)]
    auto_verified_attributes: Vec<String>,
    username_configuration: Option<UsernameConfiguration>,
    /// Every pool has it. It is required here, because without it a file would pass that the pool refuses.
    schema_attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsernameConfiguration {
    case_sensitive: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    name: String,
    attribute_data_type: String,
    #[serde(default)]
    required: bool,
    number_attribute_constraints: Option<NumberConstraints>,
    string_attribute_constraints: Option<StringConstraints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NumberConstraints {
    min_value: Option<String>,
    max_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StringConstraints {
    min_length: Option<String>,
    max_length: Option<String>,
}

/// The names as values of an SDK enum.
fn to_enums<T: for<'a> From<&'a str>>(names: &[String]) -> Option<Vec<T>> {
    Some(names.iter().map(|name| T::from(name.as_str())).collect())
}

impl From<Pool> for UserPoolType {
    fn from(pool: Pool) -> Self {
        let configuration = pool.username_configuration;
        let schema = pool.schema_attributes.into_iter();
        Self::builder()
            .id(pool.id)
            .set_mfa_configuration(pool.mfa_configuration.as_deref().map(UserPoolMfaType::from))
            .set_username_attributes(to_enums::<UsernameAttributeType>(&pool.username_attributes))
            .set_alias_attributes(to_enums::<AliasAttributeType>(&pool.alias_attributes))
            .set_auto_verified_attributes(to_enums::<VerifiedAttributeType>(
                &pool.auto_verified_attributes,
            ))
            .set_username_configuration(configuration.and_then(|configuration| {
                let builder = UsernameConfigurationType::builder();
                builder
                    .case_sensitive(configuration.case_sensitive)
                    .build()
                    .ok()
            }))
            .set_schema_attributes(Some(schema.map(SchemaAttributeType::from).collect()))
            .build()
    }
}

impl From<Attribute> for SchemaAttributeType {
    fn from(attribute: Attribute) -> Self {
        let number = attribute.number_attribute_constraints.map(|bounds| {
            NumberAttributeConstraintsType::builder()
                .set_min_value(bounds.min_value)
                .set_max_value(bounds.max_value)
                .build()
        });
        let text = attribute.string_attribute_constraints.map(|bounds| {
            StringAttributeConstraintsType::builder()
                .set_min_length(bounds.min_length)
                .set_max_length(bounds.max_length)
                .build()
        });
        Self::builder()
            .name(attribute.name)
            .attribute_data_type(AttributeDataType::from(
                attribute.attribute_data_type.as_str(),
            ))
            .required(attribute.required)
            .set_number_attribute_constraints(number)
            .set_string_attribute_constraints(text)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_pool_is_read_as_the_sdk_returns_it() {
        let json = r#"{"UserPool": {
            "Id": "ap-northeast-1_Example01", "Name": "web", "LambdaConfig": {},
            "CreationDate": "2026-11-20T10:00:00.123000+09:00",
            "MfaConfiguration": "ON", "UsernameAttributes": ["email"], "AutoVerifiedAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": false},
            "SchemaAttributes": [
                {"Name": "sub", "AttributeDataType": "String", "DeveloperOnlyAttribute": false, "Mutable": false,
                 "Required": true, "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "2048"}},
                {"Name": "updated_at", "AttributeDataType": "Number", "Required": false,
                 "NumberAttributeConstraints": {"MinValue": "0"}}]}}"#;

        let pool = pool(json).unwrap();

        let sub = SchemaAttributeType::builder()
            .name("sub")
            .attribute_data_type(AttributeDataType::String)
            .required(true)
            .string_attribute_constraints(
                StringAttributeConstraintsType::builder()
                    .min_length("1")
                    .max_length("2048")
                    .build(),
            );
        let updated_at = SchemaAttributeType::builder()
            .name("updated_at")
            .attribute_data_type(AttributeDataType::Number)
            .required(false)
            .number_attribute_constraints(
                NumberAttributeConstraintsType::builder()
                    .min_value("0")
                    .build(),
            );
        let configuration = UsernameConfigurationType::builder().case_sensitive(false);
        let expected = UserPoolType::builder()
            .id("ap-northeast-1_Example01")
            .mfa_configuration(UserPoolMfaType::On)
            .username_attributes(UsernameAttributeType::Email)
            .set_alias_attributes(Some(Vec::new()))
            .auto_verified_attributes(VerifiedAttributeType::Email)
            .username_configuration(configuration.build().unwrap())
            .schema_attributes(sub.build())
            .schema_attributes(updated_at.build());
        assert_eq!(pool, expected.build());
    }

    #[test]
    fn a_header_is_read_from_json_or_from_the_first_line_of_a_file() {
        let json = r#"{"UserPoolId": "x_y", "CSVHeader": ["name", "cognito:username"]}"#;

        for text in [
            json,
            "name,cognito:username",
            "\u{feff}name, cognito:username\r\na,b\r\n",
        ] {
            assert_eq!(header(text).unwrap(), ["name", "cognito:username"]);
        }
    }

    #[test]
    fn other_text_is_an_error_that_names_the_command_to_run() {
        for json in ["", "{}", r#"{"UserPool": {"Id": "x_y"}}"#] {
            let error = pool(json).unwrap_err();
            assert!(error.to_string().contains("describe-user-pool"), "{error}");
        }
        let error = header("{}").unwrap_err();
        assert!(error.to_string().contains("get-csv-header"), "{error}");
    }
}
