//! What a pool asks of an import file: every reason for which Cognito would refuse it or a row of it, or change a value.
//!
//! Where the documentation is silent on what Cognito reads, what nobody knows to be read counts as refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_cognitoidentityprovider::types::{
    AliasAttributeType, AttributeDataType, SchemaAttributeType, UserPoolMfaType, UserPoolType,
    UsernameAttributeType, VerifiedAttributeType,
};

use super::reader::{
    BYTE_ORDER_MARK, Cells, Header, HeaderError, LineFault, WrongCellCount, flag, is_whole_seconds,
    split, stored_date, value,
};
use super::{
    FLAGS, Kind, LONGEST_ROW, LONGEST_USERNAME, MOST_BYTES, MOST_ROWS, Rejection, USERNAME,
    Unwritable,
};

/// DG:quotas: the most bytes that a value may have.
const LONGEST_VALUE: usize = 2048;

/// E.164: the most digits of a phone number.
const MOST_DIGITS: usize = 15;

/// Something that Cognito would refuse, or change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The column it is about, if it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong. Never holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first line is no header, or there is none.
    NoHeader,
    /// The file begins with a byte order mark.
    ByteOrderMark,
    /// A column of the pool is not in the header.
    MissingColumn,
    /// A column of the header is not in the pool.
    UnknownColumn,
    /// A column is in the header twice.
    RepeatedColumn,
    /// More users than an import file may have.
    TooManyRows,
    /// More bytes than an import file may have.
    FileTooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// The row is longer than Cognito takes.
    RowTooLong,
    /// The row has more or fewer cells than the header has columns.
    CellCount(WrongCellCount),
    /// A backslash that is not before a comma.
    Backslash,
    /// A double quote.
    Quote,
    /// A control character other than a tab.
    ControlCharacter,
    /// White space at either end, which Cognito trims.
    OuterSpace,
    /// The username is blank.
    MissingUsername,
    /// The username has white space or invisible characters, or is too long.
    UsernameUnusable,
    /// The username is not of the form that the pool's sign-in asks for; which one that is.
    UsernameForm(&'static str),
    /// The username is another one than the address that people sign in with; which address.
    UsernameDiffers(&'static str),
    /// None of the pool's auto-verified attributes is verified.
    NoVerifiedAttribute,
    /// An address is verified and blank; which one.
    FlagWithoutAddress(&'static str),
    /// An attribute that the pool requires is blank.
    MissingRequired,
    /// Another MFA state than the pool's, which is this one.
    MfaMismatch(bool),
    /// Neither true nor false.
    BadBoolean,
    /// A date that is none.
    BadDate,
    /// Not an email address.
    BadEmail,
    /// Not a phone number.
    BadPhoneNumber,
    /// Not a number.
    BadNumber,
    /// A number outside of the attribute's bounds.
    OutOfBounds,
    /// A text that is shorter than the attribute's least length, which is this.
    TooShort(usize),
    /// A text that is longer than the attribute's greatest length, which is this.
    TooLong(usize),
    /// More bytes than a value may have.
    TooManyBytes,
    /// Somebody else in the files has the name.
    Duplicate,
}

impl Reason {
    /// The reason's name in files and summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoHeader => "no-header",
            Self::ByteOrderMark => "byte-order-mark",
            Self::MissingColumn => "missing-column",
            Self::UnknownColumn => "unknown-column",
            Self::RepeatedColumn => "repeated-column",
            Self::TooManyRows => "too-many-rows",
            Self::FileTooLarge => "file-too-large",
            Self::NotUtf8 => "not-utf-8",
            Self::RowTooLong => Rejection::RowTooLong.as_str(),
            Self::CellCount(_) => "cell-count",
            Self::Backslash => Unwritable::Backslash.as_str(),
            Self::Quote => Unwritable::Quote.as_str(),
            Self::ControlCharacter => Unwritable::ControlCharacter.as_str(),
            Self::OuterSpace => Unwritable::OuterSpace.as_str(),
            Self::MissingUsername => "missing-username",
            Self::UsernameUnusable => Rejection::UsernameUnusable.as_str(),
            Self::UsernameForm(_) => "username-form",
            Self::UsernameDiffers(_) => "username-differs",
            Self::NoVerifiedAttribute => Rejection::NoVerifiedAttribute.as_str(),
            Self::FlagWithoutAddress(_) => "flag-without-address",
            Self::MissingRequired => "missing-required",
            Self::MfaMismatch(_) => "mfa-mismatch",
            Self::BadBoolean => "bad-boolean",
            Self::BadDate => Unwritable::BadDate.as_str(),
            Self::BadEmail => "bad-email",
            Self::BadPhoneNumber => "bad-phone-number",
            Self::BadNumber => "bad-number",
            Self::OutOfBounds => "out-of-bounds",
            Self::TooShort(_) => "too-short",
            Self::TooLong(_) => "too-long",
            Self::TooManyBytes => "too-many-bytes",
            Self::Duplicate => "duplicate",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoHeader | Self::MissingColumn | Self::UnknownColumn | Self::RepeatedColumn => {
                "begin the file with the header that GetCSVHeader gives for this pool, and give each row its cells"
            }
            Self::ByteOrderMark | Self::NotUtf8 => "save the file as UTF-8 without byte order mark",
            Self::TooManyRows | Self::FileTooLarge => {
                "split the file, each part with the header, and import the parts one after the other"
            }
            Self::RowTooLong | Self::TooManyBytes | Self::TooLong(_) => {
                "leave the value out and write it after the import with AdminUpdateUserAttributes, or shorten it"
            }
            Self::CellCount(_) => "write a comma inside a value as \\, and nothing in quotes",
            Self::Backslash | Self::Quote | Self::ControlCharacter => {
                "take it out, or leave the value out and write it after the import with AdminUpdateUserAttributes"
            }
            Self::OuterSpace => "take the white space away: Cognito would trim the value",
            Self::MissingUsername
            | Self::UsernameUnusable
            | Self::UsernameForm(_)
            | Self::UsernameDiffers(_) => "give the name that the person signs in with",
            Self::NoVerifiedAttribute => {
                "write true as email_verified or phone_number_verified, but only for an address that the person has proved"
            }
            Self::FlagWithoutAddress(_) => "give the address, or write false",
            Self::MissingRequired => "give the value: the pool requires the attribute",
            Self::MfaMismatch(_) => "leave the cell blank: Cognito then takes the pool's setting",
            Self::BadBoolean => "write true or false",
            Self::BadDate => {
                "write a date as mm/dd/yyyy, such as 02/01/1985, and updated_at as whole seconds, such as 1471453471"
            }
            Self::BadEmail => "correct the address",
            Self::BadPhoneNumber => {
                "write + and the digits with the country's code, such as +819012345678"
            }
            Self::BadNumber => "write digits, with a point before a fraction",
            Self::OutOfBounds | Self::TooShort(_) => {
                "give a value that the pool's schema allows, or leave it out"
            }
            Self::Duplicate => "keep one of the rows: Cognito skips or refuses the other",
        }
    }
}

