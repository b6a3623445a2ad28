//! Finds everything that is kept of a person: their users in both pools, and their objects in both buckets.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use reconcile::refused::refused_key;
use restore::writes::note_key;
use shared::cognito::listing::{Chain, Page, Position, list_chain};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users;
use shared::confirmation::object_name;
use shared::journal::{self, Kind, RecordedPerson, record_key};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::withheld;

use super::Site;
use crate::context::Context;
use crate::failure::Failure;
use crate::terminal::Progress;

/// What is kept of a person.
pub struct Traces {
    /// Their identity.
    pub identity: String,
    /// Every `sub` under which they are known, in either pool. Their objects are named by them.
    pub subs: BTreeSet<String>,
    /// Their users in the primary pool, by `sub`.
    pub in_primary: BTreeSet<String>,
    /// Their users in the secondary pool, by `sub`.
    pub in_secondary: BTreeSet<String>,
    /// The keys of their objects in the snapshot bucket.
    pub objects: BTreeSet<String>,
    /// The keys of their objects in the bucket of the outbox.
    pub outbox_objects: BTreeSet<String>,
}

/// Finds what is kept of the person with this `sub` in either pool. Only a listing finds users whose `sub` nobody knows, so it takes
/// minutes in a large pool: [`Traces::look_again`] says what is there after that.
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
    let mut subs = BTreeSet::from([sub.to_owned(), identity.clone()]);
    let records = records.into_iter();
    let records = records.filter(|record| record.identity == identity);
    subs.extend(records.map(|record| record.person));
    let progress = Progress::new(&context.terminal);
    let listed = AtomicU64::new(0);
    let on_page = |people: usize| {
        let people = people as u64;
        let before = listed.fetch_add(people, Ordering::Relaxed);
        progress.show(("listing both pools", before + people, None));
    };
    let found = tokio::try_join!(
        list(site, &site.primary, &identity, &on_page),
        list(site, &site.secondary, &identity, &on_page),
    );
    progress.end();
    let (in_primary, in_secondary) = found?;
    subs.extend(in_primary);
    subs.extend(in_secondary);
    look(site, &identity, subs).await
}

impl Traces {
    /// Looks by name what is there now: much may have been written, moved or brought home since the look before.
    ///
    /// # Errors
    ///
    /// AWS rejected a call or did not answer, or an object cannot be read.
    pub async fn look_again(&self, site: &Site) -> Result<Self, Failure> {
        look(site, &self.identity, self.subs.clone()).await
    }

    /// Makes sure that the person is gone from the primary pool. `done` says what has been done so far.
    ///
    /// # Errors
    ///
    /// They are there.
    pub fn check_gone(&self, done: &str) -> Result<(), Failure> {
        let Some(there) = self.in_primary.first() else {
            return Ok(());
        };
        Err(Failure::Wrong(format!(
            "this person is in the primary pool: user {there}; {done}. Delete them there first, and run the command again"
        )))
    }
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

/// The `sub`s of the users of a pool who carry an identity.
async fn list(
    site: &Site,
    pool: &Pool,
    identity: &str,
    on_page: &impl Fn(usize),
) -> Result<BTreeSet<String>, PoolError> {
    let mut found = BTreeSet::new();
    for chain in Chain::all() {
        let receive = async |page: Page| {
            let people = page.people.iter();
            let people = people.filter(|person| site.identity(person) == Some(identity));
            found.extend(people.filter_map(|person| person.sub().map(str::to_owned)));
            on_page(page.people.len());
            ControlFlow::Continue(())
        };
        list_chain(pool, chain, Position::Start, receive).await?;
    }
    Ok(found)
}

/// Looks for the users and the objects of a person under these `sub`s, and under those that their objects name.
async fn look(site: &Site, identity: &str, mut subs: BTreeSet<String>) -> Result<Traces, Failure> {
    let Site {
        snapshots, outbox, ..
    } = site;
    let mut objects = BTreeSet::new();
    if let Some((withheld, _)) = withheld::read(snapshots, identity).await? {
        objects.insert(withheld::withheld_key(identity));
        subs.extend(withheld.attributes.get("sub").map(str::to_owned));
    }
    for sub in subs.clone() {
        subs.extend(journal::archived_primary_sub(snapshots, &sub).await?);
    }
    let by_sub = subs.iter().flat_map(|sub| {
        let records = Kind::ALL.map(|kind| record_key(kind.prefix(), sub));
        records
            .into_iter()
            .chain([note_key(site.primary.id(), sub)])
    });
    for key in by_sub.chain([refused_key(identity)]) {
        if snapshots.get(&key).await?.is_some() {
            objects.insert(key);
        }
    }
    let mut outbox_objects = BTreeSet::new();
    for prefix in [PENDING_PREFIX, CONFLICTS_PREFIX] {
        for sub in &subs {
            let key = format!("{prefix}{}", object_name(sub));
            if outbox.get(&key).await?.is_some() {
                outbox_objects.insert(key);
            }
        }
    }
    let in_primary = users_of(site, &site.primary, identity, &subs).await?;
    let in_secondary = users_of(site, &site.secondary, identity, &subs).await?;
    Ok(Traces {
        identity: identity.to_owned(),
        subs,
        in_primary,
        in_secondary,
        objects,
        outbox_objects,
    })
}

/// The users with these `sub`s who are this person. A listing lags behind, so AdminGetUser says who is there.
async fn users_of(
    site: &Site,
    pool: &Pool,
    identity: &str,
    subs: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    for sub in subs {
        let person = users::look_up(pool, sub).await?;
        let person = person.filter(|person| site.identity(person) == Some(identity));
        found.extend(person.and_then(|person| person.sub().map(str::to_owned)));
    }
    Ok(found)
}
