//! The command line `twinpool`, as an operator runs it.

mod attach;
mod check;
mod detach;
mod failover;
mod fence;
mod forget;
mod init;
mod mfa_reset;
mod reconcile;
mod restore;
mod snapshot;
mod status;
mod usage;
mod validate;
