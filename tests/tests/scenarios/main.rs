//! Scenarios: the function binaries as real processes between the two local regions.

mod command_line;
mod command_line_attach;
mod command_line_check;
mod command_line_fence;
mod command_line_mfa_reset;
mod command_line_status;
mod configuration;
mod import_csv;
mod outbox;
mod permissions;
mod restore;
mod resume;
mod runbook;
mod secrets;
mod snapshot_command;
mod snapshots;
mod support;
mod triggers;
mod validate;
