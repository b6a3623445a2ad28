//! The limits that Cognito sets for an import file.

/// Most users in an import file, the header excluded (DG:quotas).
pub const MAX_ROWS_PER_FILE: u64 = 500_000;

/// Most bytes in an import file. DG:quotas says 100 MB, which is read as 10^8 here, the smaller of the two meanings.
pub const MAX_BYTES_PER_FILE: u64 = 100_000_000;

/// Longest row (DG:import-tool: 16,000 characters). Counted here in UTF-16 units, escapes included, line end excluded.
pub(super) const MAX_ROW_UTF16_UNITS: usize = 16_000;

/// Longest username (botocore UsernameType).
pub(super) const MAX_USERNAME_CHARACTERS: usize = 128;

/// Longest attribute value (DG:quotas).
pub(super) const MAX_VALUE_BYTES: usize = 2048;

/// Most digits of a phone number (E.164).
pub(super) const MAX_PHONE_NUMBER_DIGITS: usize = 15;
