//! Finds everything that is kept of a person: their users in both pools, and their objects in both buckets.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use reconcile::refused::refused_key;
use restore::writes::note_key;
use shared::cognito::listing::{Chain, Page, Position, list_chain};
use shared::cognito::pool::{Pool, PoolError};
use shared::cognito::users::{self, Holder};
use shared::confirmation::object_name;
use shared::identity::{Original, Relation, relation};
use shared::journal::{self, Kind, RecordedPerson, record_key};
use shared::outbox::{CONFLICTS_PREFIX, PENDING_PREFIX};
use shared::person::{Person, Status};
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
    /// Users of the primary pool who may be this person, by `sub`: their sign-in name is that of a user in the secondary pool who carries
    /// no origin attribute.
    pub perhaps_in_primary: BTreeSet<String>,
    /// Their users in the secondary pool, by `sub`.
    pub in_secondary: BTreeSet<String>,
    /// How many users of the secondary pool may be theirs, because they carry no origin attribute; 0 if a user of theirs is known.
    pub users_without_identity: u64,
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
    let theirs = records.iter().filter(|record| record.identity == identity);
    let recorded: Vec<String> = theirs.map(|record| record.person.clone()).collect();
    let has_records = !recorded.is_empty();
    subs.extend(recorded);
    let newcomers = records.iter().filter(|record| is_of_newcomer(record));
    let newcomers: BTreeSet<&str> = newcomers.map(|record| record.person.as_str()).collect();
    let progress = Progress::new(&context.terminal);
    let listed = AtomicU64::new(0);
    let on_page = |people: usize| {
        let people = people as u64;
        let before = listed.fetch_add(people, Ordering::Relaxed);
        progress.show(("listing both pools", before + people, None));
    };
    let sub_of_theirs = |person: &Person| {
        let is_theirs = site.identity(person) == Some(identity.as_str());
        person.sub().filter(|_| is_theirs).map(str::to_owned)
    };
    let (mut in_primary, mut in_secondary) = (BTreeSet::new(), BTreeSet::new());
    let mut users_without_identity = 0;
    let listed = tokio::try_join!(
        list(&site.primary, &on_page, |person| {
            in_primary.extend(sub_of_theirs(person));
        }),
        list(&site.secondary, &on_page, |person| {
            in_secondary.extend(sub_of_theirs(person));
            let is_newcomer = person.sub().is_some_and(|sub| newcomers.contains(sub));
            users_without_identity += u64::from(!is_newcomer && may_be_a_copy(site, person));
        }),
    );
    progress.end();
    listed?;
    subs.extend(in_primary);
    subs.extend(in_secondary);
    let traces = look(site, &identity, subs).await?;
    // Where a user of theirs is known, who may be gone by now, no other one is theirs.
    let is_user_known = has_records
        || !traces.in_secondary.is_empty()
        || traces.objects.contains(&withheld::withheld_key(&identity));
    Ok(Traces {
        users_without_identity: match is_user_known {
            true => 0,
            false => users_without_identity,
        },
        ..traces
    })
}

/// Whether a record says for certain who its person is: they signed up in the secondary pool, and are not in the primary pool yet, or are
/// there with a known `sub`.
fn is_of_newcomer(record: &RecordedPerson) -> bool {
    match record.kind {
        Kind::SignUp => true,
        Kind::Restored => record.primary_sub.is_some(),
        Kind::PasswordReset => false,
    }
}

/// Whether a user of the secondary pool may be a copy of anybody. Whoever never proved their address, or comes from another identity
/// provider, is nobody's copy.
fn may_be_a_copy(site: &Site, person: &Person) -> bool {
    let is_of_twinpool = !matches!(
        person.status,
        Status::Unconfirmed | Status::ExternalProvider
    );
    is_of_twinpool && person.attributes.origin(Some(&site.origin)).is_none()
}

impl Traces {
    /// Looks by name what is there now: much may have been written, moved or brought home since the look before.
    ///
    /// # Errors
    ///
    /// AWS rejected a call or did not answer, or an object cannot be read.
    pub async fn look_again(&self, site: &Site) -> Result<Self, Failure> {
        let now = look(site, &self.identity, self.subs.clone()).await?;
        Ok(Self {
            users_without_identity: self.users_without_identity,
            ..now
        })
    }

