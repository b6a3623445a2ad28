//! Cognito's import CSV: writing it, reading it, and finding what Cognito would refuse in it. Everything here is a pure
//! function: nothing talks to a network or to a file system.
//!
//! The format is not ordinary CSV: values are not quoted, a comma inside a value is written `\,`, and a row ends with a
//! line feed (DG:cognito-user-pools-using-import-tool, below DG:import-tool). What Cognito does with a backslash, a quote
//! or a control character in a value is not documented, and it trims white space at the ends of a value. Such a value is
//! therefore never written: it is left out and reported, and the person is written without it where that is possible.
//!
//! - [`writer`]: a pool's people as rows, and the reason for whoever has no row
//! - [`rejection`]: the reasons why a person or a value is not written
//! - [`reader`]: lines, header and cells of a file, and the attributes of a row
//! - [`rules`]: what a pool requires of a file, a header, a row and a value
//! - [`duplicates`]: sign-in names that two rows share, across all files
//! - [`saved`]: a pool and its header as the aws CLI prints them
//!
//! The private modules hold what several of these share: Cognito's limits, the columns of a file, and the syntax of its
//! cells.

mod column;
pub mod duplicates;
mod limits;
pub mod reader;
pub mod rejection;
pub mod rules;
pub mod saved;
mod syntax;
pub mod writer;

#[cfg(test)]
mod round_trip_tests;

pub use limits::{MAX_BYTES_PER_FILE, MAX_ROWS_PER_FILE};
pub use rejection::{Rejection, Unwritable};
pub use writer::{Format, FormatError, Row};
