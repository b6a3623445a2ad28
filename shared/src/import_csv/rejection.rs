//! Why a person or a value is not written into an import file.

/// Why a person has no row in the import files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// The person has not proved an address yet.
    Unconfirmed,
    /// The person comes from another identity provider.
    ExternalProvider,
    /// The person is disabled, and an import would enable them again.
    Disabled,
    /// The person has not taken up an invitation: their password is the temporary one that an administrator sent.
    NotActivated,
    /// Threat protection has disabled the person.
    Compromised,
    /// Cognito has archived the person.
    Archived,
    /// The person has a status that this version does not know.
    UnknownStatus,
    /// None of the pool's auto-verified attributes is verified.
    NoVerifiedAttribute,
    /// This attribute is required by the pool, and is absent or cannot be written.
    MissingRequired(String),
    /// The username is absent or cannot be written.
    UsernameUnusable,
    /// The row would be longer than Cognito accepts.
    RowTooLong,
}

impl Rejection {
    /// The reason's name in files.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unconfirmed => "unconfirmed",
            Self::ExternalProvider => "external-provider",
            Self::Disabled => "disabled",
            Self::NotActivated => "not-activated",
            Self::Compromised => "compromised",
            Self::Archived => "archived",
            Self::UnknownStatus => "unknown-status",
            Self::NoVerifiedAttribute => "no-verified-attribute",
            Self::MissingRequired(_) => "missing-required",
            Self::UsernameUnusable => "username-unusable",
            Self::RowTooLong => "row-too-long",
        }
    }

    /// The attribute that is the reason, if it is a single one.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::MissingRequired(attribute) => Some(attribute),
            _ => None,
        }
    }
}

/// Why a value is left out of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unwritable {
    /// A control character or a line break. A tab is neither.
    ControlCharacter,
    /// A backslash, which is Cognito's escape character.
    Backslash,
    /// A double quote.
    Quote,
    /// White space at the beginning or the end, which Cognito would trim.
    OuterSpace,
    /// Not a valid date or time.
    BadDate,
    /// The header has no column for the attribute.
    NoColumn,
}

impl Unwritable {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::ControlCharacter,
        Self::Backslash,
        Self::Quote,
        Self::OuterSpace,
        Self::BadDate,
        Self::NoColumn,
    ];

    /// The reason's name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlCharacter => "control-character",
            Self::Backslash => "backslash",
            Self::Quote => "quote",
            Self::OuterSpace => "outer-space",
            Self::BadDate => "bad-date",
            Self::NoColumn => "no-column",
        }
    }
}
