//! What wakes the workers of a region: S3 notifications and the minute's tick.
//!
//! Both reach Lambda as asynchronous invocations, at least once: some come twice, some late, and an
//! invocation that fails is tried again. None is lost with the region: they wait for its return.

use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::lambda::{InvokeError, Lambda};
use crate::s3::Notification;

/// How the workers are woken.
#[derive(Clone, Debug)]
pub struct ScheduleOptions {
    /// The time from tick to tick.
    pub tick: Duration,
    /// Decides what comes twice and what comes late.
    pub seed: u64,
    /// The probability that an event comes twice.
    pub duplicates: f64,
    /// The most that an event is late.
    pub delay: Duration,
    /// The pause before a failed invocation is tried again, and twice that before the last try.
    pub retry_pause: Duration,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(60),
            seed: 1,
            duplicates: 0.1,
            delay: Duration::from_secs(1),
            // https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html: "By default, Lambda
            // attempts to run it two more times, with a one-minute wait between the first two attempts, and two minutes [...]".
            retry_pause: Duration::from_secs(60),
        }
    }
}

/// Wakes the functions of one region until it is dropped: one with every tick, and those that S3 names.
pub async fn run(
    lambda: Lambda,
    mut notifications: mpsc::UnboundedReceiver<Notification>,
    ticked: String,
    options: ScheduleOptions,
) {
    let mut random = SmallRng::seed_from_u64(options.seed);
    let mut ticks = tokio::time::interval(options.tick);
    // A tick that finds the machine busy is not made up for.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut deliveries = JoinSet::new();
    let mut deliver = |deliveries: &mut JoinSet<()>, function: &str, event: &Bytes| {
        let copies = if random.random_bool(options.duplicates) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let late = options.delay.mul_f64(random.random());
            let delivery = deliver_once(
                lambda.clone(),
                function.to_owned(),
                event.clone(),
                late,
                options.retry_pause,
            );
            deliveries.spawn(delivery);
        }
    };
    loop {
        tokio::select! {
            Some(notification) = notifications.recv() => {
                deliver(&mut deliveries, &notification.function, &notification.event);
            }
            _ = ticks.tick() => if !lambda.is_lost() {
                let event = Bytes::from_static(br#"{"action":"tick"}"#);
                deliver(&mut deliveries, &ticked, &event);
            },
            Some(_) = deliveries.join_next() => {}
        }
    }
}

async fn deliver_once(
    lambda: Lambda,
    function: String,
    event: Bytes,
    late: Duration,
    retry_pause: Duration,
) {
    tokio::time::sleep(late).await;
    let mut failures = 0;
    loop {
        lambda.present().await;
        match lambda.invoke(&function, event.clone()).await {
            Ok(_) | Err(InvokeError::NotFound) => return,
            // Throttled events go back to the queue; "Lambda [...] attempts to run it again for up to 6 hours".
            Err(InvokeError::Throttled) => tokio::time::sleep(retry_pause).await,
            Err(_) if lambda.is_lost() => {}
            Err(_) if failures == 2 => return,
            Err(_) => {
                failures += 1;
                tokio::time::sleep(retry_pause * failures).await;
            }
        }
    }
}
