//! The keys of a snapshot in its bucket.

use crate::id::Id;

/// The key of the pointer to the latest snapshot of the whole pool.
pub const LATEST_KEY: &str = "latest.json";

/// The key of the pointer to the latest snapshot of either scope: each of them contains the newcomers.
pub const LATEST_NEWCOMERS_KEY: &str = "latest-newcomers.json";

/// The key of the lease for taking a snapshot of the whole pool.
pub const LEASE_KEY: &str = "lease.json";

/// The key of the lease for taking a snapshot of the newcomers.
pub const LEASE_NEWCOMERS_KEY: &str = "lease-newcomers.json";

/// The prefix of the parts of unfinished snapshots. A complete snapshot does not refer to them, so the bucket's lifecycle removes
/// them after some days.
pub const PARTS_PREFIX: &str = "parts/";

/// The prefix below which a fill keeps a snapshot of the primary pool and its restore into the secondary pool.
pub const FILLS_PREFIX: &str = "fills/";

/// The key of the lease of restores.
pub const RESTORE_LEASE_KEY: &str = "restores/open.json";

/// The folder of a snapshot, with its slash.
pub fn folder(snapshot: &Id) -> String {
    format!("snapshots/{snapshot}/")
}

/// The key of a snapshot's manifest.
pub fn manifest_key(snapshot: &Id) -> String {
    format!("snapshots/{snapshot}/manifest.json")
}

/// The key of an unfinished snapshot's progress.
pub fn progress_key(snapshot: &Id) -> String {
    format!("snapshots/{snapshot}/progress.json")
}
