//! The evidence as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere. Everything is escaped.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::{Evidence, Status, Step, StepStatus, format_ms};

/// The page of a run.
pub struct Page<'a>(pub &'a Evidence);

/// Text in which nothing is markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Other control characters are not allowed in HTML.
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = "\
:root { color-scheme: light; --ink: #1d2733; --soft: #5d6b7a; --line: #d8dee5; --done: #2f7d4f; --skipped: #9aa7b4; --failed: #b3261e;
  --open: #b26a00; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.status { display: inline-block; padding: .1rem .6rem; border-radius: 1rem; color: #fff; background: var(--open); font-weight: 600; }
.status.complete { background: var(--done); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt { color: var(--soft); } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.number { text-align: right; white-space: nowrap; }
.done { color: var(--done); } .skipped { color: var(--soft); } .failed { color: var(--failed); }
.running, .interrupted { color: var(--open); }
svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .axis { fill: var(--soft); } svg line { stroke: var(--line); }
svg .bar-done { fill: var(--done); } svg .bar-skipped { fill: var(--skipped); } svg .bar-failed { fill: var(--failed); }
svg .bar-running, svg .bar-interrupted { fill: var(--open); }
code { font-size: .9em; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } }";

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.0;
        let (title, run) = (evidence.kind, &evidence.run);
        let (class, status) = match evidence.status {
            Status::Complete => ("complete", "complete"),
            Status::InProgress => ("open", "not complete"),
        };
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>twinpool {title} {run}</title>\n\
             <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>twinpool {title} <span class=\"status {class}\">{status}</span></h1>\n"
        )?;
        self.summary(f)?;
        writeln!(f, "<h2>Timeline</h2>")?;
        timeline(f, &evidence.steps)?;
        self.steps(f)?;
        self.people(f)?;
        writeln!(f, "</body>\n</html>")
    }
}

impl Page<'_> {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.0;
        let mut operators: Vec<&str> = evidence.steps.iter().map(|s| s.operator.as_str()).collect();
        operators.sort_unstable();
        operators.dedup();
        let finished = evidence.finished_at.map_or("-".to_owned(), format_time);
        let took = evidence.finished_at.map_or("-".to_owned(), |end| {
            format_ms(end.as_millisecond() - evidence.started_at.as_millisecond())
        });
        writeln!(f, "<dl>")?;
        for (name, value) in [
            ("run", evidence.run.to_string()),
            ("who", operators.join(", ")),
            ("from", format_time(evidence.started_at)),
            ("to", finished),
            ("took", took),
            ("primary pool", evidence.primary.clone()),
            ("secondary pool", evidence.secondary.clone()),
            ("twinpool", evidence.twinpool.clone()),
        ] {
            writeln!(f, "<dt>{name}</dt><dd>{}</dd>", Escaped(&value))?;
        }
        if let Some(opened_at) = evidence.opened_at {
            let opened_at = format_time(opened_at);
            writeln!(f, "<dt>fence opened</dt><dd>{}</dd>", Escaped(&opened_at))?;
        }
        writeln!(f, "</dl>")
    }

    fn steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<h2>Steps</h2>\n<table>\n<tr><th>from</th><th>step</th><th>result</th><th>took</th><th>what was seen</th><th>who</th></tr>"
        )?;
        for step in &self.0.steps {
            let status = step.status.as_str();
            let took = step.took_ms.map_or("-".to_owned(), format_ms);
            let counted = step.counted.iter();
            let counted = counted.map(|(what, number)| format!("{number} {what}"));
            let seen = counted.chain(step.seen.iter().cloned());
            let seen: Vec<_> = seen.chain(step.error.clone()).collect();
            let seen: Vec<_> = seen.iter().map(|text| Escaped(text).to_string()).collect();
            writeln!(
                f,
                "<tr><td>{}</td><td>{}</td><td class=\"{status}\">{status}</td><td class=\"number\">{took}</td><td>{}</td><td>{}</td></tr>",
                Escaped(&format_time(step.started_at)),
                Escaped(step.step.describe()),
                seen.join("<br>"),
                Escaped(&step.operator)
            )?;
        }
        writeln!(f, "</table>")
    }

    /// The people who are not home, or unknown, by `sub`.
    fn people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.0;
        let mut everyone: Vec<_> = evidence.open.values().flatten().collect();
        everyone.sort_unstable();
        everyone.dedup();
        if everyone.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "<h2>People who are not home, or unknown</h2>\n<table>\n<tr><th>sub in the secondary</th><th>reason</th><th>accepted</th></tr>"
        )?;
        for person in everyone {
            let accepted = match evidence.accepted.contains(&person.sub) {
                true => "yes",
                false => "no",
            };
            writeln!(
                f,
                "<tr><td><code>{}</code></td><td>{}</td><td>{accepted}</td></tr>",
                Escaped(&person.sub),
                Escaped(&person.reason)
            )?;
        }
        writeln!(f, "</table>")
    }
}

