//! The outbox: confirmations that could not be replicated yet, one S3 object each, in the primary region.

/// Prefix of confirmations that wait to be replicated.
pub const PENDING_PREFIX: &str = "outbox/";

/// Prefix of confirmations that can never be replicated as they are, each with its reason.
pub const CONFLICTS_PREFIX: &str = "conflicts/";
