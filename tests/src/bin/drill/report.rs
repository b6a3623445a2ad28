//! The lines that the drill prints, and the table at the end.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The promises that were checked so far, and the start time for the printed lines.
pub struct Report {
    begun: Instant,
    promises: Vec<Promise>,
    measured: Vec<(&'static str, Duration)>,
}

struct Promise {
    what: &'static str,
    of: usize,
    broken: usize,
}

impl Promise {
    fn kept(&self) -> usize {
        self.of.saturating_sub(self.broken)
    }
}

impl Report {
    /// Starts the clock of the report.
    pub fn begin() -> Self {
        Self {
            begun: Instant::now(),
            promises: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// Prints the title of a part of the drill.
    pub fn act(&self, title: &str) {
        println!("\n{title}");
    }

    /// Prints a line with the time since the start.
    pub fn say(&self, line: impl AsRef<str>) {
        let at = self.begun.elapsed().as_secs_f64();
        println!("{at:6.1} s  {}", line.as_ref());
    }

    /// A progress bar, which is shown only on a terminal.
    pub fn bar(&self, what: &'static str, length: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("          {msg} {bar:32} {pos}/{len}")
            .expect("the template is valid");
        let bar = ProgressBar::new(length as u64).with_style(style);
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Records a promise about `of` people, and prints whom it was broken for.
    pub fn promise(&mut self, what: &'static str, of: usize, broken: &[String]) {
        let promise = Promise {
            what,
            of,
            broken: broken.len(),
        };
        self.say(format!("{what}: {} of {of}", promise.kept()));
        for problem in broken.iter().take(10) {
            println!("          ! {problem}");
        }
        if broken.len() > 10 {
            println!("          ! and {} more", broken.len() - 10);
        }
        self.promises.push(promise);
    }

    /// Records a promise that is either kept or broken as a whole.
    pub fn holds(&mut self, what: &'static str, holds: bool) {
        let broken = if holds {
            &[][..]
        } else {
            &["it does not".to_owned()]
        };
        self.promise(what, 1, broken);
    }

    /// Records a time for the table. It decides nothing: it depends on the machine.
    pub fn measure(&mut self, what: &'static str, time: Duration) {
        self.measured.push((what, time));
    }

    /// Whether every promise was kept.
    pub fn all_kept(&self) -> bool {
        self.promises.iter().all(|promise| promise.broken == 0)
    }

    /// Prints the table of promises.
    pub fn table(&self) {
        let widest = self.promises.iter().map(|p| p.what.chars().count()).max();
        let width = widest.unwrap_or_default();
        println!("\n{:width$}  {:>11}", "promise", "kept");
        println!("{:─<1$}", "", width + 19);
        for promise in &self.promises {
            let (what, kept, of) = (promise.what, promise.kept(), promise.of);
            let verdict = if promise.broken == 0 { "yes" } else { "NO" };
            println!("{what:width$}  {kept:>4} of {of:>4}  {verdict}");
        }
        if !self.measured.is_empty() {
            println!();
        }
        for (what, time) in &self.measured {
            println!("{:6.1}  {what}", time.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_promise_is_enough_even_where_nothing_was_expected() {
        let mut kept = Report::begin();
        kept.promise("kept", 2, &[]);
        kept.holds("holds", true);
        assert!(kept.all_kept());

        for of in [0, 1, 2] {
            let mut broken = Report::begin();
            broken.promise("kept", 2, &[]);
            broken.promise("broken", of, &["a problem".to_owned()]);
            assert!(!broken.all_kept(), "{of}");
        }
        let mut broken = Report::begin();
        broken.holds("does not hold", false);
        assert!(!broken.all_kept());
    }
}
