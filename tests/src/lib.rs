//! The people around the local regions: visitors of a sign-in page, an operator with the console, and profiles to fill pools with;
//! and random histories of both regions.

pub mod chaos;
pub mod operator;
pub mod people;
pub mod visitor;
