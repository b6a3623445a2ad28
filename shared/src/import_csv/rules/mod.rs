//! What a pool requires of an import file: every reason for which Cognito would refuse the file or a row of it, or would
//! change a value.
//!
//! Input that Cognito is not documented to accept counts as refused.

mod file;
#[cfg(test)]
mod fixtures;
mod pool;
mod problem;
mod row;
mod schema;
mod sign_in;
mod value;

pub use file::check_size;
pub use pool::Rules;
pub use problem::{Counted, Problem, Reason};
pub use row::RowRules;
pub use sign_in::SignInName;
