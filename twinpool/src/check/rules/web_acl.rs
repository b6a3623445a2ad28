//! Whether the secondary pool is protected by the web ACL rules that protect the primary.

use std::collections::BTreeSet;

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;

/// An open fence lets everything through that its rules do not block, so the rules that protect the primary should be in it, by the same names.
pub fn web_acl(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "web ACL";
    let of =
        |pool: &PoolFacts| -> BTreeSet<String> { pool.gate.rule_names().into_iter().collect() };
    let (ours, theirs) = (of(primary), of(secondary));
    let missing: BTreeSet<String> = ours.difference(&theirs).cloned().collect();
    if missing.is_empty() {
        findings.good(
            topic,
            format!(
                "the secondary has the {} rules of the primary's web ACL",
                ours.len()
            ),
        );
    } else {
        findings.warn(
            topic,
            format!(
                "the web ACL of the secondary lacks rules that protect the primary: {}",
                join_names(&missing, "none")
            ),
            "add rules with the same names to the fence, after its own and without the action Allow: while it is open, nothing else protects \
             the secondary",
        );
    }
}
