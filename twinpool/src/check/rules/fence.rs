//! Whether the secondary pool is closed to the public on a normal day.

use crate::check::finding::Findings;
use crate::fence::{Gate, State};

/// The secondary pool should be protected by twinpool's fence, and the fence should be closed.
pub fn fence(gate: &Gate, findings: &mut Findings) {
    let topic = "fence";
    match gate {
        Gate::Fence(fence) if fence.state() == State::Closed => findings.good(topic, "closed"),
        Gate::Fence(_) => findings.warn(
            topic,
            "open: whoever can read a user's mail can sign in to the secondary as that user",
            "unless this is a failover: twinpool fence close",
        ),
        Gate::Foreign(name) => findings.warn(
            topic,
            format!("the web ACL {name} of the secondary is not twinpool's fence"),
            "make sure that it blocks the public operations on a normal day, and that somebody can open it",
        ),
        Gate::None => findings.warn(
            topic,
            "the secondary has none: whoever can read a user's mail can sign in to it as that user",
            "deploy the fence: docs/deploy.md, secondary.fence",
        ),
    }
}
