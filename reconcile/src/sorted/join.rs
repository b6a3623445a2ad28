//! The streams of both pools, and of the people withheld, key by key.

use futures_util::future::try_join3;
use shared::aws::error::AwsError;

use super::merged::{Group, Merged};
use super::{Key, Record};

/// An outer join: every key that one of the streams has, in ascending order.
pub struct Join<P, S, W> {
    primary: Merged<P>,
    secondary: Merged<S>,
    withheld: Merged<W>,
}

/// What the streams have for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined<'a, P, S, W> {
    /// The key.
    pub key: Key,
    /// The records of the primary pool.
    pub primary: Group<'a, P>,
    /// The records of the secondary pool.
    pub secondary: Group<'a, S>,
    /// The records of the people withheld.
    pub withheld: Group<'a, W>,
}

impl<P: Record, S: Record, W: Record> Join<P, S, W> {
    /// Joins the same shard of three streams.
    pub fn new(primary: Merged<P>, secondary: Merged<S>, withheld: Merged<W>) -> Self {
        Self {
            primary,
            secondary,
            withheld,
        }
    }

    /// What the streams have for the next key; none after the last one. After an error, it may be called again.
    ///
    /// # Errors
    ///
    /// A run cannot be read, is gone or is too short.
    pub async fn next(&mut self) -> Result<Option<Joined<'_, P, S, W>>, AwsError> {
        let Self {
            primary,
            secondary,
            withheld,
        } = self;
        let (p, s, w) = try_join3(primary.peek(), secondary.peek(), withheld.peek()).await?;
        let key = [p, s, w].into_iter().flatten().min();
        Ok(key.map(|key| Joined {
            key,
            primary: primary.take(&key),
            secondary: secondary.take(&key),
            withheld: withheld.take(&key),
        }))
    }
}
