//! The journal's sign-ups, as one snapshot sees them: who is a newcomer, and who must be looked up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::aws::error::AwsError;
use crate::cognito::listing::CHAIN_COUNT;
use crate::journal::{MAX_LISTING_DELAY, Records, SIGN_UPS_PREFIX};
use crate::s3::bucket::Bucket;

/// The sign-ups in the journal. Each takes seventeen bytes, so that a million of them fit into memory.
#[derive(Debug, Default)]
pub struct SignUps {
    /// By the first hex digit of the `sub`, each list sorted.
    by_sub: [Vec<(Uuid, State)>; CHAIN_COUNT],
    /// Records that are not named by a UUID: of events without a `sub`, by username.
    by_name: BTreeMap<String, State>,
}

/// What is known of a sign-up record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Older than the previous snapshot; the person is not found in the pool yet.
    Old,
    /// Newer than the previous snapshot; the person is not found in the pool yet.
    Recent,
    /// Newer than the start of this snapshot. The person may be too late for it; the next snapshot looks them up.
    TooLate,
    /// The person is in the pool.
    Found,
}

/// What the journal says of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalEntry {
    /// There is no sign-up record: the user is not a newcomer.
    None,
    /// A newcomer whom the listing shows as they are.
    Settled,
    /// A newcomer who signed up so recently that the listing may show them as they were, or not at all.
    Recent,
}

impl SignUps {
    /// Lists the journal for a snapshot that was started at this time, perhaps some invocations ago. Records between the start of
    /// the previous snapshot and this time are recent.
    ///
    /// # Errors
    ///
    /// S3 refused or did not answer.
    pub async fn list(
        bucket: &Bucket,
        previous: Option<Timestamp>,
        started_at: Timestamp,
    ) -> Result<Self, AwsError> {
        let since = previous.and_then(|previous| previous.checked_sub(MAX_LISTING_DELAY).ok());
        let until = started_at + MAX_LISTING_DELAY;
        let mut sign_ups = Self::default();
        let mut records = Records::list(bucket, SIGN_UPS_PREFIX);
        while let Some(page) = records.next_page().await? {
            for record in page {
                let state = match since {
                    Some(since) if record.last_modified < since => State::Old,
                    _ if record.last_modified > until => State::TooLate,
                    _ => State::Recent,
                };
                sign_ups.insert(record.person, state);
            }
        }
        for list in &mut sign_ups.by_sub {
            list.sort_unstable();
        }
        Ok(sign_ups)
    }

    fn insert(&mut self, person: String, state: State) {
        match parse_sub(&person) {
            Some(sub) => self.by_sub[first_digit(sub)].push((sub, state)),
            None => {
                self.by_name.insert(person, state);
            }
        }
    }

    /// How many sign-up records there are.
    pub fn len(&self) -> u64 {
        let by_sub: usize = self.by_sub.iter().map(Vec::len).sum();
        (by_sub + self.by_name.len()) as u64
    }

    /// Whether there is no sign-up record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the journal says of a user.
    pub fn entry(&self, sub: Option<&str>, username: &str) -> JournalEntry {
        let by_sub = sub.and_then(parse_sub).and_then(|sub| self.position(sub));
        let state = match by_sub {
            Some((digit, at)) => Some(self.by_sub[digit][at].1),
            None => self.name(sub, username).map(|name| self.by_name[name]),
        };
        match state {
            None => JournalEntry::None,
            Some(State::Recent) => JournalEntry::Recent,
            Some(State::Old | State::TooLate | State::Found) => JournalEntry::Settled,
        }
    }

    /// Notes that a user is in the pool, so that they need not be looked up.
    pub fn mark_found(&mut self, sub: Option<&str>, username: &str) {
        let by_sub = sub.and_then(parse_sub).and_then(|sub| self.position(sub));
        if let Some((digit, at)) = by_sub {
            self.by_sub[digit][at].1 = State::Found;
        } else if let Some(name) = self.name(sub, username).map(str::to_owned) {
            self.by_name.insert(name, State::Found);
        }
    }

    /// Notes that the record of this name is dealt with. Whether there is such a record, and it was not dealt with before.
    pub fn mark_record_found(&mut self, record: &str) -> bool {
        let state = match parse_sub(record) {
            Some(sub) => match self.position(sub) {
                Some((digit, at)) => &mut self.by_sub[digit][at].1,
                None => return false,
            },
            None => match self.by_name.get_mut(record) {
                Some(state) => state,
                None => return false,
            },
        };
        std::mem::replace(state, State::Found) != State::Found
    }

    /// Whether there is a record of this name.
    pub fn has_record(&self, record: &str) -> bool {
        match parse_sub(record) {
            Some(sub) => self.position(sub).is_some(),
            None => self.by_name.contains_key(record),
        }
    }

    /// The names of all records that are not dealt with.
    pub fn not_found(&self) -> impl Iterator<Item = String> {
        self.names_where(|state| state != State::Found)
    }

