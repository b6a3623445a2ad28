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

use std::sync::Arc;
use std::time::Instant;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::config::Environment;
use shared::event::TriggerEvent;
use shared::invocation::{Cold, UnknownPayload, work_until};
use tracing::Instrument;

use crate::outbox::Worker;
use crate::trigger::Trigger;

/// What the worker is asked for.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    Tick,
}

struct Function {
    trigger: Arc<Trigger>,
    worker: Result<Worker, shared::config::ConfigError>,
    cold: Cold,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let begun = Instant::now();
    let environment = Environment::of_process();
    shared::log::start(&environment, &[env!("CARGO_CRATE_NAME")]);
    let configuration = config::Configuration::of(&environment).await;
    let function = &Function {
        trigger: Arc::new(configuration.trigger),
        worker: configuration.worker,
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
    let Ok(Action::Tick) = serde_json::from_str(payload.get()) else {
        return Err(UnknownPayload::of(&payload, " or {\"action\":\"tick\"}").into());
    };
    let worker = function.worker.as_ref().map_err(Clone::clone)?;
    let mut drained = worker.drain(work_until(received, context.deadline)).await?;
    drained.metrics().emit(name);
    match drained.stopped_by {
        None => Ok(to_raw_value(&drained.answer)?),
        Some(error) => Err(error.into()),
    }
}
