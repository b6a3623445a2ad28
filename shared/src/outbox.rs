//! The outbox: confirmations that could not be replicated yet, one S3 object each, in the primary region.

use serde::{Deserialize, Serialize};

use crate::confirmation::Confirmation;

/// Prefix of confirmations that wait to be replicated.
pub const PENDING_PREFIX: &str = "outbox/";

/// Prefix of confirmations that can never be replicated as they are, each with its reason.
pub const CONFLICTS_PREFIX: &str = "conflicts/";

/// After so many ticks that refused a record it is a conflict, whatever the refusals were: nothing fails for ever.
pub const MAX_REFUSALS: u32 = 60;

/// An object of the outbox: a confirmation, and how many ticks have refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRecord {
    /// The confirmation, as the trigger recorded it.
    #[serde(flatten)]
    pub confirmation: Confirmation,
    /// How many ticks have refused it so far. The trigger does not write this member, and a repeated event does not reset it,
    /// because an existing object stays as it is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
}

fn is_zero(refusals: &u32) -> bool {
    *refusals == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_the_members_of_the_confirmation_beside_its_count() {
        let written = serde_json::json!({
            "version": 1, "trigger": "PostConfirmation_ConfirmSignUp", "pool": "ap-northeast-1_Example01",
            "username": "u-1", "sub": "s-1", "recorded_at": "1970-01-01T00:00:00Z", "attributes": {"sub": "s-1"},
        });

        let mut record: PendingRecord = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), written);
        record.refusals += 1;

        let mut counted = written;
        counted["refusals"] = 1.into();
        assert_eq!(serde_json::to_value(&record).unwrap(), counted);
    }
}
