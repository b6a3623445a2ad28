//! The attributes of two pools, compared one by one.

use aws_sdk_cognitoidentityprovider::types::SchemaAttributeType;

use super::findings::{Finding, Findings, NEW_POOL, PoolFacts, attributes};

/// Whether what a person has in one pool can be had in the other.
pub fn schema(primary: &PoolFacts, secondary: &PoolFacts, findings: &mut Vec<Finding>) {
    let topic = "attributes";
    let (first, second) = (attributes(primary), attributes(secondary));
    let before = findings.len();
    for (name, ours) in &first {
        match second.get(name) {
            Some(theirs) => attribute(name, ours, theirs, findings),
            None => findings.wrong(
                topic,
                format!("{name} is in the primary only: replicas go without"),
                "add it to the secondary pool: aws cognito-idp add-custom-attributes",
            ),
        }
    }
    for name in second.keys().filter(|name| !first.contains_key(*name)) {
        findings.warn(
            topic,
            format!(
                "{name} is in the secondary only: what newcomers have there does not come back"
            ),
            "add it to the primary pool if it should: aws cognito-idp add-custom-attributes",
        );
    }
    if findings.len() == before {
        findings.good(
            topic,
            format!("{} attributes are the same in both pools", first.len()),
        );
    }
}

/// One attribute that both pools have.
fn attribute(
    name: &str,
    ours: &SchemaAttributeType,
    theirs: &SchemaAttributeType,
    findings: &mut Vec<Finding>,
) {
    let topic = "attributes";
    if ours.attribute_data_type != theirs.attribute_data_type {
        findings.wrong(
            topic,
            format!("{name} is of another type in the secondary"),
            NEW_POOL,
        );
        return;
    }
    match (ours.required, theirs.required) {
        (Some(true), Some(false) | None) => findings.wrong(
            topic,
            format!("{name} is required in the primary only: newcomers without it cannot be brought back"),
            NEW_POOL,
        ),
        // DG:user-pool-settings-attributes: an administrator may leave a required attribute out.
        (Some(false) | None, Some(true)) => findings.warn(
            topic,
            format!("{name} is required in the secondary only: some replicas will go without"),
            "make sure that the application does not rely on it there",
        ),
        _ => {}
    }
    if ours.mutable != theirs.mutable {
        findings.warn(
            topic,
            format!("{name} can be changed in one of the pools only"),
            "make sure that the application does not change it: in the other pool it stays as it was first written",
        );
    }
    let (here, there) = (Limits::of(ours), Limits::of(theirs));
    if !here.fit_into(&there) {
        findings.wrong(
            topic,
            format!("{name} has tighter limits in the secondary: people whose value breaks them cannot be replicated"),
            NEW_POOL,
        );
    } else if !there.fit_into(&here) {
        findings.warn(
            topic,
            format!("{name} has tighter limits in the primary: newcomers whose value breaks them cannot be brought back"),
            "let the application hold to the primary's limits",
        );
    }
}

/// The least and the most that an attribute may be: a length, or a number.
struct Limits {
    least: Option<i64>,
    most: Option<i64>,
}

impl Limits {
    fn of(attribute: &SchemaAttributeType) -> Self {
        let read = |limit: Option<&str>| limit.and_then(|limit| limit.parse().ok());
        if let Some(text) = attribute.string_attribute_constraints() {
            Self {
                least: read(text.min_length()),
                most: read(text.max_length()),
            }
        } else if let Some(number) = attribute.number_attribute_constraints() {
            Self {
                least: read(number.min_value()),
                most: read(number.max_value()),
            }
        } else {
            Self {
                least: None,
                most: None,
            }
        }
    }

    fn fit_into(&self, other: &Self) -> bool {
        let least = other
            .least
            .is_none_or(|limit| self.least.is_some_and(|least| least >= limit));
        let most = other
            .most
            .is_none_or(|limit| self.most.is_some_and(|most| most <= limit));
        least && most
    }
}
