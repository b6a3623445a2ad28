//! The first fill: brings people by import jobs, which make no monthly active users.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ::reconcile::request::ReconcileConfig;
use restore::fill::{FillConfig, fill};
use restore::names::IdentityHash;
use restore::request::Status;
use restore::run::{RoleArn, RunContext};
use shared::journal;
use tokio::sync::watch;

use super::lease_holder;
use crate::context::Context;
use crate::failure::Failure;
use crate::restore::progress_of;
use crate::terminal::Progress;

/// The restore needs a deadline. A run of the command line is not limited, so this is longer than any restore.
const RUN_TIME_LIMIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Takes a snapshot of the primary pool and imports it into the secondary pool. Whom it cannot bring is left to reconcile.
///
/// # Errors
///
/// The snapshot cannot be taken or imported, or AWS did not answer.
pub async fn run(
    config: &ReconcileConfig,
    role: &RoleArn,
    context: &Context,
) -> Result<(), Failure> {
    let note = "many people are missing in the secondary: bringing them by import jobs";
    context.terminal.note(note);
    let fill_config = FillConfig {
        sdk: config.sdk.clone(),
        primary: config.primary.clone(),
        secondary: config.secondary.clone(),
        bucket: config.bucket.clone(),
        role: role.clone(),
        origin: config.origin.clone(),
        lists_per_second: config.lists_per_second,
        skip: people_who_used_secondary(config).await?,
    };
    let progress = Progress::new(&context.terminal);
    let run = RunContext {
        lease_holder: lease_holder(),
        deadline: Instant::now() + RUN_TIME_LIMIT,
        on_progress: &|step| progress.show(progress_of(step)),
    };
    let (sender, mut listed) = watch::channel(0);
    // The sender is dropped when the fill ends, which ends the loop below.
    let filling = async move {
        let filled = fill(&fill_config, &run, &sender);
        filled.await
    };
    let listing = async {
        while listed.changed().await.is_ok() {
            let users = *listed.borrow_and_update();
            progress.show(("taking a snapshot of the primary", users, None));
        }
    };
    let (filled, ()) = tokio::join!(filling, listing);
    progress.end();
    let filled = filled?;
    let imported = filled.restored.counts.imported;
    let rest = match filled.restored.status {
        Status::Complete => "",
        Status::InProgress | Status::Incomplete => {
            "; the others are created one by one, if they can be"
        }
    };
    context.terminal.note(format_args!(
        "{imported} people were imported{rest}; report: s3://{}/{}",
        config.bucket.name(),
        filled.restored.report
    ));
    Ok(())
}

/// Everyone who has used the secondary pool. Those who are not there any more were deleted there, which is reported and never undone.
async fn people_who_used_secondary(
    config: &ReconcileConfig,
) -> Result<HashSet<IdentityHash>, Failure> {
    let mut people = HashSet::new();
    let origin = config.origin.as_ref();
    journal::read_everyone(&config.bucket, origin, |person| {
        people.insert(IdentityHash::of(&person.identity));
        people.extend(person.primary_sub.as_deref().map(IdentityHash::of));
    })
    .await?;
    Ok(people)
}
