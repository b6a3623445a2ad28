//! Reads files, the large ones in chunks. An error names the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use shared::import_csv::reader::Lines;

use crate::failure::Failure;

/// Bytes of a file that are read at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Reads a whole file as text.
///
/// # Errors
///
/// The file cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| file_failure(path, error))
}

/// Opens a file; a directory is rejected.
///
/// # Errors
///
/// The file cannot be opened.
pub fn open(path: &Path) -> Result<File, Failure> {
    let open = || {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(file)
    };
    open().map_err(|error| file_failure(path, error))
}

fn file_failure(path: &Path, error: io::Error) -> Failure {
    let path = path.to_owned();
    Failure::File { path, error }
}

/// The failure for a file whose content cannot be used.
pub fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    file_failure(path, io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The lines of a file, which is read in chunks.
pub struct Source<'a> {
    path: &'a Path,
    file: File,
    /// The lines that have been read and not been taken yet.
    pub lines: Lines,
    chunk: Vec<u8>,
    /// Number of bytes read so far.
    pub bytes: u64,
    is_at_end: bool,
}

impl<'a> Source<'a> {
    /// The lines of an open file.
    pub fn new(path: &'a Path, file: File) -> Self {
        Self {
            path,
            file,
            lines: Lines::default(),
            chunk: Vec::new(),
            bytes: 0,
            is_at_end: false,
        }
    }

    /// Reads the next chunk. Returns false if the end of the file was reached before.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read_chunk(&mut self) -> Result<bool, Failure> {
        if self.is_at_end {
            return Ok(false);
        }
        self.chunk.clear();
        let mut chunk = Read::by_ref(&mut self.file).take(CHUNK_BYTES);
        let read = chunk.read_to_end(&mut self.chunk);
        let read = read.map_err(|error| file_failure(self.path, error))?;
        self.bytes += read as u64;
        self.is_at_end = read == 0;
        if self.is_at_end {
            self.lines.end();
        } else {
            self.lines.feed(&self.chunk);
        }
        Ok(true)
    }
}