/// A sentence about what is wrong, without any value.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => write!(f, "no header with a {USERNAME} column"),
            Self::ByteOrderMark => f.write_str("the file begins with a byte order mark"),
            Self::MissingColumn => f.write_str("the pool has this column and the header does not"),
            Self::UnknownColumn => f.write_str("the header has this column and the pool does not"),
            Self::RepeatedColumn => f.write_str("the header has this column twice"),
            Self::TooManyRows => write!(f, "more than {MOST_ROWS} users in a file"),
            Self::FileTooLarge => write!(f, "more than {MOST_BYTES} bytes in a file"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::RowTooLong => write!(f, "longer than {LONGEST_ROW} characters"),
            Self::CellCount(count) => {
                write!(f, "{} cells for {} columns", count.found, count.expected)
            }
            Self::Backslash => f.write_str("a backslash that is not before a comma"),
            Self::Quote => f.write_str("a double quote"),
            Self::ControlCharacter => f.write_str("a control character"),
            Self::OuterSpace => f.write_str("white space at the beginning or the end"),
            Self::MissingUsername => f.write_str("no username"),
            Self::UsernameUnusable => write!(
                f,
                "white space or an invisible character in the username, or more than {LONGEST_USERNAME} characters"
            ),
            Self::UsernameForm(form) => write!(f, "the pool asks for {form} as username"),
            Self::UsernameDiffers(address) => write!(
                f,
                "people sign in by {address}, and the username is another than the {address}"
            ),
            Self::NoVerifiedAttribute => {
                f.write_str("none of the attributes that the pool verifies by itself is verified")
            }
            Self::FlagWithoutAddress(address) => write!(f, "true, and no {address}"),
            Self::MissingRequired => f.write_str("blank, and the pool requires it"),
            Self::MfaMismatch(is_on) => {
                let mfa = if *is_on { "required" } else { "off" };
                write!(f, "MFA is {mfa} in the pool")
            }
            Self::BadBoolean => f.write_str("neither true nor false"),
            Self::BadDate => f.write_str("not a date as mm/dd/yyyy, or not whole seconds"),
            Self::BadEmail => f.write_str("not an email address"),
            Self::BadPhoneNumber => write!(f, "not + and at most {MOST_DIGITS} digits"),
            Self::BadNumber => f.write_str("not a number"),
            Self::OutOfBounds => f.write_str("outside of the bounds in the pool's schema"),
            Self::TooShort(least) => write!(f, "shorter than {least} characters"),
            Self::TooLong(most) => write!(f, "longer than {most} characters"),
            Self::TooManyBytes => write!(f, "longer than {LONGEST_VALUE} bytes"),
            Self::Duplicate => f.write_str("somebody else in the files has the same"),
        }
    }
}

