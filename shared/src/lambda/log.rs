//! Logging: one JSON line on standard output for each event.
//!
//! Only twinpool's own events are written, at every level: those of the SDK and of the HTTP client may contain personal data
//! or a password.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::environment::Environment;

/// Starts logging for the process. The level is that of Lambda's logging configuration in `AWS_LAMBDA_LOG_LEVEL`, or INFO.
/// `targets` are the crates of twinpool whose events are written, in addition to this crate.
pub fn start(environment: &Environment, targets: &[&'static str]) {
    let level = environment
        .optional("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::INFO);
    let targets = targets
        .iter()
        .copied()
        .chain([env!("CARGO_PKG_NAME")])
        .map(|target| (target, level));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stdout)
        .with_filter(Targets::new().with_targets(targets));
    tracing_subscriber::registry().with(lines).init();
    // The default hook prints the panic's message, which may contain personal data or a password.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}
