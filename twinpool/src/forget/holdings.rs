//! What still holds a person who was erased: snapshots, import files and reports, which are not rewritten, and expire.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use shared::snapshot::layout::{FILLS_PREFIX, PARTS_PREFIX};

use super::Site;
use crate::failure::Failure;

/// What may hold the data of people, and what it is.
const PREFIXES: [(&str, &str); 5] = [
    ("snapshots/", "snapshots"),
    (PARTS_PREFIX, "parts of unfinished snapshots and runs"),
    ("restores/", "import files and reports of restores"),
    (FILLS_PREFIX, "the snapshot and import files of a fill"),
    ("reconciles/2", "reports of reconcile (subs, no values)"),
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
            last_expires_at: site.snapshots.expires_at(&newest).await?,
        });
    }
    Ok(holdings)
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