/// The width of the picture, and where its bars begin and end, in its own units.
const WIDTH: f64 = 960.0;
const BARS: (f64, f64) = (330.0, 880.0);
const ROW: f64 = 24.0;

/// Draws one bar for each attempt at a step, from its begin to its end.
fn timeline(f: &mut fmt::Formatter<'_>, steps: &[Step]) -> fmt::Result {
    let ms = |time: Timestamp| time.as_millisecond();
    let begin = steps.iter().map(|step| ms(step.started_at)).min();
    let ends = steps.iter();
    let ends = ends.map(|step| step.finished_at.unwrap_or(step.started_at));
    let (Some(begin), Some(end)) = (begin, ends.map(ms).max()) else {
        return writeln!(f, "<p>Nothing was done.</p>");
    };
    let span = (end - begin).max(1);
    let at = |time: i64| BARS.0 + (time - begin) as f64 / span as f64 * (BARS.1 - BARS.0);
    let height = steps.len() as f64 * ROW + 30.0;
    writeln!(
        f,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"When each step began and ended\">"
    )?;
    for part in 0..=4 {
        let time = begin + span * part / 4;
        let x = at(time);
        writeln!(
            f,
            "<line x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{:.1}\"/><text class=\"axis\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            height - 22.0,
            height - 6.0,
            format_ms(time - begin)
        )?;
    }
    for (row, step) in (0..).zip(steps) {
        let row: u32 = row;
        let y = f64::from(row) * ROW;
        let from = at(ms(step.started_at));
        let to = at(ms(step.finished_at.unwrap_or(step.started_at)));
        let class = match step.status {
            StepStatus::Running => "running",
            other => other.as_str(),
        };
        let took = step.took_ms.map_or(class.to_owned(), format_ms);
        writeln!(
            f,
            "<text x=\"0\" y=\"{:.1}\">{}</text><rect class=\"bar-{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"2\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y + 15.0,
            Escaped(step.step.describe()),
            y + 4.0,
            (to - from).max(2.0),
            to.max(from + 2.0) + 6.0,
            y + 15.0,
            Escaped(&took)
        )?;
    }
    writeln!(f, "</svg>")
}

fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::id::Id;
    use shared::pool_id::PoolId;

    use super::super::{Kind, OpenPerson, StepName};
    use super::*;

    fn evidence() -> Evidence {
        let pool = |id: &str| id.parse::<PoolId>().unwrap();
        let mut evidence = Evidence::new(
            Kind::Failback,
            Id::parse("20261120T101500Z-0a1b2c3d").unwrap(),
            &pool("ap-northeast-1_Primary01"),
            &pool("ap-northeast-3_Secondary"),
            Timestamp::UNIX_EPOCH,
        );
        let operator = "<script>alert(1)</script>";
        evidence.begin(StepName::Look, operator, Timestamp::UNIX_EPOCH);
        let ended = Timestamp::from_millisecond(1500).unwrap();
        let step = evidence.end(StepStatus::Done, ended).unwrap();
        step.seen.push("a & b".to_owned());
        step.counted.insert("\"people\"".to_owned(), 3);
        let person = OpenPerson {
            sub: "' onload='x".to_owned(),
            reason: "unpaired".to_owned(),
        };
        evidence
            .open
            .insert(StepName::Compare, BTreeSet::from([person]));
        evidence
    }

    #[test]
    fn everything_on_the_page_is_escaped() {
        let page = Page(&evidence()).to_string();

        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("a &amp; b"));
        assert!(page.contains("3 &quot;people&quot;"));
        assert!(page.contains("&#39; onload=&#39;x"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let page = Page(&evidence()).to_string();

        for reference in ["http://", "https://", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn the_timeline_has_a_bar_for_each_attempt_also_for_one_that_was_killed() {
        let mut evidence = evidence();
        evidence.begin(StepName::BringHome, "hanako", Timestamp::UNIX_EPOCH);

        let page = Page(&evidence).to_string();

        assert_eq!(page.matches("<rect").count(), 2);
        assert!(page.contains("bar-running"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn a_run_without_steps_has_a_page_too() {
        let mut evidence = evidence();
        evidence.steps.clear();

        assert!(Page(&evidence).to_string().contains("Nothing was done."));
    }
}
