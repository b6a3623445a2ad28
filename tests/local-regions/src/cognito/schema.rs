//! The attributes of a pool, and the constraints on their values.

use serde_json::{Value, json};

use super::error::ApiError;
use super::settings::{CustomAttribute, CustomKind, PoolSettings};
use super::user::Attributes;

/// Values to write, by the attribute's short name; an empty value deletes the attribute.
pub(super) type Writes = Vec<(u8, String)>;

/// The constraint on a value.
#[derive(Clone, Copy)]
enum Kind {
    Text { min: usize, max: usize },
    Number { min: Option<i64>, max: Option<i64> },
    Boolean,
}

struct Attribute {
    name: String,
    kind: Kind,
    mutable: bool,
    required: bool,
}

impl Attribute {
    fn custom(custom: &CustomAttribute) -> Self {
        Self {
            name: format!("custom:{}", custom.name),
            kind: match custom.kind {
                CustomKind::Text { min, max } => Kind::Text { min, max },
                CustomKind::Number { min, max } => Kind::Number { min, max },
            },
            mutable: custom.mutable,
            required: false,
        }
    }
}

/// The attributes of a pool; the position of an attribute is its short name in [`Attributes`].
pub(super) struct Schema(Vec<Attribute>);

pub(super) const SUB: &str = "sub";
pub(super) const EMAIL: &str = "email";
pub(super) const EMAIL_VERIFIED: &str = "email_verified";
pub(super) const PHONE: &str = "phone_number";
pub(super) const PHONE_VERIFIED: &str = "phone_number_verified";

/// The standard attributes, in the order of the import template.
// DG:cognito-user-pools-using-import-tool, sample header [D].
const STANDARD: [&str; 20] = [
    SUB,
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    EMAIL,
    EMAIL_VERIFIED,
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    PHONE,
    PHONE_VERIFIED,
    "address",
    "updated_at",
];

/// The linked identities of a federated user, which are in every schema, but in no import template.
const IDENTITIES: &str = "identities";

// DG:quotas: an attribute's value has at most 2,048 bytes [D].
const MAX_VALUE_BYTES: usize = 2048;

const MAX_CUSTOM: usize = 50;

impl Schema {
    pub(super) fn new(settings: &PoolSettings) -> Self {
        let standard = STANDARD.iter().chain([&IDENTITIES]).map(|&name| Attribute {
            name: name.to_owned(),
            kind: match name {
                EMAIL_VERIFIED | PHONE_VERIFIED => Kind::Boolean,
                // botocore SchemaType of birthdate: exactly 10 characters. The developer guide says that they must be a date,
                // but this is not enforced, as pools with other values show [Inf].
                "birthdate" => Kind::Text { min: 10, max: 10 },
                "updated_at" => Kind::Number {
                    min: Some(0),
                    max: None,
                },
                _ => Kind::Text { min: 0, max: 2048 },
            },
            mutable: name != SUB,
            required: name == SUB
                || settings
                    .required_attributes
                    .iter()
                    .any(|required| required == name),
        });
        let custom = settings.custom_attributes.iter().map(Attribute::custom);
        Self(standard.chain(custom).collect())
    }

    /// Adds custom attributes: all of them, or none if one is invalid.
    // DG:quotas: 50 custom attributes a pool [D]; the texts are [Inf].
    pub(super) fn add(&mut self, added: &[CustomAttribute]) -> Result<(), ApiError> {
        let standard = STANDARD.len() + 1;
        if self.0.len() - standard + added.len() > MAX_CUSTOM {
            let text = format!("A user pool has at most {MAX_CUSTOM} custom attributes.");
            return Err(ApiError::invalid_parameter(text));
        }
        let before = self.0.len();
        for attribute in added.iter().map(Attribute::custom) {
            if self.id(&attribute.name).is_some() {
                self.0.truncate(before);
                let message = format!("{} already exists.", attribute.name);
                return Err(ApiError::invalid_parameter(message));
            }
            self.0.push(attribute);
        }
        Ok(())
    }

    /// The short name of an attribute.
    pub(super) fn id(&self, name: &str) -> Option<u8> {
        let place = self.0.iter().position(|attribute| attribute.name == name)?;
        u8::try_from(place).ok()
    }

    /// The full name of an attribute.
    pub(super) fn name(&self, id: u8) -> &str {
        &self.0[usize::from(id)].name
    }

    /// Whether every sign-up must have the attribute.
    pub(super) fn is_required(&self, id: u8) -> bool {
        self.0[usize::from(id)].required
    }

