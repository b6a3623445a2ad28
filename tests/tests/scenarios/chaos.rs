//! A short run of random histories with fixed seeds. `make chaos` plays as many as there is time for.

use std::process::Command;

use futures_util::{StreamExt, stream};
use harness::chaos::{self, History, Kinds};

const CONCURRENT_HISTORIES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_random_histories_nobody_is_missing_and_nothing_is_falsely_complete() {
    let histories = (1..=8).map(|seed| History::generate(seed, Kinds::ALL));

    let played: Vec<_> = stream::iter(histories)
        .map(async |history| (history.seed, chaos::play(&history).await))
        .buffer_unordered(CONCURRENT_HISTORIES)
        .collect()
        .await;

    for (seed, outcome) in played {
        let outcome = outcome.expect("the regions start");
        let story = outcome.story.join("\n");
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:?}\n{story}",
            outcome.violations
        );
        assert!(outcome.counts.restores > 0, "seed {seed}:\n{story}");
        assert!(outcome.counts.reconciles > 0, "seed {seed}:\n{story}");
    }
}

#[test]
fn a_seed_plays_one_history_and_prints_what_happened() {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(["--seed", "3", "--verbose", "--without", "moves"])
        .output()
        .expect("it runs");

    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\nseed 3\n    1. "), "{text}");
    assert!(text.contains("quiet, Restore: {"), "{text}");
    assert!(text.contains("nobody is there twice"), "{text}");
    assert!(text.contains("\nhistories                1\n"), "{text}");
}
