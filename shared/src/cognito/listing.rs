//! All users of a pool, listed in sixteen chains of pages.
//!
//! A single chain of pages is limited by the latency of its pages. So the pool is listed by the first digit of `sub`
//! (`sub ^= "0"` to `"f"`), and several chains run concurrently under one rate limit.

use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::cognito::pool::{Pool, PoolError};
use crate::person::Person;

/// How many chains list a pool: one for each hexadecimal digit.
pub const CHAIN_COUNT: usize = 16;

/// The largest page (botocore ListUsers: 0 to 60).
const USERS_PER_PAGE: i32 = 60;

/// The users whose `sub` begins with one hexadecimal digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(u8);

impl Chain {
    /// Every chain of a pool.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..CHAIN_COUNT as u8).map(Self)
    }

    /// Its number, from 0 to 15.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The first digit of its users' `sub`.
    pub fn first_digit(self) -> char {
        char::from(b"0123456789abcdef"[self.index()])
    }
}

/// How far a chain has been listed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Nothing is listed yet.
    #[default]
    Start,
    /// Up to the page that returned this token, which is valid for an hour (DG:how-to-manage-user-accounts).
    Token(String),
    /// Completely.
    End,
}

impl fmt::Debug for Position {
    /// Without the token, because nobody documents what it contains.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "Start",
            Self::Token(_) => "Token",
            Self::End => "End",
        })
    }
}

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    /// Its users. There may be fewer than the page can hold, or none, before the end
    /// (botocore ListUsers: may return fewer than Limit without being at the end).
    pub people: Vec<Person>,
    /// Where the chain continues; only a missing token means the end.
    pub next: Position,
}

/// How the listing of a chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// At the end of the chain.
    Completely,
    /// The receiver stopped it.
    Partly,
    /// At once, because the token from which it was to resume is no longer accepted.
    TokenExpired,
}

/// The number of chains to list concurrently to reach the pool's rate when a page takes 0.4 s, rounded up to a power of two so
/// that the sixteen chains end in complete rounds. Not more, so that some chains are complete when the deadline passes.
pub fn concurrent_chains(pool: &Pool) -> usize {
    pool.calls_per_second().map_or(CHAIN_COUNT, |rate| {
        (rate as usize * 2 / 5).next_power_of_two()
    })
}

/// Lists a chain from a position, and passes each page to `receive` until that breaks.
///
/// # Errors
///
/// A call failed, or the deadline passed.
pub async fn list_chain(
    pool: &Pool,
    chain: Chain,
    from: Position,
    mut receive: impl AsyncFnMut(Page) -> ControlFlow<()>,
) -> Result<Listed, PoolError> {
    // The token of another worker may have expired; this worker's own tokens are used at once.
    let mut may_have_expired = matches!(from, Position::Token(_));
    let mut position = from;
    while position != Position::End {
        let page = match list_page(pool, chain, &position).await {
            // Nobody documents the error for an expired token. Any other reason shows again when the chain is restarted.
            Err(PoolError::Aws(error)) if may_have_expired && error.is_call_rejected() => {
                return Ok(Listed::TokenExpired);
            }
            page => page?,
        };
        may_have_expired = false;
        position = page.next.clone();
        if receive(page).await.is_break() {
            return Ok(Listed::Partly);
        }
    }
    Ok(Listed::Completely)
}

async fn list_page(pool: &Pool, chain: Chain, from: &Position) -> Result<Page, PoolError> {
    let token = match from {
        Position::Token(token) => Some(token.as_str()),
        Position::Start | Position::End => None,
    };
    let response = pool
        .call_with_retry("ListUsers", || {
            pool.client()
                .list_users()
                .user_pool_id(pool.id().as_str())
                .filter(format!("sub ^= \"{}\"", chain.first_digit()))
                .limit(USERS_PER_PAGE)
                .set_pagination_token(token.map(str::to_owned))
                .send()
        })
        .await?;
    let incomplete = |missing| AwsError::incomplete_response("ListUsers", pool.id(), missing);
    let users = response.users.ok_or_else(|| incomplete("users"))?;
    if response.pagination_token.is_some() && response.pagination_token.as_deref() == token {
        // This chain would never end.
        return Err(incomplete("a new token").into());
    }
    Ok(Page {
        people: users.into_iter().map(Person::from).collect(),
        next: response
            .pagination_token
            .map_or(Position::End, Position::Token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_a_token() {
        let position = Position::Token("taro".into());

        assert!(!format!("{position:?}").contains("taro"));
    }
}
