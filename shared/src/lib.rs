//! The vocabulary of twinpool as code: what its functions share, one module a thing.
//!
//! # Layout
//!
//! Pure, tested as plain functions:
//! - [`config`]: environment variables, and errors that name them
//! - [`event`]: a Cognito trigger event, read leniently
//! - [`person`]: people and their attributes
//! - [`password`]: random passwords that every policy accepts and nobody sees
//! - [`import_csv`]: who can be written into Cognito's import CSV, and how; reading one, and what Cognito would refuse in it
//!
//! Over the network, with the SDK's own clients:
//! - [`aws`]: the clients, and what an error of theirs means
//! - [`pool`]: a user pool, described and listed under a rate limit
//! - [`bucket`]: S3 objects, conditional writes, streamed uploads
//! - [`record`]: a confirmation kept in S3: outbox, conflicts and journal
//! - [`journal`]: the sign-ups that the secondary pool's trigger saw
//! - [`lease`]: one snapshot at a time
//! - [`snapshot`]: the layout of a snapshot, and taking one
//! - [`restore`]: bringing people back from one
//!
//! What goes to CloudWatch: [`log`] and [`metrics`]. Around a function's work: [`function`] and [`invocation`].

pub mod aws;
pub mod bucket;
pub mod config;
pub mod event;
pub mod function;
pub mod import_csv;
pub mod invocation;
pub mod journal;
pub mod lease;
pub mod log;
pub mod metrics;
pub mod password;
pub mod person;
pub mod pool;
pub mod record;
#[cfg(feature = "restore")]
pub mod restore;
pub mod snapshot;
