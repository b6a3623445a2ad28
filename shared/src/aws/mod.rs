//! What all AWS services have in common: the SDK's clients, how often a call is retried, how fast calls are sent, and what an
//! error means.

pub mod client;
pub mod error;
pub mod rate_limiter;
pub mod retry;

pub use client::Sdk;
pub use error::{AwsError, Failure};
pub use rate_limiter::RateLimiter;
pub use retry::RetryPolicy;
