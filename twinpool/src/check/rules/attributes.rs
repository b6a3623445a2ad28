//! Whether the attributes of users fit into the other pool.

use std::collections::BTreeSet;

use aws_sdk_cognitoidentityprovider::types::SchemaAttributeType;

use crate::check::facts::PoolFacts;
use crate::check::finding::{Findings, NEW_POOL};
use crate::check::names::join_names;

/// Both pools must have the same attributes, with the same types and limits.
pub fn schema(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "attributes";
    let (first, second) = (primary.attributes(), secondary.attributes());
    let before = findings.len();
    for (name, ours) in &first {
        match second.get(name) {
            Some(theirs) => compare_attributes(name, ours, theirs, findings),
            None => findings.wrong(
                topic,
                format!("{name} exists in the primary only: replicas lack it"),
                "add it to the secondary pool: aws cognito-idp add-custom-attributes",
            ),
        }
    }
    for name in second.keys().filter(|name| !first.contains_key(*name)) {
        findings.warn(
            topic,
            format!(
                "{name} exists in the secondary only: its values are not restored for newcomers"
            ),
            "if they should be, add it to the primary pool: aws cognito-idp add-custom-attributes",
        );
    }
    if findings.len() == before {
        findings.good(
            topic,
            format!("{} attributes are the same in both pools", first.len()),
        );
    }
}

/// The columns of an import file should be the same in both pools.
pub fn import_columns(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Findings) {
    let topic = "import columns";
    let of = |pool: &PoolFacts| pool.header.iter().cloned().collect::<BTreeSet<_>>();
    let (first, second) = (of(primary), of(secondary));
    if first == second {
        findings.good(topic, format!("the same {} in both pools", first.len()));
    } else {
        let different: BTreeSet<_> = first.symmetric_difference(&second).cloned().collect();
        findings.warn(
            topic,
            format!(
                "in one of the pools only: {}",
                join_names(&different, "none")
            ),
            "restore newcomers with twinpool restore, which maps the columns; do not upload the files of a snapshot yourself",
        );
    }
}

/// Compares an attribute that both pools have.
fn compare_attributes(
    name: &str,
    ours: &SchemaAttributeType,
    theirs: &SchemaAttributeType,
    findings: &mut Findings,
) {
    let topic = "attributes";
    if ours.attribute_data_type != theirs.attribute_data_type {
        findings.wrong(
            topic,
            format!("{name} has another type in the secondary"),
            NEW_POOL,
        );
        return;
    }
    match (ours.required, theirs.required) {
        (Some(true), Some(false) | None) => findings.wrong(
            topic,
            format!(
                "{name} is required in the primary only: newcomers without it cannot be restored"
            ),
            NEW_POOL,
        ),
        // DG:user-pool-settings-attributes: an administrator may leave a required attribute out.
        (Some(false) | None, Some(true)) => findings.warn(
            topic,
            format!("{name} is required in the secondary only: some replicas will lack it"),
            "make sure that your application does not rely on it there",
        ),
        _ => {}
    }
    if ours.mutable != theirs.mutable {
        findings.warn(
            topic,
            format!("{name} is mutable in one of the pools only"),
            "make sure that your application does not change it: the other pool keeps the first value",
        );
    }
    let (here, there) = (Limits::of(ours), Limits::of(theirs));
    if !here.fit_into(&there) {
        findings.wrong(
            topic,
            format!("{name} has tighter limits in the secondary: users whose value exceeds them cannot be replicated"),
            NEW_POOL,
        );
    } else if !there.fit_into(&here) {
        findings.warn(
            topic,
            format!("{name} has tighter limits in the primary: newcomers whose value exceeds them cannot be restored"),
            "let your application enforce the limits of the primary",
        );
    }
}

/// The smallest and the largest value that an attribute may have: of its length if it is a text, of itself if it is a number.
struct Limits {
    min: Option<i64>,
    max: Option<i64>,
}

impl Limits {
    fn of(attribute: &SchemaAttributeType) -> Self {
        let read = |limit: Option<&str>| limit.and_then(|limit| limit.parse().ok());
        if let Some(text) = attribute.string_attribute_constraints() {
            Self {
                min: read(text.min_length()),
                max: read(text.max_length()),
            }
        } else if let Some(number) = attribute.number_attribute_constraints() {
            Self {
                min: read(number.min_value()),
                max: read(number.max_value()),
            }
        } else {
            Self {
                min: None,
                max: None,
            }
        }
    }

    fn fit_into(&self, other: &Self) -> bool {
        let min_fits = other
            .min
            .is_none_or(|limit| self.min.is_some_and(|min| min >= limit));
        let max_fits = other
            .max
            .is_none_or(|limit| self.max.is_some_and(|max| max <= limit));
        min_fits && max_fits
    }
}
