//! The snapshot to restore from, read as a stream and verified against its checksums.

use std::collections::VecDeque;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::RestoreError;
use crate::request::{Scope, SnapshotChoice};
use crate::who::{Comparison, Who};
use shared::id::Id;
use shared::import_csv::Unwritable;
use shared::import_csv::reader::{Cells, Header, Lines};
use shared::person::Attributes;
use shared::s3::bucket::Bucket;
use shared::s3::download::Download;
use shared::s3::upload::hex;
use shared::snapshot::export::GROUPS;
use shared::snapshot::latest::Latest;
use shared::snapshot::layout::manifest_key;
use shared::snapshot::manifest::{File, Manifest, Role};
use shared::snapshot::scope::Scope as SnapshotScope;
use shared::withheld::Why;

/// A complete snapshot in the bucket.
#[derive(Debug)]
pub struct SourceSnapshot {
    bucket: Bucket,
    /// Its manifest.
    pub manifest: Manifest,
    /// The header of its import files.
    pub header: Header,
    /// Whether everyone else is left out who is in the files.
    only_newcomers: bool,
}

/// A line of `leftovers-0001.jsonl`: a user whom the import files leave out; or one attribute, or the groups, of a user who has a row.
#[derive(Deserialize)]
pub struct Leftover {
    /// What the user signs in with.
    pub username: String,
    /// The user's `sub` in the snapshot's pool.
    pub sub: String,
    /// Whether the user is enabled.
    pub enabled: bool,
    /// Why the user, the attribute or the groups were left out.
    pub reason: String,
    /// Why twinpool has disabled the user, if it has.
    #[serde(default)]
    pub withheld: Option<Why>,
    /// The groups of a newcomer.
    #[serde(default)]
    pub groups: Vec<String>,
    /// All attributes of the user; or, if only one attribute was left out, that attribute.
    pub attributes: Attributes,
}

impl Leftover {
    /// Who this user is.
    pub fn who(&self, comparison: &Comparison) -> Who {
        let addresses = comparison.addresses_of(&self.attributes);
        comparison.who(&self.username, self.identity(comparison), addresses)
    }

    /// The user's identity, if it is known.
    pub fn identity(&self, comparison: &Comparison) -> Option<&str> {
        let sub = Some(self.sub.as_str()).filter(|sub| !sub.is_empty());
        self.attributes.identity(comparison.origin()).or(sub)
    }

    /// Whether twinpool has disabled the user because the person was deleted in the primary pool.
    pub fn is_withheld_as_deleted(&self) -> bool {
        self.withheld == Some(Why::Deleted)
    }

    /// Whether the user is in the import files: only an attribute or the groups were left out.
    pub fn has_row(&self) -> bool {
        let unwritable = Unwritable::ALL.iter().map(|reason| reason.as_str());
        unwritable.chain([GROUPS]).any(|part| part == self.reason)
    }
}

impl SourceSnapshot {
    /// Finds the snapshot to restore users of this scope from, and reads its manifest.
    ///
    /// # Errors
    ///
    /// There is no such snapshot, its manifest cannot be read, or it has only the newcomers and the scope is another one.
    pub async fn open(
        bucket: &Bucket,
        choice: &SnapshotChoice,
        scope: Scope,
    ) -> Result<Self, RestoreError> {
        let id = match choice {
            SnapshotChoice::Named(id) => id.clone(),
            SnapshotChoice::Latest => {
                let latest = latest_snapshot(bucket, scope).await?;
                latest.ok_or(RestoreError::NoSnapshot)?
            }
        };
        let source = Self::open_named(bucket, id).await?;
        if source.has_only_newcomers() && scope != Scope::Newcomers {
            let snapshot = source.manifest.snapshot;
            return Err(RestoreError::OnlyNewcomers(snapshot));
        }
        Ok(source)
    }

