//! What a pool's schema requires of an attribute.

use aws_sdk_cognitoidentityprovider::types::{AttributeDataType, SchemaAttributeType};

use super::problem::Reason;
use super::value::parse_decimal;
use crate::import_csv::limits::MAX_VALUE_BYTES;
use crate::import_csv::syntax::{parse_boolean, utf16_length};

/// What a pool's schema requires of one attribute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttributeRules {
    pub(super) is_required: bool,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
enum Limits {
    /// No documented limits. Nor is it documented what a DateTime looks like.
    #[default]
    None,
    Text {
        min_length: usize,
        max_length: usize,
    },
    Number {
        min: f64,
        max: f64,
    },
    Boolean,
}

impl AttributeRules {
    /// The rules of an attribute as DescribeUserPool returns it, with its bounds as text.
    pub(super) fn of(attribute: &SchemaAttributeType) -> Self {
        let limits = match attribute.attribute_data_type() {
            Some(AttributeDataType::Boolean) => Limits::Boolean,
            Some(AttributeDataType::Number) => {
                let bounds = attribute.number_attribute_constraints();
                let bound = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                Limits::Number {
                    min: bound(bounds.and_then(|b| b.min_value())).unwrap_or(f64::NEG_INFINITY),
                    max: bound(bounds.and_then(|b| b.max_value())).unwrap_or(f64::INFINITY),
                }
            }
            Some(AttributeDataType::String) => {
                let bounds = attribute.string_attribute_constraints();
                let bound = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                Limits::Text {
                    min_length: bound(bounds.and_then(|b| b.min_length())).unwrap_or(0),
                    max_length: bound(bounds.and_then(|b| b.max_length()))
                        .unwrap_or(MAX_VALUE_BYTES),
                }
            }
            _ => Limits::None,
        };
        Self {
            is_required: attribute.required() == Some(true),
            limits,
        }
    }

    /// What is wrong with a value of the attribute, if anything is.
    pub(super) fn value_problem(self, value: &str) -> Option<Reason> {
        if value.len() > MAX_VALUE_BYTES {
            return Some(Reason::TooManyBytes);
        }
        match self.limits {
            Limits::None => None,
            Limits::Text {
                min_length,
                max_length,
            } => {
                let length = utf16_length(value);
                if length < min_length {
                    Some(Reason::TooShort(min_length))
                } else if length > max_length {
                    Some(Reason::TooLong(max_length))
                } else {
                    None
                }
            }
            Limits::Number { min, max } => match parse_decimal(value) {
                None => Some(Reason::BadNumber),
                Some(number) if number < min || number > max => Some(Reason::OutOfBounds),
                Some(_) => None,
            },
            Limits::Boolean => parse_boolean(value).is_none().then_some(Reason::BadBoolean),
        }
    }
}