impl From<LineFault> for Reason {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::NotUtf8 => Self::NotUtf8,
            LineFault::TooLong => Self::RowTooLong,
        }
    }
}

/// What a column's values are names of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `cognito:username`.
    Username,
    /// An email address that people sign in with.
    Email,
    /// A phone number that people sign in with.
    PhoneNumber,
    /// A preferred username that people sign in with.
    PreferredUsername,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Username,
        Self::Email,
        Self::PhoneNumber,
        Self::PreferredUsername,
    ];

    /// The column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Username => USERNAME,
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::PreferredUsername => "preferred_username",
        }
    }
}

/// What one pool asks of an import file.
#[derive(Clone, Debug)]
pub struct Rules {
    header: Header,
    /// Addresses that are usernames.
    sign_in: Vec<Name>,
    /// What people may sign in with beside their username.
    aliases: Vec<Name>,
    /// Flags of which one must be true.
    auto_verified: Vec<&'static str>,
    /// The `cognito:mfa_enabled` that all have; none where each may have their own.
    mfa_enabled: Option<bool>,
    is_case_sensitive: bool,
    schema: BTreeMap<String, Attribute>,
}

/// What the pool's schema asks of an attribute.
#[derive(Clone, Copy, Debug, Default)]
struct Attribute {
    is_required: bool,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
enum Limits {
    /// None that is documented. What a DateTime looks like is not.
    #[default]
    None,
    Text {
        least: usize,
        most: usize,
    },
    Number {
        least: f64,
        most: f64,
    },
    Boolean,
}

impl Attribute {
    /// From DescribeUserPool, which gives the bounds as text.
    fn of(attribute: &SchemaAttributeType) -> Self {
        let limits = match attribute.attribute_data_type() {
            Some(AttributeDataType::Boolean) => Limits::Boolean,
            Some(AttributeDataType::Number) => {
                let bounds = attribute.number_attribute_constraints();
                let bound = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                Limits::Number {
                    least: bound(bounds.and_then(|b| b.min_value())).unwrap_or(f64::NEG_INFINITY),
                    most: bound(bounds.and_then(|b| b.max_value())).unwrap_or(f64::INFINITY),
                }
            }
            Some(AttributeDataType::String) => {
                let bounds = attribute.string_attribute_constraints();
                let bound = |text: Option<&str>| text.and_then(|text| text.parse().ok());
                Limits::Text {
                    least: bound(bounds.and_then(|b| b.min_length())).unwrap_or(0),
                    most: bound(bounds.and_then(|b| b.max_length())).unwrap_or(LONGEST_VALUE),
                }
            }
            _ => Limits::None,
        };
        Self {
            is_required: attribute.required() == Some(true),
            limits,
        }
    }

    fn fault(self, value: &str) -> Option<Reason> {
        if value.len() > LONGEST_VALUE {
            return Some(Reason::TooManyBytes);
        }
        match self.limits {
            Limits::None => None,
            Limits::Text { least, most } => {
                let length = utf16_length(value);
                if length < least {
                    Some(Reason::TooShort(least))
                } else if length > most {
                    Some(Reason::TooLong(most))
                } else {
                    None
                }
            }
            Limits::Number { least, most } => match decimal(value) {
                None => Some(Reason::BadNumber),
                Some(number) if number < least || number > most => Some(Reason::OutOfBounds),
                Some(_) => None,
            },
            Limits::Boolean => flag(value).is_none().then_some(Reason::BadBoolean),
        }
    }
}

impl Rules {
    /// The rules of a pool, from its description and its import header.
    ///
    /// # Errors
    ///
    /// The header is none.
    pub fn of(pool: &UserPoolType, header: &[String]) -> Result<Self, HeaderError> {
        let sign_in = pool.username_attributes().iter();
        let sign_in = sign_in.filter_map(|attribute| match attribute {
            UsernameAttributeType::Email => Some(Name::Email),
            UsernameAttributeType::PhoneNumber => Some(Name::PhoneNumber),
            _ => None,
        });
        let aliases = pool.alias_attributes().iter();
        let aliases = aliases.filter_map(|attribute| match attribute {
            AliasAttributeType::Email => Some(Name::Email),
            AliasAttributeType::PhoneNumber => Some(Name::PhoneNumber),
            AliasAttributeType::PreferredUsername => Some(Name::PreferredUsername),
            _ => None,
        });
        let auto_verified = FLAGS.into_iter().filter(|(address, _)| {
            let auto_verified = pool.auto_verified_attributes();
            auto_verified.contains(&VerifiedAttributeType::from(*address))
        });
        // DescribeUserPool calls `sub` required; Cognito gives it, no file can.
        let schema = pool.schema_attributes().iter();
        let schema = schema.filter(|attribute| attribute.name() != Some("sub"));
        Ok(Self {
            header: Header::of(header)?,
            sign_in: sign_in.collect(),
            aliases: aliases.collect(),
            auto_verified: auto_verified.map(|(_, flag)| flag).collect(),
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
                .filter_map(|attribute| Some((attribute.name.clone()?, Attribute::of(attribute))))
                .collect(),
        })
    }

