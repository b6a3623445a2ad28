//! A snapshot: one full export of a pool in S3, and the pointer to the latest.
//!
//! `snapshots/<id>/` contains import files, what was left out and why, and a manifest that is written last: without it, the folder
//! is not a snapshot. `latest.json` points to a complete snapshot of the whole pool, `latest-newcomers.json` to the latest one of either
//! [`scope`]. Both only move forward.
//!
//! What lies in the bucket: [`layout`] (keys), [`manifest`], [`latest`], [`lease`], [`progress`] (how far an unfinished snapshot has
//! come).
//!
//! From a reason to work to the latest snapshot:
//! - [`worker`]: one worker at a time, under the lease; decides whether a snapshot is taken, resumed or only published
//! - [`unfinished`]: the users listed so far, stored as parts, so that the next worker can resume
//! - [`sign_ups`]: who is a newcomer, according to the journal
//! - [`purpose`]: who is left out because of what the snapshot is for
//! - [`details`]: what a listing does not say of a user
//! - [`export`]: lists the pool and writes each user as a row, a rejection or a leftover
//! - [`closing`]: writes the users of a snapshot that was resumed, in as many invocations as it takes; [`written`] is how far it has come
//! - [`newcomers`]: looks up who signed up, without a listing
//! - [`files`]: the files of a snapshot

pub mod closing;
pub mod details;
pub mod error;
pub mod export;
pub mod files;
pub mod latest;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod newcomers;
pub mod progress;
pub mod purpose;
pub mod scope;
pub mod sign_ups;
pub mod unfinished;
pub mod worker;
pub mod written;
