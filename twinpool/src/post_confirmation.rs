//! The function that a pool runs after a confirmation, as far as its ARN tells whose it is.

/// Whether a function has a name that twinpool's stacks give, or the name of one of its binaries.
pub fn is_twinpools(arn: &str) -> bool {
    let name = arn.split(':').nth(6).unwrap_or_default().to_lowercase();
    ["twinpool", "replicate-fn", "backup-fn"]
        .iter()
        .any(|ours| name.contains(ours))
}