    /// The columns of the pool.
    pub fn columns(&self) -> &Header {
        &self.header
    }

    /// Reads the first line of a file: its header, if rows can be read under it, and what is wrong with it.
    /// DG:import-tool: "All columns in the header must be present"; their order does not matter.
    pub fn header(&self, text: Result<&str, LineFault>) -> (Option<Header>, Vec<Problem>) {
        let line = match text {
            Ok(line) => line,
            Err(fault) => return (None, vec![Problem::of_row(fault.into())]),
        };
        let mut problems = Vec::new();
        let unmarked = line.strip_prefix(BYTE_ORDER_MARK);
        problems.extend(unmarked.map(|_| Problem::of_row(Reason::ByteOrderMark)));
        let line = unmarked.unwrap_or(line);
        let faults = split(line).filter_map(writing_fault);
        problems.extend(faults.map(Problem::of_row));
        let names: Vec<_> = split(line).map(value).collect();
        if !names.iter().any(|name| name == USERNAME) {
            // Perhaps the line is a person: no column is named after a value.
            problems.push(Problem::of_row(Reason::NoHeader));
            return (None, problems);
        }
        let missing = self
            .header
            .columns()
            .filter(|column| !names.iter().any(|name| name == column));
        problems.extend(missing.map(|column| Problem::new(column, Reason::MissingColumn)));
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                problems.push(Problem::new(name, Reason::RepeatedColumn));
            } else if self.header.position(name).is_none() {
                problems.push(Problem::new(name, Reason::UnknownColumn));
            }
        }
        (Header::of(&names).ok(), problems)
    }

    /// The rules for the rows of a file with this header.
    pub fn under<'a>(&'a self, header: &'a Header) -> RowRules<'a> {
        let columns = header.columns().zip(header.kinds());
        let columns = columns.map(|(name, kind)| {
            let attribute = self.schema.get(name).copied().unwrap_or_default();
            (name, kind, attribute)
        });
        let place = |name: &str| header.position(name);
        RowRules {
            rules: self,
            header,
            columns: columns.collect(),
            names: Name::ALL.map(|name| place(name.column())),
            flags: FLAGS.map(|(_, flag)| place(flag)),
        }
    }

    fn fold<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        if self.is_case_sensitive {
            name
        } else {
            Cow::Owned(name.to_lowercase())
        }
    }
}

/// What a file holds as a whole. DG:quotas: 500,000 users, the header excluded, and 100 MB.
pub fn check_size(rows: u64, bytes: u64) -> Vec<Problem> {
    let reasons = [
        (rows > MOST_ROWS, Reason::TooManyRows),
        (bytes > MOST_BYTES, Reason::FileTooLarge),
    ];
    let broken = reasons.into_iter().filter(|(is_broken, _)| *is_broken);
    broken.map(|(_, reason)| Problem::of_row(reason)).collect()
}

/// A pool's rules for the rows of a file with one header.
#[derive(Clone, Debug)]
pub struct RowRules<'a> {
    rules: &'a Rules,
    header: &'a Header,
    columns: Vec<(&'a str, Kind, Attribute)>,
    /// Where [`Name::ALL`] are.
    names: [Option<usize>; 4],
    /// Where the flags of [`FLAGS`] are.
    flags: [Option<usize>; 2],
}

impl<'a> RowRules<'a> {
    /// The cells of a line, or why it has none that can be told apart.
    pub fn cells(&self, text: Result<&'a str, LineFault>) -> Result<Cells<'a>, Problem> {
        let line = text.map_err(|fault| Problem::of_row(fault.into()))?;
        // No text has more UTF-16 units than bytes.
        if line.len() > LONGEST_ROW && utf16_length(line) > LONGEST_ROW {
            return Err(Problem::of_row(Reason::RowTooLong));
        }
        self.header
            .cells(line)
            .map_err(|count| Problem::of_row(Reason::CellCount(count)))
    }

    /// Everything for which Cognito would refuse the row, or change a value of it.
    pub fn check(&self, cells: &Cells<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (place, (column, kind, attribute)) in self.columns.iter().enumerate() {
            let cell = cells.raw(place);
            if let Some(reason) = writing_fault(cell) {
                problems.push(Problem::new(column, reason));
                if reason != Reason::OuterSpace {
                    // Nobody knows what the value is.
                    continue;
                }
            }
            let fault = match cells.value(place) {
                Some(value) => self.value_fault(*kind, column, *attribute, &value, cells),
                None if *kind == Kind::Username => Some(Reason::MissingUsername),
                None => attribute.is_required.then_some(Reason::MissingRequired),
            };
            problems.extend(fault.map(|reason| Problem::new(column, reason)));
        }
        if !self.has_verified_attribute(cells) {
            problems.push(Problem::of_row(Reason::NoVerifiedAttribute));
        }
        problems
    }

    /// What the person of a row can sign in with, folded where the pool does not tell cases apart: two people cannot have
    /// the same. DG:user-pool-settings-attributes: an alias counts when it is verified, a username attribute always.
    pub fn names<'b>(&self, cells: &Cells<'b>) -> impl Iterator<Item = (Name, Cow<'b, str>)> {
        let username = self.name(Name::Username, cells);
        let others = self.rules.sign_in.iter().copied().chain(
            self.rules
                .aliases
                .iter()
                .copied()
                .filter(|alias| self.is_in_use(*alias, cells)),
        );
        let others: Vec<_> = others
            .filter_map(|name| Some((name, self.name(name, cells)?)))
            .filter(|(_, other)| Some(other) != username.as_ref())
            .collect();
        let username = username.map(|username| (Name::Username, username));
        username.into_iter().chain(others)
    }