    /// Makes sure that the person is gone from the primary pool. `done` says what has been done so far.
    ///
    /// # Errors
    ///
    /// They are there, or may be.
    pub fn check_gone(&self, done: &str) -> Result<(), Failure> {
        let told = if let Some(there) = self.in_primary.first() {
            format!(
                "this person is in the primary pool: user {there}; {done}. Delete them there first, and run the command again"
            )
        } else if let Some(there) = self.perhaps_in_primary.first() {
            format!(
                "nobody can tell whether this person is in the primary pool: user {there} has the sign-in name there, and this person's user \
                 in the secondary pool carries no identity; {done}. If they are one person, delete them in the primary pool first. If not, \
                 delete the user in the secondary pool in the Cognito console. Then run the command again"
            )
        } else {
            return Ok(());
        };
        Err(Failure::Wrong(told))
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

/// Lists a pool.
async fn list(
    pool: &Pool,
    on_page: &impl Fn(usize),
    mut on_person: impl FnMut(&Person),
) -> Result<(), PoolError> {
    for chain in Chain::all() {
        let receive = async |page: Page| {
            page.people.iter().for_each(&mut on_person);
            on_page(page.people.len());
            ControlFlow::Continue(())
        };
        list_chain(pool, chain, Position::Start, receive).await?;
    }
    Ok(())
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
    let origin = Some(&site.origin);
    // A name may be the username of somebody else.
    let has_sub = |user: &Person| user.sub().is_some_and(|sub| subs.contains(sub));
    let is_in_primary = |user: &Person| has_sub(user) || site.identity(user) == Some(identity);
    let in_primary = users_of(&site.primary, &subs, is_in_primary).await?;
    let is_in_secondary = |user: &Person| match user.attributes.origin(origin) {
        Some(origin) => origin == identity,
        None => has_sub(user),
    };
    let in_secondary = users_of(&site.secondary, &subs, is_in_secondary).await?;
    let mut perhaps_in_primary = BTreeSet::new();
    for user in &in_secondary {
        if user.attributes.origin(origin).is_none() {
            let prefixes = [journal::SIGN_UPS_PREFIX, journal::RESTORED_PREFIX];
            let sub = user.sub().unwrap_or_default();
            let keys = prefixes.map(|prefix| record_key(prefix, sub));
            let is_newcomer = keys.iter().any(|key| objects.contains(key));
            perhaps_in_primary.extend(namesakes(site, user, is_newcomer).await?);
        }
    }
    Ok(Traces {
        identity: identity.to_owned(),
        subs,
        in_primary: subs_of(&in_primary),
        perhaps_in_primary,
        in_secondary: subs_of(&in_secondary),
        users_without_identity: 0,
        objects,
        outbox_objects,
    })
}

/// The users with these `sub`s who are this person. A listing lags behind, so AdminGetUser says who is there.
async fn users_of(
    pool: &Pool,
    subs: &BTreeSet<String>,
    is_theirs: impl Fn(&Person) -> bool,
) -> Result<Vec<Person>, PoolError> {
    let mut found = Vec::new();
    for sub in subs {
        found.extend(users::look_up(pool, sub).await?.filter(&is_theirs));
    }
    Ok(found)
}

fn subs_of(people: &[Person]) -> BTreeSet<String> {
    let subs = people.iter().filter_map(Person::sub);
    subs.map(str::to_owned).collect()
}

/// The users of the primary pool who may be the person of a user in the secondary pool who carries no origin attribute: where no identity
/// tells, the name does. Whoever signed up in the secondary pool is its original, and another identity is another person then.
async fn namesakes(
    site: &Site,
    user: &Person,
    is_newcomer: bool,
) -> Result<Vec<String>, PoolError> {
    let origin = Some(&site.origin);
    let addresses = ["email", "phone_number"].map(|address| user.attributes.get(address));
    let names = user.record_names().skip(1);
    let mut found = Vec::new();
    for name in names.chain(addresses.into_iter().flatten()) {
        let Holder::Somebody(holder) = users::look_up_holder(&site.primary, name).await? else {
            continue;
        };
        let original = Original {
            identity: holder.attributes.identity(origin),
            name,
            attributes: &holder.attributes,
            signed_up_at: None,
        };
        let is_another = holder.status == Status::Unconfirmed
            || is_newcomer && holder.attributes.origin(origin).is_some()
            || relation(&original, user, origin) == Relation::Another;
        found.extend(holder.sub().filter(|_| !is_another).map(str::to_owned));
    }
    Ok(found)
}