    /// The value that a user has of an attribute.
    pub(super) fn value<'u>(&self, attributes: &'u Attributes, name: &str) -> Option<&'u str> {
        attributes.get(self.id(name)?)
    }

    /// Whether a boolean attribute of a user is true.
    pub(super) fn is_true(&self, attributes: &Attributes, name: &str) -> bool {
        self.value(attributes, name) == Some("true")
    }

    /// The header of the import CSV.
    // facts 1.1: custom columns before cognito:mfa_enabled; neither sub nor identities [D, I].
    pub(super) fn csv_header(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|attribute| attribute.name.as_str())
            .filter(|name| ![SUB, IDENTITIES].contains(name))
            .chain(["cognito:mfa_enabled", "cognito:username"])
            .map(str::to_owned)
            .collect()
    }

    /// The required attributes that are missing, except `sub`.
    pub(super) fn missing_required(&self, attributes: &Attributes) -> Vec<&str> {
        let missing = |attribute: &&Attribute| {
            attribute.required
                && self
                    .value(attributes, &attribute.name)
                    .is_none_or(str::is_empty)
        };
        let names = self
            .0
            .iter()
            .filter(missing)
            .map(|attribute| attribute.name.as_str());
        names.filter(|&name| name != SUB).collect()
    }

    /// Checks the attributes that a request writes, and returns them with their short names.
    pub(super) fn checked_writes(
        &self,
        given: &[(&str, &str)],
        creation: bool,
    ) -> Result<Writes, ApiError> {
        let mut writes = Vec::with_capacity(given.len());
        let mut wrong = String::new();
        for &(name, value) in given {
            // facts 3: "Cannot modify the non-mutable attribute sub" [I]; for identities it is assumed to be the same [Inf].
            if [SUB, IDENTITIES].contains(&name) {
                let message = format!("Cannot modify the non-mutable attribute {name}");
                return Err(ApiError::invalid_parameter(message));
            }
            let line = match self.id(name) {
                None => Err("Attribute does not exist in the schema.".to_owned()),
                Some(id) if !creation && !self.0[usize::from(id)].mutable => {
                    Err("Attribute cannot be updated.".to_owned())
                }
                Some(_) if name == EMAIL && !value.is_empty() && !is_email(value) => {
                    // This text and that about the phone number are [R].
                    return Err(ApiError::invalid_parameter("Invalid email address format."));
                }
                Some(_) if name == PHONE && !value.is_empty() && !is_phone_number(value) => {
                    return Err(ApiError::invalid_parameter("Invalid phone number format."));
                }
                // botocore AdminUpdateUserAttributes: a blank value deletes the attribute [D].
                Some(id) if value.is_empty() => Ok((id, String::new())),
                Some(id) => self.check_value(id, value).map(|()| (id, value.to_owned())),
            };
            match line {
                Ok(write) => writes.push(write),
                Err(reason) => wrong.push_str(&format!("{name}: {reason}\n")),
            }
        }
        if wrong.is_empty() {
            return Ok(writes);
        }
        Err(ApiError::invalid_parameter(format!(
            "Attributes did not conform to the schema: {wrong}"
        )))
    }

    /// Checks whether a value conforms to the schema; the error says why not, without the value.
    // The texts of these errors are [Inf]; the constraints are documented.
    pub(super) fn check_value(&self, id: u8, value: &str) -> Result<(), String> {
        let attribute = &self.0[usize::from(id)];
        if value.len() > MAX_VALUE_BYTES {
            return Err(format!(
                "Value must not be longer than {MAX_VALUE_BYTES} bytes."
            ));
        }
        match attribute.kind {
            Kind::Text { min, max } => {
                let length = value.encode_utf16().count();
                if length < min || length > max {
                    return Err(format!(
                        "String must have between {min} and {max} characters."
                    ));
                }
            }
            Kind::Number { min, max } => {
                let number: Option<f64> = value.parse().ok();
                let inside = |n: f64| {
                    min.is_none_or(|min| n >= min as f64) && max.is_none_or(|max| n <= max as f64)
                };
                if !number.is_some_and(inside) {
                    return Err("Value must be a number within the attribute's bounds.".to_owned());
                }
            }
            Kind::Boolean => {
                if !["true", "false"].contains(&value) {
                    return Err("Value must be true or false.".to_owned());
                }
            }
        }
        Ok(())
    }

    /// `SchemaAttributes` of DescribeUserPool.
    pub(super) fn describe(&self) -> Value {
        let attributes = self.0.iter().map(|attribute| {
            let mut described = json!({
                "Name": attribute.name,
                "DeveloperOnlyAttribute": false,
                "Mutable": attribute.mutable,
                "Required": attribute.required,
            });
            match attribute.kind {
                Kind::Text { min, max } => {
                    let min = if attribute.name == SUB { 1 } else { min };
                    described["AttributeDataType"] = "String".into();
                    described["StringAttributeConstraints"] =
                        json!({"MinLength": min.to_string(), "MaxLength": max.to_string()});
                }
                Kind::Number { min, max } => {
                    described["AttributeDataType"] = "Number".into();
                    let mut constraints = json!({});
                    if let Some(min) = min {
                        constraints["MinValue"] = min.to_string().into();
                    }
                    if let Some(max) = max {
                        constraints["MaxValue"] = max.to_string().into();
                    }
                    described["NumberAttributeConstraints"] = constraints;
                }
                Kind::Boolean => described["AttributeDataType"] = "Boolean".into(),
            }
            described
        });
        attributes.collect()
    }
}

/// Whether a value passes Cognito's check of email addresses, as far as it is known. Internationalised domains exist in real
/// pools.
// facts 1.5: "a valid email address format" [D]; what exactly is valid is [Inf].
pub(super) fn is_email(text: &str) -> bool {
    let good = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
            && text.chars().all(good)
    })
}

/// Whether a value is a phone number that Cognito accepts.
// facts 1.6: + and digits only [D]; at most 15 of them is E.164.
pub(super) fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_addresses_when_checked_then_only_whole_ones_pass() {
        assert!(is_email("taro+tag@example.co.jp") && is_email("user8@例え7.jp"));
        for wrong in [
            "taro",
            "taro@",
            "@example.jp",
            "taro@example",
            "a b@example.jp",
            "a@b@c.jp",
        ] {
            assert!(!is_email(wrong), "{wrong}");
        }
        assert!(is_phone_number("+819012345678"));
        assert!(!is_phone_number("09012345678") && !is_phone_number("+81-90"));
    }
}