    fn name<'b>(&self, name: Name, cells: &Cells<'b>) -> Option<Cow<'b, str>> {
        let value = cells.value(self.names[name as usize]?)?;
        Some(self.rules.fold(value))
    }

    fn is_in_use(&self, alias: Name, cells: &Cells<'_>) -> bool {
        match alias {
            Name::Email => self.is_set(0, cells),
            Name::PhoneNumber => self.is_set(1, cells),
            Name::Username | Name::PreferredUsername => true,
        }
    }

    /// Whether a flag of [`FLAGS`] is true.
    fn is_set(&self, which: usize, cells: &Cells<'_>) -> bool {
        let place = self.flags[which];
        place.is_some_and(|place| flag(cells.raw(place).trim()) == Some(true))
    }

    /// DG:import-tool: "At least one of the auto-verified attributes must be `true` for each user."
    fn has_verified_attribute(&self, cells: &Cells<'_>) -> bool {
        let flags = FLAGS.iter().enumerate();
        let mut auto_verified =
            flags.filter(|(_, (_, flag))| self.rules.auto_verified.contains(flag));
        auto_verified.any(|(which, _)| self.is_set(which, cells))
    }

    /// What is wrong with a value that is not blank.
    fn value_fault(
        &self,
        kind: Kind,
        column: &str,
        attribute: Attribute,
        value: &str,
        cells: &Cells<'_>,
    ) -> Option<Reason> {
        match kind {
            Kind::Username => self.username_fault(value, cells),
            Kind::MfaEnabled => match (flag(value), self.rules.mfa_enabled) {
                (None, _) => Some(Reason::BadBoolean),
                (Some(given), Some(of_pool)) if given != of_pool => {
                    Some(Reason::MfaMismatch(of_pool))
                }
                _ => None,
            },
            Kind::Flag(address) => match flag(value) {
                None => Some(Reason::BadBoolean),
                Some(true) if cells.get(address).is_none() => {
                    Some(Reason::FlagWithoutAddress(address))
                }
                Some(_) => None,
            },
            Kind::Birthdate => stored_date(value).is_none().then_some(Reason::BadDate),
            Kind::UpdatedAt if !is_whole_seconds(value) => Some(Reason::BadDate),
            Kind::Text if column == "email" && !is_email(value) => Some(Reason::BadEmail),
            Kind::Text if column == "phone_number" && !is_phone_number(value) => {
                Some(Reason::BadPhoneNumber)
            }
            Kind::Text | Kind::UpdatedAt => attribute.fault(value),
            Kind::Empty => None,
        }
    }

    fn username_fault(&self, username: &str, cells: &Cells<'_>) -> Option<Reason> {
        if utf16_length(username) > LONGEST_USERNAME || username.chars().any(is_invisible) {
            return Some(Reason::UsernameUnusable);
        }
        let (is_email, is_phone_number) = (is_email(username), is_phone_number(username));
        let address = match self.rules.sign_in.as_slice() {
            [] => {
                // DG:user-pool-settings-attributes: with email as an alias, Cognito "doesn't accept a username that matches
                // a valid email address format".
                let aliases = &self.rules.aliases;
                return if is_email && aliases.contains(&Name::Email) {
                    Some(Reason::UsernameForm("anything but an email address"))
                } else if is_phone_number && aliases.contains(&Name::PhoneNumber) {
                    Some(Reason::UsernameForm("anything but a phone number"))
                } else {
                    None
                };
            }
            sign_in if is_email && sign_in.contains(&Name::Email) => Name::Email,
            sign_in if is_phone_number && sign_in.contains(&Name::PhoneNumber) => Name::PhoneNumber,
            [Name::Email] => return Some(Reason::UsernameForm("an email address")),
            [Name::PhoneNumber] => return Some(Reason::UsernameForm("a phone number")),
            _ => return Some(Reason::UsernameForm("an email address or a phone number")),
        };
        // AWS's own exporter writes the address; what another one would do is not documented.
        let is_theirs = self.name(address, cells) == self.name(Name::Username, cells);
        (!is_theirs).then_some(Reason::UsernameDiffers(address.column()))
    }
}

