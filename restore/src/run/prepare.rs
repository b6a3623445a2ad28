//! Phase 1: everything that is known before the target pool is listed.

use crate::decision::is_in_scope;
use crate::error::RestoreError;
use crate::names::{NameHash, NameHasher};
use crate::newcomers::{Newcomers, UnmatchedCause};
use crate::request::Request;
use crate::run::config::{RestoreConfig, RunContext};
use crate::source::SourceSnapshot;
use crate::target_pool::WantedUsers;
use shared::aws::RetryPolicy;
use shared::cognito::pool::Pool;
use shared::import_csv::Format;
use shared::import_csv::rules::Rules;
use shared::person::Attributes;
use shared::pool_id::PoolId;

/// The rate limit of reading calls. The quota of ListUsers, 30 a second, is shared with the live application (DG:quotas).
pub(super) const READ_CALLS_PER_SECOND: u32 = 25;

/// The rate limit of writing calls. The quota of UserUpdate is 25 a second (DG:quotas).
const WRITE_CALLS_PER_SECOND: u32 = 15;

/// Everything that is known before the target pool is listed.
pub(super) struct Prepared<'a> {
    pub(super) config: &'a RestoreConfig,
    pub(super) request: &'a Request,
    pub(super) run: &'a RunContext<'a>,
    /// The target pool, with the rate limit of reading calls.
    pub(super) target_reads: Pool,
    /// The target pool, with the rate limit of writing calls.
    pub(super) target_writes: Pool,
    /// The target pool's name.
    pub(super) pool_name: String,
    /// The format of the target pool's import files.
    pub(super) format: Format,
    /// What Cognito accepts in them.
    pub(super) rules: Rules,
    pub(super) hasher: NameHasher,
    pub(super) source: SourceSnapshot,
    pub(super) newcomers: Newcomers,
    /// The users to find in the target pool, with the attributes that no import file can carry.
    pub(super) wanted: WantedUsers,
}

impl<'a> Prepared<'a> {
    /// Reads the target pool's settings, the snapshot and the journal.
    ///
    /// # Errors
    ///
    /// One of them cannot be read; the pools use different sign-in names; or people have signed up since the snapshot and the request
    /// does not allow that.
    pub(super) async fn load(
        config: &'a RestoreConfig,
        request: &'a Request,
        run: &'a RunContext<'a>,
    ) -> Result<Self, RestoreError> {
        let pool = |id: &PoolId, calls_per_second| {
            let client = config.sdk.cognito(id, RetryPolicy::NO_RETRY);
            Pool::rate_limited(client, id.clone(), calls_per_second, run.last_call_at())
        };
        let target_reads = pool(&config.pool, READ_CALLS_PER_SECOND);
        let described = target_reads.describe().await?;
        let csv_header = target_reads.csv_header().await?;
        let format = Format::of(&described, &csv_header, None)?;
        let rules = Rules::of(&described, &csv_header);
        let rules = rules.map_err(|error| RestoreError::Header {
            pool: config.pool.clone(),
            error,
        })?;
        let hasher = NameHasher::of(&described);
        let source = SourceSnapshot::open(&config.bucket, &request.snapshot).await?;
        let sign_in = described.username_attributes().iter();
        let sign_in: Vec<_> = sign_in.map(|a| a.as_str().to_owned()).collect();
        check_sign_in_names(&source, &config.pool, &sign_in)?;
        let source_pool = source.manifest.pool.id.parse();
        let source_pool = source_pool.map_err(|_| RestoreError::Damaged {
            snapshot: source.manifest.snapshot.clone(),
            what: "the pool's id".to_owned(),
        })?;
        let source_pool = pool(&source_pool, READ_CALLS_PER_SECOND);
        let newcomers = Newcomers::read(&config.bucket, &source, hasher, &source_pool).await?;
        if !request.allow_stale {
            check_not_stale(&source, &newcomers)?;
        }
        let wanted = wanted_users(request, &source, &newcomers, hasher).await?;
        Ok(Self {
            config,
            request,
            run,
            target_reads,
            target_writes: pool(&config.pool, WRITE_CALLS_PER_SECOND),
            pool_name: described.name.clone().unwrap_or_default(),
            format,
            rules,
            hasher,
            source,
            newcomers,
            wanted,
        })
    }

    /// Whether the user of the snapshot with this name is in the scope of the request.
    pub(super) fn is_in_scope(&self, name: &NameHash) -> bool {
        is_in_scope(self.request.scope, self.newcomers.state_of(name))
    }
}

/// Fails unless users sign in to both pools with the same kind of name.
fn check_sign_in_names(
    source: &SourceSnapshot,
    target: &PoolId,
    target_sign_in: &[String],
) -> Result<(), RestoreError> {
    let source_sign_in = &source.manifest.pool.username_attributes;
    if target_sign_in == source_sign_in {
        return Ok(());
    }
    let describe = |attributes: &[String]| match attributes {
        [] => "username".to_owned(),
        attributes => attributes.join(" or "),
    };
    Err(RestoreError::SignInDiffers {
        snapshot: source.manifest.snapshot.clone(),
        pool: target.clone(),
        there: describe(source_sign_in),
        here: describe(target_sign_in),
    })
}

/// Fails if people have signed up since the snapshot was taken.
fn check_not_stale(source: &SourceSnapshot, newcomers: &Newcomers) -> Result<(), RestoreError> {
    let unmatched = newcomers.unmatched.iter();
    let newer = unmatched.filter(|unmatched| unmatched.cause == UnmatchedCause::Newer);
    match newer.count() {
        0 => Ok(()),
        records => Err(RestoreError::Stale {
            snapshot: source.manifest.snapshot.clone(),
            records,
        }),
    }
}

/// The users to find in the target pool: the newcomers, the owners of unmatched records, and every user in scope with attributes that
/// no import file can carry.
async fn wanted_users(
    request: &Request,
    source: &SourceSnapshot,
    newcomers: &Newcomers,
    hasher: NameHasher,
) -> Result<WantedUsers, RestoreError> {
    let names = newcomers.names();
    let mut wanted: WantedUsers = names.map(|name| (*name, Attributes::default())).collect();
    let unmatched = newcomers.unmatched.iter();
    let usernames = unmatched.filter_map(|unmatched| unmatched.username.as_ref());
    wanted.extend(usernames.map(|name| (hasher.hash(name.as_str()), Attributes::default())));
    let mut leftovers = source.leftovers();
    while let Some(leftover) = leftovers.next().await? {
        let name = hasher.hash(&leftover.username);
        if leftover.is_attribute() && is_in_scope(request.scope, newcomers.state_of(&name)) {
            let attributes = wanted.entry(name).or_default();
            for (attribute, value) in leftover.attributes.iter() {
                attributes.insert(attribute, value);
            }
        }
    }
    Ok(wanted)
}
