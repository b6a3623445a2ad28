//! S3: objects, JSON objects that several processes write, streams in and out, and leases.
//!
//! - [`bucket`]: objects that are read, written under a condition, deleted and listed
//! - [`json`]: JSON objects, and the one conditional write that survives a lost response
//! - [`lease`]: one holder at a time, in a JSON object
//! - [`download`], [`upload`]: an object as a stream, in flat memory
//! - [`rolling_upload`]: numbered files that close before a limit

pub mod bucket;
pub mod download;
pub mod json;
pub mod lease;
pub mod rolling_upload;
pub mod upload;
