//! One person's user in the secondary pool: who is created, by which calls, and what becomes of another person's replica that holds
//! the name. For the trigger, the outbox worker and reconcile.
//!
//! - [`replica`] decides which user is created
//! - [`secondary`] creates it, or finds that the person is there
//! - [`pool_rules`] says what the pool's description allows after a refusal
//! - [`holder`] decides whether the name of another person's replica can be freed, and frees it

pub mod holder;
pub mod pool_rules;
pub mod replica;
pub mod secondary;
