//! Scenarios: the function binaries and the command line as real processes between the two local regions.
//!
//! All scenarios are one test binary, because linking is slow. tests/README.md says how one is written.

mod below;
mod chaos;
mod cli;
mod configuration;
mod outbox;
mod permissions;
mod reconcile;
mod restore;
mod runbook;
mod secrets;
mod snapshot;
mod sorted_runs;
mod support;
mod trigger_detached;
mod triggers;
