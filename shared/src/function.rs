//! The entry point that twinpool's Lambda functions share.
//!
//! A trigger event goes back as the bytes that came, whatever happens: an error would show the person who signs up a failure
//! while Cognito has already confirmed them. Any other payload is work, and gets an answer or an error.

use std::time::Instant;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::config::Environment;
use crate::event::TriggerEvent;
use crate::invocation::{Cold, Invocation};
use crate::metrics::Metrics;

/// What a function does; which of the two, the payload says.
pub trait Function {
    /// As a trigger: deals with an event by a point in time, and says what it did in metrics. Never fails.
    fn confirmed(&self, event: TriggerEvent, answer_by: Instant) -> impl Future<Output = Metrics>;

    /// As a worker: does what is asked, in this invocation's time. The metrics are emitted in any case.
    fn work(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> impl Future<Output = Result<Box<RawValue>, Failed>>;
}

/// Work that failed: what Lambda shows as the type and the message of the error.
#[derive(Debug)]
pub struct Failed {
    kind: &'static str,
    message: String,
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        let path = std::any::type_name::<E>();
        Self {
            kind: path.rsplit("::").next().unwrap_or(path),
            message: error.to_string(),
        }
    }
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self {
            error_type: failed.kind.to_owned(),
            error_message: failed.message,
        }
    }
}

/// Serves invocations until Lambda ends the process. `name` is the crate's, for its log; `function` sets the function up.
///
/// # Errors
///
/// The Lambda Runtime API cannot be reached.
pub async fn run<F: Function>(
    name: &'static str,
    function: impl AsyncFnOnce(&Environment) -> F,
) -> Result<(), lambda_runtime::Error> {
    let begun = Instant::now();
    let environment = Environment::of_process();
    crate::log::start(&environment, &[name]);
    let function = &function(&environment).await;
    let cold = &Cold::since(begun);
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let span = tracing::info_span!("invocation", requestId = event.context.request_id);
        let handled = handle(function, cold, event).instrument(span.clone()).await;
        handled
            .inspect_err(|error| span.in_scope(|| tracing::error!(error = error.message, "failed")))
    });
    lambda_runtime::run(handler).await
}

async fn handle(
    function: &impl Function,
    cold: &Cold,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Failed> {
    let received = Instant::now();
    let LambdaEvent { payload, context } = event;
    let name = &context.env_config.function_name;
    if let Some(event) = TriggerEvent::read(&payload) {
        let answer_by = cold.answer_by(received, context.deadline);
        function.confirmed(event, answer_by).await.emit(name);
        return Ok(payload);
    }
    let invocation = Invocation::new(context.request_id, received, context.deadline);
    let mut metrics = Metrics::default();
    let answer = function.work(&payload, &invocation, &mut metrics).await;
    metrics.emit(name);
    answer
}
