//! The triggers: the same bytes back in time, whatever happens, and nobody forgotten.

mod events;
mod failures;
mod replication;

use std::time::Duration;

use local_regions::faults::Kind;
use local_regions::world::World;

const PASSWORD: &str = "Correct-horse-7-battery";

/// A trigger has answered by then, a cold start included.
const LIMIT: Duration = Duration::from_millis(4500);

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
