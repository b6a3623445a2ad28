//! What is told on the way, and the table at the end.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The story so far and the promises that were put to the test.
pub struct Report {
    begun: Instant,
    promises: Vec<Promise>,
}

struct Promise {
    what: &'static str,
    kept: usize,
    of: usize,
}

impl Report {
    /// The curtain rises.
    pub fn begin() -> Self {
        Self {
            begun: Instant::now(),
            promises: Vec::new(),
        }
    }

    /// The title of an act.
    pub fn act(&self, title: &str) {
        println!("\n{title}");
    }

    /// A line of the story.
    pub fn say(&self, line: impl AsRef<str>) {
        let at = self.begun.elapsed().as_secs_f64();
        println!("{at:6.1} s  {}", line.as_ref());
    }

    /// A bar for something that takes time; on a terminal alone.
    pub fn bar(&self, what: &'static str, length: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("          {msg} {bar:32} {pos}/{len}")
            .expect("the template is valid");
        let bar = ProgressBar::new(length as u64).with_style(style);
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Puts a promise to the test: `kept` of so many. What broke it is told at once.
    pub fn promise(&mut self, what: &'static str, of: usize, broken: &[String]) {
        let kept = of - broken.len().min(of);
        self.say(format!("{what}: {kept} of {of}"));
        for problem in broken.iter().take(10) {
            println!("          ! {problem}");
        }
        if broken.len() > 10 {
            println!("          ! and {} more", broken.len() - 10);
        }
        self.promises.push(Promise { what, kept, of });
    }

    /// The same for what holds or does not.
    pub fn holds(&mut self, what: &'static str, holds: bool) {
        let broken = if holds {
            &[][..]
        } else {
            &["it does not".to_owned()]
        };
        self.promise(what, 1, broken);
    }

    /// Whether every promise held.
    pub fn all_kept(&self) -> bool {
        self.promises
            .iter()
            .all(|promise| promise.kept == promise.of)
    }

    /// The table.
    pub fn table(&self) {
        let widest = self.promises.iter().map(|p| p.what.chars().count()).max();
        let width = widest.unwrap_or_default();
        println!("\n{:width$}  {:>11}", "promise", "kept");
        println!("{:─<1$}", "", width + 19);
        for Promise { what, kept, of } in &self.promises {
            let verdict = if kept == of { "yes" } else { "NO" };
            println!("{what:width$}  {kept:>4} of {of:>4}  {verdict}");
        }
    }
}
