//! When to stop planning and importing.

/// Rounds without progress before the restore stops importing. A row that fails because of an internal error of Cognito is tried three
/// times.
const IDLE_ROUNDS_MAX: u32 = 2;

/// Counts the rounds of planning and importing that made no progress.
pub(super) struct Rounds {
    fewest_rows: u64,
    idle_rounds: u32,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Self {
            fewest_rows: u64::MAX,
            idle_rounds: 0,
        }
    }

    /// Whether a round that would import so many rows is not worth running: there are none, or too many rounds have not made them
    /// fewer.
    pub(super) fn is_over(&mut self, rows: u64) -> bool {
        if rows >= self.fewest_rows {
            self.idle_rounds += 1;
        }
        self.fewest_rows = self.fewest_rows.min(rows);
        rows == 0 || self.idle_rounds == IDLE_ROUNDS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_when_no_rows_are_left_or_two_rounds_did_not_make_them_fewer() {
        for (rows_of_rounds, over_at) in [
            (&[0][..], 0),
            (&[3, 2, 1, 0], 3),
            (&[3, 3, 2, 2], 3),
            (&[3, 4, 3], 2),
        ] {
            let mut rounds = Rounds::new();
            let over = rows_of_rounds.iter().position(|rows| rounds.is_over(*rows));

            assert_eq!(over, Some(over_at), "{rows_of_rounds:?}");
        }
    }
}
