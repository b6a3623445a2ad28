//! Decides where a failback goes on. The evidence says what was done; the fence and the open people say whether that still holds.

use crate::evidence::StepName;
use crate::status::facts::Fence;

/// The step with which a failback goes on. `next` is the step that the evidence names.
pub fn position(next: Option<StepName>, fence: Option<Fence>, has_open_people: bool) -> StepName {
    let next = next.unwrap_or(StepName::LookAgain);
    if next <= StepName::NoSignUps {
        return StepName::BringHome;
    }
    match fence {
        // Somebody has opened it since: there may be newcomers again.
        Some(Fence::Open) => StepName::BringHome,
        Some(Fence::NoSignUps) if next > StepName::CloseFence => StepName::CloseFence,
        // Perhaps somebody has found out who these people are.
        _ if has_open_people && next < StepName::LookAgain => StepName::BringLastHome,
        _ => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_with_the_step_that_was_not_done() {
        for next in [
            StepName::ProveNoSignUps,
            StepName::BringLastHome,
            StepName::Compare,
            StepName::Prefer,
            StepName::Switch,
            StepName::CloseFence,
        ] {
            let goes_on = position(Some(next), Some(Fence::NoSignUps), false);
            assert_eq!(goes_on, next);
        }
        for next in [StepName::ProveClosed, StepName::LookAgain] {
            assert_eq!(position(Some(next), Some(Fence::Closed), false), next);
        }
    }

    #[test]
    fn a_fence_that_was_opened_since_means_that_there_may_be_newcomers() {
        for next in [StepName::Look, StepName::Compare, StepName::LookAgain] {
            let goes_on = position(Some(next), Some(Fence::Open), false);
            assert_eq!(goes_on, StepName::BringHome);
        }
    }

    #[test]
    fn a_fence_that_is_not_closed_any_more_is_closed_again() {
        let goes_on = position(Some(StepName::LookAgain), Some(Fence::NoSignUps), false);

        assert_eq!(goes_on, StepName::CloseFence);
    }

    #[test]
    fn people_whom_nobody_has_accepted_are_looked_at_again() {
        let goes_on = position(Some(StepName::Prefer), Some(Fence::NoSignUps), true);

        assert_eq!(goes_on, StepName::BringLastHome);
    }

    #[test]
    fn at_the_end_only_the_last_look_is_left() {
        assert_eq!(
            position(None, Some(Fence::Closed), true),
            StepName::LookAgain
        );
        assert_eq!(position(None, None, false), StepName::LookAgain);
    }
}
