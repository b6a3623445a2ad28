//! The options that name the two pools.

use shared::pool_id::PoolId;

/// The two pools.
#[derive(Debug, clap::Args)]
pub struct Pools {
    /// The primary pool: where users sign up on a normal day.
    #[arg(long, env = "TWINPOOL_PRIMARY", value_name = "POOL_ID")]
    pub primary: PoolId,

    /// The secondary pool: its replica in the other region.
    #[arg(long, env = "TWINPOOL_SECONDARY", value_name = "POOL_ID")]
    pub secondary: PoolId,
}
