//! Restoring users from a snapshot into a user pool (the target pool), with Cognito's import jobs.
//!
//! A restore lists the target pool, decides for every user of the snapshot whether to restore them, imports those users, and lists
//! the pool again. No step depends on what an earlier run remembers, so a restore may be stopped at any point and run again.
//!
//! # Layout
//!
//! Pure, tested as plain functions:
//! - [`request`]: the request and the response
//! - [`decision`]: whether a user of the snapshot is restored
//! - [`reason`]: why a user is not restored, and what to do about it
//! - [`names`]: sign-in names, hashed as the pool compares them
//!
//! Over the network:
//! - [`source`], [`snapshot_users`]: the snapshot, read as a stream and verified against its checksums
//! - [`newcomers`]: which users of the snapshot signed up in its pool, and which sign-up record belongs to whom
//! - [`target_pool`]: everyone in the target pool, by hashed name
//! - [`import_job`]: Cognito's import jobs and their log
//! - [`writes`]: creates the users whom no import file can carry
//! - [`lease`]: the lease on restores, and what a later run needs to resume one
//! - [`files`]: what a restore writes to the bucket
//! - [`run`]: one run of a restore, phase by phase
//!
//! [`error`]: why a restore failed.

pub mod decision;
pub mod error;
pub mod files;
pub mod import_job;
pub mod lease;
pub mod names;
pub mod newcomers;
pub mod reason;
pub mod request;
pub mod run;
pub mod snapshot_users;
pub mod source;
pub mod target_pool;
pub mod writes;

pub use error::RestoreError;
