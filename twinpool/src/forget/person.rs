//! Finds everything that is kept of a person: their users in both pools, and their objects in both buckets.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use reconcile::refused::refused_key;
use restore::writes::note_key;
use shared::cognito::listing::{Chain, Page, Position, list_chain};
use shared::cognito::pool::Pool;
use shared::cognito::users;
use shared::confirmation::object_name;
use shared::journal::{self, RecordedPerson, record_key};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::person::Person;
use shared::withheld;

use super::Site;
use crate::context::Context;
use crate::failure::Failure;
use crate::terminal::Progress;

/// What is kept of a person.
pub struct Traces {
    /// Their identity.
    pub identity: String,
    /// Their users in the primary pool, by `sub`.
    pub in_primary: BTreeSet<String>,
    /// Their users in the secondary pool, by `sub`.
    pub in_secondary: BTreeSet<String>,
    /// The keys of their objects in the snapshot bucket.
    pub objects: BTreeSet<String>,
    /// The keys of their objects in the bucket of the outbox.
    pub outbox_objects: BTreeSet<String>,
}

/// Finds what is kept of the person with this `sub` in either pool.
///
/// # Errors
///
/// AWS rejected a call or did not answer, or an object cannot be read.
pub async fn find(site: &Site, sub: &str, context: &Context) -> Result<Traces, Failure> {
    let mut records = Vec::new();
    journal::read_everyone(&site.snapshots, Some(&site.origin), |record| {
        records.push(record);
    })
    .await?;
    let identity = identity_of(site, sub, &records).await?;
    let records = records.iter().filter(|record| record.identity == identity);
    let records: Vec<&RecordedPerson> = records.collect();
    let keys = records
        .iter()
        .map(|record| record_key(record.kind.prefix(), &record.person));
    let mut objects: BTreeSet<String> = keys.collect();
    let mut subs = BTreeSet::from([sub.to_owned(), identity.clone()]);
    for record in &records {
        subs.insert(record.person.clone());
        subs.extend(record.primary_sub.clone());
    }
    if let Some((withheld, _)) = withheld::read(&site.snapshots, &identity).await? {
        objects.insert(withheld::withheld_key(&identity));
        subs.extend(withheld.attributes.get("sub").map(str::to_owned));
    }
    let notes = subs.iter().map(|sub| note_key(site.primary.id(), sub));
    let by_name = notes.chain([refused_key(&identity)]);
    for key in by_name {
        if site.snapshots.get(&key).await?.is_some() {
            objects.insert(key);
        }
    }
    let progress = Progress::new(&context.terminal);
    let listed = AtomicU64::new(0);
    let on_page = |people: usize| {
        let people = people as u64;
        let before = listed.fetch_add(people, Ordering::Relaxed);
        progress.show(("listing both pools", before + people, None));
    };
    let found = tokio::try_join!(
        users_of(site, &site.primary, &identity, &subs, &on_page),
        users_of(site, &site.secondary, &identity, &subs, &on_page),
    );
    progress.end();
    let (in_primary, in_secondary) = found?;
    let mut outbox_objects = BTreeSet::new();
    for prefix in [PENDING_PREFIX, CONFLICTS_PREFIX] {
        for sub in &subs {
            let key = format!("{prefix}{}", object_name(sub));
            if site.outbox.get(&key).await?.is_some() {
                outbox_objects.insert(key);
            }
        }
    }
    Ok(Traces {
        identity,
        in_primary,
        in_secondary,
        objects,
        outbox_objects,
    })
}

/// The identity of the person with this `sub`: what their user in the secondary pool carries, else what their record says. Somebody who
/// has neither is known by their first `sub`, or not at all.
async fn identity_of(
    site: &Site,
    sub: &str,
    records: &[RecordedPerson],
) -> Result<String, Failure> {
    let user = users::look_up(&site.secondary, sub).await?;
    let user = user.filter(|user| user.sub() == Some(sub));
    if let Some(user) = user
        && let Some(identity) = user.attributes.identity(Some(&site.origin))
    {
        return Ok(identity.to_owned());
    }
    let is_theirs = |record: &&RecordedPerson| {
        record.person == sub || record.primary_sub.as_deref() == Some(sub)
    };
    let record = records.iter().find(is_theirs);
    Ok(record.map_or(sub, |record| &record.identity).to_owned())
}

/// The users of a pool who are this person. The listing finds those whose `sub` nobody knows; AdminGetUser says who is there now, because
/// a listing lags behind.
async fn users_of(
    site: &Site,
    pool: &Pool,
    identity: &str,
    subs: &BTreeSet<String>,
    on_page: &impl Fn(usize),
) -> Result<BTreeSet<String>, Failure> {
    let is_this_person =
        |person: &Person| person.attributes.identity(Some(&site.origin)) == Some(identity);
    let mut candidates = subs.clone();
    for chain in Chain::all() {
        let receive = async |page: Page| {
            let people = page.people.iter().filter(|person| is_this_person(person));
            candidates.extend(people.filter_map(|person| person.sub().map(str::to_owned)));
            on_page(page.people.len());
            ControlFlow::Continue(())
        };
        list_chain(pool, chain, Position::Start, receive).await?;
    }
    let mut found = BTreeSet::new();
    for sub in candidates {
        let person = users::look_up(pool, &sub).await?;
        let person = person.filter(is_this_person);
        found.extend(person.and_then(|person| person.sub().map(str::to_owned)));
    }
    Ok(found)
}
