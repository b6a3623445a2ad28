//! How a command is told which pools it is about.

use shared::pool::PoolId;

/// Both pools.
#[derive(Debug, clap::Args)]
pub struct Pools {
    /// The pool where people sign up on a normal day.
    #[arg(long, env = "TWINPOOL_PRIMARY", value_name = "POOL_ID")]
    pub primary: PoolId,

    /// Its twin in the other region.
    #[arg(long, env = "TWINPOOL_SECONDARY", value_name = "POOL_ID")]
    pub secondary: PoolId,
}
