//! The entry point that twinpool's Lambda functions share.
//!
//! A trigger event is returned as the bytes that came, whatever happens: an error would show the person who signs up a failure
//! although Cognito has already confirmed them. Any other payload is a request to a worker, and gets an answer or an error.

use std::time::Instant;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::environment::Environment;
use crate::event::TriggerEvent;
use crate::lambda::invocation::{ColdStart, Invocation};
use crate::lambda::log;
use crate::lambda::metrics::Metrics;

/// What a function does, in both of its roles. The payload decides which of them is called.
pub trait Function {
    /// As trigger: handles a trigger event of any kind before a deadline, and returns metrics of what it did. It cannot fail.
    fn on_trigger(
        &self,
        event: TriggerEvent,
        answer_deadline: Instant,
    ) -> impl Future<Output = Metrics>;

    /// As worker: does what the payload asks for, in this invocation's time. The metrics are emitted in any case.
    fn on_request(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> impl Future<Output = Result<Box<RawValue>, RequestFailed>>;
}

/// A request that failed: what Lambda shows as the type and the message of the error.
#[derive(Debug)]
pub struct RequestFailed {
    kind: &'static str,
    message: String,
}

impl<E: std::error::Error> From<E> for RequestFailed {
    fn from(error: E) -> Self {
        let path = std::any::type_name::<E>();
        Self {
            kind: path.rsplit("::").next().unwrap_or(path),
            message: error.to_string(),
        }
    }
}

impl From<RequestFailed> for Diagnostic {
    fn from(failed: RequestFailed) -> Self {
        Self {
            error_type: failed.kind.to_owned(),
            error_message: failed.message,
        }
    }
}

/// Serves invocations until Lambda ends the process. `crates` are those that may write to the log beside this one; `set_up` makes
/// the function.
///
/// # Errors
///
/// The Lambda Runtime API cannot be reached.
pub async fn run<F: Function>(
    crates: &[&'static str],
    set_up: impl AsyncFnOnce(&Environment) -> F,
) -> Result<(), lambda_runtime::Error> {
    let began = Instant::now();
    let environment = Environment::of_process();
    log::start(&environment, crates);
    let function = &set_up(&environment).await;
    let cold_start = &ColdStart::since(began);
    let handler = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let span = tracing::info_span!("invocation", requestId = event.context.request_id);
        let handled = handle(function, cold_start, event)
            .instrument(span.clone())
            .await;
        handled
            .inspect_err(|error| span.in_scope(|| tracing::error!(error = error.message, "failed")))
    });
    lambda_runtime::run(handler).await
}

async fn handle(
    function: &impl Function,
    cold_start: &ColdStart,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, RequestFailed> {
    let received = Instant::now();
    let LambdaEvent { payload, context } = event;
    let name = &context.env_config.function_name;
    if let Some(event) = TriggerEvent::read(&payload) {
        let deadline = cold_start.answer_deadline(received, context.deadline);
        function.on_trigger(event, deadline).await.emit(name);
        return Ok(payload);
    }
    let invocation = Invocation::new(context.request_id, received, context.deadline);
    let mut metrics = Metrics::default();
    let answer = function
        .on_request(&payload, &invocation, &mut metrics)
        .await;
    metrics.emit(name);
    answer
}