impl Problem {
    fn new(column: &str, reason: Reason) -> Self {
        Self {
            column: Some(column.to_owned()),
            reason,
        }
    }

    fn of_row(reason: Reason) -> Self {
        Self {
            column: None,
            reason,
        }
    }
}

/// What is wrong with a cell whatever its column. DG:import-tool documents `\,` and the trimming of white space, and
/// nothing for the other characters.
fn writing_fault(cell: &str) -> Option<Reason> {
    let mut characters = cell.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&',').is_none() => return Some(Reason::Backslash),
            '"' => return Some(Reason::Quote),
            '\t' => {}
            other if other.is_control() => return Some(Reason::ControlCharacter),
            _ => {}
        }
    }
    (cell.trim() != cell).then_some(Reason::OuterSpace)
}

/// What cannot be in a username: DG:import-tool "cannot contain spaces or tabs", and botocore UsernameType is
/// `[\p{L}\p{M}\p{S}\p{N}\p{P}]+`, which leaves out format characters and private ones.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            | '\u{f0000}'..='\u{10ffff}')
}

/// One `@`, something before it and a domain of several labels after it; nothing that separates addresses.
fn is_email(text: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
            && !text.contains(is_separator)
    })
}

/// DG:import-tool: `+` and digits only; E.164 has at most 15.
fn is_phone_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Digits, perhaps with a sign before and a fraction after. Other ways to write a number are not documented to be read.
fn decimal(text: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_decimal = digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(fraction);
    text.parse().ok().filter(|_| is_decimal)
}

