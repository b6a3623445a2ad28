//! The vocabulary of twinpool as code: what its functions and its command line share, one module for one thing.
//!
//! # Layout
//!
//! A module uses modules above it in this list, and none below it.
//!
//! Words, without a network, tested as plain functions:
//! - [`id`], [`pool_id`], [`time`], [`password`], [`environment`]
//! - [`person`]: users of a pool and their attributes
//! - [`identity`]: who is whom in two pools
//! - [`event`], [`confirmation`]: a Cognito trigger event, read leniently, and what is kept of it
//! - [`import_csv`]: Cognito's import files: which users can be written and how, how a file is read, what Cognito would reject
//!
//! Services, with the SDK's own clients:
//! - [`aws`]: clients, retry policy, rate limiter, errors
//! - [`cognito`]: a user pool: described, listed, and its users looked up and written
//! - [`s3`]: objects, conditional JSON, streams, leases
//! - [`lambda`]: a function's entry point, deadlines, logs and metrics
//!
//! Stores, which say what lies in a bucket:
//! - [`outbox`], [`journal`], and [`confirmation_store`], which writes to both
//! - [`withheld`]: replicas whose people are gone from the primary pool
//! - [`forgotten`]: people who were erased, and whom nobody may bring back
//!
//! Engines:
//! - [`snapshot`]: a full export of a pool
//!
//! # Sources
//!
//! Comments cite where a rule of Cognito comes from:
//! - `facts 1.8`: section 1.8 of `docs/cognito-facts.md`, which holds the sources and how sure each fact is
//! - `DG:quotas`: the page `quotas.html` of the Amazon Cognito Developer Guide
//! - `botocore ListUsers`: the description of this operation or type in the AWS SDKs' service model
//! - `amplify-js#1340`: an issue of this public repository

pub mod aws;
pub mod cognito;
pub mod confirmation;
pub mod confirmation_store;
pub mod environment;
pub mod event;
pub mod forgotten;
pub mod id;
pub mod identity;
pub mod import_csv;
pub mod journal;
pub mod lambda;
pub mod outbox;
pub mod password;
pub mod person;
pub mod pool_id;
pub mod s3;
pub mod snapshot;
pub mod time;
pub mod withheld;
