//! The time of day, in the precision that logs and files need.

use jiff::{SignedDuration, Timestamp};

/// How much the clocks of two machines may differ without being called wrong. AWS sets those of its functions to the millisecond.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(10);

/// The present time, in whole milliseconds.
pub fn now() -> Timestamp {
    to_milliseconds(Timestamp::now())
}

/// The same time without fractions of a millisecond.
pub fn to_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Whether a time that was written earlier has not come yet: the clock of the machine that wrote it was ahead, or this one is behind.
/// Nothing may wait for such a time, and nothing counts as older than it.
pub fn is_in_future(written: Timestamp, now: Timestamp) -> bool {
    written.duration_since(now) > CLOCK_TOLERANCE
}
