//! Two AWS regions on one machine, for the tests and the drill.

mod binary;
pub mod cognito;
pub mod faults;
pub mod lambda;
mod logs;
pub mod operator;
pub mod people;
pub mod region;
pub mod s3;
pub mod schedule;
pub mod signature;
pub mod totp;
pub mod visitor;
pub mod waf;
pub mod world;

pub use binary::{binary, example};
