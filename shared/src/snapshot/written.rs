//! How far the users who are in parts are written as rows.
//!
//! A worker that resumes a snapshot of the pool writes its users in two steps, and each may take several invocations. First, rows are
//! put into pieces: objects with names of their own that never change. When everyone is written, the pieces are joined into the files of
//! the snapshot. Which pieces a file consists of follows from the stored list of pieces alone. So if two workers write the same file,
//! because one of them hung, both write the same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::error::AwsError;
use crate::id::Id;
use crate::s3::bucket::Bucket;
use crate::s3::rolling_upload::FileLimits;
use crate::snapshot::layout::PARTS_PREFIX;
use crate::snapshot::manifest::{File, Role, Users};
use crate::snapshot::progress::Progress;

/// Bytes of rows that are kept in memory before they are stored as a piece: far less than a file may have.
const PIECE_BYTES: usize = 2 * 1024 * 1024;

/// Extra bytes of a piece's buffer, for the row that fills it.
const BUFFER_MARGIN_BYTES: usize = 128 * 1024;

/// How far the users in the parts are written as rows, and how far the rows are joined into files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// A digest of the rows' format. When the pool's settings have changed, everyone is written anew.
    pub format: String,
    /// The columns of the import files.
    pub header: Vec<String>,
    /// The first line of the import files.
    pub header_line: String,
    /// How far the users are written.
    pub to: WrittenTo,
    /// How many users are written.
    pub users: Users,
    /// Attributes left out of a row, counted by reason.
    pub dropped_attributes: BTreeMap<String, u64>,
    /// How many sign-up records were in the journal.
    pub sign_ups: u64,
    /// The rows.
    pub pieces: BTreeMap<Kind, Vec<Piece>>,
    /// The files that are closed.
    pub files: Vec<File>,
}

/// How far the users in the parts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WrittenTo {
    /// So many parts completely, and so many users of the next one.
    Part {
        /// Complete parts.
        parts: usize,
        /// Users of the next part.
        users: usize,
    },
    /// Everyone, including the newcomers whom the listing did not show.
    End,
}

impl WrittenTo {
    /// Nobody is written yet.
    pub const START: Self = Self::Part { parts: 0, users: 0 };
}

/// What the lines of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Rows of `users-0001.csv`, …
    Users,
    /// Rows of `newcomers-0001.csv`, …
    Newcomers,
    /// Rows of `rejected.csv`.
    Rejected,
    /// Lines of `leftovers-0001.jsonl`, …
    Leftovers,
    /// Newcomers who are written, so that the next worker does not look them up.
    Found,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Newcomers => "newcomers",
            Self::Rejected => "rejected",
            Self::Leftovers => "leftovers",
            Self::Found => "found",
        }
    }
}

impl From<Role> for Kind {
    fn from(role: Role) -> Self {
        match role {
            Role::Users => Self::Users,
            Role::Newcomers => Self::Newcomers,
            Role::Rejected => Self::Rejected,
            Role::Leftovers => Self::Leftovers,
        }
    }
}

/// Lines that are stored as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The number of the worker that has written it.
    worker: u32,
    /// Its number among the pieces of its kind.
    number: usize,
    /// Lines.
    pub rows: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Piece {
    /// The key of its object. The worker's number makes it unique.
    pub fn key(&self, snapshot: &Id, kind: Kind) -> String {
        let (worker, kind, number) = (self.worker, kind.as_str(), self.number);
        format!("{PARTS_PREFIX}{snapshot}/{worker:04}-{kind}-{number:04}")
    }
}

/// The pieces of each file of a kind, in the order of the files: at least one file, even if it has no rows. Each file is within the limits.
pub fn pieces_of_files(
    pieces: &[Piece],
    header_bytes: u64,
    limits: Option<FileLimits>,
) -> Vec<&[Piece]> {
    let mut files = Vec::new();
    let (mut first, mut rows, mut bytes) = (0, 0, header_bytes);
    for (at, piece) in pieces.iter().enumerate() {
        let is_full = limits.is_some_and(|limits| {
            rows + piece.rows > limits.rows || bytes + piece.bytes > limits.bytes
        });
        if is_full && at > first {
            files.push(&pieces[first..at]);
            (first, rows, bytes) = (at, 0, header_bytes);
        }
        rows += piece.rows;
        bytes += piece.bytes;
    }
    files.push(&pieces[first..]);
    files
}

