//! Whether the secondary pool is closed to the public on a normal day.

use crate::check::finding::Findings;
use crate::fence::{FENCE_TAG, Gate, State};

/// The secondary pool should be protected by twinpool's fence, and the fence should be closed.
pub fn fence(gate: &Gate, findings: &mut Findings) {
    let topic = "fence";
    match gate {
        Gate::Fence(fence) if fence.state() != State::Closed => findings.warn(
            topic,
            "open: whoever can read a user's mail can sign in to the secondary as that user",
            "unless this is a failover: twinpool fence close",
        ),
        Gate::Fence(fence) if !fence.openings().is_empty() => findings.wrong(
            topic,
            format!(
                "closed, but these rules let the public through: {}",
                fence.openings().join(", ")
            ),
            "deploy the fence again (docs/deploy.md, \"Upgrade\"), or remove the rules in the AWS WAF console",
        ),
        Gate::Fence(fence) if !fence.unjudged().is_empty() => findings.warn(
            topic,
            format!(
                "closed, but these rule groups may let the public through: {}",
                fence.unjudged().join(", ")
            ),
            "look at their rules in the AWS WAF console, or remove them from the web ACL",
        ),
        Gate::Fence(_) => findings.good(topic, "closed"),
        Gate::Foreign(acl) if acl.is_outdated => findings.warn(
            topic,
            format!(
                "the web ACL {} of the secondary is the fence of an earlier version of twinpool",
                acl.name
            ),
            "unless this is a failover, upgrade: docs/deploy.md, \"Upgrade\"",
        ),
        Gate::Foreign(acl) => findings.warn(
            topic,
            format!(
                "the web ACL {} of the secondary is not twinpool's fence: it does not have the tag {FENCE_TAG}",
                acl.name
            ),
            "make sure that it blocks the public operations on a normal day, and that somebody can open it",
        ),
        Gate::None => findings.warn(
            topic,
            "the secondary has none: whoever can read a user's mail can sign in to it as that user",
            "deploy the fence: docs/deploy.md, secondary.fence",
        ),
    }
}
