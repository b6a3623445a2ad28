//! A Cognito user pool: its description, its trigger, its public keys, its app clients, its users as a listing, and the one place that looks up and
//! writes a single user.

pub mod clients;
pub mod groups;
pub mod listing;
pub mod pool;
pub mod public_keys;
pub mod trigger;
pub mod users;
