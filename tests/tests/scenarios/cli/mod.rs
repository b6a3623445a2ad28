//! The command line `twinpool`, as an operator runs it.

mod attach;
mod check;
mod fence;
mod forget;
mod mfa_reset;
mod reconcile;
mod restore;
mod snapshot;
mod status;
mod usage;
mod validate;
