//! Random histories: what people, operators and failures do to both regions in a random order, and the rules that hold
//! afterwards.
//!
//! - [`history`]: the steps of a history, generated from a seed by a plain function
//! - [`player`]: plays a history in two regions of its own, with the real functions
//! - [`evidence`]: what was seen while it was played, and what is left at its end
//! - [`rules`]: what must hold for the evidence of every history

pub mod evidence;
pub mod history;
pub mod player;
pub mod rules;

pub use evidence::Counts;
pub use history::{History, Kind, Kinds};
pub use rules::Violation;

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// How many steps, faults and kills there were.
    pub counts: Counts,
    /// What happened, one line for each step.
    pub story: Vec<String>,
    /// The broken rules.
    pub violations: Vec<Violation>,
}

/// Plays a history and checks all rules.
///
/// # Errors
///
/// The history could not be played, for a reason that is not twinpool's: a port, a folder or a binary.
pub async fn play(history: &History) -> anyhow::Result<Outcome> {
    let evidence = player::play(history).await?;
    Ok(Outcome {
        counts: evidence.counts,
        violations: rules::violations(&evidence),
        story: evidence.story,
    })
}
