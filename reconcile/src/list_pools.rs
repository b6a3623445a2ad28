//! Lists both pools at the same time, and sorts what is kept of each user; then reads what the bucket knows of people.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::aws::AwsError;
use shared::cognito::listing::{
    Chain, Listed as ChainListed, Page, Position, concurrent_chains, list_chain,
};
use shared::cognito::pool::{Pool, PoolError};
use shared::journal::Everyone;
use shared::s3::bucket::Bucket;
use shared::withheld;
use tokio::sync::mpsc;

use crate::comparison::Comparison;
use crate::error::ReconcileError;
use crate::listed::{Listed, Mark, UsedMark, seconds};
use crate::progress::{PoolProgress, Progress};
use crate::request::{RunContext, Step};
use crate::sorted::hash::hash16;
use crate::sorted::sorter::Sorter;

/// Pages that wait for the receiving side.
const MAX_WAITING_PAGES: usize = 4;

/// The longest time of listing that a killed worker loses. Runs have about their largest size at the default rate.
const SAVE_INTERVAL: Duration = Duration::from_secs(150);

/// One of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Primary,
    Secondary,
}

/// What a chain sends.
enum Message {
    Page(Chain, Page),
    /// The token from which the chain was to resume is no longer accepted.
    Expired(Chain),
}

/// Lists what has not been listed yet. `progress` is stored now and then, and at the end.
///
/// # Errors
///
/// A call failed, or the deadline passed: then the progress is stored too, and a later worker lists the rest.
pub async fn list_both(
    pools: (&Pool, &Pool),
    comparison: &Comparison,
    bucket: &Bucket,
    progress: &mut Progress,
    on_progress: &(dyn Fn(Step) + Sync),
) -> Result<(), ReconcileError> {
    let (primary_part, secondary_part) = (progress.part("primary"), progress.part("secondary"));
    let mut sorters = (
        sorter(bucket, primary_part, &mut progress.primary),
        sorter(bucket, secondary_part, &mut progress.secondary),
    );
    // It becomes the progress only together with the runs, so that nobody is left out after a failure.
    let mut reached = (progress.primary.clone(), progress.secondary.clone());
    let mut last_saved = Instant::now();
    // A chain whose token has expired is listed again; whoever is listed twice counts once.
    loop {
        let (sender, mut messages) = mpsc::channel(MAX_WAITING_PAGES);
        let primary = list_chains(pools.0, Side::Primary, unlisted(&reached.0), sender.clone());
        let secondary = list_chains(pools.1, Side::Secondary, unlisted(&reached.1), sender);
        let listing = async { tokio::try_join!(primary, secondary) };
        let mut listing = std::pin::pin!(listing);
        let mut listed = None;
        let mut has_expired = false;
        loop {
            // What was received comes before the end of a listing, so that nothing of it is lost.
            let message = tokio::select! {
                biased;
                message = messages.recv() => message,
                result = &mut listing, if listed.is_none() => {
                    listed = Some(result);
                    continue;
                }
            };
            let Some((side, message)) = message else {
                break;
            };
            let (of_pool, sorter, pool) = match side {
                Side::Primary => (&mut reached.0, &mut sorters.0, pools.0),
                Side::Secondary => (&mut reached.1, &mut sorters.1, pools.1),
            };
            match message {
                Message::Page(chain, page) => {
                    for person in &page.people {
                        sorter
                            .add(Listed::of(person, comparison, pool.id())?)
                            .await?;
                    }
                    of_pool.listed[chain.index()] += page.people.len() as u64;
                    of_pool.positions[chain.index()] = page.next;
                }
                Message::Expired(chain) => {
                    let (digit, pool) = (chain.first_digit(), pool.id());
                    tracing::info!(chain = %digit, %pool, "a token has expired: its chain is listed again");
                    of_pool.positions[chain.index()] = Position::Start;
                    of_pool.listed[chain.index()] = 0;
                    has_expired = true;
                }
            }
            on_progress(Step::Listing(
                reached.0.total_listed(),
                reached.1.total_listed(),
            ));
            if last_saved.elapsed() >= SAVE_INTERVAL {
                save(&mut sorters, &mut reached, bucket, progress).await?;
                last_saved = Instant::now();
            }
        }
        save(&mut sorters, &mut reached, bucket, progress).await?;
        listed.unwrap_or(Ok(((), ())))?;
        if !has_expired {
            return Ok(());
        }
    }
}

