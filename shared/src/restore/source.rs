//! The snapshot that people are brought back from: read as a stream, and held against its checksums.

use std::collections::VecDeque;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::RestoreError;
use crate::bucket::{Bucket, Download, hex};
use crate::import_csv::reader::{Cells, Header, Lines};
use crate::person::Attributes;
use crate::restore::request::Which;
use crate::snapshot::{File, Id, Latest, Manifest, Role};

/// A snapshot in its bucket.
#[derive(Debug)]
pub struct Source {
    bucket: Bucket,
    /// What it is made of.
    pub manifest: Manifest,
    /// The columns of its import files.
    pub header: Header,
}

/// A line of `leftovers-0001.jsonl`: somebody, or one attribute of somebody, that the import files do not hold.
#[derive(Deserialize)]
pub struct Leftover {
    /// What the person signs in with.
    pub username: String,
    /// Their id in the snapshot's pool.
    pub sub: String,
    /// Whether they may sign in.
    pub enabled: bool,
    /// Why they, or it, were left out.
    pub reason: String,
    /// All attributes of a person; of an attribute that was left out, that one.
    pub attributes: Attributes,
}

impl Leftover {
    /// Whether the person is in the import files, and only an attribute is not.
    pub fn is_attribute(&self) -> bool {
        crate::import_csv::Unwritable::ALL
            .iter()
            .any(|unwritable| unwritable.as_str() == self.reason)
    }
}

impl Source {
    /// Finds a snapshot.
    pub async fn open(bucket: &Bucket, which: &Which) -> Result<Self, RestoreError> {
        let id = match which {
            Which::Named(id) => id.clone(),
            Which::Latest => {
                let latest = Latest::read(bucket).await?;
                latest.ok_or(RestoreError::NoSnapshot)?.0.snapshot
            }
        };
        let manifest = bucket.get_json::<Manifest>(&id.manifest_key()).await?;
        let (manifest, _) = manifest.ok_or_else(|| RestoreError::NoManifest(id.clone()))?;
        if manifest.version != 1 {
            return Err(damaged(&id, "the version"));
        }
        let header = Header::of(&manifest.header).map_err(|_| damaged(&id, "header"))?;
        Ok(Self {
            bucket: bucket.clone(),
            manifest,
            header,
        })
    }

    /// The rows of the import files of a role, without their line ends; or the lines of the leftovers.
    pub fn lines(&self, role: Role) -> Reading<'_> {
        let files = self.manifest.files.iter();
        Reading {
            source: self,
            role,
            files: files.filter(|file| file.role == role).collect(),
            open: None,
        }
    }

    /// The cells of a row.
    pub fn cells<'a>(&'a self, row: &'a str) -> Result<Cells<'a>, RestoreError> {
        let cells = self.header.cells(row);
        cells.map_err(|_| damaged(&self.manifest.snapshot, "a row"))
    }

    /// The username of a row.
    pub fn username(&self, row: &str) -> Result<String, RestoreError> {
        let username = self.cells(row)?.username().map(|name| name.into_owned());
        username.ok_or_else(|| damaged(&self.manifest.snapshot, "a row"))
    }

    /// Everyone and everything that was left out.
    pub fn leftovers(&self) -> Leftovers<'_> {
        Leftovers(self.lines(Role::Leftovers))
    }
}

fn damaged(id: &Id, what: impl Into<String>) -> RestoreError {
    RestoreError::Damaged {
        snapshot: id.clone(),
        what: what.into(),
    }
}

/// The files of a role, line by line.
#[derive(Debug)]
pub struct Reading<'a> {
    source: &'a Source,
    role: Role,
    files: VecDeque<&'a File>,
    open: Option<OpenFile<'a>>,
}

struct OpenFile<'a> {
    file: &'a File,
    download: Download,
    digest: Sha256,
    lines: Lines,
    rows: u64,
    is_read: bool,
}

impl std::fmt::Debug for OpenFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile")
            .field("file", &self.file.key)
            .finish_non_exhaustive()
    }
}

impl Reading<'_> {
    /// The next line; none after the last one of the last file.
    ///
    /// # Errors
    ///
    /// A file is not what the manifest says.
    pub async fn next(&mut self) -> Result<Option<String>, RestoreError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.open = Some(self.source.open_file(file).await?);
                continue;
            };
            while let Some(line) = open.lines.next_line() {
                let id = &self.source.manifest.snapshot;
                let Ok(text) = line.text else {
                    return Err(damaged(id, &open.file.key));
                };
                if line.number == 1 && self.role != Role::Leftovers {
                    if Header::parse(text).as_ref() != Ok(&self.source.header) {
                        return Err(damaged(id, &open.file.key));
                    }
                    continue;
                }
                open.rows += 1;
                return Ok(Some(text.to_owned()));
            }
            if open.is_read {
                let is_whole = open.rows == open.file.rows
                    && hex(&std::mem::take(&mut open.digest).finalize()) == open.file.sha256;
                if !is_whole {
                    return Err(damaged(&self.source.manifest.snapshot, &open.file.key));
                }
                self.open = None;
                continue;
            }
            match open.download.chunk().await? {
                Some(chunk) => {
                    open.digest.update(&chunk);
                    open.lines.feed(&chunk);
                }
                None => {
                    open.lines.end();
                    open.is_read = true;
                }
            }
        }
    }
}

impl Source {
    async fn open_file<'a>(&self, file: &'a File) -> Result<OpenFile<'a>, RestoreError> {
        let download = self.bucket.download(&file.key).await?;
        let download = download.ok_or_else(|| damaged(&self.manifest.snapshot, &file.key))?;
        Ok(OpenFile {
            file,
            download,
            digest: Sha256::new(),
            lines: Lines::default(),
            rows: 0,
            is_read: false,
        })
    }
}

/// What was left out, line by line.
#[derive(Debug)]
pub struct Leftovers<'a>(Reading<'a>);

impl Leftovers<'_> {
    /// The next one; none after the last.
    pub async fn next(&mut self) -> Result<Option<Leftover>, RestoreError> {
        let Some(line) = self.0.next().await? else {
            return Ok(None);
        };
        let id = &self.0.source.manifest.snapshot;
        let leftover = serde_json::from_str(&line);
        Ok(Some(leftover.map_err(|_| damaged(id, "leftovers"))?))
    }
}
