//! replicate-fn: the primary pool's post-confirmation trigger, and the worker of its outbox.
//!
//! - as trigger: creates each confirmed person in the secondary pool, or puts them into the outbox ([`trigger`])
//! - as worker, `{"action":"tick"}`: replays the outbox ([`outbox`])
//!
//! Both decide who is created, and how, in [`replica`], and create them in [`secondary`].

mod config;
mod outbox;
mod replica;
mod secondary;
mod trigger;

use std::time::Instant;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::config::ConfigError;
use shared::event::TriggerEvent;
use shared::function::{self, Failed, Function};
use shared::invocation::{Invocation, UnknownPayload};
use shared::metrics::Metrics;

use crate::outbox::Worker;
use crate::trigger::Trigger;

/// Both roles of the function; which one is used, the payload says.
struct ReplicateFn {
    trigger: Trigger,
    worker: Result<Worker, ConfigError>,
}

/// What the worker is asked for.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    Tick,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let served = function::run(env!("CARGO_CRATE_NAME"), config::read).await;
    served.map_err(anyhow::Error::from_boxed)
}

impl Function for ReplicateFn {
    async fn confirmed(&self, event: TriggerEvent, answer_by: Instant) -> Metrics {
        self.trigger.confirmed(event, answer_by).await
    }

    async fn work(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Box<RawValue>, Failed> {
        let Ok(Action::Tick) = serde_json::from_str(payload.get()) else {
            return Err(UnknownPayload::of(payload, " or {\"action\":\"tick\"}").into());
        };
        let worker = self.worker.as_ref().map_err(Clone::clone)?;
        let answer = worker.drain(invocation.until, metrics).await?;
        Ok(to_raw_value(&answer)?)
    }
}
