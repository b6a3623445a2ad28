//! What a test may turn while a region runs: its clock, the lag and the pages of ListUsers, quotas, imports.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::quota::Category;

/// A moment in milliseconds since 1970.
pub(super) type Millis = u64;

/// The region's clock: the machine's, moved forward by what [`super::Cognito::advance`] was told.
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

/// How ListUsers cuts its pages.
// botocore ListUsers, Limit: "might return fewer items than you specify" short of the end [D].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// Each page is as long as asked for, except the last.
    #[default]
    Full,
    /// Pages of any length from one user on.
    Short {
        /// Makes the lengths repeatable.
        seed: u64,
    },
    /// As `Short`, with empty pages in between that still carry a token, and sometimes an empty last page.
    Empty {
        /// Makes the lengths repeatable.
        seed: u64,
    },
}

/// How import jobs run.
#[derive(Clone, Copy, Debug)]
pub struct ImportKnobs {
    /// Rows a second; `None` is as fast as the machine can. (AWS publishes no rate.)
    pub rows_per_second: Option<u32>,
    /// A job whose skipped and failed rows are more than this share of all ends as Failed.
    // facts 1.9: AWS publishes no threshold; more than half is [Inf].
    pub failure_share: f64,
    /// Whether rows after the threshold are left untried. Not documented either way.
    pub abort: bool,
    /// How many starts of each job do not see the upload yet.
    // facts 1.8: AWS's own importer starts a job up to five times right after the upload [I].
    pub unseen_starts: u32,
    /// How long after a job's end its log is there; `None` is line by line as the rows are done. Not documented either way.
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

/// The knobs of one region's user pools; each takes effect with the next request.
#[derive(Default)]
pub struct Knobs {
    turned: Mutex<Turned>,
}

#[derive(Default)]
struct Turned {
    list_lag: Duration,
    pages: Pages,
    quotas_lifted: bool,
    quota_of: HashMap<Category, u32>,
    import: ImportKnobs,
    broken_rows: BTreeSet<usize>,
}

impl Knobs {
    fn turned(&self) -> MutexGuard<'_, Turned> {
        super::lock(&self.turned)
    }

    /// How long after a change ListUsers shows it. Zero at first.
    pub fn set_list_lag(&self, lag: Duration) {
        self.turned().list_lag = lag;
    }

    /// How ListUsers cuts its pages. Full at first.
    pub fn set_pages(&self, pages: Pages) {
        self.turned().pages = pages;
    }

    /// Lifts or restores all quotas. They are on at first.
    pub fn set_quotas(&self, on: bool) {
        self.turned().quotas_lifted = !on;
    }

    /// Sets one category's requests a second, as an adjusted quota at AWS.
    pub fn set_quota(&self, category: Category, per_second: u32) {
        self.turned().quota_of.insert(category, per_second);
    }

    /// How import jobs run from now on, those under way included.
    pub fn set_import(&self, import: ImportKnobs) {
        self.turned().import = import;
    }

    /// Fails these rows of the next import job with an internal error, and of that job only; the first row is 1.
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

    /// The rate of a category, or `None` when quotas are lifted.
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
