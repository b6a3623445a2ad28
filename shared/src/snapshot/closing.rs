//! Writes the users of a snapshot of the pool that was resumed: from the parts into pieces, and from the pieces into files.
//!
//! A large pool needs several invocations for it. `progress.json` remembers how far they have come: up to which user, which pieces there
//! are, and which files are closed. See [`written`](crate::snapshot::written) for why that is safe.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::aws::error::AwsError;
use crate::cognito::pool::PoolError;
use crate::person::Person;
use crate::s3::json::to_json;
use crate::s3::upload::hex;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::export::{Export, USERS_PER_BATCH};
use crate::snapshot::files::Series;
use crate::snapshot::manifest::{File, Role, Users};
use crate::snapshot::unfinished::{Unfinished, lines_by_part, read_part};
use crate::snapshot::written::{Kind, Piece, PieceWriter, Written, WrittenTo, pieces_of_files};

/// Pieces that are read ahead.
const CONCURRENT_PIECES: usize = 4;

/// The roles of the files, in the order in which they are closed.
const ROLES: [Role; 4] = [
    Role::Users,
    Role::Newcomers,
    Role::Rejected,
    Role::Leftovers,
];

impl Export<'_> {
    /// Writes all users who are in parts, as far as earlier workers have not done it. Returns all files.
    pub(super) async fn write_stored_users(
        &mut self,
        unfinished: &mut Unfinished,
    ) -> Result<Vec<File>, SnapshotError> {
        let mut written = self.written_so_far(unfinished);
        if written.to != WrittenTo::End {
            self.write_pieces(&mut written, unfinished).await?;
        }
        self.users = written.users.clone();
        self.dropped_attributes = written.dropped_attributes.clone();
        self.join_pieces(written, unfinished).await
    }

    /// What earlier workers have written. Rows of two formats cannot be in one file, so that everyone is written anew when the format has
    /// changed. When everyone is written, it does not matter any more.
    fn written_so_far(&self, unfinished: &Unfinished) -> Written {
        let format = hex(&Sha256::digest(format!("{:?}", self.format)));
        match &unfinished.progress().written {
            Some(written) if written.to == WrittenTo::End || written.format == format => {
                return written.clone();
            }
            Some(_) => tracing::warn!(
                "the pool's settings have changed since rows were written: all users are written again"
            ),
            None => {}
        }
        Written {
            format,
            header: self.header.to_vec(),
            header_line: self.format.header_line(),
            to: WrittenTo::START,
            users: Users::default(),
            dropped_attributes: BTreeMap::new(),
            sign_ups: 0,
            pieces: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    async fn write_pieces(
        &mut self,
        written: &mut Written,
        unfinished: &mut Unfinished,
    ) -> Result<(), SnapshotError> {
        let bucket = self.task.bucket;
        self.read_journal(unfinished.progress()).await?;
        self.mark_written(written, unfinished).await?;
        self.users = written.users.clone();
        self.dropped_attributes = written.dropped_attributes.clone();
        let pieces = std::mem::take(&mut written.pieces);
        self.pieces = Some(PieceWriter::new(bucket, unfinished.progress(), pieces));

        if let WrittenTo::Part { parts, users } = written.to {
            let keys = unfinished.progress().part_keys().skip(parts).collect();
            let mut lines = pin!(lines_by_part::<Person>(bucket, keys).enumerate());
            while let Some((at, people)) = lines.next().await {
                let already = if at == 0 { users } else { 0 };
                let (parts, mut users) = (parts + at, already);
                let mut people = people?.into_iter().skip(already);
                loop {
                    let batch: Vec<_> = people.by_ref().take(USERS_PER_BATCH).collect();
                    if batch.is_empty() {
                        break;
                    }
                    users += batch.len();
                    self.export_listed_users(batch).await?;
                    written.to = WrittenTo::Part { parts, users };
                    self.save_if_due(written, unfinished).await?;
                }
            }
            // Newcomers whom the listing did not show come last. Those who are written already are marked.
            written.to = WrittenTo::Part {
                parts: unfinished.progress().part_keys().count(),
                users: 0,
            };
        }
        for records in self.sign_ups.recent_not_found().chunks(USERS_PER_BATCH) {
            self.export_unlisted_newcomers(records).await?;
            self.save_if_due(written, unfinished).await?;
        }
        self.log_deleted();
        written.to = WrittenTo::End;
        self.save_written(written, unfinished).await?;
        self.pieces = None;
        Ok(())
    }

    /// Marks the newcomers whom earlier workers have written.
    async fn mark_written(
        &mut self,
        written: &Written,
        unfinished: &Unfinished,
    ) -> Result<(), SnapshotError> {
        let snapshot = &unfinished.progress().snapshot;
        let pieces = written.pieces.get(&Kind::Found).into_iter().flatten();
        let keys = pieces.map(|piece| piece.key(snapshot, Kind::Found));
        let keys: Vec<_> = keys.collect();
        let mut found = pin!(lines_by_part::<(Option<String>, String)>(
            self.task.bucket,
            keys
        ));
        while let Some(names) = found.try_next().await? {
            for (sub, username) in names {
                self.sign_ups.mark_found(sub.as_deref(), &username);
            }
        }
        Ok(())
    }

    /// Notes that a newcomer is written, for the next worker.
    pub(super) async fn note_found(
        &mut self,
        sub: Option<&str>,
        username: &str,
    ) -> Result<(), AwsError> {
        match &mut self.pieces {
            Some(pieces) => {
                let line = to_json(&(sub, username));
                pieces.write_row(Kind::Found, &line).await
            }
            None => Ok(()),
        }
    }

    /// Stores what is written now and then, and once more before the time is up.
    async fn save_if_due(
        &mut self,
        written: &mut Written,
        unfinished: &mut Unfinished,
    ) -> Result<(), SnapshotError> {
        // The time in which the last pieces are stored.
        let margin = unfinished.save_interval() / 5;
        let left = self.task.deadline.duration_since(Instant::now());
        let is_last = left <= margin.max(Duration::from_millis(1));
        if is_last || unfinished.is_save_due() {
            self.save_written(written, unfinished).await?;
        }
        match is_last {
            true => Err(PoolError::OutOfTime(self.task.pool.id().clone()).into()),
            false => Ok(()),
        }
    }

    async fn save_written(
        &mut self,
        written: &mut Written,
        unfinished: &mut Unfinished,
    ) -> Result<(), SnapshotError> {
        if let Some(pieces) = &mut self.pieces {
            written.pieces = pieces.store_all().await?.clone();
        }
        written.users = self.users.clone();
        written.dropped_attributes = self.dropped_attributes.clone();
        written.sign_ups = self.sign_ups.len();
        unfinished.save_written(written.clone()).await
    }

    /// Joins the pieces into files, one after the other.
    async fn join_pieces(
        &mut self,
        mut written: Written,
        unfinished: &mut Unfinished,
    ) -> Result<Vec<File>, SnapshotError> {
        let snapshot = unfinished.progress().snapshot.clone();
        let pieces = std::mem::take(&mut written.pieces);
        let mut closed = 0;
        for role in ROLES {
            let series = Series::of(role, &snapshot, &written.header_line);
            let kind = Kind::from(role);
            let pieces = pieces.get(&kind).map_or(&[][..], Vec::as_slice);
            let header_bytes = series.header.len() as u64;
            let files = pieces_of_files(pieces, header_bytes, series.limits);
            for (number, pieces) in (1..).zip(files) {
                closed += 1;
                if closed <= written.files.len() {
                    continue;
                }
                let keys = pieces.iter().map(|piece| piece.key(&snapshot, kind));
                let file = self.join(&series, number, pieces, keys.collect()).await?;
                written.files.push(file);
                unfinished.save_closed_files(&written.files).await?;
            }
        }
        Ok(written.files)
    }

    /// Joins pieces into one file.
    async fn join(
        &mut self,
        series: &Series,
        number: usize,
        pieces: &[Piece],
        keys: Vec<String>,
    ) -> Result<File, SnapshotError> {
        let bucket = self.task.bucket;
        let mut bodies = pin!(
            stream::iter(keys)
                .map(|key| read_part(bucket, key))
                .buffered(CONCURRENT_PIECES)
        );
        let upload = self.joining.insert(bucket.upload((series.key)(number)));
        upload.write(series.header.as_bytes()).await?;
        for piece in pieces {
            let Some((key, body)) = bodies.try_next().await? else {
                break;
            };
            if body.len() as u64 != piece.bytes {
                return Err(SnapshotError::LostPart { key });
            }
            upload.write(&body).await?;
        }
        let upload = self.joining.take().expect("it was inserted above");
        let object = upload.finish().await?;
        Ok(File {
            key: object.key,
            role: series.role,
            rows: pieces.iter().map(|piece| piece.rows).sum(),
            bytes: object.bytes,
            sha256: object.sha256,
        })
    }
}
