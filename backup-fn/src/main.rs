//! backup-fn: the secondary pool's post-confirmation trigger, and the worker that takes snapshots.
//!
//! - as trigger: notes each confirmed person in the journal ([`trigger`])
//! - as worker, woken by an S3 event or `{"action":"tick"}`, or asked by `{"action":"snapshot"}`: takes a snapshot ([`worker`])

mod config;
mod request;
mod trigger;
mod worker;

use std::time::Instant;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::{RawValue, to_raw_value};
use shared::config::{ConfigError, Environment};
use shared::event::TriggerEvent;
use shared::invocation::{Cold, work_until};
use shared::metrics::Metrics;
use tracing::Instrument;

use crate::request::Request;
use crate::trigger::Trigger;
use crate::worker::{Invocation, Worker};

struct Function {
    trigger: Trigger,
    worker: Result<Worker, ConfigError>,
    cold: Cold,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let begun = Instant::now();
    let environment = Environment::of_process();
    shared::log::start(&environment, &[env!("CARGO_CRATE_NAME")]);
    let (trigger, worker) = config::read(&environment).await;
    let function = &Function {
        trigger,
        worker,
        cold: Cold::since(begun),
    };
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let span = tracing::info_span!("invocation", requestId = event.context.request_id);
        let handled = handle(function, event).instrument(span.clone()).await;
        handled.inspect_err(|error| span.in_scope(|| tracing::error!(%error, "failed")))
    });
    lambda_runtime::run(handler)
        .await
        .map_err(anyhow::Error::from_boxed)
}

/// A trigger event goes back as the bytes that came, whatever happens; anything else gets an answer or an error.
async fn handle(
    function: &Function,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Error> {
    let received = Instant::now();
    let LambdaEvent { payload, context } = event;
    let name = &context.env_config.function_name;
    if let Some(event) = TriggerEvent::read(&payload) {
        let answer_by = function.cold.answer_by(received, context.deadline);
        let metrics = function.trigger.confirmed(event, answer_by).await;
        metrics.emit(name);
        return Ok(payload);
    }
    let request = Request::read(&payload)?;
    let worker = function.worker.as_ref().map_err(Clone::clone)?;
    let invocation = Invocation {
        id: &context.request_id,
        ends: context.deadline,
        until: work_until(received, context.deadline),
    };
    let mut metrics = Metrics::default();
    let answer = worker.answer(&request, &invocation, &mut metrics).await;
    metrics.emit(name);
    Ok(to_raw_value(&answer?)?)
}
