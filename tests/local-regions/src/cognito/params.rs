//! Reads the members of a request and checks them against the service model, as Cognito does before anything else.
//!
//! The constraints are those of botocore 1.44.5 `[D]`; the error names all violations of a request in the form of AWS. A
//! member that the operation does not read is an error, because otherwise it would be ignored without a sign.

use serde_json::{Map, Value};

use super::error::ApiError;

/// The constraints of the model on a text member.
pub(super) struct Text {
    min: usize,
    max: usize,
    pattern: &'static str,
    matches: fn(&str) -> bool,
    sensitive: bool,
}

const fn text(min: usize, max: usize, pattern: &'static str, matches: fn(&str) -> bool) -> Text {
    Text {
        min,
        max,
        pattern,
        matches,
        sensitive: false,
    }
}

const fn sensitive(rule: Text) -> Text {
    Text {
        sensitive: true,
        ..rule
    }
}

const VISIBLE: &str = r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+";

pub(super) const POOL_ID: Text = text(1, 55, r"[\w-]+_[0-9a-zA-Z]+", is_pool_id);
pub(super) const CLIENT_ID: Text = sensitive(text(1, 128, r"[\w+]+", |t| {
    all(t, |c| is_word(c) || c == '+')
}));
pub(super) const USERNAME: Text = sensitive(text(1, 128, VISIBLE, |t| all(t, is_visible)));
pub(super) const PASSWORD: Text =
    sensitive(text(0, 256, r"[\S]+", |t| all(t, |c| !c.is_whitespace())));
pub(super) const CONFIRMATION_CODE: Text =
    text(1, 2048, r"[\S]+", |t| all(t, |c| !c.is_whitespace()));
pub(super) const SESSION: Text = sensitive(text(20, 4096, r"[\s\S]*", |_| true));
pub(super) const TOKEN: Text = sensitive(text(0, usize::MAX, r"[A-Za-z0-9-_=.]+", |t| {
    all(t, |c| c.is_ascii_alphanumeric() || "-_=.".contains(c))
}));
pub(super) const SECRET: Text = sensitive(text(1, 64, r"[\w+]+", |t| {
    all(t, |c| is_word(c) || c == '+')
}));
pub(super) const SECRET_HASH: Text = sensitive(text(1, 128, r"[\w+=/]+", |t| {
    all(t, |c| is_word(c) || "+=/".contains(c))
}));
pub(super) const DEVICE_NAME: Text = text(0, 2048, "", |_| true);
pub(super) const USER_CODE: Text =
    sensitive(text(6, 6, r"[0-9]+", |t| all(t, |c| c.is_ascii_digit())));
pub(super) const FILTER: Text = sensitive(text(0, 256, r"[\s\S]*", |_| true));
pub(super) const PAGE_TOKEN: Text =
    text(1, usize::MAX, r"[\S]+", |t| all(t, |c| !c.is_whitespace()));
pub(super) const NAME: Text = text(1, 128, r"[\w\s+=,.@-]+", |t| {
    all(t, |c| {
        is_word(c) || c.is_ascii_whitespace() || "+=,.@-".contains(c)
    })
});
pub(super) const PROVIDER_NAME: Text = text(1, 32, VISIBLE, |t| all(t, is_visible));
pub(super) const DOMAIN: Text = text(1, 63, r"[a-z0-9](?:[a-z0-9\-.]{0,61}[a-z0-9])?", |t| {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    all(t, |c| is_end(c) || c == '-' || c == '.') && t.starts_with(is_end) && t.ends_with(is_end)
});
pub(super) const GROUP_NAME: Text = text(1, 128, VISIBLE, |t| all(t, is_visible));
pub(super) const DESCRIPTION: Text = text(0, 2048, "", |_| true);
pub(super) const JOB_ID: Text = text(1, 55, r"import-[0-9a-zA-Z-]+", |t| {
    let id = t.strip_prefix("import-").unwrap_or_default();
    all(id, |c| c.is_ascii_alphanumeric() || c == '-')
});
pub(super) const ARN: Text = text(
    20,
    2048,
    r"arn:[\w+=/,.@-]+:[\w+=/,.@-]+:([\w+=/,.@-]*)?:[0-9]+:[\w+=/,.@-]+(:[\w+=/,.@-]+)?(:[\w+=/,.@-]+)?",
    is_arn,
);
const ATTRIBUTE_NAME: Text = text(1, 32, r"[\p{L}\p{M}\p{S}\p{N}\p{P}\t\n\r ]+", |t| {
    all(t, |c| is_visible(c) || "\t\n\r ".contains(c))
});
const ATTRIBUTE_VALUE: Text = sensitive(text(0, 2048, "", |_| true));

