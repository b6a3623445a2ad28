//! What invokes the workers of a region: S3 notifications, and a tick every minute.
//!
//! Both are asynchronous invocations that Lambda delivers at least once: some are delivered twice, some are delayed, and a
//! failed invocation is retried. None is lost in an outage of the region: they are delivered after it.

use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::lambda::{InvokeError, Lambda};
use crate::s3::Notification;

/// How the workers are invoked.
#[derive(Clone, Debug)]
pub struct ScheduleOptions {
    /// The time between two ticks.
    pub tick: Duration,
    /// The seed of the random numbers that decide which events are delivered twice or late.
    pub seed: u64,
    /// The probability that an event is delivered twice.
    pub duplicates: f64,
    /// The longest delay of an event.
    pub delay: Duration,
    /// The pause before the first retry of a failed invocation; the pause before the second and last retry is twice as long.
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
            // attempts to run it two more times, with a one-minute wait between the first two attempts, and two minutes
            // [...]".
            retry_pause: Duration::from_secs(60),
        }
    }
}

/// Invokes the functions of one region until this future is dropped: `ticked` with every tick, and others when S3 notifies
/// them.
pub async fn run(
    lambda: Lambda,
    mut notifications: mpsc::UnboundedReceiver<Notification>,
    ticked: String,
    options: ScheduleOptions,
) {
    let mut random = SmallRng::seed_from_u64(options.seed);
    let mut ticks = tokio::time::interval(options.tick);
    // A tick that is missed because the machine is busy is skipped.
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
