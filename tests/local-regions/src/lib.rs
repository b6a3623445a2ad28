//! Two AWS regions on one machine, for the tests and the drill.
//!
//! This crate does not depend on `shared`: its rules are written from AWS's documentation alone, so that a misunderstanding in
//! the code under test cannot be repeated here.

mod binary;
pub mod cognito;
pub mod faults;
pub mod lambda;
mod logs;
pub mod region;
pub mod s3;
pub mod schedule;
pub mod signature;
pub mod stacks;
pub mod totp;
pub mod waf;
pub mod world;

pub use binary::{binary, example};
