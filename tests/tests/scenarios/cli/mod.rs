//! The command line `twinpool`, as an operator runs it.

mod attach;
mod bucket_owner;
mod check;
mod detach;
pub mod failover;
mod fence;
pub mod forget;
mod init;
mod mfa_reset;
pub mod reconcile;
mod restore;
mod snapshot;
mod status;
mod usage;
mod validate;
