//! Random histories of both regions: see [`harness::chaos`]. It prints the seed and the steps of every history that breaks a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use futures_util::{StreamExt, stream};
use harness::chaos::{self, Counts, History, Kind, Kinds, Outcome};
use indicatif::{ProgressBar, ProgressStyle};

/// Plays random histories in two regions on this machine, and checks what must hold after each of them.
#[derive(Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// The seed of the first history; the following ones have the following seeds. Without it, a random one
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many histories: 100, or 1 if --seed is given
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How many histories are played at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// What does not happen in the histories
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    without: Vec<Kind>,
    /// Prints the steps of every history
    #[arg(long)]
    verbose: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let first = arguments
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let one_or_many = if arguments.seed.is_some() { 1 } else { 100 };
    let count = arguments.count.unwrap_or(one_or_many);
    let kinds = arguments
        .without
        .iter()
        .fold(Kinds::ALL, |kinds, &kind| kinds.without(kind));
    println!("{count} histories from seed {first}");
    // The functions are built before the first history, and not by all of the first ones.
    let names = ["replicate-fn", "backup-fn", "restore-fn"];
    for name in names {
        tokio::task::spawn_blocking(move || local_regions::binary(name)).await??;
    }

    let begun = Instant::now();
    let bar = ProgressBar::new(count).with_style(
        ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {elapsed}")
            .expect("the template is valid"),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut histories = stream::iter(first..first + count)
        .map(|seed| {
            let history = History::generate(seed, kinds);
            async move {
                let played = tokio::spawn(async move { chaos::play(&history).await });
                let outcome = played.await.map_err(anyhow::Error::from).flatten();
                anyhow::Ok((seed, outcome.with_context(|| format!("seed {seed}"))?))
            }
        })
        .buffer_unordered(arguments.jobs.into());
    let mut summary = Summary::default();
    while let Some(played) = histories.next().await {
        let (seed, outcome) = played?;
        bar.inc(1);
        if !outcome.violations.is_empty() || arguments.verbose {
            let story = story(seed, &outcome, &arguments.without);
            bar.suspend(|| println!("{story}"));
        }
        summary.add(seed, &outcome);
        bar.set_message(format!("{} broken", summary.broken.len()));
    }
    bar.finish_and_clear();
    summary.print(begun.elapsed());
    Ok(ExitCode::from(summary.exit_code()))
}

/// The steps of a history, the rules that it broke, and how it is played again.
fn story(seed: u64, outcome: &Outcome, without: &[Kind]) -> String {
    let mut text = format!("\nseed {seed}");
    for line in &outcome.story {
        text.push_str(&format!("\n  {line}"));
    }
    for violation in &outcome.violations {
        text.push_str(&format!("\n  ! {}: {}", violation.rule, violation.what));
    }
    let mut again = format!("--seed {seed}");
    for kind in without {
        let kind = kind.to_possible_value().expect("no kind is hidden");
        again.push_str(&format!(" --without {}", kind.get_name()));
    }
    text.push_str(&format!("\n  again: make chaos ARGS=\"{again}\""));
    text
}

/// What all histories have in common.
#[derive(Default)]
struct Summary {
    histories: usize,
    counts: Counts,
    /// The seeds of the histories that broke a rule.
    broken: Vec<u64>,
    /// How many histories broke each rule.
    rules: BTreeMap<&'static str, usize>,
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.histories += 1;
        self.counts = self.counts.plus(outcome.counts);
        if !outcome.violations.is_empty() {
            self.broken.push(seed);
        }
        let rules = outcome.violations.iter().map(|violation| violation.rule);
        for rule in rules.collect::<BTreeSet<_>>() {
            *self.rules.entry(rule).or_default() += 1;
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.broken.is_empty())
    }

    fn print(&self, took: Duration) {
        let Counts {
            steps,
            people,
            faults,
            kills,
            restores,
            complete,
            reconciles,
        } = self.counts;
        println!("\nhistories         {:>8}", self.histories);
        for (what, count) in [
            ("steps", steps),
            ("sign-ups", people),
            ("faults", faults),
            ("kills", kills),
            ("restores", restores),
            ("  complete", complete),
            ("reconciles", reconciles),
        ] {
            println!("{what:<18}{count:>8}");
        }
        println!("took              {:>7.0}s", took.as_secs_f64());
        println!("\n{:<56}{:>8}", "rule", "broken");
        println!("{:─<64}", "");
        for (rule, _) in chaos::rules::RULES {
            let broken = self.rules.get(rule).copied().unwrap_or_default();
            println!("{rule:<56}{broken:>8}");
        }
        if !self.broken.is_empty() {
            println!("\nseeds of broken histories: {:?}", self.broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use harness::chaos::Violation;

    use super::*;

    fn outcome(violations: Vec<Violation>) -> Outcome {
        Outcome {
            counts: Counts::default(),
            story: vec!["1. p0 confirms: done".to_owned()],
            violations,
        }
    }

    #[test]
    fn one_broken_rule_fails_the_run_and_its_seed_and_steps_are_told() {
        let broken = outcome(vec![Violation {
            rule: "nobody is there twice",
            what: "two users".to_owned(),
        }]);
        let mut summary = Summary::default();
        summary.add(6, &outcome(Vec::new()));
        assert_eq!(summary.exit_code(), 0);
        summary.add(7, &broken);
        summary.add(8, &outcome(Vec::new()));

        let told = story(7, &broken, &[Kind::Moves]);

        assert_eq!(summary.exit_code(), 1);
        assert_eq!(summary.broken, [7]);
        for part in [
            "seed 7",
            "1. p0 confirms: done",
            "! nobody is there twice: two users",
            "make chaos ARGS=\"--seed 7 --without moves\"",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }
}
