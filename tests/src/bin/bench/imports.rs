//! The import jobs of an endpoint: a job imports its whole file when it is started, and has no log, because no row is refused.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};
use shared::import_csv::reader::Header;
use shared::person::Attributes;

use crate::people::{self, HEADER};

/// The jobs of a pool that has everyone below a number, and whom they have imported.
#[derive(Default)]
pub struct Imports {
    jobs: Vec<Job>,
    imported: HashMap<u64, Attributes>,
}

struct Job {
    name: String,
    file: Bytes,
    status: &'static str,
    imported: u64,
    skipped: u64,
    failed: u64,
}

impl Imports {
    /// Creates a job, whose file is to be uploaded to this URL with its id.
    pub fn create(&mut self, name: &str, upload_url: &str) -> Value {
        self.jobs.push(Job {
            name: name.to_owned(),
            file: Bytes::new(),
            status: "Created",
            imported: 0,
            skipped: 0,
            failed: 0,
        });
        let id = self.jobs.len().to_string();
        let url = format!("{upload_url}{id}");
        let mut job = self.describe(&id).unwrap_or_default();
        job["UserImportJob"]["PreSignedUrl"] = url.into();
        job
    }

    /// Keeps the file of a job.
    pub fn upload(&mut self, id: &str, file: Bytes) {
        if let Some(job) = self.job(id) {
            job.file = file;
        }
    }

    /// Imports the file of a job into a pool that has everyone below `users`; none if there is no such job, or no file of this pool.
    pub fn start(&mut self, id: &str, users: u64) -> Option<Value> {
        let file = self.job(id)?.file.clone();
        let header = Header::of(&HEADER).ok()?;
        let rows = std::str::from_utf8(&file).ok()?;
        let rows = rows.strip_prefix(&header.line())?;
        let (mut imported, mut skipped, mut failed) = (0, 0, 0);
        for line in rows.lines() {
            let attributes = header.cells(line).ok().and_then(|c| c.attributes().ok());
            let email = attributes.as_ref().and_then(|all| all.get("email"));
            match (email.and_then(people::number), attributes) {
                (Some(number), _) if number < users || self.imported.contains_key(&number) => {
                    skipped += 1;
                }
                (Some(number), Some(attributes)) => {
                    self.imported.insert(number, attributes);
                    imported += 1;
                }
                _ => failed += 1,
            }
        }
        let job = self.job(id)?;
        (job.imported, job.skipped, job.failed) = (imported, skipped, failed);
        job.status = "Succeeded";
        self.describe(id)
    }

    /// A job as DescribeUserImportJob returns it.
    pub fn describe(&self, id: &str) -> Option<Value> {
        let job = self.jobs.get(id.parse::<usize>().ok()?.checked_sub(1)?)?;
        Some(json!({"UserImportJob": {
            "JobId": id, "JobName": job.name, "Status": job.status,
            "ImportedUsers": job.imported, "SkippedUsers": job.skipped, "FailedUsers": job.failed,
        }}))
    }

    /// The attributes of a user whom a job has imported.
    pub fn imported(&self, number: u64) -> Option<&Attributes> {
        self.imported.get(&number)
    }

    /// The number after the greatest of those users.
    pub fn end(&self) -> u64 {
        self.imported.keys().max().map_or(0, |number| number + 1)
    }

    /// How many users the jobs have imported.
    pub fn count(&self) -> u64 {
        self.imported.len() as u64
    }

    fn job(&mut self, id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(id.parse::<usize>().ok()?.checked_sub(1)?)
    }
}