    /// The recent newcomers who were not found, by the names of their records: `sub`, else username.
    pub fn recent_not_found(&self) -> Vec<String> {
        self.names_in(State::Recent).collect()
    }

    /// How many older newcomers were not found: most likely deleted.
    pub fn old_not_found(&self) -> usize {
        self.names_in(State::Old).count()
    }

    fn names_in(&self, wanted: State) -> impl Iterator<Item = String> {
        self.names_where(move |state| state == wanted)
    }

    fn names_where(
        &self,
        is_wanted: impl Fn(State) -> bool + Copy,
    ) -> impl Iterator<Item = String> {
        let by_sub = self.by_sub.iter().flatten();
        let by_sub = by_sub.filter(move |(_, state)| is_wanted(*state));
        let by_name = self.by_name.iter();
        let by_name = by_name.filter(move |(_, state)| is_wanted(**state));
        by_sub
            .map(|(sub, _)| sub.to_string())
            .chain(by_name.map(|(name, _)| name.clone()))
    }

    fn position(&self, sub: Uuid) -> Option<(usize, usize)> {
        let digit = first_digit(sub);
        let at = self.by_sub[digit].binary_search_by_key(&sub, |(sub, _)| *sub);
        Some((digit, at.ok()?))
    }

    fn name<'a>(&self, sub: Option<&'a str>, username: &'a str) -> Option<&'a str> {
        let mut names = sub.into_iter().chain([username]);
        names.find(|name| self.by_name.contains_key(*name))
    }
}

/// Whether the journal has a sign-up record from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSignUps {
    /// It has at least one.
    Some,
    /// It has none.
    None {
        /// The number of all sign-up records.
        records: u64,
    },
}

/// Looks whether the journal has a sign-up record from a time on; stops at the first one.
///
/// # Errors
///
/// S3 refused or did not answer.
pub async fn sign_ups_since(bucket: &Bucket, since: Timestamp) -> Result<NewSignUps, AwsError> {
    let mut count = 0;
    let mut records = Records::list(bucket, SIGN_UPS_PREFIX);
    while let Some(page) = records.next_page().await? {
        if page.iter().any(|record| record.last_modified >= since) {
            return Ok(NewSignUps::Some);
        }
        count += page.len() as u64;
    }
    Ok(NewSignUps::None { records: count })
}

fn first_digit(sub: Uuid) -> usize {
    usize::from(sub.as_bytes()[0] >> 4)
}

/// A `sub` in the form in which Cognito writes it, so that the same text can be made of it again.
fn parse_sub(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "37d4da28-9031-70e9-1111-0123456789ab";

    #[test]
    fn a_newcomer_is_found_by_sub_or_by_username() {
        let mut sign_ups = SignUps::default();
        sign_ups.insert(SUB.into(), State::Old);
        sign_ups.insert("taro".into(), State::Recent);
        sign_ups.insert("no-uuid".into(), State::Recent);

        assert_eq!(sign_ups.entry(Some(SUB), "someone"), JournalEntry::Settled);
        assert_eq!(sign_ups.entry(None, "taro"), JournalEntry::Recent);
        assert_eq!(
            sign_ups.entry(Some("no-uuid"), "jiro"),
            JournalEntry::Recent
        );
        assert_eq!(
            sign_ups.entry(Some("00d4da28-9031-70e9-1111-0123456789ab"), "hanako"),
            JournalEntry::None
        );
        assert_eq!(sign_ups.len(), 3);
    }

    #[test]
    fn only_recent_newcomers_who_were_not_found_are_looked_up() {
        let mut sign_ups = SignUps::default();
        let found = "47d4da28-9031-70e9-1111-0123456789ab";
        sign_ups.insert(SUB.into(), State::Recent);
        sign_ups.insert(found.into(), State::Recent);
        sign_ups.insert("old".into(), State::Old);
        sign_ups.insert("too-late".into(), State::TooLate);

        sign_ups.mark_found(Some(found), found);

        assert_eq!(sign_ups.recent_not_found(), [SUB]);
        assert_eq!(sign_ups.old_not_found(), 1);
        assert_eq!(sign_ups.entry(None, "too-late"), JournalEntry::Settled);
    }

    #[test]
    fn each_record_is_dealt_with_once() {
        let mut sign_ups = SignUps::default();
        sign_ups.insert(SUB.into(), State::Recent);
        sign_ups.insert("taro".into(), State::TooLate);

        assert!(sign_ups.mark_record_found(SUB));
        assert!(!sign_ups.mark_record_found(SUB));
        assert!(!sign_ups.mark_record_found("jiro"));
        assert!(!sign_ups.mark_record_found("47d4da28-9031-70e9-1111-0123456789ab"));

        assert_eq!(sign_ups.not_found().collect::<Vec<_>>(), ["taro"]);
        assert!(sign_ups.has_record(SUB) && sign_ups.has_record("taro"));
        assert!(!sign_ups.has_record("jiro"));
    }
}
