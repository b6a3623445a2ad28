//! The rules of one pool.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_sdk_cognitoidentityprovider::types::{
    AliasAttributeType, UserPoolMfaType, UserPoolType, UsernameAttributeType, VerifiedAttributeType,
};

use super::schema::AttributeRules;
use super::sign_in::SignInName;
use crate::import_csv::column::ADDRESSES_AND_FLAGS;
use crate::import_csv::reader::{Header, HeaderError};

/// What one pool requires of an import file.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) header: Header,
    /// The addresses that the pool uses as usernames.
    pub(super) username_attributes: Vec<SignInName>,
    /// What people may sign in with besides their username.
    pub(super) aliases: Vec<SignInName>,
    /// The flags of which at least one must be true.
    pub(super) auto_verified_flags: Vec<&'static str>,
    /// The only valid `cognito:mfa_enabled`; `None` where both values are valid.
    pub(super) mfa_enabled: Option<bool>,
    is_case_sensitive: bool,
    schema: BTreeMap<String, AttributeRules>,
}

impl Rules {
    /// The rules of a pool with this description and this import header.
    ///
    /// # Errors
    ///
    /// No row could be read with the header.
    pub fn of(pool: &UserPoolType, header: &[String]) -> Result<Self, HeaderError> {
        let username_attributes = pool.username_attributes().iter();
        let username_attributes = username_attributes.filter_map(|attribute| match attribute {
            UsernameAttributeType::Email => Some(SignInName::Email),
            UsernameAttributeType::PhoneNumber => Some(SignInName::PhoneNumber),
            _ => None,
        });
        let aliases = pool.alias_attributes().iter();
        let aliases = aliases.filter_map(|attribute| match attribute {
            AliasAttributeType::Email => Some(SignInName::Email),
            AliasAttributeType::PhoneNumber => Some(SignInName::PhoneNumber),
            AliasAttributeType::PreferredUsername => Some(SignInName::PreferredUsername),
            _ => None,
        });
        let auto_verified = ADDRESSES_AND_FLAGS.into_iter().filter(|(address, _)| {
            let auto_verified = pool.auto_verified_attributes();
            auto_verified.contains(&VerifiedAttributeType::from(*address))
        });
        // DescribeUserPool says that `sub` is required, but Cognito sets it and no file can hold it.
        let schema = pool.schema_attributes().iter();
        let schema = schema.filter(|attribute| attribute.name() != Some("sub"));
        Ok(Self {
            header: Header::of(header)?,
            username_attributes: username_attributes.collect(),
            aliases: aliases.collect(),
            auto_verified_flags: auto_verified.map(|(_, flag)| flag).collect(),
            // DG:import-tool: true or blank where MFA is required, false or blank where it is off.
            mfa_enabled: match pool.mfa_configuration() {
                Some(UserPoolMfaType::On) => Some(true),
                Some(UserPoolMfaType::Optional) => None,
                _ => Some(false),
            },
            // botocore UsernameConfigurationType: case sensitive unless it says otherwise.
            is_case_sensitive: pool
                .username_configuration()
                .is_none_or(|configuration| configuration.case_sensitive()),
            schema: schema
                .filter_map(|attribute| {
                    Some((attribute.name.clone()?, AttributeRules::of(attribute)))
                })
                .collect(),
        })
    }

    /// The pool's own import header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the pool's schema requires of an attribute; nothing, if the schema does not have it.
    pub(super) fn attribute(&self, name: &str) -> AttributeRules {
        self.schema.get(name).copied().unwrap_or_default()
    }

    /// Converts a sign-in name to lower case, unless the pool distinguishes case.
    pub(super) fn fold_case<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        if self.is_case_sensitive {
            name
        } else {
            Cow::Owned(name.to_lowercase())
        }
    }
}