/// Lists whose replica is withheld.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn list_withheld(bucket: &Bucket, progress: &mut Progress) -> Result<(), AwsError> {
    let part = progress.part("withheld");
    let mut sorter = Sorter::new(
        bucket,
        move |number| format!("{part}-{number:04}"),
        Vec::new(),
    );
    let mut records = withheld::list(bucket);
    while let Some(page) = records.next_page().await? {
        for record in page {
            let mark = Mark::Withheld {
                identity: hash16(&record.person),
                since: seconds(record.last_modified),
            };
            sorter.add(mark).await?;
        }
    }
    sorter.flush().await?;
    progress.withheld = sorter.into_runs();
    Ok(())
}

/// Reads the journal: who has used the secondary pool, and what they were then. It follows the listings, so that whoever has used the
/// secondary pool and has deleted themselves there is known if they were not listed. False when the time is up.
///
/// # Errors
///
/// S3 refused or did not answer: what was read since the progress was last stored is read again.
pub async fn read_journal(
    comparison: &Comparison,
    bucket: &Bucket,
    progress: &mut Progress,
    context: &RunContext<'_>,
) -> Result<bool, ReconcileError> {
    let part = progress.part("used");
    let key = move |number| format!("{part}-{number:04}");
    let mut sorter = Sorter::new(bucket, key, progress.journal.runs.clone());
    let reached = progress.journal.reached.clone();
    let mut everyone = Everyone::after(bucket, comparison.origin(), reached);
    let mut last_saved = Instant::now();
    while !progress.journal.is_read {
        let people = everyone.next_people().await?;
        progress.journal.is_read = people.is_none();
        for person in people.iter().flatten() {
            let mark = UsedMark::of(person, comparison);
            sorter.add(Mark::Used(mark)).await?;
            // In the primary pool they may carry nothing but their `sub` there.
            if let Some(identity) = person.primary_sub.as_deref().map(hash16) {
                sorter
                    .add(Mark::Used(UsedMark { identity, ..mark }))
                    .await?;
            }
        }
        let is_time_up = context.is_time_up();
        if progress.journal.is_read || is_time_up || last_saved.elapsed() >= SAVE_INTERVAL {
            progress.journal.runs = sorter.flush().await?.to_vec();
            progress.journal.reached = everyone.reached().map(str::to_owned);
            progress.store(bucket).await?;
            last_saved = Instant::now();
        }
        if is_time_up && !progress.journal.is_read {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sorter(bucket: &Bucket, part: String, pool: &mut PoolProgress) -> Sorter<Listed> {
    let runs = pool.runs.clone();
    Sorter::new(bucket, move |number| format!("{part}-{number:04}"), runs)
}

async fn save(
    sorters: &mut (Sorter<Listed>, Sorter<Listed>),
    reached: &mut (PoolProgress, PoolProgress),
    bucket: &Bucket,
    progress: &mut Progress,
) -> Result<(), ReconcileError> {
    reached.0.runs = sorters.0.flush().await?.to_vec();
    reached.1.runs = sorters.1.flush().await?.to_vec();
    (progress.primary, progress.secondary) = reached.clone();
    progress.store(bucket).await
}

/// The chains that have not been listed to the end. Those with a token come first, because tokens expire after an hour.
fn unlisted(pool: &PoolProgress) -> Vec<(Chain, Position)> {
    let mut chains: Vec<_> = Chain::all()
        .map(|chain| (chain, pool.positions[chain.index()].clone()))
        .filter(|(_, position)| *position != Position::End)
        .collect();
    chains.sort_by_key(|(_, position)| *position == Position::Start);
    chains
}

async fn list_chains(
    pool: &Pool,
    side: Side,
    chains: Vec<(Chain, Position)>,
    sender: mpsc::Sender<(Side, Message)>,
) -> Result<(), PoolError> {
    stream::iter(chains)
        .map(async |(chain, from)| {
            let receive = async |page| send(&sender, side, Message::Page(chain, page)).await;
            if list_chain(pool, chain, from, receive).await? == ChainListed::TokenExpired {
                let _ = send(&sender, side, Message::Expired(chain)).await;
            }
            Ok::<_, PoolError>(())
        })
        .buffer_unordered(concurrent_chains(pool))
        .try_collect::<()>()
        .await
}

/// The receiving side ends before a chain does only if it has failed, and says why.
async fn send(
    sender: &mpsc::Sender<(Side, Message)>,
    side: Side,
    message: Message,
) -> ControlFlow<()> {
    match sender.send((side, message)).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}
