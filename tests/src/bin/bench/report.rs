//! The measurements: a table for people, and the same with the raw numbers as JSON.

use serde::Serialize;
use serde_json::{Map, Value};

/// The target of a measurement.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

#[derive(Serialize)]
struct Line {
    what: String,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
    met: Option<bool>,
}

/// The numbers of one run.
#[derive(Default, Serialize)]
pub struct Report {
    machine: Map<String, Value>,
    lines: Vec<Line>,
    raw: Map<String, Value>,
}

impl Report {
    /// A new report, which names the machine.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let mut report = Self::default();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        for (name, value) in [
            ("processors", processors.into()),
            ("architecture", std::env::consts::ARCH.into()),
            ("load_before", load.trim().into()),
            ("at", jiff::Timestamp::now().to_string().into()),
        ] {
            report.machine.insert(name.to_owned(), value);
        }
        report
    }

    /// Adds a measurement and prints it.
    pub fn line(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) {
        let met = target.map(|target| match target {
            Target::AtMost(most) => value <= most,
            Target::AtLeast(least) => value >= least,
        });
        let line = Line {
            what: what.into(),
            value,
            unit,
            target,
            met,
        };
        eprintln!("{}", line.text());
        self.lines.push(line);
    }

    /// Adds raw numbers to the JSON.
    pub fn raw(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.raw.insert(name.into(), value.into());
    }

    /// Prints the table.
    pub fn print(&self) {
        println!("\n{:<62} {:>12} {:<7} {:>9}", "measured", "", "", "target");
        println!("{:─<99}", "");
        for line in &self.lines {
            println!("{}", line.text());
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let target = match self.target {
            Some(Target::AtMost(most)) => format!("≤ {most}"),
            Some(Target::AtLeast(least)) => format!("≥ {least}"),
            None => String::new(),
        };
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let Self {
            what, value, unit, ..
        } = self;
        let digits = if *value < 100.0 { 2 } else { 0 };
        format!("{what:<62} {value:>12.digits$} {unit:<7} {target:>9} {met}")
    }
}

/// A percentile of the values.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=200).rev().map(f64::from).collect();

        assert_eq!(percentile(&values, 50.0), 100.0);
        assert_eq!(percentile(&values, 99.0), 198.0);
        assert_eq!(percentile(&values[..1], 1.0), 200.0);
    }
}
