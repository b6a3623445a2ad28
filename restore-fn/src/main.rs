//! restore-fn: brings people back from a snapshot. It is started by hand from the console.
//!
//! Everything it does is in the crate [`mod@restore`], which the command line uses too.

mod config;

use std::time::Instant;

use restore::request::Request;
use restore::run::{RestoreConfig, RunContext, restore};
use serde_json::value::{RawValue, to_raw_value};
use shared::environment::ConfigError;
use shared::event::TriggerEvent;
use shared::lambda::function::{self, Function, RequestFailed};
use shared::lambda::invocation::Invocation;
use shared::lambda::metrics::Metrics;

struct RestoreFn(Result<RestoreConfig, ConfigError>);

/// A payload that is not a restore request.
#[derive(Debug, thiserror::Error)]
#[error(
    "the payload asks for no restore ({0}): send {{\"snapshot\":\"latest\",\"scope\":\"newcomers\",\"dry_run\":true}}; \
     further members are reclaim_unconfirmed, allow_stale, same_pool and withheld"
)]
struct NotARequest(serde_json::Error);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let set_up = async |environment: &_| RestoreFn(config::read(environment));
    let served = function::run(&[env!("CARGO_CRATE_NAME"), "restore"], set_up).await;
    served.map_err(anyhow::Error::from_boxed)
}

impl Function for RestoreFn {
    /// The function was attached to a pool by mistake: the sign-up must go on nevertheless.
    async fn on_trigger(&self, _event: TriggerEvent, _answer_deadline: Instant) -> Metrics {
        tracing::error!("restore-fn is not a trigger of a user pool: detach it");
        Metrics::default()
    }

    async fn on_request(
        &self,
        payload: &RawValue,
        invocation: &Invocation,
        _metrics: &mut Metrics,
    ) -> Result<Box<RawValue>, RequestFailed> {
        let request: Request = serde_json::from_str(payload.get()).map_err(NotARequest)?;
        let config = self.0.as_ref().map_err(Clone::clone)?;
        let run = RunContext {
            lease_holder: invocation.id.clone(),
            deadline: invocation.work_deadline,
            on_progress: &|_| (),
        };
        let response = restore(config, &request, &run).await?;
        Ok(to_raw_value(&response)?)
    }
}