/// As many characters as Java would count.
fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cognitoidentityprovider::types::builders::UserPoolTypeBuilder;
    use aws_sdk_cognitoidentityprovider::types::{
        NumberAttributeConstraintsType, StringAttributeConstraintsType, UsernameConfigurationType,
    };

    use super::*;

    const HEADER: [&str; 14] = [
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
    fn pool() -> UserPoolTypeBuilder {
        UserPoolType::builder()
            .auto_verified_attributes(VerifiedAttributeType::Email)
            .mfa_configuration(UserPoolMfaType::On)
            .set_schema_attributes(Some(schema()))
    }

    fn email_pool() -> UserPoolTypeBuilder {
        let insensitive = UsernameConfigurationType::builder().case_sensitive(false);
        pool()
            .username_attributes(UsernameAttributeType::Email)
            .username_configuration(insensitive.build().unwrap())
    }

    fn rules(pool: UserPoolTypeBuilder) -> Rules {
        Rules::of(&pool.build(), &HEADER.map(str::to_owned)).unwrap()
    }

    /// The row of a person about whom nothing is wrong, with other cells instead.
    fn row(cells: &[(&str, &str)]) -> String {
        let usual = [
            ("name", "山田\\, 太郎"),
            ("email", "taro@example.jp"),
            ("email_verified", "TRUE"),
            ("cognito:username", "taro@example.jp"),
        ];
        let cell = |column: &&str| {
            let all = cells.iter().chain(&usual);
            let found = all.into_iter().find(|(name, _)| name == column);
            found.map_or("", |(_, cell)| cell)
        };
        HEADER.iter().map(cell).collect::<Vec<_>>().join(",")
    }

    /// The problems of a line as `column reason`.
    fn problems(rules: &Rules, line: &str) -> Vec<String> {
        let header = rules.columns();
        let rules = rules.under(header);
        let problems = match rules.cells(Ok(line)) {
            Ok(cells) => rules.check(&cells),
            Err(problem) => vec![problem],
        };
        let text = |problem: Problem| {
            let column = problem.column.unwrap_or_default();
            format!("{column} {}", problem.reason.as_str())
                .trim()
                .to_owned()
        };
        problems.into_iter().map(text).collect()
    }

    fn problems_with(pool: UserPoolTypeBuilder, cells: &[(&str, &str)]) -> Vec<String> {
        problems(&rules(pool), &row(cells))
    }

    #[test]
    fn a_row_with_which_nothing_is_wrong_has_no_problem() {
        let full = [
            ("phone_number", "+819012345678"),
            ("phone_number_verified", "False"),
            ("birthdate", "02/29/2000"),
            ("updated_at", "1471453471"),
            ("preferred_username", "taro"),
            ("custom:level", "-0.5"),
            ("custom:code", "あい"),
            ("custom:is_member", "true"),
            ("password_hash", "$2b$12$x"),
            ("cognito:mfa_enabled", "true"),
        ];

        assert_eq!(problems_with(email_pool(), &[]), [""; 0]);
        assert_eq!(problems_with(email_pool(), &full), [""; 0]);
    }

    #[test]
    fn a_cell_that_cognito_would_refuse_is_named_with_the_reason() {
        let long = "x".repeat(LONGEST_VALUE + 1);
        for (column, cell, reason) in [
            ("name", "", "missing-required"),
            ("name", "C:\\taro", "backslash"),
            ("name", "\"taro\"", "quote"),
            ("name", "a\u{85}b", "control-character"),
            ("name", "taro\u{3000}", "outer-space"),
            ("email_verified", "yes", "bad-boolean"),
            ("phone_number", "090-1234-5678", "bad-phone-number"),
            ("phone_number", "819012345678", "bad-phone-number"),
            ("phone_number", "+1234567890123456", "bad-phone-number"),
            ("phone_number_verified", "true", "flag-without-address"),
            ("birthdate", "2000-02-29", "bad-date"),
            ("birthdate", "02/29/2001", "bad-date"),
            ("updated_at", "1471453471.5", "bad-date"),
            ("custom:level", "-1.5", "out-of-bounds"),
            ("custom:level", "10.1", "out-of-bounds"),
            ("custom:level", "1e1", "bad-number"),
            ("custom:level", "NaN", "bad-number"),
            ("custom:code", "x", "too-short"),
            ("custom:code", "🐈🐈x", "too-long"),
            ("custom:is_member", "1", "bad-boolean"),
            ("preferred_username", &long, "too-many-bytes"),
            ("password_hash", "\"", "quote"),
            ("cognito:mfa_enabled", "on", "bad-boolean"),
            ("cognito:mfa_enabled", "false", "mfa-mismatch"),
            ("cognito:username", "", "missing-username"),
            ("cognito:username", "jiro@example.jp", "username-differs"),
            ("cognito:username", "taro", "username-form"),
            ("cognito:username", "ta ro@example.jp", "username-unusable"),
            (
                "cognito:username",
                "ta\u{200b}ro@example.jp",
                "username-unusable",
            ),
        ] {
            let mut expected = vec![format!("{column} {reason}")];
            if column == "email_verified" {
                expected.push("no-verified-attribute".to_owned());
            }
            assert_eq!(problems_with(email_pool(), &[(column, cell)]), expected);
        }
    }

    #[test]
    fn every_reason_is_named_and_not_the_first_alone() {
        let cells = [
            ("name", ""),
            ("email", " taro"),
            ("birthdate", "1/2/03"),
            ("cognito:username", "a b"),
        ];

        let expected = [
            "name missing-required",
            "email outer-space",
            "email bad-email",
            "birthdate bad-date",
            "cognito:username username-unusable",
        ];
        assert_eq!(problems_with(email_pool(), &cells), expected);
    }

    #[test]
    fn addresses_are_whole() {
        for email in ["taro+tag@example.co.jp", "user8@例え7.jp"] {
            assert!(is_email(email), "{email}");
        }
        for other in [
            "taro",
            "taro@",
            "@e.jp",
            "taro@example",
            "a b@e.jp",
            "a@b@c.jp",
            "a@b..jp",
            "a,b@c.jp",
        ] {
            assert!(!is_email(other), "{other}");
        }
    }

    #[test]
    fn a_line_that_is_no_row_has_one_problem() {
        let rules = rules(email_pool());

        assert_eq!(problems(&rules, ""), ["cell-count"]);
        assert_eq!(problems(&rules, &(row(&[]) + ",")), ["cell-count"]);
        assert_eq!(problems(&rules, &row(&[("name", "a,b")])), ["cell-count"]);
        let fixed = row(&[("password_hash", "")]).chars().count();
        let of_length = |length: usize| row(&[("password_hash", &"あ".repeat(length - fixed))]);
        assert_eq!(problems(&rules, &of_length(LONGEST_ROW)), [""; 0]);
        assert_eq!(
            problems(&rules, &of_length(LONGEST_ROW + 1)),
            ["row-too-long"]
        );
    }

    #[test]
    fn one_attribute_that_the_pool_verifies_by_itself_must_be_verified() {
        let cells = [
            ("email_verified", "false"),
            ("phone_number", "+819012345678"),
            ("phone_number_verified", "true"),
        ];
        let both = || email_pool().auto_verified_attributes(VerifiedAttributeType::PhoneNumber);

        assert_eq!(
            problems_with(email_pool(), &cells),
            ["no-verified-attribute"]
        );
        assert_eq!(problems_with(both(), &cells), [""; 0]);
    }

    #[test]
    fn the_mfa_state_is_the_pools_or_blank() {
        let fits = |mfa, cell| {
            problems_with(
                email_pool().mfa_configuration(mfa),
                &[("cognito:mfa_enabled", cell)],
            )
            .is_empty()
        };

        for (mfa, fitting) in [
            (UserPoolMfaType::On, [true, false, true]),
            (UserPoolMfaType::Off, [false, true, true]),
            (UserPoolMfaType::Optional, [true, true, true]),
        ] {
            assert_eq!(
                ["TRUE", "false", ""].map(|cell| fits(mfa.clone(), cell)),
                fitting
            );
        }
    }

    #[test]
    fn the_username_is_what_the_pools_sign_in_asks_for() {
        use UsernameAttributeType::{Email, PhoneNumber};
        let phone = ("phone_number", "+819012345678");
        let named = |pool, username| {
            let problems = problems_with(pool, &[phone, ("cognito:username", username)]);
            problems.first().cloned()
        };
        let form = || Some("cognito:username username-form".to_owned());
        let alias = |alias| pool().alias_attributes(alias);

        assert_eq!(named(email_pool(), "TARO@example.jp"), None);
        assert_eq!(named(email_pool(), "+819012345678"), form());
        assert_eq!(
            named(pool().username_attributes(PhoneNumber), "+819012345678"),
            None
        );
        assert_eq!(
            named(pool().username_attributes(PhoneNumber), "taro@example.jp"),
            form()
        );
        let both = || {
            pool()
                .username_attributes(Email)
                .username_attributes(PhoneNumber)
        };
        assert_eq!(named(both(), "+819012345678"), None);
        assert_eq!(named(both(), "taro@example.jp"), None);
        assert_eq!(named(both(), "taro"), form());
        assert_eq!(named(pool(), "taro@example.jp"), None);
        assert_eq!(
            named(alias(AliasAttributeType::Email), "taro@example.jp"),
            form()
        );
        assert_eq!(
            named(alias(AliasAttributeType::Email), "+819012345678"),
            None
        );
        assert_eq!(
            named(alias(AliasAttributeType::PhoneNumber), "+819012345678"),
            form()
        );
        assert_eq!(named(alias(AliasAttributeType::PhoneNumber), "taro"), None);
    }

    #[test]
    fn people_are_told_apart_by_everything_they_sign_in_with() {
        let names = |pool, cells: &[(&str, &str)]| {
            let rules = rules(pool);
            let line = row(cells);
            let rows = rules.under(rules.columns());
            let cells = rows.cells(Ok(&line)).unwrap();
            let names = rows.names(&cells).map(|(_, name)| name.into_owned());
            names.collect::<Vec<_>>()
        };
        let cells = [
            ("email", "Taro@example.jp"),
            ("phone_number", "+819012345678"),
            ("preferred_username", "Taro"),
            ("cognito:username", "TARO@example.jp"),
        ];
        let aliases = pool()
            .alias_attributes(AliasAttributeType::Email)
            .alias_attributes(AliasAttributeType::PhoneNumber)
            .alias_attributes(AliasAttributeType::PreferredUsername);

        assert_eq!(names(email_pool(), &cells), ["taro@example.jp"]);
        assert_eq!(names(pool(), &cells), ["TARO@example.jp"]);
        assert_eq!(
            names(aliases, &cells),
            ["TARO@example.jp", "Taro@example.jp", "Taro"]
        );
    }

    #[test]
    fn a_header_is_the_pools_in_any_order() {
        let rules = rules(email_pool());
        let problems = |line: &str| {
            let (header, problems) = rules.header(Ok(line));
            let reasons = problems.iter().map(|problem| {
                let column = problem.column.as_deref().unwrap_or_default();
                format!("{column} {}", problem.reason.as_str())
            });
            (header.is_some(), reasons.collect::<Vec<_>>())
        };
        let mut columns = HEADER;
        columns.reverse();
        let good = columns.join(",");

        assert_eq!(problems(&good), (true, vec![]));
        let marked = format!("\u{feff}{good}");
        assert_eq!(problems(&marked), (true, vec![" byte-order-mark".into()]));
        let other = good.replace("birthdate", "birthday");
        let expected = vec![
            "birthdate missing-column".into(),
            "birthday unknown-column".into(),
        ];
        assert_eq!(problems(&other), (true, expected));
        let twice = format!("{good},name");
        assert_eq!(
            problems(&twice),
            (false, vec!["name repeated-column".into()])
        );
        let quoted = good.replace("birthdate", "\"birthdate\"");
        assert_eq!(problems(&quoted).1[0], " quote");
        assert_eq!(
            problems("taro@example.jp,true"),
            (false, vec![" no-header".into()])
        );
    }

    #[test]
    fn a_file_is_as_large_as_cognito_takes() {
        assert_eq!(check_size(MOST_ROWS, MOST_BYTES), []);
        let reasons = check_size(MOST_ROWS + 1, MOST_BYTES + 1);
        let reasons: Vec<_> = reasons.iter().map(|problem| problem.reason).collect();
        assert_eq!(reasons, [Reason::TooManyRows, Reason::FileTooLarge]);
    }
}
