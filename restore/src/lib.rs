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
//! - [`names`]: sign-in names and identities as hashes
//! - [`who`]: what is compared of two users, to find out whether they are one person
//!
//! Over the network:
//! - [`source`], [`snapshot_users`]: the snapshot, read as a stream and verified against its checksums
//! - [`newcomers`]: which users of the snapshot signed up in its pool, and which sign-up record belongs to whom
//! - [`namesakes`]: the users of the snapshot whose names are one name in the target pool
//! - [`target_pool`]: everyone in the target pool, by name and by identity
//! - [`import_job`]: Cognito's import jobs and their log
//! - [`writes`]: creates the users whom no import file can carry, and remembers whom it began to create
//! - [`lease`]: the lease on restores, and what a later run needs to resume one
//! - [`files`]: what a restore writes to the bucket
//! - [`run`]: one run of a restore, phase by phase
//! - [`fill`]: the first fill of the secondary pool: a snapshot of the primary pool, and a restore into the secondary one
//!
//! [`error`]: why a restore failed.

pub mod decision;
pub mod error;
pub mod files;
pub mod fill;
pub mod import_job;
pub mod lease;
pub mod names;
pub mod namesakes;
pub mod newcomers;
pub mod reason;
pub mod request;
pub mod run;
pub mod snapshot_users;
pub mod source;
pub mod target_pool;
pub mod who;
pub mod writes;

pub use error::RestoreError;
