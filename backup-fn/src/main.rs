//! backup-fn: the secondary pool's post-confirmation trigger, and the worker that takes snapshots.
//!
//! - as trigger: notes each confirmed person in the journal ([`trigger`])
//! - as worker, woken by an S3 event or `{"action":"tick"}`, or asked by `{"action":"snapshot"}`: takes a snapshot ([`worker`])

mod config;
mod request;
mod trigger;
mod worker;

use std::time::Instant;

use serde_json::value::{RawValue, to_raw_value};
use shared::config::ConfigError;
use shared::event::TriggerEvent;
use shared::function::{self, Failed, Function};
use shared::invocation::Invocation;
use shared::metrics::Metrics;

use crate::request::Request;
use crate::trigger::Trigger;
use crate::worker::Worker;

/// Both roles of the function; which one is used, the payload says.
struct BackupFn {
    trigger: Trigger,
    worker: Result<Worker, ConfigError>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let served = function::run(env!("CARGO_CRATE_NAME"), config::read).await;
    served.map_err(anyhow::Error::from_boxed)
}

impl Function for BackupFn {
    async fn confirmed(&self, event: TriggerEvent, answer_by: Instant) -> Metrics {
        self.trigger.confirmed(event, answer_by).await
    }

    async fn work(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Box<RawValue>, Failed> {
        let request = Request::read(payload)?;
        let worker = self.worker.as_ref().map_err(Clone::clone)?;
        let answer = worker.answer(&request, invocation, metrics).await?;
        Ok(to_raw_value(&answer)?)
    }
}
