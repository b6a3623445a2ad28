//! The triggers: they return the event unchanged and in time, whatever happens, and lose nobody.

mod events;
mod failures;
mod replication;

use std::time::Duration;

use local_regions::faults::Kind;
use local_regions::world::World;

const PASSWORD: &str = "Correct-horse-7-battery";

/// The time in which a trigger must respond, including a cold start.
const RESPONSE_TIME_LIMIT: Duration = Duration::from_millis(4500);

/// Every way in which another service can fail.
fn every_fault() -> Vec<Kind> {
    vec![
        Kind::Hang,
        Kind::Refuse,
        Kind::Throttle,
        Kind::Reset,
        Kind::Rubbish,
        Kind::Error {
            status: 500,
            code: "InternalErrorException".into(),
            message: "".into(),
        },
    ]
}

fn set(world: &World, function: &str, variable: &str, value: &str) {
    world.tokyo.lambda().set_env(function, variable, value);
}
