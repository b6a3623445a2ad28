//! A rate limit that several tasks share.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

/// Lets a number of calls a second through, in the order in which they were asked for.
#[derive(Debug)]
pub struct RateLimiter(Mutex<Interval>);

impl RateLimiter {
    /// At most this many calls a second.
    pub fn per_second(calls: u32) -> Self {
        let mut interval = tokio::time::interval(Duration::from_secs(1) / calls.max(1));
        // Unused permits are lost: catching up in a burst would exceed the service's quota.
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self(Mutex::new(interval))
    }

    /// Waits until the next call may be sent.
    pub async fn acquire(&self) {
        self.0.lock().await.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn calls_are_spread_and_unused_permits_are_lost() {
        let limiter = RateLimiter::per_second(200);
        limiter.acquire().await;
        tokio::time::sleep(Duration::from_millis(100)).await;

        let start = Instant::now();
        for _ in 0..21 {
            limiter.acquire().await;
        }

        assert!(start.elapsed() >= Duration::from_millis(95));
    }
}
