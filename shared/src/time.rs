//! The time of day, in the precision that logs and files need.

use jiff::Timestamp;

/// The present time, in whole milliseconds.
pub fn now() -> Timestamp {
    to_milliseconds(Timestamp::now())
}

/// The same time without fractions of a millisecond.
pub fn to_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
