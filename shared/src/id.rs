//! The name of a snapshot or of a restore: its start and eight random digits.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};

/// A name such as `20261120T095959Z-0a1b2c3d`: a start in UTC and eight random hex digits, so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// A new name for something that starts at this time.
    pub fn new(started_at: Timestamp) -> Self {
        let random = OsRng.unwrap_err();
        let suffix: u32 = rand::Rng::random(&mut { random });
        Self(format!(
            "{}-{suffix:08x}",
            started_at.strftime("%Y%m%dT%H%M%SZ")
        ))
    }

    /// A new name for something that starts at this time, which sorts after an earlier name. If that name is of the same second or a
    /// later one, because the clock that it is from was ahead, the new name is of the second after it.
    pub fn new_after(started_at: Timestamp, earlier: &Self) -> Self {
        let next = earlier.second().and_then(|second| {
            let next = second.checked_add(SignedDuration::from_secs(1));
            next.ok()
        });
        Self::new(next.map_or(started_at, |next| next.max(started_at)))
    }

    /// The second that the name begins with; none when it is not such a name.
    pub fn second(&self) -> Option<Timestamp> {
        let (time, _) = self.0.split_once('-')?;
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Reads a name; none when the text is not such a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, suffix) = text.split_once('-')?;
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let fits = time.len() == 16
            && time.char_indices().all(|(at, c)| match at {
                8 => c == 'T',
                15 => c == 'Z',
                _ => c.is_ascii_digit(),
            })
            && suffix.len() == 8
            && suffix.chars().all(is_hex);
        fits.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let early = Id::new("2026-11-20T09:59:59Z".parse().unwrap());
        let late = Id::new("2026-11-20T10:00:00Z".parse().unwrap());

        assert!(early < late);
        assert!(early.to_string().starts_with("20261120T095959Z-"));
        assert_eq!(early.to_string().len(), "20261120T095959Z-".len() + 8);
    }

    #[test]
    fn a_name_sorts_after_an_earlier_one_whatever_the_clocks_say() {
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = time("2026-11-20T10:00:00.5Z");
        let second_after = |earlier: &str| {
            let earlier = Id::new(time(earlier));
            let next = Id::new_after(now, &earlier);
            assert!(next > earlier);
            next.second().unwrap()
        };

        assert_eq!(
            second_after("2026-11-20T09:00:00Z"),
            time("2026-11-20T10:00:00Z")
        );
        assert_eq!(
            second_after("2026-11-20T10:00:00Z"),
            time("2026-11-20T10:00:01Z")
        );
        assert_eq!(
            second_after("2027-01-01T00:00:00Z"),
            time("2027-01-01T00:00:01Z")
        );
        let end_of_time = Id::new(Timestamp::MAX);
        assert_eq!(
            Id::new_after(now, &end_of_time).second(),
            Some(time("2026-11-20T10:00:00Z"))
        );
    }
}
