//! What still holds a person who was erased: snapshots, import files and reports, which are not rewritten, and expire.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use shared::aws::AwsError;
use shared::s3::bucket::Bucket;
use shared::snapshot::layout::{FILLS_PREFIX, PARTS_PREFIX};

use super::Site;
use crate::failure::Failure;

/// What may hold the data of people, and what it is. The prefixes of runs begin with the year, as those of the lifecycle rules do: the
/// leases beside the runs have no rule, hold nobody, and are written last.
const PREFIXES: [(&str, &str); 6] = [
    ("snapshots/", "snapshots"),
    (PARTS_PREFIX, "parts of unfinished snapshots and runs"),
    ("restores/2", "import files and reports of restores"),
    (FILLS_PREFIX, "the snapshot and import files of a fill"),
    ("reconciles/2", "reports of reconcile (subs, no values)"),
    (
        "failovers/2",
        "evidence of failovers and failbacks (subs, no values)",
    ),
];

/// Objects that may hold a person.
#[derive(Debug, Serialize)]
pub struct Holding {
    prefix: &'static str,
    what: &'static str,
    objects: u64,
    /// When the last of them expires; none if the bucket's lifecycle has no rule for it.
    last_expires_at: Option<Timestamp>,
}

/// What is in the snapshot bucket now and may hold anybody.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn find(site: &Site) -> Result<Vec<Holding>, Failure> {
    let mut holdings = Vec::new();
    for (prefix, what) in PREFIXES {
        let mut objects = 0;
        let mut newest = None;
        let mut listing = site.snapshots.list(prefix);
        while let Some(page) = listing.next_page().await? {
            objects += page.len() as u64;
            let listed = page
                .into_iter()
                .map(|object| (object.last_modified, object.key));
            newest = newest.max(listed.max());
        }
        // All objects of a prefix have one rule, so the newest expires last.
        let Some((_, newest)) = newest else { continue };
        holdings.push(Holding {
            prefix,
            what,
            objects,
            last_expires_at: expires_at(&site.snapshots, &newest).await?,
        });
    }
    Ok(holdings)
}

/// When the bucket's lifecycle removes an object, as S3 says it; none if no rule does, or there is no such object.
async fn expires_at(bucket: &Bucket, key: &str) -> Result<Option<Timestamp>, AwsError> {
    let name = bucket.name();
    let head = bucket.client().head_object().bucket(name).key(key);
    let head = head.send().await;
    match head.map_err(|e| AwsError::from_sdk("HeadObject", name, &e)) {
        Ok(head) => Ok(head.expiration.as_deref().and_then(expiry_date)),
        // The answer to HEAD has no body, so S3 cannot name another code.
        Err(error) if error.code() == "NotFound" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The date in the header `x-amz-expiration`: `expiry-date="Fri, 21 Dec 2012 00:00:00 GMT", rule-id="…"` (S3 API: HeadObject).
fn expiry_date(header: &str) -> Option<Timestamp> {
    let (_, date) = header.split_once("expiry-date=\"")?;
    let (date, _) = date.split_once('"')?;
    jiff::fmt::rfc2822::parse(date)
        .ok()
        .map(|date| date.timestamp())
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            prefix,
            what,
            objects,
            ..
        } = self;
        write!(f, "{prefix}: {objects} objects, {what}; ")?;
        match self.last_expires_at {
            Some(at) => write!(f, "the last expires on {}", at.strftime("%Y-%m-%d")),
            None => f.write_str("no lifecycle rule removes them: delete them by hand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_at_which_an_object_expires_is_read_from_the_header_of_s3() {
        let header = r#"expiry-date="Fri, 21 Dec 2012 00:00:00 GMT", rule-id="snapshots""#;

        let date = expiry_date(header).map(|date| date.to_string());

        assert_eq!(date.as_deref(), Some("2012-12-21T00:00:00Z"));
        assert_eq!(expiry_date("expiry-date=never"), None);
    }
}