/// Puts rows into pieces.
#[derive(Debug)]
pub struct PieceWriter {
    bucket: Bucket,
    snapshot: Id,
    worker: u32,
    open: BTreeMap<Kind, OpenPiece>,
    stored: BTreeMap<Kind, Vec<Piece>>,
}

#[derive(Debug, Default)]
struct OpenPiece {
    lines: Vec<u8>,
    rows: u64,
}

impl PieceWriter {
    /// Writes pieces after those that earlier workers have stored.
    pub fn new(bucket: &Bucket, progress: &Progress, stored: BTreeMap<Kind, Vec<Piece>>) -> Self {
        Self {
            bucket: bucket.clone(),
            snapshot: progress.snapshot.clone(),
            worker: progress.worker_number(),
            open: BTreeMap::new(),
            stored,
        }
    }

    /// Appends a line, its line ending included.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn write_row(&mut self, kind: Kind, row: &[u8]) -> Result<(), AwsError> {
        let open = self.open.entry(kind).or_default();
        if open.lines.capacity() == 0 {
            // Reserved memory that is never written to costs nothing; growing by doubling would.
            open.lines.reserve_exact(PIECE_BYTES + BUFFER_MARGIN_BYTES);
        }
        open.lines.extend_from_slice(row);
        open.rows += 1;
        match open.lines.len() >= PIECE_BYTES {
            true => self.store(kind).await,
            false => Ok(()),
        }
    }

    /// Stores all lines, and returns all pieces.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn store_all(&mut self) -> Result<&BTreeMap<Kind, Vec<Piece>>, AwsError> {
        let open: Vec<_> = self.open.keys().copied().collect();
        for kind in open {
            self.store(kind).await?;
        }
        Ok(&self.stored)
    }

    async fn store(&mut self, kind: Kind) -> Result<(), AwsError> {
        let Some(open) = self.open.remove(&kind) else {
            return Ok(());
        };
        let stored = self.stored.entry(kind).or_default();
        let piece = Piece {
            worker: self.worker,
            number: stored.len() + 1,
            rows: open.rows,
            bytes: open.lines.len() as u64,
        };
        self.bucket
            .put(&piece.key(&self.snapshot, kind), open.lines)
            .await?;
        stored.push(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(rows: u64, bytes: u64) -> Piece {
        Piece {
            worker: 1,
            number: 1,
            rows,
            bytes,
        }
    }

    fn limits(rows: u64, bytes: u64) -> Option<FileLimits> {
        Some(FileLimits { rows, bytes })
    }

    #[test]
    fn without_rows_there_is_one_file() {
        assert_eq!(pieces_of_files(&[], 100, limits(10, 1000)), [&[][..]]);
    }

    #[test]
    fn a_file_ends_before_the_piece_that_exceeds_its_rows_or_its_bytes() {
        let small = [piece(4, 10), piece(6, 10), piece(1, 10)];
        let large = [piece(1, 500), piece(1, 400), piece(1, 100)];

        let by_rows = pieces_of_files(&small, 100, limits(10, 1000));
        let by_bytes = pieces_of_files(&large, 100, limits(10, 1000));

        assert_eq!(by_rows, [&small[..2], &small[2..]]);
        assert_eq!(by_bytes, [&large[..2], &large[2..]]);
    }

    #[test]
    fn without_limits_there_is_one_file_whatever_its_size() {
        let pieces = [piece(1, u64::from(u32::MAX)); 3];

        assert_eq!(pieces_of_files(&pieces, 0, None), [&pieces[..]]);
    }

    proptest! {
        #[test]
        fn each_piece_is_in_one_file_and_each_file_within_its_limits(
            pieces in prop::collection::vec((1_u64..10, 1_u64..100), 0..50),
        ) {
            let pieces: Vec<_> = pieces.into_iter().map(|(rows, bytes)| piece(rows, bytes)).collect();

            let files = pieces_of_files(&pieces, 20, limits(10, 120));

            prop_assert_eq!(files.concat(), &pieces[..]);
            for file in files {
                prop_assert!(file.iter().map(|piece| piece.rows).sum::<u64>() <= 10);
                prop_assert!(file.iter().map(|piece| piece.bytes).sum::<u64>() + 20 <= 120);
            }
        }
    }
}
