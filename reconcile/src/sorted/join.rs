//! The streams of both pools, and of what the bucket knows of people, key by key.

use futures_util::future::try_join3;
use shared::aws::error::AwsError;

use super::merged::{Group, Merged};
use super::{Key, Record};

/// An outer join: every key that one of the streams has, in ascending order.
pub struct Join<P, S, M> {
    primary: Merged<P>,
    secondary: Merged<S>,
    marks: Merged<M>,
}

/// What the streams have for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined<'a, P, S, M> {
    /// The key.
    pub key: Key,
    /// The records of the primary pool.
    pub primary: Group<'a, P>,
    /// The records of the secondary pool.
    pub secondary: Group<'a, S>,
    /// What the bucket knows of people.
    pub marks: Group<'a, M>,
}

impl<P: Record, S: Record, M: Record> Join<P, S, M> {
    /// Joins the same shard of three streams.
    pub fn new(primary: Merged<P>, secondary: Merged<S>, marks: Merged<M>) -> Self {
        Self {
            primary,
            secondary,
            marks,
        }
    }

    /// What the streams have for the next key; none after the last one. After an error, it may be called again.
    ///
    /// # Errors
    ///
    /// A run cannot be read, is gone or is too short.
    pub async fn next(&mut self) -> Result<Option<Joined<'_, P, S, M>>, AwsError> {
        let Self {
            primary,
            secondary,
            marks,
        } = self;
        let (p, s, m) = try_join3(primary.peek(), secondary.peek(), marks.peek()).await?;
        let key = [p, s, m].into_iter().flatten().min();
        Ok(key.map(|key| Joined {
            key,
            primary: primary.take(&key),
            secondary: secondary.take(&key),
            marks: marks.take(&key),
        }))
    }
}
