//! A Cognito user pool: its id, its description, its users, asked for under one rate limit.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cognitoidentityprovider::types::UserPoolType;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use crate::aws::{AwsError, Failure};
use crate::person::{Attributes, Person};

/// The id of a user pool, such as `ap-northeast-3_AbCdEf123`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolId(String);

impl PoolId {
    /// The part before `_`.
    pub fn region(&self) -> &str {
        self.0.split('_').next().unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no pool id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a user pool id such as ap-northeast-3_AbCdEf123")]
pub struct NotAPoolId;

impl FromStr for PoolId {
    type Err = NotAPoolId;

    /// botocore UserPoolIdType: `[\w-]+_[0-9a-zA-Z]+`.
    fn from_str(id: &str) -> Result<Self, NotAPoolId> {
        let (region, rest) = id.rsplit_once('_').ok_or(NotAPoolId)?;
        let fits = !region.is_empty()
            && region
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_ascii_alphanumeric());
        if fits {
            Ok(Self(id.to_owned()))
        } else {
            Err(NotAPoolId)
        }
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One rate for all calls that share it: whoever waits gets the next turn.
#[derive(Debug)]
pub struct Pace(Mutex<Interval>);

impl Pace {
    /// At most this many turns a second.
    pub fn per_second(turns: u32) -> Self {
        let mut interval = tokio::time::interval(Duration::from_secs(1) / turns.max(1));
        // A turn that nobody took is gone: a rate limit must not be caught up with in a burst.
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self(Mutex::new(interval))
    }

    /// Waits for the next turn.
    pub async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

/// Why the pool could not be asked to the end.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A call failed for good.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The time was up.
    #[error("out of time while asking user pool {0}")]
    OutOfTime(PoolId),
}

/// A pool to be described and listed.
#[derive(Debug)]
pub struct Pool {
    client: Client,
    id: PoolId,
    rate: u32,
    pace: Pace,
    until: Instant,
}

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    /// Its users: perhaps fewer than asked for, perhaps none.
    pub people: Vec<Person>,
    /// What gives the next page; only its absence means the end.
    /// botocore ListUsers: may return fewer than Limit without being at the end.
    pub next: Option<String>,
}

/// botocore ListUsers: 0 to 60.
const MOST_A_PAGE: i32 = 60;

/// How often a call is repeated that failed for another reason than too many calls.
const ATTEMPTS: u32 = 6;

impl Pool {
    /// A pool, asked by a client that does not repeat calls itself, at most `rate` times a second, until a point in time.
    pub fn new(client: Client, id: PoolId, rate: u32, until: Instant) -> Self {
        let pace = Pace::per_second(rate);
        Self {
            client,
            id,
            rate,
            pace,
            until,
        }
    }

    /// Its id.
    pub fn id(&self) -> &PoolId {
        &self.id
    }

    /// Its client, for calls of other kinds.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How many of some chains of pages must be listed at once to keep up the rate while a page takes 0.4 s; they end in whole
    /// rounds when there is a power of two of them. No more, so that some are done when time is up.
    pub fn chains_at_once(&self) -> usize {
        (self.rate as usize * 2 / 5).next_power_of_two()
    }

    /// DescribeUserPool.
    pub async fn describe(&self) -> Result<UserPoolType, PoolError> {
        let answer = self
            .patiently("DescribeUserPool", || {
                self.client
                    .describe_user_pool()
                    .user_pool_id(self.id.as_str())
                    .send()
            })
            .await?;
        Ok(answer
            .user_pool
            .ok_or_else(|| AwsError::hollow("DescribeUserPool", &self.id, "a pool"))?)
    }

    /// GetCSVHeader: the columns of an import file, in the pool's order.
    pub async fn csv_header(&self) -> Result<Vec<String>, PoolError> {
        let answer = self
            .patiently("GetCSVHeader", || {
                self.client
                    .get_csv_header()
                    .user_pool_id(self.id.as_str())
                    .send()
            })
            .await?;
        Ok(answer
            .csv_header
            .ok_or_else(|| AwsError::hollow("GetCSVHeader", &self.id, "a header"))?)
    }

    /// A page of ListUsers, of those whose `sub` begins with a digit.
    pub async fn page(&self, digit: char, token: Option<&str>) -> Result<Page, PoolError> {
        let answer = self
            .patiently("ListUsers", || {
                self.client
                    .list_users()
                    .user_pool_id(self.id.as_str())
                    .filter(format!("sub ^= \"{digit}\""))
                    .limit(MOST_A_PAGE)
                    .set_pagination_token(token.map(str::to_owned))
                    .send()
            })
            .await?;
        let users = answer
            .users
            .ok_or_else(|| AwsError::hollow("ListUsers", &self.id, "users"))?;
        if answer.pagination_token.is_some() && answer.pagination_token.as_deref() == token {
            // Else this chain would never end.
            return Err(AwsError::hollow("ListUsers", &self.id, "a new token").into());
        }
        Ok(Page {
            people: users.into_iter().map(Person::from).collect(),
            next: answer.pagination_token,
        })
    }

    /// AdminGetUser, which unlike ListUsers is up to date and bills an active user; none when there is no such user.
    /// botocore ListUsers: "To validate the existence or configuration of an individual user, use AdminGetUser".
    pub async fn person(&self, username: &str) -> Result<Option<Person>, PoolError> {
        let asked = self
            .patiently("AdminGetUser", || {
                self.client
                    .admin_get_user()
                    .user_pool_id(self.id.as_str())
                    .username(username)
                    .send()
            })
            .await;
        match asked {
            Ok(user) => Ok(Some(Person {
                username: user.username,
                status: user.user_status.into(),
                enabled: user.enabled,
                attributes: Attributes::from(user.user_attributes.unwrap_or_default()),
            })),
            Err(PoolError::Aws(error)) if error.code() == "UserNotFoundException" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a call in its turn, and again when that may help: for as long as there is time when the pool is throttled,
    /// a few times otherwise.
    pub async fn patiently<T, E, F>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, PoolError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata,
    {
        let mut failures = 0;
        let mut pause = Duration::from_millis(100);
        loop {
            if Instant::now() >= self.until {
                return Err(PoolError::OutOfTime(self.id.clone()));
            }
            self.pace.turn().await;
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => AwsError::of(operation, &self.id, &error),
            };
            // A limit that is not a rate may be there for good.
            let is_rate =
                error.failure() == Failure::Throttled && error.code() != "LimitExceededException";
            if !is_rate {
                failures += 1;
                if !error.is_transient() || failures == ATTEMPTS {
                    return Err(error.into());
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_id_names_its_region() {
        let id: PoolId = "ap-northeast-3_AbCdEf123".parse().unwrap();

        assert_eq!(id.region(), "ap-northeast-3");
    }

    #[test]
    fn what_is_no_pool_id_is_refused() {
        for text in [
            "",
            "_",
            "ap-northeast-3",
            "ap-northeast-3_",
            "a b_c",
            "x_y z",
        ] {
            assert_eq!(text.parse::<PoolId>(), Err(NotAPoolId), "{text:?}");
        }
    }

    #[tokio::test]
    async fn turns_are_paced_and_unused_ones_are_not_caught_up() {
        let pace = Pace::per_second(200);
        pace.turn().await;
        tokio::time::sleep(Duration::from_millis(100)).await;

        let start = Instant::now();
        for _ in 0..21 {
            pace.turn().await;
        }

        assert!(start.elapsed() >= Duration::from_millis(95));
    }
}
