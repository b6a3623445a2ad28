//! Reconcile: a one-way mirror of the primary pool. It makes the secondary pool whole, and keeps it so.
//!
//! A trigger sees only new confirmations. Reconcile brings the people who were there before twinpool, and whatever changes without a
//! trigger: attributes, disabled and deleted people, people whom an administrator made, groups.
//!
//! A run lists both pools, joins the listings, and gets a plan: at whom to look. A listing only says at whom to look. Every write is
//! decided on a fresh look at both users and at the journal.
//!
//! - [`request`]: what a run is asked for, and what it answers; [`report`]: what it leaves in the bucket
//! - [`run`](mod@run): a run from the lease to the report, over several invocations ([`progress`])
//! - [`settings`]: settings of the pools with which nothing may be written
//! - listing: [`list_pools`] keeps [`listed`] users, as [`comparison`] compares them, in [`sorted`] runs
//! - comparing: [`compare`] joins the runs, [`plan`] says what they suggest, [`json_lines`] reads that again
//! - writing: [`write`](mod@write) looks at everybody in the plan, [`mirror`] at one person, [`decision`] says what is done with their
//!   attributes; [`guard`] holds mass changes, [`refused`] remembers which values the secondary pool has refused;
//!   [`outcome`] and [`changes`] keep what was done
//! - [`groups`]: groups and their members
//! - [`prefer`]: carries out what an operator decides on people whom a run has reported

pub mod changes;
pub mod compare;
pub mod comparison;
pub mod decision;
pub mod error;
pub mod groups;
pub mod guard;
pub mod json_lines;
pub mod list_pools;
pub mod listed;
pub mod mirror;
pub mod outcome;
pub mod plan;
pub mod prefer;
pub mod progress;
pub mod refused;
pub mod report;
pub mod request;
pub mod run;
pub mod settings;
pub mod sorted;
pub mod write;

pub use run::run;