fn all(text: &str, good: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(good)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a character is a letter, mark, symbol, number or punctuation, and not a space, control or format character.
pub(super) fn is_visible(c: char) -> bool {
    let format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}');
    !(c.is_whitespace() || c.is_control() || format || private)
}

fn is_pool_id(text: &str) -> bool {
    text.rsplit_once('_').is_some_and(|(region, id)| {
        all(region, |c| is_word(c) || c == '-') && all(id, |c| c.is_ascii_alphanumeric())
    })
}

pub(super) fn is_arn(text: &str) -> bool {
    let part = |part: &str| part.chars().all(|c| is_word(c) || "+=/,.@-".contains(c));
    let parts: Vec<_> = text.split(':').collect();
    (6..=8).contains(&parts.len())
        && parts[0] == "arn"
        && parts.iter().all(|p| part(p))
        && parts
            .iter()
            .enumerate()
            .all(|(i, p)| i == 3 || !p.is_empty())
        && parts[4].chars().all(|c| c.is_ascii_digit())
}

/// The members of one request, and the violations that were found so far.
pub(super) struct Params<'a> {
    body: &'a Map<String, Value>,
    read: Vec<&'static str>,
    violations: Vec<String>,
    malformed: Option<&'static str>,
}

impl<'a> Params<'a> {
    pub(super) fn new(body: &'a Map<String, Value>) -> Self {
        Self {
            body,
            read: Vec::new(),
            violations: Vec::new(),
            malformed: None,
        }
    }

    /// Ends the reading and returns all violations as one error.
    pub(super) fn check(self) -> Result<(), ApiError> {
        if let Some(wanted) = self.malformed {
            let message = format!("A member of the request is not {wanted}.");
            return Err(ApiError::new("SerializationException", message));
        }
        match self.violations.len() {
            0 => self.check_all_read(),
            n => {
                let plural = if n == 1 { "" } else { "s" };
                let list = self.violations.join("; ");
                Err(ApiError::invalid_parameter(format!(
                    "{n} validation error{plural} detected: {list}"
                )))
            }
        }
    }

    fn check_all_read(&self) -> Result<(), ApiError> {
        let given = self.body.iter().filter(|(_, value)| !value.is_null());
        let mut unread = given.filter(|(name, _)| !self.read.iter().any(|read| read == name));
        match unread.next() {
            Some((name, _)) => Err(ApiError::not_modelled(name)),
            None => Ok(()),
        }
    }

    fn member(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.body.get(name).filter(|value| !value.is_null())
    }

    fn note(&mut self, shown: Option<&str>, path: &str, constraint: &str) {
        let value = shown.map_or_else(|| "Value".to_owned(), |value| format!("Value '{value}'"));
        self.violations.push(format!(
            "{value} at '{path}' failed to satisfy constraint: {constraint}"
        ));
    }

    fn missing(&mut self, name: &str) {
        let path = lower_first(name);
        self.violations.push(format!(
            "Value null at '{path}' failed to satisfy constraint: Member must not be null"
        ));
    }

    fn apply(&mut self, rule: &Text, value: &str, path: &str) {
        let shown = (!rule.sensitive).then_some(value);
        // The service counts UTF-16 units, as Java does [Inf].
        let length = value.encode_utf16().count();
        if length < rule.min {
            let constraint = format!(
                "Member must have length greater than or equal to {}",
                rule.min
            );
            self.note(shown, path, &constraint);
        }
        if length > rule.max {
            let constraint = format!("Member must have length less than or equal to {}", rule.max);
            self.note(shown, path, &constraint);
        }
        if !(rule.matches)(value) {
            let constraint = format!(
                "Member must satisfy regular expression pattern: {}",
                rule.pattern
            );
            self.note(shown, path, &constraint);
        }
    }

