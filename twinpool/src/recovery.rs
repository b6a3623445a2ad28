//! Who cannot get into the secondary pool in a failover: everybody resets their password there, and the code is sent to a verified
//! address only. An administrator, or a function before the sign-up, can confirm a person without verifying any address.

use std::collections::BTreeMap;

use shared::import_csv::Rejection;

/// The reason with which a snapshot rejects users who have no verified address.
pub const NO_VERIFIED_ATTRIBUTE: &str = Rejection::NoVerifiedAttribute.as_str();

/// How many users have no verified address, of the users whom a snapshot has rejected by reason.
pub fn count_without_address(rejected: &BTreeMap<String, u64>) -> u64 {
    let count = rejected.get(NO_VERIFIED_ATTRIBUTE);
    count.copied().unwrap_or_default()
}

/// What that means, for people to read.
pub fn describe_without_address(count: u64) -> String {
    let have = if count == 1 { "user has" } else { "users have" };
    format!(
        "{count} {have} no verified address to which a code could be sent, and cannot reset the password in a failover"
    )
}
