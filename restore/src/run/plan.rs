//! Phase 3: the import files of a round, and the unconfirmed users to delete first.

use std::collections::BTreeSet;

use crate::decision::Decision;
use crate::error::RestoreError;
use crate::files::import_files;
use crate::run::decide::{Situation, import_row_problem};
use crate::run::lookups::Sought;
use crate::run::prepare::{LOOKUPS_PER_SECOND, Prepared, READ_CALLS_PER_SECOND, USERS_PER_PAGE};
use crate::snapshot_users::SnapshotEntry;
use crate::source::Leftover;
use crate::target_pool::TargetPool;
use shared::id::Id;
use shared::import_csv::reader::Header;
use shared::person::is_cognitos_own;
use shared::s3::rolling_upload::RolledFile;

/// Speed of an import job, for the estimate. AWS publishes no number; facts 10.8.
const ASSUMED_IMPORT_ROWS_PER_SECOND: u64 = 25;

/// Seconds that a restore takes beside listing and importing, for the estimate.
const ASSUMED_OTHER_SECONDS: u64 = 10;

/// What one round of the restore does.
pub(super) struct ImportPlan {
    /// The files of the round's import jobs.
    pub(super) files: Vec<RolledFile>,
    /// Number of rows in all files.
    pub(super) rows: u64,
    /// Unconfirmed users whose names are needed, by `sub`.
    pub(super) reclaim: Vec<String>,
}

/// Decides about every user of the snapshot, and writes the rows of those to import into import files. `first_number` is the number of
/// the first file.
///
/// # Errors
///
/// Users have values for which the target pool has no attribute; the snapshot cannot be read, or the files not written.
pub(super) async fn write_import_files(
    situation: Situation<'_>,
    restore: &Id,
    first_number: usize,
) -> Result<ImportPlan, RestoreError> {
    let Situation {
        prepared, results, ..
    } = situation;
    let header = prepared.rules.header();
    let rules = prepared.rules.under(header);
    let bucket = &prepared.config.bucket;
    let mut files = import_files(bucket, restore, first_number, header.line());
    let mut reclaim = Vec::new();
    let mut missing = MissingColumns::default();
    // A row at which an earlier job may have stopped comes last, so that it cannot keep the other rows from being imported again.
    for write_suspects in [false, true] {
        if write_suspects && results.suspects.is_empty() {
            continue;
        }
        let mut users = prepared.snapshot_users();
        while let Some(user) = users.next().await? {
            let Decision::Restore {
                reclaim: unconfirmed_holder,
            } = situation.decide(&user)
            else {
                continue;
            };
            if results.suspects.contains(&user.who.key) != write_suspects {
                continue;
            }
            let row = match &user.entry {
                SnapshotEntry::ImportRow(row) => {
                    let cells = prepared.source.cells(row)?;
                    let mapped = cells.rewrite_for_header(header, prepared.format.mfa_enabled());
                    missing.add_row(&mapped.without_place);
                    if import_row_problem(&rules, &mapped.line).is_some() {
                        continue;
                    }
                    let is_imported = !situation.is_created_one_by_one(&user);
                    is_imported.then_some(mapped.line)
                }
                SnapshotEntry::Leftover(leftover) => {
                    missing.add_leftover(leftover, header);
                    None
                }
            };
            reclaim.extend(unconfirmed_holder);
            if let Some(row) = row {
                files.write_row(row.as_bytes()).await?;
            }
        }
    }
    let columns: Vec<_> = missing.columns.into_iter().collect();
    if prepared.config.fill.is_some() {
        // As the trigger does: an attribute that only the primary pool knows is left out, and the person is brought.
        for attribute in &columns {
            tracing::warn!(
                attribute,
                "the pool lacks an attribute: people are brought without it"
            );
        }
    } else if missing.people > 0 {
        files.abort().await;
        return Err(RestoreError::MissingAttributes {
            pool: prepared.config.pool.clone(),
            columns,
            people: missing.people,
        });
    }
    // The first file of a restore is always written, even without rows.
    let files = match first_number {
        1 => files.finish_with_at_least_one().await?,
        _ => files.finish().await?,
    };
    Ok(ImportPlan {
        rows: files.iter().map(|file| file.rows).sum(),
        files,
        reclaim,
    })
}

/// Columns that the target pool lacks and users have values for.
#[derive(Default)]
struct MissingColumns {
    columns: BTreeSet<String>,
    people: u64,
}

impl MissingColumns {
    fn add_row(&mut self, columns: &[&str]) {
        self.people += u64::from(!columns.is_empty());
        self.columns
            .extend(columns.iter().map(|column| (*column).to_owned()));
    }

    fn add_leftover(&mut self, leftover: &Leftover, header: &Header) {
        let attributes = leftover.attributes.iter();
        let missing = attributes.filter(|(name, value)| {
            !value.is_empty() && !is_cognitos_own(name) && header.position(name).is_none()
        });
        let known = self.columns.len();
        self.columns
            .extend(missing.map(|(name, _)| name.to_owned()));
        self.people += u64::from(self.columns.len() > known);
    }
}

/// Estimated duration of a restore of so many rows, in seconds. A restore looks at the pool twice.
pub(super) fn estimate_seconds(prepared: &Prepared<'_>, target: &TargetPool, rows: u64) -> u64 {
    let look = match &prepared.sought {
        Some(sought) => {
            let lookups = sought.iter().flat_map(Sought::lookups).count() as u64;
            lookups / u64::from(LOOKUPS_PER_SECOND)
        }
        None => {
            let pages = target.present_users() as u64 / USERS_PER_PAGE;
            pages / u64::from(READ_CALLS_PER_SECOND)
        }
    };
    2 * look + rows / ASSUMED_IMPORT_ROWS_PER_SECOND + ASSUMED_OTHER_SECONDS
}
