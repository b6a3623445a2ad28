//! backup-fn: the secondary pool's post-confirmation trigger, and the worker that takes snapshots.
//!
//! - as trigger: records each confirmed person in the journal ([`trigger`])
//! - as worker, woken by an S3 event or `{"action":"tick"}`, or asked by `{"action":"snapshot"}`: takes a snapshot ([`worker`])

mod config;
mod request;
mod trigger;
mod worker;

use std::time::Instant;

use serde_json::value::{RawValue, to_raw_value};
use shared::environment::ConfigError;
use shared::event::TriggerEvent;
use shared::lambda::function::{self, Function, RequestFailed};
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::Metrics;

use crate::request::Request;
use crate::trigger::Trigger;
use crate::worker::Worker;

/// Both roles of the function. The payload decides which one is used.
struct BackupFn {
    trigger: Trigger,
    worker: Result<Worker, ConfigError>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let set_up = async |environment: &_| {
        let (trigger, worker) = config::read(environment);
        BackupFn { trigger, worker }
    };
    let served = function::run(&[env!("CARGO_CRATE_NAME")], set_up).await;
    served.map_err(anyhow::Error::from_boxed)
}

impl Function for BackupFn {
    async fn on_trigger(&self, event: TriggerEvent, answer_deadline: Instant) -> Metrics {
        self.trigger.handle_event(event, answer_deadline).await
    }

    async fn on_request(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Box<RawValue>, RequestFailed> {
        let request = Request::read(payload)?;
        let worker = self.worker.as_ref().map_err(Clone::clone)?;
        let answer = worker.handle_request(&request, invocation, metrics).await?;
        Ok(to_raw_value(&answer)?)
    }
}
