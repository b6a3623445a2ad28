//! Deletes what is kept of a person, under the leases of the runs that might write it again.

use jiff::{SignedDuration, Timestamp};
use restore::lease::has_running_job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::aws::AwsError;
use shared::cognito::users;
use shared::forgotten;
use shared::id::Id;
use shared::s3::bucket::Bucket;
use shared::s3::lease::{Holder, Lease, LeaseState, Term};
use shared::snapshot::layout::{FILLS_PREFIX, LEASE_KEY, LEASE_NEWCOMERS_KEY, RESTORE_LEASE_KEY};

use super::Site;
use super::person::Traces;
use crate::failure::Failure;

/// How long the leases are held: longer than the few calls that erase somebody.
const LEASE_VALIDITY: SignedDuration = SignedDuration::from_mins(3);

/// Marks the person as erased, then deletes their objects, and their users last: whoever runs the command again after an interruption
/// finds everything that is left by them. Gives what was deleted.
///
/// # Errors
///
/// A run is under way that may hold the person, they have come back to the primary pool, or AWS rejected a call or did not answer.
pub async fn erase(site: &Site, traces: &Traces) -> Result<Traces, Failure> {
    // Before the leases: whoever begins a run from now on sees the mark, and whoever began before holds a lease.
    let now = Timestamp::now();
    forgotten::mark(&site.snapshots, &traces.identity, now).await?;
    let leases = take_leases(site).await?;
    let erased = delete(site, traces).await;
    release(leases).await;
    erased
}

async fn delete(site: &Site, traces: &Traces) -> Result<Traces, Failure> {
    // Runs may have kept the person, or brought them home, since the pools were listed. From now on no run can.
    let mut traces = traces.look_again(site).await?;
    traces.check_gone("the person is marked as erased, but nothing was deleted")?;
    delete_objects(site, &traces).await?;
    for sub in &traces.in_secondary {
        users::delete(&site.secondary, sub).await?;
    }
    // Until their users were deleted, the trigger may have kept the person again.
    let left = traces.look_again(site).await?;
    if let Some(sub) = left.in_secondary.first() {
        return Err(Failure::Wrong(format!(
            "user {sub} is still in the secondary pool: run the command again"
        )));
    }
    delete_objects(site, &left).await?;
    traces.objects.extend(left.objects);
    traces.outbox_objects.extend(left.outbox_objects);
    Ok(traces)
}

async fn delete_objects(site: &Site, traces: &Traces) -> Result<(), AwsError> {
    for key in &traces.outbox_objects {
        delete_object(&site.outbox, key).await?;
    }
    for key in &traces.objects {
        delete_object(&site.snapshots, key).await?;
    }
    Ok(())
}

async fn delete_object(bucket: &Bucket, key: &str) -> Result<(), AwsError> {
    // A worker may have written a newer one between the look and the deletion.
    while let Some(object) = bucket.get(key).await? {
        if bucket.delete_if(key, &object.etag).await? {
            break;
        }
    }
    Ok(())
}

/// The lease of a run of any kind: what it keeps is left as it is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct AnyLease {
    holder: Option<Holder>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl LeaseState for AnyLease {
    fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    fn set_holder(&mut self, holder: Option<Holder>) {
        self.holder = holder;
    }
}

/// Takes the leases of snapshots, reconcile, restores and fills, those that there are.
async fn take_leases(site: &Site) -> Result<Vec<Lease<AnyLease>>, Failure> {
    let fills = site.snapshots.below(FILLS_PREFIX);
    let all = [
        (&site.snapshots, LEASE_KEY, "a snapshot"),
        (&site.snapshots, LEASE_NEWCOMERS_KEY, "a snapshot"),
        (&site.snapshots, reconcile::run::LEASE_KEY, "reconcile"),
        (&site.snapshots, RESTORE_LEASE_KEY, "a restore"),
        (&fills, RESTORE_LEASE_KEY, "a fill"),
        (&fills, LEASE_KEY, "a fill"),
    ];
    let holder = format!("twinpool-{}", Id::new(Timestamp::now()));
    let mut leases = Vec::new();
    for (bucket, key, run) in all {
        match take_lease(bucket, key, run, &holder).await {
            Ok(lease) => leases.extend(lease),
            Err(failure) => {
                release(leases).await;
                return Err(failure);
            }
        }
    }
    Ok(leases)
}

/// Takes the lease of a run; none if there has never been such a run: whoever begins one now sees the mark.
async fn take_lease(
    bucket: &Bucket,
    key: &str,
    run: &str,
    holder: &str,
) -> Result<Option<Lease<AnyLease>>, Failure> {
    let busy = || {
        Failure::Busy(format!(
            "{run} is under way and may hold this person: the person is marked as erased, but not deleted yet. Run the command again when \
             it has ended"
        ))
    };
    let Some((state, etag)) = bucket.get_json::<AnyLease>(key).await? else {
        return Ok(None);
    };
    if key == RESTORE_LEASE_KEY && has_running_job(bucket).await? {
        return Err(busy());
    }
    let term = Term::Until(Timestamp::now() + LEASE_VALIDITY);
    let lease = Lease::take(bucket, key, Some(&etag), state, holder, term).await?;
    lease.ok_or_else(busy).map(Some)
}

/// Gives leases back. One that cannot be given back expires by itself.
async fn release(leases: Vec<Lease<AnyLease>>) {
    for lease in leases {
        if let Err(error) = lease.release(|_| ()).await {
            tracing::warn!(%error, "a lease stays until it expires");
        }
    }
}
