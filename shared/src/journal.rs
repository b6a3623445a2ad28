//! The journal's sign-ups: who is a newcomer, and whether a snapshot is needed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::aws::AwsError;
use crate::bucket::{Bucket, Listed};
use crate::record::{SIGN_UPS, person_of};

/// Time in which a record may appear in a listing after the second it is dated with: a trigger's whole life.
pub const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(10);

/// The sign-ups in the journal. Seventeen bytes a newcomer, so that a million of them are no burden.
#[derive(Debug, Default)]
pub struct SignUps {
    /// By the first hex digit of the `sub`, each sorted once listed.
    by_sub: [Vec<(Uuid, State)>; 16],
    /// Records that are not named after a UUID: of events that had no `sub`, by username.
    by_name: BTreeMap<String, State>,
}

/// What is known of a sign-up record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Older than the previous snapshot, and not met in the pool yet.
    Old,
    /// Newer, and not met in the pool yet.
    Recent,
    /// Newer than the start of this snapshot. Its person may be too late for it: the next one looks.
    Late,
    /// Its person has been met.
    Met,
}

/// What a snapshot must do about a person, going by the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// No sign-up record.
    No,
    /// Signed up in this pool, and need not be looked for.
    Settled,
    /// Signed up since: the listing may not show them, or not as they are.
    Recent,
}

impl SignUps {
    /// Lists the journal, for a snapshot that was started at a point in time, perhaps some invocations ago. Records between
    /// the start of the previous snapshot and then are recent.
    pub async fn list(
        bucket: &Bucket,
        previous: Option<Timestamp>,
        started_at: Timestamp,
    ) -> Result<Self, AwsError> {
        let since = previous.and_then(|previous| previous.checked_sub(IN_FLIGHT).ok());
        let until = started_at + IN_FLIGHT;
        let mut sign_ups = Self::default();
        let mut listing = bucket.list(SIGN_UPS);
        while let Some(page) = listing.page().await? {
            for (name, last_modified) in page.into_iter().filter_map(record) {
                let state = match since {
                    Some(since) if last_modified < since => State::Old,
                    _ if last_modified > until => State::Late,
                    _ => State::Recent,
                };
                sign_ups.insert(name, state);
            }
        }
        for digit in &mut sign_ups.by_sub {
            digit.sort_unstable();
        }
        Ok(sign_ups)
    }

    fn insert(&mut self, name: String, state: State) {
        match uuid(&name) {
            Some(sub) => self.by_sub[first_digit(sub)].push((sub, state)),
            None => {
                self.by_name.insert(name, state);
            }
        }
    }

    /// How many there are.
    pub fn records(&self) -> u64 {
        let by_sub: usize = self.by_sub.iter().map(Vec::len).sum();
        (by_sub + self.by_name.len()) as u64
    }

    /// Whether any record is in the journal that is newer than a point in time; stops at the first.
    pub async fn any_since(bucket: &Bucket, since: Timestamp) -> Result<Newer, AwsError> {
        let mut records = 0;
        let mut listing = bucket.list(SIGN_UPS);
        while let Some(page) = listing.page().await? {
            for (_, last_modified) in page.into_iter().filter_map(record) {
                if last_modified >= since {
                    return Ok(Newer::Yes);
                }
                records += 1;
            }
        }
        Ok(Newer::No { records })
    }

    /// What the journal says of a person.
    pub fn of(&self, sub: Option<&str>, username: &str) -> Newcomer {
        let by_sub = sub.and_then(uuid).and_then(|sub| self.find(sub));
        let state = match by_sub {
            Some((digit, at)) => Some(self.by_sub[digit][at].1),
            None => self.name(sub, username).map(|name| self.by_name[name]),
        };
        match state {
            None => Newcomer::No,
            Some(State::Recent) => Newcomer::Recent,
            Some(State::Old | State::Late | State::Met) => Newcomer::Settled,
        }
    }

    /// Notes that a person has been met in the pool: nobody needs to ask for them any more.
    pub fn meet(&mut self, sub: Option<&str>, username: &str) {
        if let Some((digit, at)) = sub.and_then(uuid).and_then(|sub| self.find(sub)) {
            self.by_sub[digit][at].1 = State::Met;
        } else if let Some(name) = self.name(sub, username).map(str::to_owned) {
            self.by_name.insert(name, State::Met);
        }
    }

    /// The names of the recent records, `sub` or else username, of people who were not met.
    pub fn unmet(&self) -> Vec<String> {
        self.names_of(State::Recent).collect()
    }

    /// How many older records are of people who were not met: deleted, most likely.
    pub fn absent(&self) -> usize {
        self.names_of(State::Old).count()
    }

    fn names_of(&self, wanted: State) -> impl Iterator<Item = String> {
        let by_sub = self.by_sub.iter().flatten();
        let by_sub = by_sub.filter(move |(_, state)| *state == wanted);
        let by_name = self.by_name.iter();
        let by_name = by_name.filter(move |(_, state)| **state == wanted);
        by_sub
            .map(|(sub, _)| sub.to_string())
            .chain(by_name.map(|(name, _)| name.clone()))
    }

    fn find(&self, sub: Uuid) -> Option<(usize, usize)> {
        let digit = first_digit(sub);
        let at = self.by_sub[digit].binary_search_by_key(&sub, |(sub, _)| *sub);
        Some((digit, at.ok()?))
    }

    fn name<'a>(&self, sub: Option<&'a str>, username: &'a str) -> Option<&'a str> {
        let mut names = sub.into_iter().chain([username]);
        names.find(|name| self.by_name.contains_key(*name))
    }
}

/// The answer to whether there are newer records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// There is at least one.
    Yes,
    /// There is none among all the records.
    No {
        /// How many records there are.
        records: u64,
    },
}

/// The `sub` or username of a listed record, and when it was written; none when the object is no record.
fn record(object: Listed) -> Option<(String, Timestamp)> {
    let name = object.key.strip_prefix(SIGN_UPS).and_then(person_of)?;
    Some((name, object.last_modified))
}

fn first_digit(sub: Uuid) -> usize {
    usize::from(sub.as_bytes()[0] >> 4)
}

/// A `sub` as Cognito writes it, so that the same text can be had back.
fn uuid(text: &str) -> Option<Uuid> {
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

        assert_eq!(sign_ups.of(Some(SUB), "someone"), Newcomer::Settled);
        assert_eq!(sign_ups.of(None, "taro"), Newcomer::Recent);
        assert_eq!(sign_ups.of(Some("no-uuid"), "jiro"), Newcomer::Recent);
        assert_eq!(
            sign_ups.of(Some("00d4da28-9031-70e9-1111-0123456789ab"), "hanako"),
            Newcomer::No
        );
        assert_eq!(sign_ups.records(), 3);
    }

    #[test]
    fn only_recent_people_who_were_not_met_are_asked_for() {
        let mut sign_ups = SignUps::default();
        let met = "47d4da28-9031-70e9-1111-0123456789ab";
        sign_ups.insert(SUB.into(), State::Recent);
        sign_ups.insert(met.into(), State::Recent);
        sign_ups.insert("old".into(), State::Old);
        sign_ups.insert("late".into(), State::Late);

        sign_ups.meet(Some(met), met);

        assert_eq!(sign_ups.unmet(), [SUB]);
        assert_eq!(sign_ups.absent(), 1);
        assert_eq!(sign_ups.of(None, "late"), Newcomer::Settled);
    }
}