    /// Finds the latest snapshot of the whole pool that this snapshot was taken from; none if there is none any more.
    ///
    /// # Errors
    ///
    /// S3 failed, or the manifest cannot be read.
    pub async fn latest_of_whole_pool(&self) -> Result<Option<Self>, RestoreError> {
        let Some((latest, _)) = Latest::read(&self.bucket).await? else {
            return Ok(None);
        };
        match Self::open_named(&self.bucket, latest.snapshot).await {
            Ok(source) => Ok(Some(source).filter(|s| s.manifest.pool.id == self.manifest.pool.id)),
            Err(RestoreError::NoManifest(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether only the people who signed up in the snapshot's pool are read, and not everyone else.
    pub fn has_only_newcomers(&self) -> bool {
        self.only_newcomers
    }

    /// Reads a snapshot of the whole pool as one of the newcomers.
    pub fn leave_out_everyone_else(&mut self) {
        self.only_newcomers = true;
    }

    async fn open_named(bucket: &Bucket, id: Id) -> Result<Self, RestoreError> {
        let manifest = bucket.get_json::<Manifest>(&manifest_key(&id)).await?;
        let (manifest, _) = manifest.ok_or_else(|| RestoreError::NoManifest(id.clone()))?;
        if manifest.version != 1 {
            return Err(damaged(&id, "the version"));
        }
        let header = Header::of(&manifest.header).map_err(|_| damaged(&id, "header"))?;
        Ok(Self {
            bucket: bucket.clone(),
            only_newcomers: manifest.scope == SnapshotScope::Newcomers,
            manifest,
            header,
        })
    }

    /// A stream of the rows of all import files of a role, without header and line feed; or of the lines of the leftovers.
    pub fn lines(&self, role: Role) -> VerifiedLines<'_> {
        let files = self.manifest.files.iter();
        VerifiedLines {
            source: self,
            role,
            files: files.filter(|file| file.role == role).collect(),
            current: None,
        }
    }

    /// The cells of a row.
    ///
    /// # Errors
    ///
    /// The row does not have the header's number of cells.
    pub fn cells<'a>(&'a self, row: &'a str) -> Result<Cells<'a>, RestoreError> {
        let cells = self.header.cells(row);
        cells.map_err(|_| damaged(&self.manifest.snapshot, "a row"))
    }

    /// The username of a row.
    ///
    /// # Errors
    ///
    /// The row has no readable username, or not the header's number of cells.
    pub fn username(&self, row: &str) -> Result<String, RestoreError> {
        let username = self.cells(row)?.username().map(|name| name.into_owned());
        username.ok_or_else(|| damaged(&self.manifest.snapshot, "a row"))
    }

    /// The attributes of a row.
    ///
    /// # Errors
    ///
    /// A value does not have the form that an import file requires.
    pub fn attributes(&self, row: &str) -> Result<Attributes, RestoreError> {
        let attributes = self.cells(row)?.attributes();
        attributes.map_err(|_| damaged(&self.manifest.snapshot, "a row"))
    }

    /// A stream of the users and attributes that the import files leave out.
    pub fn leftovers(&self) -> LeftoverReader<'_> {
        LeftoverReader(self.lines(Role::Leftovers))
    }
}

/// The latest snapshot for a restore of this scope. One of the whole pool has the newcomers too, so for them it is the newer one of the
/// two; where an earlier version of twinpool takes the snapshots, there is no pointer to the latest one of the newcomers.
async fn latest_snapshot(bucket: &Bucket, scope: Scope) -> Result<Option<Id>, RestoreError> {
    let of_pool = Latest::read(bucket).await?;
    let of_newcomers = match scope {
        Scope::Newcomers => Latest::read_of(bucket, SnapshotScope::Newcomers).await?,
        Scope::Missing | Scope::Users => None,
    };
    let latest = [of_pool, of_newcomers].into_iter().flatten();
    Ok(latest.map(|(latest, _)| latest.snapshot).max())
}

fn damaged(id: &Id, what: impl Into<String>) -> RestoreError {
    RestoreError::Damaged {
        snapshot: id.clone(),
        what: what.into(),
    }
}

/// The lines of all files of a role. A file whose content differs from its checksum ends the stream with an error.
#[derive(Debug)]
pub struct VerifiedLines<'a> {
    source: &'a SourceSnapshot,
    role: Role,
    files: VecDeque<&'a File>,
    current: Option<OpenFile<'a>>,
}

struct OpenFile<'a> {
    file: &'a File,
    download: Download,
    digest: Sha256,
    lines: Lines,
    rows: u64,
    is_downloaded: bool,
}

impl std::fmt::Debug for OpenFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile")
            .field("file", &self.file.key)
            .finish_non_exhaustive()
    }
}

impl VerifiedLines<'_> {
    /// The next line; none after the last line of the last file.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or differs from what the manifest says.
    pub async fn next(&mut self) -> Result<Option<String>, RestoreError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.current = Some(self.source.open_file(file).await?);
                continue;
            };
            while let Some(line) = current.lines.next_line() {
                let id = &self.source.manifest.snapshot;
                let Ok(text) = line.text else {
                    return Err(damaged(id, &current.file.key));
                };
                if line.number == 1 && self.role != Role::Leftovers {
                    if Header::parse(text).as_ref() != Ok(&self.source.header) {
                        return Err(damaged(id, &current.file.key));
                    }
                    continue;
                }
                current.rows += 1;
                return Ok(Some(text.to_owned()));
            }
            if current.is_downloaded {
                let matches_manifest = current.rows == current.file.rows
                    && hex(&std::mem::take(&mut current.digest).finalize()) == current.file.sha256;
                if !matches_manifest {
                    return Err(damaged(&self.source.manifest.snapshot, &current.file.key));
                }
                self.current = None;
                continue;
            }
            match current.download.next_chunk().await? {
                Some(chunk) => {
                    current.digest.update(&chunk);
                    current.lines.feed(&chunk);
                }
                None => {
                    current.lines.end();
                    current.is_downloaded = true;
                }
            }
        }
    }
}

impl SourceSnapshot {
    async fn open_file<'a>(&self, file: &'a File) -> Result<OpenFile<'a>, RestoreError> {
        let download = self.bucket.download(&file.key).await?;
        let download = download.ok_or_else(|| damaged(&self.manifest.snapshot, &file.key))?;
        Ok(OpenFile {
            file,
            download,
            digest: Sha256::new(),
            lines: match file.role {
                Role::Leftovers => Lines::of_json(),
                Role::Users | Role::Newcomers | Role::Rejected => Lines::default(),
            },
            rows: 0,
            is_downloaded: false,
        })
    }
}

/// The users and attributes that the import files leave out, line by line.
#[derive(Debug)]
pub struct LeftoverReader<'a>(VerifiedLines<'a>);

impl LeftoverReader<'_> {
    /// The next one; none after the last one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or differs from what the manifest says.
    pub async fn next(&mut self) -> Result<Option<Leftover>, RestoreError> {
        let Some(line) = self.0.next().await? else {
            return Ok(None);
        };
        let id = &self.0.source.manifest.snapshot;
        let leftover = serde_json::from_str(&line);
        Ok(Some(leftover.map_err(|_| damaged(id, "leftovers"))?))
    }
}
