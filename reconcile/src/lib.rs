//! Reconcile: a one-way mirror of the primary pool. It makes the secondary pool whole, and keeps it so.
//!
//! A trigger sees only new confirmations. Reconcile brings the people who were there before twinpool, and whatever changes without a
//! trigger: attributes, disabled and deleted people, people whom an administrator made, groups.
//!
//! - [`request`]: what a run is asked for, and what it answers
//! - [`settings`]: settings of the pools with which nothing may be written
//! - [`prefer`]: carries out what an operator decides on people whom a run has reported
//! - [`report`]: `reconciles/<id>/report.json` and the pointer to the latest one
//! - [`sorted`]: what was listed of millions of people, sorted and joined in flat memory

pub mod comparison;
pub mod decision;
pub mod error;
pub mod guard;
pub mod prefer;
pub mod report;
pub mod request;
pub mod settings;
pub mod sorted;

/// Runs reconcile: begins a run, or goes on with one that was cut off.
///
/// # Errors
///
/// Nothing may be written, or a service did not answer.
pub async fn run(
    config: &request::ReconcileConfig,
    request: &request::Request,
    context: &request::RunContext<'_>,
) -> Result<request::Answer, error::ReconcileError> {
    let _ = (config, request, context);
    Err(error::ReconcileError::Refused("not built yet".into()))
}