    /// A required text. If it is missing, the violation is recorded, and an empty text is returned.
    pub(super) fn required(&mut self, name: &'static str, rule: &Text) -> &'a str {
        if self.member(name).is_none() {
            self.missing(name);
        }
        self.optional(name, rule).unwrap_or_default()
    }

    /// An optional text.
    pub(super) fn optional(&mut self, name: &'static str, rule: &Text) -> Option<&'a str> {
        match self.member(name)? {
            Value::String(value) => {
                self.apply(rule, value, &lower_first(name));
                Some(value)
            }
            _ => {
                self.malformed = Some("a string");
                None
            }
        }
    }

    /// One of the values of an enumeration of the model.
    pub(super) fn word(&mut self, name: &'static str, known: &[&str]) -> Option<&'a str> {
        match self.member(name)? {
            Value::String(value) => {
                if !known.contains(&value.as_str()) {
                    let constraint =
                        format!("Member must satisfy enum value set: [{}]", known.join(", "));
                    self.note(Some(value), &lower_first(name), &constraint);
                }
                Some(value)
            }
            _ => {
                self.malformed = Some("a string");
                None
            }
        }
    }

    /// A required value of an enumeration.
    pub(super) fn required_word(&mut self, name: &'static str, known: &[&str]) -> &'a str {
        if self.member(name).is_none() {
            self.missing(name);
        }
        self.word(name, known).unwrap_or_default()
    }

    /// A boolean; false if it is missing.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.member(name) {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.malformed = Some("a boolean");
                false
            }
        }
    }

    /// A whole number within the model's bounds.
    pub(super) fn number(&mut self, name: &'static str, min: u64, max: u64) -> Option<u64> {
        let value = self.member(name)?;
        let Some(number) = value.as_i64() else {
            self.malformed = Some("an integer");
            return None;
        };
        let path = lower_first(name);
        if number < min as i64 {
            let constraint = format!("Member must have value greater than or equal to {min}");
            self.note(Some(&number.to_string()), &path, &constraint);
        } else if number > max as i64 {
            let constraint = format!("Member must have value less than or equal to {max}");
            self.note(Some(&number.to_string()), &path, &constraint);
        }
        u64::try_from(number).ok()
    }

    /// A required whole number.
    pub(super) fn required_number(&mut self, name: &'static str, min: u64, max: u64) -> u64 {
        if self.member(name).is_none() {
            self.missing(name);
        }
        self.number(name, min, max).unwrap_or_default()
    }

    /// A map of texts, such as AuthParameters or ClientMetadata.
    pub(super) fn map(&mut self, name: &'static str) -> Option<&'a Map<String, Value>> {
        match self.member(name)? {
            Value::Object(map) if map.values().all(Value::is_string) => Some(map),
            _ => {
                self.malformed = Some("a map of strings");
                None
            }
        }
    }

    /// A structure, whose members the caller reads.
    pub(super) fn structure(&mut self, name: &'static str) -> Option<&'a Map<String, Value>> {
        match self.member(name)? {
            Value::Object(structure) => Some(structure),
            _ => {
                self.malformed = Some("a structure");
                None
            }
        }
    }

    /// A list of any values; empty if it is missing.
    pub(super) fn list(&mut self, name: &'static str) -> &'a [Value] {
        match self.member(name) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.malformed = Some("a list");
                &[]
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<&'a str>> {
        let list = self.member(name)?.as_array().and_then(|list| {
            let texts: Option<Vec<_>> = list.iter().map(Value::as_str).collect();
            texts
        });
        if list.is_none() {
            self.malformed = Some("a list of strings");
        }
        list
    }

    /// The attributes of a user.
    pub(super) fn attributes(&mut self, name: &'static str) -> Vec<(&'a str, &'a str)> {
        let list = self.list(name);
        let mut attributes = Vec::with_capacity(list.len());
        for (i, item) in list.iter().enumerate() {
            let path = format!("{}.{}.member", lower_first(name), i + 1);
            let value = match item.get("Value").filter(|value| !value.is_null()) {
                None => "",
                Some(Value::String(value)) => value,
                Some(_) => {
                    self.malformed = Some("a string");
                    continue;
                }
            };
            let Some(attribute) = item.get("Name").and_then(Value::as_str) else {
                self.missing(&format!("{path}.name"));
                continue;
            };
            self.apply(&ATTRIBUTE_NAME, attribute, &format!("{path}.name"));
            self.apply(&ATTRIBUTE_VALUE, value, &format!("{path}.value"));
            attributes.push((attribute, value));
        }
        attributes
    }

    /// A required list of names of attributes.
    pub(super) fn required_attribute_names(&mut self, name: &'static str) -> Vec<&'a str> {
        if self.member(name).is_none() {
            self.missing(name);
        }
        let names = self.texts(name).unwrap_or_default();
        for (i, attribute) in names.iter().enumerate() {
            let path = format!("{}.{}.member", lower_first(name), i + 1);
            self.apply(&ATTRIBUTE_NAME, attribute, &path);
        }
        names
    }

    /// A required list of attributes.
    pub(super) fn required_attributes(&mut self, name: &'static str) -> Vec<(&'a str, &'a str)> {
        if self.member(name).is_none() {
            self.missing(name);
        }
        self.attributes(name)
    }
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}
