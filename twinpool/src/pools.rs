//! The options that name pools.

use shared::pool_id::PoolId;

use crate::context::Context;
use crate::failure::Failure;
use crate::settings::{PRIMARY, SECONDARY};

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

/// One pool: any by its id, or one of the two by what it is.
#[derive(Debug, clap::Args)]
#[group(id = "one-pool", multiple = false)]
pub struct OnePool {
    /// The pool, by its id.
    #[arg(long, value_name = "POOL_ID")]
    pool: Option<PoolId>,

    /// The primary pool, as TWINPOOL_PRIMARY or twinpool.toml names it.
    #[arg(long)]
    primary: bool,

    /// The secondary pool, as TWINPOOL_SECONDARY or twinpool.toml names it.
    #[arg(long)]
    secondary: bool,
}

/// One of the two pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The primary pool.
    Primary,
    /// The secondary pool.
    Secondary,
}

impl OnePool {
    /// Whether no option is given.
    pub fn is_none(&self) -> bool {
        self.pool.is_none() && !self.primary && !self.secondary
    }

    /// The pool that the options name. Without any, it is that of `default`.
    ///
    /// # Errors
    ///
    /// No pool is named, or nothing says which pool is the primary or the secondary one.
    pub fn choose(&self, default: Option<Side>, context: &Context) -> Result<PoolId, Failure> {
        if let Some(pool) = &self.pool {
            return Ok(pool.clone());
        }
        let side = match (self.primary, self.secondary, default) {
            (true, _, _) => Side::Primary,
            (_, true, _) => Side::Secondary,
            (_, _, Some(side)) => side,
            _ => {
                return Err(Failure::Usage(
                    "no pool is named; give --pool ID, --primary or --secondary".to_owned(),
                ));
            }
        };
        let (name, variable) = match side {
            Side::Primary => ("primary", PRIMARY),
            Side::Secondary => ("secondary", SECONDARY),
        };
        let Some(id) = context.settings.get(variable) else {
            return Err(Failure::Usage(format!(
                "nothing says which pool is the {name} one; give --pool ID, set {variable}, or let twinpool init write twinpool.toml"
            )));
        };
        id.parse()
            .map_err(|error| Failure::Usage(format!("{variable} is {id:?}: {error}")))
    }
}
