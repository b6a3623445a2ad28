//! The people around the local regions: visitors of a sign-in page, an operator with the console, and profiles to fill pools
//! with.

pub mod operator;
pub mod people;
pub mod visitor;
