//! Scenarios: the function binaries as real processes between the two local regions.

mod configuration;
mod import_csv;
mod outbox;
mod permissions;
mod secrets;
mod snapshots;
mod support;
mod triggers;
