//! The settings that a test can change while a region runs: its clock, the delay and the pages of listings, groups, quotas
//! and imports.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::quota::Category;

/// A time in milliseconds since 1970.
pub(super) type Millis = u64;

/// The region's clock: the machine's clock, moved forward with [`super::Cognito::advance`].
#[derive(Default)]
pub(super) struct Clock {
    ahead: AtomicU64,
}

impl Clock {
    pub(super) fn now(&self) -> Millis {
        millis(SystemTime::now()) + self.ahead.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead
            .fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

pub(super) fn millis(time: SystemTime) -> Millis {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64
}

pub(super) fn system_time(at: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}

/// The lengths of the pages of ListUsers and ListUsersInGroup.
// botocore ListUsers, Limit: "might return fewer items than you specify" short of the end [D].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// Each page except the last one has the requested length.
    #[default]
    Full,
    /// Pages have any length from one user on.
    Short {
        /// The seed of the random lengths.
        seed: u64,
    },
    /// Like `Short`, with empty pages in between that have a token, and sometimes an empty last page.
    Empty {
        /// The seed of the random lengths.
        seed: u64,
    },
}

/// How import jobs run.
#[derive(Clone, Copy, Debug)]
pub struct ImportKnobs {
    /// Rows a second; `None` means as fast as possible. AWS publishes no rate.
    pub rows_per_second: Option<u32>,
    /// A job ends as Failed if more than this share of its rows is skipped or fails.
    // facts 1.9: AWS publishes no threshold; more than half is [Inf].
    pub failure_share: f64,
    /// Whether the job stops as soon as the threshold is exceeded. This is not documented.
    pub abort: bool,
    /// How many attempts to start each job do not see the uploaded file yet.
    // facts 1.8: AWS's own importer starts a job up to five times right after the upload [I].
    pub unseen_starts: u32,
    /// The time after the end of a job when its log appears; `None` means that each line appears at once. This is not
    /// documented.
    pub log_lag: Option<Duration>,
}

impl Default for ImportKnobs {
    fn default() -> Self {
        Self {
            rows_per_second: None,
            failure_share: 0.5,
            abort: false,
            unseen_starts: 0,
            log_lag: None,
        }
    }
}

/// The settings of the emulation of one region's user pools; each takes effect with the next request.
#[derive(Default)]
pub struct Knobs {
    turned: Mutex<Turned>,
}

#[derive(Default)]
struct Turned {
    list_lag: Duration,
    group_lag: Duration,
    most_groups: Option<usize>,
    update_group_keeps: bool,
    pages: Pages,
    quotas_lifted: bool,
    quota_of: HashMap<Category, u32>,
    import: ImportKnobs,
    broken_rows: BTreeSet<usize>,
    reported_refusals: bool,
    estimated_users: Option<u64>,
}

impl Knobs {
    fn turned(&self) -> MutexGuard<'_, Turned> {
        super::lock(&self.turned)
    }

    /// Sets the time after which ListUsers shows a change. The default is zero.
    pub fn set_list_lag(&self, lag: Duration) {
        self.turned().list_lag = lag;
    }

    /// Sets the time after which ListUsersInGroup shows a change of a membership. The default is zero. What it shows of a member
    /// is as old as in ListUsers.
    pub fn set_group_lag(&self, lag: Duration) {
        self.turned().group_lag = lag;
    }

    pub(super) fn group_lag(&self) -> Duration {
        self.turned().group_lag
    }

    /// Sets how many groups a pool can have.
    // facts N2: 10,000, not adjustable [D].
    pub fn set_most_groups(&self, most: usize) {
        self.turned().most_groups = Some(most);
    }

    pub(super) fn most_groups(&self) -> usize {
        self.turned().most_groups.unwrap_or(10_000)
    }

    /// Sets whether UpdateGroup keeps what the request leaves out. By default, that is cleared.
    // facts N2: which of the two is unknown [U].
    pub fn set_update_group_keeps(&self, keeps: bool) {
        self.turned().update_group_keeps = keeps;
    }

    pub(super) fn update_group_keeps(&self) -> bool {
        self.turned().update_group_keeps
    }

    /// Sets the number of users that DescribeUserPool estimates for every pool. The default is the number of users that a pool has.
    pub fn set_estimated_users(&self, users: u64) {
        self.turned().estimated_users = Some(users);
    }

    pub(super) fn estimated_users(&self) -> Option<u64> {
        self.turned().estimated_users
    }

    /// Sets the lengths of the pages of ListUsers and ListUsersInGroup. The default is full pages.
    pub fn set_pages(&self, pages: Pages) {
        self.turned().pages = pages;
    }

    /// Turns all quotas on or off. By default they are on.
    pub fn set_quotas(&self, on: bool) {
        self.turned().quotas_lifted = !on;
    }

    /// Sets the requests a second of one category, like an adjusted quota in AWS.
    pub fn set_quota(&self, category: Category, per_second: u32) {
        self.turned().quota_of.insert(category, per_second);
    }

    /// Makes AdminCreateUser refuse with the codes and texts that public reports show, where they differ from the documentation.
    // facts N11.1, N11.2: both are seen [I].
    pub fn set_reported_refusals(&self, on: bool) {
        self.turned().reported_refusals = on;
    }

    pub(super) fn reported_refusals(&self) -> bool {
        self.turned().reported_refusals
    }

    /// Sets how import jobs run from now on, including those that are already running.
    pub fn set_import(&self, import: ImportKnobs) {
        self.turned().import = import;
    }

    /// Makes these rows of the next import job fail with an internal error; the first row is 1. Later jobs are not affected.
    // facts 1.8: a row is not imported because of an internal error, and the job continues [D].
    pub fn break_rows(&self, rows: impl IntoIterator<Item = usize>) {
        self.turned().broken_rows.extend(rows);
    }

    pub(super) fn take_broken_rows(&self) -> BTreeSet<usize> {
        std::mem::take(&mut self.turned().broken_rows)
    }

    pub(super) fn list_lag(&self) -> Duration {
        self.turned().list_lag
    }

    pub(super) fn pages(&self) -> Pages {
        self.turned().pages
    }

    pub(super) fn import(&self) -> ImportKnobs {
        self.turned().import
    }

    /// The rate of a category, or `None` if quotas are off.
    pub(super) fn quota(&self, category: Category) -> Option<u32> {
        let turned = self.turned();
        let usual = || category.default_rate();
        (!turned.quotas_lifted).then(|| {
            turned
                .quota_of
                .get(&category)
                .copied()
                .unwrap_or_else(usual)
        })
    }
}
