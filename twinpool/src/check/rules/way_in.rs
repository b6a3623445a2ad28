//! Whether everybody can get into the secondary pool in a failover.

use crate::check::finding::Findings;
use crate::recovery::{count_without_address, describe_without_address};
use shared::snapshot::manifest::Users;

/// Everybody should have a verified address. The latest snapshot has counted who does not; `None` if there is none to read.
pub fn way_in(snapshot: Option<&Users>, findings: &mut Findings) {
    let topic = "way in";
    let Some(users) = snapshot else {
        return findings.warn(
            topic,
            "not known who has no verified address, and so could not reset the password in a failover",
            "take a snapshot (twinpool snapshot), and give its bucket to this command (--bucket or TWINPOOL_BUCKET)",
        );
    };
    match count_without_address(&users.rejected) {
        0 => findings.good(topic, "everybody in the latest snapshot has a verified address"),
        count => findings.warn(
            topic,
            describe_without_address(count),
            "rejected.csv of the latest snapshot lists them (no-verified-attribute): verify their address in both pools",
        ),
    }
}
