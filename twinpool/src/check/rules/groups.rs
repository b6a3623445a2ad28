//! Whether the secondary pool has the groups of the primary.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::facts::PoolFacts;
use crate::check::finding::Findings;
use crate::check::names::join_names;

/// How many names of groups a finding shows.
const SHOWN: usize = 5;

/// Reconcile brings groups and memberships, but no role: an application that exchanges tokens for AWS credentials by the role of a group needs
/// the role in the secondary too.
pub fn groups(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "groups";
    let theirs: BTreeMap<&str, bool> = secondary
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.has_role))
        .collect();
    let before = findings.len();
    let names = |is_named: &dyn Fn(&str, bool) -> bool| -> BTreeSet<String> {
        let ours = primary.groups.iter();
        let ours = ours.filter(|group| is_named(&group.name, group.has_role));
        ours.map(|group| group.name.clone()).collect()
    };
    let missing = names(&|name, _| !theirs.contains_key(name));
    if !missing.is_empty() {
        findings.warn(
            topic,
            format!("the secondary does not have {}", first_of(&missing)),
            "the next reconcile that compares groups brings them: twinpool reconcile",
        );
    }
    let without_role = names(&|name, has_role| has_role && theirs.get(name) == Some(&false));
    if !without_role.is_empty() {
        findings.warn(
            topic,
            format!(
                "these have a role in the primary and none in the secondary: {}",
                first_of(&without_role)
            ),
            "give them a role whose trust policy names the identity pool of that region, if your application uses it",
        );
    }
    if findings.len() == before {
        findings.good(
            topic,
            format!(
                "all {} of the primary are in the secondary",
                primary.groups.len()
            ),
        );
    }
}

fn first_of(names: &BTreeSet<String>) -> String {
    let shown: BTreeSet<String> = names.iter().take(SHOWN).cloned().collect();
    let shown = join_names(&shown, "none");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
