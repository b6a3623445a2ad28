//! One JSON line an event on standard output.
//!
//! Only twinpool's own events are written, at any level: the SDK's and the HTTP client's may hold a person or a password.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::environment::Environment;

/// Starts logging for the process, at the level that Lambda's logging configuration gives in `AWS_LAMBDA_LOG_LEVEL`, else INFO.
/// The targets are the crates of twinpool that may log beside this one.
pub fn start(environment: &Environment, targets: &[&'static str]) {
    let level = environment
        .optional("AWS_LAMBDA_LOG_LEVEL")
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::INFO);
    let ours = targets
        .iter()
        .copied()
        .chain([env!("CARGO_PKG_NAME")])
        .map(|target| (target, level));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stdout)
        .with_filter(Targets::new().with_targets(ours));
    tracing_subscriber::registry().with(lines).init();
    // The default hook prints the panic's message, which may quote anything.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}
