//! What a snapshot covers: the whole pool, or only the people who signed up in it.

use serde::{Deserialize, Serialize};

use crate::snapshot::layout::{LATEST_KEY, LATEST_NEWCOMERS_KEY, LEASE_KEY, LEASE_NEWCOMERS_KEY};

/// What a snapshot covers. Each scope has a lease of its own, so that neither waits for the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everyone in the pool, from its listing.
    #[default]
    Pool,
    /// Whoever has a sign-up record in the journal, looked up one by one. The pool is not listed.
    Newcomers,
}

impl Scope {
    /// Its name, as requests and manifests have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Newcomers => "newcomers",
        }
    }

    /// The key of the lease for taking a snapshot of this scope.
    pub const fn lease_key(self) -> &'static str {
        match self {
            Self::Pool => LEASE_KEY,
            Self::Newcomers => LEASE_NEWCOMERS_KEY,
        }
    }

    /// The key of the pointer to the latest snapshot that has at least this scope.
    pub const fn latest_key(self) -> &'static str {
        match self {
            Self::Pool => LATEST_KEY,
            Self::Newcomers => LATEST_NEWCOMERS_KEY,
        }
    }
}
