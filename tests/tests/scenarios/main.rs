//! Scenarios: the function binaries and the command line as real processes between the two local regions.
//!
//! All scenarios are one test binary, because linking is slow. tests/README.md says how one is written.

mod below;
mod chaos;
mod cli;
mod configuration;
mod outbox;
mod permissions;
mod primary_unreachable;
mod reconcile;
mod restore;
/// The scenarios of `restore` once more, in a pool that is so large that people are looked up in it instead of being listed.
#[allow(
    clippy::duplicate_mod,
    dead_code,
    reason = "the same scenarios must hold"
)]
#[path = "restore/mod.rs"]
mod restore_by_lookups;
mod runbook;
mod secrets;
mod snapshot;
mod sorted_runs;
mod support;
mod trigger_detached;
mod triggers;
