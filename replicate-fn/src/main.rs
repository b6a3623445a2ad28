//! replicate-fn: the primary pool's post-confirmation trigger, and the worker of its outbox.
//!
//! - as trigger: creates each confirmed person in the secondary pool, or records them in the outbox ([`trigger`])
//! - as worker, `{"action":"tick"}`: replays the outbox ([`outbox_worker`])
//! - as worker, `{"action":"reconcile"}`: makes the secondary pool equal to the primary pool ([`reconcile_worker`])
//!
//! The first two use [`replicator`], which creates one person's user with the crate `replication`. Where another person holds the name,
//! the worker decides whether it can be freed.

mod config;
mod outbox_worker;
mod reconcile_worker;
mod replicator;
mod trigger;

use std::time::Instant;

use reconcile::request::{ReconcileConfig, Request};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::environment::ConfigError;
use shared::event::TriggerEvent;
use shared::lambda::function::{self, Function, RequestFailed};
use shared::lambda::invocation::{Invocation, UnknownPayload};
use shared::lambda::metrics::Metrics;

use crate::outbox_worker::OutboxWorker;
use crate::trigger::Trigger;

/// Both roles of the function. The payload decides which one is used.
struct ReplicateFn {
    trigger: Trigger,
    worker: Result<OutboxWorker, ConfigError>,
    reconcile: Result<ReconcileConfig, ConfigError>,
}

/// What the worker is asked to do.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    Tick,
    Reconcile(Request),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let set_up = async |environment: &_| {
        let (trigger, worker, reconcile) = config::read(environment);
        ReplicateFn {
            trigger,
            worker,
            reconcile,
        }
    };
    let served = function::run(
        &[env!("CARGO_CRATE_NAME"), "reconcile", "replication"],
        set_up,
    )
    .await;
    served.map_err(anyhow::Error::from_boxed)
}

impl Function for ReplicateFn {
    async fn on_trigger(&self, event: TriggerEvent, answer_deadline: Instant) -> Metrics {
        self.trigger.handle_event(event, answer_deadline).await
    }

    async fn on_request(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Box<RawValue>, RequestFailed> {
        match serde_json::from_str(payload.get()) {
            Ok(Action::Tick) => {
                let worker = self.worker.as_ref().map_err(Clone::clone)?;
                let answer = worker.drain(invocation.work_deadline, metrics).await?;
                Ok(to_raw_value(&answer)?)
            }
            Ok(Action::Reconcile(request)) => {
                let config = self.reconcile.as_ref().map_err(Clone::clone)?;
                let answer = reconcile_worker::run(config, &request, invocation, metrics).await?;
                Ok(to_raw_value(&answer)?)
            }
            Err(_) => {
                let known = " or {\"action\":\"tick\"} or {\"action\":\"reconcile\"}";
                Err(UnknownPayload::of(payload, known).into())
            }
        }
    }
}
