//! The options that name the snapshot bucket.

use shared::aws::{RetryPolicy, Sdk};
use shared::s3::bucket::Bucket;

/// The bucket of a command that reads or writes what twinpool keeps.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SnapshotBucket {
    /// The bucket of the journal, the snapshots and the reports.
    #[arg(long = "bucket", env = "TWINPOOL_BUCKET", value_name = "NAME")]
    pub name: String,

    /// The region of that bucket. Without this option, that of the secondary pool, or of the only pool.
    #[arg(
        long = "bucket-region",
        env = "TWINPOOL_BUCKET_REGION",
        value_name = "REGION"
    )]
    pub region: Option<String>,
}

impl SnapshotBucket {
    /// The bucket. `pools_region` is its region if the options name none.
    pub fn open(&self, sdk: &Sdk, pools_region: &str, policy: RetryPolicy) -> Bucket {
        let region = self.region.as_deref().unwrap_or(pools_region);
        Bucket::new(sdk.s3_in(region, policy), &self.name)
    }
}
